//! Rights: what each space has names for, what other nodes hold, what is held of theirs.
//!
//! In short they are put together by who has them and for whose ports they are, and by the thread
//! that took them: a service that forgets to give up a right for each call shows as one line of
//! each whose count grows.

use super::headline;
use crate::inspect::Model;
use crate::inspect::growth::Growth;
use crate::inspect::model::{holder, kind, place};
use crate::inspect::table::{TextTable, count, signed};
use crate::inspect::visit::VISITOR;
use norma_inspect::rows::{Exports, Names};
use serde_json::{Value, json};

fn name_json(model: &Model, row: &Names) -> Value {
    json!({
        "space": row.space,
        "task": row.task.as_str(),
        "name": row.name,
        "kind": kind(row.flags),
        "sends": row.sends,
        "port": (row.port > 0).then_some(row.port),
        "set": (row.set > 0).then(|| row.set - 1),
        "of": (row.set == 0).then(|| model.whose(row.port, row.session)),
    })
}

fn export_json(row: &Exports) -> Value {
    json!({
        "node": row.peer.as_str(),
        "session": row.session,
        "index": row.index,
        "kind": kind(row.flags),
        "rights": row.rights,
        "port": (row.port > 0).then_some(row.port),
    })
}

/// By how much something grows in a second.
pub fn grown(per_second: Option<f64>) -> String {
    match per_second {
        None => String::new(),
        Some(rate) if rate.abs() < 0.05 => "0".into(),
        Some(rate) => format!("{rate:+.1}"),
    }
}

/// What is held, put together, and how fast it grows.
pub fn groups_json(growth: &Growth<'_>) -> Value {
    let groups = growth.groups().into_iter().map(|(group, held)| {
        json!({
            "held_by": group.holder,
            "kind": group.kind,
            "of": (!group.of.is_empty()).then_some(group.of),
            "names": held.names,
            "references": held.references,
            "references_per_s": held.per_second,
        })
    });
    groups.collect()
}

/// What each thread took and kept.
pub fn kept_json(growth: &Growth<'_>) -> Value {
    let threads = growth.threads().into_iter().map(|thread| {
        json!({
            "number": thread.thread,
            "name": thread.name,
            "rights_taken": thread.taken,
            "rights_given_up": thread.given_up,
            "rights_kept": thread.kept,
            "rights_kept_per_s": thread.per_second,
        })
    });
    threads.collect()
}

/// Rights, for programs.
pub fn rights_json(growth: &Growth<'_>) -> Value {
    let model = growth.now;
    let imports = model.imports.iter().map(|row| {
        json!({
            "node": row.peer.as_str(),
            "session": row.session,
            "index": row.index,
            "rights": row.rights,
            "unsettled": row.unsettled,
            "port": row.port,
        })
    });
    let names = model.names.iter().map(|row| name_json(model, row));
    json!({
        "names": names.collect::<Vec<_>>(),
        "exports": model.exports.iter().map(export_json).collect::<Vec<_>>(),
        "imports": imports.collect::<Vec<_>>(),
        "seconds": growth.seconds(),
        "groups": groups_json(growth),
        "threads": kept_json(growth),
    })
}

/// Rights, for people. Those by which commands as this one ask are left out where rights are put
/// together.
pub fn rights_lines(growth: &Growth<'_>, all: bool) -> Vec<String> {
    let mut lines = vec![headline(growth.now)];
    if all {
        lines.extend(each(growth.now));
        return lines;
    }
    let columns = [
        "HELD BY",
        "RIGHT",
        "TO PORTS OF",
        ">NAMES",
        ">REFERENCES",
        ">GROWN/S",
    ];
    let mut table = TextTable::new(&columns);
    let visit = format!("node {VISITOR}");
    let groups = growth.groups().into_iter();
    for (group, held) in groups.filter(|(group, _)| !group.holder.starts_with(&visit)) {
        table.row([
            group.holder,
            group.kind.to_owned(),
            group.of,
            count(held.names),
            count(held.references),
            grown(held.per_second),
        ]);
    }
    lines.extend(table.lines());
    let threads = growth.threads();
    if !threads.is_empty() {
        lines.push(String::new());
        let columns = [">#", "THREAD", ">TOOK", ">GAVE UP", ">KEPT", ">GROWN/S"];
        let mut table = TextTable::new(&columns);
        for thread in threads {
            table.row([
                thread.thread.to_string(),
                thread.name,
                count(thread.taken),
                count(thread.given_up),
                signed(thread.kept),
                grown(thread.per_second),
            ]);
        }
        lines.extend(table.lines());
    }
    lines.push("--all shows each right by itself".into());
    lines
}

fn each(model: &Model) -> Vec<String> {
    let mut table = TextTable::new(&["HELD BY", ">AS", "RIGHT", ">REFERENCES", "PORT", "OF"]);
    for row in &model.names {
        let (port, of) = match (row.set, row.port) {
            (0, 0) => (String::new(), model.whose(0, row.session)),
            (0, port) => (model.port_text(port), model.whose(port, 0)),
            (set, _) => (format!("set {}", set - 1), String::new()),
        };
        table.row([
            holder(row),
            row.name.to_string(),
            kind(row.flags).to_owned(),
            count(row.sends.max(1)),
            port,
            of,
        ]);
    }
    for row in &model.exports {
        let port = match row.port {
            0 => String::new(),
            port => model.port_text(port),
        };
        table.row([
            format!("node {}", row.peer),
            row.index.to_string(),
            kind(row.flags).to_owned(),
            count(row.rights),
            port,
            model.whose(row.port, 0),
        ]);
    }
    for row in &model.imports {
        table.row([
            "sessions".to_owned(),
            row.index.to_string(),
            "stand-in".to_owned(),
            count(row.rights),
            format!("#{}", place(row.port)),
            format!("node {}", row.peer),
        ]);
    }
    table.lines()
}
