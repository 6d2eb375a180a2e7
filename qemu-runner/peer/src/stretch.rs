//! A stretch of operations: how long each took, and what is printed about it.
//!
//! Owns: the calling side's loop and result line, the serving side's counting of operations.
//! Leaves to others: the operation itself.
//! Why this way: the same loop, the same statistics and the same line as norma's own benchmark
//! image has, so that one reader serves both. Nothing is printed or allocated inside.

use crate::sys;
use anyhow::Result;
use norma_peer::plan::{HEADER, Item, Kind, SHARES};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// What came of a stretch.
pub struct Outcome {
    /// Nanoseconds of each operation; empty for streams.
    pub times: Vec<u64>,
    /// Nanoseconds of the whole.
    pub total: u64,
}

/// Warm-up, then a stretch in which each operation is timed. The operation is given its number.
pub fn calls(item: &Item, mut operation: impl FnMut(u32) -> Result<()>) -> Result<Outcome> {
    let mut times = Vec::with_capacity(item.n);
    for number in 0..item.warmup {
        operation(number as u32)?;
    }
    sys::open_calling();
    let begin = Instant::now();
    let mut before = begin;
    for number in 0..item.n {
        operation((item.warmup + number) as u32)?;
        let after = Instant::now();
        times.push((after - before).as_nanos() as u64);
        before = after;
    }
    sys::close_calling();
    let total = (before - begin).as_nanos() as u64;
    Ok(Outcome { times, total })
}

/// As [`calls`], timed as a whole. The operation is also told whether it ends a stretch.
pub fn stream(item: &Item, mut operation: impl FnMut(u32, bool) -> Result<()>) -> Result<Outcome> {
    for number in 0..item.warmup {
        operation(number as u32, number + 1 == item.warmup)?;
    }
    sys::open_calling();
    let begin = Instant::now();
    for number in 0..item.n {
        operation((item.warmup + number) as u32, number + 1 == item.n)?;
    }
    let total = begin.elapsed().as_nanos() as u64;
    sys::close_calling();
    let times = Vec::new();
    Ok(Outcome { times, total })
}

/// Several callers at once, each a thread with an operation of its own. Between the two times
/// that are taken all are at work.
pub fn crowd<F>(item: &Item, callers: Vec<F>) -> Result<Outcome>
where
    F: FnMut(u32) -> Result<()> + Send,
{
    let gate = Barrier::new(callers.len() + 1);
    let shares = shares_of(item.n, callers.len());
    let warmups = shares_of(item.warmup, callers.len());
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for ((mut operation, n), warmup) in callers.into_iter().zip(shares).zip(warmups) {
            let gate = &gate;
            threads.push(scope.spawn(move || -> Result<Vec<u64>> {
                let warmed: Result<()> =
                    (0..warmup).try_for_each(|number| operation(number as u32));
                let mut times = Vec::with_capacity(n);
                // Also when it failed, or the others would wait forever.
                gate.wait();
                gate.wait();
                let mut before = Instant::now();
                let run = warmed.and_then(|()| {
                    (0..n).try_for_each(|number| {
                        operation((warmup + number) as u32)?;
                        let after = Instant::now();
                        times.push((after - before).as_nanos() as u64);
                        before = after;
                        Ok(())
                    })
                });
                gate.wait();
                run.map(|()| times)
            }));
        }
        // All are warm; then all go; then all are done.
        gate.wait();
        sys::open_calling();
        let begin = Instant::now();
        gate.wait();
        gate.wait();
        let total = begin.elapsed().as_nanos() as u64;
        sys::close_calling();
        let mut times = Vec::with_capacity(item.n);
        for thread in threads {
            let own = thread.join();
            times.extend(own.map_err(|_| anyhow::anyhow!("a caller panicked"))??);
        }
        Ok(Outcome { times, total })
    })
}

/// `n` operations divided among callers, the first with one more where it does not come out even.
fn shares_of(n: usize, callers: usize) -> Vec<usize> {
    (0..callers)
        .map(|caller| n / callers + usize::from(caller < n % callers))
        .collect()
}

/// Prints the result line.
pub fn print(item: &Item, round: usize, outcome: &mut Outcome) {
    let times = &mut outcome.times;
    times.sort_unstable();
    let at = |share: usize| {
        let place = times.len().saturating_sub(1) * share / 1000;
        times.get(place).copied().unwrap_or(0)
    };
    let shares: Vec<String> = SHARES.iter().map(|share| at(*share).to_string()).collect();
    let sum: u64 = times.iter().sum();
    let bytes = match item.kind {
        Kind::Call => 0,
        Kind::Stream => item.request * item.n,
    };
    println!(
        "@bench {{\"name\":\"{}\",\"round\":{round},\"unit\":\"ns\",\"n\":{},\"p50\":{},\"p99\":{},\
         \"min\":{},\"max\":{},\"mean\":{},\"total\":{},\"bytes\":{bytes},\"dist\":[{}]}}",
        item.name,
        item.n,
        at(500),
        at(990),
        at(0),
        at(1000),
        sum / times.len().max(1) as u64,
        outcome.total,
        shares.join(","),
    );
}

/// The serving side's count of operations: marks where the measured ones begin and end.
pub struct Served {
    count: AtomicUsize,
    begin: usize,
    end: usize,
}

impl Served {
    /// Nothing has been served yet.
    pub fn new(item: &Item) -> Self {
        if item.warmup == 0 {
            sys::open_serving();
        }
        Self {
            count: AtomicUsize::new(0),
            begin: item.warmup,
            end: item.warmup + item.n,
        }
    }

    /// One more has been served. False when it was the last.
    #[inline]
    pub fn one(&self) -> bool {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        if count == self.begin {
            sys::open_serving();
        }
        if count == self.end {
            sys::close_serving();
        }
        count < self.end
    }
}

/// Bytes of a message with that payload.
pub fn message_bytes(payload: usize) -> usize {
    HEADER + payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_share_all_operations() {
        assert_eq!(shares_of(10, 4), [3, 3, 2, 2]);
        assert_eq!(shares_of(64, 64), [1; 64]);
        assert_eq!(shares_of(0, 2), [0, 0]);
    }
}
