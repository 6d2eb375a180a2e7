//! What goes on at a node: rates between two looks, again and again.

use super::headline;
use super::ports::name;
use super::rights::{groups_json, grown, kept_json};
use super::sessions::{is_visit, loss, round_trip};
use crate::inspect::commands::{TopArgs, interval};
use crate::inspect::growth::Growth;
use crate::inspect::model::place;
use crate::inspect::table::{TextTable, bytes, count, signed, time};
use crate::inspect::{Model, Visit};
use crate::signals;
use crate::status::Status;
use norma_inspect::rows::Counters;
use serde_json::json;
use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Rows of ports, and of sessions, that are shown.
const SHOWN: usize = 12;

/// One look.
struct Look {
    model: Model,
    counters: Vec<Counters>,
    at: Duration,
}

impl Look {
    fn new(visit: &Visit) -> anyhow::Result<Self> {
        let model = Model::new(&visit.node)?;
        let (counters, at) = visit.node.table()?;
        Ok(Self {
            model,
            counters,
            at,
        })
    }

    /// What a counter says, all its kinds together.
    fn value(&self, name: &str) -> u64 {
        let counters = self.counters.iter().filter(|counter| counter.name == name);
        counters.map(|counter| counter.value).sum()
    }
}

/// What is between two looks.
struct Between<'a> {
    before: &'a Look,
    now: &'a Look,
}

impl Between<'_> {
    fn seconds(&self) -> f64 {
        self.now
            .at
            .saturating_sub(self.before.at)
            .as_secs_f64()
            .max(1e-3)
    }

    fn rate(&self, name: &str) -> f64 {
        let grown = self.now.value(name).saturating_sub(self.before.value(name));
        grown as f64 / self.seconds()
    }

    /// Messages received at each port per second, the busiest first.
    fn ports(&self) -> Vec<(u64, f64)> {
        let before: HashMap<u64, u64> = ports(&self.before.model).collect();
        let mut rates: Vec<_> = ports(&self.now.model)
            .map(|(port, received)| {
                // The count has 32 bits, and wraps.
                let earlier = before.get(&port).copied().unwrap_or(received);
                let grown = (received as u32).wrapping_sub(earlier as u32);
                (port, f64::from(grown) / self.seconds())
            })
            .collect();
        rates.sort_by(|one, other| other.1.total_cmp(&one.1));
        rates
    }

    /// Frames sent and received per second, of each session, the busiest first.
    fn sessions(&self) -> Vec<(usize, f64, f64)> {
        let all = self.now.model.sessions.iter().enumerate();
        let rates = all.map(|(place, row)| {
            let mut earlier = self.before.model.sessions.iter();
            let earlier = earlier
                .find(|earlier| (earlier.session, earlier.address) == (row.session, row.address));
            let rate = |now: u64, before: Option<u64>| {
                let grown = (now as u32).wrapping_sub(before.unwrap_or(now) as u32);
                f64::from(grown) / self.seconds()
            };
            (
                place,
                rate(row.next_sent, earlier.map(|row| row.next_sent)),
                rate(row.next_received, earlier.map(|row| row.next_received)),
            )
        });
        let mut rates: Vec<_> = rates.collect();
        rates.sort_by(|one, other| (other.1 + other.2).total_cmp(&(one.1 + one.2)));
        rates
    }

    fn lines(&self) -> Vec<String> {
        let model = &self.now.model;
        let per = |name| count(self.rate(name).round() as u64);
        let free = self.now.value("memory_free_bytes");
        let all = free + self.now.value("memory_used_bytes");
        let mut lines = vec![
            headline(model),
            format!(
                "per second: {} messages out, {} in; {} frames out, {} in, {} dropped; \
                 {} interrupts, {} switches",
                per("messages_carried"),
                per("messages_delivered"),
                per("card_frames_sent"),
                per("card_frames_received"),
                count(
                    (self.rate("flip_frames_dropped") + self.rate("session_frames_dropped")).round()
                        as u64
                ),
                per("interrupts"),
                per("thread_switches"),
            ),
            format!("memory: {} of {} free", bytes(free), bytes(all)),
            String::new(),
        ];
        let mut table = TextTable::new(&[">MESSAGES/S", ">PORT", "NAME", "RECEIVER", ">QUEUE"]);
        for (number, rate) in self.ports().into_iter().take(SHOWN) {
            if let Some(row) = model.port(number) {
                table.row([
                    count(rate.round() as u64),
                    place(number).to_string(),
                    name(row),
                    model.receiver(row),
                    format!("{}/{}", row.queued.max(row.under_way), row.limit),
                ]);
            }
        }
        lines.extend(table.lines());
        lines.push(String::new());
        let mut table = TextTable::new(&[
            "PEER",
            ">FRAMES/S OUT",
            ">IN",
            ">ROUND TRIP",
            ">UNDER WAY",
            ">WINDOW",
            ">LOST",
        ]);
        // Of commands that looked into the node only those that still do.
        let shown = self
            .sessions()
            .into_iter()
            .filter(|(place, sent, received)| {
                !is_visit(&model.sessions[*place]) || sent + received > 0.0
            });
        for (place, sent, received) in shown.take(SHOWN) {
            let row = &model.sessions[place];
            table.row([
                row.peer.to_string(),
                count(sent.round() as u64),
                count(received.round() as u64),
                round_trip(row).map(time).unwrap_or_default(),
                count(row.under_way),
                count(row.window),
                format!("{:.1} %", loss(row) * 100.0),
            ]);
        }
        lines.extend(table.lines());
        lines.push(String::new());
        lines.extend(self.growing());
        let shares = self.growth().shares();
        lines.extend(super::short(model, shares.as_ref()));
        lines
    }

    fn growth(&self) -> Growth<'_> {
        Growth {
            before: Some(&self.before.model),
            now: &self.now.model,
        }
    }

    /// Which rights become more, and which thread keeps them; nothing when none do.
    fn growing(&self) -> Vec<String> {
        let grows = |rate: Option<f64>| rate.is_some_and(|rate| rate > 0.0);
        let mut table = TextTable::new(&[">RIGHTS/S", "HELD BY", "RIGHT", "TO PORTS OF", ">NOW"]);
        let groups = self.growth().groups().into_iter();
        for (group, held) in groups
            .filter(|(_, held)| grows(held.per_second))
            .take(SHOWN)
        {
            table.row([
                grown(held.per_second),
                group.holder,
                group.kind.to_owned(),
                group.of,
                count(held.references),
            ]);
        }
        let threads = self.growth().threads().into_iter();
        for thread in threads
            .filter(|thread| grows(thread.per_second))
            .take(SHOWN)
        {
            table.row([
                grown(thread.per_second),
                format!("thread {} ({})", thread.name, thread.thread),
                String::new(),
                String::new(),
                signed(thread.kept),
            ]);
        }
        if table.is_empty() {
            return Vec::new();
        }
        let mut lines = table.lines();
        lines.push(String::new());
        lines
    }

    fn json(&self) -> serde_json::Value {
        let model = &self.now.model;
        let ports = self.ports().into_iter().map(|(port, rate)| {
            let name = model.port(port).map_or("", |row| row.name.as_str());
            json!({ "port": port, "name": name, "messages_per_s": rate })
        });
        let sessions = self.sessions().into_iter().map(|(place, sent, received)| {
            let row = &model.sessions[place];
            json!({
                "peer": row.peer.as_str(),
                "session": row.session,
                "frames_sent_per_s": sent,
                "frames_received_per_s": received,
            })
        });
        json!({
            "seconds": self.seconds(),
            "messages_out_per_s": self.rate("messages_carried"),
            "messages_in_per_s": self.rate("messages_delivered"),
            "frames_out_per_s": self.rate("card_frames_sent"),
            "frames_in_per_s": self.rate("card_frames_received"),
            "interrupts_per_s": self.rate("interrupts"),
            "switches_per_s": self.rate("thread_switches"),
            "ports": ports.collect::<Vec<_>>(),
            "sessions": sessions.collect::<Vec<_>>(),
            "rights": groups_json(&self.growth()),
            "threads": kept_json(&self.growth()),
            "processor": self.growth().shares().map(|shares| {
                let threads = model.threads.iter().filter_map(|thread| {
                    let share = shares.get(&thread.number)?;
                    Some(json!({
                        "number": thread.number,
                        "name": thread.name.as_str(),
                        "share": share,
                    }))
                });
                threads.collect::<Vec<_>>()
            }),
        })
    }
}

/// Ports and how many messages were received from them.
fn ports(model: &Model) -> impl Iterator<Item = (u64, u64)> {
    model.ports.iter().map(|row| (row.port, row.received))
}

/// Shows what goes on until it is told to end.
///
/// # Errors
/// The node does not answer any more.
pub fn top(visit: &Visit, args: &TopArgs) -> anyhow::Result<Status> {
    let interval = interval(args.interval)?;
    let lively = std::io::stdout().is_terminal() && !args.node.how.json;
    let mut before = Look::new(visit)?;
    for _ in 0..args.count.unwrap_or(u64::MAX) {
        if !signals::pause(interval) {
            return Ok(Status::Interrupted);
        }
        let now = Look::new(visit)?;
        let between = Between {
            before: &before,
            now: &now,
        };
        let mut stdout = std::io::stdout().lock();
        let written = match args.node.how.json {
            // One object a line, for whoever reads along.
            true => {
                let json = super::with_node(&visit.cluster, &now.model, between.json());
                writeln!(stdout, "{json}")
            }
            false => {
                // Home, then each line with what was behind it wiped out, then what was below.
                let (home, wipe, below) = match lively {
                    true => ("\x1b[H", "\x1b[K", "\x1b[J"),
                    false => ("", "", ""),
                };
                let mut text = home.to_owned();
                for line in fitting(between.lines(), lively) {
                    text.push_str(&format!("{line}{wipe}\n"));
                }
                write!(stdout, "{text}{below}")
            }
        };
        if written.and_then(|()| stdout.flush()).is_err() {
            return Ok(Status::Pass); // Nobody reads any more.
        }
        drop(stdout);
        before = now;
    }
    Ok(Status::Pass)
}

/// As many lines, and as much of each, as the terminal shows.
fn fitting(mut lines: Vec<String>, lively: bool) -> Vec<String> {
    let size = lively.then(|| rustix::termios::tcgetwinsize(std::io::stdout()).ok());
    if let Some(size) = size.flatten()
        && size.ws_row > 1
    {
        lines.truncate(usize::from(size.ws_row) - 1);
        for line in &mut lines {
            *line = line.chars().take(usize::from(size.ws_col)).collect();
        }
    }
    lines
}
