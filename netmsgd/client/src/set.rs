//! Port sets: many ports, received from as if they were one.
//!
//! A set does not own its members: a receive right stays the value that it is, can be received
//! from alone, and leaves the set when it is dropped or moved away. A message says on which port
//! it came ([`ReceiveRight::received`]). Members that have something take turns.

use crate::connection::{Node, Shared};
use crate::error::Failure;
use crate::protocol::{Operation, Request};
use crate::rights::ReceiveRight;
use norma_ipc::{Name, RightKind};
use std::sync::Arc;

/// A set of ports to receive from. Dropping it leaves the ports as they are.
///
/// ```compile_fail,E0599
/// # use norma_client::PortSet;
/// fn twice(set: &PortSet) -> PortSet {
///     set.clone()
/// }
/// ```
///
/// ```compile_fail,E0599
/// # use norma_client::PortSet;
/// fn send(set: &PortSet) {
///     let _ = set.make_send();
/// }
/// ```
#[derive(Debug)]
pub struct PortSet {
    node: Arc<Shared>,
    name: Name,
}

impl PortSet {
    /// A set without members.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn new(node: &Node) -> Result<Self, Failure> {
        let reply = node.ask(&Request::new(Operation::NewSet, 0), &[])?;
        Ok(Self {
            node: Arc::clone(&node.0),
            name: Name::from_raw(reply.name),
        })
    }

    /// What the task calls the set.
    #[must_use]
    pub const fn name(&self) -> Name {
        self.name
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.node
    }

    /// Puts a port into this set, out of the one in which it is. What is queued there goes to
    /// threads that wait at the set.
    ///
    /// # Errors
    /// [`Failure::InvalidName`] for a port of another task.
    pub fn add(&self, port: &ReceiveRight) -> Result<(), Failure> {
        self.move_to(port, self.name.raw())
    }

    /// Takes a port out of the set in which it is.
    ///
    /// # Errors
    /// [`Failure::NotInSet`] if it is in none, [`Failure::InvalidName`] for a port of another task.
    pub fn remove(&self, port: &ReceiveRight) -> Result<(), Failure> {
        self.move_to(port, 0)
    }

    fn move_to(&self, port: &ReceiveRight, set: u32) -> Result<(), Failure> {
        // What is called so here is another port, if anything.
        if !Arc::ptr_eq(port.shared(), &self.node) {
            return Err(Failure::InvalidName);
        }
        let request = Request {
            other: set,
            ..Request::new(Operation::Move, port.name().raw())
        };
        self.node.ask(&request, &[]).map(drop)
    }
}

impl Drop for PortSet {
    fn drop(&mut self) {
        self.node.tell(&Request {
            kind: RightKind::Receive,
            ..Request::new(Operation::Release, self.name.raw())
        });
    }
}
