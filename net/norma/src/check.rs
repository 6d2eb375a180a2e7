//! The check of a frame that is not sealed: 32 bits over its session header and the first 64
//! bytes of its body, in the first four bytes of the tag (W-64).
//!
//! What goes wrong on a wire is caught by Ethernet's own check; between virtual machines there
//! is none. A header that was changed and still makes sense could end a message that never
//! arrived, or let one wait for ever: so it must not be believed. This is no protection against
//! anybody who means harm.
//!
//! Why this sum: a multiplication and a rotation for each eight bytes, no table, and any change
//! of a single word changes the sum.

use norma_flip::HEAD;
use norma_wire::layout::{BODY_AT, FLIP_AT, SESSION_AT};
use norma_wire::session::LENGTH;

/// Where the tag lies in a head.
const TAG_AT: usize = SESSION_AT + 46;

/// Where the FLIP header has the payload's length.
const PAYLOAD_AT: usize = FLIP_AT + 28;

/// An odd number without structure: the fraction of the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// The sum over the header before the tag and the body in the head. `None` if the head is
/// shorter than the payload says.
#[inline(always)]
fn sum(head: &[u8], payload: usize) -> Option<u32> {
    let header: &[u8; 46] = head.get(SESSION_AT..)?.first_chunk()?;
    let last: &[u8; 8] = header.last_chunk()?;
    let mut sum = payload as u64;
    let mut add = |word: u64| sum = (sum ^ word).wrapping_mul(FACTOR).rotate_left(29);
    for word in header.as_chunks::<8>().0 {
        add(u64::from_le_bytes(*word));
    }
    // The last six bytes, without the two before them.
    add(u64::from_le_bytes(*last) >> 16);
    if payload > LENGTH {
        let end = (SESSION_AT + payload).min(HEAD);
        let (words, rest) = head.get(BODY_AT..end)?.as_chunks::<8>();
        for word in words {
            add(u64::from_le_bytes(*word));
        }
        add(tail(rest));
    }
    Some((sum ^ sum >> 32) as u32)
}

/// Fewer than eight bytes as a word, little-endian, the missing ones zero.
#[inline]
fn tail(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// Writes the check into a head whose session header and body are written.
#[inline(always)]
pub(crate) fn write(head: &mut [u8; HEAD], payload: usize) {
    if let Some(sum) = sum(head, payload) {
        head[TAG_AT..TAG_AT + 4].copy_from_slice(&sum.to_le_bytes());
    }
}

/// Writes the check anew into a whole frame that was changed, so that it is believed: for tests
/// of what is behind it, and for whoever forges frames to see what comes of it.
pub fn seal(frame: &mut [u8]) {
    let length = frame.get(PAYLOAD_AT..).and_then(<[u8]>::first_chunk);
    let payload = length.map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
    let head = frame.len().min(HEAD);
    if let Some(sum) = sum(&frame[..head], payload)
        && let Some(tag) = frame.get_mut(TAG_AT..TAG_AT + 4)
    {
        tag.copy_from_slice(&sum.to_le_bytes());
    }
}

/// Whether a received head is as it was sent.
#[inline(always)]
pub(crate) fn holds(head: &[u8], payload: usize) -> bool {
    let tag = head.get(TAG_AT..).and_then(<[u8]>::first_chunk);
    tag.is_some_and(|tag| sum(head, payload) == Some(u32::from_le_bytes(*tag)))
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::format;
    use std::vec::Vec;

    /// Other implementations are checked with these (W-64); there the check is computed a second
    /// time, by words of the rule (`net/wire/tests/specification`).
    #[test]
    #[cfg_attr(miri, ignore = "reads files")]
    fn example_frames_of_the_specification_have_it() {
        let root = env!("CARGO_MANIFEST_DIR");
        let document = std::fs::read_to_string(format!("{root}/../../docs/wire.md")).unwrap();
        let blocks = document.split("```hex\n").skip(1);
        let frames = blocks.map(|block| -> Vec<u8> {
            let lines = block.lines().take_while(|line| *line != "```");
            let bytes = lines.flat_map(|line| line.get(..48).unwrap_or(line).split_whitespace());
            bytes
                .map(|byte| u8::from_str_radix(byte, 16).unwrap())
                .collect()
        });
        // Of sessions: UNIDATA with a whole datagram.
        let of_sessions = |frame: &Vec<u8>| frame[15] == 3 && frame[42..46] == frame[50..54];
        let mut examples = 0;
        for frame in frames.filter(of_sessions) {
            let head = &frame[..frame.len().min(HEAD)];
            assert!(holds(head, frame.len() - SESSION_AT), "example {examples}");
            examples += 1;
        }
        assert!(examples >= 20, "only {examples} example frames were found");
    }

    #[test]
    fn any_changed_bit_is_noticed() {
        for payload in [62, 63, 70, 126, 5000] {
            let mut head: [u8; HEAD] = core::array::from_fn(|at| (at * 7) as u8);
            write(&mut head, payload);
            assert!(holds(&head, payload));
            let mut forged = head;
            forged[PAYLOAD_AT..PAYLOAD_AT + 4].copy_from_slice(&(payload as u32).to_le_bytes());
            forged[SESSION_AT] ^= 1;
            assert!(!holds(&forged, payload));
            seal(&mut forged);
            assert!(holds(&forged, payload));
            let end = (SESSION_AT + payload).min(HEAD);
            for at in (SESSION_AT..TAG_AT + 4).chain(BODY_AT..end.max(BODY_AT)) {
                for bit in 0..8 {
                    head[at] ^= 1 << bit;
                    assert!(!holds(&head, payload), "byte {at}, bit {bit}");
                    head[at] ^= 1 << bit;
                }
            }
            assert!(!holds(&head, payload + 1));
        }
    }
}
