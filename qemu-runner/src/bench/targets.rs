//! The figures to reach, and whether they were.
//!
//! Owns: each bar with its source, the comparison, the words of a verdict.
//! Leaves to others: the numbers (`merge`, `startup`).
//! Why this way: a bar is data, so the printed list is the list that is checked. A number that
//! was not measured is "not measured", which counts neither as met nor as missed.

use super::items::Suite;
use super::merge::Measured;
use super::startup::Startup;
use serde::Serialize;

/// One figure to reach.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Target {
    /// What is measured.
    pub what: String,
    /// The bar, in words: `<= 1.15`.
    pub bar: String,
    /// The value, if measured.
    pub value: Option<f64>,
    /// Whether it was reached, if measured.
    pub met: Option<bool>,
}

#[derive(Clone, Copy)]
enum Bar {
    AtMost(f64),
    AtLeast(f64),
}

/// Control messages at the ends of a stretch: the serving node's answer to its begin, the
/// interrupt of its end, an acknowledgement with its timer. They are spread over the
/// stretch's operations, and this many are forgiven per stretch.
const CONTROL_ALLOWANCE: f64 = 4.0;

/// All figures, judged.
pub fn judge(suite: Suite, results: &[Measured], startup: Option<&Startup>) -> Vec<Target> {
    match suite {
        Suite::Net => judge_net(results, startup),
        Suite::Ipc => judge_ipc(results),
    }
}

/// Calls between threads of one node. Instructions are compared, which repeat, and with them
/// times, which also show what an instruction costs.
fn judge_ipc(results: &[Measured]) -> Vec<Target> {
    let instructions = |name| find(results, name).map(|m| m.row.counts.instructions);
    let allowance = find(results, "ipc-null")
        .map_or(0.0, |m| CONTROL_ALLOWANCE / m.detail.n_per_stretch as f64);
    let mut targets = vec![target(
        "ipc-null: guest instructions",
        Bar::AtMost(500.0),
        instructions("ipc-null"),
        0.0,
    )];
    for (name, base, bar) in [
        ("ipc-names-100000", "ipc-names-10", 1.1),
        ("ipc-set-1000", "ipc-set-1", 1.1),
        ("ipc-moved-1m", "ipc-null", 1.2),
    ] {
        let time = |name| find(results, name).map(|m| m.row.p50);
        for (what, ratio) in [
            (
                "instructions",
                ratio(instructions(name), instructions(base)),
            ),
            ("p50", ratio(time(name), time(base))),
        ] {
            let what = format!("{name}: {what} against {base}");
            targets.push(target(&what, Bar::AtMost(bar), ratio, 0.0));
        }
    }
    targets.extend(results.iter().map(|measured| {
        let what = format!("{}: allocations", measured.row.name);
        let value = Some(measured.row.counts.allocations);
        target(&what, Bar::AtMost(0.0), value, allowance)
    }));
    targets
}

fn ratio(value: Option<f64>, base: Option<f64>) -> Option<f64> {
    Some(value? / base?)
}

/// Calls between nodes.
fn judge_net(results: &[Measured], startup: Option<&Startup>) -> Vec<Target> {
    let mut targets = Vec::new();
    speed(results, &mut targets);
    budget(results, &mut targets);
    right(results, &mut targets);
    migration(results, &mut targets);
    ports(results, &mut targets);
    for name in ["remote-4k", "remote-64k", "remote-1m", "stream-1m"] {
        let value = find(results, name).map(|m| m.row.counts.copies);
        targets.push(target(
            &format!("{name}: payload copies"),
            Bar::AtMost(0.0),
            value,
            0.0,
        ));
    }
    size(startup, &mut targets);
    targets
}

fn speed(results: &[Measured], targets: &mut Vec<Target>) {
    let ratio = |name| find(results, name).map(|m| m.row.ratio_to_floor);
    let instructions = |name| find(results, name).map(|m| m.row.counts.instructions);
    targets.extend([
        target(
            "remote-null: p50 against floor",
            Bar::AtMost(1.15),
            ratio("remote-null"),
            0.0,
        ),
        target(
            "stream-1m: MB/s against raw-stream",
            Bar::AtLeast(0.90),
            ratio("stream-1m"),
            0.0,
        ),
        target(
            "remote-null: guest instructions",
            Bar::AtMost(6000.0),
            instructions("remote-null"),
            0.0,
        ),
        target(
            "local-null: guest instructions",
            Bar::AtMost(1000.0),
            instructions("local-null"),
            0.0,
        ),
    ]);
}

/// The budget of a null RPC between two idle nodes.
fn budget(results: &[Measured], targets: &mut Vec<Target>) {
    let null = find(results, "remote-null");
    let allowance = null.map_or(0.0, |m| CONTROL_ALLOWANCE / m.detail.n_per_stretch as f64);
    let counts = null.map(|m| &m.row.counts);
    // Two interrupts of the card, and one of the timer for each of the rare times that it is
    // set. Two notifications; each interrupt is acknowledged and ended; the timer is set.
    let timer = 0.05;
    let interrupts = 2.0 + timer;
    let exits = 2.0 + 2.0 * interrupts + timer;
    for (what, bar, value) in [
        ("frames", 2.0, counts.map(|c| c.frames)),
        ("notifications", 2.0, counts.map(|c| c.notifications)),
        ("interrupts", interrupts, counts.map(|c| c.interrupts)),
        ("timer programmings", timer, null.map(|m| m.detail.timer)),
        ("exits", exits, counts.map(|c| c.exits)),
        ("allocations", 0.0, counts.map(|c| c.allocations)),
    ] {
        // Each forgiven message may cost as many exits as half a call.
        let allowance = if what == "exits" {
            allowance * exits / 2.0
        } else {
            allowance
        };
        targets.push(target(
            &format!("remote-null: {what}"),
            Bar::AtMost(bar),
            value,
            allowance,
        ));
    }
}

/// A send right in the request of a null RPC.
fn right(results: &[Measured], targets: &mut Vec<Target>) {
    let found = find(results, "remote-right");
    let time = |name| find(results, name).map(|m| m.row.p50);
    let allowance = found.map_or(0.0, |m| CONTROL_ALLOWANCE / m.detail.n_per_stretch as f64);
    targets.extend([
        target(
            "remote-right: p50 against remote-null",
            Bar::AtMost(1.15),
            ratio(time("remote-right"), time("remote-null")),
            0.0,
        ),
        target(
            "remote-right: frames",
            Bar::AtMost(2.0),
            found.map(|m| m.row.counts.frames),
            allowance,
        ),
    ]);
}

/// A receive right that moves with 100 queued messages: ten round trips are 20 frames, besides one
/// for each message. In time, under an emulator, those hundred frames are most of it; the simulator
/// judges round trips where these are long (`a_full_port_is_far_away_after_ten_round_trips`).
fn migration(results: &[Measured], targets: &mut Vec<Target>) {
    let found = find(results, "migrate-100");
    let allowance = found.map_or(0.0, |m| CONTROL_ALLOWANCE / m.detail.n_per_stretch as f64);
    targets.push(target(
        "migrate-100: frames besides 100 messages",
        Bar::AtMost(20.0),
        found.map(|m| m.row.counts.frames - 100.0),
        allowance,
    ));
    let time = |name| find(results, name).map(|m| m.row.p50);
    targets.push(target(
        "migrate-100: p50 against remote-null",
        Bar::AtMost(10.0),
        ratio(time("migrate-100"), time("remote-null")),
        0.0,
    ));
}

/// A port that is one of a thousand against one that is alone. What comes in one go differs from
/// run to run, and with it the time; the instructions repeat.
fn ports(results: &[Measured], targets: &mut Vec<Target>) {
    let many = find(results, "ports-1000");
    let instructions = |name| find(results, name).map(|m| m.row.counts.instructions);
    targets.extend([
        target(
            "ports-1000: calls/s against ports-1",
            Bar::AtLeast(0.90),
            many.map(|m| m.row.ratio_to_floor),
            0.0,
        ),
        target(
            "ports-1000: instructions against ports-1",
            Bar::AtMost(1.1),
            ratio(instructions("ports-1000"), instructions("ports-1")),
            0.0,
        ),
    ]);
}

fn size(startup: Option<&Startup>, targets: &mut Vec<Target>) {
    let ratio = startup.map(|s| s.boot.ratio);
    targets.push(target(
        "start to ready, against least kernel",
        Bar::AtMost(1.3),
        ratio,
        0.0,
    ));
    for image in ["demo", "bench"] {
        let bytes = startup.and_then(|s| s.size.images.get(image));
        let kib = bytes.map(|b| *b as f64 / 1024.0);
        targets.push(target(
            &format!("image {image}, stripped, KiB"),
            Bar::AtMost(512.0),
            kib,
            0.0,
        ));
    }
    let serves = startup.map(|s| f64::from(u8::from(s.size.serves_with_16_mib)));
    targets.push(target(
        "boots and serves with -m 16 (1: yes)",
        Bar::AtLeast(1.0),
        serves,
        0.0,
    ));
}

fn find<'a>(results: &'a [Measured], name: &str) -> Option<&'a Measured> {
    results.iter().find(|measured| measured.row.name == name)
}

fn target(what: &str, bar: Bar, value: Option<f64>, allowance: f64) -> Target {
    let (text, met): (String, Option<bool>) = match bar {
        Bar::AtMost(most) => (
            format!("<= {}", short(most)),
            value.map(|v| v <= most + allowance),
        ),
        Bar::AtLeast(least) => (
            format!(">= {}", short(least)),
            value.map(|v| v >= least - allowance),
        ),
    };
    Target {
        what: what.to_owned(),
        bar: text,
        value,
        met,
    }
}

/// Sums of bars have more digits than anybody wrote.
fn short(bar: f64) -> f64 {
    (bar * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_compared_in_their_direction() {
        assert_eq!(
            target("x", Bar::AtMost(1.15), Some(1.15), 0.0).met,
            Some(true)
        );
        assert_eq!(
            target("x", Bar::AtMost(1.15), Some(1.1501), 0.0).met,
            Some(false)
        );
        assert_eq!(
            target("x", Bar::AtLeast(0.9), Some(0.9), 0.0).met,
            Some(true)
        );
        assert_eq!(
            target("x", Bar::AtLeast(0.9), Some(0.89), 0.0).met,
            Some(false)
        );
        assert_eq!(
            target("x", Bar::AtMost(2.0), Some(2.002), 0.002).met,
            Some(true)
        );
    }

    #[test]
    fn what_was_not_measured_is_neither_met_nor_missed() {
        let targets = judge(Suite::Net, &[], None);
        assert!(targets.len() > 12);
        assert!(targets.iter().all(|t| t.met.is_none() && t.value.is_none()));
    }
}
