//! The task's names: rights under names, for programs that are written with names as for Mach.
//!
//! A task has one space, in which the rights that it holds as values are too. So an operation by
//! name can take such a value's right away: who works with names keeps apart what is a value and
//! what is a name. Rights move between the two without a call, for a value is its name.
//! Semantics: Mach 3's `mach_port_*` calls and `mach_msg`; docs/service.md has a list.

use crate::carry::Right;
use crate::failure::{Failure, MoveError, SendError};
use crate::message::Message;
use crate::notify::{Asked, Delivery, Withdrawn, ask, withdraw};
use crate::receive::receive_within;
use crate::rights::{SendOnceRight, kind_number, make, named, status};
use crate::send::{nanoseconds, send};
use crate::set::{list, members, move_member};
use crate::system::plain;
use alloc::vec::Vec;
use core::time::Duration;
use norma_abi::{FOREVER, about, call, disposition};
use norma_ipc::{About, Disposition, Name, ReceiveStatus, RightKind, RightTypes};

/// The rights of this task, by their names: [`Task::space`](crate::Task::space). There is one of
/// them, and to drop the value gives nothing up.
#[derive(Debug, Clone, Copy)]
pub struct Space(());

impl Space {
    pub(crate) const fn own() -> Self {
        Space(())
    }

    // Names.

    /// A new port; its receive right has the returned name.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn allocate_port(&self) -> Result<Name, Failure> {
        Ok(named(plain(call::ALLOCATE_PORT, [0; 4])?))
    }

    /// A new port under a name that the caller chooses.
    ///
    /// # Errors
    /// [`Failure::NameInUse`], [`Failure::InvalidName`] for one that cannot be,
    /// [`Failure::NoMemory`].
    pub fn allocate_port_as(&self, name: Name) -> Result<(), Failure> {
        about_name(call::ALLOCATE_PORT_AS, name, [0; 3]).map(drop)
    }

    /// A port set without members.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn allocate_set(&self) -> Result<Name, Failure> {
        Ok(named(plain(call::ALLOCATE_SET, [0; 4])?))
    }

    /// A name for a right whose port is dead from the beginning.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn allocate_dead_name(&self) -> Result<Name, Failure> {
        Ok(named(plain(call::ALLOCATE_DEAD_NAME, [0; 4])?))
    }

    /// Makes a name of a value: it has that name already.
    ///
    /// # Errors
    /// None.
    pub fn insert(&self, right: impl Into<Right>) -> Result<Name, MoveError<Right>> {
        Ok(right.into().into_name())
    }

    /// The same under a name that the caller chooses, for all that the task has under the right's.
    ///
    /// # Errors
    /// Gives the right back: [`Failure::NameInUse`], [`Failure::InvalidName`],
    /// [`Failure::NoMemory`].
    pub fn insert_as(&self, name: Name, right: impl Into<Right>) -> Result<(), MoveError<Right>> {
        let right = right.into();
        match self.rename(right.name(), name) {
            Ok(()) => {
                let _ = right.into_name();
                Ok(())
            }
            Err(failure) => Err(MoveError { failure, right }),
        }
    }

    /// Makes a value of what is under a name, or of a right that is made from it, as
    /// `disposition` says.
    ///
    /// # Errors
    /// [`Failure::InvalidName`], [`Failure::InvalidRight`] for a name that denotes something
    /// else, [`Failure::NoMemory`], or the port's death, when the right is to be made or copied.
    pub fn take(&self, name: Name, disposition: Disposition) -> Result<Right, Failure> {
        let how = match disposition {
            Disposition::CopySend => disposition::COPY_SEND,
            Disposition::MakeSend => disposition::MAKE_SEND,
            Disposition::MakeSendOnce => disposition::MAKE_SEND_ONCE,
            Disposition::MoveReceive | Disposition::MoveSend | Disposition::MoveSendOnce => {
                // It is the task's, under the name that it keeps.
                return match self.references(name, disposition.kind())? {
                    0 => Err(Failure::InvalidRight),
                    _ => Ok(Right::from_name(disposition.kind(), name)),
                };
            }
        };
        let made = make(name, how)?;
        Ok(Right::from_name(disposition.kind(), made))
    }

    /// Gives what is under `name` the name `to`.
    ///
    /// # Errors
    /// [`Failure::NameInUse`], [`Failure::InvalidName`], [`Failure::NoMemory`].
    pub fn rename(&self, name: Name, to: Name) -> Result<(), Failure> {
        about_name(call::RENAME, name, [to.raw().into(), 0, 0]).map(drop)
    }

    /// Gives up one right of a kind under a name.
    ///
    /// # Errors
    /// [`Failure::InvalidName`], [`Failure::InvalidRight`].
    pub fn deallocate(&self, name: Name, kind: RightKind) -> Result<(), Failure> {
        about_name(call::DEALLOCATE, name, [kind_number(kind).into(), 0, 0]).map(drop)
    }

    /// Gives up all that is under a name.
    ///
    /// # Errors
    /// [`Failure::InvalidName`].
    pub fn destroy(&self, name: Name) -> Result<(), Failure> {
        about_name(call::DESTROY, name, [0; 3]).map(drop)
    }

    /// What a name denotes.
    ///
    /// # Errors
    /// [`Failure::InvalidName`].
    pub fn types(&self, name: Name) -> Result<RightTypes, Failure> {
        let bits = about_name(call::TYPES, name, [0; 3])?;
        Ok(RightTypes::from_bits_truncate(bits as u8))
    }

    /// Every name, and what it denotes.
    ///
    /// # Errors
    /// [`Failure::NoMemory`] for the list.
    pub fn names(&self) -> Result<Vec<(Name, RightTypes)>, Failure> {
        let entries = list(|at, room| (call::NAMES, [at, room, 0, 0]))?;
        let mut names = Vec::new();
        names
            .try_reserve_exact(entries.len())
            .map_err(|_| Failure::NoMemory)?;
        names.extend(entries.iter().map(|entry| {
            let types = RightTypes::from_bits_truncate(entry.what as u8);
            (Name::from_raw(entry.name), types)
        }));
        Ok(names)
    }

    /// How many references of a kind a name is worth.
    ///
    /// # Errors
    /// [`Failure::InvalidName`].
    pub fn references(&self, name: Name, kind: RightKind) -> Result<u32, Failure> {
        let count = about_name(call::REFERENCES, name, [kind_number(kind).into(), 0, 0])?;
        Ok(count as u32)
    }

    /// Adds references of a kind to a name, or gives some up. Only a live send right can have
    /// more; a receive right that is given up is destroyed.
    ///
    /// # Errors
    /// [`Failure::OutOfRange`], [`Failure::InvalidName`], [`Failure::InvalidRight`], the port's
    /// death.
    pub fn modify_references(
        &self,
        name: Name,
        kind: RightKind,
        change: i32,
    ) -> Result<(), Failure> {
        let change = i64::from(change).cast_unsigned();
        let rest = [kind_number(kind).into(), change, 0];
        about_name(call::MODIFY_REFERENCES, name, rest).map(drop)
    }

    // Ports.

    /// As [`ReceiveRight::status`](crate::ReceiveRight::status).
    ///
    /// # Errors
    /// [`Failure::InvalidName`], [`Failure::InvalidRight`].
    pub fn status(&self, port: Name) -> Result<ReceiveStatus, Failure> {
        status(port)
    }

    /// As [`ReceiveRight::set_queue_limit`](crate::ReceiveRight::set_queue_limit).
    ///
    /// # Errors
    /// [`Failure::OutOfRange`], [`Failure::InvalidName`], [`Failure::InvalidRight`].
    pub fn set_queue_limit(&self, port: Name, limit: u16) -> Result<(), Failure> {
        about_name(call::SET_QUEUE_LIMIT, port, [limit.into(), 0, 0]).map(drop)
    }

    /// Sets the number that the next message gets.
    ///
    /// # Errors
    /// [`Failure::InvalidName`], [`Failure::InvalidRight`].
    pub fn set_sequence(&self, port: Name, sequence: u32) -> Result<(), Failure> {
        about_name(call::SET_SEQUENCE, port, [sequence.into(), 0, 0]).map(drop)
    }

    /// Sets how many send rights count as made.
    ///
    /// # Errors
    /// [`Failure::InvalidName`], [`Failure::InvalidRight`].
    pub fn set_make_sends(&self, port: Name, make_sends: u32) -> Result<(), Failure> {
        about_name(call::SET_MAKE_SENDS, port, [make_sends.into(), 0, 0]).map(drop)
    }

    /// Moves a port into a set, or out of the set in which it is.
    ///
    /// # Errors
    /// [`Failure::NotInSet`], [`Failure::InvalidName`], [`Failure::InvalidRight`].
    pub fn move_member(&self, port: Name, set: Option<Name>) -> Result<(), Failure> {
        move_member(port, set.map_or(0, Name::raw))
    }

    /// The members of a set.
    ///
    /// # Errors
    /// [`Failure::InvalidName`], [`Failure::InvalidRight`], [`Failure::NoMemory`] for the list.
    pub fn members(&self, set: Name) -> Result<Vec<Name>, Failure> {
        members(set)
    }

    // Being told.

    /// Asks about what is under a name, as [`SendRight::notify_death`](crate::SendRight) and
    /// [`SendRight::notify_room`](crate::SendRight) do.
    ///
    /// # Errors
    /// As there.
    pub fn request(&self, name: Name, about: About, notify: SendOnceRight) -> Asked {
        ask(about_number(about), name, notify, 0)
    }

    /// Withdraws such a request.
    ///
    /// # Errors
    /// As there.
    pub fn withdraw(&self, name: Name, about: About) -> Withdrawn {
        withdraw(about_number(about), name)
    }

    /// As [`ReceiveRight::notify_no_senders`](crate::ReceiveRight::notify_no_senders).
    ///
    /// # Errors
    /// As there.
    pub fn request_no_senders(&self, name: Name, sync: u32, notify: SendOnceRight) -> Asked {
        ask(about::NO_SENDERS, name, notify, sync)
    }

    /// As [`ReceiveRight::withdraw_no_senders`](crate::ReceiveRight::withdraw_no_senders).
    ///
    /// # Errors
    /// As there.
    pub fn withdraw_no_senders(&self, name: Name) -> Withdrawn {
        withdraw(about::NO_SENDERS, name)
    }

    /// As [`ReceiveRight::notify_port_destroyed`](crate::ReceiveRight::notify_port_destroyed).
    ///
    /// # Errors
    /// As there.
    pub fn request_port_destroyed(&self, name: Name, notify: SendOnceRight) -> Asked {
        ask(about::PORT_DESTROYED, name, notify, 0)
    }

    /// As [`ReceiveRight::withdraw_port_destroyed`](crate::ReceiveRight::withdraw_port_destroyed).
    ///
    /// # Errors
    /// As there.
    pub fn withdraw_port_destroyed(&self, name: Name) -> Withdrawn {
        withdraw(about::PORT_DESTROYED, name)
    }

    // Messages.

    /// Puts a right into a message, as `disposition` says.
    ///
    /// # Errors
    /// As [`Space::take`]; nothing has moved.
    pub fn push_right(
        &self,
        name: Name,
        disposition: Disposition,
        message: &mut Message,
    ) -> Result<(), Failure> {
        let right = self.take(name, disposition)?;
        let kind = right.kind();
        match message.push(right.name(), kind) {
            Ok(()) => {
                let _ = right.into_name();
                Ok(())
            }
            Err(failure) => {
                if !matches!(
                    disposition,
                    Disposition::CopySend | Disposition::MakeSend | Disposition::MakeSendOnce
                ) {
                    // It stays under its name.
                    let _ = right.into_name();
                }
                Err(failure)
            }
        }
    }

    /// Moves the first right of a message into the space.
    ///
    /// # Errors
    /// None: it has its name already.
    pub fn take_right(&self, message: &mut Message) -> Result<Option<(RightKind, Name)>, Failure> {
        let right = message.take_any_right()?;
        Ok(right.map(|right| (right.kind(), right.into_name())))
    }

    /// Sends a message to a send or send-once right, and waits while the queue is full: until
    /// `timeout` has passed, if there is one. Zero is not to wait.
    ///
    /// # Errors
    /// The message comes back whole.
    pub fn send(
        &self,
        name: Name,
        message: Message,
        timeout: Option<Duration>,
    ) -> Result<(), SendError> {
        send(name, message, timeout.map_or(FOREVER, nanoseconds))
    }

    /// Receives from a port or a set what has at most `limit` bytes of inline data, and waits for
    /// it: until `timeout` has passed, if there is one. Zero is not to wait.
    ///
    /// # Errors
    /// [`Failure::TooLarge`], and what was too large is still the first;
    /// [`Failure::TimedOut`], [`Failure::Empty`], [`Failure::PortDied`], [`Failure::Moved`],
    /// [`Failure::InvalidName`], [`Failure::InvalidRight`].
    pub fn receive(
        &self,
        name: Name,
        limit: usize,
        timeout: Option<Duration>,
    ) -> Result<Delivery, Failure> {
        receive_within(name, limit, timeout.map_or(FOREVER, nanoseconds))
    }
}

fn about_name(number: u64, name: Name, rest: [u64; 3]) -> Result<u64, Failure> {
    let [b, c, d] = rest;
    Ok(plain(number, [name.raw().into(), b, c, d])?)
}

const fn about_number(about: About) -> u64 {
    match about {
        About::Death => about::DEATH,
        About::Room => about::ROOM,
    }
}
