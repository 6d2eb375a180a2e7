//! Looks for network devices on the memory-mapped bus and on PCI.
//!
//! Owns: the search, and the list of what was met for the text of an error. Leaves to others:
//! each bus's registers ([`super::mmio`], [`super::pci`]), starting the device
//! ([`super::net`]).

use super::alloc::boxed::Box;
use super::error::{DeviceKind, DeviceList, DevicePlace, InitError, OtherDevice};
use super::limits::NETWORK_DEVICES;
use super::mmio::{self, MmioCandidate, MmioTransport, Seen};
use super::net::{Interrupt, MessageInterrupt};
use super::pci::{self, AddressWindow, ConfigSpace, Identity};
use super::pci_transport::{self, Map, PciTransport};
use super::registers::Registers;
use super::transport::Transport;

/// The virtio number of a network device.
const NETWORK: u32 = 1;
/// The vendor of all virtio devices on PCI.
const VIRTIO_VENDOR: u16 = 0x1af4;
/// Device numbers on PCI of transitional devices, and of modern ones.
const TRANSITIONAL: core::ops::Range<u16> = 0x1000..0x1040;
const MODERN: core::ops::Range<u16> = 0x1040..0x1080;

/// Whichever way leads to a device.
#[derive(Debug)]
pub(super) enum AnyTransport {
    Mmio(MmioTransport),
    Pci(PciTransport),
    #[cfg(test)]
    Model(super::model::ModelTransport),
}

impl AnyTransport {
    pub(super) fn get(&mut self) -> &mut dyn Transport {
        match self {
            Self::Mmio(transport) => transport,
            Self::Pci(transport) => transport,
            #[cfg(test)]
            Self::Model(transport) => transport,
        }
    }

    pub(super) fn set_message(&mut self, message: MessageInterrupt) {
        if let Self::Pci(transport) = self {
            transport.set_message(message);
        }
    }
}

/// A network device that was found and is not started yet.
#[derive(Debug)]
pub struct FoundNetworkDevice {
    pub(super) transport: AnyTransport,
    pub(super) interrupt: Interrupt,
    pub(super) place: DevicePlace,
}

impl FoundNetworkDevice {
    /// How it interrupts.
    #[must_use]
    pub const fn interrupt(&self) -> Interrupt {
        self.interrupt
    }

    /// Where it is.
    #[must_use]
    pub const fn place(&self) -> DevicePlace {
        self.place
    }
}

/// Network devices that were found, in the order in which the machine lists them.
pub type FoundNetworkDevices = heapless::Vec<FoundNetworkDevice, NETWORK_DEVICES>;

/// What a search has met so far.
struct Search {
    devices: FoundNetworkDevices,
    others: DeviceList,
    /// A network device that cannot be used; told only if there is none that can.
    unusable: Option<InitError>,
}

impl Search {
    fn add(
        &mut self,
        place: DevicePlace,
        interrupt: Interrupt,
        transport: Result<AnyTransport, InitError>,
    ) {
        match transport {
            Ok(transport) => {
                // More than fit are left alone: nobody starts them.
                let _ = self.devices.push(FoundNetworkDevice {
                    transport,
                    interrupt,
                    place,
                });
            }
            Err(error) => self.unusable = self.unusable.take().or(Some(error)),
        }
    }

    fn other(&mut self, place: DevicePlace, kind: DeviceKind) {
        // The list is for the eye: more than fit are left out.
        let _ = self.others.push(OtherDevice { place, kind });
    }

    fn mmio(&mut self, candidate: &MmioCandidate, map: Map<'_>) {
        let mapped = map(candidate.base, mmio::LENGTH);
        // SAFETY: the kernel mapped the range without caching, for good, or gave null.
        let Some(registers) = (unsafe { Registers::new(mapped, mmio::LENGTH) }) else {
            self.unusable = Some(InitError::NotMapped {
                physical_address: candidate.base,
                length: mmio::LENGTH,
            });
            return;
        };
        let place = DevicePlace::Mmio(candidate.base);
        let transport = match mmio::look(&registers) {
            Seen::Empty => return,
            Seen::Modern(NETWORK) => Ok(AnyTransport::Mmio(MmioTransport { registers })),
            Seen::Legacy(NETWORK) => Err(InitError::LegacyMmio {
                base: candidate.base,
            }),
            Seen::Modern(id) | Seen::Legacy(id) => {
                return self.other(place, DeviceKind::Virtio(id));
            }
        };
        self.add(place, Interrupt::Line(candidate.interrupt), transport);
    }

    fn pci(
        &mut self,
        config: &mut dyn ConfigSpace,
        identity: Identity,
        window: &mut AddressWindow,
        map: Map<'_>,
    ) {
        let function = identity.function;
        let place = DevicePlace::Pci(function.bus, function.device, function.function);
        let kind = pci_kind(&identity);
        if kind != DeviceKind::Virtio(NETWORK) {
            return self.other(place, kind);
        }
        let transport = if pci_transport::is_modern(config, function) {
            PciTransport::new(config, window, function, map).map(AnyTransport::Pci)
        } else {
            Err(InitError::LegacyPci { place })
        };
        self.add(place, Interrupt::Message, transport);
    }
}

/// What a PCI function is; of transitional devices only those with a number of their own.
fn pci_kind(identity: &Identity) -> DeviceKind {
    let device = identity.device;
    if identity.vendor == VIRTIO_VENDOR && MODERN.contains(&device) {
        return DeviceKind::Virtio(u32::from(device - MODERN.start));
    }
    if identity.vendor == VIRTIO_VENDOR && TRANSITIONAL.contains(&device) {
        let id = match device - TRANSITIONAL.start {
            0 => NETWORK,
            1 => 2,
            2 => 5,
            3 => 3,
            4 => 8,
            5 => 4,
            9 => 9,
            _ => 0,
        };
        return DeviceKind::Virtio(id);
    }
    DeviceKind::Other {
        vendor: identity.vendor,
        device,
        class: identity.class,
    }
}

/// Finds the network devices that can be used: at the memory-mapped places given, and on PCI if
/// asked for. `map` gives access, without caching and for good, to device registers at a
/// physical address (of any alignment), or null; it may be asked for the same page twice.
///
/// # Errors
/// If there is none: why the first cannot be used, or what was found instead.
pub fn find_network_devices(
    mmio: &[MmioCandidate],
    pci: bool,
    map: &mut dyn FnMut(u64, usize) -> *mut u8,
) -> Result<FoundNetworkDevices, InitError> {
    #[cfg(target_arch = "x86_64")]
    let mut ports = pci::ConfigPorts::new();
    #[cfg(target_arch = "x86_64")]
    let config: Option<&mut dyn ConfigSpace> = if pci { Some(&mut ports) } else { None };
    #[cfg(not(target_arch = "x86_64"))]
    let config: Option<&mut dyn ConfigSpace> = None;
    search(mmio, config, map)
}

pub(super) fn search(
    mmio: &[MmioCandidate],
    config: Option<&mut dyn ConfigSpace>,
    map: &mut dyn FnMut(u64, usize) -> *mut u8,
) -> Result<FoundNetworkDevices, InitError> {
    let mut search = Search {
        devices: FoundNetworkDevices::new(),
        others: DeviceList::new(),
        unusable: None,
    };
    for candidate in mmio {
        search.mmio(candidate, map);
    }
    let pci = config.is_some();
    if let Some(config) = config {
        let mut window = AddressWindow::new();
        pci::for_each(config, &mut |config, identity| {
            search.pci(config, identity, &mut window, map);
        });
    }
    if !search.devices.is_empty() {
        return Ok(search.devices);
    }
    Err(search.unusable.unwrap_or(InitError::NotFound {
        mmio_places: mmio.len(),
        pci,
        found: Box::new(search.others),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::model::{Arena, ModelConfig, write};
    use super::super::pci::Function;
    use super::*;

    /// Registers of one memory-mapped place: magic, version, device.
    fn place(version: u32, device: u32) -> Arena {
        let arena = Arena::new(0x200);
        for (i, word) in [0x7472_6976, version, device].into_iter().enumerate() {
            write(arena.address() + 4 * i as u64, &word.to_le_bytes());
        }
        arena
    }

    fn look(
        places: &[Arena],
        config: Option<&mut ModelConfig>,
    ) -> Result<FoundNetworkDevices, InitError> {
        let candidates: Vec<MmioCandidate> = (0u32..)
            .zip(places)
            .map(|(interrupt, _)| MmioCandidate {
                base: u64::from(interrupt),
                interrupt,
            })
            .collect();
        let config = config.map(|config| config as &mut dyn ConfigSpace);
        search(&candidates, config, &mut |physical, _| {
            let place = places.get(physical as usize);
            place.map_or(core::ptr::null_mut(), Arena::pointer)
        })
    }

    #[test]
    fn network_devices_are_found_among_others() {
        let places = [
            place(2, 4),
            place(2, 0),
            place(2, 1),
            place(1, 1),
            place(2, 1),
        ];
        let devices = look(&places, None).expect("there are two");
        let found: Vec<_> = devices.iter().map(|d| (d.interrupt(), d.place())).collect();
        let at = |number| (Interrupt::Line(number), DevicePlace::Mmio(number.into()));
        assert_eq!(found, [at(2), at(4)]);
    }

    #[test]
    fn more_network_devices_than_a_node_can_use_are_left_alone() {
        let places: Vec<_> = (0..NETWORK_DEVICES + 2).map(|_| place(2, 1)).collect();
        assert_eq!(look(&places, None).map(|d| d.len()), Ok(NETWORK_DEVICES));
    }

    #[test]
    fn a_machine_without_a_network_is_explained() {
        let error = look(&[place(2, 4), place(1, 2)], None).expect_err("none");
        let InitError::NotFound { found, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].kind, DeviceKind::Virtio(2));

        let error = look(&[place(1, 1)], None).expect_err("legacy only");
        assert!(
            error
                .to_string()
                .contains("-global virtio-mmio.force-legacy=off")
        );

        let mut config = ModelConfig::new();
        let function = Function {
            bus: 0,
            device: 2,
            function: 0,
        };
        config.add(function, 0x1af4, 0x1000);
        let error = look(&[], Some(&mut config)).expect_err("legacy only");
        assert!(error.to_string().contains("00:02.0"), "{error}");
        assert!(error.to_string().contains("disable-legacy=on"), "{error}");

        config.add(function, 0x8086, 0x10d3);
        let error = look(&[], Some(&mut config)).expect_err("another kind");
        assert!(
            error.to_string().contains("8086:10d3 at 00:02.0"),
            "{error}"
        );
    }
}
