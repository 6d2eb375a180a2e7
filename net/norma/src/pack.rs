//! Packing: the rights of a message become descriptors.
//!
//! Owns: what each right is to the peer, and its export. Room is made for all of them first, so
//! that nothing fails once rights move.
//! Leaves to others: where the message goes (`carry`), what the peer makes of it (`import`).

use alloc::vec::Vec;

use norma_ipc::{
    Ipc, Label, Message, NoMemory, Page, PageSource, PortId, RemoteToken, Right, RightKind, Sink,
};
use norma_wire::{Address, descriptor};

use crate::carry::is_passed_on;
use crate::node::Node;
use crate::outbound::Packed;
use crate::rights::{Barred, Destination, NO_EXPORT, PER_EXPORT, home_of, parse_token};
use crate::session::Session;

/// How a right leaves: as an export of ours, or home to the peer.
enum Leaving {
    /// Of a port of this node, or bare.
    Export,
    /// Of a port of a third node: from whom this node has it.
    Third(RemoteToken),
    Dead,
    Home(u32),
}

impl<S: PageSource> Node<S> {
    /// Turns the rights of a message into descriptors, and makes room for all that follows: so
    /// that the message can be put into the outbox for certain.
    pub(crate) fn pack_rights(
        &mut self,
        place: u32,
        message: &mut Message<S::Page>,
    ) -> Result<Vec<Packed>, NoMemory> {
        let session = self.sessions.get_mut(place).ok_or(NoMemory)?;
        session.out.reserve()?;
        session.exports.reserve(1)?;
        let rights = core::mem::take(&mut self.spare);
        if is_passed_on(message) {
            return self.pack_new(place, message, rights);
        }
        let rights = match session.pack_known(&mut self.ipc, self.address, message, rights) {
            Ok(known) => return Ok(known),
            Err(empty) => empty,
        };
        self.pack_new(place, message, rights)
    }

    /// Turns rights into descriptors of which one at least is not known to the peer.
    #[inline(never)]
    fn pack_new(
        &mut self,
        place: u32,
        message: &mut Message<S::Page>,
        mut rights: Vec<Packed>,
    ) -> Result<Vec<Packed>, NoMemory> {
        let session = self.sessions.get_mut(place).ok_or(NoMemory)?;
        let passed_on = is_passed_on(message);
        let count = message.rights().len() + usize::from(passed_on);
        session.exports.reserve(count + 1)?;
        session.exports.reserve_ports(count)?;
        self.directory.reserve(count)?;
        rights.try_reserve(count).map_err(|_| NoMemory)?;
        session.out.promise(PER_EXPORT * count)?;
        // From here nothing fails.
        for right in message.drain_rights() {
            let packed = self.pack_right(place, right);
            rights.push(packed);
        }
        if passed_on && let Some(reply) = message.take_reply() {
            let mut packed = self.pack_right(place, reply);
            packed.repr.kind = descriptor::Kind::Reply;
            rights.push(packed);
        }
        Ok(rights)
    }

    fn leaving(&self, place: u32, generation: u16, right: &Right) -> Leaving {
        let token = match (right.port().map(|port| self.ipc.sink(port)), right.remote()) {
            (Some(Ok(Sink::Queue)), _) => return Leaving::Export,
            (Some(Ok(Sink::Remote(token))), _) => match self.leading(right, token) {
                Some(token) => token,
                None => return Leaving::Export,
            },
            (None, Some(token)) => token,
            _ => return Leaving::Dead,
        };
        let (of, of_generation, destination) = parse_token(token);
        if (home_of(of), of_generation) != (place, generation) {
            return Leaving::Third(token);
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

    /// Where a right to a stand-in leads, whose sink is `token`; `None` if to this node, for the
    /// port is arriving here.
    fn leading(&self, right: &Right, token: RemoteToken) -> Option<RemoteToken> {
        let port = right.port()?;
        if self.ipc.is_arriving(port) {
            return None;
        }
        match right.kind() {
            RightKind::SendOnce => self.ipc.onces_to(port),
            _ => Some(token),
        }
    }

    /// Turns one right into a descriptor. Room was reserved; control frames were promised (W-101).
    fn pack_right(&mut self, place: u32, right: Right) -> Packed {
        let kind = match right.kind() {
            RightKind::Send => descriptor::Kind::Send,
            RightKind::SendOnce => descriptor::Kind::SendOnce,
            RightKind::Receive => descriptor::Kind::Receive,
        };
        let mut repr = descriptor::Repr {
            kind,
            origin: descriptor::Origin::Sender,
            moves: 0,
            index: NO_EXPORT,
            port: 0,
            node: self.address,
            session: 0,
            there: 0,
        };
        let generation = self
            .sessions
            .get(place)
            .map_or(0, |session| session.generation);
        let mut held = None;
        let leaving = self.leaving(place, generation, &right);
        if kind != descriptor::Kind::SendOnce
            && !matches!(leaving, Leaving::Dead)
            && let Some(port) = right.port()
        {
            let label = self.identify(port);
            (repr.port, repr.moves) = (label.identity, label.moves);
        }
        if kind == descriptor::Kind::Receive {
            repr.moves = repr.moves.wrapping_add(1);
        }
        match leaving {
            Leaving::Export => repr.index = self.export(place, right),
            Leaving::Third(token) => {
                let whence = self.whence(token, &right);
                repr.index = self.export(place, right);
                if kind == descriptor::Kind::Send {
                    self.bar(place, repr.index);
                }
                // Else this node passes on what is sent to it.
                if let Some(whence) = whence {
                    repr.origin = descriptor::Origin::Third;
                    repr.there = whence.there;
                    (repr.node, repr.session) = (whence.node, whence.session);
                }
            }
            Leaving::Dead => {
                self.forgive(place, PER_EXPORT);
                self.ipc.release(right);
            }
            Leaving::Home(index) => {
                self.forgive(place, PER_EXPORT);
                repr.origin = descriptor::Origin::Receiver;
                repr.index = index;
                held = Some(right);
            }
        }
        Packed {
            repr,
            held,
            owed: 0,
        }
    }

    /// What other nodes call a port. Room in the directory was made (W-100).
    fn identify(&mut self, port: PortId) -> Label {
        let mut label = self.ipc.label(port);
        if label.identity == 0 {
            label.identity = self.random.u64() | 1;
            self.ipc.set_label(port, label);
            self.directory.insert(label.identity, port);
        }
        label
    }

    /// Exports a right; equal send rights have one index.
    fn export(&mut self, place: u32, right: Right) -> u32 {
        let Some(session) = self.sessions.get_mut(place) else {
            return NO_EXPORT;
        };
        let port = match (right.kind(), right.port()) {
            (RightKind::Send, Some(port)) => port,
            (kind, port) => {
                session.out.forgive(PER_EXPORT);
                let index = session.exports.add(right);
                if kind == RightKind::Receive
                    && let Some(port) = port
                {
                    // Nobody has a right by this index to send anything.
                    if let Some(export) = session.exports.get_mut(index) {
                        export.barred = Barred::Moved;
                    }
                    self.ipc.watch(port);
                }
                return index;
            }
        };
        if let Some(index) = session.exports.of_port(port)
            && let Some(export) = session.exports.get_mut(index)
        {
            export.sent += 1;
            session.out.forgive(PER_EXPORT);
            if core::mem::take(&mut export.pinned) {
                self.ipc.unpin(&export.right);
            }
            // The entry holds one right for all of them.
            self.ipc.release(right);
            return index;
        }
        let index = session.exports.add(right);
        session.exports.remember_port(port, index);
        self.ipc.watch(port);
        index
    }

    /// The port of an export is elsewhere: what is sent to it is refused, not passed on.
    fn bar(&mut self, place: u32, index: u32) {
        let session = self.sessions.get_mut(place);
        if let Some(export) = session.and_then(|session| session.exports.get_mut(index)) {
            export.barred = Barred::Moved;
        }
    }
}

impl<P: Page> Session<P> {
    /// The descriptors of rights to ports of this node all of which the peer has already: what
    /// most rights are. For them nothing can fail.
    ///
    /// # Errors
    /// Gives `rights` back, still empty, if there is another among them, or no memory.
    fn pack_known(
        &mut self,
        ipc: &mut Ipc<P>,
        node: Address,
        message: &mut Message<P>,
        mut rights: Vec<Packed>,
    ) -> Result<Vec<Packed>, Vec<Packed>> {
        if rights.try_reserve(message.rights().len()).is_err() {
            return Err(rights);
        }
        for right in message.rights() {
            let Some(repr) = self.known(ipc, node, right) else {
                rights.clear();
                return Err(rights);
            };
            rights.push(Packed {
                repr,
                held: None,
                owed: 0,
            });
        }
        for (right, packed) in message.drain_rights().zip(&rights) {
            if let Some(export) = self.exports.get_mut(packed.repr.index) {
                export.sent += 1;
                if core::mem::take(&mut export.pinned) {
                    ipc.unpin(&export.right);
                }
            }
            // The entry holds one right for all of them.
            ipc.release(right);
        }
        Ok(rights)
    }

    #[inline]
    fn known(&self, ipc: &Ipc<P>, node: Address, right: &Right) -> Option<descriptor::Repr> {
        let port = right.port().filter(|_| right.kind() == RightKind::Send)?;
        let Label { identity, moves } = ipc.label_here(port)?;
        Some(descriptor::Repr {
            kind: descriptor::Kind::Send,
            origin: descriptor::Origin::Sender,
            moves,
            index: self.exports.of_port(port)?,
            port: identity,
            node,
            session: 0,
            there: 0,
        })
    }
}
