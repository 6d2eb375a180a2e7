//! The page tables of a task: its half of the address space.
//!
//! Owns: every frame that is mapped there, and the tables themselves. Leaves to others: which
//! pages there are to be ([`super::memory`]). The other half is the kernel's: its entries in the
//! top table are the same in all tasks, and complete before the first is made.
//! An entry of a page holds its frame as a [`Frame`] value would; a page that is shared with a
//! message is not writable, and [`COPY`] says that it is to be copied when somebody writes.
//! Source: Intel SDM volume 3, chapter 4.

use crate::arch::layout::{self, direct};
use crate::arch::paging;
use crate::limits::PHYSICAL_LIMIT;
use crate::memory::{Frame, NoMemory};
use crate::task::elf::Rights;
use core::cell::Cell;
use x86_64::PhysAddr;
use x86_64::VirtAddr;
use x86_64::instructions::tlb;
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::PhysFrame;
use x86_64::structures::paging::page_table::PageTableLevel;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
/// Ours: the page may be written to, once it is nobody else's.
const COPY: u64 = 1 << 9;
const NO_EXECUTE: u64 = 1 << 63;
/// Where in an entry the frame stands.
const FRAME: u64 = 0x000f_ffff_ffff_f000;

const ENTRIES: usize = 512;

/// What the processor has in use: the physical address of a top table.
struct InUse {
    now: Cell<u64>,
    /// The kernel's own.
    kernel: Cell<u64>,
}

// SAFETY: used with interrupts off, by the one processor.
unsafe impl Sync for InUse {}

static IN_USE: InUse = InUse {
    now: Cell::new(0),
    kernel: Cell::new(0),
};

/// Makes the kernel's half complete, so that all tasks have the same. Once, before the first;
/// interrupts must be off.
pub(super) fn prepare() -> Result<(), NoMemory> {
    let top = Cr3::read().0.start_address();
    IN_USE.now.set(top.as_u64());
    IN_USE.kernel.set(top.as_u64());
    let half_a_limit = PHYSICAL_LIMIT / 2;
    let regions = [
        layout::DEVICES,
        layout::DEVICES + half_a_limit,
        layout::STACKS,
        layout::HEAP,
    ];
    for region in regions {
        let mut new_table = || Ok(Frame::allocate_zeroed().ok_or(NoMemory)?.into_physical());
        // SAFETY: these are the tables in use; interrupts are off, so nobody changes them, and
        // nothing is done to the table that is found.
        unsafe {
            paging::table(
                top,
                VirtAddr::new(region),
                PageTableLevel::Three,
                &mut new_table,
            )
        }?;
    }
    Ok(())
}

/// The page tables of one task.
#[derive(Debug)]
pub(super) struct Tables {
    top: u64,
    /// Of which 2 MiB a lowest table was found last, and the table. It stays right: tables are
    /// not given up before all are.
    found: Cell<(u64, u64)>,
}

impl Tables {
    /// Tables with nothing in the lower half.
    pub(super) fn new() -> Result<Self, NoMemory> {
        let top = Frame::allocate_zeroed().ok_or(NoMemory)?.into_physical();
        for index in ENTRIES / 2..ENTRIES {
            // SAFETY: both tables are whole frames in the direct map, and the index is within.
            unsafe { *entry(top, index) = *entry(IN_USE.kernel.get(), index) };
        }
        Ok(Self {
            top,
            found: Cell::new((u64::MAX, 0)),
        })
    }

    /// Has the processor use these tables. Interrupts must be off.
    #[inline(always)]
    pub(super) fn switch_to(&self) {
        if IN_USE.now.get() != self.top {
            load(self.top);
        }
    }

    /// The entry of a page in the lowest table, if there is such a table.
    #[inline(always)]
    fn find(&self, address: u64) -> Option<*mut u64> {
        let (region, table) = self.found.get();
        if region == address >> 21 {
            return Some(entry(table, index(address, 0)));
        }
        self.walk(address)
    }

    #[inline(never)]
    fn walk(&self, address: u64) -> Option<*mut u64> {
        let mut table = self.top;
        for level in (1..4).rev() {
            // SAFETY: a table of ours, and the index is within.
            let next = unsafe { *entry(table, index(address, level)) };
            if next & PRESENT == 0 {
                return None;
            }
            table = next & FRAME;
        }
        self.found.set((address >> 21, table));
        Some(entry(table, index(address, 0)))
    }

    /// The same, with tables made as they are needed; `made` counts them.
    fn find_or_make(&self, address: u64, made: &mut u32) -> Result<*mut u64, NoMemory> {
        let mut table = self.top;
        for level in (1..4).rev() {
            let place = entry(table, index(address, level));
            // SAFETY: a table of ours, and the index is within.
            unsafe {
                if *place & PRESENT == 0 {
                    let frame = Frame::allocate_zeroed().ok_or(NoMemory)?;
                    *place = frame.into_physical() | PRESENT | WRITABLE | USER;
                    *made += 1;
                }
                table = *place & FRAME;
            }
        }
        Ok(entry(table, index(address, 0)))
    }

    /// Makes the tables for a row of pages, so that [`Tables::map`] cannot fail there. Returns
    /// how many were made.
    pub(super) fn reserve(&self, address: u64, pages: u64) -> (u32, Result<(), NoMemory>) {
        let mut made = 0;
        // A step per lowest table: each serves 2 MiB.
        let (mut page, end) = (address >> 12, (address >> 12) + pages);
        while page < end {
            if let Err(error) = self.find_or_make(page << 12, &mut made) {
                return (made, Err(error));
            }
            page = (page | (ENTRIES as u64 - 1)) + 1;
        }
        (made, Ok(()))
    }

    /// Maps a page for which there is a table. A frame that somebody else holds too is copied
    /// when it is first written to. Gives the frame back if there is no table, or if something
    /// is mapped there.
    pub(super) fn map(&self, address: u64, frame: Frame, rights: Rights) -> Result<(), Frame> {
        let Some(place) = self.find(address) else {
            return Err(frame);
        };
        let shared = !frame.is_only_holder();
        // SAFETY: an entry of ours; nothing that is not present is in the processor's cache.
        unsafe {
            if *place & PRESENT != 0 {
                return Err(frame);
            }
            let flags = match rights {
                Rights::Read => NO_EXECUTE,
                Rights::Write if shared => NO_EXECUTE | COPY,
                Rights::Write | Rights::Shared => NO_EXECUTE | WRITABLE,
                Rights::Execute => 0,
            };
            *place = frame.into_physical() | PRESENT | USER | flags;
        }
        Ok(())
    }

    /// Takes a page out.
    pub(super) fn unmap(&self, address: u64) -> Option<Frame> {
        let place = self.find(address)?;
        // SAFETY: an entry of ours, which holds its frame; it does so no more.
        let frame = unsafe {
            let held = held(*place)?;
            *place = 0;
            held
        };
        self.forget(address);
        Some(frame)
    }

    /// One more holder of a page's frame; the task gets a copy when it writes.
    pub(super) fn share(&self, address: u64) -> Option<Frame> {
        let place = self.find(address)?;
        // SAFETY: an entry of ours; the value that stands for it is not dropped.
        let shared = unsafe {
            let frame = core::mem::ManuallyDrop::new(held(*place)?);
            if *place & WRITABLE != 0 {
                *place = *place & !WRITABLE | COPY;
            }
            norma_ipc::Page::share(&*frame)
        };
        self.forget(address);
        Some(shared)
    }

    /// One more holder of a page's frame, of which the task goes on to use it as it may.
    pub(super) fn lend(&self, address: u64) -> Option<Frame> {
        let place = self.find(address)?;
        // SAFETY: an entry of ours; the value that stands for it is not dropped.
        unsafe {
            if *place & USER == 0 {
                return None;
            }
            let frame = core::mem::ManuallyDrop::new(held(*place)?);
            Some(norma_ipc::Page::share(&*frame))
        }
    }

    /// Makes a page that is to be copied writable. Whether it is one.
    pub(super) fn resolve(&self, address: u64) -> Result<bool, NoMemory> {
        let Some(place) = self.find(address) else {
            return Ok(false);
        };
        // SAFETY: an entry of ours; its frame is held by exactly one value or the entry.
        unsafe {
            if *place & (PRESENT | COPY) != PRESENT | COPY {
                return Ok(false);
            }
            let old = held(*place).ok_or(NoMemory)?;
            let frame = match own_copy(&old) {
                Ok(Some(copy)) => copy,
                Ok(None) => old,
                Err(error) => {
                    // The entry holds it still.
                    core::mem::forget(old);
                    return Err(error);
                }
            };
            *place = frame.into_physical() | PRESENT | USER | WRITABLE | NO_EXECUTE;
        }
        self.forget(address);
        Ok(true)
    }

    /// Where the kernel sees the byte at `address`, if the program can read it there.
    #[inline(always)]
    pub(super) fn readable(&self, address: u64) -> Option<*const u8> {
        self.seen(address, PRESENT | USER)
            .map(<*mut u8>::cast_const)
    }

    /// The same if it can write it, without a copy.
    #[inline]
    pub(super) fn writable(&self, address: u64) -> Option<*mut u8> {
        self.seen(address, PRESENT | USER | WRITABLE)
    }

    #[inline(always)]
    fn seen(&self, address: u64, wanted: u64) -> Option<*mut u8> {
        let place = self.find(address)?;
        // SAFETY: an entry of ours.
        let found = unsafe { *place };
        (found & wanted == wanted).then(|| direct((found & FRAME) + address % 4096))
    }

    /// The processor may have kept what is not so any more.
    fn forget(&self, address: u64) {
        if IN_USE.now.get() == self.top {
            tlb::flush(VirtAddr::new(address));
        }
    }
}

/// A copy of a frame that others hold too; `None` if nobody does.
fn own_copy(frame: &Frame) -> Result<Option<Frame>, NoMemory> {
    if frame.is_only_holder() {
        return Ok(None);
    }
    let mut copy = Frame::allocate().ok_or(NoMemory)?;
    let bytes = norma_ipc::Page::bytes_mut(&mut copy).ok_or(NoMemory)?;
    bytes.copy_from_slice(norma_ipc::Page::bytes(frame));
    Ok(Some(copy))
}

impl Drop for Tables {
    fn drop(&mut self) {
        if IN_USE.now.get() == self.top {
            load(IN_USE.kernel.get());
        }
        // SAFETY: the processor does not use them any more, and nobody else has them.
        unsafe { give_up(self.top, 3, ENTRIES / 2) };
    }
}

/// Frees a table of that level, and all below it in its first `entries` entries.
///
/// # Safety
/// It must be in use by nobody.
unsafe fn give_up(table: u64, level: u32, entries: usize) {
    for index in 0..entries {
        // SAFETY: the index is within the table.
        let below = unsafe { *entry(table, index) };
        if below & PRESENT == 0 {
            continue;
        }
        if level == 0 {
            // SAFETY: the entry held it.
            drop(unsafe { held(below) });
        } else {
            // SAFETY: as for this table.
            unsafe { give_up(below & FRAME, level - 1, ENTRIES) };
        }
    }
    // SAFETY: made by `allocate_zeroed`, which gave its holder up.
    drop(unsafe { Frame::from_physical(table) });
}

/// The holder in an entry.
///
/// # Safety
/// The entry must give it up, or the value must not be dropped.
unsafe fn held(entry: u64) -> Option<Frame> {
    if entry & PRESENT == 0 {
        return None;
    }
    // SAFETY: an entry that is present holds its frame, by `map`.
    unsafe { Frame::from_physical(entry & FRAME) }
}

fn load(top: u64) {
    IN_USE.now.set(top);
    // SAFETY: the kernel's half is the same in all tables, so that nothing that runs loses what
    // it stands on.
    unsafe {
        Cr3::write(
            PhysFrame::containing_address(PhysAddr::new(top)),
            Cr3Flags::empty(),
        )
    };
}

#[inline(always)]
fn index(address: u64, level: u32) -> usize {
    (address >> (12 + 9 * level)) as usize % ENTRIES
}

/// An entry of a table, both of which are in the direct map.
#[inline(always)]
fn entry(table: u64, index: usize) -> *mut u64 {
    direct(table).cast::<u64>().wrapping_add(index)
}
