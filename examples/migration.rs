//! A receive right moves from node to node with its queue, and its clients notice nothing: `b`
//! counts requests, and hands its port, its clients included, over to `c` in the middle.
//!
//!     cargo norma up examples/migration.toml
#![no_std]
#![no_main]

use core::time::Duration;
use norma_boot::{Failure, Message, Node, ReceiveRight, println};

norma_boot::image!(main);

const PATIENCE: Duration = Duration::from_secs(20);
/// Requests after which the port moves.
const ENOUGH: u32 = 500;

fn main(node: Node) -> Result<(), Failure> {
    match node.argument("role") {
        Some("first") => begin(&node),
        Some("second") => take_over(&node),
        _ => ask(&node),
    }
}

fn begin(node: &Node) -> Result<(), Failure> {
    let heir = node.wait_for("heir", PATIENCE)?;
    let port = ReceiveRight::new()?;
    port.make_send()?.check_in("counter")?;
    count(&port, 0, ENOUGH, node)?;
    let mut message = Message::new()?;
    message.set_id(ENOUGH);
    message.push_right(port)?;
    // Answered when the heir has the port: then nothing of it is here any more.
    heir.call(message)?;
    println!("handed over");
    Ok(())
}

fn take_over(node: &Node) -> Result<(), Failure> {
    let door = ReceiveRight::new()?;
    door.make_send()?.check_in("heir")?;
    let mut message = door.receive()?;
    let port = message.take_receive()?.ok_or(Failure::InvalidRight)?;
    let counted = message.id();
    message.reply()?;
    count(&port, counted, u32::MAX, node)
}

/// Answers requests with their number and the name of this node.
fn count(port: &ReceiveRight, from: u32, to: u32, node: &Node) -> Result<(), Failure> {
    for number in from..to {
        let mut message = port.receive()?;
        message.set_id(number);
        message.set_data(node.name().as_bytes())?;
        message.reply()?;
    }
    Ok(())
}

fn ask(node: &Node) -> Result<(), Failure> {
    let counter = node.wait_for("counter", PATIENCE)?;
    for number in 0..2 * ENOUGH {
        let answer = counter.call(Message::new()?)?;
        assert_eq!(answer.id(), number, "each is counted once, in order");
        if number == 0 || number == 2 * ENOUGH - 1 {
            println!("{number} by node {}", answer.data().escape_ascii());
        }
    }
    Ok(())
}
