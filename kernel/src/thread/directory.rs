//! What is known of a thread besides its scheduling: its name, its stack, who waits for its end.
//!
//! Owns: that table. Kept apart from the scheduler's, so that what every switch touches stays
//! small.

use crate::arch::layout;
use crate::limits::{THREAD_NAME, THREADS};
use crate::memory::stack::{self, Stack};
use crate::processor;
use crate::sync::IrqLock;
use core::ops::Range;
use heapless::String;

/// A thread's name, cut to what is kept of it.
pub(crate) type Name = String<THREAD_NAME>;

/// What is known of one thread, or of the next one that will have its number.
pub(super) struct Entry {
    pub(super) name: Name,
    pub(super) stack: Option<Stack>,
    /// How many threads had this number and have ended.
    pub(super) generation: u32,
    /// The thread that waits for the end.
    pub(super) waiter: Option<u8>,
    /// It has ended; the stack can be reused as soon as another thread runs.
    pub(super) ended: bool,
}

/// All threads, by number.
pub(super) static DIRECTORY: IrqLock<[Entry; THREADS]> = IrqLock::new(
    [const {
        Entry {
            name: Name::new(),
            stack: None,
            generation: 0,
            waiter: None,
            ended: false,
        }
    }; THREADS],
);

/// The running thread's name, for a report: whoever holds the lock.
pub(crate) fn current_name() -> Name {
    let entry = current_entry();
    if entry.name.is_empty() {
        return Name::try_from("main").unwrap_or_default();
    }
    entry.name.clone()
}

/// The addresses of the running thread's stack, for a report.
pub(crate) fn current_stack() -> Range<u64> {
    match &current_entry().stack {
        Some(stack) => stack.range(),
        None => {
            let [boot, ..] = layout::image_stacks();
            boot
        }
    }
}

/// Whether an access to `address` means that a stack has overflowed.
pub(crate) fn is_guard(address: u64) -> bool {
    let below = |stack: &Range<u64>| (stack.start - 4096..stack.start).contains(&address);
    stack::is_guard(address) || layout::image_stacks().iter().any(below)
}

fn current_entry() -> &'static Entry {
    // SAFETY: only reports call this, with interrupts off and never to return, so nobody
    // changes the table any more.
    let directory = unsafe { &*DIRECTORY.peek() };
    &directory[usize::from(processor::this().current())]
}
