//! The check of a frame that is not sealed, from its rule (W-64) alone, and not from the code that
//! nodes run: an example that both accept is right by two readings of the rule.

use norma_wire::layout::{BODY_AT, HEAD, SESSION_AT};

const TAG_AT: usize = SESSION_AT + 46;

/// Whether a frame is one of a session: UNIDATA with a whole datagram.
pub fn is_session(frame: &[u8]) -> bool {
    frame[15] == 3 && frame[42..46] == frame[50..54]
}

/// The sum after each stretch that the frame has.
fn sums(frame: &[u8]) -> Vec<u64> {
    let mut sum = (frame.len() - SESSION_AT) as u64;
    let mut stretch = |bytes: &[u8]| {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        for word in words.iter().chain([&last]) {
            let mixed = (sum ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            sum = mixed.rotate_left(29);
        }
        sum
    };
    let mut sums = vec![stretch(&frame[SESSION_AT..TAG_AT])];
    if frame.len() > BODY_AT {
        sums.push(stretch(&frame[BODY_AT..frame.len().min(HEAD)]));
    }
    sums
}

fn check(frame: &[u8]) -> u32 {
    let sum = sums(frame).last().copied().unwrap_or_default();
    (sum ^ sum >> 32) as u32
}

/// What the document says of an example: the sums, and the check.
pub fn values(frame: &[u8]) -> Vec<String> {
    let sums = sums(frame).into_iter().map(|sum| format!("{sum:#018x}"));
    sums.chain([format!("{:#010x}", check(frame))]).collect()
}

/// Whether a frame's check is the one that it should have.
pub fn holds(frame: &[u8]) -> bool {
    frame[TAG_AT..TAG_AT + 4] == check(frame).to_le_bytes()
}

/// Writes the check into a frame of a session.
pub fn write(frame: &mut [u8]) {
    if is_session(frame) {
        let check = check(frame).to_le_bytes();
        frame[TAG_AT..TAG_AT + 4].copy_from_slice(&check);
    }
}

#[test]
fn a_frame_with_another_check_is_no_example() {
    let mut frame = vec![0; BODY_AT + 4];
    frame[15] = 3;
    write(&mut frame);
    assert!(holds(&frame));
    for at in SESSION_AT..frame.len() {
        frame[at] ^= 1;
        // Behind the check the tag is zero, which the examples are compared with by themselves.
        assert_eq!(holds(&frame), (TAG_AT + 4..BODY_AT).contains(&at), "{at}");
        frame[at] ^= 1;
    }
}
