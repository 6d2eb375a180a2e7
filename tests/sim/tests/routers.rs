//! Nodes on several networks: calls over routers, each done once, whatever is lost, and whoever
//! dies.

mod common;

use common::{dead, drained, must, text, world};
use norma_ipc::{Name, Reason, ThreadId};
use norma_sim::{CallError, Config, Segment, World, bad_network, run};

/// Two ends, three networks in a row, small frames in the middle.
fn row(config: Config) -> Config {
    Config {
        nodes: 4,
        networks: vec![
            Segment::new(&[0, 2]),
            Segment::new(&[2, 3]).with_mtu(1500),
            Segment::new(&[3, 1]),
        ],
        ..config
    }
}

fn succeeds(config: &Config) {
    match run(config) {
        Ok(report) => println!("{report}"),
        Err(failure) => panic!("{failure}"),
    }
}

/// Everybody calls everybody, routers too, with memory beyond any frame of the middle.
#[test]
fn calls_cross_three_networks_in_a_row() {
    let config = Config {
        calls: 60,
        max_memory: 100_000,
        ..row(Config::default())
    };
    succeeds(&config.clone().calm());
    succeeds(&Config {
        rules: bad_network(0.05),
        ..config
    });
}

/// Rights, one-way messages and calls, over routers in a ring.
#[test]
fn rights_travel_over_a_ring_of_networks() {
    for seed in 1..6 {
        succeeds(&Config {
            seed,
            nodes: 6,
            calls: 60,
            rights: true,
            senders: 1,
            messages: 60,
            rules: bad_network(0.05),
            networks: vec![
                Segment::new(&[0, 3, 5]),
                Segment::new(&[1, 3, 4]),
                Segment::new(&[2, 4, 5]),
            ],
            ..Config::default()
        });
    }
}

/// A service on one node, and a client's right to it on another.
struct Pair {
    client: usize,
    server: usize,
    threads: [ThreadId; 2],
    port: Name,
    right: Name,
}

impl Pair {
    fn new(w: &mut World, client: usize, server: usize, text: &str) -> Pair {
        let port = w.serve(server, text);
        let threads = [w.thread(client), w.thread(server)];
        let right = must(w.look_up(client, threads[0], text));
        Pair {
            client,
            server,
            threads,
            port,
            right,
        }
    }

    fn call(&self, w: &mut World) -> Result<(), CallError> {
        let [asking, answering] = self.threads;
        let message = w.message(self.client, b"?");
        w.begin_call(self.client, asking, self.right, message)?;
        let message = w.receive(self.server, answering, self.port)?;
        w.reply(self.server, message)?;
        let answer = w.await_reply(self.client, asking)?;
        assert_eq!(text(&answer), b"?");
        Ok(w.discard(self.client, answer)?)
    }

    fn close(self, w: &mut World) {
        must(
            w.give_up(self.client, self.right)
                .map_err(CallError::Failure),
        );
    }
}

/// The router in use dies; another is found before the peer counts as dead.
#[test]
fn another_router_takes_over_before_a_session_dies() {
    let config = Config {
        nodes: 4,
        networks: vec![Segment::new(&[0, 2, 3]), Segment::new(&[1, 2, 3])],
        in_hands: true,
        ..Config::default()
    };
    for dying in [2, 3] {
        let mut w = world(&config.clone().calm());
        let pair = Pair::new(&mut w, 0, 1, "echo");
        must(pair.call(&mut w));
        w.kill(dying);
        for _ in 0..3 {
            must(pair.call(&mut w));
        }
        pair.close(&mut w);
        drained_but(&mut w, dying);
    }
}

/// The only router dies: who is behind it counts as dead, and nobody else.
#[test]
fn who_is_behind_a_dead_router_is_dead() {
    let config = row(Config {
        deaths: true,
        in_hands: true,
        ..Config::default()
    });
    let mut w = world(&config.calm());
    let far = Pair::new(&mut w, 0, 1, "far");
    let near = Pair::new(&mut w, 0, 2, "near");
    must(far.call(&mut w));
    w.kill(3);
    let behind = w.machine(1).node().address();
    let message = w.message(0, b"?");
    must(w.begin_call(0, far.threads[0], far.right, message));
    let died = dead(w.await_reply(0, far.threads[0]));
    assert_eq!(died, Reason::NodeDied(behind.0));
    must(near.call(&mut w));
    near.close(&mut w);
    drained_but(&mut w, 3);
}

/// All that the living share is given back.
fn drained_but(w: &mut World, dead: usize) {
    assert!(w.is_dead(dead));
    drained(w);
}
