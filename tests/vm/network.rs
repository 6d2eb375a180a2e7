//! Nodes that talk, on networks good and bad.
//!
//! The image `nettest` asks (`a`) and answers (`b`); what the network does meanwhile is decided
//! here. Seeds are fixed: a link's n-th frame meets the same fate in every run.

use crate::Test;
use crate::lab::{Lab, deadline, ends};
use anyhow::{Context as _, Result, ensure};
use norma_faults::{Action, Random, Rule};
use norma_wire::layout;
use pcap_file::pcapng::{Block, PcapNgReader};
use qemu_runner::link::{Capture, LinkKind};
use qemu_runner::qemu::{Machine, Outcome};
use qemu_runner::run::{NodePlan, Plan, Run};
use std::fs::File;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

pub const SEED: u64 = 20_240_229;

pub fn tests() -> Vec<Test> {
    let mut tests = vec![
        Test::new("network::unknown_name", |lab| {
            asks(lab, "lookup", &[], vec![])
        }),
        Test::new("network::larger_than_any_frame", |lab| {
            asks(lab, "large", &[], vec![])
        }),
        Test::new("network::larger_than_any_frame::lossy", large_lossy),
        Test::new("network::typed_messages", |lab| {
            asks(lab, "typed", &[], vec![])
        }),
        Test::new("network::a_node_tells_of_itself", |lab| {
            asks(lab, "remote", &[], vec![])
        }),
        Test::new("network::a_node_tells_of_itself::lossy", |lab| {
            asks(lab, "remote", &[], bad_network())
        }),
        Test::new("network::threads_on_another_node", spawned),
        Test::new("network::typed_messages::lossy", |lab| {
            asks(lab, "typed", &[], bad_network())
        }),
        Test::new("network::confirmed", |lab| {
            asks(lab, "confirmed", &[], vec![])
        }),
        Test::new("network::confirmed::lossy", |lab| {
            asks(lab, "confirmed", &[], bad_network())
        }),
        Test::new("network::loss_and_disorder", loss),
        Test::new("network::corruption", corruption),
        Test::new("network::cut_and_healed", cut_and_healed),
        Test::new("network::death_in_the_middle", death),
        Test::new("network::frozen_is_not_dead", frozen),
        Test::new("network::born_again", born_again),
        Test::new("network::killed_in_the_middle_of_64_mib", killed),
        Test::new("network::cut_for_good_and_healed", cut_for_good),
        Test::new(
            "network::a_hundred_senders_to_one_receiver",
            hundred_senders,
        ),
        Test::new("network::last_words", last_words),
        Test::new("network::right_to_a_third_node", third_node),
        Test::new("network::a_call_that_is_passed_on", passed_on),
        Test::new("network::strangers_ignore_each_other", strangers),
        Test::new("network::random_frames", random_frames),
        Test::new("network::forged_frames", forged_frames),
        Test::new("network::small_mtu", small_mtu),
        Test::new("network::two_networks_and_a_router", two_networks),
        Test::new("network::three_networks_in_a_row", three_networks),
        Test::new("network::three_networks_in_a_row::lossy", three_lossy),
        Test::new("network::a_router_dies_and_another_takes_over", router_dies),
        Test::new("network::little_memory", little_memory),
    ];
    let links = [LinkKind::Dgram, LinkKind::Stream];
    let machines = [
        (Machine::Microvm, Machine::Microvm),
        (Machine::Q35, Machine::Q35),
        (Machine::Microvm, Machine::Q35),
    ];
    for link in links {
        for (one, other) in machines {
            let name = format!(
                "network::calls::{}::{}_{}",
                link.word(),
                one.word(),
                other.word()
            );
            tests.push(Test::new(name, move |lab| calls(lab, link, one, other)));
        }
    }
    tests
}

/// The node that answers.
pub fn server(lab: &Lab) -> Result<NodePlan> {
    Ok(lab.node("b", "nettest")?.argument("test=serve"))
}

/// The node that asks.
pub fn client(lab: &Lab, test: &str, more: &[&str]) -> Result<NodePlan> {
    let node = lab.node("a", "nettest")?.argument(&format!("test={test}"));
    Ok(more.iter().fold(node, |node, word| node.argument(word)))
}

/// Waits for the good end of the node that asks.
pub fn passes(run: &mut Run, name: &str, test: &str) -> Result<()> {
    run.expect(
        name,
        &format!("@result {{\"test\":\"{test}\",\"passed\":true}}"),
        deadline(),
    )?;
    ends(run, name, Outcome::Pass)
}

/// A client and a server on a network with faults.
pub fn asks(lab: &Lab, test: &str, more: &[&str], rules: Vec<Rule>) -> Result<()> {
    let plan = Plan::pair(server(lab)?, client(lab, test, more)?).faults(SEED, rules);
    lab.run(plan, |run| {
        passes(run, "a", test)?;
        ensure!(run.outcome("b").is_none(), "node b has ended");
        Ok(())
    })
}

fn calls(lab: &Lab, link: LinkKind, one: Machine, other: Machine) -> Result<()> {
    let (b, a) = (
        server(lab)?.machine(one),
        client(lab, "calls", &[])?.machine(other),
    );
    lab.run(Plan::pair(b, a).link(link), |run| passes(run, "a", "calls"))
}

/// Frames lost, out of order and doubled.
pub fn bad_network() -> Vec<Rule> {
    let jitter = |action, probability| Rule {
        jitter_ms: Some(3.0),
        ..Rule::new(action).with_probability(probability)
    };
    vec![
        Rule::new(Action::Drop).with_probability(0.2),
        jitter(Action::Reorder, 0.2),
        jitter(Action::Duplicate, 0.1),
    ]
}

/// Every one of 2,000 calls is carried out exactly once.
fn loss(lab: &Lab) -> Result<()> {
    asks(lab, "calls", &["n=2000"], bad_network())
}

/// Threads that one node begins on another, which dies in the end.
fn spawned(lab: &Lab) -> Result<()> {
    let plan = Plan::pair(server(lab)?, client(lab, "spawn", &[])?);
    lab.run(plan, |run| {
        run.expect("a", "ready for the death of b", deadline())?;
        run.expect("b", "a worker was left alone", deadline())?;
        run.kill("b");
        ends(run, "b", Outcome::Signal(9))?;
        passes(run, "a", "spawn")
    })
}

fn large_lossy(lab: &Lab) -> Result<()> {
    let rules = vec![
        Rule::new(Action::Drop).with_probability(0.05),
        Rule {
            jitter_ms: Some(1.0),
            ..Rule::new(Action::Reorder).with_probability(0.1)
        },
    ];
    asks(lab, "large", &[], rules)
}

/// A fifth of the first frames arrive changed; nobody falls, and afterwards all is right.
fn corruption(lab: &Lab) -> Result<()> {
    let rule = Rule {
        until_frames: Some(1000),
        ..Rule::new(Action::Corrupt).with_probability(0.2)
    };
    asks(lab, "noise", &[], vec![rule])
}

/// A link that is down for less than the time after which a node counts as dead.
fn cut_and_healed(lab: &Lab) -> Result<()> {
    let plan = Plan::pair(server(lab)?, client(lab, "calls", &["n=5000"])?).switched();
    lab.run(plan, |run| {
        run.expect("a", "a tenth is done", deadline())?;
        run.switch(0).context("no switch")?.faults().cut(0, 1);
        // Long enough for retransmissions to be lost too. This is the fault, not a wait for
        // something to have happened.
        let healed = Instant::now() + Duration::from_millis(300);
        while run.next(healed).is_ok() {}
        ensure!(
            run.outcome("a").is_none(),
            "the calls went on without a network"
        );
        run.switch(0).context("no switch")?.faults().heal(0, 1);
        passes(run, "a", "calls")
    })
}

/// A node is killed while it has a call: its caller is told who died, after about a second.
fn death(lab: &Lab) -> Result<()> {
    lab.run(
        Plan::pair(server(lab)?, client(lab, "death", &[])?),
        |run| {
            run.expect("b", "kept a call", deadline())?;
            let killed = Instant::now();
            run.kill("b");
            run.expect("a", "@death ", deadline())?;
            let took = killed.elapsed();
            ensure!(
                took < Duration::from_secs(4),
                "the death was noticed only after {took:?}"
            );
            ends(run, "b", Outcome::Signal(9))?;
            passes(run, "a", "death")
        },
    )
}

/// A node dies and is started again on its port: nobody takes it for the old one.
fn born_again(lab: &Lab) -> Result<()> {
    let plan = Plan::pair(server(lab)?, client(lab, "reborn", &[])?).switched();
    lab.run(plan, |run| {
        run.expect("a", "ready for its death", deadline())?;
        run.kill("b");
        ends(run, "b", Outcome::Signal(9))?;
        run.restart("b")?;
        passes(run, "a", "reborn")
    })
}

/// Nodes are killed in the middle of a transfer of 64 MiB to or from them, a hundred times in a
/// row. The node at the other end has memory for the transfers that there are at one time.
fn killed(lab: &Lab) -> Result<()> {
    const VICTIMS: usize = 4;
    const ROUNDS: usize = 25;
    let victim = |number: usize| -> Result<NodePlan> {
        let node = lab.node(&format!("v{number}"), "nettest")?;
        Ok(node.argument("test=victim").memory(192))
    };
    let mut nodes = (1..=VICTIMS).map(victim).collect::<Result<Vec<_>>>()?;
    let (victims, rounds) = (format!("victims={VICTIMS}"), format!("rounds={ROUNDS}"));
    nodes.push(client(lab, "killed", &[&victims, &rounds])?.memory(320));
    lab.run(Plan::together(nodes).switched(), |run| {
        let mut random = Random::new(SEED);
        for _ in 0..VICTIMS * ROUNDS {
            let line = run.wait_line("a", |line| line.contains(" round "), deadline())?;
            let victim = line.split(' ').next().unwrap_or_default().to_owned();
            // The large message alone takes a thousand frames.
            pass_frames(run, random.below(1000))?;
            run.kill(&victim);
            ends(run, &victim, Outcome::Signal(9))?;
            run.restart(&victim)?;
        }
        passes(run, "a", "killed")
    })
}

/// Waits until the switch has passed so many frames on.
pub fn pass_frames(run: &mut Run, count: u64) -> Result<()> {
    let frames = |run: &Run| run.switch(0).map_or(0, |switch| switch.stats().forwarded);
    let until = frames(run) + count;
    let patience = deadline();
    while frames(run) < until {
        ensure!(Instant::now() < patience, "nothing is sent");
        let _ = run.next(Instant::now() + Duration::from_millis(1));
    }
    Ok(())
}

/// A link that is down for longer than the time after which a node counts as dead: the two ends
/// give each other up, a third node keeps both, and when it is healed all is to be had again.
fn cut_for_good(lab: &Lab) -> Result<()> {
    let c = lab.node("c", "nettest")?.argument("test=steady");
    let nodes = vec![server(lab)?, client(lab, "cut-off", &[])?, c];
    lab.run(Plan::together(nodes).switched(), |run| {
        run.expect("c", "@steady", deadline())?;
        run.expect("a", "ready to be cut off", deadline())?;
        run.switch(0).context("no switch")?.faults().cut(0, 1);
        run.expect("a", "cut off", deadline())?;
        run.switch(0).context("no switch")?.faults().heal(0, 1);
        passes(run, "a", "cut-off")?;
        // One of these was waited for above: so one more comes than there are.
        for _ in run.log("c").iter().filter(|line| *line == "@steady") {
            run.expect("c", "@steady", deadline())?;
        }
        Ok(())
    })
}

/// A hundred threads on four nodes send to one port of a node with little memory: all arrives,
/// of each in order.
fn hundred_senders(lab: &Lab) -> Result<()> {
    let receiver = lab.node("b", "nettest")?.argument("test=tally").memory(16);
    let mut nodes = vec![receiver];
    for (name, first) in [("s1", 0), ("s2", 25), ("s3", 50), ("s4", 75)] {
        let node = lab.node(name, "nettest")?.argument("test=send");
        nodes.push(node.argument(&format!("first={first}")));
    }
    lab.run(Plan::together(nodes), |run| {
        for name in ["s1", "s2", "s3", "s4"] {
            passes(run, name, "send")?;
        }
        passes(run, "b", "tally")
    })
}

/// A node ends with an answer of 1 MiB, of which a fifth of the frames are lost: the machine does
/// not stop before all of it has arrived.
fn last_words(lab: &Lab) -> Result<()> {
    let b = lab.node("b", "nettest")?.argument("test=last");
    let rules = vec![Rule::new(Action::Drop).with_probability(0.2)];
    let plan = Plan::pair(b, client(lab, "listen", &[])?).faults(SEED, rules);
    lab.run(plan, |run| {
        passes(run, "a", "listen")?;
        passes(run, "b", "last")
    })
}

/// Node `b` passes a right to a port of `c` on to `a`, which then talks to `c` directly: when `b`
/// dies, nothing changes for the two.
fn third_node(lab: &Lab) -> Result<()> {
    let c = lab.node("c", "nettest")?.argument("test=serve");
    let b = lab
        .node("b", "nettest")?
        .argument("test=serve")
        .argument("broker=yes");
    let a = client(lab, "third", &[])?;
    lab.run(Plan::together(vec![c, b, a]), |run| {
        run.expect("a", "ready for the death of b", deadline())?;
        run.kill("b");
        passes(run, "a", "third")
    })
}

/// Node `b` passes a call on to `c`, and stands still before `c` answers: the answer comes to `a`
/// all the same, for it does not pass through `b`.
fn passed_on(lab: &Lab) -> Result<()> {
    let serve = |name| -> Result<_> { Ok(lab.node(name, "nettest")?.argument("test=serve")) };
    let c = serve("c")?.argument("hold=yes");
    let b = serve("b")?.argument("front=hold");
    let a = client(lab, "passed-on", &[])?;
    lab.run(Plan::together(vec![c, b, a]), |run| {
        run.expect("c", "holds a call", deadline())?;
        run.pause("b");
        run.expect("a", "answered", deadline())?;
        run.resume("b");
        passes(run, "a", "passed-on")
    })
}

/// A node that does not run for a moment, on a busy host say, is not taken for dead.
fn frozen(lab: &Lab) -> Result<()> {
    lab.run(
        Plan::pair(server(lab)?, client(lab, "calls", &["n=5000"])?),
        |run| {
            run.expect("a", "a tenth is done", deadline())?;
            run.pause("b");
            rest(run, Duration::from_millis(300));
            run.resume("b");
            run.expect("a", "half is done", deadline())?;
            // As long as death takes, and longer: but who is to notice it stands still too.
            run.pause("a");
            run.pause("b");
            rest(run, Duration::from_secs(3));
            run.resume("a");
            run.resume("b");
            passes(run, "a", "calls")
        },
    )
}

/// Lets time go by: nothing is expected, and it is what is tested.
fn rest(run: &mut Run, time: Duration) {
    let end = Instant::now() + time;
    while run.next(end).is_ok() {}
}

/// A node that joins networks and does nothing else.
fn router(lab: &Lab, name: &str) -> Result<NodePlan> {
    Ok(lab.node(name, "nettest")?.argument("test=rest"))
}

/// A client and a server that only a router joins, on both machines; what the client sends is
/// larger than any frame of the second network.
fn two_networks(lab: &Lab) -> Result<()> {
    for (machine, test) in [(Machine::Microvm, "large"), (Machine::Q35, "calls")] {
        let nodes = vec![
            client(lab, test, &[])?,
            router(lab, "r")?.machine(machine),
            server(lab)?,
        ];
        let plan = Plan::new(nodes)
            .network("left", vec![0, 1])
            .network("right", vec![1, 2])
            .network_mtu(9000);
        lab.run(plan, |run| passes(run, "a", test))?;
    }
    Ok(())
}

/// Three networks in a row, the one in the middle with small frames.
fn row(lab: &Lab, test: &str, more: &[&str], rules: Vec<Rule>) -> Result<()> {
    let nodes = vec![
        client(lab, test, more)?,
        router(lab, "r1")?,
        router(lab, "r2")?,
        server(lab)?,
    ];
    let plan = Plan::new(nodes)
        .network("left", vec![0, 1])
        .network("middle", vec![1, 2])
        .network_mtu(1500)
        .network("right", vec![2, 3])
        .faults(SEED, rules);
    lab.run(plan, |run| {
        passes(run, "a", test)?;
        for name in ["r1", "r2", "b"] {
            ensure!(run.outcome(name).is_none(), "node {name} has ended");
        }
        Ok(())
    })
}

fn three_networks(lab: &Lab) -> Result<()> {
    row(lab, "calls", &["n=1000"], vec![])?;
    row(lab, "large", &[], vec![])
}

fn three_lossy(lab: &Lab) -> Result<()> {
    let rules = vec![
        Rule::new(Action::Drop).with_probability(0.03),
        Rule {
            jitter_ms: Some(1.0),
            ..Rule::new(Action::Reorder).with_probability(0.1)
        },
    ];
    row(lab, "large", &[], rules)
}

/// Two routers lead to the other network. The one in use loses its power, and the calls go on
/// over the other before anybody is taken for dead: whichever it is, for each dies once.
fn router_dies(lab: &Lab) -> Result<()> {
    let nodes = vec![
        client(lab, "calls", &["n=10000"])?,
        router(lab, "r1")?,
        router(lab, "r2")?,
        server(lab)?,
    ];
    let plan = Plan::new(nodes)
        .network("left", vec![0, 1, 2])
        .network("right", vec![1, 2, 3]);
    lab.run(plan, |run| {
        run.expect("r1", "resting", deadline())?;
        run.expect("a", "a tenth is done", deadline())?;
        run.kill("r1");
        run.wait_exit("r1", deadline())?;
        // Now the second is in use, if it was not before; the first comes back for it.
        run.restart("r1")?;
        run.expect("r1", "resting", deadline())?;
        ensure!(run.outcome("a").is_none(), "the calls were over too soon");
        run.kill("r2");
        passes(run, "a", "calls")
    })
}

/// Two clusters on one network: the same names, and nobody hears the other.
fn strangers(lab: &Lab) -> Result<()> {
    let node = |name: &str, cluster: &str, words: &[&str]| -> Result<NodePlan> {
        let node = lab.node(name, "nettest")?.cluster(cluster);
        Ok(words.iter().fold(node, |node, word| node.argument(word)))
    };
    let nodes = vec![
        node("b1", "one", &["test=serve"])?,
        node("b2", "two", &["test=serve"])?,
        node("a1", "one", &["test=who", "peer=b1"])?,
        node("a2", "two", &["test=who", "peer=b2"])?,
    ];
    lab.run(Plan::together(nodes), |run| {
        passes(run, "a1", "who")?;
        passes(run, "a2", "who")
    })
}

/// Random frames at nodes that talk: short, long, with every type and field wrong.
fn random_frames(lab: &Lab) -> Result<()> {
    let plan = Plan::pair(server(lab)?, client(lab, "calls", &["n=3000"])?).switched();
    let host = plan.host_station();
    lab.run(plan, |run| {
        run.expect("a", "a tenth is done", deadline())?;
        let end = run.switch(0).context("no switch")?.node_end(host)?;
        let socket = UnixDatagram::from(end);
        let mut random = Random::new(SEED);
        for _ in 0..20_000 {
            socket.send(&random_frame(&mut random))?;
        }
        passes(run, "a", "calls")?;
        ensure!(run.outcome("b").is_none(), "node b has ended");
        Ok(())
    })
}

/// Frames that were really sent, forged: they are believed (W-64 is no seal), so what comes of the
/// calls is anybody's guess. But no node breaks, and whoever starts anew is served.
fn forged_frames(lab: &Lab) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("frames.pcapng");
    let capture = Capture::create(&file)?;
    let other = lab
        .node("c", "nettest")?
        .argument("test=who")
        .argument("peer=b");
    let nodes = vec![server(lab)?, client(lab, "calls", &["n=3000"])?, other];
    let plan = Plan::together(nodes).switched();
    let host = plan.host_station();
    lab.captured(plan, Some(&capture), |run| {
        passes(run, "c", "who")?;
        run.expect("a", "a tenth is done", deadline())?;
        let end = run.switch(0).context("no switch")?.node_end(host)?;
        let socket = UnixDatagram::from(end);
        let mut random = Random::new(SEED);
        capture.finish()?;
        let sent = frames(&file)?;
        for _ in 0..5_000 {
            let which = random.below(sent.len() as u64) as usize;
            socket.send(&forged(&mut random, &sent[which]))?;
        }
        ensure!(run.outcome("b").is_none(), "node b has ended");
        if run.outcome("a").is_none() {
            run.kill("a");
        }
        let ended = run.wait_exit("a", deadline())?;
        let alive = matches!(ended, Outcome::Signal(9) | Outcome::Pass | Outcome::Fail);
        ensure!(alive, "node a {ended}");
        run.restart("c")?;
        passes(run, "c", "who")
    })
}

/// The frames of sessions in a capture.
fn frames(file: &Path) -> Result<Vec<Vec<u8>>> {
    let mut reader = PcapNgReader::new(File::open(file)?)?;
    let mut frames = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(packet) = block?
            && packet.data.len() >= layout::BODY_AT
        {
            frames.push(packet.data.into_owned());
        }
    }
    ensure!(!frames.is_empty(), "no session was captured");
    Ok(frames)
}

/// A frame with a few bytes of its session changed, and its check written anew. It comes from the
/// host, so that the switch sends the nodes' own where they belong.
fn forged(random: &mut Random, frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[6..12].copy_from_slice(&[0x52, 0x54, 0, 0xee, 0, 1]);
    for _ in 0..1 + random.below(3) {
        let end = frame.len().min(layout::BODY_AT + 64);
        let at = layout::SESSION_AT + random.below((end - layout::SESSION_AT) as u64) as usize;
        frame[at] = random.next_u64() as u8;
    }
    norma_net::seal(&mut frame);
    frame
}

/// A frame that is wrong in one of many ways: the more of it is right, the further it gets.
fn random_frame(random: &mut Random) -> Vec<u8> {
    let length = match random.below(4) {
        0 => random.below(64),
        1 => random.below(300),
        2 => random.below(2000),
        _ => random.below(65_549),
    };
    let mut frame: Vec<u8> = (0..length).map(|_| random.next_u64() as u8).collect();
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(room) = frame.get_mut(at..at + bytes.len()) {
            room.copy_from_slice(bytes);
        }
    };
    // To node a, to node b, or to all.
    let last = random.below(3) as u8;
    put(
        0,
        &if last == 2 {
            [0xff; 6]
        } else {
            [0x52, 0x54, 0, 0, 0, last + 1]
        },
    );
    put(6, &[0x52, 0x54, 0, 0xee, 0, 1]);
    if random.chance(0.9) {
        put(12, &[0x81, 0x46]);
    }
    if random.chance(0.8) {
        // FLIP: version 1, one of its types.
        put(14, &[1, 1 + random.below(6) as u8, 0, 0]);
    }
    if random.chance(0.5) {
        // A length that fits the frame, at the start of a datagram of the same length.
        let payload = (length.saturating_sub(54) as u32).to_le_bytes();
        put(42, &payload);
        put(46, &[0; 4]);
        put(50, &payload);
    }
    if random.chance(0.5) {
        // A session header: version 1, one of its kinds.
        put(54, &[1, 1 + random.below(8) as u8]);
    }
    frame
}

/// An MTU that no frame of ours fits is refused, with the option that mends it.
fn small_mtu(lab: &Lab) -> Result<()> {
    let plan = Plan::pair(
        lab.node("a", "nettest")?.argument("test=ready").mtu(100),
        server(lab)?,
    );
    lab.run(plan, |run| {
        let line = run.expect("a", "norma: refused to start: ", deadline())?;
        ensure!(line.contains("host_mtu"), "the option is not named: {line}");
        ends(run, "a", Outcome::Refused)
    })
}

/// With 16 MiB a node boots and serves.
fn little_memory(lab: &Lab) -> Result<()> {
    lab.run(
        Plan::pair(
            server(lab)?.memory(16),
            client(lab, "calls", &[])?.memory(16),
        ),
        |run| passes(run, "a", "calls"),
    )
}
