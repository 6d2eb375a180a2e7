//! Sizes of the virtio-net driver, each with its reason.
//!
//! Owns: every number that bounds this driver. Leaves to others: the sizes of a frame, which
//! follow from the wire format, are repeated here because the driver knows no protocol.

/// Bytes of a page.
pub const PAGE_SIZE: usize = 4096;

/// Bytes of the header that virtio-net puts before a frame (VIRTIO 1.2, 5.1.6: 12 bytes
/// once VERSION_1 is negotiated, with or without mergeable buffers).
pub const HEADER: usize = 12;

/// Bytes of a frame in the first piece of a buffer: all headers and 64 bytes of data.
pub const HEAD: usize = 180;

/// The first piece as the device sees it: three cache lines.
pub const PIECE: usize = HEADER + HEAD;

/// Pages behind the head: a frame of 65,535 bytes and its Ethernet header.
pub const FRAME_PAGES: usize = 16;

/// Bytes of the header of an Ethernet frame, which the MTU does not count.
pub const ETHERNET_HEADER: usize = 14;

/// Most bytes of a frame that a buffer can hold.
pub const FRAME_CAPACITY: usize = HEAD + FRAME_PAGES * PAGE_SIZE;

/// Network devices that a search finds: as many as a node can use. More are left alone.
pub const NETWORK_DEVICES: usize = 4;

/// Descriptors set aside for one frame: one for the head, one for each page, rounded up to a
/// power of two so that a masked index finds its table.
pub const TABLE: usize = 32;

/// Receive buffers when nobody says otherwise: with pages for a full frame behind each they
/// are 4 MiB, which a machine of 64 MiB can spare, and two senders with a window of 32 frames
/// each cannot overrun them. A machine of 16 MiB should ask for 16.
pub const RECEIVE_BUFFERS: usize = 64;

/// Frames that may be on their way out. More than a window of 32 for one peer, so that
/// answers to others still find room.
pub const TRANSMIT_SLOTS: usize = 64;

/// Fewest slots of a ring: below it the halves that notifications are counted by are empty.
pub const LEAST_SLOTS: usize = 2;

/// Most slots of a ring: what QEMU offers by default, and far from the 32,768 from which on
/// 16-bit indices could not tell a full ring from an empty one.
pub const MOST_SLOTS: usize = 256;

/// The smallest MTU that is accepted: what IPv4 asks of every host. It holds the 166 bytes
/// that the first piece of a frame has behind its Ethernet header three times over; with less,
/// splitting messages would cost more than carrying them.
pub const MINIMUM_MTU: u16 = 576;

/// The MTU of a device that does not say: that of Ethernet.
pub const DEFAULT_MTU: u16 = 1500;

/// Devices remembered for the text of an error.
pub const DEVICES_LISTED: usize = 16;

/// PCI buses looked at: the root bus and those behind its bridges.
pub const PCI_BUSES: usize = 16;

/// PCI capabilities followed in one device before the list is taken for a loop: the 192 bytes
/// of configuration space behind the header hold no more, at four bytes each.
pub const PCI_CAPABILITIES: usize = 48;

/// How often a register is read again while the device changes what it says (reset going on,
/// configuration being rewritten). QEMU needs one read.
pub const REGISTER_READS: usize = 100_000;
