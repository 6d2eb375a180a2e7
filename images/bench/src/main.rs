//! What `cargo norma bench` runs: node `a` measures, node `b` serves.
//!
//! `bench=NAME:N:WARMUP,…` says what is measured, `rounds=R` how often, `peer=NAME` by which
//! names the two find each other. Each stretch of operations is one line `@bench {…}` of `a`
//! and one line `@counts {…}` of `b`; `docs/benchmarks.md` says what is in them.
#![no_std]
#![no_main]

extern crate alloc;

mod client;
mod control;
mod counts;
mod ipc;
mod item;
mod local;
mod moving;
mod ports;
mod raw;
mod raw_client;
mod remote;
mod server;

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use item::Item;
use norma_boot::{Failure, Node, println};

norma_boot::image!(main, uninspected);

/// A benchmark that could not be measured.
pub struct Error {
    /// Its name, or what else was done.
    pub doing: String,
    /// Why.
    pub failure: Failure,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.failure)
    }
}

/// Says in doing what something went wrong.
pub trait Doing<T> {
    /// Names what was done.
    fn doing(self, what: &str) -> Result<T, Error>;
}

impl<T, E: Into<Failure>> Doing<T> for Result<T, E> {
    fn doing(self, what: &str) -> Result<T, Error> {
        self.map_err(|error| Error {
            doing: what.into(),
            failure: error.into(),
        })
    }
}

/// A thread of that name, priority and stack. It is compiled once for all bodies, which are long
/// where they are compiled into what starts them.
#[inline(never)]
pub fn spawn(
    node: &Node,
    name: &str,
    priority: u8,
    stack: usize,
    body: Box<dyn FnOnce() + Send>,
) -> Result<(), Failure> {
    node.spawn_with_stack(name, priority, stack, body)
        .map(drop)
        .map_err(|_| Failure::NoMemory)
}

/// The usual stack.
pub const STACK: usize = 64 * 1024;

fn main(node: Node) -> Result<(), Error> {
    let items = match Item::list(node.argument("bench").unwrap_or("")) {
        Ok(items) => items,
        Err(unknown) => {
            println!("@bench-error {{\"name\":\"{unknown}\",\"error\":\"no such benchmark\"}}");
            return Err(Failure::InvalidRight).doing(unknown);
        }
    };
    if items.is_empty() {
        return Ok(());
    }
    let rounds = node
        .argument("rounds")
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(1);
    let done = match node.name() {
        "b" => server::run(&node, &items),
        _ => client::run(&node, &items, rounds),
    };
    done.inspect_err(|error| {
        println!(
            "@bench-error {{\"name\":\"{}\",\"error\":\"{}\"}}",
            error.doing, error.failure
        );
    })
}
