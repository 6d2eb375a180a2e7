//! Receive rights that are on their way into each other's queues, round: nobody could ever
//! receive from such ports, so they end, and nothing is left of them.

mod common;

use common::moves::*;
use common::{Places, drained};
use norma_ipc::{Name, RightKind, RightTypes};
use norma_sim::World;

/// Ports on nodes, each with the names by which the others know it.
struct Ring {
    ports: Vec<Name>,
    /// At each node its right to the next one's port.
    next: Vec<Name>,
}

fn ring(w: &mut World, p: &Places) -> Ring {
    let nodes = w.machines();
    let ports: Vec<Name> = (0..nodes).map(|node| p.port(w, node)).collect();
    let mut next = Vec::new();
    for node in 0..nodes {
        let after = (node + 1) % nodes;
        p.give(w, after, ports[after], node);
        next.push(p.take(w, node));
    }
    Ring { ports, next }
}

/// Sends a receive right in a message, without letting time pass.
fn send_receive(w: &mut World, node: usize, port: Name, to: Name) {
    let space = w.machine(node).space();
    let ipc = w.machine(node).node().ipc();
    let right = ipc.extract(space, port, RightKind::Receive).unwrap();
    let mut message = w.message(node, b"moves");
    message.push_right(right).unwrap();
    let at = now(w);
    let sent = w.machine(node).node().send(at, space, to, message, None);
    assert!(sent.is_ok(), "{:?}", sent.map_err(|error| error.failure));
    after(w, node);
}

fn is_dead(w: &mut World, node: usize, name: Name) -> bool {
    let space = w.machine(node).space();
    let types = w.machine(node).node().ipc().right_types(space, name);
    types.unwrap().contains(RightTypes::DEAD_NAME)
}

/// Each node sends its receive right to the next one's port, all at the same time.
#[test]
fn w_134_rights_that_wait_for_each_other_end() {
    for nodes in 2..6 {
        let mut w = World::new(&calm(nodes));
        let p = Places::new(&mut w);
        let ring = ring(&mut w, &p);
        for node in 0..nodes {
            send_receive(&mut w, node, ring.ports[node], ring.next[node]);
        }
        run(&mut w, MS(2000));
        for node in 0..nodes {
            for name in [ring.ports[node], ring.next[node]] {
                assert!(is_dead(&mut w, node, name), "{name:?} of {node}");
                give_up_all(&mut w, node, name);
            }
        }
        p.close(&mut w);
        drained(&mut w);
    }
}

/// One of them lies in the queue of a port that moves in its stead.
#[test]
fn w_134_also_by_what_is_queued_at_another() {
    let mut w = World::new(&calm(2));
    let p = Places::new(&mut w);
    let ring = ring(&mut w, &p);
    let outer = p.port(&mut w, 0);
    send_receive(&mut w, 0, ring.ports[0], outer);
    send_receive(&mut w, 0, outer, ring.next[0]);
    send_receive(&mut w, 1, ring.ports[1], ring.next[1]);
    run(&mut w, MS(2000));
    for (node, name) in [
        (0, ring.ports[0]),
        (0, ring.next[0]),
        (0, outer),
        (1, ring.ports[1]),
        (1, ring.next[1]),
    ] {
        assert!(is_dead(&mut w, node, name), "{name:?} of {node}");
        give_up_all(&mut w, node, name);
    }
    p.close(&mut w);
    drained(&mut w);
}

/// Whoever only waits for long, and not in a circle, gets what it waits for.
#[test]
fn w_134_a_row_is_no_circle() {
    let mut w = World::new(&calm(4));
    let p = Places::new(&mut w);
    let ring = ring(&mut w, &p);
    // The right of the first port is long on its way: nobody hears node 0 for a while.
    send_receive(&mut w, 0, ring.ports[0], ring.next[0]);
    run(&mut w, std::time::Duration::from_micros(80));
    w.freeze(0, MS(800));
    for node in 1..3 {
        send_receive(&mut w, node, ring.ports[node], ring.next[node]);
    }
    run(&mut w, MS(3000));
    // All of them are in the queue of the last one, each in that of the next.
    let mut at = ring.ports[3];
    for _ in 0..3 {
        let Some(norma_ipc::Delivery::Message(mut message)) = try_receive(&mut w, 3, at) else {
            panic!("nothing has come")
        };
        let right = message.take_right().unwrap();
        w.discard(3, message).unwrap();
        let space = w.machine(3).space();
        let next = w.machine(3).node().ipc().insert(space, right).unwrap();
        assert!(!is_dead(&mut w, 3, next));
        give_up_all(&mut w, 3, at);
        at = next;
    }
    give_up_all(&mut w, 3, at);
    run(&mut w, MS(100));
    for node in 0..4 {
        for name in [ring.ports[node], ring.next[node]] {
            let space = w.machine(node).space();
            let _ = w.machine(node).node().ipc().destroy(space, name);
            after(&mut w, node);
        }
    }
    p.close(&mut w);
    drained(&mut w);
}
