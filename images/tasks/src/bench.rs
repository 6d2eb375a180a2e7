//! What `cargo norma bench compare` has tasks do: node `a` measures, node `b` serves.

use crate::{Failure, check, program, relay};
use norma_boot::{Message, Node};
use norma_kernel::task::{End, NetworkCard, Options, Task};

/// Above what the programs' other threads have, as in the image `bench`.
const PRIORITY: u8 = 5;

/// Runs the program `bench`; with `relayed`, a network server in a task carries its messages.
pub fn run(node: &Node, relayed: bool) -> Result<(), Failure> {
    let _card: Option<NetworkCard> = relayed.then(|| relay::start(node)).transpose()?;
    let serves = node.name() == "b";
    let arguments = match (serves, relayed) {
        (true, false) => "serve",
        (true, true) => "serve relayed",
        (false, false) => "call",
        (false, true) => "call relayed",
    };
    let _local = (!serves).then(|| start(node, "local")).transpose()?;
    let task = start(node, arguments)?;
    let items = node.argument("bench").unwrap_or("");
    let mut message = Message::with_data(items.as_bytes())?;
    let rounds = node.argument("rounds").unwrap_or("1");
    message.set_id(
        rounds
            .parse()
            .map_err(|_| Failure("`rounds` is a number"))?,
    );
    task.port().send(message).map_err(|error| error.failure)?;
    check(task.wait() == End::Exited(0), "all was measured")
}

fn start(node: &Node, arguments: &str) -> Result<Task, Failure> {
    let options = Options {
        arguments,
        priority: PRIORITY,
        ..Options::named("bench")
    };
    Ok(Task::start(program(node, "bench")?, options)?)
}
