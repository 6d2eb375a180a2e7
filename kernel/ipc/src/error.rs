//! What can go wrong, and who is to blame.
//!
//! Owns: the error types of the IPC core. An error that refuses a message carries the message:
//! a failed send gives everything back (`docs/ipc.md`, MUST I-1).

use core::fmt;

use crate::message::Message;
use crate::name::Name;
use crate::right::Right;

/// There is no memory, or a quota is used up, for this one request. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoMemory;

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of memory")
    }
}

impl core::error::Error for NoMemory {}

/// Why a right died, or why a reply will never come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The receiver gave up its receive right.
    Destroyed,
    /// The receive right was moved out of the space in which the thread waited.
    Moved,
    /// The holder of a send-once right dropped it without a reply.
    Unanswered,
    /// The node on which the receiver lived is dead; its FLIP address.
    NodeDied(u64),
    /// Nobody has checked that name in.
    NameUnknown,
    /// There was no memory for the message where it was to go.
    NoMemory,
    /// The receive right that was to come back would have lain in its own queue, as for
    /// [`RightError::Circular`].
    Circular,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Destroyed => f.write_str("the port was destroyed"),
            Reason::Moved => f.write_str("the receive right was moved away"),
            Reason::Unanswered => f.write_str("the receiver dropped the call without a reply"),
            Reason::NodeDied(node) => write!(f, "node {node:#018x} died"),
            Reason::NameUnknown => f.write_str("the name is not known"),
            Reason::NoMemory => f.write_str("out of memory on the way"),
            Reason::Circular => RightError::Circular.fmt(f),
        }
    }
}

/// Why an operation on a space was refused: always the caller's own doing, or memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RightError {
    /// The name denotes nothing (any more).
    InvalidName,
    /// The name denotes a right of another kind than the operation needs.
    InvalidRight,
    /// The name denotes a right to a port that is gone.
    Dead(Reason),
    /// The name that was asked for denotes something already.
    NameInUse,
    /// Rights to that port are in the space already, under this name.
    RightHeld(Name),
    /// The port is in no set.
    NotInSet,
    /// A number is out of its range: a queue limit, or references to be given up.
    OutOfRange,
    /// A receive right in the message would lie, directly or through others, in the queue of
    /// its own port, where nobody could ever receive it; or more than
    /// [`MAX_TRANSIT_DEPTH`](crate::limits::MAX_TRANSIT_DEPTH) queues deep.
    Circular,
    /// No memory, or the quota is used up.
    NoMemory,
}

impl From<NoMemory> for RightError {
    fn from(_: NoMemory) -> Self {
        RightError::NoMemory
    }
}

impl fmt::Display for RightError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RightError::InvalidName => f.write_str("the name denotes nothing"),
            RightError::InvalidRight => f.write_str("the name denotes another kind of right"),
            RightError::Dead(reason) => write!(f, "the right is dead: {reason}"),
            RightError::NameInUse => f.write_str("the name is in use"),
            RightError::RightHeld(name) => write!(f, "the space holds the port as {name:?}"),
            RightError::NotInSet => f.write_str("the port is in no set"),
            RightError::OutOfRange => f.write_str("a number is out of range"),
            RightError::Circular => f.write_str("a receive right would lie in its own queue"),
            RightError::NoMemory => f.write_str("out of memory or quota"),
        }
    }
}

impl core::error::Error for RightError {}

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendFailure {
    /// The destination's queue is full.
    Full,
    /// The destination was not a usable right.
    Right(RightError),
}

impl fmt::Display for SendFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendFailure::Full => f.write_str("the queue is full"),
            SendFailure::Right(error) => error.fmt(f),
        }
    }
}

/// A message that was not sent, whole, and why.
#[derive(Debug)]
#[must_use]
pub struct SendError<P> {
    /// Why.
    pub failure: SendFailure,
    /// What was not sent.
    pub message: Message<P>,
}

/// A right that was not inserted, and why.
#[derive(Debug)]
#[must_use]
pub struct InsertError {
    /// Why.
    pub error: RightError,
    /// What was not inserted.
    pub right: Right,
}

/// Why nothing was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiveError {
    /// No message is queued.
    Empty,
    /// The first message has so many bytes of inline data, more than the receiver can take. It
    /// is still the first.
    TooLarge(usize),
    /// The name was not a usable receive right.
    Right(RightError),
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReceiveError::Empty => f.write_str("no message is queued"),
            ReceiveError::TooLarge(bytes) => write!(f, "the message has {bytes} bytes"),
            ReceiveError::Right(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ReceiveError {}

impl From<RightError> for ReceiveError {
    fn from(error: RightError) -> Self {
        ReceiveError::Right(error)
    }
}
