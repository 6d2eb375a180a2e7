//! What goes along when a receive right moves: requests, send-once rights, receive rights in its
//! queue; and what becomes of all that when a node dies.

mod common;

use std::time::Duration;

use common::moves::*;
use common::{Places, drained, must};
use norma_faults::Random;
use norma_ipc::{Completion, Delivery, Notification, Reason, RightKind, RightTypes};
use norma_sim::{CallError, Config, World, bad_network};

/// No senders is told at the new node, once, when the last right is gone, wherever that was.
#[test]
fn no_senders_moves_with_the_receive_right() {
    for route in [&[1][..], &[1, 2], &[2, 0], &[1, 2, 0, 1]] {
        let mut w = World::new(&calm(4));
        let p = Places::new(&mut w);
        let mut port = p.port(&mut w, 0);
        let told = p.want_no_senders(&mut w, 0, port);
        let mut holders = Vec::new();
        for node in 1..4 {
            p.give(&mut w, 0, port, node);
            holders.push((node, p.take(&mut w, node)));
        }
        p.drop_own(&mut w, 0, port);
        let mut at = 0;
        for to in route {
            port = move_to(&mut w, &p, at, port, *to);
            at = *to;
            run(&mut w, MS(100));
            assert_eq!(p.no_senders(&mut w, 0, told), 0, "{route:?}");
        }
        for (node, name) in holders {
            assert_eq!(p.no_senders(&mut w, 0, told), 0, "{route:?}");
            give_up(&mut w, node, name, RightKind::Send);
            run(&mut w, MS(100));
        }
        assert_eq!(p.no_senders(&mut w, 0, told), 1, "{route:?}");
        p.drop_receive(&mut w, at, port);
        p.drop_receive(&mut w, 0, told);
        p.close(&mut w);
        drained(&mut w);
    }
}

/// A request that waits for rights that are still to be made is not answered by the move.
#[test]
fn no_senders_is_not_told_of_by_the_move_itself() {
    let mut w = World::new(&calm(2));
    let p = Places::new(&mut w);
    let space = w.machine(0).space();
    let ipc = w.machine(0).node().ipc();
    let port = ipc.allocate_port(space).unwrap();
    let told = ipc.allocate_port(space).unwrap();
    let notify = ipc.make_right(space, told, RightKind::SendOnce).unwrap();
    let asked = ipc.request_no_senders(space, port, 1, Some(notify));
    assert!(matches!(asked, Ok(None)));
    let port = move_to(&mut w, &p, 0, port, 1);
    run(&mut w, MS(200));
    assert_eq!(p.no_senders(&mut w, 0, told), 0);
    // One is made where the port is now, for the node where it was.
    let space = w.machine(1).space();
    let ipc = w.machine(1).node().ipc();
    let right = ipc.make_right(space, port, RightKind::Send).unwrap();
    let mut message = w.message(1, b"one");
    message.push_right(right).unwrap();
    must(w.send(1, p.threads[1], p.way(1, 0), message));
    let name = p.take(&mut w, 0);
    run(&mut w, MS(100));
    assert_eq!(p.no_senders(&mut w, 0, told), 0);
    give_up(&mut w, 0, name, RightKind::Send);
    run(&mut w, MS(100));
    assert_eq!(p.no_senders(&mut w, 0, told), 1);
    p.drop_receive(&mut w, 1, port);
    p.drop_receive(&mut w, 0, told);
    p.close(&mut w);
    drained(&mut w);
}

/// A receive right that was promised to somebody comes back from another node, with its queue.
#[test]
fn port_destroyed_comes_back_from_another_node() {
    let mut w = World::new(&calm(3));
    let p = Places::new(&mut w);
    let port = p.port(&mut w, 0);
    let (told, once) = bell(&mut w, 0);
    let space = w.machine(0).space();
    let ipc = w.machine(0).node().ipc();
    let notify = ipc.extract(space, once, RightKind::SendOnce).unwrap();
    let asked = ipc.request_port_destroyed(space, port, Some(notify));
    assert!(matches!(asked, Ok(None)));
    let moved = move_to(&mut w, &p, 0, port, 1);
    let moved = move_to(&mut w, &p, 1, moved, 2);
    run(&mut w, MS(100));
    send_by(&mut w, 0, port, b"still there");
    run(&mut w, MS(100));
    give_up(&mut w, 2, moved, RightKind::Receive);
    run(&mut w, MS(100));
    let Some(Notification::PortDestroyed(right)) = news_at(&mut w, 0, told) else {
        panic!("it did not come back")
    };
    let name = w.machine(0).node().ipc().insert(space, right).unwrap();
    assert_eq!(name, port, "it has its old name");
    assert_eq!(text_at(&mut w, 0, name), Some(b"still there".to_vec()));
    give_up(&mut w, 0, port, RightKind::Send);
    p.drop_receive(&mut w, 0, name);
    p.drop_receive(&mut w, 0, told);
    p.close(&mut w);
    drained(&mut w);
}

/// Whoever asks about a right can have the answer sent to another node.
#[test]
fn a_request_is_answered_on_another_node() {
    let mut w = World::new(&calm(2));
    let p = Places::new(&mut w);
    let (told, once) = bell(&mut w, 0);
    let _ = once;
    let notify = give_once(&mut w, &p, 0, told, 1);
    let space = w.machine(1).space();
    let port = p.port(&mut w, 1);
    let ipc = w.machine(1).node().ipc();
    let notify = ipc.extract(space, notify, RightKind::SendOnce).unwrap();
    let asked = ipc.request_no_senders(space, port, 0, Some(notify));
    assert!(matches!(asked, Ok(None)));
    run(&mut w, MS(50));
    p.drop_own(&mut w, 1, port);
    run(&mut w, MS(50));
    let told_of = news_at(&mut w, 0, told);
    assert_eq!(told_of, Some(Notification::NoSenders { make_sends: 1 }));
    give_up(&mut w, 0, once, RightKind::SendOnce);
    assert!(matches!(
        news_at(&mut w, 0, told),
        Some(Notification::SendOnce(_))
    ));
    p.drop_receive(&mut w, 1, port);
    p.drop_receive(&mut w, 0, told);
    p.close(&mut w);
    drained(&mut w);
}

/// Send-once rights at the old node, and at others that had theirs from there, each lead to one
/// message or one notification, however often the port has moved; and at home they are the
/// port's own again.
#[test]
fn send_once_rights_follow_the_port() {
    for route in [&[1][..], &[1, 2], &[1, 0], &[1, 2, 0], &[2, 1, 2, 1]] {
        for used in 0..16u32 {
            let mut w = World::new(&calm(3));
            let p = Places::new(&mut w);
            let space = w.machine(0).space();
            let ipc = w.machine(0).node().ipc();
            let mut port = ipc.allocate_port(space).unwrap();
            let mut onces = Vec::new();
            for _ in 0..2 {
                let ipc = w.machine(0).node().ipc();
                let right = ipc.make_right(space, port, RightKind::SendOnce).unwrap();
                onces.push((0, ipc.insert(space, right).unwrap()));
            }
            for node in [1, 2] {
                onces.push((node, give_once(&mut w, &p, 0, port, node)));
            }
            let mut at = 0;
            for to in route {
                port = move_to(&mut w, &p, at, port, *to);
                at = *to;
            }
            for (number, (node, name)) in onces.iter().enumerate() {
                if used & 1 << number == 0 {
                    give_up(&mut w, *node, *name, RightKind::SendOnce);
                } else {
                    send_by(&mut w, *node, *name, &[number as u8]);
                }
            }
            run(&mut w, MS(200));
            let (mut sent, mut dropped) = (0, 0);
            while let Some(delivery) = try_receive(&mut w, at, port) {
                match delivery {
                    Delivery::Message(message) => {
                        sent |= 1 << message.data()[0];
                        must(w.discard(at, message).map_err(CallError::Failure));
                    }
                    Delivery::Notification(Notification::SendOnce(reason)) => {
                        assert_eq!(reason, Reason::Unanswered);
                        dropped += 1;
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!((sent, dropped), (used, 4 - used.count_ones()), "{route:?}");
            let space = w.machine(at).space();
            let status = w.machine(at).node().ipc().receive_status(space, port);
            assert_eq!(status.unwrap().send_onces, 0, "{route:?} {used:b}");
            p.drop_receive(&mut w, at, port);
            p.close(&mut w);
            drained(&mut w);
        }
    }
}

/// A receive right in the queue of a port that moves goes along, with its own queue.
#[test]
fn ports_within_queues_move_along() {
    let mut w = World::new(&calm(3));
    let p = Places::new(&mut w);
    let outer = p.port(&mut w, 0);
    let mut inner = outer;
    let mut names = Vec::new();
    for depth in 0..4u8 {
        // A port with two messages, whose receive right is in the queue of the one before.
        let port = p.port(&mut w, 0);
        send_by(&mut w, 0, port, &[depth, 1]);
        let space = w.machine(0).space();
        let ipc = w.machine(0).node().ipc();
        let right = ipc.extract(space, port, RightKind::Receive).unwrap();
        let mut message = w.message(0, b"inner");
        message.push_right(right).unwrap();
        must(w.send(0, p.threads[0], inner, message));
        send_by(&mut w, 0, port, &[depth, 2]);
        names.push(port);
        inner = port;
    }
    let mut at = move_to(&mut w, &p, 0, outer, 1);
    at = move_to(&mut w, &p, 1, at, 2);
    // Each is in the queue of the one before, behind its messages.
    for depth in 0..4u8 {
        if let Some(above) = depth.checked_sub(1) {
            assert_eq!(text_at(&mut w, 2, at), Some(vec![above, 1]));
            assert_eq!(text_at(&mut w, 2, at), Some(vec![above, 2]));
        }
        let Some(Delivery::Message(mut message)) = try_receive(&mut w, 2, at) else {
            panic!("nothing at depth {depth}")
        };
        let right = message.take_right().unwrap();
        must(w.discard(2, message).map_err(CallError::Failure));
        let space = w.machine(2).space();
        let next = w.machine(2).node().ipc().insert(space, right).unwrap();
        p.drop_receive(&mut w, 2, at);
        at = next;
    }
    assert_eq!(text_at(&mut w, 2, at), Some(vec![3, 1]));
    assert_eq!(text_at(&mut w, 2, at), Some(vec![3, 2]));
    p.drop_receive(&mut w, 2, at);
    run(&mut w, MS(100));
    for name in names.into_iter().chain([outer]) {
        give_up(&mut w, 0, name, RightKind::Send);
    }
    p.close(&mut w);
    drained(&mut w);
}

/// Whoever dies at whatever time while a port moves: who lives is told, nothing comes twice, and
/// nothing is left.
#[test]
fn a_death_at_every_stage_of_a_move() {
    for victim in 0..3 {
        for step in 0..if cfg!(miri) { 2 } else { 60 } {
            for lossy in [false, true] {
                let mut w = World::new(&Config {
                    seed: step,
                    nodes: 3,
                    in_hands: true,
                    deaths: true,
                    rules: if lossy { bad_network(0.05) } else { Vec::new() },
                    ..Config::default()
                });
                death_during_move(&mut w, victim, Duration::from_micros(step * 40));
            }
        }
    }
}

fn death_during_move(w: &mut World, victim: usize, after_time: Duration) {
    let p = Places::new(w);
    let port = p.port(w, 0);
    p.give(w, 0, port, 2);
    let at_2 = p.take(w, 2);
    for number in 0..10 {
        send_by(w, 0, port, &[number]);
    }
    p.give_receive(w, 0, port, 1);
    let thread = w.thread(2);
    let space = w.machine(2).space();
    let message = w.message(2, &[100]);
    let at = now(w);
    let sent = w
        .machine(2)
        .node()
        .send(at, space, at_2, message, Some(thread));
    assert!(sent.is_ok());
    after(w, 2);
    run(w, after_time);
    w.kill(victim);
    run(w, MS(4000));
    // If the new owner lives and has it, it has a beginning of what was queued, in order.
    if victim != 1
        && let Some(name) = p.try_take(w, 1)
    {
        let space = w.machine(1).space();
        let types = w.machine(1).node().ipc().right_types(space, name).unwrap();
        let mut expected = 0;
        while types.contains(RightTypes::RECEIVE)
            && let Some(data) = text_at(w, 1, name)
        {
            if data[0] < 100 {
                assert_eq!(data[0], expected);
                expected += 1;
            }
        }
        assert!(victim == 0 || expected == 10, "{expected}");
        give_up_all(w, 1, name);
    }
    for (node, name) in [(0, port), (2, at_2)] {
        if node != victim {
            give_up_all(w, node, name);
        }
    }
    if victim != 2 {
        match w.machine(2).node().ipc().take_completion(thread) {
            None | Some(Completion::Sent) => {}
            Some(Completion::Refused(_, message)) => {
                must(w.discard(2, message).map_err(CallError::Failure));
            }
            other => panic!("{other:?}"),
        }
    }
    p.close(w);
    let rest = w.run_until(Duration::from_secs(5), |w| w.is_drained());
    assert!(
        rest.is_ok(),
        "{victim} after {after_time:?}: {}",
        w.holdings()
    );
}

/// Ports move at random on a bad network, with requests and send-once rights.
#[test]
fn everything_at_once_on_a_bad_network() {
    for seed in 0..if cfg!(miri) { 1 } else { 100 } {
        let mut random = Random::new(seed);
        let mut w = World::new(&Config {
            seed,
            nodes: 4,
            in_hands: true,
            rules: bad_network(0.1),
            ..Config::default()
        });
        let p = Places::new(&mut w);
        let mut port = p.port(&mut w, 0);
        let told = p.want_no_senders(&mut w, 0, port);
        let mut holders = vec![];
        for node in 1..4 {
            p.give(&mut w, 0, port, node);
            holders.push((node, p.take(&mut w, node)));
        }
        p.drop_own(&mut w, 0, port);
        let (mut at, mut onces, mut made, mut got) = (0, Vec::new(), 0, 0);
        for _ in 0..12 {
            match random.below(4) {
                0 => {
                    let to = (at + 1 + random.below(3) as usize) % 4;
                    port = move_to(&mut w, &p, at, port, to);
                    at = to;
                }
                1 => {
                    let to = (at + 1 + random.below(3) as usize) % 4;
                    onces.push((to, give_once(&mut w, &p, at, port, to)));
                    made += 1;
                }
                2 if !onces.is_empty() => {
                    let (node, name) = onces.swap_remove(random.below(onces.len() as u64) as usize);
                    if random.below(2) == 0 {
                        give_up(&mut w, node, name, RightKind::SendOnce);
                    } else {
                        send_by(&mut w, node, name, b"once");
                    }
                }
                _ => run(&mut w, Duration::from_micros(random.below(3000))),
            }
            assert_eq!(p.no_senders(&mut w, 0, told), 0, "seed {seed}");
        }
        for (node, name) in onces {
            give_up(&mut w, node, name, RightKind::SendOnce);
        }
        for (node, name) in holders {
            assert_eq!(p.no_senders(&mut w, 0, told), 0, "seed {seed}");
            give_up(&mut w, node, name, RightKind::Send);
        }
        run(&mut w, MS(2000));
        assert_eq!(p.no_senders(&mut w, 0, told), 1, "seed {seed}");
        while let Some(delivery) = try_receive(&mut w, at, port) {
            got += 1;
            if let Delivery::Message(message) = delivery {
                must(w.discard(at, message).map_err(CallError::Failure));
            }
        }
        assert_eq!(got, made, "seed {seed}");
        p.drop_receive(&mut w, at, port);
        p.drop_receive(&mut w, 0, told);
        p.close(&mut w);
        drained(&mut w);
    }
}
