//! The first page tables that last: no page is both writable and executable.
//!
//! Owns: mapping the image by its sections and all RAM. Leaves to others: what is mapped later
//! (`norma_kernel::arch::paging`). RAM is mapped in large pages and never executable; where it
//! is the image's read-only part it is not writable there either.

use norma_kernel::arch::layout::{self, DIRECT_MAP, IMAGE, physical};
use norma_kernel::arch::paging::{DATA, LARGE_PAGE, PAGE, TABLE};
use norma_kernel::memory::{NoMemory, Region};
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::{PageTable, PageTableFlags, PageTableIndex, PhysFrame};
use x86_64::{PhysAddr, VirtAddr};

unsafe extern "C" {
    static __image_start: u8;
    static __text_start: u8;
    static __text_end: u8;
    static __rodata_start: u8;
    static __rodata_end: u8;
    static __data_start: u8;
    static __data_end: u8;
    static __image_end: u8;
}

const READ_ONLY: PageTableFlags = PageTableFlags::PRESENT
    .union(PageTableFlags::GLOBAL)
    .union(PageTableFlags::NO_EXECUTE);
const CODE: PageTableFlags = PageTableFlags::PRESENT.union(PageTableFlags::GLOBAL);

/// The physical memory that the image lies in, its stacks and their guards included.
pub fn image() -> Region {
    Region {
        start: &raw const __image_start as u64 - IMAGE,
        end: &raw const __image_end as u64 - IMAGE,
    }
}

/// Takes frames one after the other from a region that is known to be free.
pub struct Bump {
    /// What is left of the region.
    pub rest: Region,
}

impl Bump {
    /// The physical address of `bytes` bytes, rounded up to whole frames.
    ///
    /// # Errors
    /// [`NoMemory`] if the region is used up.
    pub fn take(&mut self, bytes: u64) -> Result<u64, NoMemory> {
        let start = self.rest.start;
        let end = start
            .checked_add(bytes)
            .ok_or(NoMemory)?
            .next_multiple_of(PAGE);
        if end > self.rest.end {
            return Err(NoMemory);
        }
        self.rest.start = end;
        Ok(start)
    }

    fn table(&mut self) -> Result<&'static mut PageTable, NoMemory> {
        let pointer = layout::direct(self.take(PAGE)?).cast::<PageTable>();
        // SAFETY: the frame is free RAM that the provisional tables map, and now it is ours.
        unsafe {
            pointer.write(PageTable::new());
            Ok(&mut *pointer)
        }
    }
}

/// Makes the tables and has the processor use them.
///
/// # Safety
/// To be called once, with interrupts off, on the provisional tables. `bump` must offer free RAM
/// within the first GiB.
///
/// # Errors
/// [`NoMemory`] if that is not enough.
pub unsafe fn switch(ram: &[Region], bump: &mut Bump) -> Result<(), NoMemory> {
    let top = bump.table()?;
    for region in ram {
        map_ram(top, region.grow_to(LARGE_PAGE), bump)?;
    }
    map_image(top, bump)?;
    let frame = PhysFrame::containing_address(PhysAddr::new(address(top)));
    // SAFETY: the tables map all that is in use: the image, its stack, and RAM.
    unsafe { Cr3::write(frame, Cr3Flags::empty()) };
    Ok(())
}

fn map_ram(top: &mut PageTable, region: Region, bump: &mut Bump) -> Result<(), NoMemory> {
    for page in (region.start..region.end).step_by(LARGE_PAGE as usize) {
        let virtual_address = VirtAddr::new(DIRECT_MAP + page);
        let table = descend(top, virtual_address.p4_index(), bump)?;
        let table = descend(table, virtual_address.p3_index(), bump)?;
        let flags = DATA | PageTableFlags::HUGE_PAGE;
        table[virtual_address.p2_index()].set_addr(PhysAddr::new(page), flags);
    }
    Ok(())
}

/// Maps the image where it runs, and maps the large pages that it lies in anew, page by page.
fn map_image(top: &mut PageTable, bump: &mut Bump) -> Result<(), NoMemory> {
    let region = image().grow_to(LARGE_PAGE);
    for page in (region.start..region.end).step_by(PAGE as usize) {
        let flags = flags_at(IMAGE + page);
        let direct = match flags {
            Some(CODE | READ_ONLY) => READ_ONLY,
            _ => DATA,
        };
        map(top, DIRECT_MAP + page, page, direct, bump)?;
        if let Some(flags) = flags {
            map(top, IMAGE + page, page, flags, bump)?;
        }
    }
    Ok(())
}

/// The rights of a page of the image; none for the guards of stacks and what is outside.
fn flags_at(address: u64) -> Option<PageTableFlags> {
    let [boot, fault, nmi] = layout::image_stacks();
    let section = |start: *const u8, end: *const u8| start as u64..end as u64;
    let parts = [
        (
            section(&raw const __text_start, &raw const __text_end),
            CODE,
        ),
        (
            section(&raw const __rodata_start, &raw const __rodata_end),
            READ_ONLY,
        ),
        (
            section(&raw const __data_start, &raw const __data_end),
            DATA,
        ),
        (boot, DATA),
        (fault, DATA),
        (nmi, DATA),
    ];
    let (_, flags) = parts.iter().find(|(part, _)| part.contains(&address))?;
    Some(*flags)
}

fn map(
    top: &mut PageTable,
    virtual_address: u64,
    physical: u64,
    flags: PageTableFlags,
    bump: &mut Bump,
) -> Result<(), NoMemory> {
    let virtual_address = VirtAddr::new(virtual_address);
    let table = descend(top, virtual_address.p4_index(), bump)?;
    let table = descend(table, virtual_address.p3_index(), bump)?;
    let entry = &mut table[virtual_address.p2_index()];
    if entry.flags().contains(PageTableFlags::HUGE_PAGE) {
        // A large page of RAM gives way to small ones.
        entry.set_unused();
    }
    let table = descend(table, virtual_address.p2_index(), bump)?;
    table[virtual_address.p1_index()].set_addr(PhysAddr::new(physical), flags);
    Ok(())
}

fn descend<'a>(
    table: &'a mut PageTable,
    index: PageTableIndex,
    bump: &mut Bump,
) -> Result<&'a mut PageTable, NoMemory> {
    let entry = &mut table[index];
    if entry.is_unused() {
        let next = bump.table()?;
        entry.set_addr(PhysAddr::new(address(next)), TABLE);
    }
    let next = layout::direct(entry.addr().as_u64()).cast::<PageTable>();
    // SAFETY: an entry of these tables leads to a table made by `Bump::table`, which nobody
    // else refers to; the borrow of the upper table is not used any more.
    Ok(unsafe { &mut *next })
}

fn address(table: &PageTable) -> u64 {
    physical((&raw const *table).cast())
}
