//! Delivering: from a message off the wire to a port of this node, or a refusal.
//!
//! Owns: the order of decisions. Whether the port can take the message is asked before any
//! right in it is imported, so that a refused message leaves no trace.

use norma_flip::Instant;
use norma_ipc::{NoMemory, PageSource, PortId, Reason, Right, RightError, RightKind, Sent};
use norma_wire::control::{self, Control};
use norma_wire::descriptor::{Kind, Origin, Repr};
use norma_wire::session::Flags;

use crate::inbox::Parcel;
use crate::node::Node;
use crate::rights::{Destination, Export, NAME_SERVICE, NO_EXPORT, token};

/// What the port to which a message is addressed says to it.
enum Door {
    Post(PortId),
    Once,
    Names,
    Refuse(control::Reason),
}

impl<S: PageSource> Node<S> {
    /// Decides about a whole message whose turn it is. Room for a refusal was promised.
    #[inline]
    pub(crate) fn deliver(&mut self, now: Instant, place: u32, parcel: Parcel<S::Page>) {
        let door = if parcel.hopeless {
            Door::Refuse(control::Reason::NoMemory)
        } else {
            self.knock(place, &parcel)
        };
        match door {
            Door::Refuse(reason) => self.refuse(place, parcel, reason),
            _ => match self.unpack_rights(place, parcel) {
                Ok(parcel) => {
                    self.forgive(place, 1);
                    self.counters.delivered += 1;
                    self.enter(now, place, door, parcel);
                }
                Err(parcel) => self.refuse(place, parcel, control::Reason::NoMemory),
            },
        }
    }

    #[inline]
    fn knock(&mut self, place: u32, parcel: &Parcel<S::Page>) -> Door {
        let label = &parcel.label;
        if label.destination == NAME_SERVICE {
            return Door::Names;
        }
        let dead = Door::Refuse(control::Reason::Dead);
        let Some(session) = self.sessions.get_mut(place) else {
            return dead;
        };
        let Some(export) = session.exports.get_mut(label.destination) else {
            return dead;
        };
        let once = label.flags.contains(Flags::SEND_ONCE);
        if once != (export.right.kind() == RightKind::SendOnce) {
            return dead;
        }
        if once {
            return Door::Once;
        }
        let Some(port) = export.right.port() else {
            return dead;
        };
        let full = Door::Refuse(control::Reason::Full);
        if export.refusing && !label.flags.contains(Flags::FRESH) {
            return full;
        }
        match self.ipc.is_full(port) {
            Ok(false) => {
                export.refusing = false;
                Door::Post(port)
            }
            Ok(true) => {
                export.refusing = true;
                self.ipc.want_room(port);
                full
            }
            Err(_) => dead,
        }
    }

    /// Hands a message over, as it now is with all its rights.
    #[inline]
    fn enter(&mut self, now: Instant, place: u32, door: Door, parcel: Parcel<S::Page>) {
        let Parcel { label, message, .. } = parcel;
        let sent = match door {
            Door::Post(port) => self.ipc.post(port, message, None),
            Door::Once => {
                let right = self
                    .sessions
                    .get_mut(place)
                    .and_then(|s| s.exports.remove(label.destination));
                let Some(right) = right else {
                    return self.ipc.discard(message);
                };
                self.ipc
                    .send_to(right, message, None)
                    .map_err(|(right, error)| {
                        // The port died a moment ago: the message ends here.
                        self.ipc.release(right);
                        error
                    })
            }
            _ => return self.answer_look_up(now, message),
        };
        match sent {
            Ok(Sent::Handed(thread)) => self.ipc.defer_wake(thread),
            Ok(Sent::Queued | Sent::Waiting) => {}
            // A right of a third node that was passed on by this one: relay.
            Ok(Sent::Forward {
                token,
                via,
                message,
            }) => {
                if let Err(refused) = self.forward(now, token, via, message) {
                    self.ipc.discard(refused.message);
                }
            }
            Err(error) => self.ipc.discard(error.message),
        }
    }

    fn refuse(&mut self, place: u32, parcel: Parcel<S::Page>, reason: control::Reason) {
        self.counters.refused += 1;
        self.ipc.discard(parcel.message);
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        let label = &parcel.label;
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

    // Rights.

    /// Imports the reply right and all others of a message, or none of them.
    #[inline]
    fn unpack_rights(
        &mut self,
        place: u32,
        mut parcel: Parcel<S::Page>,
    ) -> Result<Parcel<S::Page>, Parcel<S::Page>> {
        for repr in &parcel.descriptors {
            let imported = self.import(place, repr);
            let kept = imported.and_then(|right| {
                parcel.message.push_right(right).map_err(|right| {
                    self.undo_import(place, repr, right);
                    NoMemory
                })
            });
            if kept.is_err() {
                self.undo_imports(place, &mut parcel);
                return Err(parcel);
            }
        }
        if parcel.label.reply != NO_EXPORT {
            match self.import_once(place, parcel.label.reply) {
                Ok(right) => {
                    // A message off the wire has no reply right yet.
                    let _ = parcel.message.set_reply(right);
                }
                Err(NoMemory) => {
                    self.undo_imports(place, &mut parcel);
                    return Err(parcel);
                }
            }
        }
        Ok(parcel)
    }

    fn undo_imports(&mut self, place: u32, parcel: &mut Parcel<S::Page>) {
        for repr in &parcel.descriptors {
            let Some(right) = parcel.message.take_right() else {
                break;
            };
            self.undo_import(place, repr, right);
        }
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

    #[inline]
    fn import_once(&mut self, place: u32, index: u32) -> Result<Right, NoMemory> {
        let session = self.sessions.get_mut(place).ok_or(NoMemory)?;
        session.out.promise(1)?;
        let token = token(place, session.generation, Destination::Once(index));
        self.ipc
            .import_send_once(token)
            .inspect_err(|_| session.out.forgive(1))
    }

    fn import(&mut self, place: u32, repr: &Repr) -> Result<Right, NoMemory> {
        match (repr.origin, repr.kind) {
            (Origin::Sender, _) if repr.index == NO_EXPORT => self.dead_right(),
            (Origin::Sender, Kind::Send) => self.import_send(place, repr.index),
            (Origin::Sender, Kind::SendOnce) => self.import_once(place, repr.index),
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
