//! The last events of a run, for whoever must understand a failure.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use norma_wire::{flip, layout, session};

/// Events that are remembered.
const KEPT: usize = 120;

#[derive(Default)]
pub(crate) struct Trace {
    lines: VecDeque<(Duration, Line)>,
}

enum Line {
    Text(String),
    Frame {
        from: usize,
        to: usize,
        fate: &'static str,
        head: Box<[u8]>,
        length: usize,
    },
}

impl Trace {
    fn push(&mut self, now: Duration, line: Line) {
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back((now, line));
    }

    pub(crate) fn text(&mut self, now: Duration, text: String) {
        self.push(now, Line::Text(text));
    }

    pub(crate) fn frame(
        &mut self,
        now: Duration,
        from: usize,
        to: usize,
        fate: &'static str,
        frame: &[u8],
    ) {
        let head = frame[..frame.len().min(layout::BODY_AT)].into();
        self.push(
            now,
            Line::Frame {
                from,
                to,
                fate,
                head,
                length: frame.len(),
            },
        );
    }

    pub(crate) fn tail(&self) -> String {
        let mut out = String::new();
        for (at, line) in &self.lines {
            let _ = write!(out, "{:>12.6} ", at.as_secs_f64());
            let _ = match line {
                Line::Text(text) => writeln!(out, "{text}"),
                Line::Frame {
                    from,
                    to,
                    fate,
                    head,
                    length,
                } => {
                    writeln!(out, "{from}->{to} {fate:<5} {}", describe(head, *length))
                }
            };
        }
        out
    }
}

/// A frame in one line.
fn describe(head: &[u8], length: usize) -> String {
    let Some(packet) = head.get(layout::FLIP_AT..).map(flip::Packet::new_checked) else {
        return format!("{length} bytes");
    };
    let Ok(packet) = packet else {
        return format!("{length} bytes, no packet");
    };
    let header = head
        .get(layout::SESSION_AT..)
        .map(session::Header::new_checked);
    match header {
        Some(Ok(header)) if packet.kind() == flip::Kind::UniData && packet.offset() == 0 => {
            let h = session::Repr::parse(&header);
            format!(
                "{:?} seq={} ack={} sel={:x} dest={:#x} reply={:#x} id={} memory={} after={} {:?} {length} bytes",
                h.kind,
                h.sequence,
                h.acknowledged,
                h.selective,
                h.destination,
                h.reply,
                h.id,
                h.memory,
                h.after,
                h.flags.bits(),
            )
        }
        _ => format!(
            "{:?} offset={} {length} bytes",
            packet.kind(),
            packet.offset()
        ),
    }
}
