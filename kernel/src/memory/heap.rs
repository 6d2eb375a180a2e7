//! The heap: lists of free blocks by size, and a slower allocator for large blocks.
//!
//! Owns: what `alloc::alloc` gives out. Leaves to others: frames. Blocks up to half a frame
//! come from one list per power of two, in a handful of instructions; a list that is empty cuts
//! up a frame, and its blocks stay with it, so that in a steady state nothing is ever searched
//! for. A block of a frame is a frame, and a larger one is frames in a row, if such are found
//! soon. All others come from a region of address space that grows as needed. A failure returns
//! null and leaves everything as it was.
//! Source: J. Bonwick, The Slab Allocator (USENIX Summer 1994), much simplified.

use super::{FRAME, Frame, NoMemory, frames, inject};
use crate::arch::{layout, paging};
use crate::counters::count;
use crate::limits::{HEAP_SPACE, HEAP_STEP};
use crate::sync::IrqLock;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

/// Sizes 16, 32, … 2048.
const CLASSES: usize = 8;

/// The smallest size is two to this power.
const SMALLEST: u32 = 4;

#[global_allocator]
static HEAP: Heap = Heap {
    small: IrqLock::new(Lists([None; CLASSES])),
    large: IrqLock::new(Large {
        heap: linked_list_allocator::Heap::empty(),
        mapped: 0,
    }),
};

/// Bytes of the region for large blocks that have memory behind them.
pub(crate) fn heap_region() -> usize {
    HEAP.large.lock().mapped
}

struct Heap {
    small: IrqLock<Lists>,
    large: IrqLock<Large>,
}

/// What becomes of a request.
enum Kind {
    /// A block of this class.
    Small(usize),
    /// A whole frame.
    Frame,
    /// More than that.
    Large,
}

#[inline(always)]
fn kind(layout: Layout) -> Kind {
    let size = layout.size().max(layout.align());
    if size > FRAME {
        return Kind::Large;
    }
    // The power of two at or above the size: blocks are aligned to their own size.
    let bits = usize::BITS - size.saturating_sub(1).leading_zeros();
    let class = bits.saturating_sub(SMALLEST) as usize;
    if class < CLASSES {
        Kind::Small(class)
    } else {
        Kind::Frame
    }
}

// SAFETY: each block comes from one of three places, by its layout alone, and goes back there;
// blocks are aligned to their size, frames to theirs; no path panics.
unsafe impl GlobalAlloc for Heap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = match kind(layout) {
            Kind::Small(class) => self.small.lock().take(class),
            Kind::Frame => take_frame(),
            Kind::Large => self.large.lock().take(layout),
        };
        match block {
            Some(block) => block.as_ptr(),
            None => ptr::null_mut(),
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(block) = NonNull::new(block) else {
            return;
        };
        count(|counters| counters.heap_frees += 1);
        match kind(layout) {
            Kind::Small(class) => self.small.lock().give(class, block),
            Kind::Frame => give_frame(block),
            Kind::Large if block.addr().get() < layout::HEAP as usize => give_run(block, layout),
            // SAFETY: the caller got the block from `alloc` with this layout, and it is not a run.
            Kind::Large => unsafe { self.large.lock().heap.deallocate(block, layout) },
        }
    }
}

/// A free block: all that is known of it is where the next one is.
type Link = Option<NonNull<u8>>;

struct Lists([Link; CLASSES]);

// SAFETY: the blocks belong to the heap, whichever thread holds its lock.
unsafe impl Send for Lists {}

impl Lists {
    #[inline(always)]
    fn take(&mut self, class: usize) -> Link {
        if inject::fails() {
            return None;
        }
        if self.0[class].is_none() {
            self.refill(class)?;
        }
        let block = self.0[class]?;
        // SAFETY: a block in the list is free, at least 16 bytes, and begins with a link.
        self.0[class] = unsafe { block.cast::<Link>().read() };
        count(|counters| counters.heap_allocations += 1);
        Some(block)
    }

    #[inline(always)]
    fn give(&mut self, class: usize, block: NonNull<u8>) {
        // SAFETY: the block has been given back, so it is ours; it is at least 16 bytes and
        // aligned to its size.
        unsafe { block.cast::<Link>().write(self.0[class]) };
        self.0[class] = Some(block);
    }

    #[cold]
    fn refill(&mut self, class: usize) -> Option<()> {
        let frame = Frame::allocate()?.into_physical();
        let size = 1 << (class as u32 + SMALLEST);
        for offset in (0..FRAME).step_by(size).rev() {
            let block = NonNull::new(layout::direct(frame + offset as u64))?;
            self.give(class, block);
        }
        Some(())
    }
}

fn take_frame() -> Link {
    let frame = Frame::allocate()?;
    count(|counters| counters.heap_allocations += 1);
    NonNull::new(layout::direct(frame.into_physical()))
}

fn give_frame(block: NonNull<u8>) {
    // SAFETY: a block of this size came from `take_frame`, which gave its holder up.
    drop(unsafe { Frame::from_physical(layout::physical(block.as_ptr())) });
}

/// Frames in a row, if there are such; their place is in the direct map, below the region.
fn take_run(layout: Layout) -> Link {
    let length = layout.size().div_ceil(FRAME);
    if length > frames::LONGEST_RUN || layout.align() > FRAME {
        return None;
    }
    let first = frames::take_block(length as u32)?;
    NonNull::new(layout::direct(u64::from(first) * FRAME as u64))
}

fn give_run(block: NonNull<u8>, layout: Layout) {
    let first = layout::physical(block.as_ptr()) / FRAME as u64;
    frames::give_row(first as u32, layout.size().div_ceil(FRAME));
}

/// Blocks larger than a frame that are not frames in a row.
struct Large {
    heap: linked_list_allocator::Heap,
    mapped: usize,
}

impl Large {
    fn take(&mut self, layout: Layout) -> Link {
        if inject::fails() {
            return None;
        }
        let block = take_run(layout).or_else(|| self.find(layout))?;
        count(|counters| counters.heap_allocations += 1);
        Some(block)
    }

    /// Takes a block of the region.
    #[cold]
    fn find(&mut self, layout: Layout) -> Link {
        match self.heap.allocate_first_fit(layout) {
            Ok(block) => Some(block),
            Err(()) => {
                self.grow(layout).ok()?;
                self.heap.allocate_first_fit(layout).ok()
            }
        }
    }

    /// Makes room for `layout` at the upper end, whatever is free below it.
    fn grow(&mut self, layout: Layout) -> Result<(), NoMemory> {
        let wanted = layout.size().checked_add(layout.align()).ok_or(NoMemory)?;
        let wanted = wanted.checked_next_multiple_of(HEAP_STEP).ok_or(NoMemory)?;
        if wanted > HEAP_SPACE - self.mapped || wanted / FRAME > super::free_frames() {
            return Err(NoMemory);
        }
        let end = self.mapped + wanted;
        while self.mapped < end {
            let frame = Frame::allocate().ok_or(NoMemory)?;
            paging::map(layout::HEAP + self.mapped as u64, frame)?;
            self.extend();
        }
        Ok(())
    }

    /// Adds the page just mapped. Page by page, so that a failure half-way loses none.
    fn extend(&mut self) {
        if self.mapped == 0 {
            // SAFETY: the page was mapped for this heap alone, and this happens once.
            unsafe { self.heap.init(layout::HEAP as *mut u8, FRAME) };
        } else {
            // SAFETY: the page was mapped just behind the heap's end.
            unsafe { self.heap.extend(FRAME) };
        }
        self.mapped += FRAME;
    }
}
