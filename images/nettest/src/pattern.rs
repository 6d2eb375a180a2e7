//! Bytes that both sides can compute: any displaced, lost or doubled piece shows.

/// The bytes of a message of `length` bytes.
pub fn bytes(length: usize) -> impl Iterator<Item = u8> {
    (0..length as u64).map(|i| {
        let word = (i / 8 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (word >> (8 * (i % 8))) as u8
    })
}

/// Whether these pieces together are such bytes, as many as `length`.
pub fn matches<'a>(pieces: impl Iterator<Item = &'a [u8]>, length: usize) -> bool {
    pieces.flatten().copied().eq(bytes(length))
}
