//! What is known of a thread besides its scheduling: its name, its stack, who waits for its end.
//!
//! Owns: that table. Kept apart from the scheduler's, so that what every switch touches stays
//! small.

use super::scheduler::State;
use super::{Number, rights};
use crate::arch::layout;
use crate::limits::THREAD_NAME;
use crate::memory::NoMemory;
use crate::memory::stack::{self, Stack};
use crate::sync::IrqLock;
use crate::{processor, trace};
use alloc::vec::Vec;
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
    pub(super) waiter: Option<Number>,
    /// In the list of those that have ended, the next.
    next_ended: Option<Number>,
}

impl Entry {
    const fn new() -> Self {
        Entry {
            name: Name::new(),
            stack: None,
            generation: 0,
            waiter: None,
            next_ended: None,
        }
    }
}

/// What is known of all threads: a table that grows as numbers are first used.
pub(super) struct Directory {
    entries: Vec<Entry>,
    /// The thread that ended last; its stack can be reused as soon as another thread runs.
    ended: Option<Number>,
}

/// All threads, by number.
pub(super) static DIRECTORY: IrqLock<Directory> = IrqLock::new(Directory {
    entries: Vec::new(),
    ended: None,
});

impl Directory {
    /// Makes an entry for `thread`, if there is none yet.
    pub(super) fn make_entry(&mut self, thread: Number) -> Result<(), NoMemory> {
        let missing = (usize::from(thread) + 1).saturating_sub(self.entries.len());
        self.entries.try_reserve(missing).map_err(|_| NoMemory)?;
        self.entries.extend((0..missing).map(|_| Entry::new()));
        Ok(())
    }

    /// The entry of a thread that was spawned.
    pub(super) fn entry(&mut self, thread: Number) -> Option<&mut Entry> {
        self.entries.get_mut(usize::from(thread))
    }

    /// Notes that `thread` has ended. Returns who waits for that.
    pub(super) fn end(&mut self, thread: Number) -> Option<Number> {
        let ended = self.ended;
        let entry = self.entry(thread)?;
        entry.generation = entry.generation.wrapping_add(1);
        entry.next_ended = ended;
        let waiter = entry.waiter.take();
        self.ended = Some(thread);
        waiter
    }

    /// Takes back the stacks of threads that have ended. They do not run: this thread does.
    pub(super) fn reap(&mut self) {
        while let Some(thread) = self.ended {
            let Some(entry) = self.entry(thread) else {
                return;
            };
            let next = entry.next_ended.take();
            if let Some(stack) = entry.stack.take() {
                // SAFETY: its thread has ended and never runs again.
                unsafe { stack.free() };
            }
            self.ended = next;
        }
    }
}

/// A thread, for tools.
pub(crate) struct View {
    pub(crate) name: Name,
    pub(crate) state: State,
    /// At which it runs, and its own.
    pub(crate) priority: u8,
    pub(crate) own_priority: u8,
    /// When it gives up waiting.
    pub(crate) deadline: Option<u64>,
    pub(crate) stack: Range<u64>,
    /// As it was when it last stopped running.
    pub(crate) stack_pointer: u64,
    /// Rights that it took by the face, and that it gave up.
    pub(crate) rights: (u32, u32),
    /// Nanoseconds for which it ran; 0 where nothing is traced.
    pub(crate) ran: u64,
}

/// Every thread's number is below this one.
pub(crate) fn places() -> u32 {
    let _alone = DIRECTORY.lock();
    // SAFETY: interrupts are off under the lock.
    unsafe { places_at_the_end() }
}

/// The same for a report.
///
/// # Safety
/// Interrupts must be off.
pub(crate) unsafe fn places_at_the_end() -> u32 {
    // SAFETY: interrupts are off, and the reference does not outlive the line.
    unsafe { processor::this().scheduler() }.places()
}

/// A thread; what is in the place of one that has ended says so by its state.
pub(crate) fn view(thread: Number) -> Option<View> {
    let directory = DIRECTORY.lock();
    // SAFETY: interrupts are off under the lock.
    unsafe { view_in(&directory, thread) }
}

/// The same for a report, whoever holds the lock.
///
/// # Safety
/// Interrupts must be off, and nothing may go on after the report.
pub(crate) unsafe fn view_at_the_end(thread: Number) -> Option<View> {
    // SAFETY: nobody changes the table any more.
    unsafe { view_in(&*DIRECTORY.peek(), thread) }
}

/// # Safety
/// Interrupts must be off.
unsafe fn view_in(directory: &Directory, thread: Number) -> Option<View> {
    // SAFETY: interrupts are off; here and below the references do not outlive their lines.
    let scheduler = unsafe { processor::this().scheduler() };
    if u32::from(thread) >= scheduler.places() {
        return None;
    }
    let (state, priority, own_priority) = scheduler.view(thread);
    let stack_pointer = scheduler.slot(thread).stack_pointer as u64;
    // SAFETY: as above.
    let deadline = unsafe { processor::this().timers() }.deadline(thread);
    let entry = directory.entries.get(usize::from(thread));
    let stack = entry.and_then(|entry| entry.stack.as_ref());
    Some(View {
        stack: stack.map_or_else(boot_stack, Stack::range),
        name: known_name(entry),
        state,
        priority,
        own_priority,
        deadline,
        stack_pointer,
        rights: rights::of(thread),
        ran: trace::ran(thread),
    })
}

fn boot_stack() -> Range<u64> {
    let [boot, ..] = layout::image_stacks();
    boot
}

fn known_name(entry: Option<&Entry>) -> Name {
    match entry {
        Some(entry) if !entry.name.is_empty() => entry.name.clone(),
        _ => Name::try_from("main").unwrap_or_default(),
    }
}

/// The running thread's name, for a report: whoever holds the lock.
pub(crate) fn current_name() -> Name {
    known_name(current_entry())
}

/// The addresses of the running thread's stack, for a report.
pub(crate) fn current_stack() -> Range<u64> {
    match current_entry().and_then(|entry| entry.stack.as_ref()) {
        Some(stack) => stack.range(),
        None => boot_stack(),
    }
}

/// Whether an access to `address` means that a stack has overflowed.
pub(crate) fn is_guard(address: u64) -> bool {
    let below = |stack: &Range<u64>| (stack.start - 4096..stack.start).contains(&address);
    let own = current_entry().and_then(|entry| entry.stack.as_ref());
    let own = own.is_some_and(|stack| stack.guard().contains(&address));
    own || stack::is_guard(address) || layout::image_stacks().iter().any(below)
}

fn current_entry() -> Option<&'static Entry> {
    // SAFETY: only reports call this, with interrupts off and never to return, so nobody
    // changes the table any more.
    let directory = unsafe { &*DIRECTORY.peek() };
    directory
        .entries
        .get(usize::from(processor::this().current()))
}
