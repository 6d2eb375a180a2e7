//! Nodes on several networks, with routers between them.

use crate::Test;
use crate::lab::{Lab, deadline};
use crate::network::{SEED, client, passes, server};
use anyhow::{Result, ensure};
use norma_faults::{Action, Rule};
use qemu_runner::qemu::Machine;
use qemu_runner::run::{NodePlan, Plan};

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("network::two_networks_and_a_router", two_networks),
        Test::new("network::three_networks_in_a_row", three_networks),
        Test::new("network::three_networks_in_a_row::lossy", three_lossy),
        Test::new("network::a_router_dies_and_another_takes_over", router_dies),
    ]
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
