//! A table with reused places and fallible growth.

use alloc::vec::Vec;

use norma_ipc::NoMemory;

#[derive(Debug)]
pub(crate) struct Slots<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
    limit: usize,
}

impl<T> Slots<T> {
    pub(crate) const fn new(limit: usize) -> Self {
        Slots {
            slots: Vec::new(),
            free: Vec::new(),
            limit,
        }
    }

    /// Makes sure that the next `count` calls of [`Slots::insert`] cannot fail.
    #[inline]
    pub(crate) fn reserve(&mut self, count: usize) -> Result<(), NoMemory> {
        if self.free.len() < count {
            self.grow(count - self.free.len())?;
        }
        Ok(())
    }

    #[cold]
    fn grow(&mut self, more: usize) -> Result<(), NoMemory> {
        let places = self.slots.len() + more;
        if places > self.limit {
            return Err(NoMemory);
        }
        self.slots.try_reserve(more).map_err(|_| NoMemory)?;
        // Every place fits the free list, so that removing never asks for memory.
        let unlisted = places - self.free.len();
        self.free.try_reserve(unlisted).map_err(|_| NoMemory)
    }

    #[inline]
    pub(crate) fn insert(&mut self, value: T) -> Result<u32, NoMemory> {
        self.reserve(1)?;
        match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = Some(value);
                Ok(index)
            }
            None => {
                self.slots.push(Some(value));
                Ok(self.slots.len() as u32 - 1)
            }
        }
    }

    /// Inserts an entry, made in its place, for which room was reserved.
    #[inline(always)]
    pub(crate) fn insert_reserved(&mut self, value: impl FnOnce() -> T) -> u32 {
        match self.free.pop() {
            Some(index) => {
                let empty = self.slots[index as usize].replace(value());
                debug_assert!(empty.is_none(), "a free place was in use");
                // It is known to be empty: to forget it is cheaper than to look.
                core::mem::forget(empty);
                index
            }
            None => {
                self.slots.push(Some(value()));
                self.slots.len() as u32 - 1
            }
        }
    }

    #[inline(always)]
    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        let value = self.slots.get_mut(index as usize)?.take()?;
        self.free.push(index);
        Some(value)
    }

    /// Removes an entry, if it is `wanted`, and keeps a part of it: cheaper than moving all.
    #[inline(always)]
    pub(crate) fn remove_part<R>(
        &mut self,
        index: u32,
        wanted: impl FnOnce(&T) -> bool,
        part: impl FnOnce(T) -> R,
    ) -> Option<R> {
        let slot = self.slots.get_mut(index as usize)?;
        if !wanted(slot.as_ref()?) {
            return None;
        }
        let value = slot.take()?;
        self.free.push(index);
        Some(part(value))
    }

    #[inline(always)]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        self.slots.get(index as usize)?.as_ref()
    }

    #[inline(always)]
    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slots.get_mut(index as usize)?.as_mut()
    }

    /// How many entries can be inserted without asking for memory.
    #[inline]
    pub(crate) fn free(&self) -> usize {
        self.free.len()
    }

    /// Where the next entry will be.
    pub(crate) fn next_place(&self) -> u32 {
        self.free.last().copied().unwrap_or(self.slots.len() as u32)
    }

    /// Entries in use.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Places, used or not: every index is below.
    pub(crate) fn places(&self) -> u32 {
        self.slots.len() as u32
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(index, slot)| slot.as_ref().map(|value| (index as u32, value)))
    }
}
