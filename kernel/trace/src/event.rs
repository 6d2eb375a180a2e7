//! One event.

use crate::EVENT;
use core::fmt;

/// One event, as it lies in memory; all numbers are little-endian. What the four words behind
/// the thread are is said by [`Kind`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Event {
    /// The processor's time-stamp counter.
    pub ticks: u64,
    /// A [`Kind`].
    pub kind: u8,
    /// A small number more.
    pub detail: u8,
    /// The thread that ran.
    pub thread: u16,
    /// The first word.
    pub a: u32,
    /// A message, mostly: a number that nothing else has while that message lives on its node.
    pub b: u64,
    /// The third word.
    pub c: u32,
    /// The fourth word.
    pub d: u32,
}

const _: () = assert!(size_of::<Event>() == EVENT);

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Kind {
            $($(#[$doc])* $name = $number,)*
        }

        /// All kinds.
        pub const KINDS: &[Kind] = &[$(Kind::$name,)*];
    };
}

kinds! {
    /// The processor goes from one thread to another. `a`: the thread that runs now; `detail`:
    /// a [`State`], what has become of the one that ran.
    Switch = 1,
    /// The thread blocks, and nobody is ready: the processor halts in its context.
    Idle = 2,
    /// The same thread goes on after that.
    Resume = 3,
    /// A thread is made ready. `a`: which.
    Wake = 4,
    /// An interrupt begins. `a`: its vector.
    Interrupt = 5,
    /// It ends.
    InterruptEnd = 6,
    /// The thread calls another of its node, which waits: the message is handed over, and that
    /// thread runs. `a`: which; `b`: the message; `c`, `d`: the port, its place and generation.
    Call = 7,
    /// The thread answers one that waits for that, which runs. `a`: which; `b`: the message.
    Answer = 8,
    /// The thread sends a message. `b`: which; `detail`: how many rights are in it.
    Send = 9,
    /// A thread has been given a message, or takes one. `a`: the thread; `b`: the message.
    Receive = 10,
    /// A frame goes to a card. `a`: its bytes; `b`: the first four bytes of its FLIP header, and
    /// behind them those of its session header; `c`, `d`: the next eight of the latter, that is,
    /// the session and the frame's number.
    FrameOut = 11,
    /// A frame has come from a card; the words are as in [`Kind::FrameOut`].
    FrameIn = 12,
    /// A message is in the frame that goes next. `b`: the message; `c`: the session, as its
    /// receiver calls it; `d`: the frame's number.
    Carry = 13,
    /// A message off the wire is delivered. The words are as in [`Kind::Carry`].
    Arrive = 14,
    /// The frame that goes next was sent before. `d`: its number.
    Retransmit = 15,
    /// A right goes with a message. `b`: the message; `detail`: 1 for a receive right, 2 send, 3
    /// send-once; `c`, `d`: the port, its place and generation; of another node: 0.
    Right = 16,
    /// A program of the thread's task calls the kernel. `a`: the call's number.
    SystemCall = 17,
    /// It goes on.
    SystemCallEnd = 18,
}

impl Kind {
    /// The kind with this number.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Kind> {
        KINDS.iter().copied().find(|kind| *kind as u8 == number)
    }
}

/// What a thread does that does not run: the numbers are those of the kernel's scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// It has ended.
    Ended = 1,
    /// It could run.
    Ready = 2,
    /// It waits.
    Blocked = 3,
}

impl State {
    /// The state with this number.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<State> {
        [State::Ended, State::Ready, State::Blocked]
            .into_iter()
            .find(|state| *state as u8 == number)
    }
}

impl Event {
    /// What happened; `None` if that is none of ours.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        Kind::from_u8(self.kind)
    }

    /// Reads an event from its bytes.
    #[must_use]
    pub fn parse(bytes: &[u8; EVENT]) -> Event {
        let long = |at: usize| {
            let taken = bytes.get(at..).and_then(<[u8]>::first_chunk);
            u64::from_le_bytes(*taken.unwrap_or(&[0; 8]))
        };
        let (head, last) = (long(8), long(24));
        Event {
            ticks: long(0),
            kind: head as u8,
            detail: (head >> 8) as u8,
            thread: (head >> 16) as u16,
            a: (head >> 32) as u32,
            b: long(16),
            c: last as u32,
            d: (last >> 32) as u32,
        }
    }
}

/// What happened, in words, without the time.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Event {
            kind,
            detail,
            thread,
            a,
            b,
            c,
            d,
            ..
        } = *self;
        write!(f, "thread {thread}: ")?;
        let Some(kind) = self.kind() else {
            return write!(f, "an event of the unknown kind {kind}");
        };
        match kind {
            Kind::Switch => {
                let state = match State::from_u8(detail) {
                    Some(State::Ended) => "ends",
                    Some(State::Ready) => "makes way",
                    _ => "blocks",
                };
                write!(f, "{state}, thread {a} runs")
            }
            Kind::Idle => f.write_str("blocks, nobody is ready"),
            Kind::Resume => f.write_str("goes on"),
            Kind::Wake => write!(f, "wakes thread {a}"),
            Kind::Interrupt => write!(f, "interrupt {a:#x}"),
            Kind::InterruptEnd => f.write_str("interrupt ends"),
            Kind::Call => write!(f, "calls port {c}.{d}, thread {a} has message {b:x}"),
            Kind::Answer => write!(f, "answers, thread {a} has message {b:x}"),
            Kind::Send => write!(f, "sends message {b:x} with {detail} rights"),
            Kind::Receive => write!(f, "thread {a} has message {b:x}"),
            Kind::FrameOut => write!(f, "frame out, {a} bytes, session {c:x}, number {d}"),
            Kind::FrameIn => write!(f, "frame in, {a} bytes, session {c:x}, number {d}"),
            Kind::Carry => write!(f, "message {b:x} goes in session {c:x}, number {d}"),
            Kind::Arrive => write!(f, "message {b:x} came in session {c:x}, number {d}"),
            Kind::Retransmit => write!(f, "the next frame is sent again, number {d}"),
            Kind::Right => {
                let right = match detail {
                    1 => "a receive right",
                    2 => "a send right",
                    _ => "a send-once right",
                };
                match (c, d) {
                    (0, 0) => write!(f, "{right} to a port of another node")?,
                    _ => write!(f, "{right} to port {c}.{d}")?,
                }
                write!(f, " goes with message {b:x}")
            }
            Kind::SystemCall => write!(f, "system call {a}"),
            Kind::SystemCallEnd => f.write_str("system call ends"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_as_it_lies_in_memory() {
        let event = Event {
            ticks: 0x0102_0304_0506_0708,
            kind: Kind::Switch as u8,
            detail: State::Ready as u8,
            thread: 0x1234,
            a: 0x5678_9abc,
            b: 0xdead_beef_0bad_cafe,
            c: 0x1111_2222,
            d: 0x3333_4444,
        };
        let mut bytes = [0; EVENT];
        bytes[..8].copy_from_slice(&event.ticks.to_le_bytes());
        bytes[core::mem::offset_of!(Event, kind)] = event.kind;
        bytes[core::mem::offset_of!(Event, detail)] = event.detail;
        bytes[10..12].copy_from_slice(&event.thread.to_le_bytes());
        bytes[12..16].copy_from_slice(&event.a.to_le_bytes());
        bytes[16..24].copy_from_slice(&event.b.to_le_bytes());
        bytes[24..28].copy_from_slice(&event.c.to_le_bytes());
        bytes[28..].copy_from_slice(&event.d.to_le_bytes());
        assert_eq!(Event::parse(&bytes), event);
        assert_eq!(
            event.to_string(),
            "thread 4660: makes way, thread 1450744508 runs"
        );
    }

    #[test]
    fn a_right_to_another_nodes_port_says_so() {
        let event = |c| Event {
            kind: Kind::Right as u8,
            detail: 2,
            c,
            d: c,
            ..Event::default()
        };
        let lines = [event(0), event(7)].map(|event| event.to_string());
        assert!(lines[0].contains("a send right to a port of another node goes"));
        assert!(lines[1].contains("a send right to port 7.7 goes"));
    }

    #[test]
    fn each_kind_is_said_in_words_of_its_own() {
        let mut lines: Vec<_> = (0..=255)
            .map(|kind| {
                Event {
                    kind,
                    ..Event::default()
                }
                .to_string()
            })
            .filter(|line| !line.contains("unknown kind"))
            .collect();
        assert_eq!(lines.len(), KINDS.len());
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), KINDS.len());
    }
}
