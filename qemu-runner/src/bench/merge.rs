//! Makes one row per benchmark out of all stretches of both nodes.
//!
//! Owns: medians over rounds, counts per operation, ratios to the floor.
//! Leaves to others: reading (`transcript`, `markers`), judging (`targets`), printing.
//! Why this way: a median of each stretch's median is what drifts least on a busy machine;
//! counts are plain means over all operations, so that one retransmission too many shows.

use super::items::{Item, Kind};
use super::markers::Executed;
use super::transcript::{NodeCounts, Timing, Transcript};
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use std::collections::BTreeMap;

/// The counting pass: one round under the plugin.
#[derive(Clone, Debug, Default)]
pub struct Counting {
    /// What both nodes printed.
    pub transcript: Transcript,
    /// What the calling node executed, stretch by stretch.
    pub calling: Vec<Executed>,
    /// What the serving node executed, stretch by stretch.
    pub serving: Vec<Executed>,
}

/// Counts per operation, both nodes together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Counts {
    /// Frames on the wire.
    pub frames: f64,
    /// Doorbells rung at devices.
    pub notifications: f64,
    /// Interrupts taken.
    pub interrupts: f64,
    /// Accesses to device memory and ports, writes of model-specific registers.
    pub exits: f64,
    /// Copies of payload in the kernel.
    pub copies: f64,
    /// Heap allocations.
    pub allocations: f64,
    /// Guest instructions.
    pub instructions: f64,
}

/// One benchmark's result, as `--json` writes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// `us`, `calls/s` or `MB/s`.
    pub unit: &'static str,
    /// Operations measured, over all rounds.
    pub n: u64,
    /// Median over rounds of the median.
    pub p50: f64,
    /// Median over rounds of the 99th percentile; for calls/s and MB/s the slowest 1 %.
    pub p99: f64,
    /// Least of all rounds.
    pub min: f64,
    /// Greatest of all rounds.
    pub max: f64,
    /// This p50 divided by the p50 of `floor`, for streams of `raw-stream`, for many ports of
    /// `ports-1`.
    pub ratio_to_floor: f64,
    /// Counts per operation.
    pub counts: Counts,
}

/// What is known beyond the interface's fields, per operation, both nodes together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Detail {
    /// Operations of one stretch: control messages at its ends are spread over these.
    pub n_per_stretch: u64,
    /// Times that a timer was programmed.
    pub timer: f64,
    /// `hlt` instructions.
    pub halts: f64,
    /// `syscall` instructions.
    pub system_calls: f64,
    /// Loads of CR3.
    pub address_spaces: f64,
    /// Guest instructions of the calling node.
    pub instructions_calling: f64,
    /// Guest instructions of the serving node.
    pub instructions_serving: f64,
    /// Accesses to device memory by device and register.
    pub registers: BTreeMap<String, f64>,
}

/// A row and what lies behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The result.
    pub row: Row,
    /// More about it.
    pub detail: Detail,
}

/// Joins the timing boots and the counting pass to one row per item.
///
/// # Errors
/// A stretch that is missing in either pass, or a floor that was not measured.
pub fn merge(
    items: &[Item],
    rounds: u64,
    boots: &[Transcript],
    counting: &Counting,
) -> Result<Vec<Measured>> {
    ensure!(!boots.is_empty(), "no timing pass was run");
    for boot in boots {
        boot.check(items, rounds).context("timing pass")?;
    }
    counting
        .transcript
        .check(items, 1)
        .context("counting pass")?;
    for (node, list) in [("a", &counting.calling), ("b", &counting.serving)] {
        let (found, wanted) = (list.len(), items.len());
        ensure!(
            found == wanted,
            "node {node} ran through {found} pairs of markers, not {wanted}"
        );
    }
    let middle = |item: &Item| times(&stretches_of(boots, item), item.kind).p50;
    items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            let floor = items.iter().find(|i| i.name == item.kind.floor());
            let floor = floor.with_context(|| format!("{} has no floor in this run", item.name))?;
            Ok(measured(item, index, middle(floor), boots, counting))
        })
        .collect()
}

fn measured(
    item: &Item,
    index: usize,
    floor: f64,
    boots: &[Transcript],
    counting: &Counting,
) -> Measured {
    let timings = stretches_of(boots, item);
    let n: u64 = timings.iter().map(|t| t.n).sum();
    let mut counts = NodeCounts::default();
    for boot in boots {
        for timing in boot.timings.iter().filter(|t| t.name == item.name) {
            counts += timing.counts;
        }
        for serving in boot.servings.iter().filter(|s| s.name == item.name) {
            counts += serving.counts;
        }
    }
    let (calling, serving) = (&counting.calling[index], &counting.serving[index]);
    let mut both = calling.clone();
    both.add(serving);
    let timed = |total: u64| rounded(total as f64 / n as f64);
    let counted = |total: u64| rounded(total as f64 / item.n as f64);
    let times = times(&timings, item.kind);
    Measured {
        row: Row {
            name: item.name.to_owned(),
            unit: item.kind.unit(),
            n,
            p50: times.p50,
            p99: times.p99,
            min: times.min,
            max: times.max,
            ratio_to_floor: rounded(times.p50 / floor),
            counts: Counts {
                frames: timed(counts.frames),
                notifications: timed(counts.notifications),
                interrupts: timed(counts.interrupts),
                exits: counted(both.exits),
                copies: timed(counts.copies),
                allocations: timed(counts.allocations),
                instructions: counted(both.instructions),
            },
        },
        detail: Detail {
            n_per_stretch: item.n,
            timer: timed(counts.timer),
            halts: counted(both.halts),
            system_calls: counted(both.system_calls),
            address_spaces: counted(both.address_spaces),
            instructions_calling: counted(calling.instructions),
            instructions_serving: counted(serving.instructions),
            registers: both
                .registers
                .iter()
                .map(|(k, v)| (k.clone(), counted(*v)))
                .collect(),
        },
    }
}

fn stretches_of<'a>(boots: &'a [Transcript], item: &Item) -> Vec<&'a Timing> {
    let all = boots.iter().flat_map(|boot| &boot.timings);
    all.filter(|timing| timing.name == item.name).collect()
}

struct Times {
    p50: f64,
    p99: f64,
    min: f64,
    max: f64,
}

fn times(timings: &[&Timing], kind: Kind) -> Times {
    match kind {
        Kind::RoundTrip | Kind::Local => {
            let each = |field: fn(&Timing) -> u64| {
                sorted(timings.iter().map(|t| field(t) as f64 / 1000.0).collect())
            };
            Times {
                p50: rounded(nearest(&each(|t| t.p50), 0.50)),
                p99: rounded(nearest(&each(|t| t.p99), 0.50)),
                min: nearest(&each(|t| t.min), 0.0),
                max: nearest(&each(|t| t.max), 1.0),
            }
        }
        // Operations per nanosecond.
        Kind::Crowd => rates(timings, |t| t.n as f64 * 1e9 / t.total as f64),
        // Bytes per nanosecond, times 1000, are megabytes (10^6) per second.
        Kind::Stream => rates(timings, |t| t.bytes as f64 * 1000.0 / t.total as f64),
    }
}

/// What has one number per stretch, of which more is better.
fn rates(timings: &[&Timing], rate: impl Fn(&Timing) -> f64) -> Times {
    let rates = sorted(timings.iter().map(|t| rounded(rate(t))).collect());
    Times {
        p50: nearest(&rates, 0.50),
        p99: nearest(&rates, 0.01),
        min: nearest(&rates, 0.0),
        max: nearest(&rates, 1.0),
    }
}

fn sorted(mut numbers: Vec<f64>) -> Vec<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers
}

/// The value at `part` (0 to 1) of a sorted list that is not empty, without interpolation.
pub fn nearest(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last as f64 * part).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

/// Four decimals: what follows is noise, and makes files hard to read and to compare.
fn rounded(number: f64) -> f64 {
    (number * 10_000.0).round() / 10_000.0
}
