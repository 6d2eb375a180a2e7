//! Port sets: many ports, received from as if they were one.
//!
//! A set does not own its members: a receive right stays the value that it is, can be received
//! from alone, and leaves the set when it is dropped or moved away. A message says on which port
//! it came ([`ReceiveRight::received`]). Members that have something take turns.

use crate::face::error::Failure;
use crate::face::rights::with;
use crate::face::space::members;
use crate::face::{Name, ReceiveRight};
use crate::node;
use alloc::vec::Vec;

/// A set of ports to receive from. Dropping it leaves the ports as they are.
///
/// ```no_run
/// # #[panic_handler] fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }
/// # use norma_kernel::face::{Failure, PortSet, ReceiveRight};
/// # fn example() -> Result<(), Failure> {
/// let (orders, control) = (ReceiveRight::new()?, ReceiveRight::new()?);
/// let set = PortSet::new()?;
/// set.add(&orders)?;
/// set.add(&control)?;
/// loop {
///     let message = set.receive()?;
///     if control.received(&message) {
///         break;
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// There is one value of each, and nobody sends to a set:
///
/// ```compile_fail,E0599
/// # use norma_kernel::face::PortSet;
/// fn twice(set: &PortSet) -> PortSet {
///     set.clone()
/// }
/// ```
///
/// ```compile_fail,E0599
/// # use norma_kernel::face::PortSet;
/// fn send(set: &PortSet) {
///     let _ = set.make_send();
/// }
/// ```
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
        let mut engine = node::lock();
        let space = engine.space;
        match engine.core.ipc().allocate_set(space) {
            Ok(name) => Ok(PortSet { name }),
            Err(error) => Err(Failure::from_right(&engine, error)),
        }
    }

    /// What the task calls the set.
    pub const fn name(&self) -> Name {
        self.name
    }

    /// Puts a port into this set, out of the one in which it is. What is queued there goes to
    /// threads that wait at the set.
    ///
    /// # Errors
    /// None while both values live; [`Failure::InvalidName`] otherwise.
    pub fn add(&self, port: &ReceiveRight) -> Result<(), Failure> {
        with(port.name, |ipc, space, name| {
            ipc.move_member(space, name, Some(self.name))
        })
    }

    /// Takes a port out.
    ///
    /// # Errors
    /// [`Failure::NotInSet`].
    pub fn remove(&self, port: &ReceiveRight) -> Result<(), Failure> {
        with(port.name, |ipc, space, name| {
            if ipc.receive_status(space, name)?.set != Some(self.name) {
                return Err(norma_ipc::RightError::NotInSet);
            }
            ipc.move_member(space, name, None)
        })
    }

    /// Whether a port is in this set.
    pub fn contains(&self, port: &ReceiveRight) -> bool {
        port.status()
            .is_ok_and(|status| status.set == Some(self.name))
    }

    /// The names of its members ([`ReceiveRight::name`]), in the order in which they came.
    ///
    /// # Errors
    /// [`Failure::NoMemory`] for the list.
    pub fn members(&self) -> Result<Vec<Name>, Failure> {
        with(self.name, |ipc, space, name| members(ipc, space, name))
    }
}

impl Drop for PortSet {
    fn drop(&mut self) {
        // A name that denotes nothing any more has nothing to give up.
        let _ = with(self.name, |ipc, space, name| ipc.destroy(space, name));
    }
}
