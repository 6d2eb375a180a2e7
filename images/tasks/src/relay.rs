//! A network message server, and programs behind it: the kernel knows no network.

use crate::card::take;
use crate::{Failure, check, program, trial};
use norma_boot::{Message, Node, ReceiveRight};
use norma_kernel::task::{End, NetworkCard, Options, Task};

/// Above all programs, for they wait for what it carries.
const PRIORITY: u8 = 6;

/// Starts the server with the machine's card. It stays as long as the machine runs.
pub fn start(node: &Node) -> Result<NetworkCard, Failure> {
    let card = take(node)?;
    serve(node, &card, node.boot().seed())?;
    Ok(card)
}

/// Starts a server with that card.
fn serve(node: &Node, card: &NetworkCard, seed: [u8; 32]) -> Result<Task, Failure> {
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
    let mut message = Message::with_data(&seed)?;
    message
        .push_right(card.right()?)
        .map_err(|error| error.failure)?;
    server.port().send(message).map_err(|error| error.failure)?;
    Ok(server)
}

/// Runs a program behind the server to its end, which is to be a good one.
pub fn succeeds(node: &Node, arguments: &str) -> Result<(), Failure> {
    let card = start(node)?;
    let end = trial(node, arguments)?.wait();
    norma_boot::println!("{arguments}: {end}");
    drop(card);
    check(end == End::Exited(0), "a program did what it should")
}

/// The programs whose ports others use; one of them is to die.
pub fn keeps(node: &Node) -> Result<(), Failure> {
    let _card = start(node)?;
    let (keeper, doomed) = (
        trial(node, "relayed-keeper")?,
        trial(node, "relayed-doomed")?,
    );
    check(
        matches!(doomed.wait(), End::Faulted { .. }),
        "a program dies with a call",
    )?;
    check(
        keeper.wait() == End::Exited(0),
        "the other does what it should",
    )
}

/// The programs that use them. In the end their server dies, and another takes its place.
pub fn visits(node: &Node) -> Result<(), Failure> {
    let card = take(node)?;
    let seed = node.boot().seed();
    let server = serve(node, &card, seed)?;
    check(
        trial(node, "relayed-burst")?.wait() == End::Exited(0),
        "a program sends and ends",
    )?;
    let stage = ReceiveRight::new()?;
    stage
        .make_send()?
        .check_in("stage")
        .map_err(norma_boot::Failure::from)?;
    let visitor = trial(node, "relayed-visitor")?;
    let message = stage.receive().map_err(norma_boot::Failure::from)?;
    server.kill();
    check(server.wait() == End::Killed, "the server is ended")?;
    // Another in every respect, as after a crash.
    let _server = serve(node, &card, seed.map(|byte| !byte))?;
    message.reply().map_err(norma_boot::Failure::from)?;
    check(visitor.wait() == End::Exited(0), "all is as before")
}
