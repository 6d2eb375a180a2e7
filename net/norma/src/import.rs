//! Taking over the rights that a message brings: what a session can do by itself.
//!
//! That is nearly all: rights to exports of the peer that are known already, and our own come
//! home. Where a right is new here, the whole node is asked (`adopt`).
//!
//! A message's rights are taken over all or none: what was done for the first ones is undone
//! when there is no memory for a later one, as if none had ever arrived.

use norma_ipc::{Ipc, Message, NoMemory, Page, Reason, RemoteToken, Right, RightError, RightKind};
use norma_wire::descriptor::{Kind, Origin, Repr};

use crate::rights::{Destination, Export, NO_EXPORT, token};
use crate::session::Session;

/// Why a session did not take a right over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hitch {
    NoMemory,
    /// It is new in this session: perhaps the node knows its port by another way.
    New,
}

impl From<NoMemory> for Hitch {
    fn from(_: NoMemory) -> Self {
        Hitch::NoMemory
    }
}

/// Whether a descriptor adds to what the peer's export table counts, if its index is one.
pub(crate) fn is_counted(repr: &Repr) -> bool {
    matches!(repr.origin, Origin::Sender | Origin::Third)
        && matches!(repr.kind, Kind::Send | Kind::SendOnce)
        && repr.index != NO_EXPORT
}

impl<P: Page> Session<P> {
    /// Imports all rights of a message but the reply right, or none of them.
    pub(crate) fn unpack_rights(
        &mut self,
        ipc: &mut Ipc<P>,
        message: &mut Message<P>,
        rights: &[Repr],
    ) -> Result<(), Hitch> {
        for repr in rights {
            let kept = self.import(ipc, repr).and_then(|right| {
                message.push_right(right).map_err(|right| {
                    self.undo_import(ipc, repr, right);
                    Hitch::NoMemory
                })
            });
            if let Err(hitch) = kept {
                self.undo_imports(ipc, message, rights);
                return Err(hitch);
            }
        }
        Ok(())
    }

    /// As if the rights that are in the message by now had never arrived.
    #[cold]
    pub(crate) fn undo_imports(
        &mut self,
        ipc: &mut Ipc<P>,
        message: &mut Message<P>,
        rights: &[Repr],
    ) {
        // The last first: so each finds the tables as it left them.
        for (repr, right) in rights.iter().zip(message.take_rights()).rev() {
            self.undo_import(ipc, repr, right);
        }
    }

    /// The sender takes the right back when it reads the refusal.
    #[cold]
    pub(crate) fn undo_import(&mut self, ipc: &mut Ipc<P>, repr: &Repr, right: Right) {
        if is_counted(repr) {
            if right.kind() == RightKind::SendOnce {
                self.out.forgive(1);
                self.hints.forget(repr.index);
                return ipc.forget_send_once(right);
            }
            match self.imports.find(repr.index) {
                Some(place) => {
                    if let Some(import) = self.imports.get_mut(place) {
                        import.received = import.received.saturating_sub(1);
                    }
                }
                // It merged with another, and would have been given back.
                None => self.out.forgive(1),
            }
        }
        if (repr.origin, repr.kind) == (Origin::Receiver, Kind::SendOnce)
            && right.port().is_none_or(|port| !ipc.leads_nowhere(port))
        {
            // It came home, and has not yet.
            let restored = self.exports.restore(ipc, repr.index, right);
            debug_assert!(restored.is_ok(), "something else was exported meanwhile");
            let Err(left) = restored else { return };
            return ipc.release(left);
        }
        ipc.release(right);
    }

    /// A send-once right of the peer, by its export index (W-56).
    #[inline(always)]
    pub(crate) fn import_once(&mut self, ipc: &mut Ipc<P>, index: u32) -> Result<Right, NoMemory> {
        self.out.promise(1)?;
        let token = token(self.place, self.generation, Destination::Once(index));
        let right = ipc.import_send_once(token);
        if right.is_err() {
            self.out.forgive(1);
        }
        right
    }

    /// Takes one right over, if nobody else need be asked.
    pub(crate) fn import(&mut self, ipc: &mut Ipc<P>, repr: &Repr) -> Result<Right, Hitch> {
        match (repr.origin, repr.kind) {
            (Origin::Sender | Origin::Third, Kind::Send) if repr.index != NO_EXPORT => {
                self.import_again(ipc, repr.index)
            }
            (Origin::Sender, Kind::SendOnce) if repr.index != NO_EXPORT => {
                Ok(self.import_once(ipc, repr.index)?)
            }
            (Origin::Third, Kind::SendOnce) if repr.index != NO_EXPORT => {
                Ok(self.import_foreign(ipc, repr)?)
            }
            (Origin::Receiver, Kind::Send) => {
                let export = self.exports.get(repr.index);
                let port = export.and_then(|export| export.right.port());
                match port.map(|port| ipc.add_send(port)) {
                    Some(Ok(right)) => Ok(right),
                    // Its sender has come to know the port by another way, and gave this export
                    // back meanwhile.
                    None if repr.port != 0 => Err(Hitch::New),
                    _ => Ok(dead_right(ipc, repr.kind)?),
                }
            }
            (Origin::Receiver, Kind::SendOnce) => {
                match self.exports.get(repr.index).is_some_and(Export::is_once) {
                    true => Ok(self.exports.take_home(ipc, repr.index)?),
                    false => Ok(dead_right(ipc, repr.kind)?),
                }
            }
            // It belongs to the message, not into it.
            (_, Kind::Reply) => Err(Hitch::New),
            (Origin::Sender, Kind::Receive) if repr.index != NO_EXPORT => Err(Hitch::New),
            (_, kind) => Ok(dead_right(ipc, kind)?),
        }
    }

    /// One more send right to an export of the peer that is known here.
    #[inline]
    fn import_again(&mut self, ipc: &mut Ipc<P>, index: u32) -> Result<Right, Hitch> {
        let place = self.imports.find(index).ok_or(Hitch::New)?;
        let import = self.imports.get_mut(place).ok_or(Hitch::New)?;
        match ipc.add_send(import.port) {
            Ok(right) => {
                import.received += 1;
                Ok(right)
            }
            Err(RightError::NoMemory) => Err(Hitch::NoMemory),
            // The stand-in of an import that there is lives.
            Err(_) => Ok(dead_right(ipc, Kind::Send)?),
        }
    }
}

/// A right to a port that is dead already: of the kind that was sent, so that the message says
/// of its rights what is so (W-53).
pub(crate) fn dead_right<P: Page>(ipc: &mut Ipc<P>, kind: Kind) -> Result<Right, NoMemory> {
    if kind == Kind::Receive {
        let right = ipc.create_arriving()?;
        if let Some(port) = right.port() {
            ipc.kill_port(port, Reason::Destroyed);
        }
        return Ok(right);
    }
    let port = ipc.create_proxy(RemoteToken::NOWHERE)?;
    let right = match kind {
        Kind::SendOnce | Kind::Claim | Kind::Reply => ipc.add_send_once(port),
        _ => ipc.add_send(port),
    };
    let Ok(right) = right else {
        ipc.remove_unused_proxy(port);
        return Err(NoMemory);
    };
    ipc.kill_port(port, Reason::Destroyed);
    Ok(right)
}
