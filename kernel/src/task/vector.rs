//! The vector registers of programs, which the kernel itself never uses.
//!
//! Owns: whose state is in the registers, and where the others' is. A thread that never uses
//! them has none saved and none loaded: they are switched off, its first use is an exception,
//! and only then does it get a state. Only the state that FXSAVE knows: AVX is not switched on,
//! so that a program which asks the processor finds that it is not there.
//! Source: Intel SDM volume 1, section 10.5; volume 3, section 2.5 (TS).

use core::arch::asm;
use core::cell::Cell;
use core::ptr;
use x86_64::registers::control::{Cr0, Cr0Flags};

/// The state of one thread.
#[repr(C, align(16))]
#[derive(Debug)]
pub(super) struct State {
    saved: [u8; 512],
    used: bool,
}

/// What is in the registers.
struct Loaded {
    /// Whose state; null for nobody's.
    state: Cell<*mut State>,
    /// Whether a use of them is an exception.
    off: Cell<bool>,
}

// SAFETY: used with interrupts off, by the one processor.
unsafe impl Sync for Loaded {}

static LOADED: Loaded = Loaded {
    state: Cell::new(ptr::null_mut()),
    off: Cell::new(true),
};

impl State {
    /// What a thread begins with: all exceptions masked, as the ABI says.
    pub(super) const fn new() -> Self {
        let mut saved = [0; 512];
        // FCW = 0x037f, MXCSR = 0x1f80.
        (saved[0], saved[1]) = (0x7f, 0x03);
        (saved[24], saved[25]) = (0x80, 0x1f);
        Self { saved, used: false }
    }

    /// Makes the registers right for the thread that goes to ring 3 next.
    #[inline]
    pub(super) fn install(&mut self) {
        if !self.used {
            if !LOADED.off.get() {
                switch(true);
            }
        } else if LOADED.state.get() != ptr::from_mut(self) {
            self.load();
        } else if LOADED.off.get() {
            switch(false);
        }
    }

    /// The running thread uses them for the first time since others did, or ever.
    pub(super) fn first_use(&mut self) {
        self.used = true;
        self.load();
    }

    #[cold]
    fn load(&mut self) {
        switch(false);
        let before = LOADED.state.replace(self);
        // SAFETY: who has a state in the registers is alive (see `forget`), and both places have
        // the size and the alignment that the instructions want.
        unsafe {
            if !before.is_null() {
                asm!("fxsave64 [{}]", in(reg) &raw mut (*before).saved, options(nostack));
            }
            asm!("fxrstor64 [{}]", in(reg) &raw const self.saved, options(nostack));
        }
    }

    /// The thread ends.
    pub(super) fn forget(&mut self) {
        if LOADED.state.get() == ptr::from_mut(self) {
            LOADED.state.set(ptr::null_mut());
        }
    }
}

fn switch(off: bool) {
    let mut flags = Cr0::read();
    flags.set(Cr0Flags::TASK_SWITCHED, off);
    // SAFETY: decides only whether vector instructions work, of which the kernel has none.
    unsafe { Cr0::write(flags) };
    LOADED.off.set(off);
}
