//! A reply port goes to a third node: `a` asks `b`, `b` has `c` do the work, and `c` answers `a`
//! without a word to `b`.
//!
//!     cargo norma up examples/third.toml
#![no_std]
#![no_main]

use core::time::Duration;
use norma_boot::{Failure, Message, Node, ReceiveRight, println};

norma_boot::image!(main);

const PATIENCE: Duration = Duration::from_secs(20);

fn main(node: Node) -> Result<(), Failure> {
    match node.argument("role") {
        Some("desk") => desk(&node),
        Some("worker") => work(&node),
        _ => ask(&node),
    }
}

/// Passes each order on, with whatever is in it: here, a right to answer.
fn desk(node: &Node) -> Result<(), Failure> {
    let worker = node.wait_for("worker", PATIENCE)?;
    let port = ReceiveRight::new()?;
    port.make_send()?.check_in("desk")?;
    loop {
        worker.send(port.receive()?)?;
    }
}

fn work(node: &Node) -> Result<(), Failure> {
    let port = ReceiveRight::new()?;
    port.make_send()?.check_in("worker")?;
    loop {
        let mut order = port.receive()?;
        // A send-once right to a port of `a`. It is used up here.
        let customer = order.take_send_once()?.ok_or(Failure::InvalidRight)?;
        println!("works on: {}", order.data().escape_ascii());
        customer.send(Message::with_data(node.name().as_bytes())?)?;
    }
}

fn ask(node: &Node) -> Result<(), Failure> {
    let desk = node.wait_for("desk", PATIENCE)?;
    let answers = ReceiveRight::new()?;
    let mut order = Message::with_data(b"a table for two")?;
    order.push_send_once_to(&answers)?;
    desk.send(order)?;
    let answer = answers.receive_timeout(PATIENCE)?;
    println!("done by node {}", answer.data().escape_ascii());
    Ok(())
}
