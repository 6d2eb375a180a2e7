//! A peer that lies: frames of nodes that do everything that can be done are forged on their way,
//! checks written anew, so that they are believed. No node panics, and each one's own books agree
//! after every step, whatever it was told.
//!
//! What comes of messages then means nothing, and the oracle does not look.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{Arc, Mutex};

use norma_faults::Random;
use norma_net::seal;
use norma_sim::{run_prepared, scenarios};
use norma_wire::layout::{BODY_AT, SESSION_AT};

/// How many runs; `FORGED_SEEDS=FIRST-LAST` in the environment says which instead.
const SEEDS: u64 = 120;

/// Frames that are kept to be sent again, or parts of them.
const KEPT: usize = 200;

/// Fields of the session header, from its beginning.
const FIELDS: [usize; 13] = [1, 4, 8, 12, 16, 20, 21, 22, 24, 28, 32, 36, 40];

/// Forges some of the frames that pass.
struct Forger {
    random: Random,
    /// Of all frames.
    share: f64,
    kept: Vec<Vec<u8>>,
}

impl Forger {
    fn pass(&mut self, frame: &mut Vec<u8>) {
        let session = frame.get(15) == Some(&3) && frame.len() >= BODY_AT;
        if !session {
            return;
        }
        if self.kept.len() < KEPT {
            self.kept.push(frame.clone());
        } else if self.random.chance(0.2) {
            let at = self.below(KEPT);
            self.kept[at] = frame.clone();
        }
        if self.random.chance(self.share) {
            self.forge(frame);
            seal(frame);
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        self.random.below(limit as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn old_frame(&mut self) -> Vec<u8> {
        let at = self.below(self.kept.len());
        self.kept[at].clone()
    }

    fn forge(&mut self, frame: &mut Vec<u8>) {
        match self.below(8) {
            0 => {
                // A field as another frame had it.
                let other = self.old_frame();
                let at = SESSION_AT + self.one_of(&FIELDS);
                frame[at..at + 4].copy_from_slice(&other[at..at + 4]);
            }
            1 => {
                let at = SESSION_AT + self.below(46);
                frame[at] = self.random.next_u64() as u8;
            }
            2 => {
                // A number near the right one.
                let at = SESSION_AT + self.one_of(&[8, 12, 24, 28, 32, 36]);
                if let Some(place) = frame[at..].first_chunk_mut() {
                    let near = self.random.below(9) as u32;
                    let value = u32::from_le_bytes(*place).wrapping_add(near);
                    *place = value.wrapping_sub(4).to_le_bytes();
                }
            }
            3 => frame[SESSION_AT + 1] = 1 + self.random.below(8) as u8,
            4 if frame[SESSION_AT + 1] == 8 => {
                // News about a right: another operation, another reason.
                frame[SESSION_AT + 24] = self.random.below(9) as u8;
                frame[SESSION_AT + 32] = self.random.below(6) as u8;
            }
            4 => frame[SESSION_AT + 2] ^= 1 << self.random.below(8),
            5 | 6 => self.forge_body(frame),
            _ => {
                // An old one, to whoever.
                let addresses = frame[..14].to_vec();
                *frame = self.old_frame();
                if self.random.chance(0.5) {
                    frame[..14].copy_from_slice(&addresses);
                }
            }
        }
    }

    /// What is said to the node itself, descriptors of rights, and news.
    fn forge_body(&mut self, frame: &mut [u8]) {
        let header: [u8; 48] = core::array::from_fn(|at| frame[SESSION_AT + at]);
        let rights = usize::from(header[21]);
        let inline = usize::from(u16::from_le_bytes([header[22], header[23]]));
        let to_node = header[1] == 3 && header[24..28] == [1, 0, 0, 0];
        let (at, value) = if to_node && inline > 0 && inline <= 64 {
            if self.random.chance(0.3) {
                frame[SESSION_AT + 32] = self.one_of(&[1, 2, 3, 4, 5, 16]);
            }
            (self.below(inline), self.random.below(20) as u8)
        } else if rights > 0 {
            let within = self.below(32 * rights);
            let old = frame.get(BODY_AT + inline + within).copied();
            let value = match within % 32 {
                0 => self.random.below(7) as u8,
                1 => self.random.below(5) as u8,
                _ if self.random.chance(0.5) => {
                    let near = self.random.below(5) as u8;
                    old.unwrap_or(0).wrapping_add(near).wrapping_sub(2)
                }
                _ => self.random.next_u64() as u8,
            };
            (inline + within, value)
        } else if header[2] & 0x80 != 0 && inline > 0 {
            if self.random.chance(0.3) {
                frame[SESSION_AT + 32] = self.random.below(9) as u8;
            }
            (self.below(inline.min(16)), self.random.below(9) as u8)
        } else {
            return;
        };
        if let Some(byte) = frame.get_mut(BODY_AT + at) {
            *byte = value;
        }
    }
}

fn seeds() -> (u64, u64) {
    let Ok(range) = std::env::var("FORGED_SEEDS") else {
        return (1, SEEDS);
    };
    let ends = range.split_once('-').map(|(a, b)| (a.parse(), b.parse()));
    match ends {
        Some((Ok(first), Ok(last))) => (first, last),
        _ => panic!("FORGED_SEEDS={range}: expected FIRST-LAST"),
    }
}

#[test]
fn w_64_no_forged_frame_breaks_a_node() {
    // Where the last panic was: actors of the simulation may be led astray by what they were
    // told, a node may not.
    let place = Arc::new(Mutex::new(String::new()));
    let noted = Arc::clone(&place);
    let hook = take_hook();
    set_hook(Box::new(move |info| {
        let location = info.location().map(ToString::to_string);
        *noted.lock().unwrap() = format!("{} {info}", location.unwrap_or_default());
    }));
    let (first, last) = seeds();
    let mut broken = Vec::new();
    let mut ended_well = 0;
    for seed in first..=last {
        let mut config = scenarios::wild(seed, &(3..=5));
        config.rules.clear();
        config.mtu = 65_521;
        config.forged = true;
        let share = [0.002, 0.01, 0.05, 0.2][(seed % 4) as usize];
        let ended = catch_unwind(AssertUnwindSafe(|| {
            run_prepared(&config, |world| {
                let mut forger = Forger {
                    random: Random::new(seed * 77),
                    share,
                    kept: Vec::new(),
                };
                world.tamper(move |_, frame| forger.pass(frame));
            })
        }));
        match ended {
            Ok(Ok(_)) => ended_well += 1,
            Ok(Err(failure)) if failure.what.starts_with("audit") => {
                broken.push(format!("seed {seed}: {}", failure.what));
            }
            Ok(Err(_)) => {}
            Err(_) => {
                let place = place.lock().unwrap().clone();
                if !place.starts_with("tests/sim") {
                    broken.push(format!("seed {seed}: {place}"));
                }
            }
        }
    }
    set_hook(hook);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(
        ended_well > 0,
        "some runs get to their end, or little was tried"
    );
}
