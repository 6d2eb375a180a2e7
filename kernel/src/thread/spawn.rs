//! Beginning and end of threads.
//!
//! Owns: a new thread's stack with the program it is to run, and what is left when it has run.
//! The closure lies at the upper end of the thread's own stack, so that to create a thread takes
//! nothing from the heap. A thread that ends runs on its stack to the last instruction; the
//! stack is taken back by whoever creates or joins a thread next.

use super::directory::{DIRECTORY, Name};
use super::running::{block, cancel, carry_out, current, limit_slice, wake};
use super::{Number, ThreadId, rights};
use crate::arch::{self, context};
use crate::limits::{LEAST_STACK, STACK, THREADS};
use crate::memory::NoMemory;
use crate::memory::stack::Stack;
use crate::{processor, trace};
use core::fmt;

/// Why a thread was not created. Nothing has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnError {
    /// There are as many threads as there can be: see [`THREADS`].
    TooMany,
    /// There is no memory for its stack.
    NoMemory,
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpawnError::TooMany => write!(f, "there are {THREADS} threads already"),
            SpawnError::NoMemory => f.write_str("out of memory for a thread's stack"),
        }
    }
}

impl core::error::Error for SpawnError {}

impl From<NoMemory> for SpawnError {
    fn from(_: NoMemory) -> Self {
        SpawnError::NoMemory
    }
}

/// A thread that can be waited for. Dropping it leaves the thread to itself.
#[derive(Debug)]
pub struct JoinHandle {
    thread: Number,
    generation: u32,
}

impl JoinHandle {
    /// The thread's number.
    pub fn thread(&self) -> ThreadId {
        ThreadId(u32::from(self.thread))
    }

    /// Tells the thread to give up what it waits for: a call, a receive, a send or a sleep in
    /// which it is blocked fails with [`Failure::Cancelled`](crate::face::Failure::Cancelled), as
    /// if its time were up, and a message that was not sent is in the error. Returns whether it
    /// was blocked; if not, nothing happens, now or later.
    pub fn cancel(&self) -> bool {
        !self.is_finished() && cancel(self.thread())
    }

    /// Whether the thread has ended.
    pub fn is_finished(&self) -> bool {
        let mut directory = DIRECTORY.lock();
        let entry = directory.entry(self.thread);
        entry.is_none_or(|entry| entry.generation != self.generation)
    }

    /// Waits until the thread has ended.
    pub fn join(self) {
        while !self.is_finished_or_tells(current()) {
            block();
        }
        DIRECTORY.lock().reap();
    }

    /// Whether the thread has ended; if not, it will wake `waiter` when it does.
    fn is_finished_or_tells(&self, waiter: ThreadId) -> bool {
        match DIRECTORY.lock().entry(self.thread) {
            Some(entry) if entry.generation == self.generation => {
                entry.waiter = Some(waiter.0 as Number);
                false
            }
            _ => true,
        }
    }
}

/// Starts a thread that runs `program`. Priorities go from 0 (lowest) to 7; a better thread than
/// this one runs at once.
///
/// # Errors
/// [`SpawnError`], and nothing has happened.
pub fn spawn<F>(name: &str, priority: u8, program: F) -> Result<JoinHandle, SpawnError>
where
    F: FnOnce() + Send + 'static,
{
    spawn_known(name, priority, STACK, |_| Ok(()), program)
}

/// As [`spawn`], with a stack of `stack` bytes, rounded up to 16, 32 or 64 KiB. Interrupts run
/// on it too.
///
/// # Errors
/// [`SpawnError`], and nothing has happened.
pub fn spawn_with_stack<F>(
    name: &str,
    priority: u8,
    stack: usize,
    program: F,
) -> Result<JoinHandle, SpawnError>
where
    F: FnOnce() + Send + 'static,
{
    spawn_known(name, priority, stack, |_| Ok(()), program)
}

/// As [`spawn_with_stack`]; `introduce` makes the new thread known to others before it runs.
pub(crate) fn spawn_known<F>(
    name: &str,
    priority: u8,
    stack: usize,
    introduce: impl FnOnce(ThreadId) -> Result<(), NoMemory>,
    program: F,
) -> Result<JoinHandle, SpawnError>
where
    F: FnOnce() + Send + 'static,
{
    const { assert!(size_of::<F>() <= LEAST_STACK / 4 && align_of::<F>() <= 4096) };
    let mut directory = DIRECTORY.lock();
    directory.reap();
    // SAFETY: interrupts are off under the lock, and the reference is gone before it opens.
    let scheduler = unsafe { processor::this().scheduler() };
    let thread = scheduler.find_free().ok_or(SpawnError::TooMany)?;
    introduce(ThreadId(u32::from(thread)))?;
    directory.make_entry(thread)?;
    let stack = Stack::allocate(stack)?;
    let top = stack.range().end as usize;
    let place = (top - size_of::<F>()) & !(align_of::<F>() - 1);
    // SAFETY: the place is in the upper quarter of a stack that nobody uses yet, aligned for
    // `F`, and the words that `prepare` writes lie below it; `run` takes `F` out once.
    let stack_pointer = unsafe {
        (place as *mut F).write(program);
        context::prepare(place, run::<F>, place as *mut u8)
    };
    let mut generation = 0;
    if let Some(entry) = directory.entry(thread) {
        entry.name = cut(name);
        entry.stack = Some(stack);
        generation = entry.generation;
    }
    rights::begin(thread);
    trace::name(thread, name);
    scheduler.start(thread, priority.min(7), stack_pointer);
    limit_slice(scheduler);
    drop(directory);
    Ok(JoinHandle { thread, generation })
}

/// Ends this thread. What it holds on its stack is not dropped.
pub fn exit() -> ! {
    arch::interrupts_disable();
    let waiter = DIRECTORY.lock().end(processor::this().current());
    if let Some(waiter) = waiter {
        wake(ThreadId(u32::from(waiter)));
    }
    // SAFETY: interrupts are off, and the reference is gone before anything switches.
    let decision = unsafe { processor::this().scheduler() }.exit();
    carry_out(decision);
    unreachable!("a thread that has ended runs")
}

extern "C" fn run<F: FnOnce()>(program: *mut u8) -> ! {
    // SAFETY: `spawn` put an `F` there for this one time.
    let program = unsafe { program.cast::<F>().read() };
    program();
    exit()
}

fn cut(name: &str) -> Name {
    let mut cut = Name::new();
    for letter in name.chars() {
        if cut.push(letter).is_err() {
            break;
        }
    }
    cut
}
