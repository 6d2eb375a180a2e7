//! A service on the calling node itself.

use crate::{STACK, spawn};
use alloc::boxed::Box;
use norma_boot::{Failure, Frames, Message, Node, ReceiveRight, SendRight};

/// The local service; it ends when this is dropped.
pub struct Local {
    /// The right to call it.
    pub service: SendRight,
}

/// Above the calling thread, so that it waits for the next call when that comes.
pub const PRIORITY: u8 = 5;

/// Identifiers of messages: what the service does before it sends them back. Nothing.
pub const ECHO: u32 = 0;
/// Drops the memory.
pub const DROP_MEMORY: u32 = 1;
/// Writes a byte into each page of the memory, then drops it.
pub const TOUCH: u32 = 2;
/// Takes the right out and drops it.
pub const DROP_RIGHT: u32 = 3;
/// Ends.
pub const STOP: u32 = u32::MAX;

impl Local {
    /// Starts it on a port of its own.
    pub fn start(node: &Node) -> Result<Self, Failure> {
        let port = ReceiveRight::new()?;
        let service = port.make_send()?;
        let body = move || {
            let mut next = port.receive();
            while let Ok(mut message) = next {
                match message.id() {
                    ECHO => {}
                    STOP => break,
                    other => {
                        if serve(&mut message, other).is_err() {
                            break;
                        }
                    }
                }
                next = port.reply_and_receive(message);
            }
        };
        spawn(node, "local", PRIORITY, STACK, Box::new(body))?;
        Ok(Local { service })
    }
}

/// What is not done for an empty call.
#[inline(never)]
fn serve(message: &mut Message, what: u32) -> Result<(), Failure> {
    match what {
        DROP_RIGHT => drop(message.take_any_right()?),
        TOUCH => {
            let memory = message.memory_mut();
            for page in 0..memory.pages().len() {
                memory.page_mut(page, &mut Frames)?[0] ^= 1;
            }
            memory.clear();
        }
        _ => message.memory_mut().clear(),
    }
    Ok(())
}

impl Drop for Local {
    fn drop(&mut self) {
        if let Ok(mut stop) = Message::new() {
            stop.set_id(STOP);
            // If it cannot be sent, the service has ended already.
            let _ = self.service.try_send(stop);
        }
    }
}
