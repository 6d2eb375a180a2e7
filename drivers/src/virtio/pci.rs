//! PCI as far as finding a virtio device needs it.
//!
//! Owns: configuration space through the two I/O ports, the walk over devices, bridges and
//! capabilities, and base address registers, with an address given to those that no firmware
//! set. Leaves to others: what the registers behind them are ([`super::pci_transport`]).
//! Why this way: the ports reach every bus on all PC machines without ACPI tables, and are
//! used while the machine starts and never again. QEMU's own firmware sets all base address
//! registers also for a kernel given by `-kernel`; a machine started without firmware has
//! zeros there.
//! Source: PCI Local Bus Specification 3.0, sections 3.2.2.3.2 and 6.

use super::limits::{PCI_BUSES, PCI_CAPABILITIES};

/// One function of one device on one bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) bus: u8,
    pub(super) device: u8,
    pub(super) function: u8,
}

/// Configuration space, 32 bits at a time.
pub(super) trait ConfigSpace {
    fn read(&mut self, function: Function, offset: u8) -> u32;
    fn write(&mut self, function: Function, offset: u8, value: u32);
}

const IDENTITY: u8 = 0x00;
const COMMAND: u8 = 0x04;
const CLASS: u8 = 0x08;
const HEADER_TYPE: u8 = 0x0c;
const BASE_ADDRESS: u8 = 0x10;
const BRIDGE_BUSES: u8 = 0x18;
const CAPABILITIES: u8 = 0x34;

/// Command: answer to memory accesses, become bus master, send no interrupt by wire.
const COMMAND_START: u32 = 1 << 1 | 1 << 2 | 1 << 10;
/// Status, in the upper half of the command word: there is a list of capabilities.
const HAS_CAPABILITIES: u32 = 1 << 20;

/// Where base addresses are taken from when nobody set them: above any memory below 4 GiB and
/// any window that QEMU's firmware uses, below the interrupt controllers.
const WINDOW: core::ops::Range<u64> = 0xf000_0000..0xf800_0000;

/// Configuration space through the ports 0xcf8 and 0xcfc.
#[cfg(target_arch = "x86_64")]
pub(super) struct ConfigPorts {
    address: x86_64::instructions::port::PortWriteOnly<u32>,
    data: x86_64::instructions::port::Port<u32>,
}

#[cfg(target_arch = "x86_64")]
impl ConfigPorts {
    pub(super) const fn new() -> Self {
        Self {
            address: x86_64::instructions::port::PortWriteOnly::new(0xcf8),
            data: x86_64::instructions::port::Port::new(0xcfc),
        }
    }

    fn select(&mut self, function: Function, offset: u8) {
        let address = 1 << 31
            | u32::from(function.bus) << 16
            | u32::from(function.device & 31) << 11
            | u32::from(function.function & 7) << 8
            | u32::from(offset & 0xfc);
        // SAFETY: this port only chooses what the data port shows.
        unsafe { self.address.write(address) }
    }
}

#[cfg(target_arch = "x86_64")]
impl ConfigSpace for ConfigPorts {
    fn read(&mut self, function: Function, offset: u8) -> u32 {
        self.select(function, offset);
        // SAFETY: reading configuration space changes nothing.
        unsafe { self.data.read() }
    }

    fn write(&mut self, function: Function, offset: u8, value: u32) {
        self.select(function, offset);
        // SAFETY: this module writes base addresses of devices that nobody uses yet, their
        // command register and the MSI-X control of a virtio device; none of these touches
        // memory that is in use.
        unsafe { self.data.write(value) }
    }
}

/// What the head of configuration space says of a function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    pub(super) function: Function,
    pub(super) vendor: u16,
    pub(super) device: u16,
    pub(super) class: u16,
}

/// Calls `see` for every function on the root bus and behind its bridges.
pub(super) fn for_each(
    config: &mut dyn ConfigSpace,
    see: &mut dyn FnMut(&mut dyn ConfigSpace, Identity),
) {
    let mut buses = heapless::Vec::<u8, PCI_BUSES>::new();
    let _ = buses.push(0);
    let mut next = 0;
    while let Some(&bus) = buses.get(next) {
        next += 1;
        for device in 0..32 {
            for_each_function(config, bus, device, &mut buses, see);
        }
    }
}

fn for_each_function(
    config: &mut dyn ConfigSpace,
    bus: u8,
    device: u8,
    buses: &mut heapless::Vec<u8, PCI_BUSES>,
    see: &mut dyn FnMut(&mut dyn ConfigSpace, Identity),
) {
    let mut functions = 1;
    for number in 0..8 {
        if number >= functions {
            break;
        }
        let function = Function {
            bus,
            device,
            function: number,
        };
        let identity = config.read(function, IDENTITY);
        if identity as u16 == 0xffff {
            continue;
        }
        let header = config.read(function, HEADER_TYPE) >> 16;
        if number == 0 && header & 0x80 != 0 {
            functions = 8;
        }
        if header & 0x7f == 1 {
            let secondary = (config.read(function, BRIDGE_BUSES) >> 8) as u8;
            // Zero: no firmware gave the bridge a bus. More buses than fit are left out.
            if secondary != 0 && !buses.contains(&secondary) {
                let _ = buses.push(secondary);
            }
        }
        let seen = Identity {
            function,
            vendor: identity as u16,
            device: (identity >> 16) as u16,
            class: (config.read(function, CLASS) >> 16) as u16,
        };
        see(config, seen);
    }
}

/// The capability of number `id` for which `take` gives something.
pub(super) fn find_capability<T>(
    config: &mut dyn ConfigSpace,
    function: Function,
    id: u8,
    take: &mut dyn FnMut(&mut dyn ConfigSpace, u8) -> Option<T>,
) -> Option<T> {
    if config.read(function, COMMAND) & HAS_CAPABILITIES == 0 {
        return None;
    }
    let mut at = config.read(function, CAPABILITIES) as u8 & 0xfc;
    for _ in 0..PCI_CAPABILITIES {
        if at < 0x40 {
            return None;
        }
        let head = config.read(function, at);
        if head as u8 == id
            && let Some(found) = take(config, at)
        {
            return Some(found);
        }
        at = (head >> 8) as u8 & 0xfc;
    }
    None
}

/// Lets a device answer to memory accesses and reach memory itself.
pub(super) fn start(config: &mut dyn ConfigSpace, function: Function) {
    let command = config.read(function, COMMAND) & 0xffff;
    config.write(function, COMMAND, command | COMMAND_START);
}

/// Gives out addresses to base address registers that have none.
pub(super) struct AddressWindow {
    next: u64,
}

impl AddressWindow {
    pub(super) const fn new() -> Self {
        Self { next: WINDOW.start }
    }

    /// Where the memory behind base address register `index` is, set now if it was not. None
    /// if it is no memory register, or has no size, or there is no address left.
    pub(super) fn base_address(
        &mut self,
        config: &mut dyn ConfigSpace,
        function: Function,
        index: u8,
    ) -> Option<u64> {
        if index > 5 {
            return None;
        }
        let offset = BASE_ADDRESS + 4 * index;
        let low = config.read(function, offset);
        if low & 1 != 0 {
            return None;
        }
        let wide = low & 0b110 == 0b100;
        if wide && index == 5 {
            return None;
        }
        let high = if wide {
            config.read(function, offset + 4)
        } else {
            0
        };
        let address = u64::from(high) << 32 | u64::from(low & !0xf);
        if address != 0 {
            return Some(address);
        }
        self.assign(config, function, offset, wide)
    }

    fn assign(
        &mut self,
        config: &mut dyn ConfigSpace,
        function: Function,
        offset: u8,
        wide: bool,
    ) -> Option<u64> {
        config.write(function, offset, u32::MAX);
        let size = u64::from(!(config.read(function, offset) & !0xf)) + 1;
        if size > WINDOW.end - WINDOW.start {
            return None;
        }
        let address = self.next.next_multiple_of(size.max(4096));
        let end = address + size;
        if end > WINDOW.end {
            return None;
        }
        self.next = end;
        config.write(function, offset, address as u32);
        if wide {
            config.write(function, offset + 4, 0);
        }
        Some(address)
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::ModelConfig;
    use super::*;

    const DEVICE: Function = Function {
        bus: 0,
        device: 3,
        function: 0,
    };

    #[test]
    fn a_base_address_is_kept_or_given() {
        let mut config = ModelConfig::new();
        config.add(DEVICE, 0x1af4, 0x1041);
        config.base_address(DEVICE, 1, 0xfebd_0000, 4096, false);
        config.base_address(DEVICE, 4, 0, 16384, true);
        let mut window = AddressWindow::new();
        let kept = window.base_address(&mut config, DEVICE, 1);
        assert_eq!(kept, Some(0xfebd_0000));
        let given = window
            .base_address(&mut config, DEVICE, 4)
            .expect("a place");
        assert!(WINDOW.contains(&given) && given.is_multiple_of(16384));
        assert_eq!(
            window.base_address(&mut config, DEVICE, 4),
            Some(given),
            "it was written"
        );
        assert_eq!(window.base_address(&mut config, DEVICE, 6), None);
    }

    #[test]
    fn a_loop_of_capabilities_ends() {
        let mut config = ModelConfig::new();
        config.add(DEVICE, 0x1af4, 0x1041);
        config.capability(DEVICE, 0x40, 0x09, 0x48, &[]);
        config.capability(DEVICE, 0x48, 0x09, 0x40, &[]);
        let mut calls = 0;
        let found = find_capability::<()>(&mut config, DEVICE, 9, &mut |_, _| {
            calls += 1;
            None
        });
        assert!(found.is_none() && calls <= PCI_CAPABILITIES);
    }

    #[test]
    fn devices_behind_a_bridge_are_seen_once() {
        let mut config = ModelConfig::new();
        config.add(DEVICE, 0x1af4, 0x1041);
        let bridge = Function {
            bus: 0,
            device: 4,
            function: 0,
        };
        config.add_bridge(bridge, 1);
        let behind = Function {
            bus: 1,
            device: 0,
            function: 0,
        };
        config.add(behind, 0x1af4, 0x1000);
        let mut seen = Vec::new();
        for_each(&mut config, &mut |_, identity| seen.push(identity.function));
        assert_eq!(seen, [DEVICE, bridge, behind]);
    }
}
