//! Messages between nodes, for tests: `test=serve` answers, any other `test=NAME` asks.
//!
//! What passes prints `@result {"test":"NAME","passed":true,…}` and ends with the code for a
//! pass. The test on the host decides what the network does meanwhile.
#![no_std]
#![no_main]

extern crate alloc;

mod client;
mod leak;
mod mortal;
mod moving;
mod pattern;
mod remote;
mod server;
mod trouble;
mod typed;
mod wandering;

use core::fmt;
use norma_boot::{Failure, Node, println};

norma_boot::image!(main);

/// What went wrong.
pub enum Error {
    /// An operation that should have worked.
    Failed(&'static str, Failure),
    /// Something that should have been otherwise.
    Wrong(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Failed(doing, failure) => write!(f, "{doing}: {failure}"),
            Error::Wrong(what) => f.write_str(what),
        }
    }
}

/// Says in doing what an operation failed.
pub trait Doing<T> {
    /// The same result, its error with these words.
    ///
    /// # Errors
    /// The operation's own.
    fn doing(self, what: &'static str) -> Result<T, Error>;
}

impl<T> Doing<T> for Result<T, Failure> {
    fn doing(self, what: &'static str) -> Result<T, Error> {
        self.map_err(|failure| Error::Failed(what, failure))
    }
}

fn main(node: Node) -> Result<(), Error> {
    let name = node.argument("test").unwrap_or("none");
    match name {
        "serve" => return server::run(&node),
        "rest" => return server::rest(&node),
        "calls" => client::calls(&node)?,
        "noise" => client::noise(&node)?,
        "large" => client::large(&node)?,
        "lookup" => client::lookup(&node)?,
        "confirmed" => client::confirmed(&node)?,
        "death" => client::death(&node)?,
        "who" => client::who(&node)?,
        "third" => client::third(&node)?,
        "passed-on" => client::passed_on(&node)?,
        "reborn" => client::reborn(&node)?,
        "victim" => return trouble::victim(&node),
        "killed" => trouble::killed(&node)?,
        "cut-off" => trouble::cut_off(&node)?,
        "leak" => return leak::call(&node),
        "steady" => return trouble::steady(&node),
        "last" => trouble::last_words()?,
        "listen" => trouble::listen(&node)?,
        "tally" => trouble::tally()?,
        "send" => trouble::send(&node)?,
        "moving" => moving::run(&node)?,
        "wandering" => wandering::run(&node)?,
        "mortal" => return mortal::mortal(&node),
        "survivor" => mortal::survivor(&node)?,
        "crowd" => return mortal::crowd(&node),
        "typed" => typed::run(&node)?,
        "remote" => remote::run(&node)?,
        "spawn" => remote::spawn(&node)?,
        "ready" => {}
        _ => return Err(Error::Wrong("no such test")),
    }
    println!("@result {{\"test\":\"{name}\",\"passed\":true}}");
    Ok(())
}
