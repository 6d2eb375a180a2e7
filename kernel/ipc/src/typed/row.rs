//! The row of items in inline data, as it grows: descriptors and values.
//!
//! Leaves to others: the rights and the memory of which items speak ([`super::Writer`]).

use super::item::{DESCRIPTOR, Kind, descriptor};
use super::scalar::Scalar;
use crate::error::NoMemory;
use crate::limits::MAX_INLINE;
use crate::right::RightKind;
use alloc::vec::Vec;

/// Appends items to inline data, each wholly or not at all.
#[derive(Debug)]
pub struct Row<'m> {
    data: &'m mut Vec<u8>,
}

impl<'m> Row<'m> {
    /// Behind the items that are there.
    #[inline]
    pub fn new(data: &'m mut Vec<u8>) -> Self {
        Row { data }
    }

    /// Makes room for a descriptor and `bytes` of values, so that writing them cannot fail.
    ///
    /// # Errors
    /// [`NoMemory`], also when the inline data are full.
    #[inline]
    pub fn reserve(&mut self, bytes: usize) -> Result<(), NoMemory> {
        let room = MAX_INLINE.saturating_sub(self.data.len());
        // First without the sum, which could exceed a `usize`.
        if bytes > room || DESCRIPTOR + bytes.next_multiple_of(DESCRIPTOR) > room {
            return Err(NoMemory);
        }
        self.data
            .try_reserve(DESCRIPTOR + bytes.next_multiple_of(DESCRIPTOR))
            .map_err(|_| NoMemory)
    }

    /// Writes a descriptor; there is room.
    #[inline]
    fn describe(&mut self, kind: Kind, width: u8, out_of_line: bool, count: u32) {
        let head = descriptor(kind, width, out_of_line, count);
        self.data.extend_from_slice(&head);
    }

    /// Fills the last values up; there is room.
    #[inline]
    fn pad(&mut self) {
        let length = self.data.len().next_multiple_of(DESCRIPTOR);
        self.data.resize(length, 0);
    }

    /// Writes any number of values of one type.
    ///
    /// # Errors
    /// As [`Row::reserve`].
    #[inline]
    pub fn array<T: Scalar>(&mut self, values: &[T]) -> Result<(), NoMemory> {
        self.reserve(size_of_val(values))?;
        self.describe(T::KIND, size_of::<T>() as u8, false, values.len() as u32);
        for value in values {
            value.write(self.data);
        }
        self.pad();
        Ok(())
    }

    fn string(&mut self, kind: Kind, bytes: &[u8]) -> Result<(), NoMemory> {
        self.reserve(bytes.len())?;
        self.describe(kind, 1, false, bytes.len() as u32);
        self.data.extend_from_slice(bytes);
        self.pad();
        Ok(())
    }

    /// Writes a string of bytes.
    ///
    /// # Errors
    /// As [`Row::reserve`].
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), NoMemory> {
        self.string(Kind::Bytes, bytes)
    }

    /// Writes a text.
    ///
    /// # Errors
    /// As [`Row::reserve`].
    #[inline]
    pub fn text(&mut self, text: &str) -> Result<(), NoMemory> {
        self.string(Kind::Text, text.as_bytes())
    }

    /// Says that the next `count` items belong together.
    ///
    /// # Errors
    /// As [`Row::reserve`].
    #[inline]
    pub fn list(&mut self, count: u32) -> Result<(), NoMemory> {
        self.reserve(0)?;
        self.describe(Kind::List, 0, false, count);
        Ok(())
    }

    /// Says that the next `count` rights are of this kind; room is [reserved](Row::reserve).
    #[inline]
    pub fn rights(&mut self, kind: RightKind, count: usize) {
        self.describe(Kind::of_rights(kind), 0, false, count as u32);
    }

    /// Says that the next pages hold `bytes` of elements of `width`; room is
    /// [reserved](Row::reserve).
    #[inline]
    pub fn region(&mut self, kind: Kind, width: u8, bytes: usize) {
        let count = bytes / usize::from(width);
        self.describe(kind, width, true, count as u32);
    }
}
