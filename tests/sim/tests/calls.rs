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

#[test]
fn large_messages_arrive_whole_whatever_is_lost() {
    let config = Config {
        calls: 40,
        max_memory: 5 << 20,
        max_inline: 8000,
        ..Config::default()
    };
    must(&Config {
        audit_every: 64,
        limit: Duration::from_secs(3600),
        ..config
    });
}

#[test]
fn large_messages_arrive_whole_where_every_page_is_cut_up() {
    let config = Config {
        calls: 30,
        max_memory: 200_000,
        max_inline: 8000,
        ..Config::default()
    };
    must(&Config {
        mtu: 1500,
        rules: norma_sim::bad_network(0.05),
        ..config
    });
}

#[test]
fn rights_are_passed_around_and_all_come_back() {
    must(&Config {
        nodes: 3,
        clients: 2,
        calls: 300,
        rights: true,
        ..Config::default()
    });
}

#[test]
fn fast_senders_of_one_way_messages_wait_for_a_slow_receiver() {
    for loss in [0.0, 0.2] {
        let config = Config {
            nodes: 3,
            calls: 5,
            senders: 4,
            messages: 200,
            receiver_pause: Duration::from_millis(1),
            rules: norma_sim::bad_network(loss),
            ..Config::default()
        };
        assert_eq!(must(&config).one_way, 3 * 4 * 200);
    }
}

#[test]
fn large_and_small_one_way_messages_keep_their_order() {
    for seed in 0..10 {
        let config = Config {
            seed,
            calls: 30,
            clients: 3,
            max_memory: 300_000,
            senders: 2,
            messages: 100,
            receiver_pause: Duration::from_micros(300),
            ..Config::default()
        };
        must(&config);
    }
}

#[test]
fn many_senders_share_few_receive_buffers() {
    let config = Config {
        nodes: 8,
        calls: 30,
        clients: 3,
        receive_buffers: 4,
        max_memory: 100_000,
        ..Config::default()
    };
    must(&config);
}

#[test]
fn sequence_numbers_come_round() {
    for before in [1, 5, 300] {
        let first_sequence = Some(u32::MAX - before);
        must(&Config {
            calls: 300,
            max_memory: 80_000,
            first_sequence,
            ..Config::default()
        });
    }
}

#[test]
fn changed_headers_break_no_node() {
    for seed in 0..40 {
        let mut config = Config {
            seed,
            calls: 60,
            rights: true,
            max_memory: 20_000,
            senders: 1,
            messages: 40,
            corruption: true,
            limit: Duration::from_secs(10),
            ..Config::default()
        };
        // Every byte of the headers in turn, and any byte.
        for byte in 0..116 {
            let rule = Rule {
                byte: Some(byte),
                ..Rule::new(Action::Corrupt).with_probability(0.0005)
            };
            config.rules.push(rule);
        }
        config
            .rules
            .push(Rule::new(Action::Corrupt).with_probability(0.01));
        must(&config);
    }
}

/// The first frames of a large message are settled long before the last; a refusal must find
/// the message all the same.
#[test]
fn large_one_way_messages_that_are_refused_come_again_whole() {
    for (mtu, loss) in [(9000, 0.0), (9000, 0.1), (1500, 0.02)] {
        let config = Config {
            calls: 5,
            senders: 3,
            messages: 100,
            max_memory: 400_000,
            receiver_pause: Duration::from_millis(2),
            mtu,
            rules: norma_sim::bad_network(loss),
            ..Config::default()
        };
        assert_eq!(must(&config).one_way, 2 * 3 * 100);
    }
}
