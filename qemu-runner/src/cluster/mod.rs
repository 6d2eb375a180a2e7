//! The cluster file: nodes, networks and faults in TOML.
//!
//! Owns reading and checking such a file and turning it into a [`Plan`]. Each error names the
//! file, the line and what was expected. The format is described in `docs/cluster.md`.

mod check;
mod file;
pub mod rules;

use crate::daemon::DaemonPlan;
use crate::images::Images;
use crate::qemu::Machine;
use crate::run::{NodePlan, Plan};
use crate::similar;
use file::{ClusterFile, NodeEntry};
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// A cluster file that was read and found good.
#[derive(Debug)]
pub struct Cluster {
    file: ClusterFile,
    path: PathBuf,
    text: String,
    folder: PathBuf,
    /// Networks by the places of their nodes.
    networks: Vec<(String, Vec<usize>)>,
}

/// What is wrong with a cluster file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {text}", file.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct ClusterError {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; none if there is no text to count them in.
    pub line: Option<usize>,
    /// What is wrong and what was expected.
    pub text: String,
}

impl Cluster {
    /// Reads a cluster file.
    ///
    /// # Errors
    /// It cannot be read, is no TOML, or says something that makes no sense.
    pub fn read(path: &Path) -> Result<Self, ClusterError> {
        Self::parse(&read_text(path)?, path)
    }

    /// Checks the text of a cluster file. `path` is used for messages, and its folder to find
    /// the files that are named in it.
    ///
    /// # Errors
    /// As [`Cluster::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ClusterError> {
        let at = |offset, message| error_at(path, text, offset, message);
        let file: ClusterFile = from_toml(text, path)?;
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let networks =
            check::check(&file, &folder).map_err(|mistake| at(mistake.at, mistake.text))?;
        Ok(Self {
            file,
            path: path.into(),
            text: text.into(),
            folder,
            networks,
        })
    }

    /// Checks that there are the images that the file names.
    ///
    /// # Errors
    /// The first that there is not.
    pub fn check_images(&self, images: &Images) -> Result<(), ClusterError> {
        let named = self.file.node.iter().map(|node| &node.get_ref().image);
        for image in named.filter(|image| !is_path(image.get_ref())) {
            if let Err(error) = images.get(image.get_ref()) {
                let (at, message) = (image.span().start, error.to_string());
                return Err(error_at(&self.path, &self.text, at, message));
            }
        }
        Ok(())
    }

    /// The plan that the file describes. `machine` and `seed` are used where the file gives none.
    ///
    /// # Errors
    /// A node's image does not exist.
    pub fn plan(
        &self,
        images: &Images,
        machine: Machine,
        seed: u64,
    ) -> Result<Plan, crate::images::ImageError> {
        let nodes = self
            .file
            .node
            .iter()
            .map(|node| self.node(node.get_ref(), images, machine));
        let mut plan = Plan::new(nodes.collect::<Result<_, _>>()?);
        for (place, (name, members)) in self.networks.iter().enumerate() {
            plan = plan.network(name, members.clone());
            // Without an entry in the file there is the one network of all nodes.
            if let Some(entry) = self.file.network.get(place).map(toml::Spanned::get_ref) {
                plan = plan.network_mtu(mtu(&entry.mtu));
                plan = if entry.trusted {
                    plan
                } else {
                    plan.untrusted()
                };
            }
        }
        let rules = self
            .file
            .fault
            .iter()
            .map(|rule| rule.get_ref().clone())
            .collect();
        let plan = plan
            .cluster(self.file.name.get_ref())
            .faults(self.file.seed.unwrap_or(seed), rules);
        // The host's own port, which the daemon is given.
        Ok(match self.file.netmsgd {
            Some(_) => plan.switched(),
            None => plan,
        })
    }

    /// The daemon that the file asks for; `program` is what is started and `socket` where
    /// programs find it, unless the file says so.
    #[must_use]
    pub fn daemon(&self, program: &Path, socket: &Path) -> Option<DaemonPlan> {
        let entry = self.file.netmsgd.as_ref()?;
        let socket = match &entry.socket {
            Some(path) => self.folder.join(path),
            None => socket.to_owned(),
        };
        Some(DaemonPlan {
            program: program.to_owned(),
            node: entry.name.get_ref().clone(),
            cluster: self.file.name.get_ref().clone(),
            socket,
            networks: (0..self.networks.len())
                .map(|place| {
                    let entry = self.file.network.get(place).map(toml::Spanned::get_ref);
                    entry.is_none_or(|entry| entry.trusted)
                })
                .collect(),
        })
    }

    /// Whether the file asks for a daemon.
    #[must_use]
    pub fn has_daemon(&self) -> bool {
        self.file.netmsgd.is_some()
    }

    fn node(
        &self,
        node: &NodeEntry,
        images: &Images,
        machine: Machine,
    ) -> Result<NodePlan, crate::images::ImageError> {
        let image = node.image.get_ref();
        let elf = match is_path(image) {
            true => self.folder.join(image),
            false => images.get(image)?.elf.clone(),
        };
        let mut plan = NodePlan::new(node.name.get_ref(), &elf)
            .machine(node.machine.unwrap_or(machine))
            .memory(u32::try_from(*node.memory.get_ref()).unwrap_or(u32::MAX))
            .mtu(mtu(&node.mtu))
            .extra(node.qemu.iter().map(String::as_str));
        for word in &node.arguments {
            plan = plan.argument(word.get_ref());
        }
        if let Some(module) = &node.module {
            plan = plan.module(&self.folder.join(module.get_ref()));
        }
        Ok(plan)
    }

    /// The images that the file names (not those that it gives as paths).
    #[must_use]
    pub fn image_names(&self) -> Vec<&str> {
        let images = self
            .file
            .node
            .iter()
            .map(|node| node.get_ref().image.get_ref().as_str());
        images.filter(|image| !is_path(image)).collect()
    }

    /// Whether the file has faults, so that a seed matters.
    #[must_use]
    pub fn has_faults(&self) -> bool {
        !self.file.fault.is_empty()
    }

    /// The seed that the file gives.
    #[must_use]
    pub fn seed(&self) -> Option<u64> {
        self.file.seed
    }

    /// The nodes whose end is waited for: all but services.
    #[must_use]
    pub fn awaited(&self) -> Vec<&str> {
        let nodes = self.file.node.iter().map(toml::Spanned::get_ref);
        nodes
            .filter(|node| !node.service)
            .map(|node| node.name.get_ref().as_str())
            .collect()
    }
}

/// An image given by path has a slash in it; all others are names.
fn is_path(image: &str) -> bool {
    image.contains('/')
}

/// Checked to be one (`check.rs`).
fn mtu(mtu: &toml::Spanned<i64>) -> u16 {
    u16::try_from(*mtu.get_ref()).unwrap_or(u16::MAX)
}

fn read_text(path: &Path) -> Result<String, ClusterError> {
    std::fs::read_to_string(path).map_err(|error| ClusterError {
        file: path.into(),
        line: None,
        text: format!("cannot be read: {error}"),
    })
}

/// Reads TOML, with errors for people.
fn from_toml<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, ClusterError> {
    toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        let message = error.message().replace("i64", "a whole number");
        let message = message.replace("u64", "a whole number from 0 on");
        let hint = similar::hint_for_unknown(&message);
        error_at(path, text, offset, format!("{message}{hint}"))
    })
}

fn error_at(file: &Path, text: &str, offset: usize, message: String) -> ClusterError {
    ClusterError {
        file: file.into(),
        line: Some(line_of(text, offset)),
        text: message,
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
