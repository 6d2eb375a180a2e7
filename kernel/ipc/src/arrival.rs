//! A receive right arrives from another node: its port is *arriving* until all is here that was
//! queued where it came from, then it opens.
//!
//! Owns: the time between. An arriving port has its receive right on this node and still the
//! sink of a stand-in, through which nothing goes: so every sender waits, local or remote, and
//! the path of a message knows nothing of it. What the layer above puts in comes first, whatever
//! the queue's limit; then those who waited here are let in.
//! The receive right is in the hands of the layer above until the port is open: nobody receives
//! from a port, puts it into a set or moves it on while its queue is torn between two nodes.

use crate::depart::PortState;
use crate::error::{NoMemory, RightError, SendError};
use crate::ipc::Ipc;
use crate::message::Message;
use crate::page::Page;
use crate::port::{Barred, Holder, Port, PortId, Queued, RemoteToken, Sink};
use crate::right::{Right, RightKind, Target};
use crate::send::{Sent, refuse};
use crate::wait::Delivery;

impl<P: Page> Ipc<P> {
    /// The receive right of a port of which nothing was known here. The port is arriving.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn create_arriving(&mut self) -> Result<Right, NoMemory> {
        let id = self.create_port(Sink::Remote(RemoteToken::NOWHERE), Holder::Transit)?;
        if let Some(port) = self.port_mut(id) {
            port.barred = Barred::ARRIVING;
        }
        Ok(Right::to_port(RightKind::Receive, id))
    }

    /// The receive right of the port for which `id` stands in here, which is arriving from now
    /// on: names and rights stay.
    ///
    /// # Errors
    /// [`RightError::Dead`]; [`RightError::InvalidRight`] for a port that is no stand-in, or
    /// arrives already.
    pub fn begin_arrival(&mut self, id: PortId) -> Result<Right, RightError> {
        let port = self.live_port_mut(id)?;
        if port.sink == Sink::Queue || port.is_arriving() || port.is_seat {
            return Err(RightError::InvalidRight);
        }
        port.barred.insert(Barred::ARRIVING);
        port.holder = Holder::Transit;
        // What came by send-once rights and was not carried yet has arrived by that.
        port.backlog = 0;
        port.barred.remove(Barred::BACKLOG);
        self.tally.create();
        Ok(Right::to_port(RightKind::Receive, id))
    }

    /// The message with the receive right is not taken after all: the port is what it was.
    /// Call [`Ipc::next_queued`] and [`Ipc::next_to_carry`] next, until they give `None`.
    ///
    /// # Errors
    /// The right comes back, unless its port is arriving.
    pub fn undo_arrival(&mut self, right: Right) -> Result<(), Right> {
        let (Some(id), RightKind::Receive) = (right.port(), right.kind) else {
            return Err(right);
        };
        match self.port_mut(id) {
            Some(port) if port.is_arriving() => {
                port.barred.remove(Barred::ARRIVING);
                port.holder = Holder::Elsewhere;
            }
            _ => return Err(right),
        }
        self.tally.destroy(1);
        // One that was made for the occasion goes, and nobody need hear of it.
        if let Some(port) = self.port(id)
            && port.sink == Sink::Remote(RemoteToken::NOWHERE)
            && port.is_unreferenced()
        {
            self.remove_port(id);
        } else {
            if self.port(id).is_some_and(|port| !port.queue.is_empty()) {
                self.offer(id);
            }
            self.collect(id);
        }
        Ok(())
    }

    /// The receive right has not come after all, and is not where it came from: the port is a
    /// stand-in again, which the layer above kills. What came by send-once rights meanwhile is to
    /// be carried. The right to it that was made stays, and is a dead one then.
    pub fn fail_arrival(&mut self, id: PortId) {
        if let Some(port) = self.port_mut(id) {
            port.barred.remove(Barred::ARRIVING);
        }
    }

    /// Puts what came from where the right was behind what is in the queue of an arriving port,
    /// whatever its limit.
    ///
    /// # Errors
    /// It comes back: no memory, or the port is not arriving.
    pub fn deliver_arriving(&mut self, id: PortId, what: Delivery<P>) -> Result<(), Delivery<P>> {
        let port = self.live_port_mut(id).ok();
        let port = port.filter(|port| port.is_arriving());
        if port.is_none_or(|port| port.reserve_place().is_err()) {
            return Err(what);
        }
        let item = match what {
            Delivery::Message(message) => Queued::Message(message),
            Delivery::Notification(notification) => Queued::Notification(notification),
        };
        self.push_queued(id, item);
        Ok(())
    }

    /// What came with the receive right. Requests in it are answered when what they wait for
    /// comes to be.
    ///
    /// # Errors
    /// It comes back: no memory for the places of the send-once rights, or the port is not
    /// arriving.
    pub fn set_state(&mut self, id: PortId, state: PortState) -> Result<(), PortState> {
        // Requests spend rights to ports of this node, or to stand-ins.
        let lead = |right: &Option<Right>| right.as_ref().is_none_or(|r| r.port().is_some());
        let arriving = self.port(id).is_some_and(|port| port.is_arriving());
        if !arriving
            || !lead(&state.no_senders)
            || !lead(&state.destroyed)
            || self.lend(id, state.send_onces).is_err()
        {
            return Err(state);
        }
        let port_of = |right: Option<Right>| right.and_then(|right| right.port());
        if let Some(port) = self.port_mut(id) {
            port.limit = state.limit.clamp(1, crate::limits::MAX_QUEUE_LIMIT);
            port.no_senders = port_of(state.no_senders).unwrap_or(PortId::NONE);
            port.destroyed = port_of(state.destroyed).unwrap_or(PortId::NONE);
        }
        Ok(())
    }

    /// Whether the receive right of a port is here, and not all that was queued where it came
    /// from.
    pub fn is_arriving(&self, id: PortId) -> bool {
        self.port(id).is_some_and(Port::is_arriving)
    }

    /// Makes sure that the next [`Ipc::deliver_arriving`] succeeds.
    ///
    /// # Errors
    /// [`RightError::NoMemory`], or the port is dead.
    pub fn reserve_arriving(&mut self, id: PortId) -> Result<(), RightError> {
        Ok(self.live_port_mut(id)?.reserve_place()?)
    }

    /// How many send-once rights there are to a stand-in, with those that were spent on what
    /// still lies there.
    pub fn onces_here(&self, id: PortId) -> u32 {
        self.port(id)
            .map_or(0, |port| port.send_onces + port.queue.len() as u32)
    }

    /// A message for a port that was accepted earlier, and had to wait for its receive rights:
    /// it is not refused for a full queue.
    ///
    /// # Errors
    /// The message comes back: the port is dead, no memory, or [`RightError::Circular`].
    pub fn post_late(&mut self, id: PortId, message: Message<P>) -> Result<Sent<P>, SendError<P>> {
        if message.has_receive_right() && self.closes_cycle(id, &message) {
            return Err(refuse(RightError::Circular, message));
        }
        let port = match self.live_port_mut(id) {
            Ok(port) => port,
            Err(error) => return Err(refuse(error, message)),
        };
        if let (Sink::Remote(token), false) = (port.sink, port.is_arriving()) {
            port.under_way = port.under_way.saturating_add(1);
            return Ok(Sent::Forward {
                token,
                via: Some(id),
                message,
            });
        }
        if port.reserve_place().is_err() {
            return Err(refuse(RightError::NoMemory, message));
        }
        Ok(self.hand_or_queue(id, message))
    }

    /// Says to whoever sent a message that it is in the queue of its receiver. Without memory to
    /// say so, the right is destroyed, and the sender learns that nobody knows.
    pub fn confirm(&mut self, right: Right) -> Sent<P> {
        match self.new_message() {
            Ok(receipt) => match self.spend(right, receipt) {
                Ok(sent) => sent,
                Err(error) => {
                    self.discard(error.message);
                    Sent::Queued
                }
            },
            Err(NoMemory) => {
                self.release(right);
                Sent::Queued
            }
        }
    }

    /// All is here: the port is a port like any other from now on. Threads that waited to send
    /// are let in.
    ///
    /// # Errors
    /// [`RightError::NoMemory`], and the port is still arriving; [`RightError::InvalidRight`]
    /// when it was not.
    pub fn open(&mut self, id: PortId) -> Result<(), RightError> {
        let port = self.live_port_mut(id)?;
        if !port.is_arriving() {
            return Err(RightError::InvalidRight);
        }
        // Nobody lets senders into an empty queue, so there must be a place for the first.
        port.reserve_place()?;
        port.barred = Barred::empty();
        port.sink = Sink::Queue;
        port.under_way = 0;
        self.refill_queue(id);
        Ok(())
    }

    /// So many send-once rights to a port are held on another node, and the layer above keeps
    /// their number; their places in the queue are reserved.
    ///
    /// # Errors
    /// [`RightError::NoMemory`], or the port is dead.
    pub fn lend(&mut self, id: PortId, count: u32) -> Result<(), RightError> {
        let port = self.live_port_mut(id)?;
        let all = port.send_onces.checked_add(count);
        let all = all.ok_or(RightError::NoMemory)?;
        if port.queue.capacity() - port.queue.len() < all as usize {
            let places = port.queue.try_reserve(all as usize);
            places.map_err(|_| RightError::NoMemory)?;
        }
        port.send_onces = all;
        port.lent += count;
        self.tally.create_many(count);
        Ok(())
    }

    /// One of the rights that were lent, to be used or released here.
    pub fn claim(&mut self, id: PortId) -> Option<Right> {
        let port = self.port_mut(id)?;
        port.lent = port.lent.checked_sub(1)?;
        Some(Right::to_port(RightKind::SendOnce, id))
    }

    /// A right that was claimed is lent again, as if it had not been.
    pub fn give_back_claim(&mut self, right: Right) {
        match (right.kind, right.port().and_then(|id| self.port_mut(id))) {
            (RightKind::SendOnce, Some(port)) => port.lent += 1,
            _ => self.release(right),
        }
    }

    /// So many of the rights that were lent are known elsewhere by now, and forgotten here.
    pub fn retract_lent(&mut self, id: PortId, count: u32) {
        if let Some(port) = self.port_mut(id) {
            let count = count.min(port.lent);
            port.lent -= count;
            port.send_onces -= count;
            self.tally.destroy(count);
            self.collect(id);
        }
    }

    /// How many of the send-once rights to a port are lent.
    pub fn lent(&self, id: PortId) -> u32 {
        self.port(id).map_or(0, |port| port.lent)
    }

    /// The layer above keeps the record by this send right, and nobody is known to send through
    /// it: it does not count as a sender from now on. Nobody is told either that there are no
    /// senders while it is there, for those who come to use it are not counted at once.
    pub fn pin(&mut self, right: &Right) {
        if let (RightKind::Send, Some(id)) = (right.kind, right.port())
            && let Some(port) = self.port_mut(id)
        {
            port.pins += 1;
            self.check_senders(id);
        }
    }

    /// It counts as a sender again.
    pub fn unpin(&mut self, right: &Right) {
        if let (RightKind::Send, Some(id)) = (right.kind, right.port())
            && let Some(port) = self.port_mut(id)
        {
            port.pins = port.pins.saturating_sub(1);
            port.overdue = false;
        }
    }

    /// Destroys a send right that was pinned, of which nobody is told but who would have been
    /// told before, had it not been there.
    pub fn release_pin(&mut self, right: Right) {
        let (RightKind::Send, Target::Port(id)) = (right.kind, right.target) else {
            return self.release(right);
        };
        if let Some(port) = self.port_mut(id) {
            port.pins = port.pins.saturating_sub(1);
            port.sends -= 1;
            let overdue = port.pins == 0 && core::mem::take(&mut port.overdue);
            self.tally.destroy(1);
            if overdue {
                self.check_senders(id);
            }
            self.collect(id);
        }
    }
}
