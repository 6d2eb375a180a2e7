//! Receiving: take what is queued, or wait for it.

use crate::error::{ReceiveError, RightError};
use crate::ipc::Ipc;
use crate::message::Message;
use crate::name::Name;
use crate::page::Page;
use crate::port::{PortId, Queued};
use crate::space::SpaceId;
use crate::wait::{Completion, Delivery, State, ThreadId};

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
    /// Takes the first message from the port whose receive right is under `name`.
    ///
    /// # Errors
    /// [`ReceiveError::Empty`], or the name is not a receive right.
    #[inline]
    pub fn receive(&mut self, space: SpaceId, name: Name) -> Result<Delivery<P>, ReceiveError> {
        let id = self
            .receive_target(space, name)
            .map_err(ReceiveError::Right)?;
        match self.take(id) {
            Some(delivery) => Ok(delivery),
            None => match self.live_port_mut(id) {
                Ok(_) => Err(ReceiveError::Empty),
                Err(error) => Err(ReceiveError::Right(error)),
            },
        }
    }

    /// Takes the first message, or makes `thread` wait for one (`None`).
    ///
    /// # Errors
    /// The name must denote the receive right of a live port. When there is no message,
    /// `thread` must be registered ([`RightError::InvalidName`]) and must not wait already
    /// ([`RightError::InvalidRight`]).
    #[inline]
    pub fn receive_or_wait(
        &mut self,
        thread: ThreadId,
        space: SpaceId,
        name: Name,
    ) -> Result<Option<Delivery<P>>, RightError> {
        let id = self.receive_target(space, name)?;
        self.take_or_wait(thread, id)
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
            Some(_) => self.take_or_wait(thread, id),
        }
    }

    #[inline]
    fn take_or_wait(
        &mut self,
        thread: ThreadId,
        id: PortId,
    ) -> Result<Option<Delivery<P>>, RightError> {
        let Ipc { ports, waiters, .. } = self;
        if let Some(port) = ports.get_mut(id.index, id.generation)
            && port.queue.is_empty()
            && port.dead.is_none()
            && port.receivers.enlist(waiters, thread, id)
        {
            return Ok(None);
        }
        self.take_or_refuse(thread, id)
    }

    /// The rest of [`Ipc::take_or_wait`]: there is something to take, or no way to wait.
    #[inline(never)]
    fn take_or_refuse(
        &mut self,
        thread: ThreadId,
        id: PortId,
    ) -> Result<Option<Delivery<P>>, RightError> {
        if let Some(delivery) = self.take(id) {
            return Ok(Some(delivery));
        }
        self.live_port_mut(id)?;
        match self.waiters.get(thread.0 as usize) {
            Some(_) => Err(RightError::InvalidRight),
            None => Err(RightError::InvalidName),
        }
    }

    fn take(&mut self, id: PortId) -> Option<Delivery<P>> {
        let port = self.port_mut(id)?;
        let queued = port.queue.pop_front()?;
        if !port.senders.is_empty() || port.room_wanted {
            self.refill_queue(id);
        }
        Some(match queued {
            Queued::Message(message) => Delivery::Message(message),
            Queued::Notification(notification) => Delivery::Notification(notification),
        })
    }

    /// Moves messages of waiting senders into the queue while there is room. When there is no
    /// memory for the queue they wait on, in order, for the next receive: that one frees a
    /// place, so an empty queue never has senders waiting.
    pub(crate) fn refill_queue(&mut self, id: PortId) {
        let Ipc {
            ports,
            waiters,
            events,
            ..
        } = self;
        let Some(port) = ports.get_mut(id.index, id.generation) else {
            return;
        };
        while !port.is_full() && !port.senders.is_empty() && port.reserve_place().is_ok() {
            let Some(thread) = port.senders.pop(waiters) else {
                break;
            };
            let waiter = &mut waiters[thread as usize];
            if let State::Sending(_, message) =
                waiter.finish(ThreadId(thread), Completion::Sent, events)
            {
                port.queue.push_back(Queued::Message(message));
            }
        }
        self.tell_room(id);
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
        let waiter = self.waiters.get_mut(thread.0 as usize)?;
        if matches!(waiter.state, State::Handed(_))
            && let State::Handed(message) = core::mem::replace(&mut waiter.state, State::Idle)
        {
            return Some(Completion::Received(Delivery::Message(message)));
        }
        self.take_other_completion(thread)
    }

    #[inline(never)]
    fn take_other_completion(&mut self, thread: ThreadId) -> Option<Completion<P>> {
        let waiter = self.waiters.get_mut(thread.0 as usize)?;
        match core::mem::replace(&mut waiter.state, State::Idle) {
            State::Done(completion) => Some(completion),
            still => {
                waiter.state = still;
                None
            }
        }
    }

    /// Ends the wait of `thread` (its time is up, or it was told to stop).
    pub fn cancel(&mut self, thread: ThreadId) -> Cancelled<P> {
        let Ipc { ports, waiters, .. } = self;
        let Some(waiter) = waiters.get_mut(thread.0 as usize) else {
            return Cancelled::Nothing;
        };
        match core::mem::replace(&mut waiter.state, State::Idle) {
            State::Idle | State::Outside => Cancelled::Nothing,
            State::Done(completion) => Cancelled::Completed(completion),
            State::Handed(message) => {
                Cancelled::Completed(Completion::Received(Delivery::Message(message)))
            }
            State::Receiving(id) => {
                if let Some(port) = ports.get_mut(id.index, id.generation) {
                    port.receivers.remove(waiters, thread.0);
                }
                Cancelled::Nothing
            }
            State::Sending(id, message) => {
                if let Some(port) = ports.get_mut(id.index, id.generation) {
                    port.senders.remove(waiters, thread.0);
                }
                // The last right may have been given up while the thread waited.
                self.collect(id);
                Cancelled::Message(message)
            }
        }
    }
}
