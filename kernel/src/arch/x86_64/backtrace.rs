//! Who called whom, by the chain of frame pointers.
//!
//! Owns: walking that chain without ever faulting: it may be what is broken. Leaves to others:
//! names and lines (the runner has the symbols). Images are built with
//! `-C force-frame-pointers=yes`; tables for unwinding would be larger than the code.

use crate::limits;
use core::ops::Range;

unsafe extern "C" {
    static __text_start: u8;
    static __text_end: u8;
}

/// Calls `visit` with the return addresses found from frame pointer `frame` on. Only memory
/// within `stack` is read.
pub fn walk(mut frame: u64, stack: Range<u64>, mut visit: impl FnMut(u64)) {
    for _ in 0..limits::BACKTRACE {
        if !frame.is_multiple_of(8) || frame < stack.start || frame.saturating_add(16) > stack.end {
            return;
        }
        // SAFETY: aligned, and within a stack, which is mapped and readable throughout.
        let (caller_frame, return_address) = unsafe {
            (
                (frame as *const u64).read(),
                (frame as *const u64).add(1).read(),
            )
        };
        if !is_code(return_address) {
            return;
        }
        visit(return_address);
        if caller_frame <= frame {
            return;
        }
        frame = caller_frame;
    }
}

/// Whether `address` lies in the image's code.
pub fn is_code(address: u64) -> bool {
    let (start, end) = (&raw const __text_start as u64, &raw const __text_end as u64);
    (start..end).contains(&address)
}

/// The frame pointer of the caller.
#[inline(always)]
pub fn frame_pointer() -> u64 {
    let frame;
    // SAFETY: only copies a register.
    unsafe {
        core::arch::asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags))
    };
    frame
}
