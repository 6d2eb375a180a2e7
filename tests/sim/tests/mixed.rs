//! Runs drawn from seeds. `NORMA_SIM_SEED` chooses the first, `NORMA_SIM_RUNS` how many.

use std::panic::catch_unwind;

use norma_sim::{run, scenarios};

fn variable(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

#[test]
fn whatever_the_seed_every_promise_holds() {
    let first = variable("NORMA_SIM_SEED", 1);
    let runs = variable("NORMA_SIM_RUNS", 30);
    let mut failures = Vec::new();
    for seed in first..first + runs {
        let config = scenarios::mixed(seed, &(2..=4));
        match catch_unwind(|| run(&config)) {
            Ok(Ok(report)) => println!("{report}"),
            Ok(Err(failure)) => failures.push(format!("seed {seed}: {failure}\n{config:?}")),
            Err(_) => failures.push(format!("seed {seed} panicked\n{config:?}")),
        }
    }
    if let Some(first) = failures.first() {
        let heads = failures
            .iter()
            .map(|f| f.lines().next().unwrap_or_default());
        let heads: Vec<&str> = heads.collect();
        let count = heads.len();
        panic!(
            "{count} of {runs} runs failed:\n{}\nthe first:\n{first}",
            heads.join("\n")
        );
    }
}
