//! A receive right leaves the node: its port becomes a stand-in that still has its queue.
//!
//! Owns: what travels with the right ([`PortState`]), and what lies at a stand-in and is to be
//! carried before anything else: first what was queued when the right left, in order; behind
//! that the threads that wait to send; and, whenever it comes, what send-once rights to the
//! stand-in lead to. Nothing here needs memory: the queue stays where it is until it is carried.
//! Leaves to others: how it is carried, and who is told. The other end is in `arrival.rs`.

use crate::ipc::Ipc;
use crate::page::Page;
use crate::port::{Barred, Holder, Keep, Port, PortId, Queued, RemoteToken, Sink};
use crate::right::{Right, RightKind, Target};
use crate::wait::Delivery;

/// What goes with a receive right besides what is queued. Its count of messages received and its
/// count of send rights made are not among it: they start anew wherever a receive right comes.
#[derive(Debug, Default, PartialEq, Eq)]
#[must_use = "rights are in it"]
pub struct PortState {
    /// How many messages the queue holds before senders must wait.
    pub limit: u16,
    /// Items in the queue, which follow.
    pub queued: u32,
    /// Whether there is anybody where it came from who can send, or a thread that waits to.
    pub senders: bool,
    /// Send-once rights that are held where it came from.
    pub send_onces: u32,
    /// Whom to tell that there are no senders.
    pub no_senders: Option<Right>,
    /// Who gets the receive right in place of its being destroyed.
    pub destroyed: Option<Right>,
}

/// What is carried from the queue of a stand-in.
#[derive(Debug)]
#[must_use = "carry it, or give it back by Ipc::put_back"]
pub struct Carried<P> {
    /// Where to.
    pub token: RemoteToken,
    /// It came by a send-once right to the stand-in, and uses up one where it goes. Else it was
    /// queued when the receive right left, takes a place among what is under way
    /// ([`Ipc::carried`]), and its order is to be kept.
    pub once: bool,
    /// What.
    pub what: Delivery<P>,
}

impl<P: Page> Ipc<P> {
    /// The receive right has arrived on another node: its port becomes a stand-in for messages
    /// to `to`, and `onces_to` is where goes what comes by the send-once rights that exist. To be followed by [`Ipc::next_queued`] until it gives `None`.
    ///
    /// # Errors
    /// The right comes back, unless it is the receive right of a live port of this node.
    pub fn depart(
        &mut self,
        right: Right,
        to: RemoteToken,
        onces_to: RemoteToken,
    ) -> Result<PortState, Right> {
        let (RightKind::Receive, Target::Port(id)) = (right.kind, right.target) else {
            return Err(right);
        };
        let Ok(port) = self.live_port_mut(id) else {
            return Err(right);
        };
        if port.sink != Sink::Queue {
            return Err(right);
        }
        port.sink = Sink::Remote(to);
        port.onces_to = onces_to;
        port.holder = Holder::Elsewhere;
        port.keep = Keep::No;
        port.backlog = port.queue.len() as u32;
        port.under_way = 0;
        port.barred = Barred::empty();
        port.barred.set(Barred::BACKLOG, port.backlog > 0);
        // Peers learn where it went, not that there is room.
        port.room_wanted = false;
        let no_senders = core::mem::replace(&mut port.no_senders, PortId::NONE);
        let destroyed = core::mem::replace(&mut port.destroyed, PortId::NONE);
        let to_port = |id| (id != PortId::NONE).then(|| Right::to_port(RightKind::SendOnce, id));
        // Who may have senders that are not counted is asked about at the new place.
        let overdue = core::mem::take(&mut port.overdue);
        let state = PortState {
            limit: port.limit,
            queued: port.backlog,
            senders: !port.has_no_senders() || overdue,
            send_onces: port.send_onces,
            no_senders: to_port(no_senders),
            destroyed: to_port(destroyed),
        };
        self.tally.destroy(1);
        self.tell_room(id);
        Ok(state)
    }

    /// Whether something lies at a stand-in that was queued before its receive right left.
    pub fn has_backlog(&self, via: PortId) -> bool {
        self.port(via).is_some_and(|port| port.backlog > 0)
    }

    /// What lies first at a stand-in, to be carried; of a dead one, what came by send-once
    /// rights. When nothing does (any more), the stand-in
    /// goes if nothing refers to it, and [`Ipc::next_to_carry`] is next.
    pub fn next_queued(&mut self, via: PortId) -> Option<Carried<P>> {
        let port = self.port_mut(via)?;
        let Sink::Remote(to) = port.sink else {
            return None;
        };
        let once = port.backlog == 0;
        let barred = Barred::ARRIVING
            | if once {
                Barred::empty()
            } else {
                Barred::HELD_BACK
            };
        if port.dead.is_some() && !port.relays() || port.barred.intersects(barred) {
            return None;
        }
        let token = if once { port.onces_to } else { to };
        let Some(item) = port.queue.pop_front() else {
            self.collect(via);
            return None;
        };
        if !once {
            port.backlog -= 1;
            port.barred.set(Barred::BACKLOG, port.backlog > 0);
            port.under_way = port.under_way.saturating_add(1);
        }
        self.move_receive_rights(&item, Holder::Transit);
        Some(Carried {
            token,
            once,
            what: match item {
                Queued::Message(message) => Delivery::Message(message),
                Queued::Notification(notification) => Delivery::Notification(notification),
            },
        })
    }

    /// Takes back what [`Ipc::next_queued`] gave, and could not be carried: it is the first
    /// again.
    pub fn put_back(&mut self, via: PortId, carried: Carried<P>) {
        let Carried { once, what, .. } = carried;
        let port = self.port_mut(via);
        let Some(port) = port.filter(|port| port.dead.is_none() || once && port.relays()) else {
            return self.discard_delivery(what);
        };
        // The place that it had is still there.
        if port.queue.try_reserve(1).is_err() {
            return self.discard_delivery(what);
        }
        if !once {
            port.backlog += 1;
            port.barred.insert(Barred::BACKLOG);
            port.under_way = port.under_way.saturating_sub(1);
        }
        let item = match what {
            Delivery::Message(message) => Queued::Message(message),
            Delivery::Notification(notification) => Queued::Notification(notification),
        };
        self.move_receive_rights(&item, Holder::Queued(via));
        if let Some(port) = self.port_mut(via) {
            port.queue.push_front(item);
        }
    }

    /// Nobody can send through a stand-in any more, but send-once rights to it are left, which
    /// lead where they led: it hangs on nothing else from now on.
    pub fn leave_onces(&mut self, id: PortId) {
        if let Some(port) = self.port_mut(id)
            && matches!(port.sink, Sink::Remote(_))
        {
            port.sink = Sink::Remote(RemoteToken::NOWHERE);
            port.keep = Keep::No;
            self.collect(id);
        }
    }

    /// Where goes what comes to a stand-in by send-once rights.
    pub fn onces_to(&self, id: PortId) -> Option<RemoteToken> {
        let port = self.port(id)?;
        matches!(port.sink, Sink::Remote(_)).then_some(port.onces_to)
    }

    /// Whether there is no send right to a stand-in, no thread that waits to send through it,
    /// and nothing more to be carried but what comes by send-once rights.
    pub fn is_senderless(&self, id: PortId) -> bool {
        self.port(id).is_none_or(Port::is_senderless)
    }

    /// The next stand-in at which something lies that [`Ipc::next_queued`] would give. Begin with
    /// a `from` of 0: it says how far this has come.
    pub fn next_stand_in_with_queue(&self, from: &mut u32) -> Option<PortId> {
        let (index, generation) = self.ports.position(*from, |port| {
            matches!(port.sink, Sink::Remote(_)) && !port.is_arriving() && !port.queue.is_empty()
        })?;
        *from = index + 1;
        Some(PortId { index, generation })
    }

    /// Whether a port stands in for one send-once right alone ([`Ipc::seat`]).
    pub fn is_seat(&self, id: PortId) -> bool {
        self.port(id).is_some_and(|port| port.is_seat)
    }

    /// Something was queued: if the port is a stand-in, the layer above is to carry it.
    pub(crate) fn offer(&mut self, id: PortId) {
        let Ipc { ports, events, .. } = self;
        if let Some(port) = ports.get_mut(id.index, id.generation)
            && matches!(port.sink, Sink::Remote(_))
            && !port.is_arriving()
            && !port.carry_told
        {
            port.carry_told = true;
            events.push(crate::event::Event::Carry(id));
        }
    }
}

impl<P> Port<P> {
    pub(crate) fn is_senderless(&self) -> bool {
        self.holder == Holder::Elsewhere
            && self.sends == 0
            && self.senders.is_empty()
            && self.backlog == 0
    }

    /// Whether what comes by send-once rights to a stand-in is counted where it goes, and so is
    /// carried there whatever becomes of the way for messages.
    pub(crate) fn relays(&self) -> bool {
        matches!(self.sink, Sink::Remote(_))
            && self.onces_to != RemoteToken::NOWHERE
            && !self.is_arriving()
    }

    /// Its receive right is here, and it is not open yet.
    #[inline]
    pub(crate) fn is_arriving(&self) -> bool {
        self.barred.contains(Barred::ARRIVING)
    }
}
