//! The interrupt controllers of a PC: local APIC, I/O APIC and message-signalled interrupts.
//!
//! Owns: the controllers' registers and the numbers of interrupt vectors. Leaves to others:
//! what an interrupt does, and the table that vectors index (the kernel's). The local APIC is
//! driven through MSRs (x2APIC) where the processor can, because an end of interrupt then costs
//! no access to device memory.
//! Source: Intel SDM volume 3, chapter 11; Intel 82093AA data sheet.

mod io_apic;
mod local_apic;

pub use io_apic::{IoApic, Polarity, Trigger};
pub use local_apic::{Error, LocalApic};

use x86_64::instructions::port::Port;

/// The first vector for devices; those below are the processor's exceptions.
pub const FIRST_VECTOR: u8 = 0x20;

/// How many vectors there are for devices, the timer included: a network card takes one or
/// three, a machine has a handful of devices.
pub const VECTORS: usize = 32;

/// The vector of the local APIC's timer.
pub const TIMER_VECTOR: u8 = FIRST_VECTOR;

/// The vector of interrupts that were withdrawn before they were taken. It needs no end of
/// interrupt.
pub const SPURIOUS_VECTOR: u8 = 0xff;

/// Hands out vectors, each once.
#[derive(Debug)]
pub struct VectorAllocator {
    next: u8,
}

impl VectorAllocator {
    /// All vectors but the timer's are free.
    pub const fn new() -> Self {
        Self {
            next: TIMER_VECTOR + 1,
        }
    }

    /// The next free vector; `None` when all are taken.
    pub fn allocate(&mut self) -> Option<u8> {
        let vector = self.next;
        if usize::from(vector - FIRST_VECTOR) >= VECTORS {
            return None;
        }
        self.next += 1;
        Some(vector)
    }
}

impl Default for VectorAllocator {
    fn default() -> Self {
        Self::new()
    }
}

/// What a device writes, and where, to raise an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsiMessage {
    /// Physical address of the write.
    pub address: u64,
    /// The value written.
    pub data: u32,
}

impl MsiMessage {
    /// The message that raises `vector` on the processor whose local APIC is `apic`.
    pub const fn new(apic: u8, vector: u8) -> Self {
        Self {
            address: 0xfee0_0000 | (apic as u64) << 12,
            data: vector as u32,
        }
    }
}

/// Silences the two 8259 controllers that a PC starts with. Their vectors would look like
/// exceptions. Without them (`pic=off`) the writes go nowhere.
pub fn mask_legacy_controllers() {
    for port in [0x21, 0xa1] {
        // SAFETY: setting all bits of the mask register only keeps the controller quiet.
        unsafe { Port::<u8>::new(port).write(0xff) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_run_out_without_reaching_the_spurious_one() {
        let mut vectors = VectorAllocator::new();
        let all: Vec<u8> = core::iter::from_fn(|| vectors.allocate()).collect();
        assert_eq!(all.len(), VECTORS - 1);
        assert!(!all.contains(&TIMER_VECTOR) && !all.contains(&SPURIOUS_VECTOR));
        assert_eq!(vectors.allocate(), None);
    }

    #[test]
    fn message_names_processor_and_vector() {
        let message = MsiMessage::new(3, 0x21);
        assert_eq!((message.address, message.data), (0xfee0_3000, 0x21));
    }
}
