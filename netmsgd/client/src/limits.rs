//! Every bound of the protocol between a program and its daemon, with its reason.

use norma_ipc::limits::{MAX_INLINE, MAX_RIGHTS};

use crate::protocol::{CONTEXT, HEAD, MESSAGE, RIGHT};

/// Bytes of the largest packet: a request with the largest message. One packet is one request
/// or one answer, so both ends have one buffer of this size and never put pieces together.
pub const MAX_PACKET: usize = HEAD + MESSAGE + CONTEXT + MAX_RIGHTS * RIGHT + MAX_INLINE;

/// Connections that are kept for the next thread that needs one. A program with more threads
/// than that which wait at one time opens some anew.
pub const KEEP_CONNECTIONS: usize = 64;

/// Bytes of a memory file that are kept for the next message; a larger one is made for the
/// message alone, so that one large message does not pin memory.
pub const KEEP_MEMORY: usize = 4 << 20;
