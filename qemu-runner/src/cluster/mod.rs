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
use file::{ClusterFile, NodeEntry};
use std::path::{Path, PathBuf};

/// A cluster file that was read and found good.
#[derive(Debug)]
pub struct Cluster {
    file: ClusterFile,
    folder: PathBuf,
    /// Networks by the places of their nodes.
    networks: Vec<(String, Vec<usize>)>,
}

/// What is wrong with a cluster file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {text}", file.display())]
pub struct ClusterError {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong and what was expected.
    pub text: String,
}

impl Cluster {
    /// Reads a cluster file.
    ///
    /// # Errors
    /// It cannot be read, is no TOML, or says something that makes no sense.
    pub fn read(path: &Path) -> Result<Self, ClusterError> {
        let fail = |line, text| ClusterError {
            file: path.into(),
            line,
            text,
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| fail(1, format!("cannot be read: {error}")))?;
        Self::parse(&text, path)
    }

    /// Checks the text of a cluster file. `path` is used for messages, and its folder to find
    /// the files that are named in it.
    ///
    /// # Errors
    /// As [`Cluster::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ClusterError> {
        let at = |offset: usize, message: String| ClusterError {
            file: path.into(),
            line: line_of(text, offset),
            text: message,
        };
        let file: ClusterFile = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            at(offset, error.message().to_owned())
        })?;
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let networks =
            check::check(&file, &folder).map_err(|mistake| at(mistake.at, mistake.text))?;
        Ok(Self {
            file,
            folder,
            networks,
        })
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
                plan = plan.network_mtu(*entry.mtu.get_ref());
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
            .memory(*node.memory.get_ref())
            .mtu(*node.mtu.get_ref())
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

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
