//! What FLIP's callers can be refused. Received frames are refused with
//! [`crate::DropReason`].

use core::fmt;

/// A table or queue is full, or there is no memory for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// No fresh route to the destination is known: locate it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoute;

/// Why a datagram was not taken for fragmenting. The frame is left as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FragmentError {
    /// No fresh route to the destination is known: locate it first.
    NoRoute,
    /// Too many datagrams wait to be cut: try again after `poll_transmit`.
    Full,
    /// Shorter than its headers, longer than a datagram can be, or than the frame's pages.
    BadLength,
}

/// Why a multicast was not taken. The frame is left as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MulticastError {
    /// Fewer listeners are known than were asked for: locate them first.
    TooFew {
        /// How many are.
        known: u16,
    },
    /// Too many datagrams wait to be sent: try again after `poll_transmit`.
    Full,
    /// Shorter than its headers, longer than a datagram can be, or than the frame's pages.
    BadLength,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("full")
    }
}

impl fmt::Display for NoRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no route to the destination")
    }
}

impl fmt::Display for FragmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FragmentError::NoRoute => "no route to the destination",
            FragmentError::Full => "too many datagrams are being fragmented",
            FragmentError::BadLength => "a length that no datagram can have",
        })
    }
}

impl fmt::Display for MulticastError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MulticastError::TooFew { known } => write!(f, "only {known} listeners are known"),
            MulticastError::Full => f.write_str("too many datagrams wait to be sent"),
            MulticastError::BadLength => f.write_str("a length that no datagram can have"),
        }
    }
}

impl core::error::Error for MulticastError {}
impl core::error::Error for Full {}
impl core::error::Error for NoRoute {}
impl core::error::Error for FragmentError {}
