//! Being told of a death: a client holds a right to a service whose node is gone from one moment to the next.
//!
//!     cargo norma up examples/death.toml
#![no_std]
#![no_main]

use core::time::Duration;
use norma_boot::{Delivery, Failure, Message, Node, Notification, ReceiveRight, println};

norma_boot::image!(main);

const PATIENCE: Duration = Duration::from_secs(20);

fn main(node: Node) -> Result<(), Failure> {
    match node.argument("role") {
        Some("server") => serve(),
        _ => watch(&node),
    }
}

/// Takes one request, and is gone with it as if its node had crashed: nothing is given up, so
/// nobody is told anything by it.
fn serve() -> Result<(), Failure> {
    let port = ReceiveRight::new()?;
    port.make_send()?.check_in("mortal")?;
    let request = port.receive()?;
    println!("asked: {}", request.data().escape_ascii());
    core::mem::forget((port, request));
    Ok(())
}

fn watch(node: &Node) -> Result<(), Failure> {
    let service = node.wait_for("mortal", PATIENCE)?;
    let news = ReceiveRight::new()?;
    service.notify_death(news.make_send_once()?)?;
    // A call that is under way ends with the reason.
    match service.call(Message::with_data(b"how long will you live?")?) {
        Ok(_) => println!("answered"),
        Err(error) => println!("no answer: {}", error.failure),
    }
    // And who asked to be told is told, once.
    match news.receive_any_timeout(PATIENCE)? {
        Delivery::Notification(Notification::DeadName { failure, .. }) => {
            println!("told: {failure}");
        }
        other => println!("{other:?}"),
    }
    // The right is still a right, to a dead port.
    match service.send(Message::new()?) {
        Ok(()) => println!("sent"),
        Err(error) => println!("not sent: {}", error.failure),
    }
    Ok(())
}
