//! FLIP: finds addresses on the network, and carries datagrams between them.
#![no_std]
#![forbid(unsafe_code)]

pub mod frame;
pub mod time;

pub use frame::{FRAME_PAGES, HEAD, Incoming, Outgoing};
pub use norma_wire::Address;
pub use time::{Duration, Instant};
