//! A service that sends back what it is sent, and a client that calls it a thousand times.
//!
//!     cargo norma up examples/echo.toml
#![no_std]
#![no_main]

use core::time::Duration;
use norma_boot::{Failure, Message, Node, ReceiveRight, println};

norma_boot::image!(main);

fn main(node: Node) -> Result<(), Failure> {
    match node.argument("role") {
        Some("server") => serve(),
        _ => ask(&node),
    }
}

fn serve() -> Result<(), Failure> {
    let port = ReceiveRight::new()?;
    port.make_send()?.check_in("echo")?;
    let mut message = port.receive()?;
    loop {
        // The request is the answer: it goes back as it came, and the next one comes.
        message = port.reply_and_receive(message)?;
    }
}

fn ask(node: &Node) -> Result<(), Failure> {
    let echo = node.wait_for("echo", Duration::from_secs(20))?;
    // One message, filled once: the answer is the next request.
    let mut message = Message::with_data(b"is anybody there?")?;
    let began = node.now();
    for _ in 0..1000 {
        message = echo.call(message)?;
    }
    println!("{}", message.data().escape_ascii());
    println!("1000 calls, {} us each", (node.now() - began) / 1_000_000);
    Ok(())
}
