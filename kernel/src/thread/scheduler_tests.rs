//! The scheduler's decisions, one situation at a time.

use super::*;

fn started(priorities: &[u8]) -> Scheduler {
    let mut scheduler = Scheduler::new();
    for &priority in priorities {
        let thread = scheduler.find_free().unwrap();
        scheduler.start(thread, priority, 0);
    }
    scheduler
}

fn switch(from: Number, to: Number) -> Decision {
    Decision::Switch { from, to }
}

#[test]
fn a_blocked_thread_waits_where_it_is_and_goes_on() {
    let mut scheduler = Scheduler::new();
    assert_eq!(scheduler.block(), Decision::Idle);
    assert!(scheduler.wake(0));
    assert_eq!(scheduler.after_idle(), Decision::Continue);
    assert_eq!(scheduler.woken_by(), Wake::Woken);
}

#[test]
fn an_interrupt_for_nobody_goes_on_waiting() {
    let mut scheduler = Scheduler::new();
    assert_eq!(scheduler.block(), Decision::Idle);
    assert_eq!(scheduler.after_idle(), Decision::Idle);
}

#[test]
fn a_wake_before_the_block_is_not_lost_and_counts_once() {
    let mut scheduler = Scheduler::new();
    assert!(!scheduler.wake(0));
    assert!(!scheduler.wake(0));
    assert_eq!(scheduler.block(), Decision::Continue);
    assert_eq!(scheduler.block(), Decision::Idle);
}

#[test]
fn an_idle_thread_gives_way_to_another_that_was_woken() {
    let mut scheduler = started(&[0]);
    assert_eq!(scheduler.block(), switch(0, 1));
    assert_eq!(scheduler.block(), Decision::Idle);
    scheduler.wake(0);
    assert_eq!(scheduler.after_idle(), switch(1, 0));
}

#[test]
fn of_several_woken_while_idle_the_best_runs() {
    let mut scheduler = started(&[5]);
    assert_eq!(scheduler.make_way(), switch(0, 1));
    assert_eq!(scheduler.block(), switch(1, 0));
    assert_eq!(scheduler.block(), Decision::Idle);
    scheduler.wake(0);
    scheduler.wake(1);
    assert_eq!(scheduler.after_idle(), switch(0, 1));
    assert_eq!(scheduler.block(), switch(1, 0), "the other is still ready");
}

#[test]
fn a_better_thread_preempts_and_the_interrupted_one_comes_first_again() {
    let mut scheduler = started(&[0, 0]);
    assert!(!scheduler.wants_preemption());
    let better = scheduler.find_free().unwrap();
    scheduler.start(better, 3, 0);
    assert!(scheduler.wants_preemption());
    assert_eq!(scheduler.make_way(), switch(0, better));
    assert_eq!(scheduler.block(), switch(better, 0));
}

#[test]
fn peers_take_turns_when_a_slice_ends_and_only_then() {
    let mut scheduler = started(&[0]);
    assert_eq!(scheduler.make_way(), Decision::Continue);
    assert!(scheduler.needs_slice());
    assert!(!scheduler.needs_slice(), "it is asked for once");
    scheduler.end_slice();
    assert!(scheduler.wants_preemption());
    assert_eq!(scheduler.make_way(), switch(0, 1));
    assert!(scheduler.needs_slice());
}

#[test]
fn no_slice_for_threads_of_other_priorities() {
    let mut scheduler = started(&[0]);
    scheduler.set_own_priority(4);
    assert!(!scheduler.needs_slice());
    scheduler.end_slice();
    assert!(!scheduler.wants_preemption());
}

#[test]
fn hand_off_goes_straight_past_the_queue() {
    let mut scheduler = started(&[0, 0]);
    assert_eq!(scheduler.block(), switch(0, 1));
    assert_eq!(scheduler.hand_off(0), switch(1, 0));
    assert_eq!(
        scheduler.hand_off(1),
        switch(0, 1),
        "although 2 has waited for longer"
    );
    assert_eq!(scheduler.block(), switch(1, 2));
}

#[test]
fn hand_off_respects_a_better_thread() {
    let mut scheduler = started(&[0]);
    assert_eq!(scheduler.block(), switch(0, 1));
    let better = scheduler.find_free().unwrap();
    scheduler.start(better, 2, 0);
    assert_eq!(scheduler.hand_off(0), switch(1, better));
    assert_eq!(scheduler.block(), switch(better, 0));
}

#[test]
fn hand_off_to_a_thread_that_is_not_blocked_leaves_it_a_token() {
    let mut scheduler = started(&[0]);
    assert_eq!(scheduler.hand_off(1), switch(0, 1));
    assert_eq!(scheduler.block(), Decision::Continue);
}

#[test]
fn hand_off_by_a_thread_that_was_woken_does_not_stop_it() {
    let mut scheduler = started(&[0]);
    assert_eq!(scheduler.block(), switch(0, 1));
    scheduler.wake(1);
    assert_eq!(scheduler.hand_off(0), Decision::Continue);
    assert_eq!(scheduler.block(), switch(1, 0), "it was woken nevertheless");
}

#[test]
fn a_time_out_is_told_from_a_wake() {
    let mut scheduler = Scheduler::new();
    assert_eq!(scheduler.block(), Decision::Idle);
    assert!(scheduler.interrupt(0, Wake::TimedOut));
    assert_eq!(scheduler.after_idle(), Decision::Continue);
    assert_eq!(scheduler.woken_by(), Wake::TimedOut);
    assert!(!scheduler.interrupt(0, Wake::TimedOut));
    assert_eq!(scheduler.block(), Decision::Idle, "too late to count");
}

#[test]
fn a_blocked_thread_is_told_to_give_up_and_no_other() {
    let mut scheduler = started(&[0]);
    assert_eq!(scheduler.block(), switch(0, 1));
    assert!(!scheduler.interrupt(1, Wake::Cancelled), "it runs");
    assert!(scheduler.interrupt(0, Wake::Cancelled));
    assert!(!scheduler.interrupt(0, Wake::Cancelled), "it is ready");
    assert_eq!(scheduler.block(), switch(1, 0));
    assert_eq!(scheduler.woken_by(), Wake::Cancelled);
    assert_eq!(scheduler.block(), Decision::Idle, "no wake is left over");
}

/// Thread 0 is the caller, 1 a server of priority 1, 2 a spinner of priority 3.
fn inversion() -> Scheduler {
    let mut scheduler = started(&[1]);
    assert_eq!(scheduler.make_way(), switch(0, 1));
    assert_eq!(scheduler.block(), switch(1, 0));
    scheduler.set_own_priority(5);
    let spinner = scheduler.find_free().unwrap();
    scheduler.start(spinner, 3, 0);
    scheduler
}

#[test]
fn without_a_loan_the_middle_runs_while_the_best_waits_for_the_last() {
    let mut scheduler = inversion();
    assert_eq!(scheduler.hand_off(1), switch(0, 2));
}

#[test]
fn a_server_runs_at_its_callers_priority_and_gives_it_back() {
    let mut scheduler = inversion();
    scheduler.lend(1, 5);
    assert_eq!(scheduler.hand_off(1), switch(0, 1));
    assert!(!scheduler.wants_preemption());
    scheduler.borrow(0);
    assert!(scheduler.wants_preemption(), "the spinner is better now");
    assert_eq!(scheduler.make_way(), switch(1, 2));
}

#[test]
fn a_loan_is_lent_on_and_outlives_a_block() {
    let mut scheduler = started(&[1]);
    assert_eq!(scheduler.make_way(), switch(0, 1));
    let second = scheduler.find_free().unwrap();
    scheduler.start(second, 2, 0);
    assert_eq!(scheduler.make_way(), switch(1, second));
    assert_eq!(scheduler.block(), switch(second, 1));
    scheduler.lend(1, 5);
    let lent = scheduler.priority(1);
    scheduler.lend(second, lent);
    assert_eq!(scheduler.hand_off(second), switch(1, second));
    assert_eq!(scheduler.priority(second), 5);
    scheduler.borrow(0);
    assert_eq!(scheduler.hand_off(1), switch(second, 1));
    assert_eq!(scheduler.priority(1), 5, "it still serves the first call");
}

#[test]
fn a_loan_never_lowers_and_the_next_replaces_it() {
    let mut scheduler = started(&[4]);
    scheduler.lend(1, 2);
    assert_eq!(scheduler.priority(1), 4);
    scheduler.lend(1, 6);
    scheduler.lend(1, 5);
    assert_eq!(scheduler.priority(1), 5);
    assert_eq!(scheduler.make_way(), switch(0, 1));
    scheduler.set_own_priority(1);
    assert_eq!(scheduler.priority(1), 5, "what is lent stays lent");
    scheduler.borrow(0);
    assert_eq!(scheduler.priority(1), 1);
}

#[test]
fn an_ended_thread_waits_for_another_and_frees_its_number() {
    let mut scheduler = started(&[1]);
    assert_eq!(scheduler.make_way(), switch(0, 1));
    assert_eq!(scheduler.block(), switch(1, 0));
    assert_eq!(scheduler.exit(), Decision::Idle);
    assert!(!scheduler.wake(0), "nobody is there any more");
    assert_eq!(scheduler.after_idle(), Decision::Idle);
    scheduler.wake(1);
    assert_eq!(scheduler.after_idle(), switch(0, 1));
    assert_eq!(scheduler.find_free(), Some(0));
}

#[test]
fn numbers_run_out() {
    let mut scheduler = started(&[0; THREADS - 1]);
    assert_eq!(scheduler.find_free(), None);
    assert_eq!(scheduler.block(), switch(0, 1));
}
