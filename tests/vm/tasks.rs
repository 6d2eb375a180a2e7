//! Tasks in ring 3, tried by the image `tasks` and the programs under `user/programs`.

use crate::Test;
use crate::lab::{Lab, deadline, ends};
use anyhow::Result;
use qemu_runner::qemu::{Machine, Outcome};
use qemu_runner::run::{NodePlan, Plan};

/// What the image tries by itself.
const TRIES: [&str; 11] = [
    "preemption",
    "threads",
    "vectors",
    "ports",
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

/// Programs on two nodes call each other as if they were on one.
fn remote(lab: &Lab) -> Result<()> {
    let (server, client) = (node(lab, "a", "server")?, node(lab, "b", "client")?);
    lab.run(Plan::pair(server, client), |run| {
        run.expect("b", "task trial: all answers came", deadline())?;
        run.expect("b", &passed("client"), deadline())?;
        run.expect("a", &passed("server"), deadline())?;
        ends(run, "b", Outcome::Pass)?;
        ends(run, "a", Outcome::Pass)
    })
}
