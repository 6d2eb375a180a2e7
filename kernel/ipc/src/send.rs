//! Sending: to a waiting receiver, into a queue, to another node, or not at all.
//!
//! Owns: the path of a message up to its receiver's record. On that path nothing is allocated
//! and no data is copied.

use crate::error::{NoMemory, RightError, SendError, SendFailure};
use crate::event::{Event, PER_TOKEN};
use crate::ipc::Ipc;
use crate::message::Message;
use crate::name::Name;
use crate::port::{Holder, PortId, Queued, RemoteToken, Sink};
use crate::right::{Right, RightKind, Target};
use crate::space::SpaceId;
use crate::wait::{Completion, Delivery, Notification, State, ThreadId};

/// What became of a message that was sent.
#[derive(Debug)]
#[must_use]
pub enum Sent<P> {
    /// It lies in the queue.
    Queued,
    /// A waiting thread has it; wake that thread, or switch to it.
    Handed(ThreadId),
    /// The receiver is on another node: carry it there. `via` is the stand-in, unless the
    /// right was a bare send-once right; [`Ipc::carried`] must follow for a stand-in.
    Forward {
        /// What the network layer calls the destination.
        token: RemoteToken,
        /// The stand-in through which it was sent.
        via: Option<PortId>,
        /// What to carry.
        message: Message<P>,
    },
    /// The queue is full and the thread now waits for room; its message waits with it.
    Waiting,
}

impl<P> Ipc<P> {
    /// Sends `message` to the send or send-once right under `name`. With `wait`, a full queue
    /// makes that thread wait ([`Sent::Waiting`]) instead of failing.
    ///
    /// # Errors
    /// The message comes back whole.
    #[inline]
    pub fn send(
        &mut self,
        space: SpaceId,
        name: Name,
        message: Message<P>,
        wait: Option<ThreadId>,
    ) -> Result<Sent<P>, SendError<P>> {
        let entry = match self.space(space).and_then(|table| table.get(name)) {
            Ok(entry) => *entry,
            Err(error) => return Err(refuse(error, message)),
        };
        if entry.sends > 0
            && let Target::Port(port) = entry.target
        {
            return self.post(port, message, wait);
        }
        if !entry.send_once {
            return Err(refuse(RightError::InvalidRight, message));
        }
        let right = Right { kind: RightKind::SendOnce, target: entry.target };
        let sent = self.send_once(&right, message)?;
        if let Ok(table) = self.space_mut(space) {
            table.remove(name);
        }
        Ok(sent)
    }

    /// Sends `message` to the reply right that it carries.
    ///
    /// # Errors
    /// The message comes back whole, the reply right still in it.
    #[inline]
    pub fn reply(&mut self, mut message: Message<P>) -> Result<Sent<P>, SendError<P>> {
        let Some(right) = message.take_reply() else {
            return Err(refuse(RightError::InvalidRight, message));
        };
        message.set_expects_reply(false);
        match self.send_to(right, message, None) {
            Ok(sent) => Ok(sent),
            Err((right, mut error)) => {
                // There was a place for the right a moment ago.
                let _ = error.message.set_reply(right);
                Err(error)
            }
        }
    }

    /// Sends `message` to a right that is in no space; a send-once right is used up, a send
    /// right released.
    ///
    /// # Errors
    /// Right and message come back.
    #[expect(clippy::type_complexity, reason = "a pair of what comes back")]
    pub fn send_to(
        &mut self,
        right: Right,
        message: Message<P>,
        wait: Option<ThreadId>,
    ) -> Result<Sent<P>, (Right, SendError<P>)> {
        match (right.kind, right.target) {
            (RightKind::SendOnce, _) => match self.send_once(&right, message) {
                Ok(sent) => Ok(sent),
                Err(error) => Err((right, error)),
            },
            (RightKind::Send, Target::Port(port)) => match self.post(port, message, wait) {
                Ok(sent) => {
                    self.release(right);
                    Ok(sent)
                }
                Err(error) => Err((right, error)),
            },
            _ => Err((right, refuse(RightError::InvalidRight, message))),
        }
    }

    /// Sends to a port, on behalf of a send right that stays.
    ///
    /// # Errors
    /// The message comes back whole.
    #[inline]
    pub fn post(
        &mut self,
        id: PortId,
        message: Message<P>,
        wait: Option<ThreadId>,
    ) -> Result<Sent<P>, SendError<P>> {
        let Ipc { ports, waiters, events: _, .. } = self;
        let Some(port) = ports.get_mut(id.index, id.generation) else {
            return Err(refuse(RightError::InvalidName, message));
        };
        if let Some(reason) = port.dead {
            return Err(refuse(RightError::Dead(reason), message));
        }
        if let Some(thread) = port.receivers.pop(waiters) {
            waiters[thread as usize].state =
                State::Done(Completion::Received(Delivery::Message(message)));
            return Ok(Sent::Handed(ThreadId(thread)));
        }
        if let Sink::Remote(_) = port.sink
            && message.rights().iter().any(|right| right.kind() == RightKind::Receive)
        {
            // A receive right cannot leave its node.
            return Err(refuse(RightError::InvalidRight, message));
        }
        if port.is_full() || !port.senders.is_empty() {
            let Some(thread) = wait else {
                return Err(SendError { failure: SendFailure::Full, message });
            };
            port.senders.push(waiters, thread.0);
            waiters[thread.0 as usize].state = State::Sending(id, message);
            return Ok(Sent::Waiting);
        }
        if let Sink::Remote(token) = port.sink {
            port.under_way += 1;
            return Ok(Sent::Forward { token, via: Some(id), message });
        }
        // Every send-once right keeps its place in the queue.
        if port.queue.try_reserve(port.send_onces as usize + 1).is_err() {
            return Err(refuse(RightError::NoMemory, message));
        }
        port.queue.push_back(Queued::Message(message));
        Ok(Sent::Queued)
    }

    /// Uses a send-once right up, if it can be.
    #[inline]
    fn send_once(
        &mut self,
        right: &Right,
        message: Message<P>,
    ) -> Result<Sent<P>, SendError<P>> {
        let id = match right.target {
            Target::Remote(token) => {
                if message.rights().iter().any(|right| right.kind() == RightKind::Receive) {
                    return Err(refuse(RightError::InvalidRight, message));
                }
                self.events.release(PER_TOKEN);
                return Ok(Sent::Forward { token, via: None, message });
            }
            Target::Port(id) => id,
        };
        let Ipc { ports, waiters, .. } = self;
        let Some(port) = ports.get_mut(id.index, id.generation) else {
            return Err(refuse(RightError::InvalidName, message));
        };
        if let Some(reason) = port.dead {
            return Err(refuse(RightError::Dead(reason), message));
        }
        port.send_onces -= 1;
        if let Some(thread) = port.receivers.pop(waiters) {
            waiters[thread as usize].state =
                State::Done(Completion::Received(Delivery::Message(message)));
            return Ok(Sent::Handed(ThreadId(thread)));
        }
        port.queue.push_back(Queued::Message(message));
        Ok(Sent::Queued)
    }

    /// Puts news of the kernel's own into a port's queue, in the place kept for it.
    pub(crate) fn notify(&mut self, id: PortId, notification: Notification) {
        let Ipc { ports, waiters, events, .. } = self;
        let Some(port) = ports.get_mut(id.index, id.generation) else { return };
        if let Some(thread) = port.receivers.pop(waiters) {
            waiters[thread as usize].state =
                State::Done(Completion::Received(Delivery::Notification(notification)));
            events.push(Event::Wake(ThreadId(thread)));
        } else {
            port.queue.push_back(Queued::Notification(notification));
        }
    }

    /// Readies `message` for a call by `thread`: puts a send-once right to the thread's reply
    /// port in. Send it next, then [`Ipc::await_reply`].
    ///
    /// # Errors
    /// [`RightError::InvalidRight`] when the message has a reply right already;
    /// [`RightError::NoMemory`].
    #[inline]
    pub fn attach_reply(
        &mut self,
        thread: ThreadId,
        message: &mut Message<P>,
    ) -> Result<(), RightError> {
        if message.reply().is_some() {
            return Err(RightError::InvalidRight);
        }
        let id = self.reply_port(thread)?;
        let port = self.port_mut(id).ok_or(RightError::InvalidName)?;
        port.make_send_once()?;
        let _ = message.set_reply(Right::to_port(RightKind::SendOnce, id));
        message.set_expects_reply(true);
        Ok(())
    }

    /// Takes back what [`Ipc::attach_reply`] put in, without a notification.
    pub fn detach_reply(&mut self, message: &mut Message<P>) {
        message.set_expects_reply(false);
        if let Some(Right { kind: RightKind::SendOnce, target: Target::Port(id) }) =
            message.take_reply()
            && let Some(port) = self.port_mut(id)
        {
            port.send_onces -= 1;
        }
    }

    #[inline]
    fn reply_port(&mut self, thread: ThreadId) -> Result<PortId, RightError> {
        let waiter = self.waiters.get(thread.0 as usize).ok_or(RightError::InvalidName)?;
        if let Some(port) = waiter.reply_port {
            return Ok(port);
        }
        let port = self.create_port(Sink::Queue, Holder::Thread)?;
        self.waiters[thread.0 as usize].reply_port = Some(port);
        Ok(port)
    }

    /// Gives up a thread's reply port, so that an answer to a call that timed out can never be
    /// taken for the answer to the next one.
    pub fn renew_reply_port(&mut self, thread: ThreadId) {
        let Some(waiter) = self.waiters.get_mut(thread.0 as usize) else { return };
        if let Some(port) = waiter.reply_port.take() {
            self.kill_port(port, crate::error::Reason::Destroyed);
        }
    }

    // For the network layer.

    /// A message that went out through `via` has arrived for good (or will never): its place
    /// is free. Returns the message of the next thread that waited for it, to be carried.
    #[inline]
    pub fn carried(&mut self, via: PortId) -> Option<(RemoteToken, Message<P>)> {
        let port = self.port_mut(via)?;
        port.under_way = port.under_way.saturating_sub(1);
        self.next_to_carry(via)
    }

    /// Lets (`false`) or makes (`true`) senders through `via` wait, whatever its limit says.
    pub fn hold_back(&mut self, via: PortId, hold: bool) {
        if let Some(port) = self.port_mut(via) {
            port.held_back = hold;
        }
    }

    /// The message of the next thread that waits to send through `via`, if there is room.
    pub fn next_to_carry(&mut self, via: PortId) -> Option<(RemoteToken, Message<P>)> {
        let Ipc { ports, waiters, events, .. } = self;
        let port = ports.get_mut(via.index, via.generation)?;
        let Sink::Remote(token) = port.sink else { return None };
        if port.is_full() {
            return None;
        }
        let thread = port.senders.pop(waiters)?;
        let done = State::Done(Completion::Sent);
        match core::mem::replace(&mut waiters[thread as usize].state, done) {
            State::Sending(_, message) => {
                port.under_way += 1;
                events.push(Event::Wake(ThreadId(thread)));
                Some((token, message))
            }
            other => {
                waiters[thread as usize].state = other;
                None
            }
        }
    }

    /// Moves messages of waiting senders into the queue while there is room.
    pub(crate) fn refill_queue(&mut self, id: PortId) {
        let Ipc { ports, waiters, events, .. } = self;
        let Some(port) = ports.get_mut(id.index, id.generation) else { return };
        while !port.is_full() {
            if port.queue.try_reserve(port.send_onces as usize + 1).is_err() {
                return;
            }
            let Some(thread) = port.senders.pop(waiters) else { break };
            let done = State::Done(Completion::Sent);
            if let State::Sending(_, message) =
                core::mem::replace(&mut waiters[thread as usize].state, done)
            {
                port.queue.push_back(Queued::Message(message));
                events.push(Event::Wake(ThreadId(thread)));
            }
        }
        if port.room_wanted && !port.is_full() {
            port.room_wanted = false;
            events.push(Event::Room(id));
        }
    }

    /// Asks for [`Event::Room`] when the queue of `port` has room again.
    pub fn want_room(&mut self, port: PortId) {
        if let Some(port) = self.port_mut(port) {
            port.room_wanted = true;
        }
    }
}

#[cold]
fn refuse<P>(error: RightError, message: Message<P>) -> SendError<P> {
    SendError { failure: SendFailure::Right(error), message }
}

impl From<NoMemory> for SendFailure {
    fn from(_: NoMemory) -> Self {
        SendFailure::Right(RightError::NoMemory)
    }
}
