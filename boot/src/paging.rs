//! The first page tables that last: no page is both writable and executable.
//!
//! Owns: mapping the image by its sections and all RAM. Leaves to others: what is mapped later
//! (`norma_kernel::arch::paging`). RAM is mapped in large pages and never executable; where it
//! is the image's read-only part it is not writable there either.

use norma_kernel::arch::layout::{self, DIRECT_MAP, IMAGE};
use norma_kernel::arch::paging::{DATA, LARGE_PAGE, PAGE, table};
use norma_kernel::memory::{NoMemory, Region};
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::page_table::PageTableLevel;
use x86_64::structures::paging::{PageTable, PageTableFlags, PhysFrame};
use x86_64::{PhysAddr, VirtAddr};

unsafe extern "C" {
    static __image_start: u8;
    static __text_end: u8;
    static __rodata_end: u8;
    static __image_end: u8;
}

const READ_ONLY: PageTableFlags = PageTableFlags::PRESENT
    .union(PageTableFlags::GLOBAL)
    .union(PageTableFlags::NO_EXECUTE);
const NOTHING: PageTableFlags = PageTableFlags::empty();
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

    /// The physical address of a zeroed frame.
    fn table(&mut self) -> Result<u64, NoMemory> {
        let table = self.take(PAGE)?;
        // SAFETY: the frame is free RAM that the provisional tables map, and now it is ours.
        unsafe { layout::direct(table).write_bytes(0, PAGE as usize) };
        Ok(table)
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
    let mut tables = Tables {
        top: PhysAddr::new(bump.table()?),
        bump,
    };
    for region in ram {
        tables.map_ram(region.grow_to(LARGE_PAGE))?;
    }
    tables.map_image()?;
    let top = PhysFrame::containing_address(tables.top);
    // SAFETY: the tables map all that is in use: the image, its stack, and RAM.
    unsafe { Cr3::write(top, Cr3Flags::empty()) };
    Ok(())
}

/// The tables while they are made.
struct Tables<'a> {
    top: PhysAddr,
    bump: &'a mut Bump,
}

impl Tables<'_> {
    fn map_ram(&mut self, region: Region) -> Result<(), NoMemory> {
        for page in (region.start..region.end).step_by(LARGE_PAGE as usize) {
            let flags = DATA | PageTableFlags::HUGE_PAGE;
            self.map(DIRECT_MAP + page, PageTableLevel::Two, page, flags)?;
        }
        Ok(())
    }

    /// Maps the image where it runs, and maps the large pages that it lies in anew, page by page.
    fn map_image(&mut self) -> Result<(), NoMemory> {
        let image = image();
        let text_end = &raw const __text_end as u64 - IMAGE;
        let rodata_end = &raw const __rodata_end as u64 - IMAGE;
        let part = |start, end| Region { start, end };
        self.map_pages(IMAGE, part(image.start, text_end), CODE)?;
        self.map_pages(IMAGE, part(text_end, rodata_end), READ_ONLY)?;
        self.map_pages(IMAGE, part(rodata_end, image.end), DATA)?;
        for stack in layout::image_stacks() {
            // The guard. There is a table for it: its neighbours are mapped.
            self.map(stack.start - PAGE, PageTableLevel::One, 0, NOTHING)?;
        }
        self.map_pages(DIRECT_MAP, image.grow_to(LARGE_PAGE), DATA)?;
        self.map_pages(DIRECT_MAP, part(image.start, rodata_end), READ_ONLY)
    }

    /// Maps memory page by page, each `offset` above where it lies: a multiple of a large page.
    #[inline(never)]
    fn map_pages(
        &mut self,
        offset: u64,
        region: Region,
        flags: PageTableFlags,
    ) -> Result<(), NoMemory> {
        let mut page = region.start;
        while page < region.end {
            let first = VirtAddr::new(offset + page);
            let table = self.table(first, PageTableLevel::One)?;
            let end = region.end.min((page + PAGE).next_multiple_of(LARGE_PAGE));
            let entries = table.iter_mut().skip(usize::from(first.p1_index()));
            for (entry, page) in entries.zip((page..end).step_by(PAGE as usize)) {
                entry.set_addr(PhysAddr::new(page), flags);
            }
            page = end;
        }
        Ok(())
    }

    fn map(
        &mut self,
        address: u64,
        leaf: PageTableLevel,
        physical: u64,
        flags: PageTableFlags,
    ) -> Result<(), NoMemory> {
        let address = VirtAddr::new(address);
        let table = self.table(address, leaf)?;
        table[address.page_table_index(leaf)].set_addr(PhysAddr::new(physical), flags);
        Ok(())
    }

    fn table(
        &mut self,
        address: VirtAddr,
        leaf: PageTableLevel,
    ) -> Result<&'static mut PageTable, NoMemory> {
        let mut new_table = || self.bump.table();
        // SAFETY: nobody else knows of these tables yet, and all of them are made by `table`.
        unsafe { table(self.top, address, leaf, &mut new_table) }
    }
}
