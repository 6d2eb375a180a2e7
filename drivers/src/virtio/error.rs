//! Why there is no network: what was looked for, what was found, and what mends it.
//!
//! Owns: the errors of starting a network device, and their text. Leaves to others: printing
//! it. Why this way: a machine without a network says one thing before it leaves, so that
//! text has to be enough for somebody who has never read this code.

use core::fmt;

use super::alloc::boxed::Box;
use super::limits::{DEVICES_LISTED, MINIMUM_MTU};

/// Which of the two rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingKind {
    /// Frames that come in.
    Receive,
    /// Frames that go out.
    Transmit,
}

impl RingKind {
    /// The number of the queue (VIRTIO 1.2, 5.1.2).
    pub(super) const fn number(self) -> u16 {
        match self {
            Self::Receive => 0,
            Self::Transmit => 1,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Transmit => "transmit",
        }
    }
}

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// A virtio device of this number.
    Virtio(u32),
    /// Some other PCI device.
    Other {
        /// Its vendor.
        vendor: u16,
        /// Its number at that vendor.
        device: u16,
        /// Class and subclass.
        class: u16,
    },
}

/// Where a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DevicePlace {
    /// Memory-mapped at this address.
    Mmio(u64),
    /// On PCI: bus, device, function.
    Pci(u8, u8, u8),
}

/// A device that is there but is not a network device that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherDevice {
    /// Where it is.
    pub place: DevicePlace,
    /// What it is.
    pub kind: DeviceKind,
}

/// The devices that a search met.
pub type DeviceList = heapless::Vec<OtherDevice, DEVICES_LISTED>;

/// Why a network device could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InitError {
    /// There is none.
    NotFound {
        /// How many memory-mapped places were looked at.
        mmio_places: usize,
        /// Whether PCI was looked at.
        pci: bool,
        /// What was there instead.
        found: Box<DeviceList>,
    },
    /// A memory-mapped network device with the legacy interface.
    LegacyMmio {
        /// Where.
        base: u64,
    },
    /// A network device on PCI without the modern interface.
    LegacyPci {
        /// Where.
        place: DevicePlace,
    },
    /// The kernel could not map the device's registers.
    NotMapped {
        /// Where they are.
        physical_address: u64,
        /// How many bytes.
        length: usize,
    },
    /// Registers of a PCI device are not where the specification wants them.
    BadCapability {
        /// Which structure.
        what: &'static str,
    },
    /// The device did not come out of reset.
    NoReset,
    /// The device lacks features that this driver needs.
    MissingFeatures {
        /// The modern interface.
        version_1: bool,
        /// Event index.
        event_index: bool,
        /// Indirect descriptors.
        indirect: bool,
        /// An address of its own.
        mac: bool,
    },
    /// The device wants its addresses translated by an IOMMU.
    Iommu,
    /// The device does not accept a choice among the features that it offered.
    FeaturesRefused,
    /// The network carries too little.
    MtuTooSmall {
        /// What the device says.
        found: u16,
    },
    /// A ring has fewer slots than asked for.
    QueueTooSmall {
        /// Which ring.
        kind: RingKind,
        /// The most that the device gives; 0 if it has no such queue.
        found: usize,
        /// What was asked for.
        wanted: usize,
    },
    /// The device sends no interrupts by message.
    NoInterruptVector,
    /// The caller's options are out of range.
    BadOptions {
        /// Which.
        what: &'static str,
    },
    /// The region for rings and heads is too small.
    RegionTooSmall {
        /// Its length.
        found: usize,
        /// The length that is needed.
        wanted: usize,
    },
    /// Not enough memory for the receive buffers.
    OutOfMemory {
        /// Receive buffers asked for.
        buffers: usize,
    },
}

/// What to give QEMU when there is no network device.
const ADD_DEVICE: &str = "give QEMU a network device: on microvm `-netdev ...,id=n0 -device \
     virtio-net-device,netdev=n0,host_mtu=65535`, on q35 `-netdev ...,id=n0 -device \
     virtio-net-pci,netdev=n0,disable-legacy=on,host_mtu=65535`";

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound {
                mmio_places,
                pci,
                found,
            } => not_found(f, *mmio_places, *pci, found),
            Self::LegacyMmio { base } => write!(
                f,
                "the virtio network device at {base:#x} has only the legacy interface, looked \
                 for version 2; start QEMU with `-global virtio-mmio.force-legacy=off`"
            ),
            Self::LegacyPci { place } => write!(
                f,
                "the virtio network device at {place} has only the legacy interface, looked for \
                 the modern one; start QEMU with `-device \
                 virtio-net-pci,disable-legacy=on,disable-modern=off,...`"
            ),
            Self::NotMapped {
                physical_address,
                length,
            } => write!(
                f,
                "the network device's registers ({length} bytes at {physical_address:#x}) could \
                 not be mapped; give the machine more memory (`-m`)"
            ),
            Self::BadCapability { what } => write!(
                f,
                "the network device on PCI gives no usable place for its {what}; use QEMU's \
                 `virtio-net-pci,disable-legacy=on`"
            ),
            Self::NoReset => write!(
                f,
                "the network device did not come out of reset: its status register stayed set"
            ),
            Self::Iommu => write!(
                f,
                "the network device wants an IOMMU, which norma does not drive; start QEMU with \
                 `-device virtio-net-...,iommu_platform=off`"
            ),
            Self::FeaturesRefused => write!(
                f,
                "the network device offered MAC, MTU, event index and indirect descriptors and \
                 then refused to use just these"
            ),
            Self::MtuTooSmall { found } => write!(
                f,
                "the network carries {found} bytes in a frame, at least {MINIMUM_MTU} are \
                 needed; give QEMU's network device `host_mtu=65535` (or leave `host_mtu` out: \
                 1500)"
            ),
            Self::NoInterruptVector => write!(
                f,
                "the network device on PCI sends no interrupts by message (MSI-X); give \
                 QEMU's network device `vectors=3`"
            ),
            other => other.fmt_sizes(f),
        }
    }
}

impl InitError {
    fn fmt_sizes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingFeatures {
                version_1,
                event_index,
                indirect,
                mac,
            } => missing_features(f, *version_1, *event_index, *indirect, *mac),
            Self::QueueTooSmall {
                kind,
                found,
                wanted,
            } => write!(
                f,
                "the network device's {} queue has {found} slots, looked for {wanted}; give \
                 QEMU's network device `rx_queue_size=256,tx_queue_size=256`, or ask for fewer \
                 buffers",
                kind.name()
            ),
            Self::BadOptions { what } => write!(f, "the network driver was given {what}"),
            Self::RegionTooSmall { found, wanted } => write!(
                f,
                "the network driver was given {found} bytes for its rings and needs {wanted}"
            ),
            Self::OutOfMemory { buffers } => write!(
                f,
                "no memory for {buffers} receive buffers of 17 pages each; give the machine \
                 more memory (`-m 64`) or ask for fewer buffers"
            ),
            _ => Ok(()),
        }
    }
}

fn not_found(
    f: &mut fmt::Formatter<'_>,
    mmio_places: usize,
    pci: bool,
    found: &DeviceList,
) -> fmt::Result {
    write!(f, "no virtio network device: looked at {mmio_places} ")?;
    write!(
        f,
        "memory-mapped places (`virtio_mmio.device=` on the command line) and "
    )?;
    f.write_str(if pci { "on PCI" } else { "not on PCI" })?;
    f.write_str(", found ")?;
    if found.is_empty() {
        f.write_str("no device at all")?;
    }
    for (i, device) in found.iter().enumerate() {
        write!(f, "{}{device}", if i == 0 { "" } else { ", " })?;
    }
    write!(f, "; {ADD_DEVICE}")?;
    if mmio_places == 0 && !pci {
        f.write_str("; on microvm also `-M microvm,auto-kernel-cmdline=on`")?;
    }
    Ok(())
}

fn missing_features(
    f: &mut fmt::Formatter<'_>,
    version_1: bool,
    event_index: bool,
    indirect: bool,
    mac: bool,
) -> fmt::Result {
    f.write_str("the network device lacks")?;
    let features = [
        (version_1, " the modern interface (`disable-modern=off`)"),
        (event_index, " event index (`event_idx=on`)"),
        (indirect, " indirect descriptors (`indirect_desc=on`)"),
        (mac, " an address of its own (`mac=52:54:00:00:00:01`)"),
    ];
    let mut first = true;
    for (_, text) in features.iter().filter(|(missing, _)| *missing) {
        write!(f, "{}{text}", if first { "" } else { "," })?;
        first = false;
    }
    f.write_str("; give these options to QEMU's `-device virtio-net-...`")
}

impl fmt::Display for DevicePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mmio(base) => write!(f, "{base:#x}"),
            Self::Pci(bus, device, function) => write!(f, "{bus:02x}:{device:02x}.{function}"),
        }
    }
}

impl fmt::Display for OtherDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.kind, self.place)
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Virtio(id) => write!(f, "virtio {}", virtio_name(*id)),
            Self::Other {
                vendor,
                device,
                class,
            } => write!(f, "{} {vendor:04x}:{device:04x}", class_name(*class)),
        }
    }
}

/// Names of virtio devices (VIRTIO 1.2, section 5).
fn virtio_name(id: u32) -> &'static str {
    match id {
        1 => "network",
        2 => "block",
        3 => "console",
        4 => "entropy",
        5 => "balloon",
        8 => "SCSI",
        9 => "9P",
        16 => "graphics",
        18 => "input",
        19 => "socket",
        20 => "crypto",
        26 => "file system",
        27 => "persistent memory",
        _ => "device of another kind",
    }
}

/// Names of PCI classes (class in the high byte, subclass in the low one).
fn class_name(class: u16) -> &'static str {
    match class {
        0x0106 => "SATA controller",
        0x0200 => "network controller that is not virtio",
        0x0300 => "graphics",
        0x0600 => "host bridge",
        0x0601 => "ISA bridge",
        0x0604 => "PCI bridge",
        0x0c03 => "USB controller",
        0x0c05 => "SMBus",
        _ => "device",
    }
}

impl core::error::Error for InitError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_what_was_found_and_what_to_do() {
        let mut found = DeviceList::new();
        for (base, kind) in [
            (0xfeb0_0000, DeviceKind::Virtio(4)),
            (0xfeb0_0200, DeviceKind::Virtio(2)),
        ] {
            let place = DevicePlace::Mmio(base);
            found.push(OtherDevice { place, kind }).expect("room");
        }
        let text = InitError::NotFound {
            mmio_places: 8,
            pci: false,
            found: Box::new(found),
        }
        .to_string();
        for part in [
            "looked at 8",
            "virtio entropy at 0xfeb00000, virtio block at 0xfeb00200",
            "virtio-net-device,netdev=n0,host_mtu=65535",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn missing_features_name_their_options() {
        let text = InitError::MissingFeatures {
            version_1: false,
            event_index: true,
            indirect: true,
            mac: false,
        }
        .to_string();
        assert!(text.contains("`event_idx=on`), indirect descriptors (`indirect_desc=on`)"));
        assert!(!text.contains("disable-modern"));
    }
}
