//! What a service is written with: the node, rights, and messages, as Rust types.
//!
//! A right is a value that cannot be copied by accident: to move it is to move the right, to
//! drop it is to give the right up, and to copy a send right is a call that can fail. A message
//! is a value too: to send it gives it away, and a send that fails gives it back.
//!
//! All threads of an image belong to one task and share its space of names. Who wants to work
//! with names as Mach does makes a [`Space`] of its own.

mod call;
mod carry;
mod confirm;
mod delivery;
mod error;
mod exchange;
mod message;
mod names;
mod node;
mod notify;
mod read;
mod receive;
mod remote;
mod rights;
mod send;
mod set;
mod space;
mod special;
mod write;

pub(crate) use call::call_from;
pub use carry::Right;
pub use confirm::Fate;
pub(crate) use confirm::send_confirmed;
pub use delivery::{Delivery, Notification, ReturnedRight};
pub use error::{CallError, Failure, MoveError, ReceiveError, SendError};
pub use message::Message;
pub(crate) use names::{claim, look_up};
pub use node::{Counts, Node, RawCard};
pub use norma_ipc::typed::{Array, Item, Items, Kind, Number, ReadError, Scalar};
pub use norma_ipc::{
    About, Context, Disposition, Name, PAGE_SIZE, Page, ReceiveStatus, RightKind, RightTypes,
};
pub use norma_net::{
    CheckInError, DEVICE_PORT, FIRST_SERVICE_PORT, HOST_PORT, NAME_PORT, NAME_TAKEN, NodeName,
};
pub use read::{Reader, Rights};
pub(crate) use receive::{Received, complete, take, take_within};
pub use remote::{NodeInformation, RemoteEntry, RemoteNode, RemoteThread, Start, node};
pub use rights::{AnyRight, ReceiveRight, SendOnceRight, SendRight};
pub(crate) use send::answer;
pub use set::PortSet;
pub use space::Space;
pub use special::{Location, NetworkCard, PortStatus};
pub(crate) use special::{network_cards, set_kernel_port};
pub use write::{WriteError, Writer};

pub use crate::memory::{Frame, Frames};
pub use norma_ipc::PageSource;

/// Out-of-line memory: whole frames that move without a copy.
pub type Memory = norma_ipc::Memory<crate::memory::Frame>;

/// An array of numbers that came out of line.
pub type Values<T> = norma_ipc::typed::Values<crate::memory::Frame, T>;
