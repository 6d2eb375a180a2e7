//! What is checked after each step, and what is said of a world.

use super::World;
use crate::report::{Failure, Report};
use crate::wild;

/// Nodes that are few enough to look at all of them after each step.
const AUDITED_TOGETHER: usize = 12;

/// Steps between two looks at all send-once rights, which take as long as those of one node many
/// times over.
const ONCES_EVERY: u64 = 16;

impl World {
    /// Something that broke, with all that helps to understand it.
    #[must_use]
    pub fn failure(&self, what: impl Into<String>) -> Failure {
        Failure {
            seed: self.config.seed,
            what: what.into(),
            at: self.now,
            history: String::new(),
            trace: self.trace.tail(),
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn report(&self) -> Report {
        Report {
            virtual_time: self.now,
            calls: self.ledger.answered,
            failed_calls: self.ledger.failed,
            one_way: self.ledger.one_way,
            received: self.books.received,
            notifications: self.books.told,
            messages: self
                .machines
                .iter()
                .map(|m| m.node.counters().carried)
                .sum(),
            ..self.report
        }
    }

    /// Checks all that a machine's step may have broken.
    pub(super) fn check(&mut self, index: usize) -> Result<(), Failure> {
        if self.config.audit_every > 0 && self.report.steps.is_multiple_of(self.config.audit_every)
        {
            if self.config.in_hands {
                let checked = self.machines[index].check_stand_ins();
                checked.map_err(|what| self.failure(format!("audit of {what}")))?;
            } else {
                self.audit(index)?;
            }
            self.audit_network()?;
            if !self.config.in_hands && self.report.steps.is_multiple_of(ONCES_EVERY) {
                self.audit_onces()?;
            }
        }
        if self.books.is_open() && !self.machines[index].dead {
            self.books.now = self.now;
            let (node, space) = (&self.machines[index].node, self.machines[index].space);
            let ipc = node.ipc_ref();
            self.books
                .look(index, |bell| wild::is_queued(ipc, space, bell));
        }
        self.accused()
    }

    /// Whether the books have found something that must not be.
    pub(crate) fn accused(&mut self) -> Result<(), Failure> {
        if self.config.forged {
            self.ledger.broken = None;
            let _ = self.books.report();
            return Ok(());
        }
        if let Some(what) = self.ledger.broken.take() {
            return Err(self.failure(what));
        }
        match self.books.report() {
            Some((what, history)) => Err(Failure {
                history,
                ..self.failure(what)
            }),
            None => Ok(()),
        }
    }

    /// Whether what nodes believe of each other is what they were told.
    fn believes(&self) -> bool {
        !self.config.corruption && !self.config.forged
    }

    /// Compares what the nodes believe of each other, where they are few.
    ///
    /// # Errors
    /// When they do not agree.
    pub fn audit_network(&self) -> Result<(), Failure> {
        if self.machines.len() > AUDITED_TOGETHER || !self.believes() {
            return Ok(());
        }
        let alive = self.machines.iter().filter(|machine| !machine.dead);
        norma_net::audit(alive.map(|machine| &machine.node))
            .map_err(|what| self.failure(format!("audit: {what}")))
    }

    /// Looks where each send-once right between two nodes is.
    ///
    /// # Errors
    /// When one is nowhere, or twice.
    pub fn audit_onces(&self) -> Result<(), Failure> {
        if self.machines.len() > AUDITED_TOGETHER || !self.believes() {
            return Ok(());
        }
        let alive = self.machines.iter().filter(|machine| !machine.dead);
        norma_net::audit_onces(alive.map(|machine| &machine.node))
            .map_err(|what| self.failure(format!("audit of send-once rights: {what}")))
    }

    /// Counts all rights of a node anew.
    ///
    /// # Errors
    /// When they do not add up.
    pub fn audit(&self, index: usize) -> Result<(), Failure> {
        let checked = self.machines[index].check();
        checked.map_err(|what| self.failure(format!("audit of node {index}: {what}")))
    }

    /// Whether no node shares anything with another any more.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        let alive = self.machines.iter().filter(|machine| !machine.dead);
        alive
            .map(|m| m.node.holdings())
            .all(|held| held == norma_net::Holdings::default())
    }

    /// What each node still shares, for a failure.
    #[must_use]
    pub fn holdings(&self) -> String {
        let held = self.machines.iter().map(|machine| machine.node.holdings());
        format!("{:?}", held.collect::<Vec<_>>())
    }

    /// Messages carried, less those delivered and those that failed: zero where no session died.
    #[must_use]
    pub fn unaccounted(&self) -> i64 {
        let counters = self.machines.iter().map(|machine| *machine.node.counters());
        counters
            .map(|c| c.carried as i64 - c.delivered as i64 - c.failed as i64)
            .sum()
    }
}
