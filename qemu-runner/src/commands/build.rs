//! `cargo norma build`: the images, where they are and how large; or the daemon.

use super::data;
use crate::context::Context;
use crate::daemon;
use crate::images;
use crate::programs;
use crate::setup;
use crate::status::Status;
use std::path::Path;

/// Arguments of `cargo norma build`.
#[derive(Clone, Debug, clap::Args)]
pub struct BuildArgs {
    /// Build netmsgd and its benchmark programs instead, static, for Linux on x86-64
    #[arg(long)]
    pub daemon: bool,
}

/// Builds all images, or the daemon, and prints a line for each: name, bytes without symbols,
/// path; with the images go the programs for tasks, in one archive.
///
/// # Errors
/// The target cannot be installed, or something does not compile.
pub fn run(context: &Context, args: &BuildArgs) -> anyhow::Result<Status> {
    if args.daemon {
        return daemons(context);
    }
    setup::ensure_target(context)?;
    let images = images::build(context)?;
    for image in images.iter() {
        line(&image.name, image.stripped_bytes, &image.elf);
    }
    let programs = programs::build(context)?;
    data(&format!("programs     {}", programs.display()));
    Ok(Status::Pass)
}

fn daemons(context: &Context) -> anyhow::Result<Status> {
    let program = daemon::build(context)?;
    for (name, path) in [
        (daemon::PACKAGE, program.clone()),
        (daemon::BENCH, program.with_file_name(daemon::BENCH)),
    ] {
        line(name, std::fs::metadata(&path)?.len(), &path);
    }
    Ok(Status::Pass)
}

fn line(name: &str, bytes: u64, path: &Path) {
    data(&format!("{name:<12} {bytes:>9} bytes  {}", path.display()));
}
