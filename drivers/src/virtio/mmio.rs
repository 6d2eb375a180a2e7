//! Memory-mapped virtio devices, as QEMU's microvm has them.
//!
//! Owns: the register layout of virtio-mmio version 2, and looking at one place where a device
//! may be. Leaves to others: where such places are (the command line says it), the steps of
//! starting a device ([`super::transport`]).
//! Source: VIRTIO 1.2, section 4.2.2.

use super::error::InitError;
use super::queue::QueueAddresses;
use super::registers::{Doorbell, Registers, WordRegister};
use super::transport::Transport;

/// Bytes of one device's registers.
pub(super) const LENGTH: usize = 0x200;

/// "virt", the first register of every such device.
const MAGIC: u32 = 0x7472_6976;
/// The version of the modern interface; 1 is the legacy one.
const MODERN: u32 = 2;
/// Both reasons for an interrupt: used buffers, changed configuration.
pub(super) const ALL_INTERRUPTS: u32 = 3;

const MAGIC_VALUE: usize = 0x00;
const VERSION: usize = 0x04;
const DEVICE_ID: usize = 0x08;
const DEVICE_FEATURES: usize = 0x10;
const DEVICE_FEATURES_SELECT: usize = 0x14;
const DRIVER_FEATURES: usize = 0x20;
const DRIVER_FEATURES_SELECT: usize = 0x24;
const QUEUE_SELECT: usize = 0x30;
const QUEUE_SIZE_MAX: usize = 0x34;
const QUEUE_SIZE: usize = 0x38;
const QUEUE_READY: usize = 0x44;
const QUEUE_NOTIFY: usize = 0x50;
const INTERRUPT_ACKNOWLEDGE: usize = 0x64;
const STATUS: usize = 0x70;
const QUEUE_DESCRIPTORS: usize = 0x80;
const QUEUE_DRIVER: usize = 0x90;
const QUEUE_DEVICE: usize = 0xa0;
const CONFIG_GENERATION: usize = 0xfc;
const CONFIG: usize = 0x100;

/// A place on the bus where a device may be, and the line of its interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmioCandidate {
    /// Physical address of its registers.
    pub base: u64,
    /// Its input of the interrupt controller.
    pub interrupt: u32,
}

/// What is at a place.
pub(super) enum Seen {
    /// Nothing.
    Empty,
    /// A device of this number with the modern interface.
    Modern(u32),
    /// A device of this number with the legacy interface.
    Legacy(u32),
}

/// Looks at the first three registers.
pub(super) fn look(registers: &Registers) -> Seen {
    if registers.read::<u32>(MAGIC_VALUE) != MAGIC {
        return Seen::Empty;
    }
    match (
        registers.read::<u32>(DEVICE_ID),
        registers.read::<u32>(VERSION),
    ) {
        (0, _) => Seen::Empty,
        (device, MODERN) => Seen::Modern(device),
        (device, _) => Seen::Legacy(device),
    }
}

/// A device reached through memory-mapped registers.
#[derive(Debug)]
pub(super) struct MmioTransport {
    pub(super) registers: Registers,
}

impl MmioTransport {
    fn write_address(&self, offset: usize, address: u64) {
        self.registers.write(offset, address as u32);
        self.registers.write(offset + 4, (address >> 32) as u32);
    }
}

impl Transport for MmioTransport {
    fn status(&self) -> u8 {
        self.registers.read::<u32>(STATUS) as u8
    }

    fn set_status(&mut self, status: u8) {
        self.registers.write(STATUS, u32::from(status));
    }

    fn device_features(&mut self) -> u64 {
        self.registers.write(DEVICE_FEATURES_SELECT, 0u32);
        let low: u32 = self.registers.read(DEVICE_FEATURES);
        self.registers.write(DEVICE_FEATURES_SELECT, 1u32);
        let high: u32 = self.registers.read(DEVICE_FEATURES);
        u64::from(high) << 32 | u64::from(low)
    }

    fn set_driver_features(&mut self, features: u64) {
        self.registers.write(DRIVER_FEATURES_SELECT, 0u32);
        self.registers.write(DRIVER_FEATURES, features as u32);
        self.registers.write(DRIVER_FEATURES_SELECT, 1u32);
        self.registers
            .write(DRIVER_FEATURES, (features >> 32) as u32);
    }

    fn queue_limit(&mut self, queue: u16) -> u16 {
        self.registers.write(QUEUE_SELECT, u32::from(queue));
        let limit: u32 = self.registers.read(QUEUE_SIZE_MAX);
        u16::try_from(limit).unwrap_or(u16::MAX)
    }

    fn enable_queue(&mut self, queue: u16, slots: u16, addresses: QueueAddresses) -> bool {
        self.registers.write(QUEUE_SELECT, u32::from(queue));
        self.registers.write(QUEUE_SIZE, u32::from(slots));
        self.write_address(QUEUE_DESCRIPTORS, addresses.descriptors);
        self.write_address(QUEUE_DRIVER, addresses.driver);
        self.write_address(QUEUE_DEVICE, addresses.device);
        self.registers.write(QUEUE_READY, 1u32);
        true
    }

    fn doorbell(&mut self, queue: u16) -> Result<Doorbell, InitError> {
        Ok(self.registers.wide_doorbell(QUEUE_NOTIFY, queue))
    }

    fn config(&self, offset: usize) -> u8 {
        self.registers.read(CONFIG + offset)
    }

    fn config_generation(&self) -> u32 {
        self.registers.read(CONFIG_GENERATION)
    }

    fn acknowledge_register(&self) -> Option<WordRegister> {
        Some(self.registers.word(INTERRUPT_ACKNOWLEDGE))
    }
}
