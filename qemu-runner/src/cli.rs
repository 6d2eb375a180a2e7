//! The command line of `cargo norma`.
//!
//! Owns the words, their help, and the way from an error to an exit code. What each command does
//! is in `commands`.

use crate::bench;
use crate::commands::{build, call, check, demo, doctor, fuzz, gdb, miri, sim, test, up};
use crate::context::Context;
use crate::images::ImageError;
use crate::inspect::commands as inspect;
use crate::link::{Capture, LinkKind};
use crate::qemu::Machine;
use crate::qemu::accelerator::{Wanted, choose};
use crate::run::RunError;
use crate::signals;
use crate::status::{Ended, Status};
use crate::trace::Trace;
use crate::ui::Ui;
use crate::workspace::Workspace;
use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

const EXIT_CODES: &str = "\
Exit codes:
  0    all went well
  1    something failed
  2    the command line or an input file makes no sense
  101  a guest panicked
  124  a guest did not do in time what was waited for
  130  interrupted (Ctrl-C); every node is ended first

Data goes to stdout, progress and the consoles of nodes go to stderr. NO_COLOR is respected.";

/// Build norma's images, start them in QEMU, join them, test them and measure them
#[derive(Debug, Parser)]
#[command(name = "cargo norma", bin_name = "cargo norma", version, after_help = EXIT_CODES)]
struct Cli {
    /// Install what is missing without asking (as CI=true does)
    #[arg(long, global = true)]
    yes: bool,
    /// No progress and no consoles, only data and errors
    #[arg(long, short, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Boot two nodes, let them find each other and talk, and check the answers
    Demo(WithQemu<demo::DemoArgs>),
    /// Start the nodes of a cluster file and show their consoles
    Up(WithQemu<up::UpArgs>),
    /// Call a service of a running cluster from this host, and print the answer
    Call(call::CallArgs),
    /// List the nodes that run, or the threads of one and what each waits for
    Ps(inspect::PsArgs),
    /// The threads of a running node, with their stacks
    Threads(inspect::NodeArgs),
    /// The ports of a running node: queues, receivers, senders and where they are
    Ports(inspect::PortsArgs),
    /// The rights at a running node: who holds how many, to whose ports
    Rights(inspect::RightsArgs),
    /// The sessions of a running node: round trip, window, losses, credits
    Sessions(inspect::SessionsArgs),
    /// The memory of a running node
    Memory(inspect::NodeArgs),
    /// Everything that a running node counts, as OpenMetrics text
    Metrics(inspect::MetricsArgs),
    /// Watch a running node: rates, busiest ports, sessions, threads
    Top(inspect::TopArgs),
    /// Debug a running node, with commands for its threads, ports and messages
    Gdb(gdb::GdbArgs),
    /// Run all tests: of the crates, of the simulation, and of whole virtual machines
    Test(test::TestArgs),
    /// Measure what a call costs, beside what the bare frame costs
    Bench(WithQemu<bench::BenchArgs>),
    /// Simulate many nodes and a bad network in one process, repeatably
    Sim(sim::SimArgs),
    /// Build the images and print where they are and how large
    Build(build::BuildArgs),
    /// Look for everything that is needed and say how to get what is missing
    Doctor,
    /// Check formatting, lints and documentation, warnings being errors
    Check,
    /// Run the tests of the pure crates under Miri (needs a nightly Rust)
    Miri(miri::MiriArgs),
    /// Feed the parsers random bytes (needs a nightly Rust and cargo-fuzz)
    Fuzz(fuzz::FuzzArgs),
}

/// A command that starts QEMU.
#[derive(Debug, Args)]
struct WithQemu<T: Args> {
    #[command(flatten)]
    args: T,
    #[command(flatten)]
    qemu: QemuArgs,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "QEMU")]
struct QemuArgs {
    /// What runs the guests' code; `auto` takes KVM only where the processor really offers it
    #[arg(long, value_enum, default_value_t, value_name = "WHICH")]
    accel: Wanted,
    /// The machine that is emulated
    #[arg(long, value_enum, default_value_t, value_name = "WHICH")]
    machine: Machine,
    /// The kind of socketpair that joins two nodes
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "WHICH",
        hide_short_help = true
    )]
    link: LinkKind,
    /// Write all frames between nodes to a pcapng file, for Wireshark; they then pass through a
    /// switch, which costs time
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Write what every node did to a file for Perfetto (ui.perfetto.dev), with arrows
    /// from each send to its receive; the images are built anew for that
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Print QEMU's commands, quoted for a shell, and start nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let ui = Ui::new(cli.quiet);
    signals::watch();
    let status = match run(cli, ui) {
        Ok(status) => status,
        Err(error) => {
            let status = status_of(&error);
            // Who ended it need not be told.
            if status != Status::Interrupted {
                ui.error(&format!("{error:#}"));
            }
            status
        }
    };
    let status = if signals::interrupted() {
        Status::Interrupted
    } else {
        status
    };
    status.into()
}

fn run(cli: Cli, ui: Ui) -> anyhow::Result<Status> {
    let yes = cli.yes;
    let plain = |qemu| context(ui, yes, qemu);
    match cli.command {
        Command::Demo(with) => {
            captured(plain(with.qemu)?, |context| demo::run(context, &with.args))
        }
        Command::Up(with) => captured(plain(with.qemu)?, |context| up::run(context, &with.args)),
        Command::Bench(with) => captured(plain(with.qemu)?, |context| {
            crate::commands::prepare(context)?;
            bench::run(context, &with.args)
        }),
        Command::Test(args) => test::run(&plain(QemuArgs::default())?, &args),
        Command::Sim(args) => sim::run(&plain(QemuArgs::default())?, &args),
        Command::Call(args) => call::run(&plain(QemuArgs::default())?, &args),
        Command::Ps(args) => inspect::ps(&plain(QemuArgs::default())?, &args),
        Command::Threads(args) => inspect::threads(&plain(QemuArgs::default())?, &args),
        Command::Ports(args) => inspect::ports(&plain(QemuArgs::default())?, &args),
        Command::Rights(args) => inspect::rights(&plain(QemuArgs::default())?, &args),
        Command::Sessions(args) => inspect::sessions(&plain(QemuArgs::default())?, &args),
        Command::Memory(args) => inspect::memory(&plain(QemuArgs::default())?, &args),
        Command::Metrics(args) => inspect::metrics(&plain(QemuArgs::default())?, &args),
        Command::Top(args) => inspect::top(&plain(QemuArgs::default())?, &args),
        Command::Gdb(args) => gdb::run(&plain(QemuArgs::default())?, &args),
        Command::Build(args) => build::run(&plain(QemuArgs::default())?, &args),
        Command::Doctor => doctor::run(&plain(QemuArgs::default())?),
        Command::Check => check::run(&plain(QemuArgs::default())?),
        Command::Miri(args) => miri::run(&plain(QemuArgs::default())?, &args),
        Command::Fuzz(args) => fuzz::run(&plain(QemuArgs::default())?, &args),
    }
}

/// Runs a command that may be captured or traced, and completes the files whatever comes of it.
fn captured(
    context: Context,
    run: impl FnOnce(&Context) -> anyhow::Result<Status>,
) -> anyhow::Result<Status> {
    let status = run(&context);
    if let Some(capture) = &context.capture {
        capture.finish().context("cannot write the capture")?;
        context.ui.progress(&format!(
            "capture: wrote {}; docs/captures.md says what reads it",
            capture.path().display()
        ));
    }
    if let Some(trace) = &context.trace {
        trace
            .finish(&context.ui)
            .context("cannot write the trace")?;
    }
    status
}

fn context(ui: Ui, yes: bool, qemu: QemuArgs) -> anyhow::Result<Context> {
    let (accelerator, why) = choose(qemu.accel);
    let capture = match &qemu.pcap {
        Some(path) if !qemu.dry_run => Some(Capture::create(path).map_err(|error| {
            let name = path.display();
            Ended::usage(format!("cannot write the capture {name}: {error}"))
        })?),
        _ => None,
    };
    let trace = match &qemu.trace {
        Some(path) if !qemu.dry_run => Some(Trace::create(path).map_err(|error| {
            let name = path.display();
            Ended::usage(format!("cannot write the trace {name}: {error}"))
        })?),
        _ => None,
    };
    Ok(Context {
        ui,
        workspace: Workspace::find()?,
        accelerator,
        accelerator_reason: why,
        machine: qemu.machine,
        link: qemu.link,
        capture,
        trace,
        dry_run: qemu.dry_run,
        yes,
    })
}

fn status_of(error: &anyhow::Error) -> Status {
    if let Some(ended) = error.downcast_ref::<Ended>() {
        ended.status
    } else if let Some(run) = error.downcast_ref::<RunError>() {
        run.status()
    } else if let Some(ImageError::Unknown(..)) = error.downcast_ref::<ImageError>() {
        Status::Usage
    } else {
        Status::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_a_help_text() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }

    #[test]
    fn errors_keep_their_status_under_words() {
        use anyhow::Context as _;
        let error: anyhow::Error = Err::<(), _>(Ended::usage("x")).context("more").unwrap_err();
        assert_eq!(status_of(&error), Status::Usage);
        assert_eq!(status_of(&anyhow::anyhow!("x")), Status::Failed);
        assert_eq!(
            status_of(&RunError::Interrupted.into()),
            Status::Interrupted
        );
    }
}
