//! Tasks: the programs, each with a space, an account and the names that it has checked in.

use crate::limits::{MAX_TASKS, NAMES_OF_TASK, PAGES_OF_TASK};
use crate::page::Account;
use norma_ipc::SpaceId;
use std::rc::Rc;

/// One program.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) space: SpaceId,
    /// Whoever knows it is of this task: its other connections say it.
    pub(crate) token: [u8; 16],
    /// How many connections it has; it ends with the last.
    pub(crate) connections: usize,
    /// What its messages occupy.
    pub(crate) account: Rc<Account>,
    /// Names that it has checked in, and that may have been lost since.
    pub(crate) names: Vec<String>,
}

/// All programs.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Vec<Option<Task>>);

impl Tasks {
    /// A new one, with no connection yet. `None` when there are as many as there can be.
    pub(crate) fn begin(
        &mut self,
        token: [u8; 16],
        create: impl FnOnce(u32) -> Option<SpaceId>,
    ) -> Option<usize> {
        let free = self.0.iter().position(Option::is_none);
        let place = free.unwrap_or(self.0.len());
        if place >= MAX_TASKS {
            return None;
        }
        let task = Task {
            space: create(NAMES_OF_TASK)?,
            token,
            connections: 0,
            account: Account::new(PAGES_OF_TASK),
            names: Vec::new(),
        };
        if place == self.0.len() {
            self.0.push(None);
        }
        self.0[place] = Some(task);
        Some(place)
    }

    pub(crate) fn get(&self, place: usize) -> Option<&Task> {
        self.0.get(place)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut Task> {
        self.0.get_mut(place)?.as_mut()
    }

    /// The task whose token this is.
    pub(crate) fn find(&self, token: &[u8; 16]) -> Option<usize> {
        let known = |task: &Option<Task>| task.as_ref().is_some_and(|task| task.token == *token);
        self.0.iter().position(known)
    }

    pub(crate) fn end(&mut self, place: usize) -> Option<Task> {
        self.0.get_mut(place)?.take()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().flatten().count()
    }

    /// A name was checked in by the task at `place`: whoever had it before has lost it.
    pub(crate) fn checked_in(&mut self, place: usize, text: &str) {
        for task in self.0.iter_mut().flatten() {
            task.names.retain(|name| name != text);
        }
        if let Some(task) = self.get_mut(place) {
            task.names.push(text.to_owned());
        }
    }
}
