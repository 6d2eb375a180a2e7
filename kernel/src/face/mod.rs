//! What a service is written with: the node, rights, and messages, as Rust types.
//!
//! A right is a value that cannot be copied by accident: to move it is to move the right, to
//! drop it is to give the right up, and to copy a send right is a call that can fail. A message
//! is a value too: to send it gives it away, and a send that fails gives it back.
//!
//! All threads of an image belong to one task and share its space of names.

mod call;
mod error;
mod message;
mod node;
mod read;
mod receive;
mod rights;
mod send;
mod write;

pub use error::{CallError, Failure, SendError};
pub use message::Message;
pub use node::{Counts, Node, RawCard};
pub use norma_ipc::typed::{Array, Item, Items, Kind, Number, ReadError, Scalar};
pub use norma_ipc::{Context, PAGE_SIZE, Page};
pub use norma_net::CheckInError;
pub use read::{Reader, Rights};
pub use rights::{ReceiveRight, SendOnceRight, SendRight};
pub use write::{WriteError, Writer};

pub use crate::memory::{Frame, Frames};
pub use norma_ipc::PageSource;

/// Out-of-line memory: whole frames that move without a copy.
pub type Memory = norma_ipc::Memory<crate::memory::Frame>;

/// An array of numbers that came out of line.
pub type Values<T> = norma_ipc::typed::Values<crate::memory::Frame, T>;
