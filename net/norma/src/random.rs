//! Random numbers from a seed: BLAKE3's extendable output.
//!
//! Why: the seed is an argument, so that a simulation repeats; in a kernel it comes from the
//! machine, and then nobody can guess a session number or an incarnation.

pub(crate) struct Random(blake3::OutputReader);

impl Random {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        Random(blake3::Hasher::new_keyed(seed).finalize_xof())
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }
}

impl core::fmt::Debug for Random {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Random")
    }
}
