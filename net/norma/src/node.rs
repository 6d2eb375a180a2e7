//! One node: the IPC core, the sessions and FLIP, joined.
//!
//! Owns: the state, and what it says of itself. Leaves to others: what is done with it, of which
//! the calls by which threads send (`post`) are the nearest.

use alloc::vec::Vec;

use norma_flip::{Address, Flip, Instant, PrivateAddress};
use norma_ipc::{Event, Ipc, NoMemory, PageSource, Right, Sink, ThreadId};
use norma_wire::hash;
use norma_wire::hello::NodeName;

use crate::acquire::Acquisitions;
use crate::arrive::Unread;
use crate::counters::Counters;
use crate::deliver::After;
use crate::directory::Directory;
use crate::limits::{MAX_SESSIONS, REMEMBERED_PEERS};
use crate::lookups::Lookups;
use crate::map::Map;
use crate::moves::Moves;
use crate::names::Names;
use crate::outbound::Packed;
use crate::queue::Queue;
use crate::random::Random;
use crate::rights::Export;
use crate::roads::Roads;
use crate::session::Session;
use crate::slots::Slots;
use crate::special::SpecialPorts;

/// What a node must be told at its start.
#[derive(Debug, Clone)]
pub struct Config {
    /// The node's name, for people: up to 16 bytes.
    pub name: NodeName,
    /// Which cluster it belongs to: nodes of others are ignored.
    pub cluster: [u8; 16],
    /// The address of its network card.
    pub mac: [u8; 6],
    /// The largest Ethernet payload that the card carries.
    pub mtu: u16,
    /// Receive buffers that the card has: credits given away never exceed them.
    pub receive_buffers: u16,
    /// Where all random numbers of the node come from. It must not repeat: addresses,
    /// incarnation and session numbers follow from it.
    pub seed: [u8; 32],
}

impl Config {
    /// The identity of the cluster of that name (W-57).
    pub fn cluster_identity(name: &str) -> [u8; 16] {
        let mut identity = [0; 16];
        let hash = hash::derive("norma cluster identity v1", name.as_bytes());
        identity.copy_from_slice(&hash[..16]);
        identity
    }
}

/// Why a node could not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartError {
    /// No memory.
    NoMemory,
    /// The card carries frames too small for a session header and the first data.
    MtuTooSmall {
        /// What it carries.
        found: u16,
        /// What it must carry.
        needed: u16,
    },
    /// The node is on as many networks as it can be.
    TooManyNetworks,
}

impl core::fmt::Display for StartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            StartError::NoMemory => f.write_str("out of memory"),
            StartError::MtuTooSmall { found, needed } => {
                write!(
                    f,
                    "the network card's MTU is {found}, but {needed} are needed"
                )
            }
            StartError::TooManyNetworks => {
                let most = norma_flip::limits::NETWORKS;
                write!(f, "a node can be on {most} networks at most")
            }
        }
    }
}

impl core::error::Error for StartError {}

/// What the sessions of a node hold, for tools and tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Rights that peers hold.
    pub exports: usize,
    /// Stand-ins for rights of peers.
    pub imports: usize,
    /// Messages whose fate is not known.
    pub outgoing: usize,
    /// Messages that are incomplete or wait for their turn.
    pub incoming: usize,
    /// Rights that third nodes gave, and that are being acquired from their owners.
    pub acquiring: usize,
    /// Receive rights that come or go, and messages that wait for them.
    pub moving: usize,
    /// Send-once rights of third nodes, of which it is known where they are from.
    pub foreign: usize,
    /// Frames about rights that might still have to be sent.
    pub promised: usize,
}

/// A peer that died, to name it in errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grave {
    pub(crate) place: u32,
    pub(crate) generation: u16,
    pub(crate) address: Address,
    pub(crate) name: NodeName,
}

/// One node of a cluster.
pub struct Node<S: PageSource> {
    pub(crate) ipc: Ipc<S::Page>,
    pub(crate) flip: Flip<S::Page>,
    pub(crate) source: S,
    pub(crate) config: Config,
    pub(crate) address: Address,
    pub(crate) incarnation: u64,
    pub(crate) sessions: Slots<Session<S::Page>>,
    pub(crate) generation: u16,
    pub(crate) by_peer: Map<u64, u32>,
    /// Sessions that may have a frame to send, each once.
    pub(crate) ready: Queue,
    /// The same, by network, at a node on several.
    pub(crate) roads: Roads,
    pub(crate) resets: heapless::Vec<(Address, u32), 8>,
    pub(crate) names: Names,
    pub(crate) lookups: Lookups,
    pub(crate) special: SpecialPorts,
    pub(crate) directory: Directory,
    /// An empty list for the rights of the next message.
    pub(crate) spare: Vec<Packed>,
    pub(crate) acquisitions: Acquisitions,
    pub(crate) moves: Moves<S::Page>,
    pub(crate) random: Random,
    pub(crate) graves: heapless::Deque<Grave, REMEMBERED_PEERS>,
    pub(crate) counters: Counters,
    /// The number with which sessions begin, instead of a random one.
    first_sequence: Option<u32>,
    /// When to see who sends, and share the receive buffers anew.
    pub(crate) share_again: Instant,
    /// Nothing is due in any session before this time (a lower bound).
    pub(crate) deadline: Instant,
    /// What is left to do about the message of the frame that is being handled.
    pub(crate) after: Option<After<S::Page>>,
    /// What the last frame said about ours, if the message in it went first.
    pub(crate) unread: Option<Unread>,
    /// What [`Node::take_unhurried`] says.
    pub(crate) unhurried: u16,
}

/// The least Ethernet payload: FLIP and session headers with the first 64 bytes of data, as an
/// unfragmented frame, and room for FLIP to cut larger ones sensibly.
const LEAST_MTU: u16 = 576;

/// Bytes of session payload that every card carries.
pub(crate) const LEAST_PAYLOAD: usize = LEAST_MTU as usize - norma_wire::flip::LENGTH;

/// The bits of a session's number that are its place.
pub(crate) const PLACE_MASK: u32 = MAX_SESSIONS as u32 - 1;

const _: () = assert!(MAX_SESSIONS.is_power_of_two());

impl<S: PageSource> Node<S> {
    /// A node with no ports and no sessions.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn new(config: Config, source: S) -> Result<Self, StartError> {
        Self::check_mtu(config.mtu)?;
        let mut random = Random::new(&config.seed);
        let network = norma_flip::Config {
            mac: config.mac,
            mtu: config.mtu,
        };
        let mut flip = Flip::new(network, random.bytes());
        // The first address that is registered is the one that FLIP finds fastest (W-10).
        let private = PrivateAddress::new(0, random.u64());
        let address = flip.register(private).map_err(|_| StartError::NoMemory)?;
        Ok(Node {
            ipc: const { Ipc::new() },
            flip,
            source,
            config,
            address,
            incarnation: random.u64(),
            sessions: Slots::new(MAX_SESSIONS),
            generation: 0,
            by_peer: Map::default(),
            ready: Queue::new(),
            roads: Roads::default(),
            resets: heapless::Vec::new(),
            names: Names::new(),
            lookups: Lookups::new(),
            special: SpecialPorts::NONE,
            directory: Directory::default(),
            spare: Vec::new(),
            acquisitions: Acquisitions::new(),
            moves: Moves::new(),
            random,
            graves: heapless::Deque::new(),
            counters: Counters::default(),
            first_sequence: None,
            share_again: Instant::ZERO,
            deadline: Instant::NEVER,
            after: None,
            unread: None,
            unhurried: 0,
        })
    }

    pub(crate) const fn check_mtu(mtu: u16) -> Result<(), StartError> {
        if mtu < LEAST_MTU {
            return Err(StartError::MtuTooSmall {
                found: mtu,
                needed: LEAST_MTU,
            });
        }
        Ok(())
    }

    /// Makes new sessions number their frames from `first` on, so that a test sees the numbers
    /// come round.
    pub fn set_first_sequence(&mut self, first: u32) {
        self.first_sequence = Some(first);
    }

    /// The node's FLIP address, new at each boot.
    pub fn address(&self) -> Address {
        self.address
    }

    /// The node's own name.
    pub fn name(&self) -> &NodeName {
        &self.config.name
    }

    /// The IPC core, for everything that concerns this node alone.
    #[inline]
    pub fn ipc(&mut self) -> &mut Ipc<S::Page> {
        &mut self.ipc
    }

    /// The same, to look at.
    pub fn ipc_ref(&self) -> &Ipc<S::Page> {
        &self.ipc
    }

    /// Where pages come from.
    #[inline]
    pub fn source(&mut self) -> &mut S {
        &mut self.source
    }

    /// What was counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What FLIP counted.
    pub fn flip_counters(&self) -> &norma_flip::Counters {
        self.flip.counters()
    }

    /// How many sessions are established.
    pub fn session_count(&self) -> usize {
        self.by_peer.len()
    }

    /// The name of a node that is or was a peer.
    pub fn peer_name(&self, address: u64) -> Option<NodeName> {
        if let Some(place) = self.by_peer.get(&address) {
            return self.sessions.get(*place).map(|session| session.peer_name);
        }
        self.graves
            .iter()
            .find(|grave| grave.address.0 == address)
            .map(|grave| grave.name)
    }

    /// Every right that the sessions and the name table hold outside spaces and messages, for
    /// an audit.
    pub fn held_rights(&self) -> impl Iterator<Item = &Right> {
        let exported = self
            .sessions
            .iter()
            .flat_map(|(_, session)| session.exports.iter().map(|(_, export)| &export.right));
        let going_home = self.sessions.iter().flat_map(|(_, session)| {
            session.out.messages.iter().flat_map(|(_, outbound)| {
                outbound
                    .rights
                    .iter()
                    .filter_map(|packed| packed.held.as_ref())
            })
        });
        exported
            .chain(going_home)
            .chain(self.names.rights())
            .chain(self.lookups.rights())
            .chain(self.special.rights())
            .chain(self.moves.rights())
    }

    /// What the sessions hold now: all of it zero when no right and no message is shared.
    pub fn holdings(&self) -> Holdings {
        let mut holdings = Holdings {
            acquiring: self.acquisitions.len(),
            moving: self.moves.len(),
            ..Holdings::default()
        };
        for (_, session) in self.sessions.iter() {
            holdings.exports += session.exports.iter().count();
            holdings.imports += session.imports.len();
            holdings.outgoing += session.out.messages.len();
            holdings.incoming += session.inbox.len();
            holdings.foreign += session.hints.len();
            holdings.promised += session.out.promised();
        }
        holdings
    }

    /// Whether something would be lost that soon will not, if this node ended now: a message that
    /// left for another node and of which it is not known whether it arrived; or a peer's right to
    /// a port that is elsewhere, which it has from here and does not know by itself yet.
    pub fn is_unsettled(&self) -> bool {
        let mut sessions = self.sessions.iter();
        sessions.any(|(_, session)| {
            session.out.messages.len() > 0
                || session
                    .exports
                    .iter()
                    .any(|(_, export)| self.leads_on(export))
        })
    }

    /// Whether a peer has this send right to a port of a third node, or to one that has left.
    fn leads_on(&self, export: &Export) -> bool {
        let port = export.right.port().filter(|_| !export.is_once());
        port.is_some_and(|port| matches!(self.ipc.sink(port), Ok(Sink::Remote(_))))
    }

    // Consequences.

    /// How many frames may arrive next before anybody need look at them: the frame that came
    /// last belongs to a message that cannot be whole, and to a sender that need hear nothing,
    /// before them. To be asked when all frames are taken; it says so once for each. Whoever
    /// makes use of it looks again within 2 ms, in case they do not come, and before
    /// [`Node::handle_timeout`].
    #[inline]
    pub fn take_unhurried(&mut self) -> u16 {
        core::mem::take(&mut self.unhurried)
    }

    /// The next thread to wake. Call after every other call until it gives `None`.
    #[inline]
    pub fn poll_wake(&mut self) -> Option<ThreadId> {
        self.poll_urgent_wake().or_else(|| {
            self.catch_up();
            self.poll_urgent_wake()
        })
    }

    /// As [`Node::poll_wake`], but what [`Node::handle_frame`] has put off stays so: for who
    /// lets the thread for which a message came run before all else. [`Node::poll_wake`] is to
    /// follow when that thread has sent its answer or waits; what is put off by then is bound
    /// by [`Node::poll_timeout`].
    #[inline(always)]
    pub fn poll_urgent_wake(&mut self) -> Option<ThreadId> {
        loop {
            match self.ipc.poll_event()? {
                Event::Wake(thread) => return Some(thread),
                other => self.handle_ipc_event(other),
            }
        }
    }

    /// Whether [`Node::handle_frame`] has put something off.
    #[inline]
    pub fn is_behind(&self) -> bool {
        self.unread.is_some()
    }

    /// Puts a session into the list of those that may have a frame to send.
    #[inline]
    pub(crate) fn list(&mut self, place: u32) {
        if let Some(session) = self.sessions.get_mut(place) {
            session.list(place, &mut self.ready);
        }
    }

    /// A new session in a place of its own.
    pub(crate) fn create_session(
        &mut self,
        now: Instant,
        state: crate::session::State,
        peer: Address,
    ) -> Result<u32, NoMemory> {
        self.ready.reserve(self.sessions.len() + 1)?;
        for road in self.roads.queues() {
            road.reserve(self.sessions.len() + 1)?;
        }
        // Each of them may come to be established.
        self.by_peer
            .try_reserve(self.sessions.len() + 1)
            .map_err(|_| NoMemory)?;
        self.sessions.reserve(1)?;
        let place = self.sessions.next_place();
        // Twenty random bits that are not all zero, and twelve of place.
        let number = ((self.random.u32() | (PLACE_MASK + 1)) & !PLACE_MASK) | place;
        let random = self.random.u32();
        let first = self.first_sequence.unwrap_or(random);
        self.generation = self.generation.wrapping_add(1);
        let mut session = Session::new(state, place, number, self.generation, peer, first, now);
        session.give(self.share_of(self.by_peer.len() + 1));
        self.sessions.insert(session)
    }

    /// Something of a session is due at `due`.
    #[inline]
    pub(crate) fn due(&mut self, place: u32, due: Instant) {
        if let Some(session) = self.sessions.get_mut(place) {
            session.due(due, &mut self.deadline);
        }
    }
}
