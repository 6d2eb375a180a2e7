//! The receiving half of a session: each frame once, messages whole, in order where order
//! counts.
//!
//! Owns: the window of arrived frames, messages of which pages are missing, and messages that
//! wait because an earlier one to the same port has not been decided. Leaves to others: what
//! becomes of a complete message (`delivery`).

use alloc::vec::Vec;

use norma_flip::Instant;
use norma_ipc::{Memory, Message, PAGE_SIZE};
use norma_wire::descriptor;
use norma_wire::session::Flags;

use crate::counters::Drop;
use crate::limits::MAX_PARTIAL;
use crate::window::Window;

/// What a MESSAGE frame says about its message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Label {
    pub(crate) sequence: u32,
    pub(crate) flags: Flags,
    pub(crate) destination: u32,
    pub(crate) reply: u32,
    pub(crate) after: u16,
}

/// A message as it came off the wire: its rights are still descriptors.
#[derive(Debug)]
pub(crate) struct Parcel<P> {
    pub(crate) label: Label,
    pub(crate) message: Message<P>,
    pub(crate) descriptors: Vec<descriptor::Repr>,
    /// There was no memory for it: it will be refused.
    pub(crate) hopeless: bool,
}

/// A message that is not complete, or may not be delivered yet.
#[derive(Debug)]
pub(crate) struct Partial<P> {
    /// Number of its MESSAGE frame.
    pub(crate) sequence: u32,
    /// Bytes of out-of-line memory.
    memory: usize,
    pages: Vec<Option<P>>,
    missing: usize,
    parcel: Option<Parcel<P>>,
    /// There was no memory for it: its frames are taken and dropped, then it is refused.
    hopeless: bool,
}

impl<P> Partial<P> {
    fn is_whole(&self) -> bool {
        self.missing == 0 && self.parcel.is_some()
    }
}

#[derive(Debug)]
pub(crate) struct Inbox<P> {
    pub(crate) window: Window,
    partial: Vec<Partial<P>>,
    /// Frames that arrived since an acknowledgement was sent.
    pub(crate) unacknowledged: u8,
    /// When the acknowledgement must go at the latest.
    pub(crate) acknowledge_by: Option<Instant>,
}

impl<P> Inbox<P> {
    pub(crate) fn new(first: u32) -> Self {
        Inbox {
            window: Window::new(first),
            partial: Vec::new(),
            unacknowledged: 0,
            acknowledge_by: None,
        }
    }

    /// Whether any message is incomplete or waits.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.partial.is_empty()
    }

    /// Messages that are incomplete or wait.
    pub(crate) fn len(&self) -> usize {
        self.partial.len()
    }

    /// Whether it has been decided what becomes of the message before `label` to the same port.
    #[inline]
    pub(crate) fn may_deliver(&self, label: &Label) -> bool {
        if label.after == 0 {
            return true;
        }
        let previous = label.sequence.wrapping_sub(u32::from(label.after));
        self.window.contains(previous) && !self.is_pending(previous)
    }

    fn is_pending(&self, sequence: u32) -> bool {
        self.partial
            .iter()
            .any(|partial| partial.sequence == sequence)
    }

    /// The record of message `sequence`, made if there is none, with room for `memory` bytes, of
    /// which pages `first..first + count` have come.
    ///
    /// Fails when there are too many, when `memory` contradicts what was said before, or when
    /// the pages do not fit.
    pub(crate) fn partial(
        &mut self,
        sequence: u32,
        memory: usize,
        first: usize,
        count: usize,
    ) -> Result<usize, Drop> {
        let total = memory.div_ceil(PAGE_SIZE);
        if first.checked_add(count).is_none_or(|end| end > total) {
            return Err(Drop::Malformed);
        }
        if let Some(index) = self.partial.iter().position(|p| p.sequence == sequence) {
            let partial = &self.partial[index];
            let fits = partial.memory == memory && count <= partial.missing;
            return if fits {
                Ok(index)
            } else {
                Err(Drop::Malformed)
            };
        }
        if self.partial.len() >= MAX_PARTIAL || self.partial.try_reserve(1).is_err() {
            return Err(Drop::NoMemory);
        }
        let mut pages = Vec::new();
        let hopeless = pages.try_reserve_exact(total).is_err();
        self.partial.push(Partial {
            sequence,
            memory,
            pages,
            missing: total,
            parcel: None,
            hopeless,
        });
        Ok(self.partial.len() - 1)
    }

    /// Puts pages `first..` of a message into its record, where they fit. Where there is no
    /// memory for them, the message is given up.
    pub(crate) fn put_pages(
        &mut self,
        index: usize,
        first: usize,
        count: usize,
        mut page: impl FnMut(usize) -> Option<P>,
    ) {
        let partial = &mut self.partial[index];
        for offset in 0..count {
            if partial.hopeless {
                break;
            }
            while partial.pages.len() <= first + offset {
                partial.pages.push(None); // Within the capacity reserved for `total`.
            }
            match page(offset) {
                Some(page) => partial.pages[first + offset] = Some(page),
                None => Self::give_up(partial),
            }
        }
        partial.missing -= count;
    }

    fn give_up(partial: &mut Partial<P>) {
        partial.hopeless = true;
        partial.pages = Vec::new();
    }

    /// Puts the head of a message into its record.
    pub(crate) fn put_parcel(&mut self, index: usize, parcel: Parcel<P>) {
        let partial = &mut self.partial[index];
        if parcel.hopeless {
            Self::give_up(partial);
        }
        partial.parcel = Some(parcel);
    }

    /// The next message that is whole and whose turn it is.
    pub(crate) fn poll_whole(&mut self) -> Option<Parcel<P>> {
        let index = (0..self.partial.len()).find(|&index| {
            let partial = &self.partial[index];
            partial.is_whole()
                && partial
                    .parcel
                    .as_ref()
                    .is_some_and(|parcel| self.may_deliver(&parcel.label))
        })?;
        let partial = self.partial.swap_remove(index);
        let mut parcel = partial.parcel?;
        parcel.hopeless |= partial.hopeless;
        if partial.memory > 0 && !parcel.hopeless {
            match gather(partial.pages, partial.memory) {
                // A parcel's memory is empty until now, and the size was checked on arrival.
                Some(memory) => parcel.hopeless = parcel.message.replace_memory(memory).is_err(),
                None => parcel.hopeless = true,
            }
        }
        Some(parcel)
    }

    /// Removes any record, for a session that ends.
    pub(crate) fn remove_any(&mut self) -> Option<Option<Parcel<P>>> {
        self.partial.pop().map(|partial| partial.parcel)
    }
}

/// One region from its pages; `None` if one is missing or there is no memory for the list.
fn gather<P>(pages: Vec<Option<P>>, length: usize) -> Option<Memory<P>> {
    let mut memory = Memory::new();
    memory.reserve(pages.len()).ok()?;
    let mut left = length;
    for page in pages {
        let used = left.min(PAGE_SIZE);
        memory.push(page?, used).ok()?;
        left -= used;
    }
    Some(memory)
}
