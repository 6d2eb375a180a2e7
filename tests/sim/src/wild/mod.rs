//! The wild: on every node threads that do whatever can be done with ports and rights, in random
//! order, while nodes die, start anew and lose sight of each other, and an oracle that knows
//! what must come of it.
//!
//! Owns the workload (`rover.rs` and what it calls) and the oracle (`books.rs` and what it
//! calls). The two know nothing of how rights are counted: `docs/simulation.md` says what is
//! promised and how it is checked.

mod books;
mod calm;
mod choice;
mod closing;
mod entries;
mod fates;
mod foresight;
mod history;
mod holders;
mod load;
mod messages;
mod naming;
mod notify;
mod post;
mod requests;
mod rest;
mod rover;
mod run;
mod sets;
mod shared;
mod short;
mod take;

use core::time::Duration;

use bitflags::bitflags;

pub use books::Books;
pub(crate) use choice::is_queued;
pub use rover::Rover;
pub(crate) use run::{populate, run};

bitflags! {
    /// What rovers do, besides making ports, copying send rights, sending and receiving.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Abilities: u32 {
        /// Calls.
        const CALLS = 1 << 0;
        /// Rights in messages.
        const RIGHTS = 1 << 1;
        /// Send-once rights, made, kept, passed on and used.
        const SEND_ONCE = 1 << 2;
        /// The right to answer a call, kept and passed on.
        const PASS_REPLY = 1 << 3;
        /// Requests to be told: no senders, deaths, receive rights that come back.
        const REQUESTS = 1 << 4;
        /// Names checked in, out and looked up.
        const NAMES = 1 << 5;
        /// Typed messages.
        const TYPED = 1 << 6;
        /// Receive rights in messages to ports of the same node.
        const MOVE_HERE = 1 << 7;
        /// Receive rights in messages to other nodes.
        const MIGRATE = 1 << 8;
        /// A right that comes by way of a third node leads straight to the node where its port
        /// is, and equal rights merge, whichever way they came.
        const DIRECT = 1 << 9;
        /// Limits of queues.
        const LIMITS = 1 << 10;
        /// Waits that end by themselves, or are given up at any time.
        const TIME_OUTS = 1 << 11;
        /// Sends whose fate is asked for.
        const FATES = 1 << 12;
        /// Port sets.
        const SETS = 1 << 13;
        /// Names that several nodes check in, and ports in the slots of nodes.
        const SHARED = 1 << 14;
        /// Nodes that have no pages left for a while.
        const SHORT = 1 << 15;
    }
}

impl Abilities {
    /// What is done in the wild: the full run is of these.
    pub const PRESENT: Self = Self::from_bits_truncate((1 << 10) - 1);
    /// What is done besides in the wider wild.
    pub const WIDER: Self = Self::all();
}

/// The work of a run of the wild.
#[derive(Clone, Debug, PartialEq)]
pub struct Wild {
    /// Threads of each node.
    pub rovers: usize,
    /// How long they do as they like.
    pub play: Duration,
    /// How long each pauses between two things, more or less.
    pub pace: Duration,
    /// What they do.
    pub abilities: Abilities,
    /// Most bytes of memory in a message.
    pub max_memory: usize,
    /// Most bytes of inline data besides the first 32.
    pub max_inline: usize,
}

impl Default for Wild {
    fn default() -> Self {
        Wild {
            rovers: 2,
            play: Duration::from_secs(2),
            pace: Duration::from_millis(4),
            abilities: Abilities::PRESENT,
            max_memory: 20_000,
            max_inline: 300,
        }
    }
}
