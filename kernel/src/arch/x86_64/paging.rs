//! Adding pages to the kernel's half of the address space.
//!
//! Owns: the page tables after boot has made the first. Leaves to others: which frames they
//! are. Nothing is ever taken out here: stacks are kept for reuse, the heap does not shrink and
//! devices stay, so no processor ever has to forget a translation.
//! Source: Intel SDM volume 3, chapter 4.

use super::layout;
use crate::memory::{Frame, NoMemory};
use crate::sync::IrqLock;
use x86_64::registers::control::Cr3;
use x86_64::structures::paging::page_table::PageTableLevel;
use x86_64::structures::paging::{PageTable, PageTableFlags};
use x86_64::{PhysAddr, VirtAddr};

/// Bytes of a small page.
pub const PAGE: u64 = 4096;
/// Bytes of a large page.
pub const LARGE_PAGE: u64 = 2 * 1024 * 1024;

/// Rights of memory that is read and written and never executed.
pub const DATA: PageTableFlags = PageTableFlags::PRESENT
    .union(PageTableFlags::WRITABLE)
    .union(PageTableFlags::GLOBAL)
    .union(PageTableFlags::NO_EXECUTE);

/// Rights of device memory: as data, and not cached.
pub const DEVICE: PageTableFlags = DATA
    .union(PageTableFlags::NO_CACHE)
    .union(PageTableFlags::WRITE_THROUGH);

/// Rights of an entry that leads to a further table: the page's own entry is what restricts.
pub const TABLE: PageTableFlags = PageTableFlags::PRESENT.union(PageTableFlags::WRITABLE);

static CHANGES: IrqLock<()> = IrqLock::new(());

/// Maps the small page at `address` to `frame`, for good.
///
/// # Errors
/// [`NoMemory`] if a table is missing and there is no frame for it.
pub fn map(address: u64, frame: Frame) -> Result<(), NoMemory> {
    set(address, PageTableLevel::One, frame.into_physical(), DATA)
}

/// Whether [`map`] has mapped something at `address`.
pub fn is_mapped(address: u64) -> bool {
    let _guard = CHANGES.lock();
    let address = VirtAddr::new(address);
    let mut table = top();
    for index in [address.p4_index(), address.p3_index(), address.p2_index()] {
        if table[index].is_unused() {
            return false;
        }
        table = table_at(table[index].addr());
    }
    !table[address.p1_index()].is_unused()
}

/// Maps the large page at `address` to the device memory at `physical`.
///
/// # Errors
/// [`NoMemory`] if a table is missing and there is no frame for it.
pub fn map_device(address: u64, physical: u64) -> Result<(), NoMemory> {
    let flags = DEVICE | PageTableFlags::HUGE_PAGE;
    set(address, PageTableLevel::Two, physical, flags)
}

fn set(
    address: u64,
    leaf: PageTableLevel,
    physical: u64,
    flags: PageTableFlags,
) -> Result<(), NoMemory> {
    let _guard = CHANGES.lock();
    let address = VirtAddr::new(address);
    let mut new_table = || Ok(Frame::allocate_zeroed().ok_or(NoMemory)?.into_physical());
    let top = Cr3::read().0.start_address();
    // SAFETY: these are the tables in use, and whoever changes them holds the lock.
    let table = unsafe { table(top, address, leaf, &mut new_table) }?;
    table[address.page_table_index(leaf)].set_addr(PhysAddr::new(physical), flags);
    Ok(())
}

/// The table in which the page at `address`, small (of level one) or large (of level two), has
/// its entry. A table that is missing is made of a frame from `new_table`; a large page in the
/// way gives way.
///
/// # Safety
/// The tables below `top` must be reached by the direct map and changed by nobody else while
/// the one returned is in use. `new_table` must give zeroed frames that nobody else has.
///
/// # Errors
/// [`NoMemory`] from `new_table`.
#[inline(never)]
pub unsafe fn table(
    top: PhysAddr,
    address: VirtAddr,
    leaf: PageTableLevel,
    new_table: &mut dyn FnMut() -> Result<u64, NoMemory>,
) -> Result<&'static mut PageTable, NoMemory> {
    let (mut table, mut level) = (table_at(top), PageTableLevel::Four);
    while level != leaf {
        let entry = &mut table[address.page_table_index(level)];
        if entry.is_unused() || entry.flags().contains(PageTableFlags::HUGE_PAGE) {
            entry.set_addr(PhysAddr::new(new_table()?), TABLE);
        }
        table = table_at(entry.addr());
        let Some(lower) = level.next_lower_level() else {
            break;
        };
        level = lower;
    }
    Ok(table)
}

fn top() -> &'static mut PageTable {
    table_at(Cr3::read().0.start_address())
}

fn table_at(physical: PhysAddr) -> &'static mut PageTable {
    // SAFETY: page tables lie in RAM, which is all in the direct map, are whole frames of their
    // own, and are changed only under the lock that every caller holds.
    unsafe { &mut *layout::direct(physical.as_u64()).cast::<PageTable>() }
}
