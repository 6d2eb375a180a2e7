//! All RAM, and what is known of each frame.
//!
//! Owns: the free frames under their lock, and the count of holders of each frame in use.
//! Leaves to others: [`Frame`](super::Frame) and [`DmaRegion`](super::DmaRegion), by which
//! frames are held.

use super::carve::Region;
use super::free::{self, Block, Free};
use super::{FRAME, inject};
use crate::arch::layout;
use crate::counters::count;
use crate::sync::IrqLock;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

static FREE: IrqLock<Free> = IrqLock::new(Free::new());

static HOLDERS: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());

/// Bytes of the tables for a machine whose highest frame ends at `end`: one of blocks, and
/// behind it one with the number of holders of each frame.
pub const fn table_bytes(end: u64) -> usize {
    let frames = end.div_ceil(FRAME as u64) as usize;
    free::blocks(end) * size_of::<Block>() + frames * size_of::<AtomicU32>()
}

/// Takes over all free memory.
///
/// # Safety
/// To be called once. The regions must consist of whole frames in the direct map and belong to
/// nobody; frame 0 must not be among them, and none may end behind `end`. At physical address
/// `table`, that of a frame, there must be [`table_bytes`] for `end`, which belong to nobody
/// either.
pub unsafe fn initialise(regions: &[Region], table: u64, end: u64) {
    let table = layout::direct(table).cast::<Block>();
    // SAFETY: the caller vouches for the memory; any bits are a block and any a number.
    let blocks = unsafe { core::slice::from_raw_parts_mut(table, free::blocks(end)) };
    // SAFETY: the counts of holders lie behind the blocks.
    let holders = unsafe { table.add(blocks.len()) };
    HOLDERS.store(holders.cast(), Ordering::Relaxed);
    FREE.lock().initialise(regions, blocks);
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
    unsafe { &*HOLDERS.load(Ordering::Relaxed).add(frame as usize) }
}

/// Sets the number of holders of frames that were just taken to 1.
#[inline(always)]
fn hold(first: u32, count: u32) {
    for frame in first..first + count {
        // SAFETY: the caller has taken the frame.
        unsafe { holders(frame) }.store(1, Ordering::Relaxed);
    }
}

#[inline]
pub(super) fn take() -> Option<u32> {
    let mut free = FREE.lock();
    if inject::fails() {
        return None;
    }
    let frame = free.take()?;
    hold(frame, 1);
    count(|counters| counters.frames_allocated += 1);
    Some(frame)
}

/// The most frames that [`take_run`] gives.
pub(super) const LONGEST_RUN: usize = 64;

/// Some frames in a row, if such are found soon.
pub(super) fn take_run(length: u32) -> Option<u32> {
    let mut free = FREE.lock();
    if inject::fails() {
        return None;
    }
    find_run(&mut free, length)
}

/// The same for a block of the heap, which has been asked already whether it is to fail.
pub(super) fn take_block(length: u32) -> Option<u32> {
    find_run(&mut FREE.lock(), length)
}

#[inline]
fn find_run(free: &mut Free, length: u32) -> Option<u32> {
    let first = free.take_run(length)?;
    hold(first, length);
    count(|counters| counters.frames_allocated += u64::from(length));
    Some(first)
}

#[inline(never)]
pub(super) fn give(frame: u32) {
    let mut free = FREE.lock();
    count(|counters| counters.frames_freed += 1);
    free.give(frame);
}

/// Gives several back.
#[inline]
pub(super) fn give_all(frames: impl Iterator<Item = u32>) {
    let mut free = FREE.lock();
    let given = frames.map(|frame| free.give(frame)).count();
    count(|counters| counters.frames_freed += given as u64);
}

pub(super) fn take_row(length: usize) -> Option<u32> {
    let mut free = FREE.lock();
    if inject::fails() {
        return None;
    }
    let first = free.take_row(length)?;
    hold(first, length as u32);
    count(|counters| counters.frames_allocated += length as u64);
    Some(first)
}

pub(super) fn give_row(first: u32, length: usize) {
    let mut free = FREE.lock();
    count(|counters| counters.frames_freed += length as u64);
    free.give_row(first, length);
}
