//! Frames that are none of a sound node: whatever they are, the dissector says so, and does not
//! fail.

use super::{ERROR, check, datagram, frames, golden_file, read, sound};
use crate::lab::Lab;
use crate::network::SEED;
use anyhow::{Result, ensure};
use norma_faults::Random;

/// Frames of the golden capture, damaged and cut, and bytes that never were a frame.
pub fn hostile(lab: &Lab) -> Result<()> {
    const ROUNDS: u64 = 20;
    let frames = frames(&golden_file(lab))?;
    let mut random = Random::new(SEED);
    let mut file = pcap();
    let mut short = Vec::new();
    for round in 0..ROUNDS {
        for frame in &frames {
            let mut bytes = frame.bytes.clone();
            let sealed = round % 2 == 0 && datagram(&bytes).is_some();
            let mut below = |end: usize| random.below(end.max(1) as u64) as usize;
            match below(4) {
                0 => bytes.truncate(15 + below(bytes.len() - 15)),
                1 => {
                    // Small numbers are likely to mean something.
                    let at = 14 + below(bytes.len().min(260) - 14);
                    bytes[at] = [0, 1, 2, 3, 7, 8, 128, 255][below(8)];
                }
                2 => {
                    let start = 14 + below(bytes.len() - 14);
                    bytes[start..]
                        .iter_mut()
                        .for_each(|byte| *byte = below(256) as u8);
                }
                _ => {
                    for _ in 0..3 {
                        let at = 54 + below(bytes.len().saturating_sub(54).min(200));
                        if let Some(byte) = bytes.get_mut(at) {
                            *byte = below(256) as u8;
                        }
                    }
                }
            }
            // Else hardly any would be read further than the check.
            if sealed && datagram(&bytes).is_some() {
                check::write(&mut bytes);
            }
            let there = match below(8) {
                0 => 15 + below(bytes.len() - 14),
                _ => bytes.len(),
            };
            short.push(there == bytes.len() && bytes.len() < 54);
            record(&mut file, &bytes[..there], bytes.len());
        }
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("hostile.pcap");
    std::fs::write(&path, file)?;
    let seen = read(lab, &path, &[])?;
    ensure!(
        seen.len() == short.len(),
        "{} of {} frames",
        seen.len(),
        short.len()
    );
    sound(&seen)?;
    for (frame, short) in seen.iter().zip(short) {
        let messages = frame.all("_ws.expert.message");
        let malformed = messages
            .iter()
            .any(|text| text.contains("Malformed Packet"));
        let bad = frame
            .all("_ws.expert.severity")
            .iter()
            .any(|it| it == ERROR);
        ensure!(
            !malformed && (bad || !short),
            "frame {}: {messages:?}",
            frame.number()
        );
    }
    Ok(())
}

/// The head of a file in the old format, which says in each frame how long it was.
fn pcap() -> Vec<u8> {
    let words = [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 1];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn record(file: &mut Vec<u8>, bytes: &[u8], length: usize) {
    let words = [0, 0, bytes.len() as u32, length as u32];
    file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    file.extend(bytes);
}
