//! One boot of a pair: starts it, reads what it prints, checks that nothing is missing.
//!
//! Owns: result lines as both norma's image and the Linux guests print them, time limits.
//! Leaves to others: what is asked for (`bed`), what follows from it (`figures`).
//! Why this way: a number that is missing, out of order or impossible ends the comparison with an
//! error; none is ever filled in.

use super::bed::{Bed, Material, Pass, Task};
use crate::bench::markers::{Executed, Side, stretches};
use crate::qemu::Accelerator;
use crate::run::{Event, NodePlan, Outcome, Plan, Run, RunError};
use crate::status::{Ended, Status};
use anyhow::{Context as _, Result, bail, ensure};
use norma_peer::marks::{self, Mark};
use norma_peer::plan::SHARES;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a pair may print nothing: a stretch takes some seconds under the plugin.
const SILENCE: Duration = Duration::from_secs(120);
/// How long one boot of a pair may take in all.
const BOOT: Duration = Duration::from_secs(1200);
/// What both kinds of calling node print when the other has answered for the first time.
const FIRST: &str = ": first call answered";

/// A stretch as the calling node measured it; times in nanoseconds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Stretch {
    name: String,
    round: usize,
    n: usize,
    /// From the first operation's start to the last one's end.
    pub total: u64,
    /// Payload bytes moved, of streams.
    pub bytes: u64,
    /// Times below which a share of the operations stayed, by [`SHARES`].
    pub dist: Vec<u64>,
}

/// What one boot has given.
#[derive(Clone, Debug, Default)]
pub struct Boot {
    /// Stretches, round after round, in the order of the tasks.
    pub stretches: Vec<Stretch>,
    /// Milliseconds from the start of the calling node's QEMU to the first answer.
    pub first_call_ms: Option<f64>,
    /// What Linux guests did when, by node (the serving one is 0) and item.
    pub marks: HashMap<(usize, String), Vec<Mark>>,
    /// How many ticks each of these took itself, by node.
    pub mark_costs: HashMap<usize, u64>,
}

/// What a counting boot has given, task by task.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// What the calling node executed.
    pub calling: Vec<Executed>,
    /// What the serving node executed.
    pub serving: Vec<Executed>,
}

impl Boot {
    /// Takes a console line.
    fn take(&mut self, node: usize, line: &str, at: Duration) -> Result<()> {
        let line = line.trim_end();
        if let Some(read) = marks::of_console(line) {
            let (item, marks) = read?;
            let known = self.marks.entry((node, item.to_owned())).or_default();
            known.extend(marks);
            return Ok(());
        }
        if let Some(ticks) = marks::cost_of_console(line) {
            self.mark_costs.insert(node, ticks);
            return Ok(());
        }
        // What a task prints begins with its name.
        let line = line.strip_prefix("task bench: ").unwrap_or(line);
        if let Some(json) = line.strip_prefix("@bench ") {
            let stretch = serde_json::from_str(json);
            let stretch =
                stretch.with_context(|| format!("cannot read the result line: {line}"))?;
            self.stretches.push(stretch);
        } else if line.starts_with("@peer-error ") || line.starts_with("@bench-error ") {
            bail!("a guest says: {line}");
        } else if line.ends_with(FIRST) {
            self.first_call_ms = Some(at.as_secs_f64() * 1000.0);
        }
        Ok(())
    }

    /// Checks that every stretch is there, once, in order, and possible.
    pub fn check(&self, tasks: &[&Task], rounds: usize) -> Result<()> {
        ensure!(self.first_call_ms.is_some(), "no first call was answered");
        let wanted = (0..rounds).flat_map(|round| tasks.iter().map(move |task| (round, task)));
        for (place, (round, task)) in wanted.enumerate() {
            let what = || format!("{} in round {round}", task.item);
            let found = self.stretches.get(place);
            let found = found.with_context(|| format!("there is no result of {}", what()))?;
            ensure!(
                (found.name.as_str(), found.round, found.n) == (&task.item, round, task.n),
                "expected {} of {} operations, found {found:?}",
                what(),
                task.n
            );
            found.plausible().with_context(what)?;
        }
        let surplus = self.stretches.len() - tasks.len() * rounds;
        ensure!(surplus == 0, "{surplus} results more than were asked for");
        Ok(())
    }
}

impl Stretch {
    fn plausible(&self) -> Result<()> {
        ensure!(self.total > 0, "it took no time");
        ensure!(
            self.dist.len() == SHARES.len(),
            "{} shares",
            self.dist.len()
        );
        ensure!(
            self.dist.is_sorted(),
            "shares out of order: {:?}",
            self.dist
        );
        Ok(())
    }
}

/// The plan of a pass, each node on its own processor where there are two.
pub fn plan(bed: &Bed, material: &Material<'_>, pass: Pass, plugin: &Path) -> Result<Plan> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let dress = |node: NodePlan, name: &str, processor: usize| {
        let node = match pass {
            Pass::Timing(_) | Pass::Steps => node,
            Pass::Counting => {
                let counts = counts_file(material.folder, name);
                let file = format!("file={},out={}", plugin.display(), counts.display());
                node.extra(["-plugin".to_owned(), file])
            }
        };
        if processors >= 2 {
            node.pin(processor)
        } else {
            node
        }
    };
    let [serving, calling] = bed.pair(material, pass)?;
    let accelerator = match pass {
        Pass::Timing(_) | Pass::Steps => material.context.accelerator,
        Pass::Counting => Accelerator::Tcg,
    };
    let pair = Plan::pair(dress(serving, "b", 1), dress(calling, "a", 0));
    Ok(pair
        .link(material.context.link)
        .cluster("bench")
        .accelerator(accelerator)
        .capture(material.context.capture.as_ref())
        .trace(material.context.trace.as_ref())
        .quiet(true))
}

fn counts_file(folder: &Path, node: &str) -> PathBuf {
    folder.join(format!("counts-{node}.jsonl"))
}

/// Runs a pass of a bed to its end.
///
/// # Errors
/// A node that fails, is silent for too long or leaves something out.
pub fn run(bed: &Bed, material: &Material<'_>, pass: Pass, plugin: &Path) -> Result<Boot> {
    let plan = plan(bed, material, pass, plugin)?;
    let started = plan.start(&material.context.ui);
    let mut run = started.map_err(|error| Ended::new(error.status(), error.to_string()))?;
    let boot = gather(&mut run).map_err(|error| explain(error, &run))?;
    boot.check(&bed.tasks(pass), pass.rounds())
        .with_context(|| format!("on {}", bed.name()))?;
    Ok(boot)
}

/// Runs the counting pass of a bed.
///
/// # Errors
/// As [`run`]; also a plugin that QEMU does not take, and a stretch without its markers.
pub fn count(bed: &Bed, material: &Material<'_>, plugin: &Path) -> Result<Counted> {
    // What an earlier boot has left must not be taken for this one's.
    for node in ["a", "b"] {
        let file = counts_file(material.folder, node);
        if file.exists() {
            std::fs::remove_file(file)?;
        }
    }
    run(bed, material, Pass::Counting, plugin)?;
    let wanted = bed.tasks(Pass::Counting).len();
    let read = |node: &str, side| -> Result<Vec<Executed>> {
        let text = std::fs::read_to_string(counts_file(material.folder, node));
        let text = text.with_context(|| format!("the plugin of node {node} left no file"))?;
        let found = stretches(&text, side).with_context(|| format!("plugin's file of {node}"))?;
        ensure!(
            found.len() == wanted,
            "node {node} of {} ran through {} pairs of markers, not {wanted}",
            bed.name(),
            found.len()
        );
        Ok(found)
    };
    Ok(Counted {
        calling: read("a", Side::Calling)?,
        serving: read("b", Side::Serving)?,
    })
}

fn gather(run: &mut Run) -> Result<Boot> {
    let mut boot = Boot::default();
    let end = Instant::now() + BOOT;
    let mut left = run.names().count();
    while left > 0 {
        match run.next(end.min(Instant::now() + SILENCE))? {
            Event::Line { node, text, at } => boot.take(node, &text, at)?,
            Event::Exit { node, outcome } => {
                if outcome != Outcome::Pass {
                    let name = run.names().nth(node).unwrap_or("?").to_owned();
                    return Err(RunError::Ended {
                        node: name,
                        outcome,
                        waiting_for: "the end of all measurements".into(),
                    }
                    .into());
                }
                left -= 1;
            }
        }
    }
    Ok(boot)
}

fn explain(error: anyhow::Error, run: &Run) -> anyhow::Error {
    match error.downcast_ref::<RunError>() {
        Some(RunError::Interrupted) => Ended::new(Status::Interrupted, "interrupted").into(),
        Some(known) => {
            let text = format!("{known}\n{}", run.failure_reports());
            Ended::new(known.status(), text).into()
        }
        None => error.context(run.failure_reports()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::bed::beds;
    use super::super::systems::system;
    use super::*;

    fn line(item: &str, round: usize, n: usize) -> String {
        let dist: Vec<_> = (1..=SHARES.len()).collect();
        format!(
            "@bench {{\"name\":\"{item}\",\"round\":{round},\"n\":{n},\"total\":9,\"bytes\":0,\
             \"unit\":\"ns\",\"dist\":{dist:?}}}"
        )
    }

    /// A boot that printed these lines, checked for one round of `linux-unix`.
    fn checked(lines: &[String]) -> Result<()> {
        let bed = &beds(system("linux-unix").into_iter(), false)[0];
        let mut boot = Boot::default();
        for line in lines {
            boot.take(0, line, Duration::from_millis(5))?;
        }
        boot.check(&bed.tasks(Pass::Timing(1)), 1)
    }

    #[test]
    fn a_whole_transcript_passes_and_every_gap_is_an_error() {
        let first = "peer: first call answered".to_owned();
        let good = line("linux-unix/local", 0, 5000);
        assert!(checked(&[first.clone(), good.clone()]).is_ok());
        for wrong in [
            vec![],
            vec![first.clone()],
            vec![good.clone()],
            vec![first.clone(), good.clone(), good.clone()],
            vec![first.clone(), line("linux-unix/local", 1, 5000)],
            vec![first.clone(), line("linux-unix/local", 0, 4999)],
            vec![first.clone(), line("linux-unix/null", 0, 5000)],
            vec![first.clone(), good.replace("[1, 2", "[2, 1")],
            vec![first.clone(), good.replace("\"total\":9", "\"total\":0")],
            vec![first.clone(), "@peer-error it is lost".into(), good.clone()],
            vec![first, good.replace("total", "totally")],
        ] {
            assert!(checked(&wrong).is_err(), "{wrong:?}");
        }
    }
}
