//! The sending half of a session: what waits, what is under way, what was lost.
//!
//! Owns: the order in which frames leave, the window, and when a frame is sent again. A message
//! is kept whole until its fate is known; frames are made from it each time they are sent, so
//! nothing is copied to be able to repeat it.
//! Leaves to others: what a frame looks like (`transmit`), and what becomes of a settled
//! message (`delivery`).
//!
//! A frame that is acknowledged is **settled** only when every frame that its receiver sent
//! before the acknowledgement has arrived here too: a refusal may be among them.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use norma_flip::Instant;
use norma_ipc::{Message, NoMemory, PortId, Reason, Right};
use norma_wire::control::Control;
use norma_wire::descriptor;

use crate::limits::MAX_MESSAGES;
use crate::round_trip::RoundTrip;
use crate::slots::Slots;
use crate::window::before;

/// Frames whose fate may be unknown at one time. More than the window, because a frame that has
/// arrived is not settled while something that the peer sent is missing.
const MAX_UNSETTLED: usize = 1024;

/// What the receiver made of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has it, or will.
    Accepted,
    /// Its queue was full: to be sent again.
    Full,
    /// It cannot have it.
    Failed(Reason),
}

/// A message on its way to another node. The rights in it have been turned into descriptors.
#[derive(Debug)]
pub(crate) struct Outbound<P> {
    pub(crate) message: Message<P>,
    /// The peer's export index.
    pub(crate) destination: u32,
    /// The destination is a send-once right.
    pub(crate) once: bool,
    /// The place of the stand-in in the import table, and its port.
    pub(crate) via: Option<(u32, PortId)>,
    /// Our export index of the reply right.
    pub(crate) reply: u32,
    pub(crate) descriptors: Vec<descriptor::Repr>,
    /// Rights that go home: held until they have arrived.
    pub(crate) held: Vec<Right>,
    /// Sequence number of its MESSAGE frame, once that was sent.
    pub(crate) sequence: u32,
    /// The number for which `after` and `fresh` were worked out: once per sending.
    pub(crate) numbered: Option<u32>,
    pub(crate) after: u16,
    pub(crate) fresh: bool,
    /// The first page that was not sent yet.
    pub(crate) next_page: u32,
    pub(crate) started: bool,
    /// Frames sent and not settled.
    pub(crate) frames: u32,
    pub(crate) verdict: Verdict,
}

impl<P> Outbound<P> {
    pub(crate) fn pages(&self) -> u32 {
        self.message.memory().pages().len() as u32
    }

    fn all_sent(&self) -> bool {
        self.started && self.next_page >= self.pages()
    }
}

/// What a sequenced frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cargo {
    /// Pages `first..first + count` of the message in that slot; with `head`, also its head.
    Pages {
        slot: u32,
        head: bool,
        first: u32,
        count: u8,
    },
    Control(Control),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    UnderWay,
    Lost,
    Arrived,
}

#[derive(Debug)]
struct Frame {
    cargo: Cargo,
    sent_at: Instant,
    fate: Fate,
    repeated: bool,
}

#[derive(Debug)]
pub(crate) struct Outbox<P> {
    /// Sequence number of the next new frame.
    next: u32,
    /// Frames `next - frames.len() .. next`, from the first that is not settled.
    frames: VecDeque<Frame>,
    pub(crate) messages: Slots<Outbound<P>>,
    /// Messages with frames that were never sent, in order.
    waiting: VecDeque<u32>,
    controls: VecDeque<Control>,
    /// Control frames that the rights of this session may still cause: room is kept for them.
    promised: usize,
    /// The peer has every frame before this one.
    acknowledged: u32,
    /// The fate of every frame before this one is known.
    settled: u32,
    credit: u8,
    lost: u32,
}

impl<P> Outbox<P> {
    pub(crate) fn new(first: u32) -> Self {
        Outbox {
            next: first,
            frames: VecDeque::new(),
            messages: Slots::new(MAX_MESSAGES),
            waiting: VecDeque::new(),
            controls: VecDeque::new(),
            promised: 0,
            acknowledged: first,
            settled: first,
            credit: 1,
            lost: 0,
        }
    }

    /// The sequence number of the next new frame.
    #[inline]
    pub(crate) fn next(&self) -> u32 {
        self.next
    }

    /// The peer's first credit.
    pub(crate) fn open(&mut self, credit: u8) {
        self.credit = credit.clamp(1, crate::limits::MAX_CREDIT);
    }

    /// The first frame whose fate is not known.
    #[inline]
    pub(crate) fn first_unsettled(&self) -> u32 {
        self.next.wrapping_sub(self.frames.len() as u32)
    }

    /// Keeps room for `count` control frames that must never fail to be queued.
    #[inline]
    pub(crate) fn promise(&mut self, count: usize) -> Result<(), NoMemory> {
        let needed = self.promised + count;
        if self.controls.capacity() - self.controls.len() < needed {
            self.controls.try_reserve(needed).map_err(|_| NoMemory)?;
        }
        self.promised += count;
        Ok(())
    }

    /// That many will not be needed any more.
    #[inline]
    pub(crate) fn forgive(&mut self, count: usize) {
        self.promised = self.promised.saturating_sub(count);
    }

    /// Queues a control frame for which room was promised.
    pub(crate) fn control(&mut self, control: Control) {
        self.controls.push_back(control);
    }

    /// Makes sure that the next [`Outbox::enqueue`] cannot fail.
    #[inline]
    pub(crate) fn reserve(&mut self) -> Result<(), NoMemory> {
        self.messages.reserve(1)?;
        self.waiting
            .try_reserve(self.messages.len() + 1)
            .map_err(|_| NoMemory)
    }

    /// A message that may go as soon as the window allows. Room must have been reserved.
    #[inline]
    pub(crate) fn enqueue(&mut self, outbound: Outbound<P>) -> Result<u32, NoMemory> {
        let slot = self.messages.insert(outbound)?;
        self.waiting.push_back(slot);
        Ok(slot)
    }

    /// A message in its slot that is to be sent (again) from its beginning.
    pub(crate) fn requeue(&mut self, slot: u32) {
        if let Some(outbound) = self.messages.get_mut(slot) {
            outbound.started = false;
            outbound.next_page = 0;
            outbound.verdict = Verdict::Accepted;
            self.waiting.push_back(slot);
        }
    }

    #[inline]
    fn window_open(&self) -> bool {
        self.next.wrapping_sub(self.acknowledged) < u32::from(self.credit)
    }

    /// Whether [`Outbox::take`] would give a frame.
    #[inline]
    pub(crate) fn has_frame(&self) -> bool {
        self.lost > 0
            || (!(self.waiting.is_empty() && self.controls.is_empty())
                && self.window_open()
                && self.frames.len() < MAX_UNSETTLED)
    }

    /// Whether the fate of something is unknown.
    #[inline]
    pub(crate) fn is_busy(&self) -> bool {
        !self.frames.is_empty() || !self.waiting.is_empty() || !self.controls.is_empty()
    }

    /// The next frame to send and its number: what was lost first, then control, then messages,
    /// a frame of each in turn so that a large one does not hold up small ones.
    ///
    /// `plan` tells how many pages fit the frame: given the message and whether its head goes
    /// too.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        plan: impl FnOnce(&Outbound<P>, bool) -> u32,
    ) -> Option<(u32, Cargo)> {
        if self.lost > 0 {
            return self.take_lost(now);
        }
        if !self.window_open()
            || self.frames.len() >= MAX_UNSETTLED
            || self.frames.try_reserve(1).is_err()
        {
            return None;
        }
        let sequence = self.next;
        let cargo = if let Some(control) = self.controls.pop_front() {
            Cargo::Control(control)
        } else {
            let slot = self.waiting.pop_front()?;
            let outbound = self.messages.get_mut(slot)?;
            let head = !outbound.started;
            if head {
                outbound.started = true;
                outbound.sequence = sequence;
            }
            let first = outbound.next_page;
            let left = outbound.pages() - first;
            let count = if left == 0 {
                0
            } else {
                plan(outbound, head).min(left)
            };
            outbound.next_page += count;
            outbound.frames += 1;
            if !outbound.all_sent() {
                self.waiting.push_back(slot);
            }
            Cargo::Pages {
                slot,
                head,
                first,
                count: count as u8,
            }
        };
        self.next = sequence.wrapping_add(1);
        self.frames.push_back(Frame {
            cargo,
            sent_at: now,
            fate: Fate::UnderWay,
            repeated: false,
        });
        Some((sequence, cargo))
    }

    #[cold]
    fn take_lost(&mut self, now: Instant) -> Option<(u32, Cargo)> {
        let first = self.first_unsettled();
        let (index, frame) = self
            .frames
            .iter_mut()
            .enumerate()
            .find(|(_, frame)| frame.fate == Fate::Lost)?;
        frame.fate = Fate::UnderWay;
        frame.sent_at = now;
        frame.repeated = true;
        self.lost -= 1;
        Some((first.wrapping_add(index as u32), frame.cargo))
    }

    /// The frame just taken could not be made or sent: it counts as lost and is tried again
    /// after a retransmission time.
    pub(crate) fn put_back(&mut self, sequence: u32) {
        if let Some(frame) = self.frame_mut(sequence) {
            frame.repeated = true;
        }
    }

    fn frame_mut(&mut self, sequence: u32) -> Option<&mut Frame> {
        let first = self.first_unsettled();
        self.frames.get_mut(sequence.wrapping_sub(first) as usize)
    }

    /// The slot of the message whose MESSAGE frame had that number.
    pub(crate) fn slot_of(&self, sequence: u32) -> Option<u32> {
        let first = self.first_unsettled();
        match self
            .frames
            .get(sequence.wrapping_sub(first) as usize)?
            .cargo
        {
            Cargo::Pages {
                slot, head: true, ..
            } => Some(slot),
            _ => None,
        }
    }

    /// An acknowledgement came: every frame before `acknowledged`, and those in `selective`,
    /// have arrived. With `settles`, nothing that the peer said before is missing here.
    #[inline]
    pub(crate) fn acknowledge(
        &mut self,
        now: Instant,
        acknowledged: u32,
        selective: u32,
        credit: u8,
        settles: bool,
        round_trip: &mut RoundTrip,
    ) {
        if before(self.next, acknowledged) || before(acknowledged, self.acknowledged) {
            return; // From a time before, or of frames that were never sent.
        }
        self.credit = credit.clamp(1, crate::limits::MAX_CREDIT);
        let first = self.first_unsettled();
        if acknowledged != self.acknowledged {
            let from = self.acknowledged.wrapping_sub(first) as usize;
            let to = acknowledged.wrapping_sub(first) as usize;
            for frame in self.frames.range_mut(from..to) {
                Self::arrived(frame, now, &mut self.lost, round_trip);
            }
            self.acknowledged = acknowledged;
            round_trip.progress();
        }
        if selective != 0 {
            self.acknowledge_selective(now, acknowledged, selective, round_trip);
        }
        if settles {
            self.settled = acknowledged;
        }
    }

    #[inline]
    fn arrived(frame: &mut Frame, now: Instant, lost: &mut u32, round_trip: &mut RoundTrip) {
        match frame.fate {
            Fate::Arrived => return,
            Fate::Lost => *lost -= 1,
            Fate::UnderWay => {}
        }
        if !frame.repeated {
            round_trip.measured(now.nanos_since(frame.sent_at));
        }
        frame.fate = Fate::Arrived;
    }

    /// Frames that arrived although an earlier one is missing. What three later ones have
    /// overtaken is lost (as in TCP's fast retransmission), unless it was just sent again.
    #[cold]
    fn acknowledge_selective(
        &mut self,
        now: Instant,
        acknowledged: u32,
        selective: u32,
        round_trip: &mut RoundTrip,
    ) {
        let first = self.first_unsettled();
        let base = acknowledged.wrapping_sub(first) as usize;
        for bit in 0..32 {
            if selective & (1 << bit) != 0
                && let Some(frame) = self.frames.get_mut(base + 1 + bit)
            {
                Self::arrived(frame, now, &mut self.lost, round_trip);
            }
        }
        let patience = round_trip.smoothed() + round_trip.smoothed() / 4;
        for bit in 0..32usize {
            let overtaken_by = (selective >> bit).count_ones();
            if overtaken_by < 3 {
                break;
            }
            if let Some(frame) = self.frames.get_mut(base + bit)
                && frame.fate == Fate::UnderWay
                && (!frame.repeated || now.since(frame.sent_at) > patience)
            {
                frame.fate = Fate::Lost;
                self.lost += 1;
            }
        }
    }

    /// The next message whose fate is known, out of its slot, with the slot's number for those
    /// that will be sent again and so stay.
    #[inline]
    pub(crate) fn poll_settled(&mut self) -> Option<u32> {
        loop {
            let first = self.first_unsettled();
            if first == self.settled || !before(first, self.settled) {
                return None;
            }
            let frame = self.frames.pop_front()?;
            if let Cargo::Pages { slot, .. } = frame.cargo
                && let Some(outbound) = self.messages.get_mut(slot)
            {
                outbound.frames -= 1;
                if outbound.frames == 0 && outbound.all_sent() {
                    return Some(slot);
                }
            }
        }
    }

    /// When the oldest frame under way has been waited for long enough.
    #[inline]
    pub(crate) fn deadline(&self, round_trip: &RoundTrip) -> Option<Instant> {
        let oldest = self
            .frames
            .iter()
            .find(|frame| frame.fate == Fate::UnderWay)?;
        Some(oldest.sent_at + round_trip.timeout())
    }

    /// Counts every frame as lost whose time is over; tells whether there was one.
    pub(crate) fn expire(&mut self, now: Instant, round_trip: &mut RoundTrip) -> bool {
        let timeout = round_trip.timeout();
        let mut any = false;
        for frame in &mut self.frames {
            if frame.fate == Fate::UnderWay && frame.sent_at + timeout <= now {
                frame.fate = Fate::Lost;
                self.lost += 1;
                any = true;
            }
        }
        if any {
            round_trip.timed_out();
        }
        any
    }

    /// Removes any message, for a session that ends.
    pub(crate) fn remove_any(&mut self) -> Option<Outbound<P>> {
        let (slot, _) = self.messages.iter().next()?;
        self.messages.remove(slot)
    }
}
