//! Ports, rights and messages: the IPC core of norma, pure.
//!
//! Owns: port queues and their bounds, the rights that spaces hold under names, messages, and
//! who waits for what. Leaves to others: threads (a thread is a number here; to wake it is a
//! returned consequence), time (a time-out is a [`Ipc::cancel`] by whoever keeps the clock),
//! locks, and the network: a remote port is a port whose sink is not a queue, and a message to
//! it comes back as [`Sent::Forward`] for the layer above to carry.
//! Why pure: the same code runs in the kernel, in a Linux daemon, in the simulator and under
//! Miri. Semantics: Mach 3 kernel interfaces (OSF and GNU manuals); names are Rust's.
#![no_std]
#![forbid(unsafe_code)]
// See clippy.toml: nothing here may abort for want of memory.
#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_macros))]

extern crate alloc;

mod arrival;
#[cfg(feature = "audit")]
#[allow(clippy::disallowed_methods, clippy::disallowed_macros)] // For tests, on hosts.
mod audit;
mod death;
mod depart;
pub mod error;
mod event;
mod exchange;
mod format;
mod ipc;
pub mod limits;
mod memory;
mod message;
mod name;
mod names;
mod network;
mod page;
mod port;
mod receive;
mod request;
mod right;
mod rights;
mod seat;
mod send;
mod set;
mod slab;
mod space;
mod status;
mod step;
mod tally;
pub mod typed;
mod view;
mod wait;

#[cfg(feature = "audit")]
pub use audit::Census;
pub use depart::{Carried, PortState};
pub use error::{InsertError, NoMemory, Reason, ReceiveError, RightError, SendError, SendFailure};
pub use event::Event;
pub use format::{ByteOrder, Format};
pub use ipc::Ipc;
pub use memory::Memory;
pub use message::{Context, Expects, Message};
pub use name::Name;
pub use names::Disposition;
pub use page::{HeapPage, HeapPages, PAGE_SIZE, Page, PageSource};
pub use port::{Label, PortId, RemoteToken, Sink};
pub use receive::Cancelled;
pub use request::About;
pub use right::{Right, RightKind};
pub use send::Sent;
pub use space::SpaceId;
pub use status::{ReceiveStatus, RightTypes};
pub use step::{Step, sent};
pub use view::{HolderView, NameView, PortView, TargetView, WaitView};
pub use wait::{Completion, Delivery, Notification, ThreadId};
