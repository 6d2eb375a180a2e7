//! How many rights each thread took, and how many of them it gave up, by the face.
//!
//! Owns: these counts. Leaves to others: what was done with the rights.
//!
//! Why by thread: the services of an image share one space, so that the core cannot say which of
//! them keeps a right. What one thread takes and another gives up shows at both, and is even in
//! all. Why not by port: where a right is given up, nothing says any more by which one it came.
//!
//! Only what becomes a value of a service's is counted: a call without rights, and its answer,
//! meet none of this.

use super::Number;
use super::scheduler::place;
use crate::limits::THREADS;
use crate::processor;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

/// The counts of one thread. Only that thread changes them, so that nothing is lost between
/// reading and writing; all zeros, which cost an image nothing.
struct Counts {
    taken: AtomicU32,
    given_up: AtomicU32,
}

static COUNTS: [Counts; THREADS] = [const {
    Counts {
        taken: AtomicU32::new(0),
        given_up: AtomicU32::new(0),
    }
}; THREADS];

fn own() -> &'static Counts {
    &COUNTS[place(processor::this().current())]
}

fn count(number: &AtomicU32) {
    number.store(number.load(Relaxed).wrapping_add(1), Relaxed);
}

/// The running thread has one right more: received, made, copied or found.
#[inline(never)]
pub(crate) fn taken() {
    count(&own().taken);
}

/// The running thread has one right less: released, sent on or used up.
#[inline(never)]
pub(crate) fn given_up() {
    count(&own().given_up);
}

/// How many rights a thread took, and gave up. Both wrap.
pub(super) fn of(thread: Number) -> (u32, u32) {
    let counts = &COUNTS[place(thread)];
    (counts.taken.load(Relaxed), counts.given_up.load(Relaxed))
}

/// A new thread has this number.
pub(super) fn begin(thread: Number) {
    let counts = &COUNTS[place(thread)];
    counts.taken.store(0, Relaxed);
    counts.given_up.store(0, Relaxed);
}
