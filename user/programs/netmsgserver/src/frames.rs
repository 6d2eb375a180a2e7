//! Frames between the card and the core.
//!
//! Owns: the pages into which frames are copied from the memory that is shared with the kernel;
//! the core keeps those it wants and puts fresh ones in their place.

use crate::pages::{Page, Pages};
use crate::server::Core;
use alloc::vec::Vec;
use norma_flip::{FRAME_PAGES, HEAD, Incoming, Instant, Outgoing};
use norma_ipc::{PAGE_SIZE, Page as _, PageSource as _};
use norma_user::{Card, Failure};

pub struct Frames {
    pub card: Card,
    /// Where the rest of a received frame goes.
    pages: Vec<Page>,
    /// Those of the frame that is sent.
    out: heapless::Vec<Page, FRAME_PAGES>,
}

impl Frames {
    pub fn new(card: Card, source: &mut Pages) -> Result<Self, Failure> {
        let pages: Option<Vec<Page>> = (0..card.pages()).map(|_| source.allocate()).collect();
        Ok(Self {
            card,
            pages: pages.ok_or(Failure::NoMemory)?,
            out: heapless::Vec::new(),
        })
    }

    /// Gives the core the next frame that has come; whether there was one.
    #[inline]
    pub fn receive(&mut self, now: Instant, core: &mut Core) -> bool {
        let Some(frame) = self.card.next_frame() else {
            return false;
        };
        for (page, to) in self.pages.iter_mut().take(frame.pages()).enumerate() {
            // Nobody shares a page of the receive buffer.
            if let Some(to) = to.bytes_mut() {
                to.copy_from_slice(frame.page(page));
            }
        }
        core.handle_frame(
            now,
            &mut Incoming {
                head: frame.head(),
                length: frame.length(),
                pages: &mut self.pages,
            },
        );
        true
    }

    /// Writes all frames that the core has, as far as there is room, and has them sent; whether
    /// there were any.
    pub fn transmit(&mut self, now: Instant, core: &mut Core) -> Result<bool, Failure> {
        let mut any = false;
        while core.wants_transmit(now) {
            let Some(mut slot) = self.card.slot() else {
                // Word comes when there is room.
                break;
            };
            let mut frame = Outgoing {
                head: slot.head(),
                pages: &mut self.out,
                length: 0,
            };
            if !core.poll_transmit(now, &mut frame) {
                break;
            }
            let length = frame.length;
            let mut left = length.saturating_sub(HEAD);
            for (page, from) in self.out.iter().enumerate() {
                let used = left.min(PAGE_SIZE);
                if used == 0 {
                    break;
                }
                left -= used;
                match from {
                    // The core has it until the frame is known to have arrived.
                    Page::Part(memory, at) => slot.lend(page, memory, *at),
                    sheet => slot.page(page)[..used].copy_from_slice(&sheet.bytes()[..used]),
                }
            }
            slot.commit(length);
            self.out.clear();
            any = true;
        }
        if self.card.needs_exchange() {
            self.card.exchange()?;
        }
        Ok(any)
    }
}
