//! The books: what was sent, how often it was done, what came of it.
//!
//! Every request and one-way message has a number of its own. What arrives is entered here, and
//! what must not happen is noted at once.

use std::collections::HashMap;

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    done: u32,
    answered: bool,
    failed: bool,
}

/// What happened to every message of a run.
#[derive(Debug, Default)]
pub struct Ledger {
    next: u64,
    entries: HashMap<u64, Entry>,
    /// The last number that came from each sender at each receiver.
    last: HashMap<(u64, u64), u64>,
    /// Calls that were answered.
    pub answered: u64,
    /// Calls that failed.
    pub failed: u64,
    /// One-way messages that arrived.
    pub one_way: u64,
    /// The first thing that must not happen.
    pub broken: Option<String>,
    /// Nodes may be taken for dead.
    pub deaths: bool,
    /// What frames carry may have been changed: nothing that follows from it is checked.
    pub lenient: bool,
}

impl Ledger {
    pub(crate) fn new(deaths: bool, lenient: bool) -> Self {
        Ledger {
            deaths,
            lenient,
            ..Ledger::default()
        }
    }

    /// A number for a new message.
    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.entries.insert(self.next, Entry::default());
        self.next
    }

    /// Notes something that must not happen.
    pub fn accuse(&mut self, what: impl FnOnce() -> String) {
        if !self.lenient && self.broken.is_none() {
            self.broken = Some(what());
        }
    }

    /// A message was received.
    pub fn executed(&mut self, number: u64) {
        let entry = self.entries.entry(number).or_default();
        entry.done += 1;
        let done = entry.done;
        if done > 1 {
            self.accuse(|| format!("message {number} was received {done} times"));
        }
    }

    /// A one-way message with `number` of `sender` was received at `receiver`.
    pub fn one_way(&mut self, receiver: u64, sender: u64, number: u64) {
        self.executed(number);
        self.one_way += 1;
        let last = self.last.insert((receiver, sender), number).unwrap_or(0);
        if last > number {
            self.accuse(|| format!("message {number} of {sender} came after {last}"));
        }
    }

    /// A call was answered.
    pub fn answered(&mut self, number: u64) {
        self.answered += 1;
        let entry = self.entries.entry(number).or_default();
        entry.answered = true;
        let done = entry.done;
        if done != 1 {
            self.accuse(|| format!("call {number} was answered and done {done} times"));
        }
    }

    /// A call failed, with reason: it may have been done once, or not.
    pub fn failed(&mut self, number: u64) {
        self.failed += 1;
        self.entries.entry(number).or_default().failed = true;
    }

    /// The first message that has neither arrived nor failed.
    #[must_use]
    pub fn missing(&self) -> Option<u64> {
        let missing = self
            .entries
            .iter()
            .filter(|(_, e)| e.done == 0 && !e.failed);
        missing.map(|(number, _)| *number).min()
    }

    /// How often a message was received.
    #[must_use]
    pub fn done(&self, number: u64) -> u32 {
        self.entries.get(&number).map_or(0, |entry| entry.done)
    }
}
