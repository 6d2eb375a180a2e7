//! Rights, as programs hold them: move-only, released when dropped.

use crate::connection::{Node, Shared};
use crate::error::Failure;
use crate::message::Message;
use crate::protocol::{Operation, Request};
use norma_ipc::{Name, RightKind};
use std::sync::Arc;

mod sealed {
    pub trait Sealed {}
}

/// One of the three types of rights.
pub trait AnyRight: Sized + sealed::Sealed {
    /// What it is.
    const KIND: RightKind;

    /// What the task calls it.
    fn name(&self) -> Name;

    /// Gives the value up and keeps the right under its name.
    #[doc(hidden)]
    fn into_name(self) -> Name;
}

macro_rules! right {
    ($(#[$doc:meta])* $type:ident, $new:ident, $kind:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $type {
            /// `None` when the right is somebody else's.
            node: Option<Arc<Shared>>,
            name: Name,
        }

        impl $type {
            pub(crate) fn $new(node: &Arc<Shared>, name: Name) -> Self {
                Self { node: Some(Arc::clone(node)), name }
            }

            /// What the task calls the right: a notification about it says this name. Send
            /// rights to one port have one name, which is also that of its receive right.
            #[must_use]
            pub const fn name(&self) -> Name {
                self.name
            }

            /// The way to the daemon that holds it.
            pub(crate) fn shared(&self) -> &Arc<Shared> {
                match &self.node {
                    Some(node) => node,
                    None => unreachable!("a right that was given away is not used"),
                }
            }
        }

        impl sealed::Sealed for $type {}

        impl AnyRight for $type {
            const KIND: RightKind = $kind;

            fn name(&self) -> Name {
                self.name
            }

            fn into_name(mut self) -> Name {
                self.node = None;
                self.name
            }
        }

        impl Drop for $type {
            fn drop(&mut self) {
                if let Some(node) = self.node.take() {
                    node.tell(&Request {
                        kind: $kind,
                        ..Request::new(Operation::Release, self.name.raw())
                    });
                }
            }
        }
    };
}

right! {
    /// The right to take messages from a port. There is exactly one; dropping it destroys the
    /// port, and whoever waits for it learns so.
    ///
    /// ```compile_fail,E0599
    /// fn twice(port: &norma_client::ReceiveRight) -> norma_client::ReceiveRight {
    ///     port.clone()
    /// }
    /// ```
    ReceiveRight, new_named, RightKind::Receive
}

right! {
    /// The right to send to a port, on this node or on another.
    ///
    /// ```compile_fail,E0382
    /// # use norma_client::{Message, SendRight};
    /// fn send_after(right: SendRight, mut message: Message, other: Message) {
    ///     let _ = message.push_right(right);
    ///     let _ = right.send(other);
    /// }
    /// ```
    SendRight, new, RightKind::Send
}

right! {
    /// The right to send one message, which is never refused for a full queue. If it is dropped
    /// unused, whoever waits for the message learns so.
    ///
    /// ```compile_fail,E0382
    /// # use norma_client::{Message, SendOnceRight};
    /// fn twice(right: SendOnceRight, message: Message, another: Message) {
    ///     let _ = right.send(message);
    ///     let _ = right.send(another);
    /// }
    /// ```
    SendOnceRight, new, RightKind::SendOnce
}

impl ReceiveRight {
    /// A new port.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn new(node: &Node) -> Result<Self, Failure> {
        let reply = node.ask(&Request::new(Operation::NewPort, 0), &[])?;
        Ok(Self::new_named(&node.0, Name::from_raw(reply.name)))
    }

    fn make(&self, kind: RightKind) -> Result<Name, Failure> {
        let request = Request {
            kind,
            ..Request::new(Operation::Make, self.name.raw())
        };
        let reply = self.shared().ask(&request, &[])?;
        Ok(Name::from_raw(reply.name))
    }

    /// Makes a send right to the port.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn make_send(&self) -> Result<SendRight, Failure> {
        let name = self.make(RightKind::Send)?;
        Ok(SendRight::new(self.shared(), name))
    }

    /// Makes a send-once right to the port.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn make_send_once(&self) -> Result<SendOnceRight, Failure> {
        let name = self.make(RightKind::SendOnce)?;
        Ok(SendOnceRight::new(self.shared(), name))
    }

    /// Sets how many messages the port's queue holds before senders must wait, 1 to what the
    /// daemon lets a program have (64).
    ///
    /// # Errors
    /// [`Failure::OutOfRange`], and nothing has changed.
    pub fn set_queue_limit(&self, limit: u16) -> Result<(), Failure> {
        let request = Request {
            value: limit.into(),
            ..Request::new(Operation::SetQueueLimit, self.name.raw())
        };
        self.shared().ask(&request, &[]).map(drop)
    }

    /// Whether `message` came to this port.
    #[must_use]
    pub fn received(&self, message: &Message) -> bool {
        message.port() == Some(self.name)
    }
}

impl SendRight {
    /// Whether the port is dead.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        let request = Request::new(Operation::IsDead, self.name.raw());
        let reply = self.shared().ask(&request, &[]);
        reply.map_or(true, |reply| reply.value != 0)
    }

    /// One more right to the same port.
    ///
    /// # Errors
    /// The port may be dead; [`Failure::NoMemory`].
    pub fn copy(&self) -> Result<Self, Failure> {
        let request = Request::new(Operation::Copy, self.name.raw());
        let reply = self.shared().ask(&request, &[])?;
        Ok(Self::new(self.shared(), Name::from_raw(reply.name)))
    }
}
