//! Receive rights that arrive: from the message that brings one until its port is open.
//!
//! Owns: the ports that are arriving, and the exports by which their backlog comes. When a
//! message with a receive right is taken, its port is *arriving* in the core: everybody waits.
//! TAKEN tells the peer two exports: Y, to which it sends what was queued and what waits there,
//! and W, a send-once right that is used as often as there are send-once rights there. The items
//! come in (`backlog`); then messages of this node's own that were under way and have come back;
//! then the port opens (W-122 to W-126).
//! Leaves to others: the message that brought the right, which waits meanwhile (`hold`).

use norma_flip::Instant;
use norma_ipc::{
    Delivery, Label, Message, NoMemory, PageSource, PortId, Reason, RemoteToken, Right, RightError,
    RightKind,
};
use norma_wire::control::Control;
use norma_wire::descriptor::{Kind, Repr};

use crate::carry::Target;
use crate::depart::TAKEN_LENGTH;
use crate::import::dead_right;
use crate::node::Node;
use crate::rights::{Barred, Destination, PER_EXPORT, parse_token};
use crate::service::operation;

/// What waits until a port is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    Nothing,
    /// The message that brought the receive right.
    Held(u32),
    /// The port in whose backlog that message is.
    Arrival(u32),
}

#[derive(Debug)]
pub(crate) struct Arrival<P> {
    pub(crate) port: PortId,
    /// Where it comes from.
    pub(crate) place: u32,
    pub(crate) generation: u16,
    /// Our exports Y and W.
    pub(crate) index: u32,
    pub(crate) onces: u32,
    /// TAKEN, until it is sent.
    taken: Option<Message<P>>,
    /// How many items are still to come; `None` before STATE.
    pub(crate) left: Option<u32>,
    /// One to Y was refused: so are all others, until the peer begins anew.
    pub(crate) refusing: bool,
    /// The peer is to be told that it may begin anew, when there is memory.
    pub(crate) owes_room: bool,
    pub(crate) within: Within,
    /// Ports in its backlog that have not arrived themselves.
    pub(crate) waits: u32,
    /// Send-once rights that were here before it came.
    pub(crate) home: u32,
}

impl<S: PageSource> Node<S> {
    /// Makes one receive right: its port is arriving. All that follows has room (W-121).
    pub(crate) fn adopt_receive(&mut self, place: u32, repr: &Repr) -> Result<Right, NoMemory> {
        self.directory.reserve(1)?;
        self.moves.arrivals.reserve(1)?;
        self.moves.held.reserve(1)?;
        let known = self.directory.get(repr.port).map(|known| known.port);
        let known = known.filter(|port| self.ipc.sink(*port).is_ok());
        let home = known.map_or(0, |port| self.ipc.onces_here(port));
        let counted = known.and_then(|port| self.ipc.onces_to(port));
        let right = match known {
            Some(port) => match self.ipc.begin_arrival(port) {
                Ok(right) => right,
                // The peer says that it had what is here: it is not to be believed.
                Err(_) => return dead_right(&mut self.ipc, Kind::Receive),
            },
            None => self.ipc.create_arriving()?,
        };
        let Some(port) = right.port() else {
            return Err(NoMemory);
        };
        let promised = counted.map_or(Ok(()), |token| self.promise_home(token));
        let prepared = promised.and_then(|()| {
            self.prepare_arrival(place, port, home).inspect_err(|_| {
                if let Some(token) = counted {
                    self.forgive_home(token);
                }
            })
        });
        if prepared.is_err() {
            self.undo_core_arrival(right);
            return Err(NoMemory);
        }
        if known.is_none() {
            let label = Label {
                identity: repr.port,
                moves: repr.moves,
            };
            self.ipc.set_label(port, label);
            self.directory.insert(repr.port, port);
        }
        Ok(right)
    }

    /// Makes the exports and the record.
    fn prepare_arrival(&mut self, place: u32, port: PortId, home: u32) -> Result<(), NoMemory> {
        let mut taken = self.ipc.new_message()?;
        taken.set_id(operation::TAKEN);
        if taken.set_data(&[0; TAKEN_LENGTH]).is_err() {
            self.ipc.discard(taken);
            return Err(NoMemory);
        }
        let made = self.make_exports(place, port);
        let (Ok((index, onces)), Some(session)) = (made, self.sessions.get(place)) else {
            self.ipc.discard(taken);
            return Err(NoMemory);
        };
        let generation = session.generation;
        self.moves.arrivals.insert_reserved(|_| Arrival {
            port,
            place,
            generation,
            index,
            onces,
            taken: Some(taken),
            left: None,
            refusing: false,
            owes_room: false,
            within: Within::Nothing,
            waits: 0,
            home,
        });
        Ok(())
    }

    /// Y and W.
    fn make_exports(&mut self, place: u32, port: PortId) -> Result<(u32, u32), NoMemory> {
        let Node { sessions, ipc, .. } = self;
        let session = sessions.get_mut(place).ok_or(NoMemory)?;
        session.exports.reserve(2)?;
        session.exports.reserve_ports(1)?;
        session.out.promise(PER_EXPORT)?;
        // The one that needs memory first.
        let rights = ipc.add_send_once(port).and_then(|once| {
            let send = ipc.add_send(port);
            match send {
                Ok(send) => Ok((send, once)),
                Err(error) => {
                    ipc.retract(once);
                    Err(error)
                }
            }
        });
        let Ok((send, once)) = rights else {
            session.out.forgive(PER_EXPORT);
            return Err(NoMemory);
        };
        // Until STATE says that there is anybody who can send.
        ipc.pin(&send);
        let index = session.exports.add(send);
        session.exports.remember_port(port, index);
        let onces = session.exports.add(once);
        if let Some(export) = session.exports.get_mut(index) {
            export.barred = Barred::Backlog;
            export.pinned = true;
        }
        if let Some(export) = session.exports.get_mut(onces) {
            export.barred = Barred::Uncounted;
        }
        Ok((index, onces))
    }

    fn undo_core_arrival(&mut self, right: Right) {
        if let Err(right) = self.ipc.undo_arrival(right) {
            self.ipc.release(right);
        }
    }

    /// As if a receive right had never arrived.
    pub(crate) fn disown_receive(&mut self, place: u32, repr: &Repr, right: Right) {
        let at = right.port().and_then(|port| self.arrival_of(port));
        let Some(arrival) = at.and_then(|at| self.moves.arrivals.remove(at)) else {
            // It was dead.
            return self.ipc.release(right);
        };
        let Node { sessions, ipc, .. } = self;
        if let Some(session) = sessions.get_mut(place) {
            for index in [arrival.index, arrival.onces] {
                if let Some(export) = session.exports.take(index) {
                    export.release(ipc, Reason::Unanswered);
                }
            }
            session.out.forgive(PER_EXPORT);
        }
        if let Some(taken) = arrival.taken {
            self.ipc.discard(taken);
        }
        if let Some(token) = self.ipc.onces_to(arrival.port) {
            self.forgive_home(token);
        }
        if self.ipc.sink(arrival.port) == Ok(norma_ipc::Sink::Remote(RemoteToken::NOWHERE)) {
            self.directory.remove(repr.port, arrival.port);
        }
        self.undo_core_arrival(right);
    }

    fn arrival_of(&self, port: PortId) -> Option<u32> {
        let mut arrivals = self.moves.arrivals.iter();
        arrivals
            .find(|(_, arrival)| arrival.port == port)
            .map(|(at, _)| at)
    }

    /// The message that brings receive rights was taken: says so to the peer, and lets go what
    /// led to these ports. Returns for how many that have not arrived the message must wait.
    pub(crate) fn begin_arrivals(
        &mut self,
        now: Instant,
        message: &Message<S::Page>,
        rights: &[Repr],
        within: Within,
    ) -> u32 {
        let mut waits = 0;
        for (right, repr) in message.rights().iter().zip(rights) {
            if right.kind() != RightKind::Receive {
                continue;
            }
            let at = right.port().and_then(|port| self.arrival_of(port));
            if let Some(at) = at
                && let Some(arrival) = self.moves.arrivals.get_mut(at)
                && arrival.within == Within::Nothing
            {
                arrival.within = within;
                waits += 1;
                self.begin_arrival(now, at, repr);
            }
        }
        waits
    }

    fn begin_arrival(&mut self, now: Instant, at: u32, repr: &Repr) {
        let Some(arrival) = self.moves.arrivals.get_mut(at) else {
            return;
        };
        let port = arrival.port;
        let data = [repr.index, arrival.index, arrival.onces].map(u32::to_le_bytes);
        if let Some(taken) = &mut arrival.taken {
            // It has that length already.
            let _ = taken.set_data(data.as_flattened());
        }
        let label = Label {
            identity: repr.port,
            moves: repr.moves,
        };
        self.ipc.set_label(port, label);
        self.ipc.watch(port);
        self.acquisitions.remove(repr.port);
        let known = self.directory.get_mut(repr.port);
        if let Some(next) = known.and_then(|known| known.next.take()) {
            self.let_go(next);
        }
        if let Some(active) = self.active(port)
            && let Some(import) = self.import_at_mut(active)
        {
            import.ending = true;
        }
        self.say_taken(now, at);
    }

    fn say_taken(&mut self, now: Instant, at: u32) {
        let Some(arrival) = self.moves.arrivals.get_mut(at) else {
            return;
        };
        let place = arrival.place;
        let Some(message) = arrival.taken.take() else {
            return;
        };
        if let Err(refused) = self.dispatch(now, place, Target::NodeService, message) {
            if let Some(arrival) = self.moves.arrivals.get_mut(at) {
                arrival.taken = Some(refused.message);
            }
            self.move_later(now);
        }
    }

    /// Nothing is under way any more through what a stand-in hung on that is arriving now.
    #[cold]
    pub(crate) fn way_is_clear(&mut self, now: Instant, port: PortId) {
        if let Some(at) = self.arrival_of(port) {
            self.open_arrival(now, at);
        }
    }

    /// Opens a port if nothing is missing, and whatever waited for it.
    pub(crate) fn open_arrival(&mut self, now: Instant, mut at: u32) {
        while let Some(within) = self.try_open(now, at) {
            match self.end_wait(now, within) {
                Some(above) => at = above,
                None => return,
            }
        }
    }

    /// One of the ports for which something waited is no longer arriving. Returns the port that
    /// perhaps can open now.
    fn end_wait(&mut self, now: Instant, within: Within) -> Option<u32> {
        match within {
            Within::Nothing => None,
            Within::Held(held) => {
                if let Some(held) = self.moves.held.get_mut(held) {
                    held.waits = held.waits.saturating_sub(1);
                }
                self.release_held(now, held);
                None
            }
            Within::Arrival(above) => {
                if let Some(arrival) = self.moves.arrivals.get_mut(above) {
                    arrival.waits = arrival.waits.saturating_sub(1);
                }
                Some(above)
            }
        }
    }

    /// Opens a port if nothing is missing; tells what waited for it.
    fn try_open(&mut self, now: Instant, at: u32) -> Option<Within> {
        let arrival = self.moves.arrivals.get(at)?;
        let (port, within) = (arrival.port, arrival.within);
        if arrival.left != Some(0) || arrival.waits > 0 || arrival.taken.is_some() {
            return None;
        }
        let old = self.active(port);
        let import = old.and_then(|old| self.import_at(old));
        if import.is_some_and(|(_, import)| import.unsettled > 0) {
            return None;
        }
        if let Some(old) = old
            && !self.take_returned(now, port, old)
        {
            return None;
        }
        match self.ipc.open(port) {
            Ok(()) | Err(RightError::Dead(_)) => {}
            Err(_) => {
                self.move_later(now);
                return None;
            }
        }
        if let Some(old) = old {
            self.let_go(old);
        }
        self.unbar_moved(port);
        let arrival = self.moves.arrivals.remove(at)?;
        let session = self.sessions.get_mut(arrival.place);
        let session = session.filter(|session| session.generation == arrival.generation);
        if let Some(export) = session.and_then(|session| session.exports.get_mut(arrival.index)) {
            export.barred = if arrival.refusing {
                self.ipc.want_room(port);
                Barred::Full
            } else {
                Barred::No
            };
        }
        Some(within)
    }

    /// Peers that were told that the port had left may send to it here again.
    fn unbar_moved(&mut self, port: PortId) {
        for place in 0..self.sessions.places() {
            let Some(session) = self.sessions.get_mut(place) else {
                continue;
            };
            let index = session.exports.of_port(port);
            if let Some(export) = index.and_then(|index| session.exports.get_mut(index))
                && export.barred == Barred::Moved
            {
                export.barred = Barred::Full;
                self.ipc.want_room(port);
            }
        }
    }

    /// What this node had sent, and was refused where the port was, goes behind the backlog. A
    /// `false` means to try again.
    fn take_returned(&mut self, now: Instant, port: PortId, old: RemoteToken) -> bool {
        let (place, _, destination) = parse_token(old);
        let Destination::Import(_) = destination else {
            return true;
        };
        while self
            .import_at(old)
            .is_some_and(|(_, import)| !import.refused.is_empty())
        {
            match self.ipc.reserve_arriving(port) {
                Ok(()) | Err(RightError::Dead(_)) => {}
                Err(_) => {
                    self.move_later(now);
                    return false;
                }
            }
            let Some(outbound) = self.take_refused(old) else {
                break;
            };
            let put = match self.take_apart(place, outbound) {
                Ok(mut message) => {
                    let waits = message.take_confirmation();
                    let put = self.ipc.deliver_arriving(port, Delivery::Message(message));
                    match (waits, &put) {
                        (Some(right), Ok(())) => {
                            let said = self.ipc.confirm(right);
                            self.follow_sent(now, said);
                        }
                        (Some(right), Err(_)) => self.ipc.release(right),
                        (None, _) => {}
                    }
                    put
                }
                Err(message) => Err(Delivery::Message(message)),
            };
            if let Err(what) = put {
                self.counters.failed += 1;
                self.ipc.discard_delivery(what);
            }
        }
        true
    }

    /// What could not be done for want of memory, or waited for it.
    pub(crate) fn arrive_again(&mut self, now: Instant, at: u32) {
        self.say_taken(now, at);
        if let Some(arrival) = self.moves.arrivals.get_mut(at)
            && core::mem::take(&mut arrival.owes_room)
        {
            let (place, export) = (arrival.place, arrival.index);
            if let Some(session) = self.sessions.get_mut(place) {
                session.out.control(Control::Room { export });
            }
            self.list(place);
        }
        self.open_arrival(now, at);
    }

    /// The session with whoever had the port is over. After STATE what has come is all there is;
    /// before it, the right has never left there.
    pub(crate) fn arrival_lost(
        &mut self,
        now: Instant,
        at: u32,
        (place, generation): (u32, u16),
        reason: Reason,
    ) {
        if let Some(arrival) = self.moves.arrivals.get_mut(at)
            && (arrival.place, arrival.generation) == (place, generation)
        {
            if arrival.left.is_none() {
                return self.arrival_fails(now, at, reason);
            }
            arrival.left = Some(0);
        }
        // It may be that its own messages were under way in that session.
        self.open_arrival(now, at);
    }

    /// A right of which STATE will never come is not here: the port dies, and what waited for it
    /// goes on. Whether it lives on where it came from is for that node to say; so there are never
    /// two of it (W-133).
    pub(crate) fn arrival_fails(&mut self, now: Instant, at: u32, reason: Reason) {
        let Some(arrival) = self.moves.arrivals.remove(at) else {
            return;
        };
        let port = arrival.port;
        if let Some(taken) = arrival.taken {
            self.ipc.discard(taken);
        }
        // Y stays until the peer, who will learn that it is dead, gives it back.
        let Node { sessions, ipc, .. } = self;
        let session = sessions.get_mut(arrival.place);
        if let Some(session) = session.filter(|session| session.generation == arrival.generation)
            && let Some(export) = session.exports.take(arrival.onces)
        {
            export.release(ipc, reason);
        }
        if let Some(token) = self.ipc.onces_to(port) {
            self.forgive_home(token);
        }
        self.ipc.fail_arrival(port);
        self.kill_stand_in(now, port, reason);
        self.carry_queued(Some(now), port);
        if let Some(at) = self.end_wait(now, arrival.within) {
            self.open_arrival(now, at);
        }
    }

    /// A peer sends a receive right that was on its way here before: that earlier way led
    /// nowhere.
    pub(crate) fn supersede_arrivals(&mut self, now: Instant, rights: &[Repr]) {
        for repr in rights.iter().filter(|repr| repr.kind == Kind::Receive) {
            let known = self.directory.get(repr.port).map(|known| known.port);
            let at = known.and_then(|port| self.arrival_of(port));
            let waits = |at: &u32| {
                let arrival = self.moves.arrivals.get(*at);
                arrival.is_some_and(|arrival| arrival.left.is_none())
            };
            if let Some(at) = at.filter(waits) {
                self.arrival_fails(now, at, Reason::Destroyed);
            }
        }
    }
}
