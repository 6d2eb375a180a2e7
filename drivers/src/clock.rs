//! Time since the machine was started, from the processor's time-stamp counter.
//!
//! Owns: the counter, its frequency and the conversion to nanoseconds. Leaves to others: who
//! waits until when. A reading costs one RDTSC, one multiplication and one shift, no exit from
//! the VM. The frequency comes from CPUID where the (virtual) processor states it; QEMU's own
//! emulator does not, so there it is measured against the local APIC's timer, over a
//! millisecond that runs while the rest of the boot goes on.
//! Source: Intel SDM volume 3, section 18.7.3; leaf 0x4000_0010: VMware's hypervisor CPUID
//! proposal, which QEMU follows.

use crate::interrupts::LocalApic;
use core::fmt;

/// How long the counter is compared with the APIC's timer: reading both takes about a
/// microsecond under emulation, so this is good to about a thousandth.
const CALIBRATION_NS: u64 = 1_000_000;

/// Readings before the measurement counts as failed: the reference does not move.
const PATIENCE: u32 = 10_000_000;

/// Why there is no clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The processor has no time-stamp counter.
    NoCounter,
    /// Nothing states the counter's frequency and the local APIC's timer does not run.
    NoReference,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoCounter => f.write_str(
                "no clock: the processor has no time-stamp counter; start QEMU with `-cpu max`",
            ),
            Error::NoReference => f.write_str(
                "no clock: CPUID does not state the frequency of the time-stamp counter, and the \
                 local APIC timer to measure it by does not run; start QEMU with `-cpu max` and \
                 without `-apic`",
            ),
        }
    }
}

/// The counter's value now.
#[inline(always)]
pub fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has RDTSC; `Clock` is only made where CPUID confirms it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Converts the counter into nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Nanoseconds per tick, times 2^32.
    multiplier: u64,
    /// Ticks per nanosecond, times 2^32.
    inverse: u64,
}

impl Clock {
    /// A clock for a counter that made `ticks` ticks in `nanoseconds`; `None` for a rate that no
    /// processor has (under 1 MHz, over 1 THz).
    pub const fn from_rate(ticks: u64, nanoseconds: u64) -> Option<Self> {
        if ticks == 0 || nanoseconds == 0 {
            return None;
        }
        let multiplier = ((nanoseconds as u128) << 32) / ticks as u128;
        let inverse = ((ticks as u128) << 32) / nanoseconds as u128;
        if multiplier < 1 << 22 || multiplier > 1000 << 32 {
            return None;
        }
        Some(Self {
            multiplier: multiplier as u64,
            inverse: inverse as u64,
        })
    }

    /// The frequency that CPUID states, if it does.
    fn stated() -> Option<Self> {
        let cpuid = raw_cpuid::CpuId::new();
        if let Some(frequency) = cpuid
            .get_tsc_info()
            .and_then(|info| info.tsc_frequency())
            .filter(|&hertz| hertz != 0)
        {
            return Self::from_rate(frequency, 1_000_000_000);
        }
        let kilohertz = cpuid.get_hypervisor_info()?.tsc_frequency()?;
        Self::from_rate(u64::from(kilohertz), 1_000_000)
    }

    /// Nanoseconds since the machine was started.
    #[inline(always)]
    pub fn now(&self) -> u64 {
        self.nanoseconds(ticks())
    }

    /// `ticks` of the counter in nanoseconds.
    #[inline(always)]
    pub fn nanoseconds(&self, ticks: u64) -> u64 {
        ((u128::from(ticks) * u128::from(self.multiplier)) >> 32) as u64
    }

    /// The value of the counter at `nanoseconds`, for timers that are set in ticks.
    #[inline]
    pub fn ticks_at(&self, nanoseconds: u64) -> u64 {
        ((u128::from(nanoseconds) * u128::from(self.inverse)) >> 32) as u64
    }
}

/// A measurement under way. Start it early, do other work, then ask for the clock.
pub struct Calibration {
    known: Option<Clock>,
    from_ticks: u64,
    from_count: u32,
}

impl Calibration {
    /// Looks for a stated frequency and, if there is none, sets the APIC's timer running.
    ///
    /// # Errors
    /// [`Error::NoCounter`] where the processor has no time-stamp counter.
    pub fn start(apic: &LocalApic) -> Result<Self, Error> {
        let present = raw_cpuid::CpuId::new()
            .get_feature_info()
            .is_some_and(|features| features.has_tsc());
        if !present {
            return Err(Error::NoCounter);
        }
        let known = Clock::stated();
        if known.is_none() {
            apic.count_silently();
        }
        Ok(Self {
            known,
            from_count: apic.count(),
            from_ticks: ticks(),
        })
    }

    /// The clock; waits until a millisecond has passed since the start.
    ///
    /// # Errors
    /// [`Error::NoReference`] when the APIC's timer does not move.
    pub fn finish(self, apic: &LocalApic) -> Result<Clock, Error> {
        if let Some(clock) = self.known {
            return Ok(clock);
        }
        for _ in 0..PATIENCE {
            let passed = apic.counted_ns(self.from_count);
            if passed >= CALIBRATION_NS {
                let ticks = ticks() - self.from_ticks;
                apic.stop_timer();
                return Clock::from_rate(ticks, passed).ok_or(Error::NoReference);
            }
            core::hint::spin_loop();
        }
        Err(Error::NoReference)
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;

    #[test]
    fn converts_both_ways() {
        let clock = Clock::from_rate(2_500_000, 1_000_000).unwrap();
        assert_eq!(clock.nanoseconds(2_500_000_000), 999_999_999);
        let day = 86_400_000_000_000;
        let there_and_back = clock.nanoseconds(clock.ticks_at(day));
        assert!(day - there_and_back < 100_000, "{there_and_back}");
    }

    #[test]
    fn refuses_impossible_rates() {
        assert!(Clock::from_rate(0, 1).is_none());
        assert!(Clock::from_rate(1, 0).is_none());
        assert!(Clock::from_rate(1, 1_000_000).is_none());
        assert!(Clock::from_rate(u64::MAX, 1).is_none());
    }
}
