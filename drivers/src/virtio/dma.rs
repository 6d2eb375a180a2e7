//! Memory that driver and device share, behind masked and volatile accesses.
//!
//! Owns: the region given by the kernel, its division into arrays, and every load and store
//! of ring memory. Leaves to others: what the numbers mean, and in which order they are
//! written ([`super::queue`]).
//! Why this way: an array whose length is a power of two is indexed by masking, so no index,
//! not even one that a hostile device wrote, reaches beyond it, and no branch is spent on it.
//! What the device writes is read once, by a volatile load, into a plain integer.

use core::ptr::NonNull;

use super::limits::{HEAD, HEADER, PIECE};

/// Physically contiguous memory for rings and heads, given by the kernel.
#[derive(Debug)]
pub struct DmaRegion {
    base: NonNull<u8>,
    physical_address: u64,
    length: usize,
}

// SAFETY: the region is owned memory; nothing about it is tied to a processor or a thread.
unsafe impl Send for DmaRegion {}

impl DmaRegion {
    /// Takes over `length` bytes at `virtual_address`, which a device reaches at
    /// `physical_address`. All of it is zeroed.
    ///
    /// # Safety
    /// The memory must be mapped readable and writable, contiguous for the device as well,
    /// aligned to 64 bytes at both addresses, and used by nobody else for the rest of time,
    /// or until the device that it is given to has been dropped.
    pub unsafe fn new(virtual_address: *mut u8, physical_address: u64, length: usize) -> Self {
        let base = NonNull::new(virtual_address).expect("a DMA region does not start at null");
        assert!(
            physical_address.is_multiple_of(64) && base.addr().get().is_multiple_of(64),
            "a DMA region starts at a cache line"
        );
        // SAFETY: the caller gives `length` writable bytes that nobody else uses.
        unsafe { base.write_bytes(0, length) };
        Self {
            base,
            physical_address,
            length,
        }
    }

    /// How many bytes are left.
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Where it starts for a device.
    pub(super) const fn physical_address(&self) -> u64 {
        self.physical_address
    }

    /// Splits off the first `length` bytes, rounded up to whole cache lines.
    pub(super) fn split_off(&mut self, length: usize) -> Option<Self> {
        let whole = length.next_multiple_of(64);
        let rest = self.length.checked_sub(whole)?;
        let part = Self {
            base: self.base,
            physical_address: self.physical_address,
            length: whole,
        };
        // SAFETY: `whole` is at most the length of the region, so this is inside or at its end.
        self.base = unsafe { self.base.add(whole) };
        self.physical_address += whole as u64;
        self.length = rest;
        Some(part)
    }

    /// An array of `count` (a power of two) numbers from byte `offset` on.
    pub(super) fn array<T: Number>(&self, offset: usize, count: usize) -> DmaArray<T> {
        let size = size_of::<T>();
        assert!(count.is_power_of_two() && offset + count * size <= self.length);
        // SAFETY: the assertion above keeps all of the array within the region.
        let base = unsafe { self.base.add(offset) }.cast::<T>();
        assert!(base.is_aligned());
        DmaArray {
            base,
            mask: count - 1,
        }
    }

    /// One number at byte `offset`.
    pub(super) fn cell<T: Number>(&self, offset: usize) -> DmaCell<T> {
        DmaCell(self.array(offset, 1))
    }

    /// All of it as pieces for the heads of `count` (a power of two) frames.
    pub(super) fn heads(self, count: usize) -> Heads {
        assert!(count.is_power_of_two() && count * PIECE <= self.length);
        Heads {
            mask: count - 1,
            region: self,
        }
    }
}

/// Numbers that may stand in memory shared with a device: every bit pattern is one.
pub(super) trait Number: Copy {}
impl Number for u16 {}
impl Number for u64 {}

/// A power of two of numbers in shared memory. An index is taken modulo the length.
pub(super) struct DmaArray<T> {
    base: NonNull<T>,
    mask: usize,
}

// SAFETY: an array is a part of a region that its owner took by value; only volatile accesses
// are made, and moving it to another thread moves the only handle that its holder uses.
unsafe impl<T: Number> Send for DmaArray<T> {}

impl<T: Number> DmaArray<T> {
    /// Reads what driver or device last wrote there.
    #[inline(always)]
    pub(super) fn read(&self, index: usize) -> T {
        // SAFETY: the masked index is inside the array (checked when it was made), which is
        // aligned, mapped memory for all time, and any bit pattern is a number.
        unsafe { self.base.add(index & self.mask).read_volatile() }
    }

    /// Writes a number for the device to read.
    #[inline(always)]
    pub(super) fn write(&self, index: usize, value: T) {
        // SAFETY: as in `read`; no reference to ring memory is ever made, so a write here
        // contradicts none.
        unsafe { self.base.add(index & self.mask).write_volatile(value) }
    }
}

/// One number in shared memory.
pub(super) struct DmaCell<T>(DmaArray<T>);

impl<T: Number> DmaCell<T> {
    /// Reads what driver or device last wrote there.
    #[inline(always)]
    pub(super) fn read(&self) -> T {
        self.0.read(0)
    }

    /// Writes a number for the device to read.
    #[inline(always)]
    pub(super) fn write(&self, value: T) {
        self.0.write(0, value);
    }
}

/// The first pieces of frames: 12 bytes for the device's header and 180 of the frame, each
/// piece three whole cache lines.
pub(super) struct Heads {
    region: DmaRegion,
    mask: usize,
}

impl Heads {
    /// Where piece `index` starts for the device.
    pub(super) fn physical_address(&self, index: usize) -> u64 {
        self.region.physical_address + ((index & self.mask) * PIECE) as u64
    }

    /// The frame's part of piece `index`.
    ///
    /// # Safety
    /// The device must not have been given the piece, or must have given it back.
    #[inline(always)]
    pub(super) unsafe fn get(&mut self, index: usize) -> &mut [u8; HEAD] {
        let offset = (index & self.mask) * PIECE + HEADER;
        // SAFETY: `heads` checked that all pieces lie in the region, which this value owns;
        // the borrow of `self` keeps other references to it away, the caller keeps the device
        // away. Bytes need no alignment.
        unsafe { self.region.base.add(offset).cast().as_mut() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Arena;

    #[test]
    fn parts_do_not_overlap_and_end() {
        let mut region = Arena::new(256).region();
        let first = region.split_off(65).expect("two lines");
        let second = region.split_off(1).expect("one line");
        assert_eq!(first.length(), 128);
        assert_eq!(second.physical_address(), first.physical_address() + 128);
        assert!(region.split_off(65).is_none());
        assert_eq!(region.length(), 64);
    }

    #[test]
    fn an_index_never_leaves_its_array() {
        let region = Arena::new(64).region();
        let low = region.array::<u16>(0, 4);
        let high = region.array::<u16>(8, 4);
        for index in 0..1000 {
            low.write(index, 0xffff);
        }
        assert_eq!((0..4).map(|i| u32::from(high.read(i))).sum::<u32>(), 0);
    }
}
