//! `cargo norma fuzz`: random bytes for the parsers, for some time.

use super::miri::nightly;
use super::{data, succeeds};
use crate::context::Context;
use crate::similar;
use crate::status::{Ended, Status};
use std::path::PathBuf;

/// Folders that may hold a `cargo fuzz` project.
const FOLDERS: [&str; 4] = ["tests/fuzz", "net/wire/fuzz", "net/fuzz", "fuzz"];

/// Arguments of `cargo norma fuzz`.
#[derive(Clone, Debug, clap::Args)]
pub struct FuzzArgs {
    /// The fuzz target; without it all are listed
    pub target: Option<String>,
    /// How long to run, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub seconds: u64,
}

/// Runs a fuzz target.
///
/// # Errors
/// There is no nightly Rust with cargo-fuzz; the error names the commands that install them.
pub fn run(context: &Context, args: &FuzzArgs) -> anyhow::Result<Status> {
    let Some(folder) = folder(context) else {
        return Err(Ended::new(
            Status::Failed,
            format!("there are no fuzz targets in {}", FOLDERS.join(", ")),
        )
        .into());
    };
    let Some(target) = &args.target else {
        for name in targets(&folder)? {
            data(&name);
        }
        return Ok(Status::Pass);
    };
    let known = targets(&folder)?;
    if !known.contains(target) {
        let text = format!(
            "there is no fuzz target `{target}`; {}",
            similar::expected(target, known.iter().map(String::as_str))
        );
        return Err(Ended::usage(text).into());
    }
    let mut probe = nightly(context);
    if !succeeds(probe.args(["fuzz", "--version"])).unwrap_or(false) {
        let text = "fuzzing needs a nightly Rust and cargo-fuzz. To install them, run\n  \
                    rustup toolchain install nightly && cargo install cargo-fuzz";
        return Err(Ended::new(Status::Failed, text).into());
    }
    let mut command = nightly(context);
    command
        .arg("fuzz")
        .arg("run")
        .arg("--fuzz-dir")
        .arg(&folder)
        .arg(target);
    command
        .arg("--")
        .arg(format!("-max_total_time={}", args.seconds));
    Ok(if succeeds(&mut command)? {
        Status::Pass
    } else {
        Status::Failed
    })
}

fn folder(context: &Context) -> Option<PathBuf> {
    let mut folders = FOLDERS
        .iter()
        .map(|folder| context.workspace.root.join(folder));
    folders.find(|folder| folder.join("Cargo.toml").is_file())
}

fn targets(folder: &std::path::Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder.join("fuzz_targets"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(
                path.file_stem()
                    .map(|stem| stem.to_string_lossy().into_owned()),
            );
        }
    }
    names.sort();
    Ok(names)
}
