//! Ports: their queues, who receives from them and who can send to them.

use super::headline;
use crate::inspect::Model;
use crate::inspect::model::{Senders, place, thread_text};
use crate::inspect::table::{TextTable, count};
use norma_inspect::rows::{Holder, Ports, port};
use serde_json::{Value, json};

/// Whether it is there only for answers to a thread's calls.
fn is_for_answers(row: &Ports) -> bool {
    Holder::from_number(row.holder) == Some(Holder::Thread)
}

fn wanted(model: &Model, all: bool) -> impl Iterator<Item = &Ports> {
    let ports = model.ports.iter();
    ports.filter(move |row| all || !is_for_answers(row))
}

/// What a port is called, or what it is for.
pub(super) fn name(row: &Ports) -> String {
    match (row.name.as_str(), row.slot) {
        ("", 1) => "(device port)".to_owned(),
        ("", 2) => "(host port)".to_owned(),
        ("", 3) => "(name port)".to_owned(),
        ("", 0) => String::new(),
        ("", slot) => format!("(special port {slot})"),
        (name, _) => name.to_owned(),
    }
}

/// Ports, for programs.
pub fn ports_json(model: &Model, all: bool) -> Value {
    let ports = wanted(model, all).map(|row| {
        let threads = |threads: Vec<u64>| json!(threads);
        json!({
            "port": row.port,
            "number": place(row.port),
            "name": row.name.as_str(),
            "special_port": (row.slot > 0).then_some(row.slot),
            "identity": (row.identity > 0).then(|| format!("{:016x}", row.identity)),
            "moves": row.moves,
            "dead": row.flags & port::DEAD != 0,
            "node": (row.session > 0).then_some(row.peer.as_str()),
            "holder": Holder::word_for(row.holder),
            "receiver": model.receiver(row),
            "set": (row.set > 0).then(|| row.set - 1),
            "queued": row.queued,
            "under_way": row.under_way,
            "limit": row.limit,
            "received": row.received,
            "rights_made": row.made,
            "send_rights": row.sends,
            "pins": row.pins,
            "send_once_rights": row.send_onces,
            "senders": model.senders(row),
            "receiving_threads": threads(model.receivers(row).map(|t| t.number).collect()),
            "blocked_threads": threads(model.blocked(row).map(|t| t.number).collect()),
        })
    });
    json!({ "ports": ports.collect::<Vec<_>>() })
}

/// Ports, for people.
pub fn ports_lines(model: &Model, all: bool) -> Vec<String> {
    let mut table = TextTable::new(&[
        ">#",
        "NAME",
        "RECEIVER",
        ">QUEUE",
        ">RECEIVED",
        "SENDERS",
        "THREADS",
    ]);
    let mut left_out = 0;
    for row in &model.ports {
        if !all && is_for_answers(row) {
            left_out += 1;
            continue;
        }
        let here = row.queued.max(row.under_way);
        table.row([
            place(row.port).to_string(),
            name(row),
            model.receiver(row),
            format!("{here}/{}", row.limit),
            count(row.received),
            senders(&model.senders(row)),
            threads(model, row),
        ]);
    }
    let mut lines = vec![headline(model)];
    lines.extend(table.lines());
    if left_out > 0 {
        lines.push(format!(
            "and {left_out} for answers to calls: --all shows them"
        ));
    }
    lines
}

fn senders(senders: &Senders) -> String {
    let mut parts = Vec::new();
    if senders.here > 0 {
        parts.push(format!("{} here", count(senders.here)));
    }
    // What it holds of them now, only the other node knows.
    for (node, rights) in &senders.nodes {
        let held = match senders.held_nodes.get(node) {
            Some(held) => format!(" ({} held)", count(*held)),
            None => String::new(),
        };
        parts.push(format!("{} sent to {node}{held}", count(*rights)));
    }
    if senders.elsewhere > 0 {
        parts.push(format!("{} held by the kernel", count(senders.elsewhere)));
    }
    if senders.once_here > 0 {
        parts.push(format!("{} once", count(senders.once_here)));
    }
    for (node, rights) in &senders.once_nodes {
        parts.push(format!("{} once at {node}", count(*rights)));
    }
    parts.join(", ")
}

/// The threads at a port, the first by their names.
fn threads(model: &Model, row: &Ports) -> String {
    let mut parts = Vec::new();
    for (what, threads) in [
        ("receives", model.receivers(row).collect::<Vec<_>>()),
        ("waits to send", model.blocked(row).collect()),
    ] {
        match &threads[..] {
            [] => {}
            [one] => parts.push(format!("{} {what}", thread_text(one))),
            [first, rest @ ..] => {
                parts.push(format!(
                    "{} {what}, and {} more",
                    thread_text(first),
                    rest.len()
                ));
            }
        }
    }
    parts.join("; ")
}
