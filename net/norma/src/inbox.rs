//! The receiving half of a session: each frame once, messages whole, in order where order
//! counts.
//!
//! Owns: the window of arrived frames, messages of which pages are missing, and messages that
//! wait because an earlier one to the same port has not been decided. Leaves to others: what
//! becomes of a complete message (`delivery`).

use alloc::vec::Vec;

use norma_flip::Instant;
use norma_ipc::{Memory, Message, NoMemory, PAGE_SIZE, Page, PageSource};
use norma_wire::descriptor;
use norma_wire::session::{Flags, Header};

use crate::counters::Drop;
use crate::limits::{MAX_BEGUN, MAX_PARTIAL};
use crate::rights::{NO_EXPORT, NODE_SERVICE};
use crate::window::{Window, before};

/// What a MESSAGE frame says about its message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Label {
    pub(crate) sequence: u32,
    pub(crate) flags: Flags,
    pub(crate) destination: u32,
    pub(crate) reply: u32,
    pub(crate) after: u16,
}

impl Label {
    #[inline(always)]
    pub(crate) fn of(header: &Header<'_>) -> Self {
        Label {
            sequence: header.sequence(),
            flags: header.flags(),
            destination: header.destination(),
            reply: header.reply(),
            after: header.after(),
        }
    }
}

/// A message as it came off the wire: its rights are still descriptors.
#[derive(Debug)]
pub(crate) struct Parcel<P> {
    pub(crate) label: Label,
    pub(crate) message: Message<P>,
    pub(crate) contents: Contents,
}

/// What a message brings besides its data.
#[derive(Debug)]
pub(crate) enum Contents {
    /// These rights.
    Rights(Vec<descriptor::Repr>),
    /// It is news of the peer's kernel, with these rights.
    News(Vec<descriptor::Repr>),
    /// There was no memory for all of it: it will be refused.
    Hopeless,
}

/// A message that is not complete, or may not be delivered yet.
///
/// Its pages mostly come in order, behind its head: then they go straight into the message.
#[derive(Debug)]
pub(crate) struct Partial<P> {
    /// Number of its MESSAGE frame.
    pub(crate) sequence: u32,
    /// Bytes of out-of-line memory.
    memory: usize,
    /// Pages that have not come.
    missing: usize,
    /// Its head, and the pages that follow each other from the first on.
    parcel: Option<Parcel<P>>,
    /// Pages that came before those in front of them: the first one's number, and all.
    early: Vec<(usize, Memory<P>)>,
    /// There was no memory for it: its frames are taken and dropped, then it is refused.
    hopeless: bool,
}

impl<P: Page> Partial<P> {
    fn is_whole(&self) -> bool {
        self.missing == 0 && self.parcel.is_some()
    }

    /// Its memory as far as it goes from the first page on, if page `first` comes next.
    fn next(&mut self, first: usize) -> Option<&mut Memory<P>> {
        let memory = self.parcel.as_mut()?.message.memory_mut();
        (memory.pages().len() == first).then_some(memory)
    }

    /// Takes over what came early and is not early any more.
    fn catch_up(&mut self) -> Result<(), NoMemory> {
        while !self.early.is_empty() {
            let Some(parcel) = &mut self.parcel else {
                break;
            };
            let memory = parcel.message.memory_mut();
            let next = memory.pages().len();
            let Some(index) = self.early.iter().position(|(first, _)| *first == next) else {
                break;
            };
            memory.append(&mut self.early.swap_remove(index).1)?;
        }
        Ok(())
    }

    fn give_up(&mut self) {
        self.hopeless = true;
        self.early = Vec::new();
        if let Some(parcel) = &mut self.parcel {
            parcel.message.memory_mut().clear();
        }
    }
}

#[derive(Debug)]
pub(crate) struct Inbox<P> {
    pub(crate) window: Window,
    /// In the order of their numbers.
    partial: Vec<Partial<P>>,
    /// Frames that arrived since an acknowledgement was sent.
    pub(crate) unacknowledged: u8,
    /// When the acknowledgement must go at the latest.
    pub(crate) acknowledge_by: Option<Instant>,
}

impl<P: Page> Inbox<P> {
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

    /// How many pages are missing of the message that needs the fewest; 0 if none is
    /// incomplete, or a head is missing.
    pub(crate) fn least_missing(&self) -> usize {
        let missing = self.partial.iter().map(|partial| match partial.parcel {
            Some(_) => partial.missing,
            None => 0,
        });
        missing.min().unwrap_or(0)
    }

    /// Messages that are incomplete or wait.
    pub(crate) fn len(&self) -> usize {
        self.partial.len()
    }

    /// Whether it has been decided what becomes of the messages before `label` to the same port.
    pub(crate) fn may_deliver(&self, label: Label) -> bool {
        self.is_next(label) || self.is_decided(label)
    }

    /// As [`Inbox::may_deliver`], where it is seen at once: nothing waits.
    #[inline(always)]
    pub(crate) fn is_next(&self, label: Label) -> bool {
        let previous = label.sequence.wrapping_sub(u32::from(label.after));
        self.partial.is_empty() && (label.after == 0 || self.window.contains(previous))
    }

    /// Whether what must be decided before it is (W-45).
    fn is_decided(&self, label: Label) -> bool {
        let previous = label.sequence.wrapping_sub(u32::from(label.after));
        // One whose head has arrived, but not all of it, need not be named in `after`.
        !self.is_behind_another(label)
            && (label.after == 0 || self.window.contains(previous) && !self.is_pending(previous))
    }

    fn is_behind_another(&self, label: Label) -> bool {
        // What is for no port has no order (W-90, W-113). And when every frame before it is here,
        // its sender takes it for decided: it has not waited until all of the other had left,
        // because that was for a port whose death it has heard of since.
        if matches!(label.destination, NO_EXPORT | NODE_SERVICE)
            || !before(self.window.next(), label.sequence)
        {
            return false;
        }
        let earlier = self
            .partial
            .iter()
            .take_while(|partial| before(partial.sequence, label.sequence));
        let mut parcels = earlier.filter_map(|partial| partial.parcel.as_ref());
        parcels.any(|parcel| parcel.label.destination == label.destination)
    }

    fn is_pending(&self, sequence: u32) -> bool {
        self.place_of(sequence).is_ok()
    }

    /// Where the record of message `sequence` is, or belongs.
    fn place_of(&self, sequence: u32) -> Result<usize, usize> {
        self.partial
            .binary_search_by_key(&0, |partial| partial.sequence.wrapping_sub(sequence) as i32)
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
        let place = self.place_of(sequence);
        if let Ok(index) = place {
            let partial = &self.partial[index];
            let fits = partial.memory == memory && count <= partial.missing;
            return if fits {
                Ok(index)
            } else {
                Err(Drop::Malformed)
            };
        }
        // The last places are for messages whose turn it is: those begun before are few.
        let limit = match sequence == self.window.next() {
            true => MAX_PARTIAL,
            false => MAX_PARTIAL - MAX_BEGUN,
        };
        if self.partial.len() >= limit || self.partial.try_reserve(1).is_err() {
            return Err(Drop::NoMemory);
        }
        let (Ok(index) | Err(index)) = place;
        let partial = Partial {
            sequence,
            memory,
            missing: total,
            parcel: None,
            early: Vec::new(),
            hopeless: false,
        };
        self.partial.insert(index, partial);
        Ok(index)
    }

    /// Takes `pages`, with `used` bytes, over as pages `first..` of a message, where they fit.
    /// Where there is no memory for them, the message is given up.
    pub(crate) fn put_pages<S: PageSource<Page = P>>(
        &mut self,
        index: usize,
        first: usize,
        pages: &mut [P],
        used: usize,
        source: &mut S,
    ) {
        let partial = &mut self.partial[index];
        partial.missing -= pages.len();
        if partial.hopeless || pages.is_empty() {
            return;
        }
        let taken = match partial.next(first) {
            Some(memory) => memory.take_over(pages, used, source),
            None => Self::keep_early(&mut partial.early, first, pages, used, source),
        };
        if taken.and_then(|()| partial.catch_up()).is_err() {
            partial.give_up();
        }
    }

    #[cold]
    fn keep_early<S: PageSource<Page = P>>(
        early: &mut Vec<(usize, Memory<P>)>,
        first: usize,
        pages: &mut [P],
        used: usize,
        source: &mut S,
    ) -> Result<(), NoMemory> {
        early.try_reserve(1).map_err(|_| NoMemory)?;
        let mut memory = Memory::new();
        memory.take_over(pages, used, source)?;
        early.push((first, memory));
        Ok(())
    }

    /// Puts the head of a message into its record, with the memory that it has already.
    /// Whether the message whose MESSAGE frame has that number is not decided yet.
    #[cfg(feature = "audit")]
    pub(crate) fn has_partial(&self, sequence: u32) -> bool {
        self.partial.iter().any(|p| p.sequence == sequence)
    }

    pub(crate) fn put_parcel(&mut self, index: usize, mut parcel: Parcel<P>) {
        let partial = &mut self.partial[index];
        let memory = parcel.message.memory_mut();
        let here = memory.pages().len();
        partial.missing -= here;
        let room = memory.reserve(partial.memory.div_ceil(PAGE_SIZE) - here);
        let hopeless = matches!(parcel.contents, Contents::Hopeless) || room.is_err();
        partial.parcel = Some(parcel);
        // The head may have no pages, and all others be here already.
        if partial.hopeless || hopeless || partial.catch_up().is_err() {
            partial.give_up();
        }
    }

    /// The next message that is whole and whose turn it is.
    pub(crate) fn poll_whole(&mut self) -> Option<Parcel<P>> {
        let index = (0..self.partial.len()).find(|&index| {
            let partial = &self.partial[index];
            partial.is_whole()
                && partial
                    .parcel
                    .as_ref()
                    .is_some_and(|parcel| self.may_deliver(parcel.label))
        })?;
        let partial = self.partial.remove(index);
        let mut parcel = partial.parcel?;
        // As many pages as were missing have come; a peer may have sent some of them twice.
        if partial.hopeless || parcel.message.memory().len() != partial.memory {
            parcel.contents = Contents::Hopeless;
        }
        Some(parcel)
    }

    /// Removes any record, for a session that ends.
    pub(crate) fn remove_any(&mut self) -> Option<Option<Parcel<P>>> {
        self.partial.pop().map(|partial| partial.parcel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use norma_ipc::{HeapPage, HeapPages, Ipc, Page, PageSource};
    use proptest::prelude::*;

    fn parcel(ipc: &mut Ipc<HeapPage>, sequence: u32, after: u16) -> Parcel<HeapPage> {
        let (flags, message) = (Flags::empty(), ipc.new_message().unwrap());
        let contents = Contents::Rights(Vec::new());
        let label = Label {
            sequence,
            flags,
            destination: 2,
            reply: 0,
            after,
        };
        Parcel {
            label,
            message,
            contents,
        }
    }

    fn page(number: usize) -> HeapPage {
        let mut page = HeapPages::default().allocate().unwrap();
        page.bytes_mut().unwrap()[0] = number as u8;
        page
    }

    /// A frame of the test: message by number, and which of its pages it carries.
    type Sent = (u32, usize, usize);

    proptest! {
        #![proptest_config(crate::cases(200))]

        /// Frames in any order: every message once, whole, in order.
        #[test]
        fn messages_are_put_together_and_keep_their_order(
            sizes in prop::collection::vec(0usize..4, 1..6),
            order in prop::collection::vec(any::<prop::sample::Index>(), 24),
            start in prop_oneof![Just(u32::MAX - 2), any::<u32>()],
        ) {
            let mut ipc = Ipc::new();
            let mut inbox = Inbox::new(start);
            // The head, then each page in a frame of its own.
            let mut frames: Vec<(u32, Sent)> = Vec::new();
            let mut heads = Vec::new();
            for (number, size) in sizes.iter().enumerate() {
                let head = start.wrapping_add(frames.len() as u32);
                heads.push(head);
                for at in 0..=*size {
                    let sequence = start.wrapping_add(frames.len() as u32);
                    frames.push((sequence, (number as u32, at, *size)));
                }
            }
            let mut delivered = Vec::new();
            for index in order {
                if frames.is_empty() {
                    break;
                }
                let (sequence, (number, at, size)) = frames.remove(index.index(frames.len()));
                let head = heads[number as usize];
                let (first, count) = (at.saturating_sub(1), usize::from(at > 0));
                let place = inbox.partial(head, size * PAGE_SIZE, first, count).unwrap();
                let mut pages: Vec<_> = (0..count).map(|_| page(first)).collect();
                let mut source = HeapPages::default();
                inbox.put_pages(place, first, &mut pages, count * PAGE_SIZE, &mut source);
                if at == 0 {
                    let before = number.checked_sub(1).map(|n| heads[n as usize]);
                    let after = before.map_or(0, |before| head.wrapping_sub(before) as u16);
                    inbox.put_parcel(place, parcel(&mut ipc, head, after));
                }
                inbox.window.mark(sequence);
                while let Some(parcel) = inbox.poll_whole() {
                    prop_assert!(matches!(parcel.contents, Contents::Rights(_)));
                    let pages = parcel.message.memory().pages();
                    for (at, page) in pages.iter().enumerate() {
                        prop_assert_eq!(page.bytes()[0], at as u8);
                    }
                    delivered.push((parcel.label.sequence, pages.len()));
                    ipc.discard(parcel.message);
                }
            }
            if frames.is_empty() {
                prop_assert!(inbox.is_empty());
                let all: Vec<_> = heads.into_iter().zip(sizes).collect();
                prop_assert_eq!(delivered, all);
            }
        }
    }

    #[test]
    fn a_message_without_memory_for_its_pages_is_hopeless_and_ends() {
        let mut ipc = Ipc::new();
        let mut inbox: Inbox<HeapPage> = Inbox::new(0);
        let place = inbox.partial(0, 2 * PAGE_SIZE, 0, 1).unwrap();
        let mut source = HeapPages { left: 0 };
        inbox.put_pages(place, 0, &mut [page(0)], PAGE_SIZE, &mut source);
        inbox.put_parcel(place, parcel(&mut ipc, 0, 0));
        assert!(inbox.poll_whole().is_none());
        let place = inbox.partial(0, 2 * PAGE_SIZE, 1, 1).unwrap();
        inbox.put_pages(place, 1, &mut [page(1)], PAGE_SIZE, &mut source);
        assert!(
            inbox
                .poll_whole()
                .is_some_and(|parcel| matches!(parcel.contents, Contents::Hopeless))
        );
        assert!(inbox.is_empty());
    }

    #[test]
    fn a_message_does_not_overtake_one_whose_parts_are_missing() {
        let mut ipc = Ipc::new();
        let mut inbox: Inbox<HeapPage> = Inbox::new(0);
        let place = inbox.partial(0, PAGE_SIZE, 0, 0).unwrap();
        inbox.put_parcel(place, parcel(&mut ipc, 0, 0));
        inbox.window.mark(0);
        // The sender knows that the head has arrived, so that `after` does not name it.
        let later = parcel(&mut ipc, 2, 0);
        assert!(!inbox.may_deliver(later.label));
        let mut source = HeapPages::default();
        inbox.put_pages(place, 0, &mut [page(0)], PAGE_SIZE, &mut source);
        assert!(inbox.poll_whole().is_some());
        assert!(inbox.may_deliver(later.label));
    }

    #[test]
    fn w_45_a_message_with_all_frames_before_it_here_waits_for_no_parts() {
        let mut ipc = Ipc::new();
        let mut inbox: Inbox<HeapPage> = Inbox::new(0);
        let place = inbox.partial(0, PAGE_SIZE, 0, 0).unwrap();
        inbox.put_parcel(place, parcel(&mut ipc, 0, 0));
        inbox.window.mark(0);
        let later = parcel(&mut ipc, 2, 0);
        assert!(!inbox.may_deliver(later.label));
        // What was missing between them is no part of the first: those come later.
        inbox.window.mark(1);
        assert!(inbox.may_deliver(later.label));
    }

    #[test]
    fn w_90_what_has_no_order_waits_for_nothing() {
        let mut ipc = Ipc::new();
        for destination in [NO_EXPORT, NODE_SERVICE] {
            let mut inbox: Inbox<HeapPage> = Inbox::new(0);
            let place = inbox.partial(0, PAGE_SIZE, 0, 0).unwrap();
            let mut first = parcel(&mut ipc, 0, 0);
            first.label.destination = destination;
            inbox.put_parcel(place, first);
            inbox.window.mark(0);
            let mut later = parcel(&mut ipc, 1, 0);
            later.label.destination = destination;
            assert!(inbox.may_deliver(later.label));
        }
    }

    #[test]
    fn contradictions_and_floods_are_refused() {
        let mut inbox: Inbox<HeapPage> = Inbox::new(0);
        inbox.partial(5, 2 * PAGE_SIZE, 0, 0).unwrap();
        assert_eq!(inbox.partial(5, 3 * PAGE_SIZE, 0, 0), Err(Drop::Malformed));
        assert_eq!(inbox.partial(6, PAGE_SIZE, 1, 1), Err(Drop::Malformed));
        assert_eq!(
            inbox.partial(6, PAGE_SIZE, usize::MAX, 1),
            Err(Drop::Malformed)
        );
        assert_eq!(inbox.len(), 1);
        for sequence in 10..10 + MAX_PARTIAL as u32 {
            let _ = inbox.partial(sequence, 0, 0, 0);
        }
        assert_eq!(inbox.len(), MAX_PARTIAL - MAX_BEGUN);
        assert_eq!(inbox.partial(4, PAGE_SIZE, 0, 0), Err(Drop::NoMemory));
        // There always is a place for the message whose turn it is.
        assert_eq!(inbox.partial(0, PAGE_SIZE, 0, 0), Ok(0));
    }
}
