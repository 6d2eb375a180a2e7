//! Which of a peer's sequenced frames have arrived: each is taken at most once.
//!
//! Sequence numbers wrap; all comparisons are within half their range.

/// Frames ahead of the first missing one that can be remembered.
const AHEAD: u32 = 64;

/// What a sequence number means for a frame that carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It has not arrived before.
    New,
    /// It has.
    Duplicate,
    /// It is further ahead than any credit that was given.
    Beyond,
}

/// What has arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// The first number that has not arrived.
    next: u32,
    /// Bit i: `next + 1 + i` has arrived.
    ahead: u64,
}

/// Whether `a` comes before `b`.
#[inline]
pub(crate) fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

impl Window {
    pub(crate) const fn new(first: u32) -> Self {
        Window {
            next: first,
            ahead: 0,
        }
    }

    /// Every frame before this one has arrived.
    #[inline]
    pub(crate) fn next(&self) -> u32 {
        self.next
    }

    /// Bit i: frame `next + 1 + i` has arrived.
    #[inline]
    pub(crate) fn selective(&self) -> u32 {
        self.ahead as u32
    }

    /// Whether something is missing before the last frame that arrived.
    #[inline]
    pub(crate) fn has_gap(&self) -> bool {
        self.ahead != 0
    }

    #[inline(always)]
    pub(crate) fn admit(&self, sequence: u32) -> Admission {
        let distance = sequence.wrapping_sub(self.next);
        if distance == 0 {
            Admission::New
        } else if distance > u32::MAX / 2 {
            Admission::Duplicate
        } else if distance > AHEAD {
            Admission::Beyond
        } else if self.ahead & (1 << (distance - 1)) != 0 {
            Admission::Duplicate
        } else {
            Admission::New
        }
    }

    /// Whether the frame with this number has arrived.
    #[inline]
    pub(crate) fn contains(&self, sequence: u32) -> bool {
        self.admit(sequence) == Admission::Duplicate
    }

    /// The frame, which [`Window::admit`] called new, has been taken.
    #[inline(always)]
    pub(crate) fn mark(&mut self, sequence: u32) {
        let distance = sequence.wrapping_sub(self.next);
        if distance != 0 {
            self.ahead |= 1 << (distance - 1);
            return;
        }
        self.next = self.next.wrapping_add(1);
        if self.ahead != 0 {
            let arrived = self.ahead.trailing_ones();
            self.next = self.next.wrapping_add(arrived);
            // Two steps: a shift by all 64 bits is not defined.
            self.ahead = (self.ahead >> arrived.min(63)) >> 1;
            if arrived >= 63 {
                self.ahead = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate alloc;
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    #[test]
    fn in_order_needs_no_bits() {
        let mut window = Window::new(u32::MAX - 1);
        for step in 0..5u32 {
            let sequence = (u32::MAX - 1).wrapping_add(step);
            assert_eq!(window.admit(sequence), Admission::New);
            window.mark(sequence);
            assert_eq!(window.admit(sequence), Admission::Duplicate);
            assert!(!window.has_gap());
        }
        assert_eq!(window.next(), 3);
    }

    #[test]
    fn too_far_ahead_is_refused() {
        let window = Window::new(10);
        assert_eq!(window.admit(10 + AHEAD), Admission::New);
        assert_eq!(window.admit(11 + AHEAD), Admission::Beyond);
    }

    proptest! {
        #![proptest_config(crate::cases(256))]

        /// Against a set: each number is new exactly once, and `next` is the first missing.
        #[test]
        fn agrees_with_a_set(start: u32, steps in prop::collection::vec(0u32..80, 1..200)) {
            let mut window = Window::new(start);
            let mut arrived = BTreeSet::new();
            let mut next = 0u64;
            for ahead in steps {
                let offset = (next + u64::from(ahead)).saturating_sub(8);
                let sequence = start.wrapping_add(offset as u32);
                match window.admit(sequence) {
                    Admission::New => {
                        prop_assert!(arrived.insert(offset));
                        window.mark(sequence);
                    }
                    Admission::Duplicate => prop_assert!(arrived.contains(&offset)),
                    Admission::Beyond => prop_assert!(offset > next + u64::from(AHEAD)),
                }
                while arrived.contains(&next) {
                    next += 1;
                }
                prop_assert_eq!(window.next(), start.wrapping_add(next as u32));
                for bit in 0..32u64 {
                    let set = window.selective() & (1 << bit) != 0;
                    prop_assert_eq!(set, arrived.contains(&(next + 1 + bit)));
                }
            }
        }
    }
}
