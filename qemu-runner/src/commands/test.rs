//! `cargo norma test`: everything that can be tested on this host.
//!
//! Owns the order (crates on the host, examples, then whole virtual machines) and the closing line, which
//! counts all of them. A filter goes to every test program, as with `cargo test`.

use super::tally::Tally;
use super::{data, prepare};
use crate::big_endian;
use crate::context::Context;
use crate::images;
use crate::qemu::PROGRAM;
use crate::qemu::accelerator::{Wanted, choose};
use crate::setup;
use crate::status::Status;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What the VM tests are told by the environment.
pub mod environment {
    /// The command under test: a path.
    pub const PROGRAM: &str = "NORMA_PROGRAM";
    /// The accelerator: QEMU's word.
    pub const ACCELERATOR: &str = "NORMA_ACCELERATOR";
    /// A file for a capture.
    pub const PCAP: &str = "NORMA_PCAP";
    /// A file for a trace.
    pub const TRACE: &str = "NORMA_TRACE";
    /// If set, the tests print QEMU's commands and start nothing.
    pub const DRY_RUN: &str = "NORMA_DRY_RUN";
}

/// Arguments of `cargo norma test`.
#[derive(Clone, Debug, clap::Args)]
pub struct TestArgs {
    /// Only tests whose names contain this
    pub filter: Option<String>,
    /// Only the tests of the crates on the host, which need no QEMU
    #[arg(long, conflicts_with = "vm")]
    pub host: bool,
    /// Only the tests of whole virtual machines
    #[arg(long)]
    pub vm: bool,
    /// Only the test between machines of two byte orders: needs Debian's compiler and emulator for
    /// s390x, and asks before it installs them
    #[arg(long, conflicts_with_all = ["vm", "host", "filter"])]
    pub big_endian: bool,
    /// What runs the guests' code; every host has TCG, so that results compare
    #[arg(long, value_enum, default_value = "tcg", value_name = "WHICH")]
    pub accel: Wanted,
    /// Write all frames between the nodes of VM tests to a pcapng file; best with a filter
    #[arg(long, value_name = "FILE", conflicts_with = "host")]
    pub pcap: Option<PathBuf>,
    /// Write what the nodes of VM tests did to a file for Perfetto, each boot by itself; best with
    /// a filter. Tests of what the command itself starts are not in it
    #[arg(long, value_name = "FILE", conflicts_with = "host")]
    pub trace: Option<PathBuf>,
    /// Print the commands of the tests, QEMU's among them, and run none
    #[arg(long)]
    pub dry_run: bool,
}

/// Runs the tests and prints the closing line.
///
/// # Errors
/// Something is missing and was not installed, or an image does not compile.
pub fn run(context: &Context, args: &TestArgs) -> anyhow::Result<Status> {
    let (accelerator, accelerator_reason) = choose(args.accel);
    let context = &Context {
        accelerator,
        accelerator_reason,
        dry_run: args.dry_run,
        ..context.clone()
    };
    if args.big_endian {
        return byte_orders(context);
    }
    let commands = commands(context, args)?;
    if args.dry_run {
        return dry_run(context, args, commands);
    }
    if args.host {
        setup::ensure_target(context)?;
    } else {
        prepare(context)?;
        // Before the tests: they run beside each other, and package managers do not. Who has
        // none can still run all others.
        type Ensure = fn(&Context) -> anyhow::Result<()>;
        let needs = [
            ("captures", setup::ensure_tshark as Ensure),
            ("gdb", setup::ensure_gdb),
        ];
        for (tests, ensure) in needs {
            if are_among(tests, args.filter.as_deref())
                && let Err(error) = ensure(context)
            {
                context.ui.warn(&format!("{error:#}"));
            }
        }
        images::build(context)?;
    }
    let mut tally = Tally::default();
    for (what, mut command) in commands {
        context.ui.progress(what);
        tested(&mut tally, &mut command)?;
    }
    data(&tally.closing_line());
    let nothing_ran = tally.passed + tally.failed == 0;
    if nothing_ran {
        context.ui.warn("no test has that in its name");
    }
    Ok(if tally.failed == 0 && !nothing_ran {
        Status::Pass
    } else {
        Status::Failed
    })
}

/// The test between a big-endian machine and a little-endian one.
fn byte_orders(context: &Context) -> anyhow::Result<Status> {
    if context.dry_run {
        let command = big_endian::test(context, "FOLDER".into());
        let words = command.get_args().map(|word| word.to_string_lossy());
        data(&format!("cargo {}", words.collect::<Vec<_>>().join(" ")));
        return Ok(Status::Pass);
    }
    setup::ensure_big_endian(context)?;
    context.ui.progress("building netmsgd for s390x");
    let folder = big_endian::build(context)?;
    let mut tally = Tally::default();
    tested(&mut tally, &mut big_endian::test(context, folder))?;
    data(&tally.closing_line());
    Ok(if tally.failed == 0 && tally.passed > 0 {
        Status::Pass
    } else {
        Status::Failed
    })
}

/// Whether the tests of this module are among those that the filter picks.
fn are_among(module: &str, filter: Option<&str>) -> bool {
    let prefix = format!("{module}::");
    filter.is_none_or(|filter| filter.starts_with(module) || prefix.contains(filter))
}

/// The test commands, and what each tests.
fn commands(context: &Context, args: &TestArgs) -> anyhow::Result<Vec<(&'static str, Command)>> {
    let mut commands = Vec::new();
    if !args.vm {
        let mut command = context.cargo();
        command.args(["test", "--no-fail-fast"]).args(&args.filter);
        commands.push(("tests of the crates", command));
        // What services are written with is there on the bare machine alone, and so are its
        // examples: most of them show what must not compile.
        let mut command = images::command(&context.workspace, "test");
        command
            .args(["--doc", "--package", "norma-kernel", "--no-fail-fast"])
            .args(&args.filter);
        commands.push(("examples for the bare machine", command));
    }
    if !args.host {
        let mut command = context.cargo();
        command
            .args(["test", "--package", "norma-tests", "--test", "vm", "--"])
            .args(&args.filter);
        // Some of them try the command itself.
        command.env(environment::PROGRAM, std::env::current_exe()?);
        command.env(environment::ACCELERATOR, context.accelerator.word());
        if let Some(path) = &args.pcap {
            command.env(environment::PCAP, std::path::absolute(path)?);
        }
        if let Some(path) = &args.trace {
            command.env(environment::TRACE, std::path::absolute(path)?);
        }
        commands.push(("tests of virtual machines", command));
    }
    Ok(commands)
}

/// Prints what would be run. Only the VM tests know their QEMU commands, so they are asked; the
/// images are built for that, because the paths of real ones are in the commands.
fn dry_run(
    context: &Context,
    args: &TestArgs,
    commands: Vec<(&str, Command)>,
) -> anyhow::Result<Status> {
    for (_, command) in &commands {
        let words = command.get_args().map(|word| word.to_string_lossy());
        data(&format!("cargo {}", words.collect::<Vec<_>>().join(" ")));
    }
    if args.host {
        return Ok(Status::Pass);
    }
    setup::ensure_target(context)?;
    images::build(context)?;
    let Some((_, mut command)) = commands.into_iter().last() else {
        return Ok(Status::Pass);
    };
    let output = command
        .env(environment::DRY_RUN, "1")
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: BTreeSet<_> = text
        .lines()
        .filter(|line| line.starts_with(PROGRAM))
        .collect();
    lines.iter().for_each(|line| data(line));
    Ok(if output.status.success() {
        Status::Pass
    } else {
        Status::Failed
    })
}

/// Runs a test command, shows what it prints and counts what it reports.
fn tested(tally: &mut Tally, command: &mut Command) -> anyhow::Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut counted = Tally::default();
    if let Some(stdout) = child.stdout.take() {
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches('\n');
            counted.note(text);
            data(text);
            line.clear();
        }
    }
    let status = child.wait()?;
    tally.add(counted, status.success());
    Ok(())
}
