//! All RAM, and the table with a number per frame.
//!
//! Owns: the free frames under their lock, and the count of holders of each frame in use.
//! Leaves to others: [`Frame`](super::Frame) and [`DmaRegion`](super::DmaRegion), by which
//! frames are held.

use super::carve::Region;
use super::free::Free;
use super::{FRAME, inject};
use crate::arch::layout;
use crate::counters::count;
use crate::sync::IrqLock;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

static FREE: IrqLock<Free> = IrqLock::new(Free::new());

static TABLE: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());

/// Bytes of the table for a machine whose highest frame ends at `end`.
pub const fn table_bytes(end: u64) -> usize {
    end.div_ceil(FRAME as u64) as usize * size_of::<AtomicU32>()
}

/// Takes over all free memory.
///
/// # Safety
/// To be called once. The regions must consist of whole frames in the direct map and belong to
/// nobody; frame 0 must not be among them. At physical address `table` there must be
/// [`table_bytes`] for the highest of them, which belong to nobody either.
pub unsafe fn initialise(regions: &[Region], table: u64) {
    let end = regions.iter().map(|region| region.end).max().unwrap_or(0);
    let entries = table_bytes(end) / size_of::<AtomicU32>();
    let table = layout::direct(table).cast::<AtomicU32>();
    TABLE.store(table, Ordering::Relaxed);
    // SAFETY: the caller vouches for the memory; any bits are a valid number.
    let table = unsafe { core::slice::from_raw_parts(table, entries) };
    FREE.lock().initialise(regions, table);
}

/// How many frames are free.
pub fn free_frames() -> usize {
    FREE.lock().count()
}

/// The count of holders of a frame in use.
///
/// # Safety
/// `frame` must have come from [`take`].
#[inline(always)]
pub(super) unsafe fn holders(frame: u32) -> &'static AtomicU32 {
    // SAFETY: a frame that was taken has an entry in the table, which `initialise` has set.
    unsafe { &*TABLE.load(Ordering::Relaxed).add(frame as usize) }
}

#[inline]
pub(super) fn take() -> Option<u32> {
    let mut free = FREE.lock();
    if inject::fails() {
        return None;
    }
    let frame = free.take()?;
    count(|counters| counters.frames_allocated += 1);
    Some(frame)
}

#[inline]
pub(super) fn give(frame: u32) {
    let mut free = FREE.lock();
    count(|counters| counters.frames_freed += 1);
    free.give(frame);
}

pub(super) fn take_row(length: usize) -> Option<u32> {
    let mut free = FREE.lock();
    if inject::fails() {
        return None;
    }
    let first = free.take_row(length)?;
    count(|counters| counters.frames_allocated += length as u64);
    Some(first)
}

pub(super) fn give_row(first: u32, length: usize) {
    let mut free = FREE.lock();
    count(|counters| counters.frames_freed += length as u64);
    free.give_row(first, length);
}
