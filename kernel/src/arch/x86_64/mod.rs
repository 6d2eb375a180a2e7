//! x86-64: where things lie in the address space, and the instructions Rust has no words for.
//!
//! Owns: page tables, descriptor tables, entry stubs, the switch between threads, walking the
//! stack. Leaves to others: what an interrupt or a switch is for.
//! Source: Intel SDM volume 3.

pub mod backtrace;
pub mod context;
pub mod entry;
pub mod exception;
pub mod layout;
pub mod paging;
pub mod tables;
pub mod user;

use x86_64::instructions::interrupts;

/// Switches interrupts off; returns whether they were on.
#[inline(always)]
pub fn interrupts_off() -> bool {
    let were_on = interrupts::are_enabled();
    interrupts::disable();
    were_on
}

/// Switches interrupts off, whatever they were.
#[inline(always)]
pub fn interrupts_disable() {
    interrupts::disable();
}

/// Switches interrupts on.
#[inline(always)]
pub fn interrupts_on() {
    // SAFETY: handlers keep all registers; memory is not marked as untouched.
    unsafe { core::arch::asm!("sti", options(preserves_flags, nostack)) }
}

/// Waits for an interrupt. Called with interrupts off, and returns with interrupts off; an
/// interrupt that is already pending ends the wait at once, because STI takes effect only after
/// the instruction that follows it.
#[inline(always)]
pub fn wait_for_interrupt() {
    // SAFETY: handlers keep all registers; the scheduler's state may change, so memory is not
    // marked as untouched.
    unsafe { core::arch::asm!("sti", "hlt", "cli", options(nostack)) }
}
