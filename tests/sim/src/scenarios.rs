//! Runs drawn from a seed.

use core::ops::RangeInclusive;
use core::time::Duration;

use norma_faults::{Action, Random, Rule};

use crate::config::{Config, bad_network, node_name};
use crate::link::Link;
use crate::topology::Segment;
use crate::wild::{Abilities, Wild};

/// How many nodes a run has unless told otherwise.
pub const NODES: RangeInclusive<usize> = 3..=12;

/// Threads of all nodes together that make calls, and that send one-way messages: with more
/// nodes than this each has fewer to do, so that a run takes about as long.
const BUSY: usize = 200;

/// The bytes of a frame over which its check goes (W-64): one of them changed, and the frame is
/// lost. They are the session's header and the first bytes of its body.
const CHECKED: core::ops::Range<usize> = norma_wire::layout::SESSION_AT..norma_wire::layout::HEAD;

/// The least Ethernet payload with which no frame of a session is cut into fragments, of which
/// only the first begins with what is checked: a page fits, and its headers.
const WHOLE: u16 = 9000;

/// Networks, and on which of them each router is: routers are the last nodes, and the others are
/// dealt out.
const ROUTERS: [(usize, &[&[usize]]); 4] = [
    (2, &[&[0, 1]]),
    (3, &[&[0, 1, 2]]),
    (2, &[&[0, 1], &[0, 1]]),
    (3, &[&[0, 1], &[1, 2]]),
];

/// Of more frames lost than that a peer may rightly be taken for dead.
const MUCH: f64 = 0.25;

/// How long calls go on where frames are changed.
const CORRUPTED: Duration = Duration::from_secs(20);

/// Most nodes of a run with several networks: a search for a name floods all of them.
const ROUTED: usize = 24;

/// A run of which everything follows from the seed: two in three are wild, the others calls and
/// one-way messages by the thousand.
///
/// # Panics
/// When `nodes` holds nothing.
#[must_use]
pub fn drawn(seed: u64, nodes: &RangeInclusive<usize>) -> Config {
    match seed % 3 {
        0 => mixed(seed, nodes),
        _ => wild(seed, nodes),
    }
}

/// Everything that can be done with ports and rights, on a network that does everything that
/// networks do.
///
/// # Panics
/// When `nodes` holds nothing.
#[must_use]
pub fn wild(seed: u64, nodes: &RangeInclusive<usize>) -> Config {
    let mut random = Random::new(seed ^ 0x6e6f_726d_615f_7769);
    let mut draw = |bound: u64| random.below(bound);
    assert!(!nodes.is_empty(), "a run has as many nodes as it is told");
    let nodes = nodes.start() + draw((nodes.end() - nodes.start()) as u64 + 1) as usize;
    let few = nodes.min(BUSY / 4) as u64;
    let play = 500 + draw(2500);
    let loss = [0.0, 0.02, 0.05, 0.1, 0.2, 0.25][draw(6) as usize];
    let mut config = Config {
        seed,
        nodes,
        mtu: [1500, 9000, 65_521][draw(3) as usize],
        receive_buffers: [8, 64, 256][draw(3) as usize],
        latency: Duration::from_micros(20 + draw(1000)),
        first_sequence: (draw(4) == 0).then_some(u32::MAX - 20),
        rules: bad_network(loss),
        wild: Some(Wild {
            rovers: 1 + draw(3) as usize,
            play: Duration::from_millis(play),
            pace: Duration::from_micros((1000 + draw(6000)) * nodes as u64 / few),
            max_memory: [0, 5000, 70_000][draw(3) as usize],
            max_inline: [0, 40, 500, 4000][draw(4) as usize],
            ..Wild::default()
        }),
        ..Config::default()
    };
    let name = |node: u64| node_name(node as usize);
    for _ in 0..draw(4) {
        let at = draw(play);
        let time = draw(2500);
        let (one, other) = (draw(nodes as u64), draw(nodes as u64));
        config.rules.push(match draw(5) {
            0 => Rule::mishap(Action::Reboot, &name(one), at),
            1 => Rule {
                until_ms: Some(at + 1 + time),
                ..Rule::mishap(Action::Freeze, &name(one), at)
            },
            2 if nodes > 2 => Rule::mishap(Action::Crash, &name(one), at),
            // A link both ways or one way, or a node and all others.
            what => Rule {
                from: Some(name(one)),
                to: (what != 2 && one != other).then(|| name(other)),
                both_ways: draw(2) == 0,
                after_ms: Some(at),
                until_ms: Some(at + 1 + time),
                ..Rule::new(Action::Cut)
            },
        });
    }
    spread(&mut config, &mut draw);
    worsen(&mut config, &mut draw, play);
    config
}

/// The wild with all that rovers can do: what [`wild`] leaves out is in `docs/simulation.md`.
///
/// # Panics
/// When `nodes` holds nothing.
#[must_use]
pub fn wider(seed: u64, nodes: &RangeInclusive<usize>) -> Config {
    let mut config = wild(seed, nodes);
    if let Some(wild) = &mut config.wild {
        wild.abilities = Abilities::WIDER;
    }
    config
}

/// A run with these faults in place of those that its seed drew; all else is as drawn.
///
/// # Errors
/// In the wild, whose oracle excuses nothing for frames that are changed, a rule may change only
/// what is checked (W-64).
pub fn with_rules(mut config: Config, rules: &[Rule]) -> Result<Config, String> {
    let changes = |rule: &&Rule| rule.action == Action::Corrupt;
    let checked = |rule: &Rule| rule.byte.is_some_and(|byte| CHECKED.contains(&byte));
    let mut changing = rules.iter().filter(changes);
    if config.wild.is_some() && changing.any(|rule| !checked(rule)) {
        let (first, end) = (CHECKED.start, CHECKED.end - 1);
        return Err(format!(
            "a `corrupt` rule changes any byte; expected `byte` from {first} to {end}, or `--work calls`"
        ));
    }
    let lasting = |rule: &Rule| {
        rule.action == Action::Cut
            || rule.action.is_mishap()
            || rule.action == Action::Drop && rule.probability > MUCH
    };
    config.deaths = rules.iter().any(lasting);
    config.corruption = config.wild.is_none() && rules.iter().any(|rule| changes(&rule));
    config.limit = match config.corruption {
        true => CORRUPTED,
        false => Config::default().limit,
    };
    config.rules = rules.to_vec();
    Ok(config)
}

/// Now and then several networks, with routers between them: one that is on all, two that are on
/// both, or two in a row.
fn spread(config: &mut Config, draw: &mut dyn FnMut(u64) -> u64) {
    let nodes = config.nodes;
    if draw(4) != 0 || !(4..=ROUTED).contains(&nodes) {
        return;
    }
    let (networks, routers) = ROUTERS[draw(4) as usize];
    let mut on = vec![Vec::new(); networks];
    for (at, its) in routers.iter().enumerate() {
        for network in *its {
            on[*network].push(nodes - 1 - at);
        }
    }
    for node in 0..nodes - routers.len() {
        on[node % networks].push(node);
    }
    let small = (draw(4) == 0).then(|| draw(networks as u64) as usize);
    config.networks = on.iter().map(|nodes| Segment::new(nodes)).collect();
    if let Some(small) = small {
        config.networks[small].mtu = 1500;
    }
    // A frame is lost on each network anew, and a large one in each of its fragments.
    let most = if small.is_some() { 0.05 } else { 0.1 };
    let drops = config.rules.iter_mut();
    for rule in drops.filter(|rule| rule.action == Action::Drop) {
        rule.probability = rule.probability.min(most);
    }
}

/// Now and then frames that are late or changed, nodes that are slow, and short queues before
/// the nodes.
fn worsen(config: &mut Config, draw: &mut dyn FnMut(u64) -> u64, play: u64) {
    let nodes = config.nodes as u64;
    if draw(3) == 0 {
        let (one, other) = (draw(nodes), draw(nodes));
        let (from, until) = (draw(play), draw(2 * play));
        let some = draw(2) == 0 && one != other;
        config.rules.push(Rule {
            delay_ms: Some([0.5, 5.0, 25.0][draw(3) as usize]),
            jitter_ms: Some(draw(10) as f64),
            from: some.then(|| node_name(one as usize)),
            to: some.then(|| node_name(other as usize)),
            both_ways: some && draw(2) == 0,
            after_ms: Some(from),
            until_ms: Some(from + 1 + until),
            ..Rule::new(Action::Delay)
        });
    }
    if draw(3) == 0 {
        let at = draw(play);
        let node = node_name(draw(nodes) as usize);
        config.rules.push(Rule {
            until_ms: Some(at + 1 + draw(5000)),
            share: Some((1 + draw(9)) as f64 / 10.0),
            ..Rule::mishap(Action::Slow, &node, at)
        });
    }
    let whole = (config.networks.iter()).all(|network| network.mtu >= WHOLE);
    if draw(3) == 0 && whole && config.mtu >= WHOLE {
        for _ in 0..=draw(4) {
            let byte = CHECKED.start + draw(CHECKED.len() as u64) as usize;
            config.rules.push(Rule {
                byte: Some(byte),
                mask: (draw(2) == 0).then(|| 1 + draw(255) as u8),
                ..Rule::new(Action::Corrupt).with_probability(0.02)
            });
        }
    }
    if draw(4) == 0 {
        config.link = Some(Link {
            bandwidth: [50, 200, 1000][draw(3) as usize] * 1_000_000,
            queue: [16, 64, 256][draw(3) as usize] * 1024,
        });
    }
}

/// Calls and one-way messages: a run of which everything follows from the seed, how many nodes, what they do, what the
/// network does to them.
///
/// # Panics
/// When `nodes` holds nothing.
#[must_use]
pub fn mixed(seed: u64, nodes: &RangeInclusive<usize>) -> Config {
    let mut random = Random::new(seed ^ 0x6e6f_726d_615f_7369);
    let mut draw = |bound: u64| random.below(bound);
    assert!(!nodes.is_empty(), "a run has as many nodes as it is told");
    let nodes = nodes.start() + draw((nodes.end() - nodes.start()) as u64 + 1) as usize;
    // With many nodes each has less to do.
    let scale = |count: u64| (count * BUSY as u64 / (nodes.max(BUSY) as u64)).max(1);
    let loss = [0.0, 0.02, 0.1, 0.2, 0.25][draw(5) as usize];
    let mut config = Config {
        seed,
        nodes,
        clients: 1 + draw(3) as usize,
        calls: scale(20 + draw(80)) as u32,
        rights: draw(2) == 1,
        max_memory: [0, 5000, 70_000, 300_000][draw(4) as usize],
        max_inline: [0, 40, 500, 8000][draw(4) as usize],
        senders: draw(3) as usize,
        messages: scale(20 + draw(100)) as u32,
        receiver_pause: Duration::from_micros(draw(3) * 700),
        mtu: [1500, 9000, 65_521][draw(3) as usize],
        receive_buffers: [4, 16, 64, 256][draw(4) as usize],
        latency: Duration::from_micros(20 + draw(2000)),
        first_sequence: (draw(4) == 0).then_some(u32::MAX - 20),
        rules: bad_network(loss),
        ..Config::default()
    };
    match draw(6) {
        0 => {
            let at = 20 + draw(200);
            let node = node_name(draw(nodes as u64) as usize);
            config.rules.push(Rule::mishap(Action::Crash, &node, at));
            config.deaths = true;
        }
        1 => {
            let at = 20 + draw(200);
            let time = draw(3000);
            let node = node_name(draw(nodes as u64) as usize);
            config.rules.push(Rule {
                until_ms: Some(at + 1 + time),
                ..Rule::mishap(Action::Freeze, &node, at)
            });
            config.deaths = true;
        }
        2 => {
            config
                .rules
                .push(Rule::new(Action::Corrupt).with_probability(0.05));
            config.corruption = true;
            config.limit = CORRUPTED;
        }
        _ => {}
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hundred runs of the share that every test run does.
    fn share() -> impl Iterator<Item = Config> {
        (1..=100).map(|seed| wild(seed, &NODES))
    }

    #[test]
    fn the_share_of_every_test_run_has_every_fault_and_every_network() {
        for action in [
            Action::Drop,
            Action::Delay,
            Action::Duplicate,
            Action::Reorder,
            Action::Corrupt,
            Action::Cut,
            Action::Crash,
            Action::Reboot,
            Action::Freeze,
            Action::Slow,
        ] {
            let has = |config: &Config| config.rules.iter().any(|rule| rule.action == action);
            let runs = share().filter(has).count();
            assert!(runs >= 10, "{action:?} in {runs} runs");
        }
        assert!(share().filter(|config| config.link.is_some()).count() >= 10);
        for (networks, routers) in ROUTERS {
            let is = |config: &Config| {
                let on_many = |node: &usize| config.networks_of(*node).len() > 1;
                config.networks.len() == networks
                    && (0..config.nodes).filter(on_many).count() == routers.len()
            };
            assert!(share().any(|config| is(&config)), "{networks} {routers:?}");
        }
    }

    #[test]
    fn every_node_is_on_a_network_and_only_checked_bytes_are_changed() {
        for config in share() {
            for node in 0..config.nodes {
                assert!(!config.networks_of(node).is_empty());
            }
            let mut changed = config.rules.iter().filter_map(|rule| rule.byte);
            assert!(changed.all(|byte| CHECKED.contains(&byte)));
        }
    }
}
