//! Which thread runs next: a queue per priority, first come first served within one.
//!
//! Owns: the order of threads that could run. Leaves to others: everything else about them. A
//! bit per priority says where to look, so that every operation takes the same few
//! instructions however many threads there are.

use super::Number;
use super::scheduler::place;
use crate::limits::{PRIORITIES, THREADS};

const _: () = assert!(PRIORITIES == u8::BITS as usize);

/// Threads that are ready to run.
pub struct RunQueue {
    /// Bit `p` is set if a thread of priority `p` is ready.
    ready: u8,
    first: [Number; PRIORITIES],
    last: [Number; PRIORITIES],
    /// Behind each thread, the next in its queue; meaningless for the last.
    next: [Number; THREADS],
}

impl RunQueue {
    /// No thread is ready.
    pub const fn new() -> Self {
        Self {
            ready: 0,
            first: [0; PRIORITIES],
            last: [0; PRIORITIES],
            next: [0; THREADS],
        }
    }

    /// Whether no thread is ready.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.ready == 0
    }

    /// Whether a thread of this priority is ready.
    #[inline(always)]
    pub fn has(&self, priority: u8) -> bool {
        self.ready >> (priority & 7) & 1 != 0
    }

    /// Whether a thread of a higher priority is ready.
    #[inline(always)]
    pub fn has_above(&self, priority: u8) -> bool {
        self.ready >> (priority & 7) > 1
    }

    /// Adds a thread behind all others of its priority.
    #[inline(always)]
    pub fn push(&mut self, thread: Number, priority: u8) {
        let level = usize::from(priority & 7);
        if self.has(priority) {
            self.next[place(self.last[level])] = thread;
        } else {
            self.first[level] = thread;
            self.ready |= 1 << level;
        }
        self.last[level] = thread;
    }

    /// Adds a thread before all others of its priority: it was interrupted, not done.
    pub fn push_first(&mut self, thread: Number, priority: u8) {
        let level = usize::from(priority & 7);
        if self.has(priority) {
            self.next[place(thread)] = self.first[level];
        } else {
            self.last[level] = thread;
            self.ready |= 1 << level;
        }
        self.first[level] = thread;
    }

    /// Takes out the first thread of the highest priority.
    #[inline(always)]
    pub fn pop(&mut self) -> Option<Number> {
        if self.ready == 0 {
            return None;
        }
        let level = self.ready.ilog2() as usize & 7;
        let thread = self.first[level];
        if thread == self.last[level] {
            self.ready &= !(1 << level);
        } else {
            self.first[level] = self.next[place(thread)];
        }
        Some(thread)
    }
}

impl Default for RunQueue {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[test]
    fn highest_first_then_first_come() {
        let mut queue = RunQueue::new();
        for (thread, priority) in [(1, 3), (2, 7), (3, 3), (4, 0), (0, 7)] {
            queue.push(thread, priority);
        }
        queue.push_first(255, 3);
        let order: Vec<Number> = core::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [2, 0, 255, 1, 3, 4]);
    }

    #[test]
    fn knows_what_is_above() {
        let mut queue = RunQueue::new();
        queue.push(9, 4);
        assert!(queue.has_above(3) && !queue.has_above(4) && !queue.has_above(7));
        assert!(queue.has(4) && !queue.has(3));
    }

    proptest! {
        #[test]
        fn behaves_like_eight_queues(steps in prop::collection::vec((0u8..3, 0u8..8), 0..400)) {
            let mut queue = RunQueue::new();
            let mut model: [VecDeque<Number>; PRIORITIES] = Default::default();
            let mut idle: VecDeque<Number> = (0..THREADS as Number).collect();
            for (action, priority) in steps {
                if action == 0 {
                    let expected = model.iter_mut().rev().find_map(VecDeque::pop_front);
                    prop_assert_eq!(queue.pop(), expected);
                    idle.extend(expected);
                } else if let Some(thread) = idle.pop_front() {
                    let level = &mut model[usize::from(priority)];
                    if action == 1 {
                        queue.push(thread, priority);
                        level.push_back(thread);
                    } else {
                        queue.push_first(thread, priority);
                        level.push_front(thread);
                    }
                }
                prop_assert_eq!(queue.is_empty(), model.iter().all(VecDeque::is_empty));
            }
        }
    }
}
