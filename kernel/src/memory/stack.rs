//! Stacks of threads, each above a guard that is never mapped.
//!
//! Owns: the slots in the address space and the frames behind them. A stack, once made, is kept
//! and used again: mapping costs far more than keeping, and nothing has to be unmapped. There
//! are three sizes, so that what one thread leaves fits the next.

use super::{FRAME, Frame, NoMemory};
use crate::arch::{layout, paging};
use crate::limits::{LEAST_STACK, STACK, STACK_SLOT, THREADS};
use crate::sync::IrqLock;
use core::ops::Range;
use heapless::Vec;

const SIZES: usize = 3;

const _: () = assert!(LEAST_STACK << (SIZES - 1) == STACK);

struct Stacks {
    made: u16,
    /// Stacks that nobody uses, by size. Each list holds as many as can ever be made.
    idle: [Vec<u16, THREADS>; SIZES],
}

static STACKS: IrqLock<Stacks> = IrqLock::new(Stacks {
    made: 0,
    idle: [const { Vec::new() }; SIZES],
});

/// A stack that is in use.
#[derive(Debug)]
pub(crate) struct Stack {
    slot: u16,
    /// How often [`LEAST_STACK`] is doubled.
    size: u8,
}

impl Stack {
    /// A stack of `bytes` at least, and at most [`STACK`], with unspecified contents.
    pub(crate) fn allocate(bytes: usize) -> Result<Self, NoMemory> {
        let wanted = (0..SIZES as u8 - 1).find(|size| LEAST_STACK << size >= bytes);
        let wanted = wanted.unwrap_or(SIZES as u8 - 1);
        let mut stacks = STACKS.lock();
        if let Some(stack) = stacks.take_idle(wanted..SIZES as u8) {
            return Ok(stack);
        }
        if usize::from(stacks.made) < THREADS {
            let stack = Self {
                slot: stacks.made,
                size: wanted,
            };
            stack.map()?;
            stacks.made += 1;
            return Ok(stack);
        }
        let smaller = stacks.take_idle(0..wanted).ok_or(NoMemory)?;
        let stack = Self {
            slot: smaller.slot,
            size: wanted,
        };
        if let Err(error) = stack.map() {
            stacks.keep(smaller);
            return Err(error);
        }
        Ok(stack)
    }

    /// Puts frames where there are none yet, from the upper end down: after a failure half-way
    /// what lies below is still a guard.
    fn map(&self) -> Result<(), NoMemory> {
        let Range { start, end } = self.range();
        for page in 1..=(end - start) / FRAME as u64 {
            let page = end - page * FRAME as u64;
            if !paging::is_mapped(page) {
                let frame = Frame::allocate().ok_or(NoMemory)?;
                paging::map(page, frame)?;
            }
        }
        Ok(())
    }

    /// The addresses that may be used.
    pub(crate) fn range(&self) -> Range<u64> {
        let end = layout::stack_end(usize::from(self.slot));
        end - (LEAST_STACK << self.size) as u64..end
    }

    /// The addresses below it that are not mapped.
    pub(crate) fn guard(&self) -> Range<u64> {
        let Range { start, end } = self.range();
        end - STACK_SLOT as u64..start
    }

    /// Keeps the stack for the next thread.
    ///
    /// # Safety
    /// Nothing may run on it any more.
    pub(crate) unsafe fn free(self) {
        STACKS.lock().keep(self);
    }
}

impl Stacks {
    fn take_idle(&mut self, mut sizes: Range<u8>) -> Option<Stack> {
        sizes.find_map(|size| {
            let slot = self.idle[usize::from(size)].pop()?;
            Some(Stack { slot, size })
        })
    }

    fn keep(&mut self, stack: Stack) {
        // The list holds as many as can ever be made.
        let _ = self.idle[usize::from(stack.size)].push(stack.slot);
    }
}

/// Whether `address` lies in the guard of some stack, if that is of the largest size; below a
/// smaller one the guard is larger.
pub(crate) fn is_guard(address: u64) -> bool {
    let Some(offset) = address.checked_sub(layout::STACKS) else {
        return false;
    };
    let slot = STACK_SLOT as u64;
    offset < slot * THREADS as u64 && offset % slot < slot - STACK as u64
}
