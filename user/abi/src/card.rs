//! The memory that a task shares with the driver of a network card.
//!
//! Owns: where what lies in it, and the arithmetic of its two rings. Each has one writer and one
//! reader, and two counts that only grow: of frames that were put in, and of frames that were
//! taken out. The kernel keeps its own two for itself and believes nothing of what it reads of
//! the other two: a difference that cannot be is no frame, or no room.
//!
//! ```text
//! page 0        counts, 4 bytes each: Count
//! pages 1 to 12 a head of 512 bytes for each slot, SEND's first: length of the frame (4 bytes),
//!               12 bytes of nothing, the first 180 bytes of the frame, 4 bytes of nothing; of a
//!               frame that is sent, for each page of the rest 8 bytes: 0, or the address of a
//!               page of the task's that is to be sent instead of the slot's own
//! behind        for each slot as many pages as the rest of the longest frame needs
//! ```
//!
//! A page that is sent from where it lies is not copied. It goes to the card as it is when that
//! takes it, and stays until the card has.

/// Bytes of a frame that lie in its head.
pub const HEAD: usize = 180;

/// Bytes from one head to the next.
pub const HEAD_STEP: usize = 512;

/// Where in its place a head begins, behind the length of the frame.
pub const HEAD_AT: usize = 16;

/// Where in its place the addresses of pages begin.
pub const PAGES_AT: usize = HEAD_AT + HEAD + 4;

/// Slots for frames that go out: the card has twice as many, so that these wait for it only when
/// the network does.
pub const SEND_SLOTS: u32 = 32;

/// Slots for frames that come in: as many as the card has receive buffers, for that is what peers
/// are told that they may send.
pub const RECEIVE_SLOTS: u32 = 64;

const PAGE: usize = 4096;

/// The pages of counts and heads.
const FIRST_DATA: usize = 1 + ((SEND_SLOTS + RECEIVE_SLOTS) as usize * HEAD_STEP).div_ceil(PAGE);

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

/// One of the numbers in the first page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Frames that the task has put in to be sent.
    Sent = 0,
    /// Those of them that the kernel has taken.
    Taken = 1,
    /// Frames that the kernel has put in.
    Come = 2,
    /// Those of them that the task has read.
    Read = 3,
    /// Not 0: the task wants to be told when there is something new. The kernel writes 0 when it
    /// does so.
    Wanted = 4,
    /// Not 0: the kernel had more frames than there was room for; they come with the next
    /// exchange.
    Stalled = 5,
}

impl Count {
    /// Where it lies.
    pub const fn at(self) -> usize {
        // Those of different writers in lines of their own.
        self as usize * 64
    }
}

/// One of the two rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ring {
    /// Of frames that go out.
    Send,
    /// Of frames that come in.
    Receive,
}

impl Ring {
    /// How many slots it has.
    pub const fn slots(self) -> u32 {
        match self {
            Ring::Send => SEND_SLOTS,
            Ring::Receive => RECEIVE_SLOTS,
        }
    }

    /// Frames that wait in it, if so many were put in and so many taken out; none if that cannot
    /// be.
    pub const fn waiting(self, put: u32, taken: u32) -> u32 {
        let waiting = put.wrapping_sub(taken);
        if waiting > self.slots() { 0 } else { waiting }
    }

    /// Slots that are free then; none if that cannot be.
    pub const fn room(self, put: u32, taken: u32) -> u32 {
        self.slots().saturating_sub(put.wrapping_sub(taken))
    }

    const fn slot(self, count: u32) -> usize {
        let first = match self {
            Ring::Send => 0,
            Ring::Receive => SEND_SLOTS,
        };
        (first + count % self.slots()) as usize
    }

    /// Where the frame with that number has its length.
    pub const fn length_at(self, count: u32) -> usize {
        PAGE + self.slot(count) * HEAD_STEP
    }

    /// Where its head lies, which is all in one page.
    pub const fn head_at(self, count: u32) -> usize {
        self.length_at(count) + HEAD_AT
    }

    /// Where the address of one of its pages lies, in the same page.
    pub const fn page_at(self, count: u32, page: usize) -> usize {
        self.length_at(count) + PAGES_AT + page * size_of::<u64>()
    }
}

/// What depends on how long frames are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    mtu: u16,
    pages: usize,
}

impl Layout {
    /// For frames with so many bytes behind the Ethernet header.
    pub const fn new(mtu: u16) -> Self {
        let rest = (mtu as usize + ETHERNET).saturating_sub(HEAD);
        Self {
            mtu,
            pages: rest.div_ceil(PAGE),
        }
    }

    /// Pages behind each head.
    pub const fn pages(self) -> usize {
        self.pages
    }

    /// Bytes of the longest frame.
    pub const fn longest(self) -> usize {
        self.mtu as usize + ETHERNET
    }

    /// How many pages a frame of so many bytes fills; `None` if no frame has so many.
    pub const fn filled(self, length: usize) -> Option<usize> {
        if length < ETHERNET || length > self.longest() {
            return None;
        }
        Some(length.saturating_sub(HEAD).div_ceil(PAGE))
    }

    /// The number of a page of a frame, counted from the beginning of the memory.
    pub const fn page(self, ring: Ring, count: u32, page: usize) -> usize {
        FIRST_DATA + ring.slot(count) * self.pages + page
    }

    /// Pages of the whole memory.
    pub const fn all(self) -> usize {
        FIRST_DATA + (SEND_SLOTS + RECEIVE_SLOTS) as usize * self.pages
    }
}

/// What a task is told of its card.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    zerocopy::FromBytes,
    zerocopy::IntoBytes,
    zerocopy::Immutable,
    zerocopy::KnownLayout,
)]
#[repr(C)]
pub struct Info {
    /// The card's address.
    pub mac: [u8; 6],
    /// Bytes that a frame has behind the Ethernet header, at most.
    pub mtu: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_cannot_be_are_no_frames_and_no_room() {
        for ring in [Ring::Send, Ring::Receive] {
            let slots = ring.slots();
            for taken in [0, 5, u32::MAX - 1, u32::MAX] {
                for waiting in 0..=slots {
                    let put = taken.wrapping_add(waiting);
                    assert_eq!(ring.waiting(put, taken), waiting);
                    assert_eq!(ring.room(put, taken), slots - waiting);
                }
                for waiting in [slots + 1, 1 << 20, u32::MAX / 2, u32::MAX] {
                    let put = taken.wrapping_add(waiting);
                    assert_eq!(ring.waiting(put, taken), 0);
                    assert_eq!(ring.room(put, taken), 0);
                }
            }
        }
    }

    #[test]
    fn no_two_frames_share_a_byte() {
        for mtu in [576, 1500, 4262, 9000, u16::MAX] {
            let layout = Layout::new(mtu);
            let mut pages = [false; 2048];
            let mut heads = [false; 256];
            for ring in [Ring::Send, Ring::Receive] {
                // Behind the turn of the counts as before it.
                let first = u32::MAX - ring.slots() / 2;
                for number in 0..ring.slots() {
                    let count = first.wrapping_add(number);
                    let (length, head) = (ring.length_at(count), ring.head_at(count));
                    assert_eq!(length / 4096, (head + HEAD - 1) / 4096);
                    assert!(length >= 4096 && length / 4096 < FIRST_DATA);
                    if layout.pages() > 0 {
                        let (first, last) = (
                            ring.page_at(count, 0),
                            ring.page_at(count, layout.pages() - 1),
                        );
                        assert!(first >= head + HEAD && first.is_multiple_of(8));
                        assert!(last + 8 <= length + HEAD_STEP);
                    }
                    let place = &mut heads[length / HEAD_STEP];
                    assert!(!core::mem::replace(place, true));
                    for page in 0..layout.pages() {
                        let page = layout.page(ring, count, page);
                        assert!((FIRST_DATA..layout.all()).contains(&page));
                        assert!(!core::mem::replace(&mut pages[page], true));
                    }
                }
            }
        }
        // The turn of a count does not skip a slot.
        let (last, first) = (Ring::Send.length_at(u32::MAX), Ring::Send.length_at(0));
        assert_eq!(last - first, (SEND_SLOTS as usize - 1) * HEAD_STEP);
    }

    #[test]
    fn a_frame_fits_its_slot_or_is_none() {
        for mtu in [166, 167, 1500, 9000, u16::MAX] {
            let layout = Layout::new(mtu);
            for length in [0, 13, layout.longest() + 1, usize::MAX] {
                assert_eq!(layout.filled(length), None);
            }
            for length in [14, HEAD, HEAD + 1, layout.longest()] {
                if length <= layout.longest() {
                    let filled = layout.filled(length).unwrap();
                    assert!(filled <= layout.pages());
                    assert!(HEAD + filled * 4096 >= length);
                }
            }
        }
    }
}
