//! What lies at a stand-in: what was queued when its receive right left, and what came to it by
//! send-once rights since. It lies there until it is carried from here.
//!
//! Owns: carrying it, and the news of the kernel's own that come from other nodes. Where there
//! is no memory to carry it, it stays, and is tried again (`moves`); but a lone send-once right
//! has no queue to wait in, and says only that no answer will come.
//! Leaves to others: messages to send rights, which never lie there (`carry`).

use norma_flip::Instant;
use norma_ipc::{
    Carried, Delivery, Message, NoMemory, PageSource, PortId, Reason, RemoteToken, Right,
    RightError, SendFailure,
};
use norma_wire::control::{self, Control};
use norma_wire::descriptor::Repr;

use crate::arriving::Within;
use crate::carry::Target;
use crate::deliver::Door;
use crate::inbox::{Contents, Label, Parcel};
use crate::node::Node;
use crate::notice;
use crate::rights::{Barred, Destination, home_of, parse_token};
use crate::session::Session;

/// A message to be carried, and whether it is news.
type Written<P> = (Message<P>, bool);

impl<S: PageSource> Node<S> {
    /// Carries all that lies at a stand-in. Who does not know the time takes that of the last
    /// frame for it; who tries again must not, or the next try is due already.
    pub(crate) fn carry_queued(&mut self, now: Option<Instant>, port: PortId) {
        let seat = self.ipc.is_seat(port);
        while let Some(carried) = self.ipc.next_queued(port) {
            let Carried { token, once, what } = carried;
            // What is of a third node is passed on by who gave it.
            let (place, generation, _) = parse_token(token);
            let place = home_of(place);
            let session = self.sessions.get(place);
            let session = session.filter(|session| session.generation == generation);
            let Some(heard) = session.map(|session| session.liveness.heard_at()) else {
                let reason = Reason::NodeDied(self.buried(place, generation));
                self.lose(token, seat, what, reason);
                continue;
            };
            let now = now.unwrap_or(heard);
            let (message, news) = match self.write_news(what) {
                Ok(written) => written,
                Err(what) if seat => {
                    self.lose(token, seat, what, Reason::NoMemory);
                    continue;
                }
                Err(what) => {
                    self.ipc.put_back(port, Carried { token, once, what });
                    return self.move_later(now);
                }
            };
            let target = match parse_token(token).2 {
                Destination::Import(import) if news => Target::NewsThrough(import, port),
                Destination::Import(import) => Target::Through(import, port),
                Destination::Once(index) if seat && news => Target::NewsOnce(index),
                Destination::Once(index) if seat => Target::Once(index),
                Destination::Once(index) => Target::Counted(index, news),
            };
            let Err(refused) = self.dispatch(now, place, target, message) else {
                self.forget_hint(token);
                continue;
            };
            let what = if news {
                let mut message = refused.message;
                let read = notice::read(&mut message);
                self.ipc.discard(message);
                match read {
                    Some(notification) => Delivery::Notification(notification),
                    None => continue,
                }
            } else {
                Delivery::Message(refused.message)
            };
            if seat || refused.failure != SendFailure::Right(RightError::NoMemory) {
                self.lose(token, seat, what, Reason::NoMemory);
                continue;
            }
            self.ipc.put_back(port, Carried { token, once, what });
            return self.move_later(now);
        }
    }

    /// It cannot be carried. A lone send-once right says at least that.
    fn lose(&mut self, token: RemoteToken, seat: bool, what: Delivery<S::Page>, reason: Reason) {
        self.counters.failed += 1;
        match what {
            Delivery::Message(message) => self.ipc.discard_because(message, reason),
            news => self.ipc.discard_delivery(news),
        }
        if seat {
            self.unanswered(token);
        }
    }

    /// A send-once right that had a stand-in here has gone home.
    pub(crate) fn retract_home(&mut self, place: u32, right: Right) {
        if let Some(token) = right.port().and_then(|port| self.active(port)) {
            self.forget_hint(token);
        }
        if right.port().is_some_and(|port| self.ipc.is_seat(port)) {
            self.forgive(place, 1);
        }
        self.ipc.retract(right);
    }

    // Send-once rights of which only the number is known.

    /// One of them was destroyed unused (W-128).
    pub(crate) fn use_up(&mut self, place: u32, index: u32, reason: Reason) -> bool {
        let Node { sessions, ipc, .. } = self;
        let session = sessions.get_mut(place);
        let right = session.and_then(|session| session.exports.use_up(ipc, index));
        let known = right.is_some();
        if let Some(right) = right {
            self.ipc.release_because(right, reason);
        }
        known
    }

    /// RELEASE of such a right: so many are where its port is by now.
    pub(crate) fn went_home(&mut self, place: u32, index: u32, count: u32) -> bool {
        let Node { sessions, ipc, .. } = self;
        let session = sessions.get_mut(place);
        let Some(export) = session.and_then(|session| session.exports.get_mut(index)) else {
            return false;
        };
        if export.barred == Barred::Uncounted {
            // It has overtaken the word of how many there are.
            export.sent = export.sent.saturating_add(count);
            return true;
        }
        if export.barred != Barred::Counted {
            return false;
        }
        if let Some(session) = sessions.get_mut(place) {
            session.exports.came_home(index, count);
            let forgotten = session.exports.forget_uses(ipc, index, count);
            self.pass_home(forgotten);
        }
        true
    }

    /// Some uses of a send-once right were forgotten. The port may have gone on from here: then
    /// they are counted there too.
    fn pass_home(&mut self, (onces_to, count): (Option<RemoteToken>, u32)) {
        if let Some(onces_to) = onces_to
            && self.promise_home(onces_to).is_ok()
        {
            self.release_onces(onces_to, count);
        }
    }

    /// The session is over before the peer could say that rights which it counts are here again:
    /// they are, and have not died with it.
    pub(crate) fn forget_those_at_home(&mut self, session: &mut Session<S::Page>) {
        while let Some((index, count)) = session.exports.next_at_home() {
            let forgotten = session.exports.forget_uses(&mut self.ipc, index, count);
            self.pass_home(forgotten);
        }
    }

    /// A receive right has come to where `count` send-once rights to its port are: where they
    /// were counted they are forgotten.
    pub(crate) fn give_home(&mut self, port: PortId, count: u32) {
        if let Some(token) = self.ipc.onces_to(port) {
            self.release_onces(token, count);
        }
    }

    /// Makes room for the frame that says so.
    pub(crate) fn promise_home(&mut self, token: RemoteToken) -> Result<(), NoMemory> {
        match self.counting(token) {
            Some((session, _)) => session.out.promise(1),
            None => Ok(()),
        }
    }

    /// The session in which send-once rights to a stand-in are counted, and the peer's export.
    fn counting(&mut self, token: RemoteToken) -> Option<(&mut Session<S::Page>, u32)> {
        let (place, generation, destination) = parse_token(token);
        let Destination::Once(export) = destination else {
            return None;
        };
        let session = self.sessions.get_mut(place)?;
        (session.generation == generation).then_some((session, export))
    }

    pub(crate) fn forgive_home(&mut self, token: RemoteToken) {
        if let Some((session, _)) = self.counting(token) {
            session.out.forgive(1);
        }
    }

    /// So many of a send-once right that the peer counts are where its port is by now. Room was
    /// made.
    fn release_onces(&mut self, token: RemoteToken, count: u32) {
        let Some((session, export)) = self.counting(token) else {
            return;
        };
        if count > 0 {
            session.out.control(Control::Release { export, count });
        }
        session.out.forgive(1);
        let place = session.place;
        self.list(place);
    }

    // News of other kernels.

    /// News that is not part of a backlog. Room for a refusal was promised.
    pub(crate) fn take_news(&mut self, now: Instant, place: u32, parcel: Parcel<S::Page>) {
        let Parcel {
            label,
            mut message,
            contents,
        } = parcel;
        let Contents::News(rights) = contents else {
            return self.ipc.discard(message);
        };
        let reason = match self.room_for_news(place, &label) {
            Ok(()) => self
                .admit_adopted(place, 0, &mut message, &rights, |_, _| Ok(()))
                .err(),
            Err(reason) => Some(reason),
        };
        if let Some(reason) = reason {
            self.counters.refused += 1;
            let Node { sessions, ipc, .. } = self;
            if let Some(session) = sessions.get_mut(place) {
                session.refuse(ipc, label.sequence, None, message, reason);
            }
            self.use_up(place, label.destination, Reason::NoMemory);
            return;
        }
        self.forgive(place, 1);
        self.counters.delivered += 1;
        self.settle_adopted(now, place, &rights);
        self.spend_news(now, place, label, message, &rights);
    }

    fn room_for_news(&self, place: u32, label: &Label) -> Result<(), control::Reason> {
        let session = self.sessions.get(place).ok_or(control::Reason::Dead)?;
        let export = session.exports.get(label.destination);
        match export {
            Some(export) if export.is_once() => Ok(()),
            _ => Err(control::Reason::Dead),
        }
    }

    fn spend_news(
        &mut self,
        now: Instant,
        place: u32,
        label: Label,
        message: Message<S::Page>,
        rights: &[Repr],
    ) {
        let within = Within::Held(self.moves.held.next_place());
        let waits = self.begin_arrivals(now, &message, rights, within);
        if waits > 0 {
            self.hold(place, label, Door::Counted, message, true, waits);
            return;
        }
        let Node { sessions, ipc, .. } = self;
        let session = sessions.get_mut(place);
        let right = session.and_then(|session| session.exports.use_up(ipc, label.destination));
        match right {
            Some(right) => self.announce(right, message),
            None => self.ipc.discard(message),
        }
    }

    /// Spends a send-once right on what a message of news says (W-131).
    pub(crate) fn announce(&mut self, right: Right, mut message: Message<S::Page>) {
        let read = notice::read(&mut message);
        self.ipc.discard(message);
        match read {
            Some(notification) => self.ipc.announce(right, notification),
            None => self.ipc.release(right),
        }
    }
}

impl<S: PageSource> Node<S> {
    /// Carries what lies at stand-ins for which there was no memory.
    pub(crate) fn carry_stalled(&mut self, now: Instant) {
        let mut from = 0;
        while let Some(port) = self.ipc.next_stand_in_with_queue(&mut from) {
            self.carry_queued(Some(now), port);
        }
    }

    /// News, written into a message.
    ///
    /// # Errors
    /// What it was, when there is no memory.
    fn write_news(
        &mut self,
        what: Delivery<S::Page>,
    ) -> Result<Written<S::Page>, Delivery<S::Page>> {
        let notification = match what {
            Delivery::Message(message) => return Ok((message, false)),
            Delivery::Notification(notification) => notification,
        };
        let Ok(mut message) = self.ipc.new_message() else {
            return Err(Delivery::Notification(notification));
        };
        match notice::write(&mut message, notification) {
            Ok(()) => Ok((message, true)),
            Err(notification) => {
                self.ipc.discard(message);
                Err(Delivery::Notification(notification))
            }
        }
    }
}
