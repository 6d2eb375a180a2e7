//! Every bound of the fault rules, with its reason.

use core::time::Duration;

/// Copies of one frame that may leave a link, the original included: two rules that both
/// duplicate make four, and nothing real makes more.
pub const MAX_COPIES: usize = 4;

/// Frames that a [`crate::Schedule`] holds unless told otherwise: 4,096 frames of 65,535 bytes
/// are 256 MiB, the most that a run should spend on frames under way.
pub const SCHEDULED_FRAMES: usize = 4096;

/// The longest delay that a rule may ask for: beyond a minute every sender has given up, so a
/// longer one is a mistake in the file.
pub const MAX_DELAY: Duration = Duration::from_secs(60);

/// In each of these a slow node stands still once: short enough that nobody takes it for dead.
pub const SLOW_PERIOD: Duration = Duration::from_millis(50);

/// How far a reordered frame may fall behind unless the rule says otherwise: a few frames at
/// the round-trip times of linked virtual machines.
pub const REORDER_WINDOW: Duration = Duration::from_millis(2);
