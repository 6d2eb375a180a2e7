//! Who runs, who waits, and what a change of that asks for.
//!
//! Owns: the state of every thread and the decision what to do next; the switch itself is a
//! value that is handed back ([`Decision`]), so that all of this is tested on the host. Leaves
//! to others: stacks, names, interrupts (off whenever this is called) and the clock.
//!
//! A thread that blocks while nobody is ready does not switch to an idle thread: it waits for
//! an interrupt where it is, and if that wakes it, it goes on without any switch. That is the
//! way of nearly every message between idle nodes.

use super::Number;
use super::run_queue::RunQueue;
use crate::limits::THREADS;

const _: () = assert!(THREADS.is_power_of_two() && THREADS <= 1 << Number::BITS);

/// Where a thread stands in a table of all threads; the compiler sees that it is within.
#[inline(always)]
pub(crate) fn place(thread: Number) -> usize {
    usize::from(thread) % THREADS
}

/// What a thread is doing. A table of zeros, which costs an image nothing, is that of a node
/// that boots: thread 0 runs, and no number behind it was ever used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// It runs, or its number was never used.
    Running = 0,
    /// There is no such thread any more.
    Free,
    /// It could run, and is in the run queue.
    Ready,
    /// It waits to be woken.
    Blocked,
}

/// What has to be done, by whoever can.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: the caller goes on.
    Continue,
    /// Save the running thread and go on with another.
    Switch {
        /// The thread that ran.
        from: Number,
        /// The thread that runs now.
        to: Number,
    },
    /// Wait for an interrupt, then ask [`Scheduler::after_idle`].
    Idle,
}

/// Why a block ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Wake {
    /// Somebody woke the thread.
    Woken = 0,
    /// The deadline passed.
    TimedOut,
    /// Somebody told the thread to give up what it waited for.
    Cancelled,
}

/// A thread as far as its scheduling goes.
#[derive(Clone, Copy)]
pub struct Slot {
    /// Where its registers are saved while it does not run.
    pub stack_pointer: usize,
    state: State,
    /// At which it runs: its own, or a higher one that was lent to it.
    priority: u8,
    own_priority: u8,
    /// It was woken while it was not blocked; its next block returns at once.
    token: bool,
    /// Why its last block ended.
    wake: Wake,
}

impl Slot {
    /// A thread that runs. All zeros.
    const fn new(stack_pointer: usize, priority: u8) -> Self {
        Self {
            stack_pointer,
            state: State::Running,
            priority,
            own_priority: priority,
            token: false,
            wake: Wake::Woken,
        }
    }
}

/// All threads of one processor.
pub struct Scheduler {
    slots: [Slot; THREADS],
    queue: RunQueue,
    current: Number,
    /// The highest number that was ever used.
    highest: Number,
    /// No number below this one is free.
    lowest_free: Number,
    /// The running thread is waiting for an interrupt.
    idle: bool,
    /// The running thread should make way: see [`Scheduler::make_way`].
    preempt: bool,
    /// The running thread's slice has ended while a peer waits.
    rotate: bool,
    /// A timer will end the slice of whoever runs then.
    slice_armed: bool,
}

impl Scheduler {
    /// One thread, number 0 and of priority 0, runs: the one that boots.
    pub const fn new() -> Self {
        Self {
            slots: [Slot::new(0, 0); THREADS],
            queue: RunQueue::new(),
            current: 0,
            highest: 0,
            lowest_free: 0,
            idle: false,
            preempt: false,
            rotate: false,
            slice_armed: false,
        }
    }

    /// The running thread.
    #[inline(always)]
    pub fn current(&self) -> Number {
        self.current
    }

    /// The running thread, by a pointer.
    ///
    /// # Safety
    /// The pointer must be valid for reading.
    #[inline(always)]
    pub unsafe fn current_of(this: *const Self) -> Number {
        // SAFETY: the caller vouches for the pointer.
        unsafe { (&raw const (*this).current).read() }
    }

    /// A thread.
    #[inline(always)]
    pub fn slot(&mut self, thread: Number) -> &mut Slot {
        &mut self.slots[place(thread)]
    }

    /// What a thread is doing.
    #[inline(always)]
    pub fn state(&self, thread: Number) -> State {
        self.slots[place(thread)].state
    }

    /// Whether the running thread should make way as soon as it can.
    #[inline(always)]
    pub fn wants_preemption(&self) -> bool {
        self.preempt
    }

    /// Every thread's number is below this one.
    pub fn places(&self) -> u32 {
        u32::from(self.highest) + 1
    }

    /// What a thread does, the priority at which it runs, and its own.
    pub fn view(&self, thread: Number) -> (State, u8, u8) {
        let slot = &self.slots[place(thread)];
        (slot.state, slot.priority, slot.own_priority)
    }

    /// The priority at which a thread runs.
    #[inline(always)]
    pub fn priority(&self, thread: Number) -> u8 {
        self.slots[place(thread)].priority
    }

    /// Sets the priority of the running thread. What was lent to it stays lent.
    pub fn set_own_priority(&mut self, priority: u8) {
        let slot = self.slot(self.current);
        let lent = slot.priority > slot.own_priority;
        let least = if lent { slot.priority } else { 0 };
        slot.own_priority = priority & 7;
        slot.priority = slot.own_priority.max(least);
        let priority = slot.priority;
        self.preempt |= self.queue.has_above(priority);
    }

    /// Gives `to` a call from somebody of priority `priority`: until it ends the loan, it runs
    /// at that priority at least. So a caller never waits for what its own priority would have
    /// preempted. A loan ends the one before; 0 only ends it. `to` must not be the running
    /// thread, which [`Scheduler::borrow`]s.
    #[inline(always)]
    pub fn lend(&mut self, to: Number, priority: u8) {
        let slot = self.slot(to);
        slot.priority = slot.own_priority.max(priority);
    }

    /// The running thread takes a call that waited for it, or gives up what was lent to it
    /// with the last one (0).
    #[inline(always)]
    pub fn borrow(&mut self, priority: u8) {
        let current = self.current;
        self.lend(current, priority);
        self.preempt |= self.queue.has_above(self.priority(current));
    }

    /// A number for a new thread, or `None` if all are taken. The lowest, so that tables of
    /// threads stay dense.
    pub fn find_free(&mut self) -> Option<Number> {
        let free = |number: &Number| self.slots[place(*number)].state == State::Free;
        let number = (self.lowest_free..=self.highest).find(free);
        self.lowest_free = number.unwrap_or(self.highest + 1);
        (usize::from(self.lowest_free) < THREADS).then_some(self.lowest_free)
    }

    /// Makes a free number a thread that is ready.
    pub fn start(&mut self, thread: Number, priority: u8, stack_pointer: usize) {
        let slot = self.slot(thread);
        *slot = Slot::new(stack_pointer, priority & 7);
        slot.state = State::Blocked;
        self.highest = self.highest.max(thread);
        self.wake(thread);
    }

    /// The running thread blocks until it is woken.
    #[inline(always)]
    pub fn block(&mut self) -> Decision {
        let current = self.current;
        let slot = self.slot(current);
        slot.wake = Wake::Woken;
        if slot.token {
            slot.token = false;
            return Decision::Continue;
        }
        slot.state = State::Blocked;
        self.next()
    }

    /// The running thread wakes `to` and blocks, and `to` runs at once, unless a thread of a
    /// higher priority is ready, or the running one was woken in the meantime.
    #[inline(always)]
    pub fn hand_off(&mut self, to: Number) -> Decision {
        let from = self.current;
        if self.hand_off_at_once(from, to) {
            return Decision::Switch { from, to };
        }
        self.wake(to);
        self.block()
    }

    /// As [`Scheduler::hand_off`], if it comes to a switch from the running thread, `from`, to
    /// `to`. If not, says so, and nothing has happened.
    #[inline(always)]
    #[must_use]
    pub fn hand_off_at_once(&mut self, from: Number, to: Number) -> bool {
        debug_assert_eq!(from, self.current);
        let target = &self.slots[place(to)];
        if target.state != State::Blocked
            || self.slots[place(from)].token
            || !self.queue.is_empty() && self.queue.has_above(target.priority)
        {
            return false;
        }
        let slot = self.slot(from);
        slot.wake = Wake::Woken;
        slot.state = State::Blocked;
        self.slot(to).state = State::Running;
        self.preempt = false;
        self.current = to;
        true
    }

    /// The running thread lets others of its priority go first.
    pub fn yield_now(&mut self) -> Decision {
        let current = self.current;
        let priority = self.priority(current);
        self.slot(current).state = State::Ready;
        self.queue.push(current, priority);
        self.next()
    }

    /// The running thread makes way, if [`Scheduler::wants_preemption`]: for a better thread
    /// at once, for one of its own priority if its slice has ended.
    pub fn make_way(&mut self) -> Decision {
        let rotate = core::mem::take(&mut self.rotate);
        self.preempt = false;
        let current = self.current;
        let priority = self.priority(current);
        if self.idle {
            Decision::Continue
        } else if self.queue.has_above(priority) {
            self.slot(current).state = State::Ready;
            self.queue.push_first(current, priority);
            self.next()
        } else if rotate && self.queue.has(priority) {
            self.yield_now()
        } else {
            Decision::Continue
        }
    }

    /// The running thread has ended; its number is free once another one runs.
    pub fn exit(&mut self) -> Decision {
        let current = self.current;
        self.slot(current).state = State::Free;
        self.lowest_free = self.lowest_free.min(current);
        self.next()
    }

    /// Whether the wait asked for by [`Decision::Idle`] goes on.
    #[inline(always)]
    pub fn is_idle(&self) -> bool {
        self.idle
    }

    /// What follows an interrupt that ended the wait asked for by [`Decision::Idle`].
    #[inline(always)]
    pub fn after_idle(&mut self) -> Decision {
        self.idle = false;
        let current = self.current;
        let slot = &mut self.slots[place(current)];
        if slot.state == State::Running {
            if self.queue.is_empty() {
                return Decision::Continue;
            }
            // Others were woken after this one, perhaps better ones.
            slot.state = State::Ready;
            let priority = slot.priority;
            self.queue.push_first(current, priority);
        }
        self.next()
    }

    /// Makes a blocked thread ready. If it is not blocked, its next block returns at once.
    /// Returns whether it was blocked.
    #[inline(always)]
    pub fn wake(&mut self, thread: Number) -> bool {
        let slot = &mut self.slots[place(thread)];
        match slot.state {
            State::Blocked => {}
            State::Running | State::Ready => {
                slot.token = true;
                return false;
            }
            State::Free => return false,
        }
        let priority = slot.priority;
        if self.idle {
            if thread == self.current && self.queue.is_empty() {
                slot.state = State::Running;
                return true;
            }
        } else {
            self.preempt |= priority > self.slots[place(self.current)].priority;
        }
        self.slots[place(thread)].state = State::Ready;
        self.queue.push(thread, priority);
        true
    }

    /// Ends the block of a thread for another reason than a [`Scheduler::wake`]. Returns
    /// whether it was blocked; if not, nothing happens.
    pub fn interrupt(&mut self, thread: Number, reason: Wake) -> bool {
        let blocked = self.slots[place(thread)].state == State::Blocked;
        if blocked {
            self.slot(thread).wake = reason;
            self.wake(thread);
        }
        blocked
    }

    /// Why the running thread's last block ended.
    #[inline(always)]
    pub fn woken_by(&self) -> Wake {
        self.slots[place(self.current)].wake
    }

    /// Whether a timer has to be set for the end of a slice: a thread of the running one's
    /// priority waits, and no timer is set yet. Says so once.
    #[inline(always)]
    pub fn needs_slice(&mut self) -> bool {
        if self.queue.is_empty() || self.slice_armed {
            return false;
        }
        self.slice_armed = self.queue.has(self.priority(self.current));
        self.slice_armed
    }

    /// The timer that ends slices went off. Slices are not timed from the start of each
    /// thread's turn, so a turn may be shorter than a slice, but never longer.
    pub fn end_slice(&mut self) {
        self.slice_armed = false;
        if !self.idle && self.queue.has(self.priority(self.current)) {
            self.preempt = true;
            self.rotate = true;
        }
    }

    #[inline(always)]
    fn next(&mut self) -> Decision {
        let current = self.current;
        match self.queue.pop() {
            None => {
                self.idle = true;
                Decision::Idle
            }
            Some(thread) => self.run(current, thread),
        }
    }

    #[inline(always)]
    fn run(&mut self, from: Number, to: Number) -> Decision {
        self.slot(to).state = State::Running;
        if from == to {
            return Decision::Continue;
        }
        self.preempt = false;
        self.current = to;
        Decision::Switch { from, to }
    }
}

impl Default for Scheduler {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
