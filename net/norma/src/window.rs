//! Which of a peer's sequenced frames have arrived: each is taken at most once.
//!
//! Sequence numbers wrap; all comparisons are within half their range.

use crate::limits::MAX_CREDIT;

/// Frames ahead of the first missing one that can be remembered: all that any credit permits.
const AHEAD: u32 = MAX_CREDIT;

const WORDS: usize = AHEAD as usize / 64;

const _: () = assert!(AHEAD.is_power_of_two() && AHEAD >= 64);

/// Which frames behind the first missing one have arrived: bit i of it, counted through the
/// words, is frame `next + 1 + i`.
pub(crate) type Bits = [u64; WORDS];

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
    /// Frames behind `next` that have arrived.
    ahead: u32,
    /// For each of them the bit of its number, as it comes round.
    bits: Bits,
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
            bits: [0; WORDS],
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
        if self.ahead == 0 { 0 } else { self.near() }
    }

    #[cold]
    fn near(&self) -> u32 {
        self.far(0) as u32
    }

    /// The same, as far as the window goes.
    pub(crate) fn all_selective(&self) -> Bits {
        core::array::from_fn(|word| self.far(word as u32 * 64))
    }

    /// 64 bits of what has arrived, from `next + 1 + skip` on.
    #[cold]
    fn far(&self, skip: u32) -> u64 {
        let first = self.next.wrapping_add(1 + skip);
        let (word, shift) = (Self::word(first), first % 64);
        let low = self.bits[word] >> shift;
        // Two steps: a shift by all 64 bits is not defined. The number `next` itself has not
        // arrived, so that its bit may stand in for the one behind the last.
        let high = (self.bits[(word + 1) % WORDS] << (63 - shift)) << 1;
        low | high
    }

    fn word(sequence: u32) -> usize {
        (sequence / 64) as usize % WORDS
    }

    /// Whether something is missing before the last frame that arrived.
    #[inline]
    pub(crate) fn has_gap(&self) -> bool {
        self.ahead != 0
    }

    /// Whether more has arrived than [`Window::selective`] can say.
    #[cold]
    pub(crate) fn is_wide(&self) -> bool {
        let near = self.near().count_ones();
        self.ahead > near
    }

    /// Whether a frame is taken (W-36).
    #[inline(always)]
    pub(crate) fn admit(&self, sequence: u32) -> Admission {
        if sequence == self.next {
            Admission::New
        } else {
            self.admit_other(sequence)
        }
    }

    #[cold]
    fn admit_other(&self, sequence: u32) -> Admission {
        let distance = sequence.wrapping_sub(self.next);
        if distance > u32::MAX / 2 {
            Admission::Duplicate
        } else if distance >= AHEAD {
            Admission::Beyond
        } else if self.bits[Self::word(sequence)] & (1 << (sequence % 64)) != 0 {
            Admission::Duplicate
        } else {
            Admission::New
        }
    }

    /// Whether the frame with this number has arrived.
    #[inline]
    pub(crate) fn contains(&self, sequence: u32) -> bool {
        before(sequence, self.next) || self.admit_other(sequence) == Admission::Duplicate
    }

    /// The frame, which [`Window::admit`] called new, has been taken.
    #[inline(always)]
    pub(crate) fn mark(&mut self, sequence: u32) {
        if sequence == self.next && self.ahead == 0 {
            self.next = sequence.wrapping_add(1);
        } else {
            self.mark_out_of_order(sequence);
        }
    }

    #[cold]
    fn mark_out_of_order(&mut self, sequence: u32) {
        if sequence != self.next {
            self.bits[Self::word(sequence)] |= 1 << (sequence % 64);
            self.ahead += 1;
            return;
        }
        self.next = sequence.wrapping_add(1);
        while self.ahead > 0 {
            let (word, bit) = (Self::word(self.next), 1 << (self.next % 64));
            if self.bits[word] & bit == 0 {
                return;
            }
            self.bits[word] &= !bit;
            self.ahead -= 1;
            self.next = self.next.wrapping_add(1);
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
        assert_eq!(window.admit(9 + AHEAD), Admission::New);
        assert_eq!(window.admit(10 + AHEAD), Admission::Beyond);
    }

    proptest! {
        #![proptest_config(crate::cases(256))]

        /// Against a set: each number is new exactly once, and `next` is the first missing.
        #[test]
        fn agrees_with_a_set(start: u32, steps in prop::collection::vec(
            prop_oneof![4 => 0u32..12, 1 => 0u32..AHEAD + 20], 1..if cfg!(miri) { 10 } else { 300 })) {
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
                    Admission::Beyond => prop_assert!(offset >= next + u64::from(AHEAD)),
                }
                while arrived.contains(&next) {
                    next += 1;
                }
                prop_assert_eq!(window.next(), start.wrapping_add(next as u32));
                let bits = window.all_selective();
                prop_assert_eq!(bits[0] as u32, window.selective());
                for bit in 0..u64::from(AHEAD) {
                    let set = bits[bit as usize / 64] & (1 << (bit % 64)) != 0;
                    prop_assert_eq!(set, arrived.contains(&(next + 1 + bit)));
                }
                let last = arrived.last().copied().unwrap_or(0);
                prop_assert_eq!(window.has_gap(), last > next);
                prop_assert_eq!(window.is_wide(), last > next + 32);
            }
        }
    }
}
