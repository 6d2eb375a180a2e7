//! Frames in a row, for devices whose rings must be contiguous in physical memory.

use super::{FRAME, NoMemory, frames};
use crate::arch::layout;
use core::ptr::NonNull;

/// Zeroed memory that is contiguous for a device too. Dropping it frees it.
#[derive(Debug)]
pub struct DmaRegion {
    first: u32,
    frames: usize,
}

impl DmaRegion {
    /// At least `bytes` bytes, aligned to their size rounded up to a power of two.
    ///
    /// # Errors
    /// [`NoMemory`] if there are not as many free frames in a row.
    pub fn allocate(bytes: usize) -> Result<Self, NoMemory> {
        let frames = bytes.div_ceil(FRAME).max(1);
        let first = frames::take_row(frames).ok_or(NoMemory)?;
        let region = Self { first, frames };
        // SAFETY: the frames are RAM in the direct map and belong to nobody else.
        unsafe { region.pointer().write_bytes(0, region.length()) };
        Ok(region)
    }

    /// Where the kernel sees it.
    pub fn pointer(&self) -> NonNull<u8> {
        // The direct map does not begin at null.
        NonNull::new(layout::direct(self.physical_address())).unwrap_or(NonNull::dangling())
    }

    /// Where a device sees it.
    pub fn physical_address(&self) -> u64 {
        u64::from(self.first) * FRAME as u64
    }

    /// Bytes in it.
    pub fn length(&self) -> usize {
        self.frames * FRAME
    }

    /// Keeps it for ever, for a device that is never given up.
    pub fn leak(self) -> (NonNull<u8>, u64, usize) {
        let parts = (self.pointer(), self.physical_address(), self.length());
        core::mem::forget(self);
        parts
    }
}

impl Drop for DmaRegion {
    fn drop(&mut self) {
        frames::give_row(self.first, self.frames);
    }
}
