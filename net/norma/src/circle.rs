//! Receive rights that wait for each other round: each is in a message that waits for the next.
//!
//! A port does not leave while a message for it waits for receive rights of its own (`hold`,
//! `depart`). If `a` sends the receive right of a port to a port of `b`, and `b` that of this port
//! to the first, at the same time, each node has a message that waits for the other's port, and
//! neither leaves. On one node such a message is refused, for nobody could ever take it out;
//! between nodes this is known only when both are on their way.
//!
//! Owns: finding that out. A node at which a port has been waiting to leave for a while tells the
//! peers from which the rights come that it waits for: WAITS. Whoever gets it, and has the port
//! that is waited for waiting in turn, passes it on, or finds that it is back at the port that
//! began: then this right of the circle dies, and all others go on. As each port in a circle
//! waits until the next one arrives, whoever has followed all of it has seen it as it is
//! (edge chasing; Chandy, Misra and Haas, "Distributed Deadlock Detection", 1983).

use norma_flip::Instant;
use norma_ipc::{Message, PageSource, PortId, Reason};

use crate::arriving::Within;
use crate::carry::Target;
use crate::limits::{ASK_ROUND, MAX_ROUND};
use crate::node::Node;
use crate::service::operation;

/// What WAITS says: 20 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Waits {
    /// The port with which it began.
    first: u64,
    /// The one that is waited for.
    awaited: u64,
    /// Nodes that it has passed.
    steps: u32,
}

impl Waits {
    fn read(data: &[u8]) -> Option<Waits> {
        let (first, rest) = data.split_first_chunk()?;
        let (awaited, rest) = rest.split_first_chunk()?;
        Some(Waits {
            first: u64::from_le_bytes(*first),
            awaited: u64::from_le_bytes(*awaited),
            steps: u32::from_le_bytes(*rest.as_array()?),
        })
    }

    fn write(&self) -> [u8; 20] {
        let mut data = [0; 20];
        data[..8].copy_from_slice(&self.first.to_le_bytes());
        data[8..16].copy_from_slice(&self.awaited.to_le_bytes());
        data[16..].copy_from_slice(&self.steps.to_le_bytes());
        data
    }
}

impl<S: PageSource> Node<S> {
    /// A port cannot leave, for a message for it waits.
    pub(crate) fn ask_round_later(&mut self, now: Instant) {
        if self.moves.ask_round == Instant::NEVER {
            self.moves.ask_round = now + ASK_ROUND;
            self.deadline = self.deadline.min(self.moves.ask_round);
        }
    }

    /// Asks whether those ports wait for each other that have been waiting for long.
    pub(crate) fn ask_round(&mut self, now: Instant) {
        if self.moves.ask_round > now {
            return;
        }
        self.moves.ask_round = Instant::NEVER;
        for at in 0..self.moves.taken.len() {
            let taken = self.moves.taken.get(at);
            let port = taken.and_then(|taken| self.departing(taken));
            let Some(port) = port.filter(|port| self.holds_for(*port)) else {
                continue;
            };
            let first = self.ipc.label(port).identity;
            self.ask_those(now, port, first, 0);
            self.ask_round_later(now);
        }
    }

    /// Passes on to all for whom `port` waits that the first one waits for them.
    fn ask_those(&mut self, now: Instant, port: PortId, first: u64, steps: u32) {
        for at in 0..self.moves.arrivals.places() {
            if !self.holds_up(at, port) {
                continue;
            }
            let Some(arrival) = self.moves.arrivals.get(at) else {
                continue;
            };
            let (place, generation) = (arrival.place, arrival.generation);
            let waits = Waits {
                first,
                awaited: self.ipc.label(arrival.port).identity,
                steps,
            };
            let session = self.sessions.get(place);
            let Some(_) = session.filter(|session| session.generation == generation) else {
                continue;
            };
            let Ok(mut message) = self.ipc.new_message() else {
                continue;
            };
            message.set_id(operation::WAITS);
            let sent = match message.set_data(&waits.write()) {
                Ok(()) => self
                    .dispatch(now, place, Target::NodeService, message)
                    .map_err(|refused| refused.message),
                Err(_) => Err(message),
            };
            // Without memory it is not asked now.
            if let Err(message) = sent {
                self.ipc.discard(message);
            }
        }
    }

    /// Whether a message for `port` waits for this arrival, of which STATE has not come.
    fn holds_up(&self, at: u32, port: PortId) -> bool {
        let arrivals = &self.moves.arrivals;
        if arrivals
            .get(at)
            .is_none_or(|arrival| arrival.left.is_some())
        {
            return false;
        }
        let mut at = at;
        for _ in 0..arrivals.places() {
            match arrivals.get(at).map(|arrival| arrival.within) {
                Some(Within::Arrival(above)) => at = above,
                Some(Within::Held(held)) => {
                    let held = self.moves.held.get(held);
                    return held.is_some_and(|held| held.port() == Some(port));
                }
                _ => return false,
            }
        }
        false
    }

    /// WAITS: somebody waits for a port that is to come from here.
    pub(crate) fn waited_for(&mut self, now: Instant, place: u32, message: Message<S::Page>) {
        let Some(waits) = Waits::read(message.data()) else {
            return self.serve_nothing(now, message);
        };
        self.ipc.discard(message);
        let known = self.directory.get(waits.awaited).map(|known| known.port);
        let taken = self.moves.taken.iter().find(|taken| {
            let port = self.departing(taken);
            taken.place == place && port.is_some() && port == known
        });
        let Some(port) = taken.and(known) else {
            return;
        };
        let first = self.directory.get(waits.first).map(|known| known.port);
        for at in 0..self.moves.arrivals.places() {
            let arrives = self.moves.arrivals.get(at).map(|arrival| arrival.port);
            if arrives.is_some() && arrives == first && self.holds_up(at, port) {
                return self.arrival_fails(now, at, Reason::Circular);
            }
        }
        if waits.steps < MAX_ROUND {
            self.ask_those(now, port, waits.first, waits.steps + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read() {
        let waits = Waits {
            first: 0x0102_0304_0506_0708,
            awaited: u64::MAX - 1,
            steps: 7,
        };
        assert_eq!(Waits::read(&waits.write()), Some(waits));
        assert_eq!(Waits::read(&[0; 19]), None);
        assert_eq!(Waits::read(&[0; 21]), None);
    }
}
