//! What each actor did, in order: printed, when a promise did not hold, as far as it concerns the
//! ports and messages of which that is said.
//!
//! Kept as numbers and put into words only when somebody reads it, for a run does hundreds of
//! thousands of things.

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::BTreeSet;

use super::entries::{PortNo, Who};

/// One thing that an actor did or saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) at: Duration,
    pub(crate) who: Who,
    /// In words, with `{p}`, `{m}`, `{n}` and `{x}` for the numbers below.
    pub(crate) text: &'static str,
    pub(crate) port: Option<PortNo>,
    pub(crate) message: Option<u64>,
    pub(crate) name: u32,
    pub(crate) extra: u64,
}

/// All that was done in a run.
#[derive(Debug, Default)]
pub(crate) struct History(Vec<Entry>);

/// Lines of a printed history; of a longer one the beginning and the end are shown.
const SHOWN: usize = 400;

impl History {
    pub(crate) fn push(&mut self, entry: Entry) {
        self.0.push(entry);
    }

    /// What concerns those ports and messages, the messages that carry a right to one of the
    /// ports included; and what happened to whole nodes.
    pub(crate) fn about(&self, ports: &[PortNo], messages: &[u64]) -> String {
        let mut carriers: BTreeSet<u64> = messages.iter().copied().collect();
        let touches = |entry: &&Entry| entry.port.is_some_and(|port| ports.contains(&port));
        carriers.extend(self.0.iter().filter(touches).filter_map(|e| e.message));
        let concerns = |entry: &&Entry| {
            touches(entry)
                || entry.message.is_some_and(|m| carriers.contains(&m))
                || entry.port.is_none() && entry.message.is_none()
        };
        let lines: Vec<String> = self.0.iter().filter(concerns).map(Entry::line).collect();
        let mut out = String::new();
        let hidden = lines.len().saturating_sub(SHOWN);
        let half = if hidden > 0 { SHOWN / 2 } else { lines.len() };
        for line in &lines[..half] {
            let _ = writeln!(out, "{line}");
        }
        if hidden > 0 {
            let _ = writeln!(out, "    … {hidden} lines …");
        }
        for line in &lines[half + hidden..] {
            let _ = writeln!(out, "{line}");
        }
        out
    }
}

impl Entry {
    fn line(&self) -> String {
        let number = |n: Option<u64>| n.map_or_else(String::new, |n| n.to_string());
        let words = self
            .text
            .replace("{p}", &number(self.port.map(|port| u64::from(port.0))))
            .replace("{m}", &number(self.message))
            .replace("{n}", &format!("{:#x}", self.name))
            .replace("{x}", &self.extra.to_string());
        format!("{:>12.6} {} {words}", self.at.as_secs_f64(), self.who)
    }
}
