//! Carrying: from a message that the core forwards to one that waits in a session's outbox.
//!
//! Owns: to which session a message goes, and its place there. First everything that can fail is
//! done, then rights move; so a message that cannot be carried comes back whole.
//! Leaves to others: how rights become descriptors (`pack`), what happens when the fate of the
//! message is known (`settle`).

use alloc::vec::Vec;

use norma_flip::Instant;
use norma_ipc::limits::MAX_RIGHTS;
use norma_ipc::{
    Expects, Message, Page, PageSource, PortId, Reason, RemoteToken, Right, RightError, SendError,
    SendFailure,
};
use norma_wire::session::Flags;

use crate::node::Node;
use crate::outbound::{Outbound, Packed, Via};
use crate::queue::Queue;
use crate::rights::{Destination, NO_EXPORT, NODE_ITSELF, NODE_SERVICE, home_of, parse_token};
use crate::session::Session;

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
            if session.is_none_or(|session| session.imports.get(import).is_none()) {
                return Err(refuse(RightError::InvalidName, message));
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
                    import.refused.push(&mut out.messages, slot);
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
