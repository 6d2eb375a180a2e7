//! Device memory, mapped where it is asked for.
//!
//! Owns: the window of the address space in which devices appear. Leaves to others: what the
//! registers mean. Large pages, because the devices of a virtual machine lie close together and
//! the time to boot is counted.

use super::NoMemory;
use crate::arch::{layout, paging};
use crate::limits::PHYSICAL_LIMIT;
use core::ptr::NonNull;

/// Maps `length` bytes of device memory at physical address `physical`, uncached. Mapping the
/// same again gives the same address.
///
/// # Errors
/// [`NoMemory`] if there is no frame for a page table, or the address is beyond what is mapped
/// at all.
pub fn map(physical: u64, length: usize) -> Result<NonNull<u8>, NoMemory> {
    let end = physical.checked_add(length as u64).ok_or(NoMemory)?;
    if end > PHYSICAL_LIMIT {
        return Err(NoMemory);
    }
    let mut page = physical & !(paging::LARGE_PAGE - 1);
    while page < end {
        paging::map_device(layout::DEVICES + page, page)?;
        page += paging::LARGE_PAGE;
    }
    NonNull::new((layout::DEVICES + physical) as *mut u8).ok_or(NoMemory)
}

/// As [`map`], for a page of a controller without which nothing works.
///
/// # Panics
/// If there is no memory for it: at boot, where that means a machine far too small.
pub fn map_page(physical: u64) -> NonNull<u8> {
    map(physical, super::FRAME).expect("memory for the page tables of the interrupt controllers")
}
