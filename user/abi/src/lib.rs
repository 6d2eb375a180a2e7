//! The system calls of tasks: numbers, and the layout of what they read and write.
//!
//! Owns: what the kernel and a user program must agree upon, byte by byte; `docs/tasks.md` is
//! the same in prose. Leaves to others: doing it (`norma_kernel::task`) and a face for programs
//! (`norma-user`).
#![no_std]
#![forbid(unsafe_code)]

pub mod card;
mod code;
mod message;

pub use code::Code;
pub use message::{Entry, Header, InContext, News, Status, Whereabouts};

/// The lowest address that a program may use.
pub const LOWEST: u64 = 0x1_0000;

/// The address behind the highest that a program may use: a page below the end of the lower
/// half, so that no instruction ends there.
pub const HIGHEST: u64 = 0x7fff_ffff_f000;

/// Where [`call::MAP`] and memory that is received are put, from here upward.
pub const MAPPINGS: u64 = 0x1000_0000_0000;

/// The numbers of the calls.
pub mod call {
    /// Ends the task.
    pub const EXIT: u64 = 0;
    /// Writes to the console.
    pub const PRINT: u64 = 1;
    /// Tells the time.
    pub const CLOCK: u64 = 2;
    /// Starts a thread of the task.
    pub const SPAWN: u64 = 3;
    /// Ends the calling thread.
    pub const THREAD_EXIT: u64 = 4;
    /// Waits for a time.
    pub const SLEEP: u64 = 5;
    /// Lets other threads run.
    pub const YIELD: u64 = 6;
    /// Asks for memory.
    pub const MAP: u64 = 7;
    /// Gives memory up.
    pub const UNMAP: u64 = 8;
    /// Reads what the task was started with.
    pub const ARGUMENTS: u64 = 9;
    /// Makes a port.
    pub const ALLOCATE_PORT: u64 = 10;
    /// Makes a port set.
    pub const ALLOCATE_SET: u64 = 11;
    /// Makes a dead name.
    pub const ALLOCATE_DEAD_NAME: u64 = 12;
    /// Makes a port under a name of one's own choice.
    pub const ALLOCATE_PORT_AS: u64 = 13;
    /// Makes or copies a right within the task.
    pub const MAKE: u64 = 14;
    /// Gives one right up.
    pub const DEALLOCATE: u64 = 15;
    /// Gives all up that is under a name.
    pub const DESTROY: u64 = 16;
    /// Changes a name.
    pub const RENAME: u64 = 17;
    /// What a name denotes.
    pub const TYPES: u64 = 18;
    /// How many references of a kind a name is worth.
    pub const REFERENCES: u64 = 19;
    /// Changes that number.
    pub const MODIFY_REFERENCES: u64 = 20;
    /// Every name.
    pub const NAMES: u64 = 21;
    /// What is to be known about a port.
    pub const STATUS: u64 = 22;
    /// Sets the limit of a port's queue.
    pub const SET_QUEUE_LIMIT: u64 = 23;
    /// Sets the number of the next message.
    pub const SET_SEQUENCE: u64 = 24;
    /// Sets the count of send rights made.
    pub const SET_MAKE_SENDS: u64 = 25;
    /// Moves a port into a set, or out of one.
    pub const MOVE_MEMBER: u64 = 26;
    /// The members of a set.
    pub const MEMBERS: u64 = 27;
    /// Asks to be told of something.
    pub const REQUEST: u64 = 28;
    /// Takes such a request back.
    pub const WITHDRAW: u64 = 29;
    /// Sends a message.
    pub const SEND: u64 = 30;
    /// Receives one.
    pub const RECEIVE: u64 = 31;
    /// Sends one and waits for the reply.
    pub const CALL: u64 = 32;
    /// Answers one and receives the next.
    pub const REPLY_AND_RECEIVE: u64 = 33;
    /// Answers one.
    pub const REPLY: u64 = 34;
    /// Sends one whose reply comes to a port of one's own, and receives there.
    pub const EXCHANGE: u64 = 35;
    /// Takes a message that did not fit at first.
    pub const FETCH: u64 = 36;
    /// Makes a send right known to the cluster, and perhaps asks to be told when that is over.
    pub const CHECK_IN: u64 = 37;
    /// Takes that back.
    pub const CHECK_OUT: u64 = 38;
    /// Looks a name up in the cluster.
    pub const LOOK_UP: u64 = 39;
    /// Says where the task's faults are to be told.
    pub const SET_EXCEPTION_PORT: u64 = 40;
    /// Takes a network card into use.
    pub const OPEN_CARD: u64 = 41;
    /// Has frames that were written sent, and takes what has come.
    pub const EXCHANGE_FRAMES: u64 = 42;
    /// Sends a message, and waits until it is known what became of it.
    pub const SEND_CONFIRMED: u64 = 43;
    /// Receives a message of no more data than so many bytes.
    pub const RECEIVE_WITHIN: u64 = 44;
    /// Makes a send right known to the cluster, and waits until nobody else can have the name.
    pub const CLAIM: u64 = 45;
    /// Looks up what is in a slot of a node.
    pub const LOOK_UP_SPECIAL: u64 = 46;
    /// Tells where the port of a right is.
    pub const LOCATE: u64 = 47;
    /// Tells the name of a node.
    pub const NODE_NAME: u64 = 48;
    /// How many calls there are.
    pub const COUNT: u64 = 49;
}

/// What [`call::REQUEST`] and [`call::WITHDRAW`] are about.
pub mod about {
    /// The death of the port of a right.
    pub const DEATH: u64 = 0;
    /// Room in the queue of the port of a right.
    pub const ROOM: u64 = 1;
    /// That nobody has a send right to a port.
    pub const NO_SENDERS: u64 = 2;
    /// That a receive right was given up.
    pub const PORT_DESTROYED: u64 = 3;
}

/// A kind of right, as calls have it.
pub mod kind {
    /// A receive right.
    pub const RECEIVE: u32 = 0;
    /// A send right.
    pub const SEND: u32 = 1;
    /// A send-once right.
    pub const SEND_ONCE: u32 = 2;
}

/// How a right gets into a message, or what [`call::MAKE`] does.
pub mod disposition {
    /// The receive right itself.
    pub const MOVE_RECEIVE: u32 = 0;
    /// A send right of the task's.
    pub const MOVE_SEND: u32 = 1;
    /// A send-once right of the task's.
    pub const MOVE_SEND_ONCE: u32 = 2;
    /// One more send right.
    pub const COPY_SEND: u32 = 3;
    /// A send right made from a receive right.
    pub const MAKE_SEND: u32 = 4;
    /// A send-once right made from a receive right.
    pub const MAKE_SEND_ONCE: u32 = 5;
}

/// Set beside a code: what was to be sent is gone, and only what was to come back is not there.
pub const SENT: u64 = 1 << 32;

/// In place of the reason for which [`call::DEALLOCATE`] gives a send-once right up: nobody is told,
/// as if it had never been made. For a task that has the receive right of its port.
pub const UNMADE: u64 = 1 << 32;

/// A time-out that never ends.
pub const FOREVER: u64 = u64::MAX;

/// The identifier of the message that tells of a fault: its data are a [`Fault`].
pub const FAULT: u32 = 0x6661_756c;

/// What is told of a fault, as inline data. A reply with the identifier 0 lets the thread try
/// again; any other, or none, ends the task.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    zerocopy::FromBytes,
    zerocopy::IntoBytes,
    zerocopy::Immutable,
    zerocopy::KnownLayout,
)]
#[repr(C)]
pub struct Fault {
    /// The number of the processor's exception.
    pub vector: u64,
    /// Its error code, or 0.
    pub code: u64,
    /// For a page fault, the address.
    pub address: u64,
    /// Where the program was.
    pub instruction: u64,
    /// Its stack pointer.
    pub stack: u64,
    /// Its flags.
    pub flags: u64,
    /// Its registers: r15, r14, …, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax.
    pub registers: [u64; 15],
    /// Which thread of the task, counted from 0 in the order of their start.
    pub thread: u64,
}
