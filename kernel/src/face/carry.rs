//! Rights in messages: moved in, copied or made into them, and taken out.

use crate::face::error::{Failure, MoveError};
use crate::face::rights::{AnyRight, taken};
use crate::face::{Message, ReceiveRight, SendOnceRight, SendRight};
use crate::node;
use crate::thread::rights as held;
use core::mem::ManuallyDrop;
use norma_ipc::{Disposition, Name, RightKind};

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
    /// Moves a right into the message, behind those in it: a send right, a send-once right, or
    /// a receive right, with which the port's queue goes along.
    ///
    /// A receive right cannot lie in its own queue: who sends the message there gets it back.
    ///
    /// # Errors
    /// Gives the right back when the message holds as many as it can, or memory is exhausted.
    pub fn push_right<R: AnyRight>(&mut self, right: R) -> Result<(), MoveError<R>> {
        let disposition = match R::KIND {
            RightKind::Receive => Disposition::MoveReceive,
            RightKind::Send => Disposition::MoveSend,
            RightKind::SendOnce => Disposition::MoveSendOnce,
        };
        let right = ManuallyDrop::new(right);
        match self.push_named(right.name(), disposition) {
            Ok(()) => {
                held::given_up();
                Ok(())
            }
            Err(failure) => Err(MoveError {
                failure,
                right: ManuallyDrop::into_inner(right),
            }),
        }
    }

    /// Puts a copy of a send right in.
    ///
    /// # Errors
    /// The port may be dead; [`Failure::NoMemory`], also when the message is full of rights.
    pub fn push_copy(&mut self, right: &SendRight) -> Result<(), Failure> {
        self.push_named(right.name, Disposition::CopySend)
    }

    /// Makes a send right to a port, in the message.
    ///
    /// # Errors
    /// [`Failure::NoMemory`], also when the message is full of rights.
    pub fn push_send_to(&mut self, port: &ReceiveRight) -> Result<(), Failure> {
        self.push_named(port.name, Disposition::MakeSend)
    }

    /// Makes a send-once right to a port, in the message.
    ///
    /// # Errors
    /// [`Failure::NoMemory`], also when the message is full of rights.
    pub fn push_send_once_to(&mut self, port: &ReceiveRight) -> Result<(), Failure> {
        self.push_named(port.name, Disposition::MakeSendOnce)
    }

    fn push_named(&mut self, name: Name, disposition: Disposition) -> Result<(), Failure> {
        let mut engine = node::lock();
        let space = engine.space;
        let message = self.core();
        let pushed = engine
            .core
            .ipc()
            .push_right(space, name, disposition, message);
        // Threads that waited at a port that goes away are to be told.
        engine.act_on_events();
        pushed.map_err(|error| Failure::from_right(&engine, error))
    }

    /// What the first right in the message is, the one for a reply not counted.
    pub fn first_right(&self) -> Option<RightKind> {
        self.core_ref().rights().first().map(|right| right.kind())
    }

    /// Takes the first right out; `None` if there is none.
    ///
    /// # Errors
    /// [`Failure::NoMemory`] when there is no memory for its name; it is still the first.
    pub fn take_any_right(&mut self) -> Result<Option<Right>, Failure> {
        let mut engine = node::lock();
        let space = engine.space;
        match engine.core.ipc().take_right(space, self.core()) {
            Ok(right) => Ok(right.map(|(kind, name)| {
                held::taken();
                Right::from_name(kind, name)
            })),
            Err(error) => Err(Failure::from_right(&engine, error)),
        }
    }

    /// Takes the first right out, a send right; `None` if there is none.
    ///
    /// # Errors
    /// [`Failure::InvalidRight`] when it is of another kind, [`Failure::NoMemory`]; it is still
    /// the first then.
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

    /// As [`Message::take_right`], for a receive right: what is in the port's queue, and what
    /// comes there, is the caller's.
    ///
    /// # Errors
    /// As there.
    pub fn take_receive(&mut self) -> Result<Option<ReceiveRight>, Failure> {
        self.take_one()
    }

    fn take_one<R: AnyRight>(&mut self) -> Result<Option<R>, Failure> {
        if self.first_right().is_some_and(|kind| kind != R::KIND) {
            return Err(Failure::InvalidRight);
        }
        let mut engine = node::lock();
        let space = engine.space;
        match engine.core.ipc().take_right(space, self.core()) {
            Ok(right) => Ok(right.map(|(_, name)| taken(name))),
            Err(error) => Err(Failure::from_right(&engine, error)),
        }
    }
}
