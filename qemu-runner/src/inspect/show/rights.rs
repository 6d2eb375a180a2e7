//! Rights: what each space has names for, what other nodes hold, what is held of theirs.
//!
//! In short they are put together by who has them and for whose ports they are: a service that
//! forgets to give up a right for each call shows as one line whose count grows.

use super::headline;
use crate::inspect::Model;
use crate::inspect::model::place;
use crate::inspect::table::{TextTable, count};
use norma_inspect::rows::{Exports, Names, right};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn kind(flags: u64) -> &'static str {
    let is = |bit| flags & bit != 0;
    match () {
        () if is(right::DEAD) => "dead name",
        () if is(right::SET) => "port set",
        () if is(right::RECEIVE) && is(right::SEND) => "receive, send",
        () if is(right::RECEIVE) => "receive",
        () if is(right::SEND_ONCE) => "send-once",
        () if is(right::PINNED) => "keeps the port",
        () => "send",
    }
}

fn holder(row: &Names) -> String {
    match row.task.as_str() {
        "" => format!("space {}", row.space),
        task => task.to_owned(),
    }
}

/// Where the port of a right is.
fn whose(model: &Model, port: u64, session: u64) -> String {
    let row = model.port(port);
    let session = match (row, session) {
        (Some(row), _) => row.session,
        (None, session) => session,
    };
    if session == 0 {
        return "this node".into();
    }
    let of = |peer: &str| format!("node {peer}");
    match row {
        Some(row) if !row.peer.is_empty() => of(&row.peer),
        _ => {
            let mut sessions = model.sessions.iter();
            let session = sessions.find(|row| row.session == session - 1);
            session.map_or_else(|| of("?"), |session| of(&session.peer))
        }
    }
}

fn name_json(model: &Model, row: &Names) -> Value {
    json!({
        "space": row.space,
        "task": row.task.as_str(),
        "name": row.name,
        "kind": kind(row.flags),
        "sends": row.sends,
        "port": (row.port > 0).then_some(row.port),
        "set": (row.set > 0).then(|| row.set - 1),
        "of": (row.set == 0).then(|| whose(model, row.port, row.session)),
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

/// Rights, for programs.
pub fn rights_json(model: &Model) -> Value {
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
    })
}

/// Rights, for people.
pub fn rights_lines(model: &Model, all: bool) -> Vec<String> {
    let mut lines = vec![headline(model)];
    if all {
        lines.extend(each(model));
        return lines;
    }
    let mut groups: BTreeMap<(String, &'static str, String), (u64, u64)> = BTreeMap::new();
    let mut add = |holder: String, kind, of: String, references: u64| {
        let group = groups.entry((holder, kind, of)).or_default();
        group.0 += 1;
        group.1 += references;
    };
    for row in &model.names {
        let of = match row.set {
            0 => whose(model, row.port, row.session),
            _ => String::new(),
        };
        add(holder(row), kind(row.flags), of, row.sends.max(1));
    }
    for row in &model.exports {
        let holder = format!("node {}", row.peer);
        add(
            holder,
            kind(row.flags),
            whose(model, row.port, 0),
            row.rights,
        );
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, (names, references))| std::cmp::Reverse((*names, *references)));
    let mut table = TextTable::new(&["HELD BY", "RIGHT", "TO PORTS OF", ">NAMES", ">REFERENCES"]);
    for ((holder, kind, of), (names, references)) in groups {
        table.row([holder, kind.to_owned(), of, count(names), count(references)]);
    }
    lines.extend(table.lines());
    lines.push("--all shows each by itself".into());
    lines
}

fn each(model: &Model) -> Vec<String> {
    let mut table = TextTable::new(&["HELD BY", ">AS", "RIGHT", ">REFERENCES", "PORT", "OF"]);
    for row in &model.names {
        let (port, of) = match (row.set, row.port) {
            (0, 0) => (String::new(), whose(model, 0, row.session)),
            (0, port) => (model.port_text(port), whose(model, port, 0)),
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
            whose(model, row.port, 0),
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
