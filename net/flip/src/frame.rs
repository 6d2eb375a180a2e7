//! Frames in memory: a head of 180 bytes, and pages behind it.
//!
//! Owns the shape in which frames are handed between a device's driver, FLIP and the
//! sessions. The head takes all headers and a small message; whatever is large lies in
//! single pages, which change owners without a copy. Leaves pages to [`norma_ipc::Page`],
//! so that the same code runs over the kernel's frames, a daemon's memory and a simulator's
//! vectors.
//!
//! A receiver that wants to keep a received page swaps it for a fresh one
//! (`core::mem::replace`), so that a receive buffer never has holes.

use norma_ipc::{PAGE_SIZE, Page};

/// Bytes of a head: a device's first piece of 192 bytes less 12 of virtio-net's own header.
pub const HEAD: usize = norma_wire::layout::HEAD;

/// Pages behind a head: enough for a frame of 65,535 bytes.
pub const FRAME_PAGES: usize = 16;

/// The longest frame that this shape can hold.
pub const MAX_FRAME: usize = 65_535;

const _: () = assert!(HEAD + FRAME_PAGES * PAGE_SIZE >= MAX_FRAME);

/// A received frame of `length` bytes, Ethernet header included.
///
/// The first `min(length, HEAD)` bytes are in `head`, the rest in `pages`, each full but the
/// last. `head` may be longer than the frame, and there may be more pages than it fills.
#[derive(Debug)]
pub struct Incoming<'a, P> {
    /// The first bytes.
    pub head: &'a [u8],
    /// Bytes of the whole frame.
    pub length: usize,
    /// The rest.
    pub pages: &'a mut [P],
}

impl<P: Page> Incoming<'_, P> {
    /// Whether head and pages hold as many bytes as `length` says.
    #[inline]
    pub fn is_sound(&self) -> bool {
        self.length <= self.head.len()
            || (self.head.len() == HEAD && self.length - HEAD <= self.pages.len() * PAGE_SIZE)
    }

    /// Copies the bytes from `at` on; tells whether the frame had that many.
    pub fn copy_to(&self, at: usize, out: &mut [u8]) -> bool {
        if !self.is_sound()
            || at
                .checked_add(out.len())
                .is_none_or(|end| end > self.length)
        {
            return false;
        }
        copy_out(self.head, self.pages, at, out)
    }
}

/// A frame to be sent, written in place: the layout of [`Incoming`]. Every page but the last
/// is sent whole.
#[derive(Debug)]
pub struct Outgoing<'a, P> {
    /// The first bytes.
    pub head: &'a mut [u8; HEAD],
    /// The rest.
    pub pages: &'a mut heapless::Vec<P, FRAME_PAGES>,
    /// Bytes of the whole frame.
    pub length: usize,
}

impl<P: Page> Outgoing<'_, P> {
    /// The same frame, lent on.
    #[inline]
    pub fn reborrow(&mut self) -> Outgoing<'_, P> {
        Outgoing {
            head: self.head,
            pages: self.pages,
            length: self.length,
        }
    }

    /// Copies the bytes from `at` on; tells whether the frame had that many.
    pub fn copy_to(&self, at: usize, out: &mut [u8]) -> bool {
        if at
            .checked_add(out.len())
            .is_none_or(|end| end > self.length)
        {
            return false;
        }
        copy_out(&self.head[..], self.pages, at, out)
    }

    /// Copies `bytes` to the place `at`; tells whether head and pages had that much room, and no
    /// page of it was shared. The length stays.
    pub fn copy_from(&mut self, at: usize, bytes: &[u8]) -> bool {
        copy_in(&mut self.head[..], self.pages, at, bytes)
    }
}

/// Copies from a head and pages; false if they end too soon.
pub(crate) fn copy_out<P: Page>(head: &[u8], pages: &[P], at: usize, out: &mut [u8]) -> bool {
    let from_head = head.len().saturating_sub(at).min(out.len());
    let (first, mut rest) = out.split_at_mut(from_head);
    if from_head > 0 {
        first.copy_from_slice(&head[at..at + from_head]);
    }
    let mut at = (at + from_head).saturating_sub(head.len());
    while !rest.is_empty() {
        let Some(page) = pages.get(at / PAGE_SIZE) else {
            return false;
        };
        let start = at % PAGE_SIZE;
        let count = rest.len().min(PAGE_SIZE - start);
        let (now, later) = rest.split_at_mut(count);
        now.copy_from_slice(&page.bytes()[start..start + count]);
        (rest, at) = (later, at + count);
    }
    true
}

/// Copies into a head and pages; false if they end too soon or a page is shared.
fn copy_in<P: Page>(head: &mut [u8], pages: &mut [P], at: usize, bytes: &[u8]) -> bool {
    let to_head = head.len().saturating_sub(at).min(bytes.len());
    let (first, mut rest) = bytes.split_at(to_head);
    if to_head > 0 {
        head[at..at + to_head].copy_from_slice(first);
    }
    let mut at = (at + to_head).saturating_sub(head.len());
    while !rest.is_empty() {
        let Some(page) = pages.get_mut(at / PAGE_SIZE).and_then(Page::bytes_mut) else {
            return false;
        };
        let start = at % PAGE_SIZE;
        let count = rest.len().min(PAGE_SIZE - start);
        let (now, later) = rest.split_at(count);
        page[start..start + count].copy_from_slice(now);
        (rest, at) = (later, at + count);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use norma_ipc::{HeapPages, PageSource};

    #[test]
    fn copies_across_head_and_pages() {
        let mut source = HeapPages::default();
        let mut pages = [source.allocate().unwrap(), source.allocate().unwrap()];
        let mut head = [0; HEAD];
        let bytes: [u8; 5000] = core::array::from_fn(|i| i as u8);
        assert!(copy_in(&mut head, &mut pages, 100, &bytes));
        let mut frame = Incoming {
            head: &head,
            length: 5100,
            pages: &mut pages,
        };
        let mut back = [0; 5000];
        assert!(frame.copy_to(100, &mut back));
        assert_eq!(back, bytes);
        assert!(!frame.copy_to(101, &mut back));
        assert!(!frame.copy_to(usize::MAX, &mut back));
        frame.length = HEAD + 2 * PAGE_SIZE + 1;
        assert!(!frame.is_sound() && !frame.copy_to(0, &mut back));
        assert!(!copy_in(
            &mut head,
            &mut pages,
            HEAD + 2 * PAGE_SIZE - 1,
            &[0; 2]
        ));
    }
}
