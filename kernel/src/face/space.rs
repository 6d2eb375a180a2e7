//! Spaces: rights under names, for programs that are written with names as for Mach.
//!
//! A [`Space`] is a table of its own, apart from the rights that a program holds as values: no
//! operation by name can take such a value's right away. Rights move between the two, and into
//! and out of messages. What can be asked about names is in `notify.rs`.
//! Semantics: Mach 3's `mach_port_*` calls and `mach_msg`; docs/service.md has a list.

use crate::face::error::{Failure, MoveError, SendError};
use crate::face::receive::take_within;
use crate::face::rights::{Core, with_in};
use crate::face::send::await_room;
use crate::face::{
    Delivery, Disposition, Message, Name, ReceiveStatus, Right, RightKind, RightTypes,
};
use crate::node::{self, Patience};
use crate::thread::{self, rights as held};
use alloc::vec::Vec;
use core::mem::ManuallyDrop;
use core::time::Duration;
use norma_ipc::limits::DEFAULT_NAMES;
use norma_ipc::{InsertError, RightError, SpaceId};
use norma_net::Posted;

/// Rights under names. Dropping it gives all of them up.
///
/// ```no_run
/// # #[panic_handler] fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }
/// # use norma_kernel::face::{Delivery, Disposition, Failure, Message, RightKind, Space};
/// # fn example() -> Result<(), Failure> {
/// let space = Space::new()?;
/// let port = space.allocate_port()?;
/// let right = space.take(port, Disposition::MakeSend)?;
/// // A send right to the port gets the name under which the port is held.
/// assert_eq!(space.insert(right)?, port);
/// assert_eq!(space.references(port, RightKind::Send)?, 1);
/// space.send(port, Message::with_data(b"by name")?, None)?;
/// let Delivery::Message(message) = space.receive(port, usize::MAX, None)? else {
///     return Err(Failure::Notified);
/// };
/// # Ok(())
/// # }
/// ```
///
/// ```compile_fail,E0599
/// # use norma_kernel::face::Space;
/// fn twice(space: &Space) -> Space {
///     space.clone()
/// }
/// ```
#[derive(Debug)]
pub struct Space {
    id: SpaceId,
}

impl Space {
    /// A space without names.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn new() -> Result<Self, Failure> {
        Self::with_quota(DEFAULT_NAMES)
    }

    /// A space that holds at most so many names.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn with_quota(names: u32) -> Result<Self, Failure> {
        let id = node::lock().core.ipc().create_space(names)?;
        Ok(Space { id })
    }

    /// A value for a space that is somebody else's; it must not be dropped.
    pub(crate) const fn borrowed(id: SpaceId) -> Self {
        Space { id }
    }

    pub(crate) const fn id(&self) -> SpaceId {
        self.id
    }

    fn with<R>(
        &self,
        operation: impl FnOnce(&mut Core, SpaceId) -> Result<R, RightError>,
    ) -> Result<R, Failure> {
        let no_name = Name::from_raw(0);
        with_in(Some(self.id), no_name, |ipc, space, _| {
            operation(ipc, space)
        })
    }

    // Names.

    /// A new port; its receive right has the returned name.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn allocate_port(&self) -> Result<Name, Failure> {
        self.with(|ipc, space| ipc.allocate_port(space))
    }

    /// A new port under a name that the caller chooses.
    ///
    /// # Errors
    /// [`Failure::NameInUse`], [`Failure::InvalidName`] for one that cannot be,
    /// [`Failure::NoMemory`].
    pub fn allocate_port_as(&self, name: Name) -> Result<(), Failure> {
        self.with(|ipc, space| ipc.allocate_port_as(space, name))
    }

    /// A port set without members.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn allocate_set(&self) -> Result<Name, Failure> {
        self.with(|ipc, space| ipc.allocate_set(space))
    }

    /// A name for a right whose port is dead from the beginning.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn allocate_dead_name(&self) -> Result<Name, Failure> {
        self.with(|ipc, space| ipc.allocate_dead_name(space))
    }

    /// Moves a right into the space. One to a port of which the space holds rights gets their
    /// name; a send-once right always has one of its own.
    ///
    /// # Errors
    /// Gives the right back: [`Failure::NoMemory`], also for the quota.
    pub fn insert(&self, right: impl Into<Right>) -> Result<Name, MoveError<Right>> {
        self.insert_with(right.into(), |ipc, space, right| ipc.insert(space, right))
    }

    /// Moves a right into the space, under a name that the caller chooses.
    ///
    /// # Errors
    /// Gives the right back: [`Failure::NameInUse`], [`Failure::RightHeld`] when the space calls
    /// the port otherwise, [`Failure::InvalidName`], [`Failure::NoMemory`].
    pub fn insert_as(&self, name: Name, right: impl Into<Right>) -> Result<(), MoveError<Right>> {
        let inserted = self.insert_with(right.into(), |ipc, space, right| {
            ipc.insert_as(space, name, right).map(|()| name)
        });
        inserted.map(drop)
    }

    fn insert_with(
        &self,
        right: Right,
        insert: impl FnOnce(&mut Core, SpaceId, norma_ipc::Right) -> Result<Name, InsertError>,
    ) -> Result<Name, MoveError<Right>> {
        let kind = right.kind();
        let right = ManuallyDrop::new(right);
        let mut engine = node::lock();
        let own = engine.space;
        let ipc = engine.core.ipc();
        let (error, name) = match ipc.extract(own, right.name(), kind) {
            Ok(moved) => match insert(ipc, self.id, moved) {
                Ok(name) => {
                    held::given_up();
                    engine.act(node::now());
                    return Ok(name);
                }
                // Its name was freed just now, so that there is one for it.
                Err(refused) => {
                    let back = ipc.insert(own, refused.right).map_err(|lost| {
                        ipc.release(lost.right);
                    });
                    (refused.error, back.unwrap_or(right.name()))
                }
            },
            Err(error) => (error, right.name()),
        };
        engine.act(node::now());
        Err(MoveError {
            failure: Failure::from_right(&engine, error),
            right: Right::from_name(kind, name),
        })
    }

    /// Takes a right out of the space, or makes one from what is there, as `disposition` says.
    ///
    /// # Errors
    /// [`Failure::InvalidName`], [`Failure::InvalidRight`] for a name that denotes something
    /// else, [`Failure::NoMemory`], or the port's death, when the right is to be made or copied.
    pub fn take(&self, name: Name, disposition: Disposition) -> Result<Right, Failure> {
        let own = node::lock().space;
        self.with(|ipc, space| {
            let right = ipc.copy_in(space, name, disposition)?;
            match ipc.insert(own, right) {
                Ok(name) => {
                    held::taken();
                    Ok(Right::from_name(disposition.kind(), name))
                }
                Err(refused) => {
                    let error = refused.error;
                    let moved = matches!(
                        disposition,
                        Disposition::MoveReceive
                            | Disposition::MoveSend
                            | Disposition::MoveSendOnce
                    );
                    if moved {
                        if let Err(lost) = ipc.insert_as(space, name, refused.right) {
                            ipc.release(lost.right);
                        }
                    } else {
                        ipc.retract(refused.right);
                    }
                    Err(error)
                }
            }
        })
    }

    /// Gives what is under `name` the name `to`.
    ///
    /// # Errors
    /// [`Failure::NameInUse`], [`Failure::InvalidName`], [`Failure::NoMemory`].
    pub fn rename(&self, name: Name, to: Name) -> Result<(), Failure> {
        self.with(|ipc, space| ipc.rename(space, name, to))
    }

    /// Gives up one right of a kind under a name.
    ///
    /// # Errors
    /// [`Failure::InvalidName`], [`Failure::InvalidRight`].
    pub fn deallocate(&self, name: Name, kind: RightKind) -> Result<(), Failure> {
        self.with(|ipc, space| ipc.deallocate(space, name, kind))
    }

    /// Gives up all that is under a name.
    ///
    /// # Errors
    /// [`Failure::InvalidName`].
    pub fn destroy(&self, name: Name) -> Result<(), Failure> {
        self.with(|ipc, space| ipc.destroy(space, name))
    }

    /// What a name denotes.
    ///
    /// # Errors
    /// [`Failure::InvalidName`].
    pub fn types(&self, name: Name) -> Result<RightTypes, Failure> {
        self.with(|ipc, space| ipc.right_types(space, name))
    }

    /// Every name, and what it denotes.
    ///
    /// # Errors
    /// [`Failure::NoMemory`] for the list.
    pub fn names(&self) -> Result<Vec<(Name, RightTypes)>, Failure> {
        self.with(|ipc, space| {
            let mut names = Vec::new();
            let count = ipc.name_count(space)? as usize;
            names
                .try_reserve_exact(count)
                .map_err(|_| RightError::NoMemory)?;
            names.extend(ipc.names(space)?.take(count));
            Ok(names)
        })
    }

    /// How many references of a kind a name is worth.
    ///
    /// # Errors
    /// [`Failure::InvalidName`].
    pub fn references(&self, name: Name, kind: RightKind) -> Result<u32, Failure> {
        self.with(|ipc, space| ipc.references(space, name, kind))
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
        self.with(|ipc, space| ipc.modify_references(space, name, kind, change))
    }

    // Ports.

    /// As [`ReceiveRight::status`](crate::face::ReceiveRight::status).
    ///
    /// # Errors
    /// [`Failure::InvalidName`], [`Failure::InvalidRight`].
    pub fn status(&self, port: Name) -> Result<ReceiveStatus, Failure> {
        self.with(|ipc, space| ipc.receive_status(space, port))
    }

    /// As [`ReceiveRight::set_queue_limit`](crate::face::ReceiveRight::set_queue_limit).
    ///
    /// # Errors
    /// [`Failure::OutOfRange`], [`Failure::InvalidName`], [`Failure::InvalidRight`].
    pub fn set_queue_limit(&self, port: Name, limit: u16) -> Result<(), Failure> {
        self.with(|ipc, space| ipc.set_queue_limit(space, port, limit))
    }

    /// Sets the number that the next message gets.
    ///
    /// # Errors
    /// [`Failure::InvalidName`], [`Failure::InvalidRight`].
    pub fn set_sequence(&self, port: Name, sequence: u32) -> Result<(), Failure> {
        self.with(|ipc, space| ipc.set_sequence(space, port, sequence))
    }

    /// Sets how many send rights count as made.
    ///
    /// # Errors
    /// [`Failure::InvalidName`], [`Failure::InvalidRight`].
    pub fn set_make_sends(&self, port: Name, make_sends: u32) -> Result<(), Failure> {
        self.with(|ipc, space| ipc.set_make_sends(space, port, make_sends))
    }

    /// Moves a port into a set, or out of the set in which it is.
    ///
    /// # Errors
    /// [`Failure::NotInSet`], [`Failure::InvalidName`], [`Failure::InvalidRight`].
    pub fn move_member(&self, port: Name, set: Option<Name>) -> Result<(), Failure> {
        self.with(|ipc, space| ipc.move_member(space, port, set))
    }

    /// The members of a set.
    ///
    /// # Errors
    /// [`Failure::InvalidName`], [`Failure::InvalidRight`], [`Failure::NoMemory`] for the list.
    pub fn members(&self, set: Name) -> Result<Vec<Name>, Failure> {
        self.with(|ipc, space| members(ipc, space, set))
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
        self.with(|ipc, space| ipc.push_right(space, name, disposition, message.core()))
    }

    /// Moves the first right of a message into the space.
    ///
    /// # Errors
    /// [`Failure::NoMemory`]; it is still the first.
    pub fn take_right(&self, message: &mut Message) -> Result<Option<(RightKind, Name)>, Failure> {
        self.with(|ipc, space| ipc.take_right(space, message.core()))
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
        let patience = patience(timeout);
        let thread = thread::current();
        let mut engine = node::lock();
        let now = node::now();
        let wait = (patience != Patience::None).then_some(thread);
        let message = message.unwrap();
        let urgency = message.urgency();
        if message.expects_reply() {
            // A call that is passed on: with it goes what the caller lent.
            thread::borrow(0);
        }
        let sent = match engine.core.send(now, self.id, name, message, wait) {
            Ok(Posted::Waiting) => await_room(&mut engine, thread, patience),
            Ok(posted) => {
                engine.act(now);
                if let Posted::Handed(to) = posted {
                    thread::lend(to, urgency);
                    thread::wake_uninterrupted(to);
                }
                Ok(())
            }
            Err(error) => {
                let failure = Failure::from_send(&engine, error.failure);
                Err((failure, error.message))
            }
        };
        sent.map_err(|(failure, message)| {
            drop(engine);
            SendError {
                failure,
                message: Message::wrap(message),
            }
        })
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
        let mut engine = node::lock();
        take_within(&mut engine, self.id, name, limit, patience(timeout))
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let mut engine = node::lock();
        engine.core.ipc().destroy_space(self.id);
        engine.act(node::now());
    }
}

fn patience(timeout: Option<Duration>) -> Patience {
    match timeout {
        None => Patience::Forever,
        Some(Duration::ZERO) => Patience::None,
        Some(timeout) => Patience::of(timeout),
    }
}

/// The names of a set's members.
pub(crate) fn members(ipc: &Core, space: SpaceId, set: Name) -> Result<Vec<Name>, RightError> {
    let mut names = Vec::new();
    let count = ipc.members(space, set)?.count();
    names
        .try_reserve_exact(count)
        .map_err(|_| RightError::NoMemory)?;
    names.extend(ipc.members(space, set)?.take(count));
    Ok(names)
}
