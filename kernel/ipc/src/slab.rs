//! A growing table with generations: an index that outlived its entry denotes nothing.
//!
//! Why our own: growth must be fallible (`slotmap` aborts when memory runs out) and look-up
//! is on the path of every message.

use alloc::vec::Vec;

use crate::error::NoMemory;

/// Index of no slot: ends a free list.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
enum Content<T> {
    Used(T),
    Free(u32),
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    content: Content<T>,
}

/// Entries found by index and generation.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: u32,
    used: u32,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Slab {
            slots: Vec::new(),
            free: NONE,
            used: 0,
        }
    }

    /// Entries in use.
    pub(crate) fn len(&self) -> u32 {
        self.used
    }

    /// Puts `value` in and returns where. On failure the value is dropped.
    pub(crate) fn insert(&mut self, value: T) -> Result<(u32, u32), NoMemory> {
        let index = if self.free == NONE {
            let index = u32::try_from(self.slots.len()).map_err(|_| NoMemory)?;
            self.slots.try_reserve(1).map_err(|_| NoMemory)?;
            self.slots.push(Slot {
                generation: 1,
                content: Content::Used(value),
            });
            index
        } else {
            let index = self.free;
            let slot = &mut self.slots[index as usize];
            if let Content::Free(next) = slot.content {
                self.free = next;
            }
            slot.content = Content::Used(value);
            index
        };
        self.used += 1;
        Ok((index, self.slots[index as usize].generation))
    }

    /// Takes the entry out. Its slot gets a new generation; after the last one it is never
    /// used again, so that no identifier ever comes twice: one slot in four billion entries.
    pub(crate) fn remove(&mut self, index: u32, generation: u32) -> Option<T> {
        self.get(index, generation)?;
        let slot = &mut self.slots[index as usize];
        let content = match slot.generation.checked_add(1) {
            Some(next) => {
                slot.generation = next;
                let content = core::mem::replace(&mut slot.content, Content::Free(self.free));
                self.free = index;
                content
            }
            None => core::mem::replace(&mut slot.content, Content::Free(NONE)),
        };
        self.used -= 1;
        match content {
            Content::Used(value) => Some(value),
            Content::Free(_) => None,
        }
    }

    #[inline]
    pub(crate) fn get(&self, index: u32, generation: u32) -> Option<&T> {
        match self.slots.get(index as usize) {
            Some(Slot {
                generation: g,
                content: Content::Used(value),
            }) if *g == generation => Some(value),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: u32, generation: u32) -> Option<&mut T> {
        match self.slots.get_mut(index as usize) {
            Some(Slot {
                generation: g,
                content: Content::Used(value),
            }) if *g == generation => Some(value),
            _ => None,
        }
    }

    /// All entries with their index and generation.
    #[cfg(feature = "audit")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, u32, &T)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(index, slot)| match &slot.content {
                Content::Used(value) => Some((index as u32, slot.generation, value)),
                Content::Free(_) => None,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_index_denotes_nothing() {
        let mut slab = Slab::new();
        let (index, generation) = slab.insert('a').unwrap();
        assert_eq!(slab.remove(index, generation), Some('a'));
        assert_eq!(slab.remove(index, generation), None);
        let (again, next) = slab.insert('b').unwrap();
        assert_eq!(again, index);
        assert_ne!(next, generation);
        assert_eq!(slab.get(index, generation), None);
        assert_eq!(slab.get(again, next), Some(&'b'));
        assert_eq!(slab.len(), 1);
    }

    #[test]
    fn a_slot_with_no_generation_left_is_retired() {
        let mut slab = Slab::new();
        let (index, _) = slab.insert('a').unwrap();
        slab.slots[0].generation = u32::MAX;
        assert_eq!(slab.remove(index, u32::MAX), Some('a'));
        let (fresh, generation) = slab.insert('b').unwrap();
        assert_eq!((fresh, generation), (1, 1));
        assert_eq!(slab.get(0, u32::MAX), None);
        assert_eq!(slab.get(0, 1), None);
    }
}
