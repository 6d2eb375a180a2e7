//! FLIP: finds addresses on the network, and carries datagrams between them.
//!
//! Owns the addresses of this node, the search for others, the cache of routes, the cutting and
//! joining of datagrams too large for a network, multicasts, and the way of what is for others
//! through a node that is on several networks. Leaves reliability, order and flow control
//! to the sessions above, and devices, locks and clocks to whoever calls: this crate is pure.
//! Time is an argument, randomness a seed; frames go in by [`Flip::handle_frame`] and come out
//! by [`Flip::emit`] and [`Flip::poll_transmit`].
//!
//! FLIP and not IP, because its addresses name receivers and not machines: a server that moves
//! keeps its address, and is found again by a broadcast. What is changed against Amoeba's:
//! a modern one-way function, limited rates, bounded tables, little-endian headers.
//!
//! Source: `docs/wire.md`, the specification (W-… are its rules); Kaashoek, van Renesse,
//! van Staveren and Tanenbaum, "FLIP: an internetwork protocol for supporting distributed
//! systems", ACM TOCS 1993; Amoeba 5, `rawflip.n`.
#![no_std]
#![forbid(unsafe_code)]
// See clippy.toml: nothing here may abort for want of memory.
#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_macros))]

extern crate alloc;

mod address;
mod announce;
mod bucket;
mod counters;
mod error;
mod flip;
pub mod frame;
mod groups;
mod heard;
mod input;
pub mod limits;
mod local;
mod locate;
mod multicast;
mod network;
mod output;
mod queue;
mod random;
mod reassembly;
mod recent;
mod repair;
mod routes;
mod seek;
pub mod time;
mod transit;

pub use address::PrivateAddress;
pub use counters::{Counters, DropReason};
pub use error::{FragmentError, Full, MulticastError, NoRoute};
pub use flip::{Config, Event, Flip, Listeners, Locate};
pub use frame::{FRAME_PAGES, HEAD, Incoming, Outgoing};
pub use input::Input;
pub use norma_wire::Address;
pub use norma_wire::ethernet::EthernetAddress;
pub use reassembly::Datagram;
pub use routes::{NetworkId, Route};
pub use time::{Duration, Instant};

/// Bytes of a frame before a datagram's payload: Ethernet and FLIP headers.
pub const PREFIX: usize = norma_wire::layout::SESSION_AT;
