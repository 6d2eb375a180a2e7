//! qemu-runner: builds images, starts them in QEMU, joins them, tests and measures them.
//!
//! The command `cargo norma` is a thin layer over this library; the VM tests and the benchmarks
//! use the library directly. What lies where:
//!
//! - [`qemu`]: one QEMU, its command line, process, console and end;
//! - [`link`]: what joins network devices, directly or through a switch with faults;
//! - [`linux`]: Linux guests, with which norma is compared;
//! - [`run`]: several nodes together, and waiting for what they say;
//! - [`running`]: which clusters run on this host, and how to reach their nodes;
//! - [`images`]: building images for the bare machine;
//! - [`setup`]: what the host must have, and how to get it;
//! - [`cluster`]: the cluster file;
//! - [`commands`]: one module per command;
//! - [`symbols`]: addresses of a panic as names and lines;
//! - [`trace`]: what every node did, on one line of time.
//!
//! Nothing here is `unsafe`, and nothing outlives the runner: no socket, no QEMU, and no file but those
//! that were asked for (where it was killed, the next run tidies up).
#![forbid(unsafe_code)]

pub mod bench;
pub mod big_endian;
pub mod cli;
pub mod cluster;
pub mod commands;
mod compare;
pub mod context;
pub mod daemon;
pub mod images;
pub mod inspect;
pub mod limits;
pub mod link;
pub mod linux;
pub mod programs;
pub mod qemu;
pub mod run;
pub mod running;
pub mod setup;
pub mod signals;
pub mod similar;
pub mod status;
pub mod symbols;
pub mod trace;
pub mod ui;
pub mod workspace;

pub use context::Context;
pub use status::Status;
