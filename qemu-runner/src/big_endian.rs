//! Programs for a big-endian machine, s390x, under the emulator of its programs.
//!
//! Owns how they are built, and how the test that needs them is run. Why s390x: it is the one
//! big-endian machine for which Rust and Debian have all that is needed.

use crate::context::Context;
use crate::daemon::PACKAGE;
use anyhow::{Context as _, ensure};
use std::path::PathBuf;
use std::process::Command;

/// The target.
pub const TARGET: &str = "s390x-unknown-linux-gnu";

/// What links its programs.
pub const LINKER: &str = "s390x-linux-gnu-gcc";

/// What runs them.
pub const EMULATOR: &str = "qemu-s390x";

/// Builds the daemon and the program that talks in items, for this machine and for the other one;
/// tells in which folder the latter lie. They are static, so that the emulator needs no libraries
/// of that machine.
///
/// # Errors
/// They do not compile, or cargo is not there.
pub fn build(context: &Context) -> anyhow::Result<PathBuf> {
    let folder = context.workspace.target.join("big-endian");
    let command = || {
        let mut cargo = context.cargo();
        cargo.args(["build", "--quiet", "--package", PACKAGE]);
        cargo.args(["--bins", "--examples"]);
        cargo
    };
    // Cargo builds examples for a test that is named only as tests of their own.
    compile(command(), "this machine")?;
    let mut cargo = command();
    cargo
        .args(["--target", TARGET, "--target-dir"])
        .arg(&folder)
        .env("CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_LINKER", LINKER)
        .env("RUSTFLAGS", "-Ctarget-feature=+crt-static")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    compile(cargo, TARGET)?;
    Ok(folder.join(TARGET).join("debug"))
}

fn compile(mut cargo: Command, machine: &str) -> anyhow::Result<()> {
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(
        status.success(),
        "{PACKAGE} does not compile for {machine}; cargo's messages are above"
    );
    Ok(())
}

/// The command that runs the test with programs that lie in `folder`.
#[must_use]
pub fn test(context: &Context, folder: PathBuf) -> Command {
    let mut cargo = context.cargo();
    cargo
        .args(["test", "--package", PACKAGE])
        .args(["--test", "big_endian", "--", "--include-ignored"])
        .env("NORMA_EMULATOR", EMULATOR)
        .env("NORMA_BIG_ENDIAN", folder);
    cargo
}
