//! A network card that the task drives, by memory that it shares with the kernel.
//!
//! Frames are written and read in place; a system call has the kernel look at what was written.
//! What lies where is in `norma_abi::card`.

use crate::failure::Failure;
use crate::memory::Memory;
use crate::rights::SendRight;
use crate::system::{self, plain};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use norma_abi::call;
use norma_abi::card::{Count, HEAD, Info, Layout, RECEIVE_SLOTS, Ring};
use norma_ipc::PAGE_SIZE;

/// A page of a frame.
pub type PageBytes = [u8; PAGE_SIZE];

/// A card, open.
#[derive(Debug)]
pub struct Card {
    base: *mut u8,
    info: Info,
    layout: Layout,
    /// Frames written, and frames read.
    sent: u32,
    read: u32,
    /// Frames were written and not yet given to the kernel.
    unsaid: bool,
}

// SAFETY: the memory is the value's own, and the kernel's.
unsafe impl Send for Card {}

/// A frame that has come.
#[derive(Debug)]
pub struct Arrived<'a> {
    card: &'a mut Card,
    length: usize,
}

/// A place for a frame that is to be sent.
#[derive(Debug)]
pub struct Slot<'a> {
    card: &'a mut Card,
}

impl Card {
    /// Takes the card into use that `driver` is the right to. An empty message comes by `bell`
    /// when there is something new and that is wanted ([`Card::want`]).
    ///
    /// # Errors
    /// [`Failure::InvalidRight`] when that is no right to a card, [`Failure::NotSupported`] when
    /// there is none, [`Failure::NoMemory`].
    pub fn open(driver: &SendRight, bell: &SendRight) -> Result<Self, Failure> {
        let mut info = Info::default();
        let at = core::ptr::from_mut(&mut info) as u64;
        let names = [driver.name.raw(), bell.name.raw()].map(u64::from);
        // SAFETY: the kernel writes what there is to know, and no more.
        let base = unsafe { system::call(call::OPEN_CARD, [names[0], names[1], at, 0]) }?;
        Ok(Self {
            base: base as *mut u8,
            info,
            layout: Layout::new(info.mtu),
            sent: 0,
            read: 0,
            unsaid: false,
        })
    }

    /// The card's address.
    pub const fn mac(&self) -> [u8; 6] {
        self.info.mac
    }

    /// Bytes that a frame has behind the Ethernet header, at most.
    pub const fn mtu(&self) -> u16 {
        self.info.mtu
    }

    /// Frames that can lie here unread.
    pub const fn receive_buffers(&self) -> u16 {
        RECEIVE_SLOTS as u16
    }

    /// Pages behind the head of the longest frame.
    pub const fn pages(&self) -> usize {
        self.layout.pages()
    }

    fn number(&self, offset: usize) -> &AtomicU32 {
        // SAFETY: within the memory, at an address that is divisible by 4.
        unsafe { AtomicU32::from_ptr(self.base.add(offset).cast()) }
    }

    fn count(&self, count: Count) -> &AtomicU32 {
        self.number(count.at())
    }

    fn page(&self, ring: Ring, count: u32, page: usize) -> *mut PageBytes {
        assert!(page < self.layout.pages());
        let offset = self.layout.page(ring, count, page) * PAGE_SIZE;
        // SAFETY: within the memory.
        unsafe { self.base.add(offset).cast() }
    }

    fn head(&self, ring: Ring, count: u32) -> *mut [u8; HEAD] {
        // SAFETY: within the memory.
        unsafe { self.base.add(ring.head_at(count)).cast() }
    }

    /// Whether a frame has come.
    #[inline]
    pub fn has_come(&self) -> bool {
        Ring::Receive.waiting(self.count(Count::Come).load(Ordering::Acquire), self.read) > 0
    }

    /// The next frame that has come.
    #[inline]
    pub fn next_frame(&mut self) -> Option<Arrived<'_>> {
        if !self.has_come() {
            return None;
        }
        let length = self.number(Ring::Receive.length_at(self.read));
        let length = length.load(Ordering::Relaxed) as usize;
        Some(Arrived { card: self, length })
    }

    /// A place for a frame; `None` when all are taken. Then an exchange may bring one, or word
    /// comes when there is one.
    #[inline]
    pub fn slot(&mut self) -> Option<Slot<'_>> {
        let taken = self.count(Count::Taken).load(Ordering::Acquire);
        (Ring::Send.room(self.sent, taken) > 0).then_some(Slot { card: self })
    }

    /// Whether there is something that only an exchange brings further.
    #[inline]
    pub fn needs_exchange(&self) -> bool {
        self.unsaid || self.count(Count::Stalled).load(Ordering::Relaxed) != 0
    }

    /// Has what was written sent, and takes what found no room before.
    ///
    /// # Errors
    /// [`Failure::InvalidRight`] when another task has taken the card over.
    pub fn exchange(&mut self) -> Result<(), Failure> {
        self.unsaid = false;
        plain(call::EXCHANGE_FRAMES, [0; 4])?;
        Ok(())
    }

    /// Says whether word is wanted of what is new from now on. What came before, nobody tells of:
    /// look again.
    #[inline]
    pub fn want(&self, word: bool) {
        self.count(Count::Wanted)
            .store(u32::from(word), Ordering::SeqCst);
    }
}

impl Arrived<'_> {
    /// Bytes of the frame.
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Its first bytes, as many as it has.
    pub fn head(&self) -> &[u8] {
        let head = self.card.head(Ring::Receive, self.card.read);
        // SAFETY: the kernel writes nothing there until it is read.
        unsafe { &(&*head)[..self.length.min(HEAD)] }
    }

    /// A page of the rest.
    ///
    /// # Panics
    /// If no frame has so many.
    pub fn page(&self, page: usize) -> &PageBytes {
        let page = self.card.page(Ring::Receive, self.card.read, page);
        // SAFETY: as above.
        unsafe { &*page }
    }

    /// How many pages it fills.
    pub fn pages(&self) -> usize {
        self.card.layout.filled(self.length).unwrap_or(0)
    }
}

impl Drop for Arrived<'_> {
    #[inline]
    fn drop(&mut self) {
        let card = &mut *self.card;
        card.read = card.read.wrapping_add(1);
        card.count(Count::Read).store(card.read, Ordering::Release);
    }
}

impl Slot<'_> {
    /// Where the first bytes go.
    pub fn head(&mut self) -> &mut [u8; HEAD] {
        let head = self.card.head(Ring::Send, self.card.sent);
        // SAFETY: the kernel reads nothing there until it is told.
        unsafe { &mut *head }
    }

    /// Where a page of the rest goes.
    ///
    /// # Panics
    /// If no frame has so many.
    pub fn page(&mut self, page: usize) -> &mut PageBytes {
        self.set_address(page, 0);
        let page = self.card.page(Ring::Send, self.card.sent, page);
        // SAFETY: as above.
        unsafe { &mut *page }
    }

    /// Has a page of `memory` sent as a page of the rest, from where it lies. It must stay until
    /// the frame has left; else the frame is lost, or another page goes.
    ///
    /// # Panics
    /// If no frame has so many pages, or the memory has not.
    pub fn lend(&mut self, page: usize, memory: &Memory, from: usize) {
        let bytes: &PageBytes = memory.page(from);
        self.set_address(page, core::ptr::from_ref(bytes) as u64);
    }

    fn set_address(&mut self, page: usize, address: u64) {
        assert!(page < self.card.layout.pages());
        let place = Ring::Send.page_at(self.card.sent, page);
        // SAFETY: within the memory, at an address that is divisible by 8.
        let place = unsafe { AtomicU64::from_ptr(self.card.base.add(place).cast()) };
        place.store(address, Ordering::Relaxed);
    }

    /// The frame is whole, with so many bytes: it goes with the next exchange. One of an
    /// impossible length goes nowhere.
    #[inline]
    pub fn commit(self, length: usize) {
        let card = self.card;
        card.number(Ring::Send.length_at(card.sent))
            .store(length as u32, Ordering::Relaxed);
        card.sent = card.sent.wrapping_add(1);
        card.count(Count::Sent).store(card.sent, Ordering::Release);
        card.unsaid = true;
    }
}
