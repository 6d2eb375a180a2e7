//! Frames under way: their numbers, which have arrived, which were lost, whose fate is known.
//!
//! A frame that is acknowledged is **settled** only when every frame that its receiver has sent
//! before the acknowledgement has arrived here too: a refusal may be among them. So that this
//! holds, a frame never acknowledges more than when it was first sent; what is sent again says
//! what it said before.
//!
//! Three bounds hold new frames back: the peer's credit, the window of the network
//! (`congestion`), and what the peer can put aside. They are worked out together, up to an
//! **edge** before which frames leave without a thought: once in a window, not for each frame.
//!
//! Leaves to others: which frames of ours were overtaken (`loss`).
//!
//! Sources: selective acknowledgement as in TCP (RFC 2018), numbers that are never reused as in
//! QUIC (RFC 9002).

use alloc::collections::VecDeque;

use norma_flip::Instant;
use norma_ipc::NoMemory;
use norma_wire::session::credit_frames;

use crate::congestion::Congestion;
use crate::limits::{MAX_CONTROLS, MAX_CREDIT, MAX_UNSETTLED, MAX_WAITING};
use crate::outbox::Cargo;
use crate::round_trip::RoundTrip;
use crate::window::{Bits, before};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    UnderWay,
    Lost,
    Arrived,
}

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) cargo: Cargo,
    pub(crate) sent_at: Instant,
    /// What it acknowledged when it was first sent.
    acknowledged: u32,
    pub(crate) fate: Fate,
    pub(crate) repeated: bool,
}

/// What a header says about our frames.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acknowledgement {
    /// The peer has every frame before this one,
    pub(crate) acknowledged: u32,
    /// and those after it whose bit is set.
    pub(crate) selective: u32,
    /// How many frames from `acknowledged` on may be under way, as it is written.
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

/// A probe that was not answered yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) token: u32,
    pub(crate) at: Instant,
}

#[derive(Debug)]
pub(crate) struct Flight {
    /// Sequence number of the next new frame.
    next: u32,
    /// New frames before this one may leave.
    edge: u32,
    /// Frames `next - frames.len() .. next`, from the first that is not settled.
    pub(crate) frames: VecDeque<Frame>,
    /// The peer has every frame before this one.
    acknowledged: u32,
    /// The fate of every frame before this one is known.
    settled: u32,
    /// An acknowledgement that will settle when every frame before `.1` has arrived.
    unripe: Option<(u32, u32)>,
    credit: u8,
    /// Frames that were lost and are to be sent again.
    pub(crate) lost: u32,
    /// Frames behind `acknowledged` that have arrived,
    pub(crate) ahead: u32,
    /// all of them before this one.
    pub(crate) reached: u32,
    /// The latest time at which a frame was sent that has arrived ahead of others.
    pub(crate) latest: Instant,
    pub(crate) round_trip: RoundTrip,
    pub(crate) congestion: Congestion,
    /// The last probe.
    pub(crate) asked: Option<Asked>,
    pub(crate) token: u32,
    /// Probes in a row about the same frame.
    pub(crate) asked_in_vain: u32,
    /// A frame could not be made, and nobody has seen to it so far that it is made later.
    spoilt: bool,
    repeated: u64,
}

impl Flight {
    pub(crate) fn new(first: u32) -> Self {
        Flight {
            next: first,
            edge: first,
            frames: VecDeque::new(),
            acknowledged: first,
            settled: first,
            unripe: None,
            credit: 1,
            lost: 0,
            ahead: 0,
            reached: first,
            latest: Instant::ZERO,
            round_trip: RoundTrip::new(),
            congestion: Congestion::new(first),
            asked: None,
            token: 0,
            asked_in_vain: 0,
            spoilt: false,
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
        self.credit = credit;
        self.look_again();
    }

    /// The bounds have changed.
    pub(crate) fn look_again(&mut self) {
        self.edge = self.next;
    }

    /// The first frame whose fate is not known.
    #[inline]
    pub(crate) fn first_unsettled(&self) -> u32 {
        self.next.wrapping_sub(self.frames.len() as u32)
    }

    /// Where in [`Flight::frames`] the first frame is that the peer may not have.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.acknowledged.wrapping_sub(self.first_unsettled()) as usize
    }

    /// Whether a new frame may be sent.
    #[inline]
    pub(crate) fn is_open(&mut self) -> bool {
        self.next != self.edge || self.find_edge()
    }

    /// Whether a CONTROL frame may be sent where no message may: the table of frames whose fate is
    /// not known does not hold it back. The fate of what the peer sends may depend on it, and the
    /// fate of what is in the table on what the peer sends (W-144).
    #[cold]
    #[inline(never)]
    pub(crate) fn is_open_for_control(&mut self) -> bool {
        let (by_credit, by_network) = self.by_peer_and_network();
        by_credit.min(by_network) > 0
    }

    /// Numbers a CONTROL frame that is sent so.
    #[cold]
    pub(crate) fn launch_control(&mut self, now: Instant, cargo: Cargo, said: u32) -> Departure {
        let departure = self.launch(now, cargo, said);
        self.look_again();
        departure
    }

    /// How many new frames the peer's credit and the network's window allow.
    fn by_peer_and_network(&self) -> (u32, u32) {
        let by_credit = credit_frames(self.credit).clamp(1, MAX_CREDIT);
        let by_credit = by_credit.saturating_sub(self.next.wrapping_sub(self.acknowledged));
        let by_network = self.congestion.window().saturating_sub(self.in_network());
        (by_credit, by_network)
    }

    /// Frames that the network has, as far as is known.
    fn in_network(&self) -> u32 {
        let unacknowledged = self.next.wrapping_sub(self.acknowledged);
        unacknowledged.saturating_sub(self.ahead + self.lost)
    }

    /// Works out how many new frames may leave; tells whether any (W-41).
    #[cold]
    #[inline(never)]
    fn find_edge(&mut self) -> bool {
        let round_trip = self.round_trip.smoothed();
        let reached = match before(self.acknowledged, self.reached) {
            true => self.reached,
            false => self.acknowledged,
        };
        self.congestion.look(reached, self.next, round_trip);
        let (by_credit, by_network) = self.by_peer_and_network();
        if by_network == 0 {
            self.congestion.limits();
        }
        let by_table = MAX_UNSETTLED.saturating_sub(self.frames.len()) as u32;
        let mut open = by_credit.min(by_network).min(by_table);
        if open > 0 {
            // Each of them may begin a message that has to wait at the peer.
            let unacknowledged = self.frames.iter().skip(self.unacknowledged());
            let begin = |frame: &&Frame| matches!(frame.cargo, Cargo::Pages { head: true, .. });
            let heads = unacknowledged.filter(begin).count();
            open = open.min(MAX_WAITING.saturating_sub(heads) as u32);
        }
        self.edge = self.next.wrapping_add(open);
        open > 0
    }

    /// Whether a frame that was lost may be sent again.
    #[inline]
    pub(crate) fn has_lost(&self) -> bool {
        self.lost > 0 && self.may_repeat()
    }

    #[cold]
    fn may_repeat(&self) -> bool {
        self.in_network() < self.congestion.window()
    }

    /// No frame is under way or waits for its fate.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// How many frames the peer allows under way, as it is written.
    pub(crate) fn credit(&self) -> u8 {
        self.credit
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
        if self.frames.len() >= MAX_CONTROLS {
            return Err(NoMemory);
        }
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
    #[cold]
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
    #[cold]
    pub(crate) fn spoil(&mut self, sequence: u32) {
        let first = self.first_unsettled();
        if let Some(frame) = self.frames.get_mut(sequence.wrapping_sub(first) as usize) {
            frame.repeated = true;
        }
        self.spoilt = true;
    }

    /// Whether a frame was spoilt since this was asked last.
    pub(crate) fn take_spoilt(&mut self) -> bool {
        core::mem::take(&mut self.spoilt)
    }

    /// Takes an acknowledgement; `arrived` says that every frame of the peer before it is
    /// here (W-37).
    #[inline(always)]
    pub(crate) fn acknowledge(&mut self, now: Instant, said: Acknowledgement, arrived: u32) {
        let Acknowledgement {
            acknowledged,
            selective,
            credit,
            horizon,
        } = said;
        if before(self.next, acknowledged) || before(acknowledged, self.acknowledged) {
            return; // Of frames that were never sent, or from a time before.
        }
        if credit != self.credit {
            self.open(credit);
        }
        if acknowledged != self.acknowledged {
            let first = self.first_unsettled();
            // The last of them was waited for least: the others, until it had arrived.
            let last = acknowledged.wrapping_sub(first).wrapping_sub(1) as usize;
            if let Some(frame) = self.frames.get(last)
                && frame.fate == Fate::UnderWay
            {
                Self::measure(frame, now, &mut self.round_trip);
            }
            while self.acknowledged != acknowledged {
                let index = self.acknowledged.wrapping_sub(first) as usize;
                if let Some(frame) = self.frames.get_mut(index) {
                    match frame.fate {
                        Fate::UnderWay => {}
                        Fate::Lost => self.lost -= 1,
                        Fate::Arrived => self.ahead -= 1,
                    }
                    frame.fate = Fate::Arrived;
                }
                self.acknowledged = self.acknowledged.wrapping_add(1);
            }
            self.round_trip.progress();
        }
        if selective != 0 {
            let mut bits = Bits::default();
            bits[0] = selective.into();
            self.acknowledge_ahead(now, acknowledged, &bits);
        }
        if before(arrived, horizon) {
            self.unripe = Some((acknowledged, horizon));
        } else {
            self.settled = acknowledged;
        }
    }

    /// Of a frame that was sent once (W-83).
    #[inline(always)]
    fn measure(frame: &Frame, now: Instant, round_trip: &mut RoundTrip) {
        if !frame.repeated {
            round_trip.measured(now.nanos_since(frame.sent_at));
        }
    }

    /// Frames behind `acknowledged` that arrived although that one is missing: bit i of `bits`
    /// is frame `acknowledged + 1 + i`.
    #[cold]
    #[inline(never)]
    pub(crate) fn acknowledge_ahead(&mut self, now: Instant, acknowledged: u32, bits: &Bits) {
        if acknowledged != self.acknowledged {
            return;
        }
        let base = self.unacknowledged();
        for (word, mut left) in bits.iter().copied().enumerate() {
            while left != 0 {
                let bit = left.trailing_zeros();
                left &= left - 1;
                let ahead = word * 64 + bit as usize + 1;
                let Some(frame) = self.frames.get_mut(base + ahead) else {
                    break;
                };
                match frame.fate {
                    Fate::Arrived => continue,
                    Fate::Lost => self.lost -= 1,
                    Fate::UnderWay => {
                        Self::measure(frame, now, &mut self.round_trip);
                        // A repeated one may have arrived as it was sent first.
                        if !frame.repeated || self.round_trip.is_plausible(now, frame.sent_at) {
                            self.latest = self.latest.max(frame.sent_at);
                        }
                    }
                }
                frame.fate = Fate::Arrived;
                self.ahead += 1;
                let behind = acknowledged.wrapping_add(ahead as u32 + 1);
                if before(self.reached, behind) {
                    self.reached = behind;
                }
            }
        }
        self.find_overtaken();
        // What has arrived makes room.
        self.look_again();
    }

    /// Every frame of the peer before `arrived` is here: an earlier acknowledgement may be
    /// ripe (W-39).
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

    /// What the next frame carried whose fate is known; it is forgotten here.
    #[inline(always)]
    pub(crate) fn poll_settled(&mut self) -> Option<Cargo> {
        if !before(self.first_unsettled(), self.settled) {
            return None;
        }
        Some(self.frames.pop_front()?.cargo)
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
                        flight.expire(now);
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
                        flight.acknowledge(now, said, ours.next());
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
        let mut flight = Flight::new(0);
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
        flight.acknowledge(now, said, 7);
        assert_eq!(flight.poll_settled(), None);
        flight.ripen(7);
        assert_eq!(flight.poll_settled(), None);
        flight.ripen(8);
        assert_eq!(flight.poll_settled(), Some(cargo(0)));
    }

    #[test]
    fn what_is_sent_again_says_what_it_said_before() {
        let mut flight = Flight::new(0);
        flight.reserve().unwrap();
        let departure = flight.launch(Instant::from_millis(1), cargo(0), 7);
        let later = Instant::from_millis(1000);
        flight.expire(later);
        assert_eq!(flight.relaunch(later), Some(departure));
        assert_eq!(flight.repeated(), 1);
    }
}
