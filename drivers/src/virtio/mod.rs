//! virtio-net, ours: modern devices only, one ring slot per frame, no copy of a page ever.
//!
//! Owns: finding the device (memory-mapped or on PCI), negotiating with it, its two rings and
//! the memory they stand in, and the split of a frame into a small head and whole pages.
//! Leaves to others: what is in a frame; where memory comes from ([`DmaPage`] and the DMA
//! region are the kernel's); interrupt routing (the caller gives a line or a message to send).
//! Why our own: the path of a frame is what this project is measured by, and the general
//! driver crates negotiate neither the MTU nor buffers made of single pages.
//! Source: Virtual I/O Device (VIRTIO) Version 1.2, OASIS, sections 2.7, 4.1, 4.2 and 5.1.

/// A 4 KiB page that a device may read from or write into.
///
/// # Safety
/// An implementation promises, for as long as the value lives and wherever it is moved:
/// - `physical_address` is always the same, a multiple of 4096, and the whole page there is
///   plain memory that belongs to this value or to it and those it is shared with;
/// - while `is_exclusive` says true, no other value reaches the page, and it stays so until
///   somebody shares this very value;
/// - while it is shared, nobody writes to it.
pub unsafe trait DmaPage {
    /// Where the page lies for a device.
    fn physical_address(&self) -> u64;

    /// Whether this is the only holder. The device writes into exclusive pages only.
    fn is_exclusive(&self) -> bool;
}

extern crate alloc;

mod barrier;
mod dma;
mod error;
mod find;
pub mod limits;
mod mmio;
mod net;
mod pci;
mod pci_transport;
mod queue;
mod receive;
mod registers;
mod transmit;
mod transport;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub use dma::DmaRegion;
pub use error::{DeviceKind, DeviceList, DevicePlace, InitError, OtherDevice, RingKind};
pub use find::{FoundNetworkDevice, FoundNetworkDevices, find_network_devices};
pub use mmio::MmioCandidate;
pub use net::{Interrupt, MessageInterrupt, NetCounters, NetDevice, NetOptions};
pub use queue::DeviceFault;
pub use transmit::{FrameRefused, TransmitSlot};
