//! Errors: why, and what was not sent or not moved. The names are those of a node's own face.

use crate::protocol::{Cause, Reply};
use crate::{Message, Notification};
use std::fmt;

/// Why an operation on ports failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The time given was not enough.
    TimedOut,
    /// The queue is full, and the caller did not want to wait.
    Full,
    /// Nothing was there to receive, and the caller did not want to wait.
    Empty,
    /// The port was destroyed.
    PortDied,
    /// The receiver dropped the call without a reply.
    Unanswered,
    /// The node on which the receiver lives is dead. Whether it had received the message, and
    /// what it did about it, is not known.
    NodeDied {
        /// Its name, empty if it was never known.
        name: String,
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
        node: String,
    },
    /// There was no memory, here or where the message was to go, or a quota is used up.
    NoMemory,
    /// The right cannot be used for that.
    InvalidRight,
    /// The name denotes nothing (any more).
    InvalidName,
    /// The receive right was moved away while a thread waited at it.
    Moved,
    /// A receive right in the message would lie, directly or through others, in the queue of its
    /// own port, where nobody could ever receive it.
    Circular,
    /// The message has so many bytes of inline data, more than were to be received. It is still
    /// the first in its queue.
    TooLarge {
        /// Bytes of inline data.
        bytes: usize,
    },
    /// A number is out of its range.
    OutOfRange,
    /// The port is not in that set.
    NotInSet,
    /// The daemon did not understand the request: it is of another version.
    BadRequest,
    /// The daemon serves as many tasks or connections as it can.
    TooMany,
    /// The daemon is gone, and every right with it; or this host refuses a connection to it.
    NoDaemon(std::io::ErrorKind),
    /// A notification came in place of a message.
    Notified,
}

impl Failure {
    /// What an answer says.
    pub(crate) fn read(cause: u8, reply: &Reply, text: &[u8]) -> Self {
        let text = || String::from_utf8_lossy(text).into_owned();
        match Cause::from_number(cause) {
            Some(Cause::TimedOut) => Self::TimedOut,
            Some(Cause::Full) => Self::Full,
            Some(Cause::Empty) => Self::Empty,
            Some(Cause::PortDied) => Self::PortDied,
            Some(Cause::Unanswered) => Self::Unanswered,
            Some(Cause::NodeDied) => Self::NodeDied {
                name: text(),
                address: reply.value,
            },
            Some(Cause::NameUnknown) => Self::NameUnknown,
            Some(Cause::BadName) => Self::BadName,
            Some(Cause::NameTaken) => Self::NameTaken,
            Some(Cause::NameTakenBy) => Self::NameTakenBy { node: text() },
            Some(Cause::NoMemory) => Self::NoMemory,
            Some(Cause::InvalidRight) => Self::InvalidRight,
            Some(Cause::InvalidName) => Self::InvalidName,
            Some(Cause::Moved) => Self::Moved,
            Some(Cause::Circular) => Self::Circular,
            Some(Cause::TooLarge) => Self::TooLarge {
                bytes: usize::try_from(reply.value).unwrap_or(usize::MAX),
            },
            Some(Cause::OutOfRange) => Self::OutOfRange,
            Some(Cause::NotInSet) => Self::NotInSet,
            Some(Cause::TooMany) => Self::TooMany,
            Some(Cause::BadRequest) | None => Self::BadRequest,
        }
    }
}

impl From<rustix::io::Errno> for Failure {
    fn from(error: rustix::io::Errno) -> Self {
        Self::NoDaemon(error.kind())
    }
}

impl From<norma_ipc::NoMemory> for Failure {
    fn from(_: norma_ipc::NoMemory) -> Self {
        Self::NoMemory
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("timed out"),
            Self::Full => f.write_str("the queue is full"),
            Self::Empty => f.write_str("the queue is empty"),
            Self::PortDied => f.write_str("the port was destroyed"),
            Self::Unanswered => f.write_str("the receiver dropped the call without a reply"),
            Self::NodeDied { name, address } if name.is_empty() => {
                write!(f, "node {address:#018x} died")
            }
            Self::NodeDied { name, .. } => write!(f, "node {name} died"),
            Self::NameUnknown => f.write_str("nobody has checked that name in"),
            Self::BadName => f.write_str("a name has 1 to 63 bytes"),
            Self::NameTaken => f.write_str("this node has checked that name in already"),
            Self::NameTakenBy { node } => write!(f, "node {node} has checked that name in"),
            Self::NoMemory => f.write_str("out of memory or quota"),
            Self::InvalidRight => f.write_str("the right cannot be used for that"),
            Self::InvalidName => f.write_str("the name denotes nothing"),
            Self::Moved => f.write_str("the receive right was moved away"),
            Self::Circular => f.write_str("a receive right would lie in its own queue"),
            Self::TooLarge { bytes } => write!(f, "the message has {bytes} bytes"),
            Self::OutOfRange => f.write_str("a number is out of its range"),
            Self::NotInSet => f.write_str("the port is not in that set"),
            Self::BadRequest => f.write_str("the daemon did not understand the request"),
            Self::TooMany => f.write_str("the daemon serves as many programs as it can"),
            Self::NoDaemon(kind) => write!(f, "the daemon is gone: {kind}"),
            Self::Notified => f.write_str("a notification came in place of a message"),
        }
    }
}

impl std::error::Error for Failure {}

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
    /// The right.
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
    /// Why; a send-once right that was not used says what became of it, other notifications are
    /// [`Failure::Notified`].
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::Failure(failure) | Self::Notification(Notification::SendOnce(failure)) => {
                failure.clone()
            }
            Self::Notification(_) => Failure::Notified,
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

        impl std::error::Error for $type {}
    )*};
}

displayed!(SendError, CallError);

impl<R> fmt::Display for MoveError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

impl<R: fmt::Debug> std::error::Error for MoveError<R> {}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure().fmt(f)
    }
}

impl std::error::Error for ReceiveError {}

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

impl From<ReceiveError> for Failure {
    fn from(error: ReceiveError) -> Self {
        error.failure()
    }
}
