//! Runs drawn from seeds. `NORMA_SIM_SEED` chooses the first, `NORMA_SIM_RUNS` how many.

use std::panic::catch_unwind;

use norma_sim::{run, scenarios};

fn variable(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn whatever_the_seed_every_promise_holds() {
    let first = variable("NORMA_SIM_SEED", 1);
    let runs = variable("NORMA_SIM_RUNS", 30);
    let mut failures = Vec::new();
    for seed in first..first + runs {
        let config = scenarios::mixed(seed);
        match catch_unwind(|| run(&config)) {
            Ok(Ok(report)) => println!("{report}"),
            Ok(Err(failure)) => failures.push(format!("{failure}\n{config:?}")),
            Err(_) => failures.push(format!("seed {seed} panicked\n{config:?}")),
        }
    }
    if let Some(first) = failures.first() {
        panic!("{} of {runs} runs failed; the first:\n{first}", failures.len());
    }
}
