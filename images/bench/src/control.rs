//! What the client tells the server between stretches: all of it in the identifiers of messages
//! to `control`, so that telling copies nothing and a count of copies stays exact.

/// Under which name the server takes these.
pub const CONTROL: &str = "bench-control";
/// Under which name the server answers what is measured.
pub const SERVICE: &str = "bench";

/// A raw stretch is next.
pub const PREPARE_RAW: u32 = 1;
/// A stretch begins.
pub const BEGIN: u32 = 2;
/// It has ended.
pub const END: u32 = 3;
/// There are no more.
pub const DONE: u32 = 4;

/// The server is to start a service of many ports, and answers with the right to ask it for them.
pub const PORTS: u32 = 5;

/// What is told, the number of the item, the round: 8, 8 and 16 bits of an identifier.
pub const fn pack(what: u32, item: u32, round: u32) -> u32 {
    what | (item & 0xff) << 8 | round << 16
}

/// The reverse of [`pack`].
pub const fn unpack(id: u32) -> (u32, u32, u32) {
    (id & 0xff, id >> 8 & 0xff, id >> 16)
}

/// The service answers with what it was sent.
pub const ECHO: u32 = 0;
/// The service drops what it was sent and answers with nothing.
pub const DROP: u32 = 1;
