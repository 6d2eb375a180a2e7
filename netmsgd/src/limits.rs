//! Every bound of the daemon, with its reason.

/// Connections, over all programs: each is a thread of the core, a descriptor and a packet.
pub const MAX_CONNECTIONS: usize = 1024;

/// Programs, each a space of the core.
pub const MAX_TASKS: usize = 256;

/// Connections of one process, so that one that opens them without end leaves some for others: a
/// thread that waits needs one.
pub const CONNECTIONS_OF_PROCESS: usize = 128;

/// Names of one program: rights that it can hold at a time. A thousand ports with a right to each
/// fit twice.
pub const NAMES_OF_TASK: u32 = 4096;

/// The largest queue limit that a program can set. With [`NAMES_OF_TASK`] and 8 KiB of inline data
/// it bounds what the queues of one program can hold.
pub const QUEUE_LIMIT: u16 = 64;

/// Names that one program checks in: a quarter of what a node can.
pub const CHECKED_IN_BY_TASK: usize = 64;

/// Pages that one program's messages occupy while nobody has taken them: the largest message
/// twice over.
pub const PAGES_OF_TASK: usize = 32 * 1024;

/// Pages that come from the network and that nobody has taken, unless the command line says
/// otherwise: 512 MiB.
pub const PAGES_OF_NETWORK: usize = 128 * 1024;

/// Pages that are kept for reuse: 16 MiB, twice what one peer may have under way in the largest
/// frames that move without a pause.
pub const KEEP_PAGES: usize = 4096;

/// Frames taken from a link before others have their turn.
pub const RECEIVE_BUDGET: usize = 64;

/// Credits of a link on which a sender waits when the receiver does: nothing is lost in between.
pub const BUFFERS_OF_WAITING_LINK: u16 = 256;

/// Credits of a link that loses what does not fit its socket, at least: what a window always
/// may have.
pub const LEAST_BUFFERS: u16 = 4;

/// Bytes asked for as a link's socket buffers. The kernel grants what its administrator allows.
pub const LINK_BUFFER: usize = 4 << 20;

/// Bytes read from a stream link at a time: a few of the largest frames.
pub const STREAM_BUFFER: usize = 256 << 10;

/// Stations that a UDP link without fixed peers remembers.
pub const MAX_STATIONS: usize = 1024;

/// Peers of a UDP link that it learns by hearing from them.
pub const MAX_PEERS: usize = 64;

/// Events taken from the kernel at a time.
pub const EVENTS: usize = 64;

/// How long a look-up that does not wait may take.
pub const LOOK_UP_PATIENCE_NS: u64 = 3_000_000_000;

/// How long no connection is accepted after the host has refused one for want of descriptors.
pub const ACCEPT_AGAIN_NS: u64 = 100_000_000;
