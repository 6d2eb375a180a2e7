//! Deadlines: they come true, not early, and setting them hardly ever touches the hardware.

use crate::{Failure, LONG, check};
use core::sync::atomic::{AtomicU64, Ordering};
use norma_boot::println;
use norma_kernel::thread::{self, Wake};
use norma_kernel::{counters, timer};

/// Everything about deadlines.
pub fn all() -> Result<(), Failure> {
    sleeping_takes_its_time()?;
    a_deadline_ends_a_block()?;
    a_wake_comes_before_the_deadline()?;
    many_sleepers()?;
    the_network_is_called()?;
    deadlines_that_never_come_cost_nothing()
}

fn sleeping_takes_its_time() -> Result<(), Failure> {
    for length in [0, 1_000, 100_000, 5_000_000] {
        let start = timer::now();
        thread::sleep(length);
        let took = timer::now() - start;
        println!("asked for {length} ns, took {took} ns");
        check(took >= length, "no sleep is too short")?;
        check(took < length + LONG, "no sleep is far too long")?;
    }
    Ok(())
}

/// A sleep of more nanoseconds than the timer's 32 bits can count.
pub fn long() -> Result<(), Failure> {
    let start = timer::now();
    thread::sleep(5_000_000_000);
    let took = timer::now() - start;
    println!("slept for {took} ns");
    check(
        (5_000_000_000..5_000_000_000 + LONG).contains(&took),
        "a long sleep is as long as asked",
    )
}

fn a_deadline_ends_a_block() -> Result<(), Failure> {
    let deadline = timer::now() + 3_000_000;
    check(
        thread::block_until(deadline) == Wake::TimedOut,
        "the deadline ends the block",
    )?;
    check(timer::now() >= deadline, "not before it")?;
    check(
        thread::block_until(0) == Wake::TimedOut,
        "a deadline in the past ends it at once",
    )
}

fn a_wake_comes_before_the_deadline() -> Result<(), Failure> {
    let main = thread::current();
    let handle = thread::spawn("waker", 1, move || {
        thread::sleep(1_000_000);
        thread::wake(main);
    })
    .map_err(|_| Failure("a thread can be created"))?;
    let deadline = timer::now() + LONG;
    check(
        thread::block_until(deadline) == Wake::Woken,
        "a wake is told from a time-out",
    )?;
    check(timer::now() < deadline, "and comes before it")?;
    handle.join();
    Ok(())
}

fn many_sleepers() -> Result<(), Failure> {
    static ENDED: AtomicU64 = AtomicU64::new(0);
    for n in 0..20u64 {
        let slept = thread::spawn("sleeper", 1, move || {
            let length = (20 - n) * 300_000;
            let start = timer::now();
            thread::sleep(length);
            if timer::now() - start >= length {
                ENDED.fetch_add(1, Ordering::Relaxed);
            }
        });
        slept.map_err(|_| Failure("a thread can be created"))?;
    }
    let limit = timer::now() + LONG;
    while ENDED.load(Ordering::Relaxed) < 20 {
        check(timer::now() < limit, "every sleeper wakes")?;
        thread::sleep(1_000_000);
    }
    Ok(())
}

fn the_network_is_called() -> Result<(), Failure> {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    timer::set_network_callback(|now| {
        if CALLS.fetch_add(1, Ordering::Relaxed) < 4 {
            timer::set_network_deadline(Some(now + 1_000_000));
        }
    });
    timer::set_network_deadline(Some(timer::now() + 1_000_000));
    let limit = timer::now() + LONG;
    while CALLS.load(Ordering::Relaxed) < 5 {
        check(timer::now() < limit, "the callback sets its next deadline")?;
        thread::sleep(1_000_000);
    }
    timer::set_network_deadline(Some(timer::now() + 1_000_000));
    timer::set_network_deadline(None);
    thread::sleep(5_000_000);
    check(
        CALLS.load(Ordering::Relaxed) == 5,
        "a deadline taken back does not come",
    )
}

fn deadlines_that_never_come_cost_nothing() -> Result<(), Failure> {
    let before = counters::snapshot();
    for _ in 0..1000 {
        thread::wake(thread::current());
        let deadline = timer::now() + 1_000_000_000;
        timer::set_network_deadline(Some(deadline));
        check(
            thread::block_until(deadline) == Wake::Woken,
            "woken at once",
        )?;
    }
    timer::set_network_deadline(None);
    let passed = counters::snapshot().since(&before);
    println!(
        "1000 deadlines, {} times the hardware was set",
        passed.timer_programmings
    );
    check(
        passed.timer_programmings <= 5,
        "the hardware is hardly touched",
    )
}
