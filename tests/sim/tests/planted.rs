//! Bugs planted on purpose: the oracle must see each, and say what broke in a history that a
//! person can follow.
//!
//! They are planted in the frames as they leave a node, checks written anew, so that the other
//! side takes them for the node's own doing.

use std::collections::HashMap;

use norma_net::seal;
use norma_sim::{Failure, run_prepared, scenarios};
use norma_wire::layout::{BODY_AT, SESSION_AT};
use norma_wire::session::{Flags, Header, Kind, Repr};

/// Seeds that are tried until one meets the bug.
const SEEDS: u64 = 12;

/// The session header of a frame, if it has one.
fn header(frame: &[u8]) -> Option<Repr> {
    let unidata = frame.get(15) == Some(&3);
    let header = Header::new_checked(frame.get(SESSION_AT..).filter(|_| unidata)?).ok()?;
    Some(Repr::parse(&header))
}

/// Writes a changed header, and the check over what is in the head now (W-64).
fn write(frame: &mut [u8], header: &Repr) {
    if let Some(place) = frame[SESSION_AT..].first_chunk_mut() {
        header.emit(place);
    }
    seal(frame);
}

type Bug = Box<dyn FnMut(usize, &mut Vec<u8>)>;

/// Runs on a network that loses nothing, and cuts no frame into pieces.
fn calm(seed: u64) -> norma_sim::Config {
    without_faults(scenarios::wild(seed, &(3..=5)))
}

fn without_faults(mut config: norma_sim::Config) -> norma_sim::Config {
    config.rules.clear();
    config.networks.clear();
    config.link = None;
    config.mtu = 65_521;
    // The audits, which compare what nodes believe, would see it first.
    config.audit_every = 0;
    config
}

/// The first failure of runs with that bug, on a network without faults, that says so. Whatever
/// is said, every run must be right or fail: none may panic.
fn found(plant: impl Fn() -> Bug, says: &[&str]) -> Failure {
    found_in(calm, plant, says)
}

fn found_in(
    config: impl Fn(u64) -> norma_sim::Config,
    plant: impl Fn() -> Bug,
    says: &[&str],
) -> Failure {
    for seed in 1..=SEEDS {
        let config = config(seed);
        if let Err(failure) = run_prepared(&config, |world| world.tamper(plant())) {
            println!("seed {seed}: {}", failure.what);
            if says.iter().any(|words| failure.what.contains(words)) {
                return failure;
            }
        }
    }
    panic!("no oracle saw it in {SEEDS} seeds");
}

/// What the history of a failure must show: who did what with the port that is accused.
fn readable(failure: &Failure) {
    let lines = failure.history.lines().count();
    assert!(lines >= 2, "{failure}");
    assert!(failure.history.lines().all(|line| line.contains("node")));
}

#[test]
fn a_frame_that_is_sealed_anew_is_believed() {
    let mut messages = 0;
    for seed in 1..=4 {
        let config = calm(seed);
        let report = run_prepared(&config, |world| {
            world.tamper(|_, frame| {
                if header(frame).is_some() {
                    frame[SESSION_AT + 46..SESSION_AT + 50].fill(0);
                    seal(frame);
                }
            });
        });
        messages += report.unwrap().messages;
    }
    assert!(messages > 50, "{messages}");
}

#[test]
fn a_release_that_is_swallowed_is_seen() {
    let failure = found(
        || {
            Box::new(|_, frame| {
                if let Some(mut header) = header(frame)
                    && header.kind == Kind::Control
                    && header.destination == 1
                {
                    // An operation that means nothing to anybody.
                    header.destination = 999;
                    write(frame, &header);
                }
            })
        },
        &["has no senders and nobody was told"],
    );
    readable(&failure);
}

/// An answer that was claimed at the caller leaves what is kept for it at the giver for ever,
/// which no actor can see.
#[test]
fn a_swallowed_word_of_a_right_that_was_used_elsewhere_is_seen_by_the_audit() {
    let audited = |seed| norma_sim::Config {
        audit_every: 1,
        ..calm(seed)
    };
    found_in(
        audited,
        || {
            Box::new(|_, frame| {
                if let Some(mut header) = header(frame)
                    && header.kind == Kind::Control
                    && header.destination == 7
                {
                    header.destination = 999;
                    write(frame, &header);
                }
            })
        },
        &["is held 0 times, 0 times on its way, used 0 times"],
    );
}

#[test]
fn a_right_that_is_released_in_place_of_another_is_seen() {
    let failure = found(
        || {
            Box::new(|_, frame| {
                if let Some(mut header) = header(frame)
                    && header.kind == Kind::Control
                    && header.destination == 1
                    && header.reply & 0xffff > 2
                {
                    // Its neighbour is released in its place.
                    header.reply = (header.reply & 0xffff) - 1;
                    write(frame, &header);
                }
            })
        },
        &[
            "that it has no senders",
            "has no senders: ",
            "died, but",
            "came dead",
        ],
    );
    readable(&failure);
}

/// STATE says the limit of the queue (W-124).
#[test]
fn a_limit_that_changes_on_the_way_is_seen() {
    let failure = found_in(
        |seed| without_faults(scenarios::wider(seed, &(3..=5))),
        || {
            Box::new(|_, frame| {
                if let Some(header) = header(frame)
                    && header.kind == Kind::Message
                    && header.flags.contains(Flags::NOTIFICATION)
                    && header.id == 7
                {
                    frame[BODY_AT] ^= 4;
                    seal(frame);
                }
            })
        },
        &["came with limit"],
    );
    readable(&failure);
}

#[test]
fn a_message_that_is_doubled_is_seen() {
    let failure = found(
        || {
            let mut before: HashMap<(usize, u32, u32, usize), Vec<u8>> = HashMap::new();
            Box::new(move |from, frame| {
                let Some(header) = header(frame) else { return };
                // Small ones without rights, of which nothing lies elsewhere.
                let plain = header.kind == Kind::Message && header.rights == 0 && header.reply == 0;
                if !plain || header.memory != 0 || header.inline < 32 || header.destination < 2 {
                    return;
                }
                let key = (from, header.session, header.destination, frame.len());
                let body = frame[BODY_AT..].to_vec();
                if let Some(old) = before.insert(key, body)
                    && old != frame[BODY_AT..]
                {
                    frame[BODY_AT..].copy_from_slice(&old);
                    seal(frame);
                }
            })
        },
        &["received twice"],
    );
    readable(&failure);
}
