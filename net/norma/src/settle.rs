//! Settling: what happens when the fate of a message is known, and what follows for the rights
//! that were in it.
//!
//! Owns: messages that were refused for a full queue, which wait in the order of sending until
//! there is room, and the end of exports.

use alloc::vec::Vec;

use norma_flip::Instant;
use norma_ipc::{Ipc, Message, Page, PageSource, PortId, Reason, RemoteToken, RightKind};
use norma_wire::control::Control;
use norma_wire::descriptor;
use norma_wire::session::Flags;

use crate::import::is_counted;
use crate::limits::KEEP_RIGHTS;
use crate::node::Node;
use crate::outbound::{Outbound, Packed, Verdict, Via};
use crate::rights::{Barred, Exports, NO_EXPORT, PER_EXPORT};
use crate::session::Session;

/// What is settled, and concerns more than the session.
pub(crate) enum Pending<P> {
    /// A message that was refused, or had rights in it, or for which others wait.
    Settle(u32),
    /// A message that waited until there was a place among those under way through that port.
    Carry(PortId, (RemoteToken, Message<P>)),
}

impl<P: Page> Session<P> {
    /// Nobody has an export any more.
    pub(crate) fn end_export(&mut self, ipc: &mut Ipc<P>, index: u32, reason: Reason) {
        if let Some(export) = self.exports.take(index) {
            if export.right.kind() == RightKind::Send {
                self.out.forgive(PER_EXPORT);
            }
            export.release(ipc, reason);
        }
    }

    /// Settles all messages that simply were accepted, until one needs more than that.
    #[inline(always)]
    pub(crate) fn settle_plain(
        &mut self,
        ipc: &mut Ipc<P>,
        spare: &mut Vec<Packed>,
    ) -> Option<Pending<P>> {
        while let Some(slot) = self.out.poll_settled() {
            let Some(outbound) = self.out.messages.get(slot) else {
                continue;
            };
            let via = outbound.via;
            let plain = outbound.rights.is_empty() || are_there(&self.exports, ipc, outbound);
            if outbound.verdict != Verdict::Accepted || !plain {
                return Some(Pending::Settle(slot));
            }
            if let Some(import) = via.and_then(|via| self.imports.of(via)) {
                if import.ending || !import.refused.is_empty() {
                    return Some(Pending::Settle(slot));
                }
                import.unsettled = import.unsettled.saturating_sub(1);
            }
            let removed = self
                .out
                .messages
                .remove_part(slot, |_| true, |o| (o.message, o.rights));
            if let Some((message, rights)) = removed {
                if rights.capacity() > 0 {
                    keep(rights, spare);
                }
                ipc.discard(message);
            }
            if let Some(via) = via
                && let Some(waiting) = ipc.carried(via.port)
            {
                return Some(Pending::Carry(via.port, waiting));
            }
        }
        None
    }
}

/// Whether nothing follows for the rights of a message that was accepted: they are counted in
/// exports, and none of their ports has died on the way.
#[inline(never)]
fn are_there<P: Page>(exports: &Exports, ipc: &Ipc<P>, outbound: &Outbound<P>) -> bool {
    outbound.rights.iter().all(|packed| {
        let export = exports.get(packed.repr.index);
        let port = export.and_then(|export| export.right.port());
        packed.held.is_none() && port.is_some_and(|port| ipc.sink(port).is_ok())
    })
}

/// Keeps the place for the rights of a message for the next one.
fn keep(mut rights: Vec<Packed>, spare: &mut Vec<Packed>) {
    if rights.capacity() <= KEEP_RIGHTS {
        rights.clear();
        *spare = rights;
    }
}

impl<S: PageSource> Node<S> {
    /// The fate of the message in `slot` is known.
    #[cold]
    pub(crate) fn settle(&mut self, now: Instant, place: u32, slot: u32) {
        let Some(session) = self.sessions.get(place) else {
            return;
        };
        let Some(outbound) = session.out.messages.get(slot) else {
            return;
        };
        let (via, verdict) = (outbound.via, outbound.verdict);
        if matches!(verdict, Verdict::Full | Verdict::Moved) && self.set_aside(place, slot) {
            if verdict == Verdict::Moved {
                self.refused_for_move(now, place, via);
            }
            return self.resume(now, place, via);
        }
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        let Some(outbound) = session.out.messages.remove(slot) else {
            return;
        };
        if verdict == Verdict::Dead && outbound.flags.contains(Flags::NOTIFICATION) {
            // STATE, or what followed it: DEAD may have come before Y was known here.
            self.import_died(now, place, outbound.destination);
        }
        match verdict {
            Verdict::Accepted => self.accepted(place, outbound),
            Verdict::NoMemory => self.failed(place, outbound, Reason::NoMemory),
            // If it was not set aside, where it went is gone.
            Verdict::Dead | Verdict::Full | Verdict::Moved => {
                self.failed(place, outbound, Reason::Destroyed)
            }
        }
        if let Some(via) = via {
            let session = self.sessions.get_mut(place);
            if let Some(import) = session.and_then(|session| session.imports.of(via)) {
                import.unsettled = import.unsettled.saturating_sub(1);
            }
            self.place_is_free(now, via.port);
            self.resume(now, place, Some(via));
        }
    }

    fn accepted(&mut self, place: u32, mut outbound: Outbound<S::Page>) {
        for packed in outbound.rights.drain(..) {
            self.tell_of_death(place, &packed.repr);
            self.pay(place, &packed);
            match packed.held {
                Some(right) if packed.repr.kind == descriptor::Kind::Claim => self.spent(right),
                // It is used up here.
                Some(right) if right.remote().is_some() => self.used_at_home(right),
                // The same, of one that has a stand-in here.
                Some(right) if right.kind() == RightKind::SendOnce => {
                    self.retract_home(place, right)
                }
                Some(right) => self.ipc.release(right),
                None => {}
            }
        }
        keep(outbound.rights, &mut self.spare);
        self.ipc.discard(outbound.message);
    }

    /// The port of a right that has just arrived may have died on the way: then the peer heard
    /// of the death before it had anything to which that applied (W-54).
    fn tell_of_death(&mut self, place: u32, repr: &descriptor::Repr) {
        if !is_counted(repr) || repr.kind != descriptor::Kind::Send {
            return;
        }
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        let port = session
            .exports
            .get(repr.index)
            .and_then(|export| export.right.port());
        if port.is_some_and(|port| self.ipc.sink(port).is_err()) {
            session.out.control(Control::Dead { export: repr.index });
            self.list(place);
        }
    }

    /// The peer did not take it: the rights in it are here again, and die here (W-49).
    fn failed(&mut self, place: u32, outbound: Outbound<S::Page>, reason: Reason) {
        if outbound.reply != NO_EXPORT {
            self.unexport(place, outbound.reply, 1, reason);
        }
        for packed in outbound.rights {
            self.pay(place, &packed);
            if let Some(right) = packed.held {
                self.ipc.release(right);
            } else if packed.repr.index != NO_EXPORT {
                self.unexport(place, packed.repr.index, 1, reason);
            }
        }
        self.counters.failed += 1;
        self.ipc.discard_because(outbound.message, reason);
    }

    /// Keeps a message that was refused for a full queue, in the order of sending. `false` if
    /// its destination is gone.
    fn set_aside(&mut self, place: u32, slot: u32) -> bool {
        let Some(session) = self.sessions.get_mut(place) else {
            return false;
        };
        let Session { out, imports, .. } = session;
        let Some(outbound) = out.messages.get(slot) else {
            return false;
        };
        let Some(entry) = outbound.via.and_then(|via| imports.of(via)) else {
            return false;
        };
        entry.refused.insert(&mut out.messages, slot);
        entry.unsettled = entry.unsettled.saturating_sub(1);
        self.ipc.hold_back(entry.port, true);
        true
    }

    /// Sends what was refused again, once there is room and nothing is under way any more.
    #[inline]
    pub(crate) fn resume(&mut self, now: Instant, place: u32, via: Option<Via>) {
        let Some(via) = via else { return };
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        let Some(entry) = session.imports.of(via) else {
            return;
        };
        if entry.unsettled > 0 {
            return;
        }
        if entry.ending && self.at_rest(now, place, via) {
            return;
        }
        let session = self.sessions.get_mut(place);
        if let Some(entry) = session.and_then(|session| session.imports.of(via))
            && entry.room
            && !entry.moved
            && !entry.refused.is_empty()
        {
            self.send_again(now, place, via);
        }
    }

    /// Nothing is under way any more through an import that was to end. Tells whether it has.
    #[cold]
    fn at_rest(&mut self, now: Instant, place: u32, via: Via) -> bool {
        let session = self.sessions.get_mut(place);
        let Some(entry) = session.and_then(|session| session.imports.of(via)) else {
            return true;
        };
        let port = entry.port;
        if self.ipc.is_arriving(port) {
            self.way_is_clear(now, port);
            return true;
        }
        let known = self.directory.get(self.ipc.label(port).identity);
        if known.is_some_and(|known| known.next.is_some()) {
            self.follow_next(now, port);
            return true;
        }
        if !self.ipc.is_senderless(port) {
            // It has come into use again.
            entry.ending = false;
            self.ipc.keep_unused(port);
        } else if entry.refused.is_empty() {
            self.drop_stand_in(port);
            return true;
        }
        false
    }

    /// Sends what was refused for a full queue again, in its old order (W-48).
    fn send_again(&mut self, now: Instant, place: u32, via: Via) {
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        let Session { out, imports, .. } = session;
        let Some(entry) = imports.of(via) else { return };
        entry.room = false;
        entry.last = None;
        entry.tail = None;
        entry.fresh = true;
        while let Some(slot) = entry.refused.pop(&mut out.messages) {
            entry.unsettled += 1;
            out.requeue(slot, entry.tail);
            entry.tail = Some(slot);
        }
        let port = entry.port;
        self.list(place);
        self.open(now, port);
    }

    /// A place among the messages under way through `port` is free: carries what waits for it.
    #[inline]
    pub(crate) fn place_is_free(&mut self, now: Instant, port: PortId) {
        if let Some(waiting) = self.ipc.carried(port) {
            self.carry_all(now, port, Some(waiting));
        }
    }

    #[cold]
    pub(crate) fn carry_all(
        &mut self,
        now: Instant,
        port: PortId,
        mut waiting: Option<(norma_ipc::RemoteToken, norma_ipc::Message<S::Page>)>,
    ) {
        while let Some((token, message)) = waiting {
            waiting = match self.carry_any(now, token, Some(port), message) {
                Ok(()) => self.ipc.next_to_carry(port),
                Err(refused) => {
                    // Its sender was told that it is on its way, as it was; then it was lost
                    // for want of memory, which the holder of its reply right learns.
                    self.counters.failed += 1;
                    self.ipc.discard_because(refused.message, Reason::NoMemory);
                    self.ipc.carried(port)
                }
            };
        }
    }

    /// `count` rights to an export are gone. Tells whether there were as many.
    pub(crate) fn unexport(&mut self, place: u32, index: u32, count: u32, reason: Reason) -> bool {
        let Some(session) = self.sessions.get_mut(place) else {
            return false;
        };
        let Some(export) = session.exports.get_mut(index) else {
            return false;
        };
        let Some(left) = export.sent.checked_sub(count) else {
            return false;
        };
        if matches!(export.barred, Barred::Counted | Barred::Uncounted) {
            return self.use_up(place, index, reason);
        }
        export.sent = left;
        // The peer may get such a right again while a message waits: what it sends by that comes
        // behind the message (W-121).
        if left == 0 && !export.holds() {
            session.end_export(&mut self.ipc, index, reason);
        }
        true
    }
}
