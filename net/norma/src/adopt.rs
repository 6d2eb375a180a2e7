//! Adopting: taking over the rights of a message of which some are new in their session.
//!
//! Owns: what becomes of a right by the identity of its port. If the port is here, it has come
//! home. If a stand-in for it is here, there is one more right to that. Else it gets a stand-in.
//! The export that the sender counts for it is given back at once where it is of no use (W-103).
//!
//! In two steps, so that a refused message leaves no trace: first all rights are made, which
//! may fail; then follows what the peer, or another, must hear (`settle_adopted`).
//! Leaves to others: how a stand-in comes to hang on another import (`switch`), and the way to
//! the owner of a port of which a third node tells (`acquire`).

use norma_flip::{Address, Instant};
use norma_ipc::{
    Label, Message, NoMemory, Page, PageSource, PortId, RemoteToken, Right, RightError, Sink, Step,
};
use norma_wire::control::{self, Control};
use norma_wire::descriptor::{Kind, Origin, Repr};
use norma_wire::session::Flags;

use crate::arriving::Within;
use crate::claim;
use crate::deliver::{After, Door, Refusal, to_confirm};
use crate::directory::newer;
use crate::import::{Hitch, dead_right, is_counted};
use crate::inbox::{Contents, Parcel};
use crate::node::Node;
use crate::outbound::Via;
use crate::rights::{Destination, NO_EXPORT, NODE_SERVICE, token};
use crate::service::operation;

/// The rights in a message, and the one by which it is answered, which its header names or a
/// descriptor behind those of the others.
fn with_reply(reply: u32, rights: &[Repr]) -> (&[Repr], Option<Repr>) {
    let once = |repr| Repr {
        kind: Kind::SendOnce,
        ..repr
    };
    match rights.split_last() {
        Some((last, rest)) if last.kind == Kind::Reply && reply == NO_EXPORT => {
            (rest, Some(once(*last)))
        }
        _ => {
            let named = Repr {
                kind: Kind::SendOnce,
                origin: Origin::Sender,
                moves: 0,
                index: reply,
                port: 0,
                node: Address(0),
                session: 0,
                there: 0,
            };
            (rights, (reply != NO_EXPORT).then_some(named))
        }
    }
}

impl<S: PageSource> Node<S> {
    /// Decides about a message, as `Session::deliver` does, where its rights concern more than
    /// its session. Room for a refusal was promised.
    #[cold]
    pub(crate) fn adopt_message(
        &mut self,
        now: Instant,
        place: u32,
        parcel: Parcel<S::Page>,
    ) -> Option<After<S::Page>> {
        if self.is_backlog(place, parcel.label.destination) {
            self.take_backlog(now, place, parcel);
            return None;
        }
        if matches!(parcel.contents, Contents::News(_)) {
            self.take_news(now, place, parcel);
            return None;
        }
        let Parcel {
            label,
            mut message,
            contents,
        } = parcel;
        let Contents::Rights(mut rights) = contents else {
            self.ipc.discard(message);
            return None;
        };
        let claim = claim::of(label, &rights);
        if claim.is_some() {
            rights.pop();
        }
        let claimed = claim.and_then(|claim| self.claimable(&claim));
        let acquired = label.destination == NODE_SERVICE
            && message.id() == operation::ACQUIRED
            && rights.iter().all(|repr| repr.kind != Kind::Receive);
        self.supersede_arrivals(now, &rights);
        let admitted = self.admit_adopted(
            place,
            label.reply,
            &mut message,
            &rights,
            |session, ipc| match (claim, claimed) {
                (None, _) => session.knock(ipc, label).map_err(|refusal| match refusal {
                    Refusal::Because(reason) => reason,
                    Refusal::New => control::Reason::Full,
                }),
                (_, Some(_)) => Ok(Door::Once),
                (_, None) => Err(control::Reason::Dead),
            },
        );
        let Node { sessions, ipc, .. } = self;
        let session = sessions.get_mut(place)?;
        let door = match admitted {
            Ok(door) => door,
            Err(reason) => {
                self.counters.refused += 1;
                let once = session.spends(label);
                session.refuse(ipc, label.sequence, once, message, reason);
                return None;
            }
        };
        S::Page::watch(Step::Arrived {
            message: message.number(),
            session: session.number,
            sequence: label.sequence,
        });
        session.out.forgive(1);
        self.counters.delivered += 1;
        if acquired {
            self.take_acquired(now, place, message, &rights);
            return None;
        }
        self.settle_adopted(now, place, &rights);
        // From here on it is as if a claim had come to what it claims.
        let (mut place, mut label) = (place, label);
        if let Some(claimed) = claimed {
            (place, label.destination) = claimed;
        }
        let door = match label.flags.contains(Flags::CONFIRM) && label.reply != NO_EXPORT {
            true => to_confirm(&self.ipc, door, &mut message),
            false => door,
        };
        let within = Within::Held(self.moves.held.next_place());
        let waits = self.begin_arrivals(now, &message, &rights, within);
        if waits > 0 {
            self.hold(place, label, door, message, false, waits);
            return None;
        }
        let Node { sessions, ipc, .. } = self;
        sessions.get_mut(place)?.enter(ipc, label, door, message)
    }

    pub(crate) fn admit_adopted<D>(
        &mut self,
        place: u32,
        reply: u32,
        message: &mut Message<S::Page>,
        rights: &[Repr],
        knock: impl FnOnce(
            &mut crate::session::Session<S::Page>,
            &mut norma_ipc::Ipc<S::Page>,
        ) -> Result<D, control::Reason>,
    ) -> Result<D, control::Reason> {
        let (rights, reply) = with_reply(reply, rights);
        let Node { sessions, ipc, .. } = self;
        let session = sessions.get_mut(place).ok_or(control::Reason::Dead)?;
        let door = knock(session, ipc)?;
        let no_memory = |NoMemory| control::Reason::NoMemory;
        let is_acquired = |repr: &&Repr| (repr.origin, repr.kind) == (Origin::Third, Kind::Send);
        let third = rights.iter().filter(is_acquired);
        self.acquisitions
            .reserve(third.count())
            .map_err(no_memory)?;
        for repr in rights {
            let made = self.adopt_right(place, repr);
            let kept = made.and_then(|right| {
                message.push_right(right).map_err(|right| {
                    self.disown(place, repr, right);
                    NoMemory
                })
            });
            if kept.is_err() {
                self.disown_all(place, message, rights);
                return Err(control::Reason::NoMemory);
            }
        }
        if let Some(repr) = reply {
            match self.adopt_right(place, &repr) {
                // A message off the wire has no reply right yet.
                Ok(right) => drop(message.set_reply(right)),
                Err(NoMemory) => {
                    self.disown_all(place, message, rights);
                    return Err(control::Reason::NoMemory);
                }
            }
        }
        Ok(door)
    }

    /// Makes one right; what the peer is to hear of it is promised.
    fn adopt_right(&mut self, place: u32, repr: &Repr) -> Result<Right, NoMemory> {
        let Node { sessions, ipc, .. } = self;
        let session = sessions.get_mut(place).ok_or(NoMemory)?;
        match session.import(ipc, repr) {
            Ok(right) => return Ok(right),
            Err(Hitch::NoMemory) => return Err(NoMemory),
            Err(Hitch::New) if repr.kind == Kind::Receive => {
                return self.adopt_receive(place, repr);
            }
            Err(Hitch::New) if repr.kind == Kind::Reply => {
                return dead_right(&mut self.ipc, repr.kind);
            }
            Err(Hitch::New) => {}
        }
        let known = self.directory.get(repr.port).copied();
        if repr.origin == Origin::Receiver {
            let right = known.map(|known| self.ipc.add_send(known.port));
            return match right {
                Some(Ok(right)) => Ok(right),
                Some(Err(RightError::NoMemory)) => Err(NoMemory),
                _ => dead_right(&mut self.ipc, repr.kind),
            };
        }
        if let Some(known) = known {
            match self.ipc.sink(known.port) {
                Ok(Sink::Queue) => return self.merge(place, known.port),
                // Its receive right is on its way here: it is to hang on nothing else (W-102).
                Ok(Sink::Remote(_)) if self.ipc.is_arriving(known.port) => {
                    return self.merge(place, known.port);
                }
                Ok(Sink::Remote(active)) if self.is_better(place, repr, active) => {
                    return self.import_next(place, repr, known.port);
                }
                Ok(Sink::Remote(_)) => return self.merge(place, known.port),
                // It has just died, and with it whatever it was here.
                Err(_) => {}
            }
        }
        if repr.origin == Origin::Third && repr.node == self.address {
            // It was here: then it would be known.
            let session = self.sessions.get_mut(place).ok_or(NoMemory)?;
            session.out.promise(1)?;
            let right = dead_right(&mut self.ipc, Kind::Send);
            if right.is_err() {
                session.out.forgive(1);
            }
            return right;
        }
        self.import_new(place, repr)
    }

    /// One more right to a port that is known; the peer's export is given back.
    fn merge(&mut self, place: u32, port: PortId) -> Result<Right, NoMemory> {
        let session = self.sessions.get_mut(place).ok_or(NoMemory)?;
        session.out.promise(1)?;
        self.ipc.add_send(port).map_err(|_| {
            session.out.forgive(1);
            NoMemory
        })
    }

    /// Whether a right leads more directly to its port, or to where that is by now, than the
    /// import on which the stand-in hangs and the one that is to follow.
    fn is_better(&self, place: u32, repr: &Repr, active: RemoteToken) -> bool {
        let next = self.directory.get(repr.port).and_then(|known| known.next);
        if repr.origin == Origin::Third {
            // One more giver is no use, but if it was asked for the way to the owner.
            return next.is_none() && self.acquisitions.is_asked(repr.port, place);
        }
        let Some((of, newest)) = self.import_at(next.unwrap_or(active)) else {
            return false;
        };
        if newer(repr.moves, newest.moves) {
            return true;
        }
        if newest.moves != repr.moves {
            return false;
        }
        // What it hangs on, or is to hang on, is a giver's.
        if self.is_acquiring(repr.port) {
            return true;
        }
        if next.is_some() {
            return false;
        }
        // Of two sessions with the owner the newer is used (W-35).
        let superseded = |at| {
            self.sessions
                .get(at)
                .is_some_and(|session| session.superseded)
        };
        of != place && superseded(of) && !superseded(place)
    }

    /// An import on which the stand-in is to hang next.
    fn import_next(&mut self, place: u32, repr: &Repr, port: PortId) -> Result<Right, NoMemory> {
        let session = self.sessions.get_mut(place).ok_or(NoMemory)?;
        session.imports.reserve()?;
        session.out.promise(1)?; // RELEASE
        let right = self.ipc.add_send(port).map_err(|_| {
            session.out.forgive(1);
            NoMemory
        })?;
        let import = session.imports.add(repr.index, port, repr.moves)?;
        let token = token(place, session.generation, Destination::Import(import));
        let known = self.directory.get_mut(repr.port);
        let old = known.and_then(|known| known.next.replace(token));
        if let Some(old) = old {
            self.let_go(old);
        }
        Ok(right)
    }

    /// An import with a stand-in of its own.
    fn import_new(&mut self, place: u32, repr: &Repr) -> Result<Right, NoMemory> {
        self.directory.reserve(1)?;
        let session = self.sessions.get_mut(place).ok_or(NoMemory)?;
        let at = session.imports.reserve()?;
        session.out.promise(1)?; // RELEASE
        let token = token(place, session.generation, Destination::Import(at));
        let Ok(port) = self.ipc.create_proxy(token) else {
            session.out.forgive(1);
            return Err(NoMemory);
        };
        let Ok(right) = self.ipc.add_send(port) else {
            self.ipc.remove_unused_proxy(port);
            session.out.forgive(1);
            return Err(NoMemory);
        };
        self.ipc.keep_unused(port);
        let label = Label {
            identity: repr.port,
            moves: repr.moves,
        };
        self.ipc.set_label(port, label);
        session.imports.add(repr.index, port, repr.moves)?;
        self.directory.insert(repr.port, port);
        // Nothing goes through a giver: senders wait until the owner is found.
        if repr.origin == Origin::Third {
            self.ipc.hold_back(port, true);
        }
        Ok(right)
    }

    pub(crate) fn disown_all(
        &mut self,
        place: u32,
        message: &mut Message<S::Page>,
        rights: &[Repr],
    ) {
        // The last first: so each finds the tables as it left them.
        for (repr, right) in rights.iter().zip(message.take_rights()).rev() {
            self.disown(place, repr, right);
        }
    }

    /// As if a right had never arrived.
    fn disown(&mut self, place: u32, repr: &Repr, right: Right) {
        if repr.kind == Kind::Receive {
            return self.disown_receive(place, repr, right);
        }
        let Node { sessions, ipc, .. } = self;
        let Some(session) = sessions.get_mut(place) else {
            return self.ipc.release(right);
        };
        session.undo_import(ipc, repr, right);
        let next = self.directory.get(repr.port).and_then(|known| known.next);
        if let Some(next) = next
            && let Some((at, import)) = self.import_at(next)
            && (at, import.index, import.received) == (place, repr.index, 0)
        {
            if let Some(known) = self.directory.get_mut(repr.port) {
                known.next = None;
            }
            self.let_go(next);
        }
        self.disown_import(place, repr);
    }

    /// An import that was made for a right goes with it: else the next one would find it, and
    /// wait for a way to the owner which nobody seeks.
    fn disown_import(&mut self, place: u32, repr: &Repr) {
        let Some(session) = self.sessions.get(place).filter(|_| is_counted(repr)) else {
            return;
        };
        let at = session.imports.find(repr.index);
        let import = at.and_then(|at| Some((at, session.imports.get(at)?)));
        if let Some((at, import)) = import.filter(|(_, import)| import.received == 0) {
            let token = token(place, session.generation, Destination::Import(at));
            let port = import.port;
            if self.active(port) == Some(token) {
                self.drop_stand_in(port);
            }
        }
    }

    /// What follows for others when all rights of a message were taken over.
    pub(crate) fn settle_adopted(&mut self, now: Instant, place: u32, rights: &[Repr]) {
        for repr in rights {
            if repr.kind == Kind::Send && is_counted(repr) {
                self.settle_right(now, place, repr);
            }
        }
        self.list(place);
    }

    fn settle_right(&mut self, now: Instant, place: u32, repr: &Repr) {
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        let Some(at) = session.imports.find(repr.index) else {
            // It is of no use.
            session.out.control(Control::Release {
                export: repr.index,
                count: 1,
            });
            return session.out.forgive(1);
        };
        let token = token(place, session.generation, Destination::Import(at));
        let Some(port) = session.imports.get(at).map(|import| import.port) else {
            return;
        };
        if self.ipc.is_arriving(port) {
            // What it hung on is given back when the port is open.
            return;
        }
        let identity = self.ipc.label(port).identity;
        if let Some(import) = self.import_at_mut(token)
            && !newer(import.moves, repr.moves)
        {
            import.moves = repr.moves;
            // It may have been away, and is where it was: the word that it had left was late.
            import.moved &= repr.origin != Origin::Sender;
            let serial = import.serial;
            let via = Via {
                import: at,
                serial,
                port,
            };
            self.resume(now, place, Some(via));
        }
        let Some(known) = self.directory.get(identity) else {
            // Without an identity it stays with whoever gave it.
            return self.open(now, port);
        };
        let follows = known.next == Some(token);
        let acquiring = self.is_acquiring(identity);
        if repr.origin == Origin::Sender {
            // Whoever sends it is the owner, or has become it.
            self.acquisitions.remove(identity);
        }
        if follows {
            self.follow_next(now, port);
        } else if repr.origin == Origin::Third && !acquiring {
            self.acquire(now, port, repr);
        } else if repr.origin == Origin::Sender && acquiring {
            self.open(now, port);
        }
    }
}
