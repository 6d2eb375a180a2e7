//! Errors of the face: why, and what was not sent.

use crate::face::Message;
use crate::node::Engine;
use crate::thread::Wake;
use core::fmt;
use norma_ipc::typed::ReadError;
use norma_ipc::{NoMemory, Reason, RightError, SendFailure};
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
    /// There was no memory, here or where the message was to go.
    NoMemory,
    /// The right cannot be used for that.
    InvalidRight,
    /// A message does not say what was expected of it.
    BadMessage(ReadError),
}

impl Failure {
    /// The failure that follows from a right's death.
    pub(crate) fn from_reason(engine: &Engine, reason: Reason) -> Self {
        match reason {
            Reason::NodeDied(address) => Failure::NodeDied {
                name: engine.core.peer_name(address).unwrap_or_default(),
                address,
            },
            Reason::Unanswered => Failure::Unanswered,
            Reason::NameUnknown => Failure::NameUnknown,
            Reason::NoMemory => Failure::NoMemory,
            _ => Failure::PortDied,
        }
    }

    pub(crate) fn from_right(engine: &Engine, error: RightError) -> Self {
        match error {
            RightError::Dead(reason) => Self::from_reason(engine, reason),
            RightError::NoMemory => Failure::NoMemory,
            _ => Failure::InvalidRight,
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

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NoMemory => Failure::NoMemory,
            error => Failure::BadMessage(error),
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
            Failure::NoMemory => f.write_str("out of memory"),
            Failure::InvalidRight => f.write_str("the right cannot be used for that"),
            Failure::BadMessage(error) => error.fmt(f),
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

impl From<CheckInError> for Failure {
    fn from(error: CheckInError) -> Self {
        match error {
            CheckInError::Full => Failure::NoMemory,
            CheckInError::BadName => Failure::BadName,
            CheckInError::Taken => Failure::NameTaken,
            CheckInError::Right(_) => Failure::InvalidRight,
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
