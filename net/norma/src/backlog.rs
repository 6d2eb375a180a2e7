//! The backlog of a port that arrives: STATE, and what was queued where it came from.
//!
//! Owns: what comes by the export Y of an arriving port. The first message says how many items
//! follow, they go into the queue whatever its limit, and whatever comes behind them waits as
//! anybody's. Where there is no memory for one, the peer is refused as by a full queue, and told
//! later to begin anew; so nothing is lost and nothing changes its order (W-124, W-125).

use norma_flip::Instant;
use norma_ipc::{Delivery, Message, NoMemory, PageSource, PortState, RightError};
use norma_wire::control;
use norma_wire::descriptor::Repr;
use norma_wire::session::Flags;

use crate::arriving::Within;
use crate::depart::{STATE, State};
use crate::inbox::{Contents, Label, Parcel};
use crate::node::Node;
use crate::notice;
use crate::rights::Barred;

impl<S: PageSource> Node<S> {
    /// Whether what comes to an export was queued where a receive right came from.
    pub(crate) fn is_backlog(&self, place: u32, index: u32) -> bool {
        let session = self.sessions.get(place);
        session.is_some_and(|session| session.is_backlog(index))
    }

    /// The port whose backlog comes by an export.
    fn arrival_by(&self, place: u32, index: u32) -> Option<u32> {
        let generation = self.sessions.get(place)?.generation;
        let wanted = (place, generation, index);
        let mut arrivals = self.moves.arrivals.iter();
        let found = arrivals.find(|(_, a)| (a.place, a.generation, a.index) == wanted);
        found.map(|(at, _)| at)
    }

    /// RELEASE of an export: if it is the last of Y, and STATE has not come, none will (W-135).
    /// (A right that was sent by the same index may come home and be released before.)
    #[inline(never)]
    pub(crate) fn end_arrival_by(&mut self, now: Instant, place: u32, index: u32, count: u32) {
        let session = self.sessions.get(place);
        let export = session.and_then(|session| session.exports.get(index));
        if export.is_some_and(|export| export.barred == Barred::Backlog && export.sent <= count)
            && let Some(at) = self.arrival_by(place, index)
            && let Some(arrival) = self.moves.arrivals.get(at)
            && arrival.left.is_none()
        {
            self.arrival_fails(now, at, norma_ipc::Reason::Destroyed);
        }
    }

    /// A message to Y, whose turn it is. Room for a refusal was promised.
    pub(crate) fn take_backlog(&mut self, now: Instant, place: u32, parcel: Parcel<S::Page>) {
        let Parcel {
            label,
            message,
            contents,
        } = parcel;
        let at = self.arrival_by(place, label.destination);
        let Some(arrival) = at.and_then(|at| self.moves.arrivals.get_mut(at)) else {
            return self.refuse_backlog(place, label, message, control::Reason::Dead);
        };
        let at = at.unwrap_or_default();
        if arrival.refusing && !label.flags.contains(Flags::FRESH) {
            return self.refuse_backlog(place, label, message, control::Reason::Full);
        }
        arrival.refusing = false;
        let port = arrival.port;
        match (arrival.left, contents) {
            (None, Contents::News(rights)) if message.id() == STATE => {
                self.take_state(now, at, label, message, &rights);
            }
            (Some(1..), Contents::Hopeless) => {
                // Lost for want of memory, as it might be anywhere.
                self.refuse_backlog(place, label, message, control::Reason::NoMemory);
                self.one_less(now, at);
            }
            (Some(1..), Contents::Rights(rights)) => {
                self.take_item(now, at, label, message, &rights, false);
            }
            (Some(1..), Contents::News(rights)) => {
                self.take_item(now, at, label, message, &rights, true);
            }
            _ => {
                // It is no part of the backlog, and waits as anybody's until the port is open.
                if let Some(arrival) = self.moves.arrivals.get_mut(at) {
                    arrival.refusing = true;
                }
                self.ipc.want_room(port);
                self.refuse_backlog(place, label, message, control::Reason::Full);
            }
        }
    }

    fn refuse_backlog(
        &mut self,
        place: u32,
        label: Label,
        message: Message<S::Page>,
        reason: control::Reason,
    ) {
        self.counters.refused += 1;
        let Node { sessions, ipc, .. } = self;
        match sessions.get_mut(place) {
            Some(session) => session.refuse(ipc, label.sequence, None, message, reason),
            None => ipc.discard(message),
        }
        self.list(place);
    }

    /// There is no memory for it now: the peer sends it again when it is told to.
    fn stall(&mut self, now: Instant, at: u32, label: Label, message: Message<S::Page>) {
        let Some(arrival) = self.moves.arrivals.get_mut(at) else {
            return self.ipc.discard(message);
        };
        arrival.refusing = true;
        arrival.owes_room = true;
        let place = arrival.place;
        self.refuse_backlog(place, label, message, control::Reason::Full);
        self.move_later(now);
    }

    fn take_item(
        &mut self,
        now: Instant,
        at: u32,
        label: Label,
        mut message: Message<S::Page>,
        rights: &[Repr],
        news: bool,
    ) {
        let Some((port, place)) = self.moves.arrivals.get(at).map(|a| (a.port, a.place)) else {
            return self.ipc.discard(message);
        };
        let room = self.ipc.reserve_arriving(port);
        if let Err(RightError::Dead(_)) = room {
            self.refuse_backlog(place, label, message, control::Reason::Dead);
            return self.one_less(now, at);
        }
        let admitted = match room {
            Ok(()) => self.admit_adopted(place, label.reply, &mut message, rights, |_, _| Ok(())),
            Err(_) => Err(control::Reason::NoMemory),
        };
        if admitted.is_err() {
            return self.stall(now, at, label, message);
        }
        self.accept_backlog(now, place, rights);
        let within = Within::Arrival(at);
        let waits = self.begin_arrivals(now, &message, rights, within);
        if let Some(arrival) = self.moves.arrivals.get_mut(at) {
            arrival.waits += waits;
        }
        let what = match news.then(|| notice::read(&mut message)) {
            None => Delivery::Message(message),
            Some(Some(notification)) => {
                self.ipc.discard(message);
                Delivery::Notification(notification)
            }
            Some(None) => {
                self.ipc.discard(message);
                return self.one_less(now, at);
            }
        };
        // There is a place, if the port lives.
        if let Err(what) = self.ipc.deliver_arriving(port, what) {
            self.ipc.discard_delivery(what);
        }
        self.one_less(now, at);
    }

    fn accept_backlog(&mut self, now: Instant, place: u32, rights: &[Repr]) {
        self.forgive(place, 1);
        self.counters.delivered += 1;
        self.settle_adopted(now, place, rights);
    }

    /// An item of the backlog has been decided.
    fn one_less(&mut self, now: Instant, at: u32) {
        if let Some(arrival) = self.moves.arrivals.get_mut(at) {
            arrival.left = arrival.left.map(|left| left.saturating_sub(1));
        }
        self.open_arrival(now, at);
    }

    fn take_state(
        &mut self,
        now: Instant,
        at: u32,
        label: Label,
        mut message: Message<S::Page>,
        rights: &[Repr],
    ) {
        let arrival = self.moves.arrivals.get(at);
        let Some((port, place, index, onces, home)) =
            arrival.map(|a| (a.port, a.place, a.index, a.onces, a.home))
        else {
            return self.ipc.discard(message);
        };
        let Some(state) = State::read(message.data()) else {
            return self.refuse_backlog(place, label, message, control::Reason::Dead);
        };
        let session = self.sessions.get(place);
        let export = session.and_then(|session| session.exports.get(onces));
        let used = export.map_or(0, |export| export.sent - 1);
        let send_onces = state.send_onces.saturating_sub(used);
        // The first of them is W itself.
        let lent = send_onces.saturating_sub(1);
        match self.ipc.lend(port, lent) {
            Ok(()) => {}
            Err(RightError::NoMemory) => return self.stall(now, at, label, message),
            Err(_) => return self.refuse_backlog(place, label, message, control::Reason::Dead),
        }
        let admitted =
            self.admit_adopted(place, label.reply, &mut message, rights, |session, _| {
                let room = session.exports.reserve_home();
                room.map_err(|NoMemory| control::Reason::NoMemory)
            });
        let seated = admitted
            .map_err(|_| ())
            .and_then(|()| self.seat_requests(&mut message));
        if seated.is_err() {
            self.ipc.retract_lent(port, lent);
            self.disown_all(place, &mut message, rights);
            return self.stall(now, at, label, message);
        }
        self.accept_backlog(now, place, rights);
        self.give_home(port, home);
        let mut next = |wanted: bool| wanted.then(|| message.take_right()).flatten();
        let core = PortState {
            limit: state.limit,
            no_senders: next(state.no_senders),
            destroyed: next(state.destroyed),
            ..PortState::default()
        };
        // A dead name, or another kind of right, is nobody to be told.
        if let Err(core) = self.ipc.set_state(port, core) {
            for right in [core.no_senders, core.destroyed].into_iter().flatten() {
                self.ipc.release(right);
            }
        }
        self.ipc.discard(message);
        let Node { sessions, ipc, .. } = self;
        if let Some(session) = sessions.get_mut(place) {
            if state.senders
                && let Some(export) = session.exports.get_mut(index)
                && core::mem::take(&mut export.pinned)
            {
                ipc.unpin(&export.right);
            }
            match session.exports.get_mut(onces) {
                Some(export) if send_onces > 0 => {
                    export.barred = Barred::Counted;
                    export.sent = send_onces;
                    session.exports.are_at_home(onces, home);
                }
                _ => {
                    if let Some(export) = session.exports.take(onces) {
                        export.release(ipc, norma_ipc::Reason::Unanswered);
                    }
                }
            }
        }
        if let Some(arrival) = self.moves.arrivals.get_mut(at) {
            arrival.left = Some(state.queued);
        }
        self.open_arrival(now, at);
    }

    /// Gives the rights of requests that lead to other nodes ports here.
    fn seat_requests(&mut self, message: &mut Message<S::Page>) -> Result<(), ()> {
        for _ in 0..message.rights().len() {
            let Some(right) = message.take_right() else {
                return Ok(());
            };
            let (seated, right) = match self.ipc.seat(right) {
                Ok(right) => (Ok(()), right),
                Err((NoMemory, right)) => (Err(()), right),
            };
            // In the place that it had.
            if let Err(right) = message.push_right(right) {
                self.ipc.release(right);
            }
            if seated.is_err() {
                for _ in 0..message.rights().len() {
                    if let Some(right) = message.take_right() {
                        let right = self.ipc.unseat(right);
                        let _ = message
                            .push_right(right)
                            .map_err(|right| self.ipc.release(right));
                    }
                }
                return Err(());
            }
        }
        Ok(())
    }
}
