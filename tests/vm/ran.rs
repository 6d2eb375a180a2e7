//! How long each thread ran: what a traced node says while it runs, what its trace says when it
//! has ended, and that there is one processor.

use crate::Test;
use crate::lab::Lab;
use crate::up::Up;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

/// A thread whose time begins before its first event.
const MAIN: u64 = 0;

pub fn tests() -> Vec<Test> {
    vec![Test::new("ran::what_is_told_adds_up", adds_up)]
}

/// Threads of one node call each other, which is when the time of the one becomes the other's.
/// Then nobody has anything to do but the thread that says so.
fn adds_up(lab: &Lab) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("trace.json");
    let nodes = [("a", "nettest", "[\"test=leak\", \"leak=1\"]")];
    let mut up = Up::traced(lab, &nodes, &file, &["a: called"])?;
    let looks = [Look::new(&up)?, Look::new(&up)?, Look::new(&up)?];
    up.interrupt()?;

    for (was, is) in looks.iter().zip(&looks[1..]) {
        ensure!(was.sum() < is.uptime, "more than there was: {looks:?}");
        for (thread, (name, ran)) in &is.threads {
            let before = was.ran(*thread)?;
            let right = match name.as_str() {
                // Who waits gets nothing, of the interrupts neither; who answers, runs.
                "leaky" | "tidy" => before == *ran,
                "node" => before < *ran,
                _ => before <= *ran,
            };
            ensure!(right, "{name}: {looks:?}");
        }
    }

    let rows = runs(&file)?;
    for (thread, (name, ran)) in &looks[2].threads {
        let row = rows.get(thread).map(Vec::as_slice).unwrap_or_default();
        let sum: u64 = row.iter().map(|(from, to)| to - from).sum();
        // Each end of each while is rounded to a nanosecond.
        let slack = 2 * row.len() as u64 + 1;
        let right = match name.as_str() {
            "leaky" | "tidy" => sum.abs_diff(*ran) <= slack && row.len() >= 40,
            _ => sum + slack >= *ran || *thread == MAIN,
        };
        ensure!(right, "{name} ran {ran} ns, by the trace {sum}: {row:?}");
    }
    Ok(())
}

/// What a node says at some time.
#[derive(Debug)]
struct Look {
    /// Asked for before the threads are.
    uptime: u64,
    /// What each thread is called, and how long it ran, in nanoseconds, by its number.
    threads: HashMap<u64, (String, u64)>,
}

impl Look {
    fn new(up: &Up) -> Result<Self> {
        let said = up.json(&["threads", "a"])?;
        let uptime = said["node"]["uptime_ns"].as_u64().context("no time")?;
        let threads = said["threads"].as_array().context("no threads")?;
        let threads = threads.iter().map(|row| {
            let name = row["name"].as_str().unwrap_or_default().to_owned();
            Some((row["number"].as_u64()?, (name, row["ran_ns"].as_u64()?)))
        });
        let threads: Option<HashMap<_, _>> = threads.collect();
        let threads = threads.with_context(|| format!("not all have run: {said:#}"))?;
        let all = ["main", "node", "leaky", "tidy"];
        let has = |name: &&str| threads.values().any(|(known, _)| known == name);
        ensure!(all.iter().all(has), "{said:#}");
        Ok(Self { uptime, threads })
    }

    fn ran(&self, thread: u64) -> Result<u64> {
        let row = self.threads.get(&thread).context("a thread is new")?;
        Ok(row.1)
    }

    fn sum(&self) -> u64 {
        self.threads.values().map(|(_, ran)| ran).sum()
    }
}

/// From when to when each thread of the only node ran, in nanoseconds; no two at once.
fn runs(file: &Path) -> Result<HashMap<u64, Vec<(u64, u64)>>> {
    let file: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    ensure!(
        file["otherData"]["nodes"][0]["overwritten"] == 0,
        "not all is there"
    );
    let events = file["traceEvents"].as_array().context("no events")?;
    let mut begun: HashMap<u64, u64> = HashMap::new();
    let mut rows: HashMap<u64, Vec<(u64, u64)>> = HashMap::new();
    for event in events.iter().filter(|event| event["name"] == "runs") {
        let row = event["tid"].as_u64().context("no row")? % 100_000;
        let us = event["ts"].as_f64().context("no time")?;
        let at = (us * 1e3).round() as u64;
        if event["ph"] == "B" {
            begun.insert(row, at);
        } else {
            let from = begun.remove(&row).context("ends without a begin")?;
            rows.entry(row).or_default().push((from, at));
        }
    }
    let mut all: Vec<_> = rows.values().flatten().collect();
    all.sort();
    let apart = all.is_sorted_by(|one, next| one.1 <= next.0);
    ensure!(apart, "two ran at once: {all:?}");
    Ok(rows)
}
