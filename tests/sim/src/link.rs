//! What a wire does besides faults: it takes time for each byte, and what does not fit the queue
//! in front of it is lost.
//!
//! Each machine has one wire from the switch to it, with a queue before it that drops what comes
//! when it is full (drop-tail). The wires to the switch are as fast as one likes: all that is
//! interesting about a slow one shows at the receiver's.

use core::time::Duration;

/// The wire to a machine, and the queue before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Bits in a second.
    pub bandwidth: u64,
    /// Bytes that may wait, besides the frame that is on the wire.
    pub queue: usize,
}

impl Link {
    /// How long so many bytes are on the wire.
    #[must_use]
    pub fn time(&self, bytes: usize) -> Duration {
        Duration::from_nanos((bytes as u128 * 8_000_000_000 / u128::from(self.bandwidth)) as u64)
    }
}

/// The wires of all machines.
#[derive(Debug, Default)]
pub(crate) struct Wires {
    /// Until when each is taken.
    busy: Vec<Duration>,
}

impl Wires {
    /// When a frame of so many bytes for a machine leaves the wire; `None` if it is dropped.
    pub(crate) fn pass(
        &mut self,
        now: Duration,
        link: Option<Link>,
        to: usize,
        bytes: usize,
    ) -> Option<Duration> {
        let Some(link) = link else { return Some(now) };
        if self.busy.len() <= to {
            self.busy.resize(to + 1, Duration::ZERO);
        }
        let begin = self.busy[to].max(now);
        let waits = begin - now;
        if waits > link.time(link.queue) {
            return None;
        }
        self.busy[to] = begin + link.time(bytes);
        Some(self.busy[to])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wire_takes_its_time_and_a_full_queue_drops() {
        let link = Some(Link {
            bandwidth: 8_000_000,
            queue: 2000,
        });
        let mut wires = Wires::default();
        let milliseconds = Duration::from_millis;
        let mut pass = |now, to| wires.pass(milliseconds(now), link, to, 1000);
        assert_eq!(pass(0, 1), Some(milliseconds(1)));
        assert_eq!(pass(0, 1), Some(milliseconds(2)));
        assert_eq!(pass(0, 1), Some(milliseconds(3)));
        assert_eq!(pass(0, 1), None);
        assert_eq!(pass(0, 0), Some(milliseconds(1)), "another wire");
        assert_eq!(pass(1, 1), Some(milliseconds(4)));
        assert_eq!(pass(10, 1), Some(milliseconds(11)));
    }
}
