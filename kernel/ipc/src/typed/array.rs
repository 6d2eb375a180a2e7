//! Arrays of values, lent as they lie in a message or in its memory.
//!
//! Nothing is copied: each value is loaded when it is asked for, and turned round if the sender's
//! byte order is the other one. (Lending `&[u32]` itself would take `unsafe`, which this crate
//! does without; the loop over an [`Array`] compiles to the same loads.)

use super::scalar::{Number, Scalar};
use crate::memory::Memory;
use crate::page::{PAGE_SIZE, Page};
use core::marker::PhantomData;

/// Values of one type, in a message's inline data. An iterator over them.
#[derive(Debug, Clone, Copy)]
pub struct Array<'m, T> {
    /// As many as whole values have.
    bytes: &'m [u8],
    foreign: bool,
    values: PhantomData<T>,
}

impl<'m, T: Scalar> Array<'m, T> {
    /// The values in these bytes, in the other byte order than this machine's if `foreign`.
    pub fn new(bytes: &'m [u8], foreign: bool) -> Self {
        Array {
            bytes,
            foreign,
            values: PhantomData,
        }
    }

    /// The value with this number.
    #[inline]
    pub fn get(&self, index: usize) -> Option<T> {
        let at = index.checked_mul(size_of::<T>())?;
        let value = self.bytes.get(at..)?.get(..size_of::<T>())?;
        Some(T::read(value, self.foreign))
    }

    /// Copies the first values into `to`, as many as there are in both; returns how many.
    pub fn copy_to(&self, to: &mut [T]) -> usize {
        let count = self.len().min(to.len());
        let values = self.bytes.chunks_exact(size_of::<T>());
        // Two loops, so that neither has a branch.
        if self.foreign {
            let values = values.map(|value| T::read(value, true));
            to.iter_mut()
                .zip(values)
                .for_each(|(to, value)| *to = value);
        } else {
            let values = values.map(|value| T::read(value, false));
            to.iter_mut()
                .zip(values)
                .for_each(|(to, value)| *to = value);
        }
        count
    }
}

impl<'m> Array<'m, u8> {
    /// The values as a slice: bytes are the same in every order.
    pub fn as_slice(&self) -> &'m [u8] {
        self.bytes
    }
}

impl<T: Scalar> Iterator for Array<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        let (value, behind) = self.bytes.split_at_checked(size_of::<T>())?;
        self.bytes = behind;
        Some(T::read(value, self.foreign))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.bytes.len() / size_of::<T>();
        (count, Some(count))
    }
}

impl<T: Scalar> ExactSizeIterator for Array<'_, T> {}

/// An array of numbers that came out of line, with the pages that it lies in.
#[derive(Debug)]
pub struct Values<P, T> {
    memory: Memory<P>,
    foreign: bool,
    values: PhantomData<T>,
}

impl<P: Page, T: Number> Values<P, T> {
    pub(super) fn new(memory: Memory<P>, foreign: bool) -> Self {
        Values {
            memory,
            foreign,
            values: PhantomData,
        }
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.memory.len() / size_of::<T>()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.memory.is_empty()
    }

    /// The numbers. None of them lies across two pages, for their sizes divide a page's.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        let foreign = self.foreign;
        let pages = self.memory.chunks();
        pages.flat_map(move |page| Array::new(page, foreign))
    }

    /// The number with this place.
    pub fn get(&self, index: usize) -> Option<T> {
        let at = index.checked_mul(size_of::<T>())?;
        if at >= self.memory.len() {
            return None;
        }
        let page = self.memory.pages().get(at / PAGE_SIZE)?.bytes();
        let value = page.get(at % PAGE_SIZE..)?;
        Some(T::read(value, self.foreign))
    }

    /// The memory, and whether its numbers are in the other byte order than this machine's.
    pub fn into_memory(self) -> (Memory<P>, bool) {
        (self.memory, self.foreign)
    }
}
