//! Runs drawn from a seed.

use core::ops::RangeInclusive;
use core::time::Duration;

use norma_faults::{Action, Random, Rule};

use crate::config::{Config, Event, bad_network};

/// How many nodes a run has unless told otherwise.
pub const NODES: RangeInclusive<usize> = 3..=12;

/// Threads of all nodes together that make calls, and that send one-way messages: with more
/// nodes than this each has fewer to do, so that a run takes about as long.
const BUSY: usize = 200;

/// A run of which everything follows from the seed: how many nodes, what they do, what the
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
            let at = Duration::from_millis(20 + draw(200));
            config
                .events
                .push((at, Event::Kill(draw(nodes as u64) as usize)));
            config.deaths = true;
        }
        1 => {
            let at = Duration::from_millis(20 + draw(200));
            let time = Duration::from_millis(draw(3000));
            config
                .events
                .push((at, Event::Freeze(draw(nodes as u64) as usize, time)));
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
