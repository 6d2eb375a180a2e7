//! Building images for the bare machine.
//!
//! Owns the target, the compiler's flags and the target folder of images, and the finding of
//! what was built. Every package under `images/` (and every example that is an image) is built.
//!
//! Why flags are given here and not in `.cargo/config.toml`: the environment variable wins over
//! every other source of flags, so that a `RUSTFLAGS` of the user's own cannot break an image.
//! Why a target folder of its own: the flags differ from those of host programs, and two cargos
//! would wait for each other's lock.

use crate::context::Context;
use crate::similar;
use crate::workspace::{Workspace, cargo};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target of images.
pub const TARGET: &str = "x86_64-unknown-none";

/// The feature by which images note their events.
const TRACE: &str = "norma-boot/trace";

/// Folders whose packages are images.
const FOLDERS: [&str; 2] = ["images", "examples"];

/// Cryptographic crates pick vector code by CPUID at run time; images do not save vector
/// registers, so each crate is told to stay with plain code. The names differ by generation.
const CFGS: [&str; 8] = [
    "chacha20_force_soft",
    "poly1305_force_soft",
    "aes_backend=\"soft\"",
    "chacha20_backend=\"soft\"",
    "poly1305_backend=\"soft\"",
    "sha2_backend=\"soft\"",
    // Rolled up: little to translate for an emulator, and a node hashes little.
    "sha2_backend_soft=\"compact\"",
    "curve25519_dalek_backend=\"serial\"",
];

/// How much the compiler inlines unasked. Its own measure (225) makes images half as large again,
/// and what is to be inlined on the path of a message says so itself; what is called from cold
/// code, or is cold, is never worth it.
const INLINING: [&str; 4] = [
    "inline-threshold=80",
    "inlinehint-threshold=100",
    "inlinecold-threshold=5",
    "inline-cold-callsite-threshold=5",
];

/// An image that was built.
#[derive(Clone, Debug)]
pub struct Image {
    /// The package's name without `norma-image-`, or the program's.
    pub name: String,
    /// The ELF with its symbols, which QEMU starts.
    pub elf: PathBuf,
    /// Bytes that remain without symbols: what has to be stored to run it.
    pub stripped_bytes: u64,
}

/// All images of the workspace.
#[derive(Clone, Debug, Default)]
pub struct Images(Vec<Image>);

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Cargo cannot be started.
    #[error("cannot run cargo: {0}")]
    Cargo(std::io::Error),
    /// The images do not compile.
    #[error("the images do not compile; cargo's messages are above")]
    Compile,
    /// A workspace without images.
    #[error("there is no image: no package under {}", FOLDERS.join("/ or "))]
    None,
    /// Cargo built something else.
    #[error("cargo has built no {0}")]
    Missing(PathBuf),
    /// No such image.
    #[error("there is no image `{0}`; {1}")]
    Unknown(String, String),
}

impl Images {
    /// The image of this name.
    ///
    /// # Errors
    /// No such image; the error lists those that exist.
    pub fn get(&self, name: &str) -> Result<&Image, ImageError> {
        self.0
            .iter()
            .find(|image| image.name == name)
            .ok_or_else(|| {
                let known = self.0.iter().map(|image| image.name.as_str());
                ImageError::Unknown(name.into(), similar::expected(name, known))
            })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Image> {
        self.0.iter()
    }
}

/// Builds the images that a command starts, and no others. For a trace they are built to note
/// their events.
///
/// # Errors
/// They do not compile, or cargo is not there, or there is no such image.
pub fn wanted(context: &Context, wanted: &[&str]) -> Result<Images, ImageError> {
    let workspace = &context.workspace;
    let places = built(workspace)?;
    let mut programs = programs(workspace);
    for name in wanted {
        places.get(name)?;
    }
    programs.retain(|program| wanted.contains(&program.name.as_str()));
    let list = names(&programs);
    let traced = context.trace.is_some();
    let what = if traced { " with a trace" } else { "" };
    context
        .ui
        .progress(&format!("building images{what}: {list}"));
    let mut command = if traced {
        traced_command(workspace)
    } else {
        command(workspace, "build")
    };
    for program in &programs {
        command.args(["--bin", &program.file]);
    }
    compile(context, command, &programs)?;
    let folder = if traced {
        traced_folder(workspace)
    } else {
        target_folder(workspace)
    };
    let mut images = built_in(workspace, &folder)?;
    images
        .0
        .retain(|image| wanted.contains(&image.name.as_str()));
    all_there(images)
}

fn all_there(images: Images) -> Result<Images, ImageError> {
    match images.0.iter().find(|image| image.stripped_bytes == 0) {
        None => Ok(images),
        Some(image) => Err(ImageError::Missing(image.elf.clone())),
    }
}

/// Builds all images.
///
/// # Errors
/// They do not compile, or cargo is not there.
pub fn build(context: &Context) -> Result<Images, ImageError> {
    let workspace = &context.workspace;
    let programs = programs(workspace);
    if !programs.is_empty() {
        context
            .ui
            .progress(&format!("building images: {}", names(&programs)));
        compile(context, command(workspace, "build"), &programs)?;
    }
    all_there(built(workspace)?)
}

fn compile(
    context: &Context,
    mut command: Command,
    programs: &[Program],
) -> Result<(), ImageError> {
    if context.ui.is_quiet() {
        command.arg("--quiet");
    }
    for program in programs {
        command.args(["--package", &program.package]);
    }
    let status = command.status().map_err(ImageError::Cargo)?;
    if status.success() {
        Ok(())
    } else {
        Err(ImageError::Compile)
    }
}

/// The images where they lie, or will lie when they are built: for dry runs. The size of one
/// that is not there is 0.
///
/// # Errors
/// The workspace has no images at all.
pub fn built(workspace: &Workspace) -> Result<Images, ImageError> {
    built_in(workspace, &target_folder(workspace))
}

/// As [`built`], of images that note their events.
///
/// # Errors
/// The workspace has no images at all.
pub fn built_traced(workspace: &Workspace) -> Result<Images, ImageError> {
    built_in(workspace, &traced_folder(workspace))
}

fn built_in(workspace: &Workspace, folder: &Path) -> Result<Images, ImageError> {
    let folder = folder.join(TARGET).join("release");
    let image = |program: Program| {
        let elf = folder.join(&program.file);
        let bytes = std::fs::read(&elf).unwrap_or_default();
        Image {
            name: program.name,
            stripped_bytes: stripped(&bytes).len() as u64,
            elf,
        }
    };
    let images: Vec<_> = programs(workspace).into_iter().map(image).collect();
    if images.is_empty() {
        Err(ImageError::None)
    } else {
        Ok(Images(images))
    }
}

/// A cargo command for images: `build`, `clippy`, `doc`. Packages are still to be added.
#[must_use]
pub fn command(workspace: &Workspace, verb: &str) -> Command {
    command_to(workspace, verb, &target_folder(workspace))
}

/// Builds traced images: their parts lie with all others, for most are the same; but where the
/// images themselves go, those without a trace would take their place, and be started for them.
fn traced_command(workspace: &Workspace) -> Command {
    let mut command = command_to(workspace, "build", &traced_folder(workspace));
    command.args(["--features", TRACE]);
    command.env("CARGO_BUILD_BUILD_DIR", target_folder(workspace));
    command
}

fn command_to(workspace: &Workspace, verb: &str, folder: &Path) -> Command {
    let mut command = cargo();
    command.current_dir(&workspace.root).arg(verb);
    command.args(["--profile", "release", "--target", TARGET]);
    command.arg("--target-dir").arg(folder);
    command.env(
        "CARGO_ENCODED_RUSTFLAGS",
        flags(&workspace.root).join("\x1f"),
    );
    command.env_remove("RUSTFLAGS");
    command
}

/// The packages that only make sense on the bare machine.
#[must_use]
pub fn bare_packages(workspace: &Workspace) -> Vec<String> {
    let mut packages: Vec<_> = programs(workspace)
        .into_iter()
        .map(|program| program.package)
        .collect();
    packages.extend(["norma-boot", "norma-kernel", "norma-user"].map(String::from));
    packages.extend(crate::programs::packages(workspace));
    packages.dedup();
    packages
}

fn target_folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("images")
}

fn traced_folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("images-traced")
}

/// The compiler's flags for images.
fn flags(root: &Path) -> Vec<String> {
    let script = root.join("boot/image.ld");
    let mut flags = vec![
        // An image is linked for one fixed address in the top 2 GiB.
        "-Crelocation-model=static".to_owned(),
        format!("-Clink-arg=-T{}", script.display()),
        // Sections that want rights of their own start on pages of 4 KiB, not 2 MiB.
        "-Clink-arg=-zmax-page-size=4096".to_owned(),
        "-Clink-arg=--build-id=none".to_owned(),
        // A panic walks the frame pointers.
        "-Cforce-frame-pointers=yes".to_owned(),
    ];
    flags.extend(INLINING.map(|measure| format!("-Cllvm-args=-{measure}")));
    flags.extend(CFGS.map(|cfg| format!("--cfg={cfg}")));
    flags
}

/// A program that is an image.
struct Program {
    name: String,
    package: String,
    file: String,
}

fn programs(workspace: &Workspace) -> Vec<Program> {
    let packages = FOLDERS
        .into_iter()
        .flat_map(|folder| workspace.packages_under(folder));
    let programs = packages.flat_map(|package| {
        package.programs().map(|file| Program {
            name: short(file),
            package: package.name.clone(),
            file: file.to_owned(),
        })
    });
    programs.collect()
}

/// `norma-image-demo` is called `demo`.
fn short(name: &str) -> String {
    let stem = name.strip_prefix("norma-").unwrap_or(name);
    stem.strip_prefix("image-").unwrap_or(stem).to_owned()
}

fn names(programs: &[Program]) -> String {
    programs
        .iter()
        .map(|program| program.name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

/// A 64-bit ELF file without symbols and debug information: up to the end of its last loaded
/// segment, and without a table of sections. What is no such file stays as it is.
#[must_use]
pub fn stripped(elf: &[u8]) -> Vec<u8> {
    let mut rest = elf.to_vec();
    let Some(end) = loaded_end(elf) else {
        return rest;
    };
    rest.truncate(usize::try_from(end).unwrap_or(usize::MAX));
    // Where the table of sections is; how many there are, and which has their names.
    for field in [0x28..0x30, 0x3c..0x40] {
        if let Some(bytes) = rest.get_mut(field) {
            bytes.fill(0);
        }
    }
    rest
}

fn loaded_end(elf: &[u8]) -> Option<u64> {
    let word = |at: usize, size: usize| -> Option<u64> {
        let bytes = elf.get(at..at.checked_add(size)?)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |value, byte| value << 8 | u64::from(*byte)),
        )
    };
    let (table, size, count) = (word(0x20, 8)?, word(0x36, 2)?, word(0x38, 2)?);
    let mut end = 0;
    for i in 0..count {
        let header = usize::try_from(table.checked_add(i * size)?).ok()?;
        if word(header, 4)? == 1 {
            end = end.max(word(header + 8, 8)?.checked_add(word(header + 32, 8)?)?);
        }
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn names_are_short() {
        assert_eq!(short("norma-image-demo"), "demo");
        assert_eq!(short("norma-demo"), "demo");
        assert_eq!(short("bench"), "bench");
    }

    #[test]
    fn no_elf_can_confuse_the_size() {
        assert_eq!(stripped(b"short"), b"short");
        let mut elf = vec![0xff; 64];
        assert_eq!(stripped(&elf), elf);
        elf.fill(0);
        assert!(stripped(&elf).is_empty());
    }

    #[test]
    fn a_stripped_program_is_smaller_and_runs() {
        let elf = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let rest = stripped(&elf);
        assert!(!rest.is_empty() && rest.len() < elf.len());
        // What is left is still a program.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        std::fs::write(&path, rest).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let ran = Command::new(&path).arg("--list").output().unwrap();
        assert!(ran.status.success());
    }
}
