//! The commands of `cargo norma`, one module each.

pub mod build;
pub mod call;
pub mod check;
pub mod demo;
pub mod doctor;
pub mod fuzz;
pub mod gdb;
pub mod miri;
pub mod sim;
pub mod test;
pub mod up;

mod tally;

use crate::context::Context;
use crate::setup;
use crate::status::{Ended, Status};
use std::io::Write;
use std::process::{Command, Stdio};

/// Makes sure that images can be built and started, and says with what. A dry run starts
/// nothing and needs nothing.
///
/// # Errors
/// Something is missing and was not installed.
pub fn prepare(context: &Context) -> anyhow::Result<()> {
    if !context.dry_run {
        setup::ensure_target(context)?;
        setup::ensure_qemu(context)?;
        context.say_accelerator();
    }
    Ok(())
}

/// Prints data. A reader that has gone away is no error.
fn data(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}");
    let _ = stdout.flush();
}

/// Runs a tool to its end, its output being progress. False when it failed.
fn succeeds(command: &mut Command) -> anyhow::Result<bool> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::from(std::io::stderr()))
        .status();
    match status {
        Ok(status) => Ok(status.success()),
        Err(error) => {
            Err(Ended::new(Status::Failed, format!("cannot run `{name}`: {error}")).into())
        }
    }
}

/// Different from run to run, and short enough to be typed.
fn random_seed() -> u64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    (now.as_nanos() as u64 ^ u64::from(std::process::id())) % 1_000_000
}
