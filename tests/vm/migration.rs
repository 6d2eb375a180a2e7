//! Receive rights that go from node to node, with their queues, on networks good and bad.
//!
//! What the nodes do is in the image `nettest`: `moving`, `wandering`.

use crate::Test;
use crate::lab::{Lab, deadline};
use crate::network::{SEED, asks, bad_network, passes};
use anyhow::{Result, ensure};
use norma_faults::Rule;
use qemu_runner::run::{NodePlan, Plan};

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("network::migration_of_what_is_queued", |lab| {
            asks(lab, "moving", &[], vec![])
        }),
        Test::new("network::migration_of_what_is_queued::lossy", |lab| {
            asks(lab, "moving", &[], bad_network())
        }),
        Test::new("network::migration_under_load", |lab| {
            migration(lab, 50, vec![])
        }),
        Test::new("network::migration_under_load::lossy", |lab| {
            migration(lab, 20, bad_network())
        }),
    ]
}

/// A port moves between `a` and `b` again and again, while threads on these two and on a third
/// node send to it and call it.
fn migration(lab: &Lab, moves: u64, rules: Vec<Rule>) -> Result<()> {
    let node = |name: &str, words: &[&str]| -> Result<NodePlan> {
        let node = lab.node(name, "nettest")?.argument("test=wandering");
        Ok(words.iter().fold(node, |node, word| node.argument(word)))
    };
    let moves = format!("moves={moves}");
    let nodes = vec![
        node("a", &["first=0", "other=b", &moves])?,
        node("b", &["first=4", "other=a"])?,
        node("c", &["first=8"])?,
    ];
    lab.run(Plan::together(nodes).faults(SEED, rules), |run| {
        run.expect("a", "the gate is open", deadline())?;
        for name in ["b", "c"] {
            passes(run, name, "wandering")?;
        }
        ensure!(run.outcome("a").is_none(), "node a has ended");
        Ok(())
    })
}
