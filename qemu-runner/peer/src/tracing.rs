//! Linux's trace of itself: on for one item, and then told as marks.
//!
//! Owns: the files by which it is switched, and measuring what a stamp costs. Leaves to others: what a mark is (`marks`).
//! Source: Linux, Documentation/trace/ftrace.rst.

use crate::sys;
use anyhow::{Context, Result};
use norma_peer::marks::{self, EVENTS, Mark, Who};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

const FOLDER: &str = "/sys/kernel/tracing";

/// Room for the events, in KiB: some hundred calls, the last ones.
const ROOM: &str = "4096";

/// As many marks are told at most: some hundred calls.
const MARKS: usize = 16_384;

/// What programs are called: this one is started as `/init`.
fn who(name: &str) -> Who {
    match name {
        "init" => Who::Program,
        "netmsgd" => Who::Relay,
        "swapper/0" => Who::Nobody,
        _ => Who::Other,
    }
}

/// System calls in a stretch from which follows what a stamp costs, and such stretches.
const CALLS: u64 = 500;
const STRETCHES: usize = 9;

/// A trace that is on.
pub struct Tracing(());

impl Tracing {
    /// Makes everything ready; the events are stamped with the processor's counter. Prints what a
    /// stamp costs.
    pub fn prepare() -> Result<()> {
        sys::mount("tracefs", FOLDER).context("mounting Linux's trace")?;
        set("tracing_on", "0")?;
        set("trace_clock", "x86-tsc")?;
        set("buffer_size_kb", ROOM)?;
        let without = calls_take();
        EVENTS
            .iter()
            .try_for_each(|event| set(&format!("events/{event}/enable"), "1"))?;
        set("tracing_on", "1")?;
        let with = calls_take();
        set("tracing_on", "0")?;
        // Each call has two stamps.
        let cost = with.saturating_sub(without) / (2 * CALLS);
        println!("{}", marks::cost_line(cost));
        Ok(())
    }

    /// Begins anew.
    pub fn begin() -> Result<Self> {
        set("trace", "")?;
        set("tracing_on", "1")?;
        Ok(Self(()))
    }

    /// Ends, and prints the marks.
    pub fn end(self, item: &str) -> Result<()> {
        set("tracing_on", "0")?;
        let file = std::fs::File::open(path("trace")).context("reading Linux's trace")?;
        let mut kept: VecDeque<Mark> = VecDeque::with_capacity(MARKS);
        for line in BufReader::new(file).lines() {
            let Some(mark) = marks::of_line(&line?, who) else {
                continue;
            };
            if kept.len() == MARKS {
                kept.pop_front();
            }
            kept.push_back(mark);
        }
        let mut out = std::io::stdout().lock();
        for line in marks::lines(item, kept.make_contiguous()) {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}

/// Ticks that some system calls take which do nothing: of several stretches the shortest, which
/// nothing came between.
fn calls_take() -> u64 {
    let stretch = |_| {
        let begin = norma_peer::clock::ticks();
        (0..CALLS).for_each(|_| sys::nothing());
        norma_peer::clock::ticks() - begin
    };
    (0..STRETCHES).map(stretch).min().unwrap_or(0)
}

fn path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

fn set(name: &str, value: &str) -> Result<()> {
    let path = path(name);
    std::fs::write(&path, value).with_context(|| format!("setting {}", path.display()))
}
