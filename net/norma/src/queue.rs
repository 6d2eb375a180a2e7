//! A queue of places that mostly holds one: it stands beside the others, so that whoever is
//! alone passes without touching their ring.

use alloc::collections::VecDeque;

use norma_ipc::NoMemory;

#[derive(Debug)]
pub(crate) struct Queue {
    first: Option<u32>,
    /// Empty while there is no first.
    others: VecDeque<u32>,
}

impl Queue {
    pub(crate) const fn new() -> Self {
        Queue {
            first: None,
            others: VecDeque::new(),
        }
    }

    /// Makes room for `places` in all.
    #[inline(always)]
    pub(crate) fn reserve(&mut self, places: usize) -> Result<(), NoMemory> {
        if self.others.capacity() < places {
            self.grow(places)?;
        }
        Ok(())
    }

    #[cold]
    fn grow(&mut self, places: usize) -> Result<(), NoMemory> {
        let more = places - self.others.len();
        self.others.try_reserve(more).map_err(|_| NoMemory)
    }

    /// Appends a place, for which room was made.
    #[inline(always)]
    pub(crate) fn push(&mut self, place: u32) {
        if self.first.is_none() {
            self.first = Some(place);
        } else {
            self.push_behind(place);
        }
    }

    #[cold]
    fn push_behind(&mut self, place: u32) {
        self.others.push_back(place);
    }

    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<u32> {
        let first = self.first.take();
        if !self.others.is_empty() {
            self.move_up();
        }
        first
    }

    #[cold]
    fn move_up(&mut self) {
        self.first = self.others.pop_front();
    }

    #[inline(always)]
    pub(crate) fn first(&self) -> Option<u32> {
        self.first
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_places_in_the_order_in_which_they_came() {
        let mut queue = Queue::new();
        queue.reserve(4).unwrap();
        assert!(queue.is_empty() && queue.pop().is_none());
        let (mut next, mut expected) = (0, 0);
        for round in 0..20 {
            for _ in 0..round % 5 {
                queue.push(next);
                next += 1;
            }
            for _ in 0..(round + 2) % 4 {
                assert_eq!(queue.first(), (expected < next).then_some(expected));
                assert_eq!(queue.is_empty(), expected == next);
                if let Some(place) = queue.pop() {
                    assert_eq!(place, expected);
                    expected += 1;
                }
            }
        }
    }
}
