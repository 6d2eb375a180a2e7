//! A service that counts words for everybody, and its client.
#![no_std]
#![no_main]

use core::time::Duration;
use norma_boot::{Failure, Message, Node, ReceiveRight, SendRight, println};

norma_boot::image!(main);

fn main(node: Node) -> Result<(), Failure> {
    match node.argument("role") {
        Some("server") => serve(),
        Some("watch") => watch(&node),
        _ => client(&node),
    }
}

/// Adds the words of each text to what came before, and answers with the sum.
fn serve() -> Result<(), Failure> {
    let port = ReceiveRight::new()?;
    port.make_send()?.check_in("words")?;
    let mut sum = 0_u64;
    let mut message = port.receive()?;
    loop {
        let words = message.data().split(u8::is_ascii_whitespace);
        sum += words.filter(|word| !word.is_empty()).count() as u64;
        message.set_data(&sum.to_le_bytes())?;
        message = port.reply_and_receive(message)?;
    }
}

/// Sends a text, and reads the sum.
fn count(words: &SendRight, text: &str) -> Result<u64, Failure> {
    let answer = words.call(Message::with_data(text.as_bytes())?)?;
    let sum = answer.data().first_chunk().ok_or(Failure::Unanswered)?;
    Ok(u64::from_le_bytes(*sum))
}

/// The service, on whatever machine it is, as soon as it is there.
fn find(node: &Node) -> Result<SendRight, Failure> {
    node.wait_for("words", Duration::from_secs(20))
}

fn client(node: &Node) -> Result<(), Failure> {
    let words = find(node)?;
    println!("the service is on node {}", words.location()?.node);
    println!("{} words", count(&words, "to be or not to be")?);
    println!("{} words", count(&words, "that is the question")?);
    Ok(())
}

/// Calls until the service's machine dies, and once more when there is another.
fn watch(node: &Node) -> Result<(), Failure> {
    let mut words = find(node)?;
    loop {
        match count(&words, "still there?") {
            Ok(_) => node.sleep(Duration::from_millis(50))?,
            Err(Failure::NodeDied { name, .. }) => {
                println!("node {name} has died");
                break;
            }
            Err(other) => return Err(other),
        }
    }
    words = find(node)?;
    println!("found anew, with {} words", count(&words, "and now?")?);
    Ok(())
}
