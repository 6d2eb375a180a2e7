//! Tasks in ring 3, tried by the image `tasks` and the programs under `user/programs`.

use crate::Test;
use crate::lab::{Lab, deadline, ends};
use anyhow::Result;
use qemu_runner::qemu::{Machine, Outcome};
use qemu_runner::run::{NodePlan, Plan};

/// What the image tries by itself.
const TRIES: [&str; 12] = [
    "preemption",
    "threads",
    "vectors",
    "ports",
    "typed",
    "memory",
    "handled",
    "faults",
    "death",
    "refused",
    "talk",
    "hostile",
];

pub fn tests() -> Vec<Test> {
    let mut tests = vec![
        Test::new("tasks::remote", remote),
        Test::new("tasks::frames", frames),
        Test::new("tasks::relayed", |lab| relayed(lab, "relayed-server")),
        Test::new("tasks::relayed_to_a_kernel", |lab| relayed(lab, "server")),
        Test::new("tasks::relayed_rights_and_deaths", relayed_rights),
        Test::new("tasks::an_old_processor", old_processor),
    ];
    for machine in [Machine::Microvm, Machine::Q35] {
        let name = format!("tasks::hello::{}", machine.word());
        tests.push(Test::new(name, move |lab| hello(lab, machine)));
    }
    for what in TRIES {
        tests.push(Test::new(format!("tasks::{what}"), move |lab| {
            passes(lab, node(lab, "ring", what)?.argument("network=off"), what)
        }));
    }
    tests
}

fn node(lab: &Lab, name: &str, test: &str) -> Result<NodePlan> {
    let node = lab.node(name, "tasks")?.module(lab.programs());
    Ok(node.argument(&format!("test={test}")))
}

fn passed(test: &str) -> String {
    format!("@result {{\"test\":\"{test}\",\"passed\":true}}")
}

fn passes(lab: &Lab, node: NodePlan, test: &str) -> Result<()> {
    lab.single(node, &passed(test), Outcome::Pass)
}

fn hello(lab: &Lab, machine: Machine) -> Result<()> {
    let node = node(lab, "ring", "hello")?.machine(machine);
    lab.run(Plan::new(vec![node.argument("network=off")]), |run| {
        let line = "task hello: hello from ring 3, with arguments";
        run.expect("ring", line, deadline())?;
        ends(run, "ring", Outcome::Pass)
    })
}

/// Without SMEP and SMAP programs run as well, and can do as little.
fn old_processor(lab: &Lab) -> Result<()> {
    let node = node(lab, "ring", "faults")?.cpu("max,-smep,-smap,-umip");
    passes(lab, node.argument("network=off"), "faults")
}

/// Programs on two nodes call each other as if they were on one, and one learns of the other's node
/// what a thread of the kernel can.
fn remote(lab: &Lab) -> Result<()> {
    let (server, client) = (node(lab, "a", "asked")?, node(lab, "b", "asking")?);
    lab.run(Plan::pair(server, client), |run| {
        run.expect("b", "task trial: all answers came", deadline())?;
        run.expect("b", &passed("asking"), deadline())?;
        run.expect("a", &passed("asked"), deadline())?;
        ends(run, "b", Outcome::Pass)?;
        ends(run, "a", Outcome::Pass)
    })
}

/// Programs on two nodes drive their network cards, of which the kernels know nothing else; one
/// of them after another program that wrote nonsense wherever the kernel reads.
fn frames(lab: &Lab) -> Result<()> {
    let without =
        |name, test| Ok::<_, anyhow::Error>(node(lab, name, test)?.argument("network=off"));
    let (echo, call) = (without("a", "frames-echo")?, without("b", "frames-call")?);
    lab.run(Plan::pair(echo, call), |run| {
        run.expect("b", "task trial: the kernel has seen worse", deadline())?;
        run.expect("b", "task trial: all frames came back", deadline())?;
        run.expect("b", &passed("frames-call"), deadline())?;
        run.expect("a", &passed("frames-echo"), deadline())?;
        ends(run, "b", Outcome::Pass)?;
        ends(run, "a", Outcome::Pass)
    })
}

/// Programs call each other across machines although their kernels know no network: a server in a
/// task of each carries their messages. A kernel that does it itself speaks the same protocol.
fn relayed(lab: &Lab, server: &str) -> Result<()> {
    let off = |plan: NodePlan, test: &str| match test {
        "server" => plan,
        _ => plan.argument("network=off"),
    };
    let echo = off(node(lab, "a", server)?, server);
    let call = off(node(lab, "b", "relayed-client")?, "relayed-client");
    let server = passed(server);
    lab.run(Plan::pair(echo, call), move |run| {
        run.expect("b", "task trial: all answers came", deadline())?;
        run.expect("b", &passed("relayed-client"), deadline())?;
        run.expect("a", &server, deadline())?;
        ends(run, "b", Outcome::Pass)?;
        ends(run, "a", Outcome::Pass)
    })
}

/// Rights of every kind, notifications, large data and the ends of programs, of a server and so
/// of a node: through servers on two nodes, with a third whose kernel carries messages itself.
fn relayed_rights(lab: &Lab) -> Result<()> {
    let keeper = node(lab, "a", "relayed-keeper")?.argument("network=off");
    let visitor = node(lab, "b", "relayed-visitor")?.argument("network=off");
    let third = node(lab, "c", "server")?;
    lab.run(Plan::together(vec![keeper, visitor, third]), |run| {
        let lines = [
            "task trial: what a program sent before it ended has arrived",
            "task trial: the call under way: Some(Unanswered)",
            "task trial: with another server all goes on",
            "task trial: all was kept",
        ];
        for line in lines {
            run.expect("b", line, deadline())?;
        }
        run.expect("b", &passed("relayed-visitor"), deadline())?;
        run.expect("a", &passed("relayed-keeper"), deadline())?;
        run.expect("c", &passed("server"), deadline())?;
        ends(run, "b", Outcome::Pass)?;
        ends(run, "a", Outcome::Pass)?;
        ends(run, "c", Outcome::Pass)
    })
}
