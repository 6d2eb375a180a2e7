//! Tables that are full: what ARCHITECTURE.md says of each happens, to the one who asked for one
//! place too many and to nobody else, and everything works again when there is a place.

mod common;

use std::cell::Cell;
use std::rc::Rc;

use common::moves::*;
use common::{Places, drained, must};
use norma_ipc::limits::MAX_RIGHTS;
use norma_ipc::{Delivery, Name, Notification, Reason, Right, RightKind, RightTypes};
use norma_net::Fate;
use norma_net::limits::{
    MAX_ACQUISITIONS, MAX_ARRIVALS, MAX_HINTS, MAX_LINGERING, MAX_TAKEN, MAX_UNSETTLED,
};
use norma_sim::{CallError, Config, Message, World};
use norma_wire::layout::{BODY_AT, SESSION_AT};
use norma_wire::session::Header;

fn roomy(nodes: usize) -> Config {
    Config {
        // Thousands of rights are counted at the end.
        audit_every: 0,
        ..calm(nodes)
    }
}

/// Ports of a node, without a send right beside.
fn ports(w: &mut World, node: usize, count: usize) -> Vec<Name> {
    let space = w.machine(node).space();
    let ipc = w.machine(node).node().ipc();
    let ports = (0..count).map(|_| ipc.allocate_port(space).unwrap());
    ports.collect()
}

/// Rights to them, in hand.
fn make(w: &mut World, node: usize, ports: &[Name], kind: RightKind) -> Vec<Right> {
    let space = w.machine(node).space();
    let ipc = w.machine(node).node().ipc();
    let make = |port: &Name| match kind {
        RightKind::Receive => ipc.extract(space, *port, kind),
        _ => ipc.make_right(space, *port, kind),
    };
    ports.iter().map(make).collect::<Result<_, _>>().unwrap()
}

fn message_with(w: &mut World, node: usize, rights: Vec<Right>) -> Message {
    let mut message = w.message(node, b"many");
    for right in rights {
        message.push_right(right).unwrap();
    }
    message
}

/// Sends rights to another node's inbox, and takes them out there.
fn pass(w: &mut World, p: &Places, from: usize, to: usize, rights: Vec<Right>) -> Vec<Right> {
    let message = message_with(w, from, rights);
    must(w.send(from, p.threads[from], p.way(from, to), message));
    take(w, p, to)
}

fn take(w: &mut World, p: &Places, node: usize) -> Vec<Right> {
    let mut message = p.take_message(w, node);
    let rights = message.take_rights();
    must(w.discard(node, message).map_err(CallError::Failure));
    rights
}

fn release(w: &mut World, node: usize, rights: impl IntoIterator<Item = Right>) {
    for right in rights {
        w.machine(node).node().ipc().release(right);
    }
    after(w, node);
}

fn insert(w: &mut World, node: usize, right: Right) -> Name {
    let space = w.machine(node).space();
    w.machine(node).node().ipc().insert(space, right).unwrap()
}

fn is_dead(w: &mut World, node: usize, name: Name) -> bool {
    let space = w.machine(node).space();
    let types = w.machine(node).node().ipc().right_types(space, name);
    types.unwrap().contains(RightTypes::DEAD_NAME)
}

#[test]
fn what_has_no_room_to_linger_is_given_back_at_once() {
    let mut w = World::new(&roomy(2));
    let p = Places::new(&mut w);
    run(&mut w, MS(50));
    let before = w.machine(0).node().holdings().exports;
    let ports = ports(&mut w, 0, MAX_LINGERING + 8);
    let rights = make(&mut w, 0, &ports, RightKind::Send);
    let rights = pass(&mut w, &p, 0, 1, rights);
    assert_eq!(rights.len(), MAX_LINGERING + 8);
    release(&mut w, 1, rights);
    run(&mut w, MS(2));
    let kept = w.machine(0).node().holdings().exports - before;
    assert_eq!(kept, MAX_LINGERING);
    run(&mut w, MS(50));
    assert_eq!(w.machine(0).node().holdings().exports, before);
    for port in ports {
        p.drop_receive(&mut w, 0, port);
    }
    p.close(&mut w);
    drained(&mut w);
}

/// What is beyond the hints is answered by way of the giver; each right comes to one thing.
#[test]
fn send_once_rights_beyond_the_hints_are_used_through_their_giver() {
    let count = MAX_HINTS + 16;
    let mut w = World::new(&roomy(3));
    let p = Places::new(&mut w);
    let port = ports(&mut w, 1, 1)[0];
    let rights = make(&mut w, 1, &vec![port; count], RightKind::SendOnce);
    let rights = pass(&mut w, &p, 1, 0, rights);
    let rights = pass(&mut w, &p, 0, 2, rights);
    assert_eq!(w.machine(2).node().holdings().foreign, MAX_HINTS);
    let mut answers = 0;
    for (at, right) in rights.into_iter().enumerate() {
        if at % 5 == 0 {
            release(&mut w, 2, [right]);
            continue;
        }
        answers += 1;
        let mut message = w.message(2, b"answer");
        message.set_reply(right).unwrap();
        w.reply(2, message).unwrap();
    }
    run(&mut w, MS(200));
    let (mut came, mut told) = (0, 0);
    while let Some(delivery) = try_receive(&mut w, 1, port) {
        match delivery {
            Delivery::Message(message) => {
                came += 1;
                must(w.discard(1, message).map_err(CallError::Failure));
            }
            Delivery::Notification(Notification::SendOnce(_)) => told += 1,
            Delivery::Notification(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((came, told), (answers, count - answers));
    p.drop_receive(&mut w, 1, port);
    p.close(&mut w);
    drained(&mut w);
}

/// Sends a message, and waits until it is known what became of it.
fn fate(w: &mut World, p: &Places, from: usize, way: Name, rights: Vec<Right>) -> Fate {
    let message = message_with(w, from, rights);
    let thread = p.threads[from];
    let sent = must(w.begin_confirmed(from, thread, way, message));
    must(w.await_fate(from, thread, sent))
}

#[test]
fn w_111_a_message_with_more_rights_than_can_be_acquired_is_refused_for_memory() {
    let mut w = World::new(&roomy(3));
    let p = Places::new(&mut w);
    let full = MAX_ACQUISITIONS / MAX_RIGHTS;
    let mut given = Vec::new();
    let mut all = Vec::new();
    for _ in 0..=full {
        let ports = ports(&mut w, 1, MAX_RIGHTS);
        let rights = make(&mut w, 1, &ports, RightKind::Send);
        given.push(pass(&mut w, &p, 1, 0, rights));
        all.extend(ports);
    }
    // ACQUIRE does not arrive.
    let closed = Rc::new(Cell::new(true));
    lose(&mut w, &closed, |from, header| {
        from == 2 && header.destination() == 1 && header.id() == 2
    });
    let mut last = given.pop().unwrap();
    let copies: Vec<Right> = last
        .iter()
        .map(|right| w.machine(0).node().ipc().duplicate(right).unwrap())
        .collect();
    for rights in given {
        let message = message_with(&mut w, 0, rights);
        must(w.send(0, p.threads[0], p.way(0, 2), message));
    }
    run(&mut w, MS(100));
    let acquiring = w.machine(2).node().holdings().acquiring;
    assert_eq!(acquiring, full * MAX_RIGHTS);
    let word = fate(&mut w, &p, 0, p.way(0, 2), copies);
    assert_eq!(word, Fate::NotDelivered(Reason::NoMemory));
    // As many as there are places for are none too many.
    let few = last.drain(..MAX_ACQUISITIONS - acquiring).collect();
    assert_eq!(fate(&mut w, &p, 0, p.way(0, 2), few), Fate::Delivered);
    assert_eq!(w.machine(2).node().holdings().acquiring, MAX_ACQUISITIONS);
    closed.set(false);
    run(&mut w, MS(3000));
    assert_eq!(w.machine(2).node().holdings().acquiring, 0);
    assert_eq!(fate(&mut w, &p, 0, p.way(0, 2), last), Fate::Delivered);
    let mut held = 0;
    while let Some(Delivery::Message(mut message)) = try_receive(&mut w, 2, p.inbox(2)) {
        for right in message.take_rights() {
            held += 1;
            let name = insert(&mut w, 2, right);
            assert!(!is_dead(&mut w, 2, name));
            give_up(&mut w, 2, name, RightKind::Send);
        }
        must(w.discard(2, message).map_err(CallError::Failure));
    }
    assert_eq!(held, all.len());
    for port in all {
        p.drop_receive(&mut w, 1, port);
    }
    p.close(&mut w);
    drained(&mut w);
}

/// The message that brings one port too many is refused, with all its rights: they die at their
/// node, or come back to whom that was promised. Those on their way arrive.
#[test]
fn w_121_a_message_with_more_receive_rights_than_can_arrive_is_refused_for_memory() {
    let mut w = World::new(&roomy(3));
    let p = Places::new(&mut w);
    let full = MAX_ARRIVALS / MAX_RIGHTS;
    // Each message needs a port of its own: to one port they would wait for each other. All but
    // the last are to come from node 2, of which STATE does not come.
    let servers = ports(&mut w, 1, full + 1);
    let rights = make(&mut w, 1, &servers[..full], RightKind::Send);
    let ways: Vec<Name> = pass(&mut w, &p, 1, 2, rights)
        .into_iter()
        .map(|right| insert(&mut w, 2, right))
        .collect();
    let rights = make(&mut w, 1, &servers[full..], RightKind::Send);
    let way = pass(&mut w, &p, 1, 0, rights).remove(0);
    let way = insert(&mut w, 0, way);
    let closed = Rc::new(Cell::new(true));
    lose(&mut w, &closed, |from, header| {
        from == 2 && is_state(header)
    });
    for way in &ways {
        let ports = ports(&mut w, 2, MAX_RIGHTS);
        let rights = make(&mut w, 2, &ports, RightKind::Receive);
        let message = message_with(&mut w, 2, rights);
        must(w.send(2, p.threads[2], *way, message));
    }
    run(&mut w, MS(50));
    let moving = w.machine(1).node().holdings().moving;
    assert_eq!(moving, full * MAX_RIGHTS + full, "ports and messages");
    // One of the ports that have no place is to come back.
    let more = ports(&mut w, 0, MAX_ARRIVALS - full * MAX_RIGHTS + 1);
    let (told, once) = bell(&mut w, 0);
    let space = w.machine(0).space();
    let ipc = w.machine(0).node().ipc();
    let notify = ipc.extract(space, once, RightKind::SendOnce).unwrap();
    let asked = ipc.request_port_destroyed(space, more[0], Some(notify));
    assert!(matches!(asked, Ok(None)));
    let rights = make(&mut w, 0, &more, RightKind::Receive);
    let word = fate(&mut w, &p, 0, way, rights);
    assert_eq!(word, Fate::NotDelivered(Reason::NoMemory));
    let Some(Notification::PortDestroyed(right)) = news_at(&mut w, 0, told) else {
        panic!("it has not come back")
    };
    assert_eq!(w.machine(1).node().holdings().moving, moving);
    assert_eq!(
        fate(&mut w, &p, 0, way, vec![right]),
        Fate::Delivered,
        "one has a place"
    );
    closed.set(false);
    run(&mut w, MS(3000));
    assert_eq!(w.machine(1).node().holdings().moving, 0);
    let mut came = 0;
    for server in servers {
        let Some(Delivery::Message(mut message)) = try_receive(&mut w, 1, server) else {
            panic!("it has not come")
        };
        for right in message.take_rights() {
            came += 1;
            let name = insert(&mut w, 1, right);
            assert!(!is_dead(&mut w, 1, name));
            give_up(&mut w, 1, name, RightKind::Receive);
        }
        must(w.discard(1, message).map_err(CallError::Failure));
        p.drop_receive(&mut w, 1, server);
    }
    assert_eq!(came, full * MAX_RIGHTS + 1);
    for way in ways {
        give_up_all(&mut w, 2, way);
    }
    give_up_all(&mut w, 0, way);
    p.drop_receive(&mut w, 0, told);
    p.close(&mut w);
    drained(&mut w);
}

/// Ports that have been taken, and cannot leave because messages for them wait: one more than can
/// be remembered dies, and its taker is told; all others go on.
#[test]
fn a_port_that_cannot_leave_and_not_be_remembered_dies_alone() {
    const EXTRA: usize = 3;
    let count = MAX_TAKEN + EXTRA;
    let mut w = World::new(&roomy(3));
    let p = Places::new(&mut w);
    let leaving = ports(&mut w, 0, count);
    let rights = make(&mut w, 0, &leaving, RightKind::Send);
    let ways = pass(&mut w, &p, 0, 2, rights);
    let ways: Vec<Name> = ways.into_iter().map(|r| insert(&mut w, 2, r)).collect();
    // Each gets a message with a receive right from node 2, of which STATE does not come.
    let closed = Rc::new(Cell::new(true));
    lose(&mut w, &closed, |from, header| {
        from == 2 && is_state(header)
    });
    let inside = ports(&mut w, 2, count);
    for (way, port) in ways.iter().zip(&inside) {
        let rights = make(&mut w, 2, &[*port], RightKind::Receive);
        let message = message_with(&mut w, 2, rights);
        must(w.send(2, p.threads[2], *way, message));
    }
    run(&mut w, MS(100));
    let rights = make(&mut w, 0, &leaving, RightKind::Receive);
    let message = message_with(&mut w, 0, rights);
    must(w.send(0, p.threads[0], p.way(0, 1), message));
    run(&mut w, MS(100));
    let alive = |w: &mut World| {
        let dead = ways.iter().filter(|way| is_dead(w, 2, **way)).count();
        count - dead
    };
    assert_eq!(alive(&mut w), MAX_TAKEN, "nobody else dies");
    closed.set(false);
    run(&mut w, MS(2000));
    assert_eq!(alive(&mut w), MAX_TAKEN);
    let mut came = 0;
    for right in take(&mut w, &p, 1) {
        let name = insert(&mut w, 1, right);
        if is_dead(&mut w, 1, name) {
            give_up_all(&mut w, 1, name);
            continue;
        }
        came += 1;
        let Some(Delivery::Message(mut message)) = try_receive(&mut w, 1, name) else {
            panic!("the message that waited has not come")
        };
        let right = message.take_right().unwrap();
        must(w.discard(1, message).map_err(CallError::Failure));
        let inner = insert(&mut w, 1, right);
        assert!(!is_dead(&mut w, 1, inner));
        give_up_all(&mut w, 1, inner);
        give_up_all(&mut w, 1, name);
    }
    assert_eq!(came, MAX_TAKEN);
    for way in ways {
        give_up_all(&mut w, 2, way);
    }
    p.close(&mut w);
    drained(&mut w);
}

/// Two nodes tell each other of more deaths at one time than a session has frames whose fate is
/// not known: what each says settles what the other has said, and neither waits for the other.
#[test]
fn w_144_news_does_not_wait_for_news() {
    let count = MAX_UNSETTLED / MAX_RIGHTS + 1;
    let mut w = World::new(&roomy(2));
    let p = Places::new(&mut w);
    let mut all: [Vec<Name>; 2] = Default::default();
    for (from, to) in [(0, 1), (1, 0)] {
        for _ in 0..count {
            let ports = ports(&mut w, from, MAX_RIGHTS);
            let rights = make(&mut w, from, &ports, RightKind::Send);
            for right in pass(&mut w, &p, from, to, rights) {
                insert(&mut w, to, right);
            }
            all[from].extend(ports);
        }
    }
    run(&mut w, MS(100));
    for (node, ports) in all.into_iter().enumerate() {
        let space = w.machine(node).space();
        for port in ports {
            let ipc = w.machine(node).node().ipc();
            ipc.deallocate(space, port, RightKind::Receive).unwrap();
        }
    }
    for node in 0..2 {
        after(&mut w, node);
    }
    p.close(&mut w);
    drained(&mut w);
}

/// A question whether receive rights wait for each other that has passed too many nodes ends
/// there; nothing comes of it, and the next one is asked all the same.
#[test]
fn w_134_a_circle_that_is_too_long_is_not_found() {
    let nodes = 3;
    let mut w = World::new(&calm(nodes));
    let p = Places::new(&mut w);
    let ports: Vec<Name> = (0..nodes).map(|node| p.port(&mut w, node)).collect();
    let mut next = Vec::new();
    for node in 0..nodes {
        let after = (node + 1) % nodes;
        p.give(&mut w, after, ports[after], node);
        next.push(p.take(&mut w, node));
    }
    // As if each question had come a long way.
    let long = Rc::new(Cell::new(true));
    let is_long = Rc::clone(&long);
    w.tamper(move |_, frame| {
        let unidata = frame.get(15) == Some(&3);
        let header = frame.get(SESSION_AT..).filter(|_| unidata && is_long.get());
        let header = header.and_then(|bytes| Header::new_checked(bytes).ok());
        let waits = header.is_some_and(|h| h.destination() == 1 && h.id() == 5);
        if waits && frame.len() >= BODY_AT + 20 {
            frame[BODY_AT + 16] = 64;
            norma_net::seal(frame);
        }
    });
    for (node, (port, next)) in ports.iter().zip(&next).enumerate() {
        let rights = make(&mut w, node, &[*port], RightKind::Receive);
        let message = message_with(&mut w, node, rights);
        let (space, at) = (w.machine(node).space(), now(&w));
        let sent = w.machine(node).node().send(at, space, *next, message, None);
        assert!(sent.is_ok());
        after(&mut w, node);
    }
    run(&mut w, MS(3000));
    for (node, next) in next.iter().enumerate() {
        assert!(!is_dead(&mut w, node, *next), "node {node}");
    }
    long.set(false);
    run(&mut w, MS(2000));
    for node in 0..nodes {
        for name in [ports[node], next[node]] {
            assert!(is_dead(&mut w, node, name), "node {node}");
            give_up_all(&mut w, node, name);
        }
    }
    p.close(&mut w);
    drained(&mut w);
}
