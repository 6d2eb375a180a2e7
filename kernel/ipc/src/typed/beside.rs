//! What lies in a message beside its inline data, as items need to know it.
//!
//! A node's message has rights and pages of the core's; a program's in a task has names and
//! addresses. Items are the same in both, and so is reading them.

use crate::error::NoMemory;
use crate::format::Format;
use crate::memory::Memory;
use crate::message::Message;
use crate::page::Page;
use crate::right::{Right, RightKind};
use alloc::vec::Vec;

/// How many rights and how much memory there are.
pub trait Described {
    /// How many rights there are, the one for a reply not counted.
    fn rights(&self) -> usize;

    /// What the right in this place is.
    fn kind(&self, place: usize) -> Option<RightKind>;

    /// Bytes of out-of-line memory.
    fn bytes(&self) -> usize;
}

/// The same, and rights can be taken out.
pub trait Beside: Described {
    /// A right.
    type Right;

    /// Marks that something was taken out: what the items say of it is no longer so.
    fn open(&mut self);

    /// Takes the right in this place out; there is one.
    fn take_right(&mut self, place: usize) -> Self::Right;

    /// Puts a right that was taken out back in its place.
    ///
    /// # Errors
    /// Gives it back when there is no room, and so none was taken out.
    fn put_right(&mut self, place: usize, right: Self::Right) -> Result<(), Self::Right>;

    /// Pages of out-of-line memory.
    fn pages(&self) -> usize;
}

/// The same, and memory can be taken out.
pub trait Regions: Beside {
    /// Memory.
    type Region: Default;

    /// Takes `bytes` out, from the page with this number on; they are there.
    ///
    /// # Errors
    /// [`NoMemory`], and nothing was taken.
    fn take_part(&mut self, page: usize, bytes: usize) -> Result<Self::Region, NoMemory>;
}

impl<P> Described for &Message<P> {
    fn rights(&self) -> usize {
        Message::rights(self).len()
    }

    fn kind(&self, place: usize) -> Option<RightKind> {
        Message::rights(self).get(place).map(Right::kind)
    }

    fn bytes(&self) -> usize {
        self.memory().len()
    }
}

/// The parts of a message of the core's.
#[derive(Debug)]
pub struct Parts<'m, P> {
    format: &'m mut Format,
    rights: &'m mut Vec<Right>,
    memory: &'m mut Memory<P>,
}

impl<'m, P> Parts<'m, P> {
    pub(super) fn new(
        format: &'m mut Format,
        rights: &'m mut Vec<Right>,
        memory: &'m mut Memory<P>,
    ) -> Self {
        Parts {
            format,
            rights,
            memory,
        }
    }
}

impl<P> Described for Parts<'_, P> {
    #[inline]
    fn rights(&self) -> usize {
        self.rights.len()
    }

    #[inline]
    fn kind(&self, place: usize) -> Option<RightKind> {
        self.rights.get(place).map(Right::kind)
    }

    #[inline]
    fn bytes(&self) -> usize {
        self.memory.len()
    }
}

impl<P> Beside for Parts<'_, P> {
    type Right = Right;

    #[inline]
    fn open(&mut self) {
        self.format.open();
    }

    #[inline]
    fn take_right(&mut self, place: usize) -> Right {
        self.rights.remove(place)
    }

    #[inline]
    fn put_right(&mut self, place: usize, right: Right) -> Result<(), Right> {
        if self.rights.len() == self.rights.capacity() {
            return Err(right);
        }
        self.rights.insert(place, right);
        Ok(())
    }

    #[inline]
    fn pages(&self) -> usize {
        self.memory.pages().len()
    }
}

impl<P: Page> Regions for Parts<'_, P> {
    type Region = Memory<P>;

    #[inline]
    fn take_part(&mut self, page: usize, bytes: usize) -> Result<Memory<P>, NoMemory> {
        self.memory.take_part(page, bytes)
    }
}
