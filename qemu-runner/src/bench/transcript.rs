//! Reads what the benchmark image prints: one line per stretch and node.
//!
//! Owns: the lines `@bench`, `@counts` and `@bench-error`, and the check that none is missing.
//! Leaves to others: starting nodes (`campaign`), what the numbers give (`merge`).
//! Why this way: every field is required. A number that the image left out is an error with
//! the line that lacks it, never a zero that looks like a good result.

use super::items::{Item, Kind};
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::ops::{Add, AddAssign};

/// What a node counted over one stretch (totals).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct NodeCounts {
    /// Frames sent.
    pub frames: u64,
    /// Doorbells rung at the device.
    pub notifications: u64,
    /// Interrupts taken.
    pub interrupts: u64,
    /// Times that the timer was programmed.
    pub timer: u64,
    /// Copies of payload.
    pub copies: u64,
    /// Heap allocations.
    pub allocations: u64,
}

impl Add for NodeCounts {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            frames: self.frames + other.frames,
            notifications: self.notifications + other.notifications,
            interrupts: self.interrupts + other.interrupts,
            timer: self.timer + other.timer,
            copies: self.copies + other.copies,
            allocations: self.allocations + other.allocations,
        }
    }
}

impl AddAssign for NodeCounts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// A stretch as the calling node saw it. Times are nanoseconds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Timing {
    /// Name of the benchmark.
    pub name: String,
    /// Which round of this boot.
    pub round: u64,
    /// Unit of the times; nothing but `ns` is understood.
    pub unit: String,
    /// Operations measured.
    pub n: u64,
    /// Median.
    pub p50: u64,
    /// 99th percentile.
    pub p99: u64,
    /// Shortest.
    pub min: u64,
    /// Longest.
    pub max: u64,
    /// From the first operation's start to the last one's end.
    pub total: u64,
    /// Payload bytes moved.
    pub bytes: u64,
    /// The calling node's counts.
    pub counts: NodeCounts,
}

/// The same stretch as the serving node counted it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Serving {
    /// Name of the benchmark.
    pub name: String,
    /// Which round of this boot.
    pub round: u64,
    /// Operations measured.
    pub n: u64,
    /// The serving node's counts.
    pub counts: NodeCounts,
}

#[derive(Deserialize)]
struct Failure {
    name: String,
    error: String,
}

/// One boot of the pair: everything that both nodes printed.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    /// The calling node's lines, in order.
    pub timings: Vec<Timing>,
    /// The serving node's lines, in order.
    pub servings: Vec<Serving>,
}

impl Transcript {
    /// Takes one console line. Lines that are not results are passed over.
    ///
    /// # Errors
    /// A result line that lacks something, or the image's own report of a failure.
    pub fn take(&mut self, line: &str) -> Result<()> {
        let line = line.trim_end();
        if let Some(json) = line.strip_prefix("@bench ") {
            self.timings.push(parse(json, line)?);
        } else if let Some(json) = line.strip_prefix("@counts ") {
            self.servings.push(parse(json, line)?);
        } else if let Some(json) = line.strip_prefix("@bench-error ") {
            let failure: Failure = parse(json, line)?;
            bail!(
                "benchmark {} failed in the image: {}",
                failure.name,
                failure.error
            );
        }
        Ok(())
    }

    /// Checks that every stretch is there, once, in order, from both nodes, and is plausible.
    ///
    /// # Errors
    /// The first stretch that is missing or contradicts itself.
    pub fn check(&self, items: &[Item], rounds: u64) -> Result<()> {
        let expected = (0..rounds).flat_map(|round| items.iter().map(move |item| (round, item)));
        for (index, (round, item)) in expected.enumerate() {
            let stretch = || format!("{} in round {round}", item.name);
            let timing = self.timings.get(index);
            let timing =
                timing.with_context(|| format!("node a gave no result of {}", stretch()))?;
            let serving = self.servings.get(index);
            let serving =
                serving.with_context(|| format!("node b gave no counts of {}", stretch()))?;
            let wanted = (item.name, round, item.n);
            for found in [
                (timing.name.as_str(), timing.round, timing.n),
                (serving.name.as_str(), serving.round, serving.n),
            ] {
                ensure!(
                    found == wanted,
                    "expected (name, round, n) {wanted:?}, found {found:?}"
                );
            }
            plausible(timing, item.kind).with_context(stretch)?;
        }
        let expected = items.len() * usize::try_from(rounds)?;
        let surplus = self.timings.len().max(self.servings.len()) - expected;
        ensure!(surplus == 0, "{surplus} results more than were asked for");
        Ok(())
    }
}

fn parse<'a, T: Deserialize<'a>>(json: &'a str, line: &str) -> Result<T> {
    serde_json::from_str(json).with_context(|| format!("cannot read the result line: {line}"))
}

fn plausible(timing: &Timing, kind: Kind) -> Result<()> {
    ensure!(
        timing.unit == "ns",
        "unit is `{}`, expected `ns`",
        timing.unit
    );
    ensure!(timing.total > 0, "total time is 0");
    match kind {
        Kind::RoundTrip | Kind::Local => {
            let ordered = [
                0,
                timing.min,
                timing.p50,
                timing.p99,
                timing.max,
                timing.total,
            ];
            ensure!(timing.p50 > 0, "median time is 0");
            ensure!(
                ordered.is_sorted(),
                "min, p50, p99, max, total are out of order: {ordered:?}"
            );
        }
        // It has a total, and that is all it needs.
        Kind::Crowd => {}
        Kind::Stream => ensure!(timing.bytes > 0, "no bytes were moved"),
    }
    Ok(())
}
