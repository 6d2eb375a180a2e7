//! The table of deadlines joined to the clock and the local APIC's timer.

use super::table::NEVER;
use crate::counters::count;
use crate::sync::IrqLock;
use crate::thread::Wake;
use crate::{arch, interrupt, processor, thread};
use core::cell::Cell;
use norma_drivers::clock::{Calibration, Clock, Error};
use norma_drivers::interrupts::TIMER_VECTOR;
use spin::Once;

static CLOCK: Once<Clock> = Once::new();

/// The measurement of the clock, until somebody needs its result.
static CALIBRATION: IrqLock<Option<Calibration>> = IrqLock::new(None);

struct Callback(Cell<fn(u64)>);

// SAFETY: changed with interrupts off, by the one processor that also reads it.
unsafe impl Sync for Callback {}

static NETWORK: Callback = Callback(Cell::new(|_| {}));

/// Starts to measure the clock. That takes a millisecond, in which other things can be done:
/// it is waited for only by [`initialise`], or by whoever asks for the time before.
///
/// # Errors
/// If the processor has no counter to make a clock of.
pub fn begin() -> Result<(), Error> {
    let calibration = Calibration::start(interrupt::local())?;
    *CALIBRATION.lock() = Some(calibration);
    Ok(())
}

/// Makes sure that there is a clock, and lets the timer raise interrupts.
///
/// # Errors
/// If there was nothing to measure the clock by.
pub fn initialise() -> Result<(), Error> {
    finish()?;
    interrupt::set_handler(TIMER_VECTOR, went_off);
    interrupt::local().enable_timer();
    // Deadlines noted until now could not be set.
    let were_on = arch::interrupts_off();
    // SAFETY: interrupts are off, and the reference is gone before they are on again.
    let timers = unsafe { processor::this().timers() };
    timers.went_off();
    program(timers.rearm());
    if were_on {
        thread::interrupts_on();
    }
    Ok(())
}

#[cold]
fn finish() -> Result<&'static Clock, Error> {
    if let Some(calibration) = CALIBRATION.lock().take() {
        let clock = calibration.finish(interrupt::local())?;
        CLOCK.call_once(|| clock);
    }
    CLOCK.get().ok_or(Error::NoReference)
}

#[inline(always)]
fn clock() -> &'static Clock {
    match CLOCK.get() {
        Some(clock) => clock,
        None => finish().expect("the clock is measured at boot"),
    }
}

/// Nanoseconds since the machine was started.
#[inline(always)]
pub fn now() -> u64 {
    clock().now()
}

/// The time at which the processor's counter stood at `ticks`.
pub fn nanoseconds(ticks: u64) -> u64 {
    clock().nanoseconds(ticks)
}

/// Has the network's callback called at `deadline`, or not at all. Replaces the deadline set
/// before. Interrupts must be off.
#[inline(always)]
pub(crate) fn set_network_deadline_uninterrupted(deadline: Option<u64>) {
    // SAFETY: interrupts are off, and the reference does not outlive the line.
    program(unsafe { processor::this().timers() }.set_network(deadline.unwrap_or(NEVER)));
}

/// Has the network's callback called at `deadline`, or not at all. Replaces the deadline set
/// before.
pub fn set_network_deadline(deadline: Option<u64>) {
    let were_on = arch::interrupts_off();
    set_network_deadline_uninterrupted(deadline);
    if were_on {
        thread::interrupts_on();
    }
}

/// Sets what is called, from an interrupt and with the time, when the network's deadline has
/// passed. The deadline is gone then; the callback may set the next.
pub fn set_network_callback(callback: fn(u64)) {
    let were_on = arch::interrupts_off();
    NETWORK.0.set(callback);
    if were_on {
        thread::interrupts_on();
    }
}

/// Notes until when `thread` waits. Interrupts must be off.
#[inline(always)]
pub(crate) fn set_thread(thread: thread::Number, deadline: u64) {
    // SAFETY: interrupts are off, and the reference does not outlive the line.
    program(unsafe { processor::this().timers() }.set_thread(thread, deadline));
}

/// Forgets until when `thread` waits. Interrupts must be off.
#[inline(always)]
pub(crate) fn clear_thread(thread: thread::Number) {
    // SAFETY: interrupts are off, and the reference does not outlive the line.
    unsafe { processor::this().timers() }.clear_thread(thread);
}

/// Has the running thread's slice end in `length` nanoseconds. Interrupts must be off.
#[cold]
pub(crate) fn set_slice(length: u64) {
    let end = now() + length;
    // SAFETY: interrupts are off, and the reference does not outlive the line.
    program(unsafe { processor::this().timers() }.set_slice(end));
}

#[inline(always)]
fn program(deadline: Option<u64>) {
    if let Some(deadline) = deadline {
        set_hardware(deadline);
    }
}

#[cold]
fn set_hardware(deadline: u64) {
    count(|counters| counters.timer_programmings += 1);
    let clock = clock();
    interrupt::local().arm(clock, clock.now(), deadline);
}

/// The timer's interrupt.
fn went_off() {
    count(|counters| counters.timer_interrupts += 1);
    let now = now();
    let processor = processor::this();
    // SAFETY: interrupts are off in a handler; here and below, no reference outlives its line.
    unsafe { processor.timers() }.went_off();
    let mut from = 0;
    // SAFETY: as above.
    while let Some(thread) = unsafe { processor.timers() }.take_thread(from, now) {
        // SAFETY: as above.
        unsafe { processor.scheduler() }.interrupt(thread, Wake::TimedOut);
        from = thread;
    }
    // SAFETY: as above.
    if unsafe { processor.timers() }.take_slice(now) {
        // SAFETY: as above.
        unsafe { processor.scheduler() }.end_slice();
    }
    // SAFETY: as above.
    if unsafe { processor.timers() }.take_network(now) {
        (NETWORK.0.get())(now);
    }
    // SAFETY: as above.
    program(unsafe { processor.timers() }.rearm());
}
