//! Sessions under load: many senders, slow receivers, large beside small, lost frames.

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use common::flood::{flood, sink};
use common::{drained, must};
use norma_ipc::{Name, ThreadId};
use norma_sim::{Config, Link, World};

const MIB: usize = 1 << 20;

fn config() -> Config {
    Config {
        audit_every: 0,
        ..Config::default().calm()
    }
}

/// A call, from its message to its answer.
fn call(w: &mut World, (a, name): (ThreadId, Name), (b, port): (ThreadId, Name)) {
    let message = w.message(0, b"");
    must(w.begin_call(0, a, name, message));
    let request = w.receive(1, b, port).unwrap();
    w.reply(1, request).unwrap();
    let reply = must(w.await_reply(0, a));
    w.discard(0, reply).unwrap();
}

/// A world in which node 1 serves "echo" and node 0 knows it.
fn pair(config: &Config) -> (World, (ThreadId, Name), (ThreadId, Name)) {
    let mut w = World::new(config);
    let port = w.serve(1, "echo");
    let (a, b) = (w.thread(0), w.thread(1));
    let name = must(w.look_up(0, a, "echo"));
    (w, (a, name), (b, port))
}

#[test]
fn call_after_call_sets_hardly_any_timer_and_sends_nothing_besides() {
    let (mut w, client, server) = pair(&config());
    for _ in 0..100 {
        call(&mut w, client, server);
    }
    let before: Vec<_> = (0..2).map(|i| w.machine(i).timer_settings()).collect();
    let frames = w.frames();
    const CALLS: u64 = 5000;
    for _ in 0..CALLS {
        call(&mut w, client, server);
    }
    let set: u64 = (0..2)
        .map(|i| w.machine(i).timer_settings() - before[i])
        .sum();
    assert!(set * 100 <= CALLS * 4, "{set} settings in {CALLS} calls");
    let more = w.frames() - frames - 2 * CALLS;
    assert!(more <= 2, "{more} more frames");
}

/// BSD's time-outs were hundreds of milliseconds, against a way of one.
#[test]
fn a_lost_frame_of_a_call_costs_some_round_trips_and_no_time_of_a_clock() {
    // The request, or the reply; the first call after a pause, or one of many.
    for (lost, pause) in [(0, true), (1, true), (0, false), (1, false)] {
        let (mut w, client, server) = pair(&config());
        for _ in 0..300 {
            call(&mut w, client, server);
        }
        if pause {
            w.run_for(Duration::from_millis(100)).unwrap();
        }
        let begun = w.now();
        let (from, to) = if lost == 0 { (0, 1) } else { (1, 0) };
        let message = w.message(0, b"");
        if lost == 0 {
            w.faults().cut_one_way(from, to);
        }
        must(w.begin_call(0, client.0, client.1, message));
        w.faults().heal_all();
        let request = w.receive(1, server.0, server.1).unwrap();
        if lost == 1 {
            w.faults().cut_one_way(from, to);
        }
        w.reply(1, request).unwrap();
        w.faults().heal_all();
        let reply = must(w.await_reply(0, client.0));
        w.discard(0, reply).unwrap();
        let took = w.now() - begun;
        // A round trip takes 100 us.
        let most = if pause { 2 } else { 10 };
        assert!(
            took < Duration::from_millis(most),
            "lost {lost}, pause {pause}: {took:?}"
        );
    }
}

/// `count` nodes know the one port of node 0, and every `which`-th sends notes to it as fast as
/// it may, for `time`. What arrived of each of these.
fn storm(count: usize, which: usize, buffers: u16, time: Duration) -> (World, Vec<u64>) {
    let mut w = World::new(&Config {
        nodes: count + 1,
        receive_buffers: buffers,
        mtu: 9000,
        link: Some(Link {
            bandwidth: 1_000_000_000,
            queue: usize::from(buffers) * 9000,
        }),
        ..config()
    });
    let arrived = sink(&mut w, 0, "sink");
    for sender in 1..=count {
        let thread = w.thread(sender);
        let name = must(w.look_up(sender, thread, "sink"));
        if sender % which == 0 {
            flood(&mut w, sender, name, sender as u32, 0, u64::MAX);
        }
    }
    w.run_for(time / 4).unwrap();
    let begun = arrived.borrow().messages.clone();
    w.run_for(time).unwrap();
    let arrived = arrived.borrow();
    let of = |id: u32| {
        let before = begun.get(&id).copied().unwrap_or(0);
        arrived.messages.get(&id).copied().unwrap_or(0) - before
    };
    let each = (1..=count as u32)
        .filter(|id| *id % which as u32 == 0)
        .map(of)
        .collect();
    drop(arrived);
    (w, each)
}

/// Many-to-one storms exhausted the receivers of NORMA's first version.
#[test]
fn a_hundred_senders_to_one_receiver_each_get_on_and_it_holds_no_more_than_it_has() {
    let (mut w, each) = storm(100, 1, 128, Duration::from_millis(300));
    let (least, most) = (*each.iter().min().unwrap(), *each.iter().max().unwrap());
    assert!(least > 0 && most <= 4 * least, "from {least} to {most}");
    let held = w.machine(0).node().holdings();
    assert!(held.incoming <= 2 * 128, "{held:?}");
    for sender in 0..=100 {
        assert_eq!(w.machine(sender).node().counters().deaths, 0);
    }
}

#[test]
fn eleven_hundred_sessions_of_which_a_hundred_send_share_what_there_is() {
    let (_, each) = storm(1100, 11, 256, Duration::from_millis(200));
    let (least, most) = (*each.iter().min().unwrap(), *each.iter().max().unwrap());
    assert!(least > 0 && most <= 8 * least, "from {least} to {most}");
}

#[test]
fn credits_follow_who_sends() {
    let nodes = 33;
    let mut w = World::new(&Config {
        nodes,
        receive_buffers: 128,
        ..config()
    });
    let arrived = sink(&mut w, 0, "sink");
    let mut names = Vec::new();
    for sender in 1..nodes {
        let thread = w.thread(sender);
        names.push(must(w.look_up(sender, thread, "sink")));
    }
    // All send, then only one does: it gets what the others do not need.
    for sender in 1..nodes {
        flood(&mut w, sender, names[sender - 1], sender as u32, 0, 100);
    }
    w.run_for(Duration::from_millis(200)).unwrap();
    assert_eq!(arrived.borrow().messages.len(), nodes - 1);
    let shared: Vec<u32> = w.machine(0).node().credits().collect();
    assert!(shared.iter().sum::<u32>() <= 128, "{shared:?}");
    flood(&mut w, 1, names[0], 1, 4 * MIB, 10);
    w.run_for(Duration::from_millis(200)).unwrap();
    let alone: Vec<u32> = w.machine(0).node().credits().collect();
    assert!(alone.iter().sum::<u32>() <= 128, "{alone:?}");
    assert!(
        *alone.iter().max().unwrap() >= 60,
        "half of the buffers are its own: {alone:?}"
    );
}

/// One TCP stream for all was head-of-line blocking in the Hurd's netmsg, and its queues had no
/// bound.
#[test]
fn a_receiver_that_has_stopped_holds_up_nobody_but_those_who_send_to_it() {
    let (mut w, client, server) = pair(&config());
    let stopped = w.serve(1, "stopped");
    let full = must(w.look_up(0, client.0, "stopped"));
    flood(&mut w, 0, full, 7, MIB, u64::MAX);
    w.run_for(Duration::from_millis(500)).unwrap();
    let begun = w.now();
    for _ in 0..100 {
        call(&mut w, client, server);
    }
    let took = w.now() - begun;
    assert!(took < Duration::from_millis(100), "{took:?}");
    // Its queue is full, and nothing of what it did not take is kept here.
    assert_eq!(w.machine(1).node().holdings().incoming, 0);
    let outgoing = w.machine(0).node().holdings().outgoing;
    assert!(outgoing <= 32, "{outgoing}");
    let _ = stopped;
}

#[test]
fn a_large_message_lets_a_small_one_go_before_most_of_its_frames() {
    let (mut w, client, server) = pair(&Config {
        receive_buffers: 64,
        link: Some(Link {
            bandwidth: 1_000_000_000,
            queue: 8 * MIB,
        }),
        ..config()
    });
    let frames = Rc::new(Cell::new(0));
    let count = Rc::clone(&frames);
    w.watch(move |from, _, _| count.set(count.get() + u32::from(from == 0)));
    let _arrived = sink(&mut w, 1, "large");
    let large = must(w.look_up(0, client.0, "large"));
    for _ in 0..50 {
        call(&mut w, client, server);
    }
    // A thousand frames, and calls beside them.
    flood(&mut w, 0, large, 1, 60 * MIB, 1);
    w.run_for(Duration::from_millis(5)).unwrap();
    for _ in 0..20 {
        let before = frames.get();
        let message = w.message(0, b"");
        must(w.begin_call(0, client.0, client.1, message));
        let request = w.receive(1, server.0, server.1).unwrap();
        let ahead = frames.get() - before;
        w.reply(1, request).unwrap();
        let reply = must(w.await_reply(0, client.0));
        w.discard(0, reply).unwrap();
        assert!(ahead <= 64, "{ahead} frames ahead");
    }
}
#[test]
fn nodes_whose_cards_carry_frames_of_different_sizes_talk() {
    for sizes in [[1500, 65_521], [65_521, 1500], [9000, 1500], [576, 9000]] {
        let (mut w, client, server) = pair(&Config {
            mtu: sizes[0],
            other_mtu: vec![(1, sizes[1])],
            ..config()
        });
        for direction in 0..2 {
            let arrived = sink(&mut w, direction, &format!("sink{direction}"));
            let other = 1 - direction;
            let thread = w.thread(other);
            let name = must(w.look_up(other, thread, &format!("sink{direction}")));
            flood(&mut w, other, name, 0, 300_000, 3);
            let all = arrived.clone();
            w.run_until(Duration::from_secs(3), |_| {
                all.borrow().messages.get(&0) == Some(&3)
            })
            .unwrap_or_else(|failure| panic!("{sizes:?}: {failure}"));
            w.give_up(other, name)
                .unwrap_or_else(|failure| panic!("{failure}"));
        }
        let message = w.message(0, &[7; 8000]);
        must(w.begin_call(0, client.0, client.1, message));
        let request = w.receive(1, server.0, server.1).unwrap();
        assert_eq!(request.data(), [7; 8000]);
        w.reply(1, request).unwrap();
        let reply = must(w.await_reply(0, client.0));
        assert_eq!(reply.data(), [7; 8000]);
        w.discard(0, reply).unwrap();
        assert_eq!(w.report().overlong, 0, "{sizes:?}");
        w.give_up(0, client.1).unwrap();
        drained(&mut w);
    }
}
