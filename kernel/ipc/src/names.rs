//! What can be done to names: choose one, rename, count references, give all up.
//!
//! Semantics: Mach 3's `mach_port_allocate_name`, `_insert_right`, `_rename`, `_mod_refs`,
//! `_destroy`; `docs/ipc.md` has the whole list.

use crate::error::{InsertError, Reason, RightError};
use crate::ipc::Ipc;
use crate::message::Message;
use crate::name::Name;
use crate::page::Page;
use crate::port::{Holder, PortId, Sink};
use crate::right::{Right, RightKind, Target};
use crate::space::{Entry, SpaceId};

/// How a right gets from a space into a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Disposition {
    /// The receive right leaves the space.
    MoveReceive = 1,
    /// A send right leaves the space, or a reference to a dead name.
    MoveSend = 2,
    /// The send right stays, another one is made from it.
    CopySend = 3,
    /// A send right is made from the receive right.
    MakeSend = 4,
    /// A send-once right is made from the receive right.
    MakeSendOnce = 5,
    /// The send-once right leaves the space.
    MoveSendOnce = 6,
}

impl Disposition {
    /// The kind of right that arrives.
    pub const fn kind(self) -> RightKind {
        match self {
            Disposition::MoveReceive => RightKind::Receive,
            Disposition::MoveSend | Disposition::CopySend | Disposition::MakeSend => {
                RightKind::Send
            }
            Disposition::MakeSendOnce | Disposition::MoveSendOnce => RightKind::SendOnce,
        }
    }
}

impl<P: Page> Ipc<P> {
    /// Takes a right out of a space, or makes one from what is there, as `disposition` says.
    ///
    /// # Errors
    /// Those of [`Ipc::extract`], [`Ipc::copy_send`] and [`Ipc::make_right`].
    pub fn copy_in(
        &mut self,
        space: SpaceId,
        name: Name,
        disposition: Disposition,
    ) -> Result<Right, RightError> {
        match disposition {
            Disposition::MoveReceive | Disposition::MoveSend | Disposition::MoveSendOnce => {
                self.extract(space, name, disposition.kind())
            }
            Disposition::CopySend => self.copy_send(space, name),
            Disposition::MakeSend | Disposition::MakeSendOnce => {
                self.make_right(space, name, disposition.kind())
            }
        }
    }

    /// As [`Ipc::copy_in`], into a message, behind the rights in it.
    ///
    /// # Errors
    /// Those of [`Ipc::copy_in`]; [`RightError::NoMemory`] when the message holds as many as it
    /// can.
    pub fn push_right(
        &mut self,
        space: SpaceId,
        name: Name,
        disposition: Disposition,
        message: &mut Message<P>,
    ) -> Result<(), RightError> {
        message.reserve_right()?;
        let right = self.copy_in(space, name, disposition)?;
        message.push_right(right).map_err(|right| {
            self.release(right);
            RightError::NoMemory
        })
    }

    /// Moves the first right of a message into a space; says what it is and how it is called
    /// there. `None` when there is none, without the right for a reply.
    ///
    /// # Errors
    /// Those of [`Ipc::insert`]; the right is still the first of the message.
    pub fn take_right(
        &mut self,
        space: SpaceId,
        message: &mut Message<P>,
    ) -> Result<Option<(RightKind, Name)>, RightError> {
        let Some(right) = message.rights().first() else {
            return Ok(None);
        };
        let kind = right.kind;
        let name = self.try_insert(space, right)?;
        let _inserted = message.take_right();
        Ok(Some((kind, name)))
    }

    /// As [`Ipc::allocate_port`], under a name that the caller chooses. Names give themselves out
    /// from index 0 upward and with rising generations; the index of a chosen one is bounded by
    /// the quota of the space. Such a name can be one that was given up before.
    ///
    /// # Errors
    /// [`RightError::NameInUse`], [`RightError::InvalidName`] for a name that cannot be, or a
    /// space that is gone, [`RightError::NoMemory`].
    pub fn allocate_port_as(&mut self, space: SpaceId, name: Name) -> Result<(), RightError> {
        let port = self.create_port(Sink::Queue, Holder::Transit)?;
        let right = Right::to_port(RightKind::Receive, port);
        self.insert_as(space, name, right).map_err(|refused| {
            self.release(refused.right);
            refused.error
        })
    }

    /// A dead name, for a program that wants a name which denotes nothing that it can use.
    ///
    /// # Errors
    /// [`RightError::NoMemory`], or [`RightError::InvalidName`] for a space that is gone.
    pub fn allocate_dead_name(&mut self, space: SpaceId) -> Result<Name, RightError> {
        self.space(space)?;
        let port = self.create_port(Sink::Queue, Holder::Transit)?;
        let send = self.add_send(port);
        self.release(Right::to_port(RightKind::Receive, port));
        self.insert(space, send?).map_err(|refused| {
            self.release(refused.right);
            refused.error
        })
    }

    /// As [`Ipc::insert`], under a name that the caller chooses, as for
    /// [`Ipc::allocate_port_as`]. A right that merges must get the name under which its port is
    /// held already.
    ///
    /// # Errors
    /// Gives the right back: [`RightError::NameInUse`], [`RightError::RightHeld`],
    /// [`RightError::InvalidName`], [`RightError::NoMemory`].
    pub fn insert_as(
        &mut self,
        space: SpaceId,
        name: Name,
        right: Right,
    ) -> Result<(), InsertError> {
        match self.try_insert_as(space, name, &right) {
            Ok(()) => Ok(()),
            Err(error) => Err(InsertError { error, right }),
        }
    }

    fn try_insert_as(
        &mut self,
        space: SpaceId,
        name: Name,
        right: &Right,
    ) -> Result<(), RightError> {
        let entry = Entry::of(right);
        let table = self.space_mut(space)?;
        if let Some(held) = entry.merging_port().and_then(|port| table.name_of(port)) {
            if held != name {
                return Err(RightError::RightHeld(held));
            }
            return self.try_insert(space, right).map(drop);
        }
        table.insert_as(name, entry)?;
        self.name_receive(&entry, space, name);
        Ok(())
    }

    /// Gives what is under `name` the name `to`; requests about it go along.
    ///
    /// # Errors
    /// [`RightError::NameInUse`]; [`RightError::InvalidName`] when `name` denotes nothing or
    /// `to` cannot be a name; [`RightError::NoMemory`].
    pub fn rename(&mut self, space: SpaceId, name: Name, to: Name) -> Result<(), RightError> {
        let table = self.space_mut(space)?;
        let entry = *table.get(name)?;
        table.rename(name, to)?;
        self.name_receive(&entry, space, to);
        self.rename_requests(entry.requests, to);
        if let Target::Set(set) = entry.target {
            self.rename_set(set, to);
        }
        Ok(())
    }

    /// Tells a port under which name its receive right is now.
    fn name_receive(&mut self, entry: &Entry, space: SpaceId, name: Name) {
        if let (true, Target::Port(id)) = (entry.receive, entry.target)
            && let Some(port) = self.port_mut(id)
        {
            port.holder = Holder::Space(space, name);
        }
    }

    /// Gives up all that is under a name: every reference, a receive right, a set.
    ///
    /// # Errors
    /// [`RightError::InvalidName`].
    pub fn destroy(&mut self, space: SpaceId, name: Name) -> Result<(), RightError> {
        let entry = self
            .space_mut(space)?
            .remove(name)
            .ok_or(RightError::InvalidName)?;
        self.release_entry(name, entry);
        Ok(())
    }

    /// How many references of a kind a name is worth: 0 or 1, for send rights more. References
    /// to a dead name count as what they were.
    ///
    /// # Errors
    /// [`RightError::InvalidName`].
    pub fn references(
        &self,
        space: SpaceId,
        name: Name,
        kind: RightKind,
    ) -> Result<u32, RightError> {
        Ok(self.space(space)?.get(name)?.count(kind))
    }

    /// Adds so many references of a kind to a name, or gives so many up. Only a live send right
    /// can have more; a receive right that is given up is destroyed.
    ///
    /// # Errors
    /// [`RightError::OutOfRange`] for more than there are, or more than there can be, of a kind;
    /// [`RightError::InvalidRight`] when there is none; [`RightError::Dead`] when a dead name
    /// was to have more.
    pub fn modify_references(
        &mut self,
        space: SpaceId,
        name: Name,
        kind: RightKind,
        change: i32,
    ) -> Result<(), RightError> {
        let entry = *self.space(space)?.get(name)?;
        let held = entry.count(kind);
        let Target::Port(id) = entry.target else {
            return self.modify_remote(space, name, held, change);
        };
        if held == 0 {
            return Err(RightError::InvalidRight);
        }
        let left = held
            .checked_add_signed(change)
            .ok_or(RightError::OutOfRange)?;
        if change > 0 {
            if kind != RightKind::Send {
                return Err(RightError::OutOfRange);
            }
            let port = self.live_port_mut(id)?;
            let sends = port.sends.checked_add(change.unsigned_abs());
            port.sends = sends.ok_or(RightError::OutOfRange)?;
            self.tally.create_many(change.unsigned_abs());
        }
        if kind != RightKind::Send || left == 0 && !entry.receive {
            return match change {
                0 => Ok(()),
                _ if kind == RightKind::Send => self.destroy(space, name),
                _ => self.deallocate(space, name, kind),
            };
        }
        self.space_mut(space)?.get_mut(name)?.sends = left;
        if change < 0 {
            self.release_sends(id, change.unsigned_abs());
        }
        Ok(())
    }

    /// The same for a send-once right without a port here, or a set.
    fn modify_remote(
        &mut self,
        space: SpaceId,
        name: Name,
        held: u32,
        change: i32,
    ) -> Result<(), RightError> {
        match (held, change) {
            (0, _) => Err(RightError::InvalidRight),
            (_, 0) => Ok(()),
            (_, -1) => self.destroy(space, name),
            _ => Err(RightError::OutOfRange),
        }
    }

    /// The port under a name, for layers inside the kernel.
    ///
    /// # Errors
    /// The name must denote a right to a port.
    pub fn port_of(&self, space: SpaceId, name: Name) -> Result<PortId, RightError> {
        match self.space(space)?.get(name)?.target {
            Target::Port(port) => Ok(port),
            _ => Err(RightError::InvalidRight),
        }
    }

    /// Why the port of a right is dead, if it is.
    pub(crate) fn reason_of(&self, target: Target) -> Option<Reason> {
        match target {
            Target::Port(port) => self.port(port)?.dead,
            _ => None,
        }
    }
}
