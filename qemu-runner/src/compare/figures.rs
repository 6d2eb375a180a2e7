//! Figures: one per system and operation, out of all boots.
//!
//! Owns: medians, spread, ratios to the floor and to norma, counts per operation.
//! Leaves to others: reading (`boot`), judging (`targets`), showing.
//! Why this way: what is printed is a median of stretches' medians, which drifts least on a busy
//! machine. A ratio is taken within each repetition, whose boots met the same host at nearly the
//! same time; the median of these is printed, and their spread tells how far it can be trusted.
//! Who polls is divided by nobody: norma and the floor wait asleep.

use super::bed::{Bed, Pass, Task};
use super::boot::{Boot, Counted, Stretch};
use super::operations::Unit;
use super::systems::{FLOOR, NORMA, Waits};
use crate::bench::merge::nearest;
use norma_peer::plan::SHARES;
use serde::Serialize;

/// The least and the greatest of several.
pub type Spread = [f64; 2];

/// A ratio, and its spread over repetitions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// The median of those of single repetitions.
    pub value: f64,
    /// The least and the greatest of them.
    pub spread: Spread,
}

/// Guest instructions and the like, per operation, both nodes together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Counts {
    /// Guest instructions.
    pub instructions: f64,
    /// Those of the calling node.
    pub instructions_calling: f64,
    /// Those of the serving node.
    pub instructions_serving: f64,
    /// Accesses to device memory and ports, writes of model-specific registers: each would leave
    /// a virtual machine on hardware.
    pub exits: f64,
    /// System calls.
    pub system_calls: f64,
    /// Loads of CR3: changes of the address space.
    pub address_spaces: f64,
}

/// What is known of one operation of one system.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// The system's name.
    pub system: &'static str,
    /// The operation's name.
    pub operation: &'static str,
    /// How the system's ends wait.
    pub waits: Waits,
    /// Of `value` and what follows: `us`, `MB/s` or `calls/s`.
    pub unit: &'static str,
    /// Operations measured in all.
    pub n: u64,
    /// The figure: the median time, or the median rate.
    pub value: f64,
    /// Least and greatest median of a stretch, or rate of a stretch.
    pub spread: Spread,
    /// Median over stretches of the 99th percentile, in microseconds; of single calls only.
    pub p99: Option<f64>,
    /// The same of the 99.9th percentile.
    pub p999: Option<f64>,
    /// Median over stretches of the times, in microseconds, below which the shares of
    /// operations stayed that `shares` of the report lists.
    pub dist: Vec<f64>,
    /// Request payload per time of a call, in 10^6 bytes per second, where there is payload.
    pub mb_per_s: Option<f64>,
    /// This time divided by the floor's; for rates the other way round, so that more is worse.
    /// Like the next two only of systems that wait as the floor and norma do.
    pub ratio_to_floor: Option<Ratio>,
    /// This time divided by norma's; for rates norma's divided by this: above 1, norma is better.
    pub ratio_to_norma: Option<Ratio>,
    /// (This time − the floor's) ÷ (norma's − the floor's): the part that is software.
    pub software_ratio: Option<Ratio>,
    /// Counts per operation, where they were taken.
    pub counts: Option<Counts>,
}

/// All stretches of one task, by repetition.
struct Series<'a> {
    task: &'a Task,
    repetitions: Vec<Vec<&'a Stretch>>,
}

/// A bed with its boots of the timing pass, and its counting boot.
pub struct Measured<'a> {
    /// The bed.
    pub bed: &'a Bed,
    /// A boot per repetition.
    pub boots: &'a [Boot],
    /// The counting boot.
    pub counted: &'a Counted,
}

/// A figure for each task of each bed.
pub fn figures(beds: &[Measured<'_>]) -> Vec<Figure> {
    let mut series = Vec::new();
    for measured in beds {
        series.extend(all_series(measured));
    }
    let find = |system: &str, operation: &str| {
        let named =
            |s: &&Series<'_>| (s.task.system.name, s.task.operation.name) == (system, operation);
        series.iter().find(named)
    };
    let counts: Vec<_> = beds.iter().flat_map(all_counts).collect();
    let figures = series.iter().map(|own| {
        let operation = own.task.operation.name;
        let counted = counts.iter().find(|(task, _)| *task == own.task);
        let counted = counted.map(|(_, counts)| counts.clone());
        let base = |name| find(name, operation).filter(|base| base.waits() == own.waits());
        own.figure(base(FLOOR), base(NORMA), counted)
    });
    figures.collect()
}

fn all_series<'a>(measured: &Measured<'a>) -> Vec<Series<'a>> {
    let tasks = measured.bed.tasks(Pass::Timing(1));
    let count = tasks.len();
    let of_task =
        |place: usize, boot: &'a Boot| boot.stretches.iter().skip(place).step_by(count).collect();
    let series = tasks.into_iter().enumerate().map(|(place, task)| Series {
        task,
        repetitions: measured
            .boots
            .iter()
            .map(|boot| of_task(place, boot))
            .collect(),
    });
    series.collect()
}

fn all_counts<'a>(measured: &Measured<'a>) -> Vec<(&'a Task, Counts)> {
    let tasks = measured.bed.tasks(Pass::Counting).into_iter();
    let Counted { calling, serving } = measured.counted;
    let pairs = tasks.zip(calling.iter().zip(serving));
    let counts = pairs.map(|(task, (calling, serving))| {
        let per = |total: u64| rounded(total as f64 / task.n as f64);
        let counts = Counts {
            instructions: per(calling.instructions + serving.instructions),
            instructions_calling: per(calling.instructions),
            instructions_serving: per(serving.instructions),
            exits: per(calling.exits + serving.exits),
            system_calls: per(calling.system_calls + serving.system_calls),
            address_spaces: per(calling.address_spaces + serving.address_spaces),
        };
        (task, counts)
    });
    counts.collect()
}

impl Series<'_> {
    fn waits(&self) -> Waits {
        self.task.system.waits
    }

    fn unit(&self) -> Unit {
        self.task.operation.unit
    }

    /// The median, least and greatest of something of each stretch.
    fn over(&self, of: impl Fn(&Stretch) -> f64) -> (f64, Spread) {
        let all = self.repetitions.iter().flatten().map(|stretch| of(stretch));
        let sorted = sorted(all.collect());
        (
            median(&sorted),
            [nearest(&sorted, 0.0), nearest(&sorted, 1.0)],
        )
    }

    /// The figure of a stretch in the unit of the operation.
    fn value(&self, stretch: &Stretch) -> f64 {
        match self.unit() {
            Unit::Microseconds => share(stretch, 500),
            // Bytes per nanosecond, times 1000, are megabytes (10^6) per second.
            Unit::Megabytes => stretch.bytes as f64 * 1000.0 / stretch.total as f64,
            Unit::Calls => self.task.n as f64 * 1e9 / stretch.total as f64,
        }
    }

    /// What the figure costs in a repetition: time, or time per piece of work. Less is better
    /// for all units.
    fn cost(&self, repetition: usize) -> f64 {
        let of = |stretch: &&Stretch| match self.unit() {
            Unit::Microseconds => self.value(stretch),
            Unit::Megabytes | Unit::Calls => 1.0 / self.value(stretch),
        };
        median(&sorted(
            self.repetitions[repetition].iter().map(of).collect(),
        ))
    }

    /// A ratio of the costs of several series. Nothing where it makes no sense in a repetition.
    fn ratio(&self, of: impl Fn(usize) -> f64) -> Option<Ratio> {
        let each = sorted((0..self.repetitions.len()).map(of).collect());
        let whole = each.iter().all(|ratio| ratio.is_finite() && *ratio > 0.0);
        (whole && !each.is_empty()).then(|| Ratio {
            value: rounded(median(&each)),
            spread: [rounded(each[0]), rounded(each[each.len() - 1])],
        })
    }

    fn figure(
        &self,
        floor: Option<&Series<'_>>,
        norma: Option<&Series<'_>>,
        counts: Option<Counts>,
    ) -> Figure {
        let (value, spread) = self.over(|stretch| self.value(stretch));
        let single = self.unit() == Unit::Microseconds;
        let at = |thousandths| {
            let (value, _) = self.over(|stretch| share(stretch, thousandths));
            single.then(|| rounded(value))
        };
        let bytes = self.task.operation.request as f64;
        let stretches = self.repetitions.iter().map(Vec::len).sum::<usize>();
        let is_norma = self.task.system.name == NORMA;
        Figure {
            system: self.task.system.name,
            operation: self.task.operation.name,
            waits: self.waits(),
            unit: self.unit().word(),
            n: (self.task.n * stretches) as u64,
            value: rounded(value),
            spread: spread.map(rounded),
            p99: at(990),
            p999: at(999),
            dist: SHARES
                .iter()
                .filter_map(|thousandths| at(*thousandths))
                .collect(),
            // Bytes per microsecond are megabytes (10^6) per second.
            mb_per_s: (single && bytes > 0.0).then(|| rounded(bytes / value)),
            ratio_to_floor: floor.and_then(|f| self.ratio(|r| self.cost(r) / f.cost(r))),
            ratio_to_norma: norma.and_then(|n| self.ratio(|r| self.cost(r) / n.cost(r))),
            software_ratio: floor
                .zip(norma)
                .filter(|_| single && !is_norma)
                .and_then(|(f, n)| {
                    let software = |r| (self.cost(r) - f.cost(r)) / (n.cost(r) - f.cost(r));
                    self.ratio(software)
                }),
            counts,
        }
    }
}

/// The time below which a share of a stretch's operations stayed, in microseconds.
fn share(stretch: &Stretch, thousandths: usize) -> f64 {
    let place = SHARES.iter().position(|share| *share == thousandths);
    let time = place.and_then(|place| stretch.dist.get(place));
    time.map_or(f64::NAN, |nanoseconds| *nanoseconds as f64 / 1000.0)
}

/// The middle of a sorted list; of two middles their mean, so that few are not judged too high.
pub fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match (sorted.len() % 2, sorted.get(middle)) {
        (_, None) => f64::NAN,
        (1, Some(value)) => *value,
        (_, Some(value)) => (sorted[middle - 1] + value) / 2.0,
    }
}

fn sorted(mut numbers: Vec<f64>) -> Vec<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers
}

/// Four decimals: what follows is noise.
pub fn rounded(number: f64) -> f64 {
    (number * 10_000.0).round() / 10_000.0
}
