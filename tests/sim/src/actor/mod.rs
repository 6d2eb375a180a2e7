//! Threads as state machines, driven through the same calls as a kernel's threads.

mod client;
mod payload;
mod sender;
mod server;

use core::time::Duration;

use norma_faults::Random;
use norma_ipc::{Name, SendError, SpaceId, ThreadId};
use norma_net::Posted;

pub use client::{Calls, Client};
pub use payload::{Operation, Request};
pub use sender::{Receiver, Sender};
pub use server::Server;

use crate::machine::instant;
use crate::{Books, Ledger, Message, Node};

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// To be woken.
    Wait,
    /// To be woken, or for that time.
    Until(Duration),
    /// Nothing: it has ended.
    Done,
}

/// What a thread sees when it runs.
pub struct Context<'a> {
    /// Its node.
    pub node: &'a mut Node,
    /// Where its rights are.
    pub space: SpaceId,
    /// The number of its machine.
    pub machine: usize,
    /// How often it was started before.
    pub boots: u64,
    /// Its own number.
    pub thread: ThreadId,
    /// The time.
    pub now: Duration,
    /// Chance.
    pub random: &'a mut Random,
    /// The books.
    pub ledger: &'a mut Ledger,
    /// The books of the wild.
    pub books: &'a mut Books,
    /// Threads that were handed a message.
    pub handed: &'a mut Vec<ThreadId>,
}

/// A thread.
pub trait Actor {
    /// Runs until it must wait.
    fn run(&mut self, context: &mut Context<'_>) -> Next;

    /// Whether it serves others, and so never ends by itself.
    fn is_service(&self) -> bool {
        false
    }
}

impl Context<'_> {
    /// Sends a message; waits for room if there is none (`Ok(false)`).
    pub(crate) fn send(
        &mut self,
        name: Name,
        message: Message,
    ) -> Result<bool, SendError<norma_ipc::HeapPage>> {
        let now = instant(self.now);
        match self
            .node
            .send(now, self.space, name, message, Some(self.thread))?
        {
            Posted::Handed(thread) => self.handed.push(thread),
            Posted::Waiting => return Ok(false),
            Posted::Queued | Posted::Carried => {}
        }
        Ok(true)
    }

    /// Sends a reply.
    pub(crate) fn reply(&mut self, message: Message) {
        match self.node.reply(instant(self.now), message) {
            Ok(Posted::Handed(thread)) => self.handed.push(thread),
            Ok(_) => {}
            Err(error) => self.node.ipc().discard(error.message),
        }
    }
}
