//! Reassembly: the fragments of a datagram become one again.
//!
//! Owns the incomplete datagrams, their bounds and their end. What came first stays: a copy of
//! known bytes is ignored, a fragment that overlaps known bytes in part condemns its datagram,
//! so that nobody can rewrite what has been looked at. Leaves lost fragments to the session,
//! which sends the datagram again.
//!
//! This path may copy: on the fast path nothing is fragmented (`docs/wire.md`, "Fragments").

use alloc::vec::Vec;
use core::ops::Range;

use norma_ipc::{PAGE_SIZE, Page, PageSource};
use norma_wire::flip::Repr;

use crate::frame::{HEAD, Incoming};
use crate::limits::{
    MAX_DATAGRAM, REASSEMBLIES, REASSEMBLY_PAGES, REASSEMBLY_RANGES, REASSEMBLY_TIMEOUT,
};
use crate::time::Instant;
use crate::{Address, DropReason, PREFIX};

/// A datagram put together from fragments, in the shape of one frame.
///
/// Its first bytes are the headers that it would have had, had it come whole.
#[derive(Debug)]
pub struct Datagram<P> {
    head: Vec<u8>,
    pages: Vec<P>,
    length: usize,
}

impl<P: Page> Datagram<P> {
    /// The datagram as a received frame; every page that it fills is unshared.
    #[inline]
    pub fn incoming(&mut self) -> Incoming<'_, P> {
        Incoming {
            head: &self.head,
            length: self.length,
            pages: &mut self.pages,
        }
    }

    /// A datagram of `total` bytes, as yet unknown.
    fn new(total: usize, source: &mut impl PageSource<Page = P>) -> Option<Datagram<P>> {
        let length = PREFIX + total;
        let mut head = Vec::new();
        head.try_reserve_exact(HEAD).ok()?;
        head.resize(HEAD, 0); // within the room reserved
        let mut pages = Vec::new();
        let count = length.saturating_sub(HEAD).div_ceil(PAGE_SIZE);
        pages.try_reserve_exact(count).ok()?;
        for _ in 0..count {
            pages.push(source.allocate()?);
        }
        Some(Datagram {
            head,
            pages,
            length,
        })
    }

    /// Copies the bytes `range` of the frame from those at `at` of another.
    fn copy_from(&mut self, frame: &Incoming<'_, P>, at: usize, range: Range<usize>) -> bool {
        let mut place = range.start;
        while place < range.end {
            let left = range.end - place;
            let from = at + (place - range.start);
            let piece = if place < HEAD {
                &mut self.head[place..HEAD]
            } else {
                let behind = place - HEAD;
                let page = self
                    .pages
                    .get_mut(behind / PAGE_SIZE)
                    .and_then(Page::bytes_mut);
                let Some(page) = page else { return false };
                &mut page[behind % PAGE_SIZE..]
            };
            let count = piece.len().min(left);
            if !frame.copy_to(from, &mut piece[..count]) {
                return false;
            }
            place += count;
        }
        true
    }
}

/// The bytes of a datagram that are known: stretches in order, none touching the next.
#[derive(Default)]
struct Ranges(heapless::Vec<Range<usize>, REASSEMBLY_RANGES>);

enum Added {
    New,
    Known,
    Refused(DropReason),
}

impl Ranges {
    fn add(&mut self, new: Range<usize>) -> Added {
        // The first stretch that ends at or behind the new one's start is all that it can meet,
        // unless it reaches over that one's end.
        let place = self
            .0
            .iter()
            .position(|known| known.end >= new.start)
            .unwrap_or(self.0.len());
        let Some(known) = self.0.get_mut(place) else {
            return self.insert(place, new);
        };
        if known.start <= new.start && new.end <= known.end {
            return Added::Known;
        }
        if known.end == new.start {
            known.end = new.end;
            return self.join(place);
        }
        if new.end < known.start {
            return self.insert(place, new);
        }
        if new.end == known.start {
            known.start = new.start;
            return Added::New;
        }
        Added::Refused(DropReason::Overlap)
    }

    fn insert(&mut self, place: usize, new: Range<usize>) -> Added {
        match self.0.insert(place, new) {
            Ok(()) => Added::New,
            Err(_) => Added::Refused(DropReason::TooManyRanges),
        }
    }

    /// The stretch at `place` has grown: it may touch the next now, but not overlap it.
    fn join(&mut self, place: usize) -> Added {
        let end = self.0[place].end;
        match self.0.get(place + 1).cloned() {
            Some(next) if next.start < end => Added::Refused(DropReason::Overlap),
            Some(next) if next.start == end => {
                self.0[place].end = next.end;
                self.0.remove(place + 1);
                Added::New
            }
            _ => Added::New,
        }
    }

    fn is_whole(&self, total: usize) -> bool {
        self.0
            .first()
            .is_some_and(|first| first.start == 0 && first.end == total)
    }
}

/// Which datagram: whose, for whom, which.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    source: Address,
    destination: Address,
    message_id: u32,
}

struct Partial<P> {
    key: Key,
    total: usize,
    until: Instant,
    known: Ranges,
    datagram: Datagram<P>,
}

enum Step {
    Complete,
    Kept,
    Duplicate,
}

impl<P: Page> Partial<P> {
    fn add(&mut self, header: &Repr, frame: &Incoming<'_, P>) -> Result<Step, DropReason> {
        if header.total as usize != self.total {
            return Err(DropReason::WrongTotal);
        }
        let start = header.offset as usize;
        let end = start + header.length as usize;
        match self.known.add(start..end) {
            Added::New => {}
            Added::Known => return Ok(Step::Duplicate),
            Added::Refused(reason) => return Err(reason),
        }
        let copied = self
            .datagram
            .copy_from(frame, PREFIX, PREFIX + start..PREFIX + end)
            && (start > 0 || self.take_headers(header, frame));
        if !copied {
            return Err(DropReason::Wire(norma_wire::Error::WrongLength));
        }
        Ok(if self.known.is_whole(self.total) {
            Step::Complete
        } else {
            Step::Kept
        })
    }

    /// Takes over the first fragment's headers, changed to those of the whole datagram.
    fn take_headers(&mut self, header: &Repr, frame: &Incoming<'_, P>) -> bool {
        let Some(head) = self.datagram.head.first_chunk_mut() else {
            return false;
        };
        let copied = frame.copy_to(0, &mut head[..PREFIX]);
        let whole = Repr {
            offset: 0,
            length: header.total,
            ..*header
        };
        whole.emit(norma_wire::layout::flip_mut(head));
        copied
    }
}

/// What became of a fragment that was not refused.
pub(crate) enum Outcome<P> {
    /// It was the last that was missing.
    Whole(Datagram<P>),
    /// Others are missing.
    Kept,
    /// It was known.
    Duplicate,
}

/// All incomplete datagrams, the oldest first.
pub(crate) struct Reassembly<P> {
    partial: Vec<Partial<P>>,
    next: Instant,
}

impl<P: Page> Reassembly<P> {
    pub(crate) const fn new() -> Reassembly<P> {
        Reassembly {
            partial: Vec::new(),
            next: Instant::NEVER,
        }
    }

    /// When the oldest datagram is given up, `NEVER` if there is none.
    #[inline]
    pub(crate) const fn next(&self) -> Instant {
        self.next
    }

    /// Takes a fragment whose lengths have been checked. `evicted` counts datagrams that had to
    /// make room.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        header: &Repr,
        frame: &Incoming<'_, P>,
        source: &mut impl PageSource<Page = P>,
        evicted: &mut u64,
    ) -> Result<Outcome<P>, DropReason> {
        let total = header.total as usize;
        if total > MAX_DATAGRAM {
            return Err(DropReason::TooLong);
        }
        if header.length == 0 {
            return Err(DropReason::Wire(norma_wire::Error::WrongLength));
        }
        let key = Key {
            source: header.source,
            destination: header.destination,
            message_id: header.message_id,
        };
        let place = match self.partial.iter().position(|partial| partial.key == key) {
            Some(place) => place,
            None => self.start(now, key, total, source, evicted)?,
        };
        match self.partial[place].add(header, frame) {
            Ok(Step::Complete) => Ok(Outcome::Whole(self.remove(place).datagram)),
            Ok(Step::Kept) => Ok(Outcome::Kept),
            Ok(Step::Duplicate) => Ok(Outcome::Duplicate),
            Err(reason) => {
                self.remove(place);
                Err(reason)
            }
        }
    }

    /// Drops the datagrams that have had their time; tells how many.
    pub(crate) fn expire(&mut self, now: Instant) -> u64 {
        let over = self
            .partial
            .iter()
            .take_while(|partial| partial.until <= now)
            .count();
        self.partial.drain(..over);
        self.find_next();
        over as u64
    }

    fn start(
        &mut self,
        now: Instant,
        key: Key,
        total: usize,
        source: &mut impl PageSource<Page = P>,
        evicted: &mut u64,
    ) -> Result<usize, DropReason> {
        let pages = (PREFIX + total).saturating_sub(HEAD).div_ceil(PAGE_SIZE);
        while self.partial.len() >= REASSEMBLIES || self.pages() + pages > REASSEMBLY_PAGES {
            self.remove(0);
            *evicted += 1;
        }
        self.partial
            .try_reserve(1)
            .map_err(|_| DropReason::NoMemory)?;
        let datagram = Datagram::new(total, source).ok_or(DropReason::NoMemory)?;
        let until = now + REASSEMBLY_TIMEOUT;
        self.partial.push(Partial {
            key,
            total,
            until,
            known: Ranges::default(),
            datagram,
        });
        self.find_next();
        Ok(self.partial.len() - 1)
    }

    fn remove(&mut self, place: usize) -> Partial<P> {
        let partial = self.partial.remove(place);
        self.find_next();
        partial
    }

    fn find_next(&mut self) {
        self.next = self
            .partial
            .first()
            .map_or(Instant::NEVER, |partial| partial.until);
    }

    fn pages(&self) -> usize {
        self.partial
            .iter()
            .map(|partial| partial.datagram.pages.len())
            .sum()
    }
}
