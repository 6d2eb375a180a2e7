//! Every size that bounds the server, with the reason for the number.

/// Names of the core's: as many ports and rights of other nodes as a task can have names for
/// those that stand for them here.
pub const NAMES: u32 = 4096;

/// Messages under way, calls that are not answered, and ports of this node that others know.
pub const SEATS: usize = 4096;

/// Pages that messages from the network may occupy, 32 MiB: half of what the task may have.
pub const PAGES: usize = 8192;

/// Ports for answers that are kept for the next call from another node.
pub const SPARE_ANSWERS: usize = 64;

/// Messages that wait at a port which stands for another before its senders wait: as many as a
/// task can have.
pub const QUEUE: u16 = 64;

/// The priority that the server is started with, and that its threads have.
pub const PRIORITY: u8 = 6;

/// Empty messages that are kept to be filled again.
pub const SPARE_MESSAGES: usize = 16;

/// Pages that are kept to be filled again: as many as a peer may have under way, in frames of nine
/// thousand bytes.
pub const SPARE_PAGES: usize = 1024;
