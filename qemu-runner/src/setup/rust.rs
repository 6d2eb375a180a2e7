//! The Rust toolchain and its target for images.

use super::{Finding, State, output, which};
use crate::context::Context;
use std::path::Path;
use std::process::Command;

pub(super) fn has_rustup() -> bool {
    which("rustup").is_some()
}

/// The compiler that builds the product.
pub(super) fn compiler(context: &Context) -> Finding {
    let version = output(rustc(context).arg("--version"));
    let state = match version {
        Some(version) => State::Found(version.trim().to_owned()),
        None => State::Missing {
            found: "rustc does not run here".into(),
            fix: "install Rust with rustup (https://rustup.rs)".into(),
        },
    };
    Finding {
        what: "Rust compiler",
        required: true,
        state,
    }
}

/// The standard library of a target.
pub(super) fn target(
    context: &Context,
    target: &str,
    what: &'static str,
    required: bool,
) -> Finding {
    let sysroot = output(rustc(context).args(["--print", "sysroot"]));
    let library = sysroot.map(|root| {
        Path::new(root.trim())
            .join("lib/rustlib")
            .join(target)
            .join("lib")
    });
    let state = match library.filter(|folder| folder.is_dir()) {
        Some(folder) => State::Found(folder.display().to_string()),
        None => State::Missing {
            found: format!("the Rust target {target} is not installed"),
            fix: if has_rustup() {
                format!("rustup target add {target}")
            } else {
                format!(
                    "this Rust was not installed by rustup: install its standard library for {target} the way Rust was"
                )
            },
        },
    };
    Finding {
        what,
        required,
        state,
    }
}

pub(super) fn add_target(context: &Context, target: &str) -> Command {
    let mut command = Command::new("rustup");
    command
        .current_dir(&context.workspace.root)
        .args(["target", "add", target]);
    command
}

/// The nightly toolchain with Miri, for two of the checks only.
pub(super) fn nightly() -> Finding {
    let installed = output(Command::new("rustup").args([
        "component",
        "list",
        "--toolchain",
        "nightly",
        "--installed",
    ]));
    let has = |name: &str| {
        installed
            .as_deref()
            .is_some_and(|list| list.lines().any(|line| line.starts_with(name)))
    };
    let state = if has("miri") && has("rust-src") {
        State::Found("nightly with miri and rust-src".into())
    } else {
        State::Missing {
            found: "no nightly toolchain with miri and rust-src (only `cargo norma miri` and `fuzz` need it)".into(),
            fix: "rustup toolchain install nightly --component miri,rust-src".into(),
        }
    };
    Finding {
        what: "nightly Rust",
        required: false,
        state,
    }
}

fn rustc(context: &Context) -> Command {
    let mut command = Command::new("rustc");
    command.current_dir(&context.workspace.root);
    command
}
