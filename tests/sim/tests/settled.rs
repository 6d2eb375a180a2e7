//! A node may end when nothing is unsettled: nobody loses by it what it has passed on.

mod common;

use common::Places;
use common::moves::*;
use norma_faults::{Action, Rule};
use norma_sim::{Config, World};
use std::time::Duration;

/// Node 2 hears everything late, so that it acts late.
fn world() -> World {
    let late = Rule {
        to: Some("node2".into()),
        delay_ms: Some(10.0),
        ..Rule::new(Action::Delay)
    };
    World::new(&Config {
        deaths: true,
        rules: vec![late],
        ..calm(3)
    })
}

/// Ends a node as a machine does whose `main` has returned, and waits until the others know.
fn end(w: &mut World, node: usize) {
    let begun = w.now();
    while w.machine(node).node().is_unsettled() {
        run(w, Duration::from_micros(20));
        assert!(w.now() - begun < MS(100), "that is settled soon");
    }
    w.kill(node);
    run(w, MS(3000));
}

#[test]
fn whose_port_has_left_may_end_when_all_have_found_it() {
    let mut w = world();
    let p = Places::new(&mut w);
    let port = p.port(&mut w, 0);
    p.give(&mut w, 0, port, 2);
    let held = p.take(&mut w, 2);
    let moved = move_to(&mut w, &p, 0, port, 1);
    end(&mut w, 0);
    send_by(&mut w, 2, held, b"there");
    run(&mut w, MS(100));
    assert_eq!(text_at(&mut w, 1, moved), Some(b"there".to_vec()));
}
