//! The instruction that the runner's counting plugin looks for; it does nothing.

use core::arch::asm;

/// Opens or closes a measured stretch: 0x01 and 0x02 on the calling node, 0x11 and 0x12 on the
/// serving one.
#[inline(always)]
pub fn marker<const ID: u32>() {
    // SAFETY: a no-operation with an operand that is not accessed.
    unsafe {
        asm!(
            "nop dword ptr [rax + {marker}]",
            marker = const 0x7eac_0000 + ID,
            options(nostack, preserves_flags)
        );
    }
}
