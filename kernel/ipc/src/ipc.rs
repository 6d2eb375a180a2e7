//! The state of one node's ports, spaces and waits, and what can be done to rights.
//!
//! Every operation checks first and then moves, so that an error leaves everything as it was.

use alloc::vec::Vec;

use crate::error::{InsertError, NoMemory, Reason, RightError};
use crate::event::{Event, Events, PER_PORT, PER_THREAD, PER_TOKEN};
use crate::limits::{MAX_QUEUE_LIMIT, MAX_THREADS};
use crate::message::{Message, Pool};
use crate::name::Name;
use crate::port::{Holder, Port, PortId, Queued, RemoteToken, Sink};
use crate::right::{Right, RightKind, Target};
use crate::slab::Slab;
use crate::space::{Entry, Space, SpaceId};
use crate::wait::{Completion, Delivery, Notification, State, ThreadId, Waiter};

/// All ports, spaces and waits of a node.
#[derive(Debug)]
pub struct Ipc<P> {
    pub(crate) ports: Slab<Port<P>>,
    pub(crate) spaces: Slab<Space>,
    pub(crate) waiters: Vec<Waiter<P>>,
    pub(crate) events: Events,
    pub(crate) pool: Pool<P>,
    /// Dead ports whose queues are still to be emptied, linked through the ports.
    doomed: Option<PortId>,
    draining: bool,
}

impl<P> Default for Ipc<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> Ipc<P> {
    /// No ports, no spaces.
    pub const fn new() -> Self {
        Ipc {
            ports: Slab::new(),
            spaces: Slab::new(),
            waiters: Vec::new(),
            events: Events::new(),
            pool: Pool::new(),
            doomed: None,
            draining: false,
        }
    }

    /// What others must act on. Call after every operation until it gives `None`.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
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
    pub fn discard(&mut self, message: Message<P>) {
        self.discard_because(message, Reason::Unanswered);
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
            crate::receive::Cancelled::Message(message) => self.discard(message),
            crate::receive::Cancelled::Completed(completion) => self.drop_completion(completion),
            crate::receive::Cancelled::Nothing => {}
        }
        self.renew_reply_port(thread);
    }

    pub(crate) fn drop_completion(&mut self, completion: Completion<P>) {
        match completion {
            Completion::Received(Delivery::Message(message))
            | Completion::Refused(_, message) => self.discard(message),
            _ => {}
        }
    }

    /// A new space that may hold `quota` names.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn create_space(&mut self, quota: u32) -> Result<SpaceId, NoMemory> {
        let (index, generation) = self.spaces.insert(Space::new(quota))?;
        Ok(SpaceId { index, generation })
    }

    /// Destroys a space and releases every right in it.
    pub fn destroy_space(&mut self, space: SpaceId) {
        let Some(space) = self.spaces.remove(space.index, space.generation) else { return };
        for (_, entry) in space.iter() {
            self.release_entry(*entry);
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
        self.spaces.get(space.index, space.generation).ok_or(RightError::InvalidName)
    }

    #[inline]
    pub(crate) fn space_mut(&mut self, space: SpaceId) -> Result<&mut Space, RightError> {
        self.spaces.get_mut(space.index, space.generation).ok_or(RightError::InvalidName)
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

    /// Makes room for all that a port can cause, then makes the port.
    pub(crate) fn create_port(&mut self, sink: Sink, holder: Holder) -> Result<PortId, NoMemory> {
        self.events.reserve(PER_PORT)?;
        match self.ports.insert(Port::new(sink, holder)) {
            Ok((index, generation)) => Ok(PortId { index, generation }),
            Err(error) => {
                self.events.release(PER_PORT);
                Err(error)
            }
        }
    }

    pub(crate) fn remove_port(&mut self, port: PortId) {
        if self.ports.remove(port.index, port.generation).is_some() {
            self.events.release(PER_PORT);
        }
    }

    /// A new port; the space holds its receive right under the returned name.
    ///
    /// # Errors
    /// [`RightError::NoMemory`], or [`RightError::InvalidName`] for a space that is gone.
    pub fn allocate_port(&mut self, space: SpaceId) -> Result<Name, RightError> {
        self.space(space)?;
        let port = self.create_port(Sink::Queue, Holder::Transit)?;
        let right = Right::to_port(RightKind::Receive, port);
        self.insert(space, right).map_err(|refused| {
            let port = refused.right.port();
            if let Some(port) = port {
                self.remove_port(port);
            }
            refused.error
        })
    }

    /// Sets how many messages the queue of a port holds, 1 to [`MAX_QUEUE_LIMIT`].
    ///
    /// # Errors
    /// The name must denote the receive right.
    pub fn set_queue_limit(
        &mut self,
        space: SpaceId,
        name: Name,
        limit: u16,
    ) -> Result<(), RightError> {
        let port = self.receive_target(space, name)?;
        if let Some(port) = self.port_mut(port) {
            port.limit = limit.clamp(1, MAX_QUEUE_LIMIT);
        }
        self.refill_queue(port);
        Ok(())
    }

    // Rights.

    /// The port whose receive right is under `name`.
    #[inline]
    pub(crate) fn receive_target(
        &self,
        space: SpaceId,
        name: Name,
    ) -> Result<PortId, RightError> {
        match self.space(space)?.get(name)? {
            Entry { target: Target::Port(port), receive: true, .. } => Ok(*port),
            _ => Err(RightError::InvalidRight),
        }
    }

    /// Makes a send or send-once right from the receive right under `name`.
    ///
    /// # Errors
    /// The name must denote the receive right; [`RightError::NoMemory`].
    pub fn make_right(
        &mut self,
        space: SpaceId,
        name: Name,
        kind: RightKind,
    ) -> Result<Right, RightError> {
        let id = self.receive_target(space, name)?;
        let port = self.port_mut(id).ok_or(RightError::InvalidName)?;
        match kind {
            RightKind::Receive => return Err(RightError::InvalidRight),
            RightKind::Send => {
                port.sends += 1;
                port.make_sends += 1;
            }
            RightKind::SendOnce => port.make_send_once()?,
        }
        Ok(Right::to_port(kind, id))
    }

    /// Copies the send right under `name`.
    ///
    /// # Errors
    /// The name must denote a live send right.
    pub fn copy_send(&mut self, space: SpaceId, name: Name) -> Result<Right, RightError> {
        let Entry { target: Target::Port(id), sends: 1.., .. } = *self.space(space)?.get(name)?
        else {
            return Err(RightError::InvalidRight);
        };
        self.add_send(id)
    }

    /// One more send right to a port, for the layer above.
    ///
    /// # Errors
    /// The port must be alive.
    pub fn add_send(&mut self, id: PortId) -> Result<Right, RightError> {
        let port = self.port_mut(id).ok_or(RightError::InvalidName)?;
        if let Some(reason) = port.dead {
            return Err(RightError::Dead(reason));
        }
        port.sends += 1;
        Ok(Right::to_port(RightKind::Send, id))
    }

    /// Moves a right out of a space.
    ///
    /// # Errors
    /// The name must denote a right of that kind.
    pub fn extract(
        &mut self,
        space: SpaceId,
        name: Name,
        kind: RightKind,
    ) -> Result<Right, RightError> {
        let table = self.space_mut(space)?;
        let entry = table.get_mut(name)?;
        let target = entry.target;
        let left = match kind {
            RightKind::Send if entry.sends > 0 => {
                entry.sends -= 1;
                entry.receive || entry.sends > 0
            }
            RightKind::SendOnce if entry.send_once => false,
            RightKind::Receive if entry.receive => {
                entry.receive = false;
                entry.sends > 0
            }
            _ => return Err(RightError::InvalidRight),
        };
        if !left {
            table.remove(name);
        }
        if let (RightKind::Receive, Target::Port(id)) = (kind, target)
            && let Some(port) = self.port_mut(id)
        {
            port.holder = Holder::Transit;
        }
        Ok(Right { kind, target })
    }

    /// Moves a right into a space and returns its name. Send and receive rights to one port
    /// share one name; equal send rights merge.
    ///
    /// # Errors
    /// Gives the right back when the space is gone, its quota used up or memory exhausted.
    pub fn insert(&mut self, space: SpaceId, right: Right) -> Result<Name, InsertError> {
        match self.try_insert(space, &right) {
            Ok(name) => Ok(name),
            Err(error) => Err(InsertError { error, right }),
        }
    }

    fn try_insert(&mut self, space: SpaceId, right: &Right) -> Result<Name, RightError> {
        let table = self.space_mut(space)?;
        let held = match (right.target, right.kind) {
            (_, RightKind::SendOnce) => None,
            (Target::Port(port), _) => table.name_of(port),
            (Target::Remote(_), _) => return Err(RightError::InvalidRight),
        };
        let name = match held {
            Some(name) => {
                let entry = table.get_mut(name)?;
                match right.kind {
                    RightKind::Receive => entry.receive = true,
                    _ => {
                        entry.sends = entry.sends.checked_add(1).ok_or(RightError::NoMemory)?;
                    }
                }
                name
            }
            None => table.insert(Entry {
                target: right.target,
                receive: right.kind == RightKind::Receive,
                sends: u32::from(right.kind == RightKind::Send),
                send_once: right.kind == RightKind::SendOnce,
            })?,
        };
        if let (RightKind::Receive, Target::Port(id)) = (right.kind, right.target)
            && let Some(port) = self.port_mut(id)
        {
            port.holder = Holder::Space(space, name);
        }
        Ok(name)
    }

    /// Gives up one right under `name`: destroys the port if it is the receive right.
    ///
    /// # Errors
    /// The name must denote a right of that kind.
    pub fn deallocate(
        &mut self,
        space: SpaceId,
        name: Name,
        kind: RightKind,
    ) -> Result<(), RightError> {
        let right = self.extract(space, name, kind)?;
        self.release(right);
        Ok(())
    }

    fn release_entry(&mut self, entry: Entry) {
        for _ in 0..entry.sends {
            self.release(Right { kind: RightKind::Send, target: entry.target });
        }
        if entry.send_once {
            self.release(Right { kind: RightKind::SendOnce, target: entry.target });
        }
        if entry.receive {
            self.release(Right { kind: RightKind::Receive, target: entry.target });
        }
    }

    /// Destroys a right that is in nobody's space.
    pub fn release(&mut self, right: Right) {
        self.release_because(right, Reason::Unanswered);
    }

    /// Destroys a right; if it is a send-once right, its port is told `reason`.
    pub fn release_because(&mut self, right: Right, reason: Reason) {
        match (right.kind, right.target) {
            (RightKind::Receive, Target::Port(id)) => self.kill_port(id, Reason::Destroyed),
            (RightKind::Send, Target::Port(id)) => self.release_send(id),
            (RightKind::SendOnce, Target::Port(id)) => {
                let Some(port) = self.port_mut(id) else { return };
                port.send_onces -= 1;
                if port.dead.is_none() {
                    self.notify(id, Notification::SendOnce(reason));
                } else {
                    self.collect(id);
                }
            }
            (_, Target::Remote(token)) => {
                self.events.push(Event::Unanswered(token));
                self.events.release(PER_TOKEN);
            }
        }
    }

    fn release_send(&mut self, id: PortId) {
        let Some(port) = self.port_mut(id) else { return };
        port.sends -= 1;
        if port.sends > 0 {
            return;
        }
        if let (Sink::Remote(token), None) = (port.sink, port.dead) {
            self.events.push(Event::Unused(token));
            self.remove_port(id);
        } else {
            self.collect(id);
        }
    }

    /// Frees a dead port's record when nothing refers to it.
    fn collect(&mut self, id: PortId) {
        if let Some(port) = self.port(id)
            && port.dead.is_some()
            && port.sends == 0
            && port.send_onces == 0
            && port.queue.is_empty()
        {
            self.remove_port(id);
        }
    }

    /// Kills a port: its receive right is gone, or the node on which it lived is.
    ///
    /// Whoever waits at it learns `reason`; its messages are destroyed. A queued message may
    /// hold the receive right of a port whose queue holds another, and so on: dead ports are
    /// emptied one after the other from a list through the ports themselves, so that this needs
    /// neither stack nor memory.
    pub fn kill_port(&mut self, id: PortId, reason: Reason) {
        let Ipc { ports, waiters, events, .. } = self;
        let Some(port) = ports.get_mut(id.index, id.generation) else { return };
        if port.dead.is_some() {
            return;
        }
        port.dead = Some(reason);
        port.holder = Holder::Elsewhere;
        if port.watched {
            events.push(Event::PortDied(id));
        }
        while let Some(thread) = port.receivers.pop(waiters) {
            waiters[thread as usize].state = State::Done(Completion::ReceiverDied(reason));
            events.push(Event::Wake(ThreadId(thread)));
        }
        while let Some(thread) = port.senders.pop(waiters) {
            let waiter = &mut waiters[thread as usize];
            if let State::Sending(_, message) = core::mem::replace(&mut waiter.state, State::Idle)
            {
                waiter.state = State::Done(Completion::Refused(reason, message));
                events.push(Event::Wake(ThreadId(thread)));
            }
        }
        port.next_doomed = self.doomed.replace(id);
        self.drain_doomed();
    }

    fn drain_doomed(&mut self) {
        if self.draining {
            return;
        }
        self.draining = true;
        while let Some(id) = self.doomed {
            let Some(port) = self.port_mut(id) else { break };
            match port.queue.pop_front() {
                Some(Queued::Message(message)) => self.discard(message),
                Some(Queued::Notification(_)) => {}
                None => {
                    // A message just destroyed may have put another port in front.
                    self.doomed = port.next_doomed.take();
                    self.collect(id);
                }
            }
        }
        self.draining = false;
    }

    // For the network layer.

    /// Where a port's messages go, or why it is dead.
    ///
    /// # Errors
    /// [`RightError::Dead`], or [`RightError::InvalidName`] when nothing is left of the port.
    pub fn sink(&self, port: PortId) -> Result<Sink, RightError> {
        let port = self.port(port).ok_or(RightError::InvalidName)?;
        match port.dead {
            None => Ok(port.sink),
            Some(reason) => Err(RightError::Dead(reason)),
        }
    }

    /// A stand-in for a port on another node, with no rights yet: [`Ipc::add_send`] next.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn create_proxy(&mut self, token: RemoteToken) -> Result<PortId, NoMemory> {
        self.create_port(Sink::Remote(token), Holder::Elsewhere)
    }

    /// Removes a stand-in to which no right was ever made.
    pub fn remove_unused_proxy(&mut self, id: PortId) {
        if self.port(id).is_some_and(|port| port.sends == 0 && port.dead.is_none()) {
            self.remove_port(id);
        }
    }

    /// A send-once right to a port on another node.
    ///
    /// # Errors
    /// [`NoMemory`].
    #[inline]
    pub fn import_send_once(&mut self, token: RemoteToken) -> Result<Right, NoMemory> {
        self.events.reserve(PER_TOKEN)?;
        Ok(Right { kind: RightKind::SendOnce, target: Target::Remote(token) })
    }

    /// The other node is told that a bare remote send-once right is used up, or that node is
    /// dead: forgets the right without an event.
    pub fn forget_send_once(&mut self, right: Right) {
        if let Target::Remote(_) = right.target {
            self.events.release(PER_TOKEN);
        } else {
            self.release(right);
        }
    }

    /// Asks for [`Event::PortDied`].
    pub fn watch(&mut self, port: PortId) {
        if let Some(port) = self.port_mut(port) {
            port.watched = true;
        }
    }

    /// How many ports exist, dead ones with references included.
    pub fn port_count(&self) -> u32 {
        self.ports.len()
    }
}

impl<P> Port<P> {
    /// One more send-once right, with a place in the queue for what becomes of it.
    #[inline]
    pub(crate) fn make_send_once(&mut self) -> Result<(), NoMemory> {
        self.queue.try_reserve(self.send_onces as usize + 1).map_err(|_| NoMemory)?;
        self.send_onces += 1;
        Ok(())
    }
}
