//! The file, in Chrome's trace format.
//!
//! Owns: its words. A process per node, a row per thread with what it did when, a row for
//! interrupts and one for frames; on a thread's row each send and receive, with an arrow from the
//! one to the other, over machines too.
//! Source: "Trace Event Format", Google, 2016. Times are microseconds, with three digits behind
//! the point.

use super::align::{Clock, is_datagram, sequenced};
use super::ring::Ring;
use super::story::{Doing, End, Story};
use norma_trace::{Event, Kind};
use norma_wire::{flip, session};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Rows of a node: its threads by their numbers, and behind them these two. Rows are numbered
/// through all nodes, for not every reader tells equal numbers of two processes apart.
const ROWS: u64 = 100_000;
const INTERRUPTS: u64 = ROWS - 2;
const FRAMES: u64 = ROWS - 1;

/// How long a send or a receive is drawn where nothing bounds it: it takes no time of its own
/// that was measured.
const DRAWN_NS: i64 = 400;

/// One thing that is drawn.
struct Drawn {
    at: i64,
    /// How long, if it is anything that lasts.
    length: Option<i64>,
    row: u64,
    value: Value,
}

/// Writes all nodes.
pub(super) fn write(nodes: &[(String, u64, Ring)], clocks: &[Clock], stories: &[Story]) -> String {
    let mut heads = Vec::new();
    let mut drawn = Vec::new();
    let mut about = Vec::new();
    for (place, (((name, _, ring), clock), story)) in
        nodes.iter().zip(clocks).zip(stories).enumerate()
    {
        let mut page = Page {
            process: place as u64 + 1,
            clock,
            ring,
            story,
            drawn: &mut drawn,
        };
        page.heads(name, &mut heads);
        page.whiles();
        page.interrupts();
        page.frames();
        page.ends("send", &story.sends);
        page.ends("receive", &story.receives);
        about.push(json!({
            "name": name,
            "node": ring.node,
            "events": ring.events.len(),
            "overwritten": ring.lost,
            "offset_ns": clock.offset,
            "uncertainty_ns": clock.uncertainty,
        }));
    }
    arrows(clocks, stories, &mut drawn);
    let mut events = heads;
    events.extend(in_order(drawn));
    let mut text = serde_json::to_string(&json!({
        "displayTimeUnit": "ns",
        "otherData": {
            "version": concat!("cargo norma ", env!("CARGO_PKG_VERSION")),
            "nodes": about,
        },
        "traceEvents": events,
    }))
    .unwrap_or_default();
    text.push('\n');
    text
}

/// The events row by row, what lasts as its begin and its end, each within what it began in.
///
/// Why not one event with a length (`X`): whoever adds it to the begin, both being decimal
/// fractions, comes to another number than that at which the next thing begins, and has the two
/// overlap. Equal times stay equal, whatever a reader makes of them.
fn in_order(mut drawn: Vec<Drawn>) -> Vec<Value> {
    // What lasts longer comes first: it encloses what begins with it. What does not last comes
    // behind what begins at the same time: an arrow is that one's.
    drawn.sort_by_key(|one| (one.row, one.at, std::cmp::Reverse(one.length)));
    let first = drawn.iter().map(|one| one.at).min().unwrap_or_default();
    let event = |mut value: Value, phase: Option<&str>, row: u64, at: i64| {
        value["pid"] = json!(row / ROWS);
        value["tid"] = json!(row);
        value["ts"] = json!((at - first) as f64 / 1e3);
        if let Some(phase) = phase {
            value["ph"] = json!(phase);
        }
        value
    };
    let mut events = Vec::new();
    // What has begun on a row and not ended: its row, begin and end, and what its end says. Some
    // readers look by that for what ends.
    let mut open: Vec<(u64, i64, i64, Value)> = Vec::new();
    for one in drawn {
        let ended = |(row, begin, end, _): &mut (u64, i64, i64, Value)| {
            *row != one.row || *end <= one.at && *begin < one.at
        };
        while let Some((row, _, end, value)) = open.pop_if(ended) {
            events.push(event(value, Some("E"), row, end));
        }
        let Some(length) = one.length else {
            events.push(event(one.value, None, one.row, one.at));
            continue;
        };
        let within = open.last().map_or(i64::MAX, |(_, _, end, _)| *end);
        let value = one.value.clone();
        open.push((one.row, one.at, (one.at + length).min(within), value));
        events.push(event(one.value, Some("B"), one.row, one.at));
    }
    while let Some((row, _, end, value)) = open.pop() {
        events.push(event(value, Some("E"), row, end));
    }
    events
}

/// One node.
struct Page<'a> {
    process: u64,
    clock: &'a Clock,
    ring: &'a Ring,
    story: &'a Story,
    drawn: &'a mut Vec<Drawn>,
}

impl Page<'_> {
    fn row(&self, row: u64) -> u64 {
        self.process * ROWS + row
    }

    fn heads(&self, name: &str, heads: &mut Vec<Value>) {
        let process = self.process;
        heads.push(json!({
            "ph": "M", "name": "process_name", "pid": process, "tid": 0,
            "args": { "name": format!("node {name}") },
        }));
        let mut row = |row: u64, name: String, order: u64| {
            for (what, args) in [
                ("thread_name", json!({ "name": name })),
                ("thread_sort_index", json!({ "sort_index": order })),
            ] {
                heads.push(json!({
                    "ph": "M", "name": what, "pid": process, "tid": self.row(row), "args": args,
                }));
            }
        };
        let threads = self.story.whiles.iter().map(|one| one.thread);
        let ends = self.story.sends.iter().chain(&self.story.receives);
        let named = (0..).zip(&self.ring.names);
        let named = named.filter(|(_, name)| !name.is_empty());
        let threads = threads.chain(ends.map(|end| end.thread));
        let threads: BTreeSet<u16> = threads.chain(named.map(|(thread, _)| thread)).collect();
        for thread in threads {
            row(
                thread.into(),
                self.ring.thread_name(thread),
                u64::from(thread) + 2,
            );
        }
        row(INTERRUPTS, "interrupts".into(), 1);
        row(FRAMES, "frames".into(), 0);
    }

    fn lasting(&mut self, row: u64, from: u64, to: u64, value: Value) {
        let (from, to) = (self.clock.time(from), self.clock.time(to));
        self.drawn.push(Drawn {
            at: from,
            length: Some(to - from),
            row: self.row(row),
            value,
        });
    }

    fn whiles(&mut self) {
        for one in &self.story.whiles {
            let name = match one.doing {
                Doing::Running => "runs",
                Doing::Ready => "could run",
                Doing::AwaitingAnswer => "waits for an answer",
                Doing::AwaitingMessage => "waits for a message",
                Doing::Blocked => "waits",
            };
            let value = json!({ "name": name, "cat": "thread" });
            self.lasting(one.thread.into(), one.from, one.to, value);
        }
    }

    fn interrupts(&mut self) {
        for (vector, from, to) in &self.story.interrupts {
            let value = json!({ "name": format!("interrupt {vector:#x}"), "cat": "interrupt" });
            self.lasting(INTERRUPTS, *from, *to, value);
        }
    }

    fn frames(&mut self) {
        let mut again = false;
        for event in &self.ring.events {
            let (row, name) = match event.kind() {
                Some(Kind::Retransmit) => {
                    again = true;
                    continue;
                }
                Some(Kind::FrameOut) if std::mem::take(&mut again) => {
                    (FRAMES, format!("{} out again", frame_name(event)))
                }
                Some(Kind::FrameOut) => (FRAMES, format!("{} out", frame_name(event))),
                Some(Kind::FrameIn) => (FRAMES, format!("{} in", frame_name(event))),
                Some(Kind::Wake) => (
                    event.thread.into(),
                    format!("wakes {}", self.ring.thread_name(event.a as u16)),
                ),
                Some(Kind::SystemCall) => (event.thread.into(), format!("system call {}", event.a)),
                Some(Kind::Right) => (event.thread.into(), format!("moves {}", right(event))),
                _ => continue,
            };
            let mut args = json!({});
            if matches!(event.kind(), Some(Kind::FrameOut | Kind::FrameIn)) {
                args["bytes"] = json!(event.a);
                if let Some((session, number)) = sequenced(event) {
                    args["session"] = json!(session);
                    args["number"] = json!(number);
                }
            }
            self.drawn.push(Drawn {
                at: self.clock.time(event.ticks),
                length: None,
                row: self.row(row),
                value: json!({ "ph": "i", "s": "t", "name": name, "args": args }),
            });
        }
    }

    /// Sends or receives. Each is drawn for as long as nothing else comes on its row.
    fn ends(&mut self, name: &str, ends: &[End]) {
        for end in ends {
            let until = self.quiet_until(end);
            let rights = match end.rights {
                0 => json!({}),
                count => json!({ "rights": count }),
            };
            self.drawn.push(Drawn {
                at: self.clock.time(end.at),
                length: Some(until),
                row: self.row(end.thread.into()),
                value: json!({ "name": name, "cat": "message", "args": rights }),
            });
        }
    }

    /// How long nothing else happens on the row of a send or a receive, in nanoseconds.
    fn quiet_until(&self, end: &End) -> i64 {
        let own = |other: &&End| other.thread == end.thread && other.at > end.at;
        let next = |ends: &[End]| {
            let from = ends.partition_point(|other| other.at <= end.at);
            ends[from..].iter().take(64).find(own).map(|other| other.at)
        };
        let whiles = &self.story.whiles;
        // They are in the order of their ends.
        let from = whiles.partition_point(|one| one.to <= end.at);
        let change = whiles[from..]
            .iter()
            .take(64)
            .find(|one| one.thread == end.thread);
        let bounds = [
            next(&self.story.sends),
            next(&self.story.receives),
            change.map(|one| one.to),
        ];
        let bound = bounds.into_iter().flatten().min();
        let length = bound.map_or(DRAWN_NS, |to| self.clock.time(to) - self.clock.time(end.at));
        length.min(DRAWN_NS)
    }
}

/// What a frame is, by its first bytes.
fn frame_name(event: &Event) -> &'static str {
    if !is_datagram(event) {
        return match flip::Kind::from_u8((event.b >> 8) as u8) {
            Some(flip::Kind::Locate) => "LOCATE",
            Some(flip::Kind::HereIs) => "HEREIS",
            Some(flip::Kind::MultiData) => "MULTIDATA",
            Some(flip::Kind::NotHere) => "NOTHERE",
            Some(flip::Kind::Untrusted) => "UNTRUSTED",
            Some(flip::Kind::UniData) | None => "frame",
        };
    }
    match session::Kind::from_u8((event.b >> 40) as u8) {
        Some(session::Kind::Hello) => "HELLO",
        Some(session::Kind::Welcome) => "WELCOME",
        Some(session::Kind::Message) => "MESSAGE",
        Some(session::Kind::Part) => "PART",
        Some(session::Kind::Ack) => "ACK",
        Some(session::Kind::Probe) => "PROBE",
        Some(session::Kind::Reset) => "RESET",
        Some(session::Kind::Control) => "CONTROL",
        None => "datagram",
    }
}

fn right(event: &Event) -> String {
    let kind = match event.detail {
        1 => "receive",
        2 => "send",
        _ => "send-once",
    };
    match (event.c, event.d) {
        (_, 0) => format!("a {kind} right of another node"),
        (place, generation) => format!("a {kind} right to port {place}.{generation}"),
    }
}

/// The arrows, on one node and between two.
fn arrows(clocks: &[Clock], stories: &[Story], drawn: &mut Vec<Drawn>) {
    let mut number = 0_u64;
    let mut arrow = |from: (usize, &End), to: (usize, &End)| {
        number += 1;
        let name = if from.0 == to.0 {
            "message"
        } else {
            "message over the network"
        };
        for ((node, end), phase) in [(from, "s"), (to, "f")] {
            let mut value = json!({ "ph": phase, "id": number, "name": name, "cat": "message" });
            if phase == "f" {
                // To what is there at that time, and not to what comes next.
                value["bp"] = json!("e");
            }
            drawn.push(Drawn {
                at: clocks[node].time(end.at),
                length: None,
                row: (node as u64 + 1) * ROWS + u64::from(end.thread),
                value,
            });
        }
    };
    for (node, story) in stories.iter().enumerate() {
        for (send, receive) in &story.here {
            arrow(
                (node, &story.sends[*send]),
                (node, &story.receives[*receive]),
            );
        }
        for (frame, send) in &story.left {
            let others = stories
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != node);
            let came =
                others.filter_map(|(other, story)| Some((other, story, *story.came.get(frame)?)));
            for (other, their, receive) in came {
                arrow(
                    (node, &story.sends[*send]),
                    (other, &their.receives[receive]),
                );
            }
        }
    }
}
