//! `cargo norma up`: a cluster, as a file describes it.

use super::{data, prepare, random_seed};
use crate::cluster::Cluster;
use crate::context::Context;
use crate::daemon::{self, Daemon, DaemonPlan};
use crate::images::{self, Images};
use crate::linux;
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
    /// Join two nodes by a socketpair instead of the runner's switch: faster, not with faults or
    /// `--pcap`, but `cargo norma ps` and its like cannot come to such a network
    #[arg(long)]
    pub direct: bool,
}

/// Starts a cluster and shows its consoles until every node that is no service has ended.
///
/// # Errors
/// A mistake in the file, a node that cannot be started, a time-out.
pub fn run(context: &Context, args: &UpArgs) -> anyhow::Result<Status> {
    let cluster = Cluster::read(&args.file).map_err(|error| Ended::usage(error.to_string()))?;
    if args.direct {
        check_direct(context, &cluster)?;
    }
    let images = prepared(context, &cluster)?;
    let seed = cluster.seed().or(args.seed).unwrap_or_else(random_seed);
    let plan = cluster
        .plan(&images, context.machine, seed)?
        .accelerator(context.accelerator)
        .link(context.link)
        .findable("up")
        .trace(context.trace.as_ref())
        .capture(context.capture.as_ref());
    let plan = if args.direct { plan } else { plan.switched() };
    let daemon = daemon_plan(context, &cluster)?;
    if context.dry_run {
        plan.command_lines().iter().for_each(|line| data(line));
        daemon.iter().for_each(|daemon| data(&daemon.to_shell()));
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
        (&cluster, daemon),
        args.timeout.map(Duration::from_secs),
    )
}

/// What is done to frames, or with them, is done by the switch that `--direct` leaves out.
fn check_direct(context: &Context, cluster: &Cluster) -> anyhow::Result<()> {
    let asked = [
        (cluster.has_faults(), "the file's [[fault]] entries"),
        (cluster.has_daemon(), "the file's [netmsgd] entry"),
        (context.capture.is_some(), "`--pcap`"),
    ];
    let Some((_, what)) = asked.iter().find(|(asked, _)| *asked) else {
        return Ok(());
    };
    let text = format!(
        "`--direct` joins nodes without the runner's switch, by which {what} would be carried out; \
         leave out one of the two"
    );
    Err(Ended::usage(text).into())
}

/// The daemon that the file asks for, built; a dry run builds nothing.
fn daemon_plan(context: &Context, cluster: &Cluster) -> anyhow::Result<Option<DaemonPlan>> {
    let program = match (cluster.has_daemon(), context.dry_run) {
        (false, _) => return Ok(None),
        (true, true) => linux::program_path(context, daemon::PACKAGE),
        (true, false) => daemon::build(context)?,
    };
    Ok(cluster.daemon(&program, &daemon::default_socket(context)))
}

/// Starts the daemon on the host's port of every network.
fn start_daemon(
    context: &Context,
    plan: &Plan,
    run: &Run,
    daemon: &DaemonPlan,
) -> anyhow::Result<Daemon> {
    let networks = (0..daemon.networks.len()).filter_map(|network| run.switch(network));
    let ends = networks.map(|switch| switch.node_end(plan.host_station()));
    let started = daemon.start(ends.collect::<std::io::Result<_>>()?)?;
    let (name, socket) = (&daemon.node, daemon.socket.display());
    context
        .ui
        .progress(&format!("this host is node {name}: {socket}"));
    Ok(started)
}

/// The images that the file names; a file that gives all as paths needs none of ours.
fn prepared(context: &Context, cluster: &Cluster) -> anyhow::Result<Images> {
    prepare(context)?;
    Ok(match (cluster.image_names().is_empty(), context.dry_run) {
        (true, _) => Images::default(),
        (false, _) => {
            let known = images::built(&context.workspace)?;
            cluster
                .check_images(&known)
                .map_err(|error| Ended::usage(error.to_string()))?;
            match context.dry_run {
                true => known,
                false => images::wanted(context, &cluster.image_names())?,
            }
        }
    })
}

fn watch(
    context: &Context,
    plan: &Plan,
    (cluster, daemon): (&Cluster, Option<DaemonPlan>),
    timeout: Option<Duration>,
) -> anyhow::Result<Status> {
    let mut run = plan.start(&context.ui)?;
    let daemon = daemon.map(|daemon| start_daemon(context, plan, &run, &daemon));
    let _daemon = daemon.transpose()?;
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
                run.ask_what_they_do();
                let reports = match context.ui.is_quiet() {
                    true => run.failure_reports(),
                    false => run.failure_reports_in_short(),
                };
                context.ui.error(reports.trim_end());
                return Err(error.into());
            }
            Err(error) => {
                tell_dropped(context, &run);
                return Err(error.into());
            }
        }
    }
    tell_dropped(context, &run);
    Ok(worst)
}

/// Frames that no rule dropped and no node got.
fn tell_dropped(context: &Context, run: &Run) {
    if let Some(text) = run.dropped_frames() {
        context.ui.progress(&text);
    }
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
