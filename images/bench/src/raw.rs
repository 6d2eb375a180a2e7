//! Raw frames: the floor under every figure. Only the driver and an interrupt, no protocol.
//!
//! A raw frame has the EtherType for local experiments and, behind it, one byte that says what
//! it is for. Here also the serving side; the calling side is in `raw_client`.

use crate::counts::{self, Stretch};
use crate::item::Item;
use crate::server;
use norma_boot::{Failure, Frame, Node, RawCard};
use norma_drivers::virtio::NetDevice;

/// The EtherType for local experiments (IEEE 802).
const ETHER_TYPE: [u8; 2] = [0x88, 0xb5];

/// Where the byte lies that says what a frame is for.
pub const WHAT: usize = 14;
/// As long as a null RPC's request.
pub const SMALL: usize = 116;

/// Is somebody there? Answered.
pub const SYNC: u8 = 1;
/// The measured frame. Answered.
pub const ECHO: u8 = 2;
/// The stretch begins. Answered.
pub const BEGIN: u8 = 3;
/// The stretch has ended. Answered.
pub const END: u8 = 4;
/// Back to the protocol. Answered.
pub const STOP: u8 = 5;
/// Part of a stream. Not answered.
pub const DATA: u8 = 6;

/// Writes the beginning of a raw frame to everybody.
pub fn address(head: &mut [u8], mac: [u8; 6], what: u8) {
    head[..6].fill(0xff);
    head[6..12].copy_from_slice(&mac);
    head[12..14].copy_from_slice(&ETHER_TYPE);
    head[WHAT] = what;
}

/// What a received frame is for, if it is a raw one.
pub fn what(head: &[u8]) -> Option<u8> {
    (head.get(12..14)? == ETHER_TYPE).then(|| head.get(WHAT).copied())?
}

/// What a look at the card brought.
pub enum Look {
    /// Nothing, and the next frame will interrupt.
    Wait,
    /// Nothing now.
    Again,
    /// A raw frame of this kind.
    Frame(u8),
}

/// Takes the next frame, if there is one.
#[inline]
pub fn look(card: &RawCard) -> Look {
    card.with(|card| match card.receive(|head, _, _| what(head)) {
        Some(Some(what)) => Look::Frame(what),
        Some(None) => Look::Again,
        None if card.enable_receive_interrupt() => Look::Again,
        None => Look::Wait,
    })
}

/// Whether there was room for a frame.
pub enum Room {
    Sent,
    /// There was none, and there is now.
    Again,
    /// There is none; an interrupt will come when there is.
    Wait,
}

/// What to do about a ring without room: the card is told of what is in it.
pub fn no_room(card: &mut NetDevice<Frame>) -> Room {
    card.notify();
    if card.request_transmit_interrupt() {
        Room::Again
    } else {
        Room::Wait
    }
}

/// Sends a small frame, waiting for room where there is none: behind a stream there may be.
#[inline]
pub fn send_small(card: &RawCard, what: u8) {
    loop {
        let room = card.with(|card| {
            let mac = card.mac();
            let Some(slot) = card.transmit_slot() else {
                return no_room(card);
            };
            address(&mut slot.head[..], mac, what);
            // It is as long as it may be; the card refuses nothing of the kind.
            let _ = slot.commit(SMALL);
            card.notify();
            Room::Sent
        });
        match room {
            Room::Sent => return,
            Room::Again => {}
            Room::Wait => card.wait(),
        }
    }
}

/// Serves raw frames until told to stop.
pub fn serve(node: &Node, item: &Item, round: u32) -> Result<(), Failure> {
    let card = node.raw_card().ok_or(Failure::InvalidRight)?;
    let mut stretch = None;
    let mut totals = None;
    loop {
        match look(&card) {
            Look::Wait => card.wait(),
            Look::Again | Look::Frame(DATA) => {}
            Look::Frame(what) => {
                match what {
                    BEGIN if stretch.is_none() && totals.is_none() => {
                        stretch = Some(Stretch::begin(node));
                        counts::open_serving();
                    }
                    END if totals.is_none() => {
                        counts::close_serving();
                        totals = stretch.take().map(|stretch| stretch.end(node));
                    }
                    _ => {}
                }
                send_small(&card, what);
                if what == STOP {
                    break;
                }
            }
        }
    }
    drop(card);
    if let Some(totals) = totals {
        server::print(item, round, &totals);
    }
    Ok(())
}
