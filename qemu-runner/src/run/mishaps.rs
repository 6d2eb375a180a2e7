//! What fault rules have in store for nodes, carried out while a run is waited for.
//!
//! Owns what is due when. Leaves to `norma_faults` what the rules say, and to the run's processes
//! how a node is killed, stopped and started.

use super::{Fated, Run, RunError};
use norma_faults::{Mishap, Rule, mishaps};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What is still to befall the nodes of a run.
pub(super) struct Agenda {
    mishaps: VecDeque<(Instant, usize, Mishap)>,
    /// Nodes that stand still, and until when.
    frozen: Vec<(Instant, usize)>,
}

impl Agenda {
    /// The agenda of a run that begins now. Node `i` is called `names[i]`.
    pub(super) fn new(rules: &[Rule], names: &[&str]) -> Self {
        let start = Instant::now();
        let due = |(at, node, what)| (start + at, usize::from(node), what);
        Agenda {
            mishaps: mishaps(rules, names).into_iter().map(due).collect(),
            frozen: Vec::new(),
        }
    }

    /// How long nothing is due.
    pub(super) fn rest(&self) -> Duration {
        let next = self.mishaps.front().map(|(at, ..)| *at);
        let thaw = self.frozen.iter().map(|(until, _)| *until).min();
        let due = [next, thaw].into_iter().flatten().min();
        due.map_or(Duration::MAX, |due| {
            due.saturating_duration_since(Instant::now())
        })
    }

    /// The next that is due.
    fn next(&mut self, now: Instant) -> Option<(usize, Mishap)> {
        let (_, node, what) = self.mishaps.pop_front_if(|(at, ..)| *at <= now)?;
        if let Mishap::Freeze(time) = what {
            self.frozen.push((now + time, node));
        }
        Some((node, what))
    }

    /// A node that need not stand still any longer.
    fn thawed(&mut self, now: Instant) -> Option<usize> {
        let over = self.frozen.iter().position(|(until, _)| *until <= now)?;
        let (_, node) = self.frozen.swap_remove(over);
        let still = self.frozen.iter().any(|(_, other)| *other == node);
        if still { self.thawed(now) } else { Some(node) }
    }
}

impl Run {
    /// Carries out what is due.
    pub(super) fn befall(&mut self) -> Result<(), RunError> {
        let now = Instant::now();
        while let Some(index) = self.agenda.thawed(now) {
            self.nodes[index].process.resume();
        }
        while let Some((index, what)) = self.agenda.next(now) {
            let node = &mut self.nodes[index];
            let ended = node.outcome.is_some();
            match what {
                Mishap::Freeze(_) => node.process.pause(),
                Mishap::Reboot if ended => self.start_anew(index)?,
                Mishap::Crash | Mishap::Reboot if ended => {}
                Mishap::Crash | Mishap::Reboot => {
                    node.fated = match what {
                        Mishap::Crash => Fated::Crash,
                        _ => Fated::Reboot,
                    };
                    node.process.kill();
                }
            }
            self.tell(index, what);
        }
        Ok(())
    }

    fn tell(&self, index: usize, what: Mishap) {
        let done = match what {
            Mishap::Crash => "crashes",
            Mishap::Reboot => "is started anew",
            // A slow node would be told of twenty times a second.
            Mishap::Freeze(_) => return,
        };
        if self.echo {
            let name = &self.nodes[index].name;
            self.ui.progress(&format!("fault: node {name} {done}"));
        }
    }
}
