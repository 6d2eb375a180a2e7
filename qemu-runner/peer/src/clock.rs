//! How fast the processor's time-stamp counter runs.
//!
//! Owns: measuring it against the system's clock.
//! Why this way: a guest under QEMU's emulator sees the host's counter, and no device of a small
//! machine from which its kernel could learn how fast that runs; so it is told. Processors do not
//! all say it, and what `/proc/cpuinfo` prints is another frequency on many.

use std::time::{Duration, Instant};

/// How long is measured: at 1 us of doubt at both ends, 20 parts in a million.
const SPAN: Duration = Duration::from_millis(100);

/// Tries at each end; the one that was interrupted least counts.
const TRIES: usize = 50;

/// The counter.
#[must_use]
pub fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has this instruction, and no system forbids it to us.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// A moment by both clocks. The counter is read between two looks at the clock; of several tries
/// the shortest says most.
fn moment() -> (Instant, u64) {
    let tries = (0..TRIES).map(|_| {
        let before = Instant::now();
        let ticks = ticks();
        let after = Instant::now();
        (after - before, before + (after - before) / 2, ticks)
    });
    let best = tries.min_by_key(|(span, ..)| *span);
    best.map_or_else(|| (Instant::now(), 0), |(_, at, ticks)| (at, ticks))
}

/// Thousands of ticks in a second.
#[must_use]
pub fn frequency_khz() -> u64 {
    let (begin, first) = moment();
    std::thread::sleep(SPAN);
    let (end, last) = moment();
    let milliseconds = (end - begin).as_secs_f64() * 1000.0;
    ((last - first) as f64 / milliseconds).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frequency_is_that_of_a_processor_and_repeats() {
        let (one, other) = (frequency_khz(), frequency_khz());
        assert!((500_000..10_000_000).contains(&one), "{one} kHz");
        let apart = one.abs_diff(other) as f64 / one as f64;
        assert!(apart < 0.001, "{one} and {other} kHz");
    }
}
