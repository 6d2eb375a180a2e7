//! The system calls themselves.
//!
//! Owns: the instruction, and telling success from failure. For programs that want to do without
//! the face, or test the kernel; what a call means is in `docs/tasks.md`.

use core::arch::asm;
use norma_abi::{Code, SENT};

/// Why a call failed, and what comes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Why; `None` for a code that is not known.
    pub code: Option<Code>,
    /// What comes with it.
    pub detail: u64,
    /// What was to be sent is gone.
    pub sent: bool,
}

/// Makes a call: its number, and its arguments in their order.
///
/// # Safety
/// What the call does to memory must be right for it: addresses among the arguments must be of
/// memory that is the caller's to read, to write or to give away, as the call will.
#[inline(always)]
pub unsafe fn call(number: u64, arguments: [u64; 4]) -> Result<u64, Refused> {
    let (code, value): (u64, u64);
    let [a, b, c, d] = arguments;
    // SAFETY: the kernel keeps the registers that are not named here, and the caller vouches
    // for what it does to memory.
    unsafe {
        asm!(
            "syscall",
            inout("rax") number => code,
            inout("rdx") c => value,
            inout("rdi") a => _,
            inout("rsi") b => _,
            inout("r10") d => _,
            out("rcx") _,
            out("r8") _,
            out("r9") _,
            out("r11") _,
            options(nostack),
        );
    }
    if code == 0 {
        return Ok(value);
    }
    Err(refused(code, value))
}

#[cold]
fn refused(code: u64, detail: u64) -> Refused {
    Refused {
        code: Code::from_number(code & !SENT),
        detail,
        sent: code & SENT != 0,
    }
}

/// A call that touches no memory of the program's.
#[inline]
pub fn plain(number: u64, arguments: [u64; 4]) -> Result<u64, Refused> {
    // SAFETY: the callers in this crate pass no addresses.
    unsafe { call(number, arguments) }
}
