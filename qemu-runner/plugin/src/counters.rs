//! The counters: plain 64-bit numbers that translated code adds to without a call.
//!
//! Owns: which counters exist, and accesses to device memory by device and register.
//! Leaves to others: when they are raised (`install`) and how they are printed (`report`).
//! Why this way: a counter is touched once per guest instruction, so it must be one addition
//! to a fixed address; accesses to device memory are rare, so a map under a lock serves.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Everything counted, absolute since the machine's start.
pub struct Counters {
    /// Instructions at addresses of the upper half.
    pub kernel: AtomicU64,
    /// Instructions at addresses of the lower half.
    pub user: AtomicU64,
    /// `hlt` instructions.
    pub halts: AtomicU64,
    /// `syscall` instructions.
    pub system_calls: AtomicU64,
    /// Loads of CR3.
    pub address_spaces: AtomicU64,
    /// `in`, `out` and their string forms.
    pub ports: AtomicU64,
    /// `wrmsr` instructions.
    pub model_registers: AtomicU64,
    /// Loads from and stores to device memory.
    pub devices: AtomicU64,
    /// The same, by device and register. Bounded by `MAXIMUM_REGISTERS`.
    pub by_register: Mutex<BTreeMap<(String, u64), u64>>,
}

/// How many different device registers are told apart; the rest still count in `devices`.
/// A machine of ours has below fifty; a guest that walks a frame buffer must not fill memory.
pub const MAXIMUM_REGISTERS: usize = 256;

/// The counters of this QEMU: one machine, one processor.
pub static COUNTERS: Counters = Counters::new();

impl Counters {
    /// All zero.
    pub const fn new() -> Self {
        Self {
            kernel: AtomicU64::new(0),
            user: AtomicU64::new(0),
            halts: AtomicU64::new(0),
            system_calls: AtomicU64::new(0),
            address_spaces: AtomicU64::new(0),
            ports: AtomicU64::new(0),
            model_registers: AtomicU64::new(0),
            devices: AtomicU64::new(0),
            by_register: Mutex::new(BTreeMap::new()),
        }
    }

    /// The counter of instructions at `address`: x86-64 kernels live in the upper half.
    pub fn by_address(&self, address: u64) -> &AtomicU64 {
        if address >> 63 == 1 {
            &self.kernel
        } else {
            &self.user
        }
    }

    /// Counts one access to a register of a device.
    pub fn device_access(&self, device: &str, register: u64) {
        self.devices.fetch_add(1, Ordering::Relaxed);
        let Ok(mut map) = self.by_register.lock() else {
            return;
        };
        if let Some(count) = map.get_mut(&(device.to_owned(), register)) {
            *count += 1;
        } else if map.len() < MAXIMUM_REGISTERS {
            map.insert((device.to_owned(), register), 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_told_apart() {
        let c = Counters::new();
        assert!(core::ptr::eq(
            c.by_address(0xffff_ffff_8010_0000),
            &c.kernel
        ));
        assert!(core::ptr::eq(c.by_address(0x40_0000), &c.user));
    }

    #[test]
    fn device_registers_are_bounded() {
        let c = Counters::new();
        for register in 0..2 * MAXIMUM_REGISTERS as u64 {
            c.device_access("frame buffer", register);
        }
        assert_eq!(c.by_register.lock().unwrap().len(), MAXIMUM_REGISTERS);
        assert_eq!(
            c.devices.load(Ordering::Relaxed),
            2 * MAXIMUM_REGISTERS as u64
        );
    }
}
