//! Time, as the protocols know it: an argument.
//!
//! Owns `Instant`, nanoseconds since some start of the node. Arithmetic saturates: an
//! absurd time-out becomes "never", and a clock that steps back becomes "no time passed",
//! neither of which can panic a node. Leaves the clock to whoever calls.

use core::ops::{Add, AddAssign, Sub};
pub use core::time::Duration;

/// A point in time: nanoseconds since some start of the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Instant(pub u64);

impl Instant {
    /// The start of the node.
    pub const ZERO: Instant = Instant(0);
    /// Later than all that happens (584 years).
    pub const NEVER: Instant = Instant(u64::MAX);

    /// The instant so many milliseconds after the start.
    pub const fn from_millis(milliseconds: u64) -> Instant {
        Instant(milliseconds.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the start.
    #[inline]
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` until this instant; zero if that lies later.
    #[inline]
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The same in nanoseconds.
    #[inline]
    pub const fn nanos_since(self, earlier: Instant) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Nanoseconds of a duration, at most `u64::MAX`.
#[inline]
const fn nanos(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(duration.subsec_nanos() as u64)
}

impl Add<Duration> for Instant {
    type Output = Instant;

    #[inline]
    fn add(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_add(nanos(duration)))
    }
}

impl AddAssign<Duration> for Instant {
    #[inline]
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    #[inline]
    fn sub(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_sub(nanos(duration)))
    }
}

impl Sub for Instant {
    type Output = Duration;

    #[inline]
    fn sub(self, earlier: Instant) -> Duration {
        self.since(earlier)
    }
}

/// The earlier of two possible instants: what a layer tells about its own timers and those below.
#[inline]
pub fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let one = Instant::from_millis(1);
        assert_eq!(one + Duration::from_micros(5), Instant(1_005_000));
        assert_eq!(one - Duration::from_secs(1), Instant::ZERO);
        assert_eq!(Instant(5) + Duration::MAX, Instant::NEVER);
        assert_eq!(Instant::ZERO - one, Duration::ZERO);
        assert_eq!(one - Instant::ZERO, Duration::from_millis(1));
        assert!(Instant::NEVER > one);
    }

    #[test]
    fn earliest_of_two() {
        let (one, two) = (Some(Instant(1)), Some(Instant(2)));
        assert_eq!(earliest(one, two), one);
        assert_eq!(earliest(two, None), two);
        assert_eq!(earliest(None, one), one);
        assert_eq!(earliest(None, None), None);
    }
}
