//! The console: a 16550 on COM1, written by polling.
//!
//! Owns: the line's set-up and putting bytes on it. Leaves to others: who may write when (the
//! kernel's console takes a lock; a panic writes without one). Polled and never interrupt
//! driven, so that it works in a panic, with interrupts off, before anything is set up.
//! Why not a crate: a writer that a panic can make out of nothing needs no state at all, and
//! sixteen bytes per look at the status halve the exits from the VM. Source: National
//! Semiconductor PC16550D data sheet.

use core::fmt;
use x86_64::instructions::port::Port;

/// Base port of COM1.
pub const COM1: u16 = 0x3f8;

/// Bytes the transmit FIFO takes once the status says that it is empty.
const FIFO: usize = 16;

/// Looks at the status before a write gives up, so that a dead line cannot hang a panic.
const PATIENCE: u32 = 10_000_000;

const TRANSMIT_EMPTY: u8 = 1 << 5;

/// The serial line. It holds no state: several values stand for the same device.
pub struct Serial {
    base: u16,
}

impl Serial {
    /// The line as it stands, without touching the device: for a panic that may come before
    /// [`Serial::initialise`].
    pub const fn attach(base: u16) -> Self {
        Self { base }
    }

    /// Sets 115,200 baud, eight bits, no parity, FIFO on, interrupts off.
    pub fn initialise(base: u16) -> Self {
        let serial = Self { base };
        serial.set(1, 0x00); // no interrupts
        serial.set(3, 0x80); // the next two are the divisor
        serial.set(0, 1);
        serial.set(1, 0);
        serial.set(3, 0x03); // 8N1
        serial.set(2, 0x07); // FIFO on and empty
        serial
    }

    /// Writes all bytes; what the line does not take within a bounded time is lost.
    pub fn write_bytes(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(FIFO) {
            let mut left = PATIENCE;
            while self.status() & TRANSMIT_EMPTY == 0 {
                left -= 1;
                if left == 0 {
                    return;
                }
                core::hint::spin_loop();
            }
            for &byte in piece {
                self.set(0, byte);
            }
        }
    }

    fn status(&self) -> u8 {
        // SAFETY: reading the line status of a 16550 changes nothing but its error bits; where
        // there is no device the bus answers 0xff.
        unsafe { Port::new(self.base + 5).read() }
    }

    fn set(&self, register: u16, value: u8) {
        // SAFETY: the registers of a 16550 reach no memory, and a write to an absent device is
        // ignored by the bus.
        unsafe { Port::new(self.base + register).write(value) }
    }
}

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write_bytes(text.as_bytes());
        Ok(())
    }
}
