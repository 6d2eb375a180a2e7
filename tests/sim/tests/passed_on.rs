//! Calls that a front-end passes on to a worker, with the right to answer them: the answer goes
//! straight to the caller, whatever hands the call went through (W-112, W-140).
//!
//! Node 0 is the front-end, node 1 its client, node 2 a worker.

mod common;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use common::{Places, drained, must, text};
use norma_ipc::limits::MAX_RIGHTS;
use norma_ipc::{
    Context, Name, Reason, Right, RightError, RightKind, RightTypes, SendFailure, ThreadId,
};
use norma_sim::{CallError, Config, Message, World, bad_network};

const MS: fn(u64) -> Duration = Duration::from_millis;

fn calm(nodes: usize) -> Config {
    Config {
        nodes,
        in_hands: true,
        ..Config::default().calm()
    }
}

fn bad(nodes: usize, seed: u64) -> Config {
    Config {
        seed,
        rules: bad_network(if seed == 0 { 0.0 } else { 0.15 }),
        ..calm(nodes)
    }
}

/// A call of the client's by a thread that does nothing else.
fn call(w: &mut World, p: &Places, to: usize, request: &[u8]) -> ThreadId {
    let caller = w.thread(1);
    let message = w.message(1, request);
    must(w.begin_call(1, caller, p.way(1, to), message));
    caller
}

/// Passes a call on as it is, from hand to hand; the last has it then.
fn pass(w: &mut World, p: &Places, hands: &[usize]) -> Message {
    let mut message = w
        .receive(hands[0], p.threads[hands[0]], p.inbox(hands[0]))
        .unwrap();
    for pair in hands.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        must(w.send(from, p.threads[from], p.way(from, to), message));
        message = w.receive(to, p.threads[to], p.inbox(to)).unwrap();
    }
    message
}

fn answered(w: &mut World, caller: ThreadId) -> Vec<u8> {
    let message = must(w.await_reply(1, caller));
    let said = text(&message);
    w.discard(1, message).unwrap();
    said
}

/// Frames by sender and receiver, from now on.
fn count_frames(w: &mut World) -> Rc<RefCell<BTreeMap<(usize, usize), u32>>> {
    let frames = Rc::new(RefCell::new(BTreeMap::new()));
    let counted = Rc::clone(&frames);
    w.watch(move |from, to, _| *counted.borrow_mut().entry((from, to)).or_default() += 1);
    frames
}

/// Messages of one node to another, from now on.
fn count_messages(w: &mut World, of: (usize, usize)) -> Rc<Cell<u32>> {
    let count = Rc::new(Cell::new(0));
    let counted = Rc::clone(&count);
    w.watch(move |from, to, frame| {
        // In the session header: MESSAGE.
        counted.set(counted.get() + u32::from((from, to) == of && frame.get(55) == Some(&3)));
    });
    count
}

#[test]
fn the_worker_answers_the_caller_itself() {
    let mut w = World::new(&calm(3));
    let p = Places::new(&mut w);
    for round in 0..3 {
        let caller = call(&mut w, &p, 0, b"?");
        let message = pass(&mut w, &p, &[0, 2]);
        assert!(message.expects_reply() && message.rights().is_empty());
        w.run_for(MS(50)).unwrap();
        let frames = count_frames(&mut w);
        w.reply(2, message).unwrap();
        w.run_for(MS(50)).unwrap();
        assert_eq!(answered(&mut w, caller), b"?");
        let frames = frames.borrow().clone();
        // The answer, and SPENT to the giver, who has nothing to say to the caller.
        assert_eq!(frames.get(&(2, 1)), Some(&1), "{round}: {frames:?}");
        assert_eq!(frames.get(&(2, 0)), Some(&1), "{round}: {frames:?}");
        assert_eq!(frames.get(&(0, 1)), None, "{round}: {frames:?}");
    }
    p.close(&mut w);
    drained(&mut w);
}

#[test]
fn passing_on_is_one_frame_and_a_plain_call_is_what_it_was() {
    let mut w = World::new(&calm(3));
    let p = Places::new(&mut w);
    w.run_for(MS(100)).unwrap();
    let lengths = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&lengths);
    w.watch(move |from, to, bytes| seen.borrow_mut().push((from, to, bytes.len())));
    let caller = call(&mut w, &p, 0, b"");
    let message = pass(&mut w, &p, &[0, 2]);
    w.reply(2, message).unwrap();
    answered(&mut w, caller);
    let first: Vec<_> = lengths.borrow().iter().take(3).copied().collect();
    // A call is a bare header; one descriptor says where to answer, another for what.
    assert_eq!(first, [(1, 0, 116), (0, 2, 148), (2, 1, 148)]);
    w.run_for(MS(50)).unwrap();
    p.close(&mut w);
    drained(&mut w);
}

#[test]
fn it_does_so_through_many_hands() {
    let mut w = World::new(&calm(5));
    let p = Places::new(&mut w);
    let caller = call(&mut w, &p, 0, b"?");
    let message = pass(&mut w, &p, &[0, 3, 4, 2]);
    w.run_for(MS(50)).unwrap();
    let frames = count_frames(&mut w);
    w.reply(2, message).unwrap();
    assert_eq!(answered(&mut w, caller), b"?");
    w.run_for(MS(50)).unwrap();
    let frames = frames.borrow().clone();
    assert_eq!(frames.get(&(2, 1)), Some(&1), "{frames:?}");
    for told in [(2, 4), (4, 3), (3, 0)] {
        assert_eq!(frames.get(&told), Some(&1), "{told:?} {frames:?}");
    }
    assert_eq!(frames.get(&(0, 1)), None, "{frames:?}");
    p.close(&mut w);
    drained(&mut w);
}

/// Back to whoever passed it on, and to the node of the caller: there the right is its own.
#[test]
fn a_call_that_comes_back_is_answered_at_once() {
    for hands in [
        &[0, 2, 0][..],
        &[0, 1],
        &[0, 2, 1],
        &[0, 2, 0, 1],
        &[0, 2, 0, 2],
    ] {
        let mut w = World::new(&calm(3));
        let p = Places::new(&mut w);
        let caller = call(&mut w, &p, 0, b"?");
        let message = pass(&mut w, &p, hands);
        let at = *hands.last().unwrap();
        w.run_for(MS(50)).unwrap();
        let frames = count_frames(&mut w);
        w.reply(at, message).unwrap();
        assert_eq!(answered(&mut w, caller), b"?", "{hands:?}");
        if hands == [0, 1] {
            assert!(frames.borrow().is_empty(), "{frames:?}");
        }
        w.run_for(MS(50)).unwrap();
        p.close(&mut w);
        drained(&mut w);
    }
}

#[test]
fn a_worker_that_drops_the_call_is_told_of_once() {
    let mut w = World::new(&calm(3));
    let p = Places::new(&mut w);
    let caller = call(&mut w, &p, 0, b"?");
    let message = pass(&mut w, &p, &[0, 2]);
    w.discard(2, message).unwrap();
    let failed = w.await_reply(1, caller);
    assert!(matches!(failed, Err(CallError::Reason(Reason::Unanswered))));
    p.close(&mut w);
    drained(&mut w);
}

/// Rights to ports of the client, of the front-end and of the worker go along, there and back.
#[test]
fn a_call_may_take_rights_along_there_and_back() {
    for seed in 0..10 {
        let mut w = World::new(&bad(3, seed));
        let p = Places::new(&mut w);
        let ports: Vec<Name> = (0..3).map(|node| p.port(&mut w, node)).collect();
        let caller = w.thread(1);
        let mut message = w.message(1, b"?");
        message
            .push_right(p.send_right(&mut w, 1, ports[1]))
            .unwrap();
        must(w.begin_call(1, caller, p.way(1, 0), message));
        let mut message = pass(&mut w, &p, &[0]);
        message
            .push_right(p.send_right(&mut w, 0, ports[0]))
            .unwrap();
        must(w.send(0, p.threads[0], p.way(0, 2), message));
        let mut message = pass(&mut w, &p, &[2]);
        assert_eq!(message.rights().len(), 2, "seed {seed}");
        message
            .push_right(p.send_right(&mut w, 2, ports[2]))
            .unwrap();
        w.reply(2, message).unwrap();
        let mut message = must(w.await_reply(1, caller));
        for owner in [1, 0, 2] {
            let right = message.take_right().unwrap();
            let space = w.machine(1).space();
            let name = w.machine(1).node().ipc().insert(space, right).unwrap();
            assert!(
                p.reaches(&mut w, 1, name, owner, ports[owner]),
                "seed {seed}"
            );
            w.give_up(1, name).unwrap();
        }
        w.discard(1, message).unwrap();
        for node in [0, 2] {
            p.drop_own(&mut w, node, ports[node]);
        }
        p.close(&mut w);
        drained(&mut w);
    }
}

/// Where there is no place for one more descriptor, the answer takes the long way.
#[test]
fn a_call_full_of_rights_is_answered_all_the_same() {
    for count in MAX_RIGHTS - 3..=MAX_RIGHTS {
        let mut w = World::new(&calm(3));
        let p = Places::new(&mut w);
        let port = p.port(&mut w, 0);
        let caller = call(&mut w, &p, 0, b"?");
        let mut message = pass(&mut w, &p, &[0]);
        for _ in 0..count {
            message.push_right(p.send_right(&mut w, 0, port)).unwrap();
        }
        must(w.send(0, p.threads[0], p.way(0, 2), message));
        let message = pass(&mut w, &p, &[2]);
        assert_eq!(message.rights().len(), count);
        w.reply(2, message).unwrap();
        let message = must(w.await_reply(1, caller));
        assert_eq!(message.rights().len(), count);
        w.discard(1, message).unwrap();
        p.drop_own(&mut w, 0, port);
        p.close(&mut w);
        drained(&mut w);
    }
}

/// Calls that wait at the front-end until the worker has room, and those that the worker refused.
#[test]
fn calls_that_wait_for_room_are_answered_straight() {
    for seed in 0..6 {
        let mut w = World::new(&bad(3, seed));
        let p = Places::new(&mut w);
        let space = w.machine(2).space();
        let ipc = w.machine(2).node().ipc();
        ipc.set_queue_limit(space, p.inbox(2), 2).unwrap();
        let mut callers = Vec::new();
        for number in 0..24 {
            callers.push(call(&mut w, &p, 0, &[number]));
            let message = pass(&mut w, &p, &[0]);
            let thread = w.thread(0);
            let sent = w.begin_send(0, thread, p.way(0, 2), message);
            sent.map_err(|error| error.failure)
                .expect("it goes, or waits");
            w.after(0).unwrap();
        }
        w.run_for(MS(300)).unwrap();
        let by_the_giver = count_messages(&mut w, (0, 1));
        for _ in &callers {
            let message = pass(&mut w, &p, &[2]);
            w.reply(2, message).unwrap();
        }
        for (number, caller) in callers.into_iter().enumerate() {
            assert_eq!(answered(&mut w, caller), [number as u8], "seed {seed}");
        }
        assert_eq!(by_the_giver.get(), 0, "seed {seed}");
        p.close(&mut w);
        drained(&mut w);
    }
}

/// The worker's port moves to another node with the call in its queue, or the call comes to where
/// the port was; whoever has the port answers the caller.
#[test]
fn a_call_follows_a_port_that_moves() {
    for seed in 0..12 {
        for step in 0..8 {
            let mut w = World::new(&bad(4, seed / 2));
            let p = Places::new(&mut w);
            let service = p.port(&mut w, 2);
            p.give(&mut w, 2, service, 0);
            let way = p.take(&mut w, 0);
            let caller = call(&mut w, &p, 0, b"?");
            let message = pass(&mut w, &p, &[0]);
            let early = seed % 2 == 0;
            if early {
                must(w.send(0, p.threads[0], way, message));
                w.run_for(Duration::from_micros(step * 30)).unwrap();
                p.give_receive(&mut w, 2, service, 3);
            } else {
                p.give_receive(&mut w, 2, service, 3);
                w.run_for(Duration::from_micros(step * 30)).unwrap();
                must(w.send(0, p.threads[0], way, message));
            }
            let there = p.take(&mut w, 3);
            let message = w.receive(3, p.threads[3], there).unwrap();
            w.reply(3, message).unwrap();
            assert_eq!(answered(&mut w, caller), b"?", "seed {seed} step {step}");
            w.run_for(MS(100)).unwrap();
            w.give_up(0, way).unwrap();
            p.drop_own(&mut w, 2, service);
            p.drop_receive(&mut w, 3, there);
            p.close(&mut w);
            drained(&mut w);
        }
    }
}

/// The caller waits at a port of its own, and moves that away while it waits: the answer, a claim
/// of what is a stand-in's now, follows it.
#[test]
fn an_answer_follows_the_port_at_which_it_is_awaited() {
    for seed in 0..12 {
        for step in 0..8 {
            let mut w = World::new(&bad(4, seed / 2));
            let p = Places::new(&mut w);
            let port = p.port(&mut w, 1);
            let space = w.machine(1).space();
            let ipc = w.machine(1).node().ipc();
            let right = ipc.make_right(space, port, RightKind::SendOnce).unwrap();
            let mut message = w.message(1, b"?");
            message.set_reply(right).unwrap();
            message.set_expects_reply(true);
            must(w.send(1, p.threads[1], p.way(1, 0), message));
            let message = pass(&mut w, &p, &[0, 2]);
            if seed % 2 == 0 {
                w.reply(2, message).unwrap();
                w.run_for(Duration::from_micros(step * 30)).unwrap();
                p.give_receive(&mut w, 1, port, 3);
            } else {
                p.give_receive(&mut w, 1, port, 3);
                w.run_for(Duration::from_micros(step * 30)).unwrap();
                w.reply(2, message).unwrap();
            }
            let there = p.take(&mut w, 3);
            let answer = w.receive(3, p.threads[3], there).unwrap();
            assert_eq!(answer.data(), b"?", "seed {seed} step {step}");
            w.discard(3, answer).unwrap();
            w.run_for(MS(100)).unwrap();
            p.drop_own(&mut w, 1, port);
            p.drop_receive(&mut w, 3, there);
            p.close(&mut w);
            drained(&mut w);
        }
    }
}

/// Kills `victim` at so many moments, half of them before the worker has the call and half after
/// it has answered. What the caller heard each time, if it lives: whether that was the answer.
fn killed_at_every_stage(victim: usize, loss: f64) -> Vec<bool> {
    let mut outcomes = Vec::new();
    for step in 0..60 {
        let mut w = World::new(&Config {
            seed: step,
            deaths: true,
            rules: bad_network(loss),
            ..calm(3)
        });
        let p = Places::new(&mut w);
        let caller = call(&mut w, &p, 0, b"?");
        let message = pass(&mut w, &p, &[0]);
        must(w.send(0, p.threads[0], p.way(0, 2), message));
        let moment = Duration::from_micros(step / 2 * 20);
        if step % 2 == 0 {
            w.run_for(moment).unwrap();
            w.kill(victim);
        }
        let message = (!w.is_dead(2)).then(|| p.receive(&mut w, 2)).flatten();
        if let Some(message) = message {
            w.reply(2, message).unwrap();
        }
        if step % 2 == 1 {
            w.run_for(moment).unwrap();
            w.kill(victim);
        }
        if victim != 1 {
            let heard = w.await_reply(1, caller);
            outcomes.push(heard.is_ok());
            match heard {
                Ok(message) => w.discard(1, message).unwrap(),
                Err(CallError::Reason(_)) => {}
                Err(other) => panic!("step {step}: {other:?}"),
            }
        }
        w.run_for(MS(4000)).unwrap();
        p.close(&mut w);
        drained(&mut w);
    }
    outcomes
}

#[test]
fn the_front_end_dies_at_every_stage() {
    let outcomes = killed_at_every_stage(0, 0.0);
    // The call was with the worker, or on its way there: it is answered without the front-end.
    assert!(outcomes.iter().all(|answered| *answered), "{outcomes:?}");
    killed_at_every_stage(0, 0.15);
}

#[test]
fn the_worker_dies_at_every_stage() {
    let outcomes = killed_at_every_stage(2, 0.0);
    assert!(outcomes.contains(&true) && outcomes.contains(&false));
    killed_at_every_stage(2, 0.15);
}

#[test]
fn the_caller_dies_at_every_stage() {
    killed_at_every_stage(1, 0.0);
    killed_at_every_stage(1, 0.15);
}

/// A right for one answer, and the name under which it is.
fn named(w: &mut World, at: usize, right: Right) -> Name {
    let space = w.machine(at).space();
    w.machine(at).node().ipc().insert(space, right).unwrap()
}

/// I-1: whoever asked is dead. The message comes back whole, and so does the right, by which
/// nobody can be reached.
#[test]
fn i_1_an_answer_that_cannot_be_sent_comes_back_with_the_right_to_give_it() {
    let mut w = World::new(&Config {
        deaths: true,
        ..calm(3)
    });
    let p = Places::new(&mut w);
    call(&mut w, &p, 2, b"direct");
    let mut direct = pass(&mut w, &p, &[2]);
    call(&mut w, &p, 2, b"reply");
    let reply = pass(&mut w, &p, &[2]);
    let name = named(&mut w, 2, direct.take_reply().unwrap());
    w.kill(1);
    w.run_for(MS(3000)).unwrap();
    let space = w.machine(2).space();
    for _ in 0..2 {
        let refused = w.begin_send(2, p.threads[2], name, direct).unwrap_err();
        assert!(matches!(
            refused.failure,
            SendFailure::Right(RightError::Dead(Reason::NodeDied(_)))
        ));
        direct = refused.message;
        assert_eq!(direct.data(), b"direct");
        let types = w.machine(2).node().ipc().right_types(space, name);
        assert_eq!(types, Ok(RightTypes::SEND_ONCE));
    }
    let refused = w.try_reply(2, reply).unwrap_err();
    assert_eq!(refused.message.data(), b"reply");
    assert!(refused.message.reply().is_some() && refused.message.expects_reply());
    w.discard(2, refused.message).unwrap();
    w.discard(2, direct).unwrap();
    let ipc = w.machine(2).node().ipc();
    assert_eq!(ipc.deallocate(space, name, RightKind::SendOnce), Ok(()));
    w.after(2).unwrap();
    p.close(&mut w);
    drained(&mut w);
}

/// W-25: what is left of a call's time shrinks where it lies and where it waits to be sent, also
/// to be sent again; on the wire no time passes that anybody could measure.
#[test]
fn w_25_a_deadline_counts_wherever_a_call_lies() {
    let mut w = World::new(&calm(3));
    let p = Places::new(&mut w);
    // The clock of all nodes.
    let nanos = |w: &World| 1_000_000_000 + u64::try_from(w.now().as_nanos()).unwrap();
    let on_the_wire = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&on_the_wire);
    w.watch(move |_, _, frame| {
        // MESSAGE with CONTEXT, which ends with 24 bytes of something else.
        if frame.get(55) == Some(&3) && frame[56] & 2 != 0 {
            let deadline = frame[frame.len() - 32..].first_chunk().unwrap();
            seen.borrow_mut()
                .push(u64::from_le_bytes(*deadline) / 10_000_000);
        }
    });
    let caller = w.thread(1);
    let mut message = w.message(1, b"?");
    let context = Context {
        deadline: 1_000_000_000,
        ..Context::default()
    };
    message.set_context(context.until(nanos(&w)));
    let begun = nanos(&w);
    must(w.begin_call(1, caller, p.way(1, 0), message));
    let message = pass(&mut w, &p, &[0]);
    w.run_for(MS(100)).unwrap();
    // What is sent now is lost, and comes again.
    w.faults().cut(0, 2);
    must(w.send(0, p.threads[0], p.way(0, 2), message));
    w.run_for(MS(200)).unwrap();
    w.faults().heal(0, 2);
    let message = pass(&mut w, &p, &[2]);
    // Hundredths of a second: the call, and the frames that were lost.
    let sent = on_the_wire.borrow().clone();
    assert_eq!(sent[..2], [100, 90], "{sent:?}");
    assert!(sent.is_sorted_by(|one, next| one >= next), "{sent:?}");
    assert!(sent.last() < Some(&70), "{sent:?}");
    let left = message.context().left(nanos(&w)).deadline;
    let passed = nanos(&w) - begun;
    assert!(passed >= 300_000_000, "{passed}");
    let wire = 1_000_000;
    let expected = 1_000_000_000 - passed;
    assert!(
        (expected..expected + wire).contains(&left),
        "{left}, {expected}"
    );
    // A time that is over is not no time at all.
    w.run_for(MS(800)).unwrap();
    assert_eq!(message.context().left(nanos(&w)).deadline, 1);
    w.reply(2, message).unwrap();
    answered(&mut w, caller);
    p.close(&mut w);
    drained(&mut w);
}
