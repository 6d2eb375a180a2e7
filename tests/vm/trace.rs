//! Traces of real nodes: whole, of nodes that were killed or stopped, and of one that panicked.

use crate::Test;
use crate::gdb::gdb;
use crate::lab::{Lab, deadline, ends};
use crate::runner::program;
use anyhow::{Context as _, Result, ensure};
use qemu_runner::commands::test::environment;
use qemu_runner::qemu::Outcome;
use qemu_runner::run::Plan;
use qemu_runner::trace::Trace;
use qemu_runner::ui::Ui;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::process::Command;

pub fn tests() -> Vec<Test> {
    vec![
        Test::new(
            "trace::arrows_over_three_nodes_of_which_one_is_killed",
            three,
        ),
        Test::new("trace::a_panic_prints_the_last_events", panic),
        Test::new("trace::of_the_tests_themselves", of_tests),
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
    let plan = Plan::together(vec![c, b, a]).findable("test");
    lab.run(plan.trace(Some(&trace)), |run| {
        run.expect("a", "ready for the death of b", deadline())?;
        run.kill("b");
        run.expect("a", "@result ", deadline())?;
        ends(run, "a", Outcome::Pass)?;
        run.ask_what_they_do();
        last_events(&run.log("c"))
    })?;
    trace.finish(&Ui::new(true))?;
    let file = read(&file, &["a", "b", "c"])?;
    let events = list(&file["traceEvents"])?;
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
    // Both ways between two pairs at least.
    let ways = arrows(events)?;
    ensure!(ways >= 4, "arrows lead only {ways} ways");
    Ok(())
}

/// A node that was stopped because it says nothing more tells, between where it is and what its
/// threads wait for, what it did last: as much as it promises, in the order of time.
fn last_events(log: &[String]) -> Result<()> {
    let places = |word: &str| -> Vec<usize> {
        let lines = log.iter().enumerate();
        let lines = lines.filter(|(_, line)| line.starts_with(word));
        lines.map(|(place, _)| place).collect()
    };
    let (stopped, threads) = (places("norma: stopped in "), places("norma: thread "));
    let events = places("norma: before ");
    ensure!(
        stopped.len() == 1 && !threads.is_empty() && events.len() == 32,
        "{log:#?}"
    );
    ensure!(
        stopped[0] < events[0] && events[31] < threads[0],
        "{log:#?}"
    );
    let times = events.iter().map(|place| {
        let words: Vec<&str> = log[*place].split_whitespace().collect();
        let named = log[*place].ends_with(')') && words.get(4) == Some(&"thread");
        let time = words.get(2).filter(|_| named && words[3] == "us:");
        Ok(time.context(log[*place].clone())?.parse::<f64>()?)
    });
    let times = times.collect::<Result<Vec<_>>>()?;
    ensure!(times.is_sorted_by(|one, next| one >= next), "{times:?}");
    Ok(())
}

fn list(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().context("no list")
}

/// A file in which these nodes are, each of them a process, with events.
fn read(file: &Path, names: &[&str]) -> Result<Value> {
    let file: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    let nodes = list(&file["otherData"]["nodes"])?;
    let found: BTreeSet<_> = nodes
        .iter()
        .filter_map(|node| node["node"].as_str())
        .collect();
    ensure!(found == names.iter().copied().collect(), "{found:?}");
    let counts = nodes.iter().map(|node| node["events"].as_u64());
    ensure!(counts.min().flatten() > Some(50), "{nodes:?}");
    let heads = list(&file["traceEvents"])?.iter();
    let processes = heads.filter(|event| event["name"] == "process_name");
    let processes: BTreeSet<_> = processes
        .filter_map(|head| head["args"]["name"].as_str()?.strip_prefix("node "))
        .collect();
    ensure!(processes == found, "{processes:?}");
    Ok(file)
}

/// Each arrow has both ends, in this order, in something drawn. From how many nodes to how many
/// others there are any.
fn arrows(events: &[Value]) -> Result<usize> {
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
    Ok(ways.iter().filter(|(from, to)| from != to).count())
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
    read(&file, &["a", "b"])?;
    Ok(())
}

/// `cargo norma test --trace`, of one test of two nodes, as a person types it.
fn of_tests(lab: &Lab) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("trace.json");
    let test = "network::calls::dgram::microvm_microvm";
    let output = Command::new(program()?)
        .current_dir(lab.root())
        .args(["test", "--vm", test, "--trace"])
        .arg(&file)
        // The capture of these tests is not that one's.
        .env_remove(environment::PCAP)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success() && said.contains(test) && said.contains("1 passed"),
        "{output:?}"
    );
    let file = read(&file, &["a", "b"])?;
    let ways = arrows(list(&file["traceEvents"])?)?;
    ensure!(ways == 2, "arrows lead {ways} ways");
    Ok(())
}
