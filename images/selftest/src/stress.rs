//! Everything at once: threads of all priorities that allocate, sleep, wake each other, start
//! others and end, while the timer interrupts them wherever it likes.

use crate::{Failure, check};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use norma_boot::println;
use norma_ipc::Page;
use norma_kernel::memory::{Frame, free_frames};
use norma_kernel::thread::{self, ThreadId};
use norma_kernel::{counters, timer};

const WORKERS: u64 = 12;
const TIME: u64 = 3_000_000_000;

static STEPS: AtomicU64 = AtomicU64::new(0);
static WRONG: AtomicU64 = AtomicU64::new(0);

/// Three seconds of it; afterwards nothing may be missing.
pub fn all() -> Result<(), Failure> {
    // The first round fills the heap's lists and makes the stacks.
    round(TIME / 6)?;
    let frames = free_frames();
    let before = counters::snapshot();
    round(TIME)?;
    let passed = counters::snapshot().since(&before);
    println!("{} steps, {passed:?}", STEPS.load(Ordering::Relaxed));
    check(
        WRONG.load(Ordering::Relaxed) == 0,
        "memory holds what was written",
    )?;
    check(
        passed.heap_allocations == passed.heap_frees,
        "every block came back",
    )?;
    let missing = frames.saturating_sub(free_frames());
    println!("{missing} frames more in use");
    check(missing < 200, "the heap and the stacks hardly grow")
}

fn round(time: u64) -> Result<(), Failure> {
    let end = timer::now() + time;
    let mut handles = Vec::new();
    for worker in 0..WORKERS {
        let handle = thread::spawn("worker", (worker % 5) as u8, move || work(worker, end));
        handles.push(handle.map_err(|_| Failure("a thread can be created"))?);
    }
    for handle in handles {
        while !handle.is_finished() {
            thread::wake(handle.thread());
            thread::sleep(1_000_000);
        }
        handle.join();
    }
    Ok(())
}

fn work(worker: u64, end: u64) {
    let mut random = worker * 7919 + 1;
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    while timer::now() < end {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        step(random, &mut blocks);
        STEPS.fetch_add(1, Ordering::Relaxed);
    }
}

fn step(random: u64, blocks: &mut Vec<Vec<u8>>) {
    let value = (random >> 32) as u8;
    match random % 9 {
        0..=2 => {
            let size = (random >> 8) as usize % 9000;
            let mut block = Vec::new();
            if block.try_reserve_exact(size).is_ok() {
                block.resize(size, size as u8);
                blocks.push(block);
            }
        }
        3 | 4 => {
            if let Some(block) = blocks.pop() {
                verify(block.iter().all(|&byte| byte == block.len() as u8));
            }
        }
        5 => {
            thread::block_until(timer::now() + random % 300_000);
        }
        6 => thread::wake(ThreadId(value.into())),
        7 => share_a_frame(value),
        _ => {
            if let Ok(child) = thread::spawn("child", value % 8, thread::yield_now) {
                child.join();
            }
        }
    }
    if blocks.len() > 20 {
        blocks.clear();
    }
}

fn share_a_frame(value: u8) {
    let Some(mut frame) = Frame::allocate() else {
        return;
    };
    if let Some(bytes) = frame.bytes_mut() {
        bytes.fill(value);
    }
    let other = frame.share();
    thread::yield_now();
    drop(frame);
    verify(other.bytes().iter().all(|&byte| byte == value));
}

fn verify(right: bool) {
    if !right {
        WRONG.fetch_add(1, Ordering::Relaxed);
    }
}
