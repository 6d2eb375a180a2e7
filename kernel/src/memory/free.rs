//! The frames that nobody has.
//!
//! Owns: a list of single frames, which serves nearly every request in a few instructions;
//! behind it a buddy allocator for rows of frames; behind that the memory that nobody has had
//! yet, which the buddy allocator gets by and by. Leaves to others: locking, and the frames
//! in use. Memory is not touched before it is first given out, because the host has to find
//! and clear it then: at boot that would cost more than all the rest. The list is threaded through a table with one number per frame, the same number that
//! counts the holders of a frame in use, so that a free frame itself is never touched.
//! Single frames go back to the buddy allocator only when a request for several in a row fails
//! without them: joining buddies takes time in proportion to their number.

use super::FRAME;
use super::carve::{Region, Regions};
use crate::limits::{FRAME_BATCH, FRESH_STEP};
use buddy_system_allocator::Heap;
use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

/// Blocks of the buddy allocator are at most 2^31 bytes.
const ORDERS: usize = 32;

/// The end of the list. Frame 0 is never handed out: it holds what the firmware left.
const NONE: u32 = 0;

/// The free frames.
pub struct Free {
    /// The first of the list.
    first: u32,
    /// How many are in the list.
    singles: usize,
    /// Nobody has had these yet.
    fresh: Regions,
    buddies: Heap<ORDERS>,
    /// How many the buddy allocator has.
    buddy_frames: usize,
    origin: usize,
    table: &'static [AtomicU32],
}

impl Free {
    /// No frames.
    pub const fn new() -> Self {
        Self {
            first: NONE,
            singles: 0,
            fresh: Regions::new(),
            buddies: Heap::new(),
            buddy_frames: 0,
            origin: 0,
            table: &[],
        }
    }

    /// Takes over the memory in `regions`. Physical address 0 appears at `origin`; `table` has
    /// a number for each frame up to the highest.
    ///
    /// # Safety
    /// The regions must be mapped at `origin`, be nobody else's, consist of whole frames, and
    /// not include frame 0 or a frame beyond the table.
    pub unsafe fn initialise(
        &mut self,
        regions: &[Region],
        origin: usize,
        table: &'static [AtomicU32],
    ) {
        self.origin = origin;
        self.table = table;
        self.fresh = regions.iter().copied().collect();
    }

    /// How many frames are free.
    pub fn count(&self) -> usize {
        let fresh: u64 = self.fresh.iter().map(Region::size).sum();
        self.singles + self.buddy_frames + fresh as usize / FRAME
    }

    /// Takes one frame.
    #[inline]
    pub fn take(&mut self) -> Option<u32> {
        if self.first == NONE {
            self.refill()?;
        }
        let frame = self.first;
        self.first = self.table[frame as usize].load(Ordering::Relaxed);
        self.singles -= 1;
        Some(frame)
    }

    /// Gives one frame back.
    #[inline]
    pub fn give(&mut self, frame: u32) {
        self.table[frame as usize].store(self.first, Ordering::Relaxed);
        self.first = frame;
        self.singles += 1;
    }

    /// Takes `count` frames in a row; returns the first. The row is aligned to its size rounded
    /// up to a power of two.
    pub fn take_row(&mut self, count: usize) -> Option<u32> {
        if let Some(first) = self.take_buddies(count) {
            return Some(first);
        }
        self.drain();
        self.take_buddies(count)
    }

    /// Gives a row back.
    pub fn give_row(&mut self, first: u32, count: usize) {
        let count = count.next_power_of_two();
        let Some(pointer) = NonNull::new((self.origin + first as usize * FRAME) as *mut u8) else {
            return;
        };
        // SAFETY: the frames came out of this allocator, in this row or in a larger one that
        // was split, and nobody holds them any more.
        unsafe { self.buddies.dealloc(pointer, layout(count)) };
        self.buddy_frames += count;
    }

    fn take_buddies(&mut self, count: usize) -> Option<u32> {
        let count = rounded(count)?;
        loop {
            if let Ok(pointer) = self.buddies.alloc(layout(count)) {
                self.buddy_frames -= count;
                return Some(((pointer.as_ptr() as usize - self.origin) / FRAME) as u32);
            }
            self.extend(count)?;
        }
    }

    /// Gives the buddy allocator more of the fresh memory, up to the next place where a row of
    /// `count` frames could begin or a mebibyte ends.
    #[cold]
    fn extend(&mut self, count: usize) -> Option<()> {
        let step = (count.max(FRESH_STEP) * FRAME) as u64;
        let region = self.fresh.iter_mut().find(|region| !region.is_empty())?;
        let end = (region.start + 1).next_multiple_of(step).min(region.end);
        let (from, to) = (
            self.origin + region.start as usize,
            self.origin + end as usize,
        );
        // SAFETY: who called `initialise` vouched for the memory, and nobody has had it yet.
        unsafe { self.buddies.add_to_heap(from, to) };
        self.buddy_frames += (to - from) / FRAME;
        region.start = end;
        Some(())
    }

    #[cold]
    fn refill(&mut self) -> Option<()> {
        let mut count = FRAME_BATCH;
        let first = loop {
            match self.take_buddies(count) {
                Some(first) => break first,
                None if count > 1 => count /= 2,
                None => return None,
            }
        };
        // Backwards, so that the first is taken first.
        (first..first + count as u32)
            .rev()
            .for_each(|frame| self.give(frame));
        Some(())
    }

    fn drain(&mut self) {
        while self.first != NONE {
            let frame = self.first;
            self.first = self.table[frame as usize].load(Ordering::Relaxed);
            self.singles -= 1;
            self.give_row(frame, 1);
        }
    }
}

impl Default for Free {
    fn default() -> Self {
        Self::new()
    }
}

/// The size of a row: a power of two, and at most 2^19 frames (2 GiB).
fn rounded(count: usize) -> Option<usize> {
    count
        .checked_next_power_of_two()
        .filter(|&count| count < 1 << 20)
}

fn layout(count: usize) -> Layout {
    let bytes = count * FRAME;
    // SAFETY: `count` is a power of two below 2^20, so the size is one too and far from
    // overflowing; aligned to itself, a row is one block of the buddy allocator.
    unsafe { Layout::from_size_align_unchecked(bytes, bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const FRAMES: usize = 64;

    /// Memory that looks like RAM of 64 frames whose first is not used.
    fn ram() -> Free {
        let layout = Layout::from_size_align(FRAMES * FRAME, FRAMES * FRAME).unwrap();
        // SAFETY: the size is not zero.
        let memory = unsafe { std::alloc::alloc(layout) };
        let table: Vec<AtomicU32> = (0..FRAMES).map(|_| AtomicU32::new(0)).collect();
        let mut free = Free::new();
        let region = Region {
            start: FRAME as u64,
            end: (FRAMES * FRAME) as u64,
        };
        // SAFETY: the memory was just allocated, for good.
        unsafe { free.initialise(&[region], memory as usize, table.leak()) };
        free
    }

    #[test]
    fn gives_every_frame_once() {
        let mut free = ram();
        assert_eq!(free.count(), FRAMES - 1);
        let frames: HashSet<u32> = core::iter::from_fn(|| free.take()).collect();
        assert_eq!(frames.len(), FRAMES - 1);
        assert!(!frames.contains(&0));
        assert_eq!(free.count(), 0);
        for frame in frames {
            free.give(frame);
        }
        assert_eq!(free.count(), FRAMES - 1);
    }

    #[test]
    fn joins_single_frames_for_a_row() {
        let mut free = ram();
        let frames: Vec<u32> = core::iter::from_fn(|| free.take()).collect();
        for frame in frames {
            free.give(frame);
        }
        let row = free.take_row(20).unwrap();
        assert_eq!(row, 32, "the only aligned row of 32 frames without frame 0");
        assert_eq!(free.count(), FRAMES - 1 - 32);
        assert_eq!(free.take_row(32), None);
        free.give_row(row, 20);
        assert_eq!(free.count(), FRAMES - 1);
    }

    #[test]
    fn rows_and_single_frames_do_not_overlap() {
        let mut free = ram();
        let rows = [free.take_row(8).unwrap(), free.take_row(5).unwrap()];
        assert!(rows.iter().all(|row| row % 8 == 0));
        let rest: HashSet<u32> = core::iter::from_fn(|| free.take()).collect();
        assert_eq!(rest.len(), FRAMES - 1 - 16);
        for row in rows {
            assert!((row..row + 8).all(|frame| !rest.contains(&frame)));
            free.give_row(row, 8);
        }
        assert_eq!(free.count(), 16);
    }

    #[test]
    fn refuses_what_is_larger_than_all() {
        let mut free = ram();
        assert_eq!(free.take_row(FRAMES), None);
        assert_eq!(free.take_row(usize::MAX), None);
        assert_eq!(free.count(), FRAMES - 1);
    }
}
