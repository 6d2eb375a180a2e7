//! `cargo norma sim`: many nodes and a bad network in one process, repeatably.
//!
//! Owns the seeds and the closing line. What is simulated and what must hold after every step is
//! in the crate `norma-sim`. A seed that failed is printed: it fails again the same way.

use super::tally::Tally;
use super::{data, random_seed};
use crate::context::Context;
use crate::signals;
use crate::status::Status;

/// Arguments of `cargo norma sim`.
#[derive(Clone, Debug, clap::Args)]
pub struct SimArgs {
    /// The seed of the first run; a random one is taken unless given
    #[arg(long)]
    pub seed: Option<u64>,
    /// How many runs, each with the next seed
    #[arg(long, default_value_t = 20)]
    pub runs: u64,
}

/// Runs the simulations, prints a line for each and a closing line.
///
/// # Errors
/// None; the signature is that of every command.
pub fn run(context: &Context, args: &SimArgs) -> anyhow::Result<Status> {
    let first = args.seed.unwrap_or_else(random_seed);
    let mut tally = Tally::default();
    for seed in (0..args.runs).map(|run| first.wrapping_add(run)) {
        if signals::interrupted() {
            return Ok(Status::Interrupted);
        }
        match norma_sim::run(&norma_sim::scenarios::mixed(seed)) {
            Ok(report) => {
                tally.passed += 1;
                data(&report.to_string());
            }
            Err(failure) => {
                let text = failure.to_string();
                // One trace is enough to begin with; the others come when asked for.
                let shown = if tally.failed == 0 {
                    &text
                } else {
                    text.lines().next().unwrap_or("")
                };
                context.ui.error(&format!("seed {seed}: {shown}"));
                context.ui.error(&format!(
                    "to see it again: cargo norma sim --seed {seed} --runs 1"
                ));
                tally.failed += 1;
            }
        }
    }
    data(&tally.closing_line());
    Ok(if tally.failed == 0 {
        Status::Pass
    } else {
        Status::Failed
    })
}
