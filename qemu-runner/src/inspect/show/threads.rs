//! Threads.

use super::headline;
use crate::inspect::Model;
use crate::inspect::table::{TextTable, bytes, time};
use norma_inspect::rows::{ThreadState, Threads};
use serde_json::{Value, json};
use std::collections::HashMap;

/// Threads, for programs.
pub fn threads_json(model: &Model) -> Value {
    let threads = model.threads.iter().map(|thread| {
        json!({
            "number": thread.number,
            "name": thread.name.as_str(),
            "task": thread.task.as_str(),
            "state": ThreadState::word_for(thread.state),
            "priority": thread.priority,
            "own_priority": thread.own_priority,
            "waits": model.waits(thread),
            "stack_bytes": thread.stack,
            "stack_used_bytes": thread.stack_used,
            "reply_port": (thread.reply_port > 0).then_some(thread.reply_port),
            "ran_ns": (thread.ran > 0).then_some(thread.ran),
            "rights_taken": thread.rights_taken,
            "rights_given_up": thread.rights_given_up,
        })
    });
    json!({ "threads": threads.collect::<Vec<_>>() })
}

/// Which are worth a line: what runs is this question's own thread.
fn state(thread: &Threads) -> &'static str {
    ThreadState::word_for(thread.state)
}

/// Threads in short.
pub fn ps_lines(model: &Model) -> Vec<String> {
    let mut lines = vec![headline(model)];
    lines.extend(short(model, None));
    lines
}

/// The same without the line above, with the part of the processor that each had, where the node
/// counts that.
pub fn short(model: &Model, shares: Option<&HashMap<u64, f64>>) -> Vec<String> {
    let mut heads = vec![">#", "NAME", ">PRIO", "STATE", "WAITS FOR"];
    if shares.is_some() {
        heads.insert(3, ">RAN");
    }
    let mut table = TextTable::new(&heads);
    for thread in &model.threads {
        let mut cells = vec![
            thread.number.to_string(),
            thread.name.to_string(),
            thread.priority.to_string(),
            state(thread).to_owned(),
            model.waits_text(thread),
        ];
        if let Some(shares) = shares {
            let share = shares.get(&thread.number).copied().unwrap_or_default();
            cells.insert(3, format!("{:.1} %", share * 100.0));
        }
        table.row(cells);
    }
    table.lines()
}

/// Threads with all that is known of them.
pub fn threads_lines(model: &Model) -> Vec<String> {
    let mut table = TextTable::new(&[
        ">#",
        "NAME",
        "TASK",
        ">PRIO",
        ">OWN",
        "STATE",
        ">STACK",
        ">USED",
        ">RAN",
        "ANSWERS AT",
        "WAITS FOR",
    ]);
    for thread in &model.threads {
        let used = match thread.stack_used {
            0 => String::new(),
            used => bytes(used),
        };
        let ran = match thread.ran {
            0 => String::new(),
            ran => time(ran),
        };
        let answers = match thread.reply_port {
            0 => String::new(),
            port => model.port_text(port),
        };
        table.row([
            thread.number.to_string(),
            thread.name.to_string(),
            thread.task.to_string(),
            thread.priority.to_string(),
            thread.own_priority.to_string(),
            state(thread).to_owned(),
            bytes(thread.stack),
            used,
            ran,
            answers,
            model.waits_text(thread),
        ]);
    }
    let mut lines = vec![headline(model)];
    lines.extend(table.lines());
    lines
}
