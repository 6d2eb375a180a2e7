//! Rights that pass through third nodes: who talks to whom, what merges, and who is counted.

mod common;

use std::time::Duration;

use common::{Places, drained};
use norma_faults::Random;
use norma_ipc::{Name, Reason, RightError, SendFailure};
use norma_sim::{CallError, Config, World, bad_network};

const MS: fn(u64) -> Duration = Duration::from_millis;

fn calm(nodes: usize) -> Config {
    Config {
        nodes,
        in_hands: true,
        ..Config::default().calm()
    }
}

/// How it ends when somebody sends through a right whose way there may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The message arrived.
    Direct,
    /// The right is a dead name.
    Dead,
}

#[test]
fn a_third_nodes_right_is_used_directly_and_the_giver_forgotten() {
    let mut w = World::new(&calm(3));
    let p = Places::new(&mut w);
    let port = p.port(&mut w, 1);
    p.give(&mut w, 1, port, 0);
    let at_0 = p.take(&mut w, 0);
    p.give(&mut w, 0, at_0, 2);
    let at_2 = p.take(&mut w, 2);
    w.give_up(0, at_0).unwrap();
    w.run_for(MS(100)).unwrap();
    w.kill(0);
    w.run_for(MS(5000)).unwrap();
    assert!(p.reaches(&mut w, 2, at_2, 1, port));
    w.give_up(2, at_2).unwrap();
    p.close(&mut w);
    drained(&mut w);
}

/// It is on its way back when its new holder, who has found the owner, lets the giver's go.
#[test]
fn a_right_that_goes_straight_back_to_its_giver_is_the_one_that_it_has() {
    for seed in 1..60 {
        let mut w = World::new(&Config {
            seed,
            rules: bad_network(0.0),
            ..calm(3)
        });
        let p = Places::new(&mut w);
        let port = p.port(&mut w, 1);
        p.give(&mut w, 1, port, 0);
        let at_0 = p.take(&mut w, 0);
        p.give(&mut w, 0, at_0, 2);
        let at_2 = p.take(&mut w, 2);
        p.give(&mut w, 2, at_2, 0);
        w.run_for(MS(20)).unwrap();
        assert_eq!(p.take(&mut w, 0), at_0, "seed {seed}");
        assert!(p.reaches(&mut w, 0, at_0, 1, port));
    }
}

#[test]
fn equal_rights_by_different_ways_have_one_name() {
    // Node 2 hears of node 1's port from node 0, from node 3, and from node 1 itself.
    for order in [[0, 3, 1], [1, 0, 3], [3, 1, 0], [0, 1, 3]] {
        for pause in [0, 30] {
            let mut w = World::new(&calm(4));
            let p = Places::new(&mut w);
            let port = p.port(&mut w, 1);
            let mut names = vec![(1, port)];
            for to in [0, 3] {
                p.give(&mut w, 1, port, to);
                names.push((to, p.take(&mut w, to)));
            }
            w.run_for(MS(50)).unwrap();
            let mut found = Vec::new();
            for from in order {
                let name = names.iter().find(|(at, _)| *at == from).unwrap().1;
                p.give(&mut w, from, name, 2);
                found.push(p.take(&mut w, 2));
                w.run_for(MS(pause)).unwrap();
            }
            assert_eq!(found, [found[0]; 3], "{order:?}");
            w.run_for(MS(100)).unwrap();
            let held = w.machine(2).node().holdings();
            assert_eq!(held.acquiring, 0);
            // That port, and those through which rights are sent.
            assert_eq!(held.imports, 1 + 3, "{order:?} {held:?}");
            assert!(p.reaches(&mut w, 2, found[0], 1, port));
            for _ in 0..3 {
                w.give_up(2, found[0]).unwrap();
            }
            for (at, name) in names.into_iter().filter(|(at, _)| *at != 1) {
                w.give_up(at, name).unwrap();
            }
            p.close(&mut w);
            drained(&mut w);
        }
    }
}

#[test]
fn a_right_comes_home_by_any_way() {
    for pause in [0, 1, 40] {
        let mut w = World::new(&calm(4));
        let p = Places::new(&mut w);
        let port = p.port(&mut w, 1);
        // 1 -> 0 -> 2 -> 3 -> 1, and each gives away all that it has.
        let mut at = 1;
        let mut name = port;
        for next in [0, 2, 3, 1] {
            p.give(&mut w, at, name, next);
            if at != 1 {
                w.give_up(at, name).unwrap();
            }
            (at, name) = (next, p.take(&mut w, next));
            w.run_for(MS(pause)).unwrap();
        }
        assert_eq!(name, port, "it is the port itself");
        w.give_up(1, name).unwrap();
        p.close(&mut w);
        drained(&mut w);
    }
}

#[test]
fn a_right_that_is_passed_on_at_once_is_followed_to_its_owner() {
    let mut w = World::new(&calm(8));
    let p = Places::new(&mut w);
    let port = p.port(&mut w, 0);
    let mut held = Vec::new();
    let (mut at, mut name) = (0, port);
    for next in 1..8 {
        p.give(&mut w, at, name, next);
        (at, name) = (next, p.take(&mut w, next));
        held.push((at, name));
    }
    w.run_for(MS(100)).unwrap();
    // All of them hang on the owner.
    for (at, name) in held {
        assert_eq!(w.machine(at).node().holdings().acquiring, 0);
        assert!(p.reaches(&mut w, at, name, 0, port));
        w.give_up(at, name).unwrap();
    }
    p.close(&mut w);
    drained(&mut w);
}

#[test]
fn senders_wait_while_a_right_is_acquired_and_come_in_their_order() {
    let mut w = World::new(&calm(3));
    let p = Places::new(&mut w);
    let port = p.port(&mut w, 1);
    p.give(&mut w, 1, port, 0);
    let at_0 = p.take(&mut w, 0);
    w.faults().cut(1, 2);
    p.give(&mut w, 0, at_0, 2);
    let at_2 = p.take(&mut w, 2);
    let space = w.machine(2).space();
    let threads: Vec<_> = (0..5).map(|_| w.thread(2)).collect();
    for (number, thread) in threads.iter().enumerate() {
        let message = w.message(2, &[number as u8]);
        let now = norma_flip::Instant(1_000_000_000 + w.now().as_nanos() as u64);
        let sent = w
            .machine(2)
            .node()
            .send(now, space, at_2, message, Some(*thread));
        assert!(matches!(sent, Ok(norma_net::Posted::Waiting)));
        w.after(2).unwrap();
    }
    w.run_for(MS(300)).unwrap();
    w.faults().heal(1, 2);
    for number in 0..5 {
        let message = w.receive(1, p.threads[1], port).unwrap();
        assert_eq!(message.data(), [number]);
        w.discard(1, message).unwrap();
    }
    for thread in threads {
        assert!(matches!(w.wait(2, thread), Ok(norma_ipc::Completion::Sent)));
    }
    w.give_up(2, at_2).unwrap();
    w.give_up(0, at_0).unwrap();
    p.close(&mut w);
    drained(&mut w);
}

/// Complaint: "no-senders bookkeeping dominates complexity". It is told once, and not before the
/// last right is gone, by whichever way rights went.
#[test]
fn no_senders_is_told_once_and_never_early() {
    let mut w = World::new(&calm(4));
    let p = Places::new(&mut w);
    let port = p.port(&mut w, 1);
    let told = p.want_no_senders(&mut w, 1, port);
    p.give(&mut w, 1, port, 0);
    p.drop_own(&mut w, 1, port);
    let at_0 = p.take(&mut w, 0);
    p.give(&mut w, 0, at_0, 2);
    w.give_up(0, at_0).unwrap();
    let at_2 = p.take(&mut w, 2);
    w.run_for(MS(100)).unwrap();
    assert_eq!(p.no_senders(&mut w, 1, told), 0);
    p.give(&mut w, 2, at_2, 3);
    w.give_up(2, at_2).unwrap();
    let at_3 = p.take(&mut w, 3);
    w.run_for(MS(100)).unwrap();
    assert_eq!(p.no_senders(&mut w, 1, told), 0);
    w.give_up(3, at_3).unwrap();
    w.run_for(MS(100)).unwrap();
    assert_eq!(p.no_senders(&mut w, 1, told), 1);
    w.run_for(MS(1000)).unwrap();
    assert_eq!(p.no_senders(&mut w, 1, told), 0);
    p.close(&mut w);
    drained(&mut w);
}

/// Kills `victim` at so many moments of a transfer from 0 to 2 of a right to a port of 1.
fn killed_at_every_stage(victim: usize) -> Vec<Option<Way>> {
    let mut ways = Vec::new();
    for step in 0..60 {
        let mut w = World::new(&Config {
            seed: step,
            deaths: true,
            ..calm(3)
        });
        let p = Places::new(&mut w);
        let port = p.port(&mut w, 1);
        let told = p.want_no_senders(&mut w, 1, port);
        p.give(&mut w, 1, port, 0);
        p.drop_own(&mut w, 1, port);
        let at_0 = p.take(&mut w, 0);
        w.run_for(MS(50)).unwrap();
        p.give(&mut w, 0, at_0, 2);
        w.give_up(0, at_0).unwrap();
        w.run_for(Duration::from_micros(step * 25)).unwrap();
        w.kill(victim);
        w.run_for(MS(4000)).unwrap();
        let at_2 = (victim != 2).then(|| p.try_take(&mut w, 2)).flatten();
        let way = at_2.map(|name| match p.reaches(&mut w, 2, name, 1, port) {
            true => Way::Direct,
            false => Way::Dead,
        });
        if victim != 1 {
            let early = p.no_senders(&mut w, 1, told);
            assert_eq!(early, usize::from(way != Some(Way::Direct)), "step {step}");
        }
        if let Some(name) = at_2 {
            w.give_up(2, name).unwrap();
        }
        w.run_for(MS(200)).unwrap();
        if victim != 1 && way == Some(Way::Direct) {
            assert_eq!(p.no_senders(&mut w, 1, told), 1, "step {step}");
        }
        p.close(&mut w);
        drained(&mut w);
        ways.push(way);
    }
    ways
}

#[test]
fn the_giver_dies_at_every_stage() {
    // Its right lives for as long as the owner has not given it up, and that is long enough.
    let ways = killed_at_every_stage(0);
    assert!(ways.iter().all(|way| *way == Some(Way::Direct)), "{ways:?}");
}

#[test]
fn the_giver_dies_before_the_owner_can_be_asked() {
    let mut w = World::new(&Config {
        deaths: true,
        ..calm(3)
    });
    let p = Places::new(&mut w);
    let port = p.port(&mut w, 1);
    let told = p.want_no_senders(&mut w, 1, port);
    p.give(&mut w, 1, port, 0);
    p.drop_own(&mut w, 1, port);
    let at_0 = p.take(&mut w, 0);
    w.run_for(MS(50)).unwrap();
    w.faults().cut(1, 2);
    p.give(&mut w, 0, at_0, 2);
    let at_2 = p.take(&mut w, 2);
    w.kill(0);
    w.run_for(MS(4000)).unwrap();
    w.faults().heal(1, 2);
    assert_eq!(p.no_senders(&mut w, 1, told), 1);
    assert!(!p.reaches(&mut w, 2, at_2, 1, port));
    w.give_up(2, at_2).unwrap();
    w.run_for(MS(1000)).unwrap();
    assert_eq!(p.no_senders(&mut w, 1, told), 0);
    p.close(&mut w);
    drained(&mut w);
}

#[test]
fn the_owner_dies_at_every_stage() {
    let ways = killed_at_every_stage(1);
    assert!(ways.iter().all(|way| *way == Some(Way::Dead)), "{ways:?}");
}

#[test]
fn the_taker_dies_at_every_stage() {
    killed_at_every_stage(2);
}

#[test]
fn a_right_whose_owner_cannot_be_reached_dies_in_about_a_second() {
    let mut w = World::new(&calm(3));
    let p = Places::new(&mut w);
    let port = p.port(&mut w, 1);
    p.give(&mut w, 1, port, 0);
    let at_0 = p.take(&mut w, 0);
    w.faults().cut(1, 2);
    p.give(&mut w, 0, at_0, 2);
    let at_2 = p.take(&mut w, 2);
    let begun = w.now();
    let message = w.message(2, b"?");
    let owner = w.machine(1).node().address().0;
    match w.send(2, p.threads[2], at_2, message) {
        Err(CallError::Reason(Reason::NodeDied(node))) => assert_eq!(node, owner),
        other => panic!("{other:?}"),
    }
    let took = w.now() - begun;
    assert!(took > MS(500) && took < MS(1500), "{took:?}");
    let message = w.message(2, b"?");
    match w.send(2, p.threads[2], at_2, message) {
        Err(CallError::NotSent(SendFailure::Right(RightError::Dead(_)))) => {}
        other => panic!("{other:?}"),
    }
    w.faults().heal(1, 2);
    // The giver has its own.
    assert!(p.reaches(&mut w, 0, at_0, 1, port));
    w.give_up(2, at_2).unwrap();
    w.give_up(0, at_0).unwrap();
    p.close(&mut w);
    drained(&mut w);
}

#[test]
fn a_port_that_dies_while_its_right_is_acquired_is_a_dead_name() {
    for wait in 0..30 {
        let mut w = World::new(&calm(3));
        let p = Places::new(&mut w);
        let port = p.port(&mut w, 1);
        p.give(&mut w, 1, port, 0);
        let at_0 = p.take(&mut w, 0);
        p.give(&mut w, 0, at_0, 2);
        w.run_for(Duration::from_micros(wait * 50)).unwrap();
        let space = w.machine(1).space();
        let ipc = w.machine(1).node().ipc();
        ipc.deallocate(space, port, norma_ipc::RightKind::Receive)
            .unwrap();
        w.after(1).unwrap();
        let at_2 = p.take(&mut w, 2);
        w.run_for(MS(100)).unwrap();
        let message = w.message(2, b"?");
        match w.send(2, p.threads[2], at_2, message) {
            Err(CallError::NotSent(SendFailure::Right(RightError::Dead(_)))) => {}
            other => panic!("{other:?}"),
        }
        w.give_up(2, at_2).unwrap();
        w.give_up(0, at_0).unwrap();
        p.drop_own(&mut w, 1, port);
        p.close(&mut w);
        drained(&mut w);
    }
}

/// Nodes pass rights to each other's ports around, at random, on a bad network.
fn carousel(seed: u64, nodes: usize, steps: usize, loss: f64) {
    let rules = if loss > 0.0 {
        bad_network(loss)
    } else {
        vec![]
    };
    let mut w = World::new(&Config {
        seed,
        nodes,
        rules,
        in_hands: true,
        ..Config::default()
    });
    let mut random = Random::new(seed ^ 0x7468_6972);
    let p = Places::new(&mut w);
    let ports: Vec<(usize, Name, Name)> = (0..nodes)
        .map(|node| {
            let port = p.port(&mut w, node);
            let told = p.want_no_senders(&mut w, node, port);
            (node, port, told)
        })
        .collect();
    // Who holds a right to which port; owners by the right beside their receive right.
    let mut held: Vec<(usize, usize, Name)> = ports
        .iter()
        .map(|(node, port, _)| (*node, *node, *port))
        .collect();
    let mut times = vec![0; nodes];
    for _ in 0..steps {
        if held.is_empty() {
            break;
        }
        let pick = random.below(held.len() as u64) as usize;
        let (at, whose, name) = held[pick];
        match random.below(6) {
            0 if held.len() > 3 => {
                held.swap_remove(pick);
                w.give_up(at, name).unwrap();
            }
            1 => w
                .run_for(Duration::from_micros(random.below(20_000)))
                .unwrap(),
            _ => {
                let to = random.below(nodes as u64) as usize;
                if to != at {
                    p.give(&mut w, at, name, to);
                    let taken = p.take(&mut w, to);
                    let same = held.iter().find(|(at, of, _)| (*at, *of) == (to, whose));
                    if let Some((_, _, other)) = same {
                        assert_eq!(*other, taken, "seed {seed}: one port, two names");
                    }
                    held.push((to, whose, taken));
                }
            }
        }
        for (number, (node, _, told)) in ports.iter().enumerate() {
            times[number] += p.no_senders(&mut w, *node, *told);
            let has_senders = held.iter().any(|(_, whose, _)| *whose == number);
            assert!(times[number] == 0 || !has_senders, "seed {seed}: early");
        }
    }
    for (at, whose, name) in held {
        let (owner, port, _) = ports[whose];
        assert!(
            at == owner || p.reaches(&mut w, at, name, owner, port),
            "seed {seed}"
        );
        w.give_up(at, name).unwrap();
    }
    w.run_for(MS(3000)).unwrap();
    for (number, (node, _, told)) in ports.iter().enumerate() {
        times[number] += p.no_senders(&mut w, *node, *told);
    }
    assert_eq!(times, vec![1; nodes], "seed {seed}");
    p.close(&mut w);
    drained(&mut w);
}

#[test]
fn rights_go_round_and_are_counted_exactly() {
    for seed in 0..6 {
        carousel(seed, 3 + seed as usize % 4, 120, 0.0);
    }
}

#[test]
fn rights_go_round_on_a_bad_network_and_are_counted_exactly() {
    for seed in 0..6 {
        carousel(100 + seed, 3 + seed as usize * 2 % 10, 60, 0.15);
    }
}
