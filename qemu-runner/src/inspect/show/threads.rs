//! Threads.

use super::headline;
use crate::inspect::Model;
use crate::inspect::table::{TextTable, bytes};
use norma_inspect::rows::{ThreadState, Threads};
use serde_json::{Value, json};

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
    let mut table = TextTable::new(&[">#", "NAME", ">PRIO", "STATE", "WAITS FOR"]);
    for thread in &model.threads {
        table.row([
            thread.number.to_string(),
            thread.name.to_string(),
            thread.priority.to_string(),
            state(thread).to_owned(),
            model.waits_text(thread),
        ]);
    }
    let mut lines = vec![headline(model)];
    lines.extend(table.lines());
    lines
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
        "ANSWERS AT",
        "WAITS FOR",
    ]);
    for thread in &model.threads {
        let used = match thread.stack_used {
            0 => String::new(),
            used => bytes(used),
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
            answers,
            model.waits_text(thread),
        ]);
    }
    let mut lines = vec![headline(model)];
    lines.extend(table.lines());
    lines
}
