//! A frame of RAM, held by one owner or shared read-only by several.
//!
//! Owns: the counting of holders; this is what messages, drivers and services move around.
//! Leaves to others: where frames come from. Four bytes, and dropping the last holder frees
//! the frame; no user of it needs unsafe code.

use super::{FRAME, frames};
use crate::arch::layout;
use crate::counters;
use crate::limits::RELEASED_AT_ONCE;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::sync::atomic::{AtomicU32, Ordering, fence};
use norma_drivers::virtio::DmaPage;
#[cfg(target_os = "none")]
use norma_ipc::Step;
use norma_ipc::{Page, PageSource};

/// One holder of a 4 KiB frame.
#[derive(Debug)]
pub struct Frame {
    number: NonZeroU32,
}

impl Frame {
    /// A frame that nobody else holds, with unspecified contents; `None` when there is none.
    #[inline]
    pub fn allocate() -> Option<Self> {
        let number = NonZeroU32::new(frames::take()?)?;
        Some(Self { number })
    }

    /// As [`Frame::allocate`], filled with zeros.
    pub fn allocate_zeroed() -> Option<Self> {
        let mut frame = Self::allocate()?;
        frame.bytes_mut()?.fill(0);
        Some(frame)
    }

    /// Gives up this holder without freeing the frame; returns its physical address.
    pub(crate) fn into_physical(self) -> u64 {
        let physical = self.physical();
        core::mem::forget(self);
        physical
    }

    /// The holder that [`Frame::into_physical`] gave up.
    ///
    /// # Safety
    /// `physical` must come from there, and be taken back only once.
    pub(crate) unsafe fn from_physical(physical: u64) -> Option<Self> {
        let number = NonZeroU32::new((physical / FRAME as u64) as u32)?;
        Some(Self { number })
    }

    /// Counts one holder less; whether that was the last.
    #[inline(always)]
    fn leave(&self) -> bool {
        let last = self.holders().fetch_sub(1, Ordering::Release) == 1;
        if last {
            // All that the other holders did with the frame comes before its next use.
            fence(Ordering::Acquire);
        }
        last
    }

    /// Drops this holder; if it was the last, the frame's number, to be given back.
    #[inline(always)]
    fn give_up(self) -> Option<u32> {
        let frame = core::mem::ManuallyDrop::new(self);
        frame.leave().then_some(frame.number.get())
    }

    #[inline(always)]
    fn physical(&self) -> u64 {
        u64::from(self.number.get()) * FRAME as u64
    }

    #[inline(always)]
    fn pointer(&self) -> *mut [u8; FRAME] {
        layout::direct(self.physical()).cast()
    }

    #[inline(always)]
    fn holders(&self) -> &'static AtomicU32 {
        // SAFETY: a `Frame` is made only from a number that was taken.
        unsafe { frames::holders(self.number.get()) }
    }

    /// Whether nobody else holds the frame.
    #[inline(always)]
    pub(crate) fn is_only_holder(&self) -> bool {
        self.holders().load(Ordering::Acquire) == 1
    }
}

impl Page for Frame {
    #[inline]
    fn share(&self) -> Self {
        self.holders().fetch_add(1, Ordering::Relaxed);
        Self {
            number: self.number,
        }
    }

    #[inline(always)]
    fn bytes(&self) -> &[u8; FRAME] {
        // SAFETY: the frame is RAM in the direct map and stays ours while this value lives;
        // whoever could write to it is its only holder, and that would be us.
        unsafe { &*self.pointer() }
    }

    #[inline(always)]
    fn bytes_mut(&mut self) -> Option<&mut [u8; FRAME]> {
        // SAFETY: nobody else holds the frame, and nobody can come to without this value, which
        // is borrowed.
        self.is_only_holder()
            .then(|| unsafe { &mut *self.pointer() })
    }

    #[inline]
    fn release(pages: &mut Vec<Self>) {
        while !pages.is_empty() {
            // From the end, and some at a time, because interrupts are off meanwhile.
            let rest = pages.len().saturating_sub(RELEASED_AT_ONCE);
            frames::give_all(pages.drain(rest..).filter_map(Frame::give_up));
        }
    }

    const WATCHED: bool = cfg!(feature = "trace");

    #[cfg(target_os = "none")]
    #[inline(always)]
    fn watch(step: Step) {
        crate::trace::step(step);
    }
}

impl Drop for Frame {
    #[inline(always)]
    fn drop(&mut self) {
        if self.leave() {
            frames::give(self.number.get());
        }
    }
}

// SAFETY: the address is that of a whole frame of RAM, and never changes; the count of holders
// tells whether it is exclusive, and only `share` on this value changes that; nobody writes
// while it is shared, see `bytes_mut`.
unsafe impl DmaPage for Frame {
    #[inline(always)]
    fn physical_address(&self) -> u64 {
        self.physical()
    }

    #[inline(always)]
    fn is_exclusive(&self) -> bool {
        self.is_only_holder()
    }
}

/// All free frames, as a source of pages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frames;

impl PageSource for Frames {
    type Page = Frame;

    #[inline]
    fn allocate(&mut self) -> Option<Frame> {
        Frame::allocate()
    }

    #[inline]
    fn allocate_many(&mut self, count: usize, mut take: impl FnMut(Frame)) -> usize {
        let first = match count {
            2..=frames::LONGEST_RUN => frames::take_run(count as u32),
            _ => None,
        };
        if let Some(first) = first {
            // The numbers of frames that were just taken, of which none is 0.
            let numbers = (first..first + count as u32).filter_map(NonZeroU32::new);
            return numbers.map(|number| take(Frame { number })).count();
        }
        let single = (0..count).map_while(|_| Frame::allocate());
        single.map(take).count()
    }

    #[cold]
    fn copied(&mut self) {
        counters::count(|counters| counters.frames_copied += 1);
    }
}
