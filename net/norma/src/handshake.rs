//! The handshake: HELLO, WELCOME, and the RESET that ends a session that one side has lost.
//!
//! A node says HELLO to an address (of a node or of a name) and learns from WELCOME which node
//! answers. Each side chooses the number that the other must write into its frames, so that a
//! frame of an earlier session or boot finds nobody. The side that answered keeps an **offer**
//! until it is used, so that a late or repeated HELLO can never end a living session.
//!
//! If both say HELLO at the same time, the session that the node with the lower address began
//! is kept: the other waits for it to be used. If there is a session with the node that answers
//! already, it is kept, and what waited for the new one goes there. Should two nodes come to
//! have two sessions all the same, because frames were lost, both are good.

use norma_flip::{Address, Incoming, Instant, NetworkId, Outgoing};
use norma_ipc::{Page, PageSource, Reason};
use norma_wire::layout::{self, BODY_AT, HEAD_PAYLOAD};
use norma_wire::session::{Header, Kind, Repr};
use norma_wire::{hello, session};

use crate::counters::Drop;
use crate::fill::pages_per_frame;
use crate::inbox::Inbox;
use crate::limits::{ATTEMPT_FRESH, HELLO_INTERVAL, MAX_OFFERS, OFFER_EXPIRES, SURELY_ALIVE};
use crate::node::{Config, LEAST_PAYLOAD, Node, PLACE_MASK};
use crate::session::{Owed, Session, State};

/// Features that this implementation offers: none of the optional ones yet.
const FEATURES: u32 = 0;

/// What a node says about itself in a greeting.
pub(crate) struct Introduction<'a> {
    pub(crate) config: &'a Config,
    pub(crate) incarnation: u64,
}

impl<P: Page> Session<P> {
    /// Writes the HELLO or WELCOME that is owed; returns the bytes of FLIP payload.
    #[cold]
    pub(crate) fn fill_greeting(
        &mut self,
        node: &Introduction<'_>,
        frame: &mut Outgoing<'_, P>,
    ) -> usize {
        let (owed, kind) = if self.owed.contains(Owed::HELLO) {
            (Owed::HELLO, Kind::Hello)
        } else {
            (Owed::WELCOME, Kind::Welcome)
        };
        self.owed.remove(owed);
        let body = hello::Repr {
            lowest: session::VERSION,
            highest: session::VERSION,
            features: FEATURES,
            incarnation: node.incarnation,
            cluster: node.config.cluster,
            session: self.number,
            echo: self.peer_number,
            frame_limit: frame_limit(node.config),
            first_sequence: self.out.flight.next(),
            name: node.config.name,
        };
        self.write_unsequenced(Repr::new(kind), frame);
        body.emit(layout::body_mut(frame.head));
        HEAD_PAYLOAD
    }
}

/// Largest session payload that this node's frames carry.
fn frame_limit(config: &Config) -> u32 {
    u32::from(config.mtu) - norma_wire::flip::LENGTH as u32
}

impl<S: PageSource> Node<S> {
    /// Begins a session with whoever answers at `target`.
    pub(crate) fn connect(&mut self, now: Instant, target: Address) -> Option<u32> {
        let place = self.create_session(now, State::Connecting, target).ok()?;
        if let Some(session) = self.sessions.get_mut(place) {
            session.owed.insert(Owed::HELLO);
            session.tries = 1;
            session.timer = now + HELLO_INTERVAL;
        }
        self.due(place, now + HELLO_INTERVAL);
        self.list(place);
        Some(place)
    }

    #[cold]
    pub(crate) fn handle_greeting(
        &mut self,
        now: Instant,
        source: Address,
        header: &Header<'_>,
        length: usize,
        frame: &Incoming<'_, S::Page>,
    ) {
        if layout::check_fixed(header.kind(), length).is_err() {
            return self.counters.drop(Drop::Malformed);
        }
        if header.kind() == Kind::Reset {
            return self.handle_reset(now, source, header.destination());
        }
        let body = frame.head.get(BODY_AT..).ok_or(());
        let body = body.and_then(|bytes| hello::Body::new_checked(bytes).map_err(|_| ()));
        let Ok(body) = body.map(|body| hello::Repr::parse(&body)) else {
            return self.counters.drop(Drop::Malformed);
        };
        if source == self.address || body.session == 0 {
            return self.counters.drop(Drop::Malformed);
        }
        if body.cluster != self.config.cluster {
            return self.counters.drop(Drop::OtherCluster);
        }
        if body.lowest > session::VERSION || body.highest < session::VERSION {
            return self.counters.drop(Drop::OtherVersion);
        }
        if header.kind() == Kind::Hello {
            self.handle_hello(now, source, &body);
        } else {
            self.handle_welcome(now, source, &body, header.credit());
        }
    }

    /// Makes an offer, or repeats it (W-29).
    fn handle_hello(&mut self, now: Instant, source: Address, body: &hello::Repr) {
        let known = self.sessions.iter().find(|(_, session)| {
            session.state != State::Connecting
                && session.peer == source
                && session.peer_number == body.session
        });
        let place = match known.map(|(place, _)| place) {
            Some(place) => place,
            None if self.is_unconfirmed(source) => return self.nudge(source),
            None => match self.offer(now, source, body) {
                Some(place) => place,
                None => return self.counters.drop(Drop::NoMemory),
            },
        };
        if let Some(session) = self.sessions.get_mut(place) {
            session.owed.insert(Owed::WELCOME);
            if session.state == State::Offered {
                session.timer = now + OFFER_EXPIRES;
            }
        }
        self.list(place);
    }

    /// A session for a peer that has said HELLO, until it is used.
    fn offer(&mut self, now: Instant, source: Address, body: &hello::Repr) -> Option<u32> {
        let offered = self
            .sessions
            .iter()
            .filter(|(_, session)| session.state == State::Offered);
        if offered.count() >= MAX_OFFERS {
            return None;
        }
        let place = self.create_session(now, State::Offered, source).ok()?;
        self.adopt(now, place, source, body);
        self.due(place, now + OFFER_EXPIRES);
        Some(place)
    }

    /// Whether there is a session with that node which it has not used yet: it may not know
    /// that we have taken its offer, and so tries to begin one itself.
    fn is_unconfirmed(&self, peer: Address) -> bool {
        let place = self.by_peer.get(&peer.0);
        let session = place.and_then(|place| self.sessions.get(*place));
        session.is_some_and(|session| !session.confirmed)
    }

    /// Makes the peer say whether it knows the session that we have with it (W-34).
    fn nudge(&mut self, peer: Address) {
        let Some(place) = self.by_peer.get(&peer.0).copied() else {
            return;
        };
        if let Some(session) = self.sessions.get_mut(place) {
            session.owed.insert(Owed::PROBE);
        }
        self.list(place);
    }

    /// Takes what a greeting says about the peer. Where a router on the way would have to cut
    /// frames, they are made smaller: a page, or what FLIP cuts into few.
    fn adopt(&mut self, now: Instant, place: u32, source: Address, body: &hello::Repr) {
        let sought = self.sessions.get(place).map(|session| session.peer);
        let ways = [Some(source), sought].into_iter().flatten();
        let ways = ways.filter_map(|address| self.flip.path_payload(now, address));
        let way = ways.min().map_or(u32::MAX, |payload| payload as u32);
        let theirs = body.frame_limit.max(LEAST_PAYLOAD as u32);
        let limit = frame_limit(&self.config).min(theirs).min(way);
        if let Some(session) = self.sessions.get_mut(place) {
            session.peer = source;
            session.peer_number = body.session;
            session.peer_name = body.name;
            session.peer_incarnation = body.incarnation;
            session.frame_limit = limit;
            session.frame_pages = pages_per_frame(limit);
            session.inbox = Inbox::new(body.first_sequence);
            session.out.begin_acknowledging(body.first_sequence);
        }
    }

    /// Establishes the session that waits for it (W-30).
    fn handle_welcome(&mut self, now: Instant, source: Address, body: &hello::Repr, credit: u8) {
        let place = body.echo & PLACE_MASK;
        let connecting = self.sessions.get(place).is_some_and(|session| {
            session.number == body.echo && session.state == State::Connecting
        });
        if !connecting {
            return; // A repeated WELCOME: that session is established, or gone.
        }
        if let Some(existing) = self.by_peer.get(&source.0).copied() {
            let heard = self
                .sessions
                .get(existing)
                .map(|session| session.liveness.heard_at());
            if heard.is_some_and(|heard| now < heard + SURELY_ALIVE) {
                return self.join(now, place, existing);
            }
            // The peer may have given it up long ago. It will say so, and WELCOME comes again.
            return self.nudge(source);
        }
        if source.0 < self.address.0 && self.is_attempting(now, source) {
            // Both begin at the same time: the other's session is kept, once it is used.
            if let Some(session) = self.sessions.get_mut(place) {
                session.found = Some(source);
            }
            return;
        }
        self.adopt(now, place, source, body);
        self.establish(now, place, credit);
        self.connected(now, place, place);
        self.acquire_connected(now, place);
    }

    /// Whether that node has lately said HELLO for a session of its own (W-33).
    fn is_attempting(&self, now: Instant, peer: Address) -> bool {
        self.sessions.iter().any(|(_, session)| {
            session.state == State::Offered
                && session.peer == peer
                && now + OFFER_EXPIRES < session.timer + ATTEMPT_FRESH
        })
    }

    /// What waits for the session that is being connected at `place` goes to another one (W-32).
    fn join(&mut self, now: Instant, place: u32, existing: u32) {
        self.remove_session(place);
        self.connected(now, place, existing);
        self.acquire_connected(now, place);
    }

    /// Both sides know the session from now on.
    fn establish(&mut self, now: Instant, place: u32, credit: u8) {
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        session.state = State::Established;
        session.owed.remove(Owed::HELLO | Owed::WELCOME);
        // A frame of ours tells the other side that we know the session.
        session.owed.insert(Owed::ACK);
        // From the first HELLO, or WELCOME, on: longer than a round trip if one was lost.
        let took = now.since(session.liveness.heard_at());
        session.out.flight.met(took);
        session.liveness.heard(now);
        session.out.flight.open(credit);
        let peer = session.peer;
        if let Some(old) = self.by_peer.insert(peer.0, place) {
            self.supersede(old);
        }
        self.share_buffers();
        self.counters.sessions += 1;
        self.list(place);
    }

    /// There is a newer session with the same peer: either it has given the old one up, or
    /// both have begun one at the same time. It will say which (W-35).
    fn supersede(&mut self, old: u32) {
        if let Some(session) = self.sessions.get_mut(old) {
            session.superseded = true;
            session.owed.insert(Owed::PROBE);
        }
        self.list(old);
    }

    /// The peer has used the session that was offered to it (W-31).
    #[cold]
    pub(crate) fn accept_offer(&mut self, now: Instant, place: u32) {
        self.establish(now, place, 1);
        let Some(peer) = self.sessions.get(place).map(|session| session.peer) else {
            return;
        };
        // Whatever we were about to begin with the same node goes there too.
        while let Some(ours) = self.connecting_to(peer) {
            self.join(now, ours, place);
        }
    }

    /// A session that is being connected, of which is known that this node would answer.
    fn connecting_to(&self, peer: Address) -> Option<u32> {
        let mut sessions = self.sessions.iter();
        let found = sessions
            .find(|(_, session)| session.state == State::Connecting && session.found == Some(peer));
        found.map(|(place, _)| place)
    }

    /// Tells a peer that its frame was for no session of this node.
    #[cold]
    pub(crate) fn emit_reset(
        &mut self,
        now: Instant,
        network: NetworkId,
        frame: &mut Outgoing<'_, S::Page>,
    ) -> bool {
        let next = |node: &Self| {
            let road = |peer| node.flip.network_of(now, peer).unwrap_or(network);
            node.resets
                .iter()
                .position(|(peer, _)| road(*peer) == network)
        };
        while let Some(at) = next(self) {
            let (peer, number) = self.resets.remove(at);
            let header = Repr {
                destination: number,
                ..Repr::new(Kind::Reset)
            };
            header.emit(layout::session_mut(frame.head));
            crate::check::write(frame.head, session::LENGTH);
            frame.length = layout::SESSION_AT + session::LENGTH;
            if self
                .flip
                .emit(now, network, peer, self.address, session::LENGTH, frame)
                .is_ok()
            {
                return true;
            }
        }
        false
    }

    /// Ends the session that is meant, if there is one (W-63).
    fn handle_reset(&mut self, now: Instant, source: Address, quoted: u32) {
        let found = self.sessions.iter().find(|(_, session)| {
            session.state != State::Connecting
                && session.peer == source
                && session.peer_number == quoted
        });
        match found {
            Some((place, session)) if session.state == State::Offered => self.remove_session(place),
            Some((place, _)) => self.end_session(now, place, Reason::NodeDied(source.0)),
            None => self.counters.drop(Drop::Stale),
        }
    }
}
