//! Which pages of a task's address space are in use, and for what.
//!
//! Owns: the arithmetic: where there is room, cutting, and whether a row of pages is all there.
//! Pure. Between two regions that were placed here lies at least one page that nobody has: a
//! guard below each stack and behind each buffer.

use crate::memory::NoMemory;
use crate::task::elf::Rights;
use alloc::vec::Vec;

/// Pages in a row with the same rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// The number of the first page.
    pub first: u64,
    /// How many there are.
    pub pages: u64,
    /// What may be done with them.
    pub rights: Rights,
}

impl Region {
    const fn end(&self) -> u64 {
        self.first + self.pages
    }
}

/// Regions in rising order, none of which overlap.
#[derive(Debug, Default)]
pub struct Regions {
    regions: Vec<Region>,
    limit: usize,
}

impl Regions {
    /// None, and at most `limit`.
    pub const fn new(limit: usize) -> Self {
        Self {
            regions: Vec::new(),
            limit,
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Region> {
        self.regions.iter()
    }

    /// The first page of the lowest row of `pages` pages, within `lowest..end`, that nobody has,
    /// with a page that nobody has before and behind it.
    pub fn find(&self, lowest: u64, end: u64, pages: u64) -> Option<u64> {
        let mut first = lowest.checked_add(1)?;
        let from = self
            .regions
            .partition_point(|region| region.end() <= lowest);
        for region in self.regions.get(from..)? {
            if first.checked_add(pages)?.checked_add(1)? <= region.first {
                break;
            }
            first = first.max(region.end() + 1);
        }
        let behind = first.checked_add(pages)?.checked_add(1)?;
        (pages > 0 && behind <= end).then_some(first)
    }

    /// Adds a region where nothing is.
    ///
    /// # Errors
    /// [`NoMemory`], also when there are as many as there can be, or something is there.
    pub fn insert(&mut self, region: Region) -> Result<(), NoMemory> {
        let at = self.position(region.first);
        let before = at.checked_sub(1).map(|at| self.regions[at]);
        let free = before.is_none_or(|before| before.end() <= region.first)
            && self
                .regions
                .get(at)
                .is_none_or(|behind| region.end() <= behind.first);
        if !free || region.pages == 0 || self.regions.len() >= self.limit {
            return Err(NoMemory);
        }
        self.regions.try_reserve(1).map_err(|_| NoMemory)?;
        self.regions.insert(at, region);
        Ok(())
    }

    /// The region that has all of these pages.
    pub fn covering(&self, first: u64, pages: u64) -> Option<Region> {
        let end = first.checked_add(pages)?;
        let region = self.regions.get(self.position(first).checked_sub(1)?)?;
        let covered = pages > 0 && region.first <= first && end <= region.end();
        covered.then_some(*region)
    }

    /// Whether [`Regions::remove`] can succeed for part of a region: it may leave two.
    ///
    /// # Errors
    /// [`NoMemory`], also when there are as many as there can be.
    pub fn reserve(&mut self) -> Result<(), NoMemory> {
        if self.regions.len() >= self.limit {
            return Err(NoMemory);
        }
        self.regions.try_reserve(1).map_err(|_| NoMemory)
    }

    /// Takes these pages out of the region that has them all; whether there is one, and room
    /// for what is left of it ([`Regions::reserve`]).
    pub fn remove(&mut self, first: u64, pages: u64) -> bool {
        let Some(region) = self.covering(first, pages) else {
            return false;
        };
        let at = self.position(first) - 1;
        let (end, before) = (first + pages, first - region.first);
        let behind = Region {
            first: end,
            pages: region.end() - end,
            ..region
        };
        match (before, behind.pages) {
            (0, 0) => {
                self.regions.remove(at);
            }
            (0, _) => self.regions[at] = behind,
            (_, 0) => self.regions[at].pages = before,
            _ => {
                if self.regions.len() == self.regions.capacity() {
                    return false;
                }
                self.regions[at].pages = before;
                self.regions.insert(at + 1, behind);
            }
        }
        true
    }

    /// How many regions begin at or before a page.
    fn position(&self, page: u64) -> usize {
        self.regions.partition_point(|region| region.first <= page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAGES: u64 = 48;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Place(u64),
        Insert(u64, u64),
        Remove(u64, u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..6u64).prop_map(Step::Place),
            (0..PAGES, 0..6u64).prop_map(|(first, pages)| Step::Insert(first, pages)),
            (0..PAGES, 0..6u64).prop_map(|(first, pages)| Step::Remove(first, pages)),
        ];
        prop::collection::vec(step, 0..60)
    }

    fn region(first: u64, pages: u64) -> Region {
        Region {
            first,
            pages,
            rights: Rights::Write,
        }
    }

    #[test]
    fn nothing_lies_beside_a_stack() {
        let mut regions = Regions::new(8);
        regions.insert(region(10, 2)).unwrap();
        assert_eq!(regions.find(0, 100, 8), Some(1));
        assert_eq!(regions.find(0, 100, 9), Some(13));
        assert_eq!(regions.find(0, 23, 9), Some(13));
        assert_eq!(regions.find(0, 22, 9), None);
        assert_eq!(regions.find(0, 100, 0), None);
        assert_eq!(regions.find(0, 100, u64::MAX), None);
    }

    #[test]
    fn there_are_no_more_than_are_allowed() {
        let mut regions = Regions::new(2);
        regions.insert(region(0, 9)).unwrap();
        regions.insert(region(20, 1)).unwrap();
        assert!(regions.insert(region(30, 1)).is_err() && regions.reserve().is_err());
        assert!(regions.remove(0, 9) && regions.reserve().is_ok());
    }

    proptest! {
        #[test]
        fn behaves_like_a_row_of_pages(steps in steps()) {
            let mut regions = Regions::new(1000);
            let mut model = [false; 64];
            for step in steps {
                match step {
                    Step::Place(pages) => {
                        let Some(first) = regions.find(0, PAGES, pages) else {
                            continue;
                        };
                        let around = first as usize - 1..(first + pages) as usize + 1;
                        prop_assert!(model[around].iter().all(|used| !used));
                        regions.insert(region(first, pages)).unwrap();
                        model[first as usize..][..pages as usize].fill(true);
                    }
                    Step::Insert(first, pages) => {
                        let row = &mut model[first as usize..][..pages as usize];
                        let free = pages > 0 && row.iter().all(|used| !used);
                        prop_assert_eq!(regions.insert(region(first, pages)).is_ok(), free);
                        if free {
                            row.fill(true);
                        }
                    }
                    Step::Remove(first, pages) => {
                        regions.reserve().unwrap();
                        if regions.remove(first, pages) {
                            let row = &mut model[first as usize..][..pages as usize];
                            prop_assert!(pages > 0 && row.iter().all(|used| *used));
                            row.fill(false);
                        }
                    }
                }
                let used = regions.iter().map(|region| region.pages).sum::<u64>();
                prop_assert_eq!(used, model.iter().filter(|used| **used).count() as u64);
                for region in regions.iter() {
                    let row = &model[region.first as usize..region.end() as usize];
                    prop_assert!(row.iter().all(|used| *used));
                    prop_assert_eq!(regions.covering(region.first, region.pages), Some(*region));
                }
            }
        }
    }
}
