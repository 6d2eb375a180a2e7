//! Calls and messages on a bad network: each done once, each whole, nothing left behind.

use std::time::Duration;

use norma_faults::{Action, Rule};
use norma_sim::{Config, Report, run};

fn must(config: &Config) -> Report {
    match run(config) {
        Ok(report) => {
            println!("{report}");
            report
        }
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
fn on_a_good_network_a_call_costs_two_frames() {
    let report = must(
        &Config {
            calls: 1000,
            ..Config::default()
        }
        .calm(),
    );
    assert_eq!(report.calls, 2000);
    // Both nodes call, so that requests, replies and acknowledgements share frames.
    assert!(report.frames < 4 * 1000 + 100, "{report}");
}

#[test]
fn two_thousand_calls_on_a_bad_network_are_each_done_once() {
    let report = must(&Config::default());
    assert_eq!(report.calls, 4000);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let config = Config {
        seed: 77,
        calls: 100,
        max_memory: 10_000,
        ..Config::default()
    };
    assert_eq!(must(&config), must(&config));
    assert_ne!(
        must(&config),
        must(&Config {
            seed: 78,
            ..config.clone()
        })
    );
}
