//! The switch between threads, and a thread's first instructions.
//!
//! Owns: what of a thread is kept on its stack while it does not run: the registers that a
//! called function must keep, and where to go on. Leaves to others: which thread. Interrupts
//! are off throughout; each thread restores its own setting when it goes on.
//! Source: System V ABI for x86-64, section 3.2.

use core::arch::naked_asm;

/// Words that [`switch`] takes from a stack.
const INITIAL: usize = 7;

/// Saves the running thread at `*save` and goes on with the one saved as `load`.
///
/// # Safety
/// `load` must come from an earlier switch or from [`prepare`], and not have been used since.
/// Interrupts must be off.
#[unsafe(naked)]
pub unsafe extern "C" fn switch(save: *mut usize, load: usize) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Makes a stack look as if its thread had been switched away just before calling
/// `function(argument)`. `top` is the upper end of the free part; the result is for [`switch`].
///
/// # Safety
/// The 88 bytes below `top` must be writable and unused. `function` must not return.
pub unsafe fn prepare(
    top: usize,
    function: extern "C" fn(*mut u8) -> !,
    argument: *mut u8,
) -> usize {
    // Two words stay free, so that `start` finds the stack aligned for its call.
    let stack = (top & !15) - (INITIAL + 2) * size_of::<usize>();
    let words = [
        0,
        0,
        argument as usize,
        function as usize,
        0,
        0,
        start as *const () as usize,
    ];
    // SAFETY: within the 88 bytes that the caller vouches for, and aligned.
    unsafe { (stack as *mut [usize; INITIAL]).write(words) };
    stack
}

/// Where a new thread begins: `r13` holds its argument, `r12` its function. The frame pointer
/// is zero, which ends backtraces.
#[unsafe(naked)]
extern "C" fn start() {
    naked_asm!("mov rdi, r13", "xor ebp, ebp", "sti", "call r12", "ud2")
}
