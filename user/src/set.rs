//! Port sets: one place to receive from several ports.

use crate::failure::Failure;
use crate::rights::{ReceiveRight, named};
use crate::system::plain;
use norma_abi::call;
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
        if port.status()?.set != self.name.raw() {
            return Err(Failure::NotInSet);
        }
        move_member(port.name, 0)
    }

    /// Whether a port is a member.
    pub fn contains(&self, port: &ReceiveRight) -> bool {
        port.status()
            .is_ok_and(|status| status.set == self.name.raw())
    }
}

fn move_member(port: Name, set: u32) -> Result<(), Failure> {
    plain(call::MOVE_MEMBER, [port.raw().into(), set.into(), 0, 0])?;
    Ok(())
}

impl Drop for PortSet {
    fn drop(&mut self) {
        let _ = plain(call::DESTROY, [self.name.raw().into(), 0, 0, 0]);
    }
}
