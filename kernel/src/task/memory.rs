//! A task's memory: what it has, what it asks for, and how the kernel reads and writes it.
//!
//! Owns: regions, the quota, and copies between the kernel and a program. The kernel never
//! follows an address of a program's: it walks the program's tables page by page, as the
//! processor would, and copies by its own map of RAM. So no address can lead anywhere but to a
//! page that the program could use itself, no copy can fault, and SMAP is never lifted.
//! Everything here is done with interrupts off, so that no other thread of the task comes
//! between the look at an entry and the copy.

use crate::limits::{TASK_REGIONS, TASK_RESERVE};
use crate::memory::{FRAME, Frame, Frames, NoMemory, free_frames};
use crate::task::elf::{Program, Rights, Segment};
use crate::task::regions::{Region, Regions};
use crate::task::tables::Tables;
use core::ptr::NonNull;
use norma_abi::{Code, HIGHEST, MAPPINGS};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Memory in a message.
type Sent = norma_ipc::Memory<Frame>;

const PAGE: u64 = FRAME as u64;

/// The memory of one task.
#[derive(Debug)]
pub(super) struct Memory {
    tables: Tables,
    regions: Regions,
    /// Pages in use, tables included, and how many there may be.
    used: u32,
    quota: u32,
}

/// The address of something whole pages long.
#[derive(Clone, Copy)]
pub(super) struct Pages {
    first: u64,
    count: u64,
}

impl Pages {
    /// The pages of `length` bytes from `address` on, which must begin with a page.
    pub(super) fn of(address: u64, length: u64) -> Option<Self> {
        let whole = address.is_multiple_of(PAGE) && length > 0;
        let end = address.checked_add(length)?;
        (whole && end <= HIGHEST).then_some(Self {
            first: address / PAGE,
            count: length.div_ceil(PAGE),
        })
    }

    fn addresses(self) -> impl Iterator<Item = u64> {
        (self.first..self.first + self.count).map(|page| page * PAGE)
    }
}

impl Memory {
    /// Nothing yet, and at most `quota` pages.
    pub(super) fn new(quota: u32) -> Result<Self, NoMemory> {
        Ok(Self {
            tables: Tables::new()?,
            regions: Regions::new(TASK_REGIONS),
            used: 1,
            quota,
        })
    }

    /// Has the processor see this memory. Interrupts must be off.
    #[inline(always)]
    pub(super) fn switch_to(&self) {
        self.tables.switch_to();
    }

    /// Whether as many pages more are within the quota, and leave the kernel enough.
    fn afford(&self, pages: u64) -> Result<(), NoMemory> {
        let within = u64::from(self.used) + pages <= u64::from(self.quota);
        let enough = free_frames() as u64 >= pages + TASK_RESERVE as u64;
        (within && enough).then_some(()).ok_or(NoMemory)
    }

    /// Makes the tables of a row of pages.
    fn reserve(&mut self, pages: Pages) -> Result<(), NoMemory> {
        let (made, reserved) = self.tables.reserve(pages.first * PAGE, pages.count);
        self.used += made;
        reserved
    }

    /// Loads a program.
    pub(super) fn load(&mut self, program: &Program<'_>) -> Result<(), NoMemory> {
        program
            .segments
            .iter()
            .try_for_each(|segment| self.load_segment(segment))
    }

    fn load_segment(&mut self, segment: &Segment<'_>) -> Result<(), NoMemory> {
        let pages = Pages {
            first: segment.first_page(),
            count: segment.pages(),
        };
        self.fill(pages, segment.rights, |address, page| {
            let (at, skipped) = match address.checked_sub(segment.address) {
                Some(offset) => (offset as usize, 0),
                None => (0, (segment.address - address) as usize),
            };
            let bytes = segment.bytes.get(at..).unwrap_or_default();
            let place = &mut page[skipped..];
            let count = bytes.len().min(place.len());
            place[..count].copy_from_slice(&bytes[..count]);
        })
    }

    /// Maps zeroed pages, filled by `fill`, where nothing is.
    fn fill(
        &mut self,
        pages: Pages,
        rights: Rights,
        fill: impl Fn(u64, &mut [u8; FRAME]),
    ) -> Result<(), NoMemory> {
        self.afford(pages.count)?;
        self.reserve(pages)?;
        self.regions.insert(Region {
            first: pages.first,
            pages: pages.count,
            rights,
        })?;
        for address in pages.addresses() {
            let frame = Frame::allocate_zeroed().and_then(|mut frame| {
                fill(address, norma_ipc::Page::bytes_mut(&mut frame)?);
                self.tables.map(address, frame, rights).ok()
            });
            if frame.is_none() {
                self.remove(pages);
                return Err(NoMemory);
            }
            self.used += 1;
        }
        Ok(())
    }

    /// Maps zeroed memory of whole pages; where.
    pub(super) fn map(&mut self, length: u64) -> Result<u64, NoMemory> {
        let pages = self.place(length)?;
        self.fill(pages, Rights::Write, |_, _| {})?;
        Ok(pages.first * PAGE)
    }

    /// Where `length` bytes can go.
    fn place(&self, length: u64) -> Result<Pages, NoMemory> {
        let count = length.div_ceil(PAGE);
        let (lowest, end) = (MAPPINGS / PAGE, HIGHEST / PAGE);
        let first = self.regions.find(lowest, end, count).ok_or(NoMemory)?;
        Ok(Pages { first, count })
    }

    /// Gives pages up. They must all be of one region.
    pub(super) fn unmap(&mut self, pages: Pages) -> Result<(), Code> {
        self.take_out(pages)?;
        self.remove_pages(pages);
        Ok(())
    }

    /// Takes pages out of the region that has them; the pages themselves stay.
    fn take_out(&mut self, pages: Pages) -> Result<(), Code> {
        self.regions
            .covering(pages.first, pages.count)
            .ok_or(Code::BadAddress)?;
        self.regions.reserve().map_err(|_| Code::NoMemory)?;
        match self.regions.remove(pages.first, pages.count) {
            true => Ok(()),
            false => Err(Code::NoMemory),
        }
    }

    fn remove(&mut self, pages: Pages) {
        self.regions.remove(pages.first, pages.count);
        self.remove_pages(pages);
    }

    fn remove_pages(&mut self, pages: Pages) {
        for address in pages.addresses() {
            if self.tables.unmap(address).is_some() {
                self.used -= 1;
            }
        }
    }

    /// Moves whole pages of one writable region out, for a message.
    pub(super) fn take(&mut self, address: u64, length: u64) -> Result<Sent, Code> {
        let (pages, mut taken) = self.list_of(address, length)?;
        self.take_out(pages)?;
        let mut left = length as usize;
        for address in pages.addresses() {
            if let Some(frame) = self.tables.unmap(address) {
                self.used -= 1;
                let used = left.min(FRAME);
                left -= used;
                // There is room.
                let _ = taken.push(frame, used);
            }
        }
        Ok(taken)
    }

    /// Shares pages of one region with a message: who writes first gets a copy.
    pub(super) fn share(&mut self, address: u64, length: u64) -> Result<Sent, Code> {
        let (pages, mut shared) = self.list_of(address, length)?;
        let mut left = length as usize;
        for address in pages.addresses() {
            if let Some(frame) = self.tables.share(address) {
                let used = left.min(FRAME);
                left -= used;
                // There is room.
                let _ = shared.push(frame, used);
            }
        }
        // What lies behind is the sender's own business.
        shared
            .clear_padding(&mut Frames)
            .map_err(|_| Code::NoMemory)?;
        Ok(shared)
    }

    /// One more holder of a page that the program can read, for a device to read from it too. The
    /// program keeps it as it is.
    pub(super) fn lend_page(&self, address: u64) -> Option<Frame> {
        let own = address <= HIGHEST - PAGE && address.is_multiple_of(PAGE);
        own.then(|| self.tables.lend(address))?
    }

    fn list_of(&mut self, address: u64, length: u64) -> Result<(Pages, Sent), Code> {
        let pages = Pages::of(address, length).ok_or(Code::BadAddress)?;
        let region = self.regions.covering(pages.first, pages.count);
        region
            .filter(|region| region.rights == Rights::Write)
            .ok_or(Code::BadAddress)?;
        let mut list = Sent::new();
        list.reserve(pages.count as usize)
            .map_err(|_| Code::NoMemory)?;
        Ok((pages, list))
    }

    /// Maps the memory of a message; where. If that fails the message keeps it.
    pub(super) fn give(&mut self, memory: &mut Sent) -> Result<u64, NoMemory> {
        let pages = self.place(memory.len() as u64)?;
        self.give_at(pages, memory)
    }

    /// Maps pages that the kernel uses too; where.
    pub(super) fn give_shared(&mut self, frames: &[Frame]) -> Result<u64, NoMemory> {
        let pages = self.place((frames.len() * FRAME) as u64)?;
        self.afford(pages.count)?;
        self.reserve(pages)?;
        self.regions.insert(Region {
            first: pages.first,
            pages: pages.count,
            rights: Rights::Shared,
        })?;
        for (address, frame) in pages.addresses().zip(frames) {
            // There is a table, and nothing was there.
            let frame = norma_ipc::Page::share(frame);
            if self.tables.map(address, frame, Rights::Shared).is_ok() {
                self.used += 1;
            }
        }
        Ok(pages.first * PAGE)
    }

    /// Puts back what [`Memory::take`] took.
    pub(super) fn put_back(&mut self, address: u64, memory: &mut Sent) -> Result<(), NoMemory> {
        let pages = Pages::of(address, memory.len() as u64).ok_or(NoMemory)?;
        self.give_at(pages, memory).map(drop)
    }

    fn give_at(&mut self, pages: Pages, memory: &mut Sent) -> Result<u64, NoMemory> {
        // All that can fail comes first. What is behind the end came from elsewhere.
        self.afford(pages.count)?;
        self.reserve(pages)?;
        memory.clear_padding(&mut Frames).map_err(|_| NoMemory)?;
        self.regions.insert(Region {
            first: pages.first,
            pages: pages.count,
            rights: Rights::Write,
        })?;
        let frames = core::mem::take(memory).into_pages();
        for (address, frame) in pages.addresses().zip(frames) {
            // There is a table, and nothing was there.
            if self.tables.map(address, frame, Rights::Write).is_ok() {
                self.used += 1;
            }
        }
        Ok(pages.first * PAGE)
    }

    /// Whether a write to `address` may be tried again: the page was to be copied, and is now.
    pub(super) fn resolve(&self, address: u64) -> Result<bool, NoMemory> {
        if free_frames() < TASK_RESERVE / 2 {
            return Err(NoMemory);
        }
        self.tables.resolve(address)
    }

    /// Copies bytes out of the program's memory.
    #[inline]
    pub(super) fn read(&self, address: u64, mut out: &mut [u8]) -> Result<(), Code> {
        check(address, out.len())?;
        let mut at = address;
        while !out.is_empty() {
            let from = self.tables.readable(at).ok_or(Code::BadAddress)?;
            let count = out.len().min((PAGE - at % PAGE) as usize);
            let (now, later) = out.split_at_mut(count);
            // SAFETY: so many bytes are left in the page, which is RAM that stays mapped while
            // interrupts are off. Whatever the program does to it is bytes.
            unsafe { from.copy_to_nonoverlapping(now.as_mut_ptr(), count) };
            (at, out) = (at + count as u64, later);
        }
        Ok(())
    }

    /// The same, a page at most at a time.
    #[inline]
    pub(super) fn read_chunks(
        &self,
        address: u64,
        length: usize,
        mut take: impl FnMut(&[u8]) -> Result<(), Code>,
    ) -> Result<(), Code> {
        check(address, length)?;
        let (mut at, end) = (address, address + length as u64);
        while at < end {
            let from = self.tables.readable(at).ok_or(Code::BadAddress)?;
            let count = (end - at).min(PAGE - at % PAGE);
            // SAFETY: as above; the program does not run meanwhile, so that the bytes stay.
            take(unsafe { core::slice::from_raw_parts(from, count as usize) })?;
            at += count;
        }
        Ok(())
    }

    /// Copies bytes into the program's memory. When it fails some may have been written.
    #[inline]
    pub(super) fn write(&self, address: u64, mut bytes: &[u8]) -> Result<(), Code> {
        check(address, bytes.len())?;
        let mut at = address;
        while !bytes.is_empty() {
            let to = self.place_to_write(at)?;
            let count = bytes.len().min((PAGE - at % PAGE) as usize);
            let (now, later) = bytes.split_at(count);
            // SAFETY: as in `read`; and nobody else holds the frame, for it is writable.
            unsafe { to.copy_from_nonoverlapping(now.as_ptr(), count) };
            (at, bytes) = (at + count as u64, later);
        }
        Ok(())
    }

    /// Whether [`Memory::write`] of so many bytes will succeed.
    #[inline]
    pub(super) fn check_writable(&self, address: u64, length: usize) -> Result<(), Code> {
        check(address, length)?;
        let (mut at, end) = (address, address + length as u64);
        while at < end {
            self.place_to_write(at)?;
            at = (at | (PAGE - 1)) + 1;
        }
        Ok(())
    }

    #[inline]
    fn place_to_write(&self, address: u64) -> Result<*mut u8, Code> {
        match self.tables.writable(address) {
            Some(place) => Ok(place),
            None => self.place_to_copy(address),
        }
    }

    #[cold]
    fn place_to_copy(&self, address: u64) -> Result<*mut u8, Code> {
        match self.resolve(address) {
            Ok(true) => self.tables.writable(address).ok_or(Code::BadAddress),
            Ok(false) => Err(Code::BadAddress),
            Err(NoMemory) => Err(Code::NoMemory),
        }
    }

    /// Where the kernel sees a value that lies within a page of the program's. Good until
    /// interrupts are on, or a page is given up. `None` says nothing.
    #[inline(always)]
    pub(super) fn readable_value<T: FromBytes>(&self, address: u64) -> Option<NonNull<T>> {
        let place = within_a_page::<T>(address).then(|| self.tables.readable(address))??;
        NonNull::new(place.cast::<T>().cast_mut())
    }

    /// The same for one that the program may write to.
    #[inline(always)]
    pub(super) fn writable_value<T: IntoBytes>(&self, address: u64) -> Option<NonNull<T>> {
        let place = within_a_page::<T>(address).then(|| self.tables.writable(address))??;
        NonNull::new(place.cast())
    }

    /// A value in the program's memory.
    pub(super) fn read_value<T: FromBytes + IntoBytes>(&self, address: u64) -> Result<T, Code> {
        let mut value = T::new_zeroed();
        self.read(address, value.as_mut_bytes())?;
        Ok(value)
    }

    /// Writes a value there.
    #[inline]
    pub(super) fn write_value<T: IntoBytes + Immutable>(
        &self,
        address: u64,
        value: &T,
    ) -> Result<(), Code> {
        self.write(address, value.as_bytes())
    }
}

/// Whether a value is in the half of programs, aligned as it must be, and not in two pages.
#[inline(always)]
fn within_a_page<T>(address: u64) -> bool {
    let size = size_of::<T>() as u64;
    address <= HIGHEST - PAGE
        && address % PAGE <= PAGE - size
        && address.is_multiple_of(align_of::<T>() as u64)
}

/// Whether all of it is in the half of programs.
#[inline]
fn check(address: u64, length: usize) -> Result<(), Code> {
    match address.checked_add(length as u64) {
        Some(end) if end <= HIGHEST => Ok(()),
        _ => Err(Code::BadAddress),
    }
}
