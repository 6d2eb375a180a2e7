//! Errors of the face: why, and what was not sent or not moved.

use crate::face::{Message, Notification};
use crate::node::Engine;
use crate::thread::{SpawnError, Wake};
use core::fmt;
use norma_ipc::typed::ReadError;
use norma_ipc::{Name, NoMemory, Reason, RightError, SendFailure};
use norma_net::{CheckInError, NodeName};

/// Why an operation on ports failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The time given was not enough.
    TimedOut,
    /// Another thread told this one to give up ([`crate::thread::cancel`]).
    Cancelled,
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
    /// There was no memory, here or where the message was to go.
    NoMemory,
    /// The right cannot be used for that.
    InvalidRight,
    /// A message does not say what was expected of it.
    BadMessage(ReadError),
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
    /// The name that was asked for denotes something already.
    NameInUse,
    /// The space holds rights to that port already, under this name.
    RightHeld(Name),
    /// A notification came in place of a message.
    Notified,
    /// The node has no entry of that name for threads of others.
    NoSuchEntry,
    /// The node that was asked does not know what to do with that.
    NotSupported,
    /// There are as many threads as there can be: see [`crate::limits::THREADS`].
    TooManyThreads,
}

impl Failure {
    /// The failure that follows from a right's death; a node is called by its name if it is
    /// known.
    pub(crate) fn from_reason(engine: &Engine, reason: Reason) -> Self {
        match reason {
            Reason::NodeDied(address) => Failure::NodeDied {
                name: engine.core.peer_name(address).unwrap_or_default(),
                address,
            },
            reason => reason.into(),
        }
    }

    pub(crate) fn from_right(engine: &Engine, error: RightError) -> Self {
        match error {
            RightError::Dead(reason) => Self::from_reason(engine, reason),
            error => error.into(),
        }
    }

    pub(crate) fn from_send(engine: &Engine, failure: SendFailure) -> Self {
        match failure {
            SendFailure::Full => Failure::Full,
            SendFailure::Right(error) => Self::from_right(engine, error),
        }
    }
}

impl Failure {
    /// The failure of a wait that ended with nothing, if it is to end.
    pub(crate) fn from_wake(wake: Wake) -> Option<Self> {
        match wake {
            Wake::Woken => None,
            Wake::TimedOut => Some(Failure::TimedOut),
            Wake::Cancelled => Some(Failure::Cancelled),
        }
    }
}

impl From<NoMemory> for Failure {
    fn from(_: NoMemory) -> Self {
        Failure::NoMemory
    }
}

impl From<SpawnError> for Failure {
    fn from(error: SpawnError) -> Self {
        match error {
            SpawnError::TooMany => Failure::TooManyThreads,
            SpawnError::NoMemory => Failure::NoMemory,
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NoMemory => Failure::NoMemory,
            error => Failure::BadMessage(error),
        }
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Destroyed => Failure::PortDied,
            Reason::Moved => Failure::Moved,
            Reason::Unanswered => Failure::Unanswered,
            Reason::NodeDied(address) => Failure::NodeDied {
                name: NodeName::default(),
                address,
            },
            Reason::NameUnknown => Failure::NameUnknown,
            Reason::NoMemory => Failure::NoMemory,
            Reason::Circular => Failure::Circular,
        }
    }
}

impl From<RightError> for Failure {
    fn from(error: RightError) -> Self {
        match error {
            RightError::InvalidName => Failure::InvalidName,
            RightError::InvalidRight => Failure::InvalidRight,
            RightError::Dead(reason) => reason.into(),
            RightError::NameInUse => Failure::NameInUse,
            RightError::RightHeld(name) => Failure::RightHeld(name),
            RightError::NotInSet => Failure::NotInSet,
            RightError::OutOfRange => Failure::OutOfRange,
            RightError::Circular => Failure::Circular,
            RightError::NoMemory => Failure::NoMemory,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::TimedOut => f.write_str("timed out"),
            Failure::Cancelled => f.write_str("cancelled"),
            Failure::Full => f.write_str("the queue is full"),
            Failure::Empty => f.write_str("the queue is empty"),
            Failure::PortDied => f.write_str("the port was destroyed"),
            Failure::Unanswered => f.write_str("the receiver dropped the call without a reply"),
            Failure::NodeDied { name, address } if name.as_str().is_empty() => {
                write!(f, "node {address:#018x} died")
            }
            Failure::NodeDied { name, .. } => write!(f, "node {name} died"),
            Failure::NameUnknown => f.write_str("nobody has checked that name in"),
            Failure::BadName => f.write_str("a name has 1 to 63 bytes"),
            Failure::NameTaken => f.write_str("this node has checked that name in already"),
            Failure::NameTakenBy { node } => write!(f, "node {node} has checked that name in"),
            Failure::NoMemory => f.write_str("out of memory"),
            Failure::InvalidRight => f.write_str("the right cannot be used for that"),
            Failure::BadMessage(error) => error.fmt(f),
            Failure::InvalidName => f.write_str("the name denotes nothing"),
            Failure::Moved => f.write_str("the receive right was moved away"),
            Failure::Circular => f.write_str("a receive right would lie in its own queue"),
            Failure::TooLarge { bytes } => write!(f, "the message has {bytes} bytes"),
            Failure::OutOfRange => f.write_str("a number is out of its range"),
            Failure::NotInSet => f.write_str("the port is not in that set"),
            Failure::NameInUse => f.write_str("the name is in use"),
            Failure::RightHeld(name) => write!(f, "the space holds the port as {name:?}"),
            Failure::Notified => f.write_str("a notification came in place of a message"),
            Failure::NoSuchEntry => f.write_str("the node has no such entry"),
            Failure::NotSupported => f.write_str("the node does not know what to do with that"),
            Failure::TooManyThreads => SpawnError::TooMany.fmt(f),
        }
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

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
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

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

impl core::error::Error for CallError {}

impl core::error::Error for SendError {}

/// Why no message was received.
#[derive(Debug)]
#[must_use]
pub enum ReceiveError {
    /// There was none to be had.
    Failure(Failure),
    /// This came in place of one; dropping it gives the right in it up.
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

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReceiveError::Failure(failure) => failure.fmt(f),
            ReceiveError::Notification(notification) => notification.fmt(f),
        }
    }
}

impl core::error::Error for ReceiveError {}

/// A right that was not moved, and why.
#[derive(Debug)]
#[must_use]
pub struct MoveError<R> {
    /// Why.
    pub failure: Failure,
    /// What was not moved.
    pub right: R,
}

impl<R> fmt::Display for MoveError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

impl<R: fmt::Debug> core::error::Error for MoveError<R> {}

impl From<CheckInError> for Failure {
    fn from(error: CheckInError) -> Self {
        match error {
            CheckInError::Full => Failure::NoMemory,
            CheckInError::BadName => Failure::BadName,
            CheckInError::Taken => Failure::NameTaken,
            CheckInError::Right(error) => error.into(),
        }
    }
}

impl From<SendError> for CallError {
    fn from(error: SendError) -> Self {
        CallError {
            failure: error.failure,
            message: Some(error.message),
        }
    }
}

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

impl<R> From<MoveError<R>> for Failure {
    fn from(error: MoveError<R>) -> Self {
        error.failure
    }
}
