//! Every size that bounds the platform half of the kernel, with the reason for the number.

use core::time::Duration;

/// Threads at a time: a server's thousand clients on one node, with as many to spare. What a
/// number costs whether there is a thread or not is 34 bytes of memory that nobody touches; the
/// rest is made when the number is first used. A power of two, so that to stay within a table
/// takes one instruction.
pub const THREADS: usize = 2048;

/// Priorities, 0 the lowest. As many as bits in the byte that says which have ready threads.
pub const PRIORITIES: usize = 8;

/// Bytes of a thread's name that are kept; a longer name is cut.
pub const THREAD_NAME: usize = 24;

/// Bytes of a thread's stack, unless it is asked for a smaller one: room for a service's own
/// buffers.
pub const STACK: usize = 64 * 1024;

/// Bytes of the smallest stack. An interrupt runs on the stack of the thread that it interrupts,
/// and with all that a frame can lead to stays below 8 KiB; as much is left for the thread.
pub const LEAST_STACK: usize = 16 * 1024;

/// Bytes of address space per stack. The lower half is never mapped: a guard that even a
/// function with a large frame cannot step over.
pub const STACK_SLOT: usize = 2 * STACK;

/// How long a thread may run while another of its priority waits. Under 50 timer interrupts a
/// second are then caused by it, however often threads change.
pub const SLICE_NS: u64 = 20_000_000;

/// Areas of memory that are kept apart: RAM comes in two or three, each module and the image
/// split one more.
pub const MEMORY_REGIONS: usize = 32;

/// The largest physical address that is used, 1 TiB: two entries of the top page table each map
/// half of it, and larger virtual machines do not boot unikernels.
pub const PHYSICAL_LIMIT: u64 = 1 << 40;

/// Blocks of memory that are searched for neighbouring frames before some that nobody has had
/// are taken, or single ones. Mostly the first has some.
pub const RUN_TRIES: usize = 4;

/// Frames that are given back with interrupts off, one after the other: a few microseconds.
pub const RELEASED_AT_ONCE: usize = 256;

/// Bytes by which the heap for large blocks grows at least.
pub const HEAP_STEP: usize = 64 * 1024;

/// Bytes of address space for large blocks, more than any machine has memory for.
pub const HEAP_SPACE: usize = 1 << 38;

/// Receive buffers of the network card, each a head and sixteen frames: as many frames as two
/// peers may have under way to us (4 MiB).
pub const RECEIVE_BUFFERS: usize = 64;

/// The same on a small machine (1 MiB).
pub const RECEIVE_BUFFERS_SMALL: usize = 16;

/// Frames taken from the card before threads have their turn: several times what two peers may
/// have under way to us, so that only a flood ever meets it.
pub const RECEIVE_BUDGET: usize = 256;

/// How long frames of a large message may lie unseen while those behind them are awaited: what a
/// message of somebody else among them waits longer if these do not come. An acknowledgement
/// waits 5 ms more, and that must stay below the 10 ms after which frames are sent again.
pub const LOOK_AGAIN_NS: u64 = 2_000_000;

/// How soon the rest is looked at then: as long as it takes to carry out a few calls.
pub const RECEIVE_AGAIN_NS: u64 = 100_000;

/// A machine with fewer free frames than this is small: 24 MiB.
pub const SMALL_MACHINE: usize = 6 * 1024;

/// How long a node that was found may take to answer for a name: several times what it takes to
/// notice that it is dead.
pub const LOOK_UP_PATIENCE: Duration = Duration::from_secs(3);

/// How long a machine whose `main` has returned waits at most for what it sent last: twice what
/// it takes to notice that a receiver is dead. Only one whose port is full for so long is not
/// sent for.
pub const SETTLE_PATIENCE: Duration = Duration::from_secs(2);

/// How often it looks meanwhile.
pub const SETTLE_STEP: Duration = Duration::from_millis(1);

/// Network cards that a node tells of: as many as it can have.
pub const CARDS: usize = norma_flip::limits::NETWORKS;

/// Entries for threads of other nodes: as many kinds of work as an image can have.
pub const ENTRIES: usize = 32;

/// Bytes of an entry's name.
pub const ENTRY_NAME: usize = 32;

/// Threads begun by other nodes that run at a time: an eighth of all, so that others cannot take
/// this node's own from it.
pub const REMOTE_THREADS: usize = THREADS / 8;

/// Stack frames printed in a backtrace.
pub const BACKTRACE: usize = 32;

/// Tasks with an address space of their own: an eighth of all threads, for each has one at least.
pub const TASKS: usize = THREADS / 8;

/// Threads of one task, so that one cannot take all from others.
pub const TASK_THREADS: usize = 64;

/// Bytes of a task's name that are kept.
pub const TASK_NAME: usize = 24;

/// Bytes of what a task is started with.
pub const TASK_ARGUMENTS: usize = 256;

/// Pages of a task, those of its page tables included, unless it is given more: 64 MiB, what one
/// message of the largest size brings.
pub const TASK_PAGES: u32 = 16 * 1024;

/// Regions of memory of a task: what it asked for or received and has not given up.
pub const TASK_REGIONS: usize = 4096;

/// Names of a task, and so its ports and its rights.
pub const TASK_NAMES: u32 = 4096;

/// The largest limit that a task can give the queue of one of its ports: with messages of the
/// largest size, 512 KiB.
pub const TASK_QUEUE: u16 = 64;

/// Frames that a task leaves to the kernel: whatever would need memory for a task is refused when
/// fewer are free, so that tasks cannot starve the node itself (4 MiB).
pub const TASK_RESERVE: usize = 1024;

/// Bytes of the kernel's stack of a task's thread: twice what an interrupt needs at most, and as
/// much for a system call.
pub const TASK_STACK: usize = 2 * LEAST_STACK;

/// Bytes of out-of-line memory in a message that a task sends or receives: to map so many pages
/// takes the kernel about a millisecond, in which no interrupt comes.
pub const TASK_MEMORY: usize = 16 << 20;

/// Bytes that a task prints at a time.
pub const TASK_PRINT: usize = 512;

/// How soon a thread that ends its task looks again whether the others have left.
pub const TASK_END_STEP_NS: u64 = 1_000_000;
