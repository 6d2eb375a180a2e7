//! Node `b`: the services. Each is a thread that takes a message from its port, turns it into
//! the answer, and sends it back while it waits for the next.

use crate::text::{self, Request};
use crate::{DIGEST, Doing, Error, NULL, TEXT};
use core::time::Duration;
use norma_boot::{Failure, Memory, Message, Node, ReceiveRight, println};
use sha2::{Digest, Sha256};

/// Priority of the services.
const PRIORITY: u8 = 4;

pub fn run(node: &Node) -> Result<(), Error> {
    serve(node, DIGEST, digest)?;
    serve(node, TEXT, text)?;
    serve(node, NULL, |_| Ok(()))?;
    println!("serving {DIGEST}, {TEXT} and {NULL}");
    loop {
        node.sleep(Duration::from_secs(3600)).doing("waiting")?;
    }
}

/// Starts a thread that answers calls to `name`.
fn serve(
    node: &Node,
    name: &'static str,
    answer: fn(&mut Message) -> Result<(), Failure>,
) -> Result<(), Error> {
    let port = ReceiveRight::new().doing("making a port")?;
    port.make_send()
        .doing("making a send right")?
        .check_in(name)
        .doing("checking a name in")?;
    let thread = move || {
        let mut message = match port.receive() {
            Ok(message) => message,
            Err(failure) => return println!("{name}: {failure}"),
        };
        loop {
            // A request that cannot be served is answered by dropping it: the caller learns.
            let next = match answer(&mut message) {
                Ok(()) => port.reply_and_receive(message),
                Err(failure) => {
                    println!("{name}: {failure}");
                    drop(message);
                    port.receive()
                }
            };
            message = match next {
                Ok(next) => next,
                Err(failure) => return println!("{name}: {failure}"),
            };
        }
    };
    node.spawn(name, PRIORITY, thread)
        .map(drop)
        .map_err(|_| Failure::NoMemory)
        .doing("a thread")
}

/// Answers with the SHA-256 of the memory in the message.
fn digest(message: &mut Message) -> Result<(), Failure> {
    let memory = message.take_memory();
    let mut hasher = Sha256::new();
    memory.chunks().for_each(|chunk| hasher.update(chunk));
    message.set_data(&hasher.finalize())
}

fn text(message: &mut Message) -> Result<(), Failure> {
    let memory = message.take_memory();
    match Request::from_id(message.id()) {
        Some(Request::Count) => count(message, &memory),
        Some(Request::Search) => search(message, &memory),
        Some(Request::Discard) => {
            message.clear_data();
            Ok(())
        }
        Some(Request::CallBack) => call_back(message),
        None => Err(Failure::InvalidRight),
    }
}

fn count(message: &mut Message, memory: &Memory) -> Result<(), Failure> {
    let mut counter = text::Counter::default();
    memory.chunks().for_each(|chunk| counter.add(chunk));
    message.set_data(&counter.to_bytes())
}

fn search(message: &mut Message, memory: &Memory) -> Result<(), Failure> {
    let mut searcher = text::Searcher::new(message.data()).ok_or(Failure::InvalidRight)?;
    memory.chunks().for_each(|chunk| searcher.add(chunk));
    message.set_data(&searcher.matches().to_le_bytes())
}

/// Sends the data of the request to the right that came in it.
fn call_back(message: &mut Message) -> Result<(), Failure> {
    let right = message.take_right()?.ok_or(Failure::InvalidRight)?;
    let back = Message::with_data(message.data())?;
    message.clear_data();
    right.send(back).map_err(|error| error.failure)
}
