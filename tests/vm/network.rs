//! Nodes that talk, on networks good and bad.
//!
//! The image `nettest` asks (`a`) and answers (`b`); what the network does meanwhile is decided
//! here. Seeds are fixed: a link's n-th frame meets the same fate in every run.

use crate::Test;
use crate::lab::{Lab, deadline, ends};
use anyhow::{Result, ensure};
use norma_faults::{Action, Rule};
use qemu_runner::link::LinkKind;
use qemu_runner::qemu::{Machine, Outcome};
use qemu_runner::run::{NodePlan, Plan, Run};

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
        Test::new(
            "network::a_hundred_senders_to_one_receiver",
            hundred_senders,
        ),
        Test::new("network::last_words", last_words),
        Test::new("network::right_to_a_third_node", third_node),
        Test::new("network::a_call_that_is_passed_on", passed_on),
        Test::new("network::strangers_ignore_each_other", strangers),
        Test::new("network::small_mtu", small_mtu),
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
