//! What is sent before a receive right and comes after it; and what is sent after one, by a right
//! that is acquired anew, and must not come before.

mod common;

use std::cell::Cell;
use std::rc::Rc;

use common::moves::*;
use common::{Places, drained, must};
use norma_faults::{Action, Rule};
use norma_ipc::{Delivery, RightKind, RightTypes};
use norma_sim::{CallError, Config, World};

fn run_to(w: &mut World, time: u64) {
    let elapsed = w.now();
    run(w, MS(time) - elapsed);
}

/// A node has a right from where a port was first. One from where it went leads more directly,
/// but the receive right, sent later, overtakes it: by then the right is the local one, and
/// nothing hangs on the export that came with it (W-102).
#[test]
fn a_right_that_was_overtaken_by_the_receive_right_is_the_local_one() {
    let link = |action, from: &str, after, until| Rule {
        from: Some(from.into()),
        to: Some("node0".into()),
        after_ms: Some(after),
        until_ms: Some(until),
        ..Rule::new(action)
    };
    let mut w = World::new(&Config {
        rules: vec![
            // Node 0 does not hear that the port has left node 1.
            link(Action::Cut, "node1", 100, 400),
            Rule {
                delay_ms: Some(1.04),
                ..link(Action::Delay, "node2", 300, 301)
            },
        ],
        ..calm(3)
    });
    let p = Places::new(&mut w);
    let other = w.serve(0, "other");
    let to_other = must(w.look_up(2, p.threads[2], "other"));
    let port = p.port(&mut w, 1);
    p.give(&mut w, 1, port, 0);
    let first = p.take(&mut w, 0);
    run_to(&mut w, 100);
    let moved = move_to(&mut w, &p, 1, port, 2);
    let at_2 = w.machine(2).space();
    let ipc = w.machine(2).node().ipc();
    let right = ipc.make_right(at_2, moved, RightKind::Send).unwrap();
    assert_eq!(ipc.insert(at_2, right).unwrap(), moved);
    run_to(&mut w, 300);
    p.give(&mut w, 2, moved, 0);
    run_to(&mut w, 301);
    let ipc = w.machine(2).node().ipc();
    let right = ipc.extract(at_2, moved, RightKind::Receive).unwrap();
    let mut message = w.message(2, b"all yours");
    message.push_right(right).unwrap();
    must(w.send(2, p.threads[2], to_other, message));
    // What was late comes between TAKEN and STATE.
    run(&mut w, MS(100));
    let late = p.take(&mut w, 0);
    assert_eq!(late, first);
    let Some(Delivery::Message(mut message)) = try_receive(&mut w, 0, other) else {
        panic!("the receive right has not come")
    };
    let right = message.take_right().unwrap();
    must(w.discard(0, message).map_err(CallError::Failure));
    let space = w.machine(0).space();
    let here = w.machine(0).node().ipc().insert(space, right).unwrap();
    assert_eq!(here, first);
    let types = w.machine(0).node().ipc().right_types(space, here).unwrap();
    assert!(
        types.contains(RightTypes::SEND | RightTypes::RECEIVE),
        "{types:?}"
    );
    send_by(&mut w, 2, moved, b"found");
    run(&mut w, MS(50));
    assert_eq!(text_at(&mut w, 0, here), Some(b"found".to_vec()));
    run(&mut w, MS(500));
    for (node, name) in [(0, here), (1, port), (2, moved), (2, to_other)] {
        give_up_all(&mut w, node, name);
    }
    p.close(&mut w);
    drained(&mut w);
}

/// A message that waits for the receive right in it has been accepted, so its sender may let go of
/// the way by which it went, and get it anew: what it sends then comes behind, as it does from
/// anybody who keeps a right (W-121). And as long as the message waits there is a sender.
#[test]
fn w_121_order_holds_for_a_right_that_is_let_go_of_and_acquired_anew() {
    for again in [true, false] {
        let mut w = World::new(&calm(2));
        let p = Places::new(&mut w);
        let server = p.port(&mut w, 1);
        p.give(&mut w, 1, server, 0);
        let way = p.take(&mut w, 0);
        let told = p.want_no_senders(&mut w, 1, server);
        p.drop_own(&mut w, 1, server);
        let moves = p.port(&mut w, 0);
        p.drop_own(&mut w, 0, moves);
        let closed = Rc::new(Cell::new(true));
        lose(&mut w, &closed, |from, header| {
            from == 0 && is_state(header)
        });
        let space = w.machine(0).space();
        let ipc = w.machine(0).node().ipc();
        let right = ipc.extract(space, moves, RightKind::Receive).unwrap();
        let mut message = w.message(0, b"first");
        message.push_right(right).unwrap();
        must(w.send(0, p.threads[0], way, message));
        run(&mut w, MS(50));
        give_up(&mut w, 0, way, RightKind::Send);
        run(&mut w, MS(50));
        assert!(try_receive(&mut w, 1, server).is_none(), "it waits");
        assert_eq!(p.no_senders(&mut w, 1, told), 0, "and is a sender");
        if again {
            let at_1 = w.machine(1).space();
            let ipc = w.machine(1).node().ipc();
            let right = ipc.make_right(at_1, server, RightKind::Send).unwrap();
            p.hand(&mut w, 1, right, 0);
            let way = p.take(&mut w, 0);
            send_by(&mut w, 0, way, b"second");
            run(&mut w, MS(50));
            assert!(try_receive(&mut w, 1, server).is_none(), "it has overtaken");
            give_up(&mut w, 0, way, RightKind::Send);
        }
        closed.set(false);
        run(&mut w, MS(500));
        let Some(Delivery::Message(mut message)) = try_receive(&mut w, 1, server) else {
            panic!("the first has not come")
        };
        let right = message.take_right().unwrap();
        assert_eq!(right.kind(), RightKind::Receive);
        must(w.discard(1, message).map_err(CallError::Failure));
        w.machine(1).node().ipc().release(right);
        after(&mut w, 1);
        if again {
            assert_eq!(text_at(&mut w, 1, server), Some(b"second".to_vec()));
        }
        run(&mut w, MS(100));
        assert_eq!(p.no_senders(&mut w, 1, told), 1);
        p.drop_receive(&mut w, 1, server);
        p.drop_receive(&mut w, 1, told);
        p.close(&mut w);
        drained(&mut w);
    }
}
