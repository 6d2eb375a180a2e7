//! The sending half of a session: which messages wait, and in which order frames leave.
//!
//! Owns: messages until their fate is known, news for the peer, and the order. A message is
//! kept whole; frames are made from it each time they are sent, so nothing is copied to be able
//! to repeat it. Leaves to others: numbers and acknowledgements (`flight`), what a frame looks
//! like (`fill`), and what becomes of a settled message (`settle`).
//!
//! Two rules of order. All frames of a message leave before the first of a later one to the
//! same port: so whoever knows that a message has arrived whole knows that it has been decided.
//! And few messages are begun at a time ([`MAX_BEGUN`]), so that the receiver's table of
//! incomplete ones can never fill up with what waits for each other.

use alloc::collections::VecDeque;

use norma_flip::Instant;
use norma_ipc::{NoMemory, Page, Step};
use norma_wire::control::Control;

use crate::flight::{Departure, Flight};
use crate::limits::{MAX_BEGUN, MAX_CONTROLS, MAX_MESSAGES};
use crate::outbound::{Outbound, Verdict};
use crate::queue::Queue;
use crate::rights::NO_EXPORT;
use crate::slots::Slots;

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

#[derive(Debug)]
pub(crate) struct Outbox<P> {
    pub(crate) flight: Flight,
    pub(crate) messages: Slots<Outbound<P>>,
    /// Messages of which nothing was sent, in order.
    waiting: Queue,
    /// Messages of which pages are left to send, in turn.
    begun: heapless::Vec<u32, MAX_BEGUN>,
    /// Whether the next frame is for one that was begun.
    turn: bool,
    controls: VecDeque<Control>,
    /// Control frames that the rights of this session may still cause: room is kept for them.
    promised: usize,
    /// What the last new sequenced frame acknowledged.
    said: u32,
}

impl<P: Page> Outbox<P> {
    pub(crate) fn new(first: u32) -> Self {
        Outbox {
            flight: Flight::new(first),
            messages: Slots::new(MAX_MESSAGES),
            waiting: Queue::new(),
            begun: heapless::Vec::new(),
            turn: false,
            controls: VecDeque::new(),
            promised: 0,
            said: 0,
        }
    }

    /// The peer's numbers begin with this one.
    pub(crate) fn begin_acknowledging(&mut self, first: u32) {
        self.said = first;
    }

    /// The number that unsequenced frames say: everything that the peer must hear because of
    /// frames that arrived has a lower number, or will have (W-38).
    #[inline]
    pub(crate) fn horizon(&self) -> u32 {
        self.flight.next().wrapping_add(self.controls.len() as u32)
    }

    /// Keeps room for `count` control frames that must never fail to be queued.
    #[inline(always)]
    pub(crate) fn promise(&mut self, count: usize) -> Result<(), NoMemory> {
        let needed = self.promised + count;
        if self.controls.capacity() - self.controls.len() < needed {
            self.grow_controls(needed)?;
        }
        self.promised = needed;
        Ok(())
    }

    #[cold]
    fn grow_controls(&mut self, needed: usize) -> Result<(), NoMemory> {
        if self.controls.len() >= MAX_CONTROLS {
            return Err(NoMemory);
        }
        self.controls.try_reserve(needed).map_err(|_| NoMemory)
    }

    /// That many will not be needed any more.
    #[inline]
    pub(crate) fn forgive(&mut self, count: usize) {
        debug_assert!(self.promised >= count, "more forgiven than was promised");
        self.promised = self.promised.saturating_sub(count);
    }

    /// Control frames that wait for a number.
    #[cfg(feature = "audit")]
    pub(crate) fn unsent(&self) -> impl Iterator<Item = &Control> {
        self.controls.iter()
    }

    /// Control frames that are promised.
    pub(crate) fn promised(&self) -> usize {
        self.promised
    }

    /// Queues a control frame for which room was promised. Without room the peer has broken the
    /// protocol, and does without the news.
    pub(crate) fn control(&mut self, control: Control) {
        if self.controls.len() < self.controls.capacity() {
            self.controls.push_back(control);
        }
    }

    /// Makes sure that the next [`Outbox::enqueue`] cannot fail.
    #[inline]
    pub(crate) fn reserve(&mut self) -> Result<(), NoMemory> {
        if self.messages.free() == 0 {
            self.grow()?;
        }
        Ok(())
    }

    #[cold]
    fn grow(&mut self) -> Result<(), NoMemory> {
        self.waiting.reserve(self.messages.places() as usize + 1)?;
        self.messages.reserve(1)
    }

    /// A message that may go as soon as the window allows. Room must have been reserved.
    #[inline(always)]
    pub(crate) fn enqueue(&mut self, outbound: impl FnOnce() -> Outbound<P>) -> u32 {
        let slot = self.messages.insert_reserved(|_| outbound());
        self.waiting.push(slot);
        slot
    }

    /// The same, behind the message in slot `tail`, which goes to the same port.
    #[inline(always)]
    pub(crate) fn enqueue_behind(
        &mut self,
        outbound: impl FnOnce() -> Outbound<P>,
        tail: Option<u32>,
    ) -> u32 {
        let slot = self.messages.insert_reserved(|_| outbound());
        self.line_up(slot, tail);
        slot
    }

    #[inline(always)]
    fn line_up(&mut self, slot: u32, tail: Option<u32>) {
        // Where nothing is left to send, there is nothing to be behind.
        if (!self.waiting.is_empty() || !self.begun.is_empty())
            && let Some(tail) = tail.filter(|tail| *tail != slot)
            && let Some(via) = self.messages.get(slot).and_then(|outbound| outbound.via)
            && let Some(last) = self.messages.get_mut(tail)
            && last.via.is_some_and(|other| other.same_import(&via))
            && last.successor.is_none()
            && !last.all_sent()
        {
            last.successor = Some(slot);
        } else {
            self.waiting.push(slot);
        }
    }

    /// A message in its slot that is to be sent (again) from its beginning.
    pub(crate) fn requeue(&mut self, slot: u32, tail: Option<u32>) {
        if let Some(outbound) = self.messages.get_mut(slot) {
            outbound.started = false;
            outbound.next_page = 0;
            outbound.verdict = Verdict::Accepted;
            self.line_up(slot, tail);
        }
    }

    /// Whether [`Outbox::take`] would give a frame, if there is memory.
    #[inline(always)]
    pub(crate) fn has_frame(&mut self) -> bool {
        let news = self.has_news() && (self.flight.is_open() || self.may_send_control());
        news || self.flight.has_lost()
    }

    /// Whether there is nothing at all to send, if the window were open: one look at all of it,
    /// for mostly it is so.
    #[inline(always)]
    pub(crate) fn is_quiet(&self) -> bool {
        let waiting = usize::from(!self.waiting.is_empty());
        let lost = usize::from(self.flight.has_lost());
        waiting | lost | self.controls.len() | self.begun.len() == 0
    }

    #[inline]
    fn has_news(&self) -> bool {
        !self.waiting.is_empty() || !self.controls.is_empty() || !self.begun.is_empty()
    }

    /// Whether the frame that has been under way longest is not the request of a call: then its
    /// acknowledgement may be late.
    fn waits_for_no_reply(&self) -> bool {
        let Some(Cargo::Pages { slot, .. }) = self.flight.oldest_cargo() else {
            return true;
        };
        let outbound = self.messages.get(slot);
        outbound.is_none_or(|outbound| outbound.reply == NO_EXPORT)
    }

    /// When to look at the frames under way.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.flight.is_empty() {
            return None;
        }
        self.flight.deadline(now, self.waits_for_no_reply())
    }

    /// Whether the peer is to be asked what it has.
    pub(crate) fn should_ask(&self, now: Instant) -> bool {
        !self.flight.is_empty() && self.flight.should_ask(now, self.waits_for_no_reply())
    }

    /// Whether the fate of something is unknown.
    #[inline]
    pub(crate) fn is_busy(&self) -> bool {
        !self.flight.is_empty() || self.has_news() || self.messages.len() > 0
    }

    /// The next frame to send: what was lost first, then control, then messages, a frame of
    /// each in turn so that a large one does not hold up small ones. `arrived`: every frame of
    /// the peer before it is here.
    ///
    /// `label` labels a message whose head goes for the first time since it was queued, given
    /// the first frame whose fate is not known; `plan` tells how many pages fit the frame: given
    /// the message and whether its head goes too.
    #[inline(always)]
    pub(crate) fn take(
        &mut self,
        now: Instant,
        arrived: u32,
        label: impl FnOnce(&mut Outbound<P>, u32),
        plan: impl FnOnce(&Outbound<P>, bool) -> u32,
    ) -> Option<Departure> {
        if self.flight.has_lost() {
            let again = self.flight.relaunch(now);
            if P::WATCHED
                && let Some(Departure { sequence, .. }) = again
            {
                P::watch(Step::Repeated { sequence });
            }
            return again;
        }
        if !self.flight.is_open() {
            return self.take_control_alone(now, arrived);
        }
        if self.flight.reserve().is_err() {
            return None;
        }
        let cargo = if self.controls.is_empty() {
            self.take_pages(label, plan)?
        } else {
            Cargo::Control(self.take_control()?)
        };
        // What is still queued may be a refusal of what has arrived, and has no number yet: so
        // this frame must not settle that.
        if self.controls.is_empty() {
            self.said = arrived;
        }
        Some(self.flight.launch(now, cargo, self.said))
    }

    /// A CONTROL frame, where no message may be sent.
    #[cold]
    #[inline(never)]
    fn take_control_alone(&mut self, now: Instant, arrived: u32) -> Option<Departure> {
        if !self.may_send_control() || self.flight.reserve().is_err() {
            return None;
        }
        let cargo = Cargo::Control(self.take_control()?);
        if self.controls.is_empty() {
            self.said = arrived;
        }
        Some(self.flight.launch_control(now, cargo, self.said))
    }

    #[cold]
    #[inline(never)]
    fn may_send_control(&mut self) -> bool {
        !self.controls.is_empty() && self.flight.is_open_for_control()
    }

    #[cold]
    fn take_control(&mut self) -> Option<Control> {
        self.controls.pop_front()
    }

    #[inline(always)]
    fn take_pages(
        &mut self,
        label: impl FnOnce(&mut Outbound<P>, u32),
        plan: impl FnOnce(&Outbound<P>, bool) -> u32,
    ) -> Option<Cargo> {
        let slot = self.next_slot()?;
        let sequence = self.flight.next();
        let outbound = self.messages.get_mut(slot)?;
        let head = !outbound.started;
        if head {
            outbound.started = true;
            outbound.sequence = sequence;
            label(outbound, self.flight.first_unsettled());
        }
        outbound.frames += 1;
        let first = outbound.next_page;
        let left = outbound.pages() - first;
        let mut count = 0;
        if left > 0 {
            count = plan(outbound, head).min(left);
            outbound.next_page += count;
        }
        if count < left {
            // There is a place: `next_slot` saw to it.
            let _ = self.begun.push(slot);
        } else if let Some(successor) = outbound.successor.take() {
            self.waiting.push(successor);
        }
        Some(Cargo::Pages {
            slot,
            head,
            first,
            count: count as u8,
        })
    }

    /// Takes out the slot whose turn it is.
    #[inline(always)]
    fn next_slot(&mut self) -> Option<u32> {
        if self.begun.is_empty() {
            return self.waiting.pop();
        }
        self.next_in_turn()
    }

    /// The same where some have begun: they and those that wait take turns.
    #[inline(never)]
    fn next_in_turn(&mut self) -> Option<u32> {
        let large = |slot: u32| self.messages.get(slot).is_some_and(|o| o.pages() > 0);
        let barred = match self.waiting.first() {
            Some(slot) => self.begun.is_full() && large(slot),
            None => true,
        };
        self.turn = !self.turn;
        if self.turn || barred {
            Some(self.begun.remove(0))
        } else {
            self.waiting.pop()
        }
    }

    /// The slot of the message whose MESSAGE frame had that number. The frame itself may be
    /// settled long before the last of its message.
    pub(crate) fn slot_of(&self, sequence: u32) -> Option<u32> {
        let mut messages = self.messages.iter();
        let found = messages.find(|(_, o)| o.started && o.sequence == sequence)?;
        Some(found.0)
    }

    /// The slot of the next message whose fate is known.
    #[inline(always)]
    pub(crate) fn poll_settled(&mut self) -> Option<u32> {
        loop {
            if let Cargo::Pages { slot, .. } = self.flight.poll_settled()?
                && let Some(outbound) = self.messages.get_mut(slot)
            {
                outbound.frames -= 1;
                if outbound.frames == 0 && outbound.all_sent() {
                    return Some(slot);
                }
            }
        }
    }

    /// Removes any message, for a session that ends.
    pub(crate) fn remove_any(&mut self) -> Option<Outbound<P>> {
        let (slot, _) = self.messages.iter().next()?;
        self.messages.remove(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flight::Acknowledgement;
    use crate::limits::MAX_UNSETTLED;
    use crate::outbound::Via;
    use alloc::vec::Vec;
    use norma_ipc::{HeapPage, HeapPages, Ipc, Memory, PageSource, RemoteToken};
    use norma_wire::session::Flags;

    const PAGES_PER_FRAME: u32 = 2;

    fn via(ipc: &mut Ipc<HeapPage>, import: u32) -> Via {
        let port = ipc.create_proxy(RemoteToken(u64::from(import))).unwrap();
        Via {
            import,
            serial: 1,
            port,
        }
    }

    fn outbound(ipc: &mut Ipc<HeapPage>, via: Via, pages: usize) -> Outbound<HeapPage> {
        let mut message = ipc.new_message().unwrap();
        let mut source = HeapPages::default();
        let mut memory = Memory::new();
        for _ in 0..pages {
            memory.push(source.allocate().unwrap(), 4096).unwrap();
        }
        let _ = message.replace_memory(memory).unwrap();
        Outbound::new(
            message,
            via.import,
            Some(via),
            Flags::empty(),
            0,
            Vec::new(),
        )
    }

    /// Takes frames until there are none; each is acknowledged and settled at once.
    fn slots_of(outbox: &mut Outbox<HeapPage>) -> Vec<u32> {
        let mut slots = Vec::new();
        let now = Instant::from_millis(1);
        while let Some(departure) = outbox.take(now, 0, |_, _| {}, |_, _| PAGES_PER_FRAME) {
            let Cargo::Pages { slot, .. } = departure.cargo else {
                panic!("no news was queued");
            };
            slots.push(slot);
            assert!(outbox.begun.len() <= MAX_BEGUN);
            let acknowledged = departure.sequence.wrapping_add(1);
            let said = Acknowledgement {
                acknowledged,
                selective: 0,
                credit: 4,
                horizon: 0,
            };
            outbox.flight.acknowledge(now, said, 0);
            while outbox.poll_settled().is_some() {}
        }
        slots
    }

    #[test]
    fn all_frames_of_a_message_leave_before_the_next_to_the_same_port() {
        let (mut ipc, mut outbox) = (Ipc::new(), Outbox::new(u32::MAX));
        let to = via(&mut ipc, 0);
        let mut tail = None;
        let mut slots = Vec::new();
        for pages in [5, 0, 3, 0] {
            outbox.reserve().unwrap();
            let message = outbound(&mut ipc, to, pages);
            tail = Some(outbox.enqueue_behind(|| message, tail));
            slots.extend(tail);
        }
        let [a, b, c, d] = slots[..] else {
            panic!("four slots")
        };
        assert_eq!(slots_of(&mut outbox), [a, a, a, b, c, c, d]);
        assert!(outbox.flight.is_empty());
    }

    #[test]
    fn a_large_message_does_not_hold_up_small_ones_to_other_ports() {
        let (mut ipc, mut outbox) = (Ipc::new(), Outbox::new(0));
        let (large, small) = (via(&mut ipc, 0), via(&mut ipc, 1));
        outbox.reserve().unwrap();
        let message = outbound(&mut ipc, large, 10);
        let first = outbox.enqueue(|| message);
        outbox.reserve().unwrap();
        let message = outbound(&mut ipc, small, 0);
        let second = outbox.enqueue(|| message);
        assert!(slots_of(&mut outbox)[..3].contains(&second));
        let _ = first;
    }

    #[test]
    fn few_messages_are_begun_at_a_time_and_all_end() {
        let (mut ipc, mut outbox) = (Ipc::new(), Outbox::new(0));
        let mut expected = 0;
        for import in 0..40 {
            let to = via(&mut ipc, import);
            outbox.reserve().unwrap();
            let message = outbound(&mut ipc, to, 7);
            outbox.enqueue(|| message);
            expected += 4;
        }
        assert_eq!(slots_of(&mut outbox).len(), expected);
        assert!(!outbox.has_frame());
    }

    #[test]
    fn a_frame_behind_which_news_waits_acknowledges_no_more_than_the_one_before() {
        let mut outbox: Outbox<HeapPage> = Outbox::new(0);
        outbox.flight.open(8);
        outbox.begin_acknowledging(500);
        outbox.promise(2).unwrap();
        for sequence in [500, 501] {
            let reason = norma_wire::control::Reason::Full;
            outbox.control(Control::Refused { sequence, reason });
            outbox.forgive(1);
        }
        assert_eq!(outbox.horizon(), 2);
        let mut said = || {
            outbox
                .take(Instant::ZERO, 502, |_, _| {}, |_, _| 0)
                .map(|d| d.acknowledged)
        };
        assert_eq!((said(), said(), said()), (Some(500), Some(502), None));
        assert_eq!((outbox.horizon(), outbox.promised()), (2, 0));
    }

    #[test]
    fn news_without_a_promise_takes_no_memory() {
        let mut outbox: Outbox<HeapPage> = Outbox::new(0);
        for export in 0..100 {
            outbox.control(Control::Room { export });
        }
        assert_eq!(outbox.horizon(), 0);
    }

    /// CONTROL frames and as many messages as may be sent with everything acknowledged, and
    /// nothing settled: the peer has more to say than has arrived here.
    fn unsettled(outbox: &mut Outbox<HeapPage>, ipc: &mut Ipc<HeapPage>) -> [usize; 2] {
        let to = via(ipc, 0);
        let mut sent = [0; 2];
        loop {
            while outbox.messages.len() < 8 && outbox.reserve().is_ok() {
                let message = outbound(ipc, to, 0);
                outbox.enqueue(|| message);
            }
            let now = Instant::ZERO;
            let Some(departure) = outbox.take(now, 0, |_, _| {}, |_, _| 1) else {
                return sent;
            };
            match departure.cargo {
                Cargo::Control(_) => sent[0] += 1,
                Cargo::Pages { slot, .. } => {
                    sent[1] += 1;
                    outbox.messages.remove(slot);
                }
            }
            let said = Acknowledgement {
                acknowledged: departure.sequence.wrapping_add(1),
                selective: 0,
                credit: 4,
                horizon: 1,
            };
            outbox.flight.acknowledge(now, said, 0);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "goes to the bounds, which takes Miri minutes")]
    fn w_144_news_leaves_where_no_message_may() {
        let (mut ipc, mut outbox) = (Ipc::new(), Outbox::new(0));
        assert_eq!(unsettled(&mut outbox, &mut ipc), [0, MAX_UNSETTLED]);
        assert!(!outbox.has_frame());
        outbox.promise(2).unwrap();
        for export in [5, 6] {
            outbox.control(Control::Dead { export });
        }
        assert!(outbox.has_frame());
        assert_eq!(unsettled(&mut outbox, &mut ipc), [2, 0]);
        assert!(!outbox.has_frame());
    }

    #[test]
    #[cfg_attr(miri, ignore = "goes to the bounds, which takes Miri minutes")]
    fn news_that_a_peer_does_not_let_go_of_is_bounded() {
        let mut outbox: Outbox<HeapPage> = Outbox::new(0);
        let mut count = 0;
        while outbox.promise(1).is_ok() {
            outbox.control(Control::Dead { export: 5 });
            outbox.forgive(1);
            count += 1;
            assert!(count <= 2 * MAX_CONTROLS);
        }
        assert!(count >= MAX_CONTROLS);
    }
}
