//! Every bound of what is said at a time, with its reason.

/// Bytes of rows in an answer: what a message keeps its memory for ([`norma_ipc::limits`]'
/// `KEEP_INLINE`), so that asking again and again takes none.
pub const PAGE: usize = 4096;

/// Places of a table that are looked at for one answer. Nearly all of them may be empty, where
/// much was and is gone; then so many are passed over with interrupts off, in some ten
/// microseconds.
pub const VISITS: u32 = 1024;

/// Bytes of a text in a row: as many as a name in the cluster has at most, and one.
pub const TEXT: usize = 64;

/// Numbers in a row.
pub const NUMBERS: usize = 24;
