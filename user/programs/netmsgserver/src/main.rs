//! A network message server, as there was one on each machine before kernels carried messages: a
//! task that holds the receive rights of ports which stand for ports of other nodes.
//!
//! What a program sends to such a port the server receives, as any other message; it has the same
//! protocol crates as the kernel and the daemon on Linux, and drives the network card itself. What
//! comes from other nodes it sends to the ports of this one. The kernel knows nothing of all that.
//! `docs/netmsgserver.md` says what it costs, and what is otherwise than with a kernel that does it.
//!
//! Why one thread (and one that only tells the time): the core is one object under one owner, as
//! in the kernel and in the daemon.
//! Frames and messages wake it alike, for word of frames comes to a port in the same set.
#![no_std]
#![no_main]

extern crate alloc;

mod answers;
mod frames;
mod inward;
mod limits;
mod names;
mod outward;
mod pages;
mod proxies;
mod reasons;
mod seats;
mod server;
mod ticker;

use norma_user::{Failure, Task};
use server::Server;

norma_user::program!(main);

/// The arguments are the node's name and its cluster's; the right to the card, and a seed for
/// random numbers, come in the first message.
fn main(task: Task) -> Result<(), Failure> {
    Server::start(task)?.run()
}
