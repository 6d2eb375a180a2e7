//! The one ordering that x86 does not give by itself: a store before a load of another place.
//!
//! Why not a fence of `core`: for a target without SSE that is `lock or`, which QEMU's emulator
//! turns into plain accesses when the machine has one processor, for it forgets the threads of its
//! own devices (seen in 7.2, whose `mfence` is nothing either; newer ones keep that). A virtual
//! machine then writes that a frame is there, reads an old wish of the device, and both wait for
//! each other.
//! Source: QEMU, `tcg_gen_mb` in tcg/tcg-op.c, and "virtio queue entries being read incorrectly"
//! there.

/// Everything that was written before can be seen by devices, and by the threads that emulate
/// them, before anything is read after.
#[inline(always)]
pub(super) fn store_before_load() {
    // Miri has no assembly, and runs no device beside us.
    #[cfg(miri)]
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
    // SAFETY: neither changes registers, flags or memory but the stack below its pointer, which
    // the compiler keeps free for assembly that does not say `nostack`. Not saying `nomem` holds
    // its own accesses in their order.
    #[cfg(not(miri))]
    unsafe {
        // `mfence` is for processors and for newer QEMUs. After `popfq` an interrupt may be
        // due, so every emulator leaves the translated code to look, with a barrier on its way.
        core::arch::asm!("mfence", "pushfq", "popfq", options(preserves_flags));
    }
}
