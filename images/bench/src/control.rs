//! What the client tells the server between stretches: the identifiers of messages to `control`.

/// Under which name the server takes these.
pub const CONTROL: &str = "bench-control";
/// Under which name the server answers what is measured.
pub const SERVICE: &str = "bench";

/// A raw stretch is next; data: the number of the item (u32), the round (u32).
pub const PREPARE_RAW: u32 = 1;
/// A stretch begins; data as above.
pub const BEGIN: u32 = 2;
/// It has ended.
pub const END: u32 = 3;
/// There are no more.
pub const DONE: u32 = 4;

/// The service answers with what it was sent.
pub const ECHO: u32 = 0;
/// The service drops what it was sent and answers with nothing.
pub const DROP: u32 = 1;
