//! The frames that nobody has.
//!
//! Owns: for each block of 64 frames a word that says which are free, a ring of the blocks that
//! have free frames, and the memory that nobody has had yet, from which whole blocks are cut in
//! order. Leaves to others: locking, and what frames are for.
//!
//! Why words and not a list of frames: frames that are given back one by one are neighbours
//! again at once, in whatever order they came. Received data are replaced by neighbours
//! ([`Free::take_run`]), which a device describes and a host maps as one piece.
//!
//! A free frame itself is never touched. That matters at boot, because the host has to find and
//! clear memory when it is first touched. Rows of frames for devices are hardly ever asked for,
//! and mostly at boot; later the blocks are searched for one.

use super::FRAME;
use super::carve::{Region, Regions};
use crate::limits::RUN_TRIES;
use core::ops::Range;

/// Frames of a block, as many as a word has bits.
const BLOCK: u32 = u64::BITS;

/// The end of nothing: no block has this number.
const NONE: u32 = u32::MAX;

/// What is known of 64 frames.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Bit i: frame i of the block is free. Not all zero exactly while it is in the ring.
    free: u64,
    next: u32,
    previous: u32,
}

impl Block {
    const TAKEN: Self = Self {
        free: 0,
        next: NONE,
        previous: NONE,
    };
}

/// How many blocks a machine has whose highest frame ends at `end`.
pub const fn blocks(end: u64) -> usize {
    end.div_ceil(BLOCK as u64 * FRAME as u64) as usize
}

/// The free frames.
pub struct Free {
    blocks: &'static mut [Block],
    /// Where frames are looked for first, in the ring of blocks with free frames.
    first: u32,
    /// Free frames in the ring.
    listed: usize,
    /// Nobody has had these whole blocks yet; what stands in their places means nothing.
    fresh: Regions,
    /// All that there ever was.
    all: Regions,
}

impl Free {
    /// No frames.
    pub const fn new() -> Self {
        Self {
            blocks: &mut [],
            first: NONE,
            listed: 0,
            fresh: Regions::new(),
            all: Regions::new(),
        }
    }

    /// Takes over the frames in `regions`, in rising order. There must be a block for each up
    /// to the highest; what stands in it does not matter.
    pub fn initialise(&mut self, regions: &[Region], blocks: &'static mut [Block]) {
        self.blocks = blocks;
        let size = u64::from(BLOCK) * FRAME as u64;
        // Blocks that are not whole, where regions begin and end.
        let mut ends = Regions::new();
        for region in regions {
            let whole = region.shrink_to(size);
            // Who carved the regions has as many as fit.
            let _ = self.all.push(*region);
            if whole.is_empty() {
                let _ = ends.push(*region);
                continue;
            }
            let _ = self.fresh.push(whole);
            for (start, end) in [(region.start, whole.start), (whole.end, region.end)] {
                let _ = ends.push(Region { start, end });
            }
        }
        for part in &ends {
            for frame in frames(part) {
                self.blocks[(frame / BLOCK) as usize] = Block::TAKEN;
            }
        }
        for part in &ends {
            frames(part).for_each(|frame| self.give(frame));
        }
    }

    /// How many frames are free.
    pub fn count(&self) -> usize {
        let fresh = self.fresh.iter().map(|region| frames(region).len());
        self.listed + fresh.sum::<usize>()
    }

    /// Takes one frame.
    #[inline]
    pub fn take(&mut self) -> Option<u32> {
        if self.first == NONE {
            self.refill()?;
        }
        let index = self.first;
        let bit = self.blocks[index as usize].free.trailing_zeros();
        self.remove(index, 1 << bit);
        Some(index * BLOCK + bit)
    }

    /// Takes `count` neighbours, at most 64; returns the first. Where none are found soon,
    /// there is nothing: frames taken singly serve as well.
    #[inline]
    pub fn take_run(&mut self, count: u32) -> Option<u32> {
        for _ in 0..RUN_TRIES {
            if self.first == NONE {
                break;
            }
            let index = self.first;
            let block = &self.blocks[index as usize];
            let starts = run_starts(block.free, count);
            if starts != 0 {
                return Some(self.take_bits(index, starts.trailing_zeros(), count));
            }
            self.first = block.next;
        }
        let index = self.refill()?;
        Some(self.take_bits(index, 0, count))
    }

    #[inline(always)]
    fn take_bits(&mut self, index: u32, bit: u32, count: u32) -> u32 {
        self.remove(index, (u64::MAX >> (BLOCK - count)) << bit);
        index * BLOCK + bit
    }

    /// Takes free frames out of a block.
    #[inline(always)]
    fn remove(&mut self, index: u32, bits: u64) {
        let block = &mut self.blocks[index as usize];
        block.free &= !bits;
        self.listed -= bits.count_ones() as usize;
        if block.free == 0 {
            self.unlink(index);
        }
    }

    /// Gives one frame back.
    #[inline]
    pub fn give(&mut self, frame: u32) {
        let index = frame / BLOCK;
        let block = &mut self.blocks[index as usize];
        let before = block.free;
        block.free = before | 1 << (frame % BLOCK);
        self.listed += 1;
        if before == 0 {
            self.link(index);
        }
    }

    /// Takes a block into the ring, as the first: its frames were in use a moment ago.
    fn link(&mut self, index: u32) {
        let (next, previous) = match self.blocks.get(self.first as usize) {
            Some(first) => (self.first, first.previous),
            None => (index, index),
        };
        self.blocks[index as usize].next = next;
        self.blocks[index as usize].previous = previous;
        self.blocks[previous as usize].next = index;
        self.blocks[next as usize].previous = index;
        self.first = index;
    }

    fn unlink(&mut self, index: u32) {
        let Block { next, previous, .. } = self.blocks[index as usize];
        self.blocks[previous as usize].next = next;
        self.blocks[next as usize].previous = previous;
        if self.first == index {
            self.first = if next == index { NONE } else { next };
        }
    }

    /// Takes `count` frames in a row, aligned to `count` rounded up to a power of two; returns
    /// the first.
    pub fn take_row(&mut self, count: usize) -> Option<u32> {
        let align = count.checked_next_power_of_two()?;
        let row = self
            .cut_row(count, align)
            .or_else(|| self.find_row(count, align))?;
        for frame in row.clone() {
            self.remove(frame / BLOCK, 1 << (frame % BLOCK));
        }
        Some(row.start)
    }

    /// Gives a row back.
    pub fn give_row(&mut self, first: u32, count: usize) {
        (first..first + count as u32).for_each(|frame| self.give(frame));
    }

    /// Moves a block that nobody has had into the ring.
    #[cold]
    fn refill(&mut self) -> Option<u32> {
        let region = self.fresh.iter_mut().find(|region| !region.is_empty())?;
        let start = frames(region).start;
        region.start += u64::from(BLOCK) * FRAME as u64;
        self.begin(start..start + BLOCK);
        Some(start / BLOCK)
    }

    /// Takes blocks that nobody has had into the ring, the lowest first.
    fn begin(&mut self, fresh: Range<u32>) {
        for index in (fresh.start / BLOCK..fresh.end / BLOCK).rev() {
            self.blocks[index as usize].free = u64::MAX;
            self.listed += BLOCK as usize;
            self.link(index);
        }
    }

    /// Cuts off blocks that nobody has had, up to the end of a row in them.
    fn cut_row(&mut self, count: usize, align: usize) -> Option<Range<u32>> {
        let fit = |region: &Region| {
            aligned_row(frames(region).start, count, align)
                .filter(|row| row.end <= frames(region).end)
        };
        let region = self.fresh.iter_mut().find(|region| fit(region).is_some())?;
        let row = fit(region)?;
        let before = frames(region).start;
        let end = row.end.next_multiple_of(BLOCK);
        region.start = u64::from(end) * FRAME as u64;
        self.begin(before..end);
        Some(row)
    }

    /// Finds a row among the frames that were given back.
    #[cold]
    fn find_row(&mut self, count: usize, align: usize) -> Option<Range<u32>> {
        self.all.iter().find_map(|region| {
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
        })
    }

    fn is_listed(&self, frame: u32) -> bool {
        let is_fresh = self
            .fresh
            .iter()
            .any(|region| frames(region).contains(&frame));
        !is_fresh && self.blocks[(frame / BLOCK) as usize].free & 1 << (frame % BLOCK) != 0
    }
}

impl Default for Free {
    fn default() -> Self {
        Self::new()
    }
}

/// The bits of `free` at which `count` ones in a row begin; `count` is 1 to 64.
#[inline(always)]
const fn run_starts(free: u64, count: u32) -> u64 {
    let (mut starts, mut known) = (free, 1);
    // Each step: runs twice as long as those known, at last as long as wanted.
    while known < count && starts != 0 {
        let more = if known < count - known {
            known
        } else {
            count - known
        };
        starts &= starts >> more;
        known += more;
    }
    starts
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

    const FRAMES: usize = 256;

    /// Memory of 256 frames in two regions, without the first frame and one in the middle, and
    /// with blocks full of nonsense.
    fn ram() -> Free {
        let nonsense = Block {
            free: 0x5555,
            next: 1,
            previous: 7,
        };
        let mut free = Free::new();
        let region = |from: usize, to: usize| Region {
            start: (from * FRAME) as u64,
            end: (to * FRAME) as u64,
        };
        let all = [region(1, 30), region(31, FRAMES)];
        free.initialise(&all, vec![nonsense; FRAMES / BLOCK as usize].leak());
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
        for frame in frames.into_iter().filter(|frame| frame % 64 < 48) {
            free.give(frame);
        }
        let count = free.count();
        assert_eq!(free.take_row(20), Some(64), "the first place without a gap");
        assert_eq!(free.count(), count - 20);
        assert_eq!(free.take_row(49), None);
        free.give_row(64, 20);
        assert_eq!(free.count(), count);
    }

    #[test]
    fn a_row_of_fresh_memory_is_aligned_and_loses_nothing() {
        let mut free = ram();
        assert_eq!(free.take_row(80), Some(128));
        assert_eq!(free.take_row(3), Some(4), "nothing fresh is left");
        let rest: HashSet<u32> = core::iter::from_fn(|| free.take()).collect();
        assert_eq!(rest.len(), USABLE - 83);
        assert!((128..208).chain(4..7).all(|frame| !rest.contains(&frame)));
    }

    #[test]
    fn refuses_what_is_larger_than_all() {
        let mut free = ram();
        assert_eq!(free.take_row(FRAMES), None);
        assert_eq!(free.take_row(usize::MAX), None);
        assert_eq!(free.count(), USABLE);
    }

    #[test]
    fn neighbours_come_together_again() {
        let mut free = ram();
        let mut held: Vec<u32> = core::iter::from_fn(|| free.take()).collect();
        assert_eq!(free.take_run(15), None);
        held.sort_unstable_by_key(|frame| frame % 7);
        for frame in held.drain(..).filter(|frame| *frame < 128) {
            free.give(frame);
        }
        let run = free.take_run(15).expect("two blocks are free");
        assert!((run..run + 15).all(|frame| !free.is_listed(frame)));
    }

    #[test]
    fn runs_are_found_where_they_begin() {
        assert_eq!(run_starts(u64::MAX, 64), 1);
        assert_eq!(run_starts(u64::MAX >> 1, 64), 0);
        assert_eq!(run_starts(0b1_0111_0110, 1), 0b1_0111_0110);
        assert_eq!(run_starts(0b1_0111_0110, 2), 0b0_0011_0010);
        assert_eq!(run_starts(0b1_0111_0110, 3), 0b0_0001_0000);
        assert_eq!(run_starts(0b1_0111_0110, 4), 0);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_given_twice(steps in prop::collection::vec((0u8..5, 1usize..40), 0..300)) {
            let mut free = ram();
            let mut held: Vec<(u32, usize)> = Vec::new();
            for (action, count) in steps {
                match action {
                    0 => held.extend(free.take().map(|frame| (frame, 1))),
                    1 => held.extend(free.take_row(count).map(|first| (first, count))),
                    2 => held.extend(free.take_run(count as u32).map(|first| (first, count))),
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
            }
        }
    }
}
