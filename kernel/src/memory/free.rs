//! The frames that nobody has.
//!
//! Owns: a list of frames that were given back, which serves nearly every request in a few
//! instructions, and the memory that nobody has had yet, from which frames are cut off in
//! order. Leaves to others: locking, and what frames are for.
//!
//! The list is threaded through a table with one number per frame, the same number that counts
//! the holders of a frame in use: a free frame itself is never touched. That matters at boot,
//! because the host has to find and clear memory when it is first touched. It is also why this
//! is not a buddy allocator, which keeps its lists in the free memory, and takes time in
//! proportion to their length to join buddies. Rows of frames are hardly ever asked for, and
//! mostly at boot; later the table is searched for one.

use super::FRAME;
use super::carve::{Region, Regions};
use crate::limits::FRAME_BATCH;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};

/// Marks the number of a free frame; the rest is the next frame in the list.
const FREE: u32 = 1 << 31;

/// The end of the list. Frame 0 is never handed out: it holds what the firmware left.
const NONE: u32 = 0;

/// The free frames.
pub struct Free {
    first: u32,
    listed: usize,
    /// Nobody has had these yet; their numbers in the table mean nothing.
    fresh: Regions,
    /// All that there ever was.
    all: Regions,
    table: &'static [AtomicU32],
}

impl Free {
    /// No frames.
    pub const fn new() -> Self {
        Self {
            first: NONE,
            listed: 0,
            fresh: Regions::new(),
            all: Regions::new(),
            table: &[],
        }
    }

    /// Takes over the frames in `regions`. `table` has a number for each frame up to the
    /// highest; what the numbers are does not matter. Frame 0 must not be among them.
    pub fn initialise(&mut self, regions: &[Region], table: &'static [AtomicU32]) {
        self.table = table;
        for region in regions {
            // Who carved the regions has as many as fit.
            let _ = self.all.push(*region);
            let _ = self.fresh.push(*region);
        }
    }

    /// How many frames are free.
    pub fn count(&self) -> usize {
        self.listed
            + self
                .fresh
                .iter()
                .map(|region| frames(region).len())
                .sum::<usize>()
    }

    /// Takes one frame; its number of holders becomes 1.
    #[inline]
    pub fn take(&mut self) -> Option<u32> {
        if self.first == NONE {
            self.refill()?;
        }
        let frame = self.first;
        let entry = &self.table[frame as usize];
        self.first = entry.load(Ordering::Relaxed) & !FREE;
        entry.store(1, Ordering::Relaxed);
        self.listed -= 1;
        Some(frame)
    }

    /// Gives one frame back.
    #[inline]
    pub fn give(&mut self, frame: u32) {
        self.table[frame as usize].store(self.first | FREE, Ordering::Relaxed);
        self.first = frame;
        self.listed += 1;
    }

    /// Takes `count` frames in a row, aligned to `count` rounded up to a power of two; returns
    /// the first.
    pub fn take_row(&mut self, count: usize) -> Option<u32> {
        let align = count.checked_next_power_of_two()?;
        let row = self
            .cut_row(count, align)
            .or_else(|| self.find_row(count, align))?;
        for frame in row.clone() {
            self.table[frame as usize].store(1, Ordering::Relaxed);
        }
        Some(row.start)
    }

    /// Gives a row back.
    pub fn give_row(&mut self, first: u32, count: usize) {
        // Backwards, so that the first is taken first.
        (first..first + count as u32)
            .rev()
            .for_each(|frame| self.give(frame));
    }

    /// Moves some frames that nobody has had into the list.
    #[cold]
    fn refill(&mut self) -> Option<()> {
        let region = self.fresh.iter_mut().find(|region| !region.is_empty())?;
        let fresh = frames(region);
        let count = fresh.len().min(FRAME_BATCH);
        region.start += (count * FRAME) as u64;
        self.give_row(fresh.start, count);
        Some(())
    }

    /// Cuts a row off the memory that nobody has had. What is left out before it, for the sake
    /// of alignment, goes into the list.
    fn cut_row(&mut self, count: usize, align: usize) -> Option<Range<u32>> {
        let region = self.fresh.iter_mut().find(|region| {
            aligned_row(frames(region).start, count, align)
                .is_some_and(|row| row.end <= frames(region).end)
        })?;
        let before = frames(region).start;
        let row = aligned_row(before, count, align)?;
        region.start = u64::from(row.end) * FRAME as u64;
        self.give_row(before, (row.start - before) as usize);
        Some(row)
    }

    /// Finds a row among the frames that were given back, and takes it out of the list.
    #[cold]
    fn find_row(&mut self, count: usize, align: usize) -> Option<Range<u32>> {
        let row = self.all.iter().find_map(|region| {
            let region = frames(region);
            let mut start = region.start;
            loop {
                let row = aligned_row(start, count, align)?;
                if row.end > region.end {
                    return None;
                }
                if row.clone().all(|frame| self.is_listed(frame)) {
                    return Some(row);
                }
                start = row.start + 1;
            }
        })?;
        self.unlist(&row);
        Some(row)
    }

    fn is_listed(&self, frame: u32) -> bool {
        let is_fresh = self
            .fresh
            .iter()
            .any(|region| frames(region).contains(&frame));
        !is_fresh && self.table[frame as usize].load(Ordering::Relaxed) & FREE != 0
    }

    /// Makes the list anew without the frames in `row`.
    fn unlist(&mut self, row: &Range<u32>) {
        let mut frame = core::mem::replace(&mut self.first, NONE);
        self.listed = 0;
        while frame != NONE {
            let next = self.table[frame as usize].load(Ordering::Relaxed) & !FREE;
            if !row.contains(&frame) {
                self.give(frame);
            }
            frame = next;
        }
    }
}

impl Default for Free {
    fn default() -> Self {
        Self::new()
    }
}

/// The first row of `count` frames from `start` on that is aligned.
fn aligned_row(start: u32, count: usize, align: usize) -> Option<Range<u32>> {
    let start = start.checked_next_multiple_of(u32::try_from(align).ok()?)?;
    let end = start.checked_add(u32::try_from(count).ok()?)?;
    Some(start..end)
}

fn frames(region: &Region) -> Range<u32> {
    let frame = |address: u64| (address / FRAME as u64) as u32;
    frame(region.start)..frame(region.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const FRAMES: usize = 64;

    /// Memory of 64 frames in two regions, without the first frame and one in the middle, and
    /// with a table full of nonsense.
    fn ram() -> Free {
        let table: Vec<AtomicU32> = (0..FRAMES).map(|_| AtomicU32::new(u32::MAX)).collect();
        let mut free = Free::new();
        let region = |from: usize, to: usize| Region {
            start: (from * FRAME) as u64,
            end: (to * FRAME) as u64,
        };
        free.initialise(&[region(1, 30), region(31, FRAMES)], table.leak());
        free
    }

    const USABLE: usize = FRAMES - 2;

    #[test]
    fn gives_every_frame_once() {
        let mut free = ram();
        assert_eq!(free.count(), USABLE);
        let frames: HashSet<u32> = core::iter::from_fn(|| free.take()).collect();
        assert_eq!(frames.len(), USABLE);
        assert!(!frames.contains(&0) && !frames.contains(&30));
        assert_eq!(free.count(), 0);
        for frame in frames {
            free.give(frame);
        }
        assert_eq!(free.count(), USABLE);
    }

    #[test]
    fn finds_a_row_among_frames_that_came_back() {
        let mut free = ram();
        let frames: Vec<u32> = core::iter::from_fn(|| free.take()).collect();
        for frame in frames {
            free.give(frame);
        }
        assert_eq!(free.take_row(20), Some(32), "the only place without a gap");
        assert_eq!(free.count(), USABLE - 20);
        assert_eq!(free.take_row(20), None);
        free.give_row(32, 20);
        assert_eq!(free.count(), USABLE);
    }

    #[test]
    fn a_row_of_fresh_memory_is_aligned_and_loses_nothing() {
        let mut free = ram();
        assert_eq!(free.take_row(8), Some(8));
        assert_eq!(free.take_row(3), Some(16));
        let rest: HashSet<u32> = core::iter::from_fn(|| free.take()).collect();
        assert_eq!(rest.len(), USABLE - 11);
        assert!((8..19).all(|frame| !rest.contains(&frame)));
    }

    #[test]
    fn refuses_what_is_larger_than_all() {
        let mut free = ram();
        assert_eq!(free.take_row(FRAMES), None);
        assert_eq!(free.take_row(usize::MAX), None);
        assert_eq!(free.count(), USABLE);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_given_twice(steps in prop::collection::vec((0u8..4, 1usize..12), 0..300)) {
            let mut free = ram();
            let mut held: Vec<(u32, usize)> = Vec::new();
            for (action, count) in steps {
                match action {
                    0 => held.extend(free.take().map(|frame| (frame, 1))),
                    1 => held.extend(free.take_row(count).map(|first| (first, count))),
                    _ if held.is_empty() => {}
                    _ => {
                        let (first, length) = held.swap_remove(count % held.len());
                        free.give_row(first, length);
                    }
                }
                let all: Vec<u32> = held
                    .iter()
                    .flat_map(|&(first, length)| first..first + length as u32)
                    .collect();
                let distinct: HashSet<u32> = all.iter().copied().collect();
                prop_assert_eq!(distinct.len(), all.len());
                prop_assert_eq!(free.count() + all.len(), USABLE);
                for frame in all {
                    prop_assert_eq!(free.table[frame as usize].load(Ordering::Relaxed), 1);
                }
            }
        }
    }
}
