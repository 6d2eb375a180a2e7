//! Where the time of an empty call goes: a pass of its own, in which the machines note what they
//! do when.
//!
//! Owns: that pass, and one machine's own part put beside the other's. Leaves to others: the marks
//! (norma's ring of events, Linux's trace), what they mean (`walk`), showing it (`page`).
//! Why a pass of its own: a stamp costs time, and what is timed and counted has none. What one
//! costs Linux is measured in the same boot, and taken away. What is
//! left of the calling machine's time when its own part and the serving machine's are taken away
//! is the flight of both frames: the link, both cards, and what machines do meanwhile.

mod norma;
pub mod table;
#[cfg(test)]
pub mod tests;
mod walk;

pub use walk::{STEPS, Step};

use super::bed::{Bed, Material, Pass, Task};
use super::boot;
use super::figures::{Figure, rounded};
use crate::Context;
use crate::images;
use crate::linux::Kit;
use crate::trace::Trace;
use anyhow::{Context as _, anyhow, ensure};
use norma_peer::marks::Mark;
use serde::{Serialize, Serializer};
use std::path::Path;
use walk::{calls, usual};

/// Fewer calls than that say nothing.
const LEAST: usize = 20;

/// How much of a call each step takes, in microseconds.
pub type Parts = Vec<(Step, f64)>;

fn by_step<S: Serializer>(parts: &[(Step, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(parts.iter().copied())
}

/// Where the time of an empty call of a system goes. Times are microseconds, and means over the
/// middle half of the calls.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Steps {
    /// The system's name.
    pub system: &'static str,
    /// Calls that were looked at, on each machine at least.
    pub calls: usize,
    /// The calling machine's own time, by step.
    #[serde(serialize_with = "by_step")]
    pub calling: Parts,
    /// Of both frames, with all that no machine's own time has in it.
    pub flight: f64,
    /// The serving machine's own time, by step.
    #[serde(serialize_with = "by_step")]
    pub serving: Parts,
    /// All of it.
    pub total: f64,
    /// The median of the timing pass, which has no stamps.
    pub timed: Option<f64>,
    /// What is above that: the stamps, and what differs from one boot to the next.
    pub above: Option<f64>,
}

/// Runs the pass.
///
/// # Errors
/// A node that fails, or whose marks say nothing.
pub fn measure(beds: &[Bed], material: &Material<'_>, plugin: &Path) -> anyhow::Result<Vec<Steps>> {
    let mut all = Vec::new();
    // Built when the first pair needs them.
    let mut images = None;
    for bed in beds {
        let tasks = bed.tasks(Pass::Steps);
        if tasks.is_empty() {
            continue;
        }
        material
            .context
            .ui
            .progress(&format!("steps: {}", bed.name()));
        let trace = Trace::gather();
        let context = traced(material.context, &trace);
        let images = match &mut images {
            Some(images) => images,
            none => none.insert(images::wanted(&context, &["bench", "tasks"])?),
        };
        let material = Material {
            context: &context,
            images,
            ..*material
        };
        let boot = boot::run(bed, &material, Pass::Steps, plugin)?;
        let rings = trace.take();
        for task in tasks {
            let of = |node: &str, place: usize| -> anyhow::Result<Half> {
                match rings.iter().find(|(name, _)| name == node) {
                    Some((_, ring)) => {
                        let ring = ring.as_ref().map_err(|error| anyhow!("{error}"))?;
                        let per_tick = ring.rate as f64 / (1u64 << 32) as f64;
                        // Some twelve instructions each: nothing that could be measured.
                        Half::of(&norma::marks(ring), 0, per_tick)
                    }
                    None => {
                        let marks = boot.marks.get(&(place, task.item.clone()));
                        let cost = boot.mark_costs.get(&place);
                        let per_tick = material.kit.map(Kit::nanoseconds_per_tick);
                        Half::of(
                            marks.context("its trace is empty")?,
                            *cost.context("it did not say what a stamp costs")?,
                            per_tick.context("no Linux guest was prepared")?,
                        )
                    }
                }
                .with_context(|| format!("the steps of {} on node {node}", task.system.name))
            };
            all.push(Steps::new(task, &of("a", 1)?, &of("b", 0)?));
        }
    }
    Ok(all)
}

/// The same choices, for nodes whose events go there.
pub fn traced(context: &Context, trace: &Trace) -> Context {
    Context {
        trace: Some(trace.clone()),
        ..context.clone()
    }
}

/// One machine's part, in microseconds.
struct Half {
    total: f64,
    parts: Parts,
    calls: usize,
}

impl Half {
    fn of(marks: &[Mark], cost: u64, nanoseconds_per_tick: f64) -> anyhow::Result<Self> {
        let calls = calls(marks, cost);
        ensure!(
            calls.len() >= LEAST,
            "of {} stamps only {} calls were whole",
            marks.len(),
            calls.len()
        );
        let (total, parts) = usual(calls.clone());
        let time = |ticks: f64| rounded(ticks * nanoseconds_per_tick / 1000.0);
        let parts = STEPS.into_iter().zip(parts.map(time));
        Ok(Self {
            total: time(total),
            parts: parts.filter(|(_, time)| *time > 0.0).collect(),
            calls: calls.len(),
        })
    }

    fn own(&self) -> f64 {
        self.parts.iter().map(|(_, time)| time).sum()
    }
}

impl Steps {
    fn new(task: &Task, calling: &Half, serving: &Half) -> Self {
        Self {
            system: task.system.name,
            calls: calling.calls.min(serving.calls),
            flight: rounded(calling.total - calling.own() - serving.own()),
            calling: calling.parts.clone(),
            serving: serving.parts.clone(),
            total: calling.total,
            timed: None,
            above: None,
        }
    }

    /// The same beside what was timed.
    pub fn beside(self, figures: &[Figure]) -> Self {
        let same = |figure: &&Figure| figure.system == self.system && figure.operation == "null";
        let timed = figures.iter().find(same).map(|figure| figure.value);
        Self {
            timed,
            above: timed.map(|timed| rounded(self.total - timed)),
            ..self
        }
    }

    /// For each machine, what of a step it has; 0 if it has nothing of it.
    pub fn of(&self, step: Step) -> [f64; 2] {
        [&self.calling, &self.serving].map(|parts| {
            let found = parts.iter().find(|(known, _)| *known == step);
            found.map_or(0.0, |(_, time)| *time)
        })
    }
}
