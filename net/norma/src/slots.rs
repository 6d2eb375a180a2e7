//! A table with reused places and fallible growth. The free places are a list through
//! themselves, so that taking one and giving it back touch nothing else.

use alloc::vec::Vec;

use norma_ipc::NoMemory;

#[derive(Debug)]
enum Slot<T> {
    /// The next free place, or [`NONE`].
    Free(u32),
    Used(T),
}

const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Slots<T> {
    slots: Vec<Slot<T>>,
    first_free: u32,
    free: usize,
    limit: usize,
}

impl<T> Slots<T> {
    pub(crate) const fn new(limit: usize) -> Self {
        Slots {
            slots: Vec::new(),
            first_free: NONE,
            free: 0,
            limit,
        }
    }

    /// Makes sure that the next `count` calls of [`Slots::insert`] cannot fail.
    #[inline]
    pub(crate) fn reserve(&mut self, count: usize) -> Result<(), NoMemory> {
        if self.free < count {
            self.grow(count - self.free)?;
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
        let first = self.slots.len() as u32;
        for next in first + 1..places as u32 {
            self.slots.push(Slot::Free(next));
        }
        self.slots.push(Slot::Free(self.first_free));
        self.first_free = first;
        self.free += more;
        Ok(())
    }

    #[inline]
    pub(crate) fn insert(&mut self, value: T) -> Result<u32, NoMemory> {
        self.reserve(1)?;
        Ok(self.insert_reserved(|_| value))
    }

    /// Inserts an entry, made in its place, for which room was reserved.
    ///
    /// # Panics
    /// If it was not.
    #[inline(always)]
    pub(crate) fn insert_reserved(&mut self, value: impl FnOnce(u32) -> T) -> u32 {
        let place = self.first_free;
        let slot = &mut self.slots[place as usize];
        let Slot::Free(next) = *slot else {
            unreachable!("a free place was in use");
        };
        self.first_free = next;
        self.free -= 1;
        // The free slot has nothing to drop: to forget it is cheaper than to look.
        core::mem::forget(core::mem::replace(slot, Slot::Used(value(place))));
        place
    }

    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        self.remove_part(index, |_| true, |value| value)
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
        match slot {
            Slot::Used(value) if wanted(value) => {}
            _ => return None,
        }
        let Slot::Used(value) = core::mem::replace(slot, Slot::Free(self.first_free)) else {
            return None;
        };
        self.first_free = index;
        self.free += 1;
        Some(part(value))
    }

    #[inline(always)]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        match self.slots.get(index as usize)? {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    #[inline(always)]
    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        match self.slots.get_mut(index as usize)? {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    /// How many entries can be inserted without asking for memory.
    #[inline]
    pub(crate) fn free(&self) -> usize {
        self.free
    }

    /// Where the next entry will be, for which room was reserved.
    pub(crate) fn next_place(&self) -> u32 {
        self.first_free
    }

    /// Entries in use.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free
    }

    /// Places, used or not: every index is below.
    pub(crate) fn places(&self) -> u32 {
        self.slots.len() as u32
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().filter_map(|slot| match slot {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(index, slot)| match slot {
                Slot::Used(value) => Some((index as u32, value)),
                Slot::Free(_) => None,
            })
    }
}
