//! The calling side of raw frames.

use crate::client::Outcome;
use crate::counts::{self, Stretch};
use crate::item::{Item, Kind};
use crate::raw::{
    self, BEGIN, DATA, ECHO, END, Look, Room, STOP, SYNC, address, look, no_room, send_small,
};
use alloc::vec::Vec;
use norma_boot::{Failure, Frame, Frames, Node, PAGE_SIZE, Page, PageSource, RawCard};

/// How long the other node may take to go over to raw frames, before it is asked again.
const SYNC_NS: u64 = 100_000_000;

/// How often it is asked.
const SYNC_TRIES: usize = 100;

pub fn run(node: &Node, item: &Item, times: &mut Vec<u64>) -> Result<Outcome, Failure> {
    let card = node.raw_card().ok_or(Failure::InvalidRight)?;
    synchronise(node, &card)?;
    let outcome = match item.kind {
        Kind::RawStream(bytes) => stream(node, &card, item, bytes)?,
        _ => echoes(node, &card, item, times),
    };
    exchange(&card, STOP);
    Ok(outcome)
}

/// Waits until the other node serves raw frames.
fn synchronise(node: &Node, card: &RawCard) -> Result<(), Failure> {
    for _ in 0..SYNC_TRIES {
        send_small(card, SYNC);
        let until = node.now() + SYNC_NS;
        while node.now() < until {
            match look(card) {
                Look::Frame(SYNC) => return Ok(()),
                Look::Wait => card.wait_until(until),
                Look::Again | Look::Frame(_) => {}
            }
        }
    }
    Err(Failure::TimedOut)
}

/// Sends a small frame and waits for the answer.
#[inline]
fn exchange(card: &RawCard, what: u8) {
    send_small(card, what);
    loop {
        match look(card) {
            Look::Frame(answer) if answer == what => return,
            Look::Wait => card.wait(),
            Look::Again | Look::Frame(_) => {}
        }
    }
}

fn echoes(node: &Node, card: &RawCard, item: &Item, times: &mut Vec<u64>) -> Outcome {
    for _ in 0..item.warmup {
        exchange(card, ECHO);
    }
    exchange(card, BEGIN);
    let counting = Stretch::begin(node);
    counts::open_calling();
    let begin = node.now();
    let mut before = begin;
    for _ in 0..item.n {
        exchange(card, ECHO);
        let after = node.now();
        times.push(after - before);
        before = after;
    }
    counts::close_calling();
    let totals = counting.end(node);
    exchange(card, END);
    Outcome {
        total: before - begin,
        bytes: 0,
        totals,
    }
}

fn stream(node: &Node, card: &RawCard, item: &Item, bytes: usize) -> Result<Outcome, Failure> {
    let source = Source::new(card)?;
    for _ in 0..item.warmup {
        source.send(card, bytes);
    }
    exchange(card, BEGIN);
    let counting = Stretch::begin(node);
    counts::open_calling();
    let begin = node.now();
    for _ in 0..item.n {
        source.send(card, bytes);
    }
    // Frames keep their order: when this one is answered, all are there.
    exchange(card, SYNC);
    let end = node.now();
    counts::close_calling();
    let totals = counting.end(node);
    exchange(card, END);
    Ok(Outcome {
        total: end - begin,
        bytes: (bytes * item.n) as u64,
        totals,
    })
}

/// What a stream sends: the same pages again and again, in the largest frames.
struct Source {
    frames: Vec<Frame>,
    /// Bytes of the largest frame.
    largest: usize,
}

impl Source {
    fn new(card: &RawCard) -> Result<Self, Failure> {
        let largest = card.with(|card| usize::from(card.mtu())) + raw::WHAT;
        let count = largest
            .saturating_sub(norma_drivers::virtio::limits::HEAD)
            .div_ceil(PAGE_SIZE);
        let mut frames = Vec::new();
        for _ in 0..count {
            frames.push(Frames.allocate().ok_or(Failure::NoMemory)?);
        }
        Ok(Source { frames, largest })
    }

    /// Sends `bytes` of payload, waiting for room where there is none.
    fn send(&self, card: &RawCard, bytes: usize) {
        let mut left = bytes;
        while left > 0 {
            let payload = left.min(self.largest - raw::WHAT);
            match self.send_frame(card, payload + raw::WHAT) {
                Room::Sent => left -= payload,
                Room::Again => {}
                Room::Wait => card.wait(),
            }
        }
        card.with(|card| card.notify());
    }

    /// Sends one frame of `length` bytes, if there is room.
    fn send_frame(&self, card: &RawCard, length: usize) -> Room {
        card.with(|card| {
            let mac = card.mac();
            let Some(slot) = card.transmit_slot() else {
                return no_room(card);
            };
            address(&mut slot.head[..], mac, DATA);
            let pages = length
                .saturating_sub(norma_drivers::virtio::limits::HEAD)
                .div_ceil(PAGE_SIZE);
            for frame in &self.frames[..pages] {
                // There is room for as many pages as the largest frame has.
                let _ = slot.pages.push(frame.share());
            }
            // The length is that of the pages; the card refuses nothing of the kind.
            let _ = slot.commit(length);
            Room::Sent
        })
    }
}
