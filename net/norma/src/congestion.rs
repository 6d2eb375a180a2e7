//! How many frames the network between two nodes takes: told from delay, not from loss alone.
//!
//! A frame that is lost says that a queue was full, or that a wire is bad. Round trips tell the
//! two apart: where frames wait in a queue they take longer than the shortest round trip that
//! was seen, and the difference says how many of ours lie there. So the window grows while
//! fewer than a few do, and a loss makes it smaller only if many do, or if so much is lost that
//! no wire is that bad. On a network without a queue of ours it never limits anything.
//!
//! Sources: Brakmo and Peterson, "TCP Vegas" (1995), for frames in the queue; Fu and Liew, "TCP
//! Veno" (2003), for what a loss means; the bound on loss is an idea of BBR's second version.

use core::time::Duration;

use crate::limits::{
    BAD_LOSS, CONGESTED, FIRST_WINDOW, LEAST_WINDOW, LOSS_OVER, MAX_CREDIT, MUCH_LOSS,
    QUEUED_ENOUGH, QUEUED_LITTLE,
};
use crate::window::before;

#[derive(Debug)]
pub(crate) struct Congestion {
    /// Frames that may be under way.
    window: u32,
    /// It doubles each round until a queue is felt.
    starting: bool,
    /// The shortest round trip seen, in nanoseconds; 0 for none yet.
    least: u64,
    /// The round ends when the frame before this one has arrived.
    round_end: u32,
    /// The first of the frames among which losses are counted,
    counted: u32,
    lost: u32,
    /// and what part of all frames was lost lately, in 1024ths.
    loss: u32,
    /// In this round the window has held something back.
    limits: bool,
    /// In this round it was made smaller.
    cut: bool,
    /// Frames before this one had arrived at the last look.
    looked: u32,
}

impl Congestion {
    pub(crate) fn new(first: u32) -> Self {
        Congestion {
            window: FIRST_WINDOW,
            starting: true,
            least: 0,
            round_end: first,
            counted: first,
            lost: 0,
            loss: 0,
            limits: false,
            cut: false,
            looked: first,
        }
    }

    /// How many frames may be under way.
    pub(crate) fn window(&self) -> u32 {
        self.window
    }

    /// What part of all frames was lost lately, in 1024ths.
    pub(crate) fn loss(&self) -> u32 {
        self.loss
    }

    /// Something was not sent because of the window.
    pub(crate) fn limits(&mut self) {
        self.limits = true;
    }

    /// A round trip that cannot have been longer than it had to.
    pub(crate) fn seen(&mut self, round_trip: Duration) {
        let nanos = round_trip.as_nanos() as u64;
        if nanos > 0 && (self.least == 0 || nanos < self.least) {
            self.least = nanos;
        }
    }

    /// How many of a window of frames wait in a queue, if they take so long.
    fn queued(&self, round_trip: Duration) -> u32 {
        let now = round_trip.as_nanos() as u64;
        if self.least == 0 || now <= self.least {
            return 0;
        }
        (u64::from(self.window) * (now - self.least) / now) as u32
    }

    /// Frames before `reached` have arrived, or are known to be lost; the next new one will be
    /// `next`. Ends the round if it is over (W-84).
    pub(crate) fn look(&mut self, reached: u32, next: u32, round_trip: Duration) {
        self.count_losses(next);
        let arrived = reached.wrapping_sub(self.looked);
        self.looked = reached;
        if self.starting && self.limits && !self.cut {
            self.start(arrived, round_trip);
        }
        if before(reached, self.round_end) || next == self.round_end {
            return;
        }
        // Routes change: what was shortest once does not hold for ever.
        self.least += self.least / 512;
        self.seen(round_trip);
        if self.limits && !self.cut && !self.starting {
            self.adapt(self.queued(round_trip));
        }
        self.round_end = next;
        (self.limits, self.cut) = (false, false);
    }

    /// Each frame that has arrived makes room for two, until a queue is felt.
    fn start(&mut self, arrived: u32, round_trip: Duration) {
        if self.queued(round_trip) < QUEUED_LITTLE && self.loss < MUCH_LOSS {
            self.window = (self.window + arrived).min(MAX_CREDIT);
        } else {
            self.starting = false;
        }
    }

    /// A round is over in which the window was full.
    fn adapt(&mut self, queued: u32) {
        if queued < QUEUED_LITTLE && self.loss < MUCH_LOSS {
            self.window = (self.window + 1 + self.window / 8).min(MAX_CREDIT);
        } else if queued > QUEUED_ENOUGH.max(self.window / 2) && self.window > FIRST_WINDOW {
            // Delay alone takes nothing that every session has at first.
            self.window = (self.window - self.window / 8).max(FIRST_WINDOW);
        }
    }

    fn count_losses(&mut self, next: u32) {
        let sent = next.wrapping_sub(self.counted);
        if sent >= LOSS_OVER {
            let now = (self.lost * 1024 / sent).min(1024);
            self.loss = (3 * self.loss + now) / 4;
            self.counted = next;
            self.lost = 0;
        }
    }

    /// `count` more frames are lost. Tells whether the window has become smaller.
    pub(crate) fn lost(&mut self, count: u32, next: u32, round_trip: Duration) -> bool {
        self.lost += count;
        self.count_losses(next);
        let queued = self.queued(round_trip) > CONGESTED.max(self.window / 2);
        if self.cut || !(queued || self.loss > BAD_LOSS) {
            return false;
        }
        self.cut = true;
        self.starting = false;
        self.window = (self.window - self.window / 4).max(LEAST_WINDOW);
        true
    }

    /// Twice nothing was heard for a whole retransmission time.
    pub(crate) fn silent(&mut self) {
        self.starting = true;
        self.window = (self.window / 2).max(LEAST_WINDOW);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_millis(10);
    const SLOW: Duration = Duration::from_millis(40);

    /// One round of a full window after another, each with that many losses and that round trip.
    fn rounds(congestion: &mut Congestion, count: u32, lost: u32, round_trip: Duration) {
        let mut next = congestion.round_end;
        for _ in 0..count {
            let reached = next;
            next = next.wrapping_add(congestion.window());
            congestion.limits();
            congestion.look(reached, next, round_trip);
            if lost > 0 {
                let _ = congestion.lost(lost, next.wrapping_add(congestion.window()), round_trip);
            }
        }
    }

    #[test]
    fn an_empty_network_is_filled_in_few_rounds() {
        let mut congestion = Congestion::new(u32::MAX - 5);
        rounds(&mut congestion, 8, 0, FAST);
        assert_eq!(congestion.window(), MAX_CREDIT);
    }

    #[test]
    fn a_bad_wire_is_no_reason_to_send_less() {
        let mut congestion = Congestion::new(0);
        for _ in 0..20 {
            let lost = congestion.window() / 20;
            rounds(&mut congestion, 1, lost, FAST);
        }
        assert_eq!(congestion.window(), MAX_CREDIT);
    }

    #[test]
    fn a_loss_with_a_full_queue_is() {
        let mut congestion = Congestion::new(0);
        rounds(&mut congestion, 2, 0, FAST);
        let before = congestion.window();
        rounds(&mut congestion, 1, 1, SLOW);
        assert!(congestion.window() < before);
    }

    #[test]
    fn so_many_losses_that_no_wire_is_that_bad_are_too() {
        let mut congestion = Congestion::new(0);
        for _ in 0..20 {
            let lost = congestion.window() / 2 + 1;
            rounds(&mut congestion, 2, lost, FAST);
        }
        assert!(congestion.window() < FIRST_WINDOW, "{congestion:?}");
    }

    #[test]
    fn delay_alone_takes_nothing_that_all_have_at_first() {
        let mut congestion = Congestion::new(0);
        rounds(&mut congestion, 1, 0, FAST);
        rounds(&mut congestion, 100, 0, 20 * FAST);
        assert_eq!(congestion.window(), FIRST_WINDOW);
    }
}
