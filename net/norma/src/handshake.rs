//! The handshake: HELLO, WELCOME, and the RESET that ends a session that one side has lost.
//!
//! A node says HELLO to an address (of a node or of a name) and learns from WELCOME which node
//! answers. Each side chooses the number that the other must write into its frames, so that a
//! frame of an earlier session or boot finds nobody. The side that answered keeps an **offer**
//! until it is used, so that a late or repeated HELLO can never end a living session.
//!
//! If both say HELLO at the same time, the session that the node with the lower address began
//! is kept. If there is a session with the node that answers already, it is kept, and what
//! waited for the new one goes there.

use norma_flip::{Address, Incoming, Instant, Outgoing};
use norma_ipc::{PageSource, Reason};
use norma_wire::layout::{self, BODY_AT, HEAD_PAYLOAD};
use norma_wire::session::{Header, Kind, Repr};
use norma_wire::{hello, session};

use crate::counters::Drop;
use crate::inbox::Inbox;
use crate::limits::{HELLO_INTERVAL, OFFER_EXPIRES};
use crate::node::Node;
use crate::session::{Owed, State};
use crate::transmit::pages_per_frame;

/// Features that this implementation offers: none of the optional ones yet.
const FEATURES: u32 = 0;

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

    /// Largest session payload that this node's frames carry.
    fn frame_limit(&self) -> u32 {
        u32::from(self.config.mtu) - norma_wire::flip::LENGTH as u32
    }

    pub(crate) fn fill_greeting(
        &mut self,
        place: u32,
        kind: Kind,
        frame: &mut Outgoing<'_, S::Page>,
    ) -> Option<usize> {
        let limit = self.frame_limit();
        let (incarnation, cluster, name) =
            (self.incarnation, self.config.cluster, self.config.name);
        let session = self.sessions.get(place)?;
        let body = hello::Repr {
            lowest: session::VERSION,
            highest: session::VERSION,
            features: FEATURES,
            incarnation,
            cluster,
            session: session.number,
            echo: session.peer_number,
            frame_limit: limit,
            first_sequence: session.out.next(),
            name,
        };
        let header = Repr {
            sequence: session.out.next(),
            ..Repr::new(kind)
        };
        self.write_header(place, header, frame);
        body.emit(layout::body_mut(frame.head));
        Some(HEAD_PAYLOAD)
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
            return self.handle_reset(source, header.destination());
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

    fn handle_hello(&mut self, now: Instant, source: Address, body: &hello::Repr) {
        let known = self.sessions.iter().find(|(_, session)| {
            session.state != State::Connecting
                && session.peer == source
                && session.peer_number == body.session
        });
        let place = match known.map(|(place, _)| place) {
            Some(place) => place,
            None => {
                let Ok(place) = self.create_session(now, State::Offered, source) else {
                    return self.counters.drop(Drop::NoMemory);
                };
                self.adopt(place, source, body);
                if let Some(session) = self.sessions.get_mut(place) {
                    session.timer = now + OFFER_EXPIRES;
                }
                self.due(place, now + OFFER_EXPIRES);
                place
            }
        };
        if let Some(session) = self.sessions.get_mut(place) {
            session.owed.insert(Owed::WELCOME);
        }
        self.list(place);
    }

    /// Takes what a greeting says about the peer.
    fn adopt(&mut self, place: u32, source: Address, body: &hello::Repr) {
        let limit = self.frame_limit().min(body.frame_limit);
        if let Some(session) = self.sessions.get_mut(place) {
            session.peer = source;
            session.peer_number = body.session;
            session.peer_name = body.name;
            session.peer_incarnation = body.incarnation;
            session.frame_limit = limit;
            session.frame_pages = pages_per_frame(limit);
            session.inbox = Inbox::new(body.first_sequence);
        }
    }

    fn handle_welcome(&mut self, now: Instant, source: Address, body: &hello::Repr, credit: u8) {
        let connecting = self.place_of(body.echo).filter(|place| {
            self.sessions
                .get(*place)
                .is_some_and(|session| session.state == State::Connecting)
        });
        let Some(place) = connecting else {
            return; // A repeated WELCOME: that session is established, or gone.
        };
        let existing = self.by_peer.get(&source.0).copied();
        let offer = self
            .sessions
            .iter()
            .find(|(_, session)| session.state == State::Offered && session.peer == source);
        let offer = offer.map(|(place, _)| place);
        let keep = match (existing, offer) {
            (Some(existing), _) => Some(existing),
            (None, Some(offer)) if source.0 < self.address.0 => {
                self.establish(now, offer, credit);
                Some(offer)
            }
            _ => None,
        };
        if let Some(keep) = keep {
            self.remove_session(place);
            self.connected(now, place, keep);
            return;
        }
        if let Some(offer) = offer {
            self.remove_session(offer);
        }
        self.adopt(place, source, body);
        self.establish(now, place, credit);
        self.connected(now, place, place);
    }

    /// Both sides know the session from now on.
    fn establish(&mut self, now: Instant, place: u32, credit: u8) {
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        session.state = State::Established;
        session.owed.remove(Owed::HELLO);
        // A frame of ours tells the other side that its offer was taken.
        session.owed.insert(Owed::ACK);
        session.liveness.pause(now);
        session.out.open(credit);
        self.by_peer.insert(session.peer.0, place);
        self.counters.sessions += 1;
        self.list(place);
    }

    /// The peer used the session that was offered to it: an older one with it is over.
    pub(crate) fn accept_offer(&mut self, now: Instant, place: u32) {
        let Some(session) = self.sessions.get(place) else {
            return;
        };
        let peer = session.peer;
        if let Some(old) = self.by_peer.get(&peer.0).copied() {
            self.end_session(old, Reason::NodeDied(peer.0));
        }
        self.establish(now, place, 1);
        if let Some(session) = self.sessions.get_mut(place) {
            session.owed.remove(Owed::WELCOME | Owed::ACK);
        }
    }

    /// Tells a peer that its frame was for no session of this node.
    #[cold]
    pub(crate) fn emit_reset(&mut self, now: Instant, frame: &mut Outgoing<'_, S::Page>) -> bool {
        while let Some((peer, number)) = self.resets.pop_front() {
            let header = Repr {
                destination: number,
                ..Repr::new(Kind::Reset)
            };
            header.emit(layout::session_mut(frame.head));
            frame.length = layout::SESSION_AT + session::LENGTH;
            if self
                .flip
                .emit(now, peer, self.address, session::LENGTH, frame)
                .is_ok()
            {
                return true;
            }
        }
        false
    }

    fn handle_reset(&mut self, source: Address, quoted: u32) {
        let found = self.sessions.iter().find(|(_, session)| {
            session.state != State::Connecting
                && session.peer == source
                && session.peer_number == quoted
        });
        match found.map(|(place, _)| place) {
            Some(place) => self.end_session(place, Reason::NodeDied(source.0)),
            None => self.counters.drop(Drop::Stale),
        }
    }
}
