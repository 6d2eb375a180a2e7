//! Regions of out-of-line memory: rows of pages that move, or are shared until somebody writes.
//!
//! Owns: which pages belong to a region and how many of their bytes count; copying a shared
//! page when one of its holders writes to it, and no other page and never twice. Leaves to
//! others: where pages come from and how holders are counted ([`crate::Page`]).
//! Why pages and not bytes: a page is what a virtual machine's network card fills and what a
//! page table could map, so it is the least that can change hands without a copy. What Mach does
//! with shadow objects (Rashid et al., 1987) a count of holders does here, because a region is
//! never mapped: whoever writes says so.

use alloc::vec::Vec;

use crate::error::NoMemory;
use crate::limits::MAX_MEMORY;
use crate::page::{PAGE_SIZE, Page, PageSource};

/// Pages of the largest region.
const MAX_PAGES: usize = MAX_MEMORY / PAGE_SIZE;

/// A region of out-of-line memory: whole pages, of which the last may be used in part.
#[derive(Debug)]
pub struct Memory<P> {
    pages: Vec<P>,
    length: usize,
}

impl<P> Default for Memory<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> Memory<P> {
    /// No memory.
    pub const fn new() -> Self {
        Memory {
            pages: Vec::new(),
            length: 0,
        }
    }

    /// Bytes in use.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The pages, in order.
    pub fn pages(&self) -> &[P] {
        &self.pages
    }

    /// The pages, for writing in place; how many bytes are in use does not change.
    pub fn pages_mut(&mut self) -> &mut [P] {
        &mut self.pages
    }

    /// Makes room for `pages` more pages, so that as many [`Memory::push`] calls cannot fail.
    ///
    /// # Errors
    /// [`NoMemory`], also for more than [`MAX_MEMORY`] bytes in all; nothing has changed then.
    #[inline]
    pub fn reserve(&mut self, pages: usize) -> Result<(), NoMemory> {
        if pages > MAX_PAGES - self.pages.len() {
            return Err(NoMemory);
        }
        self.pages.try_reserve(pages).map_err(|_| NoMemory)
    }

    /// Appends a page of which the first `used` bytes count (at most [`PAGE_SIZE`]).
    ///
    /// # Errors
    /// Gives the page back when there is no memory for the list, when the page before it is not
    /// full, when `used` exceeds a page, or when there are [`MAX_MEMORY`] bytes already.
    #[inline]
    pub fn push(&mut self, page: P, used: usize) -> Result<(), P> {
        let whole = self.length == self.pages.len() * PAGE_SIZE;
        if used > PAGE_SIZE || !whole || self.reserve(1).is_err() {
            return Err(page);
        }
        self.pages.push(page);
        self.length += used;
        Ok(())
    }

    /// Appends `pages`, of which the first `used` bytes count, and leaves fresh ones in their
    /// places.
    ///
    /// # Errors
    /// [`NoMemory`] when there is none for the list or for all the fresh pages, when the last
    /// page before these is not full, or when the two lengths do not fit. Some pages may have
    /// been taken then.
    pub fn take_over(
        &mut self,
        pages: &mut [P],
        used: usize,
        source: &mut impl PageSource<Page = P>,
    ) -> Result<(), NoMemory> {
        let count = pages.len();
        let whole = self.length == self.pages.len() * PAGE_SIZE;
        if used.div_ceil(PAGE_SIZE) != count || !whole {
            return Err(NoMemory);
        }
        self.reserve(count)?;
        let mut places = pages.iter_mut();
        let taken = &mut self.pages;
        let given = source.allocate_many(count, |fresh| {
            if let Some(place) = places.next() {
                taken.push(core::mem::replace(place, fresh)); // There is room.
            }
        });
        self.length = (self.length + used).min(self.pages.len() * PAGE_SIZE);
        if given == count {
            Ok(())
        } else {
            Err(NoMemory)
        }
    }

    /// Appends another region, which is empty afterwards.
    ///
    /// # Errors
    /// [`NoMemory`] when there is none for the list, or when the last page before is not full.
    pub fn append(&mut self, other: &mut Memory<P>) -> Result<(), NoMemory> {
        if self.length != self.pages.len() * PAGE_SIZE {
            return Err(NoMemory);
        }
        self.reserve(other.pages.len())?;
        self.pages.append(&mut other.pages);
        self.length += core::mem::take(&mut other.length);
        Ok(())
    }

    /// The pages, in order, to map them elsewhere.
    pub fn into_pages(self) -> Vec<P> {
        self.pages
    }

    /// How many pages the list can hold without asking for memory.
    pub fn capacity(&self) -> usize {
        self.pages.capacity()
    }
}

impl<P: Page> Memory<P> {
    /// Drops the pages and keeps the list's capacity, for reuse.
    pub fn clear(&mut self) {
        if !self.pages.is_empty() {
            P::release(&mut self.pages);
        }
        self.length = 0;
    }

    /// The used bytes of page after page.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        let length = self.length;
        self.pages.iter().enumerate().map(move |(index, page)| {
            let used = length.saturating_sub(index * PAGE_SIZE).min(PAGE_SIZE);
            &page.bytes()[..used]
        })
    }

    /// Another region over the same pages. Nothing is copied until one of the two is written to,
    /// and then only the pages that are.
    ///
    /// # Errors
    /// [`NoMemory`] for the list of pages; nothing has changed then.
    pub fn share(&self) -> Result<Self, NoMemory> {
        self.share_part(0, self.length)
    }

    /// As [`Memory::share`], of `length` bytes from the page `first` on.
    ///
    /// # Errors
    /// [`NoMemory`], also for bytes that the region does not have.
    pub fn share_part(&self, first: usize, length: usize) -> Result<Self, NoMemory> {
        let count = self.check_part(first, length)?;
        let mut part = Memory::new();
        part.reserve(count)?;
        let pages = self.pages.iter().skip(first).take(count);
        part.pages.extend(pages.map(P::share));
        part.length = length;
        Ok(part)
    }

    /// As [`Memory::share`], in place of what `target` was: its list of pages is used again, and
    /// nothing is allocated where that is long enough.
    ///
    /// # Errors
    /// [`NoMemory`] for the list of pages; `target` is empty then.
    pub fn share_into(&self, target: &mut Self) -> Result<(), NoMemory> {
        target.clear();
        target.reserve(self.pages.len())?;
        target.pages.extend(self.pages.iter().map(P::share));
        target.length = self.length;
        Ok(())
    }

    /// How many pages `length` bytes from the page `first` on fill, if the region has them.
    fn check_part(&self, first: usize, length: usize) -> Result<usize, NoMemory> {
        let at = first.checked_mul(PAGE_SIZE).ok_or(NoMemory)?;
        let end = at.checked_add(length).ok_or(NoMemory)?;
        if end > self.length {
            return Err(NoMemory);
        }
        Ok(length.div_ceil(PAGE_SIZE))
    }

    /// Moves `length` bytes from the page `first` on out, with their pages; what was behind
    /// moves up. If these bytes end inside a page, whatever else was in that page goes along.
    ///
    /// # Errors
    /// [`NoMemory`], also for bytes that the region does not have; nothing has changed then.
    pub fn take_part(&mut self, first: usize, length: usize) -> Result<Self, NoMemory> {
        let count = self.check_part(first, length)?;
        if count == 0 {
            return Ok(Memory::new());
        }
        let mut part = Memory::new();
        if count == self.pages.len() {
            core::mem::swap(self, &mut part); // The list too: no memory is needed.
        } else {
            part.reserve(count)?;
            part.pages.extend(self.pages.drain(first..first + count));
            self.length = if first == self.pages.len() {
                first * PAGE_SIZE
            } else {
                self.length - count * PAGE_SIZE
            };
        }
        part.length = length;
        Ok(part)
    }

    /// The page `index`, for writing. If others hold it too, they keep it as it is, and the
    /// region gets a copy of its own: this is the one place where out-of-line memory is copied.
    ///
    /// # Errors
    /// [`NoMemory`], also for a page that the region does not have; nothing has changed then.
    pub fn page_mut(
        &mut self,
        index: usize,
        source: &mut impl PageSource<Page = P>,
    ) -> Result<&mut [u8; PAGE_SIZE], NoMemory> {
        let page = self.pages.get_mut(index).ok_or(NoMemory)?;
        if page.bytes_mut().is_none() {
            let mut own = source.allocate().ok_or(NoMemory)?;
            own.bytes_mut()
                .ok_or(NoMemory)?
                .copy_from_slice(page.bytes());
            source.copied();
            *page = own;
        }
        page.bytes_mut().ok_or(NoMemory)
    }

    /// Writes `data` from byte `at` on; shared pages among those written to are copied first.
    ///
    /// # Errors
    /// [`NoMemory`], also for bytes that the region does not have; no byte has changed then.
    pub fn write_at(
        &mut self,
        at: usize,
        data: &[u8],
        source: &mut impl PageSource<Page = P>,
    ) -> Result<(), NoMemory> {
        let end = at.checked_add(data.len()).ok_or(NoMemory)?;
        if end > self.length {
            return Err(NoMemory);
        }
        if data.is_empty() {
            return Ok(());
        }
        // All that can fail comes first.
        for index in at / PAGE_SIZE..end.div_ceil(PAGE_SIZE) {
            self.page_mut(index, source)?;
        }
        let (mut at, mut left) = (at, data);
        while !left.is_empty() {
            let page = self.page_mut(at / PAGE_SIZE, source)?;
            let place = &mut page[at % PAGE_SIZE..];
            let count = place.len().min(left.len());
            let (now, later) = left.split_at(count);
            place[..count].copy_from_slice(now);
            (at, left) = (at + count, later);
        }
        Ok(())
    }

    /// Copies bytes from `at` on into `out`. Whether the region has them all; if not, `out` is
    /// as it was.
    pub fn read_at(&self, at: usize, out: &mut [u8]) -> bool {
        let end = at.checked_add(out.len());
        if end.is_none_or(|end| end > self.length) {
            return false;
        }
        let (mut at, mut left) = (at, out);
        while !left.is_empty() {
            let from = &self.pages[at / PAGE_SIZE].bytes()[at % PAGE_SIZE..];
            let (now, later) = left.split_at_mut(from.len().min(left.len()));
            now.copy_from_slice(&from[..now.len()]);
            (at, left) = (at + now.len(), later);
        }
        true
    }

    /// Zeroes what the last page has behind the region's end, so that nothing of what was in
    /// the page before is given away with it. A shared page is copied for it, unless there are
    /// zeros already.
    ///
    /// # Errors
    /// [`NoMemory`] for that copy; nothing has changed then.
    pub fn clear_padding(
        &mut self,
        source: &mut impl PageSource<Page = P>,
    ) -> Result<(), NoMemory> {
        let Some(last) = self.pages.len().checked_sub(1) else {
            return Ok(());
        };
        let used = self.length.saturating_sub(last * PAGE_SIZE).min(PAGE_SIZE);
        if self.pages[last].bytes()[used..]
            .iter()
            .any(|byte| *byte != 0)
        {
            self.page_mut(last, source)?[used..].fill(0);
        }
        Ok(())
    }

    /// Appends another region, which begins at the next page boundary; what lies between, and
    /// what is behind its end, is zeroed.
    ///
    /// # Errors
    /// Gives the region back when there is no memory, or more than [`MAX_MEMORY`] bytes would
    /// be in use; no byte that counts has changed then.
    pub fn append_aligned(
        &mut self,
        mut region: Memory<P>,
        source: &mut impl PageSource<Page = P>,
    ) -> Result<(), Memory<P>> {
        // All that can fail comes first.
        if (!self.pages.is_empty() && self.reserve(region.pages.len()).is_err())
            || self.clear_padding(source).is_err()
            || region.clear_padding(source).is_err()
        {
            return Err(region);
        }
        if self.pages.is_empty() {
            core::mem::swap(self, &mut region); // With its list, which is then not copied.
        } else if !region.pages.is_empty() {
            self.length = self.pages.len() * PAGE_SIZE + region.length;
            self.pages.append(&mut region.pages);
        }
        Ok(())
    }

    /// Copies `data` into fresh pages; what is behind their end is zero.
    ///
    /// # Errors
    /// [`NoMemory`]; what was allocated is freed again.
    pub fn copy_from(
        data: &[u8],
        source: &mut impl PageSource<Page = P>,
    ) -> Result<Self, NoMemory> {
        let mut memory = Memory::new();
        memory.reserve(data.len().div_ceil(PAGE_SIZE))?;
        for chunk in data.chunks(PAGE_SIZE) {
            let mut page = source.allocate().ok_or(NoMemory)?;
            let bytes = page.bytes_mut().ok_or(NoMemory)?;
            bytes[..chunk.len()].copy_from_slice(chunk);
            bytes[chunk.len()..].fill(0);
            memory.push(page, chunk.len()).map_err(|_| NoMemory)?;
        }
        Ok(memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::{HeapPage, HeapPages};

    fn pages(marks: &[u8]) -> Vec<HeapPage> {
        let page = |mark: &u8| {
            let mut page = HeapPages::default().allocate().unwrap();
            page.bytes_mut().unwrap()[0] = *mark;
            page
        };
        marks.iter().map(page).collect()
    }

    fn marks(memory: &Memory<HeapPage>) -> Vec<u8> {
        memory.pages().iter().map(|page| page.bytes()[0]).collect()
    }

    #[test]
    fn pages_are_taken_over_and_fresh_ones_left() {
        let (mut memory, mut source) = (Memory::new(), HeapPages::default());
        let mut frame = pages(&[1, 2, 3]);
        memory
            .take_over(&mut frame[..2], 2 * PAGE_SIZE, &mut source)
            .unwrap();
        assert_eq!(marks(&memory), [1, 2]);
        assert!(frame.iter_mut().all(|page| page.bytes_mut().is_some()));
        memory.take_over(&mut frame[2..], 7, &mut source).unwrap();
        assert_eq!(
            (marks(&memory), memory.len()),
            (alloc::vec![1, 2, 3], 2 * PAGE_SIZE + 7)
        );
        // Nothing comes behind a page that is not full.
        assert_eq!(
            memory.take_over(&mut frame[..1], 1, &mut source),
            Err(NoMemory)
        );
        assert!(memory.append(&mut Memory::new()).is_err());
    }

    #[test]
    fn what_cannot_be_replaced_is_not_taken() {
        let (mut memory, mut source) = (Memory::new(), HeapPages { left: 1 });
        let mut frame = pages(&[1, 2]);
        let taken = memory.take_over(&mut frame, 2 * PAGE_SIZE, &mut source);
        assert_eq!(taken, Err(NoMemory));
        assert_eq!((marks(&memory), memory.len()), (alloc::vec![1], PAGE_SIZE));
        assert_eq!(frame[1].bytes()[0], 2);
    }

    #[test]
    fn regions_are_joined() {
        let (mut memory, mut source) = (Memory::new(), HeapPages::default());
        let mut rest = Memory::new();
        memory
            .take_over(&mut pages(&[1]), PAGE_SIZE, &mut source)
            .unwrap();
        rest.take_over(&mut pages(&[2, 3]), PAGE_SIZE + 1, &mut source)
            .unwrap();
        memory.append(&mut rest).unwrap();
        assert_eq!(
            (marks(&memory), memory.len()),
            (alloc::vec![1, 2, 3], 2 * PAGE_SIZE + 1)
        );
        assert!(rest.is_empty() && rest.pages().is_empty());
    }

    #[test]
    fn only_pages_written_to_are_copied() {
        let mut source = HeapPages { left: 4 };
        let mut one = Memory::copy_from(&[1; 3 * PAGE_SIZE], &mut source).unwrap();
        let two = one.share().unwrap();
        assert_eq!(source.left, 1);
        one.write_at(PAGE_SIZE + 5, &[2; 9], &mut source).unwrap();
        assert_eq!(source.left, 0);
        // Again the same page, which is its own now.
        one.write_at(PAGE_SIZE, &[3], &mut source).unwrap();
        let mut byte = [0];
        assert!(two.read_at(PAGE_SIZE + 5, &mut byte) && byte == [1]);
        assert!(one.read_at(PAGE_SIZE + 5, &mut byte) && byte == [2]);
        // There is no page for a copy of another; and when the last holder writes, none is needed.
        assert_eq!(one.write_at(0, &[4], &mut source), Err(NoMemory));
        drop(two);
        one.write_at(0, &[4], &mut source).unwrap();
    }

    #[test]
    fn what_a_region_does_not_have_is_not_touched() {
        let mut source = HeapPages::default();
        let mut region = Memory::copy_from(&[1; 100], &mut source).unwrap();
        for at in [100, 101, PAGE_SIZE, usize::MAX] {
            assert!(!region.read_at(at, &mut [0]));
            assert_eq!(region.write_at(at, &[0], &mut source), Err(NoMemory));
            assert!(region.share_part(at, 1).is_err() && region.take_part(at, 1).is_err());
        }
        assert!(region.page_mut(1, &mut source).is_err());
        assert!(region.share_part(0, 101).is_err() && region.take_part(0, 101).is_err());
        assert_eq!(region.len(), 100);
    }

    #[test]
    fn nothing_of_a_page_before_its_region_is_given_away() {
        let mut source = HeapPages::default();
        let dirty = |source: &mut HeapPages| {
            let mut page = source.allocate().unwrap();
            page.bytes_mut().unwrap().fill(9);
            let mut region = Memory::new();
            region.push(page, 10).unwrap();
            region
        };
        let mut whole = dirty(&mut source);
        let kept = whole.share().unwrap();
        whole
            .append_aligned(dirty(&mut source), &mut source)
            .unwrap();
        assert_eq!(whole.len(), PAGE_SIZE + 10);
        for page in whole.pages() {
            let (used, padding) = page.bytes().split_at(10);
            assert!(used == [9; 10] && padding.iter().all(|byte| *byte == 0));
        }
        assert_eq!(kept.pages()[0].bytes(), &[9; PAGE_SIZE]);
        // Taken out again, each is what it was.
        let first = whole.take_part(0, 10).unwrap();
        assert_eq!((first.len(), whole.len()), (10, 10));
    }
}
