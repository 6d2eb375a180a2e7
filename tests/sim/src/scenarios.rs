//! Runs drawn from a seed.

use core::ops::RangeInclusive;
use core::time::Duration;

use norma_faults::{Action, Random, Rule};

use crate::config::{Config, bad_network, node_name};
use crate::wild::Wild;

/// How many nodes a run has unless told otherwise.
pub const NODES: RangeInclusive<usize> = 3..=12;

/// Threads of all nodes together that make calls, and that send one-way messages: with more
/// nodes than this each has fewer to do, so that a run takes about as long.
const BUSY: usize = 200;

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
    config
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
            config.limit = Duration::from_secs(20);
        }
        _ => {}
    }
    config
}
