//! Sending: to a waiting receiver, into a queue, to another node, or not at all.
//!
//! Owns: the path of a message up to its receiver's record. On that path nothing is allocated
//! and no data is copied.

use crate::error::{NoMemory, RightError, SendError, SendFailure};
use crate::event::PER_TOKEN;
use crate::ipc::Ipc;
use crate::limits::MAX_TRANSIT_DEPTH;
use crate::message::{Expects, Message};
use crate::name::Name;
use crate::page::Page;
use crate::port::{Holder, Port, PortId, Queued, RemoteToken, Sink};
use crate::right::{Right, RightKind, Target};
use crate::space::{Entry, SpaceId};
use crate::step::handed;
use crate::wait::{Completion, Delivery, Notification, State, ThreadId, may_wait};

/// What became of a message that was sent.
#[derive(Debug)]
#[must_use]
pub enum Sent<P> {
    /// It lies in the queue, or the events say who has it ([`crate::Event::Wake`]): when others
    /// are to be woken too, because it is too large for them.
    Queued,
    /// A waiting thread has it; wake that thread, or switch to it. Nobody else is to be woken.
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

impl<P: Page> Ipc<P> {
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
            Ok(entry) => entry,
            Err(error) => return Err(refuse(error, message)),
        };
        match *entry {
            Entry {
                sends: 1..,
                target: Target::Port(port),
                ..
            } => self.post(port, message, wait),
            Entry {
                send_once: true, ..
            } => self.send_named_once(space, name, *entry, message),
            _ => Err(refuse(RightError::InvalidRight, message)),
        }
    }

    /// Uses up the send-once right under `name`, which is `entry`.
    fn send_named_once(
        &mut self,
        space: SpaceId,
        name: Name,
        entry: Entry,
        message: Message<P>,
    ) -> Result<Sent<P>, SendError<P>> {
        let right = Right {
            kind: RightKind::SendOnce,
            target: entry.target,
        };
        let sent = self.send_once(&right, message)?;
        if let Ok(table) = self.space_mut(space) {
            table.remove(name);
        }
        self.name_deleted(name, &entry);
        Ok(sent)
    }

    /// Sends `message` to the reply right that it carries.
    ///
    /// # Errors
    /// The message comes back whole, the reply right still in it.
    #[inline(always)]
    pub fn reply(&mut self, mut message: Message<P>) -> Result<Sent<P>, SendError<P>> {
        let Ipc {
            ports,
            waiters,
            tally,
            ..
        } = self;
        // The caller waits at its own reply port: the path of nearly every reply.
        if let Some(Right {
            kind: RightKind::SendOnce,
            target: Target::Port(id),
        }) = message.reply()
            && let Some(port) = ports.get_mut(id.index, id.generation)
            && let first = port.receivers.first
            && let Some(waiter) = waiters.get(first as usize)
            && message.data().len() <= waiter.limit
        {
            port.send_onces -= 1;
            tally.destroy(1);
            let body = message.body_mut();
            body.reply = None;
            body.expects = Expects::NOTHING;
            handed(first, &message);
            return Ok(Sent::Handed(port.hand_to(waiters, first, message)));
        }
        // The caller is on another node; without rights nothing in the answer is refused.
        if let Some(Right {
            kind: RightKind::SendOnce,
            target: Target::Remote(token),
        }) = message.reply()
            && message.rights().is_empty()
        {
            let token = *token;
            let body = message.body_mut();
            body.reply = None;
            body.expects = Expects::NOTHING;
            return self.forward_once(token, message);
        }
        self.reply_otherwise(message)
    }

    /// The rest of [`Ipc::reply`]: the answer is queued, takes rights along, or is refused.
    #[inline(never)]
    fn reply_otherwise(&mut self, mut message: Message<P>) -> Result<Sent<P>, SendError<P>> {
        let Some(right) = message.take_reply() else {
            return Err(refuse(RightError::InvalidRight, message));
        };
        let expected = message.expects_reply();
        message.set_expects_reply(false);
        match self.send_to(right, message, None) {
            Ok(sent) => Ok(sent),
            Err((right, mut error)) => {
                // There was a place for the right a moment ago.
                let _ = error.message.set_reply(right);
                error.message.set_expects_reply(expected);
                Err(error)
            }
        }
    }

    /// Sends `message` to a right that is in no space; a send-once right is used up, a send
    /// right released.
    ///
    /// # Errors
    /// Right and message come back.
    #[inline(always)]
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

    /// Sends `message` to a send-once right that is in no space. The right is used up, also when
    /// its port has died: then it is released.
    ///
    /// # Errors
    /// The message comes back whole.
    #[inline(always)]
    pub fn spend(&mut self, right: Right, message: Message<P>) -> Result<Sent<P>, SendError<P>> {
        let sent = match right.kind {
            RightKind::SendOnce => self.send_once(&right, message),
            _ => Err(refuse(RightError::InvalidRight, message)),
        };
        if sent.is_err() {
            self.release(right);
        }
        sent
    }

    /// Sends to a port, on behalf of a send right that stays.
    ///
    /// # Errors
    /// The message comes back whole.
    #[inline(always)]
    pub fn post(
        &mut self,
        id: PortId,
        message: Message<P>,
        wait: Option<ThreadId>,
    ) -> Result<Sent<P>, SendError<P>> {
        let Ipc { ports, waiters, .. } = self;
        let Some(port) = ports.get_mut(id.index, id.generation) else {
            return Err(refuse(RightError::InvalidName, message));
        };
        // Nobody waits at a dead port, so who is found here is alive.
        let first = port.receivers.first;
        if let Some(waiter) = waiters.get(first as usize)
            && message.data().len() <= waiter.limit
        {
            handed(first, &message);
            return Ok(Sent::Handed(port.hand_to(waiters, first, message)));
        }
        // Without rights nothing but room is asked of what goes to another node.
        if let Sink::Remote(token) = port.sink
            && port.dead.is_none()
            && message.rights().is_empty()
            && port.has_room()
        {
            return Ok(port.forward(id, token, message));
        }
        self.enqueue(id, message, wait)
    }

    /// The rest of [`Ipc::post`], when nobody waits at the port itself who can take it.
    #[inline(never)]
    fn enqueue(
        &mut self,
        id: PortId,
        message: Message<P>,
        wait: Option<ThreadId>,
    ) -> Result<Sent<P>, SendError<P>> {
        let Some(port) = self.port_mut(id) else {
            return Err(refuse(RightError::InvalidName, message));
        };
        if let Some(reason) = port.dead {
            return Err(refuse(RightError::Dead(reason), message));
        }
        if let Sink::Remote(token) = port.sink {
            return self.forward(id, token, message, wait);
        }
        if message.has_receive_right() && self.closes_cycle(id, &message) {
            return Err(refuse(RightError::Circular, message));
        }
        let Some(port) = self.port_mut(id) else {
            return Err(refuse(RightError::InvalidName, message));
        };
        if !port.has_room() {
            return self.wait_for_room(id, message, wait);
        }
        // Every send-once right keeps its place in the queue.
        if !self.awaits(id, message.data().len())
            && let Some(port) = self.port_mut(id)
            && port.reserve_place().is_err()
        {
            return Err(refuse(RightError::NoMemory, message));
        }
        Ok(self.hand_or_queue(id, message))
    }

    /// Whether a thread waits at the set of a port that can take so many bytes of inline data:
    /// what comes for it needs no place in the queue.
    fn awaits(&self, id: PortId, bytes: usize) -> bool {
        let port = self.port(id).filter(|port| port.queue.is_empty());
        let set = port.and_then(|port| self.set(port.membership.set));
        let waiter = set.and_then(|set| self.waiters.get(set.receivers.first as usize));
        waiter.is_some_and(|waiter| bytes <= waiter.limit)
    }

    /// Sends through a stand-in.
    fn forward(
        &mut self,
        id: PortId,
        token: RemoteToken,
        message: Message<P>,
        wait: Option<ThreadId>,
    ) -> Result<Sent<P>, SendError<P>> {
        let Some(port) = self.port_mut(id) else {
            return Err(refuse(RightError::InvalidName, message));
        };
        if !port.has_room() {
            return self.wait_for_room(id, message, wait);
        }
        Ok(port.forward(id, token, message))
    }

    /// The queue is full: `wait` waits with the message, or it comes back.
    fn wait_for_room(
        &mut self,
        id: PortId,
        message: Message<P>,
        wait: Option<ThreadId>,
    ) -> Result<Sent<P>, SendError<P>> {
        let Ipc { ports, waiters, .. } = self;
        let thread = wait.filter(|thread| may_wait(waiters, *thread));
        match (ports.get_mut(id.index, id.generation), thread) {
            (Some(port), Some(thread)) => {
                waiters[thread.0 as usize].replace_empty(State::Sending(id, message));
                port.senders.push(waiters, thread.0);
                Ok(Sent::Waiting)
            }
            _ => Err(SendError {
                failure: SendFailure::Full,
                message,
            }),
        }
    }

    /// Gives a message to a thread that waits at the port or at its set and can take it, or
    /// puts it into the queue, where its place is reserved.
    pub(crate) fn hand_or_queue(&mut self, id: PortId, mut message: Message<P>) -> Sent<P> {
        let Some((thread, others)) = self.find_receiver(id, message.data().len()) else {
            self.push_queued(id, Queued::Message(message));
            return Sent::Queued;
        };
        if let Some(port) = self.port_mut(id) {
            port.stamp(&mut message);
        }
        let waiter = &mut self.waiters[thread as usize];
        if others {
            // More than one thread is to be woken, so that the events say it of all.
            let message = Completion::Received(Delivery::Message(message));
            let _ = waiter.finish(ThreadId(thread), message, &mut self.events);
            return Sent::Queued;
        }
        handed(thread, &message);
        waiter.hand(message);
        Sent::Handed(ThreadId(thread))
    }

    /// Takes the first thread from the list of those that wait at the port, or else at its set,
    /// that can take so many bytes of inline data. Who cannot is told, as what comes would lie
    /// in the queue before them; whether there was anybody like that is the second value.
    pub(crate) fn find_receiver(&mut self, id: PortId, bytes: usize) -> Option<(u32, bool)> {
        let Ipc {
            ports,
            sets,
            waiters,
            events,
            ..
        } = self;
        let port = ports.get_mut(id.index, id.generation)?;
        if !port.queue.is_empty() {
            // It comes behind what is there: whoever waits at the set is about to get that.
            return None;
        }
        let set = port.membership.set;
        let mut at_set = sets.get_mut(set.index, set.generation);
        let mut others = false;
        loop {
            let thread = match (port.receivers.pop(waiters), &mut at_set) {
                (Some(thread), _) => thread,
                (None, Some(set)) => set.receivers.pop(waiters)?,
                (None, None) => return None,
            };
            let waiter = &mut waiters[thread as usize];
            if bytes <= waiter.limit {
                return Some((thread, others));
            }
            others = true;
            let _ = waiter.finish(ThreadId(thread), Completion::TooLarge(bytes), events);
        }
    }

    /// Appends to a queue in which there is a place.
    pub(crate) fn push_queued(&mut self, id: PortId, item: Queued<P>) {
        self.move_receive_rights(&item, Holder::Queued(id));
        if let Some(port) = self.port_mut(id) {
            port.queue.push_back(item);
        }
        self.update_ready(id, false);
    }

    /// Notes where the receive rights in an item lie now.
    #[inline]
    pub(crate) fn move_receive_rights(&mut self, item: &Queued<P>, holder: Holder) {
        let rights = match item {
            Queued::Message(message) => message.rights(),
            Queued::Notification(Notification::PortDestroyed(right)) => {
                core::slice::from_ref(right)
            }
            Queued::Notification(_) => &[],
        };
        for right in rights {
            if let (RightKind::Receive, Target::Port(id)) = (right.kind, right.target)
                && let Some(port) = self.port_mut(id)
            {
                port.holder = holder;
            }
        }
    }

    /// Whether a message in the queue of `id` would hold, directly or through others, the
    /// receive right by which alone it could be taken out. Only a right that lies in no queue
    /// can be in a message that is sent, so the end of the chain from `id` upward tells.
    pub(crate) fn closes_cycle(&self, id: PortId, message: &Message<P>) -> bool {
        self.top_of(id).is_none_or(|top| {
            let mut rights = message.rights().iter();
            rights.any(|right| right.kind == RightKind::Receive && right.port() == Some(top))
        })
    }

    /// Follows the receive right of `id` from queue to queue, to the port whose receive right
    /// lies in none; `None` after [`MAX_TRANSIT_DEPTH`] steps.
    pub(crate) fn top_of(&self, mut id: PortId) -> Option<PortId> {
        for _ in 0..MAX_TRANSIT_DEPTH {
            match self.port(id)?.holder {
                Holder::Queued(above) => id = above,
                _ => return Some(id),
            }
        }
        None
    }

    /// Uses a send-once right up, if it can be.
    #[inline(always)]
    fn send_once(&mut self, right: &Right, message: Message<P>) -> Result<Sent<P>, SendError<P>> {
        let id = match right.target {
            Target::Port(id) => id,
            Target::Remote(token) => return self.forward_once(token, message),
            Target::Set(_) => return Err(refuse(RightError::InvalidRight, message)),
        };
        let Ipc {
            ports,
            waiters,
            tally,
            ..
        } = self;
        let Some(port) = ports.get_mut(id.index, id.generation) else {
            return Err(refuse(RightError::InvalidName, message));
        };
        let first = port.receivers.first;
        if let Some(waiter) = waiters.get(first as usize)
            && message.data().len() <= waiter.limit
        {
            port.send_onces -= 1;
            tally.destroy(1);
            handed(first, &message);
            return Ok(Sent::Handed(port.hand_to(waiters, first, message)));
        }
        self.enqueue_once(id, message)
    }

    /// The rest of [`Ipc::send_once`], when nobody waits at the port itself who can take it.
    #[inline(never)]
    fn enqueue_once(&mut self, id: PortId, message: Message<P>) -> Result<Sent<P>, SendError<P>> {
        let circular = message.has_receive_right() && self.closes_cycle(id, &message);
        let Some(port) = self.port_mut(id) else {
            return Err(refuse(RightError::InvalidName, message));
        };
        if let Some(reason) = port.dead {
            return Err(refuse(RightError::Dead(reason), message));
        }
        if circular {
            return Err(refuse(RightError::Circular, message));
        }
        port.send_onces -= 1;
        self.tally.destroy(1);
        let sent = self.hand_or_queue(id, message);
        self.offer(id);
        Ok(sent)
    }

    /// Uses a bare remote send-once right up.
    #[inline(always)]
    fn forward_once(
        &mut self,
        token: RemoteToken,
        message: Message<P>,
    ) -> Result<Sent<P>, SendError<P>> {
        self.events.release(PER_TOKEN);
        self.tally.destroy(1);
        Ok(Sent::Forward {
            token,
            via: None,
            message,
        })
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
        let right = self.make_reply_right(thread)?;
        let body = message.body_mut();
        body.reply = Some(right);
        body.expects = Expects::REPLY;
        Ok(())
    }

    /// Takes back what [`Ipc::attach_reply`] put in, without a notification: the call was not
    /// sent. Any other reply right stays in the message.
    pub fn detach_reply(&mut self, message: &mut Message<P>) {
        let Some(Right {
            kind: RightKind::SendOnce,
            target: Target::Port(id),
        }) = message.reply()
        else {
            return;
        };
        let id = *id;
        let Some(port) = self.port_mut(id) else {
            return;
        };
        if port.holder != Holder::Thread && port.dead.is_none() {
            return;
        }
        port.send_onces -= 1;
        self.tally.destroy(1);
        let _used_up = message.take_reply();
        message.set_expects_reply(false);
        // The reply port may have been renewed since.
        self.collect(id);
    }

    /// A reply port for a thread that calls for the first time, or whose old one died.
    #[cold]
    pub(crate) fn make_reply_port(&mut self, thread: ThreadId) -> Result<PortId, RightError> {
        let id = self.create_port(Sink::Queue, Holder::Thread)?;
        if let Err(error) = self.live_port_mut(id)?.reserve_place() {
            self.release_receive(id);
            return Err(error.into());
        }
        self.renew_reply_port(thread);
        self.waiters[thread.0 as usize].reply_port = id;
        Ok(id)
    }
}

impl<P> Port<P> {
    /// Whether an ordinary message finds room, and nobody waits for it before.
    #[inline(always)]
    fn has_room(&self) -> bool {
        !self.is_full() && self.senders.is_empty()
    }

    /// Takes a place among the messages under way through this stand-in, `id`.
    #[inline(always)]
    fn forward(&mut self, id: PortId, token: RemoteToken, message: Message<P>) -> Sent<P> {
        self.under_way += 1;
        Sent::Forward {
            token,
            via: Some(id),
            message,
        }
    }
}

#[cold]
pub(crate) fn refuse<P>(error: RightError, message: Message<P>) -> SendError<P> {
    SendError {
        failure: SendFailure::Right(error),
        message,
    }
}

impl From<NoMemory> for SendFailure {
    fn from(_: NoMemory) -> Self {
        SendFailure::Right(RightError::NoMemory)
    }
}
