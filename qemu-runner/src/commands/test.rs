//! `cargo norma test`: everything that can be tested on this host.
//!
//! Owns the order (crates on the host, then whole virtual machines) and the closing line, which
//! counts all of them. A filter goes to every test program, as with `cargo test`.

use super::tally::Tally;
use super::{data, prepare};
use crate::context::Context;
use crate::images;
use crate::status::Status;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

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
}

/// Runs the tests and prints the closing line.
///
/// # Errors
/// Something is missing and was not installed, or an image does not compile.
pub fn run(context: &Context, args: &TestArgs) -> anyhow::Result<Status> {
    if !args.host {
        prepare(context)?;
        images::build(context)?;
    }
    let mut tally = Tally::default();
    let filter = args.filter.as_slice();
    if !args.vm {
        context.ui.progress("tests of the crates");
        let mut command = context.cargo();
        command.args(["test", "--no-fail-fast"]);
        tested(&mut tally, command.args(filter))?;
    }
    if !args.host {
        context.ui.progress("tests of virtual machines");
        let mut command = context.cargo();
        command.args(["test", "--package", "norma-tests", "--test", "vm", "--"]);
        // Some of them try the command itself.
        command.env("NORMA_PROGRAM", std::env::current_exe()?);
        tested(&mut tally, command.args(filter))?;
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
