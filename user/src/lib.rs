//! What a program in a task is written with.
//!
//! The same face that services in an image have: rights as values that cannot be copied by
//! accident, messages that are given away, and a send that fails gives back what it was given.
//! Beneath it are system calls instead of the kernel's functions; names, dispositions and
//! contexts are the core's own types.
//!
//! Owns: the start of a program, its heap, its threads, and the values that stand for what the
//! kernel holds for it. Leaves to others: what a call means (`docs/tasks.md`).
//!
//! A program is a crate with
//! ```text
//! #![no_std]
//! #![no_main]
//! norma_user::program!(main);
//! fn main(task: norma_user::Task) -> Result<(), norma_user::Failure> {
//!     Ok(())
//! }
//! ```
#![cfg_attr(target_os = "none", no_std)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
mod card;
#[cfg(target_os = "none")]
mod carry;
#[cfg(target_os = "none")]
mod clock;
#[cfg(target_os = "none")]
mod confirm;
#[cfg(target_os = "none")]
mod console;
#[cfg(target_os = "none")]
mod failure;
#[cfg(target_os = "none")]
mod heap;
#[cfg(target_os = "none")]
mod memory;
#[cfg(target_os = "none")]
mod message;
#[cfg(target_os = "none")]
mod names;
#[cfg(target_os = "none")]
pub mod network;
#[cfg(target_os = "none")]
mod notify;
#[cfg(target_os = "none")]
mod passing;
#[cfg(target_os = "none")]
mod read;
#[cfg(target_os = "none")]
mod receive;
#[cfg(target_os = "none")]
mod remote;
#[cfg(target_os = "none")]
mod rights;
#[cfg(target_os = "none")]
mod send;
#[cfg(target_os = "none")]
mod set;
#[cfg(target_os = "none")]
mod space;
#[cfg(target_os = "none")]
mod start;
#[cfg(target_os = "none")]
pub mod system;
#[cfg(target_os = "none")]
mod task;
#[cfg(target_os = "none")]
mod thread;
#[cfg(target_os = "none")]
mod write;

#[cfg(target_os = "none")]
pub use face::*;

#[cfg(target_os = "none")]
mod face {
    pub use crate::card::{Arrived, Card, PageBytes, Slot};
    pub use crate::carry::Right;
    pub use crate::clock::Clock;
    pub use crate::confirm::Fate;
    pub use crate::console::write;
    pub use crate::failure::{CallError, Failure, MoveError, ReceiveError, SendError};
    pub use crate::memory::Memory;
    pub use crate::message::Message;
    pub use crate::names::{Location, NAME_TAKEN};
    pub use crate::notify::{Delivery, Notification, ReturnedRight};
    pub use crate::read::{Items, Reader, Rights, Values};
    pub use crate::remote::{
        NetCounters, NetworkCard, NodeInformation, PortStatus, RemoteEntry, RemoteNode,
        RemoteThread, node,
    };
    pub use crate::rights::{AnyRight, ReceiveRight, SendOnceRight, SendRight, destroy_name};
    pub use crate::set::PortSet;
    pub use crate::space::Space;
    pub use crate::start::__start;
    pub use crate::task::Task;
    pub use crate::thread::{JoinHandle, exit_thread, sleep, spawn, yield_now};
    pub use crate::write::{WriteError, Writer};
    pub use norma_abi::{FAULT, Fault};
    pub use norma_ipc::typed::{Array, Item, Kind, Number, ReadError, Scalar};
    pub use norma_ipc::{
        About, ByteOrder, Context, Disposition, Format, Name, PAGE_SIZE, ReceiveStatus, RightKind,
        RightTypes,
    };
    pub use norma_wire::hello::NodeName;
    pub use norma_wire::special::{DEVICE_PORT, FIRST_SERVICE_PORT, HOST_PORT, NAME_PORT};
}
