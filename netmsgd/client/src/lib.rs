//! Ports, rights and messages for a program on Linux: the client library of `netmsgd`.
//!
//! Owns: the same face as a thread of a node has (rights as values that cannot be copied by
//! accident, messages that come back when they were not sent), and the protocol of the unix
//! socket ([`protocol`]), which the daemon reads from here. Leaves to others: everything that a
//! right or a message means: that is the daemon's, which runs the same crates as a kernel.
//!
//! A program is one *task*: its rights lie in one space of the daemon's, and go when its last
//! connection does, however it ends. Each thread that waits has a connection of its own, so the
//! daemon wakes the very thread for which an answer is, and nobody passes it on.
//!
//! ```no_run
//! use norma_client::{Message, Node};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let node = Node::connect("/run/norma/netmsgd.sock".as_ref())?;
//! let service = node.look_up("digest")?;
//! let mut request = Message::with_data(b"sum this up")?;
//! request.set_memory(&std::fs::read("file")?)?;
//! let answer = service.call(request)?;
//! println!("{:?}", answer.data());
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
// A failed send gives the message back, whole.
#![allow(clippy::result_large_err)]

mod connection;
mod delivery;
mod error;
pub mod limits;
mod memory;
mod message;
mod names;
mod notify;
pub mod protocol;
mod receive;
mod rights;
mod send;
mod set;

pub use connection::{ConnectError, Node};
pub use delivery::{Delivery, Notification};
pub use error::{CallError, Failure, MoveError, ReceiveError, SendError};
pub use memory::Memory;
pub use message::{Message, Right};
pub use norma_ipc::{ByteOrder, Context, Disposition, Format, Name, RightKind};
pub use rights::{AnyRight, ReceiveRight, SendOnceRight, SendRight};
pub use set::PortSet;
