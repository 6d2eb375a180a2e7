//! Memory, and everything that is counted, as metrics.

use super::headline;
use super::sessions::{loss, round_trip};
use crate::inspect::Model;
use crate::inspect::table::{TextTable, bytes, count};
use norma_inspect::rows::{Counters, Kind, Sessions};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn value(counters: &[Counters], name: &str) -> u64 {
    let counter = counters.iter().find(|counter| counter.name == name);
    counter.map_or(0, |counter| counter.value)
}

/// Bytes of the stacks of all threads.
fn stacks(model: &Model) -> u64 {
    model.threads.iter().map(|thread| thread.stack).sum()
}

/// Memory, for programs.
pub fn memory_json(model: &Model, counters: &[Counters]) -> Value {
    let of = |name| value(counters, name);
    json!({ "memory": {
        "total_bytes": of("memory_free_bytes") + of("memory_used_bytes"),
        "free_bytes": of("memory_free_bytes"),
        "used_bytes": of("memory_used_bytes"),
        "stack_bytes": stacks(model),
        "heap_region_bytes": of("memory_heap_region_bytes"),
        "heap_blocks": of("memory_heap_blocks"),
        "frames_allocated": of("memory_frames_allocated"),
        "frames_freed": of("memory_frames_freed"),
        "frames_copied": of("memory_frames_copied"),
    }})
}

/// Memory, for people.
pub fn memory_lines(model: &Model, counters: &[Counters]) -> Vec<String> {
    let of = |name| value(counters, name);
    let (free, used) = (of("memory_free_bytes"), of("memory_used_bytes"));
    let total = free + used;
    let part = |number: u64| format!("{:.1} %", number as f64 * 100.0 / total.max(1) as f64);
    let mut table = TextTable::new(&["MEMORY", ">BYTES", ">OF ALL"]);
    for (what, number) in [
        ("all that the kernel gives out", total),
        ("free", free),
        ("in use", used),
        ("  stacks of threads", stacks(model)),
        ("  heap for large blocks", of("memory_heap_region_bytes")),
    ] {
        table.row([what.to_owned(), bytes(number), part(number)]);
    }
    let mut lines = vec![headline(model)];
    lines.extend(table.lines());
    lines.push(format!(
        "{} blocks of the heap in use; since the start {} frames of 4 KiB taken, {} given back, {} copied",
        count(of("memory_heap_blocks")),
        count(of("memory_frames_allocated")),
        count(of("memory_frames_freed")),
        count(of("memory_frames_copied")),
    ));
    lines
}

/// A label's value, in quotes.
fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}

/// Whether a name can be a metric's: nodes may send any.
fn is_metric(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Everything that a node counts, as OpenMetrics text, version 1.0.0.
pub fn metrics_lines(node: &str, counters: &[Counters], sessions: &[Sessions]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut begun = BTreeSet::new();
    // No series comes twice, whatever a node says.
    let mut told = BTreeSet::new();
    let node = quoted(node);
    for counter in counters.iter().filter(|counter| is_metric(&counter.name)) {
        let name = format!("norma_{}", counter.name);
        let (word, suffix) = match Kind::from_number(counter.kind) {
            Some(Kind::Counter) => ("counter", "_total"),
            _ => ("gauge", ""),
        };
        // The samples of a metric stand together; a node that mixes them is not shown twice.
        if begun.insert(name.clone()) {
            lines.push(format!("# TYPE {name} {word}"));
            if name.ends_with("_bytes") {
                lines.push(format!("# UNIT {name} bytes"));
            }
        } else if !lines.last().is_some_and(|last| last.starts_with(&name)) {
            continue;
        }
        let label = match counter.label.as_str() {
            "" => String::new(),
            label => format!(",reason={}", quoted(label)),
        };
        let series = format!("{name}{suffix}{{node={node}{label}}}");
        if told.insert(series.clone()) {
            lines.push(format!("{series} {}", counter.value));
        }
    }
    type Value = fn(&Sessions) -> Option<f64>;
    let metrics: [(&str, &str, &str, Value); 6] = [
        ("session_round_trip_seconds", "gauge", "", |row| {
            round_trip(row).map(|nanos| nanos as f64 / 1e9)
        }),
        ("session_window_frames", "gauge", "", |row| {
            Some(row.window as f64)
        }),
        ("session_under_way_frames", "gauge", "", |row| {
            Some(row.under_way as f64)
        }),
        ("session_credit_frames", "gauge", "", |row| {
            Some(row.credit as f64)
        }),
        ("session_loss_ratio", "gauge", "", |row| Some(loss(row))),
        ("session_repeated_frames", "counter", "_total", |row| {
            Some(row.repeated as f64)
        }),
    ];
    for (name, word, suffix, value) in metrics {
        lines.push(format!("# TYPE norma_{name} {word}"));
        if let Some(unit) = ["seconds", "frames", "ratio"]
            .iter()
            .find(|unit| name.ends_with(*unit))
        {
            lines.push(format!("# UNIT norma_{name} {unit}"));
        }
        // A superseded session has the labels of its successor (W-35), which is the one in use.
        for row in sessions.iter().filter(|row| row.superseded == 0) {
            let Some(value) = value(row) else {
                continue;
            };
            let series = format!(
                "norma_{name}{suffix}{{node={node},peer={},address=\"{:016x}\"}}",
                quoted(&row.peer),
                row.address
            );
            if told.insert(series.clone()) {
                lines.push(format!("{series} {value}"));
            }
        }
    }
    lines.push("# EOF".into());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_open_metrics_whatever_a_node_says() {
        let counters = [
            Counters::new("threads", Kind::Gauge, 3),
            Counters::with_label("frames_dropped", "stale", Kind::Counter, 7),
            Counters::with_label("frames_dropped", "a\"b\n", Kind::Counter, 1),
            Counters::new("bad name\n# EOF", Kind::Gauge, 1),
            Counters::new("threads", Kind::Gauge, 4),
        ];
        let session = Sessions {
            peer: norma_inspect::rows::text("b"),
            round_trip: 250_000,
            loss: 512,
            ..Sessions::default()
        };
        let lines = metrics_lines("a", &counters, &[session]);
        assert_eq!(
            lines[..5],
            [
                "# TYPE norma_threads gauge",
                "norma_threads{node=\"a\"} 3",
                "# TYPE norma_frames_dropped counter",
                "norma_frames_dropped_total{node=\"a\",reason=\"stale\"} 7",
                "norma_frames_dropped_total{node=\"a\",reason=\"a\\\"b\\n\"} 1",
            ]
        );
        let round_trip = "norma_session_round_trip_seconds{node=\"a\",peer=\"b\",\
                          address=\"0000000000000000\"} 0.00025";
        assert!(lines.iter().any(|line| line == round_trip), "{lines:?}");
        assert_eq!(lines.last().unwrap(), "# EOF");
        assert_eq!(lines.iter().filter(|line| line.contains("EOF")).count(), 1);
    }

    /// Two sessions with one node, as they are when both sides begin at once, and a counter twice.
    #[test]
    fn no_series_comes_twice() {
        let counters = [3, 4].map(|value| Counters::new("threads", Kind::Gauge, value));
        let session = |superseded, window| Sessions {
            peer: norma_inspect::rows::text("b"),
            round_trip: 250_000,
            superseded,
            window,
            ..Sessions::default()
        };
        let sessions = [session(1, 11), session(0, 22), session(0, 33)];
        let lines = metrics_lines("a", &counters, &sessions);
        let series = lines.iter().filter(|line| !line.starts_with('#'));
        let names: Vec<_> = series.filter_map(|line| line.rsplit_once(' ')).collect();
        let distinct: BTreeSet<_> = names.iter().map(|(name, _)| name).collect();
        assert_eq!(distinct.len(), names.len(), "{lines:#?}");
        assert_eq!(names.len(), 1 + 6);
        // Of the two, the session that is used.
        let window = names.iter().find(|(name, _)| name.contains("_window_"));
        assert_eq!(window.unwrap().1, "22");
    }
}
