//! Everything that can be done with ports and rights, on every node, in random order, on bad
//! networks; and that the oracle which watches it sees what it must see.
//!
//! `NORMA_SIM_SEED` chooses the first seed, `NORMA_SIM_RUNS` how many.

use norma_sim::{run, scenarios};

fn variable(name: &str, otherwise: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Runs seeds; panics with the first history and the command that repeats it.
fn runs(first: u64, count: u64, nodes: core::ops::RangeInclusive<usize>) {
    for seed in first..first + count {
        let (least, most) = (nodes.start(), nodes.end());
        match run(&scenarios::wild(seed, &nodes)) {
            Ok(report) => println!("{report}"),
            Err(failure) => panic!(
                "seed {seed}: {failure}\nto see it again: cargo norma sim --work wild --seed {seed} --runs 1 --nodes {least}-{most}"
            ),
        }
    }
}

#[test]
fn whatever_is_done_every_promise_holds() {
    let first = variable("NORMA_SIM_SEED", 1);
    runs(first, variable("NORMA_SIM_RUNS", 100), 3..=12);
}

/// The wider wild, of which ten thousand seeds were not tried yet: `docs/simulation.md`.
#[test]
fn whatever_else_is_done_these_seeds_hold() {
    for seed in 1..=30 {
        match run(&scenarios::wider(seed, &(3..=12))) {
            Ok(report) => println!("{report}"),
            Err(failure) => panic!(
                "seed {seed}: {failure}\nto see it again: cargo norma sim --work wider --seed {seed} --runs 1"
            ),
        }
    }
}

/// Seeds of the full run that have found something, and of the wider wild.
#[test]
fn seeds_that_failed_once_hold() {
    if let Err(failure) = run(&scenarios::wider(95165, &(3..=8))) {
        panic!(
            "seed 95165: {failure}\nto see it again: cargo norma sim --work wider --seed 95165 --runs 1 --nodes 3-8"
        );
    }
    for seed in [6476, 6500, 6953] {
        if let Err(failure) = run(&scenarios::drawn(seed, &(3..=12))) {
            panic!(
                "seed {seed}: {failure}\nto see it again: cargo norma sim --seed {seed} --runs 1"
            );
        }
    }
}

#[test]
fn a_hundred_nodes_keep_every_promise() {
    runs(variable("NORMA_SIM_SEED", 1), 1, 100..=100);
}
