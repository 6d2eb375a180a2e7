//! Rights outside any space: in a message, or in the hands of the network layer.
//!
//! A [`Right`] is worth exactly one reference to its port and cannot be copied. Whoever holds
//! one must give it to a space, to a message, or back to [`crate::Ipc::release`]: dropping it
//! would leak the reference, which the audit of the tests finds.

use crate::port::{PortId, RemoteToken};
use crate::set::SetId;

/// What a right lets its holder do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RightKind {
    /// Take messages from the port. There is one per port.
    Receive,
    /// Put messages into the port's queue.
    Send,
    /// Send one message, which is never refused for a full queue.
    SendOnce,
}

/// Where a right leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Port(PortId),
    /// A send-once right to a port on another node for which no port stands in here: most
    /// reply rights are used once and never need one.
    Remote(RemoteToken),
    /// A port set. Only a space holds one: it never travels.
    Set(SetId),
}

/// A right in transit: move-only, worth one reference.
///
/// It cannot be copied, nor used after it was given away:
///
/// ```compile_fail,E0599
/// fn twice(right: norma_ipc::Right) -> (norma_ipc::Right, norma_ipc::Right) {
///     (right.clone(), right)
/// }
/// ```
///
/// ```compile_fail,E0382
/// fn twice<P>(ipc: &mut norma_ipc::Ipc<P>, right: norma_ipc::Right) {
///     ipc.release(right);
///     ipc.release(right);
/// }
/// ```
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a right that is dropped is leaked: insert it, send it or release it"]
pub struct Right {
    pub(crate) kind: RightKind,
    pub(crate) target: Target,
}

impl Right {
    #[inline]
    pub(crate) const fn to_port(kind: RightKind, port: PortId) -> Self {
        Right {
            kind,
            target: Target::Port(port),
        }
    }

    /// What it lets its holder do.
    pub fn kind(&self) -> RightKind {
        self.kind
    }

    /// The port to which it leads, unless it is a bare remote send-once right.
    pub fn port(&self) -> Option<PortId> {
        match self.target {
            Target::Port(port) => Some(port),
            _ => None,
        }
    }

    /// The token of a bare remote send-once right.
    pub fn remote(&self) -> Option<RemoteToken> {
        match self.target {
            Target::Remote(token) => Some(token),
            _ => None,
        }
    }
}
