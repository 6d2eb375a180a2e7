//! Receiving: take what is queued, or wait for it.

use crate::error::{ReceiveError, RightError};
use crate::ipc::Ipc;
use crate::message::Message;
use crate::name::Name;
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

impl<P> Ipc<P> {
    /// Takes the first message from the port whose receive right is under `name`.
    ///
    /// # Errors
    /// [`ReceiveError::Empty`], or the name is not a receive right.
    #[inline]
    pub fn receive(&mut self, space: SpaceId, name: Name) -> Result<Delivery<P>, ReceiveError> {
        let port = self.receive_target(space, name).map_err(ReceiveError::Right)?;
        self.take(port).ok_or(ReceiveError::Empty)
    }

    /// Takes the first message, or makes `thread` wait for one (`None`).
    ///
    /// # Errors
    /// The name must denote a receive right.
    #[inline]
    pub fn receive_or_wait(
        &mut self,
        thread: ThreadId,
        space: SpaceId,
        name: Name,
    ) -> Result<Option<Delivery<P>>, RightError> {
        let port = self.receive_target(space, name)?;
        Ok(self.take_or_wait(thread, port))
    }

    /// Takes the reply to a call, or makes `thread` wait for it (`None`).
    ///
    /// # Errors
    /// [`RightError::InvalidName`] when the thread has no call under way.
    #[inline]
    pub fn await_reply(&mut self, thread: ThreadId) -> Result<Option<Delivery<P>>, RightError> {
        let waiter = self.waiters.get(thread.0 as usize).ok_or(RightError::InvalidName)?;
        let port = waiter.reply_port.ok_or(RightError::InvalidName)?;
        Ok(self.take_or_wait(thread, port))
    }

    #[inline]
    fn take_or_wait(&mut self, thread: ThreadId, id: PortId) -> Option<Delivery<P>> {
        if let Some(delivery) = self.take(id) {
            return Some(delivery);
        }
        let Ipc { ports, waiters, .. } = self;
        let port = ports.get_mut(id.index, id.generation)?;
        port.receivers.push(waiters, thread.0);
        waiters[thread.0 as usize].state = State::Receiving(id);
        None
    }

    #[inline]
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

    /// Makes `thread` wait for something outside this crate, until [`Ipc::complete`].
    pub fn wait_outside(&mut self, thread: ThreadId) {
        if let Some(waiter) = self.waiters.get_mut(thread.0 as usize) {
            waiter.state = State::Outside;
        }
    }

    /// Ends a wait that [`Ipc::wait_outside`] began; `value` is handed to the thread.
    pub fn complete(&mut self, thread: ThreadId, value: u32) {
        if let Some(waiter) = self.waiters.get_mut(thread.0 as usize)
            && matches!(waiter.state, State::Outside)
        {
            waiter.state = State::Done(Completion::Signalled(value));
            self.events.push(crate::event::Event::Wake(thread));
        }
    }

    /// How the wait of `thread` ended, or `None` while it still waits.
    #[inline]
    pub fn take_completion(&mut self, thread: ThreadId) -> Option<Completion<P>> {
        let waiter = self.waiters.get_mut(thread.0 as usize)?;
        if !matches!(waiter.state, State::Done(_)) {
            return None;
        }
        match core::mem::replace(&mut waiter.state, State::Idle) {
            State::Done(completion) => Some(completion),
            _ => None,
        }
    }

    /// Ends the wait of `thread` (its time is up, or it was told to stop).
    pub fn cancel(&mut self, thread: ThreadId) -> Cancelled<P> {
        let Ipc { ports, waiters, .. } = self;
        let Some(waiter) = waiters.get_mut(thread.0 as usize) else { return Cancelled::Nothing };
        match core::mem::replace(&mut waiter.state, State::Idle) {
            State::Idle | State::Outside => Cancelled::Nothing,
            State::Done(completion) => Cancelled::Completed(completion),
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
                Cancelled::Message(message)
            }
        }
    }
}
