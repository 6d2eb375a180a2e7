//! Consequences that others act on: threads to wake, and news for the network layer.
//!
//! Why a queue with reserved room: an event arises in the middle of releasing a right, where
//! nothing may fail. So room for every event that an object can cause is reserved when the
//! object is made, and an object has at most one event of each kind in the queue
//! (`docs/ipc.md`, MUST I-6).

use alloc::collections::VecDeque;

use crate::error::NoMemory;
use crate::port::{PortId, RemoteToken};
use crate::wait::ThreadId;

/// What happened, for the layer above to act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Event {
    /// The thread's wait is over; [`crate::Ipc::take_completion`] says how. It is a hint: when
    /// the thread has looked on its own before, there is nothing left to say.
    Wake(ThreadId),
    /// A watched port died: tell those to whom it was exported. With its identity
    /// ([`crate::Label`]), for nothing else may be left of it.
    PortDied(PortId, u64),
    /// A watched port has room in its queue again.
    Room(PortId),
    /// Something lies at a stand-in that came by a send-once right: take it by
    /// [`crate::Ipc::next_queued`].
    Carry(PortId),
    /// The last right to a stand-in is gone: give the remote right back.
    Unused(RemoteToken),
    /// A bare remote send-once right was destroyed unused.
    Unanswered(RemoteToken),
}

/// Events that a port can have in the queue at one time: died, room, carry, unused.
pub(crate) const PER_PORT: usize = 4;
/// Events that a thread can have in the queue at one time.
pub(crate) const PER_THREAD: usize = 1;
/// Events that a bare remote right can have in the queue at one time.
pub(crate) const PER_TOKEN: usize = 1;

#[derive(Debug)]
pub(crate) struct Events {
    queue: VecDeque<Event>,
    /// How many events the objects that exist could cause at most.
    bound: usize,
}

impl Events {
    pub(crate) const fn new() -> Self {
        Events {
            queue: VecDeque::new(),
            bound: 0,
        }
    }

    /// Reserves room for an object that can cause `count` events.
    #[inline]
    pub(crate) fn reserve(&mut self, count: usize) -> Result<(), NoMemory> {
        if self.queue.capacity() - self.queue.len() < self.bound + count {
            self.grow(count)?;
        }
        self.bound += count;
        Ok(())
    }

    /// `try_reserve` counts from the length, and doubles, so this is rare.
    #[cold]
    fn grow(&mut self, count: usize) -> Result<(), NoMemory> {
        self.queue
            .try_reserve(self.bound + count)
            .map_err(|_| NoMemory)
    }

    /// The object that had reserved `count` is gone. What it had to say may still be queued:
    /// it lies in room that nobody else has been promised, because a new promise counts from
    /// what is free.
    #[inline]
    pub(crate) fn release(&mut self, count: usize) {
        self.bound -= count;
    }

    /// An object takes over `count` of what another one that is gone just now had reserved.
    #[inline]
    pub(crate) fn keep(&mut self, count: usize) {
        self.bound += count;
    }

    /// Appends; the room was reserved.
    #[inline]
    pub(crate) fn push(&mut self, event: Event) {
        debug_assert!(self.queue.len() < self.queue.capacity());
        self.queue.push_back(event);
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.queue.pop_front()
    }
}

#[cfg(feature = "audit")]
impl Events {
    pub(crate) fn queued(&self) -> impl Iterator<Item = &Event> {
        self.queue.iter()
    }

    pub(crate) fn bound(&self) -> usize {
        self.bound
    }

    pub(crate) fn free(&self) -> usize {
        self.queue.capacity() - self.queue.len()
    }
}
