//! Which frames under way were lost: overtaken by later ones, missing in the answer to a probe,
//! or silent for too long.
//!
//! A frame that three later ones have overtaken is lost, and so is one that was overtaken by
//! one sent well after it. What was sent last has nobody to overtake it: then the peer is
//! **asked**. The answer to a probe says what had arrived before it, so that all that was sent
//! before the probe and is not named is lost. Only when nothing is heard at all are frames sent
//! again on suspicion.
//!
//! Sources: fast retransmission (RFC 5681), RACK and its tail loss probe (RFC 8985).

use core::time::Duration;

use norma_flip::Instant;

use crate::flight::{Asked, Fate, Flight, Frame};
use crate::limits::{LOOK_SOON, REORDERING};
use crate::outbox::Cargo;

impl Flight {
    /// Counts frames as lost that later ones have overtaken (W-42).
    pub(crate) fn find_overtaken(&mut self) {
        let patience = self.reordering();
        let latest = self.latest;
        let mut later = 0;
        self.lose(|frame| {
            if frame.fate == Fate::Arrived {
                later += 1;
                return false;
            }
            later > 0 && (later >= 3 && !frame.repeated || frame.sent_at + patience < latest)
        });
    }

    fn reordering(&self) -> Duration {
        REORDERING.max(self.round_trip.smoothed() / 4)
    }

    /// Counts those of the frames under way as lost that `which` picks, the last first.
    fn lose(&mut self, mut which: impl FnMut(&Frame) -> bool) {
        let first = self.unacknowledged().min(self.frames.len());
        let mut count = 0;
        for frame in self.frames.range_mut(first..).rev() {
            if which(frame) && frame.fate == Fate::UnderWay {
                frame.fate = Fate::Lost;
                count += 1;
            }
        }
        self.lost += count;
        let round_trip = self.round_trip.smoothed();
        if count > 0 && self.congestion.lost(count, self.next(), round_trip) {
            self.look_again();
        }
    }

    fn oldest(&self) -> Option<Instant> {
        let under_way = self
            .frames
            .iter()
            .filter(|frame| frame.fate == Fate::UnderWay);
        under_way.map(|frame| frame.sent_at).min()
    }

    /// The frame that was sent first of those under way.
    pub(crate) fn oldest_cargo(&self) -> Option<Cargo> {
        let under_way = self
            .frames
            .iter()
            .filter(|frame| frame.fate == Fate::UnderWay);
        Some(under_way.min_by_key(|frame| frame.sent_at)?.cargo)
    }

    /// When the peer is to be asked about a frame that was sent at `sent`. Asked in vain, it is
    /// asked again after twice the time.
    fn ask_at(&self, sent: Instant, other: bool) -> Instant {
        let patience = self.round_trip.patience(other);
        match self.asked {
            Some(asked) if asked.at >= sent => {
                asked.at + patience * (1 << self.asked_in_vain.min(6))
            }
            _ => sent + patience,
        }
    }

    /// When to look at the oldest frame under way. `other`: it is not the request of a call.
    /// While it is not late yet, there is time for that in some round trips: so where call
    /// follows call, no timer is set for each.
    pub(crate) fn deadline(&self, now: Instant, other: bool) -> Option<Instant> {
        let oldest = self.oldest()?;
        let due = self.ask_at(oldest, other);
        let due = due.min(oldest + self.round_trip.timeout());
        // What was due is on its way out by now, or waits for a route.
        let soon = match due <= now {
            true => LOOK_SOON,
            false => self.round_trip.look(),
        };
        Some(due.max(now + soon))
    }

    /// Whether the peer is to be asked what it has.
    pub(crate) fn should_ask(&self, now: Instant, other: bool) -> bool {
        self.oldest()
            .is_some_and(|oldest| self.ask_at(oldest, other) <= now)
    }

    /// A probe leaves. Gives the number by which its answer is known.
    pub(crate) fn ask(&mut self, now: Instant) -> u32 {
        let in_vain = match (self.asked, self.oldest()) {
            (Some(asked), Some(oldest)) => asked.at >= oldest,
            _ => false,
        };
        if in_vain {
            // The same question: on a long way its answer may still come.
            self.asked_in_vain += 1;
            return self.token;
        }
        self.asked_in_vain = 0;
        // Never 0, which no answer means.
        self.token = self.token.wrapping_add(1).max(1);
        self.asked = Some(Asked {
            token: self.token,
            at: now,
        });
        self.token
    }

    /// The answer to a probe was read: what it does not name was lost, if it was sent before.
    pub(crate) fn answered(&mut self, now: Instant, token: u32) {
        let Some(asked) = self.asked.filter(|asked| asked.token == token) else {
            return;
        };
        self.asked = None;
        let took = now.since(asked.at);
        // Asked twice, it may be the answer to the second time.
        if core::mem::take(&mut self.asked_in_vain) == 0 || self.round_trip.is_unknown() {
            self.met(took);
        }
        let patience = self.reordering();
        self.lose(|frame| frame.sent_at + patience <= asked.at);
    }

    /// Two frames without any others besides have gone there and back.
    pub(crate) fn met(&mut self, took: Duration) {
        self.round_trip.measured(took.as_nanos() as u64);
        self.congestion.seen(took);
    }

    /// The peer has asked, and has said what it has: frames of ours that should have arrived
    /// long before are lost. Of those that may be, the first is sent again all the same: if it
    /// is the reply for which the peer waits, nothing else would say that it was lost.
    pub(crate) fn missed(&mut self, now: Instant) {
        let patience = self.round_trip.smoothed() + self.reordering();
        let first = self
            .frames
            .iter()
            .position(|frame| frame.fate == Fate::UnderWay);
        let Some(first) = first else { return };
        let suspect = self.frames[first].sent_at;
        self.lose(|frame| {
            let age = now.since(frame.sent_at);
            age > patience || frame.sent_at == suspect && age > LOOK_SOON && !frame.repeated
        });
    }

    /// An acknowledgement was held back: the frames that it names measure nothing.
    pub(crate) fn held_back(&mut self, acknowledged: u32) {
        let first = self.first_unsettled();
        let end = acknowledged.wrapping_sub(first) as usize;
        let (from, end) = (self.unacknowledged(), end.min(self.frames.len()));
        for frame in self.frames.range_mut(from.min(end)..end) {
            frame.repeated = true;
        }
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
    pub(crate) fn expire(&mut self, now: Instant) {
        let timeout = self.round_trip.timeout();
        let before = self.lost;
        for frame in &mut self.frames {
            if frame.fate == Fate::UnderWay && frame.sent_at + timeout <= now {
                frame.fate = Fate::Lost;
                self.lost += 1;
            }
        }
        if self.lost > before {
            self.round_trip.timed_out();
            if self.round_trip.backoff() > 1 {
                self.congestion.silent();
                self.look_again();
            }
        }
    }
}
