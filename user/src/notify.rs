//! What the kernel itself has to say, and asking for it.

use crate::failure::{Failure, MoveError};
use crate::message::Message;
use crate::rights::{AnyRight, ReceiveRight, SendOnceRight, SendRight, named};
use crate::system::plain;
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
    PortDestroyed(ReceiveRight),
    /// There is room in the queue of the port of a right.
    Room {
        /// The name of the right.
        name: Name,
    },
}

impl Notification {
    pub(crate) fn from_header(news: News, header: &Header) -> Self {
        let name = Name::from_raw(header.subject);
        let failure = Failure::from_code(Code::from_number(header.reason), 0);
        match news {
            News::Message | News::SendOnce => Notification::SendOnce(failure),
            News::DeadName => Notification::DeadName { name, failure },
            News::NameDeleted => Notification::NameDeleted { name },
            News::NoSenders => Notification::NoSenders {
                make_sends: header.subject,
            },
            News::PortDestroyed => Notification::PortDestroyed(ReceiveRight::from_name(name)),
            News::Room => Notification::Room { name },
        }
    }
}

/// The right of the request before, or why nothing was asked, with the right that was for it.
type Asked = Result<Option<SendOnceRight>, MoveError<SendOnceRight>>;

fn ask(what: u64, name: Name, notify: SendOnceRight, sync: u32) -> Asked {
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

fn withdraw(what: u64, name: Name) -> Result<Option<SendOnceRight>, Failure> {
    Ok(once(plain(
        call::WITHDRAW,
        [what, name.raw().into(), 0, 0],
    )?))
}

fn once(name: u64) -> Option<SendOnceRight> {
    (name != 0).then(|| SendOnceRight::from_name(named(name)))
}

impl SendRight {
    /// Asks to be told when the port dies.
    ///
    /// # Errors
    /// `notify` comes back.
    pub fn notify_death(&self, notify: SendOnceRight) -> Asked {
        ask(about::DEATH, self.name, notify, 0)
    }

    /// Withdraws that request; its right comes back, if there was one.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn withdraw_death(&self) -> Result<Option<SendOnceRight>, Failure> {
        withdraw(about::DEATH, self.name)
    }

    /// Asks to be told when the port's queue has room.
    ///
    /// # Errors
    /// `notify` comes back.
    pub fn notify_room(&self, notify: SendOnceRight) -> Asked {
        ask(about::ROOM, self.name, notify, 0)
    }

    /// Withdraws that request; its right comes back, if there was one.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn withdraw_room(&self) -> Result<Option<SendOnceRight>, Failure> {
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
    pub fn withdraw_no_senders(&self) -> Result<Option<SendOnceRight>, Failure> {
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
    pub fn withdraw_port_destroyed(&self) -> Result<Option<SendOnceRight>, Failure> {
        withdraw(about::PORT_DESTROYED, self.name)
    }
}
