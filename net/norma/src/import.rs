//! Taking over the rights that a message brings: imports of the peer's, and our own come home.
//!
//! A message's rights are taken over all or none: what was done for the first ones is undone
//! when there is no memory for a later one, as if none had ever arrived.

use norma_ipc::{Ipc, Message, NoMemory, Page, Reason, Right, RightError, RightKind};
use norma_wire::descriptor::{Kind, Origin, Repr};

use crate::rights::{Destination, Export, NO_EXPORT, token};
use crate::session::Session;

impl<P: Page> Session<P> {
    /// Imports all rights of a message but the reply right, or none of them.
    pub(crate) fn unpack_rights(
        &mut self,
        ipc: &mut Ipc<P>,
        message: &mut Message<P>,
        rights: &[Repr],
    ) -> Result<(), NoMemory> {
        for repr in rights {
            let kept = self.import(ipc, repr).and_then(|right| {
                message.push_right(right).map_err(|right| {
                    self.undo_import(ipc, repr, right);
                    NoMemory
                })
            });
            if kept.is_err() {
                self.undo_imports(ipc, message, rights);
                return Err(NoMemory);
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
        for repr in rights {
            let Some(right) = message.take_right() else {
                break;
            };
            self.undo_import(ipc, repr, right);
        }
    }

    /// The sender takes the right back when it reads the refusal.
    #[cold]
    fn undo_import(&mut self, ipc: &mut Ipc<P>, repr: &Repr, right: Right) {
        if repr.origin == Origin::Sender {
            if right.kind() == RightKind::SendOnce {
                self.out.forgive(1);
                return ipc.forget_send_once(right);
            }
            if let Some(import) = self.imports.find(repr.index)
                && let Some(import) = self.imports.get_mut(import)
            {
                import.received = import.received.saturating_sub(1);
            }
        }
        ipc.release(right);
    }

    /// A send-once right of the peer, by its export index.
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

    fn import(&mut self, ipc: &mut Ipc<P>, repr: &Repr) -> Result<Right, NoMemory> {
        match (repr.origin, repr.kind) {
            (Origin::Sender, _) if repr.index == NO_EXPORT => dead_right(ipc, repr.kind),
            (Origin::Sender, Kind::Send) => self.import_send(ipc, repr.index),
            (Origin::Sender, Kind::SendOnce) => self.import_once(ipc, repr.index),
            (Origin::Receiver, Kind::Send) => {
                let export = self.exports.get(repr.index);
                let port = export.and_then(|export| export.right.port());
                match port.map(|port| ipc.add_send(port)) {
                    Some(Ok(right)) => Ok(right),
                    _ => dead_right(ipc, repr.kind),
                }
            }
            (Origin::Receiver, Kind::SendOnce) => {
                let once = self.exports.get(repr.index).is_some_and(Export::is_once);
                match once.then(|| self.exports.remove(repr.index)).flatten() {
                    Some(right) => Ok(right),
                    None => dead_right(ipc, repr.kind),
                }
            }
            // No node of this version sends these.
            (Origin::Third, kind) | (_, kind @ Kind::Receive) => dead_right(ipc, kind),
        }
    }

    /// One more send right to an export of the peer; equal ones share a stand-in.
    fn import_send(&mut self, ipc: &mut Ipc<P>, index: u32) -> Result<Right, NoMemory> {
        let (place, generation) = (self.place, self.generation);
        if let Some(found) = self.imports.find(index)
            && let Some(import) = self.imports.get_mut(found)
        {
            let right = match ipc.add_send(import.port) {
                Ok(right) => right,
                Err(RightError::NoMemory) => return Err(NoMemory),
                Err(_) => {
                    // The last right went a moment ago, and the stand-in with it.
                    let token = token(place, generation, Destination::Import(found));
                    let proxy = ipc.create_proxy(token)?;
                    import.port = proxy;
                    import.unused = false;
                    ipc.hold_back(proxy, !import.refused.is_empty());
                    ipc.add_send(proxy).map_err(|_| NoMemory)?
                }
            };
            import.received += 1;
            return Ok(right);
        }
        let found = self.imports.reserve()?;
        self.out.promise(1)?; // RELEASE
        let proxy = ipc.create_proxy(token(place, generation, Destination::Import(found)));
        let Ok(proxy) = proxy else {
            self.out.forgive(1);
            return Err(NoMemory);
        };
        let right = ipc.add_send(proxy).map_err(|_| NoMemory)?;
        let found = self.imports.add(index, proxy)?;
        if let Some(import) = self.imports.get_mut(found) {
            import.received = 1;
        }
        Ok(right)
    }
}

/// A right to a port that is dead already: of the kind that was sent, so that the message says
/// of its rights what is so, but for a receive right.
fn dead_right<P: Page>(ipc: &mut Ipc<P>, kind: Kind) -> Result<Right, NoMemory> {
    let port = ipc.create_proxy(token(0, 0, Destination::Import(0)))?;
    let right = match kind {
        Kind::SendOnce => ipc.add_send_once(port),
        Kind::Send | Kind::Receive => ipc.add_send(port),
    };
    let Ok(right) = right else {
        ipc.remove_unused_proxy(port);
        return Err(NoMemory);
    };
    ipc.kill_port(port, Reason::Destroyed);
    Ok(right)
}
