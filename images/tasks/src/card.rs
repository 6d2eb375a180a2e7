//! Programs that drive the machine's network card, of which the node itself knows nothing.

use crate::{Failure, check, succeeds, trial};
use norma_boot::{Message, Node};
use norma_kernel::node::find_cards;
use norma_kernel::task::{End, NetworkCard, Task};

/// The machine's card, for a task. The node was told to do without.
pub fn take(node: &Node) -> Result<NetworkCard, Failure> {
    check(
        node.argument("network") == Some("off"),
        "`network=off` leaves the card to a task",
    )?;
    let found = find_cards(&node.boot().mmio_devices()).map(|found| found.into_iter().next());
    let card = match found {
        Ok(Some(found)) => NetworkCard::start(found),
        Ok(None) => return Err(Failure("the machine has no network card")),
        Err(error) => Err(error),
    };
    card.map_err(|error| {
        norma_boot::println!("no card: {error}");
        Failure("the card cannot be used")
    })
}

/// Sends a task the right to drive the card.
pub fn hand_over(card: &NetworkCard, task: &Task) -> Result<(), Failure> {
    let mut message = Message::new()?;
    message
        .push_right(card.right()?)
        .map_err(|error| error.failure)?;
    task.port().send(message).map_err(|error| error.failure)?;
    Ok(())
}

/// Starts `trial` with the right to the card, and waits for a good end.
fn succeeds_with(node: &Node, card: &NetworkCard, arguments: &str) -> Result<(), Failure> {
    let task = trial(node, arguments)?;
    hand_over(card, &task)?;
    let end = task.wait();
    norma_boot::println!("{arguments}: {end}");
    check(end == End::Exited(0), "a program did what it should")
}

/// Sends every frame back.
pub fn echo(node: &Node) -> Result<(), Failure> {
    succeeds_with(node, &take(node)?, "frames-echo")
}

/// After a program that writes nonsense to the memory that it shares with the kernel, another
/// one uses the card as if nothing had been.
pub fn call(node: &Node) -> Result<(), Failure> {
    let card = take(node)?;
    succeeds(node, "frames-unentitled")?;
    succeeds_with(node, &card, "frames-hostile")?;
    succeeds_with(node, &card, "frames-call")
}
