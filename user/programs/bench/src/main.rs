//! Measures calls between tasks, as the image `bench` does between threads of the kernel.
//!
//! Its arguments are `call`, `serve` or `local` (to answer on the calling node), and `relayed` where a network server carries messages.
//! What is measured comes in the first message: `NAME:N:WARMUP,…`, and as identifier how often.
//! Each stretch is one line `@bench {…}` of the calling program; `docs/benchmarks.md` says what is
//! in it.
#![no_std]
#![no_main]

extern crate alloc;

mod call;
mod crowd;
mod item;
mod marker;
mod serve;

use core::time::Duration;
use item::Item;
use norma_user::network::Network;
use norma_user::{Failure, ReceiveRight, SendRight, Task, println};

norma_user::program!(main);

/// Under which name the server takes what the client tells it between stretches.
pub const CONTROL: &str = "bench-tasks-control";
/// Under which name it answers what is measured.
pub const SERVICE: &str = "bench-tasks";

/// Under which name another task of the calling node does.
pub const LOCAL: &str = "bench-tasks-local";

/// A stretch begins.
pub const BEGIN: u32 = 2;
/// It has ended.
pub const END: u32 = 3;
/// There are no more.
pub const DONE: u32 = 4;

/// The service answers with what it was sent.
pub const ECHO: u32 = 0;
/// The service drops what it was sent and answers with nothing.
pub const DROP: u32 = 1;

/// How long to wait for the other node.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// By whom names are found.
pub struct Names<'a> {
    task: &'a Task,
    network: Option<Network>,
}

impl Names<'_> {
    /// Finds a service of the other node.
    pub fn look_up(&self, name: &str) -> Result<SendRight, Failure> {
        match &self.network {
            Some(network) => network.look_up(name, PATIENCE),
            None => self.task.wait_for(name, PATIENCE),
        }
    }

    /// Makes a service known to the other node.
    pub fn check_in(&self, name: &str, port: &ReceiveRight) -> Result<(), Failure> {
        let right = port.make_send()?;
        match &self.network {
            Some(network) => network.check_in(name, &right),
            None => right.check_in(name),
        }
    }
}

fn main(task: Task) -> Result<(), Failure> {
    if task.arguments() == "local" {
        task.port().make_send()?.check_in(LOCAL)?;
        serve::serve(task.port());
        return Ok(());
    }
    let message = task.port().receive()?;
    let mut words = task.arguments().split(' ');
    let serves = words.next() == Some("serve");
    let network = match words.next() {
        Some("relayed") => Some(Network::find(&task, PATIENCE)?),
        _ => None,
    };
    let names = Names {
        task: &task,
        network,
    };
    let text = core::str::from_utf8(message.data()).unwrap_or_default();
    let items = Item::list(text).inspect_err(|unknown| {
        println!("@bench-error {{\"name\":\"{unknown}\",\"error\":\"no such benchmark\"}}");
    });
    let items = items.map_err(|_| Failure::NotSupported)?;
    let done = match serves {
        true => serve::run(&task, &names),
        false => call::run(&task, &names, &items, message.id()),
    };
    done.inspect_err(|failure| {
        println!("@bench-error {{\"name\":\"tasks\",\"error\":\"{failure}\"}}");
    })
}
