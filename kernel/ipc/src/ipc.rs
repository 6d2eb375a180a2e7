//! The state of one node's ports, spaces and waits: making and ending them.
//!
//! Every operation checks first and then moves, so that an error leaves everything as it was.
//! What can be done to rights is in `rights.rs`, how they end in `death.rs`, messages in
//! `send.rs` and `receive.rs`, and what only the network layer needs in `network.rs`.

use alloc::vec::Vec;

use crate::error::{NoMemory, Reason, RightError};
use crate::event::{Event, Events, PER_PORT, PER_THREAD};
use crate::limits::MAX_THREADS;
use crate::message::{Message, Pool};
use crate::page::Page;
use crate::port::{Holder, Port, PortId, Sink};
use crate::receive::Cancelled;
use crate::request::Request;
use crate::set::Set;
use crate::slab::Slab;
use crate::space::{Space, SpaceId};
use crate::tally::Tally;
use crate::wait::{Completion, ThreadId, Waiter};

/// All ports, spaces and waits of a node.
#[derive(Debug)]
pub struct Ipc<P> {
    pub(crate) ports: Slab<Port<P>>,
    pub(crate) sets: Slab<Set>,
    pub(crate) spaces: Slab<Space>,
    pub(crate) requests: Slab<Request>,
    pub(crate) waiters: Vec<Waiter<P>>,
    pub(crate) events: Events,
    /// The first thread of [`Ipc::defer_wake`]: mostly there is one, and it needs no queue.
    pub(crate) woken: Option<ThreadId>,
    pub(crate) pool: Pool<P>,
    /// Dead ports whose queues are still to be emptied, linked through the ports.
    pub(crate) doomed: Option<PortId>,
    pub(crate) draining: bool,
    pub(crate) tally: Tally,
    /// Where the notification came that was received last: the raw name of its port, or 0.
    pub(crate) told: u32,
}

impl<P: Page> Default for Ipc<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Page> Ipc<P> {
    /// No ports, no spaces.
    pub const fn new() -> Self {
        Ipc {
            ports: Slab::new(),
            sets: Slab::new(),
            spaces: Slab::new(),
            requests: Slab::new(),
            waiters: Vec::new(),
            events: Events::new(),
            woken: None,
            pool: Pool::new(),
            doomed: None,
            draining: false,
            tally: Tally::new(),
            told: 0,
        }
    }

    /// Whether [`Ipc::poll_event`] has something to say.
    #[inline]
    pub fn has_events(&self) -> bool {
        self.woken.is_some() || !self.events.is_empty()
    }

    /// What others must act on. Call after every operation until it gives `None`.
    #[inline(always)]
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(thread) = self.woken.take() {
            return Some(Event::Wake(thread));
        }
        if self.events.is_empty() {
            return None;
        }
        self.poll_queued()
    }

    fn poll_queued(&mut self) -> Option<Event> {
        let event = self.events.pop()?;
        // From now on the object may have the same to say again.
        match event {
            Event::Wake(thread) => {
                if let Some(waiter) = self.waiters.get_mut(thread.0 as usize) {
                    waiter.waking = false;
                }
            }
            Event::Room(id) => {
                if let Some(port) = self.port_mut(id) {
                    port.room_told = false;
                }
            }
            Event::Carry(id) => {
                if let Some(port) = self.port_mut(id) {
                    port.carry_told = false;
                }
            }
            _ => {}
        }
        Some(event)
    }

    // Messages.

    /// An empty message.
    ///
    /// # Errors
    /// [`NoMemory`].
    #[inline]
    pub fn new_message(&mut self) -> Result<Message<P>, NoMemory> {
        self.pool.take()
    }

    /// Destroys a message: every right in it is released, its memory freed.
    #[inline]
    pub fn discard(&mut self, message: Message<P>) {
        if message.has_rights() {
            self.discard_because(message, Reason::Unanswered);
        } else {
            self.pool.give(message);
        }
    }

    /// Destroys a message; whoever waits for its answer learns `reason`.
    pub fn discard_because(&mut self, mut message: Message<P>, reason: Reason) {
        if let Some(right) = message.take_reply() {
            self.release_because(right, reason);
        }
        while let Some(right) = message.pop_right() {
            self.release_because(right, reason);
        }
        self.pool.give(message);
    }

    // Threads and spaces.

    /// Makes a thread known, so that it can wait.
    ///
    /// # Errors
    /// [`NoMemory`], also for a number of [`MAX_THREADS`] or more.
    pub fn register_thread(&mut self, thread: ThreadId) -> Result<(), NoMemory> {
        if thread.0 >= MAX_THREADS {
            return Err(NoMemory);
        }
        let missing = (thread.0 as usize + 1).saturating_sub(self.waiters.len());
        self.waiters.try_reserve(missing).map_err(|_| NoMemory)?;
        self.events.reserve(missing * PER_THREAD)?;
        for _ in 0..missing {
            self.waiters.push(Waiter::new());
        }
        Ok(())
    }

    /// Forgets what a thread that ended was waiting for, and its reply port.
    pub fn unregister_thread(&mut self, thread: ThreadId) {
        match self.cancel(thread) {
            Cancelled::Message(message) => self.discard(message),
            Cancelled::Completed(completion) => self.drop_completion(completion),
            Cancelled::Nothing => {}
        }
        self.renew_reply_port(thread);
    }

    pub(crate) fn drop_completion(&mut self, completion: Completion<P>) {
        match completion {
            Completion::Received(delivery) => self.discard_delivery(delivery),
            Completion::Refused(_, message) => self.discard(message),
            _ => {}
        }
    }

    /// A new space that may hold `quota` names, at most [`crate::limits::DEFAULT_NAMES`].
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn create_space(&mut self, quota: u32) -> Result<SpaceId, NoMemory> {
        let (index, generation) = self.spaces.insert(Space::new(quota))?;
        Ok(SpaceId { index, generation })
    }

    /// Destroys a space and releases every right in it.
    pub fn destroy_space(&mut self, space: SpaceId) {
        let SpaceId { index, generation } = space;
        let Some(space) = self.spaces.remove(index, generation, Space::new(0)) else {
            return;
        };
        for (name, entry) in space.iter() {
            self.release_entry(name, *entry);
        }
    }

    /// How many names a space holds.
    ///
    /// # Errors
    /// [`RightError::InvalidName`] for a space that is gone.
    pub fn name_count(&self, space: SpaceId) -> Result<u32, RightError> {
        Ok(self.space(space)?.len())
    }

    #[inline]
    pub(crate) fn space(&self, space: SpaceId) -> Result<&Space, RightError> {
        self.spaces
            .get(space.index, space.generation)
            .ok_or(RightError::InvalidName)
    }

    #[inline]
    pub(crate) fn space_mut(&mut self, space: SpaceId) -> Result<&mut Space, RightError> {
        self.spaces
            .get_mut(space.index, space.generation)
            .ok_or(RightError::InvalidName)
    }

    // Ports.

    #[inline]
    pub(crate) fn port(&self, port: PortId) -> Option<&Port<P>> {
        self.ports.get(port.index, port.generation)
    }

    #[inline]
    pub(crate) fn port_mut(&mut self, port: PortId) -> Option<&mut Port<P>> {
        self.ports.get_mut(port.index, port.generation)
    }

    /// Makes room for all that a port can cause, then makes the port; its receive right too,
    /// unless `holder` is [`Holder::Elsewhere`].
    pub(crate) fn create_port(&mut self, sink: Sink, holder: Holder) -> Result<PortId, NoMemory> {
        self.events.reserve(PER_PORT)?;
        match self.ports.insert(Port::new(sink, holder)) {
            Ok((index, generation)) => {
                if holder != Holder::Elsewhere {
                    self.tally.create();
                }
                Ok(PortId { index, generation })
            }
            Err(error) => {
                self.events.release(PER_PORT);
                Err(error)
            }
        }
    }

    pub(crate) fn remove_port(&mut self, port: PortId) {
        let vacant = Port::new(Sink::Queue, Holder::Elsewhere);
        let PortId { index, generation } = port;
        if self.ports.remove(index, generation, vacant).is_some() {
            self.events.release(PER_PORT);
        }
    }

    /// How many ports exist, dead ones with references included.
    pub fn port_count(&self) -> u32 {
        self.ports.len()
    }
}
