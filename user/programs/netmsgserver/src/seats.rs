//! Threads of the core: for each thing that is waited for there is one.
//!
//! Owns: their numbers. What the core calls a thread is a number with a wait; the server has one
//! thread of its own, and what a wait was for is told by whose it was.

use crate::limits::SEATS;
use crate::server::Core;
use alloc::vec::Vec;
use norma_ipc::{Cancelled, Completion, Name, ThreadId};
use norma_user::{Message, SendOnceRight, SendRight};

/// What a thread of the core waits for.
#[derive(Debug)]
pub enum Seat {
    /// Nothing: it is free.
    Free,
    /// That a message from the port of this kernel name, which there was no room for, goes; then,
    /// if it was a call, for the answer.
    Room(u32, Option<SendOnceRight>),
    /// For the answer to a call of a program's.
    Answer(SendOnceRight),
    /// For a right that was looked up.
    Found(SendOnceRight),
    /// For messages to a port that stands for one of this node.
    Principal(Principal),
    /// The same, for the one message that a send-once right of this node is good for.
    Once(Name, SendOnceRight),
    /// For news about ports of other nodes.
    News,
}

/// A port of this node that other nodes have rights to.
#[derive(Debug)]
pub struct Principal {
    /// What the core calls the port that stands for it.
    pub port: Name,
    /// The port itself.
    pub local: SendRight,
    /// A message for which its queue had no room.
    pub held: Option<Held>,
}

/// A message that waits for room, with the answer that is wanted to it.
#[derive(Debug)]
pub struct Held {
    pub message: Message,
    pub reply: Option<norma_ipc::Right>,
}

#[derive(Debug, Default)]
pub struct Seats {
    seats: Vec<Seat>,
    free: Vec<u32>,
}

impl Seats {
    /// A thread that nobody else has; `None` when there are as many as there can be.
    pub fn take(&mut self, core: &mut Core, seat: Seat) -> Result<ThreadId, Seat> {
        let place = match self.free.pop() {
            Some(place) => place,
            None if self.seats.len() < SEATS => {
                let place = self.seats.len() as u32;
                if core.ipc().register_thread(ThreadId(place)).is_err() {
                    return Err(seat);
                }
                self.seats.push(Seat::Free);
                place
            }
            None => return Err(seat),
        };
        self.seats[place as usize] = seat;
        Ok(ThreadId(place))
    }

    /// What a thread waits for.
    pub fn get(&mut self, thread: ThreadId) -> &mut Seat {
        &mut self.seats[thread.0 as usize]
    }

    /// Takes what a thread waited for; it is free, and waits no more.
    pub fn free(&mut self, core: &mut Core, thread: ThreadId) -> Seat {
        match core.ipc().cancel(thread) {
            Cancelled::Nothing => {}
            Cancelled::Message(message) | Cancelled::Completed(Completion::Refused(_, message)) => {
                core.ipc().discard(message)
            }
            Cancelled::Completed(Completion::Received(delivery)) => {
                core.ipc().discard_delivery(delivery);
            }
            Cancelled::Completed(_) => {}
        }
        self.free.push(thread.0);
        core::mem::replace(self.get(thread), Seat::Free)
    }
}
