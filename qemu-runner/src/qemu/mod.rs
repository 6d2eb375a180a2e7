//! One QEMU: its command line, its process, its console and how it ended.
//!
//! Leaves to `link` what its network devices are joined to, and to `run` what several of them
//! do together.

pub mod accelerator;
pub mod command;
mod console;
pub mod outcome;
pub mod process;
mod shim;

pub use accelerator::Accelerator;
pub use command::{Guest, Machine, Netdev, Nic, QemuCommand, mac_text};
pub use outcome::Outcome;
pub use process::{Event, Process};
pub use shim::become_qemu_if_asked;

/// The program that is started.
pub const PROGRAM: &str = "qemu-system-x86_64";
