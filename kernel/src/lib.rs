//! The platform half of norma's kernel, and the face of ports for services.
//!
//! Owns: frames, heap, threads, timers, interrupts, the console, reports of panics, and the
//! node that joins ports, sessions and a network card. Leaves to others: starting the machine
//! and wiring it (boot), devices (drivers), every protocol (net) and the rules of ports
//! (`norma-ipc`). Unsafe code lives here and in drivers, nowhere above.
//!
//! Whatever needs no machine (run queue, timer table, carving of memory) also builds for the
//! host, where it is tested; the rest is there only on the bare target.
#![cfg_attr(not(test), no_std)]
// The examples in the documentation are for the bare machine: see CONTRIBUTING.md.
#![doc(test(attr(no_std, no_main)))]

extern crate alloc;

pub mod limits;
pub mod memory;
pub mod task;
pub mod thread;
pub mod timer;

#[cfg(target_os = "none")]
pub mod arch;
#[cfg(target_os = "none")]
pub mod console;
#[cfg(target_os = "none")]
pub mod counters;
#[cfg(target_os = "none")]
pub mod face;
#[cfg(target_os = "none")]
pub mod host;
#[cfg(target_os = "none")]
pub mod inspect;
#[cfg(target_os = "none")]
pub mod interrupt;
#[cfg(target_os = "none")]
pub mod node;
#[cfg(target_os = "none")]
pub mod panic;
#[cfg(target_os = "none")]
mod processor;
#[cfg(target_os = "none")]
pub mod sync;
#[cfg(target_os = "none")]
pub mod trace;
