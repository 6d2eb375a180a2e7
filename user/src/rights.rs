//! Rights, as programs hold them: move-only, released when dropped.

use crate::failure::Failure;
use crate::message::Message;
use crate::system::{self, plain};
use core::mem::ManuallyDrop;
use norma_abi::{Status, UNMADE, call, disposition, kind};
use norma_ipc::{Name, ReceiveStatus, RightKind, RightTypes};
use zerocopy::IntoBytes;

mod sealed {
    pub trait Sealed {}
}

/// One of the three types of rights.
pub trait AnyRight: Sized + sealed::Sealed {
    /// What it is.
    const KIND: RightKind;

    /// What the task calls it.
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
    ($(#[$doc:meta])* $type:ident, $kind:expr, $number:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $type {
            pub(crate) name: Name,
        }

        impl $type {
            /// What the task calls the right.
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
                deallocate(self.name.raw(), $number);
            }
        }
    };
}

right! {
    /// The right to take messages from a port. There is exactly one; dropping it destroys the
    /// port.
    ReceiveRight, RightKind::Receive, kind::RECEIVE
}

right! {
    /// The right to send to a port, on this node or on another.
    SendRight, RightKind::Send, kind::SEND
}

right! {
    /// The right to send one message. If it is dropped unused, whoever waits for the message
    /// learns so.
    SendOnceRight, RightKind::SendOnce, kind::SEND_ONCE
}

/// Gives a right up for a reason.
fn give_up<R: AnyRight>(right: R, kind: u32, reason: Failure) {
    let name = right.into_name().raw();
    let (code, detail) = reason.reason();
    let arguments = [name.into(), kind.into(), code.number(), detail];
    if plain(call::DEALLOCATE, arguments).is_err() {
        // One that is a reason for something else.
        deallocate(name, kind);
    }
}

/// Gives a right up. A name whose right is gone already denotes nothing: nothing to give up.
pub(crate) fn deallocate(name: u32, kind: u32) {
    let _ = plain(call::DEALLOCATE, [name.into(), kind.into(), 0, 0]);
}

/// Gives up all that is under a name: what a notification says has become a dead name.
pub fn destroy_name(name: Name) {
    let _ = plain(call::DESTROY, [name.raw().into(), 0, 0, 0]);
}

/// The number of a kind.
pub(crate) const fn kind_number(kind: RightKind) -> u32 {
    match kind {
        RightKind::Receive => kind::RECEIVE,
        RightKind::Send => kind::SEND,
        RightKind::SendOnce => kind::SEND_ONCE,
    }
}

/// A name that a call yields.
pub(crate) fn named(number: u64) -> Name {
    Name::from_raw(number as u32)
}

fn made<R: AnyRight>(name: Name, how: u32) -> Result<R, Failure> {
    make(name, how).map(R::from_name)
}

/// Makes or copies a right; its name.
pub(crate) fn make(name: Name, how: u32) -> Result<Name, Failure> {
    let made = plain(call::MAKE, [name.raw().into(), how.into(), 0, 0])?;
    Ok(named(made))
}

impl ReceiveRight {
    /// A new port.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn new() -> Result<Self, Failure> {
        let name = plain(call::ALLOCATE_PORT, [0; 4])?;
        Ok(Self::from_name(named(name)))
    }

    /// Makes a send right to the port.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn make_send(&self) -> Result<SendRight, Failure> {
        made(self.name, disposition::MAKE_SEND)
    }

    /// Makes a send-once right to the port.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn make_send_once(&self) -> Result<SendOnceRight, Failure> {
        made(self.name, disposition::MAKE_SEND_ONCE)
    }

    /// Sets how many messages the port's queue holds before senders must wait.
    ///
    /// # Errors
    /// [`Failure::OutOfRange`], and nothing has changed.
    pub fn set_queue_limit(&self, limit: u16) -> Result<(), Failure> {
        self.set(call::SET_QUEUE_LIMIT, limit.into())
    }

    /// Sets the number that the next message gets.
    ///
    /// # Errors
    /// None while this value holds the right.
    pub fn set_sequence(&self, sequence: u32) -> Result<(), Failure> {
        self.set(call::SET_SEQUENCE, sequence)
    }

    /// Sets how many send rights count as made from this right.
    ///
    /// # Errors
    /// As [`ReceiveRight::set_sequence`].
    pub fn set_make_sends(&self, make_sends: u32) -> Result<(), Failure> {
        self.set(call::SET_MAKE_SENDS, make_sends)
    }

    fn set(&self, number: u64, value: u32) -> Result<(), Failure> {
        plain(number, [self.name.raw().into(), value.into(), 0, 0])?;
        Ok(())
    }

    /// What is to be known about the port.
    ///
    /// # Errors
    /// None while this value holds the right.
    pub fn status(&self) -> Result<ReceiveStatus, Failure> {
        status(self.name)
    }

    /// Whether `message` came to this port: of use to a receiver from a set.
    pub fn received(&self, message: &Message) -> bool {
        message.port() == Some(self.name)
    }
}

/// What is to be known about the port under a name.
pub(crate) fn status(port: Name) -> Result<ReceiveStatus, Failure> {
    let mut status = Status::default();
    let address = status.as_mut_bytes().as_mut_ptr() as u64;
    // SAFETY: the kernel writes the status, and no more.
    unsafe { system::call(call::STATUS, [port.raw().into(), address, 0, 0]) }?;
    let flag = |bit: u32| status.flags & 1 << bit != 0;
    let mut told = ReceiveStatus::default();
    told.set = (status.set != 0).then(|| Name::from_raw(status.set));
    told.sequence = status.sequence;
    told.make_sends = status.make_sends;
    told.queue_limit = status.queue_limit as u16;
    told.queued = status.queued;
    told.blocked_senders = status.blocked_senders;
    told.send_onces = status.send_onces;
    told.has_senders = flag(0);
    told.no_senders_requested = flag(1);
    told.port_destroyed_requested = flag(2);
    Ok(told)
}

impl ReceiveRight {
    /// Destroys the port, for a reason: whoever has or uses a right to it learns `reason` in place
    /// of [`Failure::PortDied`], if it is one for which ports die or calls are not answered.
    pub fn give_up(self, reason: Failure) {
        give_up(self, kind::RECEIVE, reason);
    }
}

impl SendOnceRight {
    /// Gives the right up unused: whoever waits for the message learns `reason` in place of
    /// [`Failure::Unanswered`], if it is one for which ports die or calls are not answered.
    pub fn give_up(self, reason: Failure) {
        give_up(self, kind::SEND_ONCE, reason);
    }

    /// Gives up a right to a port whose receive right this task has, as if it had never been
    /// made: no notification comes there.
    ///
    /// # Errors
    /// [`Failure::InvalidRight`] for one to a port of somebody else; the right is given up as
    /// by dropping it.
    pub fn retract(self) -> Result<(), Failure> {
        let name = self.name.raw().into();
        let taken = plain(call::DEALLOCATE, [name, kind::SEND_ONCE.into(), UNMADE, 0]);
        match taken {
            Ok(_) => {
                let _ = self.into_name();
                Ok(())
            }
            Err(refused) => Err(refused.into()),
        }
    }
}

impl SendRight {
    /// One more right to the same port.
    ///
    /// # Errors
    /// The port may be dead; [`Failure::NoMemory`].
    pub fn copy(&self) -> Result<SendRight, Failure> {
        made(self.name, disposition::COPY_SEND)
    }

    /// Whether the port is dead.
    pub fn is_dead(&self) -> bool {
        let types = plain(call::TYPES, [self.name.raw().into(), 0, 0, 0]);
        types.is_err() || types.is_ok_and(|types| types as u8 & RightTypes::DEAD_NAME.bits() != 0)
    }
}
