//! Lingering: a stand-in without rights stays for a moment, in case the same right comes again.
//!
//! A service that is sent a right with each call, and drops it each time, would else give it
//! back each time: a RELEASE per call, and a new export and stand-in for the next. So what is
//! unused is given back a little later (W-105), all that were received meanwhile together.
//!
//! Owns: who lingers, and until when.

use norma_flip::Instant;
use norma_ipc::{PageSource, RemoteToken};

use crate::limits::{LINGER, MAX_LINGERING};
use crate::node::Node;
use crate::rights::{Destination, parse_token, token};

/// An import whose stand-in is unused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lingering {
    import: u32,
    serial: u32,
    /// Rights received when this was noted: if there are more by then, it is in use.
    received: u32,
    pub(crate) until: Instant,
}

pub(crate) type Waiting = heapless::Deque<Lingering, MAX_LINGERING>;

impl<S: PageSource> Node<S> {
    /// The last right to the stand-in of an import is gone.
    pub(crate) fn import_unused(&mut self, token: RemoteToken) {
        let (place, generation, destination) = parse_token(token);
        let (Some(session), Destination::Import(at)) = (self.sessions.get_mut(place), destination)
        else {
            return;
        };
        if session.generation != generation {
            return;
        }
        let Some(import) = session.imports.get(at) else {
            return;
        };
        // One may have arrived since, and be about to go: that is looked at later.
        let (serial, received) = (import.serial, import.received);
        // The right came with a frame: time is counted from the last one.
        let until = session.liveness.heard_at() + LINGER;
        let lingering = Lingering {
            import: at,
            serial,
            received,
            until,
        };
        if session.lingering.push_back(lingering).is_err() {
            return self.give_back(place, at);
        }
        session.due(until, &mut self.deadline);
    }

    /// Gives back what has been unused for long enough.
    pub(crate) fn expire_lingering(&mut self, now: Instant, place: u32) {
        loop {
            let Some(session) = self.sessions.get_mut(place) else {
                return;
            };
            let due = session.lingering.front().is_some_and(|l| l.until <= now);
            let Some(lingering) = due.then(|| session.lingering.pop_front()).flatten() else {
                return;
            };
            let found = session.imports.get(lingering.import);
            let Some(import) = found.filter(|import| import.serial == lingering.serial) else {
                continue;
            };
            let (port, received) = (import.port, import.received);
            if !self.ipc.is_senderless(port) {
                // It is in use: let it be said when it is not.
                self.ipc.keep_unused(port);
                continue;
            }
            if received == lingering.received {
                self.give_back(place, lingering.import);
                continue;
            }
            let again = Lingering {
                received,
                until: now + LINGER,
                ..lingering
            };
            // In the place that was just left.
            let _ = session.lingering.push_back(again);
        }
    }

    fn give_back(&mut self, place: u32, at: u32) {
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        let token = token(place, session.generation, Destination::Import(at));
        let Some(import) = session.imports.get_mut(at) else {
            return;
        };
        let port = import.port;
        // Send-once rights that are left need no way for messages.
        if !self.ipc.is_senderless(port) {
            self.ipc.keep_unused(port);
            return;
        }
        if self.ipc.sink(port) != Ok(norma_ipc::Sink::Remote(token)) {
            return; // The stand-in hangs on another by now.
        }
        if import.unsettled == 0 && import.refused.is_empty() {
            self.drop_stand_in(port);
        } else {
            import.ending = true;
        }
    }
}
