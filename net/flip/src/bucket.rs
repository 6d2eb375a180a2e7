//! A token bucket: so many at once, and one more every so often.
//!
//! Owns the arithmetic of a rate limit. Leaves to others what is limited.

use crate::time::{Duration, Instant};

/// The bucket.
pub(crate) struct Bucket {
    burst: u32,
    interval: Duration,
    tokens: u32,
    /// Up to when tokens have been put in.
    filled: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(crate) const fn new(burst: u32, interval: Duration) -> Bucket {
        Bucket {
            burst,
            interval,
            tokens: burst,
            filled: Instant::ZERO,
        }
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        self.fill(now);
        let some = self.tokens > 0;
        self.tokens -= u32::from(some);
        some
    }

    /// When there will be a token, if there is none now.
    pub(crate) fn next(&self) -> Instant {
        self.filled + self.interval
    }

    fn fill(&mut self, now: Instant) {
        let interval = self.interval.as_nanos() as u64;
        let earned = now.nanos_since(self.filled) / interval;
        let missing = u64::from(self.burst - self.tokens);
        if earned >= missing {
            (self.tokens, self.filled) = (self.burst, self.filled.max(now));
        } else {
            self.tokens += earned as u32; // less than `missing`, which fits
            self.filled += Duration::from_nanos(earned * interval);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_a_burst_and_then_a_rate() {
        let mut bucket = Bucket::new(3, Duration::from_millis(10));
        let at = Instant::from_millis;
        assert_eq!(
            [
                bucket.take(at(100)),
                bucket.take(at(100)),
                bucket.take(at(100))
            ],
            [true; 3]
        );
        assert!(!bucket.take(at(105)));
        assert_eq!(bucket.next(), at(110));
        assert!(bucket.take(at(110)) && !bucket.take(at(119)) && bucket.take(at(120)));
        // A clock that steps back gives nothing, and takes nothing.
        assert!(!bucket.take(at(1)));
        assert!(bucket.take(at(130)));
        assert!(bucket.take(at(10_000)) && bucket.take(at(10_000)) && bucket.take(at(10_000)));
        assert!(!bucket.take(at(10_000)));
    }
}
