//! `cargo norma ps`, `threads`, `ports`, `rights`, `sessions`, `memory`, `metrics` and `top`.

use super::growth::Growth;
use super::show;
use super::{Model, Visit};
use crate::context::Context;
use crate::running;
use crate::signals;
use crate::status::Status;
use norma_inspect::rows::Counters;
use std::io::Write;
use std::time::Duration;

/// Which node, and how it is shown.
#[derive(Clone, Debug, clap::Args)]
pub struct NodeArgs {
    /// The node: NODE, or CLUSTER/NODE, or the process number of its runner and /NODE
    #[arg(value_name = "NODE")]
    pub node: String,
    /// How it is asked and shown.
    #[command(flatten)]
    pub how: How,
}

/// How it is asked and shown.
#[derive(Clone, Debug, clap::Args)]
pub struct How {
    /// Print JSON, for other programs; docs/inspection.md describes it
    #[arg(long)]
    pub json: bool,
    /// How long to wait for an answer
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub timeout: u64,
}

/// Arguments of `cargo norma ps`.
#[derive(Clone, Debug, clap::Args)]
pub struct PsArgs {
    /// The node whose threads to show; without it, the nodes that run
    #[arg(value_name = "NODE")]
    pub node: Option<String>,
    /// How it is asked and shown.
    #[command(flatten)]
    pub how: How,
}

/// Arguments of `cargo norma ports`.
#[derive(Clone, Debug, clap::Args)]
pub struct PortsArgs {
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
    /// Show also the ports that are there for answers to calls
    #[arg(long)]
    pub all: bool,
    /// Ask the other nodes how many of the rights that were sent to them they hold now
    #[arg(long)]
    pub peers: bool,
}

/// Arguments of `cargo norma sessions`.
#[derive(Clone, Debug, clap::Args)]
pub struct SessionsArgs {
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
    /// Show also those with commands that look into the node
    #[arg(long)]
    pub all: bool,
}

/// Arguments of `cargo norma rights`.
#[derive(Clone, Debug, clap::Args)]
pub struct RightsArgs {
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
    /// Show each right by itself
    #[arg(long)]
    pub all: bool,
    /// The time between two looks, from which follows what grows; 0 for one look
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    pub interval: f64,
}

/// Arguments of `cargo norma metrics`.
#[derive(Clone, Debug, clap::Args)]
pub struct MetricsArgs {
    /// The node
    #[arg(value_name = "NODE")]
    pub node: String,
    /// How long to wait for an answer
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub timeout: u64,
}

/// Arguments of `cargo norma top`.
#[derive(Clone, Debug, clap::Args)]
pub struct TopArgs {
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
    /// How often it is shown anew
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    pub interval: f64,
    /// End after so many times; without it, with Ctrl-C
    #[arg(long, value_name = "TIMES")]
    pub count: Option<u64>,
}

fn visit(args: &NodeArgs) -> anyhow::Result<Visit> {
    Visit::new(&args.node, Duration::from_secs(args.how.timeout))
}

/// The time between two looks.
pub(super) fn interval(seconds: f64) -> anyhow::Result<Duration> {
    Ok(Duration::try_from_secs_f64(seconds.clamp(0.1, 3600.0))?)
}

/// Prints lines. A reader that has gone away is no error.
fn print(lines: &[String]) {
    let mut stdout = std::io::stdout().lock();
    for line in lines {
        let _ = writeln!(stdout, "{line}");
    }
    let _ = stdout.flush();
}

fn print_json(value: &serde_json::Value) -> anyhow::Result<()> {
    print(&[serde_json::to_string_pretty(value)?]);
    Ok(())
}

/// Shows what `json` or `lines` make of a node's tables.
fn shown(
    args: &NodeArgs,
    json: impl FnOnce(&Model) -> serde_json::Value,
    lines: impl FnOnce(&Model) -> Vec<String>,
) -> anyhow::Result<Status> {
    let visit = visit(args)?;
    let model = Model::new(&visit.node)?;
    if args.how.json {
        print_json(&show::with_node(&visit.cluster, &model, json(&model)))?;
    } else {
        print(&lines(&model));
    }
    Ok(Status::Pass)
}

/// Nodes that run, or a node's threads in short.
///
/// # Errors
/// There is no such node, or it does not answer.
pub fn ps(_: &Context, args: &PsArgs) -> anyhow::Result<Status> {
    let Some(node) = &args.node else {
        let clusters = running::clusters()?;
        if args.how.json {
            print_json(&show::clusters_json(&clusters))?;
        } else {
            print(&show::clusters_lines(&clusters));
        }
        return Ok(Status::Pass);
    };
    let args = NodeArgs {
        node: node.clone(),
        how: args.how.clone(),
    };
    shown(&args, show::threads_json, show::ps_lines)
}

/// A node's threads.
///
/// # Errors
/// As for [`ps`].
pub fn threads(_: &Context, args: &NodeArgs) -> anyhow::Result<Status> {
    shown(args, show::threads_json, show::threads_lines)
}

/// A node's ports.
///
/// # Errors
/// As for [`ps`].
pub fn ports(_: &Context, args: &PortsArgs) -> anyhow::Result<Status> {
    let visit = visit(&args.node)?;
    let mut model = Model::new(&visit.node)?;
    if args.peers {
        model.ask_senders(&visit)?;
    }
    if args.node.how.json {
        let json = show::ports_json(&model, args.all);
        print_json(&show::with_node(&visit.cluster, &model, json))?;
    } else {
        print(&show::ports_lines(&model, args.all));
    }
    Ok(Status::Pass)
}

/// A node's rights.
///
/// # Errors
/// As for [`ps`].
pub fn rights(_: &Context, args: &RightsArgs) -> anyhow::Result<Status> {
    let visit = visit(&args.node)?;
    let mut before = None;
    // The list of each right, for people, has no rates.
    if args.interval > 0.0 && (args.node.how.json || !args.all) {
        before = Some(Model::new(&visit.node)?);
        if !signals::pause(interval(args.interval)?) {
            return Ok(Status::Interrupted);
        }
    }
    let now = Model::new(&visit.node)?;
    let growth = Growth {
        before: before.as_ref(),
        now: &now,
    };
    if args.node.how.json {
        print_json(&show::with_node(
            &visit.cluster,
            &now,
            show::rights_json(&growth),
        ))?;
    } else {
        print(&show::rights_lines(&growth, args.all));
    }
    Ok(Status::Pass)
}

/// A node's sessions.
///
/// # Errors
/// As for [`ps`].
pub fn sessions(_: &Context, args: &SessionsArgs) -> anyhow::Result<Status> {
    shown(&args.node, show::sessions_json, |model| {
        show::sessions_lines(model, args.all)
    })
}

/// A node's memory.
///
/// # Errors
/// As for [`ps`].
pub fn memory(_: &Context, args: &NodeArgs) -> anyhow::Result<Status> {
    let visit = visit(args)?;
    let model = Model::new(&visit.node)?;
    let (counters, _) = visit.node.table::<Counters>()?;
    if args.how.json {
        let json = show::memory_json(&model, &counters);
        print_json(&show::with_node(&visit.cluster, &model, json))?;
    } else {
        print(&show::memory_lines(&model, &counters));
    }
    Ok(Status::Pass)
}

/// What a node has counted, as OpenMetrics.
///
/// # Errors
/// As for [`ps`].
pub fn metrics(_: &Context, args: &MetricsArgs) -> anyhow::Result<Status> {
    let visit = Visit::new(&args.node, Duration::from_secs(args.timeout))?;
    let (counters, _) = visit.node.table::<Counters>()?;
    let (sessions, _) = visit.node.table()?;
    print(&show::metrics_lines(&visit.node.name, &counters, &sessions));
    Ok(Status::Pass)
}

/// What goes on at a node, again and again.
///
/// # Errors
/// As for [`ps`].
pub fn top(_: &Context, args: &TopArgs) -> anyhow::Result<Status> {
    let visit = visit(&args.node)?;
    show::top(&visit, args)
}
