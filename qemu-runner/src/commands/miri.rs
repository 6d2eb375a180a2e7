//! `cargo norma miri`: the pure crates under Miri, which finds undefined behaviour.

use super::succeeds;
use crate::context::Context;
use crate::status::{Ended, Status};
use std::process::Command;

/// The crates that need no device, clock or system.
const PURE: [&str; 4] = ["norma-ipc", "norma-wire", "norma-flip", "norma-net"];

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
    let mut command = nightly(context);
    command.args(["miri", "test", "--tests"]);
    match &args.package {
        Some(package) => command.args(["--package", package]),
        None => command.args(PURE.iter().flat_map(|package| ["--package", package])),
    };
    if let Some(filter) = &args.filter {
        command.args(["--", filter]);
    }
    // Property tests keep their failures in files, and read the environment.
    command
        .env("MIRIFLAGS", "-Zmiri-disable-isolation")
        .env("PROPTEST_CASES", CASES);
    Ok(if succeeds(&mut command)? {
        Status::Pass
    } else {
        Status::Failed
    })
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
