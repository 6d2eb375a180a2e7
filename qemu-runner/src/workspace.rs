//! Where things are.
//!
//! Owns the paths of the workspace that the runner works on, and the packages in it, as
//! `cargo metadata` tells them.

use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// Its top folder.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
    /// Its packages.
    pub packages: Vec<Package>,
}

/// A package of the workspace.
#[derive(Clone, Debug, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its `Cargo.toml`.
    pub manifest_path: PathBuf,
    /// What it builds.
    pub targets: Vec<Target>,
    /// What it depends on.
    pub dependencies: Vec<Dependency>,
}

/// One thing that a package builds.
#[derive(Clone, Debug, Deserialize)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// `bin`, `lib`, `test`, …
    pub kind: Vec<String>,
}

/// One dependency of a package.
#[derive(Clone, Debug, Deserialize)]
pub struct Dependency {
    /// The other package's name.
    pub name: String,
    /// `None` for a normal dependency, else `dev` or `build`.
    pub kind: Option<String>,
    /// Where it lies, for a package of the workspace.
    pub path: Option<PathBuf>,
}

/// Why the workspace cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// Cargo cannot be started.
    #[error("cannot run `{0}`: {1}")]
    Cargo(String, std::io::Error),
    /// Cargo does not like the workspace.
    #[error("`cargo metadata` failed:\n{0}")]
    Metadata(String),
    /// Cargo's answer is not what was expected.
    #[error("the answer of `cargo metadata` cannot be read: {0}")]
    Answer(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

impl Workspace {
    /// The workspace that this program was built from, or else the one around the current
    /// folder.
    ///
    /// # Errors
    /// Cargo is not there or does not like the workspace.
    pub fn find() -> Result<Self, WorkspaceError> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let mut command = cargo();
        command.args(["metadata", "--format-version", "1", "--no-deps"]);
        if manifest.exists() {
            command.arg("--manifest-path").arg(manifest);
        }
        let output = command.output().map_err(|error| {
            WorkspaceError::Cargo(command.get_program().to_string_lossy().into_owned(), error)
        })?;
        if !output.status.success() {
            return Err(WorkspaceError::Metadata(
                String::from_utf8_lossy(&output.stderr).into_owned(),
            ));
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
        Ok(Self {
            root: metadata.workspace_root,
            target: metadata.target_directory,
            packages: metadata.packages,
        })
    }

    /// The packages whose folders lie under `folder`.
    pub fn packages_under(&self, folder: &str) -> impl Iterator<Item = &Package> {
        let folder = self.root.join(folder);
        self.packages
            .iter()
            .filter(move |package| package.manifest_path.starts_with(&folder))
    }
}

impl Package {
    /// The names of its programs.
    pub fn programs(&self) -> impl Iterator<Item = &str> {
        let programs = self
            .targets
            .iter()
            .filter(|target| target.kind.iter().any(|kind| kind == "bin"));
        programs.map(|target| target.name.as_str())
    }
}

/// A command that runs the cargo which runs us, without what it told us about ourselves.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // `cargo run` sets these for this program; another cargo must not take them for its own.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_")
            || text.starts_with("CARGO_MANIFEST_")
            || text.starts_with("CARGO_BIN_")
        {
            command.env_remove(&name);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_itself() {
        let workspace = Workspace::find().unwrap();
        assert!(workspace.root.join("qemu-runner/Cargo.toml").exists());
        let runner = workspace
            .packages_under("qemu-runner")
            .find(|package| package.name == "qemu-runner");
        assert_eq!(runner.unwrap().programs().collect::<Vec<_>>(), ["norma"]);
    }
}
