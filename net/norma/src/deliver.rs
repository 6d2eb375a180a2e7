//! Delivering: from a message off the wire to a port of this node, or a refusal.
//!
//! Owns: the order of decisions. Whether the port can take the message is asked before any
//! right in it is imported, so that a refused message leaves no trace.

use norma_flip::Instant;
use norma_ipc::{
    Ipc, Message, NoMemory, Page, PageSource, PortId, Reason, RemoteToken, Right, RightError,
    RightKind, Sent,
};
use norma_wire::control::{self, Control};
use norma_wire::descriptor::{Kind, Origin, Repr};
use norma_wire::session::Flags;

use crate::inbox::{Contents, Label};
use crate::node::Node;
use crate::rights::{Destination, Export, NAME_SERVICE, NO_EXPORT, token};
use crate::session::Session;

/// What the port to which a message is addressed says to it, if it does not refuse it.
#[derive(Clone, Copy)]
enum Door {
    Post(PortId),
    Once,
    Names,
}

/// Asks the destination of a message whether it can take it.
#[inline(always)]
fn knock<P: Page>(
    session: &mut Session<P>,
    ipc: &mut Ipc<P>,
    label: &Label,
) -> Result<Door, control::Reason> {
    if label.destination == NAME_SERVICE {
        return Ok(Door::Names);
    }
    let export = session.exports.get_mut(label.destination);
    let export = export.ok_or(control::Reason::Dead)?;
    let once = label.flags.contains(Flags::SEND_ONCE);
    if once != export.is_once() {
        return Err(control::Reason::Dead);
    }
    if once {
        return Ok(Door::Once);
    }
    let port = export.right.port().ok_or(control::Reason::Dead)?;
    if export.refusing && !label.flags.contains(Flags::FRESH) {
        return Err(control::Reason::Full);
    }
    match ipc.is_full(port) {
        Ok(false) => {
            export.refusing = false;
            Ok(Door::Post(port))
        }
        Ok(true) => {
            export.refusing = true;
            ipc.want_room(port);
            Err(control::Reason::Full)
        }
        Err(_) => Err(control::Reason::Dead),
    }
}

/// A send-once right of the peer, by its export index.
#[inline(always)]
fn import_once<P: Page>(
    session: &mut Session<P>,
    ipc: &mut Ipc<P>,
    place: u32,
    index: u32,
) -> Result<Right, NoMemory> {
    session.out.promise(1)?;
    let token = token(place, session.generation, Destination::Once(index));
    let right = ipc.import_send_once(token);
    if right.is_err() {
        session.out.forgive(1);
    }
    right
}

impl<S: PageSource> Node<S> {
    /// Decides about a whole message whose turn it is. Room for a refusal was promised.
    #[inline(always)]
    pub(crate) fn deliver(
        &mut self,
        now: Instant,
        place: u32,
        label: &Label,
        mut message: Message<S::Page>,
        contents: &Contents,
    ) {
        let Contents::Rights(rights) = contents else {
            return self.refuse(place, label, message, control::Reason::NoMemory);
        };
        let Node { sessions, ipc, .. } = self;
        let Some(session) = sessions.get_mut(place) else {
            return ipc.discard(message);
        };
        let door = match knock(session, ipc, label) {
            Ok(door) => door,
            Err(reason) => return self.refuse(place, label, message, reason),
        };
        if label.reply != NO_EXPORT {
            match import_once(session, ipc, place, label.reply) {
                // A message off the wire has no reply right yet.
                Ok(right) => drop(message.set_reply(right)),
                Err(NoMemory) => {
                    return self.refuse(place, label, message, control::Reason::NoMemory);
                }
            }
        }
        if rights.is_empty() {
            session.out.forgive(1);
        } else if self.unpack_rights(place, &mut message, rights).is_ok() {
            self.forgive(place, 1);
        } else {
            return self.refuse_unpacked(place, label, message);
        }
        self.counters.delivered += 1;
        self.enter(now, place, label, door, message);
    }

    /// Hands a message over, as it now is with all its rights.
    #[inline(always)]
    fn enter(
        &mut self,
        now: Instant,
        place: u32,
        label: &Label,
        door: Door,
        message: Message<S::Page>,
    ) {
        let Node { sessions, ipc, .. } = self;
        let sent = match door {
            Door::Post(port) => ipc.post(port, message, None),
            Door::Once => {
                let session = sessions.get_mut(place);
                let right = session.and_then(|s| s.exports.remove(label.destination));
                let Some(right) = right else {
                    return ipc.discard(message);
                };
                match ipc.send_to(right, message, None) {
                    Ok(sent) => Ok(sent),
                    Err((right, error)) => {
                        // The port died a moment ago: the message ends here.
                        ipc.release(right);
                        Err(error)
                    }
                }
            }
            Door::Names => return self.answer_look_up(now, message),
        };
        match sent {
            Ok(Sent::Handed(thread)) => self.ipc.defer_wake(thread),
            Ok(Sent::Queued | Sent::Waiting) => {}
            // A right of a third node that was passed on by this one.
            Ok(Sent::Forward {
                token,
                via,
                message,
            }) => self.relay(now, token, via, message),
            Err(error) => self.ipc.discard(error.message),
        }
    }

    #[cold]
    fn relay(
        &mut self,
        now: Instant,
        token: RemoteToken,
        via: Option<PortId>,
        message: Message<S::Page>,
    ) {
        if let Err(refused) = self.forward(now, token, via, message) {
            self.ipc.discard(refused.message);
        }
    }

    #[cold]
    fn refuse(
        &mut self,
        place: u32,
        label: &Label,
        message: Message<S::Page>,
        reason: control::Reason,
    ) {
        self.counters.refused += 1;
        self.ipc.discard(message);
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        session.out.control(Control::Refused {
            sequence: label.sequence,
            reason,
        });
        session.out.forgive(1);
        // A reply is not sent twice: whoever waits for it must learn that it is lost.
        if label.flags.contains(Flags::SEND_ONCE)
            && session
                .exports
                .get(label.destination)
                .is_some_and(Export::is_once)
            && let Some(right) = session.exports.remove(label.destination)
        {
            self.ipc.release_because(right, Reason::NoMemory);
        }
    }

    /// There was no memory for the rights of a message: its reply right, which was taken over
    /// already, goes the same way.
    #[cold]
    fn refuse_unpacked(&mut self, place: u32, label: &Label, mut message: Message<S::Page>) {
        if let Some(reply) = message.take_reply() {
            self.ipc.forget_send_once(reply);
            self.forgive(place, 1);
        }
        self.refuse(place, label, message, control::Reason::NoMemory);
    }

    // Rights.

    /// Imports all rights of a message but the reply right, or none of them.
    fn unpack_rights(
        &mut self,
        place: u32,
        message: &mut Message<S::Page>,
        rights: &[Repr],
    ) -> Result<(), NoMemory> {
        for repr in rights {
            let kept = self.import(place, repr).and_then(|right| {
                message.push_right(right).map_err(|right| {
                    self.undo_import(place, repr, right);
                    NoMemory
                })
            });
            if kept.is_err() {
                for repr in rights {
                    let Some(right) = message.take_right() else {
                        break;
                    };
                    self.undo_import(place, repr, right);
                }
                return Err(NoMemory);
            }
        }
        Ok(())
    }

    /// As if the right had never arrived: the sender takes it back when it reads the refusal.
    fn undo_import(&mut self, place: u32, repr: &Repr, right: Right) {
        if let Some(session) = self.sessions.get_mut(place)
            && repr.origin == Origin::Sender
        {
            if right.kind() == RightKind::SendOnce {
                session.out.forgive(1);
                return self.ipc.forget_send_once(right);
            }
            if let Some(import) = session.imports.find(repr.index)
                && let Some(import) = session.imports.get_mut(import)
            {
                import.received = import.received.saturating_sub(1);
            }
        }
        self.ipc.release(right);
    }

    fn import(&mut self, place: u32, repr: &Repr) -> Result<Right, NoMemory> {
        match (repr.origin, repr.kind) {
            (Origin::Sender, _) if repr.index == NO_EXPORT => self.dead_right(),
            (Origin::Sender, Kind::Send) => self.import_send(place, repr.index),
            (Origin::Sender, Kind::SendOnce) => {
                let session = self.sessions.get_mut(place).ok_or(NoMemory)?;
                import_once(session, &mut self.ipc, place, repr.index)
            }
            (Origin::Receiver, Kind::Send) => self.come_home(place, repr.index),
            (Origin::Receiver, Kind::SendOnce) => {
                let session = self.sessions.get_mut(place).ok_or(NoMemory)?;
                let once = session.exports.get(repr.index).is_some_and(Export::is_once);
                match once.then(|| session.exports.remove(repr.index)).flatten() {
                    Some(right) => Ok(right),
                    None => self.dead_right(),
                }
            }
            // No node of this version sends these.
            (Origin::Third, _) | (_, Kind::Receive) => self.dead_right(),
        }
    }

    fn come_home(&mut self, place: u32, index: u32) -> Result<Right, NoMemory> {
        let session = self.sessions.get(place).ok_or(NoMemory)?;
        let port = session
            .exports
            .get(index)
            .and_then(|export| export.right.port());
        match port.map(|port| self.ipc.add_send(port)) {
            Some(Ok(right)) => Ok(right),
            _ => self.dead_right(),
        }
    }

    /// A send right to a port that is dead already.
    fn dead_right(&mut self) -> Result<Right, NoMemory> {
        let port = self.ipc.create_proxy(token(0, 0, Destination::Import(0)))?;
        let right = self.ipc.add_send(port).map_err(|_| NoMemory)?;
        self.ipc.kill_port(port, Reason::Destroyed);
        Ok(right)
    }

    /// One more send right to an export of the peer; equal ones share a stand-in.
    fn import_send(&mut self, place: u32, index: u32) -> Result<Right, NoMemory> {
        let Node { sessions, ipc, .. } = self;
        let session = sessions.get_mut(place).ok_or(NoMemory)?;
        let generation = session.generation;
        if let Some(found) = session.imports.find(index)
            && let Some(import) = session.imports.get_mut(found)
        {
            let right = match ipc.add_send(import.port) {
                Ok(right) => right,
                Err(RightError::NoMemory) => return Err(NoMemory),
                Err(_) => {
                    // The last right went a moment ago, and the stand-in with it.
                    let proxy =
                        ipc.create_proxy(token(place, generation, Destination::Import(found)))?;
                    import.port = proxy;
                    import.unused = false;
                    ipc.hold_back(proxy, !import.refused.is_empty());
                    ipc.add_send(proxy).map_err(|_| NoMemory)?
                }
            };
            import.received += 1;
            return Ok(right);
        }
        let found = session.imports.reserve()?;
        session.out.promise(1)?; // RELEASE
        let proxy = ipc.create_proxy(token(place, generation, Destination::Import(found)));
        let Ok(proxy) = proxy else {
            session.out.forgive(1);
            return Err(NoMemory);
        };
        let right = ipc.add_send(proxy).map_err(|_| NoMemory)?;
        let found = session.imports.add(index, proxy)?;
        if let Some(import) = session.imports.get_mut(found) {
            import.received = 1;
        }
        Ok(right)
    }
}
