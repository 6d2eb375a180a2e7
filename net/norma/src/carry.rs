//! Carrying: from a message that the core forwards to one that waits in a session's outbox,
//! and what happens when its fate is known.
//!
//! Owns: how rights become descriptors. First everything that can fail is done, then rights
//! move; so a message that cannot be carried comes back whole.

use alloc::vec::Vec;

use norma_flip::{Address, Instant};
use norma_ipc::{
    Message, NoMemory, PageSource, PortId, Reason, RemoteToken, Right, RightError, RightKind,
    SendError, SendFailure, Sink,
};
use norma_wire::control::Control;
use norma_wire::descriptor;

use crate::node::Node;
use crate::outbox::{Outbound, Verdict};
use crate::rights::{Destination, NO_EXPORT, parse_token};
use crate::session::Session;

/// How a right leaves: as an export of ours, or home to the peer.
enum Leaving {
    Export,
    Dead,
    Home(u32),
}

impl<S: PageSource> Node<S> {
    /// Puts a message into the outbox of the session to which `token` leads.
    ///
    /// # Errors
    /// The message comes back whole.
    pub(crate) fn carry(
        &mut self,
        now: Instant,
        token: RemoteToken,
        via: Option<PortId>,
        message: Message<S::Page>,
    ) -> Result<(), SendError<S::Page>> {
        let (place, generation, destination) = parse_token(token);
        let found = self
            .sessions
            .get(place)
            .filter(|session| session.generation == generation);
        let Some(session) = found else {
            let reason = Reason::NodeDied(self.buried(place, generation));
            return Err(SendError {
                failure: SendFailure::Right(RightError::Dead(reason)),
                message,
            });
        };
        let (index, via, once) = match destination {
            Destination::Once(index) => (index, None, true),
            Destination::Import(import) => match (session.imports.get(import), via) {
                (Some(entry), Some(via)) => (entry.index, Some((import, via)), false),
                _ => {
                    let failure = SendFailure::Right(RightError::InvalidName);
                    return Err(SendError { failure, message });
                }
            },
        };
        self.dispatch(now, place, index, via, once, message)?;
        if once {
            // A right that is used up needs no NO_REPLY.
            self.forgive(place, 1);
        }
        Ok(())
    }

    /// Puts a message into a session's outbox.
    ///
    /// # Errors
    /// The message comes back whole.
    pub(crate) fn dispatch(
        &mut self,
        now: Instant,
        place: u32,
        destination: u32,
        via: Option<(u32, PortId)>,
        once: bool,
        mut message: Message<S::Page>,
    ) -> Result<(), SendError<S::Page>> {
        let mut descriptors = Vec::new();
        let mut held = Vec::new();
        let packed = self.pack_rights(place, &mut message, &mut descriptors, &mut held);
        let reply = match packed {
            Ok(reply) => reply,
            Err(NoMemory) => {
                return Err(SendError {
                    failure: NoMemory.into(),
                    message,
                });
            }
        };
        let Some(session) = self.sessions.get_mut(place) else {
            return Err(SendError {
                failure: NoMemory.into(),
                message,
            });
        };
        if !session.shares() {
            session.liveness.pause(now);
        }
        let outbound = Outbound {
            message,
            destination,
            once,
            via,
            reply,
            descriptors,
            held,
            sequence: 0,
            numbered: None,
            after: 0,
            fresh: false,
            next_page: 0,
            started: false,
            frames: 0,
            verdict: Verdict::Accepted,
        };
        // Room for it was reserved with the rights.
        let behind = via.and_then(|(import, _)| session.imports.get_mut(import));
        match behind {
            Some(import) if !import.refused.is_empty() => {
                if let Ok(slot) = session.out.messages.insert(outbound) {
                    import.refused.push_back(slot);
                }
            }
            Some(import) => {
                import.unsettled += 1;
                let _ = session.out.enqueue(outbound);
            }
            None => {
                let _ = session.out.enqueue(outbound);
            }
        }
        self.counters.carried += 1;
        self.list(place);
        Ok(())
    }

    /// Turns the rights of a message into descriptors, and its reply right into an export.
    fn pack_rights(
        &mut self,
        place: u32,
        message: &mut Message<S::Page>,
        descriptors: &mut Vec<descriptor::Repr>,
        held: &mut Vec<Right>,
    ) -> Result<u32, NoMemory> {
        let session = self.sessions.get_mut(place).ok_or(NoMemory)?;
        session.out.reserve()?;
        let count = message.rights().len();
        let replies = usize::from(message.reply().is_some());
        if count + replies > 0 {
            session.exports.reserve(count + replies)?;
        }
        if count > 0 {
            session.exports.reserve_ports(count)?;
            descriptors.try_reserve(count).map_err(|_| NoMemory)?;
            held.try_reserve(count).map_err(|_| NoMemory)?;
            // DEAD and ROOM for each.
            session.out.promise(2 * count)?;
        }
        // From here nothing fails.
        let reply = match message.take_reply() {
            Some(right) => session.exports.add(right)?,
            None => NO_EXPORT,
        };
        for _ in 0..count {
            let Some(right) = message.take_right() else {
                break;
            };
            descriptors.push(self.pack_right(place, right, held));
        }
        Ok(reply)
    }

    fn leaving(&self, place: u32, generation: u16, right: &Right) -> Leaving {
        let token = match (right.port().map(|port| self.ipc.sink(port)), right.remote()) {
            (Some(Ok(Sink::Queue)), _) => return Leaving::Export,
            (Some(Ok(Sink::Remote(token))), _) | (None, Some(token)) => token,
            _ => return Leaving::Dead,
        };
        let (of, of_generation, destination) = parse_token(token);
        if (of, of_generation) != (place, generation) {
            // A third node's: this node passes on what is sent to it.
            return Leaving::Export;
        }
        let session = self.sessions.get(place);
        match destination {
            Destination::Once(index) => Leaving::Home(index),
            Destination::Import(import) => {
                match session.and_then(|session| session.imports.get(import)) {
                    Some(import) => Leaving::Home(import.index),
                    None => Leaving::Dead,
                }
            }
        }
    }

    /// Turns one right into a descriptor. Room was reserved; two control frames promised.
    fn pack_right(&mut self, place: u32, right: Right, held: &mut Vec<Right>) -> descriptor::Repr {
        let kind = match right.kind() {
            RightKind::Send => descriptor::Kind::Send,
            RightKind::SendOnce => descriptor::Kind::SendOnce,
            RightKind::Receive => descriptor::Kind::Receive,
        };
        let mut repr = descriptor::Repr {
            kind,
            origin: descriptor::Origin::Sender,
            index: NO_EXPORT,
            port: Address(0),
            node: self.address,
        };
        let generation = self
            .sessions
            .get(place)
            .map_or(0, |session| session.generation);
        match self.leaving(place, generation, &right) {
            Leaving::Export => repr.index = self.export(place, right),
            Leaving::Dead => {
                self.forgive(place, 2);
                self.ipc.release(right);
            }
            Leaving::Home(index) => {
                self.forgive(place, 2);
                repr.origin = descriptor::Origin::Receiver;
                repr.index = index;
                held.push(right);
            }
        }
        repr
    }

    /// Exports a right; equal send rights have one index.
    fn export(&mut self, place: u32, right: Right) -> u32 {
        let Some(session) = self.sessions.get_mut(place) else {
            return NO_EXPORT;
        };
        let port = match (right.kind(), right.port()) {
            (RightKind::Send, Some(port)) => port,
            _ => {
                session.out.forgive(2);
                return session.exports.add(right).unwrap_or(NO_EXPORT);
            }
        };
        if let Some(index) = session.exports.of_port(port)
            && let Some(export) = session.exports.get_mut(index)
        {
            export.sent += 1;
            session.out.forgive(2);
            // The entry holds one right for all of them.
            self.ipc.release(right);
            return index;
        }
        let index = session.exports.add(right).unwrap_or(NO_EXPORT);
        session.exports.remember_port(port, index);
        self.ipc.watch(port);
        index
    }

    fn forgive(&mut self, place: u32, count: usize) {
        if let Some(session) = self.sessions.get_mut(place) {
            session.out.forgive(count);
        }
    }

    /// The fate of the message in `slot` is known.
    pub(crate) fn settle(&mut self, now: Instant, place: u32, slot: u32) {
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        let Some(outbound) = session.out.messages.get(slot) else {
            return;
        };
        let via = outbound.via;
        if outbound.verdict == Verdict::Full && self.set_aside(place, slot) {
            self.resume(now, place, via);
            return;
        }
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        let Some(mut outbound) = session.out.messages.remove(slot) else {
            return;
        };
        for right in outbound.held.drain(..) {
            match (outbound.verdict, right.remote()) {
                // It has arrived, and so is used up here.
                (Verdict::Accepted, Some(_)) => {
                    self.ipc.forget_send_once(right);
                    self.forgive(place, 1);
                }
                _ => self.ipc.release(right),
            }
        }
        match outbound.verdict {
            Verdict::Failed(reason) => {
                self.take_back_exports(place, &outbound, reason);
                self.ipc.discard_because(outbound.message, reason);
            }
            _ => self.ipc.discard(outbound.message),
        }
        if let Some((import, port)) = via {
            if let Some(entry) = self.import_mut(place, import, port) {
                entry.unsettled = entry.unsettled.saturating_sub(1);
            }
            self.place_is_free(now, port);
            self.resume(now, place, via);
        }
    }

    /// The import at `import`, if it still is the one whose stand-in is `port`.
    fn import_mut(
        &mut self,
        place: u32,
        import: u32,
        port: PortId,
    ) -> Option<&mut crate::rights::Import> {
        let entry = self.sessions.get_mut(place)?.imports.get_mut(import)?;
        (entry.port == port).then_some(entry)
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
        let (sequence, via) = (outbound.sequence, outbound.via);
        let Some((import, port)) = via else {
            return false;
        };
        let Some(entry) = imports.get_mut(import).filter(|entry| entry.port == port) else {
            return false;
        };
        if entry.refused.try_reserve(1).is_err() {
            return false;
        }
        let later = |slot: &u32| {
            out.messages.get(*slot).is_none_or(|other| {
                // Those that were never sent come last.
                !other.started || crate::window::before(sequence, other.sequence)
            })
        };
        let at = entry
            .refused
            .iter()
            .position(later)
            .unwrap_or(entry.refused.len());
        entry.refused.insert(at, slot);
        entry.unsettled = entry.unsettled.saturating_sub(1);
        self.ipc.hold_back(port, true);
        true
    }

    /// Sends what was refused again, once there is room and nothing is under way any more.
    pub(crate) fn resume(&mut self, now: Instant, place: u32, via: Option<(u32, PortId)>) {
        let Some((import, port)) = via else { return };
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        let Some(entry) = session
            .imports
            .get_mut(import)
            .filter(|entry| entry.port == port)
        else {
            return;
        };
        if entry.unsettled == 0 && entry.room && !entry.refused.is_empty() {
            entry.room = false;
            entry.last = None;
            entry.fresh = true;
            while let Some(slot) = entry.refused.pop_front() {
                entry.unsettled += 1;
                session.out.requeue(slot);
            }
            self.ipc.hold_back(port, false);
            if let Some((token, message)) = self.ipc.next_to_carry(port) {
                if let Err(refused) = self.carry(now, token, Some(port), message) {
                    self.ipc.discard(refused.message);
                    self.place_is_free(now, port);
                } else {
                    self.carry_more(now, port);
                }
            }
            self.list(place);
        } else if entry.unused && entry.unsettled == 0 && entry.refused.is_empty() {
            self.drop_import(place, import);
        }
    }

    fn carry_more(&mut self, now: Instant, via: PortId) {
        while let Some((token, message)) = self.ipc.next_to_carry(via) {
            if let Err(refused) = self.carry(now, token, Some(via), message) {
                self.ipc.discard(refused.message);
                self.place_is_free(now, via);
            }
        }
    }

    /// Gives the peer back every right to an export of its own.
    pub(crate) fn drop_import(&mut self, place: u32, import: u32) {
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        let Some(entry) = session.imports.remove(import) else {
            return;
        };
        if entry.received > 0 {
            session.out.control(Control::Release {
                export: entry.index,
                count: entry.received,
            });
        }
        session.out.forgive(1);
        self.list(place);
    }

    /// The rights in a message that the peer did not take are here again, and die here.
    fn take_back_exports(&mut self, place: u32, outbound: &Outbound<S::Page>, reason: Reason) {
        if outbound.reply != NO_EXPORT {
            self.unexport(place, outbound.reply, 1, reason);
        }
        for descriptor in &outbound.descriptors {
            if descriptor.origin == descriptor::Origin::Sender && descriptor.index != NO_EXPORT {
                self.unexport(place, descriptor.index, 1, reason);
            }
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
        export.sent = left;
        if left == 0
            && let Some(right) = session.exports.remove(index)
        {
            if right.kind() == RightKind::Send {
                session.out.forgive(2);
            }
            self.ipc.release_because(right, reason);
        }
        true
    }

    /// A bare remote send-once right was destroyed: its caller must not wait.
    pub(crate) fn unanswered(&mut self, token: RemoteToken) {
        let (place, generation, destination) = parse_token(token);
        let Destination::Once(index) = destination else {
            return;
        };
        if let Some(session) = self.sessions.get_mut(place)
            && session.generation == generation
        {
            session.out.control(Control::NoReply { export: index });
            session.out.forgive(1);
            self.list(place);
        }
    }
}
