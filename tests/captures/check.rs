//! The check of a session's frame, from its rule (W-64) alone, and not from the code that nodes
//! run.

/// Where the session header starts, its tag, the body, and where the head ends.
const SESSION: usize = 54;
const TAG: usize = SESSION + 46;
const BODY: usize = SESSION + 62;
const HEAD: usize = 180;

/// Writes the check into a frame with a whole session frame in it; leaves any other as it is.
pub fn write(frame: &mut [u8]) {
    if frame.len() < BODY {
        return;
    }
    let mut sum = (frame.len() - SESSION) as u64;
    let mut stretch = |bytes: &[u8]| {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        for word in words.iter().chain([&last]) {
            let mixed = (sum ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            sum = mixed.rotate_left(29);
        }
    };
    stretch(&frame[SESSION..TAG]);
    if frame.len() > BODY {
        stretch(&frame[BODY..frame.len().min(HEAD)]);
    }
    let check = (sum ^ sum >> 32) as u32;
    frame[TAG..TAG + 4].copy_from_slice(&check.to_le_bytes());
}
