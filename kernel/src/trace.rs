//! What this node does, event by event, in a ring that stays in its memory.
//!
//! Owns: the ring, the moments at which something is noted in it, and how long each thread ran,
//! which is counted at the same moments. Leaves to others: what an
//! event is (`norma-trace`), and taking the ring out of the machine's memory, which the host does
//! when the node has ended, however that was (docs/traces.md).
//!
//! Why a feature of the crate and no switch at run time: a call between two threads is some five
//! hundred instructions, and to ask at each of its events whether it is to be noted would be a
//! hundredth of them or more. So an image is built with or without; without, nothing of this is
//! in it. All of it is compiled either way, so that it cannot rot.
//!
//! Interrupts are off wherever something is noted: two that write never meet.

use crate::arch::layout;
use crate::memory::Frame;
use crate::thread::Number;
use crate::thread::scheduler::{Scheduler, State};
use crate::{processor, thread, timer};
use core::cell::{Cell, UnsafeCell};
use core::mem::offset_of;
use norma_drivers::clock;
use norma_ipc::{Delivery, PortId, RightKind, Step};
use norma_trace::{EVENT, EVENTS, Event, HEADER, Header, Kind, NAME, THREADS};
use norma_wire::layout::{FLIP_AT, SESSION_AT};

/// Whether this image traces.
const ON: bool = cfg!(feature = "trace");

/// Bytes of all events.
const BYTES: u64 = (EVENT * EVENTS) as u64;

/// Events that a panic prints.
const LAST: u64 = 32;

/// The ring. All zeros, so that it is no part of the stored image.
#[repr(C, align(4096))]
struct Ring {
    header: UnsafeCell<Header>,
    _rest: [u8; HEADER - size_of::<Header>()],
    names: UnsafeCell<[[u8; NAME]; THREADS]>,
    events: UnsafeCell<[Event; EVENTS]>,
}

const _: () = assert!(State::Free as u8 == norma_trace::State::Ended as u8);
const _: () = assert!(State::Ready as u8 == norma_trace::State::Ready as u8);
const _: () = assert!(State::Blocked as u8 == norma_trace::State::Blocked as u8);
const _: () = assert!(offset_of!(Ring, names) == HEADER);
const _: () = assert!(offset_of!(Ring, events) == norma_trace::EVENTS_AT);
const _: () =
    assert!(align_of::<Ring>() == norma_trace::ALIGN && THREADS == crate::limits::THREADS);

// SAFETY: written with interrupts off, by the one processor there is; read by it alone too.
unsafe impl Sync for Ring {}

static RING: Ring = Ring {
    header: UnsafeCell::new(Header {
        magic: [0; 8],
        version: 0,
        event: 0,
        events: 0,
        threads: 0,
        address: 0,
        written: 0,
        rate: 0,
        node: [0; NAME],
    }),
    _rest: [0; HEADER - size_of::<Header>()],
    names: UnsafeCell::new([[0; NAME]; THREADS]),
    events: UnsafeCell::new([NOTHING; EVENTS]),
};

/// What no event is.
const NOTHING: Event = Event {
    ticks: 0,
    kind: 0,
    detail: 0,
    thread: 0,
    a: 0,
    b: 0,
    c: 0,
    d: 0,
};

/// Makes the ring one that can be found. Interrupts must be off.
pub fn begin() {
    if ON {
        let address = RING.header.get() as u64 - layout::IMAGE;
        // SAFETY: nobody else writes, and no reference to the header ever lives.
        unsafe {
            let written = (&raw const (*RING.header.get()).written).read();
            RING.header.get().write(Header {
                written,
                ..Header::new(address, "")
            });
        }
        RAN.since.set(clock::ticks());
        name(0, "main");
    }
}

/// Says whose ring it is, when the clock is known.
pub fn identify(node: &str) {
    if ON {
        let header = RING.header.get();
        // SAFETY: as in `begin`; only these fields are written, which nobody else writes.
        unsafe {
            (&raw mut (*header).node).write(norma_trace::name(node));
            (&raw mut (*header).rate).write(timer::nanoseconds(1 << 32));
        }
    }
}

/// Says what a new thread is called. Interrupts must be off.
pub(crate) fn name(thread: Number, text: &str) {
    if ON {
        RAN.ticks[usize::from(thread) % THREADS].set(0);
        let names = RING.names.get().cast::<[u8; NAME]>();
        // SAFETY: there are as many names as threads; see `Ring`.
        unsafe {
            names
                .add(usize::from(thread) % THREADS)
                .write(norma_trace::name(text))
        };
    }
}

/// Notes an event of the running thread. Interrupts must be off.
#[inline(always)]
fn note(kind: Kind, detail: u8, a: u32, b: u64, c: u32, d: u32) {
    if ON {
        push(kind, detail, processor::this().current(), a, b, c, d);
    }
}

/// The same of one with which the running thread stops to run.
#[inline(always)]
fn note_last(kind: Kind, a: u32, b: u64, c: u32, d: u32) {
    if ON {
        let thread = processor::this().current();
        charge(thread, push(kind, 0, thread, a, b, c, d));
    }
}

/// Writes an event behind the last one; says when that was. Interrupts must be off.
#[inline(always)]
fn push(kind: Kind, detail: u8, thread: Number, a: u32, b: u64, c: u32, d: u32) -> u64 {
    let event = Event {
        ticks: clock::ticks(),
        kind: kind as u8,
        detail,
        thread,
        a,
        b,
        c,
        d,
    };
    // SAFETY: interrupts are off, so that nobody writes meanwhile; the place is within the ring,
    // for their number is a power of two.
    unsafe {
        let written = &raw mut (*RING.header.get()).written;
        let at = written.read();
        written.write(at + EVENT as u64);
        let events = RING.events.get().cast::<u8>();
        events
            .add((at % BYTES) as usize)
            .cast::<Event>()
            .write(event);
    }
    event.ticks
}

/// How long each thread ran: what it had until it last stopped.
struct Ran {
    ticks: [Cell<u64>; THREADS],
    /// Since when the running thread runs; later than anything while the processor halts.
    since: Cell<u64>,
}

// SAFETY: as for `Ring`.
unsafe impl Sync for Ran {}

static RAN: Ran = Ran {
    ticks: [const { Cell::new(0) }; THREADS],
    since: Cell::new(0),
};

/// The thread, which has run till now, stops, and another one runs. Interrupts must be off.
#[inline(always)]
fn charge(thread: Number, now: u64) {
    let ran = &RAN.ticks[usize::from(thread) % THREADS];
    ran.set(ran.get() + now - RAN.since.replace(now));
}

/// Nanoseconds that a thread ran; 0 where nothing is traced. Interrupts must be off.
pub(crate) fn ran(thread: Number) -> u64 {
    if !ON {
        return 0;
    }
    let mut ticks = RAN.ticks[usize::from(thread) % THREADS].get();
    if thread == processor::this().current() {
        ticks += clock::ticks().saturating_sub(RAN.since.get());
    }
    // More than 0 for whoever has run at all, so that it can be told from what is not known.
    timer::nanoseconds(ticks).max(1)
}

/// The processor goes from `from`, which ran, to another thread.
#[inline(always)]
pub(crate) fn switched(from: Number, to: Number, scheduler: &Scheduler) {
    if ON {
        charge(from, push_switch(from, to, scheduler));
    }
}

/// The same from `from`, in whose context the processor halted.
#[inline(always)]
pub(crate) fn switched_from_idle(from: Number, to: Number, scheduler: &Scheduler) {
    if ON {
        RAN.since.set(push_switch(from, to, scheduler));
    }
}

#[inline(always)]
fn push_switch(from: Number, to: Number, scheduler: &Scheduler) -> u64 {
    let state = scheduler.state(from) as u8;
    push(Kind::Switch, state, from, to.into(), 0, 0, 0)
}

/// The running thread blocks, and the processor halts in its context.
#[inline(always)]
pub(crate) fn idle() {
    if ON {
        let thread = processor::this().current();
        charge(thread, push(Kind::Idle, 0, thread, 0, 0, 0, 0));
        RAN.since.set(u64::MAX);
    }
}

/// It goes on.
#[inline(always)]
pub(crate) fn resumed() {
    if ON {
        let thread = processor::this().current();
        RAN.since.set(push(Kind::Resume, 0, thread, 0, 0, 0, 0));
    }
}

/// A thread was made ready.
#[inline(always)]
pub(crate) fn woken(thread: Number) {
    note(Kind::Wake, 0, thread.into(), 0, 0, 0);
}

/// An interrupt begins.
#[inline(always)]
pub(crate) fn interrupt(vector: u32) {
    note(Kind::Interrupt, 0, vector, 0, 0, 0);
}

/// It ends.
#[inline(always)]
pub(crate) fn interrupt_ends() {
    note(Kind::InterruptEnd, 0, 0, 0, 0, 0);
}

/// A program calls the kernel.
#[inline(always)]
pub(crate) fn system_call(number: u64) {
    note(Kind::SystemCall, 0, number as u32, 0, 0, 0);
}

/// It goes on.
#[inline(always)]
pub(crate) fn system_call_ends() {
    note(Kind::SystemCallEnd, 0, 0, 0, 0, 0);
}

/// The running thread takes what was waiting for it.
#[inline(always)]
pub(crate) fn taken(delivery: &Delivery<Frame>) {
    if ON && let Delivery::Message(message) = delivery {
        let thread = thread::current();
        note(Kind::Receive, 0, thread.0, message.number(), 0, 0);
    }
}

/// What the core and the network layer tell of a message on its way.
#[inline(always)]
pub(crate) fn step(step: Step) {
    match step {
        Step::Sent { message, rights } => note(Kind::Send, rights as u8, 0, message, 0, 0),
        Step::Moved {
            message,
            kind,
            port,
        } => {
            let kind = match kind {
                RightKind::Receive => 1,
                RightKind::Send => 2,
                RightKind::SendOnce => 3,
            };
            let (place, generation) = port.map_or((0, 0), PortId::numbers);
            note(Kind::Right, kind, 0, message, place, generation);
        }
        Step::Called { to, port, message } => {
            let (place, generation) = port.numbers();
            note_last(Kind::Call, to.0, message, place, generation);
        }
        Step::Answered { to, message } => note_last(Kind::Answer, to.0, message, 0, 0),
        Step::Handed { thread, message } => note(Kind::Receive, 0, thread.0, message, 0, 0),
        Step::Carried {
            message,
            session,
            sequence,
        } => {
            note(Kind::Carry, 0, 0, message, session, sequence);
        }
        Step::Arrived {
            message,
            session,
            sequence,
        } => {
            note(Kind::Arrive, 0, 0, message, session, sequence);
        }
        Step::Repeated { sequence } => note(Kind::Retransmit, 0, 0, 0, 0, sequence),
    }
}

/// A frame goes to a card.
#[inline(always)]
pub(crate) fn frame_out(head: &[u8], length: usize) {
    frame(Kind::FrameOut, head, length);
}

/// A frame has come from a card.
#[inline(always)]
pub(crate) fn frame_in(head: &[u8], length: usize) {
    frame(Kind::FrameIn, head, length);
}

#[inline(always)]
fn frame(kind: Kind, head: &[u8], length: usize) {
    if !ON {
        return;
    }
    let Some(head) = head.first_chunk::<{ SESSION_AT + 12 }>() else {
        return short(kind, head, length);
    };
    let word = |at: usize| {
        let bytes = head[at..].first_chunk().unwrap_or(&[0; 4]);
        u32::from_le_bytes(*bytes)
    };
    let start = u64::from(word(FLIP_AT)) | u64::from(word(SESSION_AT)) << 32;
    let (session, number) = (word(SESSION_AT + 4), word(SESSION_AT + 8));
    note(kind, 0, length as u32, start, session, number);
}

/// A frame with no more than a FLIP header, or less.
#[cold]
fn short(kind: Kind, head: &[u8], length: usize) {
    let bytes = head.get(FLIP_AT..).and_then(<[u8]>::first_chunk);
    let start = u32::from_le_bytes(*bytes.unwrap_or(&[0; 4]));
    note(kind, 0, length as u32, start.into(), 0, 0);
}

/// Says the last events, the oldest first, with the nanoseconds from each to now. For a report
/// before the end.
pub(crate) fn report_last(mut say: impl FnMut(u64, &str, Event)) {
    if !ON {
        return;
    }
    let now = clock::ticks();
    // SAFETY: interrupts are off, and nobody writes any more; places are taken as in `note`.
    unsafe {
        let header = RING.header.get().read();
        let written = header.written;
        let first = written.saturating_sub(LAST * EVENT as u64);
        for at in (first..written).step_by(EVENT) {
            let events = RING.events.get().cast::<u8>();
            let event = events.add((at % BYTES) as usize).cast::<Event>().read();
            let names = RING.names.get().cast::<[u8; NAME]>();
            let name = names.add(usize::from(event.thread) % THREADS).read();
            let ticks = u128::from(now.saturating_sub(event.ticks));
            let ago = ((ticks * u128::from(header.rate)) >> 32) as u64;
            say(ago, norma_trace::text(&name), event);
        }
    }
}
