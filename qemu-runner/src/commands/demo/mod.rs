//! `cargo norma demo`: two nodes boot, find each other and talk, and the host checks the answers.
//!
//! Owns the command and the table. `expected.rs` owns the host's own computation, `report.rs`
//! what the client node says. What the nodes do is in the image `demo`.

mod expected;
mod report;

use super::{data, prepare};
use crate::context::Context;
use crate::images;
use crate::limits::{DEMO_FILE, DEMO_TIMEOUT};
use crate::run::{NodePlan, Outcome, Plan, Run, RunError};
use crate::status::{Ended, Status};
use expected::Expected;
use report::DemoReport;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The file that is sent unless the user gives another: a novel in plain text.
const DEFAULT_FILE: &str = "tests/data/northanger-abbey.txt";

/// Arguments of `cargo norma demo`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct DemoArgs {
    /// The file that node a sends to node b [default: a novel in the repository]
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,
}

/// Runs the demo and prints its table.
///
/// # Errors
/// The file cannot be used, something is missing, or a node does not do its part.
pub fn run(context: &Context, args: &DemoArgs) -> anyhow::Result<Status> {
    let file = args
        .file
        .clone()
        .unwrap_or_else(|| context.workspace.root.join(DEFAULT_FILE));
    let bytes = read(&file)?;
    prepare(context)?;
    let images = if context.dry_run {
        images::built(&context.workspace)?
    } else {
        images::wanted(context, &["demo"])?
    };
    let plan = plan(context, &images.get("demo")?.elf, &file, bytes.len());
    if context.dry_run {
        plan.command_lines().iter().for_each(|line| data(line));
        return Ok(Status::Pass);
    }
    let mut run = plan.start(&context.ui)?;
    let report = match talk(&mut run) {
        Ok(report) => report,
        Err(error) => {
            if let Some(RunError::TimedOut { .. }) = error.downcast_ref() {
                run.ask_what_they_do();
            }
            context.ui.error(&run.failure_reports());
            return Err(error);
        }
    };
    let ready = ["b", "a"].map(|name| (name, run.first_line_at(name)));
    let mistakes = report.mistakes(&Expected::of(&bytes, &report.pattern));
    data(&table(context, &file, &report, &ready, &mistakes));
    for mistake in &mistakes {
        context.ui.error(mistake);
    }
    Ok(if mistakes.is_empty() {
        Status::Pass
    } else {
        Status::Failed
    })
}

fn read(file: &Path) -> Result<Vec<u8>, Ended> {
    let name = file.display();
    let bytes = std::fs::read(file)
        .map_err(|error| Ended::usage(format!("cannot read {name}: {error}")))?;
    if bytes.is_empty() {
        return Err(Ended::usage(format!(
            "{name} is empty; expected a file with something in it"
        )));
    }
    if bytes.len() > DEMO_FILE {
        let text = format!(
            "{name} has {} bytes; expected at most {DEMO_FILE}, the most that one message carries",
            bytes.len()
        );
        return Err(Ended::usage(text));
    }
    Ok(bytes)
}

/// The service `b` and the client `a`. Each may hold the file several times: as QEMU loaded it,
/// in the pages of several messages, and in frames under way.
fn plan(context: &Context, image: &Path, file: &Path, length: usize) -> Plan {
    let memory = 64 + 16 * length.div_ceil(1 << 20) as u32;
    let node = |name| {
        NodePlan::new(name, image)
            .machine(context.machine)
            .memory(memory)
    };
    let (b, a) = (
        node("b").argument("role=server"),
        node("a").argument("role=client").module(file),
    );
    Plan::pair(b, a)
        .cluster("demo")
        .link(context.link)
        .findable("demo")
        .trace(context.trace.as_ref())
        .capture(context.capture.as_ref())
        .accelerator(context.accelerator)
}

/// Waits for the client's report and its good end.
fn talk(run: &mut Run) -> anyhow::Result<DemoReport> {
    let deadline = Instant::now() + DEMO_TIMEOUT;
    let line = run.expect("a", "@demo ", deadline)?;
    let outcome = run.wait_exit("a", deadline)?;
    if outcome != Outcome::Pass {
        return Err(RunError::Ended {
            node: "a".into(),
            outcome,
            waiting_for: "a good end".into(),
        }
        .into());
    }
    let json = line.trim_start_matches("@demo ");
    serde_json::from_str(json)
        .map_err(|error| anyhow::anyhow!("the report of node a cannot be read: {error}"))
}

fn table(
    context: &Context,
    file: &Path,
    report: &DemoReport,
    ready: &[(&str, Option<Duration>)],
    mistakes: &[String],
) -> String {
    let milliseconds = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    let first_lines = ready
        .iter()
        .filter_map(|(name, at)| Some(format!("{name} {}", milliseconds((*at)?))));
    let microseconds = |ns: u64| format!("{:.1} us", ns as f64 / 1e3);
    let verdict = |word: &str| {
        if mistakes.iter().any(|mistake| mistake.starts_with(word)) {
            "WRONG"
        } else {
            "as the host counts"
        }
    };
    let link = match &context.capture {
        Some(_) => "the runner's switch, captured".to_owned(),
        None => format!("a {} socketpair", context.link.word()),
    };
    let head = format!(
        "two nodes on {} ({}), joined by {link}; {}, {} bytes",
        context.machine.word(),
        context.accelerator.word(),
        file.file_name()
            .unwrap_or(file.as_os_str())
            .to_string_lossy(),
        report.file_bytes
    );
    let rows = [
        (
            "QEMU's start to first line",
            first_lines.collect::<Vec<_>>().join(", "),
        ),
        (
            "boot, as node a measures",
            milliseconds(Duration::from_micros(report.boot_us)),
        ),
        (
            "services located in",
            milliseconds(Duration::from_micros(report.locate_us)),
        ),
        (
            "null RPC",
            format!(
                "p50 {}, p99 {} ({} calls)",
                microseconds(report.rpc_p50_ns),
                microseconds(report.rpc_p99_ns),
                report.rpc_n
            ),
        ),
        (
            "file in one message",
            format!("{:.1} MB/s", report.file_mb_per_s),
        ),
        (
            "SHA-256",
            format!("{} {}", report.sha256, verdict("SHA-256")),
        ),
        (
            "lines, words, bytes",
            format!(
                "{}, {}, {} {}",
                report.lines,
                report.words,
                report.bytes,
                verdict("lines")
            ),
        ),
        (
            "matches",
            format!(
                "{} of {:?} {}",
                report.matches,
                report.pattern,
                verdict("matches")
            ),
        ),
        (
            "call back by a port in a message",
            (if report.callback_ok {
                "arrived"
            } else {
                "LOST"
            })
            .to_owned(),
        ),
    ];
    let rows = rows.map(|(name, value)| format!("  {name:<33} {value}"));
    format!("{head}\n{}", rows.join("\n"))
}
