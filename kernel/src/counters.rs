//! What the platform has done since the start, for benchmarks and tests.
//!
//! Owns: the numbers. Leaves to others: counting (each place counts its own) and printing.
//! Plain cells, one set per processor: they are changed with interrupts off or by the one
//! thread that is running, and a number that is off by one in a benchmark harms nobody.

use crate::processor;
use core::cell::Cell;

/// The numbers at one moment. Subtract two snapshots with [`Counters::since`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Interrupts taken from devices and the timer.
    pub interrupts: u64,
    /// Of these, interrupts for which no handler was set.
    pub unexpected_interrupts: u64,
    /// Interrupts of the timer.
    pub timer_interrupts: u64,
    /// Times the timer's hardware was set.
    pub timer_programmings: u64,
    /// Switches from one thread to another.
    pub switches: u64,
    /// Times a processor halted to wait for an interrupt.
    pub halts: u64,
    /// Blocks taken from the heap.
    pub heap_allocations: u64,
    /// Blocks given back to the heap.
    pub heap_frees: u64,
    /// Frames taken, singly or in a row.
    pub frames_allocated: u64,
    /// Frames given back.
    pub frames_freed: u64,
    /// Shared frames that were copied because one of their holders wrote.
    pub frames_copied: u64,
}

impl Counters {
    const ZERO: Self = Self {
        interrupts: 0,
        unexpected_interrupts: 0,
        timer_interrupts: 0,
        timer_programmings: 0,
        switches: 0,
        halts: 0,
        heap_allocations: 0,
        heap_frees: 0,
        frames_allocated: 0,
        frames_freed: 0,
        frames_copied: 0,
    };

    /// How far each number has moved since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            interrupts: self.interrupts - earlier.interrupts,
            unexpected_interrupts: self.unexpected_interrupts - earlier.unexpected_interrupts,
            timer_interrupts: self.timer_interrupts - earlier.timer_interrupts,
            timer_programmings: self.timer_programmings - earlier.timer_programmings,
            switches: self.switches - earlier.switches,
            halts: self.halts - earlier.halts,
            heap_allocations: self.heap_allocations - earlier.heap_allocations,
            heap_frees: self.heap_frees - earlier.heap_frees,
            frames_allocated: self.frames_allocated - earlier.frames_allocated,
            frames_freed: self.frames_freed - earlier.frames_freed,
            frames_copied: self.frames_copied - earlier.frames_copied,
        }
    }
}

/// The numbers now.
pub fn snapshot() -> Counters {
    processor::this().counters.cell.get()
}

/// The numbers of one processor.
pub(crate) struct Cells {
    cell: Cell<Counters>,
}

impl Cells {
    pub(crate) const fn new() -> Self {
        Self {
            cell: Cell::new(Counters::ZERO),
        }
    }
}

/// Changes the numbers of this processor.
#[inline(always)]
pub(crate) fn count(change: impl FnOnce(&mut Counters)) {
    // SAFETY: the reference lives for the one increment that `change` makes; an interrupt in
    // between could at worst lose a count, and it never sees a reference of ours.
    change(unsafe { &mut *processor::this().counters.cell.as_ptr() });
}
