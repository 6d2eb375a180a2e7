//! Long ways, bad wires and full queues.

mod common;

use std::time::Duration;

use common::flood::{flood, goodput, sink};
use common::must;
use norma_faults::{Action, Rule};
use norma_sim::{Config, Link, World};

const GIGABIT: u64 = 1_000_000_000;
const MIB: usize = 1 << 20;

fn config(latency: Duration, loss: f64) -> Config {
    let rules = match loss > 0.0 {
        true => vec![Rule::new(Action::Drop).with_probability(loss)],
        false => Vec::new(),
    };
    Config {
        audit_every: 0,
        latency,
        rules,
        receive_buffers: 512,
        link: Some(Link {
            bandwidth: GIGABIT,
            queue: 4 * MIB,
        }),
        ..Config::default()
    }
}

/// Bytes in a second of one stream over such a way.
fn stream(config: &Config) -> f64 {
    let mut w = World::new(config);
    let count = sink(&mut w, 1, "sink");
    let a = w.thread(0);
    let name = loop {
        if let Ok(name) = w.look_up(0, a, "sink") {
            break name;
        }
        w.run_for(Duration::from_millis(600)).unwrap();
    };
    flood(&mut w, 0, name, 0, 2 * MIB, u64::MAX);
    let trip = config.latency * 2;
    let rate = goodput(
        &mut w,
        &count,
        12 * trip,
        20 * trip.max(Duration::from_millis(30)),
    );
    assert_eq!(w.machine(0).node().counters().deaths, 0);
    rate
}

/// NORMA's first version had one message under way for each pair of nodes, and waited.
#[test]
fn a_long_way_is_filled_by_one_stream() {
    let rate = stream(&config(Duration::from_millis(50), 0.0));
    assert!(rate > 0.9 * GIGABIT as f64 / 8.0, "{rate}");
}

/// TCP was chosen over sockets because it stood 1,700 machines on lossy networks; some cards lost
/// one frame in twenty.
#[test]
fn a_loss_of_one_frame_in_twenty_costs_less_than_a_fifth() {
    for milliseconds in [25, 1, 5] {
        let latency = Duration::from_millis(milliseconds);
        let good = stream(&config(latency, 0.0));
        let bad = stream(&config(latency, 0.05));
        assert!(good > 0.9 * GIGABIT as f64 / 8.0, "{good}");
        assert!(bad > 0.8 * good, "{latency:?}: {bad} against {good}");
    }
}

/// Several nodes send to one, whose wire is the bottleneck.
///
/// Bytes in a second of all, and of who got least.
fn crowd(senders: usize, queue: usize, mtu: u16) -> (f64, f64) {
    let mut config = config(Duration::from_millis(2), 0.0);
    config.nodes = senders + 1;
    config.mtu = mtu;
    config.link = Some(Link {
        bandwidth: GIGABIT,
        queue,
    });
    let mut w = World::new(&config);
    let mut counts = Vec::new();
    for sender in 1..=senders {
        let text = format!("sink{sender}");
        counts.push(sink(&mut w, 0, &text));
        let thread = w.thread(sender);
        let name = must(w.look_up(sender, thread, &text));
        flood(&mut w, sender, name, sender as u32, MIB, u64::MAX);
    }
    w.run_for(Duration::from_millis(300)).unwrap();
    let begun: Vec<u64> = counts.iter().map(|count| count.borrow().total()).collect();
    const SECONDS: f64 = 1.0;
    w.run_for(Duration::from_secs_f64(SECONDS)).unwrap();
    let rates: Vec<f64> = counts
        .iter()
        .zip(begun)
        .map(|(count, begun)| (count.borrow().total() - begun) as f64 / SECONDS)
        .collect();
    let least = rates.iter().copied().fold(f64::MAX, f64::min);
    (rates.iter().sum(), least)
}

#[test]
fn many_senders_do_not_bring_a_full_queue_to_a_standstill() {
    for (senders, queue, mtu) in [
        (2, MIB, 65_521),
        (8, MIB, 65_521),
        (8, 4 * MIB, 65_521),
        (4, MIB / 4, 9000),
    ] {
        let (total, least) = crowd(senders, queue, mtu);
        let link = GIGABIT as f64 / 8.0;
        assert!(total > 0.8 * link, "{senders} senders: {total}");
        let fair = link / senders as f64;
        assert!(
            least > fair / 8.0,
            "{senders} senders: {least}, fair were {fair}"
        );
    }
}
