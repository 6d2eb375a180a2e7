//! Tasks: programs in ring 3, each in an address space of its own.
//!
//! Owns: loading a program, its memory, its threads, its system calls, and its end. Leaves to
//! others: every rule of ports (a task is a [`Space`](crate::face::Space), its calls are those
//! that services use), and scheduling (a task's thread is a thread as any other, which mostly
//! happens to be in ring 3). `docs/tasks.md` is the specification.
//!
//! An image that starts no task has nothing of this linked in, and a node on which none was
//! started runs as if it were not there: the entry points are exchanged, and the processor told,
//! when the first one starts.
//!
//! What parses and counts is pure and tested on the host: [`archive`], [`elf`], [`regions`].

pub mod archive;
pub mod elf;
pub mod regions;

#[cfg(target_os = "none")]
mod arrival;
#[cfg(target_os = "none")]
pub(crate) mod calls;
#[cfg(target_os = "none")]
mod card;
#[cfg(target_os = "none")]
mod cluster;
#[cfg(target_os = "none")]
mod content;
#[cfg(target_os = "none")]
pub(crate) mod fault;
#[cfg(target_os = "none")]
mod life;
#[cfg(target_os = "none")]
mod memory;
#[cfg(target_os = "none")]
mod messages;
#[cfg(target_os = "none")]
mod ports;
#[cfg(target_os = "none")]
pub(crate) mod run;
#[cfg(target_os = "none")]
mod tables;
#[cfg(target_os = "none")]
mod vector;

pub use archive::Programs;
#[cfg(target_os = "none")]
pub use card::NetworkCard;
pub use elf::{BadProgram, Program};
#[cfg(target_os = "none")]
pub use life::{End, Options, StartError, Task};
