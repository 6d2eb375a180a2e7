//! `netmsgd`: a node of norma as an ordinary Linux process.
//!
//! Owns what a kernel owns on the bare machine: the one place where the pure core
//! ([`norma_net::Node`]) meets a clock, memory, network cards ([`link`]) and those who send and
//! wait. These are programs here, which come by a unix socket: each program is a task with a space
//! of its own, each of its connections is a thread that can wait. Leaves to others: every rule of
//! ports and protocol, which are the same crates that a kernel runs; what programs see of it
//! (`norma-client`).
//!
//! One thread, one loop ([`Daemon::run`]): it waits for sockets and for the next deadline, hands
//! frames and requests to the core, and carries out what follows before it waits again. An answer
//! goes straight from the frame that brought it into the socket at which the program waits.
//! Nothing here may be unsafe but `open.rs`, which asks the kernel for what `rustix` has no words
//! for.
#![deny(unsafe_code)]

mod alarm;
mod answer;
mod arguments;
mod carry;
mod daemon;
pub mod limits;
pub mod link;
mod listen;
mod network;
mod page;
mod request;
mod seat;
mod seats;
mod task;
mod wait;

pub use arguments::{Arguments, LinkArgument};
pub use daemon::{Daemon, DaemonError, Identity};
pub use listen::{ListenError, Listener};
pub use page::{Page, Pages};
