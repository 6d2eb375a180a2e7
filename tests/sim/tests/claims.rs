//! Calls that are passed on: who answers whom, and that the caller hears exactly one thing.
//!
//! Node 0 is a front-end, node 1 its client, node 2 a worker. The client's send-once right goes
//! from hand to hand, and each of them may die.

mod common;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use common::{Places, drained, must};
use norma_ipc::{Delivery, HeapPages, Name, Notification, Page, PageSource, Reason, Right};
use norma_ipc::{PAGE_SIZE, RightKind};
use norma_sim::{Config, Message, World, bad_network};

const MS: fn(u64) -> Duration = Duration::from_millis;

fn calm(nodes: usize) -> Config {
    Config {
        nodes,
        in_hands: true,
        ..Config::default().calm()
    }
}

/// A port of the client, and a right for one answer to it.
fn question(w: &mut World) -> (Name, Right) {
    let space = w.machine(1).space();
    let ipc = w.machine(1).node().ipc();
    let port = ipc.allocate_port(space).unwrap();
    let right = ipc.make_right(space, port, RightKind::SendOnce).unwrap();
    (port, right)
}

/// Takes a right from the client through other hands to the last of them.
fn pass(w: &mut World, p: &Places, hands: &[usize]) -> (Name, Right) {
    let (port, mut right) = question(w);
    let mut at = 1;
    for to in hands {
        p.hand(w, at, right, *to);
        at = *to;
        right = p.receive_right(w, at).expect("it arrives");
    }
    (port, right)
}

/// What came to a port: answers, and words that none will come.
fn heard(w: &mut World, port: Name) -> (Vec<Vec<u8>>, Vec<Reason>) {
    let (mut answers, mut failures) = (Vec::new(), Vec::new());
    let space = w.machine(1).space();
    while let Ok(delivery) = w.machine(1).node().ipc().receive(space, port) {
        match delivery {
            Delivery::Message(message) => {
                answers.push(message.data().to_vec());
                w.discard(1, message).unwrap();
            }
            Delivery::Notification(Notification::SendOnce(reason)) => failures.push(reason),
            other => panic!("{other:?}"),
        }
    }
    (answers, failures)
}

fn answer(w: &mut World, at: usize, right: Right, text: &[u8]) {
    let mut message = w.message(at, text);
    message.set_reply(right).unwrap();
    w.reply(at, message).unwrap();
}

/// Frames by sender and receiver, from now on.
fn count_frames(w: &mut World) -> Rc<RefCell<BTreeMap<(usize, usize), u32>>> {
    let frames = Rc::new(RefCell::new(BTreeMap::new()));
    let counted = Rc::clone(&frames);
    w.watch(move |from, to, _| *counted.borrow_mut().entry((from, to)).or_default() += 1);
    frames
}

#[test]
fn the_worker_answers_the_client_itself() {
    let mut w = World::new(&calm(3));
    let p = Places::new(&mut w);
    let (port, right) = pass(&mut w, &p, &[0, 2]);
    w.run_for(MS(50)).unwrap();
    let frames = count_frames(&mut w);
    answer(&mut w, 2, right, b"42");
    w.run_for(MS(50)).unwrap();
    assert_eq!(heard(&mut w, port), (vec![b"42".to_vec()], vec![]));
    let frames = frames.borrow().clone();
    // The answer and its acknowledgement; SPENT and its own. Nothing from the giver.
    assert_eq!(frames.get(&(2, 1)), Some(&1), "{frames:?}");
    assert_eq!(frames.get(&(2, 0)), Some(&1), "{frames:?}");
    assert_eq!(frames.get(&(0, 1)), None, "{frames:?}");
    p.close(&mut w);
    drained(&mut w);
}

#[test]
fn it_does_so_through_many_hands() {
    let mut w = World::new(&calm(5));
    let p = Places::new(&mut w);
    let (port, right) = pass(&mut w, &p, &[0, 3, 4, 2]);
    w.run_for(MS(50)).unwrap();
    let frames = count_frames(&mut w);
    answer(&mut w, 2, right, b"42");
    w.run_for(MS(50)).unwrap();
    assert_eq!(heard(&mut w, port), (vec![b"42".to_vec()], vec![]));
    let frames = frames.borrow().clone();
    assert_eq!(frames.get(&(2, 1)), Some(&1), "{frames:?}");
    // Each tells the one before it that the right was used.
    for told in [(2, 4), (4, 3), (3, 0)] {
        assert_eq!(frames.get(&told), Some(&1), "{told:?} {frames:?}");
    }
    assert_eq!(frames.get(&(0, 1)), None, "{frames:?}");
    p.close(&mut w);
    drained(&mut w);
}

#[test]
fn a_right_that_goes_home_by_another_way_answers_once() {
    // Back to its giver; and to its owner, by way of the worker.
    for hands in [&[0, 2, 0][..], &[0, 2, 1], &[0, 2, 0, 1], &[0, 2, 0, 2]] {
        let mut w = World::new(&calm(3));
        let p = Places::new(&mut w);
        let (port, right) = pass(&mut w, &p, hands);
        answer(&mut w, *hands.last().unwrap(), right, b"42");
        w.run_for(MS(100)).unwrap();
        let said = heard(&mut w, port);
        assert_eq!(said, (vec![b"42".to_vec()], vec![]), "{hands:?}");
        p.close(&mut w);
        drained(&mut w);
    }
}

#[test]
fn a_worker_that_drops_the_right_is_told_of_once() {
    let mut w = World::new(&calm(3));
    let p = Places::new(&mut w);
    let (port, right) = pass(&mut w, &p, &[0, 2]);
    w.machine(2).node().ipc().release(right);
    w.after(2).unwrap();
    w.run_for(MS(100)).unwrap();
    assert_eq!(heard(&mut w, port), (vec![], vec![Reason::Unanswered]));
    p.close(&mut w);
    drained(&mut w);
}

/// Node 2's answer to node 1, with a right, some pages and a right for an answer to it.
fn rich(w: &mut World, right: Right, service: Name) -> norma_ipc::ThreadId {
    let space = w.machine(2).space();
    let thread = w.thread(2);
    let mut message = w.message(2, b"rich");
    let ipc = w.machine(2).node().ipc();
    let gift = ipc.make_right(space, service, RightKind::Send).unwrap();
    message.push_right(gift).unwrap();
    let name = ipc.insert(space, right).unwrap();
    let mut pages: Vec<_> = (0..3)
        .map(|number| {
            let mut page = HeapPages::default().allocate().unwrap();
            page.bytes_mut().unwrap().fill(number);
            page
        })
        .collect();
    let mut source = HeapPages::default();
    let memory = message.memory_mut();
    memory
        .take_over(&mut pages, 3 * PAGE_SIZE, &mut source)
        .unwrap();
    must(w.begin_call(2, thread, name, message));
    thread
}

#[test]
fn an_answer_may_bring_rights_memory_and_a_question_of_its_own() {
    for seed in 0..20 {
        let mut w = World::new(&Config {
            seed,
            rules: bad_network(if seed == 0 { 0.0 } else { 0.15 }),
            ..calm(3)
        });
        let p = Places::new(&mut w);
        let (port, right) = pass(&mut w, &p, &[0, 2]);
        let service = p.port(&mut w, 2);
        let thread = rich(&mut w, right, service);
        let mut message: Message = w.receive(1, p.threads[1], port).unwrap();
        assert_eq!(message.data(), b"rich");
        let pages = message.memory().pages();
        assert!((0..3).all(|at| pages[at].bytes().iter().all(|byte| *byte == at as u8)));
        let gift = message.take_right().unwrap();
        let space = w.machine(1).space();
        let gift = w.machine(1).node().ipc().insert(space, gift).unwrap();
        w.reply(1, message).unwrap();
        let echoed = must(w.await_reply(2, thread));
        w.discard(2, echoed).unwrap();
        assert!(p.reaches(&mut w, 1, gift, 2, service), "seed {seed}");
        w.give_up(1, gift).unwrap();
        p.drop_own(&mut w, 2, service);
        assert_eq!(heard(&mut w, port), (vec![], vec![]));
        p.close(&mut w);
        drained(&mut w);
    }
}

#[test]
fn an_answer_may_bring_a_receive_right_with_what_is_queued() {
    for seed in 0..20 {
        let mut w = World::new(&Config {
            seed,
            rules: bad_network(if seed == 0 { 0.0 } else { 0.15 }),
            ..calm(3)
        });
        let p = Places::new(&mut w);
        let (port, right) = pass(&mut w, &p, &[0, 2]);
        let moving = p.port(&mut w, 2);
        let space = w.machine(2).space();
        let queued = w.message(2, b"queued");
        must(w.send(2, p.threads[2], moving, queued));
        let ipc = w.machine(2).node().ipc();
        let receive = ipc.extract(space, moving, RightKind::Receive).unwrap();
        let mut message = w.message(2, b"yours");
        message.push_right(receive).unwrap();
        message.set_reply(right).unwrap();
        w.reply(2, message).unwrap();
        let mut message = w.receive(1, p.threads[1], port).unwrap();
        let receive = message.take_right().unwrap();
        w.discard(1, message).unwrap();
        let space = w.machine(1).space();
        let here = w.machine(1).node().ipc().insert(space, receive).unwrap();
        let message = w.receive(1, p.threads[1], here).unwrap();
        assert_eq!(message.data(), b"queued", "seed {seed}");
        w.discard(1, message).unwrap();
        assert!(p.reaches(&mut w, 2, moving, 1, here), "seed {seed}");
        w.give_up(2, moving).unwrap();
        assert_eq!(heard(&mut w, port), (vec![], vec![]));
        p.close(&mut w);
        drained(&mut w);
    }
}

/// A request holds a send-once right, and spends it on news of its node's kernel, which is no
/// answer, and is passed on.
#[test]
fn a_right_that_waits_for_news_says_it_once() {
    let mut w = World::new(&calm(3));
    let p = Places::new(&mut w);
    let (port, right) = pass(&mut w, &p, &[0, 2]);
    let watched = p.port(&mut w, 2);
    let space = w.machine(2).space();
    let ipc = w.machine(2).node().ipc();
    let before = ipc.request_no_senders(space, watched, 0, Some(right));
    assert!(matches!(before, Ok(None)));
    w.run_for(MS(50)).unwrap();
    p.drop_own(&mut w, 2, watched);
    w.run_for(MS(100)).unwrap();
    assert_eq!(p.no_senders(&mut w, 1, port), 1);
    p.close(&mut w);
    drained(&mut w);
}

#[test]
fn more_calls_than_are_remembered_are_answered_each_once() {
    for loss in [0.0, 0.15] {
        let mut w = World::new(&Config {
            rules: bad_network(loss),
            ..calm(3)
        });
        let p = Places::new(&mut w);
        let calls: Vec<_> = (0..100).map(|_| pass(&mut w, &p, &[0, 2])).collect();
        let mut ports = Vec::new();
        for (number, (port, right)) in calls.into_iter().enumerate() {
            match number % 5 {
                0 => {
                    w.machine(2).node().ipc().release(right);
                    w.after(2).unwrap();
                }
                _ => answer(&mut w, 2, right, &[number as u8]),
            }
            ports.push(port);
        }
        w.run_for(MS(1000)).unwrap();
        for (number, port) in ports.into_iter().enumerate() {
            let expected = match number % 5 {
                0 => (vec![], vec![Reason::Unanswered]),
                _ => (vec![vec![number as u8]], vec![]),
            };
            assert_eq!(heard(&mut w, port), expected, "call {number}");
        }
        p.close(&mut w);
        drained(&mut w);
    }
}

#[test]
fn without_a_session_the_first_answer_is_passed_on_and_the_next_goes_straight() {
    let mut w = World::new(&calm(3));
    let inboxes: Vec<Name> = (0..3)
        .map(|node| w.serve(node, &format!("inbox{node}")))
        .collect();
    let threads: Vec<_> = (0..3).map(|node| w.thread(node)).collect();
    let front = must(w.look_up(1, threads[1], "inbox0"));
    let worker = must(w.look_up(0, threads[0], "inbox2"));
    let mut straight = Vec::new();
    for _ in 0..2 {
        let (port, right) = question(&mut w);
        let mut message = w.message(1, b"?");
        message.push_right(right).unwrap();
        must(w.send(1, threads[1], front, message));
        let message = w.receive(0, threads[0], inboxes[0]).unwrap();
        must(w.send(0, threads[0], worker, message));
        let mut message = w.receive(2, threads[2], inboxes[2]).unwrap();
        let right = message.take_right().unwrap();
        w.discard(2, message).unwrap();
        w.run_for(MS(50)).unwrap();
        let frames = count_frames(&mut w);
        answer(&mut w, 2, right, b"42");
        w.run_for(MS(50)).unwrap();
        assert_eq!(heard(&mut w, port), (vec![b"42".to_vec()], vec![]));
        straight.push(!frames.borrow().contains_key(&(0, 1)));
    }
    assert_eq!(straight, [false, true]);
    w.give_up(1, front).unwrap();
    w.give_up(0, worker).unwrap();
    drained(&mut w);
}

/// Kills `victim` at so many moments, from when the front-end passes the call on until long
/// after it was answered. What the client heard each time, if it lives.
fn killed_at_every_stage(victim: usize, loss: f64) -> Vec<(usize, usize)> {
    let mut outcomes = Vec::new();
    for step in 0..60 {
        let mut w = World::new(&Config {
            seed: step,
            deaths: true,
            rules: bad_network(loss),
            ..calm(3)
        });
        let p = Places::new(&mut w);
        let (port, right) = pass(&mut w, &p, &[0]);
        p.hand(&mut w, 0, right, 2);
        // Half of them before the worker has it, half after it has answered.
        let moment = Duration::from_micros(step / 2 * 20);
        if step % 2 == 0 {
            w.run_for(moment).unwrap();
            w.kill(victim);
        }
        let right = (!w.is_dead(2))
            .then(|| p.receive_right(&mut w, 2))
            .flatten();
        if let Some(right) = right {
            answer(&mut w, 2, right, b"42");
        }
        if step % 2 == 1 {
            w.run_for(moment).unwrap();
            w.kill(victim);
        }
        w.run_for(MS(4000)).unwrap();
        if victim != 1 {
            let (answers, failures) = heard(&mut w, port);
            outcomes.push((answers.len(), failures.len()));
        }
        p.close(&mut w);
        drained(&mut w);
    }
    outcomes
}

/// The caller hears one thing each time.
fn one_thing(outcomes: &[(usize, usize)]) {
    for (step, (answers, failures)) in outcomes.iter().enumerate() {
        assert_eq!(answers + failures, 1, "step {step}: {outcomes:?}");
    }
}

#[test]
fn the_giver_dies_at_every_stage() {
    // What it gave names the owner: its death takes no answer along that is given soon.
    let outcomes = killed_at_every_stage(0, 0.0);
    assert!(
        outcomes.iter().all(|heard| *heard == (1, 0)),
        "{outcomes:?}"
    );
    one_thing(&killed_at_every_stage(0, 0.15));
}

#[test]
fn the_worker_dies_at_every_stage() {
    let outcomes = killed_at_every_stage(2, 0.0);
    one_thing(&outcomes);
    assert!(outcomes.contains(&(1, 0)), "{outcomes:?}");
    assert!(outcomes.contains(&(0, 1)), "{outcomes:?}");
    one_thing(&killed_at_every_stage(2, 0.15));
}

#[test]
fn the_client_dies_at_every_stage() {
    killed_at_every_stage(1, 0.0);
    killed_at_every_stage(1, 0.15);
}

/// The worker cannot reach the client, or the client cannot hear the front-end: a claim and word
/// from the giver race.
#[test]
fn whatever_is_cut_the_client_hears_one_thing() {
    for (a, b) in [(0, 1), (1, 2), (0, 2)] {
        for step in 0..24 {
            let mut w = World::new(&Config {
                seed: step,
                deaths: true,
                ..calm(3)
            });
            let p = Places::new(&mut w);
            let (port, right) = pass(&mut w, &p, &[0, 2]);
            answer(&mut w, 2, right, b"42");
            w.run_for(Duration::from_micros(step % 12 * 10)).unwrap();
            w.faults().cut(a, b);
            // Long enough to be given up, or not.
            w.run_for(MS(if step < 12 { 400 } else { 3000 })).unwrap();
            w.faults().heal(a, b);
            w.run_for(MS(3000)).unwrap();
            let (answers, failures) = heard(&mut w, port);
            assert_eq!(
                answers.len() + failures.len(),
                1,
                "{a}-{b} step {step}: {answers:?} {failures:?}"
            );
        }
    }
}
