//! The heaps of machines, which fail when a test wants them to.
//!
//! Owns: whose allocations are counted, and which of them fail. What a node does by itself (on a
//! frame, on time, to send) is work of its machine; what a test has it do for a thread is so if
//! the test says so, by [`of`]. What the simulation itself does never fails. Leaves to others: the
//! allocator, which a test program has to be linked with, and which asks [`grants`].

use core::cell::Cell;

use norma_ipc::{HeapPage, HeapPages, PageSource};

/// Which allocations fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// Whose allocations are counted.
    pub machine: usize,
    /// So many of them succeed first,
    pub after: usize,
    /// and so many fail then.
    pub failures: usize,
    /// From then on this machine has no memory either.
    pub other: Option<usize>,
}

#[derive(Clone, Copy)]
struct Heap {
    shortage: Option<Shortage>,
    /// An allocation has failed.
    struck: bool,
    /// The machine that is at work, if it is not the simulation.
    at_work: Option<usize>,
}

const PLENTY: Heap = Heap {
    shortage: None,
    struck: false,
    at_work: None,
};

thread_local! {
    static HEAP: Cell<Heap> = const { Cell::new(PLENTY) };
}

/// From now on memory is short.
pub fn strike(shortage: Shortage) {
    HEAP.set(Heap {
        shortage: Some(shortage),
        ..PLENTY
    });
}

/// There is memory again. Whether an allocation has failed.
pub fn heal() -> bool {
    HEAP.replace(PLENTY).struck
}

/// What a machine does.
pub fn of<R>(machine: usize, work: impl FnOnce() -> R) -> R {
    done_by(Some(machine), work)
}

fn done_by<R>(machine: Option<usize>, work: impl FnOnce() -> R) -> R {
    let enter = |at_work| {
        let heap = HEAP.get();
        HEAP.set(Heap { at_work, ..heap });
        heap.at_work
    };
    let before = enter(machine);
    let result = work();
    enter(before);
    result
}

/// Whether the allocation that is asked for now succeeds.
#[must_use]
pub fn grants() -> bool {
    HEAP.try_with(|cell| cell.get().grants(cell))
        .unwrap_or(true)
}

impl Heap {
    fn grants(mut self, cell: &Cell<Heap>) -> bool {
        let (Some(shortage), Some(machine)) = (&mut self.shortage, self.at_work) else {
            return true;
        };
        if machine != shortage.machine {
            return !(self.struck && shortage.other == Some(machine));
        }
        let granted = match shortage.after.checked_sub(1) {
            Some(after) => {
                shortage.after = after;
                true
            }
            None if shortage.failures > 0 => {
                shortage.failures -= 1;
                self.struck = true;
                false
            }
            None => true,
        };
        cell.set(self);
        granted
    }
}

/// Pages of a machine: each is one allocation, and at most `left` more are given.
#[derive(Debug, Clone)]
pub struct Pages {
    /// How many allocations will still succeed.
    pub left: usize,
}

impl Default for Pages {
    fn default() -> Self {
        Pages { left: usize::MAX }
    }
}

impl PageSource for Pages {
    type Page = HeapPage;

    fn allocate(&mut self) -> Option<HeapPage> {
        self.left = self.left.checked_sub(1)?;
        grants().then_some(())?;
        // It is granted, and the heap is not asked a second time.
        done_by(None, || HeapPages::default().allocate())
    }
}
