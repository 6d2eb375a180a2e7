//! Starts the pairs of nodes that are measured, and gathers what they print.
//!
//! Owns: the nodes' plans, pinning, time limits, building and loading the plugin.
//! Leaves to others: reading lines (`transcript`), one node's start (`run`).
//! Why this way: timing and counting are two passes, because the plugin makes the guest several
//! times slower; each boot runs all benchmarks in turns, so that the host's drift meets them
//! all alike.

use super::items::{Item, argument};
use super::markers::{Executed, Side, stretches};
use super::merge::Counting;
use super::transcript::Transcript;
use crate::context::Context;
use crate::qemu::Accelerator;
use crate::run::{Event, NodePlan, Outcome, Plan, Run, RunError};
use crate::status::{Ended, Status};
use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a pair may print nothing: the longest stretch takes some seconds under the plugin.
const SILENCE: Duration = Duration::from_secs(90);
/// How long one boot of a pair may take in all.
const BOOT: Duration = Duration::from_secs(900);

/// What is run, how often, on what.
#[derive(Clone, Debug)]
pub struct Campaign<'a> {
    /// The command's context.
    pub context: &'a Context,
    /// The benchmark image.
    pub image: PathBuf,
    /// The benchmarks.
    pub items: Vec<Item>,
    /// Rounds in each boot of the timing pass.
    pub rounds: u64,
    /// Boots of the timing pass.
    pub boots: u64,
    /// Memory of each node in MiB.
    pub memory: u32,
}

impl Campaign<'_> {
    /// The plan of the timing pass.
    pub fn timing_plan(&self) -> Plan {
        self.plan(self.rounds, |_| Vec::new())
            .accelerator(self.context.accelerator)
    }

    /// The plan of the counting pass: one round under the plugin, whatever the accelerator.
    pub fn counting_plan(&self, plugin: &Path, folder: &Path) -> Plan {
        let extra = |name: &str| {
            let output = counts_file(folder, name);
            let file = format!("file={},out={}", plugin.display(), output.display());
            vec!["-plugin".to_owned(), file]
        };
        self.plan(1, extra).accelerator(Accelerator::Tcg)
    }

    /// Both nodes, the serving one first, each on its own processor where there are two.
    fn plan(&self, rounds: u64, extra: impl Fn(&str) -> Vec<String>) -> Plan {
        let processors = processors();
        let node = |name: &str, peer: &str, processor: usize| {
            let node = NodePlan::new(name, &self.image)
                .machine(self.context.machine)
                .memory(self.memory)
                .argument(&format!("peer={peer}"))
                .argument(&argument(&self.items))
                .argument(&format!("rounds={rounds}"))
                .extra(extra(name));
            if processors >= 2 {
                node.pin(processor)
            } else {
                node
            }
        };
        Plan::pair(node("b", "a", 1), node("a", "b", 0))
            .link(self.context.link)
            .capture(self.context.capture.as_ref())
            .trace(self.context.trace.as_ref())
            .cluster("bench")
            .quiet(true)
    }

    /// The timing pass: all boots, one after another.
    ///
    /// # Errors
    /// A node that fails, is silent for too long or leaves something out.
    pub fn time(&self) -> Result<Vec<Transcript>> {
        (1..=self.boots)
            .map(|boot| {
                let progress = format!("timing: boot {boot} of {}", self.boots);
                self.context.ui.progress(&progress);
                let transcript = self.run(&self.timing_plan())?;
                transcript.check(&self.items, self.rounds)?;
                Ok(transcript)
            })
            .collect()
    }

    /// The counting pass.
    ///
    /// # Errors
    /// As [`Campaign::time`]; also a plugin that QEMU does not take.
    pub fn count(&self, plugin: &Path) -> Result<Counting> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        self.context
            .ui
            .progress("counting: one boot under the plugin, several times slower");
        let transcript = self.run(&self.counting_plan(plugin, folder.path()))?;
        transcript.check(&self.items, 1)?;
        let read = |name: &str, side| -> Result<Vec<Executed>> {
            let path = counts_file(folder.path(), name);
            let text = std::fs::read_to_string(&path);
            let text = text.with_context(|| format!("the plugin of node {name} left no file"))?;
            stretches(&text, side).with_context(|| format!("plugin's file of node {name}"))
        };
        let (calling, serving) = (read("a", Side::Calling)?, read("b", Side::Serving)?);
        Ok(Counting {
            transcript,
            calling,
            serving,
        })
    }

    /// Runs a pair to its end and gives what it printed.
    ///
    /// # Errors
    /// As [`Campaign::time`].
    pub fn run(&self, plan: &Plan) -> Result<Transcript> {
        let mut run = plan.start(&self.context.ui).map_err(ended)?;
        let result = gather(&mut run);
        result.map_err(|error| match error.downcast_ref::<RunError>() {
            Some(RunError::Interrupted) => Ended::new(Status::Interrupted, "interrupted").into(),
            Some(known) => {
                let text = format!("{known}\n{}", run.failure_reports());
                Ended::new(known.status(), text).into()
            }
            None => error.context(run.failure_reports()),
        })
    }
}

/// How many processors the host lets this program use.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Takes lines until both nodes have ended well.
fn gather(run: &mut Run) -> Result<Transcript> {
    let mut transcript = Transcript::default();
    let end = Instant::now() + BOOT;
    let mut left = run.names().count();
    while left > 0 {
        let deadline = end.min(Instant::now() + SILENCE);
        match run.next(deadline)? {
            Event::Line { text, .. } => transcript.take(&text)?,
            Event::Exit { node, outcome } => {
                let name = run.names().nth(node).unwrap_or("?").to_owned();
                ensure!(outcome == Outcome::Pass, failed(name, outcome));
                left -= 1;
            }
        }
    }
    Ok(transcript)
}

fn failed(node: String, outcome: Outcome) -> RunError {
    RunError::Ended {
        node,
        outcome,
        waiting_for: "the end of all benchmarks".into(),
    }
}

/// An error of a run with the exit status that belongs to it.
pub fn ended(error: RunError) -> Ended {
    Ended::new(error.status(), error.to_string())
}

fn counts_file(folder: &Path, node: &str) -> PathBuf {
    folder.join(format!("counts-{node}.jsonl"))
}

/// Builds the counting plugin for this host and tells where it lies.
///
/// # Errors
/// It does not compile, or cargo is not there.
pub fn build_plugin(context: &Context) -> Result<PathBuf> {
    let target = &context.workspace.target;
    let mut cargo = context.cargo();
    cargo.args([
        "build",
        "--quiet",
        "--release",
        "--package",
        "norma-insn-plugin",
    ]);
    // A target that the user has set for all builds would move the library elsewhere.
    cargo
        .arg("--target-dir")
        .arg(target)
        .env_remove("CARGO_BUILD_TARGET");
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(
        status.success(),
        "the counting plugin does not compile; cargo's messages are above"
    );
    Ok(plugin_path(context))
}

/// Where the plugin lies once it is built.
pub fn plugin_path(context: &Context) -> PathBuf {
    context
        .workspace
        .target
        .join("release")
        .join("libnorma_insn_plugin.so")
}
