//! Names: found though frames are lost, waited for without asking all the time, and held by one
//! node alone.

mod common;

use std::time::Duration;

use common::{dead, drained, must};
use norma_faults::Random;
use norma_flip::Instant;
use norma_ipc::{Name, Reason, RightError, RightKind, ThreadId};
use norma_net::limits::{MAX_LOOKUPS, MAX_NAMES};
use norma_net::{CheckInError, LookUp, NAME_TAKEN};
use norma_sim::{CallError, Config, World, bad_network};

const MS: Duration = Duration::from_millis(1);

fn config(nodes: usize) -> Config {
    Config {
        nodes,
        audit_every: 0,
        ..Config::default().calm()
    }
}

fn instant(w: &World) -> Instant {
    Instant(1_000_000_000 + w.now().as_nanos() as u64)
}

fn run(w: &mut World, time: Duration) {
    w.run_for(time)
        .unwrap_or_else(|failure| panic!("{failure}"));
}

/// A port with a send right under the second name.
fn port(w: &mut World, machine: usize) -> (Name, Name) {
    let m = w.machine(machine);
    let space = m.space();
    let ipc = m.node().ipc();
    let port = ipc.allocate_port(space).unwrap();
    let right = ipc.make_right(space, port, RightKind::Send).unwrap();
    (port, ipc.insert(space, right).unwrap())
}

/// Checks a fresh port in, for a thread that hears whether the name is its own.
fn claim(w: &mut World, machine: usize, thread: ThreadId, text: &str) -> Result<(), CheckInError> {
    let (_, right) = port(w, machine);
    let now = instant(w);
    let m = w.machine(machine);
    let space = m.space();
    let claimed = m.node().claim(now, thread, space, right, text);
    w.after(machine).unwrap();
    claimed
}

/// What became of a claim: the name of the node that has the name, if it is not this one.
fn verdict(w: &mut World, machine: usize, thread: ThreadId) -> Option<String> {
    let message = must(w.await_reply(machine, thread));
    let taken = message.id() == NAME_TAKEN;
    let node = String::from_utf8(message.data().to_vec()).unwrap();
    w.discard(machine, message).unwrap();
    taken.then_some(node)
}

fn has(w: &mut World, machine: usize, text: &str) -> bool {
    let found = w.machine(machine).node().find_here(text);
    let some = found.is_some();
    if let Some(right) = found {
        w.machine(machine).node().ipc().release(right);
    }
    some
}

/// Has a thread of node 0 wait for a name.
fn begin_waiting(w: &mut World, thread: ThreadId, text: &str, time: Duration) {
    let now = instant(w);
    let node = w.machine(0).node();
    let asked = node.look_up(now, thread, text, Some(now + time));
    assert!(matches!(asked, Ok(LookUp::Asked)), "{asked:?}");
    w.after(0).unwrap();
}

fn broadcasts(w: &mut World, machine: usize) -> u64 {
    let counters = *w.machine(machine).node().flip_counters();
    counters.locates + counters.announcements
}

#[test]
fn a_name_that_is_there_is_found_though_a_fifth_of_all_frames_is_lost() {
    for seed in 0..200 {
        let mut w = World::new(&Config {
            seed,
            rules: bad_network(0.2),
            ..config(3)
        });
        w.serve(1, "there");
        let a = w.thread(0);
        run(&mut w, 1200 * MS); // All announcements are over.
        for _ in 0..5 {
            let name = must(w.look_up(0, a, "there"));
            w.give_up(0, name).unwrap();
        }
        w.machine(2).spawn(None);
        let begun = w.now();
        assert_eq!(
            dead(w.look_up(2, ThreadId(0), "nowhere")),
            Reason::NameUnknown
        );
        let took = w.now() - begun;
        assert!(took <= 1000 * MS, "{took:?}");
        drained(&mut w);
    }
}

/// "FLIP broadcasts burden everyone": who waits for a name asks seldom, and hears at once.
#[test]
fn who_waits_for_a_name_asks_seldom_and_hears_of_it_at_once() {
    let mut w = World::new(&config(3));
    let waiting = w.thread(0);
    begin_waiting(&mut w, waiting, "late", 60_000 * MS);
    run(&mut w, 28_000 * MS);
    let asked = broadcasts(&mut w, 0);
    assert!(
        (16..=22).contains(&asked),
        "{asked}: sixteen in the first second"
    );
    w.serve(1, "late");
    let begun = w.now();
    let answer = must(w.await_reply(0, waiting));
    assert!(w.now() - begun < 20 * MS, "{:?}", w.now() - begun);
    assert_eq!(answer.rights().len(), 1);
    w.discard(0, answer).unwrap();
    assert_eq!(broadcasts(&mut w, 0), asked, "the announcement led the way");
    run(&mut w, 2000 * MS);
    assert_eq!(
        broadcasts(&mut w, 1),
        3,
        "announced three times, and never again"
    );
    drained(&mut w);
}

/// "FLIP broadcasts burden everyone": of thirty nodes each that looks something up sends one
/// broadcast, however often it asks, and none at all for what it has found before.
#[test]
fn broadcasts_burden_nobody_twice() {
    let mut w = World::new(&config(30));
    w.serve(0, "used");
    run(&mut w, 1500 * MS);
    for machine in 1..30 {
        let thread = w.thread(machine);
        for _ in 0..10 {
            let name = must(w.look_up(machine, thread, "used"));
            w.give_up(machine, name).unwrap();
            run(&mut w, 200 * MS);
        }
    }
    let sent: u64 = (0..30).map(|machine| broadcasts(&mut w, machine)).sum();
    // Each asks once; the name is announced at first, and once in ten seconds of use.
    let announced = w.machine(0).node().flip_counters().announcements;
    assert_eq!(sent - announced, 29);
    assert!(announced <= 3 + w.now().as_secs() / 10, "{announced}");
    drained(&mut w);
}

/// Those that wait are bounded in number, and so are names; nothing is lost at the bound.
#[test]
fn look_ups_and_names_are_bounded() {
    let mut w = World::new(&config(2));
    let now = instant(&w);
    let mut threads = Vec::new();
    for _ in 0..MAX_LOOKUPS {
        let thread = w.thread(0);
        begin_waiting(&mut w, thread, "never", 5000 * MS);
        threads.push(thread);
    }
    let one_more = w.thread(0);
    let node = w.machine(0).node();
    let refused = node.look_up(now, one_more, "never", None);
    assert!(matches!(refused, Err(RightError::NoMemory)), "{refused:?}");
    for thread in threads {
        assert_eq!(dead(w.await_reply(0, thread)), Reason::NameUnknown);
    }
    let claimant = w.thread(1);
    for number in 0..MAX_NAMES {
        w.serve(1, &format!("name {number}"));
    }
    assert_eq!(claim(&mut w, 1, claimant, "more"), Err(CheckInError::Full));
    // All are announced, as fast as that may be, and all are found.
    run(&mut w, 3000 * MS);
    let last = format!("name {}", MAX_NAMES - 1);
    let name = must(w.look_up(0, one_more, &last));
    w.give_up(0, name).unwrap();
    let announced = w.machine(1).node().flip_counters().announcements;
    let names = MAX_NAMES as u64;
    assert!((2 * names..=3 * names).contains(&announced), "{announced}");
    drained(&mut w);
}

#[test]
fn who_waits_for_a_name_finds_it_though_every_announcement_is_lost() {
    let mut w = World::new(&config(2));
    let waiting = w.thread(0);
    w.faults().cut(0, 1);
    w.serve(1, "late");
    run(&mut w, 3000 * MS);
    let begun = w.now();
    begin_waiting(&mut w, waiting, "late", 20_000 * MS);
    run(&mut w, 5000 * MS);
    w.faults().heal_all();
    let answer = must(w.await_reply(0, waiting));
    assert!(w.now() - begun <= 16_000 * MS);
    w.discard(0, answer).unwrap();
    drained(&mut w);
}

#[test]
fn a_wait_ends_in_time_or_with_a_check_in_on_the_same_node() {
    let mut w = World::new(&config(2));
    let a = w.thread(0);
    let begun = w.now();
    let waited = w.wait_for(0, a, "never", 5000 * MS);
    assert_eq!(dead(waited), Reason::NameUnknown);
    assert_eq!(w.now() - begun, 5000 * MS);
    begin_waiting(&mut w, a, "here", 20_000 * MS);
    run(&mut w, 2000 * MS);
    w.serve(0, "here");
    let answer = must(w.await_reply(0, a));
    w.discard(0, answer).unwrap();
    drained(&mut w);
}

/// The name goes with its port; who waits for the next one gets that one.
#[test]
fn a_name_ends_with_its_port_and_comes_again_with_the_next() {
    for loss in [0.0, 0.15] {
        let mut w = World::new(&Config {
            rules: bad_network(loss),
            ..config(3)
        });
        let port = w.serve(1, "service");
        let a = w.thread(0);
        let name = must(w.look_up(0, a, "service"));
        w.give_up(0, name).unwrap();
        let m = w.machine(1);
        let space = m.space();
        m.node()
            .ipc()
            .deallocate(space, port, RightKind::Receive)
            .unwrap();
        w.after(1).unwrap();
        assert!(!has(&mut w, 1, "service"));
        // Node 0 knows where it was; it is not handed a dead right for that.
        assert_eq!(dead(w.look_up(0, a, "service")), Reason::NameUnknown);
        begin_waiting(&mut w, a, "service", 20_000 * MS);
        run(&mut w, 2500 * MS);
        w.serve(2, "service");
        let answer = must(w.await_reply(0, a));
        assert_eq!(answer.rights().len(), 1);
        w.discard(0, answer).unwrap();
        drained(&mut w);
    }
}

/// No node in the middle: whoever dies, all names of the others are found.
#[test]
fn a_name_is_found_whoever_else_dies_and_where_it_moved_to() {
    let mut w = World::new(&config(4));
    w.serve(1, "kept");
    w.serve(2, "moves");
    let a = w.thread(0);
    for text in ["kept", "moves"] {
        let name = must(w.look_up(0, a, text));
        w.give_up(0, name).unwrap();
    }
    run(&mut w, 2000 * MS);
    w.kill(2);
    let name = must(w.look_up(0, a, "kept"));
    w.give_up(0, name).unwrap();
    // The route to it still leads to the dead node: it is found where it is now all the same.
    // Even when its node was asked already, in vain.
    w.serve(3, "moves");
    let begun = w.now();
    let name = must(w.look_up(0, a, "moves"));
    assert!(w.now() - begun < 20 * MS, "{:?}", w.now() - begun);
    w.give_up(0, name).unwrap();
}

#[test]
fn a_name_that_another_node_has_is_taken() {
    for seed in 0..100 {
        let loss = [0.0, 0.1][seed as usize % 2];
        let mut w = World::new(&Config {
            seed,
            rules: bad_network(loss),
            ..config(3)
        });
        // The first has it for long; whether its address is the lower one does not matter.
        w.serve(1, "one");
        run(&mut w, 1500 * MS);
        let b = w.thread(2);
        claim(&mut w, 2, b, "one").unwrap();
        assert!(has(&mut w, 2, "one"), "it counts until somebody objects");
        assert_eq!(claim(&mut w, 2, b, "one"), Err(CheckInError::Taken));
        assert_eq!(
            verdict(&mut w, 2, b).as_deref(),
            Some("node1"),
            "seed {seed}"
        );
        assert!(!has(&mut w, 2, "one") && has(&mut w, 1, "one"));
        let a = w.thread(0);
        let name = must(w.look_up(0, a, "one"));
        w.give_up(0, name).unwrap();
        drained(&mut w);
    }
}

#[test]
fn a_name_that_nobody_has_is_ones_own_after_a_second() {
    let mut w = World::new(&config(2));
    let a = w.thread(0);
    let begun = w.now();
    claim(&mut w, 0, a, "mine").unwrap();
    assert_eq!(verdict(&mut w, 0, a), None);
    assert_eq!(w.now() - begun, 1000 * MS);
    assert!(has(&mut w, 0, "mine"));
}

/// Two check the same name in at nearly the same time: the lower address keeps it, whatever is
/// lost, and never do both lose it.
#[test]
fn of_two_that_check_in_at_the_same_time_one_keeps_the_name() {
    for seed in 0..200 {
        let loss = [0.0, 0.1, 0.2][seed as usize % 3];
        let mut w = World::new(&Config {
            seed,
            rules: bad_network(loss),
            ..config(4)
        });
        let threads = [0, 1, 2].map(|machine| w.thread(machine));
        for (machine, thread) in threads.into_iter().enumerate() {
            claim(&mut w, machine, thread, "one").unwrap();
            run(&mut w, MS * (seed as u32 % 5));
        }
        // Who asks hears of those that are left, and asks them to say so again.
        let d = w.thread(3);
        for _ in 0..4 {
            run(&mut w, 11_000 * MS);
            let name = must(w.look_up(3, d, "one"));
            w.give_up(3, name).unwrap();
        }
        let holders: Vec<_> = (0..3)
            .filter(|machine| has(&mut w, *machine, "one"))
            .collect();
        assert_eq!(holders.len(), 1, "seed {seed}: {holders:?}");
        if loss == 0.0 {
            let address = |w: &mut World, machine| w.machine(machine).node().address();
            let lowest = (0..3).min_by_key(|machine| address(&mut w, *machine).0);
            assert_eq!(lowest, Some(holders[0]), "seed {seed}");
            for (machine, thread) in threads.into_iter().enumerate() {
                let own = format!("node{machine}");
                let verdict = verdict(&mut w, machine, thread);
                let lost = verdict.as_ref().is_some_and(|node| *node != own);
                assert_eq!(lost, machine != holders[0], "seed {seed}: {verdict:?}");
            }
        }
    }
}

/// Each side of a partition has its own; when it has healed, the first that asks makes them
/// settle it, and whoever loses is told.
#[test]
fn a_partition_that_heals_leaves_one_holder_who_is_known_to_the_other() {
    for seed in 0..50 {
        let mut w = World::new(&Config { seed, ..config(3) });
        let [a, b, c] = [0, 1, 2].map(|machine| w.thread(machine));
        w.faults().cut(0, 1);
        let (_, right) = port(&mut w, 0);
        let told = claim_telling(&mut w, 0, right, "both");
        claim(&mut w, 1, b, "both").unwrap();
        run(&mut w, 3000 * MS);
        assert!(has(&mut w, 0, "both") && has(&mut w, 1, "both"));
        assert_eq!(verdict(&mut w, 1, b), None);
        w.faults().heal_all();
        run(&mut w, 10_000 * MS);
        assert!(
            has(&mut w, 0, "both") && has(&mut w, 1, "both"),
            "nobody has asked"
        );
        let name = must(w.look_up(2, c, "both"));
        run(&mut w, 500 * MS);
        let lower = {
            let [zero, one] = [0, 1].map(|machine| w.machine(machine).node().address().0);
            usize::from(one < zero)
        };
        assert!(
            has(&mut w, lower, "both") && !has(&mut w, 1 - lower, "both"),
            "seed {seed}"
        );
        if lower == 1 {
            let message = w.receive(0, a, told).unwrap();
            assert_eq!((message.id(), message.data()), (NAME_TAKEN, &b"node1"[..]));
            w.discard(0, message).unwrap();
        }
        w.give_up(2, name).unwrap();
        let name = must(w.look_up(2, c, "both"));
        w.give_up(2, name).unwrap();
        drained(&mut w);
    }
}

/// Checks in, and gives the port at which the loss of the name is told.
fn claim_telling(w: &mut World, machine: usize, right: Name, text: &str) -> Name {
    let now = instant(w);
    let m = w.machine(machine);
    let space = m.space();
    let ipc = m.node().ipc();
    let news = ipc.allocate_port(space).unwrap();
    let lost = ipc.make_right(space, news, RightKind::SendOnce).unwrap();
    let interest = norma_net::Interest {
        lost: Some(lost),
        settled: None,
    };
    m.node()
        .check_in_telling(now, space, right, text, interest)
        .unwrap();
    w.after(machine).unwrap();
    news
}

/// Special ports of a node, found by its name.
#[test]
fn a_special_port_is_found_by_the_name_of_its_node() {
    for loss in [0.0, 0.15] {
        let mut w = World::new(&Config {
            rules: bad_network(loss),
            ..config(3)
        });
        let a = w.thread(0);
        let b = w.thread(1);
        let (served, right) = port(&mut w, 1);
        let m = w.machine(1);
        let space = m.space();
        let right = m.node().ipc().copy_send(space, right).unwrap();
        assert!(m.node().set_special_port(5, Some(right)).unwrap().is_none());
        assert_eq!(dead(special(&mut w, 0, a, "node1", 5)), Reason::NameUnknown);
        w.machine(1).node().make_known();
        run(&mut w, 600 * MS); // Not found, it counts as missing for half a second.
        let name = must(special(&mut w, 0, a, "node1", 5));
        let space = w.machine(0).space();
        let place = w.machine(0).node().location(space, name).unwrap();
        assert_eq!(place.name.as_str(), "node1");
        assert_eq!(place.address, w.machine(1).node().address());
        let message = w.message(0, b"?");
        must(w.send(0, a, name, message));
        let message = w.receive(1, b, served).unwrap();
        w.discard(1, message).unwrap();
        // Another slot is empty; that is no reason to look elsewhere.
        let begun = w.now();
        assert_eq!(dead(special(&mut w, 0, a, "node1", 6)), Reason::NameUnknown);
        assert!(loss > 0.0 || w.now() - begun < 10 * MS);
        // A name of a node cannot be checked in.
        w.serve(2, "node0");
        assert_eq!(dead(special(&mut w, 1, b, "node0", 5)), Reason::NameUnknown);
        // The slot is empty when its port has died.
        let m = w.machine(1);
        let space = m.space();
        m.node()
            .ipc()
            .deallocate(space, served, RightKind::Receive)
            .unwrap();
        w.after(1).unwrap();
        assert_eq!(dead(special(&mut w, 0, a, "node1", 5)), Reason::NameUnknown);
        w.give_up(0, name)
            .unwrap_or_else(|failure| panic!("{failure}"));
        drained(&mut w);
    }
}

fn special(
    w: &mut World,
    machine: usize,
    thread: ThreadId,
    node: &str,
    which: u32,
) -> Result<Name, CallError> {
    let now = instant(w);
    let asked = w
        .machine(machine)
        .node()
        .look_up_special_port(now, thread, node, which);
    assert!(asked.is_ok());
    w.after(machine)?;
    let mut message = w.await_reply(machine, thread)?;
    let right = message.take_right().expect("an answer has a right");
    w.discard(machine, message)?;
    let m = w.machine(machine);
    let space = m.space();
    Ok(m.node().ipc().insert(space, right).unwrap())
}

/// Whatever nodes check in and out, whoever is cut off, and whatever is lost: when all is quiet
/// each name that somebody wants is held by one node and found by all, and nothing is left over.
#[test]
fn storms_of_check_ins_end_with_one_holder_that_all_find() {
    const NODES: usize = 5;
    const NAMES: [&str; 3] = ["x", "y", "z"];
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let mut draw = |bound: usize| random.below(bound as u64) as usize;
        let mut w = World::new(&Config {
            seed,
            rules: bad_network([0.0, 0.05, 0.15][draw(3)]),
            ..config(NODES)
        });
        let mut ports = Vec::new();
        let mut waiting = Vec::new();
        for _ in 0..60 {
            let (machine, text) = (draw(NODES), NAMES[draw(3)]);
            match draw(8) {
                0..=2 => {
                    let (served, right) = port(&mut w, machine);
                    let now = instant(&w);
                    let m = w.machine(machine);
                    let space = m.space();
                    let _ = m.node().check_in(now, space, right, text);
                    ports.push((machine, served));
                }
                3 => drop(w.machine(machine).node().check_out(text)),
                4 if !ports.is_empty() => {
                    let (machine, served) = ports.swap_remove(draw(ports.len()));
                    let m = w.machine(machine);
                    let space = m.space();
                    let ipc = m.node().ipc();
                    ipc.deallocate(space, served, RightKind::Receive).unwrap();
                }
                5 => w.faults().cut(machine as u16, draw(NODES) as u16),
                6 => w.faults().heal_all(),
                _ => {
                    let thread = w.thread(machine);
                    let (now, node) = (instant(&w), w.machine(machine).node());
                    let until = now + MS * draw(20_000) as u32;
                    match node.look_up(now, thread, text, Some(until)).unwrap() {
                        LookUp::Asked => waiting.push((machine, thread)),
                        LookUp::Found(right) => node.ipc().release(right),
                    }
                }
            }
            w.after(machine).unwrap();
            run(&mut w, MS * draw(400) as u32);
        }
        w.faults().heal_all();
        run(&mut w, 12_000 * MS);
        for (machine, thread) in waiting {
            match w.await_reply(machine, thread) {
                Ok(answer) => w.discard(machine, answer).unwrap(),
                Err(CallError::Reason(Reason::NameUnknown)) => {}
                Err(other) => panic!("seed {seed}: {other:?}"),
            }
        }
        let seekers: Vec<_> = (0..NODES).map(|machine| w.thread(machine)).collect();
        // Whoever asks makes those who have a name say so; what was lost is said again.
        for round in 0..5 {
            for text in NAMES {
                let holders: Vec<_> = (0..NODES).filter(|m| has(&mut w, *m, text)).collect();
                for (machine, thread) in seekers.iter().enumerate() {
                    match w.look_up(machine, *thread, text) {
                        Ok(name) => w.give_up(machine, name).unwrap(),
                        Err(CallError::Reason(Reason::NameUnknown)) if holders.is_empty() => {}
                        Err(other) => panic!("seed {seed}: node {machine}, {text}: {other:?}"),
                    }
                }
                assert!(
                    round < 4 || holders.len() <= 1,
                    "seed {seed}: {text}: {holders:?}"
                );
            }
            run(&mut w, 11_000 * MS);
        }
        drained(&mut w);
    }
}
