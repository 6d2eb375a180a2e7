//! What a node notes of its own doing: a ring of events in its memory, byte by byte.
//!
//! Owns: the layout of the ring, what each event means, and how one is said in a line of text.
//! Leaves to others: writing it (the kernel), finding it in a machine's memory and joining those
//! of several nodes (the runner). docs/traces.md describes it for whoever reads one otherwise.
//! Why one crate for both sides: what is written and what is read cannot differ.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod event;
mod header;

pub use event::{Event, KINDS, Kind, State};
pub use header::{Error, Header, name, text};

/// With what a ring begins.
pub const MAGIC: [u8; 8] = *b"norma\0tr";

/// The version of the layout. A reader knows one, and refuses others.
pub const VERSION: u32 = 1;

/// Bytes to a multiple of which a ring is aligned in its machine's memory: a page.
pub const ALIGN: usize = 4096;

/// Bytes of the header, and so where the names of threads begin.
pub const HEADER: usize = 128;

/// Bytes of a thread's name, with zeros behind it.
pub const NAME: usize = 24;

/// Bytes of an event.
pub const EVENT: usize = 32;

/// Events in a ring: half a MiB of them, some hundred calls between nodes. A power of two.
pub const EVENTS: usize = 1 << 14;

/// Threads whose names a ring holds; the kernel has no more.
pub const THREADS: usize = 2048;

/// Where the events begin.
pub const EVENTS_AT: usize = HEADER + NAME * THREADS;

/// Bytes of a ring.
pub const RING: usize = EVENTS_AT + EVENT * EVENTS;

const _: () = assert!(EVENTS.is_power_of_two() && EVENTS_AT.is_multiple_of(EVENT));
