//! A service that turns text into capitals, and its client.
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
    port.make_send()?.check_in("upper")?;
    let mut message = port.receive()?;
    loop {
        message.data_mut().make_ascii_uppercase();
        message = port.reply_and_receive(message)?;
    }
}

fn ask(node: &Node) -> Result<(), Failure> {
    let upper = node.wait_for("upper", Duration::from_secs(20))?;
    let reply = upper.call(Message::with_data(b"hello, other machine")?)?;
    println!("{}", reply.data().escape_ascii());
    Ok(())
}
