//! Links: what the daemon has in the place of network cards.
//!
//! Owns: receiving frames into the head and pages in which the core sees them and sending them
//! from there, without a copy; what is kept while a link has no room; and how many credits a link
//! is worth. Leaves to others: where a link comes from ([`open()`]), and every byte of a frame.
//!
//! Every link carries Ethernet frames, so that the same frames go over a socketpair to QEMU, over
//! a TAP device, a packet socket, and in UDP datagrams (`udp.rs`).

mod open;
mod stream;
#[cfg(test)]
mod tests;
mod udp;

use crate::limits::RECEIVE_BUDGET;
use crate::page::{Page, Pages};
use norma_flip::{FRAME_PAGES, HEAD, Incoming, Outgoing};
use norma_ipc::{PAGE_SIZE, Page as _, PageSource};
pub use open::{LinkError, LinkKind, open, poll_card};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A frame of so many bytes.
    Frame(usize),
    /// Nothing more for now.
    Nothing,
    /// The other end is gone, for ever.
    Gone,
}

/// What became of a frame that was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way.
    Yes,
    /// It is on its way, and there is no room for another now.
    Partly,
    /// There is no room for it now.
    Later,
    /// It is lost, as on any network.
    Lost,
    /// The other end is gone, for ever.
    Gone,
}

/// A way for frames.
pub trait Wire: std::fmt::Debug {
    /// What to wait for.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// Receives a frame into `parts`, which take the largest.
    fn receive(&mut self, parts: &mut [IoSliceMut<'_>]) -> Received;

    /// Sends a frame that consists of `parts`. The first begins with the Ethernet header.
    fn send(&mut self, parts: &[IoSlice<'_>]) -> Sent;

    /// Whether there is something from before that waits for room.
    fn flush(&mut self) -> Sent {
        Sent::Yes
    }
}

/// A descriptor on which each read and each write is one frame: a datagram socket, connected or
/// inherited, a packet socket that is bound to an interface, a TAP device.
#[derive(Debug)]
pub struct Datagrams(pub OwnedFd);

impl Wire for Datagrams {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn receive(&mut self, parts: &mut [IoSliceMut<'_>]) -> Received {
        // With one part this spares the kernel a list.
        let received = match parts {
            [whole] => rustix::io::read(&self.0, &mut whole[..]),
            parts => rustix::io::readv(&self.0, parts),
        };
        match received {
            Ok(length) => Received::Frame(length),
            // The device was taken away.
            Err(Errno::BADFD) => Received::Gone,
            Err(_) => Received::Nothing,
        }
    }

    fn send(&mut self, parts: &[IoSlice<'_>]) -> Sent {
        sent(match parts {
            [whole] => rustix::io::write(&self.0, whole),
            parts => rustix::io::writev(&self.0, parts),
        })
    }
}

/// What the outcome of a write means. The other end of a datagram link, or the interface, may come
/// back: until then frames are lost.
fn sent(outcome: Result<usize, Errno>) -> Sent {
    match outcome {
        Ok(_) => Sent::Yes,
        Err(Errno::AGAIN | Errno::INTR) => Sent::Later,
        Err(_) => Sent::Lost,
    }
}

/// What a link has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames received.
    pub received: u64,
    /// Frames sent.
    pub sent: u64,
    /// Frames that were lost on the way out.
    pub lost: u64,
    /// Times that a frame had to wait for room.
    pub waited: u64,
}

/// A link and its buffers.
#[derive(Debug)]
pub struct Link {
    wire: Box<dyn Wire>,
    /// Its station address.
    pub mac: [u8; 6],
    /// The largest Ethernet payload that it carries.
    pub mtu: u16,
    /// Frames that may be under way to us.
    pub buffers: u16,
    /// What it has counted.
    pub counters: Counters,
    /// Whether it waits for room.
    pub blocked: bool,
    /// Whether its other end is gone.
    pub gone: bool,
    /// A whole frame: what a small one is received into. Of a large one, the head.
    buffer: Box<[u8]>,
    /// Where the rest of a large one is received.
    pages: Vec<Page>,
    /// Whether the next frame is expected to be large, as the one before was.
    bulk: bool,
    out_head: [u8; HEAD],
    out_pages: heapless::Vec<Page, FRAME_PAGES>,
    /// The length of a frame that waits for room, or 0.
    waiting: usize,
}

impl Link {
    /// A link over `wire`, with its receive buffer.
    ///
    /// # Errors
    /// [`LinkError::NoMemory`].
    pub fn new(
        wire: Box<dyn Wire>,
        (mac, mtu, buffers): ([u8; 6], u16, u16),
        source: &mut Pages,
    ) -> Result<Self, LinkError> {
        let pages: Vec<Page> = std::iter::from_fn(|| source.allocate())
            .take(FRAME_PAGES)
            .collect();
        if pages.len() < FRAME_PAGES {
            return Err(LinkError::NoMemory);
        }
        Ok(Self {
            wire,
            mac,
            mtu,
            buffers,
            counters: Counters::default(),
            blocked: false,
            gone: false,
            buffer: vec![0; HEAD + FRAME_PAGES * PAGE_SIZE].into_boxed_slice(),
            pages,
            bulk: false,
            out_head: [0; HEAD],
            out_pages: heapless::Vec::new(),
            waiting: 0,
        })
    }

    /// What to wait for.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.wire.descriptor()
    }

    /// Where a UDP link is bound.
    #[must_use]
    pub fn udp_address(&self) -> Option<std::net::SocketAddr> {
        open::local_address(&*self.wire)
    }

    /// Receives frames and hands each to `take`. After a small one it stops, for most come alone
    /// and a second look would cost a system call: the kernel says so if there is another.
    pub fn receive(&mut self, mut take: impl FnMut(&mut Incoming<'_, Page>)) {
        for _ in 0..RECEIVE_BUDGET {
            let length = match self.receive_one() {
                Received::Frame(length) => length,
                Received::Nothing => return,
                Received::Gone => {
                    self.gone = true;
                    return;
                }
            };
            self.counters.received += 1;
            take(&mut Incoming {
                head: &self.buffer[..length.min(HEAD)],
                length,
                pages: &mut self.pages,
            });
            if length <= HEAD {
                return;
            }
        }
    }

    /// Receives a frame. A list of pages costs the kernel more than a small frame does, so that is
    /// read into one buffer; a large one that was not expected is copied from there.
    fn receive_one(&mut self) -> Received {
        if !self.bulk {
            let received = self.wire.receive(&mut [IoSliceMut::new(&mut self.buffer)]);
            if let Received::Frame(length) = received {
                let rest = self.buffer.get(HEAD..length).unwrap_or_default();
                for (page, bytes) in self.pages.iter_mut().zip(rest.chunks(PAGE_SIZE)) {
                    // Nobody shares a page of the receive buffer.
                    if let Some(page) = page.bytes_mut() {
                        page[..bytes.len()].copy_from_slice(bytes);
                    }
                }
                self.bulk = length > HEAD + PAGE_SIZE;
            }
            return received;
        }
        let mut parts = heapless::Vec::<IoSliceMut<'_>, { FRAME_PAGES + 1 }>::new();
        let _ = parts.push(IoSliceMut::new(&mut self.buffer[..HEAD])); // There are as many places.
        for page in &mut self.pages {
            // Nobody shares a page of the receive buffer.
            if let Some(bytes) = page.bytes_mut() {
                let _ = parts.push(IoSliceMut::new(bytes));
            }
        }
        let received = self.wire.receive(&mut parts);
        if let Received::Frame(length) = received {
            self.bulk = length > HEAD + PAGE_SIZE;
        }
        received
    }

    /// Sends one frame that `fill` writes; whether there was one and the link took it.
    pub fn send(&mut self, fill: impl FnOnce(&mut Outgoing<'_, Page>) -> bool) -> bool {
        if self.blocked || self.gone {
            return false;
        }
        let mut frame = Outgoing {
            head: &mut self.out_head,
            pages: &mut self.out_pages,
            length: 0,
        };
        if !fill(&mut frame) {
            return false;
        }
        self.waiting = frame.length;
        self.send_waiting();
        true
    }

    /// There may be room again.
    pub fn resume(&mut self) {
        self.blocked = false;
        match self.wire.flush() {
            Sent::Later | Sent::Partly => self.blocked = true,
            Sent::Gone => self.gone = true,
            Sent::Yes | Sent::Lost if self.waiting > 0 => self.send_waiting(),
            Sent::Yes | Sent::Lost => {}
        }
    }

    fn send_waiting(&mut self) {
        let mut parts = heapless::Vec::<IoSlice<'_>, { FRAME_PAGES + 1 }>::new();
        let (in_head, mut left) = (self.waiting.min(HEAD), self.waiting.saturating_sub(HEAD));
        let _ = parts.push(IoSlice::new(&self.out_head[..in_head])); // There are as many places.
        for page in &self.out_pages {
            let count = left.min(PAGE_SIZE);
            let _ = parts.push(IoSlice::new(&page.bytes()[..count]));
            left -= count;
        }
        let sent = self.wire.send(&parts);
        drop(parts);
        match sent {
            Sent::Yes => self.counters.sent += 1,
            Sent::Partly => {
                self.counters.sent += 1;
                self.blocked = true;
            }
            Sent::Lost => self.counters.lost += 1,
            Sent::Gone => self.gone = true,
            Sent::Later => {
                self.counters.waited += 1;
                self.blocked = true;
                return;
            }
        }
        self.waiting = 0;
        self.out_pages.clear();
    }
}
