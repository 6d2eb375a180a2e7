//! Carrying: from a message that the core forwards to one that waits in a session's outbox.
//!
//! Owns: how rights become descriptors. First everything that can fail is done, then rights
//! move; so a message that cannot be carried comes back whole.
//! Leaves to others: what happens when the fate of the message is known (`settle`).

use alloc::vec::Vec;

use norma_flip::Instant;
use norma_ipc::limits::MAX_RIGHTS;
use norma_ipc::{
    Expects, Ipc, Label, Message, NoMemory, Page, PageSource, PortId, Reason, RemoteToken, Right,
    RightError, RightKind, SendError, SendFailure, Sink,
};
use norma_wire::session::Flags;
use norma_wire::{Address, descriptor};

use crate::node::Node;
use crate::outbound::{Outbound, Packed, Via};
use crate::queue::Queue;
use crate::rights::{
    Barred, Destination, NO_EXPORT, NODE_ITSELF, NODE_SERVICE, PER_EXPORT, home_of, parse_token,
};
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

/// Where a message goes in its session.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// To a send-once right of the peer: its export index.
    Once(u32),
    /// The same, with news of this node's kernel.
    NewsOnce(u32),
    /// To a send-once right of the peer that has several uses; perhaps with news.
    Counted(u32, bool),
    /// To the peer itself (`service`).
    NodeService,
    /// Through a stand-in: the place of the import, and the stand-in.
    Through(u32, PortId),
    /// The same, with news.
    NewsThrough(u32, PortId),
}

/// Whether a message is a call that is passed on: the right to answer it is of another node, and
/// is packed as those in it are, so that its receiver learns where it is from. (One that waits
/// for a receipt is the sender's own.)
pub(crate) fn is_passed_on<P>(message: &Message<P>) -> bool {
    let token = message.reply().and_then(Right::remote);
    token.is_some_and(|token| parse_token(token).0 != NODE_ITSELF)
        && message.expects() != Expects::RECEIPT
        && message.rights().len() < MAX_RIGHTS
}

impl<S: PageSource> Node<S> {
    /// Puts a message into the outbox of the session to which `token` leads. It is not one that
    /// is passed on, or its answer will pass through this node ([`Node::carry_any`]).
    ///
    /// # Errors
    /// The message comes back whole.
    #[inline(always)]
    pub(crate) fn carry(
        &mut self,
        now: Instant,
        token: RemoteToken,
        via: Option<PortId>,
        message: Message<S::Page>,
    ) -> Result<(), SendError<S::Page>> {
        let (place, generation, destination) = parse_token(token);
        let session = self.sessions.get_mut(place);
        let Some(session) = session.filter(|session| session.generation == generation) else {
            return self.nobody(now, token, message);
        };
        let target = match (destination, via) {
            (Destination::Once(index), _) => Target::Once(index),
            (Destination::Import(import), Some(port)) => Target::Through(import, port),
            _ => return Err(refuse(RightError::InvalidName, message)),
        };
        if !message.rights().is_empty() {
            return self.dispatch(now, place, target, message);
        }
        match session.dispatch(now, target, Vec::new(), message) {
            Ok(()) => {
                session.dispatched(now, place, &mut self.ready, &mut self.deadline);
                self.counters.carried += 1;
                Ok(())
            }
            Err((error, message)) => Err(refuse(error, message)),
        }
    }

    /// The same for any message.
    ///
    /// # Errors
    /// The message comes back whole.
    #[inline(never)]
    pub(crate) fn carry_any(
        &mut self,
        now: Instant,
        token: RemoteToken,
        via: Option<PortId>,
        message: Message<S::Page>,
    ) -> Result<(), SendError<S::Page>> {
        let (place, generation, destination) = parse_token(token);
        let session = self.sessions.get(place);
        let lives = session.is_some_and(|session| session.generation == generation);
        let target = match (destination, via) {
            (Destination::Once(index), _) => Target::Once(index),
            (Destination::Import(import), Some(port)) => Target::Through(import, port),
            _ => return self.carry(now, token, via, message),
        };
        match lives && is_passed_on(&message) {
            true => self.dispatch(now, place, target, message),
            false => self.carry(now, token, via, message),
        }
    }

    #[cold]
    fn nobody(
        &mut self,
        now: Instant,
        token: RemoteToken,
        message: Message<S::Page>,
    ) -> Result<(), SendError<S::Page>> {
        let (place, generation, destination) = parse_token(token);
        if place == NODE_ITSELF
            && let Destination::Once(number) = destination
        {
            self.answered(now, number, message);
            return Ok(());
        }
        if home_of(place) != place {
            return self.use_foreign(now, token, message);
        }
        let reason = Reason::NodeDied(self.buried(place, generation));
        Err(refuse(RightError::Dead(reason), message))
    }

    /// Puts a message into a session's outbox, with the rights that are in it.
    ///
    /// # Errors
    /// The message comes back whole.
    pub(crate) fn dispatch(
        &mut self,
        now: Instant,
        place: u32,
        target: Target,
        mut message: Message<S::Page>,
    ) -> Result<(), SendError<S::Page>> {
        if let Target::Through(import, _) | Target::NewsThrough(import, _) = target {
            let session = self.sessions.get_mut(place);
            let Some(import) = session.and_then(|session| session.imports.get_mut(import)) else {
                return Err(refuse(RightError::InvalidName, message));
            };
            // Behind what was refused it needs a place: before its rights are packed.
            if !import.refused.is_empty() && import.refused.try_reserve(1).is_err() {
                return Err(refuse(RightError::NoMemory, message));
            }
        }
        let Ok(rights) = self.pack_rights(place, &mut message) else {
            return Err(refuse(RightError::NoMemory, message));
        };
        let session = self.sessions.get_mut(place);
        let sent = match session {
            Some(session) => session.dispatch(now, target, rights, message),
            None => Err((RightError::InvalidName, message)),
        };
        if let Err((error, message)) = sent {
            return Err(refuse(error, message));
        }
        if let Some(session) = self.sessions.get_mut(place) {
            session.dispatched(now, place, &mut self.ready, &mut self.deadline);
        }
        self.counters.carried += 1;
        Ok(())
    }

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

    /// Turns one right into a descriptor. Room was reserved; control frames were promised.
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

    /// What other nodes call a port. Room in the directory was made.
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
        if place == NODE_ITSELF {
            return self.asked_in_vain(index);
        }
        let place = home_of(place);
        if let Some(session) = self.sessions.get_mut(place)
            && session.generation == generation
        {
            session.hints.forget(index);
            session
                .out
                .control(norma_wire::control::Control::NoReply { export: index });
            session.out.forgive(1);
            self.list(place);
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

    /// Puts a message, whose rights are packed, into the outbox.
    ///
    /// # Errors
    /// The message, when there is no memory, or no such import; never after
    /// [`Node::pack_rights`].
    #[inline(always)]
    pub(crate) fn dispatch(
        &mut self,
        now: Instant,
        target: Target,
        rights: Vec<Packed>,
        mut message: Message<P>,
    ) -> Result<(), (RightError, Message<P>)> {
        let replies = message.reply().is_some();
        self.calls |= replies;
        if self.out.reserve().is_err() || (replies && self.exports.reserve(1).is_err()) {
            return Err((RightError::NoMemory, message));
        }
        // With a stand-in, something is shared.
        if !matches!(target, Target::Through(..) | Target::NewsThrough(..)) && !self.shares() {
            self.liveness.pause(now);
        }
        let Session {
            out,
            exports,
            imports,
            ..
        } = self;
        let mut reply = |message: &mut Message<P>| match message.take_reply() {
            Some(right) => exports.add(right),
            None => NO_EXPORT,
        };
        match target {
            Target::Once(index) => {
                let reply = reply(&mut message);
                let flags = Flags::SEND_ONCE;
                out.enqueue(|| Outbound::new(message, index, None, flags, reply, rights));
                // A right that is used up needs no NO_REPLY.
                out.forgive(1);
            }
            Target::NewsOnce(index) => {
                let flags = Flags::SEND_ONCE | Flags::NOTIFICATION;
                out.enqueue(|| Outbound::new(message, index, None, flags, NO_EXPORT, rights));
                out.forgive(1);
            }
            Target::Counted(index, news) => {
                let reply = reply(&mut message);
                let mut flags = Flags::empty();
                flags.set(Flags::NOTIFICATION, news);
                out.enqueue(|| Outbound::new(message, index, None, flags, reply, rights));
            }
            Target::NodeService => {
                let reply = reply(&mut message);
                let flags = Flags::empty();
                out.enqueue(|| Outbound::new(message, NODE_SERVICE, None, flags, reply, rights));
            }
            Target::Through(place, port) | Target::NewsThrough(place, port) => {
                let Some(import) = imports.get_mut(place) else {
                    return Err((RightError::InvalidName, message));
                };
                if !import.refused.is_empty() && import.refused.try_reserve(1).is_err() {
                    return Err((RightError::NoMemory, message));
                }
                let reply = reply(&mut message);
                let (index, serial) = (import.index, import.serial);
                let via = Some(Via {
                    import: place,
                    serial,
                    port,
                });
                let mut flags = Flags::empty();
                if matches!(target, Target::NewsThrough(..)) {
                    flags = Flags::NOTIFICATION;
                }
                let outbound = || Outbound::new(message, index, via, flags, reply, rights);
                if import.refused.is_empty() {
                    import.unsettled += 1;
                    import.tail = Some(out.enqueue_behind(outbound, import.tail));
                } else {
                    let slot = out.messages.insert_reserved(|_| outbound());
                    import.refused.push_back(slot);
                }
            }
        }
        Ok(())
    }

    /// There is a message to send. Whether the window is open is asked when its turn comes.
    #[inline(always)]
    pub(crate) fn dispatched(
        &mut self,
        now: Instant,
        place: u32,
        ready: &mut Queue,
        earliest: &mut Instant,
    ) {
        if self.lost_route {
            self.due(now, earliest);
        } else if !self.listed {
            self.listed = true;
            ready.push(place);
        }
    }
}

#[cold]
pub(crate) fn refuse<P>(error: RightError, message: Message<P>) -> SendError<P> {
    SendError {
        failure: SendFailure::Right(error),
        message,
    }
}
