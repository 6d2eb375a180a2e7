//! Building programs for tasks, and the archive in which an image gets them.
//!
//! Owns the flags of programs, their target folder, and the archive: what `cpio -o -H newc`
//! would write, made here so that no tool is needed. Every package under `user/programs` is
//! built.

use crate::context::Context;
use crate::images::{ImageError, TARGET, stripped};
use crate::workspace::{Workspace, cargo};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder whose packages are programs.
const FOLDER: &str = "user/programs";

/// The prefix of their files.
const PREFIX: &str = "program-";

/// Builds all programs and packs them; the archive.
///
/// # Errors
/// They do not compile, cargo is not there, or the archive cannot be written.
pub fn build(context: &Context) -> Result<PathBuf, ImageError> {
    let workspace = &context.workspace;
    let archive = archive(workspace);
    let files: Vec<_> = workspace
        .packages_under(FOLDER)
        .flat_map(|package| package.programs().map(str::to_owned))
        .collect();
    context.ui.progress("building programs for tasks");
    let mut command = command(workspace, "build");
    if context.ui.is_quiet() {
        command.arg("--quiet");
    }
    for package in packages(workspace) {
        command.args(["--package", &package]);
    }
    let status = command.status().map_err(ImageError::Cargo)?;
    if !status.success() {
        return Err(ImageError::Compile);
    }
    let folder = target_folder(workspace).join(TARGET).join("release");
    let mut contents = Vec::new();
    for file in files {
        let path = folder.join(&file);
        let program = std::fs::read(&path).map_err(|_| ImageError::Missing(path))?;
        let name = file.strip_prefix(PREFIX).unwrap_or(&file);
        append(&mut contents, name, &stripped(&program));
    }
    append(&mut contents, "TRAILER!!!", &[]);
    std::fs::write(&archive, contents).map_err(|_| ImageError::Missing(archive.clone()))?;
    Ok(archive)
}

/// Where the archive lies, or will lie.
#[must_use]
pub fn archive(workspace: &Workspace) -> PathBuf {
    target_folder(workspace).join("programs.cpio")
}

/// The packages that are programs.
#[must_use]
pub fn packages(workspace: &Workspace) -> Vec<String> {
    let packages = workspace.packages_under(FOLDER);
    packages.map(|package| package.name.clone()).collect()
}

fn command(workspace: &Workspace, verb: &str) -> Command {
    let mut command = cargo();
    command.current_dir(&workspace.root).arg(verb);
    command.args(["--profile", "release", "--target", TARGET]);
    command.arg("--target-dir").arg(target_folder(workspace));
    let flags = flags(&workspace.root).join("\x1f");
    command.env("CARGO_ENCODED_RUSTFLAGS", flags);
    command.env_remove("RUSTFLAGS");
    command
}

fn target_folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("programs")
}

fn flags(root: &Path) -> [String; 4] {
    [
        // A program is linked for one fixed address.
        "-Crelocation-model=static".to_owned(),
        format!("-Clink-arg=-T{}", root.join("user/program.ld").display()),
        "-Clink-arg=-zmax-page-size=4096".to_owned(),
        "-Clink-arg=--build-id=none".to_owned(),
    ]
}

/// Adds an entry to an archive of the format `newc`.
fn append(archive: &mut Vec<u8>, name: &str, contents: &[u8]) {
    let file = 0o100_644;
    let numbers = [
        0,
        file,
        0,
        0,
        1,
        0,
        contents.len(),
        0,
        0,
        0,
        0,
        name.len() + 1,
        0,
    ];
    archive.extend_from_slice(b"070701");
    for number in numbers {
        archive.extend_from_slice(format!("{number:08x}").as_bytes());
    }
    archive.extend_from_slice(name.as_bytes());
    archive.push(0);
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend_from_slice(contents);
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_what_cpio_reads() {
        let mut archive = Vec::new();
        append(&mut archive, "ab", b"12345");
        append(&mut archive, "TRAILER!!!", &[]);
        assert_eq!(&archive[..6], b"070701");
        assert_eq!(&archive[54..62], b"00000005");
        assert_eq!(&archive[94..102], b"00000003");
        assert_eq!(&archive[110..113], b"ab\0");
        assert_eq!(&archive[116..121], b"12345");
        assert_eq!(&archive[124..130], b"070701");
        assert_eq!(archive.len() % 4, 0);
    }
}
