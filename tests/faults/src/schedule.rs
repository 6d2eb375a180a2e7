//! Frames that are still on their way.
//!
//! Owns a bounded queue ordered by arrival time. What is due at the same time leaves in the
//! order in which it came, so that a link without faults never reorders.

use core::cmp::{Ordering, Reverse};
use core::time::Duration;
use std::collections::BinaryHeap;

/// A bounded queue of things that fall due.
#[derive(Debug)]
pub struct Schedule<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    next: u64,
    capacity: usize,
}

#[derive(Debug)]
struct Entry<T> {
    due: Duration,
    order: u64,
    item: T,
}

impl<T> Schedule<T> {
    /// An empty queue for at most `capacity` items.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            heap: BinaryHeap::new(),
            next: 0,
            capacity,
        }
    }

    /// Puts in an item that falls due at `due`.
    ///
    /// # Errors
    /// Gives the item back when the queue is full.
    pub fn push(&mut self, due: Duration, item: T) -> Result<(), T> {
        if self.heap.len() >= self.capacity {
            return Err(item);
        }
        self.heap.push(Reverse(Entry {
            due,
            order: self.next,
            item,
        }));
        self.next += 1;
        Ok(())
    }

    /// When the first item falls due.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        self.heap.peek().map(|entry| entry.0.due)
    }

    /// Takes out the first item if it is due.
    pub fn pop_due(&mut self, now: Duration) -> Option<T> {
        if self.next_due()? > now {
            return None;
        }
        self.heap.pop().map(|entry| entry.0.item)
    }

    /// How many items are waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing is waiting.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

impl<T> Default for Schedule<T> {
    fn default() -> Self {
        Self::new(crate::limits::SCHEDULED_FRAMES)
    }
}

impl<T> Entry<T> {
    fn key(&self) -> (Duration, u64) {
        (self.due, self.order)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_by_time_then_by_order() {
        let mut schedule = Schedule::new(8);
        for (due, item) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b')] {
            schedule.push(Duration::from_millis(due), item).unwrap();
        }
        assert_eq!(schedule.next_due(), Some(Duration::from_millis(1)));
        let mut out = String::new();
        while let Some(item) = schedule.pop_due(Duration::from_millis(5)) {
            out.push(item);
        }
        assert_eq!(out, "abcd");
        assert!(schedule.is_empty());
    }

    #[test]
    fn nothing_leaves_early_and_nothing_enters_when_full() {
        let mut schedule = Schedule::new(1);
        schedule.push(Duration::from_millis(2), 1).unwrap();
        assert_eq!(schedule.push(Duration::ZERO, 2), Err(2));
        assert_eq!(schedule.pop_due(Duration::from_millis(1)), None);
        assert_eq!(schedule.len(), 1);
    }
}
