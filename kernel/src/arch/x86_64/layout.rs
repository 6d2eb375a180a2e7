//! The kernel's half of the address space. The lower half is kept free for tasks.
//!
//! | from | what |
//! | --- | --- |
//! | `0xffff_8000_0000_0000` | all RAM, writable, never executable |
//! | `0xffff_a000_0000_0000` | device memory, uncached |
//! | `0xffff_b000_0000_0000` | stacks of threads, with guards |
//! | `0xffff_c000_0000_0000` | heap for large blocks |
//! | `0xffff_ffff_8000_0000` | the image |

use crate::limits;
use core::ops::Range;

/// Where RAM at physical address 0 appears.
pub const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;

/// Where device memory at physical address 0 appears.
pub const DEVICES: u64 = 0xffff_a000_0000_0000;

/// The first stack's slot.
pub const STACKS: u64 = 0xffff_b000_0000_0000;

/// The first large block.
pub const HEAP: u64 = 0xffff_c000_0000_0000;

/// What is added to an address in the image to make it run in the top 2 GiB.
pub const IMAGE: u64 = 0xffff_ffff_8000_0000;

/// The RAM at physical address `physical`, as the kernel sees it.
#[inline(always)]
pub const fn direct(physical: u64) -> *mut u8 {
    (DIRECT_MAP + physical) as *mut u8
}

/// The physical address behind a pointer into the direct map.
#[inline(always)]
pub fn physical(pointer: *const u8) -> u64 {
    pointer as u64 - DIRECT_MAP
}

/// The upper end of stack `index`.
pub const fn stack_end(index: usize) -> u64 {
    STACKS + ((index + 1) * limits::STACK_SLOT) as u64
}

unsafe extern "C" {
    static __boot_stack_bottom: u8;
    static __boot_stack_top: u8;
    static __fault_stack_bottom: u8;
    static __fault_stack_top: u8;
    static __nmi_stack_bottom: u8;
    static __nmi_stack_top: u8;
}

/// The stacks that the image brings: that of the first thread, that for double faults and that
/// for non-maskable interrupts. The page below each is never mapped.
pub fn image_stacks() -> [Range<u64>; 3] {
    let range = |bottom: *const u8, top: *const u8| bottom as u64..top as u64;
    [
        range(&raw const __boot_stack_bottom, &raw const __boot_stack_top),
        range(
            &raw const __fault_stack_bottom,
            &raw const __fault_stack_top,
        ),
        range(&raw const __nmi_stack_bottom, &raw const __nmi_stack_top),
    ]
}
