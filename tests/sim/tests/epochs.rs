//! Nodes come and go: who notices, who does not, and what is left of an earlier time.

mod common;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use common::{dead, drained, must};
use norma_ipc::{Name, Reason, ThreadId};
use norma_sim::{Config, World};

fn config(nodes: usize) -> Config {
    Config {
        nodes,
        audit_every: 0,
        ..Config::default().calm()
    }
}

/// Where the type of a packet is, and that of datagrams.
const TYPE_AT: usize = 15;
const UNIDATA: u8 = 3;

/// Where the kind of a session frame is, and that of PROBE.
const KIND_AT: usize = 55;
const PROBE: u8 = 6;

fn call(
    w: &mut World,
    from: usize,
    (a, name): (ThreadId, Name),
    to: usize,
    (b, port): (ThreadId, Name),
) {
    let message = w.message(from, b"?");
    must(w.begin_call(from, a, name, message));
    let request = w
        .receive(to, b, port)
        .unwrap_or_else(|failure| panic!("{failure}"));
    w.reply(to, request).unwrap();
    let reply = must(w.await_reply(from, a));
    w.discard(from, reply).unwrap();
}

/// A death was noticed only after 20 seconds in Amoeba.
#[test]
fn a_death_is_noticed_in_a_second_by_those_whom_it_concerns_and_by_nobody_else() {
    let mut w = World::new(&config(5));
    let port = w.serve(1, "echo");
    let _other = w.serve(4, "other");
    let (a, b) = (w.thread(0), w.thread(1));
    let name = must(w.look_up(0, a, "echo"));
    // Node 2 has a session with node 1 and shares nothing in it any more; 3 has one with 4.
    let (c, d) = (w.thread(2), w.thread(3));
    let known = must(w.look_up(2, c, "echo"));
    w.give_up(2, known).unwrap();
    let _other = must(w.look_up(3, d, "other"));
    w.run_for(Duration::from_millis(900)).unwrap();
    let message = w.message(0, b"?");
    must(w.begin_call(0, a, name, message));
    let _request = w.receive(1, b, port).unwrap();

    let probes = Rc::new(RefCell::new([0; 5]));
    let all = Rc::new(RefCell::new([0; 5]));
    let (seen, frames) = (Rc::clone(&probes), Rc::clone(&all));
    w.watch(move |from, to, bytes| {
        // Datagrams only: names are announced to all.
        if to == 1 && bytes[TYPE_AT] == UNIDATA {
            frames.borrow_mut()[from] += 1;
            if bytes.get(KIND_AT) == Some(&PROBE) {
                seen.borrow_mut()[from] += 1;
            }
        }
    });
    let address = w.machine(1).node().address();
    w.kill(1);
    let begun = w.now();
    assert_eq!(dead(w.await_reply(0, a)), Reason::NodeDied(address.0));
    let took = w.now() - begun;
    let about = Duration::from_millis(900)..Duration::from_millis(1200);
    assert!(about.contains(&took), "{took:?}");
    w.run_for(Duration::from_secs(3)).unwrap();
    let probes = *probes.borrow();
    assert!(probes[0] >= 3, "{probes:?}");
    assert_eq!(probes[2..], [0, 0, 0]);
    assert_eq!(all.borrow()[2..], [0, 0, 0]);
    for uninvolved in 2..5 {
        assert_eq!(w.machine(uninvolved).node().counters().deaths, 0);
    }
}

/// Three nodes, each of which serves a name and knows those of the others.
struct Triangle {
    w: World,
    threads: Vec<ThreadId>,
    ports: Vec<Name>,
    names: Vec<Vec<Name>>,
}

fn triangle() -> Triangle {
    let mut w = World::new(&config(3));
    let ports: Vec<_> = (0..3).map(|i| w.serve(i, &format!("echo{i}"))).collect();
    let threads: Vec<_> = (0..3).map(|i| w.thread(i)).collect();
    let mut names = Vec::new();
    for (from, thread) in threads.iter().enumerate() {
        let each = (0..3).map(|to| must(w.look_up(from, *thread, &format!("echo{to}"))));
        names.push(each.collect());
    }
    Triangle {
        w,
        threads,
        ports,
        names,
    }
}

impl Triangle {
    fn call(&mut self, from: usize, to: usize) {
        let client = (self.threads[from], self.names[from][to]);
        let server = (self.threads[to], self.ports[to]);
        call(&mut self.w, from, client, to, server);
    }
}

#[test]
fn death_is_pairwise_and_who_hears_both_keeps_both() {
    for one_way in [false, true] {
        let mut t = triangle();
        t.call(0, 1);
        let addresses: Vec<_> = (0..3).map(|i| t.w.machine(i).node().address()).collect();
        match one_way {
            false => t.w.faults().cut(0, 1),
            true => t.w.faults().cut_one_way(0, 1),
        }
        t.w.run_for(Duration::from_secs(4)).unwrap();
        let deaths = |t: &mut Triangle, i: usize| t.w.machine(i).node().counters().deaths;
        assert_eq!(
            (deaths(&mut t, 0), deaths(&mut t, 1)),
            (1, 1),
            "one way: {one_way}"
        );
        assert_eq!(deaths(&mut t, 2), 0);
        for (from, to) in [(2, 0), (2, 1), (0, 2), (1, 2)] {
            t.call(from, to);
        }
        // What was shared between the two is dead on both sides, with a reason.
        let message = t.w.message(0, b"?");
        let (thread, name) = (t.threads[0], t.names[0][1]);
        assert!(t.w.begin_call(0, thread, name, message).is_err());

        // Neither has booted: they are who they were, and begin anew.
        t.w.faults().heal_all();
        t.w.give_up(0, name).unwrap();
        t.names[0][1] = must(t.w.look_up(0, thread, "echo1"));
        t.call(0, 1);
        let after: Vec<_> = (0..3).map(|i| t.w.machine(i).node().address()).collect();
        assert_eq!(addresses, after);
    }
}

/// Frames, with who sent them to whom.
type Recorded = Rc<RefCell<Vec<(usize, usize, Vec<u8>)>>>;

fn record(w: &mut World) -> Recorded {
    let recorded = Recorded::default();
    let tape = Rc::clone(&recorded);
    w.watch(move |from, to, bytes| tape.borrow_mut().push((from, to, bytes.to_vec())));
    recorded
}

/// All that was said in an earlier session, or before a node was started anew, comes again.
#[test]
fn frames_of_an_earlier_time_do_no_harm() {
    for reboot in [false, true] {
        let mut w = World::new(&config(2));
        let recorded = record(&mut w);
        let mut port = w.serve(1, "echo");
        let (a, mut b) = (w.thread(0), w.thread(1));
        let name = must(w.look_up(0, a, "echo"));
        for _ in 0..50 {
            call(&mut w, 0, (a, name), 1, (b, port));
        }
        if reboot {
            w.reboot(1);
            port = w.serve(1, "echo");
            b = w.thread(1);
        } else {
            w.faults().cut(0, 1);
        }
        w.run_for(Duration::from_secs(3)).unwrap();
        w.faults().heal_all();
        w.give_up(0, name).unwrap();
        let old = std::mem::take(&mut *recorded.borrow_mut());
        let name = must(w.look_up(0, a, "echo"));
        w.watch(|_, _, _| {});
        for (number, (from, to, frame)) in old.iter().enumerate() {
            w.replay(*from, *to, frame);
            if number % 7 == 0 {
                call(&mut w, 0, (a, name), 1, (b, port));
            }
        }
        w.run_for(Duration::from_secs(2)).unwrap();
        call(&mut w, 0, (a, name), 1, (b, port));
        // Nothing came that was not sent now.
        let m = w.machine(1);
        let space = m.space();
        let left = m.node().ipc().receive_or_wait(b, space, port).unwrap();
        assert!(left.is_none(), "reboot: {reboot}: {left:?}");
        let _ = m.node().ipc().cancel(b);
        let deaths = [0, 1].map(|i| w.machine(i).node().counters().deaths);
        assert!(deaths[0] <= 1 && deaths[1] <= 1, "{deaths:?}");
        w.give_up(0, name).unwrap();
        drained(&mut w);
    }
}
