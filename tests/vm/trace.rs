//! Traces of real nodes: whole, of a node that was killed, and of one that panicked.

use crate::Test;
use crate::gdb::gdb;
use crate::lab::{Lab, deadline, ends};
use anyhow::{Context as _, Result, ensure};
use qemu_runner::qemu::Outcome;
use qemu_runner::run::Plan;
use qemu_runner::trace::Trace;
use qemu_runner::ui::Ui;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

pub fn tests() -> Vec<Test> {
    vec![
        Test::new(
            "trace::arrows_over_three_nodes_of_which_one_is_killed",
            three,
        ),
        Test::new("trace::a_panic_prints_the_last_events", panic),
    ]
}

/// `a` gets from `b` a right to a port of `c`; `b` is killed, and what it did until then is told.
fn three(lab: &Lab) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("trace.json");
    let trace = Trace::create(&file)?;
    let node = |name| lab.traced("nettest", name, &trace);
    let c = node("c")?.argument("test=serve").argument("owner=yes");
    let b = node("b")?.argument("test=serve").argument("broker=yes");
    let a = node("a")?.argument("test=third").argument("peer=b");
    let plan = Plan::together(vec![c, b, a]).trace(Some(&trace));
    lab.run(plan, |run| {
        run.expect("a", "ready for the death of b", deadline())?;
        run.kill("b");
        run.expect("a", "@result ", deadline())?;
        ends(run, "a", Outcome::Pass)
    })?;
    trace.finish(&Ui::new(true))?;
    let text = std::fs::read(&file)?;
    let file: Value = serde_json::from_slice(&text)?;
    let events = file["traceEvents"].as_array().context("no events")?;
    let nodes = file["otherData"]["nodes"].as_array().context("no nodes")?;
    let names: BTreeSet<_> = nodes
        .iter()
        .filter_map(|node| node["node"].as_str())
        .collect();
    ensure!(names == BTreeSet::from(["a", "b", "c"]), "{names:?}");
    let processes = events
        .iter()
        .filter(|event| event["name"] == "process_name");
    ensure!(processes.count() == 3, "a process for each node");
    // What each did is there, of the one that was killed too.
    for name in [
        "runs",
        "send",
        "receive",
        "MESSAGE in",
        "MESSAGE out",
        "HELLO out",
    ] {
        let all = events.iter().filter(|event| event["name"] == name);
        let pids: BTreeSet<_> = all.filter_map(|event| event["pid"].as_u64()).collect();
        let expected = if name == "HELLO out" { 1 } else { 3 };
        ensure!(pids.len() >= expected, "{name} is told of {pids:?} only");
    }
    for name in ["LOCATE out", "LOCATE in", "HEREIS out", "HEREIS in"] {
        ensure!(
            events.iter().any(|event| event["name"] == name),
            "no {name}"
        );
    }
    let moves = |event: &&Value| {
        event["name"]
            .as_str()
            .is_some_and(|n| n.starts_with("moves a send"))
    };
    ensure!(
        events.iter().any(|event| moves(&event)),
        "no right was moved"
    );
    arrows(events)
}

/// Each arrow has both ends, in this order, in something drawn; and there are some from each node
/// to each with which it talked.
fn arrows(events: &[Value]) -> Result<()> {
    let phase = |wanted: &'static str| events.iter().filter(move |event| event["ph"] == wanted);
    let drawn: BTreeSet<_> = phase("B")
        .filter(|event| event["cat"] == "message")
        .map(|event| (event["tid"].as_u64(), event["ts"].to_string()))
        .collect();
    let ends: HashMap<_, _> = phase("f")
        .map(|event| (event["id"].as_u64(), event))
        .collect();
    let mut ways = BTreeSet::new();
    for from in phase("s") {
        let to = ends
            .get(&from["id"].as_u64())
            .context("an arrow without an end")?;
        ensure!(
            from["ts"].as_f64() <= to["ts"].as_f64(),
            "received before it was sent: {from} {to}"
        );
        for end in [from, to] {
            let place = (end["tid"].as_u64(), end["ts"].to_string());
            ensure!(drawn.contains(&place), "nothing is drawn at {end}");
        }
        ways.insert((from["pid"].as_u64(), to["pid"].as_u64()));
    }
    let across = ways.iter().filter(|(from, to)| from != to).count();
    // Both ways between two pairs at least.
    ensure!(across >= 4, "arrows lead only {ways:?}");
    Ok(())
}

/// A node that is made to jump nowhere says what it did last; and that is in the trace.
fn panic(lab: &Lab) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("trace.json");
    let trace = Trace::create(&file)?;
    let node = |name| lab.traced("nettest", name, &trace);
    let b = node("b")?.argument("test=serve");
    let a = node("a")?.argument("test=calls").argument("n=1000000");
    let cluster = format!("panic-{}", std::process::id());
    let plan = Plan::pair(b, a).cluster(&cluster).findable("test");
    lab.run(plan.trace(Some(&trace)), |run| {
        run.expect("b", "serving", deadline())?;
        run.expect("a", "norma: ready", deadline())?;
        let output = gdb(&[&format!("{cluster}/b"), "--command", "set $rip = 0"])?;
        ensure!(output.status.success(), "{output:?}");
        run.expect("b", "norma: panic", deadline())?;
        let line = run.expect("b", "norma: before ", deadline())?;
        ensure!(
            line.contains(" us: thread ") && line.ends_with(')'),
            "{line}"
        );
        ends(run, "b", Outcome::Panic)
    })?;
    trace.finish(&Ui::new(true))?;
    let file: Value = serde_json::from_slice(&std::fs::read(&file)?)?;
    let nodes = file["otherData"]["nodes"].as_array().context("no nodes")?;
    let counts: Vec<_> = nodes.iter().map(|node| node["events"].as_u64()).collect();
    ensure!(
        counts.len() == 2 && counts.iter().all(|count| *count > Some(50)),
        "{nodes:?}"
    );
    Ok(())
}
