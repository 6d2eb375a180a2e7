//! The time, told without a system call.

use core::arch::x86_64::_rdtsc;
use norma_abi::call;

/// Ticks after which the ratio of ticks to nanoseconds is known well enough: more than a hundred
/// thousand at any rate that processors have.
const ENOUGH: u64 = 1 << 27;

/// The kernel's time, from the processor's counter: the kernel takes it from there too, at a rate
/// that does not change. It is asked until the rate is known, and once in some seconds then.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    ticks: u64,
    nanoseconds: u64,
    /// Nanoseconds of a tick, in 2^32nds; 0 while that is not known.
    rate: u64,
}

impl Clock {
    /// One that is right.
    pub fn new() -> Self {
        let (ticks, nanoseconds) = asked();
        Self {
            ticks,
            nanoseconds,
            rate: 0,
        }
    }

    /// Nanoseconds since the machine was started. Never less than what was told before.
    pub fn now(&mut self) -> u64 {
        let passed = counter().wrapping_sub(self.ticks);
        if self.rate > 0 && passed < 64 * ENOUGH {
            return self.nanoseconds + scaled(passed, self.rate);
        }
        let (ticks, nanoseconds) = asked();
        let passed = ticks.wrapping_sub(self.ticks);
        if passed < ENOUGH {
            return nanoseconds;
        }
        let told = self.nanoseconds + scaled(passed, self.rate);
        let since = u128::from(nanoseconds.saturating_sub(self.nanoseconds));
        let rate = ((since << 32) / u128::from(passed)) as u64;
        *self = Self {
            ticks,
            nanoseconds: nanoseconds.max(told),
            rate,
        };
        self.nanoseconds
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

fn scaled(ticks: u64, rate: u64) -> u64 {
    ((u128::from(ticks) * u128::from(rate)) >> 32) as u64
}

fn asked() -> (u64, u64) {
    let nanoseconds = crate::system::plain(call::CLOCK, [0; 4]).unwrap_or(0);
    (counter(), nanoseconds)
}

fn counter() -> u64 {
    // SAFETY: reads a counter, which every processor for which programs are built has.
    unsafe { _rdtsc() }
}
