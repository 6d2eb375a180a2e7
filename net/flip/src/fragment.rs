//! Fragmenting: a datagram too large for the network is cut.
//!
//! Owns the datagrams that wait to be sent in pieces. Leaves routes and headers to `output`.
//! This path may copy: on the fast path sessions cut their messages to the network's size.

use alloc::collections::VecDeque;

use norma_ipc::{PAGE_SIZE, Page, PageSource};

use crate::frame::{FRAME_PAGES, HEAD, Outgoing, copy_out};
use crate::limits::FRAGMENTED;
use crate::{Address, Full, PREFIX};

/// A datagram of which a part may have been sent.
pub(crate) struct Waiting<P> {
    pub(crate) destination: Address,
    pub(crate) source: Address,
    pub(crate) message_id: u32,
    pub(crate) total: usize,
    pub(crate) sent: usize,
    head: [u8; HEAD],
    pages: heapless::Vec<P, FRAME_PAGES>,
}

impl<P: Page> Waiting<P> {
    /// Copies the next `count` bytes of payload into `frame`, behind where its headers will be.
    pub(crate) fn fill(
        &self,
        count: usize,
        frame: &mut Outgoing<'_, P>,
        source: &mut impl PageSource<Page = P>,
    ) -> Option<()> {
        let from = PREFIX + self.sent;
        let in_head = count.min(HEAD - PREFIX);
        self.copy(from, &mut frame.head[PREFIX..PREFIX + in_head])?;
        frame.pages.clear();
        let mut done = in_head;
        while done < count {
            let piece = (count - done).min(PAGE_SIZE);
            let mut page = source.allocate()?;
            self.copy(from + done, &mut page.bytes_mut()?[..piece])?;
            frame.pages.push(page).ok()?;
            done += piece;
        }
        frame.length = PREFIX + count;
        Some(())
    }

    fn copy(&self, at: usize, out: &mut [u8]) -> Option<()> {
        copy_out(&self.head, &self.pages, at, out).then_some(())
    }
}

/// The queue.
pub(crate) struct Fragments<P>(VecDeque<Waiting<P>>);

impl<P> Fragments<P> {
    pub(crate) const fn new() -> Fragments<P> {
        Fragments(VecDeque::new())
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn first_mut(&mut self) -> Option<&mut Waiting<P>> {
        self.0.front_mut()
    }

    pub(crate) fn remove_first(&mut self) {
        self.0.pop_front();
    }

    /// Makes room for one more datagram.
    pub(crate) fn reserve(&mut self) -> Result<(), Full> {
        if self.0.len() >= FRAGMENTED {
            return Err(Full);
        }
        self.0.try_reserve(1).map_err(|_| Full)
    }

    /// Takes the pages and a copy of the head out of `frame`; room was made for it.
    pub(crate) fn push(
        &mut self,
        destination: Address,
        source: Address,
        message_id: u32,
        frame: &mut Outgoing<'_, P>,
    ) {
        self.0.push_back(Waiting {
            destination,
            source,
            message_id,
            total: frame.length - PREFIX,
            sent: 0,
            head: *frame.head,
            pages: core::mem::take(frame.pages),
        });
    }
}
