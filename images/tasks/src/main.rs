//! Tries tasks on a real (virtual) machine: `test=NAME` on the command line says what, and the
//! programs are in the module.
//!
//! A test that passes prints `@result {"test":"NAME","passed":true}` and ends with the code for
//! a pass.
#![no_std]
#![no_main]

extern crate alloc;

mod bench;
#[path = "../../../user/programs/trial/src/both.rs"]
mod both;
mod card;
mod ends;
mod relay;
mod talk;

use core::fmt;
use norma_boot::{Node, println};
use norma_kernel::task::{End, Options, Programs, StartError, Task};

/// Whose face `both.rs` is written against.
mod face {
    pub use norma_boot::*;
}

norma_boot::image!(main);

/// What was expected and did not happen.
pub struct Failure(pub &'static str);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl From<norma_boot::Failure> for Failure {
    fn from(failure: norma_boot::Failure) -> Self {
        println!("failure of a port: {failure}");
        Failure("a port did what was not expected")
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        println!("no task: {error}");
        Failure("a task was not started")
    }
}

/// Fails the test if `condition` does not hold.
pub fn check(condition: bool, expectation: &'static str) -> Result<(), Failure> {
    if condition {
        Ok(())
    } else {
        Err(Failure(expectation))
    }
}

/// A program of the module.
pub fn program(node: &Node, name: &str) -> Result<&'static [u8], Failure> {
    let module = node.boot().module().ok_or(Failure("there is no module"))?;
    let found = Programs::of(module).get(name);
    found.ok_or(Failure("the module has no such program"))
}

/// Starts a program.
pub fn start(node: &Node, name: &str, arguments: &str) -> Result<Task, Failure> {
    let options = Options {
        arguments,
        ..Options::named(name)
    };
    Ok(Task::start(program(node, name)?, options)?)
}

/// Starts `trial`.
pub fn trial(node: &Node, arguments: &str) -> Result<Task, Failure> {
    start(node, "trial", arguments)
}

/// Runs `trial` to its end, which is to be a good one.
pub fn succeeds(node: &Node, arguments: &str) -> Result<(), Failure> {
    let end = trial(node, arguments)?.wait();
    println!("{arguments}: {end}");
    check(end == End::Exited(0), "a program did what it should")
}

/// Apart from its caller, whose frame lies below all that the node's start needs.
#[inline(never)]
fn main(node: Node) -> Result<(), Failure> {
    let name = node.argument("test").unwrap_or("none");
    match name {
        "hello" => hello(&node),
        "preemption" => ends::preemption(&node),
        "threads" => succeeds(&node, "threads"),
        "vectors" => succeeds(&node, "vectors"),
        "ports" => both::all(&face::Space::new()?)
            .map_err(Failure::from)
            .and_then(|()| succeeds(&node, "ports")),
        "typed" => talk::typed(&node),
        "memory" => succeeds(&node, "memory"),
        "handled" => succeeds(&node, "handled"),
        "faults" => ends::faults(&node),
        "death" => ends::death(&node),
        "refused" => ends::refused(&node),
        "talk" => talk::all(&node),
        "null" => talk::null(&node),
        "hostile" => ends::hostile(&node),
        "frames-echo" => card::echo(&node),
        "frames-call" => card::call(&node),
        "relayed-keeper" => relay::keeps(&node),
        "relayed-visitor" => relay::visits(&node),
        "relayed-server" => relay::succeeds(&node, "relayed-echo far"),
        "relayed-client" => relay::succeeds(&node, "relayed-client far"),
        "bench" => bench::run(&node, false),
        "bench-relayed" => bench::run(&node, true),
        "server" => succeeds(&node, "echo far"),
        "client" => succeeds(&node, "client far"),
        "asked" => talk::asked(&node),
        "asking" => succeeds(&node, "other-node far").and_then(|()| succeeds(&node, "client far")),
        _ => Err(Failure("no such test")),
    }?;
    println!("@result {{\"test\":\"{name}\",\"passed\":true}}");
    Ok(())
}

fn hello(node: &Node) -> Result<(), Failure> {
    let task = start(node, "hello", "with arguments")?;
    check(task.wait() == End::Exited(0), "a program ends as it says")
}
