//! A synchronous send that knows what became of its message.
//!
//! In NORMA's second version a message was lost if its sender died before the receiver had pulled
//! the data; whoever had to know asked for it with an option.

mod common;

use std::time::Duration;

use common::moves::*;
use common::{Places, drained, must};
use norma_faults::{Action, Rule};
use norma_ipc::{Memory, Name, Reason, RightKind, ThreadId};
use norma_net::Fate;
use norma_sim::{Config, World};

fn config(nodes: usize) -> Config {
    Config {
        nodes,
        audit_every: 0,
        ..Config::default().calm()
    }
}

/// A world in which node 1 serves "echo" and node 0 knows it.
fn pair(config: &Config) -> (World, (ThreadId, Name), (ThreadId, Name)) {
    let mut w = World::new(config);
    let port = w.serve(1, "echo");
    let (a, b) = (w.thread(0), w.thread(1));
    let name = must(w.look_up(0, a, "echo"));
    (w, (a, name), (b, port))
}

fn send(w: &mut World, from: usize, (thread, name): (ThreadId, Name), text: &[u8]) -> Fate {
    let message = w.message(from, text);
    let sent = must(w.begin_confirmed(from, thread, name, message));
    must(w.await_fate(from, thread, sent))
}

#[test]
fn what_is_in_the_queue_of_its_port_is_delivered_though_nobody_has_received_it() {
    let (mut w, client, (b, port)) = pair(&config(2));
    for number in 0..10 {
        assert_eq!(send(&mut w, 0, client, &[number]), Fate::Delivered);
    }
    for number in 0..10 {
        let message = w.receive(1, b, port).unwrap();
        assert_eq!(message.data(), [number]);
        assert!(message.reply().is_none() && !message.expects_reply());
        w.discard(1, message).unwrap();
    }
    // On one's own node there is nothing to wait for.
    let own = w.serve(0, "own");
    let mine = must(w.look_up(0, client.0, "own"));
    assert_eq!(send(&mut w, 0, (client.0, mine), b"x"), Fate::Delivered);
    let _ = own;
    w.give_up(0, client.1).unwrap();
    drained(&mut w);
}

/// Data too: nothing of a message stays with its sender once it was delivered.
#[test]
fn what_is_delivered_outlives_its_sender() {
    let (mut w, client, (b, port)) = pair(&config(2));
    let data = [7; 5000];
    let mut message = w.message(0, b"last words");
    let memory = Memory::copy_from(&data, w.machine(0).node().source()).unwrap();
    let _ = message.replace_memory(memory).unwrap();
    let sent = must(w.begin_confirmed(0, client.0, client.1, message));
    assert_eq!(must(w.await_fate(0, client.0, sent)), Fate::Delivered);
    w.kill(0);
    // Long enough to notice.
    w.run_for(Duration::from_secs(3)).unwrap();
    assert_eq!(w.machine(1).node().counters().deaths, 1);
    let message = w.receive(1, b, port).unwrap();
    assert_eq!(message.data(), b"last words");
    assert!(message.memory().chunks().flatten().eq(&data));
    w.discard(1, message).unwrap();
}

#[test]
fn a_full_queue_keeps_the_sender_and_a_dead_port_gives_word() {
    let (mut w, client, (b, port)) = pair(&config(2));
    for number in 0..16 {
        assert_eq!(send(&mut w, 0, client, &[number]), Fate::Delivered);
    }
    let message = w.message(0, b"one more");
    let sent = must(w.begin_confirmed(0, client.0, client.1, message));
    w.run_for(Duration::from_millis(500)).unwrap();
    for _ in 0..8 {
        let message = w.receive(1, b, port).unwrap();
        w.discard(1, message).unwrap();
    }
    assert_eq!(must(w.await_fate(0, client.0, sent)), Fate::Delivered);

    for number in 0..7 {
        assert_eq!(send(&mut w, 0, client, &[number]), Fate::Delivered);
    }
    let message = w.message(0, b"in vain");
    let sent = must(w.begin_confirmed(0, client.0, client.1, message));
    w.run_for(Duration::from_millis(50)).unwrap();
    let m = w.machine(1);
    let space = m.space();
    m.node()
        .ipc()
        .deallocate(space, port, RightKind::Receive)
        .unwrap();
    w.after(1).unwrap();
    let fate = must(w.await_fate(0, client.0, sent));
    assert_eq!(fate, Fate::NotDelivered(Reason::Destroyed));
    w.give_up(0, client.1).unwrap();
    drained(&mut w);
}

#[test]
fn a_node_that_dies_before_it_says_leaves_it_unknown() {
    let (mut w, client, _) = pair(&config(2));
    let address = w.machine(1).node().address();
    let message = w.message(0, b"?");
    w.kill(1);
    let sent = must(w.begin_confirmed(0, client.0, client.1, message));
    let fate = must(w.await_fate(0, client.0, sent));
    assert_eq!(fate, Fate::Unknown(Reason::NodeDied(address.0)));
}

#[test]
fn what_was_refused_or_never_left_is_known_not_to_be_delivered() {
    // Refused for a full queue, then the node dies.
    let (mut w, client, _) = pair(&config(2));
    for number in 0..16 {
        assert_eq!(send(&mut w, 0, client, &[number]), Fate::Delivered);
    }
    let message = w.message(0, b"refused");
    let sent = must(w.begin_confirmed(0, client.0, client.1, message));
    w.run_for(Duration::from_millis(50)).unwrap();
    w.kill(1);
    let fate = must(w.await_fate(0, client.0, sent));
    assert_eq!(fate, Fate::NotDelivered(Reason::Destroyed));
}

/// A thread waits for room at a port of its own node, and the port moves: its message goes after
/// it, and is delivered when it lies there, not when it leaves.
#[test]
fn a_port_that_moves_while_its_sender_waits_has_not_got_the_message() {
    for dies in [false, true] {
        let mut w = World::new(&Config {
            in_hands: true,
            ..config(2)
        });
        let p = Places::new(&mut w);
        let port = p.port(&mut w, 0);
        let space = w.machine(0).space();
        let ipc = w.machine(0).node().ipc();
        ipc.set_queue_limit(space, port, 1).unwrap();
        assert_eq!(send(&mut w, 0, (p.threads[0], port), b"1"), Fate::Delivered);
        let message = w.message(0, b"2");
        let sent = must(w.begin_confirmed(0, p.threads[0], port, message));
        let moved = move_to(&mut w, &p, 0, port, 1);
        run(&mut w, MS(50));
        if dies {
            w.kill(1);
        } else {
            assert_eq!(text_at(&mut w, 1, moved), Some(b"1".to_vec()));
        }
        let fate = must(w.await_fate(0, p.threads[0], sent));
        if dies {
            // It was refused for want of room.
            assert_eq!(fate, Fate::NotDelivered(Reason::Destroyed));
        } else {
            assert_eq!(fate, Fate::Delivered);
            assert_eq!(text_at(&mut w, 1, moved), Some(b"2".to_vec()));
            give_up_all(&mut w, 1, moved);
            give_up_all(&mut w, 0, port);
            p.close(&mut w);
            drained(&mut w);
        }
    }
}

#[test]
fn a_node_that_passes_a_message_on_does_not_confirm_it() {
    let mut w = World::new(&config(3));
    let echo = w.serve(1, "echo");
    let third = w.serve(2, "third");
    let (a, c) = (w.thread(0), w.thread(2));
    let to_echo = must(w.look_up(0, a, "echo"));
    let to_third = must(w.look_up(0, a, "third"));
    // Node 0 gives its right to node 1's port to node 2.
    let mut message = w.message(0, b"use this");
    let m = w.machine(0);
    let space = m.space();
    let right = m.node().ipc().copy_send(space, to_echo).unwrap();
    message.push_right(right).unwrap();
    must(w.send(0, a, to_third, message));
    let mut message = w.receive(2, c, third).unwrap();
    let right = message.take_right().unwrap();
    let m = w.machine(2);
    let space = m.space();
    let passed = m.node().ipc().insert(space, right).unwrap();
    w.discard(2, message).unwrap();

    assert_eq!(send(&mut w, 2, (c, passed), b"hello"), Fate::Delivered);
    w.kill(1);
    let message = w.message(2, b"?");
    let sent = must(w.begin_confirmed(2, c, passed, message));
    let fate = must(w.await_fate(2, c, sent));
    assert!(matches!(fate, Fate::Unknown(_)), "{fate:?}");
    let _ = echo;
}

/// Whatever is lost: what is said to be delivered was, once; what is said not to be was not.
#[test]
fn a_fate_that_is_told_is_true() {
    for seed in 0..60 {
        let rules = vec![Rule::new(Action::Drop).with_probability(0.2)];
        let mut w = World::new(&Config {
            seed,
            rules,
            ..config(2)
        });
        let port = w.serve(1, "echo");
        let (a, b) = (w.thread(0), w.thread(1));
        let Ok(name) = w.look_up(0, a, "echo") else {
            continue;
        };
        let mut fates = Vec::new();
        for number in 0..20u8 {
            if u64::from(number) == seed % 25 {
                w.faults().cut(0, 1);
            }
            let message = w.message(0, &[number]);
            match w.begin_confirmed(0, a, name, message) {
                Ok(sent) => fates.push(must(w.await_fate(0, a, sent))),
                Err(_) => fates.push(Fate::NotDelivered(Reason::Destroyed)),
            }
            // Now and then there is room again.
            if number % 8 == 7 {
                w.run_for(Duration::from_millis(1)).unwrap();
            }
            if number % 16 == 15 {
                break;
            }
        }
        let mut received = Vec::new();
        let m = w.machine(1);
        let space = m.space();
        while let Some(norma_ipc::Delivery::Message(message)) =
            m.node().ipc().receive_or_wait(b, space, port).unwrap()
        {
            received.push(message.data()[0]);
            m.node().ipc().discard(message);
        }
        for (number, fate) in fates.iter().enumerate() {
            let times = received
                .iter()
                .filter(|r| usize::from(**r) == number)
                .count();
            match fate {
                Fate::Delivered => assert_eq!(times, 1, "seed {seed}: {number} {fates:?}"),
                Fate::NotDelivered(_) => assert_eq!(times, 0, "seed {seed}: {number} {fates:?}"),
                Fate::Unknown(_) => assert!(times <= 1),
            }
        }
    }
}
