//! What tools see of sessions and of what is shared through them.
//!
//! Owns: records that are copied out, found by place, as those of ports are
//! (`norma_ipc::PortView`). Leaves to others: what to make of them. Nothing here changes
//! anything or takes memory.

use core::time::Duration;

use norma_flip::{Address, Instant};
use norma_ipc::{PageSource, PortId, RemoteToken};
use norma_wire::hello::NodeName;
use norma_wire::session::credit_frames;

use crate::node::Node;
use crate::rights::{home_of, parse_token};
use crate::session::State;

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// The peer is being asked for one.
    Connecting,
    /// It was offered to the peer.
    Offered,
    /// Both sides use it.
    Established,
}

/// A session, as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionView {
    /// Its place.
    pub place: u32,
    /// How far it is.
    pub state: SessionState,
    /// The peer's address; while connecting, the one that is asked for.
    pub peer: Address,
    /// The peer's name, once that is known.
    pub peer_name: NodeName,
    /// There is a newer one with the same peer.
    pub superseded: bool,
    /// The round trip, smoothed; nothing before the first measurement.
    pub round_trip: Duration,
    /// For how long nothing has come from the peer.
    pub silence: Duration,
    /// The number of the next frame to the peer, and of the next one from it: by how much they
    /// grow says how many pass. They begin anywhere, and wrap.
    pub next_sent: u32,
    /// See [`SessionView::next_sent`].
    pub next_received: u32,
    /// Frames sent again, since the session began.
    pub repeated: u64,
    /// What part of the frames was lost lately, in 1024ths.
    pub loss: u32,
    /// Frames that were sent and are not acknowledged.
    pub under_way: u32,
    /// Frames that may be under way for the network,
    pub window: u32,
    /// and for the peer.
    pub credit: u32,
    /// Frames that the peer may have under way.
    pub credit_given: u32,
    /// Rights that the peer holds.
    pub exports: u32,
    /// Stand-ins for rights of the peer.
    pub imports: u32,
    /// Messages that left and whose fate is not known.
    pub outgoing: u32,
    /// Messages of the peer that are incomplete, or wait for their turn.
    pub incoming: u32,
}

/// A right that a peer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportView {
    /// Its number in the session.
    pub index: u32,
    /// The port, if it is one of this node and no bare right of a third.
    pub port: Option<PortId>,
    /// How many rights the peer has, or uses of a send-once right.
    pub rights: u32,
    /// It is a send-once right.
    pub once: bool,
    /// It only keeps the port.
    pub pinned: bool,
}

/// A right that was received from a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportView {
    /// The peer's number for it.
    pub index: u32,
    /// The port here that stands in.
    pub port: PortId,
    /// How many rights were received and not given back.
    pub rights: u32,
    /// Messages through it whose fate is not known.
    pub unsettled: u32,
}

impl<S: PageSource> Node<S> {
    /// Every session is in a place below this one.
    pub fn session_places(&self) -> u32 {
        self.sessions.places()
    }

    /// The session in a place.
    pub fn session_view(&self, now: Instant, place: u32) -> Option<SessionView> {
        let session = self.sessions.get(place)?;
        let flight = &session.out.flight;
        Some(SessionView {
            place,
            state: match session.state {
                State::Connecting => SessionState::Connecting,
                State::Offered => SessionState::Offered,
                State::Established => SessionState::Established,
            },
            peer: session.peer,
            peer_name: session.peer_name,
            superseded: session.superseded,
            round_trip: flight.round_trip.smoothed(),
            silence: now.since(session.liveness.heard_at()),
            next_sent: flight.next(),
            next_received: session.inbox.window.next(),
            repeated: flight.repeated(),
            loss: flight.congestion.loss(),
            under_way: flight.unacknowledged() as u32,
            window: flight.congestion.window(),
            credit: credit_frames(flight.credit()),
            credit_given: credit_frames(session.credit),
            exports: session.exports.len() as u32,
            imports: session.imports.len() as u32,
            outgoing: session.out.messages.len() as u32,
            incoming: session.inbox.len() as u32,
        })
    }

    /// The name of the peer of the session in a place.
    pub fn session_peer(&self, place: u32) -> Option<NodeName> {
        Some(self.sessions.get(place)?.peer_name)
    }

    /// Every export of the session in place `session` is in a place below this one.
    pub fn export_places(&self, session: u32) -> u32 {
        let session = self.sessions.get(session);
        session.map_or(0, |session| session.exports.places())
    }

    /// An export of a session.
    pub fn export_view(&self, session: u32, place: u32) -> Option<ExportView> {
        let (index, export) = self.sessions.get(session)?.exports.at(place)?;
        Some(ExportView {
            index,
            port: export.right.port(),
            rights: export.sent,
            once: export.is_once(),
            pinned: export.pinned,
        })
    }

    /// Every import of the session in place `session` is in a place below this one.
    pub fn import_places(&self, session: u32) -> u32 {
        let session = self.sessions.get(session);
        session.map_or(0, |session| session.imports.places())
    }

    /// An import of a session.
    pub fn import_view(&self, session: u32, place: u32) -> Option<ImportView> {
        let import = self.sessions.get(session)?.imports.get(place)?;
        Some(ImportView {
            index: import.index,
            port: import.port,
            rights: import.received,
            unsettled: import.unsettled,
        })
    }

    /// The name under which a port is checked in on this node, if it is: the first of several.
    pub fn name_of_port(&self, port: PortId) -> Option<&str> {
        self.names.of_port(port)
    }

    /// The slot of this node's special ports in which a right to a port is.
    pub fn slot_of_port(&self, port: PortId) -> Option<u32> {
        self.special.slot_of(port)
    }

    /// The place of the session through which what has this token goes, if it is still there.
    pub fn session_of(&self, token: RemoteToken) -> Option<u32> {
        let (place, generation, _) = parse_token(token);
        let place = home_of(place);
        let session = self.sessions.get(place)?;
        (session.generation == generation).then_some(place)
    }
}
