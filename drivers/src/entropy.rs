//! Randomness from the processor.
//!
//! Owns: reading RDRAND with the retries its manual asks for. Leaves to others: the generator
//! that stretches the seed. A node without randomness must not start: its incarnation and its
//! port addresses would repeat, so absence is an error that names the option that mends it.
//! Source: Intel, Digital Random Number Generator guide, section 5.2.1 (ten retries).

use core::fmt;
use x86_64::instructions::random::RdRand;

/// Tries before RDRAND counts as broken.
const RETRIES: u32 = 10;

/// Why there is no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The processor has no RDRAND.
    Absent,
    /// The processor has RDRAND, but it gave nothing in ten tries, or always the same.
    Broken,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Absent => f.write_str(
                "no source of randomness: the processor has no RDRAND; start QEMU with `-cpu max` \
                 (or any model with `+rdrand`)",
            ),
            Error::Broken => f.write_str(
                "no source of randomness: the processor's RDRAND gives no usable numbers; start \
                 QEMU with `-cpu max` on a host whose RDRAND works",
            ),
        }
    }
}

/// A seed of 32 random bytes.
///
/// # Errors
/// [`Error::Absent`] without RDRAND, [`Error::Broken`] when it fails ten times running or
/// repeats itself, as some processors do after a resume from sleep.
pub fn seed() -> Result<[u8; 32], Error> {
    let source = RdRand::new().ok_or(Error::Absent)?;
    let mut words = [0u64; 4];
    for word in &mut words {
        *word = next(source)?;
    }
    if words.iter().all(|&word| word == words[0]) {
        return Err(Error::Broken);
    }
    let mut seed = [0; 32];
    for (bytes, word) in seed.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    Ok(seed)
}

fn next(source: RdRand) -> Result<u64, Error> {
    (0..RETRIES)
        .find_map(|_| source.get_u64())
        .ok_or(Error::Broken)
}
