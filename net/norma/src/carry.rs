//! Carrying: from a message that the core forwards to one that waits in a session's outbox.
//!
//! Owns: how rights become descriptors. First everything that can fail is done, then rights
//! move; so a message that cannot be carried comes back whole.
//! Leaves to others: what happens when the fate of the message is known (`settle`).

use alloc::vec::Vec;

use norma_flip::{Address, Instant};
use norma_ipc::{
    Message, NoMemory, PageSource, PortId, Reason, RemoteToken, Right, RightError, RightKind,
    SendError, SendFailure, Sink,
};
use norma_wire::descriptor;

use crate::node::Node;
use crate::outbox::{Outbound, Packed, Via};
use crate::rights::{Destination, NO_EXPORT, parse_token};

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
    #[inline]
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
                (Some(entry), Some(port)) => (
                    entry.index,
                    Some(Via {
                        import,
                        serial: entry.serial,
                        port,
                    }),
                    false,
                ),
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
    #[inline]
    pub(crate) fn dispatch(
        &mut self,
        now: Instant,
        place: u32,
        destination: u32,
        via: Option<Via>,
        once: bool,
        mut message: Message<S::Page>,
    ) -> Result<(), SendError<S::Page>> {
        let rights = match self.pack_rights(place, &mut message) {
            Ok(rights) => rights,
            Err(NoMemory) => return Err(out_of_memory(message)),
        };
        let Node {
            sessions,
            ready,
            deadline,
            ..
        } = self;
        let Some(session) = sessions.get_mut(place) else {
            return Err(out_of_memory(message));
        };
        if !session.shares() {
            session.liveness.pause(now);
        }
        // Room for it was reserved with the rights.
        let reply = match message.take_reply() {
            Some(right) => session.exports.add(right).unwrap_or(NO_EXPORT),
            None => NO_EXPORT,
        };
        let outbound = Outbound::new(message, destination, once, via, reply, rights);
        let import = via.and_then(|via| session.imports.of(via));
        match import {
            Some(import) if !import.refused.is_empty() => {
                if let Ok(slot) = session.out.messages.insert(outbound) {
                    import.refused.push_back(slot);
                }
            }
            Some(import) => {
                import.unsettled += 1;
                import.tail = session.out.enqueue(outbound, import.tail).ok();
            }
            None => {
                let _ = session.out.enqueue(outbound, None);
            }
        }
        if session.lost_route {
            session.due(now, deadline);
        }
        session.list(place, ready);
        self.counters.carried += 1;
        Ok(())
    }

    /// Turns the rights of a message into descriptors, and makes room for all that follows.
    #[inline]
    fn pack_rights(
        &mut self,
        place: u32,
        message: &mut Message<S::Page>,
    ) -> Result<Vec<Packed>, NoMemory> {
        let session = self.sessions.get_mut(place).ok_or(NoMemory)?;
        session.out.reserve()?;
        if message.rights().is_empty() {
            if message.reply().is_some() {
                session.exports.reserve(1)?;
            }
            return Ok(Vec::new());
        }
        let count = message.rights().len();
        session
            .exports
            .reserve(count + usize::from(message.reply().is_some()))?;
        session.exports.reserve_ports(count)?;
        let mut rights = Vec::new();
        rights.try_reserve_exact(count).map_err(|_| NoMemory)?;
        // DEAD and ROOM for each.
        session.out.promise(2 * count)?;
        // From here nothing fails.
        while let Some(right) = message.take_right() {
            rights.push(self.pack_right(place, right));
        }
        Ok(rights)
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
    fn pack_right(&mut self, place: u32, right: Right) -> Packed {
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
        let mut held = None;
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
                held = Some(right);
            }
        }
        Packed { repr, held }
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

    pub(crate) fn forgive(&mut self, place: u32, count: usize) {
        if let Some(session) = self.sessions.get_mut(place) {
            session.out.forgive(count);
        }
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
            session
                .out
                .control(norma_wire::control::Control::NoReply { export: index });
            session.out.forgive(1);
            self.list(place);
        }
    }
}

#[cold]
fn out_of_memory<P>(message: Message<P>) -> SendError<P> {
    SendError {
        failure: NoMemory.into(),
        message,
    }
}
