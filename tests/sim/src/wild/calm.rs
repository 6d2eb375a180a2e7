//! When the network or a node was so disturbed that a right may have died of it.
//!
//! This is the simulation's own knowledge of its faults, and nothing that a node says: a right
//! that dies while all nodes on its way could hear each other has died wrongly, whatever its
//! node believes.

use core::time::Duration;
use std::collections::BTreeMap;

/// Silence that no node may take for death, whatever else is lost beside it.
pub(crate) const HARMLESS: Duration = Duration::from_millis(400);

/// How long after a disturbance its consequences may still come to light: death is noticed in a
/// second, a peer that heard nothing of it learns so when it next says something.
const AFTERMATH: Duration = Duration::from_secs(4);

/// How long the nodes by which a right came have a part in it: then its holder knows the node
/// where the port is, and nobody else is needed.
const ARRIVAL: Duration = Duration::from_secs(5);

/// Nodes on which a right depends, and until when each had a part in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path(BTreeMap<u16, Duration>);

impl Path {
    pub(crate) fn pass(&mut self, node: usize, now: Duration) {
        self.0.insert(node as u16, now);
    }

    pub(crate) fn join(&mut self, other: &Path) {
        for (node, at) in &other.0 {
            let known = self.0.entry(*node).or_default();
            *known = (*known).max(*at);
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Disturbance {
    from: Duration,
    until: Duration,
    /// One node and all others, or one node and one other, either way.
    nodes: (u16, Option<u16>),
}

/// All disturbances of a run so far, and those that are bound to come.
#[derive(Debug, Default)]
pub(crate) struct Calm {
    list: Vec<Disturbance>,
    /// Rights are relayed by the node that passed them on, as long as they exist.
    pub(crate) relayed: bool,
}

impl Calm {
    /// A node does not answer anybody, or has forgotten what it knew.
    pub(crate) fn node(&mut self, node: usize, from: Duration, until: Duration) {
        self.add(from, until, (node as u16, None));
    }

    /// Two nodes do not hear each other, in one direction at least.
    pub(crate) fn pair(&mut self, one: usize, other: usize, from: Duration, until: Duration) {
        self.add(from, until, (one as u16, Some(other as u16)));
    }

    fn add(&mut self, from: Duration, until: Duration, nodes: (u16, Option<u16>)) {
        self.list.push(Disturbance { from, until, nodes });
    }

    /// Whether a right that came to a node at `since`, along `path`, may have died by now.
    pub(crate) fn excuses(&self, path: &Path, since: Duration, now: Duration) -> bool {
        let (path, relayed) = (&path.0, self.relayed);
        self.list.iter().any(|d| {
            let part = |node: u16| {
                path.get(&node)
                    .is_some_and(|at| relayed || d.from <= *at + ARRIVAL)
            };
            let (one, other) = d.nodes;
            since <= d.until + AFTERMATH && now >= d.from && part(one) && other.is_none_or(part)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn only_what_lies_on_the_way_excuses() {
        let mut calm = Calm::default();
        calm.pair(1, 2, s(10), s(12));
        let mut path = Path::default();
        path.pass(1, s(100));
        path.pass(3, s(100));
        assert!(!calm.excuses(&path, s(5), s(11)), "2 has no part in it");
        path.pass(2, s(4));
        assert!(!calm.excuses(&path, s(5), s(11)), "2 had its part long ago");
        path.pass(2, s(100));
        assert!(calm.excuses(&path, s(5), s(11)));
        assert!(!calm.excuses(&path, s(5), s(9)), "not yet");
        assert!(!calm.excuses(&path, s(20), s(30)), "it came afterwards");
        calm.node(3, s(40), s(41));
        assert!(calm.excuses(&path, s(20), s(41)));
    }
}
