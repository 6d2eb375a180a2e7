//! Receive rights that go from node to node, with their queues, on networks good and bad, and to
//! nodes that die.
//!
//! What the nodes do is in the image `nettest`: `moving`, `wandering`, `mortal`.

use crate::Test;
use crate::deaths::pass_frames;
use crate::lab::{Lab, deadline, ends};
use crate::network::{SEED, asks, bad_network, client, passes};
use anyhow::{Result, ensure};
use norma_faults::{Random, Rule};
use qemu_runner::qemu::Outcome;
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
        Test::new("network::migration_to_a_node_that_dies", migration_to_death),
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

/// A port moves to a node, and perhaps back, and the node is killed: before, while or after it
/// has the port.
fn migration_to_death(lab: &Lab) -> Result<()> {
    const ROUNDS: usize = 12;
    let rounds = format!("rounds={ROUNDS}");
    let b = lab.node("b", "nettest")?.argument("test=mortal");
    let a = client(lab, "survivor", &["first=0", &rounds])?;
    let c = lab.node("c", "nettest")?.argument("test=crowd");
    let nodes = vec![b, a, c.argument("first=3")];
    lab.run(Plan::together(nodes).switched(), |run| {
        let mut random = Random::new(SEED);
        for _ in 0..ROUNDS {
            run.expect("a", "round ", deadline())?;
            // A move with all that belongs to it takes some tens of frames.
            pass_frames(run, random.below(100))?;
            run.kill("b");
            ends(run, "b", Outcome::Signal(9))?;
            run.restart("b")?;
        }
        passes(run, "a", "survivor")?;
        ensure!(run.outcome("c").is_none(), "node c has ended");
        Ok(())
    })
}
