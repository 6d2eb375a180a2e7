//! A QEMU plugin that counts what a guest executes, exactly, between marker instructions.
//!
//! Owns: telling instructions apart, the counters, the output line per marker.
//! Leaves to others: which guest runs, what stands between two markers, and what a
//! difference of two lines means (`qemu-runner`'s benchmark module).
//! Why this way: under emulation time says little, but the number of instructions is exact,
//! takes no part in the guest, and works for any guest that can execute a `nop` with an
//! address. `-icount` would do so too, but it changes how the guest's clock runs.
//! Source: QEMU 7.2, plugin interface version 1 (no header package exists in Debian, so the
//! few functions used are declared in `api`).
//!
//! Use: `-plugin file=libnorma_insn_plugin.so,out=PATH`, one processor per machine.

// Under test there is no QEMU to call or to be called by; only the pure parts are run.
#![cfg_attr(test, allow(dead_code))]

mod api;
mod classify;
mod counters;
mod install;
mod report;

/// The version of the plugin interface that this library was written for; QEMU reads it.
#[unsafe(no_mangle)]
pub static qemu_plugin_version: core::ffi::c_int = 1;
