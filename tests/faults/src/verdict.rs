//! What becomes of one frame.
//!
//! Owns [`Verdict`]: the list of passages in which a frame leaves its link. None means dropped,
//! one prompt and clean passage means that nothing happened, several mean duplication. One form
//! for all, so that rules combine without special cases.

use crate::limits::MAX_COPIES;
use core::time::Duration;

/// One byte of a frame changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corruption {
    /// Which byte, from the frame's start.
    pub byte: usize,
    /// Bits that are turned over; never 0.
    pub mask: u8,
}

/// One copy of a frame on its way to the receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passage {
    /// How much later than the prompt frame it arrives.
    pub delay: Duration,
    /// The byte that arrives changed, if any.
    pub corruption: Option<Corruption>,
}

impl Passage {
    /// The frame as it arrives.
    #[must_use]
    pub fn frame(&self, frame: &[u8]) -> Vec<u8> {
        let mut copy = frame.to_vec();
        self.alter(&mut copy);
        copy
    }

    /// Changes the frame to what arrives, in place. A byte beyond the frame's end changes nothing.
    pub fn alter(&self, frame: &mut [u8]) {
        if let Some(corruption) = self.corruption
            && let Some(byte) = frame.get_mut(corruption.byte)
        {
            *byte ^= corruption.mask;
        }
    }
}

/// What becomes of one frame: the passages in which it leaves the link, possibly none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    passages: [Passage; MAX_COPIES],
    count: usize,
}

impl Verdict {
    /// The frame arrives once, at once, unharmed.
    pub const PASS: Self = Self {
        passages: [Passage {
            delay: Duration::ZERO,
            corruption: None,
        }; MAX_COPIES],
        count: 1,
    };

    /// The frame never arrives.
    pub const DROP: Self = Self {
        count: 0,
        ..Self::PASS
    };

    /// The copies that arrive, in no particular order.
    #[must_use]
    pub fn passages(&self) -> &[Passage] {
        &self.passages[..self.count]
    }

    /// Whether the frame arrives once, at once, unharmed.
    #[must_use]
    pub fn is_pass(&self) -> bool {
        *self == Self::PASS
    }

    /// Whether the frame never arrives.
    #[must_use]
    pub fn is_drop(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn passages_mut(&mut self) -> &mut [Passage] {
        &mut self.passages[..self.count]
    }

    /// Adds a copy of every passage, as far as there is room.
    pub(crate) fn duplicate(&mut self, later: Duration) {
        for i in 0..self.count {
            if self.count < MAX_COPIES {
                let mut copy = self.passages[i];
                copy.delay += later;
                self.passages[self.count] = copy;
                self.count += 1;
            }
        }
    }

    /// Resets what lies behind the count, so that equal verdicts compare equal.
    pub(crate) fn drop_all(&mut self) {
        *self = Self::DROP;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplication_is_bounded() {
        let mut verdict = Verdict::PASS;
        for _ in 0..10 {
            verdict.duplicate(Duration::ZERO);
        }
        assert_eq!(verdict.passages().len(), MAX_COPIES);
    }

    #[test]
    fn corruption_beyond_the_end_changes_nothing() {
        let passage = Passage {
            delay: Duration::ZERO,
            corruption: Some(Corruption { byte: 3, mask: 1 }),
        };
        assert_eq!(passage.frame(b"abc"), b"abc");
        assert_eq!(passage.frame(b"abcd"), b"abce");
    }
}
