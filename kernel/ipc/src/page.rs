//! Pages: the unit in which out-of-line memory moves.
//!
//! Owns: the two traits through which this crate and the network layers see memory. Leaves to
//! others: where pages come from (frames in the kernel, vectors in the simulator and in tests)
//! and every address: no physical address appears above the drivers.
//! Why traits: the same core runs in a kernel, in a Linux process, in a simulation and under
//! Miri, and each has memory of its own kind.

use alloc::vec::Vec;

use crate::error::NoMemory;
use crate::limits::MAX_MEMORY;

/// Bytes in a page.
pub const PAGE_SIZE: usize = 4096;

/// Pages of the largest region.
const MAX_PAGES: usize = MAX_MEMORY / PAGE_SIZE;

/// A 4 KiB page, held by one owner or shared read-only by several.
///
/// Dropping the last holder frees the page.
pub trait Page: Sized {
    /// Another holder of the same page. From now on, until one of the two is dropped, neither
    /// may write.
    fn share(&self) -> Self;

    /// The contents.
    fn bytes(&self) -> &[u8; PAGE_SIZE];

    /// The contents for writing, or `None` while the page is shared.
    fn bytes_mut(&mut self) -> Option<&mut [u8; PAGE_SIZE]>;

    /// Drops many pages, which may cost less than one after the other.
    #[inline]
    fn release(pages: &mut Vec<Self>) {
        pages.clear();
    }
}

/// Where fresh pages come from.
pub trait PageSource {
    /// The kind of page that it gives.
    type Page: Page;

    /// A page that nobody else holds, with unspecified contents, or `None` when memory is
    /// exhausted.
    fn allocate(&mut self) -> Option<Self::Page>;

    /// Gives `count` such pages to `take`, one after the other: neighbours, where the source
    /// knows what that is and has them. How many it gave; fewer when memory is exhausted.
    fn allocate_many(&mut self, count: usize, mut take: impl FnMut(Self::Page)) -> usize {
        let pages = (0..count).map_while(|_| self.allocate());
        pages.map(&mut take).count()
    }
}

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

    /// Copies `data` into fresh pages.
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
            page.bytes_mut().ok_or(NoMemory)?[..chunk.len()].copy_from_slice(chunk);
            memory.push(page, chunk.len()).map_err(|_| NoMemory)?;
        }
        Ok(memory)
    }
}

/// Pages on the heap, for hosts: the simulator, tests and tools.
#[derive(Debug, Clone)]
pub struct HeapPage(alloc::rc::Rc<[u8; PAGE_SIZE]>);

impl Page for HeapPage {
    fn share(&self) -> Self {
        self.clone()
    }

    fn bytes(&self) -> &[u8; PAGE_SIZE] {
        &self.0
    }

    fn bytes_mut(&mut self) -> Option<&mut [u8; PAGE_SIZE]> {
        alloc::rc::Rc::get_mut(&mut self.0)
    }
}

/// Gives [`HeapPage`]s, at most `left` more of them: a bound, so that tests can exhaust it.
#[derive(Debug, Clone)]
pub struct HeapPages {
    /// How many allocations will still succeed.
    pub left: usize,
}

impl Default for HeapPages {
    fn default() -> Self {
        HeapPages { left: usize::MAX }
    }
}

impl PageSource for HeapPages {
    type Page = HeapPage;

    #[allow(clippy::disallowed_methods)] // For hosts.
    fn allocate(&mut self) -> Option<HeapPage> {
        self.left = self.left.checked_sub(1)?;
        Some(HeapPage(alloc::rc::Rc::new([0; PAGE_SIZE])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
