//! A growing table with generations: an index that outlived its entry denotes nothing.
//!
//! Why our own: growth must be fallible (`slotmap` aborts when memory runs out) and look-up
//! is on the path of every message.

use alloc::vec::Vec;

use crate::error::NoMemory;

/// Index of no slot: ends the list of free slots.
const NONE: u32 = u32::MAX;
/// In the place of the next free slot: this one is in use.
const USED: u32 = u32::MAX - 1;

/// A slot always holds a value, so that a look-up need not ask whether there is one: that of a
/// free slot is vacant, and nobody has an identifier with its generation yet.
#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    next_free: u32,
    value: T,
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
            let index = self.slots.len() as u32;
            if self.slots.len() >= USED as usize {
                return Err(NoMemory);
            }
            self.slots.try_reserve(1).map_err(|_| NoMemory)?;
            self.slots.push(Slot {
                generation: 1,
                next_free: USED,
                value,
            });
            index
        } else {
            let index = self.free;
            let slot = &mut self.slots[index as usize];
            self.free = core::mem::replace(&mut slot.next_free, USED);
            slot.value = value;
            index
        };
        self.used += 1;
        Ok((index, self.slots[index as usize].generation))
    }

    /// Takes the entry out and leaves `vacant`. The slot gets a new generation; after the last
    /// one it is never used again, so that no identifier ever comes twice: one slot in four
    /// billion entries.
    pub(crate) fn remove(&mut self, index: u32, generation: u32, vacant: T) -> Option<T> {
        let slot = self.slots.get_mut(index as usize)?;
        if slot.generation != generation || slot.next_free != USED {
            return None;
        }
        slot.generation = generation.wrapping_add(1);
        if slot.generation == 0 {
            // No identifier has generation 0.
            slot.next_free = NONE;
        } else {
            slot.next_free = self.free;
            self.free = index;
        }
        self.used -= 1;
        Some(core::mem::replace(&mut slot.value, vacant))
    }

    #[inline]
    pub(crate) fn get(&self, index: u32, generation: u32) -> Option<&T> {
        match self.slots.get(index as usize) {
            Some(slot) if slot.generation == generation => Some(&slot.value),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: u32, generation: u32) -> Option<&mut T> {
        match self.slots.get_mut(index as usize) {
            Some(slot) if slot.generation == generation => Some(&mut slot.value),
            _ => None,
        }
    }

    /// Two different entries, each by index and generation.
    #[inline(always)]
    pub(crate) fn get_two_mut(&mut self, places: [(u32, u32); 2]) -> Option<[&mut T; 2]> {
        let [(first, a), (second, b)] = places;
        let slots = self
            .slots
            .get_disjoint_mut([first as usize, second as usize]);
        match slots {
            Ok([first, second]) if first.generation == a && second.generation == b => {
                Some([&mut first.value, &mut second.value])
            }
            _ => None,
        }
    }

    /// Where the first entry is, from index `from` on, of which `wanted` is true.
    pub(crate) fn position(&self, from: u32, wanted: impl Fn(&T) -> bool) -> Option<(u32, u32)> {
        let slots = self.slots.get(from as usize..)?;
        let at = slots
            .iter()
            .position(|slot| slot.next_free == USED && wanted(&slot.value))?;
        Some((from + at as u32, slots[at].generation))
    }

    /// Places, used or not: every index is below.
    pub(crate) fn places(&self) -> u32 {
        self.slots.len() as u32
    }

    /// The entry in a place, with its generation.
    pub(crate) fn at(&self, index: u32) -> Option<(u32, &T)> {
        let slot = self.slots.get(index as usize)?;
        (slot.next_free == USED).then_some((slot.generation, &slot.value))
    }

    /// All entries with their index and generation.
    #[cfg(feature = "audit")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, u32, &T)> {
        let slots = self.slots.iter().enumerate();
        slots
            .filter(|(_, slot)| slot.next_free == USED)
            .map(|(index, slot)| (index as u32, slot.generation, &slot.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_index_denotes_nothing() {
        let mut slab = Slab::new();
        let (index, generation) = slab.insert('a').unwrap();
        assert_eq!(slab.remove(index, generation, '-'), Some('a'));
        assert_eq!(slab.remove(index, generation, '-'), None);
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
        assert_eq!(slab.remove(index, u32::MAX, '-'), Some('a'));
        let (fresh, generation) = slab.insert('b').unwrap();
        assert_eq!((fresh, generation), (1, 1));
        assert_eq!(slab.get(0, u32::MAX), None);
        assert_eq!(slab.get(0, 1), None);
        assert_eq!(slab.remove(0, 0, '-'), None);
    }
}
