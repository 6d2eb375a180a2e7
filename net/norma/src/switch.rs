//! Switching: a stand-in comes to hang on another import, and the end of stand-ins.
//!
//! Owns: when and how. `Directory` has the import that is to **follow** the one on which a
//! stand-in hangs. From then on senders wait, and as soon as nothing is under way through the
//! old one any more ([`Node::follow_next`], asked again by `resume`), the stand-in is led to the
//! new one: messages that were refused through the old one are **taken apart** (their rights
//! come back out of the exports, count and all, so that they are as they were before they were
//! sent), and go again in their old order, before those that waited. The old import is given
//! back last (W-104).
//!
//! So nothing is passed on by anybody, nothing goes twice, and the order of each sender is kept.
//! Whoever wants a stand-in led elsewhere has only to import a better right to its port (see
//! `adopt`), or to enter an import of it in `Directory` and call [`Node::follow_next`].

use norma_flip::Instant;
use norma_ipc::{Message, PageSource, PortId, Reason, RemoteToken, RightKind, Sink};
use norma_wire::descriptor::Kind;

use crate::node::Node;
use crate::outbound::{Outbound, Packed, Verdict};
use crate::rights::{Destination, Import, NO_EXPORT, PER_EXPORT, parse_token};
use crate::session::Session;

impl<S: PageSource> Node<S> {
    /// The import that a token means, with the place of its session.
    pub(crate) fn import_at(&self, token: RemoteToken) -> Option<(u32, &Import)> {
        let (place, generation, destination) = parse_token(token);
        let session = self.sessions.get(place)?;
        match destination {
            Destination::Import(at) if session.generation == generation => {
                Some((place, session.imports.get(at)?))
            }
            _ => None,
        }
    }

    pub(crate) fn import_at_mut(&mut self, token: RemoteToken) -> Option<&mut Import> {
        let (place, generation, destination) = parse_token(token);
        let session = self.sessions.get_mut(place)?;
        match destination {
            Destination::Import(at) if session.generation == generation => {
                session.imports.get_mut(at)
            }
            _ => None,
        }
    }

    /// The import on which a stand-in hangs.
    pub(crate) fn active(&self, port: PortId) -> Option<RemoteToken> {
        match self.ipc.sink(port) {
            Ok(Sink::Remote(token)) => Some(token),
            _ => None,
        }
    }

    /// Gives the peer back every right to an export of its own.
    pub(crate) fn let_go(&mut self, token: RemoteToken) {
        let (place, generation, destination) = parse_token(token);
        let (Some(session), Destination::Import(at)) = (self.sessions.get_mut(place), destination)
        else {
            return;
        };
        if session.generation != generation {
            return;
        }
        let Some(import) = session.imports.remove(at) else {
            return;
        };
        session.give_back(import.index, import.received);
        self.list(place);
    }

    /// Lets a stand-in hang on the import that is to follow, now or when nothing is under way
    /// any more.
    #[cold]
    pub(crate) fn follow_next(&mut self, now: Instant, port: PortId) {
        let identity = self.ipc.label(port).identity;
        let next = self.directory.get(identity).and_then(|known| known.next);
        let (Some(next), Some(active)) = (next, self.active(port)) else {
            return;
        };
        let Some(import) = self.import_at_mut(active) else {
            return;
        };
        if import.unsettled > 0 {
            import.ending = true;
            return self.ipc.hold_back(port, true);
        }
        if let Some(known) = self.directory.get_mut(identity) {
            known.next = None;
        }
        self.ipc.redirect(port, next);
        if let Some((_, import)) = self.import_at(next) {
            let moves = import.moves;
            self.ipc
                .set_label(port, norma_ipc::Label { identity, moves });
        }
        // Nobody overtakes what is sent again.
        self.ipc.hold_back(port, true);
        let (place, ..) = parse_token(active);
        while let Some(outbound) = self.take_refused(active) {
            self.carry_again(now, port, next, place, outbound);
        }
        self.let_go(active);
        if !self.is_acquiring(identity) {
            self.open(now, port);
        }
        // That it was unused may have been said of the old import.
        self.ipc.keep_unused(port);
        if self.ipc.is_senderless(port) {
            self.import_unused(next);
        }
    }

    /// Takes the first of the messages out that were refused through an import.
    pub(crate) fn take_refused(&mut self, token: RemoteToken) -> Option<Outbound<S::Page>> {
        let (place, generation, destination) = parse_token(token);
        let session = self.sessions.get_mut(place)?;
        let Destination::Import(at) = destination else {
            return None;
        };
        let Session { out, imports, .. } = session;
        let import = imports
            .get_mut(at)
            .filter(|_| session.generation == generation)?;
        let slot = import.refused.pop(&mut out.messages)?;
        out.messages.remove(slot)
    }

    /// Sends a message again that was refused, by another way.
    fn carry_again(
        &mut self,
        now: Instant,
        port: PortId,
        token: RemoteToken,
        place: u32,
        outbound: Outbound<S::Page>,
    ) {
        let sent = match self.take_apart(place, outbound) {
            Ok(message) => self
                .carry_any(now, token, Some(port), message)
                .map_err(|refused| refused.message),
            Err(message) => Err(message),
        };
        if let Err(message) = sent {
            // As in `carry_all`: its sender was told that it is on its way.
            self.counters.failed += 1;
            self.ipc.discard_because(message, Reason::NoMemory);
            self.place_is_free(now, port);
        }
    }

    /// A message as it was before it was put into the outbox: what was exported for it counts
    /// as never sent, for a refused message leaves no trace at the peer.
    ///
    /// # Errors
    /// The message with some of its rights, when there is no memory for all; the others are
    /// released.
    pub(crate) fn take_apart(
        &mut self,
        place: u32,
        outbound: Outbound<S::Page>,
    ) -> Result<Message<S::Page>, Message<S::Page>> {
        let Outbound {
            mut message,
            reply,
            rights,
            ..
        } = outbound;
        let Node { sessions, ipc, .. } = self;
        let Some(session) = sessions.get_mut(place) else {
            return Err(message);
        };
        self.counters.carried -= 1;
        if reply != NO_EXPORT
            && let Some(right) = session.exports.remove(reply)
        {
            // It was taken from there.
            let _ = message.set_reply(right);
        }
        let mut complete = true;
        for Packed { repr, held, owed } in rights {
            if owed > 0 {
                session.give_back(repr.index, owed);
            }
            let right = held.or_else(|| {
                let (right, last) = session.exports.take_back(ipc, repr.index)?;
                if last && right.kind() == RightKind::Send {
                    session.out.forgive(PER_EXPORT);
                }
                Some(right)
            });
            let Some(right) = right else {
                // It was a dead name when it was sent, and still is.
                match crate::import::dead_right(ipc, repr.kind) {
                    Ok(right) => complete &= put_back(ipc, &mut message, repr.kind, right),
                    Err(_) => complete = false,
                }
                continue;
            };
            complete &= put_back(ipc, &mut message, repr.kind, right);
        }
        if complete { Ok(message) } else { Err(message) }
    }

    /// Lets senders through a stand-in go that had to wait; if the port has left where it hangs,
    /// they wait until it is found.
    pub(crate) fn open(&mut self, now: Instant, port: PortId) {
        if self.is_acquiring(self.ipc.label(port).identity) {
            return;
        }
        let active = self.active(port).and_then(|token| self.import_at(token));
        if let Some((place, import)) = active
            && import.moved
        {
            let index = import.index;
            return self.ask_where(now, place, index, port);
        }
        self.ipc.hold_back(port, false);
        if self.ipc.has_backlog(port) {
            self.carry_queued(Some(now), port);
        }
        let waiting = self.ipc.next_to_carry(port);
        self.carry_all(now, port, waiting);
    }

    // The end of stand-ins.

    /// The last right to the stand-in of this import is gone, and nothing is under way (W-132).
    pub(crate) fn drop_stand_in(&mut self, port: PortId) {
        let active = self.active(port);
        self.forget_stand_in(port);
        if let Some(active) = active {
            self.let_go(active);
        }
        if self.ipc.is_unused(port) {
            self.ipc.remove_unused_proxy(port);
        } else {
            self.ipc.leave_onces(port);
        }
    }

    /// A stand-in leads nowhere any more.
    pub(crate) fn kill_stand_in(&mut self, now: Instant, port: PortId, reason: Reason) {
        let Some(active) = self.active(port).filter(|_| !self.ipc.is_arriving(port)) else {
            return;
        };
        self.forget_stand_in(port);
        let (place, ..) = parse_token(active);
        let refused = self
            .import_at_mut(active)
            .map(|import| core::mem::take(&mut import.refused));
        // The import goes first, so that what was refused finds nothing to wait for.
        self.let_go(active);
        self.ipc.kill_port(port, reason);
        let mut refused = refused.unwrap_or_default();
        while let Some(session) = self.sessions.get_mut(place)
            && let Some(slot) = refused.pop(&mut session.out.messages)
        {
            if let Some(outbound) = session.out.messages.get_mut(slot) {
                outbound.verdict = Verdict::Dead;
            }
            self.settle(now, place, slot);
        }
    }

    /// Forgets what is known of a stand-in besides the import on which it hangs.
    pub(crate) fn forget_stand_in(&mut self, port: PortId) {
        let identity = self.ipc.label(port).identity;
        let Some(known) = self.directory.remove(identity, port) else {
            return;
        };
        if let Some(next) = known.next {
            self.let_go(next);
        }
        self.acquisitions.remove(identity);
    }
}

/// Puts a right back into its message; if there is no memory, it is released.
fn put_back<P: norma_ipc::Page>(
    ipc: &mut norma_ipc::Ipc<P>,
    message: &mut Message<P>,
    kind: Kind,
    right: norma_ipc::Right,
) -> bool {
    let put = match kind {
        Kind::Reply => message.set_reply(right),
        _ => message.push_right(right),
    };
    match put {
        Ok(()) => true,
        Err(right) => {
            ipc.release(right);
            false
        }
    }
}

// Whole nodes, for seconds of their time: too much for Miri, which sees the same code in `hostile`.
#[cfg(all(test, not(miri)))]
#[path = "switch_tests.rs"]
mod tests;
