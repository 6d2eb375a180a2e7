//! The network card, bare.

use crate::{Failure, LONG, check};
use norma_boot::{Node, RawCard, println};
use norma_kernel::timer;

const ROUNDS: u64 = 10_000;
/// How long, in nanoseconds, the third frame of a round comes after the first was sent: at least,
/// and by how much it varies.
const GAP: u64 = 800;
const GAPS: u64 = 2_000;
/// As long as a frame may be that is all in its head.
const LENGTH: usize = 60;

/// Publishes frames about when the card has sent the last and goes to sleep: whoever writes that
/// it has news, or sleeps, must see then what the other wrote before.
pub fn notices(node: &Node) -> Result<(), Failure> {
    let card = node.raw_card().ok_or(Failure("a card"))?;
    for round in 0..ROUNDS {
        // While it sends the second, there is time to choose when the third is published.
        send(&card, 2)?;
        if !left(&card, 1) {
            return Err(Failure("the card sends two frames"));
        }
        let next = timer::now() + GAP + round * 7 % GAPS;
        while timer::now() < next {}
        send(&card, 1)?;
        if !left(&card, 0) {
            println!("the third frame of round {round} is left lying");
            return Err(Failure(
                "the card sends what is published while it goes to sleep",
            ));
        }
    }
    Ok(())
}

/// Publishes frames, to nobody that there is, and tells the card if it wants to be told.
fn send(card: &RawCard, count: usize) -> Result<(), Failure> {
    card.with(|card| {
        let mac = card.mac();
        for _ in 0..count {
            let slot = card.transmit_slot().ok_or(Failure("room for a frame"))?;
            slot.head[..6].copy_from_slice(&[2, 0, 0, 0, 0, 0]);
            slot.head[6..12].copy_from_slice(&mac);
            slot.head[12..14].copy_from_slice(&[0x88, 0xb5]);
            check(
                slot.commit(LENGTH).is_ok(),
                "the frame is one that can be sent",
            )?;
        }
        card.notify();
        Ok(())
    })
}

/// Waits until the card has only so many frames left to send.
fn left(card: &RawCard, most: usize) -> bool {
    let end = timer::now() + LONG;
    while card.with(|card| card.under_way()) > most {
        if timer::now() > end {
            return false;
        }
    }
    true
}
