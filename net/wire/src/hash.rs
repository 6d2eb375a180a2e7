//! The hash from which addresses (W-9), identities of clusters and random numbers follow:
//! SHA-256.
//!
//! Leaves to others what is hashed. Images are built with the crate's short form of it
//! (`sha2_backend_soft="compact"`): a node hashes a few dozen bytes at its start, and an
//! emulator has to translate each instruction of an unrolled one to run it a few times.

use sha2::{Digest, Sha256};

/// The hash of `context`, a zero byte and `material`: what is derived in one context is of no
/// use in another.
pub fn derive(context: &str, material: &[u8]) -> [u8; 32] {
    of([context.as_bytes(), &[0], material])
}

/// The number with index `drawn` of the stream of random numbers that follows from `seed`.
#[inline(never)]
pub fn random(seed: &[u8; 32], drawn: u64) -> [u8; 32] {
    of([seed, &drawn.to_le_bytes(), &[]])
}

/// The hash of these parts, one behind the other.
#[inline(never)]
fn of(parts: [&[u8]; 3]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}
