//! Rights across nodes: who may send, through whom, and when it ends.

mod common;

use std::time::Duration;

use common::{dead, drained, must, text, world};
use norma_ipc::{Reason, RightError, RightKind, SendFailure};
use norma_sim::{CallError, Config, World};

/// A world in which node 1 serves "echo", and node 0 knows it: thread and name on node 0,
/// thread and port on node 1.
fn pair(
    config: &Config,
) -> (
    World,
    norma_ipc::ThreadId,
    norma_ipc::Name,
    norma_ipc::ThreadId,
    norma_ipc::Name,
) {
    let mut w = World::new(config);
    let port = w.serve(1, "echo");
    let (a, b) = (w.thread(0), w.thread(1));
    let name = must(w.look_up(0, a, "echo"));
    (w, a, name, b, port)
}

/// Three nodes: node 0 has given its right to node 1's "echo" to node 2.
struct Passed {
    /// A thread of node 1, and its port.
    b: norma_ipc::ThreadId,
    echo: norma_ipc::Name,
    /// A thread of node 2, and the right that it was given.
    c: norma_ipc::ThreadId,
    passed: norma_ipc::Name,
    /// Node 0's right to node 2.
    to_third: norma_ipc::Name,
}

impl Passed {
    fn new(config: Config) -> (World, Self) {
        let mut w = World::new(&Config { nodes: 3, ..config });
        let echo = w.serve(1, "echo");
        let third = w.serve(2, "third");
        let (a, b, c) = (w.thread(0), w.thread(1), w.thread(2));
        let to_echo = must(w.look_up(0, a, "echo"));
        let to_third = must(w.look_up(0, a, "third"));
        let mut message = w.message(0, b"use this");
        let space = w.machine(0).space();
        let ipc = w.machine(0).node().ipc();
        let right = ipc.extract(space, to_echo, RightKind::Send).unwrap();
        message.push_right(right).unwrap();
        must(w.send(0, a, to_third, message));
        let mut message = w.receive(2, c, third).unwrap();
        let right = message.take_right().unwrap();
        let space = w.machine(2).space();
        let passed = w.machine(2).node().ipc().insert(space, right).unwrap();
        w.discard(2, message).unwrap();
        let passed = Passed {
            b,
            echo,
            c,
            passed,
            to_third,
        };
        (w, passed)
    }

    /// Gives up all rights.
    fn close(self, mut w: World) {
        w.give_up(2, self.passed).unwrap();
        w.give_up(0, self.to_third).unwrap();
        drained(&mut w);
    }
}

fn calm() -> Config {
    Config {
        audit_every: 0,
        ..Config::default().calm()
    }
}

#[test]
fn a_call_takes_one_frame_there_and_one_back() {
    let (mut w, a, name, b, port) = pair(&calm());
    w.run_for(Duration::from_millis(50)).unwrap();
    let before = w.frames();
    for round in 0..10u8 {
        let message = w.message(0, &[round]);
        must(w.begin_call(0, a, name, message));
        let request = w.receive(1, b, port).unwrap();
        assert_eq!(request.data(), [round]);
        assert!(request.expects_reply());
        w.reply(1, request).unwrap();
        let reply = must(w.await_reply(0, a));
        assert_eq!(text(&reply), [round]);
        w.discard(0, reply).unwrap();
    }
    assert_eq!(w.frames() - before, 20);
}

#[test]
fn giving_up_the_last_right_gives_it_back_to_the_exporter() {
    let (mut w, _, name, _, port) = pair(&calm());
    assert_eq!(w.machine(0).node().holdings().imports, 1);
    assert_eq!(w.machine(1).node().holdings().exports, 1);
    w.give_up(0, name).unwrap();
    drained(&mut w);
    let _ = port;
}

#[test]
fn equal_rights_merge_under_one_name_and_go_back_together() {
    let (mut w, a, name, _, _) = pair(&calm());
    let again = must(w.look_up(0, a, "echo"));
    assert_eq!(name, again);
    assert_eq!(w.machine(0).node().holdings().imports, 1);
    w.give_up(0, name).unwrap();
    w.run_for(Duration::from_millis(100)).unwrap();
    assert_eq!(w.machine(1).node().holdings().exports, 1);
    w.give_up(0, name).unwrap();
    drained(&mut w);
}

#[test]
fn a_right_that_comes_home_is_a_local_right() {
    let (mut w, a, name, b, port) = pair(&calm());
    // Node 0 sends node 1's own right back to it.
    let mut message = w.message(0, b"yours");
    let space = w.machine(0).space();
    let right = w.machine(0).node().ipc().copy_send(space, name).unwrap();
    message.push_right(right).unwrap();
    must(w.send(0, a, name, message));
    let mut message = w.receive(1, b, port).unwrap();
    let right = message.take_right().unwrap();
    let space = w.machine(1).space();
    let home = w.machine(1).node().ipc().insert(space, right).unwrap();
    assert_eq!(home, port, "it merges with the receive right");
    w.discard(1, message).unwrap();
    w.give_up(1, home).unwrap();
    w.give_up(0, name).unwrap();
    drained(&mut w);
}

#[test]
fn a_right_passed_to_a_third_node_is_that_nodes_own() {
    let (mut w, p) = Passed::new(calm());
    // Whoever gave it is not needed any more.
    w.run_for(Duration::from_millis(20)).unwrap();
    w.give_up(0, p.to_third).unwrap();
    w.run_for(Duration::from_millis(50)).unwrap();
    assert_eq!(
        w.machine(0).node().holdings(),
        norma_net::Holdings::default()
    );
    w.kill(0);
    let message = w.message(2, b"from afar");
    must(w.begin_call(2, p.c, p.passed, message));
    let request = w.receive(1, p.b, p.echo).unwrap();
    assert_eq!(request.data(), b"from afar");
    w.reply(1, request).unwrap();
    let reply = must(w.await_reply(2, p.c));
    assert_eq!(reply.data(), b"from afar");
    w.discard(2, reply).unwrap();

    w.give_up(2, p.passed).unwrap();
    drained(&mut w);
}

#[test]
fn a_full_port_of_a_right_from_a_third_node_holds_everybody_up_and_loses_nothing() {
    let (mut w, p) = Passed::new(calm());
    // Until the right has been acquired its stand-in is full.
    w.run_for(Duration::from_millis(20)).unwrap();
    let space = w.machine(2).space();
    // 16 fit the port, 16 the stand-in on node 2.
    let mut received = 0u8;
    for number in 0..100u8 {
        let message = w.message(2, &[number]);
        let now = norma_flip::Instant(1_000_000_000 + w.now().as_nanos() as u64);
        let sent = w
            .machine(2)
            .node()
            .send(now, space, p.passed, message, None);
        if let Err(error) = sent {
            assert_eq!(error.failure, SendFailure::Full);
            // One is received; then there is room for this one, sooner or later.
            w.discard(2, error.message).unwrap();
            let oldest = w.receive(1, p.b, p.echo).unwrap();
            assert_eq!(oldest.data(), [received]);
            received += 1;
            w.discard(1, oldest).unwrap();
            let message = w.message(2, &[number]);
            must(w.send(2, p.c, p.passed, message));
        }
        w.after(2).unwrap();
        w.run_for(Duration::from_millis(20)).unwrap();
    }
    while received < 100 {
        let oldest = w.receive(1, p.b, p.echo).unwrap();
        assert_eq!(oldest.data(), [received]);
        received += 1;
        w.discard(1, oldest).unwrap();
    }
    p.close(w);
}

/// A message that is passed on goes before those that overtook it and waited for it.
#[test]
fn order_is_kept_behind_two_nodes() {
    for seed in 1..40 {
        let (mut w, p) = Passed::new(Config {
            seed,
            rules: norma_sim::bad_network(0.0),
            ..calm()
        });
        for number in 0..12u8 {
            let message = w.message(2, &[number]);
            must(w.send(2, p.c, p.passed, message));
        }
        for number in 0..12u8 {
            let message = w.receive(1, p.b, p.echo).unwrap();
            assert_eq!(message.data(), [number], "seed {seed}");
            w.discard(1, message).unwrap();
        }
        p.close(w);
    }
}

/// The right is home, and alive, whatever else is in the message: something that is new here
/// makes the node begin anew with all of them.
#[test]
fn a_send_once_right_comes_home_beside_rights_that_are_new() {
    let (mut w, a, to_echo, b, echo) = pair(&calm());
    let back = w.serve(0, "back");
    let to_back = must(w.look_up(1, b, "back"));
    let space = w.machine(0).space();
    let ipc = w.machine(0).node().ipc();
    let own = ipc.allocate_port(space).unwrap();
    let mut onces = Vec::new();
    for _ in 0..3 {
        onces.push(ipc.make_right(space, own, RightKind::SendOnce).unwrap());
    }
    let mut message = w.message(0, b"keep them");
    for once in onces {
        message.push_right(once).unwrap();
    }
    must(w.send(0, a, to_echo, message));
    let mut kept = w.receive(1, b, echo).unwrap();
    let mut message = w.message(1, b"here they are");
    let space = w.machine(1).space();
    for _ in 0..3 {
        message.push_right(kept.take_right().unwrap()).unwrap();
    }
    let ipc = w.machine(1).node().ipc();
    let fresh = ipc.allocate_port(space).unwrap();
    let right = ipc.make_right(space, fresh, RightKind::Send).unwrap();
    message.push_right(right).unwrap();
    w.discard(1, kept).unwrap();
    must(w.send(1, b, to_back, message));
    let mut message = w.receive(0, a, back).unwrap();
    let space = w.machine(0).space();
    for number in 0..3u8 {
        let right = message.take_right().unwrap();
        assert_eq!(right.kind(), RightKind::SendOnce);
        let name = w.machine(0).node().ipc().insert(space, right).unwrap();
        let note = w.message(0, &[number]);
        must(w.send(0, a, name, note));
        let note = w.receive(0, a, own).unwrap();
        assert_eq!(note.data(), [number]);
        w.discard(0, note).unwrap();
    }
    w.discard(0, message).unwrap();
    w.give_up(1, to_back).unwrap();
    w.give_up(0, to_echo).unwrap();
    drained(&mut w);
}

#[test]
fn a_dropped_call_is_unanswered() {
    let (mut w, a, name, b, port) = pair(&calm());
    let message = w.message(0, b"?");
    must(w.begin_call(0, a, name, message));
    let request = w.receive(1, b, port).unwrap();
    w.discard(1, request).unwrap();
    assert_eq!(dead(w.await_reply(0, a)), Reason::Unanswered);
    w.give_up(0, name).unwrap();
    drained(&mut w);
}

#[test]
fn a_port_that_dies_makes_dead_names_and_fails_calls() {
    let (mut w, a, name, b, port) = pair(&calm());
    let message = w.message(0, b"?");
    must(w.begin_call(0, a, name, message));
    w.run_for(Duration::from_millis(10)).unwrap();
    let space = w.machine(1).space();
    w.machine(1)
        .node()
        .ipc()
        .deallocate(space, port, RightKind::Receive)
        .unwrap();
    w.after(1).unwrap();
    assert_eq!(dead(w.await_reply(0, a)), Reason::Unanswered);
    w.run_for(Duration::from_millis(50)).unwrap();
    let message = w.message(0, b"?");
    match w.send(0, a, name, message) {
        Err(CallError::NotSent(SendFailure::Right(RightError::Dead(Reason::Destroyed)))) => {}
        other => panic!("{other:?}"),
    }
    w.give_up(0, name).unwrap();
    drained(&mut w);
    let _ = b;
}

/// The news that the port is dead overtakes the message that brings the right.
#[test]
fn a_right_whose_port_died_on_the_way_becomes_a_dead_name() {
    for memory in [0, 400_000] {
        let mut w = World::new(&calm());
        let port = w.serve(1, "echo");
        let back = w.serve(0, "back");
        let (a, b) = (w.thread(0), w.thread(1));
        let to_back = must(w.look_up(1, b, "back"));
        w.run_for(Duration::from_millis(100)).unwrap();
        let mut message = w.message(1, b"here");
        let m = w.machine(1);
        let space = m.space();
        let doomed = m.node().ipc().allocate_port(space).unwrap();
        let right = m
            .node()
            .ipc()
            .make_right(space, doomed, RightKind::Send)
            .unwrap();
        message.push_right(right).unwrap();
        let data = vec![7; memory];
        let filled = norma_ipc::Memory::copy_from(&data, m.node().source()).unwrap();
        let _ = message.replace_memory(filled).unwrap();
        w.faults().cut(0, 1);
        must(w.send(1, b, to_back, message));
        w.faults().heal(0, 1);
        w.machine(1)
            .node()
            .ipc()
            .deallocate(space, doomed, RightKind::Receive)
            .unwrap();
        w.after(1).unwrap();
        let mut message = w.receive(0, a, back).unwrap();
        let right = message.take_right().unwrap();
        w.discard(0, message).unwrap();
        w.run_for(Duration::from_millis(200)).unwrap();
        let space = w.machine(0).space();
        let name = w.machine(0).node().ipc().insert(space, right).unwrap();
        let message = w.message(0, b"?");
        match w.send(0, a, name, message) {
            Err(CallError::NotSent(SendFailure::Right(RightError::Dead(_)))) => {}
            other => panic!("{memory} bytes: {other:?}"),
        }
        w.give_up(0, name).unwrap();
        w.give_up(1, to_back).unwrap();
        drained(&mut w);
        let _ = port;
    }
}

#[test]
fn a_name_that_nobody_has_is_unknown_in_about_a_second() {
    let mut w = world(&calm());
    let a = w.thread(0);
    let begun = w.now();
    assert_eq!(dead(w.look_up(0, a, "nobody")), Reason::NameUnknown);
    assert!(w.now() - begun < Duration::from_millis(1500));
}

#[test]
fn a_late_reply_is_not_taken_for_the_next_calls() {
    let (mut w, a, name, b, port) = pair(&calm());
    let message = w.message(0, b"first");
    must(w.begin_call(0, a, name, message));
    assert!(w.machine(0).node().ipc().await_reply(a).unwrap().is_none());
    let first = w.receive(1, b, port).unwrap();
    // The time is up.
    let _ = w.machine(0).node().ipc().cancel(a);
    w.machine(0).node().ipc().renew_reply_port(a);
    w.after(0).unwrap();
    let message = w.message(0, b"second");
    must(w.begin_call(0, a, name, message));
    w.reply(1, first).unwrap();
    w.run_for(Duration::from_millis(10)).unwrap();
    let second = w.receive(1, b, port).unwrap();
    w.reply(1, second).unwrap();
    let reply = must(w.await_reply(0, a));
    assert_eq!(reply.data(), b"second");
    w.discard(0, reply).unwrap();
    w.give_up(0, name).unwrap();
    drained(&mut w);
}
