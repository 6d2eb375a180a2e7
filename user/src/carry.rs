//! Rights in messages: moved in, copied or made into them, and taken out.
//!
//! A right in a message keeps its name until the message is sent. It is listed with what is to be
//! done with it then, and that is always to move it.

use crate::failure::{Failure, MoveError};
use crate::message::Message;
use crate::rights::{AnyRight, ReceiveRight, SendOnceRight, SendRight, deallocate, kind_number};
use norma_abi::{Entry, disposition, kind};
use norma_ipc::limits::MAX_RIGHTS;
use norma_ipc::{Name, RightKind};

/// A right, whichever it is.
#[derive(Debug)]
pub enum Right {
    /// The receive right of a port.
    Receive(ReceiveRight),
    /// A send right.
    Send(SendRight),
    /// A send-once right.
    SendOnce(SendOnceRight),
}

impl Right {
    /// What it is.
    pub const fn kind(&self) -> RightKind {
        match self {
            Right::Receive(_) => RightKind::Receive,
            Right::Send(_) => RightKind::Send,
            Right::SendOnce(_) => RightKind::SendOnce,
        }
    }

    /// What the task calls it.
    pub const fn name(&self) -> Name {
        match self {
            Right::Receive(right) => right.name(),
            Right::Send(right) => right.name(),
            Right::SendOnce(right) => right.name(),
        }
    }

    pub(crate) fn from_name(kind: RightKind, name: Name) -> Self {
        match kind {
            RightKind::Receive => Right::Receive(ReceiveRight::from_name(name)),
            RightKind::Send => Right::Send(SendRight::from_name(name)),
            RightKind::SendOnce => Right::SendOnce(SendOnceRight::from_name(name)),
        }
    }

    /// Gives the value up and keeps the right under its name.
    pub(crate) fn into_name(self) -> Name {
        match self {
            Right::Receive(right) => right.into_name(),
            Right::Send(right) => right.into_name(),
            Right::SendOnce(right) => right.into_name(),
        }
    }
}

impl From<ReceiveRight> for Right {
    fn from(right: ReceiveRight) -> Self {
        Right::Receive(right)
    }
}

impl From<SendRight> for Right {
    fn from(right: SendRight) -> Self {
        Right::Send(right)
    }
}

impl From<SendOnceRight> for Right {
    fn from(right: SendOnceRight) -> Self {
        Right::SendOnce(right)
    }
}

impl Message {
    /// Moves a right into the message, behind those in it.
    ///
    /// # Errors
    /// Gives the right back when the message holds as many as it can, or memory is exhausted.
    pub fn push_right<R: AnyRight>(&mut self, right: R) -> Result<(), MoveError<R>> {
        match self.push(right.name(), R::KIND) {
            Ok(()) => {
                let _ = right.into_name();
                Ok(())
            }
            Err(failure) => Err(MoveError { failure, right }),
        }
    }

    /// Puts a copy of a send right in.
    ///
    /// # Errors
    /// The port may be dead; [`Failure::NoMemory`].
    pub fn push_copy(&mut self, right: &SendRight) -> Result<(), Failure> {
        Ok(self.push_right(right.copy()?)?)
    }

    /// Makes a send right to a port, in the message.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn push_send_to(&mut self, port: &ReceiveRight) -> Result<(), Failure> {
        Ok(self.push_right(port.make_send()?)?)
    }

    /// Makes a send-once right to a port, in the message.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn push_send_once_to(&mut self, port: &ReceiveRight) -> Result<(), Failure> {
        Ok(self.push_right(port.make_send_once()?)?)
    }

    pub(crate) fn push(&mut self, name: Name, kind: RightKind) -> Result<(), Failure> {
        if self.0.rights.len() >= MAX_RIGHTS || self.0.rights.try_reserve(1).is_err() {
            return Err(Failure::NoMemory);
        }
        self.0.rights.push(listed(name, kind));
        Ok(())
    }

    /// What the first right in the message is.
    pub fn first_right(&self) -> Option<RightKind> {
        self.0.rights.first().map(kind_of)
    }

    /// Takes the first right out; `None` if there is none.
    ///
    /// # Errors
    /// None: it has its name already.
    pub fn take_any_right(&mut self) -> Result<Option<Right>, Failure> {
        let Some(kind) = self.first_right() else {
            return Ok(None);
        };
        let name = Name::from_raw(self.0.rights.remove(0).name);
        Ok(Some(Right::from_name(kind, name)))
    }

    /// Takes the first right out, a send right; `None` if there is none.
    ///
    /// # Errors
    /// [`Failure::InvalidRight`] when it is of another kind; it is still the first then.
    pub fn take_right(&mut self) -> Result<Option<SendRight>, Failure> {
        self.take_one()
    }

    /// As [`Message::take_right`], for a send-once right.
    ///
    /// # Errors
    /// As there.
    pub fn take_send_once(&mut self) -> Result<Option<SendOnceRight>, Failure> {
        self.take_one()
    }

    /// As [`Message::take_right`], for a receive right.
    ///
    /// # Errors
    /// As there.
    pub fn take_receive(&mut self) -> Result<Option<ReceiveRight>, Failure> {
        self.take_one()
    }

    fn take_one<R: AnyRight>(&mut self) -> Result<Option<R>, Failure> {
        match self.first_right() {
            None => Ok(None),
            Some(kind) if kind != R::KIND => Err(Failure::InvalidRight),
            Some(_) => {
                let name = self.0.rights.remove(0).name;
                Ok(Some(R::from_name(Name::from_raw(name))))
            }
        }
    }
}

/// How a right of the task's is listed in a message.
pub(crate) const fn listed(name: Name, kind: RightKind) -> Entry {
    Entry {
        name: name.raw(),
        what: match kind {
            RightKind::Receive => disposition::MOVE_RECEIVE,
            RightKind::Send => disposition::MOVE_SEND,
            RightKind::SendOnce => disposition::MOVE_SEND_ONCE,
        },
    }
}

/// A right in a message is listed as one that moves when the message goes.
pub(crate) fn as_sent(entry: &mut Entry) {
    entry.what = match entry.what {
        kind::RECEIVE => disposition::MOVE_RECEIVE,
        kind::SEND => disposition::MOVE_SEND,
        _ => disposition::MOVE_SEND_ONCE,
    };
}

/// What it is.
pub(crate) fn kind_of(entry: &Entry) -> RightKind {
    match entry.what {
        disposition::MOVE_RECEIVE => RightKind::Receive,
        disposition::MOVE_SEND => RightKind::Send,
        _ => RightKind::SendOnce,
    }
}

/// Gives a right in a message up.
pub(crate) fn release(entry: &Entry) {
    deallocate(entry.name, kind_number(kind_of(entry)));
}
