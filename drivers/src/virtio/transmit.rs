//! The transmit half: frames written in place, pages sent from where they lie.
//!
//! Owns: the heads of outgoing frames, and the pages of frames under way. Leaves to others:
//! what is in a frame.
//! Why this way: a frame that fits its head needs no table: its slot names the head, and only
//! the length is written. Slots are used in turn, since a network device finishes frames in
//! the order in which they were given; one that does not only makes the ring look full
//! earlier. Nothing is done when a frame has been sent until the slot is needed again or its
//! pages are asked back, so no interrupt is wanted.

use super::alloc::boxed::Box;
use super::alloc::vec::Vec;
use core::fmt;

use super::DmaPage;
use super::dma::{DmaRegion, Heads};
use super::error::InitError;
use super::limits::{ETHERNET_HEADER, FRAME_PAGES, HEAD, HEADER, PAGE_SIZE, PIECE};
use super::net::NetCounters;
use super::queue::{DeviceFault, Queue};
use super::receive::for_each_run;

/// One frame on its way out.
pub(super) struct Slot<P> {
    /// Its pages, kept until the device has read them.
    pages: heapless::Vec<P, FRAME_PAGES>,
    state: SlotState,
}

/// What the driver knows about a slot; nothing of it is read back from shared memory.
#[derive(Clone, Copy)]
struct SlotState {
    /// Whether the device has it.
    posted: bool,
    /// Whether its descriptor names the head itself and not a table.
    direct: bool,
    /// Where its head is for the device, header included.
    head_address: u64,
}

/// The queue of frames that go out.
pub(super) struct TransmitQueue<P> {
    pub(super) queue: Queue,
    heads: Heads,
    slots: Box<[Slot<P>]>,
    /// Posted frames that hold pages.
    holding: usize,
    /// Most bytes of a frame.
    most: usize,
}

/// A frame cannot be sent; it was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRefused {
    /// Its length.
    pub length: usize,
    /// The most that the network carries.
    pub most: usize,
    /// The pages that it came with.
    pub pages: usize,
}

impl fmt::Display for FrameRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            length,
            most,
            pages,
        } = self;
        write!(
            f,
            "a frame of {length} bytes with {pages} pages cannot be sent: a frame has \
             {ETHERNET_HEADER} to {most} bytes, {HEAD} of them in its head, the rest in pages"
        )
    }
}

impl core::error::Error for FrameRefused {}

impl<P: DmaPage> TransmitQueue<P> {
    /// Bytes for the heads of `count` slots.
    pub(super) const fn head_bytes(count: usize) -> usize {
        count * PIECE
    }

    /// `count` idle slots.
    pub(super) fn slots(count: usize) -> Result<Box<[Slot<P>]>, InitError> {
        let mut slots = Vec::new();
        slots
            .try_reserve_exact(count)
            .map_err(|_| InitError::OutOfMemory { buffers: count })?;
        for _ in 0..count {
            slots.push(Slot {
                pages: heapless::Vec::new(),
                state: SlotState {
                    posted: false,
                    direct: true,
                    head_address: 0,
                },
            });
        }
        Ok(slots.into_boxed_slice())
    }

    /// An idle queue of these slots, for frames of at most `mtu` bytes behind their Ethernet
    /// header.
    pub(super) fn new(queue: Queue, heads: DmaRegion, slots: Box<[Slot<P>]>, mtu: u16) -> Self {
        let mut transmit = Self {
            queue,
            heads: heads.heads(slots.len()),
            slots,
            holding: 0,
            most: usize::from(mtu) + ETHERNET_HEADER,
        };
        for (index, slot) in transmit.slots.iter_mut().enumerate() {
            let head = transmit.heads.physical_address(index);
            transmit.queue.write_direct(index, head, PIECE as u32);
            slot.state.head_address = head;
        }
        transmit.queue.disable_interrupt();
        transmit
    }

    /// A free slot to write a frame in; none if the ring is full.
    #[inline(always)]
    pub(super) fn slot<'a>(
        &'a mut self,
        counters: &'a mut NetCounters,
    ) -> Option<TransmitSlot<'a, P>> {
        let index = self.queue.next_slot();
        if (self.holding != 0 || self.slots[index].state.posted) && !self.make_room(index, counters)
        {
            return None;
        }
        let slot = &mut self.slots[index];
        // Left over if an earlier slot was dropped without being sent.
        free(&mut slot.pages);
        Some(TransmitSlot {
            // SAFETY: the slot is not posted, so the device does not have its head; the slot
            // that is returned borrows the whole queue, so it is not given out twice.
            head: unsafe { self.heads.get(index) },
            pages: &mut slot.pages,
            inner: Inner {
                queue: &mut self.queue,
                state: &mut slot.state,
                holding: &mut self.holding,
                counters,
                index,
                most: self.most,
            },
        })
    }

    /// Takes back what the device is done with; false if slot `index` still is not free.
    #[inline(never)]
    fn make_room(&mut self, index: usize, counters: &mut NetCounters) -> bool {
        self.reclaim(counters);
        let full = self.slots[index].state.posted || self.queue.fault().is_some();
        counters.ring_full += u64::from(full);
        !full
    }

    /// Takes back the slots that the device is done with, and frees their pages. Returns how
    /// many.
    pub(super) fn reclaim(&mut self, counters: &mut NetCounters) -> usize {
        let mut count = 0;
        for _ in 0..self.queue.used_count() {
            let used = self.queue.take_counted();
            match self.slots.get_mut(used.id as usize) {
                Some(slot) if slot.state.posted => {
                    slot.state.posted = false;
                    self.holding -= usize::from(!slot.state.direct);
                    free(&mut slot.pages);
                    count += 1;
                }
                _ => counters.bad_tokens += 1,
            }
        }
        self.queue.keep_event_away();
        count
    }

    /// Asks for an interrupt once half of what is under way has been sent. True if there is
    /// room already.
    pub(super) fn request_interrupt(&mut self, counters: &mut NetCounters) -> bool {
        self.reclaim(counters);
        if self.queue.fault().is_some() {
            return false;
        }
        if !self.slots[self.queue.next_slot()].state.posted {
            return true;
        }
        let after = (self.queue.given() / 2).saturating_sub(1);
        counters.notifications += u64::from(self.queue.tell());
        self.queue.enable_interrupt(after)
    }

    /// Tells the device about new frames, if it wants to be told.
    #[inline]
    pub(super) fn notify(&mut self, counters: &mut NetCounters) {
        counters.notifications += u64::from(self.queue.tell());
    }

    /// What the device did wrong, if it did.
    pub(super) fn fault(&self) -> Option<DeviceFault> {
        self.queue.fault()
    }
}

/// Frees pages, of which there mostly are none.
#[inline(always)]
fn free<P>(pages: &mut heapless::Vec<P, FRAME_PAGES>) {
    #[inline(never)]
    fn clear<P>(pages: &mut heapless::Vec<P, FRAME_PAGES>) {
        pages.clear();
    }
    if !pages.is_empty() {
        clear(pages);
    }
}

/// A frame that is being written. Dropped without [`TransmitSlot::commit`], it is not sent.
pub struct TransmitSlot<'a, P> {
    /// The first bytes of the frame, in the device's reach. What an earlier frame wrote may
    /// still be there.
    pub head: &'a mut [u8; HEAD],
    /// The pages behind the head, all but the last sent whole. Empty at first.
    pub pages: &'a mut heapless::Vec<P, FRAME_PAGES>,
    inner: Inner<'a>,
}

/// What committing a frame needs besides the frame.
struct Inner<'a> {
    queue: &'a mut Queue,
    state: &'a mut SlotState,
    holding: &'a mut usize,
    counters: &'a mut NetCounters,
    index: usize,
    most: usize,
}

impl<P: DmaPage> TransmitSlot<'_, P> {
    /// Gives the frame, `length` bytes with its Ethernet header, to the device; call
    /// [`super::NetDevice::notify`] after the last of several. The pages belong to the frame
    /// until it has been sent.
    ///
    /// # Errors
    /// A frame that is too short or too long for the network, or longer than its head and
    /// pages, is dropped.
    #[inline(always)]
    pub fn commit(self, length: usize) -> Result<(), FrameRefused> {
        let mut inner = self.inner;
        let rest = length.saturating_sub(HEAD);
        let in_range = (ETHERNET_HEADER..=inner.most).contains(&length);
        if !in_range || rest > self.pages.len() * PAGE_SIZE {
            inner.counters.refused += 1;
            return Err(FrameRefused {
                length,
                most: inner.most,
                pages: self.pages.len(),
            });
        }
        if rest != 0 {
            let address = inner.state.head_address;
            write_table(inner.queue, inner.index, address, self.pages, rest);
            inner.state.direct = false;
            *inner.holding += 1;
        } else {
            // Pages that nothing of the frame reaches into need not wait.
            free(self.pages);
            inner.write_head(length);
        }
        inner.state.posted = true;
        inner.counters.frames_sent += 1;
        inner.counters.bytes_sent += length as u64;
        inner.queue.publish(inner.index);
        Ok(())
    }
}

impl Inner<'_> {
    /// Describes a frame that is all in its head.
    #[inline(always)]
    fn write_head(&mut self, length: usize) {
        let length = (HEADER + length) as u32;
        if self.state.direct {
            self.queue.write_direct_length(self.index, length);
        } else {
            self.state.direct = true;
            self.queue
                .write_direct(self.index, self.state.head_address, length);
        }
    }
}

/// Describes a whole head, at `head_address`, and `rest` bytes in pages, neighbours together.
#[inline(never)]
fn write_table<P: DmaPage>(
    queue: &Queue,
    slot: usize,
    head_address: u64,
    pages: &[P],
    rest: usize,
) {
    let mut addresses = [0; FRAME_PAGES];
    let count = rest.div_ceil(PAGE_SIZE);
    for (address, page) in addresses.iter_mut().zip(&pages[..count]) {
        *address = page.physical_address();
    }
    let unused = (count * PAGE_SIZE - rest) as u32;
    queue.write_entry(slot, 0, head_address, PIECE as u32, 0, false);
    let mut entries = 1;
    for_each_run(&addresses[..count], |address, length, last| {
        let length = if last { length - unused } else { length };
        queue.write_entry(slot, entries, address, length, 0, last);
        entries += 1;
    });
    queue.write_indirect(slot, entries);
}
