//! What an ACK says besides what every header says.
//!
//! `id` is the number of the probe that it answers, `memory` is not zero if it was held back
//! until no other frame could carry it, and a body, if there is one, says what has arrived
//! further ahead than the header's 32 bits reach.

use norma_wire::layout::{self, BODY_AT, HEAD_BODY, HEAD_PAYLOAD};
use norma_wire::session::{self, Header, Kind, Repr};

use crate::limits::ACK_DELAY;
use crate::window::{Bits, Window};

/// The header fields of an ACK.
pub(crate) fn header(echo: u32, held_back: bool) -> Repr {
    let delay = if held_back {
        ACK_DELAY.as_micros() as u32
    } else {
        0
    };
    Repr {
        id: echo,
        memory: delay,
        ..Repr::new(Kind::Ack)
    }
}

/// Whether it was held back: then it does not measure a round trip.
pub(crate) fn is_held_back(header: &Header<'_>) -> bool {
    header.kind() == Kind::Ack && header.memory() != 0
}

/// Writes the body, if one is needed; returns the bytes of FLIP payload.
pub(crate) fn fill(window: &Window, head: &mut [u8; layout::HEAD]) -> usize {
    if !window.has_gap() || !window.is_wide() {
        return session::LENGTH;
    }
    let body = layout::body_mut(head);
    for (bytes, word) in body.chunks_exact_mut(8).zip(window.all_selective()) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    HEAD_PAYLOAD
}

/// What the body says, if there is one (W-80).
pub(crate) fn far(head: &[u8], length: usize) -> Option<Bits> {
    if length != HEAD_PAYLOAD {
        return None;
    }
    let body = head.get(BODY_AT..BODY_AT + HEAD_BODY)?;
    let mut bits = Bits::default();
    for (word, bytes) in bits.iter_mut().zip(body.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().ok()?);
    }
    Some(bits)
}

const _: () = assert!(size_of::<Bits>() == HEAD_BODY);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_arrived_far_ahead_is_said_and_understood() {
        let mut window = Window::new(7);
        let mut head = [0; layout::HEAD];
        assert_eq!(fill(&window, &mut head), session::LENGTH);
        window.mark(9);
        assert_eq!(fill(&window, &mut head), session::LENGTH);
        window.mark(300);
        let length = fill(&window, &mut head);
        let bits = far(&head, length).unwrap();
        assert_eq!(bits, window.all_selective());
        assert_eq!(bits[0], 0b10);
        assert_eq!(bits[292 / 64], 1 << (292 % 64));
        assert_eq!(far(&head, session::LENGTH), None);
    }
}
