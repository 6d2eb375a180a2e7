//! Round trips, measured, and the retransmission time that follows from them.
//!
//! Jacobson and Karels (1988) as in RFC 6298, with a floor in the order of the delayed
//! acknowledgement instead of a second. Karn's rule (a frame that was sent twice measures
//! nothing) is the caller's.

use core::time::Duration;

use crate::limits::{FIRST_RTO, MAX_RTO, MIN_RTO};

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

    /// The retransmission time.
    #[inline]
    pub(crate) fn timeout(&self) -> Duration {
        let base = if self.smoothed == 0 {
            FIRST_RTO
        } else {
            Duration::from_nanos(self.smoothed + 4 * self.variance).max(MIN_RTO)
        };
        base.saturating_mul(1 << self.backoff).min(MAX_RTO)
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
        assert!(round_trip.timeout() < Duration::from_millis(60));
    }
}
