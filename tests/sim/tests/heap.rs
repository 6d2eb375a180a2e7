//! The heap of a node fails at every allocation in turn while rights move between nodes: each
//! call is answered once or fails, no node breaks, and everything works again afterwards.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};

use common::moves::*;
use common::must;
use common::trial::{State, Trial, memory, own_right};
use norma_ipc::Delivery;
use norma_sim::heap::{self, Shortage};
use norma_sim::{Message, World};

struct Failing;

/// What fails has to be told all the same.
fn granted() -> bool {
    heap::grants() || std::thread::panicking()
}

// SAFETY: everything is passed to the system's allocator, or refused with a null pointer, which
// the contract of each function allows at any time.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !granted() {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !granted() {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static HEAP: Failing = Failing;

/// Makes trials for every allocation of every node: with that one failing, with all failing from
/// that one on, and with that one failing and all of another node from then on; until there is
/// memory again.
fn at_each_allocation(nodes: usize, trial: impl Fn(Shortage) -> bool) {
    for machine in 0..nodes {
        let others = (0..nodes).filter(|other| *other != machine);
        let wider = others.map(|other| (1, Some(other)));
        for (failures, other) in [(1, None), (usize::MAX, None)].into_iter().chain(wider) {
            let struck = (0..).take_while(|after| {
                trial(Shortage {
                    machine,
                    after: *after,
                    failures,
                    other,
                })
            });
            let allocations = struck.count();
            assert!(allocations > 2, "node {machine} needed {allocations}");
        }
    }
}

/// A receive right goes from node 0 over each of `hops`, with calls in its queue, one that waits
/// for room there, some that were refused, and some that are made while it is on its way.
fn a_port_moves(hops: &[usize], shortage: Shortage) -> bool {
    let mut t = Trial::new(3, shortage, |_, _| true);
    let port = t.p.port(&mut t.w, 0);
    t.p.give(&mut t.w, 0, port, 2);
    let at_2 = t.p.take(&mut t.w, 2);
    let space = t.w.machine(0).space();
    let ipc = t.w.machine(0).node().ipc();
    ipc.set_queue_limit(space, port, 2).unwrap();
    t.call(0, port, |w, message| memory(w, 0, message));
    t.call(0, port, |w, message| own_right(w, 0, message));
    t.call(2, at_2, |w, message| own_right(w, 2, message));
    t.call(2, at_2, |w, message| memory(w, 2, message));
    t.call(0, port, |_, _| {});
    t.wait(MS(5));
    t.look();

    t.strike();
    let mut way = hops.iter().copied().peekable();
    // Where it is, and what it is called there, unless it is on its way.
    let (mut at, mut held) = (0, Some(port));
    for step in 0..1000 {
        match step {
            2 => {
                t.call(0, port, |w, message| own_right(w, 0, message));
                t.call(2, at_2, |_, _| {});
            }
            50 => t.heal(),
            _ => {}
        }
        match (held, way.peek().copied()) {
            (Some(name), Some(to)) => held = t.send_receive(at, name, to),
            (None, Some(to)) => {
                if let Some(name) = t.take_receive(to) {
                    (at, held) = (to, Some(name));
                    way.next();
                }
            }
            (_, None) if step > 50 => break,
            (_, None) => {}
        }
        t.wait(MS(1));
        t.look();
    }
    let mut names = vec![(0, port), (2, at_2)];
    match held {
        Some(name) => {
            assert!(way.peek().is_none(), "it is still at node {at}");
            t.served.push((at, name));
            names.push((at, name));
        }
        None => assert!(t.struck, "it is nowhere"),
    }
    t.settle();
    t.check();
    t.served.clear();

    // Another goes the same way, now that nothing is wrong.
    let second = t.p.port(&mut t.w, 0);
    for text in [b"1", b"2"] {
        send_by(&mut t.w, 0, second, text);
    }
    let (mut from, mut there) = (0, second);
    names.push((0, second));
    for to in hops {
        there = move_to(&mut t.w, &t.p, from, there, *to);
        from = *to;
    }
    names.push((from, there));
    for text in [b"1", b"2"] {
        assert_eq!(text_at(&mut t.w, from, there).as_deref(), Some(&text[..]));
    }
    let struck = t.struck;
    t.end(&names);
    struck
}

#[test]
fn a_receive_right_moves_whatever_allocation_fails() {
    at_each_allocation(3, |shortage| a_port_moves(&[1], shortage));
}

#[test]
fn a_receive_right_moves_on_whatever_allocation_fails() {
    at_each_allocation(3, |shortage| a_port_moves(&[1, 2], shortage));
}

/// Home again, where a stand-in is left of it.
#[test]
fn a_receive_right_comes_home_whatever_allocation_fails() {
    at_each_allocation(3, |shortage| a_port_moves(&[1, 0], shortage));
}

/// Node 0 gives a right to a port of node 1 to node 2, which uses it, in a call that it answers.
fn a_third_node_gets_a_right(acquainted: bool, shortage: Shortage) -> bool {
    let ways = |from, to| acquainted || matches!((from, to), (1, 0) | (0, 2));
    let mut t = Trial::new(3, shortage, ways);
    let port = t.p.port(&mut t.w, 1);
    t.served.push((1, port));
    t.p.give(&mut t.w, 1, port, 0);
    let at_0 = t.p.take(&mut t.w, 0);
    t.wait(MS(20));

    t.strike();
    let give = |w: &mut World, message: &mut Message| {
        let space = w.machine(0).space();
        let right = w.machine(0).node().ipc().copy_send(space, at_0);
        message.push_right(right.unwrap()).unwrap();
        own_right(w, 0, message);
    };
    let (way, inbox) = (t.p.way(0, 2), t.p.inbox(2));
    t.call(0, way, give);
    let mut names = vec![(1, port), (0, at_0)];
    let mut requests = Vec::new();
    for step in 0..100 {
        match step {
            // A second one, while the first is being acquired; then the giver has none.
            1 => t.call(0, way, give),
            2 => give_up_all(&mut t.w, 0, at_0),
            50 => t.heal(),
            _ => {}
        }
        if let Some(mut request) = t.receive(2, inbox) {
            let right = request.take_right().expect("a right comes with it");
            let space = t.w.machine(2).space();
            let name = t.w.machine(2).node().ipc().insert(space, right).unwrap();
            requests.push(request);
            names.push((2, name));
            for _ in 0..2 {
                t.call(2, name, |w, message| memory(w, 2, message));
            }
        }
        t.wait(MS(1));
        t.look();
    }
    for request in requests {
        t.answer(2, request);
    }
    t.settle();
    t.check();
    t.served.clear();

    let second = t.p.port(&mut t.w, 1);
    t.p.give(&mut t.w, 1, second, 0);
    let given = t.p.take(&mut t.w, 0);
    t.p.give(&mut t.w, 0, given, 2);
    let taken = t.p.take(&mut t.w, 2);
    assert!(t.p.reaches(&mut t.w, 2, taken, 1, second));
    names.extend([(1, second), (0, given), (2, taken)]);
    let struck = t.struck;
    t.end(&names);
    struck
}

#[test]
fn a_third_node_gets_a_right_whatever_allocation_fails() {
    at_each_allocation(3, |shortage| a_third_node_gets_a_right(true, shortage));
}

/// And has to become acquainted with the owner first.
#[test]
fn a_strange_node_gets_a_right_whatever_allocation_fails() {
    at_each_allocation(3, |shortage| a_third_node_gets_a_right(false, shortage));
}

/// Node 0 passes a call of node 1 on to node 2, which answers its caller.
fn a_call_is_passed_on(shortage: Shortage) -> bool {
    let mut t = Trial::new(3, shortage, |_, _| true);
    let (there, on) = (t.p.way(1, 0), t.p.way(0, 2));
    let (front, back) = (t.p.inbox(0), t.p.inbox(2));
    t.strike();
    t.call(1, there, |w, message| own_right(w, 1, message));
    t.call(1, there, |w, message| memory(w, 1, message));
    let mut held: Option<Message> = None;
    for step in 0..100 {
        if step == 50 {
            t.heal();
        }
        if held.is_none()
            && let Some(Delivery::Message(message)) = try_receive(&mut t.w, 0, front)
        {
            held = Some(message);
        }
        if let Some(message) = held.take() {
            let (w, thread) = (&mut t.w, t.p.threads[0]);
            let sent = heap::of(0, || w.begin_send(0, thread, on, message));
            held = sent.err().map(|error| error.message);
            after(&mut t.w, 0);
        }
        t.wait(MS(1));
        t.look();
    }
    assert!(held.is_none(), "it could not be passed on");
    t.served.push((2, back));
    t.settle();
    t.check();

    t.call(1, there, |_, _| {});
    let number = t.calls.len() - 1;
    t.wait(MS(1));
    let Some(Delivery::Message(message)) = try_receive(&mut t.w, 0, front) else {
        panic!("it did not come");
    };
    must(t.w.send(0, t.p.threads[0], on, message));
    t.settle();
    assert_eq!(t.calls[number].state, State::Answered);
    let struck = t.struck;
    t.end(&[]);
    struck
}

#[test]
fn a_call_is_passed_on_whatever_allocation_fails() {
    at_each_allocation(3, a_call_is_passed_on);
}
