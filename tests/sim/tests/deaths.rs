//! Nodes that die, freeze, come back, or begin at the same moment.

mod common;

use std::time::Duration;

use common::{dead, drained, must};
use norma_faults::{Action, Rule};
use norma_ipc::{Reason, RightError, SendFailure};
use norma_sim::{CallError, Config, World, bad_network};

fn config() -> Config {
    Config {
        audit_every: 0,
        ..Config::default().calm()
    }
}

/// Node 1 serves "echo", node 0 knows it and has a call under way that was received.
fn mid_call(config: &Config) -> (World, norma_ipc::ThreadId, norma_ipc::Name) {
    let mut w = World::new(config);
    let port = w.serve(1, "echo");
    let (a, b) = (w.thread(0), w.thread(1));
    let name = must(w.look_up(0, a, "echo"));
    let message = w.message(0, b"?");
    must(w.begin_call(0, a, name, message));
    let request = w.receive(1, b, port).unwrap();
    w.discard(0, request)
        .unwrap_or_else(|failure| panic!("{failure}"));
    (w, a, name)
}

#[test]
fn a_node_that_dies_in_a_call_is_named_within_about_a_second() {
    for loss in [0.0, 0.2] {
        let mut w = World::new(&Config {
            rules: bad_network(loss),
            ..config()
        });
        let port = w.serve(1, "echo");
        let (a, b) = (w.thread(0), w.thread(1));
        let name = must(w.look_up(0, a, "echo"));
        let address = w.machine(1).node().address();
        let message = w.message(0, b"?");
        must(w.begin_call(0, a, name, message));
        let _request = w.receive(1, b, port).unwrap();
        w.kill(1);
        let begun = w.now();
        assert_eq!(dead(w.await_reply(0, a)), Reason::NodeDied(address.0));
        let took = w.now() - begun;
        assert!(
            took > Duration::from_millis(900) && took < Duration::from_millis(1300),
            "{took:?}"
        );
        let node = w.machine(0).node();
        assert_eq!(node.peer_name(address.0).unwrap().as_str(), "node1");
        assert_eq!(node.session_count(), 0);
        // What is left of the right is a dead name.
        let message = w.message(0, b"?");
        match w.send(0, a, name, message) {
            Err(CallError::NotSent(SendFailure::Right(RightError::Dead(Reason::NodeDied(
                node,
            ))))) => {
                assert_eq!(node, address.0);
            }
            other => panic!("{other:?}"),
        }
        w.give_up(0, name).unwrap();
        w.audit(0).unwrap();
    }
}

#[test]
fn a_sender_that_waits_for_room_hears_of_the_death() {
    let mut w = World::new(&config());
    let _port = w.serve(1, "echo");
    let a = w.thread(0);
    let name = must(w.look_up(0, a, "echo"));
    let address = w.machine(1).node().address();
    let mut failed = None;
    for number in 0..100u8 {
        if number == 20 {
            w.kill(1);
        }
        let message = w.message(0, &[number]);
        if let Err(error) = w.send(0, a, name, message) {
            failed = Some(error);
            break;
        }
    }
    match failed {
        Some(CallError::Reason(Reason::NodeDied(node))) => assert_eq!(node, address.0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_idle_peer_is_not_taken_for_dead_though_a_third_of_all_frames_is_lost() {
    for seed in 0..20 {
        let rules = vec![Rule::new(Action::Drop).with_probability(0.3)];
        let mut w = World::new(&Config {
            seed,
            rules,
            ..config()
        });
        let port = w.serve(1, "echo");
        let (a, b) = (w.thread(0), w.thread(1));
        let name = loop {
            match w.look_up(0, a, "echo") {
                Ok(name) => break name,
                Err(CallError::Reason(Reason::NameUnknown)) => {
                    w.run_for(Duration::from_millis(600)).unwrap();
                }
                Err(other) => panic!("{other:?}"),
            }
        };
        w.run_for(Duration::from_secs(60)).unwrap();
        assert_eq!(w.machine(0).node().counters().deaths, 0, "seed {seed}");
        assert_eq!(w.machine(1).node().counters().deaths, 0, "seed {seed}");
        let message = w.message(0, b"still there?");
        must(w.begin_call(0, a, name, message));
        let request = w.receive(1, b, port).unwrap();
        w.reply(1, request).unwrap();
        must(w.await_reply(0, a)).take_right();
    }
}

#[test]
fn an_idle_link_with_shared_rights_costs_few_frames_and_nothing_without() {
    let (mut w, a, name) = {
        let mut w = World::new(&config());
        let _port = w.serve(1, "echo");
        let a = w.thread(0);
        let name = must(w.look_up(0, a, "echo"));
        (w, a, name)
    };
    w.run_for(Duration::from_secs(1)).unwrap();
    let before = w.frames();
    w.run_for(Duration::from_secs(10)).unwrap();
    assert!(w.frames() - before < 160, "{}", w.frames() - before);
    w.give_up(0, name).unwrap();
    drained(&mut w);
    w.run_for(Duration::from_secs(1)).unwrap();
    let before = w.frames();
    w.run_for(Duration::from_secs(100)).unwrap();
    // Each side asks once a minute whether the other is still there.
    assert!(w.frames() - before <= 8, "{}", w.frames() - before);
    // The route is long forgotten; it is found again.
    must(w.look_up(0, a, "echo"));
}

#[test]
fn a_node_that_was_frozen_does_not_condemn_the_living() {
    // Frozen for less than it takes to die.
    let (mut w, a, name) = mid_call(&config());
    w.freeze(0, Duration::from_millis(700));
    w.run_for(Duration::from_secs(2)).unwrap();
    assert_eq!(w.machine(0).node().counters().deaths, 0);
    assert_eq!(w.machine(1).node().counters().deaths, 0);
    let _ = (a, name);
}

#[test]
fn a_node_that_was_frozen_for_long_learns_that_it_was_given_up() {
    let mut w = World::new(&config());
    let port = w.serve(1, "echo");
    let (a, b) = (w.thread(0), w.thread(1));
    let name = must(w.look_up(0, a, "echo"));
    let message = w.message(0, b"?");
    must(w.begin_call(0, a, name, message));
    let _request = w.receive(1, b, port).unwrap();
    w.freeze(0, Duration::from_secs(3));
    w.run_for(Duration::from_millis(2500)).unwrap();
    assert_eq!(
        w.machine(1).node().session_count(),
        0,
        "it was rightly taken for dead"
    );
    let _ = dead(w.await_reply(0, a));
    // It did not condemn by its own clock: it was told.
    assert!(w.now() < Duration::from_millis(3300), "{:?}", w.now());
    w.give_up(0, name).unwrap();
    // And all is well again.
    let name = must(w.look_up(0, a, "echo"));
    let message = w.message(0, b"again");
    must(w.begin_call(0, a, name, message));
    let request = w.receive(1, b, port).unwrap();
    assert_eq!(request.data(), b"again");
    w.reply(1, request).unwrap();
    must(w.await_reply(0, a)).clear_data();
}

#[test]
fn a_frozen_node_with_an_idle_session_can_be_used_again_at_once() {
    // Nothing is shared: node 1 forgets nothing, and neither has to.
    let mut w = World::new(&config());
    let port = w.serve(1, "echo");
    let (a, b) = (w.thread(0), w.thread(1));
    let name = must(w.look_up(0, a, "echo"));
    w.give_up(0, name).unwrap();
    drained(&mut w);
    w.freeze(0, Duration::from_secs(30));
    w.run_for(Duration::from_secs(31)).unwrap();
    let name = must(w.look_up(0, a, "echo"));
    let message = w.message(0, b"x");
    must(w.begin_call(0, a, name, message));
    let request = w.receive(1, b, port).unwrap();
    w.reply(1, request).unwrap();
    must(w.await_reply(0, a)).clear_data();
}

#[test]
fn a_node_that_was_started_anew_is_another_one() {
    let (mut w, a, name) = mid_call(&config());
    let address = w.machine(1).node().address();
    w.reboot(1);
    let port = w.serve(1, "echo");
    let b = w.thread(1);
    assert_eq!(dead(w.await_reply(0, a)), Reason::NodeDied(address.0));
    w.give_up(0, name).unwrap();
    let name = must(w.look_up(0, a, "echo"));
    assert_ne!(w.machine(1).node().address(), address);
    let message = w.message(0, b"new");
    must(w.begin_call(0, a, name, message));
    let request = w.receive(1, b, port).unwrap();
    assert_eq!(request.data(), b"new");
    w.reply(1, request).unwrap();
    must(w.await_reply(0, a)).clear_data();
}

/// Both nodes look up and call at the same moment, under every kind of loss.
#[test]
fn sessions_begun_from_both_sides_become_one_and_nobody_dies() {
    let mut doubled = 0;
    for seed in 0..400 {
        let loss = [0.0, 0.1, 0.3][seed as usize % 3];
        let mut w = World::new(&Config {
            seed,
            rules: bad_network(loss),
            ..config()
        });
        let ports = [w.serve(0, "left"), w.serve(1, "right")];
        let threads = [w.thread(0), w.thread(1)];
        let mut names = [None, None];
        // Until both are found: a look-up can fail where LOCATE was lost five times.
        while names.iter().any(Option::is_none) {
            let mut asked = [false; 2];
            for side in 0..2 {
                if names[side].is_none() {
                    let now = norma_flip::Instant(1_000_000_000 + w.now().as_nanos() as u64);
                    let text = ["right", "left"][side];
                    let node = w.machine(side).node();
                    let _ = node.look_up(now, threads[side], text, None).unwrap();
                    asked[side] = true;
                }
            }
            for side in 0..2 {
                w.after(side).unwrap();
            }
            for side in 0..2 {
                if !asked[side] {
                    continue;
                }
                match w.await_reply(side, threads[side]) {
                    Ok(mut message) => {
                        let right = message.take_right().unwrap();
                        let m = w.machine(side);
                        let space = m.space();
                        names[side] = m.node().ipc().insert(space, right).ok();
                        w.discard(side, message).unwrap();
                    }
                    Err(CallError::Reason(Reason::NameUnknown)) => {
                        w.run_for(Duration::from_millis(600)).unwrap();
                    }
                    Err(other) => panic!("seed {seed}: {other:?}"),
                }
            }
        }
        let message = w.message(0, b"hello");
        must(w.begin_call(0, threads[0], names[0].unwrap(), message));
        let request = w.receive(1, threads[1], ports[1]).unwrap();
        w.reply(1, request).unwrap();
        must(w.await_reply(0, threads[0])).clear_data();
        w.run_for(Duration::from_secs(5)).unwrap();
        for side in 0..2 {
            assert_eq!(w.machine(side).node().counters().deaths, 0, "seed {seed}");
        }
        doubled += u32::from(w.machine(0).node().counters().sessions > 1);
        for (side, name) in names.into_iter().enumerate() {
            w.give_up(side, name.unwrap()).unwrap();
        }
        drained(&mut w);
    }
    assert!(doubled < 20, "{doubled} of 400 pairs have two sessions");
}

#[test]
fn a_hello_that_comes_seconds_late_or_twice_harms_nobody() {
    for seed in 0..50 {
        // All that is sent in the first 200 ms comes again, up to eight seconds later.
        let late = Rule {
            jitter_ms: Some(8000.0),
            until_ms: Some(200),
            ..Rule::new(Action::Duplicate)
        };
        let mut w = World::new(&Config {
            seed,
            rules: vec![late],
            ..config()
        });
        let port = w.serve(1, "echo");
        let (a, b) = (w.thread(0), w.thread(1));
        let name = must(w.look_up(0, a, "echo"));
        for round in 0..200u8 {
            let message = w.message(0, &[round]);
            must(w.begin_call(0, a, name, message));
            let request = w.receive(1, b, port).unwrap();
            w.reply(1, request).unwrap();
            let reply = must(w.await_reply(0, a));
            assert_eq!(reply.data(), [round]);
            w.discard(0, reply).unwrap();
            w.run_for(Duration::from_millis(50)).unwrap();
        }
        for side in 0..2 {
            let counters = *w.machine(side).node().counters();
            assert_eq!((counters.deaths, counters.sessions), (0, 1), "seed {seed}");
        }
        w.give_up(0, name).unwrap();
        drained(&mut w);
    }
}

#[test]
fn a_cut_link_ends_the_session_on_both_sides_and_heals() {
    let mut w = World::new(&config());
    let port = w.serve(1, "echo");
    let (a, b) = (w.thread(0), w.thread(1));
    let name = must(w.look_up(0, a, "echo"));
    w.run_for(Duration::from_millis(500)).unwrap();
    w.faults().cut(0, 1);
    w.run_for(Duration::from_secs(3)).unwrap();
    assert_eq!(w.machine(0).node().session_count(), 0);
    assert_eq!(w.machine(1).node().session_count(), 0);
    w.faults().heal(0, 1);
    w.give_up(0, name).unwrap();
    let name = must(w.look_up(0, a, "echo"));
    let message = w.message(0, b"x");
    must(w.begin_call(0, a, name, message));
    let request = w.receive(1, b, port).unwrap();
    w.reply(1, request).unwrap();
    must(w.await_reply(0, a)).clear_data();
    w.give_up(0, name).unwrap();
    drained(&mut w);
}
