//! What can be done to rights in a space: make, copy, move in and out, give up.
//!
//! Leaves to others: what follows when a right is gone (`death.rs`).

use crate::error::{InsertError, Reason, RightError};
use crate::ipc::Ipc;
use crate::limits::MAX_QUEUE_LIMIT;
use crate::name::Name;
use crate::page::Page;
use crate::port::{Holder, Port, PortId, Sink};
use crate::right::{Right, RightKind, Target};
use crate::space::{Entry, SpaceId};

impl<P: Page> Ipc<P> {
    /// A new port; the space holds its receive right under the returned name.
    ///
    /// # Errors
    /// [`RightError::NoMemory`], or [`RightError::InvalidName`] for a space that is gone.
    pub fn allocate_port(&mut self, space: SpaceId) -> Result<Name, RightError> {
        self.space(space)?;
        let port = self.create_port(Sink::Queue, Holder::Transit)?;
        let right = Right::to_port(RightKind::Receive, port);
        self.insert(space, right).map_err(|refused| {
            self.release(refused.right);
            refused.error
        })
    }

    /// Sets how many messages the queue of a port holds, 1 to [`MAX_QUEUE_LIMIT`].
    ///
    /// # Errors
    /// The name must denote the receive right of a live port; [`RightError::OutOfRange`].
    pub fn set_queue_limit(
        &mut self,
        space: SpaceId,
        name: Name,
        limit: u16,
    ) -> Result<(), RightError> {
        let id = self.receive_target(space, name)?;
        let port = self.live_port_mut(id)?;
        if !(1..=MAX_QUEUE_LIMIT).contains(&limit) {
            return Err(RightError::OutOfRange);
        }
        port.limit = limit;
        self.refill_queue(id);
        self.update_ready(id, false);
        Ok(())
    }

    /// The port whose receive right is under `name`.
    #[inline]
    pub(crate) fn receive_target(&self, space: SpaceId, name: Name) -> Result<PortId, RightError> {
        match self.space(space)?.get(name)? {
            Entry {
                target: Target::Port(port),
                receive: true,
                ..
            } => Ok(*port),
            _ => Err(RightError::InvalidRight),
        }
    }

    #[inline]
    pub(crate) fn live_port_mut(&mut self, id: PortId) -> Result<&mut Port<P>, RightError> {
        let port = self.port_mut(id).ok_or(RightError::InvalidName)?;
        match port.dead {
            None => Ok(port),
            Some(reason) => Err(RightError::Dead(reason)),
        }
    }

    /// Makes a send or send-once right from the receive right under `name`.
    ///
    /// # Errors
    /// The name must denote the receive right; [`RightError::NoMemory`].
    pub fn make_right(
        &mut self,
        space: SpaceId,
        name: Name,
        kind: RightKind,
    ) -> Result<Right, RightError> {
        let id = self.receive_target(space, name)?;
        let port = self.live_port_mut(id)?;
        match kind {
            RightKind::Receive => return Err(RightError::InvalidRight),
            RightKind::Send => {
                port.make_send()?;
                port.make_sends = port.make_sends.wrapping_add(1);
            }
            RightKind::SendOnce => port.make_send_once()?,
        }
        self.tally.create();
        Ok(Right::to_port(kind, id))
    }

    /// Copies the send right under `name`.
    ///
    /// # Errors
    /// The name must denote a live send right.
    pub fn copy_send(&mut self, space: SpaceId, name: Name) -> Result<Right, RightError> {
        let Entry {
            target: Target::Port(id),
            sends: 1..,
            ..
        } = *self.space(space)?.get(name)?
        else {
            return Err(RightError::InvalidRight);
        };
        self.add_send(id)
    }

    /// One more send right to a port, for the layer above.
    ///
    /// # Errors
    /// The port must be alive; [`RightError::NoMemory`] for more than four billion.
    pub fn add_send(&mut self, id: PortId) -> Result<Right, RightError> {
        self.live_port_mut(id)?.make_send()?;
        self.tally.create();
        Ok(Right::to_port(RightKind::Send, id))
    }

    /// Moves a right out of a space. Threads that wait at a port whose receive right is moved
    /// out learn [`crate::Reason::Moved`]: what arrives from now on is not theirs.
    ///
    /// # Errors
    /// The name must denote a right of that kind.
    pub fn extract(
        &mut self,
        space: SpaceId,
        name: Name,
        kind: RightKind,
    ) -> Result<Right, RightError> {
        let right = self.take_out(space, name, kind)?;
        if let (RightKind::Receive, Target::Port(id)) = (kind, right.target) {
            self.detach_receive(id);
        }
        Ok(right)
    }

    /// As [`Ipc::extract`], for a send-once right.
    ///
    /// # Errors
    /// The name must denote a send-once right.
    #[inline]
    pub fn extract_once(&mut self, space: SpaceId, name: Name) -> Result<Right, RightError> {
        match self.space_mut(space)?.take_once(name) {
            Some(target) => Ok(Right {
                kind: RightKind::SendOnce,
                target,
            }),
            None => self.extract(space, name, RightKind::SendOnce),
        }
    }

    /// Moves a right out of a space, and does no more.
    fn take_out(
        &mut self,
        space: SpaceId,
        name: Name,
        kind: RightKind,
    ) -> Result<Right, RightError> {
        let table = self.space_mut(space)?;
        let entry = table.get_mut(name)?;
        let target = entry.target;
        // The last right under a name takes the name with it: the entry is removed whole, for
        // the table must still see by which port it was found.
        let last = match kind {
            RightKind::Send if entry.sends > 0 => entry.sends == 1 && !entry.receive,
            RightKind::SendOnce if entry.send_once => true,
            RightKind::Receive if entry.receive => entry.sends == 0,
            _ => return Err(RightError::InvalidRight),
        };
        let entry_was = *entry;
        if last {
            table.remove(name);
            self.name_deleted(name, &entry_was);
        } else if kind == RightKind::Send {
            entry.sends -= 1;
        } else {
            entry.receive = false;
        }
        if let (RightKind::Receive, Target::Port(id)) = (kind, target)
            && let Some(port) = self.port_mut(id)
        {
            port.holder = Holder::Transit;
        }
        Ok(Right { kind, target })
    }

    /// Moves a right into a space and returns its name. Send and receive rights to one port
    /// share one name; equal send rights merge. A right to a dead port becomes a dead name.
    ///
    /// # Errors
    /// Gives the right back when the space is gone, its quota used up or memory exhausted.
    pub fn insert(&mut self, space: SpaceId, right: Right) -> Result<Name, InsertError> {
        match self.try_insert(space, &right) {
            Ok(name) => Ok(name),
            Err(error) => Err(InsertError { error, right }),
        }
    }

    /// As [`Ipc::insert`], quickest for a send-once right.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn insert_once(&mut self, space: SpaceId, right: Right) -> Result<Name, InsertError> {
        if right.kind != RightKind::SendOnce {
            return self.insert(space, right);
        }
        let table = match self.space_mut(space) {
            Ok(table) => table,
            Err(error) => return Err(InsertError { error, right }),
        };
        match table.insert_once(right.target) {
            Ok(name) => Ok(name),
            Err(error) => Err(InsertError {
                error: error.into(),
                right,
            }),
        }
    }

    pub(crate) fn try_insert(&mut self, space: SpaceId, right: &Right) -> Result<Name, RightError> {
        let table = self.space_mut(space)?;
        let held = match (right.target, right.kind) {
            (_, RightKind::SendOnce) => None,
            (Target::Port(port), _) => table.name_of(port),
            _ => return Err(RightError::InvalidRight),
        };
        let name = match held {
            Some(name) => {
                let entry = table.get_mut(name)?;
                match right.kind {
                    RightKind::Receive => entry.receive = true,
                    _ => {
                        entry.sends = entry.sends.checked_add(1).ok_or(RightError::NoMemory)?;
                    }
                }
                name
            }
            None => table.insert(Entry::of(right))?,
        };
        if let (RightKind::Receive, Target::Port(id)) = (right.kind, right.target)
            && let Some(port) = self.port_mut(id)
        {
            port.holder = Holder::Space(space, name);
        }
        Ok(name)
    }

    /// Gives up one right under `name`: destroys the port if it is the receive right.
    ///
    /// # Errors
    /// The name must denote a right of that kind.
    pub fn deallocate(
        &mut self,
        space: SpaceId,
        name: Name,
        kind: RightKind,
    ) -> Result<(), RightError> {
        let right = self.take_out(space, name, kind)?;
        self.release(right);
        Ok(())
    }

    /// The same, for a reason: whoever waits for the message of a send-once right learns it, and
    /// so does whoever has or uses a right to the port of a receive right.
    ///
    /// # Errors
    /// As there.
    pub fn deallocate_because(
        &mut self,
        space: SpaceId,
        name: Name,
        kind: RightKind,
        reason: Reason,
    ) -> Result<(), RightError> {
        let right = self.take_out(space, name, kind)?;
        if let (RightKind::Receive, Target::Port(id)) = (right.kind, right.target)
            && self.port(id).is_some_and(Port::ends_with_its_right)
        {
            self.kill_port(id, reason);
        }
        self.release_because(right, reason);
        Ok(())
    }

    /// Gives the send-once right under `name` up as if it had never been made: no notification
    /// comes to its port. The receive right of that must be in the same space.
    ///
    /// # Errors
    /// [`RightError::InvalidRight`] if it is not, or the name denotes something else.
    pub fn unmake_once(&mut self, space: SpaceId, name: Name) -> Result<(), RightError> {
        let own = match self.space(space)?.get(name)? {
            Entry {
                target: Target::Port(id),
                send_once: true,
                ..
            } => self.port(*id).map(|port| port.holder),
            _ => None,
        };
        if !matches!(own, Some(Holder::Space(holder, _)) if holder == space) {
            return Err(RightError::InvalidRight);
        }
        let right = self.take_out(space, name, RightKind::SendOnce)?;
        self.retract(right);
        Ok(())
    }

    /// Releases all that a name was worth.
    pub(crate) fn release_entry(&mut self, name: Name, entry: Entry) {
        self.name_deleted(name, &entry);
        let Entry {
            target,
            receive,
            sends,
            send_once,
            ..
        } = entry;
        match target {
            Target::Set(set) => self.destroy_set(set),
            Target::Port(id) if sends > 0 => self.release_sends(id, sends),
            _ => {}
        }
        for (held, kind) in [
            (send_once, RightKind::SendOnce),
            (receive, RightKind::Receive),
        ] {
            if held {
                self.release(Right { kind, target });
            }
        }
    }
}
