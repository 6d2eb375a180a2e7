//! Pages: the unit in which out-of-line memory moves.
//!
//! Owns: the two traits through which this crate and the network layers see memory. Leaves to
//! others: where pages come from (frames in the kernel, vectors in the simulator and in tests)
//! and every address: no physical address appears above the drivers.
//! Why traits: the same core runs in a kernel, in a Linux process, in a simulation and under
//! Miri, and each has memory of its own kind.

use alloc::vec::Vec;

use crate::step::Step;

/// Bytes in a page.
pub const PAGE_SIZE: usize = 4096;

/// A 4 KiB page, held by one owner or shared read-only by several.
///
/// Dropping the last holder frees the page, and when the last but one is dropped, whoever is
/// left may write without a copy.
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

    /// Whether [`Page::watch`] does anything.
    const WATCHED: bool = false;

    /// A message has gone a step further: for whoever watches. It is asked of the kind of page
    /// because that is what all layers know of the machine below them; and of no value, so that
    /// where nobody watches there is nothing left of it.
    #[inline(always)]
    fn watch(_step: Step) {}
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

    /// A page was shared and has been copied, because one of its holders writes: for whoever
    /// counts.
    #[inline]
    fn copied(&mut self) {}
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
