//! The receive half: buffers of one head and sixteen single pages.
//!
//! Owns: the pages that the device writes into, and the descriptors that name them. Leaves to
//! others: what is in a frame, and where fresh pages come from (the handler swaps them).
//! Why this way: the device itself splits a frame into head and pages, so that a small frame
//! touches no page, and the pages of a large one can be given away singly without a copy.
//! Descriptors are written again only when a page was swapped. Neighbouring pages share a
//! descriptor, because the device maps each descriptor of a buffer for each frame, also those
//! that it does not reach.

use super::alloc::boxed::Box;
use super::alloc::vec::Vec;

use super::DmaPage;
use super::dma::{DmaRegion, Heads};
use super::error::InitError;
use super::limits::{FRAME_CAPACITY, FRAME_PAGES, HEAD, HEADER, PAGE_SIZE, PIECE};
use super::net::NetCounters;
use super::queue::{DEVICE_WRITES, DeviceFault, Queue};

/// One receive buffer.
pub(super) struct Buffer<P> {
    /// Whether the device has it.
    posted: bool,
    /// Always full; behind the head in this order.
    pages: heapless::Vec<P, FRAME_PAGES>,
    /// Where the pages were when the descriptors were written.
    addresses: [u64; FRAME_PAGES],
}

/// The queue of frames that come in.
pub(super) struct ReceiveQueue<P> {
    pub(super) queue: Queue,
    heads: Heads,
    buffers: Box<[Buffer<P>]>,
}

impl<P: DmaPage> ReceiveQueue<P> {
    /// Bytes for the heads of `count` buffers.
    pub(super) const fn head_bytes(count: usize) -> usize {
        count * PIECE
    }

    /// Makes `count` buffers of pages from `allocate`.
    pub(super) fn buffers(
        count: usize,
        allocate: &mut dyn FnMut() -> Option<P>,
    ) -> Result<Box<[Buffer<P>]>, InitError> {
        let out_of_memory = InitError::OutOfMemory { buffers: count };
        let mut buffers = Vec::new();
        if buffers.try_reserve_exact(count).is_err() {
            return Err(out_of_memory);
        }
        for _ in 0..count {
            buffers.push(Buffer::EMPTY);
        }
        if !buffers.iter_mut().all(|buffer| buffer.fill(allocate)) {
            return Err(out_of_memory);
        }
        Ok(buffers.into_boxed_slice())
    }

    /// A queue of these buffers, all of them posted: as many as it has slots.
    pub(super) fn new(queue: Queue, heads: DmaRegion, buffers: Box<[Buffer<P>]>) -> Self {
        let mut receive = Self {
            queue,
            heads: heads.heads(buffers.len()),
            buffers,
        };
        for (index, buffer) in receive.buffers.iter_mut().enumerate() {
            buffer.write_table(&receive.queue, &receive.heads, index);
            buffer.posted = true;
            receive.queue.publish(index);
        }
        receive.queue.disable_interrupt();
        receive
    }

    /// Takes the next frame, shows it to `handle` and gives the buffer back to the device.
    /// Frames that the device describes wrongly are counted and passed over.
    #[inline(always)]
    pub(super) fn receive<R>(
        &mut self,
        counters: &mut NetCounters,
        handle: impl FnOnce(&[u8], usize, &mut [P]) -> R,
    ) -> Option<R> {
        let (index, length) = self.next(counters)?;
        let buffer = &mut self.buffers[index];
        counters.frames_received += 1;
        counters.bytes_received += length as u64;
        let touched = if length > HEAD {
            (length - HEAD).div_ceil(PAGE_SIZE)
        } else {
            0
        };
        // SAFETY: `next` found that the device has given this buffer back, and it is not
        // posted again before `handle` returns.
        let head = unsafe { self.heads.get(index) };
        let result = handle(
            &head[..length.min(HEAD)],
            length,
            &mut buffer.pages[..touched],
        );
        if touched != 0 && buffer.note_swaps(touched) {
            buffer.write_table(&self.queue, &self.heads, index);
        }
        buffer.posted = true;
        self.give_back(index, counters);
        Some(result)
    }

    /// Gives a buffer to the device. One that ran out of buffers must learn of new ones; it has
    /// used all that there are, so it is enough to look twice in each turn of the ring.
    #[inline(always)]
    fn give_back(&mut self, index: usize, counters: &mut NetCounters) {
        self.queue.publish(index);
        if self.queue.is_at_half() {
            counters.notifications += u64::from(self.queue.tell());
        }
    }

    /// The next buffer with a frame, taken from the device, and the length of the frame.
    #[inline(always)]
    fn next(&mut self, counters: &mut NetCounters) -> Option<(usize, usize)> {
        loop {
            let used = self.queue.take_used()?;
            let index = used.id as usize;
            let Some(buffer) = self.buffers.get_mut(index).filter(|b| b.posted) else {
                counters.bad_tokens += 1;
                continue;
            };
            let length = (used.length as usize).wrapping_sub(HEADER);
            if length == 0 || length > FRAME_CAPACITY {
                counters.bad_lengths += 1;
                self.give_back(index, counters);
                continue;
            }
            buffer.posted = false;
            return Some((index, length));
        }
    }

    /// Tells a device that was just started about its first buffers.
    pub(super) fn announce(&mut self, counters: &mut NetCounters) {
        counters.notifications += u64::from(self.queue.tell());
    }

    /// Asks for an interrupt at the next frame but `after`; true if there is that one already.
    #[inline]
    pub(super) fn enable_interrupt(&mut self, after: u16) -> bool {
        let after = match after {
            0 => 0,
            // More buffers than there are never come to be used.
            after => after.min(self.queue.given() / 2),
        };
        self.queue.enable_interrupt(after)
    }

    /// What the device did wrong, if it did.
    pub(super) fn fault(&self) -> Option<DeviceFault> {
        self.queue.fault()
    }
}

impl<P: DmaPage> Buffer<P> {
    const EMPTY: Self = Self {
        posted: false,
        pages: heapless::Vec::new(),
        addresses: [0; FRAME_PAGES],
    };

    /// Takes fresh pages, in place; false if there are not enough. An allocator that hands out
    /// neighbours in rising order spares descriptors.
    fn fill(&mut self, allocate: &mut dyn FnMut() -> Option<P>) -> bool {
        for address in &mut self.addresses {
            let Some(page) = allocate() else { return false };
            assert!(page.is_exclusive(), "{NOT_EXCLUSIVE}");
            *address = page.physical_address();
            // Cannot fail: there is room for as many as there are addresses.
            let _ = self.pages.push(page);
        }
        true
    }

    /// Writes the descriptors: the head, then the pages, neighbours together.
    #[inline(never)]
    fn write_table(&self, queue: &Queue, heads: &Heads, index: usize) {
        let mut entries = 0;
        let mut add = |address, length, last| {
            queue.write_entry(index, entries, address, length, DEVICE_WRITES, last);
            entries += 1;
        };
        add(heads.physical_address(index), PIECE as u32, false);
        for_each_run(&self.addresses, add);
        queue.write_indirect(index, entries);
    }

    /// Looks which of the first `touched` pages the handler replaced. True if any.
    #[inline]
    fn note_swaps(&mut self, touched: usize) -> bool {
        // Differences are gathered, not branched on: mostly all pages are new, or none is.
        let mut swapped = 0;
        for (page, address) in self.pages[..touched].iter().zip(&mut self.addresses) {
            // Also where the address is the same: the page may be another handle on it.
            assert!(page.is_exclusive(), "{NOT_EXCLUSIVE}");
            let now = page.physical_address();
            swapped |= now ^ *address;
            *address = now;
        }
        swapped != 0
    }
}

/// A broken promise of the kernel, not of the device: going on would let the device write
/// into memory that somebody reads.
const NOT_EXCLUSIVE: &str = "a page in a receive buffer is shared";

/// Calls `add(address, length, last)` for each run of neighbouring pages.
#[inline(always)]
pub(super) fn for_each_run(addresses: &[u64], mut add: impl FnMut(u64, u32, bool)) {
    let Some((&first, rest)) = addresses.split_first() else {
        return;
    };
    let (mut start, mut end) = (first, first + PAGE_SIZE as u64);
    for &next in rest {
        if next != end {
            add(start, (end - start) as u32, false);
            start = next;
        }
        end = next + PAGE_SIZE as u64;
    }
    add(start, (end - start) as u32, true);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(pages: &[u64]) -> Vec<(u64, u32, bool)> {
        let addresses: Vec<u64> = pages.iter().map(|page| page * 4096).collect();
        let mut runs = Vec::new();
        for_each_run(&addresses, |address, length, last| {
            runs.push((address / 4096, length / 4096, last));
        });
        runs
    }

    #[test]
    fn neighbours_are_joined() {
        assert_eq!(runs(&[]), []);
        assert_eq!(runs(&[7]), [(7, 1, true)]);
        assert_eq!(runs(&[1, 2, 3]), [(1, 3, true)]);
        assert_eq!(
            runs(&[1, 2, 9, 8, 3, 4]),
            [(1, 2, false), (9, 1, false), (8, 1, false), (3, 2, true)]
        );
    }
}
