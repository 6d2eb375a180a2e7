//! Threads: beginning, end, blocking, waking, handing over, taking turns.

use crate::{Failure, LONG, check};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use norma_kernel::limits::{LEAST_STACK, THREADS};
use norma_kernel::thread::{self, SpawnError, ThreadId, Wake};
use norma_kernel::{counters, timer};

/// All that does not need time to pass.
pub fn all() -> Result<(), Failure> {
    closures_run_and_end()?;
    wakes_are_kept()?;
    ping_pong_by_wake()?;
    ping_pong_by_hand_off()?;
    better_threads_first()?;
    as_many_as_there_can_be()?;
    numbers_and_stacks_are_reused()
}

fn started<T>(thread: Result<T, SpawnError>) -> Result<T, Failure> {
    thread.map_err(|_| Failure("a thread can be created"))
}

fn closures_run_and_end() -> Result<(), Failure> {
    let sum = Arc::new(AtomicU32::new(0));
    let mut handles = Vec::new();
    for n in 1..=10 {
        let sum = sum.clone();
        let big = [n; 100];
        handles.push(started(thread::spawn("adder", 0, move || {
            thread::yield_now();
            sum.fetch_add(big[99], Ordering::Relaxed);
        }))?);
    }
    for handle in handles {
        handle.join();
    }
    check(
        sum.load(Ordering::Relaxed) == 55,
        "ten threads ran to their ends",
    )?;
    check(
        Arc::strong_count(&sum) == 1,
        "what a closure held is dropped",
    )
}

fn wakes_are_kept() -> Result<(), Failure> {
    thread::wake(thread::current());
    thread::block();
    let late = timer::now() + 1_000_000;
    check(
        thread::block_until(late) == Wake::TimedOut,
        "one wake ends one block",
    )
}

const ROUNDS: u32 = 1000;

fn ping_pong_by_wake() -> Result<(), Failure> {
    let main = thread::current();
    let handle = started(thread::spawn("pong", 0, move || {
        for _ in 0..ROUNDS {
            thread::block();
            thread::wake(main);
        }
    }))?;
    for _ in 0..ROUNDS {
        thread::wake(handle.thread());
        thread::block();
    }
    handle.join();
    Ok(())
}

fn ping_pong_by_hand_off() -> Result<(), Failure> {
    let main = thread::current();
    let handle = started(thread::spawn("pong", 0, move || {
        thread::block();
        for _ in 1..ROUNDS {
            thread::hand_off(main);
        }
        thread::wake(main);
    }))?;
    thread::yield_now();
    let before = counters::snapshot();
    for _ in 0..ROUNDS {
        thread::hand_off(handle.thread());
    }
    let after = counters::snapshot().since(&before);
    handle.join();
    check(
        after.switches <= 2 * u64::from(ROUNDS) + 2,
        "two switches a round",
    )?;
    check(after.heap_allocations == 0, "no allocation")?;
    check(after.halts == 0, "no halt")
}

fn better_threads_first() -> Result<(), Failure> {
    let order = Arc::new(AtomicU32::new(0));
    let mut handles = Vec::new();
    for (priority, digit) in [(1, 1), (3, 3), (2, 2)] {
        let order = order.clone();
        let handle = started(thread::spawn("ranked", priority, move || {
            thread::block();
            order.store(
                order.load(Ordering::Relaxed) * 10 + digit,
                Ordering::Relaxed,
            );
        }))?;
        handles.push(handle);
    }
    thread::set_priority(7);
    for handle in &handles {
        thread::wake(handle.thread());
    }
    thread::set_priority(0);
    for handle in handles {
        handle.join();
    }
    check(
        order.load(Ordering::Relaxed) == 321,
        "the best thread runs first",
    )
}

fn as_many_as_there_can_be() -> Result<(), Failure> {
    let mut handles = Vec::new();
    let error = loop {
        match thread::spawn_with_stack("one of many", 0, LEAST_STACK, thread::block) {
            Ok(handle) => handles.push(handle),
            Err(error) => break error,
        }
    };
    thread::yield_now();
    let expected = match error {
        // This one, and the kernel's own.
        SpawnError::TooMany => handles.len() == THREADS - 2,
        SpawnError::NoMemory => !handles.is_empty(),
    };
    for handle in handles {
        thread::wake(handle.thread());
        handle.join();
    }
    check(expected, "threads end only with numbers or memory")
}

fn numbers_and_stacks_are_reused() -> Result<(), Failure> {
    let mut highest = 0;
    let frames = norma_kernel::memory::free_frames();
    for _ in 0..2 * THREADS {
        let handle = started(thread::spawn("short", 0, || {}))?;
        highest = highest.max(handle.thread().0);
        handle.join();
    }
    check(highest <= 2, "numbers stay dense")?;
    check(
        norma_kernel::memory::free_frames() == frames,
        "stacks are reused",
    )
}

/// Threads that never block still let others run.
pub fn preemption() -> Result<(), Failure> {
    a_better_thread_interrupts()?;
    peers_share_by_slices()?;
    the_timer_rests_without_peers()
}

fn a_better_thread_interrupts() -> Result<(), Failure> {
    let done = Arc::new(AtomicBool::new(false));
    let flag = done.clone();
    let handle = started(thread::spawn("better", 5, move || {
        thread::sleep(2_000_000);
        flag.store(true, Ordering::Relaxed);
    }))?;
    let limit = timer::now() + LONG;
    while !done.load(Ordering::Relaxed) {
        check(
            timer::now() < limit,
            "a sleeping better thread interrupts a spinning one",
        )?;
    }
    handle.join();
    Ok(())
}

fn peers_share_by_slices() -> Result<(), Failure> {
    static STOP: AtomicBool = AtomicBool::new(false);
    static TURNS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
    let mut handles = Vec::new();
    for turns in &TURNS {
        handles.push(started(thread::spawn("spinner", 0, move || {
            while !STOP.load(Ordering::Relaxed) {
                turns.fetch_add(1, Ordering::Relaxed);
            }
        }))?);
    }
    let limit = timer::now() + LONG;
    while TURNS.iter().any(|turns| turns.load(Ordering::Relaxed) == 0) {
        check(timer::now() < limit, "every spinning peer gets its turn")?;
    }
    STOP.store(true, Ordering::Relaxed);
    for handle in handles {
        handle.join();
    }
    Ok(())
}

fn the_timer_rests_without_peers() -> Result<(), Failure> {
    // One that was left set may go off once more, on a busy host at any time: but that leads to
    // no other.
    spin(50_000_000);
    let before = counters::snapshot();
    spin(100_000_000);
    let passed = counters::snapshot().since(&before);
    check(
        passed.timer_programmings == 0 && passed.timer_interrupts <= 1,
        "no timer without a reason",
    )?;
    thread::wake(ThreadId(u32::MAX));
    thread::wake(ThreadId(THREADS as u32 - 1));
    Ok(())
}

fn spin(nanoseconds: u64) {
    let end = timer::now() + nanoseconds;
    while timer::now() < end {
        core::hint::spin_loop();
    }
}
