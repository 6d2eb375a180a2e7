//! Random numbers from a seed: FLIP's own stream, the same again from the same seed.
//!
//! Owns the generator: the hash of the seed and a counter. Leaves true randomness to
//! whoever gives the seed. It is slow, and drawn from a few times in a node's life.

use norma_wire::hash;

/// The generator.
pub(crate) struct Random {
    key: [u8; 32],
    drawn: u64,
}

impl Random {
    pub(crate) const fn new(seed: [u8; 32]) -> Random {
        Random {
            key: seed,
            drawn: 0,
        }
    }

    /// The next number.
    pub(crate) fn draw(&mut self) -> u64 {
        self.drawn += 1;
        let bytes = hash::random(&self.key, self.drawn);
        u64::from_le_bytes([
            bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7],
        ])
    }
}
