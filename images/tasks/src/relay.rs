//! A network message server, and programs behind it: the kernel knows no network.

use crate::card::take;
use crate::{Failure, check, program, trial};
use norma_boot::{Message, Node};
use norma_kernel::task::{End, NetworkCard, Options, Task};

/// Above all programs, for they wait for what it carries.
const PRIORITY: u8 = 6;

/// Starts the server with the machine's card. It stays as long as the machine runs.
pub fn start(node: &Node) -> Result<NetworkCard, Failure> {
    let card = take(node)?;
    let mut arguments = heapless::String::<64>::new();
    for part in [node.name(), " ", node.boot().cluster()] {
        arguments
            .push_str(part)
            .map_err(|_| Failure("the names are too long"))?;
    }
    let options = Options {
        arguments: &arguments,
        priority: PRIORITY,
        ..Options::named("netmsgserver")
    };
    let server = Task::start(program(node, "netmsgserver")?, options)?;
    let mut message = Message::with_data(&node.boot().seed())?;
    message
        .push_right(card.right()?)
        .map_err(|error| error.failure)?;
    server.port().send(message).map_err(|error| error.failure)?;
    Ok(card)
}

/// Runs a program behind the server to its end, which is to be a good one.
pub fn succeeds(node: &Node, arguments: &str) -> Result<(), Failure> {
    let card = start(node)?;
    let end = trial(node, arguments)?.wait();
    norma_boot::println!("{arguments}: {end}");
    drop(card);
    check(end == End::Exited(0), "a program did what it should")
}
