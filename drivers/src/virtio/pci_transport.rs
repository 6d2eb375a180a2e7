//! virtio devices on PCI, as QEMU's q35 has them.
//!
//! Owns: the structures that a modern device describes in its capabilities, and its table of
//! message interrupts. Leaves to others: finding the function and its base addresses
//! ([`super::pci`]), the steps of starting a device ([`super::transport`]).
//! Why this way: one message interrupt serves both queues, because transmit asks for an
//! interrupt only while its ring is full; then no register is read or written to learn or to
//! acknowledge why an interrupt came. Interrupts by wire would need the routing tables of ACPI
//! and cost an exit from the virtual machine each; a device without MSI-X is refused.
//! Source: VIRTIO 1.2, section 4.1; PCI Local Bus Specification 3.0, section 6.8.2.

use super::error::InitError;
use super::net::MessageInterrupt;
use super::pci::{AddressWindow, ConfigSpace, Function, find_capability};
use super::queue::QueueAddresses;
use super::registers::{Doorbell, Registers, WordRegister};
use super::transport::Transport;

/// Maps device registers: physical address and length to where they can be accessed.
pub(super) type Map<'a> = &'a mut dyn FnMut(u64, usize) -> *mut u8;

const VENDOR_SPECIFIC: u8 = 0x09;
const MSI_X: u8 = 0x11;

/// Structures of a virtio device.
const COMMON: u8 = 1;
const NOTIFY: u8 = 2;
const DEVICE: u8 = 4;

const DEVICE_FEATURES_SELECT: usize = 0;
const DEVICE_FEATURES: usize = 4;
const DRIVER_FEATURES_SELECT: usize = 8;
const DRIVER_FEATURES: usize = 12;
const CONFIG_VECTOR: usize = 16;
const STATUS: usize = 20;
const GENERATION: usize = 21;
const QUEUE_SELECT: usize = 22;
const QUEUE_SIZE: usize = 24;
const QUEUE_VECTOR: usize = 26;
const QUEUE_ENABLE: usize = 28;
const QUEUE_NOTIFY_OFFSET: usize = 30;
const QUEUE_DESCRIPTORS: usize = 32;
const QUEUE_DRIVER: usize = 40;
const QUEUE_DEVICE: usize = 48;
/// Bytes of the common structure.
const COMMON_LENGTH: usize = 56;
/// Bytes of the network configuration up to the MTU.
const DEVICE_LENGTH: usize = 12;

/// Most bytes of notification registers that are mapped; QEMU has 4096.
const NOTIFY_LENGTH: usize = 1 << 16;

/// "This interrupt is not wanted", and the device's way to say no.
const NO_VECTOR: u16 = 0xffff;
/// Bytes of an entry in the table of message interrupts.
const MESSAGE_LENGTH: usize = 16;
/// In the message control word, upper half of the capability's first word.
const MSI_X_ENABLE: u32 = 1 << 31;
const MSI_X_FUNCTION_MASK: u32 = 1 << 30;

/// A device reached through the structures in its base address registers.
#[derive(Debug)]
pub(super) struct PciTransport {
    common: Registers,
    notify: Registers,
    notify_multiplier: usize,
    device: Registers,
    /// The first entry of the table of message interrupts.
    message: Registers,
}

/// A place in the memory behind a base address register.
struct Place {
    bar: u8,
    offset: u64,
    length: usize,
    /// The word behind the place; the multiplier in the notify structure.
    extra: u32,
}

/// Finds the capability for structure `kind`.
fn find_structure(config: &mut dyn ConfigSpace, function: Function, kind: u8) -> Option<Place> {
    find_capability(config, function, VENDOR_SPECIFIC, &mut |config, at| {
        // The longest of these structures has 20 bytes; it must end within the 256.
        if at > 0xec || (config.read(function, at) >> 24) as u8 != kind {
            return None;
        }
        let bar = config.read(function, at + 4) as u8;
        (bar <= 5).then(|| Place {
            bar,
            offset: u64::from(config.read(function, at + 8)),
            length: config.read(function, at + 12) as usize,
            extra: config.read(function, at + 16),
        })
    })
}

/// Whether the device has the modern interface at all.
pub(super) fn is_modern(config: &mut dyn ConfigSpace, function: Function) -> bool {
    find_structure(config, function, COMMON).is_some()
}

/// Maps places of one function.
struct Mapper<'a, 'm> {
    config: &'a mut dyn ConfigSpace,
    window: &'a mut AddressWindow,
    function: Function,
    map: &'a mut Map<'m>,
}

impl Mapper<'_, '_> {
    fn structure(&mut self, kind: u8, what: &'static str) -> Result<(Registers, u32), InitError> {
        let mut place = find_structure(self.config, self.function, kind)
            .ok_or(InitError::BadCapability { what })?;
        // Only as much is mapped as is used, whatever length the device claims.
        let (least, most) = match kind {
            COMMON => (COMMON_LENGTH, COMMON_LENGTH),
            NOTIFY => (2, NOTIFY_LENGTH),
            _ => (DEVICE_LENGTH, DEVICE_LENGTH),
        };
        if place.length < least {
            return Err(InitError::BadCapability { what });
        }
        place.length = place.length.min(most);
        Ok((self.place(&place, what)?, place.extra))
    }

    fn place(&mut self, place: &Place, what: &'static str) -> Result<Registers, InitError> {
        let base = self
            .window
            .base_address(self.config, self.function, place.bar)
            .and_then(|base| base.checked_add(place.offset))
            .ok_or(InitError::BadCapability { what })?;
        let mapped = (self.map)(base, place.length);
        // SAFETY: the kernel mapped the range without caching, for good, or gave null; the
        // place was described by the device itself and lies in its own registers.
        unsafe { Registers::new(mapped, place.length) }.ok_or(InitError::NotMapped {
            physical_address: base,
            length: place.length,
        })
    }

    /// The first entry of the table of message interrupts.
    fn message(&mut self) -> Result<Registers, InitError> {
        let function = self.function;
        let place = find_capability(self.config, function, MSI_X, &mut |config, at| {
            (at <= 0xf4).then(|| {
                let table = config.read(function, at + 4);
                Place {
                    bar: table as u8 & 7,
                    offset: u64::from(table & !7),
                    length: MESSAGE_LENGTH,
                    extra: 0,
                }
            })
        })
        .ok_or(InitError::NoInterruptVector)?;
        self.place(&place, "table of message interrupts")
    }
}

impl PciTransport {
    /// The transport of a modern device; it does not send interrupts yet.
    pub(super) fn new(
        config: &mut dyn ConfigSpace,
        window: &mut AddressWindow,
        function: Function,
        mut map: Map<'_>,
    ) -> Result<Self, InitError> {
        let mut mapper = Mapper {
            config,
            window,
            function,
            map: &mut map,
        };
        let (common, _) = mapper.structure(COMMON, "common registers")?;
        let (notify, multiplier) = mapper.structure(NOTIFY, "notification registers")?;
        let (device, _) = mapper.structure(DEVICE, "network configuration")?;
        let message = mapper.message()?;
        super::pci::start(config, function);
        enable_messages(config, function);
        Ok(Self {
            common,
            notify,
            notify_multiplier: multiplier as usize,
            device,
            message,
        })
    }

    /// Says which message the device sends as its interrupt.
    pub(super) fn set_message(&mut self, message: MessageInterrupt) {
        self.message.write(0, message.address as u32);
        self.message.write(4, (message.address >> 32) as u32);
        self.message.write(8, message.data);
        // The last word's lowest bit masks the entry.
        self.message.write(12, 0u32);
    }

    fn write_address(&self, offset: usize, address: u64) {
        self.common.write(offset, address as u32);
        self.common.write(offset + 4, (address >> 32) as u32);
    }
}

/// Lets the device send messages. Its entries stay masked, as they are after a reset.
fn enable_messages(config: &mut dyn ConfigSpace, function: Function) {
    find_capability(config, function, MSI_X, &mut |config, at| {
        let control = config.read(function, at);
        config.write(
            function,
            at,
            (control | MSI_X_ENABLE) & !MSI_X_FUNCTION_MASK,
        );
        Some(())
    });
}

impl Transport for PciTransport {
    fn status(&self) -> u8 {
        self.common.read(STATUS)
    }

    fn set_status(&mut self, status: u8) {
        self.common.write(STATUS, status);
    }

    fn device_features(&mut self) -> u64 {
        self.common.write(DEVICE_FEATURES_SELECT, 0u32);
        let low: u32 = self.common.read(DEVICE_FEATURES);
        self.common.write(DEVICE_FEATURES_SELECT, 1u32);
        let high: u32 = self.common.read(DEVICE_FEATURES);
        u64::from(high) << 32 | u64::from(low)
    }

    fn set_driver_features(&mut self, features: u64) {
        self.common.write(DRIVER_FEATURES_SELECT, 0u32);
        self.common.write(DRIVER_FEATURES, features as u32);
        self.common.write(DRIVER_FEATURES_SELECT, 1u32);
        self.common.write(DRIVER_FEATURES, (features >> 32) as u32);
    }

    fn queue_limit(&mut self, queue: u16) -> u16 {
        self.common.write(QUEUE_SELECT, queue);
        self.common.read(QUEUE_SIZE)
    }

    fn enable_queue(&mut self, queue: u16, slots: u16, addresses: QueueAddresses) -> bool {
        self.common.write(CONFIG_VECTOR, NO_VECTOR);
        self.common.write(QUEUE_SELECT, queue);
        self.common.write(QUEUE_SIZE, slots);
        self.common.write(QUEUE_VECTOR, 0u16);
        if self.common.read::<u16>(QUEUE_VECTOR) == NO_VECTOR {
            return false;
        }
        self.write_address(QUEUE_DESCRIPTORS, addresses.descriptors);
        self.write_address(QUEUE_DRIVER, addresses.driver);
        self.write_address(QUEUE_DEVICE, addresses.device);
        self.common.write(QUEUE_ENABLE, 1u16);
        true
    }

    fn doorbell(&mut self, queue: u16) -> Result<Doorbell, InitError> {
        self.common.write(QUEUE_SELECT, queue);
        let offset: u16 = self.common.read(QUEUE_NOTIFY_OFFSET);
        usize::from(offset)
            .checked_mul(self.notify_multiplier)
            .and_then(|offset| self.notify.try_doorbell(offset, queue))
            .ok_or(InitError::BadCapability {
                what: "notification registers",
            })
    }

    fn config(&self, offset: usize) -> u8 {
        self.device.read(offset)
    }

    fn config_generation(&self) -> u32 {
        u32::from(self.common.read::<u8>(GENERATION))
    }

    fn acknowledge_register(&self) -> Option<WordRegister> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{Arena, ModelConfig, write};
    use super::*;

    const AT: Function = Function {
        bus: 0,
        device: 1,
        function: 0,
    };
    const BAR: u64 = 0xfebf_0000;
    /// Places of the structures in the memory behind the one base address register.
    const PLACES: [(u8, u32, u32); 3] =
        [(COMMON, 0, 56), (NOTIFY, 0x100, 0x100), (DEVICE, 0x200, 12)];
    const TABLE: u64 = 0x300;

    /// A device like QEMU's, changed by `change`, and the memory of its registers.
    fn device(change: fn(&mut ModelConfig)) -> (Result<PciTransport, InitError>, Arena) {
        let mut config = ModelConfig::new();
        config.add(AT, 0x1af4, 0x1041);
        config.base_address(AT, 4, BAR as u32, 0x1000, true);
        for (i, (kind, offset, length)) in (0u8..).zip(PLACES) {
            structure(&mut config, i, kind, 4, offset, length);
        }
        let table = (TABLE as u32 | 4).to_le_bytes();
        let rest = [&[0, 0][..], &table].concat();
        config.capability(AT, 0x40 + 3 * 24, MSI_X, 0, &rest);
        change(&mut config);
        let memory = Arena::new(0x1000);
        let mut map = |physical: u64, length: usize| {
            let offset = physical - BAR;
            assert!(offset as usize + length <= 0x1000);
            memory.pointer().wrapping_add(offset as usize)
        };
        let mut window = AddressWindow::new();
        let transport = PciTransport::new(&mut config, &mut window, AT, &mut map);
        (transport, memory)
    }

    /// Capability number `i`, 24 bytes from the next.
    fn structure(config: &mut ModelConfig, i: u8, kind: u8, bar: u8, offset: u32, length: u32) {
        let mut rest = vec![20, kind, bar, 0, 0, 0];
        for word in [offset, length, 4] {
            rest.extend(word.to_le_bytes());
        }
        let at = 0x40 + 24 * i;
        config.capability(AT, at, VENDOR_SPECIFIC, at + 24, &rest);
    }

    fn word(memory: &Arena, offset: u64) -> u32 {
        super::super::model::read32(memory.address() + offset)
    }

    #[test]
    fn registers_are_where_the_capabilities_say() {
        let (transport, memory) = device(|_| ());
        let mut transport = transport.expect("a good device");
        transport.set_message(MessageInterrupt {
            address: 0xfee0_1000,
            data: 0x41,
        });
        assert_eq!(word(&memory, TABLE), 0xfee0_1000);
        assert_eq!(word(&memory, TABLE + 8), 0x41);
        write(memory.address() + QUEUE_NOTIFY_OFFSET as u64, &[3, 0]);
        transport.doorbell(1).expect("within range").ring();
        assert_eq!(word(&memory, 0x100 + 3 * 4), 1);
        transport.set_status(15);
        assert_eq!(transport.status(), 15);
    }

    #[test]
    fn a_doorbell_out_of_range_is_refused() {
        let (transport, memory) = device(|_| ());
        write(memory.address() + QUEUE_NOTIFY_OFFSET as u64, &[0xff, 0xff]);
        let doorbell = transport.expect("a good device").doorbell(0);
        assert!(matches!(doorbell, Err(InitError::BadCapability { .. })));
    }

    #[test]
    fn bad_capabilities_are_refused() {
        type Change = fn(&mut ModelConfig);
        let changes: [Change; 4] = [
            |config| structure(config, 0, COMMON, 4, 0, 55),
            |config| structure(config, 1, NOTIFY, 6, 0x100, 0x100),
            |config| structure(config, 2, DEVICE, 0, 0x200, 12),
            |config| structure(config, 2, DEVICE, 4, 0x201, 12),
        ];
        for change in changes {
            assert!(device(change).0.is_err());
        }
        let (without, _) = device(|config| structure(config, 3, 0, 0, 0, 0));
        assert_eq!(without.err(), Some(InitError::NoInterruptVector));
    }
}
