//! Calls between threads of one node: a thousand clients of one server.

use crate::{Failure, check};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use norma_boot::{Message, Node, ReceiveRight, SendOnceRight, SendRight};
use norma_kernel::limits::LEAST_STACK;
use norma_kernel::memory::free_frames;

const CLIENTS: u32 = 1100;
const CALLS: u32 = 3;

/// Tells what the face refused.
pub fn face<T, E: Into<norma_boot::Failure>>(result: Result<T, E>) -> Result<T, Failure> {
    result.map_err(|error| match error.into() {
        norma_boot::Failure::NoMemory => Failure("there is memory"),
        norma_boot::Failure::TimedOut => Failure("an operation ends in time"),
        _ => Failure("an operation on ports succeeds"),
    })
}

/// As many threads as a large service has clients, all in a call to one server at one time.
pub fn many(node: &Node) -> Result<(), Failure> {
    one_server(node)?;
    // Stacks, numbers and reply ports are there now, and serve again.
    let frames = free_frames();
    one_server(node)?;
    check(free_frames() + 64 >= frames, "the second time takes nothing")
}

fn one_server(node: &Node) -> Result<(), Failure> {
    static ANSWERED: AtomicU32 = AtomicU32::new(0);
    ANSWERED.store(0, Ordering::Relaxed);
    let port = face(ReceiveRight::new())?;
    let service = face(port.make_send())?;
    let server = node.spawn("server", 1, move || serve(&port));
    let server = server.map_err(|_| Failure("there is a server"))?;
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        let service = face(service.copy())?;
        let handle = node.spawn_with_stack("client", 0, LEAST_STACK, move || {
            if call(&service, client).is_ok() {
                ANSWERED.fetch_add(1, Ordering::Relaxed);
            }
        });
        clients.push(handle.map_err(|_| Failure("there are a thousand clients"))?);
    }
    for client in clients {
        client.join();
    }
    server.join();
    let answered = ANSWERED.load(Ordering::Relaxed);
    check(answered == CLIENTS, "every client has its answers")
}

fn call(service: &SendRight, client: u32) -> Result<(), norma_boot::Failure> {
    let mut message = Message::new()?;
    for call in 0..CALLS {
        message.set_id(client);
        message.set_data(&call.to_le_bytes())?;
        message = service.call(message)?;
        if message.id() != client + 1 || message.data() != call.to_le_bytes() {
            return Err(norma_boot::Failure::Unanswered);
        }
    }
    Ok(())
}

/// Answers nobody until everybody has called once, and then all of them; after that, at once.
fn serve(port: &ReceiveRight) {
    let mut first: Vec<(SendOnceRight, Message)> = Vec::new();
    while first.len() < CLIENTS as usize {
        let Ok(mut message) = port.receive() else {
            return;
        };
        let Ok(reply) = message.take_reply() else {
            return;
        };
        first.push((reply, message));
    }
    for (reply, mut message) in first {
        message.set_id(message.id() + 1);
        let _ = reply.send(message);
    }
    let mut left = CLIENTS * (CALLS - 1);
    let mut next = port.receive();
    while let Ok(mut message) = next {
        message.set_id(message.id() + 1);
        left -= 1;
        if left == 0 {
            let _ = message.reply();
            return;
        }
        next = port.reply_and_receive(message);
    }
}
