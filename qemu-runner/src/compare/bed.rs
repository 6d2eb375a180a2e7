//! What systems are measured on: pairs of machines, and what each of them is told to do.
//!
//! Owns: grouping systems by what they need (an image of norma, Linux guests), the two nodes of
//! a pair for the timing and for the counting pass.
//! Leaves to others: starting them and reading what they print (`boot`).
//! Why this way: one boot carries out everything that one kind of machine can, in turns, so that
//! the host's drift meets all of it; and what the machines are is the same for all of it.

use super::operations::{Operation, shortened, warmup};
use super::systems::{FLOOR, Runs, System, Waits};
use crate::context::Context;
use crate::images::Images;
use crate::linux::{Kit, Role};
use crate::run::NodePlan;
use anyhow::{Context as _, Result};
use norma_peer::plan::{Carrier, Plan as Work};
use std::path::Path;

/// Memory of a norma node in MiB, as in its own benchmarks.
const NORMA_MIB: u32 = 64;

/// One operation of one system, and what its result line will be called.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// The system.
    pub system: &'static System,
    /// The operation.
    pub operation: &'static Operation,
    /// Its name in what is printed.
    pub item: String,
    /// Measured operations per stretch.
    pub n: usize,
}

/// What a pair is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Undisturbed, so many rounds.
    Timing(usize),
    /// Under the plugin, one round of what is counted.
    Counting,
    /// One round of empty calls, in which the machines note what they do when.
    Steps,
}

/// A kind of machine.
#[derive(Clone, Debug, PartialEq)]
enum Machines {
    /// Two nodes that run this image.
    Image(&'static str),
    /// Two nodes with programs in tasks; whether a server in a task carries their messages.
    Tasks(bool),
    /// Two Linux guests.
    Linux,
    /// Two Linux guests, of which each has `netmsgd`.
    Relays,
}

/// A kind of machine and all that is measured on it.
#[derive(Clone, Debug)]
pub struct Bed {
    machines: Machines,
    tasks: Vec<Task>,
}

/// What beds are made of: built once, used by all.
pub struct Material<'a> {
    /// The command's choices.
    pub context: &'a Context,
    /// The images.
    pub images: &'a Images,
    /// The archive of programs for tasks, if any are wanted.
    pub programs: &'a Path,
    /// Kernel and program of Linux guests, if any are wanted.
    pub kit: Option<&'a Kit>,
    /// Where files for guests are written.
    pub folder: &'a Path,
}

/// The beds that these systems need, in the order of their first system.
pub fn beds(systems: impl Iterator<Item = &'static System>, quick: bool) -> Vec<Bed> {
    let mut beds: Vec<Bed> = Vec::new();
    for system in systems {
        let machines = match system.runs {
            Runs::Image { image, .. } => Machines::Image(image),
            Runs::Peer {
                carrier: Carrier::Relay,
                ..
            } => Machines::Relays,
            Runs::Tasks { relayed, .. } => Machines::Tasks(relayed),
            Runs::Peer { .. } => Machines::Linux,
        };
        let tasks = system
            .operations()
            .into_iter()
            .map(|(operation, item)| Task {
                system,
                operation,
                item,
                n: if quick {
                    shortened(operation)
                } else {
                    operation.n
                },
            });
        let place = beds.iter().position(|bed| bed.machines == machines);
        let place = place.unwrap_or_else(|| {
            beds.push(Bed {
                machines,
                tasks: Vec::new(),
            });
            beds.len() - 1
        });
        beds[place].tasks.extend(tasks);
    }
    beds
}

impl Bed {
    /// Its name, for progress and errors.
    pub fn name(&self) -> String {
        match self.machines {
            Machines::Image(image) => format!("norma ({image})"),
            Machines::Tasks(false) => "norma (tasks)".into(),
            Machines::Tasks(true) => "norma (tasks, server in ring 3)".into(),
            Machines::Linux => "Linux".into(),
            Machines::Relays => "Linux (netmsgd)".into(),
        }
    }

    /// Whether it needs the archive of programs for tasks.
    pub fn needs_programs(&self) -> bool {
        matches!(self.machines, Machines::Tasks(_))
    }

    /// Whether it needs Linux guests.
    pub fn is_linux(&self) -> bool {
        matches!(self.machines, Machines::Linux | Machines::Relays)
    }

    /// What is done in a pass, in its order.
    pub fn tasks(&self, pass: Pass) -> Vec<&Task> {
        let wanted = |task: &&Task| match pass {
            Pass::Timing(_) => true,
            // Who polls executes as many instructions as there is time.
            Pass::Counting => task.operation.counted && task.system.waits == Waits::Blocking,
            // Who polls has no steps between which nothing happens, and a bare frame has none.
            Pass::Steps => {
                let blocking = task.system.waits == Waits::Blocking;
                task.operation.name == "null" && blocking && task.system.name != FLOOR
            }
        };
        self.tasks.iter().filter(wanted).collect()
    }

    /// The serving and the calling node of a pass.
    ///
    /// # Errors
    /// An image or a file that is missing.
    pub fn pair(&self, material: &Material<'_>, pass: Pass) -> Result<[NodePlan; 2]> {
        match self.machines {
            Machines::Image(image) => self.norma_pair(material, image, pass, |node| node),
            Machines::Tasks(relayed) => self.norma_pair(material, "tasks", pass, |node| {
                let node = node.module(material.programs);
                match relayed {
                    false => node.argument("test=bench"),
                    true => node.argument("test=bench-relayed").argument("network=off"),
                }
            }),
            Machines::Linux | Machines::Relays => self.linux_pair(material, pass),
        }
    }

    fn norma_pair(
        &self,
        material: &Material<'_>,
        image: &str,
        pass: Pass,
        dress: impl Fn(NodePlan) -> NodePlan,
    ) -> Result<[NodePlan; 2]> {
        let image = &material.images.get(image)?.elf;
        let items = self.tasks(pass).into_iter().map(|task| {
            let warmup = warmup(task.operation, task.n);
            format!("{}:{}:{warmup}", task.item, task.n)
        });
        let items = items.collect::<Vec<_>>().join(",");
        let node = |name: &str, peer: &str| {
            dress(NodePlan::new(name, image))
                .machine(material.context.machine)
                .memory(NORMA_MIB)
                .argument(&format!("peer={peer}"))
                .argument(&format!("bench={items}"))
                .argument(&format!("rounds={}", pass.rounds()))
        };
        Ok([node("b", "a"), node("a", "b")])
    }

    fn linux_pair(&self, material: &Material<'_>, pass: Pass) -> Result<[NodePlan; 2]> {
        let kit = material.kit.context("no Linux guest was prepared")?;
        let machine = material.context.machine;
        let items = self.tasks(pass).into_iter();
        let items =
            items.filter_map(|task| task.system.peer_item(task.operation, &task.item, task.n));
        let work = Work {
            rounds: pass.rounds(),
            marked: pass == Pass::Steps,
            items: items.collect(),
        };
        let word = match pass {
            Pass::Timing(_) => "timing",
            Pass::Counting => "counting",
            Pass::Steps => "steps",
        };
        let archive = material.folder.join(format!("{word}.cpio"));
        if !material.context.dry_run {
            let bytes = kit.archive(machine, &work)?.finish();
            std::fs::write(&archive, bytes).context("cannot write a guest's file system")?;
        }
        let node = |name, role| kit.node(name, role, machine, &archive);
        Ok([node("b", Role::Serving), node("a", Role::Calling)])
    }
}

impl Pass {
    /// How often each operation has its turn.
    pub fn rounds(self) -> usize {
        match self {
            Self::Timing(rounds) => rounds,
            Self::Counting | Self::Steps => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::systems::SYSTEMS;
    use super::*;

    #[test]
    fn systems_on_the_same_machines_share_a_boot() {
        let beds = beds(SYSTEMS.iter(), true);
        let names: Vec<_> = beds.iter().map(Bed::name).collect();
        assert_eq!(
            names,
            [
                "norma (bench)",
                "norma (tasks)",
                "norma (tasks, server in ring 3)",
                "Linux",
                "Linux (netmsgd)",
            ]
        );
        let tasks: usize = beds
            .iter()
            .map(|bed| bed.tasks(Pass::Timing(1)).len())
            .sum();
        let wanted: usize = SYSTEMS.iter().map(|system| system.operations().len()).sum();
        assert_eq!(tasks, wanted);
    }

    #[test]
    fn who_polls_is_timed_and_not_counted() {
        for bed in beds(SYSTEMS.iter(), true) {
            let counted = bed.tasks(Pass::Counting);
            assert!(!counted.is_empty());
            assert!(
                counted
                    .iter()
                    .all(|task| task.system.waits == Waits::Blocking)
            );
        }
    }
}
