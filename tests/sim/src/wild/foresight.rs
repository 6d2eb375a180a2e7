//! Which nodes the rules of a run will keep from hearing each other, and when.
//!
//! Owns what the oracle knows of faults before they happen, routers among them: whoever is on
//! another network is heard over one, so what befalls a router befalls all that may go over it.
//! Frames that are late, doubled, changed, or lost now and then, nodes that are slow and queues
//! that are short excuse nothing, and are not here.

use core::time::Duration;
use std::collections::BTreeSet;

use norma_faults::{Action, Mishap, Rule, mishaps};

use super::calm::{Calm, HARMLESS};
use crate::config::Config;

/// Later than the end of any run.
const FOREVER: Duration = Duration::from_secs(u64::MAX / 4);

/// How long it may take until another router is found for one that is gone, or until one that
/// was started anew is known again.
const FOUND: Duration = Duration::from_secs(2);

/// Enters what the rules and events of the run will do to the network.
pub(super) fn foresee(calm: &mut Calm, config: &Config) {
    for rule in config.rules.iter().filter(|rule| is_cut(rule)) {
        let from = Duration::from_millis(rule.after_ms.unwrap_or(0));
        let until = rule.until_ms.map_or(FOREVER, Duration::from_millis);
        if until - from < HARMLESS {
            continue;
        }
        for one in place(config, rule.from.as_deref()) {
            for other in place(config, rule.to.as_deref()) {
                calm.pair(one, other, from, until);
                if is_router(config, one) || is_router(config, other) {
                    part(calm, config, from, until);
                }
            }
        }
    }
    let list = mishaps(&config.rules, &config.names());
    for &(at, node, mishap) in &list {
        let node = usize::from(node);
        match mishap {
            Mishap::Freeze(time) if time >= HARMLESS => {
                calm.node(node, at, at + time);
                if is_router(config, node) {
                    part(calm, config, at, at + time);
                }
            }
            Mishap::Freeze(_) => {}
            // What was on the node itself is gone, which is known when it happens.
            Mishap::Reboot if is_router(config, node) => part(calm, config, at, at + FOUND),
            Mishap::Crash if is_router(config, node) => {
                part(calm, config, at, at + FOUND);
                leave_behind(calm, config, at, &crashed(&list));
            }
            Mishap::Reboot | Mishap::Crash => {}
        }
    }
}

fn place(config: &Config, name: Option<&str>) -> Vec<usize> {
    let number = name.and_then(|name| name.strip_prefix("node")?.parse().ok());
    number.map_or_else(|| (0..config.nodes).collect(), |at| vec![at])
}

fn is_cut(rule: &Rule) -> bool {
    rule.action == Action::Cut || rule.action == Action::Drop && rule.probability >= 0.5
}

fn is_router(config: &Config, node: usize) -> bool {
    config.networks_of(node).len() > 1
}

fn crashed(list: &[(Duration, u16, Mishap)]) -> BTreeSet<usize> {
    let crashes = list.iter().filter(|(.., mishap)| *mishap == Mishap::Crash);
    crashes.map(|(_, node, _)| usize::from(*node)).collect()
}

/// All nodes that hear each other over routers only.
fn pairs(config: &Config) -> impl Iterator<Item = (usize, usize)> {
    let all = (0..config.nodes).flat_map(|one| (0..one).map(move |other| (one, other)));
    all.filter(|(one, other)| {
        let others = config.networks_of(*other);
        let mut on = config.networks_of(*one).into_iter();
        !on.any(|network| others.contains(&network))
    })
}

/// A router is not what it was: nobody may count on hearing who is on another network.
fn part(calm: &mut Calm, config: &Config, from: Duration, until: Duration) {
    for (one, other) in pairs(config) {
        calm.pair(one, other, from, until);
    }
}

/// Whoever is behind routers that are gone for good is never heard again.
fn leave_behind(calm: &mut Calm, config: &Config, from: Duration, gone: &BTreeSet<usize>) {
    for (one, other) in pairs(config) {
        if !are_joined(config, one, other, gone) {
            calm.pair(one, other, from, FOREVER);
        }
    }
}

/// Whether there is a way between two nodes that leads over none of those.
fn are_joined(config: &Config, one: usize, other: usize, gone: &BTreeSet<usize>) -> bool {
    let mut reached: BTreeSet<usize> = config.networks_of(one).into_iter().collect();
    for _ in 0..config.networks.len() {
        for node in (0..config.nodes).filter(|node| !gone.contains(node)) {
            let its = config.networks_of(node);
            if its.iter().any(|network| reached.contains(network)) {
                reached.extend(its);
            }
        }
    }
    let goal = config.networks_of(other);
    goal.iter().any(|network| reached.contains(network))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Segment;
    use crate::wild::calm::Path;

    fn path(nodes: &[usize]) -> Path {
        let mut path = Path::default();
        for node in nodes {
            path.pass(*node, Duration::ZERO);
        }
        path
    }

    /// Nodes 0 and 1 on one network, 2 on another, and that many routers from 3 on.
    fn two_networks(routers: usize, rules: Vec<Rule>) -> Config {
        let join = |nodes: &[usize]| {
            let all: Vec<usize> = nodes.iter().copied().chain(3..3 + routers).collect();
            Segment::new(&all)
        };
        Config {
            nodes: 3 + routers,
            networks: vec![join(&[0, 1]), join(&[2])],
            rules,
            ..Config::default()
        }
    }

    fn excuses(config: &Config, nodes: &[usize], at: u64) -> bool {
        let mut calm = Calm::default();
        foresee(&mut calm, config);
        let at = Duration::from_secs(at);
        calm.excuses(&path(nodes), Duration::ZERO, at)
            && calm.excuses(&path(nodes), at - Duration::from_millis(1), at)
    }

    #[test]
    fn a_router_excuses_those_that_need_it() {
        let crash = vec![Rule::mishap(Action::Crash, "node3", 1000)];
        let alone = two_networks(1, crash.clone());
        assert!(excuses(&alone, &[0, 2], 100), "for good");
        assert!(!excuses(&alone, &[0, 1], 2), "they hear each other");
        let of_two = two_networks(2, crash);
        assert!(excuses(&of_two, &[0, 2], 2));
        assert!(!excuses(&of_two, &[0, 2], 100), "by way of the other");
    }

    #[test]
    fn slowness_lateness_and_bad_frames_excuse_nothing() {
        let rules = vec![
            Rule {
                until_ms: Some(9000),
                share: Some(0.1),
                ..Rule::mishap(Action::Slow, "node3", 1)
            },
            Rule {
                delay_ms: Some(25.0),
                ..Rule::new(Action::Delay)
            },
            Rule::new(Action::Corrupt).with_probability(0.05),
        ];
        let config = two_networks(1, rules);
        for at in 1..12 {
            assert!(!excuses(&config, &[0, 1, 2, 3], at));
        }
    }
}
