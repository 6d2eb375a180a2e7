//! A table by numbers.
//!
//! Owns: how numbers are spread. Leaves to others: what is in the table, and its bound.

use hashbrown::HashMap;

/// Spreads small numbers. Peers choose some of the keys and could make them collide; every
/// table is bounded, so that this costs a hostile peer's victims time and nothing else.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct NumberHash(u64);

impl core::hash::Hasher for NumberHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(32) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

pub(crate) type Map<K, V> = HashMap<K, V, core::hash::BuildHasherDefault<NumberHash>>;
