//! Threads: create, block, wake, hand over, sleep, end.
//!
//! Owns: carrying out what the scheduler decides, on the one processor there is. Leaves to
//! others: the decision ([`scheduler`], pure), the switch itself (arch) and deadlines (timer).
//!
//! To block is to wait for a wake: as with parking in Rust's standard library, a wake that
//! comes before the block is not lost, so that a waiter can release its lock first.

pub mod run_queue;
pub mod scheduler;

#[cfg(target_os = "none")]
mod directory;
#[cfg(target_os = "none")]
pub(crate) mod rights;
#[cfg(target_os = "none")]
mod running;
#[cfg(target_os = "none")]
mod spawn;

#[cfg(target_os = "none")]
pub(crate) use directory::{
    View, current_name, current_stack, is_guard, places, places_at_the_end, view, view_at_the_end,
};
#[cfg(target_os = "none")]
pub use running::{
    block, block_until, cancel, current, hand_off, hand_off_until, set_priority, sleep, wake,
    yield_now,
};
#[cfg(target_os = "none")]
pub(crate) use running::{
    borrow, hand_off_uninterrupted, interrupts_on, leave_interrupt, lend, makes_way, priority,
    wait_uninterrupted, wake_uninterrupted, woken_by,
};
pub use scheduler::{State, Wake};
#[cfg(target_os = "none")]
pub(crate) use spawn::spawn_known;
#[cfg(target_os = "none")]
pub use spawn::{JoinHandle, SpawnError, exit, spawn, spawn_with_stack};

pub use norma_ipc::ThreadId;

/// A thread, as the tables of one processor count them: below [`THREADS`](crate::limits::THREADS).
pub type Number = u16;

/// The number of a thread, if there can be such a thread.
#[cfg(target_os = "none")]
#[inline(always)]
pub(crate) fn number(thread: ThreadId) -> Option<Number> {
    (thread.0 < crate::limits::THREADS as u32).then_some(thread.0 as Number)
}
