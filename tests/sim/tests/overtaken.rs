//! Rights that were sent before a receive right, and come after it.

mod common;

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
