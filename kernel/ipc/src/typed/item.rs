//! Items: a descriptor of eight bytes, and values.
//!
//! | at | size | field |
//! | ---: | ---: | --- |
//! | 0 | 1 | kind |
//! | 1 | 1 | width: bytes of an element |
//! | 2 | 1 | flags: 0x01 out of line |
//! | 3 | 1 | zero |
//! | 4 | 4 | count of elements, in the sender's byte order |
//!
//! The first four bytes mean the same in both orders. Values follow, padded with zeros to eight
//! bytes: an array of numbers lies as it does in a sender's memory, each number aligned to its
//! size (those of 16 bytes to eight).

use super::array::Array;
use super::error::ReadError;
use super::scalar::Scalar;
use crate::limits::{MAX_INLINE, MAX_MEMORY, MAX_RIGHTS};
use crate::right::RightKind;
use core::fmt;

/// Bytes of a descriptor, and what values are padded to.
pub(crate) const DESCRIPTOR: usize = 8;

/// The values are in out-of-line memory, which begins at a page of its own.
const OUT_OF_LINE: u8 = 0x01;

/// What the elements of an item are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Whole numbers from zero, of 1, 2, 4, 8 or 16 bytes.
    Unsigned = 1,
    /// Whole numbers in two's complement, of 1, 2, 4, 8 or 16 bytes.
    Signed = 2,
    /// IEEE 754 numbers of 4 or 8 bytes.
    Float = 3,
    /// Truth values: a byte each, 0 or 1.
    Boolean = 4,
    /// A string of bytes, which nobody converts.
    Bytes = 5,
    /// A string of UTF-8; its elements are bytes.
    Text = 6,
    /// No values: so many of the following items belong together.
    List = 7,
    /// No values: the next rights in the message, which are receive rights.
    ReceiveRights = 8,
    /// The same of send rights.
    SendRights = 9,
    /// The same of send-once rights.
    SendOnceRights = 10,
}

impl Kind {
    const fn from_u8(number: u8) -> Option<Kind> {
        Some(match number {
            1 => Kind::Unsigned,
            2 => Kind::Signed,
            3 => Kind::Float,
            4 => Kind::Boolean,
            5 => Kind::Bytes,
            6 => Kind::Text,
            7 => Kind::List,
            8 => Kind::ReceiveRights,
            9 => Kind::SendRights,
            10 => Kind::SendOnceRights,
            _ => return None,
        })
    }

    /// Whether elements can have so many bytes.
    const fn has_width(self, width: u8) -> bool {
        match self {
            Kind::Unsigned | Kind::Signed => matches!(width, 1 | 2 | 4 | 8 | 16),
            Kind::Float => matches!(width, 4 | 8),
            Kind::Boolean | Kind::Bytes | Kind::Text => width == 1,
            _ => width == 0,
        }
    }

    /// Whether the values may be out of line: where no byte of them needs to be checked.
    const fn may_be_out_of_line(self) -> bool {
        matches!(
            self,
            Kind::Unsigned | Kind::Signed | Kind::Float | Kind::Bytes
        )
    }

    /// The kind of items that say where such rights are.
    pub const fn of_rights(kind: RightKind) -> Kind {
        match kind {
            RightKind::Receive => Kind::ReceiveRights,
            RightKind::Send => Kind::SendRights,
            RightKind::SendOnce => Kind::SendOnceRights,
        }
    }

    /// Which rights an item of this kind means.
    pub const fn right(self) -> Option<RightKind> {
        match self {
            Kind::ReceiveRights => Some(RightKind::Receive),
            Kind::SendRights => Some(RightKind::Send),
            Kind::SendOnceRights => Some(RightKind::SendOnce),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Unsigned => "unsigned numbers",
            Kind::Signed => "signed numbers",
            Kind::Float => "floating-point numbers",
            Kind::Boolean => "truth values",
            Kind::Bytes => "bytes",
            Kind::Text => "text",
            Kind::List => "a list",
            Kind::ReceiveRights => "receive rights",
            Kind::SendRights => "send rights",
            Kind::SendOnceRights => "send-once rights",
        })
    }
}

/// A descriptor that makes sense, with the values that follow it.
#[derive(Debug, Clone, Copy)]
pub struct Item<'m> {
    kind: Kind,
    width: u8,
    out_of_line: bool,
    count: u32,
    values: &'m [u8],
    foreign: bool,
}

/// The bytes of a descriptor that this machine writes.
pub(crate) fn descriptor(kind: Kind, width: u8, out_of_line: bool, count: u32) -> [u8; DESCRIPTOR] {
    let [a, b, c, d] = count.to_ne_bytes();
    let flags = if out_of_line { OUT_OF_LINE } else { 0 };
    [kind as u8, width, flags, 0, a, b, c, d]
}

impl<'m> Item<'m> {
    /// Reads the item with which `data` begin; `None` if they are empty. Also returns what is
    /// behind it.
    pub(crate) fn parse(
        data: &'m [u8],
        foreign: bool,
    ) -> Result<Option<(Self, &'m [u8])>, ReadError> {
        let Some((head, behind)) = data.split_first_chunk::<DESCRIPTOR>() else {
            return if data.is_empty() {
                Ok(None)
            } else {
                Err(ReadError::Truncated)
            };
        };
        let [kind, width, flags, reserved, count @ ..] = *head;
        let kind = Kind::from_u8(kind).ok_or(ReadError::UnknownKind(kind))?;
        if !kind.has_width(width) {
            return Err(ReadError::BadWidth(width));
        }
        let out_of_line = flags == OUT_OF_LINE;
        if flags & !OUT_OF_LINE != 0 || (out_of_line && !kind.may_be_out_of_line()) {
            return Err(ReadError::BadFlags(flags));
        }
        if reserved != 0 {
            return Err(ReadError::BadReserved);
        }
        let count = u32::read(&count, foreign);
        let mut item = Item {
            kind,
            width,
            out_of_line,
            count,
            values: &[],
            foreign,
        };
        // Where `usize` has 32 bits the product of the two could exceed it.
        let bytes = u64::from(count) * u64::from(width);
        if out_of_line {
            return if bytes > MAX_MEMORY as u64 {
                Err(ReadError::MissingMemory)
            } else {
                Ok(Some((item, behind)))
            };
        }
        if width == 0 {
            // Each item takes at least a descriptor.
            if kind == Kind::List && count as usize > behind.len() / DESCRIPTOR {
                return Err(ReadError::BadList);
            }
            if kind.right().is_some() && count as usize > MAX_RIGHTS {
                return Err(ReadError::MissingRights);
            }
            return Ok(Some((item, behind)));
        }
        if bytes > MAX_INLINE as u64 {
            return Err(ReadError::Truncated);
        }
        let bytes = bytes as usize;
        let padded = bytes.next_multiple_of(DESCRIPTOR);
        let (with_padding, behind) = behind
            .split_at_checked(padded)
            .ok_or(ReadError::Truncated)?;
        let (values, padding) = with_padding.split_at(bytes);
        if padding.iter().any(|byte| *byte != 0) {
            return Err(ReadError::BadPadding);
        }
        item.values = values;
        Ok(Some((item, behind)))
    }

    /// What its elements are.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Bytes of an element; 0 where there are no values.
    pub fn width(&self) -> u8 {
        self.width
    }

    /// How many elements there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether the values are in out-of-line memory.
    pub fn is_out_of_line(&self) -> bool {
        self.out_of_line
    }

    pub(crate) fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// Bytes of out-of-line memory that belong to the item; its descriptor was checked.
    pub(crate) fn memory(&self) -> usize {
        if self.out_of_line {
            self.count as usize * usize::from(self.width)
        } else {
            0
        }
    }

    /// Whether the item is of this kind, with values in line.
    fn expect(&self, kind: Kind) -> Result<(), ReadError> {
        if self.kind != kind || self.out_of_line {
            return Err(ReadError::Unexpected(self.kind));
        }
        Ok(())
    }

    /// Its one value.
    ///
    /// # Errors
    /// [`ReadError::Unexpected`] and its relatives for another type or number of values,
    /// [`ReadError::NotBoolean`].
    pub fn value<T: Scalar>(&self) -> Result<T, ReadError> {
        let values = self.array::<T>()?;
        match values.get(0) {
            Some(value) if self.count == 1 => Ok(value),
            _ => Err(ReadError::UnexpectedCount(self.count)),
        }
    }

    /// Its values, as they lie.
    ///
    /// # Errors
    /// As [`Item::value`], but any number will do.
    pub fn array<T: Scalar>(&self) -> Result<Array<'m, T>, ReadError> {
        self.expect(T::KIND)?;
        if usize::from(self.width) != size_of::<T>() {
            return Err(ReadError::UnexpectedWidth(self.width));
        }
        if !T::are_valid(self.values) {
            return Err(ReadError::NotBoolean);
        }
        Ok(Array::new(self.values, self.foreign))
    }

    /// Its bytes, as they lie.
    ///
    /// # Errors
    /// [`ReadError::Unexpected`].
    pub fn bytes(&self) -> Result<&'m [u8], ReadError> {
        self.expect(Kind::Bytes)?;
        Ok(self.values)
    }

    /// Its text, as it lies.
    ///
    /// # Errors
    /// [`ReadError::Unexpected`], [`ReadError::NotText`].
    pub fn text(&self) -> Result<&'m str, ReadError> {
        self.expect(Kind::Text)?;
        core::str::from_utf8(self.values).map_err(|_| ReadError::NotText)
    }

    /// How many of the following items belong together.
    ///
    /// # Errors
    /// [`ReadError::Unexpected`].
    pub fn list(&self) -> Result<u32, ReadError> {
        self.expect(Kind::List)?;
        Ok(self.count)
    }
}
