//! The running thread: blocking, waking, making way.
//!
//! Owns: the steps that every message takes. They are functions of their own, into which the
//! scheduler's are inlined: a call costs less than their size at each place would.

use super::scheduler::{Decision, Scheduler, Wake};
use super::{Number, ThreadId, number};
use crate::arch::{self, context};
use crate::counters::count;
use crate::limits::SLICE_NS;
use crate::{processor, timer, trace};

/// The thread that runs this.
#[inline]
pub fn current() -> ThreadId {
    ThreadId(u32::from(processor::this().current()))
}

/// Waits until somebody wakes this thread. Returns at once if that has happened since it last
/// blocked. Not to be called under an [`IrqLock`](crate::sync::IrqLock) or from an interrupt.
#[inline(never)]
pub fn block() {
    without_interrupts(Scheduler::block);
}

/// As [`block`], until `deadline` (nanoseconds, see [`timer::now`]) at the latest.
#[inline(never)]
pub fn block_until(deadline: u64) -> Wake {
    with_deadline(deadline, Scheduler::block)
}

/// Makes `to` run at once in this thread's place, and waits until somebody wakes this thread.
/// A thread of a higher priority that is ready comes first, though. If `to` is not blocked, its
/// next block returns at once. Not to be called where [`block`] may not be.
#[inline(never)]
pub fn hand_off(to: ThreadId) {
    match number(to) {
        Some(to) => without_interrupts(|scheduler| scheduler.hand_off(to)),
        None => block(),
    }
}

/// As [`hand_off`], until `deadline` (nanoseconds, see [`timer::now`]) at the latest.
#[inline(never)]
pub fn hand_off_until(to: ThreadId, deadline: u64) -> Wake {
    match number(to) {
        Some(to) => with_deadline(deadline, |scheduler| scheduler.hand_off(to)),
        None => block_until(deadline),
    }
}

/// Wakes a thread: it becomes ready, or its next block returns at once. A better thread than
/// the running one runs at once, or, if interrupts are off, when they are switched on. May be
/// called from anywhere; a thread that does not exist is passed over.
#[inline(never)]
pub fn wake(thread: ThreadId) {
    let were_on = arch::interrupts_off();
    wake_uninterrupted(thread);
    if were_on {
        interrupts_on();
    }
}

/// Lets the other threads of this priority, if any are ready, run first.
pub fn yield_now() {
    without_interrupts(Scheduler::yield_now);
}

/// Waits for `nanoseconds`, unless it is cancelled: says which.
pub fn sleep(nanoseconds: u64) -> Wake {
    let deadline = timer::now().saturating_add(nanoseconds);
    let mut woken = false;
    let mut end = Wake::TimedOut;
    while timer::now() < deadline && end != Wake::Cancelled {
        match block_until(deadline) {
            Wake::Woken => woken = true,
            other => end = other,
        }
    }
    if woken {
        // The wake was for something else; that something shall find it.
        wake(current());
    }
    end
}

/// Tells a thread to give up what it waits for: the operation in which it is blocked fails with
/// [`Failure::Cancelled`](crate::face::Failure::Cancelled), a sleep ends, [`block_until`] says
/// [`Wake::Cancelled`], a bare [`block`] returns. Returns whether it was blocked; if not,
/// nothing happens. An operation that has just been completed stays so.
pub fn cancel(thread: ThreadId) -> bool {
    let Some(thread) = number(thread) else {
        return false;
    };
    let mut blocked = false;
    without_interrupts(|scheduler| {
        blocked = scheduler.interrupt(thread, Wake::Cancelled);
        limit_slice(scheduler);
        Decision::Continue
    });
    blocked
}

/// Why the last block of the running thread ended. Interrupts must be off since.
#[cold]
pub(crate) fn woken_by() -> Wake {
    // SAFETY: interrupts are off, and the reference does not outlive the line.
    unsafe { processor::this().scheduler() }.woken_by()
}

/// The priority at which the running thread runs. Interrupts must be off.
#[inline(always)]
pub(crate) fn priority() -> u8 {
    let processor = processor::this();
    // SAFETY: interrupts are off, and the reference does not outlive the line.
    unsafe { processor.scheduler() }.priority(processor.current())
}

/// Gives `to`, a thread that the core knows, a call from somebody of priority `priority`, or
/// another message (0). Interrupts
/// must be off.
#[inline(always)]
pub(crate) fn lend(to: ThreadId, priority: u8) {
    // SAFETY: interrupts are off, and the reference does not outlive the line.
    unsafe { processor::this().scheduler() }.lend(to.0 as Number, priority);
}

/// Runs at `priority` at least until the next time; 0 ends what was lent. Interrupts must be
/// off.
#[inline(always)]
pub(crate) fn borrow(priority: u8) {
    // SAFETY: interrupts are off, and the reference does not outlive the line.
    unsafe { processor::this().scheduler() }.borrow(priority);
}

/// Sets the priority of this thread, 0 (lowest) to 7.
pub fn set_priority(priority: u8) {
    without_interrupts(|scheduler| {
        scheduler.set_own_priority(priority.min(7));
        Decision::Continue
    });
}

/// Switches interrupts on, after making way for a better thread if one was woken meanwhile.
#[inline(always)]
pub(crate) fn interrupts_on() {
    // SAFETY: interrupts are off here, and only a byte is read.
    if unsafe { processor::this().scheduler() }.wants_preemption() {
        make_way();
    }
    arch::interrupts_on();
}

/// The last thing an interrupt does: a better thread that it woke runs before what it
/// interrupted.
#[inline(always)]
pub(crate) fn leave_interrupt() {
    // SAFETY: interrupts are off here, and only a byte is read.
    if unsafe { processor::this().scheduler() }.wants_preemption() {
        make_way();
    }
}

/// Whether another thread, or the one that waits in its own context, runs when this interrupt
/// is over. To be asked in one.
#[inline(always)]
pub(crate) fn makes_way() -> bool {
    // SAFETY: interrupts are off in a handler, and only bytes are read.
    let scheduler = unsafe { processor::this().scheduler() };
    scheduler.is_idle() || scheduler.wants_preemption()
}

#[cold]
fn make_way() {
    // SAFETY: interrupts are off, and the reference is gone before anything switches.
    let decision = unsafe { processor::this().scheduler() }.make_way();
    carry_out(decision);
}

/// Waits until somebody wakes this thread, or until `deadline`; with `to`, that thread runs at
/// once. [`woken_by`] knows which it was. Interrupts are off before and after, so that what
/// follows the wait needs no switching on and off of its own: each costs more than all the rest
/// here.
#[inline(always)]
pub(crate) fn wait_uninterrupted(to: Option<ThreadId>, deadline: Option<u64>) {
    let to = to.and_then(number);
    let deadline = match deadline {
        Some(deadline) => deadline,
        None => {
            // SAFETY: interrupts are off, and the reference is gone before anything switches.
            let scheduler = unsafe { processor::this().scheduler() };
            let decision = match to {
                Some(to) => scheduler.hand_off(to),
                None => scheduler.block(),
            };
            return carry_out(decision);
        }
    };
    decide_with_deadline(deadline, |scheduler| match to {
        Some(to) => scheduler.hand_off(to),
        None => scheduler.block(),
    });
}

/// Makes `to`, a thread that the core knows, run at once in place of this thread, which is
/// `this`, and waits until somebody wakes this one. Interrupts are off before and after.
#[inline(always)]
pub(crate) fn hand_off_uninterrupted(this: ThreadId, to: ThreadId) {
    let (this, to) = (this.0 as Number, to.0 as Number);
    // SAFETY: interrupts are off, and the reference is gone before anything switches.
    if unsafe { processor::this().scheduler() }.hand_off_at_once(this, to) {
        switch(this, to);
    } else {
        hand_off_otherwise(to);
    }
}

#[cold]
fn hand_off_otherwise(to: Number) {
    // SAFETY: interrupts are off, and the reference is gone before anything switches.
    let decision = unsafe { processor::this().scheduler() }.hand_off(to);
    carry_out(decision);
}

/// As [`wake`], for a caller that has interrupts off.
#[inline(always)]
pub(crate) fn wake_uninterrupted(thread: ThreadId) {
    if let Some(thread) = number(thread) {
        // SAFETY: interrupts are off, and the reference is gone before anything switches.
        let scheduler = unsafe { processor::this().scheduler() };
        scheduler.wake(thread);
        limit_slice(scheduler);
        trace::woken(thread);
    }
}

#[inline(always)]
fn with_deadline(deadline: u64, decide: impl FnOnce(&mut Scheduler) -> Decision) -> Wake {
    arch::interrupts_disable();
    let wake = decide_with_deadline(deadline, decide);
    interrupts_on();
    wake
}

#[inline(always)]
fn decide_with_deadline(deadline: u64, decide: impl FnOnce(&mut Scheduler) -> Decision) -> Wake {
    let thread = processor::this().current();
    timer::set_thread(thread, deadline);
    // SAFETY: interrupts are off; here and below no reference outlives its line.
    let decision = decide(unsafe { processor::this().scheduler() });
    carry_out(decision);
    timer::clear_thread(thread);
    // SAFETY: as above; interrupts are off again.
    unsafe { processor::this().scheduler() }.woken_by()
}

#[inline(always)]
fn without_interrupts(decide: impl FnOnce(&mut Scheduler) -> Decision) {
    arch::interrupts_disable();
    // SAFETY: interrupts are off, and the reference is gone before anything switches.
    let decision = decide(unsafe { processor::this().scheduler() });
    carry_out(decision);
    interrupts_on();
}

/// Sets a timer for the end of the running thread's slice, if a peer waits and none is set.
#[inline(always)]
pub(super) fn limit_slice(scheduler: &mut Scheduler) {
    if scheduler.needs_slice() {
        timer::set_slice(SLICE_NS);
    }
}

/// Does what the scheduler decided. Interrupts are off before and after; when this returns, the
/// thread that called it runs.
#[inline(always)]
pub(super) fn carry_out(decision: Decision) {
    match decision {
        Decision::Continue => {}
        Decision::Switch { from, to } => switch_noted(from, to),
        Decision::Idle => idle(),
    }
}

/// Waits in this thread's context until this thread or another has something to do.
fn idle() {
    trace::idle();
    loop {
        count(|counters| counters.halts += 1);
        arch::wait_for_interrupt();
        // SAFETY: interrupts are off again; the reference does not outlive the line.
        match unsafe { processor::this().scheduler() }.after_idle() {
            Decision::Continue => return trace::resumed(),
            Decision::Switch { from, to } => {
                // SAFETY: as above.
                let scheduler = unsafe { processor::this().scheduler() };
                trace::switched_from_idle(from, to, scheduler);
                return switch(from, to);
            }
            Decision::Idle => {}
        }
    }
}

/// As [`switch`], where a call between the two has not said so already.
#[inline(always)]
fn switch_noted(from: Number, to: Number) {
    // SAFETY: interrupts are off, and the reference does not outlive the line.
    trace::switched(from, to, unsafe { processor::this().scheduler() });
    switch(from, to);
}

#[inline(always)]
fn switch(from: Number, to: Number) {
    count(|counters| counters.switches += 1);
    // SAFETY: interrupts are off, and the reference is not used after the switch.
    let scheduler = unsafe { processor::this().scheduler() };
    limit_slice(scheduler);
    let load = scheduler.slot(to).stack_pointer;
    let save = &raw mut scheduler.slot(from).stack_pointer;
    // SAFETY: `to` was ready or blocked, so it was saved by a switch or made by `spawn`, and
    // the scheduler runs it once for each time.
    unsafe { context::switch(save, load) };
}
