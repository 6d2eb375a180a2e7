//! What the host must have, and how to get it.
//!
//! Owns the checks that `cargo norma doctor` prints and the installation of what is missing: the
//! Rust target by rustup, QEMU, tshark and gdb by the system's package manager. Nothing is installed on the
//! system without being asked for: at a terminal the user is asked, `--yes` and `CI=true` go
//! ahead, and everything else prints the exact command and ends.

mod big_endian;
mod gdb;
mod packages;
mod qemu;
mod rust;
mod tools;
mod tshark;

pub use big_endian::ensure_big_endian;
pub use gdb::PROGRAM as GDB;
pub use packages::{Package, PackageManager};

use crate::context::Context;
use crate::status::{Ended, Status};
use std::ffi::OsStr;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked for.
    pub what: &'static str,
    /// Whether nothing works without it.
    pub required: bool,
    /// What was found, or what is wrong.
    pub state: State,
}

/// The state of one thing that was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is there: which, and where.
    Found(String),
    /// It is not.
    Missing {
        /// What was found in its place.
        found: String,
        /// The command or the deed that mends it.
        fix: String,
    },
}

/// Looks for everything, needed or useful.
#[must_use]
pub fn findings(context: &Context) -> Vec<Finding> {
    let mut all = vec![
        rust::compiler(context),
        image_target(context),
        tools::linker(),
    ];
    let qemu = qemu::program();
    let there = matches!(qemu.state, State::Found(_));
    all.push(qemu);
    if there {
        all.extend([qemu::links(), qemu::plugins()]);
    }
    all.extend([
        tools::accelerator(),
        static_target(context),
        rust::nightly(),
        tshark::program(),
        gdb::program(),
    ]);
    all
}

/// The target of images.
fn image_target(context: &Context) -> Finding {
    rust::target(context, crate::images::TARGET, "Rust target", true)
}

/// The target of programs for Linux guests, which `bench compare` and one test start.
fn static_target(context: &Context) -> Finding {
    rust::target(context, crate::linux::TARGET, "static target", false)
}

/// Makes sure that images can be built.
///
/// # Errors
/// The target is missing and cannot be installed.
pub fn ensure_target(context: &Context) -> anyhow::Result<()> {
    ensure_rust_target(context, crate::images::TARGET, image_target)
}

/// Makes sure that programs for Linux guests can be built.
///
/// # Errors
/// The target is missing and cannot be installed.
pub fn ensure_static_target(context: &Context) -> anyhow::Result<()> {
    ensure_rust_target(context, crate::linux::TARGET, static_target)
}

fn ensure_rust_target(
    context: &Context,
    target: &str,
    find: fn(&Context) -> Finding,
) -> anyhow::Result<()> {
    let State::Missing { found, fix } = find(context).state else {
        return Ok(());
    };
    if !rust::has_rustup() {
        return Err(Ended::new(Status::Failed, format!("{found}; {fix}")).into());
    }
    // No question: this goes into the user's own toolchain, which rust-toolchain.toml asks for.
    context
        .ui
        .progress(&format!("installing the Rust target: {fix}"));
    run(&mut rust::add_target(context, target))?;
    match find(context).state {
        State::Found(_) => Ok(()),
        State::Missing { found, .. } => {
            Err(Ended::new(Status::Failed, format!("{found}, still, after `{fix}`")).into())
        }
    }
}

/// Has the package manager fetch its lists anew, if it has any; `found` says why.
///
/// # Errors
/// Nobody agreed, or it failed: the error names the command.
pub fn refresh_packages(context: &Context, found: &str) -> anyhow::Result<()> {
    let Some(step) = PackageManager::find().and_then(|manager| manager.refresh()) else {
        return Ok(());
    };
    let line = step.line();
    if !may_install(context, found, &line)? {
        let text = format!("{found}. To mend it, run\n  {line}\nor give --yes");
        return Err(Ended::new(Status::Failed, text).into());
    }
    context
        .ui
        .progress(&format!("refreshing package lists: {line}"));
    run(&mut step.command())
}

/// Makes sure that QEMU is there and new enough.
///
/// # Errors
/// It is not, and was not installed: the error says what to do.
pub fn ensure_qemu(context: &Context) -> anyhow::Result<()> {
    ensure_package(context, Package::Qemu, qemu::program)
}

/// Makes sure that tshark is there, new enough and able to run the dissector.
///
/// # Errors
/// It is not, and was not installed: the error says what to do.
pub fn ensure_tshark(context: &Context) -> anyhow::Result<()> {
    ensure_package(context, Package::Tshark, tshark::program)
}

/// Makes sure that gdb is there, and runs Python.
///
/// # Errors
/// It is not, and was not installed: the error says what to do.
pub fn ensure_gdb(context: &Context) -> anyhow::Result<()> {
    ensure_package(context, Package::Gdb, gdb::program)
}

fn ensure_package(
    context: &Context,
    package: Package,
    find: fn() -> Finding,
) -> anyhow::Result<()> {
    let finding = find();
    let State::Missing { found, fix } = finding.state else {
        return Ok(());
    };
    let Some(manager) = PackageManager::find() else {
        return Err(Ended::new(Status::Failed, format!("{found}; {fix}")).into());
    };
    let line = manager.command_line(package);
    if !may_install(context, &found, &line)? {
        let text = format!("{found}. To install it, run\n  {line}\nor give --yes");
        return Err(Ended::new(Status::Failed, text).into());
    }
    context
        .ui
        .progress(&format!("installing {}: {line}", finding.what));
    for step in manager.steps(package) {
        let result = run(&mut step.command());
        // A package list that cannot be refreshed may still do.
        if step.required {
            result?;
        }
    }
    match find().state {
        State::Found(_) => Ok(()),
        State::Missing { found, .. } => {
            let text = format!("{found}, still, after `{line}`");
            Err(Ended::new(Status::Failed, text).into())
        }
    }
}

/// Whether the user, or who stands in for them, agrees.
fn may_install(context: &Context, found: &str, command: &str) -> anyhow::Result<bool> {
    if context.yes || std::env::var("CI").is_ok_and(|ci| ci == "true" || ci == "1") {
        return Ok(true);
    }
    let (stdin, mut stderr) = (std::io::stdin(), std::io::stderr());
    if !stdin.is_terminal() || !stderr.is_terminal() {
        return Ok(false);
    }
    write!(stderr, "{found}.\nMend it now with\n  {command}\n[y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Runs a tool whose output is progress, not data.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.stdout(Stdio::from(std::io::stderr())).status();
    let name = command.get_program().to_string_lossy().into_owned();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(anyhow::anyhow!("`{name}` failed: {status}")),
        Err(error) => Err(anyhow::anyhow!("cannot run `{name}`: {error}")),
    }
}

/// What a tool prints on stdout, if it runs and succeeds.
fn output(command: &mut Command) -> Option<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where a program is, as a shell would find it.
fn which(program: &str) -> Option<PathBuf> {
    which_in(&std::env::var_os("PATH")?, program)
}

/// As [`which`], with that `PATH`.
pub(crate) fn which_in(path: &OsStr, program: &str) -> Option<PathBuf> {
    std::env::split_paths(path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
