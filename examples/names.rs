//! Names come and go: a client looks for one that is not there yet, waits until it is, and is
//! told when it has gone.
//!
//!     cargo norma up examples/names.toml
#![no_std]
#![no_main]

use core::time::Duration;
use norma_boot::{Delivery, Failure, Message, Node, Notification, ReceiveRight, println};

norma_boot::image!(main);

const PATIENCE: Duration = Duration::from_secs(20);

fn main(node: Node) -> Result<(), Failure> {
    match node.argument("role") {
        Some("server") => serve(&node),
        _ => look(&node),
    }
}

/// Opens when somebody wants it to, answers one question, and closes.
fn serve(node: &Node) -> Result<(), Failure> {
    let bell = ReceiveRight::new()?;
    bell.make_send()?.check_in("bell")?;
    let rung = bell.receive()?;
    let shop = ReceiveRight::new()?;
    shop.make_send()?.check_in("shop")?;
    rung.reply()?;
    let question = shop.receive()?;
    println!("asked: {}", question.data().escape_ascii());
    question.reply()?;
    println!("closes; it had the name: {}", node.check_out("shop"));
    // What is left of the shop dies with its port, here, and its customers are told.
    Ok(())
}

fn look(node: &Node) -> Result<(), Failure> {
    let bell = node.wait_for("bell", PATIENCE)?;
    match node.look_up("shop") {
        Err(Failure::NameUnknown) => println!("nobody has the name `shop`"),
        other => drop(other?),
    }
    bell.call(Message::new()?)?;
    let shop = node.wait_for("shop", PATIENCE)?;
    println!("the shop is on node {}", shop.location()?.node);
    let news = ReceiveRight::new()?;
    shop.notify_death(news.make_send_once()?)?;
    shop.call(Message::with_data(b"open?")?)?;
    match news.receive_any_timeout(PATIENCE)? {
        Delivery::Notification(Notification::DeadName { failure, .. }) => {
            println!("the shop has closed: {failure}");
        }
        other => println!("{other:?}"),
    }
    Ok(())
}
