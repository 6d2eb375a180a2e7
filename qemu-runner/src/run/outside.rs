//! What of a run is reached from outside: the sockets of its nodes, and the memory of traced ones.
//!
//! Owns: telling QEMU of both, and where others come to the networks. Leaves to others: who finds
//! the sockets (`running`), what comes in by them (`door`), and what is taken out of the memory
//! (`trace`).

use super::Plan;
use crate::link::Switch;
use crate::link::door::{Door, Leaf, Welcome};
use crate::qemu::QemuCommand;
use crate::running::{self, GDB, MONITOR, NETWORK, Registration};
use crate::trace::{Memory, Trace};
use crate::ui::Ui;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Memory for a node whose events are taken, the end of it for QEMU behind its sockets.
pub(super) fn lend_memory(
    trace: Option<&(Trace, u64)>,
    node: &str,
    command: &QemuCommand,
    sockets: &mut Vec<OwnedFd>,
) -> std::io::Result<Option<Memory>> {
    let Some((trace, run)) = trace else {
        return Ok(None);
    };
    let memory = trace.memory(*run, node, command.memory_mib)?;
    sockets.push(memory.descriptor()?);
    Ok(Some(memory))
}

/// What makes a running cluster reachable for other commands.
#[derive(Default)]
pub(super) struct Registered {
    pub(super) registration: Option<Registration>,
    pub(super) door: Option<Door>,
    /// Where QEMU's monitors listen, in the order of the nodes.
    pub(super) monitors: Vec<PathBuf>,
}

impl Plan {
    /// Has QEMU listen for who inspects its guest, the runner for who comes to the networks, and
    /// the cluster be found; or only its monitors listen. Where that cannot be, the cluster runs
    /// all the same.
    pub(super) fn register(
        &self,
        ui: &Ui,
        commands: &mut [QemuCommand],
        switches: &[Switch],
    ) -> Option<Registered> {
        let purposes: &[_] = match (&self.findable, self.monitored) {
            (Some(_), _) => &[GDB, MONITOR],
            (None, true) => &[MONITOR],
            (None, false) => return None,
        };
        let register = || -> std::io::Result<_> {
            let registration = Registration::new()?;
            let mut leaves = Vec::new();
            let mut nodes = Vec::new();
            for (index, plan) in self.nodes.iter().enumerate() {
                let socket = |purpose: &str| registration.socket(index, purpose);
                let mut sockets = BTreeMap::new();
                for purpose in purposes {
                    sockets.insert((*purpose).to_owned(), socket(purpose)?);
                }
                if self.findable.is_some()
                    && let Some(leaf) = self.leaf(index, switches, || socket(NETWORK))?
                {
                    sockets.insert(NETWORK.to_owned(), leaf.path.clone());
                    leaves.push(leaf);
                }
                nodes.push(running::Node {
                    name: plan.name.clone(),
                    image: plan.image.clone(),
                    sockets,
                });
            }
            let door = match leaves.is_empty() {
                true => None,
                false => Some(Door::open(leaves, self.host_station())?),
            };
            if let Some(what) = &self.findable {
                registration.publish(what, &self.cluster, &nodes)?;
            }
            Ok((registration, door, nodes))
        };
        match register() {
            Ok((registration, door, nodes)) => {
                for (command, node) in commands.iter_mut().zip(&nodes) {
                    for (option, purpose) in [("-gdb", GDB), ("-qmp", MONITOR)] {
                        if let Some(socket) = node.sockets.get(purpose) {
                            command.listen(option, socket);
                        }
                    }
                }
                let monitors = nodes.iter().map(|node| node.sockets[MONITOR].clone());
                Some(Registered {
                    registration: Some(registration),
                    door,
                    monitors: monitors.collect(),
                })
            }
            Err(error) => {
                ui.progress(&format!("other commands cannot find these nodes: {error}"));
                None
            }
        }
    }

    /// The way to a network of a node, if it is on one that has a switch.
    fn leaf(
        &self,
        node: usize,
        switches: &[Switch],
        path: impl Fn() -> std::io::Result<PathBuf>,
    ) -> std::io::Result<Option<Leaf>> {
        let switched = self
            .networks
            .iter()
            .filter(|network| !self.is_direct(network));
        let mut switched = switched.zip(switches);
        let Some((network, switch)) = switched.find(|(network, _)| network.members.contains(&node))
        else {
            return Ok(None);
        };
        let cluster = self.nodes[node].cluster.as_ref().unwrap_or(&self.cluster);
        Ok(Some(Leaf {
            path: path()?,
            entrance: switch.entrance(),
            welcome: Welcome {
                cluster: cluster.clone(),
                trusted: network.trusted,
                refused: None,
            },
        }))
    }
}
