//! The heap of a program: areas of memory that the kernel gives, each twice as large as the one
//! before.
//!
//! Owns: growing, and which area a block is from. Leaves to others: what happens within one
//! (`linked_list_allocator`). A request that cannot be met fails, as everywhere.

use crate::system;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};
use linked_list_allocator::Heap;
use norma_abi::call;

/// Areas at most: the last would have a terabyte.
const AREAS: usize = 24;

/// Bytes of the first area.
const FIRST: usize = 128 * 1024;

struct Areas {
    areas: [Heap; AREAS],
    used: usize,
}

struct Allocator {
    held: AtomicBool,
    areas: UnsafeCell<Areas>,
}

// SAFETY: the areas are used by whoever holds the flag.
unsafe impl Sync for Allocator {}

#[global_allocator]
static ALLOCATOR: Allocator = Allocator {
    held: AtomicBool::new(false),
    areas: UnsafeCell::new(Areas {
        areas: [const { Heap::empty() }; AREAS],
        used: 0,
    }),
};

impl Allocator {
    fn with<R>(&self, operation: impl FnOnce(&mut Areas) -> R) -> R {
        while self.held.swap(true, Ordering::Acquire) {
            // There is one processor: who holds it does not run.
            let _ = system::plain(call::YIELD, [0; 4]);
        }
        // SAFETY: this thread holds the flag.
        let result = operation(unsafe { &mut *self.areas.get() });
        self.held.store(false, Ordering::Release);
        result
    }
}

impl Areas {
    fn take(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let used = &mut self.areas[..self.used];
        let found = used
            .iter_mut()
            .rev()
            .find_map(|area| area.allocate_first_fit(layout).ok());
        if found.is_some() {
            return found;
        }
        self.grow(layout)?;
        self.areas[self.used - 1].allocate_first_fit(layout).ok()
    }

    #[cold]
    fn grow(&mut self, layout: Layout) -> Option<()> {
        let wanted = layout.size().checked_add(layout.align())?.checked_add(64)?;
        let usual = FIRST << self.used.min(8);
        let length = wanted.max(usual).checked_next_multiple_of(4096)?;
        let area = self.areas.get_mut(self.used)?;
        let start = system::plain(call::MAP, [length as u64, 0, 0, 0]).ok()?;
        // SAFETY: the kernel just gave this memory to nobody else.
        unsafe { area.init(start as *mut u8, length) };
        self.used += 1;
        Some(())
    }

    fn give(&mut self, block: NonNull<u8>, layout: Layout) {
        let used = &mut self.areas[..self.used];
        let from = used
            .iter_mut()
            .find(|area| (area.bottom()..area.top()).contains(&block.as_ptr()));
        if let Some(area) = from {
            // SAFETY: it lies in this area, which gave it with this layout.
            unsafe { area.deallocate(block, layout) };
        }
    }
}

// SAFETY: blocks are from areas that nobody else uses, and given once.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = self.with(|areas| areas.take(layout));
        block.map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            self.with(|areas| areas.give(block, layout));
        }
    }
}
