//! Rights, as services hold them: move-only, released when dropped.

use crate::face::error::Failure;
use crate::node;
use core::mem::ManuallyDrop;
use norma_ipc::{Name, RightKind};

/// A right as a value, of any kind.
pub(crate) trait Held: Sized {
    const KIND: RightKind;

    fn name(&self) -> Name;

    fn into_name(self) -> Name;

    fn from_name(name: Name) -> Self;
}

macro_rules! right {
    ($(#[$doc:meta])* $type:ident, $kind:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $type {
            pub(crate) name: Name,
        }

        impl $type {
            pub(crate) const fn from_name(name: Name) -> Self {
                $type { name }
            }

            /// Gives the value up and keeps the right under its name.
            pub(crate) fn into_name(self) -> Name {
                ManuallyDrop::new(self).name
            }
        }

        impl Held for $type {
            const KIND: RightKind = $kind;

            fn name(&self) -> Name {
                self.name
            }

            fn into_name(self) -> Name {
                self.into_name()
            }

            fn from_name(name: Name) -> Self {
                $type { name }
            }
        }

        impl Drop for $type {
            fn drop(&mut self) {
                let mut engine = node::lock();
                let space = engine.space;
                // A name whose right is gone already denotes nothing: nothing to release.
                let _ = engine.core.ipc().deallocate(space, self.name, $kind);
                let now = node::now();
                engine.act(now);
            }
        }
    };
}

right! {
    /// The right to take messages from a port. There is exactly one; dropping it destroys the
    /// port, and whoever waits for it learns so.
    ReceiveRight, RightKind::Receive
}

right! {
    /// The right to send to a port, on this node or on another.
    SendRight, RightKind::Send
}

right! {
    /// The right to send one message, which is never refused for a full queue. If it is dropped
    /// unused, whoever waits for the message learns so.
    SendOnceRight, RightKind::SendOnce
}

impl ReceiveRight {
    /// A new port.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn new() -> Result<Self, Failure> {
        let mut engine = node::lock();
        let space = engine.space;
        let name = engine.core.ipc().allocate_port(space);
        name.map(Self::from_name)
            .map_err(|error| Failure::from_right(&engine, error))
    }

    /// Makes a send right to the port.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn make_send(&self) -> Result<SendRight, Failure> {
        make(self.name, RightKind::Send).map(SendRight::from_name)
    }

    /// Makes a send-once right to the port.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn make_send_once(&self) -> Result<SendOnceRight, Failure> {
        make(self.name, RightKind::SendOnce).map(SendOnceRight::from_name)
    }

    /// Sets how many messages the port's queue holds before senders must wait, 1 to
    /// [`MAX_QUEUE_LIMIT`](norma_ipc::limits::MAX_QUEUE_LIMIT).
    pub fn set_queue_limit(&self, limit: u16) {
        let mut engine = node::lock();
        let space = engine.space;
        // The name is that of a receive right as long as this value lives.
        let _ = engine.core.ipc().set_queue_limit(space, self.name, limit);
        let now = node::now();
        engine.act(now);
    }
}

impl SendRight {
    /// One more right to the same port.
    ///
    /// # Errors
    /// The port may be dead; [`Failure::NoMemory`].
    pub fn copy(&self) -> Result<SendRight, Failure> {
        let mut engine = node::lock();
        let space = engine.space;
        let copied = engine.core.ipc().copy_send(space, self.name);
        let inserted = copied.and_then(|right| {
            engine.core.ipc().insert(space, right).map_err(|refused| {
                engine.core.ipc().release(refused.right);
                refused.error
            })
        });
        inserted
            .map(SendRight::from_name)
            .map_err(|error| Failure::from_right(&engine, error))
    }

    /// Makes a copy of this right known to the whole cluster under `name`, of 1 to 63 bytes.
    ///
    /// # Errors
    /// [`norma_net::CheckInError`].
    pub fn check_in(&self, name: &str) -> Result<(), norma_net::CheckInError> {
        let mut engine = node::lock();
        let space = engine.space;
        let done = engine.core.check_in(space, self.name, name);
        let now = node::now();
        engine.act(now);
        done
    }
}

fn make(name: Name, kind: RightKind) -> Result<Name, Failure> {
    let mut engine = node::lock();
    let space = engine.space;
    let made = engine.core.ipc().make_right(space, name, kind);
    let inserted = made.and_then(|right| {
        engine.core.ipc().insert(space, right).map_err(|refused| {
            engine.core.ipc().release(refused.right);
            refused.error
        })
    });
    inserted.map_err(|error| Failure::from_right(&engine, error))
}
