//! A session: the conversation between two node incarnations, shared by all their ports.
//!
//! Owns: its state, its identity, who was last heard when. The halves are in `outbox` and
//! `inbox`, the rights in `rights`.

use alloc::vec::Vec;
use core::time::Duration;

use norma_flip::{Address, Instant};
use norma_wire::descriptor;
use norma_wire::hello::NodeName;

use crate::claim::Hints;
use crate::flight::Acknowledgement;
use crate::inbox::Inbox;
use crate::limits::{
    ACK_DELAY, ACK_SPAN, ACKNOWLEDGE_EVERY_AFTER_LOSS, DEAD_AFTER, DEAD_PROBES, DOUBT_PROBES,
    LOOK_AFTER, LOOK_SOON, PROBE_AFTER, PROBE_IDLE, PROBE_INTERVAL,
};
use crate::linger;
use crate::outbox::Outbox;
use crate::queue::Queue;
use crate::rights::{Exports, Imports};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// HELLO is being sent to an address; who answers is not known yet.
    Connecting,
    /// WELCOME was sent; the peer has not used the session yet.
    Offered,
    /// Both sides know it.
    Established,
}

/// Watches whether the peer is alive, by silence that this node has itself been awake for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Liveness {
    /// Silence so far, not counting time in which this node did not run.
    silence: Duration,
    /// When the silence was last added up.
    checked: Instant,
    probes: u8,
    /// When a frame of the peer last arrived.
    heard_at: Instant,
}

/// What to do about a silent peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    Fine,
    Probe,
    Dead,
}

impl Liveness {
    fn new(now: Instant) -> Self {
        Liveness {
            silence: Duration::ZERO,
            checked: now,
            probes: 0,
            heard_at: now,
        }
    }

    /// A frame of the peer has arrived: its silence begins anew, which is noted when somebody
    /// asks.
    #[inline(always)]
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard_at = now;
    }

    /// The same with what was heard since the last look.
    fn refreshed(self) -> Liveness {
        let mut refreshed = self;
        if self.heard_at >= self.checked {
            refreshed.pause(self.heard_at);
        }
        refreshed
    }

    /// Whether the peer has been asked so often in vain that another way to it should be sought.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.probes == DOUBT_PROBES
    }

    /// When a frame of the peer last arrived.
    pub(crate) fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// When to look again. A peer with which nothing is shared is asked now and then all the
    /// same: sessions with peers that are gone must not pile up.
    pub(crate) fn next_check(&self, shared: bool) -> Instant {
        let Liveness {
            silence,
            checked,
            probes,
            ..
        } = self.refreshed();
        let wait = match (probes, shared) {
            (0, true) => PROBE_AFTER.saturating_sub(silence),
            (0, false) => PROBE_IDLE,
            _ => PROBE_INTERVAL,
        };
        checked + wait.max(Duration::from_millis(1))
    }

    /// Adds the time since the last look to the silence, but no more than one and a half times
    /// what was planned: if the look is later than that, this node itself did not run, and the
    /// peer may have answered in vain.
    pub(crate) fn check(&mut self, now: Instant, shared: bool) -> Check {
        *self = self.refreshed();
        let planned = self.next_check(shared).since(self.checked);
        let passed = now.since(self.checked);
        if passed < planned {
            return Check::Fine;
        }
        if self.probes == 0 && !shared {
            // Nobody asked until now: the silence that counts begins here.
            self.silence = PROBE_AFTER;
        } else {
            self.silence += passed.min(planned + planned / 2);
        }
        self.checked = now;
        if self.silence >= DEAD_AFTER && self.probes >= DEAD_PROBES {
            return Check::Dead;
        }
        self.probes = self.probes.saturating_add(1);
        Check::Probe
    }

    /// Nothing is shared with the peer: its silence means nothing.
    #[inline]
    pub(crate) fn pause(&mut self, now: Instant) {
        self.silence = Duration::ZERO;
        self.checked = now;
        self.probes = 0;
    }
}

bitflags::bitflags! {
    /// Frames that the session owes besides sequenced ones.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Owed: u8 {
        const ACK = 1;
        const PROBE = 2;
        const HELLO = 4;
        const WELCOME = 8;
        /// An ACK of its own, in answer to a probe: a larger frame might be lost more easily.
        const ANSWER = 16;
    }
}

#[derive(Debug)]
pub(crate) struct Session<P> {
    pub(crate) state: State,
    /// Where it is in the node's table.
    pub(crate) place: u32,
    /// Tells this session from others that had its place before.
    pub(crate) generation: u16,
    /// What the peer writes into its frames to us.
    pub(crate) number: u32,
    /// What we write into ours.
    pub(crate) peer_number: u32,
    /// The peer's node address; while connecting, the address to which HELLO goes.
    pub(crate) peer: Address,
    pub(crate) peer_name: NodeName,
    pub(crate) peer_incarnation: u64,
    pub(crate) out: Outbox<P>,
    pub(crate) inbox: Inbox<P>,
    pub(crate) exports: Exports,
    pub(crate) imports: Imports,
    /// An empty list for the rights of the next message.
    pub(crate) spare: Vec<descriptor::Repr>,
    /// Where the peer has send-once rights of third nodes from.
    pub(crate) hints: Hints,
    /// Imports whose stand-ins are unused.
    pub(crate) lingering: linger::Waiting,
    pub(crate) liveness: Liveness,
    pub(crate) owed: Owed,
    /// The number of the probe that is owed an answer.
    pub(crate) echo: u32,
    /// The acknowledgement that is owed was held back.
    pub(crate) held_back: bool,
    /// How many frames the peer may have under way, as it is written.
    pub(crate) credit: u8,
    /// After how many frames an acknowledgement does not wait,
    pub(crate) every: u8,
    /// and after how many where nothing gets lost.
    pub(crate) usual_every: u8,
    /// The peer sends to us.
    pub(crate) active: bool,
    /// The frame of the peer that was missing when that was last looked at.
    pub(crate) counted: u32,
    /// How soon it looks at what was sent.
    pub(crate) look: Duration,
    /// A thread has called since that was last looked at.
    pub(crate) calls: bool,
    /// What it sends is mostly calls.
    client: bool,
    /// Whole pages that fit a frame to the peer.
    pub(crate) frame_pages: u32,
    /// Bytes of session payload that fit a frame to the peer.
    pub(crate) frame_limit: u32,
    /// HELLOs sent, while connecting.
    pub(crate) tries: u8,
    /// When HELLO is due again, or an offer expires.
    pub(crate) timer: Instant,
    /// Connecting: the node that answered, whose own attempt at a session goes first.
    pub(crate) found: Option<Address>,
    /// The peer has used the session: so it knows it.
    pub(crate) confirmed: bool,
    /// There is a newer session with the same peer.
    pub(crate) superseded: bool,
    /// It is in the list of sessions with something to send.
    pub(crate) listed: bool,
    /// There is no route to the peer; it is being located.
    pub(crate) lost_route: bool,
    /// Nothing is due before this time (a lower bound: it is checked lazily).
    pub(crate) deadline: Instant,
}

impl<P: norma_ipc::Page> Session<P> {
    pub(crate) fn new(
        state: State,
        place: u32,
        number: u32,
        generation: u16,
        peer: Address,
        first_sequence: u32,
        now: Instant,
    ) -> Self {
        Session {
            state,
            place,
            generation,
            number,
            peer_number: 0,
            peer,
            peer_name: NodeName::default(),
            peer_incarnation: 0,
            out: Outbox::new(first_sequence),
            inbox: Inbox::new(0),
            exports: Exports::new(),
            imports: Imports::new(),
            spare: Vec::new(),
            hints: Hints::new(),
            lingering: linger::Waiting::new(),
            liveness: Liveness::new(now),
            owed: Owed::empty(),
            echo: 0,
            held_back: false,
            credit: 1,
            every: 1,
            usual_every: 1,
            active: true,
            counted: 0,
            look: LOOK_SOON,
            calls: false,
            client: false,
            frame_pages: 0,
            frame_limit: 0,
            tries: 0,
            timer: now,
            found: None,
            confirmed: false,
            superseded: false,
            listed: false,
            lost_route: false,
            deadline: Instant::NEVER,
        }
    }

    /// Whether anything would be missed if the peer were dead: then it is worth probing.
    #[inline(always)]
    pub(crate) fn shares(&self) -> bool {
        !self.imports.is_empty()
            || !self.exports.is_empty()
            || self.out.is_busy()
            || !self.inbox.is_empty()
            || self.superseded
    }

    /// Whether the session has a frame to send now.
    #[inline]
    pub(crate) fn has_frame(&mut self) -> bool {
        !self.owed.is_empty() || (self.state == State::Established && self.out.has_frame())
    }

    /// A new frame has been taken: acknowledge it, soon or, after some frames, at once.
    #[inline(always)]
    pub(crate) fn arrived(&mut self, now: Instant, sequence: u32, earliest: &mut Instant) {
        let inbox = &mut self.inbox;
        inbox.window.mark(sequence);
        self.out.flight.ripen(inbox.window.next());
        inbox.unacknowledged = inbox.unacknowledged.saturating_add(1);
        if inbox.window.has_gap() {
            self.arrived_early();
        } else if inbox.unacknowledged >= self.every {
            self.owed.insert(Owed::ACK);
        } else if let Some(by) = inbox.acknowledge_by {
            if now + (ACK_DELAY - ACK_SPAN) >= by {
                self.owed.insert(Owed::ACK);
            }
        } else {
            let by = now + ACK_DELAY;
            inbox.acknowledge_by = Some(by);
            self.due(by, earliest);
        }
    }

    /// A frame is missing before the one that has arrived.
    #[cold]
    fn arrived_early(&mut self) {
        self.every = self.every.min(ACKNOWLEDGE_EVERY_AFTER_LOSS as u8);
        self.owed.insert(Owed::ACK);
        if self.inbox.window.is_wide() {
            // Only a frame of its own can say all that has arrived.
            self.owed.insert(Owed::ANSWER);
        }
    }

    /// Takes what a frame says about ours.
    #[inline(always)]
    pub(crate) fn acknowledged(&mut self, now: Instant, said: Acknowledgement) {
        let arrived = self.inbox.window.next();
        self.out.flight.acknowledge(now, said, arrived);
    }

    /// Puts itself, from its place, into the list of those that may have a frame to send.
    #[inline(always)]
    pub(crate) fn list(&mut self, place: u32, ready: &mut Queue) {
        let quiet = self.owed.is_empty() && self.out.is_quiet();
        if !quiet && !self.listed && !self.lost_route && self.has_frame() {
            self.listed = true;
            ready.push(place); // Room was reserved when the session was made.
        }
    }

    /// A frame found no way to the peer: nor has anything else that is under way, and all of it
    /// goes again.
    #[cold]
    pub(crate) fn lose_route(&mut self) {
        self.lost_route = true;
        self.out.flight.lose_all();
        if self.state == State::Connecting {
            self.owed.insert(Owed::HELLO);
        }
    }

    /// Something is due at `due`; the node's earliest deadline follows.
    #[inline]
    pub(crate) fn due(&mut self, due: Instant, earliest: &mut Instant) {
        if due < self.deadline {
            self.deadline = due;
            *earliest = due.min(*earliest);
        }
    }

    /// When something is due, recomputed, and how soon to look at what is sent from now on.
    pub(crate) fn next_deadline(&mut self, now: Instant) -> Instant {
        if self.state != State::Established {
            return self.timer;
        }
        let mut deadline = Instant::NEVER;
        if let Some(retransmit) = self.out.deadline(now) {
            deadline = deadline.min(retransmit);
        }
        if let Some(acknowledge) = self.inbox.acknowledge_by {
            deadline = deadline.min(acknowledge);
        }
        if let Some(lingering) = self.lingering.front() {
            deadline = deadline.min(lingering.until);
        }
        let deadline = deadline.min(self.liveness.next_check(self.shares()));
        let calls = core::mem::take(&mut self.calls);
        let sends = !self.out.flight.is_empty();
        if calls || sends {
            self.client = calls;
        }
        self.look = match (self.client, calls || sends) {
            (true, true) => self.out.flight.round_trip.look(),
            // The first call after a pause sets the timer anyway.
            (true, false) => LOOK_SOON,
            (false, _) => LOOK_AFTER,
        };
        // In use, it looks again soon: then nothing that is sent meanwhile is due earlier, and
        // the timer is not set twice.
        if sends {
            deadline.min(now + self.look)
        } else {
            deadline
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One look per planned interval, until the verdict.
    fn run(mut liveness: Liveness, mut now: Instant) -> (Instant, u32) {
        let mut probes = 0;
        loop {
            now = liveness.next_check(true).max(now);
            match liveness.check(now, true) {
                Check::Fine => {}
                Check::Probe => probes += 1,
                Check::Dead => return (now, probes),
            }
        }
    }

    #[test]
    fn a_silent_peer_is_dead_after_about_a_second() {
        let start = Instant::from_millis(5000);
        let (end, probes) = run(Liveness::new(start), start);
        let took = end.since(start);
        assert!(
            took >= DEAD_AFTER && took < DEAD_AFTER + Duration::from_millis(150),
            "{took:?}"
        );
        assert!(probes >= u32::from(DEAD_PROBES));
    }

    #[test]
    fn time_in_which_this_node_slept_does_not_count() {
        let start = Instant::from_millis(0);
        let mut liveness = Liveness::new(start);
        // Asleep for ten seconds: one look, and it asks instead of condemning.
        assert_eq!(
            liveness.check(Instant::from_millis(10_000), true),
            Check::Probe
        );
        assert_eq!(
            liveness.check(Instant::from_millis(20_000), true),
            Check::Probe
        );
        liveness.heard(Instant::from_millis(20_001));
        assert_eq!(
            liveness.check(Instant::from_millis(20_100), true),
            Check::Fine
        );
    }

    #[test]
    fn a_peer_that_shares_nothing_is_asked_now_and_then() {
        let start = Instant::from_millis(5000);
        let mut liveness = Liveness::new(start);
        let first = liveness.next_check(false);
        assert_eq!(first.since(start), PROBE_IDLE);
        assert_eq!(liveness.check(first, false), Check::Probe);
        let mut now = first;
        while liveness.check(now, false) != Check::Dead {
            now = liveness.next_check(false).max(now);
        }
        let took = now.since(first);
        assert!(took > DEAD_AFTER / 2 && took < DEAD_AFTER, "{took:?}");
    }
}
