//! `cargo norma check`: formatting, lints and documentation, as CI runs them.

use super::succeeds;
use crate::context::Context;
use crate::images;
use crate::setup;
use crate::status::Status;
use std::process::Command;

/// Runs all checks, also after one has failed, so that one run shows everything.
///
/// # Errors
/// A tool cannot be run.
pub fn run(context: &Context) -> anyhow::Result<Status> {
    setup::ensure_target(context)?;
    let mut failed = Vec::new();
    for (name, mut command) in checks(context) {
        context.ui.progress(&format!("check: {name}"));
        if !succeeds(&mut command)? {
            failed.push(name);
        }
    }
    if failed.is_empty() {
        context.ui.progress("check: all is well");
        return Ok(Status::Pass);
    }
    context
        .ui
        .error(&format!("check failed: {}", failed.join(", ")));
    Ok(Status::Failed)
}

fn checks(context: &Context) -> Vec<(&'static str, Command)> {
    let cargo = |words: &[&str]| {
        let mut command = context.cargo();
        command.args(words);
        command
    };
    let mut docs = cargo(&["doc", "--workspace"]);
    for package in images::bare_packages(&context.workspace) {
        docs.args(["--exclude", &package]);
    }
    let bare_docs = bare(context, "doc", &[]);
    let strict = |mut command: Command| {
        command.args(["--no-deps", "--document-private-items", "--keep-going"]);
        // Private items have pages here, so links to them lead somewhere.
        command.env(
            "RUSTDOCFLAGS",
            "-D warnings -A rustdoc::private_intra_doc_links",
        );
        command
    };
    vec![
        ("formatting", cargo(&["fmt", "--all", "--", "--check"])),
        (
            "lints",
            cargo(&[
                "clippy",
                "--all-targets",
                "--keep-going",
                "--",
                "-D",
                "warnings",
            ]),
        ),
        (
            "lints of the tests of virtual machines",
            cargo(&[
                "clippy",
                "--package=norma-tests",
                "--test=vm",
                "--",
                "-D",
                "warnings",
            ]),
        ),
        (
            "lints of images",
            bare(context, "clippy", &["--keep-going", "--", "-D", "warnings"]),
        ),
        ("lints of fuzz targets", fuzz_targets(context)),
        ("documentation", strict(docs)),
        ("documentation of images", strict(bare_docs)),
    ]
}

/// The fuzz targets are a workspace of their own. To look at them needs no fuzzer: that it is
/// there already is what the library's build is told, so that it compiles none.
fn fuzz_targets(context: &Context) -> Command {
    let mut command = context.cargo();
    command
        .args(["clippy", "--manifest-path", "fuzz/Cargo.toml"])
        .args(["--keep-going", "--", "-D", "warnings"])
        .env("CUSTOM_LIBFUZZER_PATH", "/nowhere/libfuzzer.a");
    command
}

/// A check of the packages that only make sense on the bare machine.
fn bare(context: &Context, verb: &str, rest: &[&str]) -> Command {
    let mut command = images::command(&context.workspace, verb);
    for package in images::bare_packages(&context.workspace) {
        command.args(["--package", &package]);
    }
    command.args(rest);
    command
}
