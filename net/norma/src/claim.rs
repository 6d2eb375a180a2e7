//! Claiming: the answer to a call that was passed on goes to the caller, not to who passed it on.
//!
//! A bare send-once right of a third node is an export of its giver, as all that a peer gives.
//! Beside that the giver says where it has the right from, which its session keeps as a **hint**
//! as long as the right is here. A message through the right goes straight there with a *claim*:
//! a descriptor that names the owner's own export, which the owner uses up as if the message had
//! come by it. When the owner has accepted, the giver is told SPENT, and forgets what it had.
//!
//! The owner's export table decides alone, so that there is one message or one failure: whatever
//! comes second, a claim or a NO_REPLY by way of the giver, finds a stale index. So whoever does
//! not know what became of a claim lets its right go as ever. (W-112 to W-115.)
//!
//! Owns: hints, and both ends of a claim. Leaves to others: the order in which rights of a
//! message are taken over (`adopt`), and what the giver does with a message that comes through
//! it all the same (`carry`).

use alloc::vec::Vec;

use norma_flip::Instant;
use norma_ipc::limits::MAX_RIGHTS;
use norma_ipc::{
    Ipc, Message, NoMemory, Page, PageSource, Reason, RemoteToken, Right, RightError, SendError,
};
use norma_wire::control::Control;
use norma_wire::descriptor::{Kind, Origin, Repr};
use norma_wire::session::Flags;

use crate::acquire::Whence;
use crate::carry::{Target, refuse};
use crate::inbox::Label;
use crate::limits::MAX_HINTS;
use crate::node::{Node, PLACE_MASK};
use crate::outbound::Packed;
use crate::rights::{Barred, Destination, FOREIGN, NO_EXPORT, home_of, parse_token, token};
use crate::session::{Session, State};

/// Where the peer has send-once rights from that it gave, by its own index.
#[derive(Debug)]
pub(crate) struct Hints(Vec<(u32, Whence)>);

impl Hints {
    pub(crate) const fn new() -> Self {
        Hints(Vec::new())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    #[cfg(feature = "audit")]
    pub(crate) fn indices(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|(index, _)| *index)
    }

    pub(crate) fn get(&self, index: u32) -> Option<Whence> {
        let found = self.0.iter().find(|(of, _)| *of == index);
        found.map(|(_, whence)| *whence)
    }

    /// Keeps a hint, if there is room: without, the right is used through its giver.
    fn keep(&mut self, index: u32, whence: Whence) -> bool {
        self.forget(index);
        if self.0.len() >= MAX_HINTS || self.0.try_reserve(1).is_err() {
            return false;
        }
        self.0.push((index, whence));
        true
    }

    pub(crate) fn forget(&mut self, index: u32) {
        if let Some(at) = self.0.iter().position(|(of, _)| *of == index) {
            self.0.swap_remove(at);
        }
    }
}

/// The claim in a message that is for no export of its own session.
pub(crate) fn of(label: Label, rights: &[Repr]) -> Option<Repr> {
    let claims = label.flags.contains(Flags::SEND_ONCE) && label.destination == NO_EXPORT;
    let last = rights.last().filter(|repr| repr.kind == Kind::Claim);
    last.filter(|_| claims).copied()
}

impl<P: Page> Session<P> {
    /// A send-once right of a third node, of which the peer says where it has it from.
    #[cold]
    pub(crate) fn import_foreign(
        &mut self,
        ipc: &mut Ipc<P>,
        repr: &Repr,
    ) -> Result<Right, NoMemory> {
        if !self.hints.keep(repr.index, Whence::of(repr)) {
            return self.import_once(ipc, repr.index);
        }
        let place = self.place | FOREIGN;
        let token = token(place, self.generation, Destination::Once(repr.index));
        let promised = self.out.promise(1);
        let right = promised.and_then(|()| {
            ipc.import_send_once(token)
                .inspect_err(|_| self.out.forgive(1))
        });
        if right.is_err() {
            self.hints.forget(repr.index);
        }
        right
    }
}

impl<S: PageSource> Node<S> {
    // The giver.

    /// Where the right that a token means is from: what THIRD says of it.
    pub(crate) fn whence(&self, token: RemoteToken, right: &Right) -> Option<Whence> {
        let (place, generation, destination) = parse_token(token);
        let session = self.sessions.get(home_of(place));
        let session = session.filter(|session| session.generation == generation)?;
        let there = match destination {
            Destination::Import(_) if right.kind() == norma_ipc::RightKind::Send => {
                self.import_at(token)?.1.index
            }
            // What leads to a stand-in is counted there, and does not go by itself.
            Destination::Once(index) if right.remote().is_some() => {
                if let Some(whence) = session.hints.get(index) {
                    return Some(whence);
                }
                index
            }
            _ => return None,
        };
        Some(Whence {
            node: session.peer,
            session: session.peer_number,
            there,
        })
    }

    /// The right that a peer was given was used where it is from. Tells whether it was known.
    pub(crate) fn spent_elsewhere(&mut self, place: u32, index: u32) -> bool {
        let Some(session) = self.sessions.get_mut(place) else {
            return false;
        };
        let export = session.exports.get(index);
        if !export.is_some_and(|export| export.is_once() && export.barred == Barred::No) {
            return false;
        }
        let Some(right) = session.exports.remove(index) else {
            return false;
        };
        let token = right.remote();
        let hint = token.and_then(|token| {
            let (place, generation, destination) = parse_token(token);
            let session = self.sessions.get(home_of(place));
            let session = session.filter(|session| session.generation == generation)?;
            match destination {
                Destination::Once(index) => session.hints.get(index),
                Destination::Import(_) => None,
            }
        });
        match (token, hint) {
            // What the peer was told was what this node had been told.
            (Some(_), Some(_)) => self.spent(right),
            (Some(_), None) => self.used_at_home(right),
            // Nobody was told anything of this one.
            (None, _) => self.ipc.release_because(right, Reason::Unanswered),
        }
        true
    }

    // The holder.

    /// Sends a message through a bare send-once right of a third node: to its owner, if there is
    /// a session with that, and else through the giver.
    ///
    /// # Errors
    /// The message comes back whole; the right is still to be told of ([`Node::unanswered`]).
    #[cold]
    pub(crate) fn use_foreign(
        &mut self,
        now: Instant,
        token: RemoteToken,
        message: Message<S::Page>,
    ) -> Result<(), SendError<S::Page>> {
        let (place, generation, destination) = parse_token(token);
        let home = home_of(place);
        let session = self.sessions.get(home);
        let session = session.filter(|session| session.generation == generation);
        let (Some(session), Destination::Once(index)) = (session, destination) else {
            let reason = Reason::NodeDied(self.buried(home, generation));
            return Err(refuse(RightError::Dead(reason), message));
        };
        let whence = session.hints.get(index);
        let whence = whence.filter(|whence| whence.node != self.address);
        if let Some(whence) = whence {
            match self.by_peer.get(&whence.node.0).copied() {
                // With a place for the right to answer it.
                Some(there) if message.rights().len() + 1 < MAX_RIGHTS => {
                    return self.send_claim(now, there, whence, token, message);
                }
                Some(_) => {}
                // It goes by the giver this time, and the next is straight.
                None => {
                    let _ = self
                        .connecting(whence.node)
                        .or_else(|| self.connect(now, whence.node));
                }
            }
        }
        self.dispatch(now, home, Target::Once(index), message)?;
        self.forget_hint(token);
        Ok(())
    }

    /// The right that a token means is used up.
    pub(crate) fn forget_hint(&mut self, token: RemoteToken) {
        if let (place, generation, Destination::Once(index)) = parse_token(token)
            && let Some(session) = self.sessions.get_mut(home_of(place))
            && session.generation == generation
        {
            session.hints.forget(index);
        }
    }

    /// Sends a message with a claim, in the session at `place`. The right stays until it is
    /// known what became of it.
    fn send_claim(
        &mut self,
        now: Instant,
        place: u32,
        whence: Whence,
        token: RemoteToken,
        mut message: Message<S::Page>,
    ) -> Result<(), SendError<S::Page>> {
        let Ok(right) = self.ipc.import_send_once(token) else {
            return Err(refuse(RightError::NoMemory, message));
        };
        let Ok(mut rights) = self.pack_for_claim(place, &mut message) else {
            self.ipc.forget_send_once(right);
            return Err(refuse(RightError::NoMemory, message));
        };
        rights.push(Packed {
            repr: Repr {
                kind: Kind::Claim,
                origin: Origin::Receiver,
                moves: 0,
                index: NO_EXPORT,
                port: 0,
                node: self.address,
                session: whence.session,
                there: whence.there,
            },
            held: Some(right),
            owed: 0,
        });
        if let Some(session) = self.sessions.get_mut(place) {
            let sent = session.dispatch(now, Target::Once(NO_EXPORT), rights, message);
            debug_assert!(sent.is_ok(), "room was made");
            session.dispatched(now, place, &mut self.ready, &mut self.deadline);
        }
        self.counters.carried += 1;
        Ok(())
    }

    /// The rights of a message, in a list with a place for one more.
    fn pack_for_claim(
        &mut self,
        place: u32,
        message: &mut Message<S::Page>,
    ) -> Result<Vec<Packed>, NoMemory> {
        let count = message.rights().len() + 1;
        self.spare.try_reserve(count).map_err(|_| NoMemory)?;
        // Which sending to a send-once right forgives.
        let session = self.sessions.get_mut(place).ok_or(NoMemory)?;
        session.out.promise(1)?;
        self.pack_rights(place, message)
            .inspect_err(|_| self.forgive(place, 1))
    }

    /// A right was used at its owner: its giver may forget it (W-114).
    pub(crate) fn spent(&mut self, right: Right) {
        self.forget_bare(right, |session, index| {
            session.out.control(Control::Spent { export: index });
        });
    }

    /// A right was used up at the node from which it was had.
    pub(crate) fn used_at_home(&mut self, right: Right) {
        self.forget_bare(right, |_, _| {});
    }

    fn forget_bare(&mut self, right: Right, tell: impl Fn(&mut Session<S::Page>, u32)) {
        let token = right.remote();
        self.ipc.forget_send_once(right);
        let Some((place, generation, Destination::Once(index))) = token.map(parse_token) else {
            return;
        };
        let place = home_of(place);
        if let Some(session) = self.sessions.get_mut(place)
            && session.generation == generation
        {
            session.hints.forget(index);
            tell(session, index);
            session.out.forgive(1);
            self.list(place);
        }
    }

    // The owner.

    /// Where the send-once right is that is claimed: the place of its session, and its index.
    /// It may lead to a port that has gone on; one of several uses cannot be claimed (W-142).
    pub(crate) fn claimable(&self, claim: &Repr) -> Option<(u32, u32)> {
        let place = claim.session & PLACE_MASK;
        let session = self.sessions.get(place)?;
        let good = session.number == claim.session && session.state == State::Established;
        let export = session.exports.get(claim.there).filter(|_| good)?;
        let usual = export.is_once() && export.barred == Barred::No;
        usual.then_some((place, claim.there))
    }
}
