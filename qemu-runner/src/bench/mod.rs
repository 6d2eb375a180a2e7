//! `cargo norma bench`: what a call costs, beside what the bare frame costs.
//!
//! Owns: the command, the order of its passes, the report.
//! Leaves to others: the operations themselves (`images/bench`), counting instructions
//! (`norma-insn-plugin`), building and starting nodes (the rest of the runner).
//! Why this way: three passes. *Timing* without anything that disturbs; *counting* under the
//! plugin, where instructions and exits are exact and times mean nothing; *start-up*. A number
//! that is missing anywhere ends the command with an error, never as a zero.
//! `docs/benchmarks.md` tells what each number is and how far it can be trusted.

pub(crate) mod campaign;
pub mod items;
mod least;
pub(crate) mod markers;
pub(crate) mod merge;
pub(crate) mod report;
mod startup;
mod table;
mod targets;
mod transcript;

#[cfg(test)]
mod tests;

use crate::context::Context;
use crate::images;
use crate::status::{Ended, Status};
use anyhow::Result;
use campaign::Campaign;
use report::Report;
use std::path::{Path, PathBuf};

/// What is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// Calls between two nodes, beside bare frames
    #[default]
    Net,
    /// Calls between threads of one node, by what is in the message
    Ipc,
    /// The same operations by norma and by what else could do them
    Compare,
}

/// Arguments of `cargo norma bench`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct BenchArgs {
    /// Which benchmarks
    #[arg(value_enum, default_value_t)]
    pub what: What,
    /// Write the results as JSON too
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the comparison as Markdown too
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Write the comparison as one page with plots, which needs nothing but itself
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Measure nothing, and open such a page in headless Chromium to check it
    #[arg(long, value_name = "FILE")]
    pub check_page: Option<PathBuf>,
    /// With --check-page: keep pictures of the page and its print in this folder
    #[arg(long, value_name = "FOLDER", requires = "check_page")]
    pub pictures: Option<PathBuf>,
    /// A tenth of the operations in one boot: for a first look, not for publication
    #[arg(long)]
    pub quick: bool,
    /// Only these benchmarks and their floors, without start-up; of `compare`, only these systems
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub only: Vec<String>,
}

/// Boots of the pair in the timing pass, rounds in each, starts of each image: full run.
const FULL: (u64, u64, usize) = (3, 5, 40);
/// The same in a quick run.
const QUICK: (u64, u64, usize) = (1, 3, 5);

/// Runs all passes, prints the table and writes the file.
///
/// # Errors
/// An image that does not build or start, a number that is missing, a file that cannot be
/// written.
pub fn run(context: &Context, args: &BenchArgs) -> Result<Status> {
    for path in [&args.json, &args.markdown, &args.html]
        .into_iter()
        .flatten()
    {
        can_be_written(path).map_err(Ended::usage)?;
    }
    if args.what == What::Compare && context.trace.is_some() {
        return Err(Ended::usage(
            "the comparison is not traced, for what it compares would not be the same; \
             `cargo norma bench --only NAME --trace FILE` traces a benchmark",
        )
        .into());
    }
    let suite = match args.what {
        What::Net => items::Suite::Net,
        What::Ipc => items::Suite::Ipc,
        What::Compare => return crate::compare::run(context, args),
    };
    if [&args.markdown, &args.html, &args.check_page]
        .iter()
        .any(|file| file.is_some())
    {
        return Err(
            Ended::usage("only the comparison is written as Markdown and as a page").into(),
        );
    }
    let items = items::select(suite, &args.only, args.quick).map_err(Ended::usage)?;
    let (boots, rounds, starts) = if args.quick { QUICK } else { FULL };
    let whole = suite == items::Suite::Net && args.only.is_empty() && context.trace.is_none();
    let images = match (context.dry_run, whole) {
        (true, _) => images::built(&context.workspace)?,
        // The size of each is told.
        (false, true) => images::build(context)?,
        (false, false) => images::wanted(context, &["bench"])?,
    };
    let image = images.get("bench")?.elf.clone();
    let campaign = Campaign {
        context,
        image,
        items,
        rounds,
        boots,
        memory: suite.memory(),
    };
    if context.dry_run {
        print_commands(&campaign, whole);
        return Ok(Status::Pass);
    }
    let plugin = campaign::build_plugin(context)?;
    let startup = if whole {
        Some(startup::measure(&campaign, &images, starts)?)
    } else {
        None
    };
    let timing = campaign.time()?;
    let counting = campaign.count(&plugin)?;
    let measured = merge::merge(&campaign.items, rounds, &timing, &counting)?;
    let lines = command_lines(&campaign, whole);
    let report = Report::new(
        suite,
        context.accelerator.word(),
        lines,
        measured,
        startup,
        context.capture.is_some(),
    )
    .traced(context.trace.is_some());
    println!("{}", table::text(&report));
    if let Some(path) = &args.json {
        report.write(path)?;
        context.ui.progress(&format!("wrote {}", path.display()));
    }
    Ok(Status::Pass)
}

/// Whether a file can be written, asked before minutes are spent on what is to be in it.
fn can_be_written(path: &Path) -> Result<(), String> {
    let was_there = path.exists();
    let opened = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path);
    opened.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    if !was_there {
        // Nothing stays behind should the run fail. What cannot be removed will be overwritten.
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

/// Every QEMU command of a run.
fn command_lines(campaign: &Campaign<'_>, whole: bool) -> Vec<String> {
    let plugin = campaign::plugin_path(campaign.context);
    let mut lines = campaign.timing_plan().command_lines();
    // The folder is made anew for each run; its name would say nothing.
    lines.extend(
        campaign
            .counting_plan(&plugin, Path::new("TEMPORARY"))
            .command_lines(),
    );
    if whole {
        for image in ["TEMPORARY/bench", "TEMPORARY/least"] {
            lines.extend(startup::start_plan(campaign, Path::new(image)).command_lines());
        }
    }
    lines
}

fn print_commands(campaign: &Campaign<'_>, whole: bool) {
    for line in command_lines(campaign, whole) {
        println!("{line}");
    }
}
