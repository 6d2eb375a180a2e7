//! `cargo norma sim`: many nodes and a bad network in one process, repeatably.
//!
//! Owns the seeds, the threads among which runs are shared out, and the closing lines. What is
//! simulated and what must hold after every step is in the crate `norma-sim`. A seed that failed
//! is printed with the command that repeats it.

use super::tally::Tally;
use super::{data, random_seed};
use crate::cluster;
use crate::context::Context;
use crate::signals;
use crate::status::Status;
use norma_faults::Rule;
use norma_sim::{Config, Failure, Report, scenarios};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Most nodes of a run: their numbers in the fault rules have 16 bits.
const MAX_NODES: usize = 10_000;

/// Arguments of `cargo norma sim`.
#[derive(Clone, Debug, clap::Args)]
pub struct SimArgs {
    /// The seed of the first run; a random one is taken unless given
    #[arg(long)]
    pub seed: Option<u64>,
    /// How many runs, each with the next seed
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub runs: u64,
    /// Nodes of a run: a number, or a range such as 3-12 from which the seed draws
    #[arg(long, value_name = "N", default_value = "3-12", value_parser = nodes)]
    pub nodes: RangeInclusive<usize>,
    /// What the nodes do
    #[arg(long, value_enum, default_value_t)]
    pub work: Work,
    /// A file of fault rules, as a cluster file has them, in place of the faults that the seed
    /// draws; nodes are called node0, node1 and so on
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Runs at the same time; as many as there are processors unless given
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
}

/// What the nodes of a run do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Work {
    /// Two runs in three are wild, the others calls: what is needed to repeat such a run
    #[default]
    Drawn,
    /// Calls and one-way messages by the thousand
    Calls,
    /// Everything that can be done with ports and rights, with nodes that die and start anew
    Wild,
    /// The same with queue limits, port sets, time-outs, fates, shared names and missing pages
    Wider,
}

/// Reads `N` or `N-M`.
fn nodes(text: &str) -> Result<RangeInclusive<usize>, String> {
    let number = |text: &str| {
        let number: usize = text.trim().parse().map_err(|_| "expected N or N-M")?;
        match number {
            2..=MAX_NODES => Ok(number),
            _ => Err(format!("expected 2 to {MAX_NODES} nodes")),
        }
    };
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    let range = number(least)?..=number(most)?;
    match range.is_empty() {
        true => Err("the range is empty".into()),
        false => Ok(range),
    }
}

impl SimArgs {
    /// The command that repeats one run.
    fn command(&self, seed: u64) -> String {
        let (least, most) = (self.nodes.start(), self.nodes.end());
        let nodes = match least == most {
            true => least.to_string(),
            false => format!("{least}-{most}"),
        };
        let work = match self.work {
            Work::Drawn => "",
            Work::Calls => "--work calls ",
            Work::Wild => "--work wild ",
            Work::Wider => "--work wider ",
        };
        let rules = self.rules.as_ref();
        let rules = rules.map_or_else(String::new, |file| format!(" --rules {}", file.display()));
        format!("cargo norma sim {work}--seed {seed} --runs 1 --nodes {nodes}{rules}")
    }
}

/// What came of one run.
struct Outcome {
    result: Result<Report, String>,
    took: Duration,
}

/// Runs the simulations, prints a line for each, what was simulated, and a closing line.
///
/// # Errors
/// The file of rules cannot be read, or makes no sense.
pub fn run(context: &Context, args: &SimArgs) -> anyhow::Result<Status> {
    let rules = match &args.rules {
        // Those that every run has.
        Some(file) => {
            let names = (0..*args.nodes.start()).map(|node| format!("node{node}"));
            Some(cluster::rules::read(file, &names.collect::<Vec<_>>())?)
        }
        None => None,
    };
    if let Some(rules) = &rules {
        scenarios::with_rules(configuration(1, args), rules).map_err(anyhow::Error::msg)?;
    }
    let first = args.seed.unwrap_or_else(random_seed);
    let jobs = args.jobs.or(std::thread::available_parallelism().ok());
    let jobs = jobs.map_or(1, NonZeroUsize::get).min(args.runs as usize);
    let begun = Instant::now();
    let printer = Mutex::new(Printer::new(context, args, first));
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while !signals::interrupted() {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= args.runs {
                        break;
                    }
                    let outcome = simulate(first.wrapping_add(number), args, rules.as_deref());
                    if let Ok(mut printer) = printer.lock() {
                        printer.take(number, outcome);
                    }
                }
            });
        }
    });
    let printer = printer.into_inner().unwrap_or_else(|p| p.into_inner());
    if signals::interrupted() {
        return Ok(Status::Interrupted);
    }
    printer.sum(begun.elapsed(), jobs);
    data(&printer.tally.closing_line());
    Ok(if printer.tally.failed == 0 {
        Status::Pass
    } else {
        Status::Failed
    })
}

fn configuration(seed: u64, args: &SimArgs) -> Config {
    match args.work {
        Work::Drawn => scenarios::drawn(seed, &args.nodes),
        Work::Calls => scenarios::mixed(seed, &args.nodes),
        Work::Wild => scenarios::wild(seed, &args.nodes),
        Work::Wider => scenarios::wider(seed, &args.nodes),
    }
}

fn simulate(seed: u64, args: &SimArgs, rules: Option<&[Rule]>) -> Outcome {
    let begun = Instant::now();
    let config = configuration(seed, args);
    let config = match rules {
        Some(rules) => scenarios::with_rules(config, rules),
        None => Ok(config),
    };
    let run = || {
        let config = config?;
        norma_sim::run(&config).map_err(|failure: Failure| failure.to_string())
    };
    let result = catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|_| Err("a node panicked: its message is above".into()));
    Outcome {
        result,
        took: begun.elapsed(),
    }
}

/// Prints the runs in the order of their seeds, whichever ends first.
struct Printer<'a> {
    context: &'a Context,
    args: &'a SimArgs,
    first: u64,
    next: u64,
    early: BTreeMap<u64, Outcome>,
    tally: Tally,
    total: Report,
    busy: Duration,
}

impl<'a> Printer<'a> {
    fn new(context: &'a Context, args: &'a SimArgs, first: u64) -> Self {
        Printer {
            context,
            args,
            first,
            next: 0,
            early: BTreeMap::new(),
            tally: Tally::default(),
            total: Report::default(),
            busy: Duration::ZERO,
        }
    }

    fn take(&mut self, number: u64, outcome: Outcome) {
        self.early.insert(number, outcome);
        while let Some(outcome) = self.early.remove(&self.next) {
            self.print(self.first.wrapping_add(self.next), outcome);
            self.next += 1;
        }
    }

    fn print(&mut self, seed: u64, outcome: Outcome) {
        self.busy += outcome.took;
        match outcome.result {
            Ok(report) => {
                self.tally.passed += 1;
                self.total.add(&report);
                data(&format!("{report} in {:.2} s", outcome.took.as_secs_f64()));
            }
            Err(text) => {
                // One history is enough to begin with; the others come when asked for.
                let shown = match self.tally.failed {
                    0 => &text,
                    _ => text.lines().next().unwrap_or_default(),
                };
                let ui = &self.context.ui;
                ui.error(&format!("seed {seed}: {shown}"));
                ui.error(&format!("to see it again: {}", self.args.command(seed)));
                self.tally.failed += 1;
            }
        }
    }

    /// What all of them did, and how fast.
    fn sum(&self, took: Duration, jobs: usize) {
        let Report {
            messages,
            received,
            frames,
            passages,
            steps,
            virtual_time,
            ..
        } = self.total;
        // Of one thread: what all of them did over the time that all of them took together.
        let rate = |count: u64| count as f64 / self.busy.as_secs_f64().max(1e-9);
        data(&format!(
            "simulated {messages} messages between nodes, {received} received in the wild, in {frames} frames ({passages} passages) and {steps} steps, {:.0} s of time, in {:.1} s with {jobs} jobs",
            virtual_time.as_secs_f64(),
            took.as_secs_f64(),
        ));
        data(&format!(
            "each job: {:.0} messages, {:.0} frames, {:.0} passages, {:.0} steps per second",
            rate(messages),
            rate(frames),
            rate(passages),
            rate(steps),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::{SimArgs, nodes};
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: SimArgs,
    }

    #[test]
    fn no_run_at_all_is_a_mistake_and_not_a_success() {
        let line = |runs| Line::try_parse_from(["sim", "--runs", runs]);
        assert_eq!(line("1").unwrap().args.runs, 1);
        assert_eq!(line("0").unwrap_err().exit_code(), 2);
    }

    #[test]
    fn nodes_are_a_number_or_a_range() {
        assert_eq!(nodes("3"), Ok(3..=3));
        assert_eq!(nodes("3-12"), Ok(3..=12));
        assert_eq!(nodes("1000"), Ok(1000..=1000));
        for wrong in ["", "x", "1", "0-3", "12-3", "3-", "-3", "20000"] {
            assert!(nodes(wrong).is_err(), "{wrong:?}");
        }
    }
}
