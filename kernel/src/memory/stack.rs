//! Stacks of threads, each above a guard that is never mapped.
//!
//! Owns: the slots in the address space and the frames behind them. A stack, once made, is kept
//! and used again: mapping costs far more than keeping, and nothing has to be unmapped.

use super::{FRAME, Frame, NoMemory};
use crate::arch::{layout, paging};
use crate::limits::{STACK, STACK_SLOT, THREADS};
use crate::sync::IrqLock;
use core::ops::Range;
use heapless::Vec;

struct Stacks {
    made: usize,
    idle: Vec<u16, THREADS>,
}

static STACKS: IrqLock<Stacks> = IrqLock::new(Stacks {
    made: 0,
    idle: Vec::new(),
});

/// A stack that is in use.
#[derive(Debug)]
pub(crate) struct Stack {
    slot: u16,
}

impl Stack {
    /// A stack of [`STACK`] bytes, with unspecified contents.
    pub(crate) fn allocate() -> Result<Self, NoMemory> {
        let mut stacks = STACKS.lock();
        if let Some(slot) = stacks.idle.pop() {
            return Ok(Self { slot });
        }
        if stacks.made == THREADS {
            return Err(NoMemory);
        }
        let stack = Self {
            slot: stacks.made as u16,
        };
        // After a failure half-way the next try goes on where this one stopped.
        for page in stack.range().step_by(FRAME) {
            if !paging::is_mapped(page) {
                let frame = Frame::allocate().ok_or(NoMemory)?;
                paging::map(page, frame)?;
            }
        }
        stacks.made += 1;
        Ok(stack)
    }

    /// The addresses that may be used.
    pub(crate) fn range(&self) -> Range<u64> {
        let (_, mapped) = layout::stack_slot(usize::from(self.slot));
        mapped..mapped + STACK as u64
    }

    /// Keeps the stack for the next thread.
    ///
    /// # Safety
    /// Nothing may run on it any more.
    pub(crate) unsafe fn free(self) {
        // The list holds as many as can ever be made.
        let _ = STACKS.lock().idle.push(self.slot);
    }
}

/// Whether `address` lies in the guard of some stack.
pub(crate) fn is_guard(address: u64) -> bool {
    let Some(offset) = address.checked_sub(layout::STACKS) else {
        return false;
    };
    let slot = STACK_SLOT as u64;
    offset < slot * THREADS as u64 && offset % slot < slot - STACK as u64
}
