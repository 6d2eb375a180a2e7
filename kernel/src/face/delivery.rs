//! What is received: a message, or news of the kernel's own.
//!
//! Whoever wants such news asks for it (`notify.rs`) and receives with the methods that yield a
//! [`Delivery`]. The others yield messages alone; what else comes is in their error, so that
//! nothing is lost.

use crate::face::error::{Failure, MoveError};
use crate::face::rights::taken;
use crate::face::{Message, ReceiveRight};
use crate::node::{self, Engine};
use core::fmt;
use core::mem::ManuallyDrop;
use norma_ipc::{Name, SpaceId};

/// What a receive yields.
#[derive(Debug)]
#[must_use]
pub enum Delivery {
    /// A message that somebody sent.
    Message(Message),
    /// News from the kernel.
    Notification(Notification),
}

/// What the kernel itself has to say to a port. Each uses up one send-once right to it.
#[derive(Debug)]
pub enum Notification {
    /// A send-once right to the port was given up unused, or what was asked with it can never
    /// happen any more; why.
    SendOnce(Failure),
    /// The port of a right has died ([`SendRight::notify_death`](crate::face::SendRight)).
    DeadName {
        /// The name of the right.
        name: Name,
        /// Why the port died.
        failure: Failure,
    },
    /// All rights under a name for which something was asked were given up.
    NameDeleted {
        /// The name that was.
        name: Name,
    },
    /// There is no send right left to the port for which that was asked.
    NoSenders {
        /// How many send rights were made from its receive right until now.
        make_sends: u32,
    },
    /// The receive right of a port, which was given up and not destroyed.
    PortDestroyed(ReturnedRight),
    /// There is room in the queue of the port of a right.
    Room {
        /// The name of the right.
        name: Name,
    },
}

impl Notification {
    #[cold]
    pub(crate) fn from_core(engine: &Engine, notification: norma_ipc::Notification) -> Self {
        use norma_ipc::Notification as Core;
        match notification {
            Core::SendOnce(reason) => Notification::SendOnce(Failure::from_reason(engine, reason)),
            Core::DeadName { name, reason } => Notification::DeadName {
                name,
                failure: Failure::from_reason(engine, reason),
            },
            Core::NameDeleted { name } => Notification::NameDeleted { name },
            Core::NoSenders { make_sends } => Notification::NoSenders { make_sends },
            Core::PortDestroyed(right) => {
                Notification::PortDestroyed(ReturnedRight(ManuallyDrop::new(right)))
            }
            Core::Room { name } => Notification::Room { name },
        }
    }
}

impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notification::SendOnce(failure) => failure.fmt(f),
            Notification::DeadName { name, failure } => write!(f, "{name:?} is dead: {failure}"),
            Notification::NameDeleted { name } => write!(f, "{name:?} was given up"),
            Notification::NoSenders { .. } => f.write_str("nobody can send any more"),
            Notification::PortDestroyed(_) => f.write_str("a receive right was given up"),
            Notification::Room { name } => write!(f, "{name:?} has room"),
        }
    }
}

/// A receive right that came back, in no space yet. Dropping it destroys the port.
#[derive(Debug)]
pub struct ReturnedRight(ManuallyDrop<norma_ipc::Right>);

impl ReturnedRight {
    /// The right, under a name of this task.
    ///
    /// # Errors
    /// Gives the right back when there is no memory for a name.
    pub fn claim(self) -> Result<ReceiveRight, MoveError<ReturnedRight>> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is never dropped, so the right has one owner.
        let right = unsafe { ManuallyDrop::take(&mut this.0) };
        let mut engine = node::lock();
        let space = engine.space;
        match engine.core.ipc().insert(space, right) {
            Ok(name) => Ok(taken(name)),
            Err(refused) => Err(MoveError {
                failure: Failure::from_right(&engine, refused.error),
                right: ReturnedRight(ManuallyDrop::new(refused.right)),
            }),
        }
    }
}

impl ReturnedRight {
    /// The right, under a name of some space.
    pub(crate) fn claim_in(self, space: SpaceId) -> Result<Name, MoveError<ReturnedRight>> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is never dropped, so the right has one owner.
        let right = unsafe { ManuallyDrop::take(&mut this.0) };
        let mut engine = node::lock();
        engine
            .core
            .ipc()
            .insert(space, right)
            .map_err(|refused| MoveError {
                failure: Failure::from_right(&engine, refused.error),
                right: ReturnedRight(ManuallyDrop::new(refused.right)),
            })
    }
}

impl Drop for ReturnedRight {
    fn drop(&mut self) {
        // SAFETY: dropped here once and not used afterwards.
        let right = unsafe { ManuallyDrop::take(&mut self.0) };
        let mut engine = node::lock();
        engine.core.ipc().release(right);
        engine.act(node::now());
    }
}
