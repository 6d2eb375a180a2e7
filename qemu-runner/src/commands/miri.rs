//! `cargo norma miri`: the pure crates under Miri, which finds undefined behaviour.

use super::succeeds;
use crate::context::Context;
use crate::status::{Ended, Status};
use anyhow::Context as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// The crates that need no device, clock or system; those that take longest first, as each
/// processor takes the next one when it is free.
const PURE: [&str; 6] = [
    "norma-ipc",
    "norma-flip",
    "norma-net",
    "norma-wire",
    "norma-inspect",
    "norma-trace",
];

/// Cases per property: Miri is a hundred times slower than the machine.
const CASES: &str = "4";

/// Arguments of `cargo norma miri`.
#[derive(Clone, Debug, clap::Args)]
pub struct MiriArgs {
    /// Only tests whose names contain this
    pub filter: Option<String>,
    /// Only this crate
    #[arg(long, value_name = "CRATE")]
    pub package: Option<String>,
}

/// Runs the tests of the pure crates.
///
/// # Errors
/// There is no nightly Rust with Miri; the error names the command that installs it.
pub fn run(context: &Context, args: &MiriArgs) -> anyhow::Result<Status> {
    ensure_miri(context)?;
    let packages: &[&str] = match &args.package {
        Some(package) => &[package.as_str()],
        None => &PURE,
    };
    let next = Mutex::new(packages.iter());
    let take = || next.lock().ok()?.next();
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let all = std::thread::scope(|scope| {
        let job = || -> anyhow::Result<bool> {
            let mut passed = true;
            while let Some(package) = take() {
                passed &= test(context, package, args.filter.as_deref())?;
            }
            Ok(passed)
        };
        let jobs: Vec<_> = (0..jobs.min(packages.len()))
            .map(|_| scope.spawn(job))
            .collect();
        jobs.into_iter().try_fold(true, |passed, job| {
            let ended = job.join().map_err(|_| anyhow::anyhow!("a job panicked"))?;
            anyhow::Ok(passed & ended?)
        })
    })?;
    Ok(if all { Status::Pass } else { Status::Failed })
}

/// The tests of one crate. Miri uses one processor, so several crates are tested at a time;
/// what each prints comes in one piece, at its end.
fn test(context: &Context, package: &str, filter: Option<&str>) -> anyhow::Result<bool> {
    let mut command = nightly(context);
    command.args(["miri", "test", "--tests", "--package", package]);
    if let Some(filter) = filter {
        command.args(["--", filter]);
    }
    // Property tests keep their failures in files, and read the environment.
    command
        .env("MIRIFLAGS", "-Zmiri-disable-isolation")
        .env("PROPTEST_CASES", CASES)
        .stdin(Stdio::null());
    let output = command.output().context("cannot run rustup")?;
    let mut screen = std::io::stderr().lock();
    writeln!(screen, "== Miri: {package}")?;
    screen.write_all(&output.stderr)?;
    screen.write_all(&output.stdout)?;
    Ok(output.status.success())
}

fn ensure_miri(context: &Context) -> anyhow::Result<()> {
    let mut probe = nightly(context);
    if succeeds(probe.args(["miri", "--version"])).unwrap_or(false) {
        return Ok(());
    }
    let text = "Miri needs a nightly Rust. To install it, run\n  \
                rustup toolchain install nightly --component miri,rust-src";
    Err(Ended::new(Status::Failed, text).into())
}

/// A nightly cargo. What the stable cargo told us about itself must not reach it.
pub(super) fn nightly(context: &Context) -> Command {
    let mut command = Command::new("rustup");
    command
        .current_dir(&context.workspace.root)
        .args(["run", "nightly", "cargo"]);
    for name in [
        "CARGO",
        "RUSTC",
        "RUSTDOC",
        "RUSTUP_TOOLCHAIN",
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
    ] {
        command.env_remove(name);
    }
    command
}
