//! What the kernel itself has to say, and asking for it.

use crate::failure::{Failure, MoveError};
use crate::message::Message;
use crate::rights::{AnyRight, ReceiveRight, SendOnceRight, SendRight, named};
use crate::system::plain;
use core::fmt;
use norma_abi::{Code, Header, News, about, call};
use norma_ipc::Name;

/// What a receive yields.
#[derive(Debug)]
#[must_use]
pub enum Delivery {
    /// A message that somebody sent.
    Message(Message),
    /// News from the kernel.
    Notification(Notification),
}

/// What the kernel itself has to say to a port.
#[derive(Debug)]
pub enum Notification {
    /// A send-once right to the port was given up unused; why.
    SendOnce(Failure),
    /// The port of a right has died.
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
        /// How many send rights were made until now.
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
    pub(crate) fn from_header(news: News, header: &Header) -> Self {
        let name = Name::from_raw(header.subject);
        let failure = Failure::from_code(Code::from_number(header.reason), header.memory);
        match news {
            News::Message | News::SendOnce => Notification::SendOnce(failure),
            News::DeadName => Notification::DeadName { name, failure },
            News::NameDeleted => Notification::NameDeleted { name },
            News::NoSenders => Notification::NoSenders {
                make_sends: header.subject,
            },
            News::PortDestroyed => {
                Notification::PortDestroyed(ReturnedRight(ReceiveRight::from_name(name)))
            }
            News::Room => Notification::Room { name },
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

/// A receive right that came back. Dropping it destroys the port.
#[derive(Debug)]
pub struct ReturnedRight(ReceiveRight);

impl ReturnedRight {
    /// The right.
    ///
    /// # Errors
    /// None: it has a name of this task already.
    pub fn claim(self) -> Result<ReceiveRight, MoveError<ReturnedRight>> {
        Ok(self.0)
    }
}

/// The right of the request before, or why nothing was asked, with the right that was for it.
pub(crate) type Asked = Result<Option<SendOnceRight>, MoveError<SendOnceRight>>;

/// The right of the request that is withdrawn.
pub(crate) type Withdrawn = Result<Option<SendOnceRight>, Failure>;

pub(crate) fn ask(what: u64, name: Name, notify: SendOnceRight, sync: u32) -> Asked {
    let right = notify.name().raw();
    match plain(
        call::REQUEST,
        [what, name.raw().into(), right.into(), sync.into()],
    ) {
        Ok(before) => {
            let _ = notify.into_name();
            Ok(once(before))
        }
        Err(refused) => Err(MoveError {
            failure: refused.into(),
            right: notify,
        }),
    }
}

pub(crate) fn withdraw(what: u64, name: Name) -> Withdrawn {
    Ok(once(plain(
        call::WITHDRAW,
        [what, name.raw().into(), 0, 0],
    )?))
}

fn once(name: u64) -> Option<SendOnceRight> {
    (name != 0).then(|| SendOnceRight::from_name(named(name)))
}

macro_rules! mortal {
    ($type:ident) => {
        impl $type {
            /// Asks to be told when the port dies
            /// ([`DeadName`](crate::Notification::DeadName), with this right's name), at once if
            /// it is dead. If all rights under that name are given up before,
            /// [`NameDeleted`](crate::Notification::NameDeleted) comes instead.
            ///
            /// # Errors
            /// `notify` comes back: it must lead to a port of this node;
            /// [`Failure::NoMemory`].
            pub fn notify_death(&self, notify: SendOnceRight) -> Asked {
                ask(about::DEATH, self.name, notify, 0)
            }

            /// Withdraws that request; its right comes back, if there was one.
            ///
            /// # Errors
            /// [`Failure::NoMemory`] for the right, and the request stands.
            pub fn withdraw_death(&self) -> Withdrawn {
                withdraw(about::DEATH, self.name)
            }
        }
    };
}

mortal!(SendRight);
mortal!(SendOnceRight);

impl SendRight {
    /// Asks to be told when the port's queue has room
    /// ([`Room`](crate::Notification::Room), with this right's name), at once if it has.
    ///
    /// # Errors
    /// As [`SendRight::notify_death`].
    pub fn notify_room(&self, notify: SendOnceRight) -> Asked {
        ask(about::ROOM, self.name, notify, 0)
    }

    /// Withdraws that request; its right comes back, if there was one.
    ///
    /// # Errors
    /// [`Failure::NoMemory`] for the right, and the request stands.
    pub fn withdraw_room(&self) -> Withdrawn {
        withdraw(about::ROOM, self.name)
    }
}

impl ReceiveRight {
    /// Asks to be told when there is no send right to the port, if at least `sync` were made.
    ///
    /// # Errors
    /// `notify` comes back.
    pub fn notify_no_senders(&self, sync: u32, notify: SendOnceRight) -> Asked {
        ask(about::NO_SENDERS, self.name, notify, sync)
    }

    /// Withdraws that request; its right comes back, if there was one.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn withdraw_no_senders(&self) -> Withdrawn {
        withdraw(about::NO_SENDERS, self.name)
    }

    /// Asks that the receive right, instead of being destroyed, come back.
    ///
    /// # Errors
    /// `notify` comes back.
    pub fn notify_port_destroyed(&self, notify: SendOnceRight) -> Asked {
        ask(about::PORT_DESTROYED, self.name, notify, 0)
    }

    /// Withdraws that request; its right comes back, if there was one.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn withdraw_port_destroyed(&self) -> Withdrawn {
        withdraw(about::PORT_DESTROYED, self.name)
    }
}
