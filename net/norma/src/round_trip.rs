//! Round trips, measured, and the times that follow from them: when to ask whether something was
//! lost, and when to send it again without an answer.
//!
//! Jacobson and Karels (1988) as in RFC 6298; asking first, as the probes of RFC 9002, costs a
//! small frame where a guess would cost a large one. Karn's rule (a frame that was sent twice
//! measures nothing) is the caller's.

use core::time::Duration;

use norma_flip::Instant;

use crate::limits::{
    ACK_DELAY, FIRST_RTO, LOOK_AFTER, LOOK_ROUND_TRIPS, LOOK_SOON, MAX_RTO, MIN_RTO,
};

#[derive(Debug, Clone, Copy)]
pub(crate) struct RoundTrip {
    /// Smoothed round trip in nanoseconds, 0 before the first measurement.
    smoothed: u64,
    variance: u64,
    backoff: u32,
}

impl RoundTrip {
    pub(crate) const fn new() -> Self {
        RoundTrip {
            smoothed: 0,
            variance: 0,
            backoff: 0,
        }
    }

    /// One more measurement.
    #[inline]
    pub(crate) fn measured(&mut self, nanoseconds: u64) {
        if self.smoothed == 0 {
            self.smoothed = nanoseconds.max(1);
            self.variance = nanoseconds / 2;
        } else {
            let difference = self.smoothed.abs_diff(nanoseconds);
            self.variance = (3 * self.variance + difference) / 4;
            self.smoothed = ((7 * self.smoothed + nanoseconds) / 8).max(1);
        }
    }

    /// Nothing was measured yet.
    pub(crate) fn is_unknown(&self) -> bool {
        self.smoothed == 0
    }

    /// Something new was acknowledged.
    #[inline]
    pub(crate) fn progress(&mut self) {
        self.backoff = 0;
    }

    /// A retransmission time has passed without an acknowledgement.
    pub(crate) fn timed_out(&mut self) {
        self.backoff = (self.backoff + 1).min(8);
    }

    /// The smoothed round trip.
    pub(crate) fn smoothed(&self) -> Duration {
        Duration::from_nanos(self.smoothed)
    }

    /// How long a frame may be without an answer before the peer is asked. One that is the
    /// request of a call is answered by the reply; the acknowledgement of any `other` may be
    /// late by [`ACK_DELAY`] (W-82).
    pub(crate) fn patience(&self, other: bool) -> Duration {
        let delay = if other { ACK_DELAY } else { Duration::ZERO };
        if self.smoothed == 0 {
            return FIRST_RTO / 2;
        }
        let patience = Duration::from_nanos(self.smoothed + 4 * self.variance);
        patience.max(LOOK_SOON) + delay
    }

    /// Whether a frame sent at `sent` may be acknowledged now: else it is one sent before.
    pub(crate) fn is_plausible(&self, now: Instant, sent: Instant) -> bool {
        now.since(sent) >= self.smoothed() / 2
    }

    /// How soon a session in which calls follow each other looks for what is late: so many
    /// round trips that a timer costs each of them next to nothing.
    pub(crate) fn look(&self) -> Duration {
        (self.smoothed() * LOOK_ROUND_TRIPS).clamp(LOOK_SOON, LOOK_AFTER)
    }

    /// The retransmission time: by then a probe has been answered, if anything is heard at all.
    #[inline]
    pub(crate) fn timeout(&self) -> Duration {
        let base = if self.smoothed == 0 {
            FIRST_RTO
        } else {
            (self.patience(true) + self.smoothed()).max(MIN_RTO)
        };
        let backed_off = base.saturating_mul(1 << self.backoff);
        backed_off.min(MAX_RTO.max(base))
    }

    /// For how many retransmission times in a row nothing was heard.
    pub(crate) fn backoff(&self) -> u32 {
        self.backoff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_round_trip_and_backs_off() {
        let mut round_trip = RoundTrip::new();
        assert_eq!(round_trip.timeout(), FIRST_RTO);
        for _ in 0..50 {
            round_trip.measured(200_000);
        }
        assert_eq!(round_trip.timeout(), MIN_RTO);
        assert!(round_trip.smoothed() <= Duration::from_micros(201));
        for _ in 0..50 {
            round_trip.measured(30_000_000);
        }
        assert!(round_trip.timeout() >= Duration::from_millis(30));
        round_trip.timed_out();
        assert!(round_trip.timeout() >= Duration::from_millis(60));
        for _ in 0..20 {
            round_trip.timed_out();
        }
        assert_eq!(round_trip.timeout(), MAX_RTO);
        round_trip.progress();
        assert!(round_trip.timeout() < Duration::from_millis(80));
    }
    #[test]
    fn a_call_is_asked_after_some_round_trips_and_a_long_way_is_given_its_time() {
        let mut round_trip = RoundTrip::new();
        for _ in 0..50 {
            round_trip.measured(100_000);
        }
        assert_eq!(round_trip.patience(false), LOOK_SOON);
        assert!(round_trip.timeout() >= round_trip.patience(true) + round_trip.smoothed());
        for _ in 0..100 {
            round_trip.measured(200_000_000);
        }
        let (way, timeout) = (round_trip.smoothed(), round_trip.timeout());
        assert!(round_trip.patience(false) >= way);
        assert!(timeout > 2 * way && timeout < 3 * way, "{timeout:?}");
    }
}
