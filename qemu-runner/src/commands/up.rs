//! `cargo norma up`: a cluster, as a file describes it.

use super::{data, prepare, random_seed};
use crate::cluster::Cluster;
use crate::context::Context;
use crate::images::{self, Images};
use crate::run::{Event, Outcome, Plan, Run, RunError};
use crate::status::{Ended, Status};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Arguments of `cargo norma up`.
#[derive(Clone, Debug, clap::Args)]
pub struct UpArgs {
    /// The cluster file; docs/cluster.md describes it
    #[arg(value_name = "CLUSTER.toml")]
    pub file: PathBuf,
    /// The seed of the faults, unless the file gives one; a random one is taken and printed
    #[arg(long)]
    pub seed: Option<u64>,
    /// End the cluster after so many seconds, with exit code 124; without it, only when all
    /// nodes but services have ended
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
}

/// Starts a cluster and shows its consoles until every node that is no service has ended.
///
/// # Errors
/// A mistake in the file, a node that cannot be started, a time-out.
pub fn run(context: &Context, args: &UpArgs) -> anyhow::Result<Status> {
    let cluster = Cluster::read(&args.file).map_err(|error| Ended::usage(error.to_string()))?;
    let images = prepared(context, &cluster)?;
    let seed = cluster.seed().or(args.seed).unwrap_or_else(random_seed);
    let plan = cluster
        .plan(&images, context.machine, seed)?
        .accelerator(context.accelerator)
        .link(context.link)
        .capture(context.capture.as_ref());
    if context.dry_run {
        plan.command_lines().iter().for_each(|line| data(line));
        return Ok(Status::Pass);
    }
    if cluster.has_faults() {
        context.ui.progress(&format!(
            "faults are seeded with {seed}; repeat them with --seed {seed}"
        ));
    }
    watch(
        context,
        &plan,
        &cluster,
        args.timeout.map(Duration::from_secs),
    )
}

/// The images that the file names; a file that gives all as paths needs none of ours.
fn prepared(context: &Context, cluster: &Cluster) -> anyhow::Result<Images> {
    prepare(context)?;
    Ok(match (cluster.image_names().is_empty(), context.dry_run) {
        (true, _) => Images::default(),
        (false, true) => images::built(&context.workspace)?,
        (false, false) => images::build(context)?,
    })
}

fn watch(
    context: &Context,
    plan: &Plan,
    cluster: &Cluster,
    timeout: Option<Duration>,
) -> anyhow::Result<Status> {
    let mut run = plan.start(&context.ui)?;
    // A year is as good as for ever, and can be added to any clock.
    let deadline = Instant::now() + timeout.unwrap_or(Duration::from_secs(365 * 24 * 3600));
    let names: Vec<String> = run.names().map(str::to_owned).collect();
    let started = names.iter().map(|name| match run.pid(name) {
        Some(pid) => format!("{name} (process {pid})"),
        None => format!("{name} (ended already)"),
    });
    context.ui.progress(&format!(
        "started {}",
        started.collect::<Vec<_>>().join(", ")
    ));
    let mut worst = Status::Pass;
    while cluster
        .awaited()
        .iter()
        .any(|name| run.outcome(name).is_none())
        || cluster.awaited().is_empty()
    {
        match run.next(deadline) {
            Ok(Event::Line { .. }) => {}
            Ok(Event::Exit { node, outcome }) => {
                worst = worse(worst, report(context, &run, &names[node], outcome));
                if names.iter().all(|name| run.outcome(name).is_some()) {
                    break;
                }
            }
            Err(error @ RunError::TimedOut { .. }) => {
                context.ui.error(&run.failure_reports());
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(worst)
}

fn report(context: &Context, run: &Run, name: &str, outcome: Outcome) -> Status {
    match outcome {
        Outcome::Pass | Outcome::Crashed => {
            context.ui.progress(&format!("node {name} {outcome}"));
            return Status::Pass;
        }
        _ => context.ui.error(&run.failure_report(name)),
    }
    if outcome == Outcome::Panic {
        Status::Panic
    } else {
        Status::Failed
    }
}

/// A panic says more than a failure, and a failure more than success.
fn worse(one: Status, other: Status) -> Status {
    let rank = |status| match status {
        Status::Pass => 0,
        Status::Panic => 2,
        _ => 1,
    };
    if rank(other) > rank(one) { other } else { one }
}
