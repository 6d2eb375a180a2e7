//! norma-faults: what a bad network does to frames, and what befalls nodes, repeatably.
//!
//! Owns the fault rules (drop, delay, duplicate, reorder, corrupt, cut; crash, reboot, freeze,
//! slow), their form in a cluster file, the seeded decisions and the queue of delayed frames. Leaves to others where frames
//! come from and go to: the simulator (`norma-sim`) and the runner's switch (`qemu-runner`) ask
//! the same [`Faults`] about each frame, so that one scenario runs in both.
//!
//! Pure: no clock, no socket, no thread. Time is a [`Duration`] since the start of the run.
//!
//! Why decisions are a function of (seed, rule, link, frame number) and not of one running
//! generator: a switch between real machines sees the frames of different links in an order
//! that no seed controls. Here each link's n-th frame meets the same fate in every run, whatever
//! the other links did in between.
//!
//! Source: the rule set is that of turmoil-net and of TigerBeetle's packet simulator.
#![forbid(unsafe_code)]

mod engine;
pub mod limits;
mod mishap;
mod random;
mod rule;
mod schedule;
mod verdict;

pub use engine::{Counts, Faults, Station};
pub use mishap::{Mishap, mishaps};
pub use random::Random;
pub use rule::{Action, Rule, RuleError};
pub use schedule::Schedule;
pub use verdict::{Corruption, Passage, Verdict};

pub use core::time::Duration;
