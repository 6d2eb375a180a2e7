//! Messages between machines: sessions, stand-ins for remote ports, and names.
//!
//! Owns: [`Node`], which joins the IPC core and FLIP into one object: what a thread sends to a
//! port of another node leaves here as frames, and what arrives as frames is put into the
//! receiver's hands. Leaves to others: threads, time, devices and memory, which are arguments.
//! The kernel, the daemon on Linux and the simulator all drive this same code.
//!
//! How to drive it: after **any** call, take wakes from [`Node::poll_wake`] until it gives
//! `None`, then frames from [`Node::poll_transmit`] until it gives `false`; call
//! [`Node::handle_timeout`] no later than [`Node::poll_timeout`] says. A thread for which a
//! message came may run before the rest of that is done ([`Node::poll_urgent_wake`]).
//!
//! Sources: Mach's NORMA IPC (Barrera 1991; OSF, "NORMA IPC Version Two", 1994) for proxies and
//! counts; Amoeba's FLIP (Kaashoek, van Renesse, van Staveren, Tanenbaum 1993) below; QUIC
//! (RFC 9000) for session numbers chosen by the receiver. The frames are in `docs/wire.md`.
#![no_std]
#![forbid(unsafe_code)]
// See clippy.toml: nothing here may abort for want of memory.
#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_macros))]

extern crate alloc;

mod ack;
mod acquire;
mod adopt;
mod arrive;
mod arriving;
mod aside;
#[cfg(feature = "audit")]
#[allow(clippy::disallowed_methods, clippy::disallowed_macros)] // For tests, on hosts.
mod audit;
#[cfg(feature = "audit")]
#[allow(clippy::disallowed_methods, clippy::disallowed_macros)] // For tests, on hosts.
mod audit_network;
#[cfg(feature = "audit")]
#[allow(clippy::disallowed_methods, clippy::disallowed_macros)] // For tests, on hosts.
mod audit_onces;
mod backlog;
#[cfg(test)]
mod bounds_tests;
mod carry;
mod check;
mod circle;
mod claim;
mod confirm;
mod congestion;
mod content;
mod counters;
mod death;
mod deliver;
mod depart;
mod directory;
mod fill;
mod flight;
mod handshake;
mod hold;
mod import;
mod inbox;
pub mod limits;
mod linger;
mod lookups;
mod loss;
mod map;
mod moves;
mod names;
mod news;
mod node;
mod notice;
mod outbound;
mod outbox;
mod owed;
mod pack;
mod post;
mod question;
mod queue;
mod queued;
mod random;
mod rights;
mod roads;
mod round_trip;
mod service;
mod session;
mod settle;
mod share;
mod slots;
mod special;
mod switch;
mod transmit;
mod view;
mod window;

#[cfg(feature = "audit")]
pub use audit::audit;
#[cfg(feature = "audit")]
pub use audit_onces::audit_onces;
pub use check::seal;
pub use confirm::{Confirmation, Fate};
pub use counters::{Counters, Drop};
pub use lookups::LookUp;
pub use names::{CheckInError, Interest};
pub use node::{Config, Holdings, Node, StartError};
pub use norma_wire::hello::NodeName;
pub use post::Posted;
pub use roads::Network;
pub use service::{NAME_TAKEN, NAME_UNKNOWN};
pub use special::{DEVICE_PORT, FIRST_SERVICE_PORT, HOST_PORT, Location, NAME_PORT};
pub use view::{ExportView, ImportView, SessionState, SessionView};

/// So many cases of a property, few where each step is interpreted; nothing in the file system.
#[cfg(test)]
fn cases(count: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        cases: if cfg!(miri) { 3 } else { count },
        failure_persistence: None,
        ..Default::default()
    }
}
