//! An allocator that fails when it is told to, on the thread that told it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[derive(Clone, Copy)]
struct Plan {
    /// Allocations until one fails.
    left: usize,
    /// How many fail then.
    failures: usize,
    counted: usize,
}

const NONE: Plan = Plan {
    left: usize::MAX,
    failures: 0,
    counted: 0,
};

thread_local! {
    static PLAN: Cell<Plan> = const { Cell::new(NONE) };
}

struct Failing;

#[global_allocator]
static ALLOCATOR: Failing = Failing;

/// Whether the allocation that is asked for now is to fail.
fn fails() -> bool {
    PLAN.with(|cell| {
        let mut plan = cell.get();
        plan.counted += 1;
        let fails = plan.left == 0 && plan.failures > 0;
        if fails {
            plan.failures -= 1;
        } else {
            plan.left = plan.left.saturating_sub(1);
        }
        cell.set(plan);
        fails
    })
}

// SAFETY: every block comes from and goes back to the system's allocator, unchanged; a null
// pointer is what the trait asks for when there is no memory.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if fails() {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above; `block` came from `System`.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if fails() {
            return std::ptr::null_mut();
        }
        // SAFETY: as above; `block` came from `System`.
        unsafe { System.realloc(block, layout, size) }
    }
}

fn with<T>(plan: Plan, work: impl FnOnce() -> T) -> (T, Plan) {
    PLAN.with(|cell| cell.set(plan));
    let result = work();
    let after = PLAN.with(|cell| cell.replace(NONE));
    (result, after)
}

/// Does `work` while allocation number `first` and the `failures - 1` after it fail. Also
/// returns whether any failed.
pub fn failing<T>(first: usize, failures: usize, work: impl FnOnce() -> T) -> (T, bool) {
    let (result, after) = with(
        Plan {
            left: first,
            failures,
            counted: 0,
        },
        work,
    );
    (result, after.failures < failures)
}

/// Does `work` and counts how often it asked for memory.
pub fn counting<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let (result, after) = with(NONE, work);
    (result, after.counted)
}
