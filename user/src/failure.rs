//! Errors of the face, as services in an image have them.

use crate::message::Message;
use crate::names::node_name;
use crate::notify::Notification;
use crate::system::Refused;
use core::fmt;
use norma_abi::Code;
use norma_ipc::Name;
use norma_ipc::typed::ReadError;
use norma_wire::hello::NodeName;

/// Why an operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The time given was not enough.
    TimedOut,
    /// The thread was told to give up.
    Cancelled,
    /// The queue is full, and the caller did not want to wait.
    Full,
    /// Nothing was there to receive, and the caller did not want to wait.
    Empty,
    /// The port was destroyed.
    PortDied,
    /// The receiver dropped the call without a reply.
    Unanswered,
    /// The node on which the receiver lives is dead.
    NodeDied {
        /// Its name, empty if it was never known.
        name: NodeName,
        /// Its FLIP address.
        address: u64,
    },
    /// Nobody has checked that name in.
    NameUnknown,
    /// A name has 1 to 63 bytes.
    BadName,
    /// This node has checked that name in already.
    NameTaken,
    /// Another node has checked that name in.
    NameTakenBy {
        /// Which.
        node: NodeName,
    },
    /// There was no memory, or a quota is used up.
    NoMemory,
    /// The right cannot be used for that.
    InvalidRight,
    /// A message does not say what was expected of it.
    BadMessage(ReadError),
    /// The name denotes nothing (any more).
    InvalidName,
    /// The receive right was moved away while a thread waited at it.
    Moved,
    /// A receive right would lie in the queue of its own port.
    Circular,
    /// The message has so many bytes of inline data.
    TooLarge {
        /// Bytes of inline data.
        bytes: usize,
    },
    /// A number is out of its range.
    OutOfRange,
    /// The port is not in that set.
    NotInSet,
    /// The name that was asked for denotes something already.
    NameInUse,
    /// The task has rights to that port already, under this name.
    RightHeld(Name),
    /// A notification came in place of a message.
    Notified,
    /// The node has no entry of that name for threads of others.
    NoSuchEntry,
    /// What was asked does not exist there.
    NotSupported,
    /// An address does not denote memory that can be used like that.
    BadAddress,
    /// There are as many threads as there can be.
    TooManyThreads,
}

impl Failure {
    /// What a code says, and what comes with it.
    pub(crate) fn from_code(code: Option<Code>, detail: u64) -> Self {
        let Some(code) = code else {
            return Failure::NotSupported;
        };
        match code {
            Code::TimedOut => Failure::TimedOut,
            Code::Cancelled => Failure::Cancelled,
            Code::Full => Failure::Full,
            Code::Empty => Failure::Empty,
            Code::PortDied => Failure::PortDied,
            Code::Unanswered => Failure::Unanswered,
            Code::NodeDied => Failure::NodeDied {
                name: node_name(detail),
                address: detail,
            },
            Code::NameUnknown => Failure::NameUnknown,
            Code::BadName => Failure::BadName,
            Code::NameTaken => Failure::NameTaken,
            Code::NameTakenBy => Failure::NameTakenBy {
                node: NodeName::default(),
            },
            Code::NoMemory => Failure::NoMemory,
            Code::InvalidRight => Failure::InvalidRight,
            // What was wrong with it stays with whoever read it.
            Code::BadMessage => Failure::BadMessage(ReadError::NotTyped),
            Code::InvalidName => Failure::InvalidName,
            Code::Moved => Failure::Moved,
            Code::Circular => Failure::Circular,
            Code::TooLarge => Failure::TooLarge {
                bytes: detail as usize,
            },
            Code::OutOfRange => Failure::OutOfRange,
            Code::NotInSet => Failure::NotInSet,
            Code::NameInUse => Failure::NameInUse,
            Code::RightHeld => Failure::RightHeld(Name::from_raw(detail as u32)),
            Code::Notified => Failure::Notified,
            Code::NotSupported | Code::NoSuchCall => Failure::NotSupported,
            Code::BadAddress => Failure::BadAddress,
            Code::TooManyThreads => Failure::TooManyThreads,
        }
    }
}

impl Failure {
    /// The code that says so, and what comes with it.
    pub(crate) const fn reason(self) -> (Code, u64) {
        match self {
            Failure::NodeDied { address, .. } => (Code::NodeDied, address),
            failure => (failure.code(), 0),
        }
    }

    /// The code that says so.
    pub(crate) const fn code(self) -> Code {
        match self {
            Failure::TimedOut => Code::TimedOut,
            Failure::Cancelled => Code::Cancelled,
            Failure::Full => Code::Full,
            Failure::Empty => Code::Empty,
            Failure::PortDied => Code::PortDied,
            Failure::Unanswered => Code::Unanswered,
            Failure::NodeDied { .. } => Code::NodeDied,
            Failure::NameUnknown | Failure::NoSuchEntry => Code::NameUnknown,
            Failure::BadName => Code::BadName,
            Failure::NameTaken => Code::NameTaken,
            Failure::NameTakenBy { .. } => Code::NameTakenBy,
            Failure::NoMemory => Code::NoMemory,
            Failure::InvalidRight => Code::InvalidRight,
            Failure::BadMessage(_) => Code::BadMessage,
            Failure::InvalidName => Code::InvalidName,
            Failure::Moved => Code::Moved,
            Failure::Circular => Code::Circular,
            Failure::TooLarge { .. } => Code::TooLarge,
            Failure::OutOfRange => Code::OutOfRange,
            Failure::NotInSet => Code::NotInSet,
            Failure::NameInUse => Code::NameInUse,
            Failure::RightHeld(_) => Code::RightHeld,
            Failure::Notified => Code::Notified,
            Failure::NotSupported => Code::NotSupported,
            Failure::BadAddress => Code::BadAddress,
            Failure::TooManyThreads => Code::TooManyThreads,
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::from_code(refused.code, refused.detail)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::TimedOut => "timed out",
            Failure::Cancelled => "cancelled",
            Failure::Full => "the queue is full",
            Failure::Empty => "the queue is empty",
            Failure::PortDied => "the port was destroyed",
            Failure::Unanswered => "the receiver dropped the call without a reply",
            Failure::NodeDied { name, address } if name.as_str().is_empty() => {
                return write!(f, "node {address:#018x} died");
            }
            Failure::NodeDied { name, .. } => return write!(f, "node {name} died"),
            Failure::NameUnknown => "nobody has checked that name in",
            Failure::BadName => "a name has 1 to 63 bytes",
            Failure::NameTaken => "this node has checked that name in already",
            Failure::NameTakenBy { node } => {
                return write!(f, "node {node} has checked that name in");
            }
            Failure::NoMemory => "out of memory",
            Failure::InvalidRight => "the right cannot be used for that",
            Failure::BadMessage(error) => return error.fmt(f),
            Failure::InvalidName => "the name denotes nothing",
            Failure::Moved => "the receive right was moved away",
            Failure::Circular => "a receive right would lie in its own queue",
            Failure::TooLarge { bytes } => return write!(f, "the message has {bytes} bytes"),
            Failure::OutOfRange => "a number is out of its range",
            Failure::NotInSet => "the port is not in that set",
            Failure::NameInUse => "the name is in use",
            Failure::RightHeld(name) => return write!(f, "the task holds the port as {name:?}"),
            Failure::Notified => "a notification came in place of a message",
            Failure::NoSuchEntry => "the node has no such entry",
            Failure::NotSupported => "not known there",
            Failure::BadAddress => "not memory of the task that can be used like that",
            Failure::TooManyThreads => "there are as many threads as there can be",
        })
    }
}

impl core::error::Error for Failure {}

/// A message that was not sent, whole, and why.
#[derive(Debug)]
#[must_use]
pub struct SendError {
    /// Why.
    pub failure: Failure,
    /// What was not sent.
    pub message: Message,
}

/// Why a call has no answer, and the message if it was not sent.
#[derive(Debug)]
#[must_use]
pub struct CallError {
    /// Why.
    pub failure: Failure,
    /// What was not sent; `None` once it was.
    pub message: Option<Message>,
}

/// A right that was not moved, and why.
#[derive(Debug)]
#[must_use]
pub struct MoveError<R> {
    /// Why.
    pub failure: Failure,
    /// What was not moved.
    pub right: R,
}

/// Why no message was received.
#[derive(Debug)]
#[must_use]
pub enum ReceiveError {
    /// There was none to be had.
    Failure(Failure),
    /// This came in place of one.
    Notification(Notification),
}

impl ReceiveError {
    /// Why. A send-once right that was not used says what became of it; other notifications are
    /// [`Failure::Notified`].
    pub fn failure(&self) -> Failure {
        match self {
            ReceiveError::Failure(failure)
            | ReceiveError::Notification(Notification::SendOnce(failure)) => *failure,
            ReceiveError::Notification(_) => Failure::Notified,
        }
    }
}

macro_rules! displayed {
    ($($type:ty),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.failure.fmt(f)
            }
        }

        impl core::error::Error for $type {}
    )*};
}

displayed!(SendError, CallError);

impl<R> fmt::Display for MoveError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

impl<R: fmt::Debug> core::error::Error for MoveError<R> {}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReceiveError::Failure(failure) => failure.fmt(f),
            ReceiveError::Notification(notification) => notification.fmt(f),
        }
    }
}

impl core::error::Error for ReceiveError {}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        error.failure
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        error.failure
    }
}

impl<R> From<MoveError<R>> for Failure {
    fn from(error: MoveError<R>) -> Self {
        error.failure
    }
}

impl From<ReceiveError> for Failure {
    fn from(error: ReceiveError) -> Self {
        error.failure()
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Failure::BadMessage(error)
    }
}

impl From<norma_ipc::NoMemory> for Failure {
    fn from(_: norma_ipc::NoMemory) -> Self {
        Failure::NoMemory
    }
}
