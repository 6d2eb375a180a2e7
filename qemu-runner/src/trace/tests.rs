//! Rings of nodes that do not exist, and what is made of them.

use super::align::align;
use super::chrome;
use super::ring::Ring;
use super::story::{Doing, tell};
use norma_trace::{EVENT, EVENTS, EVENTS_AT, Event, HEADER, Header, Kind, NAME, RING, State};
use norma_wire::{flip, session};
use serde_json::Value;
use std::collections::HashMap;
use std::os::unix::fs::FileExt as _;

/// Nanoseconds per tick, times 2^32: a counter of 2 GHz.
const RATE: u64 = 1 << 31;

/// A node whose events are noted by hand.
struct Notes {
    ring: Ring,
    /// Where its counter stands at the begin of everything.
    ahead: u64,
}

impl Notes {
    fn new(node: &str, ahead: u64, threads: &[&str]) -> Self {
        let ring = Ring {
            node: node.into(),
            rate: RATE,
            names: threads.iter().map(|name| (*name).to_owned()).collect(),
            ..Ring::default()
        };
        Self { ring, ahead }
    }

    /// Notes an event at this microsecond of the true time.
    fn at(&mut self, us: u64, thread: u16, kind: Kind, words: (u32, u64, u32, u32)) -> &mut Self {
        let (a, b, c, d) = words;
        self.ring.events.push(Event {
            ticks: self.ahead + us * 2000,
            kind: kind as u8,
            detail: if kind == Kind::Switch {
                State::Blocked as u8
            } else {
                0
            },
            thread,
            a,
            b,
            c,
            d,
        });
        self
    }

    fn frame(
        &mut self,
        us: u64,
        thread: u16,
        kind: Kind,
        what: session::Kind,
        name: (u32, u32),
    ) -> &mut Self {
        let start = u64::from(flip::VERSION)
            | (flip::Kind::UniData as u64) << 8
            | u64::from(session::VERSION) << 32
            | (what as u64) << 40;
        self.at(us, thread, kind, (100, start, name.0, name.1))
    }
}

/// A call from `a` to `b`, whose counter is ten seconds ahead, and the answer: ten microseconds
/// there and thirty back.
fn call() -> [Notes; 2] {
    use session::Kind::Message;
    let mut a = Notes::new("a", 1_000_000, &["main", "caller"]);
    a.at(100, 1, Kind::Send, (0, 0xa0, 0, 0))
        .at(101, 1, Kind::Carry, (0, 0xa0, 9, 1))
        .frame(102, 1, Kind::FrameOut, Message, (9, 1))
        .at(103, 1, Kind::Idle, (0, 0, 0, 0))
        .at(150, 1, Kind::Interrupt, (0x30, 0, 0, 0))
        .frame(151, 1, Kind::FrameIn, Message, (5, 1))
        .at(152, 1, Kind::Arrive, (0, 0xa8, 5, 1))
        .at(153, 1, Kind::Receive, (1, 0xa8, 0, 0))
        .at(154, 1, Kind::Wake, (1, 0, 0, 0))
        .at(155, 1, Kind::InterruptEnd, (0, 0, 0, 0))
        .at(156, 1, Kind::Resume, (0, 0, 0, 0))
        .at(200, 1, Kind::Switch, (0, 0, 0, 0));
    let mut b = Notes::new("b", 20_000_000_000, &["main", "", "server"]);
    b.at(90, 2, Kind::Idle, (0, 0, 0, 0))
        .at(111, 2, Kind::Interrupt, (0x30, 0, 0, 0))
        .frame(112, 2, Kind::FrameIn, Message, (9, 1))
        .at(113, 2, Kind::Arrive, (0, 0xb0, 9, 1))
        .at(113, 2, Kind::Receive, (2, 0xb0, 0, 0))
        .at(114, 2, Kind::Wake, (2, 0, 0, 0))
        .at(115, 2, Kind::InterruptEnd, (0, 0, 0, 0))
        .at(116, 2, Kind::Resume, (0, 0, 0, 0))
        .at(118, 2, Kind::Send, (0, 0xb0, 0, 0))
        .at(119, 2, Kind::Carry, (0, 0xb0, 5, 1))
        .frame(121, 2, Kind::FrameOut, Message, (5, 1))
        .at(122, 2, Kind::Idle, (0, 0, 0, 0));
    [a, b]
}

fn nodes(notes: impl IntoIterator<Item = Notes>) -> Vec<(String, u64, Ring)> {
    let rings = notes.into_iter().map(|notes| notes.ring);
    rings.map(|ring| (ring.node.clone(), 0, ring)).collect()
}

fn written(nodes: &[(String, u64, Ring)]) -> Vec<Value> {
    let clocks = align(nodes);
    let stories: Vec<_> = nodes.iter().map(|(_, _, ring)| tell(ring)).collect();
    let text = chrome::write(nodes, &clocks, &stories);
    let value: Value = serde_json::from_str(&text).unwrap();
    value["traceEvents"].as_array().unwrap().clone()
}

fn phase<'a>(events: &'a [Value], wanted: &'a str) -> impl Iterator<Item = &'a Value> {
    events.iter().filter(move |event| event["ph"] == wanted)
}

/// From each arrow's begin to its end: row, time, row, time.
fn arrows(events: &[Value]) -> Vec<(u64, f64, u64, f64)> {
    let ends: HashMap<u64, &Value> = phase(events, "f")
        .map(|e| (e["id"].as_u64().unwrap(), e))
        .collect();
    let place = |event: &Value| {
        (
            event["tid"].as_u64().unwrap(),
            event["ts"].as_f64().unwrap(),
        )
    };
    let mut arrows: Vec<_> = phase(events, "s")
        .map(|begin| {
            let end = ends[&begin["id"].as_u64().unwrap()];
            let ((from, at), (to, then)) = (place(begin), place(end));
            (from, at, to, then)
        })
        .collect();
    assert_eq!(arrows.len(), ends.len());
    arrows.sort_by(|one, other| one.1.total_cmp(&other.1));
    arrows
}

/// On each row times do not go back, what begins ends, and an arrow has something to hold on to
/// that began or ended with it.
fn nests(events: &[Value]) {
    let mut rows: HashMap<u64, (f64, Vec<&Value>)> = HashMap::new();
    for event in events.iter().filter(|event| event["ph"] != "M") {
        let (last, open) = rows.entry(event["tid"].as_u64().unwrap()).or_default();
        let at = event["ts"].as_f64().unwrap();
        assert!(at >= *last, "{event} is before {last}");
        *last = at;
        match event["ph"].as_str().unwrap() {
            "B" => open.push(event),
            "E" => {
                let begun = open.pop().unwrap();
                assert!(begun["ts"].as_f64() <= Some(at), "{event}");
                assert_eq!(
                    (&begun["name"], &begun["args"]),
                    (&event["name"], &event["args"])
                );
            }
            "s" | "f" => assert_eq!(open.last().unwrap()["ts"], at, "{event}"),
            other => assert_eq!(other, "i"),
        }
    }
    assert!(rows.values().all(|(_, open)| open.is_empty()), "{rows:?}");
}

#[test]
fn clocks_are_set_by_the_fastest_frames() {
    let nodes = nodes(call());
    let clocks = align(&nodes);
    // The middle between ten and thirty microseconds one way is off by ten; never by more than
    // half of both.
    let [a, b] = [&clocks[0], &clocks[1]].map(|clock| clock.offset);
    let truth = -(20_000_000_000 - 1_000_000) / 2;
    assert_eq!(b - a - truth, 10_000);
    assert_eq!(clocks[1].uncertainty, Some(20_000));
    assert_eq!(clocks[0].uncertainty, None);
}

#[test]
fn nothing_is_received_before_it_is_sent() {
    // The answer takes longer than the call, so that the middle is wrong; and `c`, which hears
    // `a` at once and `b` late, contradicts it.
    let [mut a, mut b] = call();
    let mut c = Notes::new("c", 7, &["main"]);
    let control = session::Kind::Control;
    a.frame(300, 0, Kind::FrameOut, control, (70, 1)).frame(
        311,
        0,
        Kind::FrameIn,
        control,
        (71, 1),
    );
    b.frame(300, 0, Kind::FrameOut, control, (72, 1)).frame(
        400,
        0,
        Kind::FrameIn,
        control,
        (73, 1),
    );
    c.frame(301, 0, Kind::FrameIn, control, (70, 1))
        .frame(310, 0, Kind::FrameOut, control, (71, 1))
        .frame(320, 0, Kind::FrameOut, control, (73, 1))
        .frame(321, 0, Kind::FrameIn, control, (72, 1));
    let nodes = nodes([a, b, c]);
    let clocks = align(&nodes);
    let frames = |kind: Kind| {
        let events = nodes.iter().zip(&clocks).flat_map(|((_, _, ring), clock)| {
            ring.events
                .iter()
                .map(|event| (event, clock.time(event.ticks)))
        });
        events
            .filter(move |(event, _)| event.kind() == Some(kind))
            .map(|(event, time)| ((event.c, event.d), time))
            .collect::<Vec<_>>()
    };
    let sent: HashMap<_, _> = frames(Kind::FrameOut).into_iter().collect();
    let received = frames(Kind::FrameIn);
    for (frame, time) in &received {
        assert!(*time >= sent[frame], "{frame:?}");
    }
    assert_eq!(received.len(), sent.len());
}

#[test]
fn nodes_that_never_met_keep_the_hosts_time() {
    let [a, mut b] = call();
    b.ring
        .events
        .retain(|event| !matches!(event.kind(), Some(Kind::FrameIn | Kind::FrameOut)));
    let mut nodes = nodes([a, b]);
    nodes[1].1 = 5_000;
    let offsets: Vec<_> = align(&nodes)
        .iter()
        .map(|clock| (clock.offset, clock.uncertainty))
        .collect();
    assert_eq!(offsets, [(0, None), (5_000, None)]);
}

#[test]
fn a_measured_rate_is_everybodys() {
    let mut nodes = nodes([call(), call()].into_iter().flatten());
    for (node, rate) in nodes
        .iter_mut()
        .zip([RATE, RATE + RATE / 1000, RATE - RATE / 1000, 0])
    {
        node.2.rate = rate;
    }
    let clocks = align(&nodes);
    let second = |clock: &super::align::Clock| clock.time(2_000_000_000) - clock.offset;
    assert!(
        clocks
            .iter()
            .all(|clock| second(clock) == second(&clocks[0])),
        "{clocks:?}"
    );
}

#[test]
fn a_call_over_the_network_is_two_arrows() {
    let events = written(&nodes(call()));
    nests(&events);
    let arrows = arrows(&events);
    // Row 1 of process 1, row 2 of process 2.
    let rows: Vec<_> = arrows.iter().map(|(from, _, to, _)| (*from, *to)).collect();
    assert_eq!(rows, [(100_001, 200_002), (200_002, 100_001)]);
    assert!(
        arrows.iter().all(|(_, from, _, to)| from <= to),
        "{arrows:?}"
    );
    // An arrow begins and ends in something that is drawn there.
    for (row, at) in arrows
        .iter()
        .flat_map(|(from, at, to, then)| [(from, at), (to, then)])
    {
        let drawn = phase(&events, "B").filter(|event| event["cat"] == "message");
        let mut drawn = drawn.filter(|event| event["tid"] == *row && event["ts"] == *at);
        assert!(drawn.next().is_some(), "nothing at {at} on {row}");
    }
}

#[test]
fn there_is_a_process_per_node_and_a_row_per_thread() {
    let events = written(&nodes(call()));
    let names = |what: &str| -> Vec<(u64, String)> {
        let heads = phase(&events, "M").filter(|head| head["name"] == what);
        let name = |head: &Value| head["args"]["name"].as_str().unwrap().to_owned();
        heads
            .map(|head| (head["pid"].as_u64().unwrap(), name(head)))
            .collect()
    };
    assert_eq!(
        names("process_name"),
        [(1, "node a".into()), (2, "node b".into())]
    );
    let expected = [
        (1, "main"),
        (1, "caller"),
        (1, "interrupts"),
        (1, "frames"),
        (2, "main"),
        (2, "server"),
        (2, "interrupts"),
        (2, "frames"),
    ];
    assert_eq!(
        names("thread_name"),
        expected.map(|(pid, name)| (pid, name.to_owned()))
    );
}

#[test]
fn a_thread_runs_waits_and_is_woken() {
    let [a, _] = call();
    let story = tell(&a.ring);
    let caller: Vec<_> = story.whiles.iter().filter(|one| one.thread == 1).collect();
    let times = |us: u64| 1_000_000 + us * 2000;
    let doing: Vec<_> = caller
        .iter()
        .map(|one| (one.doing, one.from, one.to))
        .collect();
    let expected = [
        (Doing::Running, times(100), times(103)),
        (Doing::Blocked, times(103), times(154)),
        (Doing::Ready, times(154), times(156)),
        (Doing::Running, times(156), times(200)),
    ];
    assert_eq!(doing, expected);
    assert_eq!(story.interrupts, [(0x30, times(150), times(155))]);
    // What was given to it in the interrupt is seen when it runs.
    assert_eq!(story.receives[0].at, times(156));
}

#[test]
fn a_call_between_two_threads_is_two_arrows() {
    let mut a = Notes::new("a", 0, &["client", "server"]);
    a.at(1, 1, Kind::Switch, (0, 0, 0, 0))
        .at(2, 0, Kind::Call, (1, 0xc0, 4, 1))
        .at(3, 1, Kind::Answer, (0, 0xc0, 0, 0))
        .at(4, 0, Kind::Call, (1, 0xc0, 4, 1))
        // Somebody better was ready: the server is made ready only.
        .at(4, 0, Kind::Switch, (2, 0, 0, 0))
        .at(5, 2, Kind::Switch, (1, 0, 0, 0))
        .at(6, 1, Kind::Answer, (0, 0xc0, 0, 0))
        .at(7, 0, Kind::Wake, (2, 0, 0, 0));
    let events = written(&nodes([a]));
    nests(&events);
    let rows: Vec<_> = arrows(&events)
        .into_iter()
        .map(|(from, _, to, _)| (from, to))
        .collect();
    let (client, server) = (100_000, 100_001);
    assert_eq!(
        rows,
        [
            (client, server),
            (server, client),
            (client, server),
            (server, client)
        ]
    );
    let ends: Vec<_> = arrows(&events)
        .into_iter()
        .map(|(_, from, _, to)| to - from)
        .collect();
    assert_eq!(ends, [0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn a_frame_that_is_sent_again_says_so() {
    let mut a = Notes::new("a", 0, &["main"]);
    a.frame(1, 0, Kind::FrameOut, session::Kind::Message, (9, 1))
        .at(2, 0, Kind::Retransmit, (0, 0, 0, 1))
        .frame(2, 0, Kind::FrameOut, session::Kind::Message, (9, 1));
    let events = written(&nodes([a]));
    let names: Vec<_> = phase(&events, "i")
        .map(|event| event["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["MESSAGE out", "MESSAGE out again"]);
}

/// A ring as it lies in a machine's memory at 2 MiB, and a copy of it that was made elsewhere.
fn memory(events: u64) -> std::fs::File {
    let address = 2 << 20;
    let header = Header {
        written: events * EVENT as u64,
        rate: RATE,
        ..Header::new(address, "a")
    };
    let mut ring = header.bytes().to_vec();
    ring.resize(RING, 0);
    ring[HEADER..HEADER + NAME].copy_from_slice(&norma_trace::name("main"));
    for number in 0..events {
        let at = EVENTS_AT + EVENT * (number as usize % EVENTS);
        ring[at..at + 8].copy_from_slice(&(1000 + number).to_le_bytes());
        ring[at + 8] = Kind::Idle as u8;
    }
    let file = tempfile::tempfile().unwrap();
    file.set_len(8 << 20).unwrap();
    file.write_all_at(&ring, 1 << 20).unwrap();
    file.write_all_at(&ring, address).unwrap();
    file
}

#[test]
fn a_ring_is_found_in_memory_and_what_is_lost_is_counted() {
    let ring = Ring::find(&memory(5)).unwrap();
    assert_eq!((ring.node.as_str(), ring.rate, ring.lost), ("a", RATE, 0));
    assert_eq!(
        (ring.events.len(), ring.thread_name(0), ring.thread_name(7)),
        (5, "main".into(), "thread 7".into())
    );

    let ring = Ring::find(&memory(EVENTS as u64 + 3)).unwrap();
    assert_eq!((ring.events.len(), ring.lost), (EVENTS, 3));
    assert_eq!(ring.events.first().unwrap().ticks, 1003);
    assert!(ring.events.is_sorted_by_key(|event| event.ticks));
}

#[test]
fn an_event_that_was_half_written_is_left_out() {
    let memory = memory(5);
    // Of the last one the room was taken, and nothing else.
    let at = (2 << 20) + (EVENTS_AT + 4 * EVENT) as u64;
    memory.write_all_at(&[0; EVENT], at).unwrap();
    let ring = Ring::find(&memory).unwrap();
    assert_eq!((ring.events.len(), ring.lost), (4, 1));
}

#[test]
fn memory_without_a_ring_says_why() {
    let memory = tempfile::tempfile().unwrap();
    memory.set_len(1 << 20).unwrap();
    assert!(Ring::find(&memory).unwrap_err().contains("--trace"));
}
