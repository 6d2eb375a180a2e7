//! What can be wrong with items. All of it is the sender's doing, but for three: the reader asked
//! for something else than was sent, read twice, or there is no memory here.

use super::item::Kind;
use core::fmt;

/// Why an item was not read. The reader stands where it stood, and nothing was taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadError {
    /// The message's data are bytes, not items.
    NotTyped,
    /// There are no more items.
    End,
    /// There is no end yet: items, rights or memory are left.
    Leftover,
    /// The next item is of this kind, and not of the one that was asked for.
    Unexpected(Kind),
    /// The next item has the right kind, and elements of so many bytes.
    UnexpectedWidth(u8),
    /// The next item has so many elements, and not one.
    UnexpectedCount(u32),
    /// The data end inside an item.
    Truncated,
    /// No kind of item has this number.
    UnknownKind(u8),
    /// There are no elements of that kind with so many bytes.
    BadWidth(u8),
    /// Flags that are not known, or that this kind of item does not have.
    BadFlags(u8),
    /// The byte that is kept for later is not zero.
    BadReserved,
    /// What lies between an item's values and the next item is not zero.
    BadPadding,
    /// A truth value is neither 0 nor 1.
    NotBoolean,
    /// A text is not UTF-8.
    NotText,
    /// A list announces more items than there can be.
    BadList,
    /// There are fewer rights in the message than its items say.
    MissingRights,
    /// A right in the message is of another kind than its item says.
    WrongRight,
    /// There is less memory in the message than its items say.
    MissingMemory,
    /// Another reader has taken rights or memory out already: only data can be read again.
    Opened,
    /// No memory, or no place for a right, here.
    NoMemory,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            ReadError::NotTyped => "the message is not typed",
            ReadError::End => "the message has no more items",
            ReadError::Leftover => "the message has more than was expected",
            ReadError::Unexpected(kind) => return write!(f, "the next item is {kind}"),
            ReadError::UnexpectedWidth(width) => {
                return write!(f, "the next item has elements of {width} bytes");
            }
            ReadError::UnexpectedCount(count) => {
                return write!(f, "the next item has {count} elements");
            }
            ReadError::Truncated => "the data end inside an item",
            ReadError::UnknownKind(kind) => return write!(f, "no kind of item is {kind}"),
            ReadError::BadWidth(width) => {
                return write!(f, "no element of that kind has {width} bytes");
            }
            ReadError::BadFlags(flags) => {
                return write!(f, "an item of that kind has no flags {flags:#04x}");
            }
            ReadError::BadReserved => "a reserved byte is not zero",
            ReadError::BadPadding => "padding is not zero",
            ReadError::NotBoolean => "a truth value is neither 0 nor 1",
            ReadError::NotText => "a text is not UTF-8",
            ReadError::BadList => "a list is longer than its message",
            ReadError::MissingRights => "the message has fewer rights than it says",
            ReadError::WrongRight => "a right is of another kind than the message says",
            ReadError::MissingMemory => "the message has less memory than it says",
            ReadError::Opened => "the message was read before, and something taken out",
            ReadError::NoMemory => "out of memory or quota",
        };
        f.write_str(text)
    }
}

impl core::error::Error for ReadError {}

/// There are rights or memory in the message already, so that items could not say which are
/// theirs: take them out first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occupied;

impl fmt::Display for Occupied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rights or memory are in the message already")
    }
}

impl core::error::Error for Occupied {}
