//! Receive rights that go from node to node with their queued messages and waiting senders.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{Places, drained, must};
use norma_faults::{Action, Random, Rule};
use norma_flip::Instant;
use norma_ipc::{Delivery, Name, ThreadId};
use norma_net::Posted;
use norma_sim::{CallError, Config, World, bad_network};

const MS: fn(u64) -> Duration = Duration::from_millis;

fn calm(nodes: usize) -> Config {
    Config {
        nodes,
        in_hands: true,
        ..Config::default().calm()
    }
}

fn now(w: &World) -> Instant {
    Instant(1_000_000_000 + w.now().as_nanos() as u64)
}

/// Sends numbers that say by whom and as which one, and remembers what must arrive.
#[derive(Default)]
struct Crowd {
    senders: Vec<Sender>,
    /// The next number expected of each sender.
    received: BTreeMap<u8, u32>,
}

struct Sender {
    node: usize,
    thread: ThreadId,
    name: Name,
    tag: u8,
    sent: u32,
    waits: bool,
}

impl Crowd {
    fn add(&mut self, w: &mut World, node: usize, name: Name) {
        let thread = w.thread(node);
        let tag = self.senders.len() as u8;
        self.senders.push(Sender {
            node,
            thread,
            name,
            tag,
            sent: 0,
            waits: false,
        });
    }

    /// Everybody sends one more, or goes on waiting.
    fn send_all(&mut self, w: &mut World) {
        for sender in &mut self.senders {
            let Sender {
                node,
                thread,
                name,
                tag,
                ..
            } = *sender;
            if sender.waits {
                match w.machine(node).node().ipc().take_completion(thread) {
                    None => continue,
                    Some(norma_ipc::Completion::Sent) => sender.waits = false,
                    Some(other) => panic!("{other:?}"),
                }
            }
            let mut data = vec![tag];
            data.extend(sender.sent.to_le_bytes());
            let message = w.message(node, &data);
            let space = w.machine(node).space();
            let at = now(w);
            let sent = w
                .machine(node)
                .node()
                .send(at, space, name, message, Some(thread));
            match sent {
                Ok(Posted::Waiting) => sender.waits = true,
                Ok(Posted::Handed(_)) => panic!("nobody waits there"),
                Ok(_) => {}
                Err(error) => panic!("{:?}", error.failure),
            }
            sender.sent += 1;
            must(w.after(node).map_err(CallError::Failure));
        }
    }

    fn note(&mut self, data: &[u8]) {
        let number = u32::from_le_bytes(data[1..5].try_into().unwrap());
        let expected = self.received.entry(data[0]).or_default();
        assert_eq!(number, *expected, "of sender {}", data[0]);
        *expected += 1;
    }

    /// How many messages of a sender have been received.
    fn has_of(&self, tag: u8) -> u32 {
        self.received.get(&tag).copied().unwrap_or(0)
    }

    /// Takes all that is queued at a port.
    fn receive_all(&mut self, w: &mut World, node: usize, port: Name) -> usize {
        let mut count = 0;
        let space = w.machine(node).space();
        while let Ok(delivery) = w.machine(node).node().ipc().receive(space, port) {
            let Delivery::Message(message) = delivery else {
                panic!("{delivery:?}")
            };
            let data = message.data().to_vec();
            self.note(&data);
            must(w.discard(node, message).map_err(CallError::Failure));
            count += 1;
        }
        must(w.after(node).map_err(CallError::Failure));
        count
    }

    /// Whatever was sent has been received, once and in order.
    fn finish(&mut self, w: &mut World, node: usize, port: Name) {
        let end = w.now() + MS(5000);
        let all: u32 = self.senders.iter().map(|sender| sender.sent).sum();
        while self.received.values().sum::<u32>() < all {
            assert!(
                w.now() < end,
                "{:?} of {all}: {}",
                self.received,
                w.holdings()
            );
            must(w.run_for(MS(1)).map_err(CallError::Failure));
            self.receive_all(w, node, port);
        }
        for sender in &mut self.senders {
            if std::mem::take(&mut sender.waits) {
                let ipc = w.machine(sender.node).node().ipc();
                let end = ipc.take_completion(sender.thread);
                assert!(matches!(end, Some(norma_ipc::Completion::Sent)), "{end:?}");
            }
            must(
                w.give_up(sender.node, sender.name)
                    .map_err(CallError::Failure),
            );
        }
        must(w.run_for(MS(50)).map_err(CallError::Failure));
        assert_eq!(self.receive_all(w, node, port), 0);
    }
}

fn set_limit(w: &mut World, node: usize, port: Name, limit: u16) {
    let space = w.machine(node).space();
    let ipc = w.machine(node).node().ipc();
    ipc.set_queue_limit(space, port, limit).unwrap();
}

/// A port with a full queue whose senders never pause.
struct Busy {
    crowd: Crowd,
    port: Name,
    at: usize,
}

impl Busy {
    /// At node 0, with a sender on each node.
    fn new(w: &mut World, p: &Places, limit: u16) -> Self {
        let port = p.port(w, 0);
        set_limit(w, 0, port, limit);
        let mut crowd = Crowd::default();
        for node in 1..w.machines() {
            p.give(w, 0, port, node);
            let name = p.take(w, node);
            crowd.add(w, node, name);
        }
        crowd.add(w, 0, port);
        Busy { crowd, port, at: 0 }
    }

    /// Moves on, while everybody goes on sending, and is there.
    fn move_to(&mut self, w: &mut World, p: &Places, to: usize) -> Duration {
        let start = w.now();
        p.give_receive(w, self.at, self.port, to);
        self.at = to;
        self.port = loop {
            self.crowd.send_all(w);
            if let Some(name) = p.try_take_receive(w, to) {
                break name;
            }
            assert!(w.now() - start < MS(20_000), "it never arrives");
            must(
                w.run_for(Duration::from_micros(200))
                    .map_err(CallError::Failure),
            );
        };
        w.now() - start
    }

    fn finish(mut self, w: &mut World, p: &Places) {
        self.crowd.finish(w, self.at, self.port);
        p.drop_receive(w, self.at, self.port);
        p.close(w);
        drained(w);
    }
}

/// Complaint: "busy port may never finish migrating". Its queue is full all the time, everybody
/// sends, nobody receives: it is there after some round trips, each time.
#[test]
fn a_busy_port_finishes_migrating() {
    let mut w = World::new(&calm(4));
    let p = Places::new(&mut w);
    let mut busy = Busy::new(&mut w, &p, 100);
    for _ in 0..200 {
        busy.crowd.send_all(&mut w);
        w.run_for(Duration::from_micros(200)).unwrap();
    }
    for to in [1, 2, 3, 0, 2, 1, 0] {
        let took = busy.move_to(&mut w, &p, to);
        // Ten round trips between nodes that are 50 us apart, and what the loop waits.
        assert!(took < Duration::from_micros(1200), "{took:?}");
    }
    busy.finish(&mut w, &p);
}

/// A port with 100 messages in its queue and senders that wait, on each of the nodes, is at a
/// node far away after ten round trips at most. Within them all have come that waited when it
/// left, and ten round trips after it came what anybody sent there since, although the sender at
/// the old place has gone on sending behind it.
#[test]
fn a_full_port_is_far_away_after_ten_round_trips() {
    let one_way = MS(25);
    let bound = 10 * 2 * one_way;
    let mut w = World::new(&Config {
        latency: one_way,
        ..calm(4)
    });
    let p = Places::new(&mut w);
    let mut busy = Busy::new(&mut w, &p, 100);
    let end = w.now() + MS(5000);
    while !busy.crowd.senders.iter().all(|sender| sender.waits) {
        assert!(w.now() < end, "somebody need not wait");
        busy.crowd.send_all(&mut w);
        w.run_for(MS(1)).unwrap();
    }
    w.run_for(bound).unwrap();
    let space = w.machine(0).space();
    let status = w.machine(0).node().ipc().receive_status(space, busy.port);
    assert_eq!(status.unwrap().queued, 100);
    let sent = |crowd: &Crowd| crowd.senders.iter().map(|s| s.sent).collect::<Vec<_>>();
    let before = sent(&busy.crowd);
    let took = busy.move_to(&mut w, &p, 1);
    assert!(took <= bound, "it came after {took:?}");
    let next = sent(&busy.crowd).iter().map(|sent| sent + 1).collect();
    let came = w.now();
    for (what, end) in [(before, came - took + bound), (next, came + bound)] {
        while !(0..)
            .zip(&what)
            .all(|(tag, all)| busy.crowd.has_of(tag) >= *all)
        {
            assert!(w.now() < end, "{:?} of {what:?}", busy.crowd.received);
            busy.crowd.send_all(&mut w);
            let (at, port) = (busy.at, busy.port);
            busy.crowd.receive_all(&mut w, at, port);
            w.run_for(Duration::from_micros(200)).unwrap();
        }
    }
    busy.finish(&mut w, &p);
}

/// The same where frames are lost, late, doubled and changed.
#[test]
fn nothing_is_lost_or_doubled_on_a_bad_network() {
    for seed in 0..if cfg!(miri) { 1 } else { 200 } {
        let mut random = Random::new(seed);
        let mut w = World::new(&Config {
            seed,
            nodes: 4,
            in_hands: true,
            rules: bad_network(0.1),
            ..Config::default()
        });
        println!("seed {seed}");
        let p = Places::new(&mut w);
        let limit = 1 + random.below(20) as u16;
        let mut busy = Busy::new(&mut w, &p, limit);
        for _ in 0..1 + random.below(6) {
            for _ in 0..random.below(20) {
                busy.crowd.send_all(&mut w);
                if random.below(3) == 0 {
                    let (at, port) = (busy.at, busy.port);
                    busy.crowd.receive_all(&mut w, at, port);
                }
                w.run_for(Duration::from_micros(random.below(2000)))
                    .unwrap();
            }
            let to = (busy.at + 1 + random.below(3) as usize) % 4;
            busy.move_to(&mut w, &p, to);
        }
        busy.finish(&mut w, &p);
    }
}

/// A port moves on again and again before a node far away, which loses much, can find where it
/// is. That node loses neither its right nor what it sent.
#[test]
fn a_port_that_moves_faster_than_it_can_be_followed_is_found() {
    let far = |action, probability| Rule {
        to: Some("node2".into()),
        both_ways: true,
        ..Rule::new(action).with_probability(probability)
    };
    let delay = Rule {
        delay_ms: Some(0.5),
        jitter_ms: Some(3.0),
        ..far(Action::Delay, 1.0)
    };
    for seed in 0..if cfg!(miri) { 1 } else { 50 } {
        println!("seed {seed}");
        let mut random = Random::new(seed);
        let mut w = World::new(&Config {
            seed,
            rules: vec![far(Action::Drop, 0.2), delay.clone()],
            ..calm(3)
        });
        let p = Places::new(&mut w);
        let mut busy = Busy::new(&mut w, &p, 10);
        for _ in 0..200 {
            let to = 1 - busy.at;
            busy.move_to(&mut w, &p, to);
            let (at, port) = (busy.at, busy.port);
            busy.crowd.receive_all(&mut w, at, port);
            w.run_for(Duration::from_micros(random.below(2000)))
                .unwrap();
        }
        busy.finish(&mut w, &p);
    }
}

#[test]
fn a_port_moves_with_its_queue_and_its_names() {
    let mut w = World::new(&calm(3));
    let p = Places::new(&mut w);
    let port = p.port(&mut w, 0);
    let mut crowd = Crowd::default();
    for node in [1, 2] {
        p.give(&mut w, 0, port, node);
        let name = p.take(&mut w, node);
        crowd.add(&mut w, node, name);
    }
    crowd.add(&mut w, 0, port);
    for _ in 0..4 {
        crowd.send_all(&mut w);
        w.run_for(MS(1)).unwrap();
    }
    p.give_receive(&mut w, 0, port, 1);
    for _ in 0..4 {
        crowd.send_all(&mut w);
    }
    let arrived = p.take(&mut w, 1);
    // Node 1 had a send right: it is the same port, and has the same name.
    assert_eq!(arrived, crowd.senders[0].name);
    for _ in 0..4 {
        crowd.send_all(&mut w);
        crowd.receive_all(&mut w, 1, arrived);
        w.run_for(MS(1)).unwrap();
    }
    crowd.finish(&mut w, 1, arrived);
    p.drop_receive(&mut w, 1, arrived);
    p.close(&mut w);
    drained(&mut w);
}
