//! One split virtqueue with event index, seen from the driver.
//!
//! Owns: the layout of the rings, the 16-bit indices, publishing and taking of slots, and
//! when either side must be told (event index). Leaves to others: what a slot carries
//! ([`super::receive`], [`super::transmit`]).
//! Why this way: every number that the driver needs again is kept outside the shared memory,
//! so that a device cannot change it; the device's own words (used index, used elements) are
//! checked before use. Indirect tables are at fixed places, one for each slot, so that a
//! frame costs one ring slot and most descriptors are written once for all time.
//! Source: VIRTIO 1.2, sections 2.7.4 to 2.7.13.
//!
//! Order of memory accesses. On x86 stores are seen in program order and so are loads, hence
//! the release fence before an index is published and the acquire fence after one is read
//! cost no instruction and only hold the compiler. A store followed by a load of another
//! place may be seen the other way round; the two places where that would lose a wake-up
//! ("publish, then ask whether the other side wants to be told") have a barrier of their own
//! ([`super::barrier`]).

use core::fmt;
use core::sync::atomic::{Ordering, fence};

use super::barrier::store_before_load;
use super::dma::{DmaArray, DmaCell, DmaRegion};
use super::limits::TABLE;
use super::registers::Doorbell;

/// The buffer goes from device to driver.
pub(super) const DEVICE_WRITES: u64 = 2 << 32;
/// The descriptor names a table of descriptors.
const INDIRECT: u64 = 4 << 32;
/// Another descriptor follows.
const NEXT: u64 = 1 << 32;
/// Bytes of a descriptor: two 64-bit words, the address, and length, flags and next.
const DESCRIPTOR: usize = 16;
/// Far enough from an index that the other side never gets there unnoticed.
const FAR: u16 = 0x8000;

/// How a device broke the rules of the ring, after which it is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceFault {
    /// It says that it used more slots than it was given.
    UsedIndex {
        /// What it wrote.
        used: u16,
        /// What was used before.
        before: u16,
        /// How many slots it had.
        given: u16,
    },
}

impl fmt::Display for DeviceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::UsedIndex {
            used,
            before,
            given,
        } = self;
        write!(
            f,
            "the network device says that its used index went from {before} to {used}, but it \
             had only {given} slots; the device is not used any more"
        )
    }
}

/// What the device said it is done with. Both numbers are its word and unchecked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Used {
    /// The slot.
    pub(super) id: u32,
    /// How many bytes it wrote.
    pub(super) length: u32,
}

/// Addresses of the three parts for the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueueAddresses {
    /// The descriptor table.
    pub(super) descriptors: u64,
    /// The available ring.
    pub(super) driver: u64,
    /// The used ring.
    pub(super) device: u64,
}

/// Where the parts of a queue lie in its region.
struct Layout {
    available: usize,
    used: usize,
    tables: usize,
    total: usize,
}

impl Layout {
    const fn new(slots: usize) -> Self {
        let available = slots * DESCRIPTOR;
        // 4 bytes before the ring and 2 behind it. The used ring starts at 4 modulo 8, so
        // that its 8-byte elements can be read by one load.
        let used = (available + 6 + 2 * slots).next_multiple_of(64) + 4;
        let tables = (used + 6 + 8 * slots).next_multiple_of(64);
        Self {
            available,
            used,
            tables,
            total: tables + slots * TABLE * DESCRIPTOR,
        }
    }
}

/// One queue.
pub(super) struct Queue {
    mask: u16,
    descriptors: DmaArray<u64>,
    tables: DmaArray<u64>,
    tables_address: u64,
    available_index: DmaCell<u16>,
    available_ring: DmaArray<u16>,
    used_event: DmaCell<u16>,
    used_index: DmaCell<u16>,
    used_ring: DmaArray<u64>,
    available_event: DmaCell<u16>,
    /// The next index to make available (published or not).
    next_available: u16,
    /// The index up to which the device's news has been taken.
    last_used: u16,
    /// The available index when it was last decided whether to tell the device.
    last_told: u16,
    /// The index after which the device was last asked for an interrupt.
    event: u16,
    doorbell: Doorbell,
    fault: Option<DeviceFault>,
}

impl Queue {
    /// Bytes of shared memory for a queue of `slots`.
    pub(super) const fn bytes(slots: usize) -> usize {
        Layout::new(slots).total
    }

    /// A queue in `region`, and where its parts are. `slots` is a power of two.
    pub(super) fn new(region: &DmaRegion, slots: usize, doorbell: Doorbell) -> Self {
        let layout = Layout::new(slots);
        Self {
            mask: (slots - 1) as u16,
            descriptors: region.array(0, 2 * slots),
            tables: region.array(layout.tables, 2 * TABLE * slots),
            tables_address: region.physical_address() + layout.tables as u64,
            available_index: region.cell(layout.available + 2),
            available_ring: region.array(layout.available + 4, slots),
            used_event: region.cell(layout.available + 4 + 2 * slots),
            used_index: region.cell(layout.used + 2),
            used_ring: region.array(layout.used + 4, slots),
            available_event: region.cell(layout.used + 4 + 8 * slots),
            next_available: 0,
            last_used: 0,
            last_told: 0,
            event: 0,
            doorbell,
            fault: None,
        }
    }

    /// Where the parts of a queue in `region` are for the device.
    pub(super) fn addresses(region: &DmaRegion, slots: usize) -> QueueAddresses {
        let layout = Layout::new(slots);
        let base = region.physical_address();
        QueueAddresses {
            descriptors: base,
            driver: base + layout.available as u64,
            device: base + layout.used as u64,
        }
    }

    /// The slot that goes with the next available index, if slots are used in turn.
    #[inline(always)]
    pub(super) fn next_slot(&self) -> usize {
        usize::from(self.next_available & self.mask)
    }

    /// Slots that the device has and that the driver has not taken back.
    pub(super) fn given(&self) -> u16 {
        self.next_available.wrapping_sub(self.last_used)
    }

    /// What the device did wrong, if it did.
    pub(super) fn fault(&self) -> Option<DeviceFault> {
        self.fault
    }

    /// Makes `slot` stand for one buffer of `length` bytes.
    #[inline(always)]
    pub(super) fn write_direct(&self, slot: usize, address: u64, length: u32) {
        self.descriptors.write(2 * slot, address);
        self.write_direct_length(slot, length);
    }

    /// Changes the length of a slot that stands for one buffer.
    #[inline(always)]
    pub(super) fn write_direct_length(&self, slot: usize, length: u32) {
        self.descriptors.write(2 * slot + 1, u64::from(length));
    }

    /// Makes `slot` stand for the first `entries` descriptors of its own table.
    #[inline(always)]
    pub(super) fn write_indirect(&self, slot: usize, entries: usize) {
        let table = self.tables_address + (slot * TABLE * DESCRIPTOR) as u64;
        self.descriptors.write(2 * slot, table);
        let length = (entries * DESCRIPTOR) as u64;
        self.descriptors.write(2 * slot + 1, length | INDIRECT);
    }

    /// Writes descriptor `entry` of the table of `slot`; another follows unless it is `last`.
    #[inline(always)]
    pub(super) fn write_entry(
        &self,
        slot: usize,
        entry: usize,
        address: u64,
        length: u32,
        flags: u64,
        last: bool,
    ) {
        let word = 2 * (slot * TABLE + entry);
        let next = if last {
            0
        } else {
            NEXT | ((entry as u64 + 1) << 48)
        };
        self.tables.write(word, address);
        self.tables
            .write(word + 1, u64::from(length) | flags | next);
    }

    /// Gives `slot` to the device.
    #[inline(always)]
    pub(super) fn publish(&mut self, slot: usize) {
        self.available_ring
            .write(usize::from(self.next_available), slot as u16);
        self.next_available = self.next_available.wrapping_add(1);
        // Descriptors and ring entry must be seen no later than the index that covers them.
        fence(Ordering::Release);
        self.available_index.write(self.next_available);
    }

    /// Whether the device has used a slot that was not taken yet. One load.
    #[inline(always)]
    pub(super) fn has_used(&self) -> bool {
        self.used_index.read() != self.last_used
    }

    /// How many slots the device is done with that were not taken yet.
    #[inline(always)]
    pub(super) fn used_count(&mut self) -> u16 {
        let used = self.used_index.read();
        let count = used.wrapping_sub(self.last_used);
        if count > self.given() {
            self.break_off(used);
            return 0;
        }
        // The elements must not be read before the index that covers them.
        fence(Ordering::Acquire);
        count
    }

    /// Takes the next slot. To be called no more often than [`Self::used_count`] said; what it
    /// gives is to be checked in any case.
    #[inline(always)]
    pub(super) fn take_counted(&mut self) -> Used {
        let element = self.used_ring.read(usize::from(self.last_used));
        self.last_used = self.last_used.wrapping_add(1);
        Used {
            id: element as u32,
            length: (element >> 32) as u32,
        }
    }

    /// Takes the next slot that the device is done with.
    #[inline(always)]
    pub(super) fn take_used(&mut self) -> Option<Used> {
        (self.used_count() != 0).then(|| self.take_counted())
    }

    #[cold]
    fn break_off(&mut self, used: u16) {
        if self.fault.is_none() {
            self.fault = Some(DeviceFault::UsedIndex {
                used,
                before: self.last_used,
                given: self.given(),
            });
        }
    }

    /// Tells the device about what was published since it was last asked, if it wants to be
    /// told. Returns whether it was told.
    #[inline(always)]
    pub(super) fn tell(&mut self) -> bool {
        let (old, new) = (self.last_told, self.next_available);
        if old == new {
            return false;
        }
        // The device publishes its event index, then looks at ours; we publish ours, then look
        // at its event index. Without the barrier both could look too early.
        store_before_load();
        self.last_told = new;
        let wanted = passes(self.available_event.read(), old, new);
        if wanted && self.fault.is_none() {
            self.doorbell.ring();
        }
        wanted
    }

    /// Whether a half of the ring has just been published in full.
    #[inline(always)]
    pub(super) fn is_at_half(&self) -> bool {
        self.next_available & (self.mask >> 1) == 0
    }

    /// Asks for an interrupt once the device has used `after` more slots than were taken (0:
    /// the very next). Returns whether there is something to take already.
    #[inline(always)]
    pub(super) fn enable_interrupt(&mut self, after: u16) -> bool {
        self.set_event(after);
        // As in `tell`: our wish must be seen before we look whether it came too late.
        store_before_load();
        let waiting = self.used_index.read().wrapping_sub(self.last_used);
        // A device that broke the rules has nothing to say, or the caller would ask for ever.
        waiting > after && self.fault.is_none()
    }

    /// Asks for no interrupt. (The flag NO_INTERRUPT means nothing once event index is
    /// negotiated; an event index far away does it. After 32,768 frames without another call
    /// it would be reached: a needless interrupt, harmless.)
    #[inline(always)]
    pub(super) fn disable_interrupt(&mut self) {
        self.set_event(FAR);
    }

    /// For a queue that hardly ever wants interrupts: moves the event index on before the
    /// indices reach it. A wish for an interrupt within the next ring's length stays.
    #[inline(always)]
    pub(super) fn keep_event_away(&mut self) {
        let ahead = self.event.wrapping_sub(self.last_used);
        if ahead > self.mask && ahead < FAR / 2 {
            self.disable_interrupt();
        }
    }

    #[inline(always)]
    fn set_event(&mut self, ahead: u16) {
        self.event = self.last_used.wrapping_add(ahead);
        self.used_event.write(self.event);
    }
}

/// Whether the index passes `event` on its way from `old` to `new` (VIRTIO 1.2, 2.7.10).
#[inline(always)]
const fn passes(event: u16, old: u16, new: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_index_is_passed_exactly_once() {
        for old in [0u16, 1, 0x7fff, 0xfffe, 0xffff] {
            for steps in 1..5u16 {
                let new = old.wrapping_add(steps);
                for distance in 0..8u16 {
                    let event = old.wrapping_add(distance);
                    assert_eq!(passes(event, old, new), distance < steps);
                }
                assert!(!passes(old.wrapping_sub(1), old, new));
                assert!(!passes(old.wrapping_add(FAR), old, new));
            }
        }
    }

    #[test]
    fn parts_lie_one_after_another_and_aligned() {
        let mut slots = super::super::limits::LEAST_SLOTS;
        while slots <= super::super::limits::MOST_SLOTS {
            let layout = Layout::new(slots);
            assert!(layout.available + 6 + 2 * slots <= layout.used);
            assert!(layout.used + 6 + 8 * slots <= layout.tables);
            assert_eq!(layout.used % 8, 4);
            assert_eq!(layout.total % 64, 0);
            slots *= 2;
        }
    }
}
