//! BLAKE3, written to be short.
//!
//! Owns the hash function from which addresses (W-9), identities of clusters and random numbers
//! follow. Leaves to others what is hashed.
//!
//! Why not the crate `blake3`: it is made for long inputs, with all seven rounds unrolled. A
//! node hashes a few dozen bytes at its start, and each of those instructions is translated by
//! an emulator to be run six times: it was a sixth of the time to boot. These are loops. The
//! crate is what the tests compare them with.
//!
//! Source: J. O'Connor, J.-P. Aumasson, S. Neves, Z. Wilcox-O'Hearn, "BLAKE3: one function, fast
//! everywhere" (2021), chapter 2.

const BLOCK: usize = 64;
const CHUNK: usize = 1024;

const INITIAL: Value = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// What a round mixes: the four columns of the state, then its diagonals.
static LINES: [[usize; 4]; 8] = [
    [0, 4, 8, 12],
    [1, 5, 9, 13],
    [2, 6, 10, 14],
    [3, 7, 11, 15],
    [0, 5, 10, 15],
    [1, 6, 11, 12],
    [2, 7, 8, 13],
    [3, 4, 9, 14],
];

/// The two words of the block that go into each line, in all seven rounds: each round takes
/// them in the order of the one before, permuted.
static PAIRS: [[usize; 2]; 56] = {
    const PERMUTATION: [usize; 16] = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
    let mut order = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut pairs = [[0; 2]; 56];
    let mut word = 0;
    while word < 112 {
        if word != 0 && word % 16 == 0 {
            let before = order;
            let mut i = 0;
            while i < 16 {
                order[i] = before[PERMUTATION[i]];
                i += 1;
            }
        }
        pairs[word / 2][word % 2] = order[word % 16];
        word += 1;
    }
    pairs
};

const CHUNK_START: u32 = 1 << 0;
const CHUNK_END: u32 = 1 << 1;
const PARENT: u32 = 1 << 2;
const ROOT: u32 = 1 << 3;
const KEYED_HASH: u32 = 1 << 4;
const DERIVE_KEY_CONTEXT: u32 = 1 << 5;
const DERIVE_KEY_MATERIAL: u32 = 1 << 6;

/// A chaining value, and what comes out in the end.
type Value = [u32; 8];

/// A key for the use that `context` names, derived from `material`.
#[inline(never)]
pub fn derive_key(context: &str, material: &[u8]) -> [u8; 32] {
    let key = tree(&INITIAL, context.as_bytes(), 0, DERIVE_KEY_CONTEXT | ROOT);
    bytes(tree(&key, material, 0, DERIVE_KEY_MATERIAL | ROOT))
}

/// The hash of `input` under a secret key.
#[inline(never)]
pub fn keyed_hash(key: &[u8; 32], input: &[u8]) -> [u8; 32] {
    bytes(tree(&words(key), input, 0, KEYED_HASH | ROOT))
}

/// The value of `input`, whose first chunk has the number `number`: the left subtree is the
/// largest full one that leaves something for the right.
fn tree(key: &Value, input: &[u8], number: u64, flags: u32) -> Value {
    if input.len() <= CHUNK {
        return chunk(key, input, number, flags);
    }
    let left = 1 << ((input.len() - 1) / CHUNK).ilog2();
    let (front, back) = input.split_at(left * CHUNK);
    let inner = flags & !ROOT;
    let mut block = [0; 16];
    block[..8].copy_from_slice(&tree(key, front, number, inner));
    block[8..].copy_from_slice(&tree(key, back, number + left as u64, inner));
    compress(key, &block, 0, BLOCK, flags | PARENT)
}

fn chunk(key: &Value, input: &[u8], number: u64, flags: u32) -> Value {
    let mut value = *key;
    let mut place = CHUNK_START;
    let mut rest = input;
    loop {
        let (now, later) = rest.split_at(rest.len().min(BLOCK));
        let mut block = [0; BLOCK];
        block[..now.len()].copy_from_slice(now);
        if later.is_empty() {
            let flags = flags | place | CHUNK_END;
            return compress(&value, &words(&block), number, now.len(), flags);
        }
        let flags = flags & !ROOT | place;
        value = compress(&value, &words(&block), number, BLOCK, flags);
        (place, rest) = (0, later);
    }
}

#[inline(never)]
fn compress(value: &Value, block: &[u32; 16], number: u64, length: usize, flags: u32) -> Value {
    let mut state = [0; 16];
    state[..8].copy_from_slice(value);
    state[8..12].copy_from_slice(&INITIAL[..4]);
    state[12..].copy_from_slice(&[number as u32, (number >> 32) as u32, length as u32, flags]);
    for (pair, line) in PAIRS.iter().zip(LINES.iter().cycle()) {
        mix(&mut state, line, pair.map(|i| block[i]));
    }
    core::array::from_fn(|i| state[i] ^ state[i + 8])
}

#[inline(never)]
fn mix(state: &mut [u32; 16], line: &[usize; 4], words: [u32; 2]) {
    let [mut a, mut b, mut c, mut d] = line.map(|i| state[i]);
    for (word, [right, further]) in words.into_iter().zip([[16, 12], [8, 7]]) {
        a = a.wrapping_add(b).wrapping_add(word);
        d = (d ^ a).rotate_right(right);
        c = c.wrapping_add(d);
        b = (b ^ c).rotate_right(further);
    }
    for (&i, word) in line.iter().zip([a, b, c, d]) {
        state[i] = word;
    }
}

fn words<const BYTES: usize, const WORDS: usize>(bytes: &[u8; BYTES]) -> [u32; WORDS] {
    const { assert!(BYTES == 4 * WORDS) };
    let (words, _) = bytes.as_chunks();
    core::array::from_fn(|i| u32::from_le_bytes(words[i]))
}

fn bytes(value: Value) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(value) {
        *bytes = word.to_le_bytes();
    }
    bytes
}

// Hashing some hundred kilobytes takes Miri minutes; there is nothing unsafe in it.
#[cfg(all(test, not(miri)))]
mod tests {
    extern crate std;

    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Input, key and context of the official test vectors, at the lengths where something
    /// changes.
    #[test]
    fn agrees_with_the_crate_at_every_edge() {
        let context = "BLAKE3 2019-12-27 16:29:52 test vectors context";
        let key = b"whats the Elvish word for friend";
        for length in [
            0, 1, 63, 64, 65, 1024, 1025, 2048, 2049, 3073, 8192, 8193, 31744,
        ] {
            let input: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let ours = (keyed_hash(key, &input), derive_key(context, &input));
            let theirs = (
                *::blake3::keyed_hash(key, &input).as_bytes(),
                ::blake3::derive_key(context, &input),
            );
            assert_eq!(ours, theirs, "{length} bytes");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..<_>::default() })]

        #[test]
        fn agrees_with_the_crate(
            key: [u8; 32],
            context in ".{0,200}",
            input in prop::collection::vec(any::<u8>(), 0..6000),
        ) {
            prop_assert_eq!(keyed_hash(&key, &input), *::blake3::keyed_hash(&key, &input).as_bytes());
            prop_assert_eq!(derive_key(&context, &input), ::blake3::derive_key(&context, &input));
        }
    }
}
