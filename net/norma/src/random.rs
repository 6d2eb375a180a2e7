//! Random numbers from a seed: the hash of the seed and a counter.
//!
//! Why: the seed is an argument, so that a simulation repeats; in a kernel it comes from the
//! machine, and then nobody can guess a session number or an incarnation.

use norma_wire::hash;

pub(crate) struct Random {
    key: [u8; 32],
    drawn: u64,
}

impl Random {
    pub(crate) const fn new(seed: &[u8; 32]) -> Self {
        Random {
            key: *seed,
            drawn: 0,
        }
    }

    /// 32 random bytes.
    pub(crate) fn bytes(&mut self) -> [u8; 32] {
        self.drawn += 1;
        hash::random(&self.key, self.drawn)
    }

    pub(crate) fn u64(&mut self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    pub(crate) fn u32(&mut self) -> u32 {
        self.u64() as u32
    }
}

impl core::fmt::Debug for Random {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Random")
    }
}
