//! What belongs to one processor.
//!
//! Owns: finding it. Leaves to others: what it is. There is one processor today; with several,
//! only [`this`] changes (to a base in the GS register), because nothing else names the static.

use crate::counters::Cells;
use crate::thread::Number;
use crate::thread::scheduler::Scheduler;
use crate::timer::table::TimerTable;
use core::cell::UnsafeCell;

/// The state of one processor.
pub(crate) struct Processor {
    pub(crate) counters: Cells,
    scheduler: UnsafeCell<Scheduler>,
    timers: UnsafeCell<TimerTable>,
}

// SAFETY: each processor uses only its own, and with interrupts off where it matters; the
// accessors below say so.
unsafe impl Sync for Processor {}

static BOOT_PROCESSOR: Processor = Processor {
    counters: Cells::new(),
    scheduler: UnsafeCell::new(Scheduler::new()),
    timers: UnsafeCell::new(TimerTable::new()),
};

/// The processor that runs this.
#[inline(always)]
pub(crate) fn this() -> &'static Processor {
    &BOOT_PROCESSOR
}

impl Processor {
    /// The run queue and the threads.
    ///
    /// # Safety
    /// Interrupts must be off while the reference lives, there must be no other, and it must
    /// not be kept across a switch of threads.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn scheduler(&self) -> &mut Scheduler {
        // SAFETY: exclusive, by the rule above.
        unsafe { &mut *self.scheduler.get() }
    }

    /// The running thread, which may be asked with interrupts on: it is the same whenever that
    /// thread runs.
    #[inline(always)]
    pub(crate) fn current(&self) -> Number {
        // SAFETY: one number is read, without making a reference to anything that an interrupt
        // could change meanwhile.
        unsafe { Scheduler::current_of(self.scheduler.get()) }
    }

    /// Who waits until when.
    ///
    /// # Safety
    /// As for [`Processor::scheduler`].
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn timers(&self) -> &mut TimerTable {
        // SAFETY: exclusive, by the rule above.
        unsafe { &mut *self.timers.get() }
    }
}
