//! Rights, as services hold them: move-only, released when dropped.

use crate::face::Message;
use crate::face::error::Failure;
use crate::node::{self, EngineGuard};
use crate::thread::rights as held;
use core::mem::ManuallyDrop;
use norma_ipc::{Ipc, Name, ReceiveStatus, Right, RightError, RightKind, SpaceId};

pub(crate) type Core = Ipc<crate::memory::Frame>;

mod sealed {
    pub trait Sealed {}
}

/// One of the three types of rights.
pub trait AnyRight: Sized + sealed::Sealed {
    /// What it is.
    const KIND: RightKind;

    /// What the task calls it. Send rights to one port have one name, as has the receive right.
    fn name(&self) -> Name;

    #[doc(hidden)]
    fn from_name(name: Name) -> Self;

    /// Gives the value up and keeps the right under its name.
    #[doc(hidden)]
    fn into_name(self) -> Name {
        ManuallyDrop::new(self).name()
    }
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

            /// What the task calls the right: a notification about it says this name. Send
            /// rights to one port have one name, which is also that of its receive right.
            pub const fn name(&self) -> Name {
                self.name
            }
        }

        impl sealed::Sealed for $type {}

        impl AnyRight for $type {
            const KIND: RightKind = $kind;

            fn name(&self) -> Name {
                self.name
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
                engine.act_on_events();
                held::given_up();
            }
        }
    };
}

right! {
    /// The right to take messages from a port. There is exactly one; dropping it destroys the
    /// port, and whoever waits for it learns so.
    ///
    /// ```no_run
    /// # #[panic_handler] fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }
    /// # use norma_kernel::face::{Failure, Message, ReceiveRight};
    /// # fn example() -> Result<(), Failure> {
    /// let port = ReceiveRight::new()?;
    /// let right = port.make_send()?;
    /// right.send(Message::with_data(b"hello")?)?;
    /// let message = port.receive()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// There are never two of a port:
    ///
    /// ```compile_fail,E0599
    /// # use norma_kernel::face::ReceiveRight;
    /// fn twice(port: &ReceiveRight) -> ReceiveRight {
    ///     port.clone()
    /// }
    /// ```
    ///
    /// ```compile_fail,E0599
    /// # use norma_kernel::face::{Failure, ReceiveRight};
    /// fn twice(port: &ReceiveRight) -> Result<ReceiveRight, Failure> {
    ///     port.copy()
    /// }
    /// ```
    ///
    /// Who gave it away does not receive any more:
    ///
    /// ```compile_fail,E0382
    /// # use norma_kernel::face::{Message, ReceiveRight};
    /// fn receive_after(port: ReceiveRight, mut message: Message) {
    ///     let _ = message.push_right(port);
    ///     let _ = port.receive();
    /// }
    /// ```
    ///
    /// ```compile_fail,E0382
    /// # use norma_kernel::face::ReceiveRight;
    /// fn receive_from_the_dead(port: ReceiveRight) {
    ///     drop(port);
    ///     let _ = port.make_send();
    /// }
    /// ```
    ReceiveRight, RightKind::Receive
}

right! {
    /// The right to send to a port, on this node or on another.
    ///
    /// To copy it is a call that can fail, and never happens by accident:
    ///
    /// ```compile_fail,E0599
    /// # use norma_kernel::face::SendRight;
    /// fn twice(right: &SendRight) -> SendRight {
    ///     right.clone()
    /// }
    /// ```
    ///
    /// Who moved it into a message has it no more:
    ///
    /// ```compile_fail,E0382
    /// # use norma_kernel::face::{Message, SendRight};
    /// fn send_after(right: SendRight, mut message: Message, other: Message) {
    ///     let _ = message.push_right(right);
    ///     let _ = right.send(other);
    /// }
    /// ```
    ///
    /// Nobody receives with it:
    ///
    /// ```compile_fail,E0599
    /// # use norma_kernel::face::SendRight;
    /// fn receive(right: &SendRight) {
    ///     let _ = right.receive();
    /// }
    /// ```
    SendRight, RightKind::Send
}

right! {
    /// The right to send one message, which is never refused for a full queue. If it is dropped
    /// unused, whoever waits for the message learns so.
    ///
    /// One message, and no second:
    ///
    /// ```compile_fail,E0382
    /// # use norma_kernel::face::{Message, SendOnceRight};
    /// fn twice(right: SendOnceRight, message: Message, another: Message) {
    ///     let _ = right.send(message);
    ///     let _ = right.send(another);
    /// }
    /// ```
    ///
    /// ```compile_fail,E0599
    /// # use norma_kernel::face::SendOnceRight;
    /// fn copied(right: &SendOnceRight) {
    ///     let _ = right.copy();
    /// }
    /// ```
    ///
    /// What was asked with it uses it up as well:
    ///
    /// ```compile_fail,E0382
    /// # use norma_kernel::face::{Message, SendOnceRight, SendRight};
    /// fn ask_and_send(watched: &SendRight, notify: SendOnceRight, message: Message) {
    ///     let _ = watched.notify_death(notify);
    ///     let _ = notify.send(message);
    /// }
    /// ```
    SendOnceRight, RightKind::SendOnce
}

/// Moves a right of the core's into the task's space; one that does not fit is released.
pub(crate) fn insert<R: AnyRight>(engine: &mut EngineGuard, right: Right) -> Result<R, Failure> {
    let space = engine.space;
    match engine.core.ipc().insert(space, right) {
        Ok(name) => Ok(taken(name)),
        Err(refused) => {
            engine.core.ipc().release(refused.right);
            engine.act(node::now());
            Err(Failure::from_right(engine, refused.error))
        }
    }
}

/// The value for a right that is in the task's space since just now.
pub(crate) fn taken<R: AnyRight>(name: Name) -> R {
    held::taken();
    R::from_name(name)
}

/// Does something to what is under a name of the task's, and what follows from it.
pub(crate) fn with<R>(
    name: Name,
    operation: impl FnOnce(&mut Core, SpaceId, Name) -> Result<R, RightError>,
) -> Result<R, Failure> {
    with_in(None, name, operation)
}

/// The same in a space, or in the task's.
pub(crate) fn with_in<R>(
    space: Option<SpaceId>,
    name: Name,
    operation: impl FnOnce(&mut Core, SpaceId, Name) -> Result<R, RightError>,
) -> Result<R, Failure> {
    let mut engine = node::lock();
    let space = space.unwrap_or(engine.space);
    let result = operation(engine.core.ipc(), space, name);
    engine.act(node::now());
    result.map_err(|error| Failure::from_right(&engine, error))
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
        name.map(taken)
            .map_err(|error| Failure::from_right(&engine, error))
    }

    /// Makes a send right to the port.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn make_send(&self) -> Result<SendRight, Failure> {
        make(self.name)
    }

    /// Makes a send-once right to the port.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn make_send_once(&self) -> Result<SendOnceRight, Failure> {
        make(self.name)
    }

    /// Sets how many messages the port's queue holds before senders must wait, 1 to
    /// [`MAX_QUEUE_LIMIT`](norma_ipc::limits::MAX_QUEUE_LIMIT).
    ///
    /// # Errors
    /// [`Failure::OutOfRange`], and nothing has changed.
    pub fn set_queue_limit(&self, limit: u16) -> Result<(), Failure> {
        with(self.name, |ipc, space, name| {
            ipc.set_queue_limit(space, name, limit)
        })
    }

    /// What is to be known about the port: its set, its queue, who can send.
    ///
    /// # Errors
    /// None while this value holds the right; [`Failure::InvalidName`] otherwise.
    pub fn status(&self) -> Result<ReceiveStatus, Failure> {
        with(self.name, |ipc, space, name| {
            ipc.receive_status(space, name)
        })
    }

    /// Sets the number that the next message gets ([`Message::sequence`]).
    ///
    /// # Errors
    /// As [`ReceiveRight::status`].
    pub fn set_sequence(&self, sequence: u32) -> Result<(), Failure> {
        with(self.name, |ipc, space, name| {
            ipc.set_sequence(space, name, sequence)
        })
    }

    /// Sets how many send rights count as made from this right: see
    /// [`ReceiveRight::notify_no_senders`].
    ///
    /// # Errors
    /// As [`ReceiveRight::status`].
    pub fn set_make_sends(&self, make_sends: u32) -> Result<(), Failure> {
        with(self.name, |ipc, space, name| {
            ipc.set_make_sends(space, name, make_sends)
        })
    }

    /// Whether `message` came to this port: of use to a receiver from a set.
    #[inline]
    pub fn received(&self, message: &Message) -> bool {
        message.port() == Some(self.name)
    }
}

impl SendRight {
    /// Whether the port is dead.
    pub fn is_dead(&self) -> bool {
        let dead = with(self.name, |ipc, space, name| ipc.right_types(space, name));
        !dead.is_ok_and(|types| !types.contains(norma_ipc::RightTypes::DEAD_NAME))
    }

    /// One more right to the same port.
    ///
    /// # Errors
    /// The port may be dead; [`Failure::NoMemory`].
    pub fn copy(&self) -> Result<SendRight, Failure> {
        let mut engine = node::lock();
        let space = engine.space;
        match engine.core.ipc().copy_send(space, self.name) {
            Ok(right) => insert(&mut engine, right),
            Err(error) => Err(Failure::from_right(&engine, error)),
        }
    }
}

fn make<R: AnyRight>(name: Name) -> Result<R, Failure> {
    let mut engine = node::lock();
    let space = engine.space;
    match engine.core.ipc().make_right(space, name, R::KIND) {
        Ok(right) => insert(&mut engine, right),
        Err(error) => Err(Failure::from_right(&engine, error)),
    }
}
