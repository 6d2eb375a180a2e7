//! What time brings: repeated frames, late acknowledgements, probes, and the death of peers.
//!
//! Death is pairwise: when this node gives a peer up, the rights in their session die here,
//! and nobody else is told.

use norma_flip::{Address, Event as FlipEvent, Instant, Locate};
use norma_ipc::{PageSource, Reason, Right, RightKind};
use norma_wire::descriptor::Kind;

use crate::limits::{HELLO_INTERVAL, HELLO_TRIES, SHARE_INTERVAL};
use crate::node::{Grave, Node};
use crate::outbound::Packed;
use crate::rights::{Destination, Import, token};
use crate::session::{Check, Owed, Session, State};

impl<S: PageSource> Node<S> {
    /// When [`Node::handle_timeout`] is due, at the latest. It may turn out that nothing was:
    /// deadlines are checked lazily, so that an exchange of messages never moves a timer.
    #[inline]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let due = self.deadline.min(self.flip.next_timeout());
        (due != Instant::NEVER).then_some(due)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.catch_up();
        if self.flip.next_timeout() <= now {
            self.flip.handle_timeout(now);
        }
        self.drain_flip(now);
        if self.deadline > now {
            return;
        }
        self.pursue_due(now);
        for place in 0..self.sessions.places() {
            if self
                .sessions
                .get(place)
                .is_some_and(|session| session.deadline <= now)
            {
                self.session_timeout(now, place);
                if let Some(session) = self.sessions.get_mut(place) {
                    session.deadline = session.next_deadline(now);
                }
                self.list(place);
            }
        }
        self.moves_timeout(now);
        self.names_timeout(now);
        self.lookups_timeout(now);
        if self.share_again <= now {
            self.share_again = now + SHARE_INTERVAL;
            self.share_buffers_anew();
        }
        let deadlines = self.sessions.iter().map(|(_, session)| session.deadline);
        let names = self.names.next().min(self.lookups.next());
        let deadline = deadlines.min().unwrap_or(Instant::NEVER).min(names);
        let moves = self.moves.due.min(self.moves.ask_round);
        self.deadline = deadline.min(self.acquisitions.due()).min(moves);
    }

    fn session_timeout(&mut self, now: Instant, place: u32) {
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        match session.state {
            State::Connecting if session.timer <= now => self.hello_again(now, place),
            State::Offered if session.timer <= now => self.remove_session(place),
            State::Connecting if session.lost_route => {
                let target = session.peer;
                self.seek(now, target);
            }
            State::Connecting | State::Offered => {}
            State::Established => self.watch_session(now, place),
        }
    }

    /// One more HELLO, or nobody is there (W-28).
    fn hello_again(&mut self, now: Instant, place: u32) {
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        if session.tries >= HELLO_TRIES {
            let target = session.peer;
            self.remove_session(place);
            self.name_not_connected(now, place, target);
            self.acquire_unreachable(now, place);
            return;
        }
        session.tries += 1;
        session.timer = now + HELLO_INTERVAL;
        session.owed.insert(Owed::HELLO);
    }

    fn watch_session(&mut self, now: Instant, place: u32) {
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        if session.inbox.acknowledge_by.is_some_and(|by| by <= now) {
            session.inbox.acknowledge_by = None;
            session.owed.insert(Owed::ACK);
            session.held_back = true;
        }
        if !session.inbox.window.has_gap() {
            session.every = session.every.saturating_mul(2).min(session.usual_every);
        }
        session.out.flight.expire(now);
        if session.out.should_ask(now) {
            session.owed.insert(Owed::PROBE);
        }
        self.expire_lingering(now, place);
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        if session.lost_route {
            let peer = session.peer;
            self.seek(now, peer);
        }
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        let shared = session.shares();
        match session.liveness.check(now, shared) {
            Check::Fine => {}
            Check::Probe => {
                session.owed.insert(Owed::PROBE);
                if session.liveness.is_doubtful() {
                    // If there may be another way, the probe that finds none has it sought.
                    let peer = session.peer;
                    self.flip.doubt(peer);
                }
            }
            Check::Dead => {
                let peer = session.peer;
                self.acquire_hopeless(now, place);
                self.end_session(now, place, Reason::NodeDied(peer.0));
            }
        }
    }

    /// Seeks a route to an address; sooner or later it is located, or not.
    pub(crate) fn seek(&mut self, now: Instant, address: Address) {
        match self.flip.locate(now, address) {
            Locate::Pending => {}
            Locate::Known(_) => self.located(now, address),
            Locate::Here | Locate::Missing => {
                self.name_not_located(now, address, Reason::NameUnknown);
            }
            Locate::Full => self.name_not_located(now, address, Reason::NoMemory),
        }
    }

    fn located(&mut self, now: Instant, address: Address) {
        self.route_found(address);
        self.name_located(now, address);
    }

    /// Takes what FLIP found out.
    pub(crate) fn drain_flip(&mut self, now: Instant) {
        while let Some(event) = self.flip.poll_event() {
            match event {
                FlipEvent::Located { address } => self.located(now, address),
                // A peer without a route is sought again each time its session wakes, until it
                // dies of its silence; a name that nobody holds is not known.
                FlipEvent::NotLocated { address } => {
                    self.name_not_located(now, address, Reason::NameUnknown);
                }
                FlipEvent::Announced {
                    address,
                    node,
                    settled,
                    route,
                } => {
                    self.name_announced(now, address, node, route);
                    self.rival_announced(now, address, node, settled);
                }
                FlipEvent::Unreachable { .. } | FlipEvent::Untrusted { .. } => {}
            }
        }
    }

    fn route_found(&mut self, address: Address) {
        for place in 0..self.sessions.places() {
            if let Some(session) = self.sessions.get_mut(place)
                && session.peer == address
                && session.lost_route
            {
                session.lost_route = false;
                self.list(place);
            }
        }
    }

    /// Forgets a session in which nothing was ever shared.
    pub(crate) fn remove_session(&mut self, place: u32) {
        debug_assert!(self.by_peer.values().all(|used| *used != place));
        self.sessions.remove(place);
    }

    /// Where a session was whose peer died.
    pub(crate) fn buried(&self, place: u32, generation: u16) -> u64 {
        let mut graves = self.graves.iter();
        let grave = graves.find(|grave| (grave.place, grave.generation) == (place, generation));
        grave.map_or(0, |grave| grave.address.0)
    }

    /// Ends a session: every right in it dies on this side, for `reason`.
    pub(crate) fn end_session(&mut self, now: Instant, place: u32, reason: Reason) {
        // Out of the table first: whatever the rights do when they die finds no session.
        let Some(session) = self.sessions.remove(place) else {
            return;
        };
        let address = session.peer;
        if self.by_peer.get(&address.0) == Some(&place) {
            self.by_peer.remove(&address.0);
            self.fall_back(address);
        }
        if self.graves.is_full() {
            self.graves.pop_front();
        }
        let (generation, name) = (session.generation, session.peer_name);
        let _ = self.graves.push_back(Grave {
            place,
            generation,
            address,
            name,
        });
        self.share_buffers();
        self.counters.deaths += 1;
        self.counters.repeated += session.out.flight.repeated();
        self.release_session(now, session, reason);
    }

    /// An older session with the same peer may still be good.
    fn fall_back(&mut self, peer: Address) {
        let usable = |session: &Session<S::Page>| {
            session.state == State::Established && session.peer == peer
        };
        let other = self
            .sessions
            .iter()
            .find(|(_, session)| usable(session))
            .map(|(at, _)| at);
        if let Some(place) = other {
            self.by_peer.insert(peer.0, place); // In the room that was just left.
            if let Some(session) = self.sessions.get_mut(place) {
                session.superseded = false;
            }
        }
    }

    fn release_session(&mut self, now: Instant, mut session: Session<S::Page>, reason: Reason) {
        let (place, generation) = (session.place, session.generation);
        self.tell_of_unsent(&mut session);
        while let Some((at, import)) = session.imports.remove_any() {
            self.import_lost(now, place, generation, at, import, reason);
        }
        while let Some(outbound) = session.out.remove_any() {
            for Packed { repr, held, .. } in outbound.rights {
                match held {
                    // It is of another session; if it was used, whoever gave it learns nothing.
                    Some(right) if repr.kind == Kind::Claim => self.ipc.release(right),
                    Some(right) => self.ipc.forget_right(right, reason),
                    None => {}
                }
            }
            self.counters.failed += 1;
            self.ipc.discard_because(outbound.message, reason);
            // The stand-in may hang on an import of another session by now.
            if let Some(via) = outbound.via {
                self.place_is_free(now, via.port);
            }
        }
        while let Some(parcel) = session.inbox.remove_any() {
            if let Some(parcel) = parcel {
                self.ipc.discard(parcel.message);
            }
        }
        self.forget_those_at_home(&mut session);
        while let Some(export) = session.exports.remove_any() {
            self.outrun(&export.right);
            export.release(&mut self.ipc, reason);
        }
        self.acquire_lost(now, place, generation);
        self.moves_lost(now, place, generation, reason);
    }

    /// A receive right that was on its way to the peer is here again, and dies, or comes back to
    /// whom it was promised. Whatever the peer may have said of having it is older.
    fn outrun(&mut self, right: &Right) {
        if let (RightKind::Receive, Some(port)) = (right.kind(), right.port()) {
            let mut label = self.ipc.label(port);
            label.moves = label.moves.wrapping_add(2);
            self.ipc.set_label(port, label);
        }
    }

    /// The session of an import is over: its stand-in dies, unless it hangs on another one, or
    /// another one is to follow.
    fn import_lost(
        &mut self,
        now: Instant,
        place: u32,
        generation: u16,
        at: u32,
        import: Import,
        reason: Reason,
    ) {
        let token = token(place, generation, Destination::Import(at));
        let port = import.port;
        if self.ipc.is_arriving(port) {
            return;
        }
        let known = self.directory.get_mut(self.ipc.label(port).identity);
        let next = known.and_then(|known| known.next.take());
        if next == Some(token) {
            return;
        }
        if let Some(next) = next {
            // What was under way through it has failed: nothing need be waited for.
            self.ipc.redirect(port, next);
            if !self.is_acquiring(self.ipc.label(port).identity) {
                self.open(now, port);
            }
            self.ipc.keep_unused(port);
            if self.ipc.is_senderless(port) {
                self.import_unused(next);
            }
            return;
        }
        self.forget_stand_in(port);
        self.ipc.kill_port(port, reason);
    }
}
