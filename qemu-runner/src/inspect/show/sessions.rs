//! Sessions.

use super::headline;
use crate::inspect::Model;
use crate::inspect::table::{TextTable, count, time};
use crate::inspect::visit::VISITOR;
use norma_inspect::rows::{Sessions, Stage};
use serde_json::{Value, json};

/// What part of the frames was lost lately.
pub fn loss(session: &Sessions) -> f64 {
    session.loss as f64 / 1024.0
}

/// Whether the peer is a command as this one, or was: that is noticed within a minute.
pub fn is_visit(session: &Sessions) -> bool {
    session.peer.starts_with(VISITOR)
}

/// The round trip, once one was measured.
pub fn round_trip(session: &Sessions) -> Option<u64> {
    (session.round_trip > 0).then_some(session.round_trip)
}

/// Sessions, for programs.
pub fn sessions_json(model: &Model) -> Value {
    let sessions = model.sessions.iter().map(|row| {
        json!({
            "session": row.session,
            "peer": row.peer.as_str(),
            "address": format!("{:016x}", row.address),
            "state": Stage::word_for(row.state),
            "superseded": row.superseded != 0,
            "round_trip_ns": round_trip(row),
            "silence_ns": row.silence,
            "frames_under_way": row.under_way,
            "window": row.window,
            "credit": row.credit,
            "credit_given": row.credit_given,
            "next_sent": row.next_sent,
            "next_received": row.next_received,
            "frames_repeated": row.repeated,
            "loss": loss(row),
            "exports": row.exports,
            "imports": row.imports,
            "messages_outgoing": row.outgoing,
            "messages_incoming": row.incoming,
        })
    });
    json!({ "sessions": sessions.collect::<Vec<_>>() })
}

/// Sessions, for people.
pub fn sessions_lines(model: &Model, all: bool) -> Vec<String> {
    let mut table = TextTable::new(&[
        "PEER",
        "STATE",
        ">ROUND TRIP",
        ">UNDER WAY",
        ">WINDOW",
        ">CREDIT",
        ">GIVEN",
        ">LOST",
        ">REPEATED",
        ">EXPORTS",
        ">IMPORTS",
        ">OUT",
        ">IN",
        ">SILENT",
    ]);
    let hidden = model.sessions.iter().filter(|row| is_visit(row)).count();
    for row in model.sessions.iter().filter(|row| all || !is_visit(row)) {
        let peer = match row.peer.as_str() {
            "" => format!("{:016x}", row.address),
            peer => peer.to_owned(),
        };
        let state = match row.superseded {
            0 => Stage::word_for(row.state),
            _ => "superseded",
        };
        table.row([
            peer,
            state.to_owned(),
            round_trip(row).map(time).unwrap_or_default(),
            count(row.under_way),
            count(row.window),
            count(row.credit),
            count(row.credit_given),
            format!("{:.1} %", loss(row) * 100.0),
            count(row.repeated),
            count(row.exports),
            count(row.imports),
            count(row.outgoing),
            count(row.incoming),
            time(row.silence),
        ]);
    }
    let mut lines = vec![headline(model)];
    lines.extend(table.lines());
    if hidden > 0 && !all {
        lines.push(format!(
            "and {hidden} of commands as this one, for up to a minute: --all shows them"
        ));
    }
    lines
}
