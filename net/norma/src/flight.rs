//! Frames under way: their numbers, which have arrived, which were lost, whose fate is known.
//!
//! A frame that is acknowledged is **settled** only when every frame that its receiver has sent
//! before the acknowledgement has arrived here too: a refusal may be among them. So that this
//! holds, a frame never acknowledges more than when it was first sent; what is sent again says
//! what it said before.
//!
//! Sources: selective acknowledgement and fast retransmission as in TCP (RFC 2018, RFC 5681),
//! numbers that are never reused as in QUIC (RFC 9002).

use alloc::collections::VecDeque;

use norma_flip::Instant;
use norma_ipc::NoMemory;

use crate::limits::{MAX_CREDIT, MAX_UNSETTLED};
use crate::outbox::Cargo;
use crate::round_trip::RoundTrip;
use crate::window::before;

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
    /// What it acknowledged when it was first sent.
    acknowledged: u32,
    fate: Fate,
    repeated: bool,
}

/// What a header says about our frames.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acknowledgement {
    /// The peer has every frame before this one,
    pub(crate) acknowledged: u32,
    /// and those after it whose bit is set.
    pub(crate) selective: u32,
    /// How many frames from `acknowledged` on may be under way.
    pub(crate) credit: u8,
    /// It settles once every frame of the peer before this one has arrived.
    pub(crate) horizon: u32,
}

/// A frame to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Departure {
    pub(crate) sequence: u32,
    pub(crate) cargo: Cargo,
    /// How much it may acknowledge.
    pub(crate) acknowledged: u32,
}

#[derive(Debug)]
pub(crate) struct Flight {
    /// Sequence number of the next new frame.
    next: u32,
    /// Frames `next - frames.len() .. next`, from the first that is not settled.
    frames: VecDeque<Frame>,
    /// The peer has every frame before this one.
    acknowledged: u32,
    /// The fate of every frame before this one is known.
    settled: u32,
    /// An acknowledgement that will settle when every frame before `.1` has arrived.
    unripe: Option<(u32, u32)>,
    credit: u8,
    lost: u32,
    repeated: u64,
}

impl Flight {
    pub(crate) fn new(first: u32) -> Self {
        Flight {
            next: first,
            frames: VecDeque::new(),
            acknowledged: first,
            settled: first,
            unripe: None,
            credit: 1,
            lost: 0,
            repeated: 0,
        }
    }

    /// The sequence number of the next new frame.
    #[inline]
    pub(crate) fn next(&self) -> u32 {
        self.next
    }

    /// The peer's first credit.
    pub(crate) fn open(&mut self, credit: u8) {
        self.credit = credit.clamp(1, MAX_CREDIT);
    }

    /// The first frame whose fate is not known.
    #[inline]
    pub(crate) fn first_unsettled(&self) -> u32 {
        self.next.wrapping_sub(self.frames.len() as u32)
    }

    /// Whether a new frame may be sent.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.next.wrapping_sub(self.acknowledged) < u32::from(self.credit)
            && self.frames.len() < MAX_UNSETTLED
    }

    #[inline]
    pub(crate) fn has_lost(&self) -> bool {
        self.lost > 0
    }

    /// No frame is under way or waits for its fate.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// How many frames were sent again.
    pub(crate) fn repeated(&self) -> u64 {
        self.repeated
    }

    /// Makes sure that the next [`Flight::launch`] needs no memory.
    #[inline]
    pub(crate) fn reserve(&mut self) -> Result<(), NoMemory> {
        if self.frames.len() < self.frames.capacity() {
            return Ok(());
        }
        self.grow()
    }

    #[cold]
    fn grow(&mut self) -> Result<(), NoMemory> {
        self.frames.try_reserve(1).map_err(|_| NoMemory)
    }

    /// Numbers a new frame.
    #[inline(always)]
    pub(crate) fn launch(&mut self, now: Instant, cargo: Cargo, acknowledged: u32) -> Departure {
        let sequence = self.next;
        self.next = sequence.wrapping_add(1);
        self.frames.push_back(Frame {
            cargo,
            sent_at: now,
            acknowledged,
            fate: Fate::UnderWay,
            repeated: false,
        });
        Departure {
            sequence,
            cargo,
            acknowledged,
        }
    }

    /// The first frame that was lost, to be sent again.
    #[inline(always)]
    pub(crate) fn relaunch(&mut self, now: Instant) -> Option<Departure> {
        let index = self.find_lost(now)?;
        let frame = self.frames.get(index)?;
        Some(Departure {
            sequence: self.first_unsettled().wrapping_add(index as u32),
            cargo: frame.cargo,
            acknowledged: frame.acknowledged,
        })
    }

    /// Counts the first frame that was lost as under way again, and says where it is.
    #[cold]
    fn find_lost(&mut self, now: Instant) -> Option<usize> {
        let (index, frame) = self
            .frames
            .iter_mut()
            .enumerate()
            .find(|(_, frame)| frame.fate == Fate::Lost)?;
        frame.fate = Fate::UnderWay;
        frame.sent_at = now;
        frame.repeated = true;
        self.lost -= 1;
        self.repeated += 1;
        Some(index)
    }

    /// The frame of that number could not be made: it is tried again after a retransmission
    /// time, and measures nothing.
    pub(crate) fn spoil(&mut self, sequence: u32) {
        let first = self.first_unsettled();
        if let Some(frame) = self.frames.get_mut(sequence.wrapping_sub(first) as usize) {
            frame.repeated = true;
        }
    }

    /// Takes an acknowledgement; `arrived` says that every frame of the peer before it is here.
    #[inline(always)]
    pub(crate) fn acknowledge(
        &mut self,
        now: Instant,
        said: Acknowledgement,
        arrived: u32,
        round_trip: &mut RoundTrip,
    ) {
        let Acknowledgement {
            acknowledged,
            selective,
            credit,
            horizon,
        } = said;
        if before(self.next, acknowledged) || before(acknowledged, self.acknowledged) {
            return; // Of frames that were never sent, or from a time before.
        }
        self.credit = credit.clamp(1, MAX_CREDIT);
        if acknowledged != self.acknowledged {
            let first = self.first_unsettled();
            while self.acknowledged != acknowledged {
                let index = self.acknowledged.wrapping_sub(first) as usize;
                if let Some(frame) = self.frames.get_mut(index) {
                    Self::arrived(frame, now, &mut self.lost, round_trip);
                }
                self.acknowledged = self.acknowledged.wrapping_add(1);
            }
            round_trip.progress();
        }
        if selective != 0 {
            self.acknowledge_selective(now, acknowledged, selective, round_trip);
        }
        if before(arrived, horizon) {
            self.unripe = Some((acknowledged, horizon));
        } else {
            self.settled = acknowledged;
        }
    }

    /// Every frame of the peer before `arrived` is here: an earlier acknowledgement may be ripe.
    #[inline]
    pub(crate) fn ripen(&mut self, arrived: u32) {
        if let Some((acknowledged, horizon)) = self.unripe
            && !before(arrived, horizon)
        {
            self.unripe = None;
            if before(self.settled, acknowledged) {
                self.settled = acknowledged;
            }
        }
    }

    #[inline(always)]
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
        let base = acknowledged.wrapping_sub(self.first_unsettled()) as usize;
        for bit in 0..32 {
            if selective & (1 << bit) != 0
                && let Some(frame) = self.frames.get_mut(base + 1 + bit)
            {
                Self::arrived(frame, now, &mut self.lost, round_trip);
            }
        }
        let patience = round_trip.smoothed() + round_trip.smoothed() / 4;
        for bit in 0..32usize {
            if (selective >> bit).count_ones() < 3 {
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

    /// What the next frame carried whose fate is known; it is forgotten here.
    #[inline(always)]
    pub(crate) fn poll_settled(&mut self) -> Option<Cargo> {
        if !before(self.first_unsettled(), self.settled) {
            return None;
        }
        Some(self.frames.pop_front()?.cargo)
    }

    /// When the oldest frame under way has been waited for long enough.
    pub(crate) fn deadline(&self, round_trip: &RoundTrip) -> Option<Instant> {
        let under_way = self
            .frames
            .iter()
            .filter(|frame| frame.fate == Fate::UnderWay);
        let oldest = under_way.map(|frame| frame.sent_at).min()?;
        Some(oldest + round_trip.timeout())
    }

    /// There is no way to the peer: counts all that is under way as lost.
    #[cold]
    pub(crate) fn lose_all(&mut self) {
        for frame in &mut self.frames {
            if frame.fate == Fate::UnderWay {
                frame.fate = Fate::Lost;
                self.lost += 1;
            }
        }
    }

    /// Counts every frame as lost whose time is over.
    pub(crate) fn expire(&mut self, now: Instant, round_trip: &mut RoundTrip) {
        let timeout = round_trip.timeout();
        let before = self.lost;
        for frame in &mut self.frames {
            if frame.fate == Fate::UnderWay && frame.sent_at + timeout <= now {
                frame.fate = Fate::Lost;
                self.lost += 1;
            }
        }
        if self.lost > before {
            round_trip.timed_out();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::{Admission, Window};
    use alloc::vec::Vec;
    use norma_wire::control::Control;
    use proptest::prelude::*;

    fn cargo(number: u32) -> Cargo {
        Cargo::Control(Control::Dead { export: number })
    }

    /// A receiver that acknowledges, and now and then says something that settles.
    struct Peer {
        window: Window,
        sent: u32,
    }

    proptest! {
        #![proptest_config(crate::cases(300))]

        /// Whatever is lost, doubled and overtaken: each frame is settled once, in order, after
        /// it has arrived and all that the peer said before has, and in the end all are.
        #[test]
        fn each_frame_is_settled_once_and_in_order(
            first in prop_oneof![Just(u32::MAX - 3), any::<u32>()],
            steps in prop::collection::vec((0u8..8, any::<prop::sample::Index>()), 1..200),
        ) {
            let mut flight = Flight::new(first);
            flight.open(8);
            let mut round_trip = RoundTrip::new();
            let mut peer = Peer { window: Window::new(first), sent: 100 };
            let mut ours = Window::new(100);
            let (mut there, mut back) = (Vec::new(), Vec::<(Acknowledgement, bool)>::new());
            let mut now = Instant::from_millis(1);
            let (mut launched, mut settled) = (0u32, 0u32);
            let calm = (0..4000u32).map(|at| ((at % 6) as u8, None));
            let wild = steps.into_iter().map(|(step, index)| (step, Some(index)));
            for (step, index) in wild.chain(calm) {
                now += core::time::Duration::from_millis(2);
                let pick = |length: usize| index.map_or(0, |index| index.index(length));
                match step {
                    0 if flight.is_open() && (index.is_some() || launched < 20) => {
                        flight.reserve().unwrap();
                        let departure = flight.launch(now, cargo(launched), 0);
                        prop_assert_eq!(departure.sequence, first.wrapping_add(launched));
                        launched += 1;
                        there.push(departure.sequence);
                    }
                    1 => {
                        flight.expire(now, &mut round_trip);
                        while let Some(again) = flight.has_lost().then(|| flight.relaunch(now)) {
                            there.push(again.unwrap().sequence);
                        }
                    }
                    2 if !there.is_empty() => {
                        let sequence = there.remove(pick(there.len()));
                        if peer.window.admit(sequence) == Admission::New {
                            peer.window.mark(sequence);
                        }
                    }
                    3 => {
                        // It says something every other time.
                        let speaks = launched % 2 == 0;
                        back.push((Acknowledgement {
                            acknowledged: peer.window.next(),
                            selective: peer.window.selective(),
                            credit: 8,
                            horizon: peer.sent,
                        }, speaks));
                        peer.sent = peer.sent.wrapping_add(u32::from(speaks));
                    }
                    4 if !back.is_empty() => {
                        let (said, spoke) = back.remove(pick(back.len()));
                        if spoke && ours.admit(said.horizon) == Admission::New {
                            ours.mark(said.horizon);
                            flight.ripen(ours.next());
                        }
                        flight.acknowledge(now, said, ours.next(), &mut round_trip);
                    }
                    // Lost or doubled.
                    6 if !there.is_empty() => drop(there.remove(pick(there.len()))),
                    7 if !there.is_empty() => there.push(there[pick(there.len())]),
                    _ => {}
                }
                while let Some(cargo_of) = flight.poll_settled() {
                    prop_assert_eq!(cargo_of, cargo(settled));
                    let number = first.wrapping_add(settled);
                    prop_assert!(peer.window.contains(number));
                    settled += 1;
                }
            }
            prop_assert_eq!(settled, launched);
            prop_assert!(flight.is_empty());
        }
    }

    #[test]
    fn an_acknowledgement_that_overtook_a_refusal_settles_nothing_yet() {
        let (mut flight, mut round_trip) = (Flight::new(0), RoundTrip::new());
        let now = Instant::from_millis(1);
        flight.reserve().unwrap();
        let _ = flight.launch(now, cargo(0), 7);
        // The peer's frame 7 is missing here: it may be a refusal.
        let said = Acknowledgement {
            acknowledged: 1,
            selective: 0,
            credit: 8,
            horizon: 8,
        };
        flight.acknowledge(now, said, 7, &mut round_trip);
        assert_eq!(flight.poll_settled(), None);
        flight.ripen(7);
        assert_eq!(flight.poll_settled(), None);
        flight.ripen(8);
        assert_eq!(flight.poll_settled(), Some(cargo(0)));
    }

    #[test]
    fn what_is_sent_again_says_what_it_said_before() {
        let (mut flight, mut round_trip) = (Flight::new(0), RoundTrip::new());
        flight.reserve().unwrap();
        let departure = flight.launch(Instant::from_millis(1), cargo(0), 7);
        let later = Instant::from_millis(1000);
        flight.expire(later, &mut round_trip);
        assert_eq!(flight.relaunch(later), Some(departure));
        assert_eq!(flight.repeated(), 1);
    }
}
