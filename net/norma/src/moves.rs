//! Receive rights between nodes: what a node remembers of those that come and go, and what it
//! does when there was no memory for the next step.
//!
//! The way of a receive right from `b` to `d` (W-120 to W-136): it leaves in a message as any
//! right does, while its port goes on at `b`, queueing (`carry`). `d` takes the message, has an
//! *arriving* port from then on, keeps the message to itself (`hold`), and says TAKEN
//! (`arriving`). At `b` the port becomes a stand-in, and STATE and all that was queued follow
//! (`depart`). When that is in, the port opens, and the message is delivered.
//!
//! Nothing of this may fail half-way. Where the next step needs memory that is not there, it is
//! tried again a little later ([`MOVE_AGAIN`]); nothing else waits for it.

use norma_flip::Instant;
use norma_ipc::{PageSource, Reason, Right};

use crate::arriving::Arrival;
use crate::depart::Taken;
use crate::hold::Held;
use crate::limits::{MAX_ARRIVALS, MAX_HELD, MAX_TAKEN, MOVE_AGAIN};
use crate::node::Node;
use crate::slots::Slots;

#[derive(Debug)]
pub(crate) struct Moves<P> {
    /// Ports that are arriving.
    pub(crate) arrivals: Slots<Arrival<P>>,
    /// Messages that wait until the receive rights in them have arrived.
    pub(crate) held: Slots<Held<P>>,
    /// TAKEN, on which could not be acted yet.
    pub(crate) taken: heapless::Vec<Taken, MAX_TAKEN>,
    /// When to try again what could not be done.
    pub(crate) due: Instant,
    /// When to ask whether ports that cannot leave wait for each other.
    pub(crate) ask_round: Instant,
}

impl<P> Moves<P> {
    pub(crate) const fn new() -> Self {
        Moves {
            arrivals: Slots::new(MAX_ARRIVALS),
            held: Slots::new(MAX_HELD),
            taken: heapless::Vec::new(),
            due: Instant::NEVER,
            ask_round: Instant::NEVER,
        }
    }

    /// Rights in the hands of this table.
    pub(crate) fn rights(&self) -> impl Iterator<Item = &Right> {
        let messages = self.held.iter().map(|(_, held)| &held.message);
        let inside = messages.flat_map(|message| message.rights().iter().chain(message.reply()));
        inside.chain(self.held.iter().filter_map(|(_, held)| held.right()))
    }

    /// Receive rights that come or go, and messages that wait for them.
    pub(crate) fn len(&self) -> usize {
        self.arrivals.len() + self.held.len() + self.taken.len()
    }
}

impl<S: PageSource> Node<S> {
    /// Something could not be done for want of memory (W-129).
    pub(crate) fn move_later(&mut self, now: Instant) {
        self.moves.due = self.moves.due.min(now + MOVE_AGAIN);
        self.deadline = self.deadline.min(self.moves.due);
    }

    /// Tries again what could not be done.
    pub(crate) fn moves_timeout(&mut self, now: Instant) {
        self.ask_round(now);
        if self.moves.due > now {
            return;
        }
        self.moves.due = Instant::NEVER;
        self.depart_again(now);
        for at in 0..self.moves.arrivals.places() {
            self.arrive_again(now, at);
        }
        for at in 0..self.moves.held.places() {
            self.release_held(now, at);
        }
        self.carry_stalled(now);
        self.ask_moved(now);
    }

    /// A session is over: what was to come from its peer will not.
    pub(crate) fn moves_lost(&mut self, now: Instant, place: u32, generation: u16, reason: Reason) {
        let lives = |taken: &Taken| (taken.place, taken.generation) != (place, generation);
        self.moves.taken.retain(lives);
        for at in 0..self.moves.arrivals.places() {
            self.arrival_lost(now, at, (place, generation), reason);
        }
    }
}
