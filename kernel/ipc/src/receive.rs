//! Receiving: take what is queued, or wait for it.

use crate::error::{ReceiveError, RightError};
use crate::ipc::Ipc;
use crate::message::Message;
use crate::name::Name;
use crate::page::Page;
use crate::port::{Holder, Port, PortId, Queued, Sink};
use crate::right::Target;
use crate::send::Sent;
use crate::space::{Entry, SpaceId};
use crate::wait::{Completion, Delivery, Source, State, ThreadId};

/// What was going on when a wait was cancelled.
#[derive(Debug)]
#[must_use]
pub enum Cancelled<P> {
    /// The thread waited for a message, or for nothing.
    Nothing,
    /// The thread waited for room; here is what it did not send.
    Message(Message<P>),
    /// Too late: the wait had ended already.
    Completed(Completion<P>),
}

impl<P: Page> Ipc<P> {
    /// Takes the first message from the port or set under `name`; of a set, from the member
    /// whose turn it is.
    ///
    /// # Errors
    /// [`ReceiveError::Empty`], or the name is neither a receive right nor a set.
    #[inline]
    pub fn receive(&mut self, space: SpaceId, name: Name) -> Result<Delivery<P>, ReceiveError> {
        self.receive_within(space, name, usize::MAX)
    }

    /// As [`Ipc::receive`], if the message has at most `limit` bytes of inline data.
    ///
    /// # Errors
    /// As [`Ipc::receive`], and [`ReceiveError::TooLarge`]: the message stays where it is.
    pub fn receive_within(
        &mut self,
        space: SpaceId,
        name: Name,
        limit: usize,
    ) -> Result<Delivery<P>, ReceiveError> {
        let source = self.source(space, name)?;
        self.take_from(source, limit)
    }

    /// Takes the first message, or makes `thread` wait for one (`None`).
    ///
    /// # Errors
    /// The name must denote the receive right of a live port, or a set. When there is no message,
    /// `thread` must be registered ([`RightError::InvalidName`]) and must not wait already
    /// ([`RightError::InvalidRight`]).
    #[inline]
    pub fn receive_or_wait(
        &mut self,
        thread: ThreadId,
        space: SpaceId,
        name: Name,
    ) -> Result<Option<Delivery<P>>, RightError> {
        let source = self.source(space, name)?;
        match self.take_or_wait(thread, source, usize::MAX) {
            Ok(delivery) => Ok(delivery),
            Err(ReceiveError::Right(error)) => Err(error),
            // Nothing is too large for no limit, and who may not wait is told so.
            Err(ReceiveError::TooLarge(_) | ReceiveError::Empty) => Ok(None),
        }
    }

    /// As [`Ipc::receive_or_wait`], for messages of at most `limit` bytes of inline data. A wait
    /// ends with [`Completion::TooLarge`] when a larger one comes.
    ///
    /// # Errors
    /// As [`Ipc::receive_or_wait`], and [`ReceiveError::TooLarge`]: the message stays where it
    /// is.
    pub fn receive_within_or_wait(
        &mut self,
        thread: ThreadId,
        space: SpaceId,
        name: Name,
        limit: usize,
    ) -> Result<Option<Delivery<P>>, ReceiveError> {
        let source = self.source(space, name)?;
        self.take_or_wait(thread, source, limit)
    }

    /// What is received from under `name`.
    #[inline]
    fn source(&self, space: SpaceId, name: Name) -> Result<Source, RightError> {
        match self.space(space)?.get(name)? {
            Entry {
                target: Target::Port(port),
                receive: true,
                ..
            } => Ok(Source::Port(*port)),
            Entry {
                target: Target::Set(set),
                ..
            } => Ok(Source::Set(*set)),
            _ => Err(RightError::InvalidRight),
        }
    }

    /// Takes the reply to a call, or makes `thread` wait for it (`None`).
    ///
    /// # Errors
    /// [`RightError::InvalidName`] when the thread has no call under way.
    #[inline]
    pub fn await_reply(&mut self, thread: ThreadId) -> Result<Option<Delivery<P>>, RightError> {
        let Some(waiter) = self.waiters.get(thread.0 as usize) else {
            return Err(RightError::InvalidName);
        };
        let id = waiter.reply_port;
        match self.port(id) {
            // Nobody is left who could answer, or it never called.
            None => Err(RightError::InvalidName),
            Some(port) if port.send_onces == 0 && port.queue.is_empty() => {
                Err(RightError::InvalidName)
            }
            Some(_) => match self.take_or_wait(thread, Source::Port(id), usize::MAX) {
                Ok(delivery) => Ok(delivery),
                Err(ReceiveError::Right(error)) => Err(error),
                Err(ReceiveError::TooLarge(_) | ReceiveError::Empty) => Ok(None),
            },
        }
    }

    #[inline(always)]
    fn take_or_wait(
        &mut self,
        thread: ThreadId,
        source: Source,
        limit: usize,
    ) -> Result<Option<Delivery<P>>, ReceiveError> {
        let Ipc { ports, waiters, .. } = self;
        if let Source::Port(id) = source
            && let Some(port) = ports.get_mut(id.index, id.generation)
            && port.queue.is_empty()
            && port.dead.is_none()
            && port.receivers.enlist(waiters, thread, source, limit)
        {
            return Ok(None);
        }
        self.take_or_wait_otherwise(thread, source, limit)
    }

    /// The rest of [`Ipc::take_or_wait`]: there is something to take, it is a set, or there is
    /// no way to wait.
    #[inline(never)]
    fn take_or_wait_otherwise(
        &mut self,
        thread: ThreadId,
        source: Source,
        limit: usize,
    ) -> Result<Option<Delivery<P>>, ReceiveError> {
        match self.take_from(source, limit) {
            Ok(delivery) => return Ok(Some(delivery)),
            Err(ReceiveError::Empty) => {}
            Err(error) => return Err(error),
        }
        let Ipc { sets, waiters, .. } = self;
        if let Source::Set(id) = source
            && let Some(set) = sets.get_mut(id.index, id.generation)
            && set.receivers.enlist(waiters, thread, source, limit)
        {
            return Ok(None);
        }
        match self.waiters.get(thread.0 as usize) {
            Some(_) => Err(ReceiveError::Right(RightError::InvalidRight)),
            None => Err(ReceiveError::Right(RightError::InvalidName)),
        }
    }

    fn take_from(&mut self, source: Source, limit: usize) -> Result<Delivery<P>, ReceiveError> {
        let (id, of_set) = match source {
            Source::Port(id) => (id, false),
            Source::Set(set) => match self.set(set).map(|set| set.ready.first) {
                Some(first) if first != PortId::NONE => (first, true),
                _ => return Err(ReceiveError::Empty),
            },
        };
        let port = self.live_port_mut(id)?;
        if port.queue.is_empty() {
            return Err(ReceiveError::Empty);
        }
        self.take(id, limit, of_set).map_err(ReceiveError::TooLarge)
    }

    /// Takes the first item of a queue, which is not empty; an error says how many bytes of
    /// inline data it has, more than `limit`. Of a set, the next turn is another member's.
    pub(crate) fn take(
        &mut self,
        id: PortId,
        limit: usize,
        of_set: bool,
    ) -> Result<Delivery<P>, usize> {
        let Some(port) = self.port_mut(id) else {
            return Err(0);
        };
        if let Some(Queued::Message(message)) = port.queue.front()
            && message.data().len() > limit
        {
            return Err(message.data().len());
        }
        let Some(item) = port.queue.pop_front() else {
            return Err(0);
        };
        let refill = !port.senders.is_empty() || port.wants_room();
        self.move_receive_rights(&item, Holder::Transit);
        if refill {
            self.refill_queue(id);
        }
        self.update_ready(id, of_set);
        Ok(match item {
            Queued::Message(mut message) => {
                if let Some(port) = self.port_mut(id) {
                    port.stamp(&mut message);
                }
                Delivery::Message(message)
            }
            Queued::Notification(notification) => {
                self.told = self.port(id).map_or(0, Port::raw_name);
                Delivery::Notification(notification)
            }
        })
    }

    /// The port at which the notification came that was received last, under the name that its
    /// receiver has for it: of use to who receives from a set. `None` if it came to the reply
    /// port of a thread.
    #[inline]
    pub fn told_at(&self) -> Option<Name> {
        (self.told != 0).then(|| Name::from_raw(self.told))
    }

    /// Moves messages of waiting senders into the queue while there is room. When there is no
    /// memory for the queue they wait on, in order, for the next receive: that one frees a
    /// place, so an empty queue never has senders waiting.
    pub(crate) fn refill_queue(&mut self, id: PortId) {
        let mut let_in = false;
        while let Some(thread) = self.next_sender(id) {
            let waiter = &mut self.waiters[thread as usize];
            let State::Sending(_, mut message) =
                core::mem::replace(&mut waiter.state, State::Done(Completion::Sent))
            else {
                break;
            };
            let_in = true;
            waiter.wake(ThreadId(thread), &mut self.events);
            // Room is made by whoever has the receive right, so that it is not in the message.
            debug_assert!(!message.has_receive_right() || !self.closes_cycle(id, &message));
            // The port was elsewhere when it was sent.
            let waits = message.take_confirmation();
            self.push_queued(id, Queued::Message(message));
            if let Some(right) = waits
                && let Sent::Handed(thread) = self.confirm(right)
            {
                self.defer_wake(thread);
            }
        }
        self.tell_room(id);
        if let_in {
            self.check_senders(id);
        }
    }

    /// The next thread that waits to send to a port of this node, if there is room for its
    /// message, which has a place now.
    fn next_sender(&mut self, id: PortId) -> Option<u32> {
        let Ipc { ports, waiters, .. } = self;
        let port = ports.get_mut(id.index, id.generation)?;
        if port.sink != Sink::Queue || port.is_full() || port.senders.is_empty() {
            return None;
        }
        port.reserve_place().ok()?;
        port.senders.pop(waiters)
    }

    /// Makes `thread` wait for something outside this crate, until [`Ipc::complete`]. Does
    /// nothing when it waits already.
    pub fn wait_outside(&mut self, thread: ThreadId) {
        if let Some(waiter) = self.waiters.get_mut(thread.0 as usize)
            && matches!(waiter.state, State::Idle)
        {
            waiter.state = State::Outside;
        }
    }

    /// Ends a wait that [`Ipc::wait_outside`] began; `value` is handed to the thread.
    pub fn complete(&mut self, thread: ThreadId, value: u32) {
        let Ipc {
            waiters, events, ..
        } = self;
        if let Some(waiter) = waiters.get_mut(thread.0 as usize)
            && matches!(waiter.state, State::Outside)
        {
            let _ = waiter.finish(thread, Completion::Signalled(value), events);
        }
    }

    /// How the wait of `thread` ended, or `None` while it still waits.
    #[inline]
    pub fn take_completion(&mut self, thread: ThreadId) -> Option<Completion<P>> {
        match self.take_handed(thread) {
            Some(message) => Some(Completion::Received(Delivery::Message(message))),
            None => self.take_other_completion(thread),
        }
    }

    /// The message that ended the wait of `thread`, if a message did and was not queued before.
    /// If not, [`Ipc::take_completion`] says more.
    #[inline(always)]
    pub fn take_handed(&mut self, thread: ThreadId) -> Option<Message<P>> {
        let waiter = self.waiters.get_mut(thread.0 as usize)?;
        let State::Handed(message) = &mut waiter.state else {
            return None;
        };
        let message = message.take();
        waiter.replace_empty(State::Idle);
        message
    }

    #[inline(never)]
    fn take_other_completion(&mut self, thread: ThreadId) -> Option<Completion<P>> {
        let waiter = self.waiters.get_mut(thread.0 as usize)?;
        match core::mem::replace(&mut waiter.state, State::Idle) {
            State::Done(completion) => {
                self.told = waiter.told;
                Some(completion)
            }
            still => {
                waiter.state = still;
                None
            }
        }
    }

    /// Ends the wait of `thread` (its time is up, or it was told to stop).
    pub fn cancel(&mut self, thread: ThreadId) -> Cancelled<P> {
        let Ipc {
            ports,
            sets,
            waiters,
            ..
        } = self;
        let Some(waiter) = waiters.get_mut(thread.0 as usize) else {
            return Cancelled::Nothing;
        };
        match core::mem::replace(&mut waiter.state, State::Idle) {
            State::Idle | State::Outside | State::Handed(None) => Cancelled::Nothing,
            State::Done(completion) => {
                self.told = waiter.told;
                Cancelled::Completed(completion)
            }
            State::Handed(Some(message)) => {
                Cancelled::Completed(Completion::Received(Delivery::Message(message)))
            }
            State::Receiving(Source::Port(id)) => {
                if let Some(port) = ports.get_mut(id.index, id.generation) {
                    port.receivers.remove(waiters, thread.0);
                }
                Cancelled::Nothing
            }
            State::Receiving(Source::Set(id)) => {
                if let Some(set) = sets.get_mut(id.index, id.generation) {
                    set.receivers.remove(waiters, thread.0);
                }
                Cancelled::Nothing
            }
            State::Sending(id, message) => {
                if let Some(port) = ports.get_mut(id.index, id.generation) {
                    port.senders.remove(waiters, thread.0);
                }
                self.tell_room(id);
                // The last right may have been given up while the thread waited.
                self.check_senders(id);
                self.collect(id);
                Cancelled::Message(message)
            }
        }
    }
}
