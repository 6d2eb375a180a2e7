//! Device registers behind small typed handles, and nothing else.
//!
//! Owns: the volatile accesses to memory-mapped registers, and the doorbell, the one register
//! that the path of a frame touches. Leaves to others: what the registers mean
//! ([`super::mmio`], [`super::pci`]), and the mapping itself (the kernel's).

use core::ptr::NonNull;

/// A mapped range of device registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registers {
    base: NonNull<u8>,
    length: usize,
}

// SAFETY: registers are reached from any thread alike; who may access them at the same time is
// decided by the exclusive borrows of the driver that holds the handle.
unsafe impl Send for Registers {}

/// Numbers that a register may hold.
pub(super) trait Register: Copy {}
impl Register for u8 {}
impl Register for u16 {}
impl Register for u32 {}

impl Registers {
    /// A handle on `length` bytes of registers at `base`; none if the mapping failed.
    ///
    /// # Safety
    /// Unless null, the range must be device registers (or, in tests, plain memory) mapped
    /// without caching, aligned to 4 bytes, for the rest of time.
    pub(super) unsafe fn new(base: *mut u8, length: usize) -> Option<Self> {
        let base = NonNull::new(base)?;
        base.cast::<u32>()
            .is_aligned()
            .then_some(Self { base, length })
    }

    fn pointer<T: Register>(&self, offset: usize) -> NonNull<T> {
        assert!(offset + size_of::<T>() <= self.length && offset.is_multiple_of(size_of::<T>()));
        // SAFETY: the assertion keeps the register within the range.
        unsafe { self.base.add(offset) }.cast()
    }

    /// Reads the register at `offset`.
    pub(super) fn read<T: Register>(&self, offset: usize) -> T {
        // SAFETY: in range and aligned (asserted by `pointer`, and the base is aligned to 4);
        // the range is mapped for all time, and any bit pattern is a number.
        unsafe { self.pointer::<T>(offset).read_volatile() }
    }

    /// Writes the register at `offset`.
    pub(super) fn write<T: Register>(&self, offset: usize, value: T) {
        // SAFETY: as in `read`. A register of a virtio device does nothing to memory that the
        // driver did not describe to it.
        unsafe { self.pointer::<T>(offset).write_volatile(value) }
    }

    /// The 32-bit register at `offset`, for a hot path: no check is left for later.
    pub(super) fn word(&self, offset: usize) -> WordRegister {
        WordRegister(self.pointer(offset))
    }

    /// A 32-bit doorbell at `offset` that tells of queue `queue`.
    pub(super) fn wide_doorbell(&self, offset: usize, queue: u16) -> Doorbell {
        Doorbell {
            address: self.pointer::<u32>(offset).cast(),
            queue,
            wide: true,
        }
    }

    /// A 16-bit doorbell at `offset`, which the device chose; none if that is out of range.
    pub(super) fn try_doorbell(&self, offset: usize, queue: u16) -> Option<Doorbell> {
        let fits = offset.checked_add(2)? <= self.length && offset.is_multiple_of(2);
        fits.then(|| Doorbell {
            address: self.pointer(offset),
            queue,
            wide: false,
        })
    }
}

/// One 32-bit register, checked when the handle was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct WordRegister(NonNull<u32>);

// SAFETY: as for `Registers`.
unsafe impl Send for WordRegister {}

impl WordRegister {
    /// Writes it.
    #[inline(always)]
    pub(super) fn write(self, value: u32) {
        // SAFETY: `Registers::word` checked range and alignment.
        unsafe { self.0.write_volatile(value) }
    }
}

/// Where the device is told that a queue has news.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doorbell {
    address: NonNull<u16>,
    queue: u16,
    wide: bool,
}

// SAFETY: as for `Registers`.
unsafe impl Send for Doorbell {}

impl Doorbell {
    /// Tells the device. One store; on real hardware it leaves the virtual machine.
    #[inline(always)]
    pub(super) fn ring(self) {
        if self.wide {
            // SAFETY: a wide doorbell was checked as a 32-bit register.
            unsafe {
                self.address
                    .cast::<u32>()
                    .write_volatile(u32::from(self.queue));
            }
        } else {
            // SAFETY: it was checked as a 16-bit register.
            unsafe { self.address.write_volatile(self.queue) }
        }
    }
}
