//! Where interrupts of devices enter.
//!
//! Owns: saving what a handler may change, on the interrupted thread's own stack. Leaves to
//! others: which handler, and whether another thread runs next ([`crate::interrupt`]).
//! The registers that a called function keeps are not saved here: if the handler ends in a
//! switch of threads, the switch saves them. There is no vector state: the target is soft-float.

use crate::interrupt;
use core::arch::naked_asm;
use norma_drivers::interrupts::{FIRST_VECTOR, VECTORS};

/// The entry points, by vector from [`FIRST_VECTOR`] on.
pub static STUBS: [extern "C" fn(); VECTORS] = {
    macro_rules! stubs {
        ($($index:literal)*) => { [$(stub::<{ FIRST_VECTOR as u32 + $index }>),*] };
    }
    stubs!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31)
};

#[unsafe(naked)]
extern "C" fn stub<const VECTOR: u32>() {
    naked_asm!(
        "push rdi",
        "mov edi, {vector}",
        "jmp {common}",
        vector = const VECTOR,
        common = sym common,
    )
}

/// The processor pushed 40 bytes onto an aligned stack, here come 72 more: the call below finds
/// the alignment that it needs.
#[unsafe(naked)]
extern "C" fn common() {
    naked_asm!(
        "push rsi",
        "push rax",
        "push rcx",
        "push rdx",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "cld",
        "call {dispatch}",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "pop rsi",
        "pop rdi",
        "iretq",
        dispatch = sym interrupt::dispatch,
    )
}

/// An interrupt that was withdrawn: nothing to do, and no end of interrupt to send.
#[unsafe(naked)]
pub extern "C" fn spurious() {
    naked_asm!("iretq")
}
