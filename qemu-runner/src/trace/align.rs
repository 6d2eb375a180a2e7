//! Whose clock is how far ahead.
//!
//! Owns: one line of time for the stamps of all nodes. Each node stamps its events with a counter
//! of its own that begins with its QEMU. A frame cannot arrive before it was sent: so the fastest
//! frame from `a` to `b` bounds from one side how far `b` is ahead of `a`, and the fastest from
//! `b` to `a` from the other. The middle is taken; it is wrong by at most half of what the two
//! took together. Where three nodes or more contradict each other, clocks are moved until no
//! frame arrives before it was sent. Nodes that exchanged no frame keep the time at which the
//! host started them.
//!
//! The counters of all nodes are the host's, whoever emulates them, so they tick alike; but a
//! node that cannot ask how fast measures it, to a thousandth. So all are given the middle one of
//! the measured rates.
//! Source: Cristian, "Probabilistic clock synchronization", 1989, section 3.

use super::ring::Ring;
use norma_trace::{Event, Kind};
use norma_wire::session;
use std::collections::HashMap;

/// How far rates may lie apart to be those of one counter.
const ALIKE: f64 = 0.02;

/// A rate for nodes that ended before one of them knew it: that of a counter of 1 GHz.
const UNKNOWN_RATE: u64 = 1 << 32;

/// How to read the counter of one node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Clock {
    /// Nanoseconds per tick, times 2^32.
    rate: u64,
    /// Nanoseconds from the begin of the trace to where the counter stood at 0.
    pub(super) offset: i64,
    /// By how much that may be wrong, if it follows from frames.
    pub(super) uncertainty: Option<u64>,
}

impl Clock {
    /// The time of an event in nanoseconds since the begin of the trace.
    pub(super) fn time(&self, ticks: u64) -> i64 {
        self.own(ticks) + self.offset
    }

    fn own(&self, ticks: u64) -> i64 {
        ((u128::from(ticks) * u128::from(self.rate)) >> 32) as i64
    }
}

/// A frame that can be told from all others: its session, and its number in it.
type Frame = (u32, u32);

/// The session frame of an event, if it is one with a number.
pub(super) fn sequenced(event: &Event) -> Option<Frame> {
    let kind = session::Kind::from_u8((event.b >> 40) as u8)?;
    (is_datagram(event) && kind.is_sequenced()).then_some((event.c, event.d))
}

/// Whether FLIP carries a datagram in the frame, and does not speak for itself.
pub(super) fn is_datagram(event: &Event) -> bool {
    (event.b >> 8) as u8 == norma_wire::flip::Kind::UniData as u8
}

/// The clocks of nodes, of each of which the host knows when it was started.
pub(super) fn align(nodes: &[(String, u64, Ring)]) -> Vec<Clock> {
    let rates = rates(nodes);
    let mut clocks: Vec<Clock> = nodes
        .iter()
        .zip(rates)
        .map(|((_, started, _), rate)| Clock {
            rate,
            offset: *started as i64,
            uncertainty: None,
        })
        .collect();
    let fastest = fastest(nodes, &clocks);
    spread(&mut clocks, &fastest);
    correct(&mut clocks, &fastest);
    clocks
}

fn rates(nodes: &[(String, u64, Ring)]) -> Vec<u64> {
    let mut known: Vec<u64> = nodes.iter().map(|(_, _, ring)| ring.rate).collect();
    known.retain(|rate| *rate != 0);
    known.sort_unstable();
    let middle = known.get(known.len() / 2).copied().unwrap_or(UNKNOWN_RATE);
    let alike = |rate: u64| (rate as f64 / middle as f64 - 1.0).abs() < ALIKE;
    let rate = |ring: &Ring| match ring.rate {
        0 => middle,
        own if alike(own) => middle,
        own => own,
    };
    nodes.iter().map(|(_, _, ring)| rate(ring)).collect()
}

/// By pair of nodes (from, to): the least difference between the stamps of a frame there and
/// here.
type Fastest = HashMap<(usize, usize), i64>;

fn fastest(nodes: &[(String, u64, Ring)], clocks: &[Clock]) -> Fastest {
    let mut sent: HashMap<Frame, Vec<(usize, i64)>> = HashMap::new();
    for (node, (_, _, ring)) in nodes.iter().enumerate() {
        for event in ring
            .events
            .iter()
            .filter(|event| event.kind() == Some(Kind::FrameOut))
        {
            if let Some(frame) = sequenced(event) {
                let at = clocks[node].own(event.ticks);
                sent.entry(frame).or_default().push((node, at));
            }
        }
    }
    let mut fastest = Fastest::new();
    for (node, (_, _, ring)) in nodes.iter().enumerate() {
        for event in ring
            .events
            .iter()
            .filter(|event| event.kind() == Some(Kind::FrameIn))
        {
            // Of a frame that was sent twice nobody knows which arrived.
            let Some([(from, at)]) = sequenced(event)
                .and_then(|frame| sent.get(&frame))
                .map(Vec::as_slice)
            else {
                continue;
            };
            if *from != node {
                let difference = clocks[node].own(event.ticks) - at;
                let least = fastest.entry((*from, node)).or_insert(difference);
                *least = difference.min(*least);
            }
        }
    }
    fastest
}

/// Sets clocks by their neighbours', the best known first, from the first node of each group on.
fn spread(clocks: &mut [Clock], fastest: &Fastest) {
    let mut done = vec![false; clocks.len()];
    let both = |one: usize, other: usize| {
        let (there, back) = (fastest.get(&(one, other))?, fastest.get(&(other, one))?);
        Some((there + back, (back - there) / 2))
    };
    for root in 0..clocks.len() {
        if std::mem::replace(&mut done[root], true) {
            continue;
        }
        loop {
            let pairs =
                (0..clocks.len()).flat_map(|one| (0..clocks.len()).map(move |other| (one, other)));
            let open = pairs.filter(|(one, other)| done[*one] && !done[*other]);
            let known =
                open.filter_map(|(one, other)| both(one, other).map(|way| (way, one, other)));
            let Some(((round_trip, ahead), one, other)) = known.min() else {
                break;
            };
            done[other] = true;
            clocks[other].offset = clocks[one].offset + ahead;
            let own = round_trip.unsigned_abs() / 2;
            let before = clocks[one].uncertainty.unwrap_or(0);
            clocks[other].uncertainty = Some(own + before);
        }
    }
}

/// Moves clocks until no frame arrives before it was sent; where that cannot be (a counter that
/// does not tick like the others), as far as it can.
fn correct(clocks: &mut [Clock], fastest: &Fastest) {
    for _ in 0..clocks.len() {
        let mut moved = false;
        for (&(from, to), least) in fastest {
            let late = clocks[from].offset - (clocks[to].offset + least);
            if late > 0 {
                clocks[to].offset += late;
                moved = true;
            }
        }
        if !moved {
            return;
        }
    }
}
