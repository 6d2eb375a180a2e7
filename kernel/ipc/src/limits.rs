//! Every bound of the IPC core, with its reason.

/// Messages that a new port's queue holds. Mach's default is 5, chosen for a machine with
/// little memory; 16 lets a sender run ahead by a batch without hiding a slow receiver.
pub const DEFAULT_QUEUE_LIMIT: u16 = 16;

/// The largest queue limit that can be set: Mach's `MACH_PORT_QLIMIT_LARGE`.
pub const MAX_QUEUE_LIMIT: u16 = 1024;

/// Bytes of inline data in a message. Larger data belongs in out-of-line memory, which moves
/// without a copy; two pages are enough for every control message seen in Mach and Amoeba.
pub const MAX_INLINE: usize = 8192;

/// Rights in a message besides the reply right: what the byte that counts them in a frame can
/// say. So many take 6 KiB as they travel, and fit one frame with the largest inline data. More
/// would need another header; and who has thousands to give can send several messages, whose order
/// is kept.
pub const MAX_RIGHTS: usize = 255;

/// Bytes of out-of-line memory in a message: 64 MiB, so that a page count and a byte count
/// fit 32 bits with room, and one message cannot claim all of a large machine.
pub const MAX_MEMORY: usize = 64 << 20;

/// Inline capacity that a fresh message has: what the fixed first piece of a frame carries.
pub const FIRST_INLINE: usize = 64;

/// Inline capacity above which a message is not kept for reuse, so that one large message does
/// not pin memory.
pub const KEEP_INLINE: usize = 4096;

/// Pages of list capacity above which a message's list is not kept for reuse: 1 MiB moved
/// again and again then allocates nothing.
pub const KEEP_PAGES: usize = 256;

/// Messages kept for reuse.
pub const KEEP_MESSAGES: usize = 128;

/// Bits of a name that say which slot of the table it denotes: a million names in a space.
pub const NAME_INDEX_BITS: u32 = 20;

/// Slots of a space that have used up their 4,095 generations and rest before they start anew:
/// a name then comes again only after 16 million others, for 160 KiB at most.
pub const RESTING_NAMES: u32 = 4096;

/// Names in a space unless its quota says otherwise, and the largest quota there is: what is
/// left of the index bits when every resting slot is counted.
pub const DEFAULT_NAMES: u32 = (1 << NAME_INDEX_BITS) - RESTING_NAMES;

/// Threads that can wait, over all spaces: their numbers are dense, and each costs a waiter.
pub const MAX_THREADS: u32 = 65_536;

/// Queues in which a receive right may lie inside one another: the receive right of a port in a
/// message in the queue of a port whose receive right is in a message, and so on. To find a
/// cycle, the chain is walked when such a message is queued, and this bounds the walk.
pub const MAX_TRANSIT_DEPTH: usize = 1024;
