//! What the two ways to reach a virtio device have in common, and the start of a device.
//!
//! Owns: the trait that MMIO and PCI implement, and the steps that bring a network device
//! from reset to "driver ok". Leaves to others: the registers ([`super::mmio`],
//! [`super::pci`]), the queues' contents ([`super::net`]).
//! Why this way: the trait is used while a device is started and stopped, and never again; the
//! path of a frame keeps plain register handles.
//! Source: VIRTIO 1.2, sections 2.1 (status), 3.1.1 (the steps), 5.1.3 (features), 5.1.4
//! (configuration).

use bitflags::bitflags;

use super::error::{InitError, RingKind};
use super::limits::{DEFAULT_MTU, LEAST_SLOTS, MINIMUM_MTU, REGISTER_READS};
use super::queue::QueueAddresses;
use super::registers::{Doorbell, WordRegister};

bitflags! {
    /// The device status field.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Status: u8 {
        const ACKNOWLEDGE = 1;
        const DRIVER = 2;
        const DRIVER_OK = 4;
        const FEATURES_OK = 8;
        const FAILED = 128;
    }

    /// The features that this driver takes; all others, mergeable buffers and every offload
    /// among them, are refused by not being here.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Features: u64 {
        /// The device says which MTU its network carries.
        const MTU = 1 << 3;
        /// The device has an address of its own.
        const MAC = 1 << 5;
        /// One ring slot for a frame of many pieces.
        const INDIRECT_DESC = 1 << 28;
        /// Either side says from which index on it wants to be told.
        const EVENT_IDX = 1 << 29;
        /// The modern interface.
        const VERSION_1 = 1 << 32;
        /// The device's addresses go through an IOMMU.
        const ACCESS_PLATFORM = 1 << 33;
    }
}

/// Without these nothing is started.
const REQUIRED: Features = Features::MAC
    .union(Features::INDIRECT_DESC)
    .union(Features::EVENT_IDX)
    .union(Features::VERSION_1);

/// Where the MAC address stands in the device's configuration.
const CONFIG_MAC: usize = 0;
/// Where the MTU stands.
const CONFIG_MTU: usize = 10;

/// A way to reach one device.
pub(super) trait Transport {
    fn status(&self) -> u8;
    fn set_status(&mut self, status: u8);
    fn device_features(&mut self) -> u64;
    fn set_driver_features(&mut self, features: u64);
    /// The most slots that queue `queue` can have; 0 if there is no such queue.
    fn queue_limit(&mut self, queue: u16) -> u16;
    /// Sets up a queue; false if the device refused its interrupt.
    fn enable_queue(&mut self, queue: u16, slots: u16, addresses: QueueAddresses) -> bool;
    /// Where the device is told about a queue.
    fn doorbell(&mut self, queue: u16) -> Result<Doorbell, InitError>;
    fn config(&self, offset: usize) -> u8;
    fn config_generation(&self) -> u32;
    /// The register that an interrupt is acknowledged in, where there is one.
    fn acknowledge_register(&self) -> Option<WordRegister>;
}

/// What was agreed with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Agreement {
    pub(super) mac: [u8; 6],
    pub(super) mtu: u16,
}

/// Stops a device: afterwards it reads and writes no memory. False if it does not answer.
pub(super) fn reset(transport: &mut dyn Transport) -> bool {
    transport.set_status(0);
    (0..REGISTER_READS).any(|_| transport.status() == 0)
}

/// Steps 1 to 6 of starting a device: reset, notice, features.
pub(super) fn negotiate(transport: &mut dyn Transport) -> Result<Agreement, InitError> {
    if !reset(transport) {
        return Err(InitError::NoReset);
    }
    transport.set_status(Status::ACKNOWLEDGE.bits());
    transport.set_status((Status::ACKNOWLEDGE | Status::DRIVER).bits());
    let result = agree(transport);
    if result.is_err() {
        fail(transport);
    }
    result
}

/// Tells a device that it is given up.
pub(super) fn fail(transport: &mut dyn Transport) {
    let status = transport.status();
    transport.set_status(status | Status::FAILED.bits());
}

fn agree(transport: &mut dyn Transport) -> Result<Agreement, InitError> {
    let offered = Features::from_bits_truncate(transport.device_features());
    let missing = REQUIRED.difference(offered);
    if !missing.is_empty() {
        return Err(InitError::MissingFeatures {
            version_1: missing.contains(Features::VERSION_1),
            event_index: missing.contains(Features::EVENT_IDX),
            indirect: missing.contains(Features::INDIRECT_DESC),
            mac: missing.contains(Features::MAC),
        });
    }
    if offered.contains(Features::ACCESS_PLATFORM) {
        return Err(InitError::Iommu);
    }
    transport.set_driver_features(offered.bits());
    let status = Status::ACKNOWLEDGE | Status::DRIVER | Status::FEATURES_OK;
    transport.set_status(status.bits());
    if transport.status() & Status::FEATURES_OK.bits() == 0 {
        return Err(InitError::FeaturesRefused);
    }
    let agreement = read_config(transport, offered.contains(Features::MTU));
    if agreement.mtu < MINIMUM_MTU {
        return Err(InitError::MtuTooSmall {
            found: agreement.mtu,
        });
    }
    Ok(agreement)
}

/// Reads the configuration, again if the device changed it meanwhile.
fn read_config(transport: &dyn Transport, has_mtu: bool) -> Agreement {
    let mut agreement = Agreement {
        mac: [0; 6],
        mtu: DEFAULT_MTU,
    };
    for _ in 0..REGISTER_READS {
        let generation = transport.config_generation();
        read_bytes(transport, CONFIG_MAC, &mut agreement.mac);
        if has_mtu {
            let mut bytes = [0; 2];
            read_bytes(transport, CONFIG_MTU, &mut bytes);
            agreement.mtu = u16::from_le_bytes(bytes);
        }
        if transport.config_generation() == generation {
            break;
        }
    }
    agreement
}

/// A loop on its own, so that it stays one: unrolled, it is far longer to translate.
#[inline(never)]
fn read_bytes(transport: &dyn Transport, from: usize, bytes: &mut [u8]) {
    for (offset, byte) in (from..).zip(bytes) {
        *byte = transport.config(offset);
    }
}

/// Step 7 for one queue; returns its doorbell.
#[inline(never)]
pub(super) fn start_queue(
    transport: &mut dyn Transport,
    kind: RingKind,
    slots: usize,
    addresses: QueueAddresses,
) -> Result<Doorbell, InitError> {
    let queue = kind.number();
    let limit = usize::from(transport.queue_limit(queue));
    if limit < slots || slots < LEAST_SLOTS {
        return Err(InitError::QueueTooSmall {
            kind,
            found: limit,
            wanted: slots,
        });
    }
    if !transport.enable_queue(queue, slots as u16, addresses) {
        return Err(InitError::NoInterruptVector);
    }
    transport.doorbell(queue)
}

/// Step 8: the device may use its queues from now on.
pub(super) fn start(transport: &mut dyn Transport) {
    let status = transport.status();
    transport.set_status(status | Status::DRIVER_OK.bits());
}
