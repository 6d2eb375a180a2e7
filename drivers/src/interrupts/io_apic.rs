//! The controller that turns interrupt lines into interrupts of a processor.
//!
//! Owns: one I/O APIC, the first, which on both machine types has the lines of all devices
//! (virtio-mmio on microvm, PCI INTx on q35). Leaves to others: which line a device has.
//! Source: Intel 82093AA data sheet.

use core::ptr::NonNull;

/// Where the first I/O APIC is on a PC.
const BASE: u64 = 0xfec0_0000;

const SELECT: usize = 0x00;
const WINDOW: usize = 0x10;

const VERSION: u32 = 0x01;
const TABLE: u32 = 0x10;

const MASKED: u32 = 1 << 16;

/// How a line tells that an interrupt is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// By rising: the device must have taken its request back before the next.
    Edge,
    /// By being held: it is delivered again until the device takes it back.
    Level,
}

/// Which state of the line means that an interrupt is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// High, as with ISA and virtio-mmio.
    High,
    /// Low, as with PCI. (QEMU takes no notice of it.)
    Low,
}

/// The first I/O APIC.
pub struct IoApic {
    page: NonNull<u8>,
    lines: u32,
}

// SAFETY: the page belongs to this value alone, and access needs `&mut`.
unsafe impl Send for IoApic {}

impl IoApic {
    /// Finds the controller, whose lines are all masked after a reset. `map` makes the 4 KiB of device memory at
    /// a physical address reachable. `None` where nothing answers.
    pub fn initialise(map: impl FnOnce(u64) -> NonNull<u8>) -> Option<Self> {
        let mut apic = Self {
            page: map(BASE),
            lines: 0,
        };
        let version = apic.read(VERSION);
        if version == u32::MAX || version & 0xff == 0 {
            return None;
        }
        apic.lines = (version >> 16 & 0xff) + 1;
        Some(apic)
    }

    /// How many lines there are.
    pub fn lines(&self) -> u32 {
        self.lines
    }

    /// Has `line` raise `vector` on the processor whose local APIC is `processor`. Returns
    /// false if there is no such line.
    #[must_use]
    pub fn route(
        &mut self,
        line: u32,
        vector: u8,
        processor: u8,
        trigger: Trigger,
        polarity: Polarity,
    ) -> bool {
        if line >= self.lines {
            return false;
        }
        let mut low = u32::from(vector);
        if trigger == Trigger::Level {
            low |= 1 << 15;
        }
        if polarity == Polarity::Low {
            low |= 1 << 13;
        }
        self.write(TABLE + 2 * line, MASKED);
        self.write(TABLE + 2 * line + 1, u32::from(processor) << 24);
        self.write(TABLE + 2 * line, low);
        true
    }

    fn read(&mut self, register: u32) -> u32 {
        // SAFETY: `map` gave the controller's page; both registers lie in it, aligned.
        unsafe {
            self.page
                .byte_add(SELECT)
                .cast::<u32>()
                .write_volatile(register);
            self.page.byte_add(WINDOW).cast::<u32>().read_volatile()
        }
    }

    fn write(&mut self, register: u32, value: u32) {
        // SAFETY: as in `read`.
        unsafe {
            self.page
                .byte_add(SELECT)
                .cast::<u32>()
                .write_volatile(register);
            self.page
                .byte_add(WINDOW)
                .cast::<u32>()
                .write_volatile(value);
        }
    }
}
