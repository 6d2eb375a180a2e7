//! Port sets: one place to receive from several ports.

use crate::failure::Failure;
use crate::rights::{ReceiveRight, named};
use crate::system::{self, plain};
use alloc::vec::Vec;
use norma_abi::{Entry, call};
use norma_ipc::Name;

/// A set of ports. Dropping it leaves its members to themselves.
#[derive(Debug)]
pub struct PortSet {
    pub(crate) name: Name,
}

impl PortSet {
    /// A set without members.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn new() -> Result<Self, Failure> {
        let name = named(plain(call::ALLOCATE_SET, [0; 4])?);
        Ok(PortSet { name })
    }

    /// What the task calls the set.
    pub const fn name(&self) -> Name {
        self.name
    }

    /// Makes a port a member, of this set and of no other.
    ///
    /// # Errors
    /// [`Failure::InvalidRight`].
    pub fn add(&self, port: &ReceiveRight) -> Result<(), Failure> {
        move_member(port.name, self.name.raw())
    }

    /// Makes it no member any more.
    ///
    /// # Errors
    /// [`Failure::NotInSet`].
    pub fn remove(&self, port: &ReceiveRight) -> Result<(), Failure> {
        if port.status()?.set != Some(self.name) {
            return Err(Failure::NotInSet);
        }
        move_member(port.name, 0)
    }

    /// Whether a port is a member.
    pub fn contains(&self, port: &ReceiveRight) -> bool {
        port.status()
            .is_ok_and(|status| status.set == Some(self.name))
    }

    /// The names of its members ([`ReceiveRight::name`]), in the order in which they came.
    ///
    /// # Errors
    /// [`Failure::NoMemory`] for the list.
    pub fn members(&self) -> Result<Vec<Name>, Failure> {
        members(self.name)
    }
}

/// The names of a set's members.
pub(crate) fn members(set: Name) -> Result<Vec<Name>, Failure> {
    let entries = list(|at, room| (call::MEMBERS, [set.raw().into(), at, room, 0]))?;
    Ok(entries
        .iter()
        .map(|entry| Name::from_raw(entry.name))
        .collect())
}

/// A list that the kernel writes, with as much room as it takes: `arguments` says how to ask for
/// it, from an address and a number of entries.
pub(crate) fn list(arguments: impl Fn(u64, u64) -> (u64, [u64; 4])) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::<Entry>::new();
    loop {
        let room = entries.capacity();
        let (number, arguments) = arguments(entries.as_mut_ptr() as u64, room as u64);
        // SAFETY: the kernel writes no more entries than there is room for.
        let count = unsafe { system::call(number, arguments) }? as usize;
        if count <= room {
            // SAFETY: it has written so many.
            unsafe { entries.set_len(count) };
            return Ok(entries);
        }
        entries.try_reserve(count).map_err(|_| Failure::NoMemory)?;
    }
}

pub(crate) fn move_member(port: Name, set: u32) -> Result<(), Failure> {
    plain(call::MOVE_MEMBER, [port.raw().into(), set.into(), 0, 0])?;
    Ok(())
}

impl Drop for PortSet {
    fn drop(&mut self) {
        let _ = plain(call::DESTROY, [self.name.raw().into(), 0, 0, 0]);
    }
}
