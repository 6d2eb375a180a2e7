//! The switch between threads, and a thread's first instructions.
//!
//! Owns: what of a thread is kept on its stack while it does not run: where to go on, and the
//! two registers that the compiler does not let go. It is told that the switch changes all
//! others, and so keeps those that it needs, and no more: in a function that has saved them for
//! its caller already, that is nothing. Leaves to others: which thread. Interrupts are off
//! throughout; each thread restores its own setting when it goes on.
//! Source: System V ABI for x86-64, section 3.2.

use core::arch::{asm, naked_asm};

/// Words that [`switch`] and [`start`] take from a new thread's stack.
const INITIAL: usize = 3;

/// Saves the running thread at `*save` and goes on with the one saved as `load`.
///
/// # Safety
/// `load` must come from an earlier switch or from [`prepare`], and not have been used since.
/// Interrupts must be off.
#[inline(always)]
pub unsafe fn switch(save: *mut usize, load: usize) {
    // SAFETY: whoever switches back finds the stack as it is left here, and goes on behind the
    // return with the two registers that were kept; all others are given up. Memory is not
    // marked as untouched.
    unsafe {
        asm!(
            "push rbp",
            "push rbx",
            "lea rax, [rip + 2f]",
            "push rax",
            "mov [rdi], rsp",
            "mov rsp, rsi",
            "ret",
            "2:",
            "pop rbx",
            "pop rbp",
            inout("rdi") save => _,
            inout("rsi") load => _,
            out("r12") _,
            out("r13") _,
            out("r14") _,
            out("r15") _,
            clobber_abi("sysv64"),
        );
    }
}

/// Where a thread that was switched away goes on, and its frame pointer.
///
/// # Safety
/// The three words at `stack_pointer` must be readable.
pub unsafe fn resume_point(stack_pointer: u64) -> (u64, u64) {
    let words = stack_pointer as *const u64;
    // SAFETY: the caller vouches for the words. As `switch` has pushed them: where to go on, a
    // register, the frame pointer.
    unsafe { (words.read(), words.add(2).read()) }
}

/// Makes a stack look as if its thread had been switched away just before calling
/// `function(argument)`. `top` is the upper end of the free part; the result is for [`switch`].
///
/// # Safety
/// The 40 bytes below `top` must be writable and unused. `function` must not return.
pub unsafe fn prepare(
    top: usize,
    function: extern "C" fn(*mut u8) -> !,
    argument: *mut u8,
) -> usize {
    // When `start` has taken its words, the stack is aligned for its call.
    let stack = (top & !15) - INITIAL * size_of::<usize>();
    let words = [
        start as *const () as usize,
        argument as usize,
        function as usize,
    ];
    // SAFETY: within the 40 bytes that the caller vouches for, and aligned.
    unsafe { (stack as *mut [usize; INITIAL]).write(words) };
    stack
}

/// Where a new thread begins. The frame pointer is zero, which ends backtraces.
#[unsafe(naked)]
extern "C" fn start() {
    naked_asm!(
        "pop rdi",
        "pop rax",
        "xor ebp, ebp",
        "sti",
        "call rax",
        "ud2"
    )
}
