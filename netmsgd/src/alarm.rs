//! The alarm: what wakes the daemon when something is due.
//!
//! Owns: a timer of the host that is set when something is due sooner than it rings, and otherwise
//! left alone. Why not a patience of the poller: deadlines move with every frame, and to set and
//! unset a timer of the host around each sleep costs more than the sleep. An alarm that rings too
//! early, because what was due is done, costs one turn of the loop, once in a while.

use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The timer, and when it rings.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: OwnedFd,
    /// `u64::MAX` when it does not.
    rings: u64,
}

impl Alarm {
    pub(crate) fn new() -> Result<Self, Errno> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Self {
            timer: timerfd_create(TimerfdClockId::Monotonic, flags)?,
            rings: u64::MAX,
        })
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }

    /// Sees to it that it rings at `due`, or before.
    pub(crate) fn ring_by(&mut self, now: u64, due: u64) -> Result<(), Errno> {
        if due >= self.rings {
            return Ok(());
        }
        // From now on: the daemon's clock has another beginning than the host's. Zero would mean
        // never.
        let left = due.saturating_sub(now).max(1);
        let time = |nanos: u64| Timespec {
            tv_sec: (nanos / 1_000_000_000) as i64,
            tv_nsec: (nanos % 1_000_000_000) as i64,
        };
        let once = Itimerspec {
            it_interval: time(0),
            it_value: time(left),
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        self.rings = due;
        Ok(())
    }

    /// It has rung: it is silent until it is set again.
    pub(crate) fn rang(&mut self) {
        let mut times = [0; 8];
        // Whatever this says, the next deadline sets it anew.
        let _ = rustix::io::read(&self.timer, &mut times);
        self.rings = u64::MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};

    fn has_rung(alarm: &Alarm, within_ms: i64) -> bool {
        let mut what = [PollFd::from_borrowed_fd(alarm.descriptor(), PollFlags::IN)];
        let patience = Timespec {
            tv_sec: 0,
            tv_nsec: within_ms * 1_000_000,
        };
        poll(&mut what, Some(&patience)).unwrap() > 0
    }

    #[test]
    fn it_rings_for_the_soonest_and_once() {
        let mut alarm = Alarm::new().unwrap();
        alarm.ring_by(500, u64::MAX).unwrap();
        assert!(!has_rung(&alarm, 0));
        alarm.ring_by(500, 60_000_000_500).unwrap();
        alarm.ring_by(500, 1_000_500).unwrap();
        alarm.ring_by(500, 3_000_000_500).unwrap();
        assert!(has_rung(&alarm, 900));
        alarm.rang();
        assert!(!has_rung(&alarm, 0));
        // What is overdue rings at once.
        alarm.ring_by(500, 400).unwrap();
        assert!(has_rung(&alarm, 900));
    }
}
