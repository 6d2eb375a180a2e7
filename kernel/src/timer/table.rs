//! Who waits until when, and what the one hardware timer is set to.
//!
//! Owns: a deadline per thread, one for the network, one for the end of a slice, and the
//! knowledge of what the hardware was last set to. Leaves to others: setting it.
//!
//! Made for deadlines that hardly ever come true: setting and clearing one costs a few
//! instructions and touches the hardware only if the new one is earlier than what it is set to.
//! A timer that goes off too early finds nothing due, looks through the table, and is set again
//! for what is earliest then.

use crate::limits::THREADS;
use crate::thread::Number;

/// No deadline.
pub const NEVER: u64 = u64::MAX;

/// How soon something is due: time counted from its end, so that more is sooner, and a table of
/// zeros, which costs an image nothing, holds no deadlines.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Urgency(u64);

impl Urgency {
    const NONE: Self = Self::of(NEVER);

    #[inline(always)]
    const fn of(deadline: u64) -> Self {
        Self(!deadline)
    }

    #[inline(always)]
    const fn deadline(self) -> u64 {
        !self.0
    }

    fn is_due(self, now: u64) -> bool {
        self.deadline() <= now
    }
}

/// The deadlines of one processor, in nanoseconds.
pub struct TimerTable {
    threads: [Urgency; THREADS],
    /// No thread from this number on has ever had a deadline.
    used: usize,
    network: Urgency,
    slice: Urgency,
    armed: Urgency,
}

impl TimerTable {
    /// No deadlines, and a timer that is not set.
    pub const fn new() -> Self {
        Self {
            threads: [Urgency::NONE; THREADS],
            used: 0,
            network: Urgency::NONE,
            slice: Urgency::NONE,
            armed: Urgency::NONE,
        }
    }

    /// Notes a thread's deadline. Returns what the timer has to be set to, if anything.
    #[inline(always)]
    #[must_use]
    pub fn set_thread(&mut self, thread: Number, deadline: u64) -> Option<u64> {
        let index = usize::from(thread) % THREADS;
        self.threads[index] = Urgency::of(deadline);
        self.used = self.used.max(index + 1);
        self.arm(Urgency::of(deadline))
    }

    /// Forgets a thread's deadline. The timer may go off for it nevertheless.
    #[inline(always)]
    pub fn clear_thread(&mut self, thread: Number) {
        self.threads[usize::from(thread) % THREADS] = Urgency::NONE;
    }

    /// A thread's deadline, if it has one.
    pub fn deadline(&self, thread: Number) -> Option<u64> {
        let deadline = self.threads[usize::from(thread) % THREADS].deadline();
        (deadline != NEVER).then_some(deadline)
    }

    /// Notes the network's deadline. Returns what the timer has to be set to, if anything.
    #[inline(always)]
    #[must_use]
    pub fn set_network(&mut self, deadline: u64) -> Option<u64> {
        self.network = Urgency::of(deadline);
        self.arm(self.network)
    }

    /// Notes the end of a slice. Returns what the timer has to be set to, if anything.
    #[must_use]
    pub fn set_slice(&mut self, deadline: u64) -> Option<u64> {
        self.slice = Urgency::of(deadline);
        self.arm(self.slice)
    }

    /// The timer went off: it is set to nothing now.
    pub fn went_off(&mut self) {
        self.armed = Urgency::NONE;
    }

    /// Takes out a thread whose deadline has passed, from number `from` on.
    pub fn take_thread(&mut self, from: Number, now: u64) -> Option<Number> {
        let mut numbers = usize::from(from)..self.used;
        let due = numbers.find(|&index| self.threads[index].is_due(now))?;
        self.threads[due] = Urgency::NONE;
        Some(due as Number)
    }

    /// Takes the network's deadline, if it has passed.
    pub fn take_network(&mut self, now: u64) -> bool {
        let due = self.network.is_due(now);
        if due {
            self.network = Urgency::NONE;
        }
        due
    }

    /// Takes the end of the slice, if it has passed.
    pub fn take_slice(&mut self, now: u64) -> bool {
        let due = self.slice.is_due(now);
        if due {
            self.slice = Urgency::NONE;
        }
        due
    }

    /// What the timer has to be set to for the earliest deadline, if anything.
    #[must_use]
    pub fn rearm(&mut self) -> Option<u64> {
        let threads = self.threads[..self.used].iter().copied();
        let first = threads.fold(self.network.max(self.slice), Urgency::max);
        self.arm(first)
    }

    #[inline(always)]
    fn arm(&mut self, urgency: Urgency) -> Option<u64> {
        if urgency <= self.armed {
            return None;
        }
        self.armed = urgency;
        Some(urgency.deadline())
    }
}

impl Default for TimerTable {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn touches_the_hardware_only_for_an_earlier_deadline() {
        let mut table = TimerTable::new();
        assert_eq!(table.set_network(100), Some(100));
        assert_eq!(table.set_network(150), None);
        assert_eq!(table.set_thread(7, 120), None);
        table.clear_thread(7);
        assert_eq!(table.set_slice(90), Some(90));
        assert_eq!(table.set_network(NEVER), None);
    }

    #[test]
    fn a_timer_that_comes_early_is_set_again_or_not_at_all() {
        let mut table = TimerTable::new();
        assert_eq!(table.set_network(100), Some(100));
        assert_eq!(table.set_network(250), None);
        table.went_off();
        assert!(!table.take_network(100));
        assert_eq!(table.rearm(), Some(250));
        assert_eq!(table.set_network(NEVER), None);
        table.went_off();
        assert_eq!(table.rearm(), None);
    }

    #[test]
    fn finds_every_thread_that_is_due() {
        let mut table = TimerTable::new();
        for (thread, deadline) in [(3, 10), (0, 20), (2047, 30), (9, 40)] {
            let _ = table.set_thread(thread, deadline);
        }
        table.went_off();
        let mut due = Vec::new();
        let mut from = 0;
        while let Some(thread) = table.take_thread(from, 30) {
            due.push(thread);
            from = thread.saturating_add(1);
        }
        assert_eq!(due, [0, 3, 2047]);
        assert_eq!(table.rearm(), Some(40));
    }

    proptest! {
        /// Whatever is set and cleared: until the timer goes off, it is set to no later than
        /// the earliest deadline.
        #[test]
        fn never_armed_too_late(
            steps in prop::collection::vec((0u8..4, 0..THREADS as Number, 1u64..1000), 1..200),
        ) {
            let mut table = TimerTable::new();
            let mut hardware = NEVER;
            for (action, thread, deadline) in steps {
                let set = match action {
                    0 => table.set_thread(thread, deadline),
                    1 => { table.clear_thread(thread); None }
                    2 => table.set_network(deadline),
                    _ => {
                        table.went_off();
                        hardware = NEVER;
                        table.rearm()
                    }
                };
                hardware = set.unwrap_or(hardware);
                let threads = table.threads.iter().copied();
                let first = threads.fold(table.network, Urgency::max);
                prop_assert!(hardware <= first.deadline());
                prop_assert_eq!(hardware, table.armed.deadline());
            }
        }
    }
}
