//! The FLIP layer of one node: its state, and all of its interface but frames.
//!
//! Owns networks, registration, locating, routes as others see them, events and time-outs. Leaves
//! received frames to `input` and the files named there, and frames to be sent to `output`, all of
//! them `impl`s of [`Flip`].

use norma_ipc::Page;
use norma_wire::flip::Flags;

use crate::announce::Announcement;
use crate::bucket::Bucket;
use crate::groups::Groups;
use crate::limits::{
    EVENTS, FLOOD_BURST, FLOOD_INTERVAL, LOCATE_STEPS, NETWORKS, NOTHERE_BURST, NOTHERE_INTERVAL,
};
use crate::local::Local;
use crate::locate::{Locates, Progress, Wanted};
use crate::network::Networks;
use crate::queue::Departures;
use crate::random::Random;
use crate::reassembly::Reassembly;
use crate::recent::Recent;
use crate::routes::{Learnt, Routes};
use crate::time::Instant;
use crate::{Address, Counters, Full, NetworkId, PrivateAddress, Route};

/// What a node knows about a network that it is attached to.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Its station's address.
    pub mac: [u8; 6],
    /// Bytes behind the Ethernet header that a frame may have, FLIP's header included. Taken to
    /// the nearest value that is supported.
    pub mtu: u16,
}

/// Something that the layer above must hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An address that was sought has a route now, or as many listeners as were asked for.
    Located {
        /// The address.
        address: Address,
    },
    /// An address that was sought was not found, or too few of its listeners.
    NotLocated {
        /// The address.
        address: Address,
    },
    /// Another node has announced an address. Whether this one has it too, or waits for it, is
    /// for the layer above to say; what it does not fetch in time may be lost.
    Announced {
        /// The address.
        address: Address,
        /// The announcing node's own address.
        node: Address,
        /// Whether it has been held for a while already.
        settled: bool,
        /// How the announcement came.
        route: Route,
    },
    /// A datagram was sent where its destination is no longer. The route is forgotten.
    Unreachable {
        /// The address that is not there.
        destination: Address,
        /// The address of ours that the datagram was from.
        source: Address,
    },
    /// A datagram that may cross trusted networks only cannot reach its destination over such.
    Untrusted {
        /// The address behind an untrusted network.
        destination: Address,
        /// The address of ours that the datagram was from.
        source: Address,
    },
}

/// What [`Flip::locate`] has to say at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Locate {
    /// A route is known already. No event will come.
    Known(Route),
    /// The address is registered here. No event will come.
    Here,
    /// The address is being sought: [`Event::Located`] or [`Event::NotLocated`] will come, once,
    /// however often it was asked for.
    Pending,
    /// The address was not found a moment ago, or cannot be sought, since no address of this
    /// node is registered to which an answer could come. No event will come.
    Missing,
    /// Too many addresses are being sought. No event will come.
    Full,
}

/// What [`Flip::locate_listeners`] has to say at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Listeners {
    /// So many are known, on other nodes, and no fewer than asked for. No event will come.
    Known(u16),
    /// They are being sought: [`Event::Located`] or [`Event::NotLocated`] will come, once.
    Pending,
    /// Too few were found a moment ago, or nobody can be sought. No event will come.
    Missing,
    /// Too many addresses are being sought. No event will come.
    Full,
}

/// The FLIP layer of one node. `P` is the node's kind of page.
pub struct Flip<P> {
    pub(crate) networks: Networks,
    pub(crate) random: Random,
    pub(crate) message_id: u32,
    /// How many frames of all kinds wait in `departures`.
    pub(crate) waiting: usize,
    pub(crate) local: Local,
    pub(crate) routes: Routes,
    pub(crate) locates: Locates,
    pub(crate) reassembly: Reassembly<P>,
    pub(crate) departures: [Departures<P>; NETWORKS],
    /// Pages of datagrams of others that wait there.
    pub(crate) transit_pages: usize,
    pub(crate) groups: Groups,
    pub(crate) recent: Recent,
    pub(crate) floods: Bucket,
    pub(crate) denials: Bucket,
    pub(crate) events: heapless::Deque<Event, EVENTS>,
    pub(crate) secure: bool,
    pub(crate) counters: Counters,
}

impl<P: Page> Flip<P> {
    /// A layer without addresses or routes, on one network. `seed` must be random, and new at each
    /// boot.
    ///
    /// Takes no memory; tables grow when they are first needed.
    pub fn new(config: Config, seed: [u8; 32]) -> Flip<P> {
        let mut random = Random::new(seed);
        let (routes, recent) = (Routes::new(random.draw()), Recent::new(random.draw()));
        let message_id = random.draw() as u32;
        Flip {
            networks: Networks::new(config),
            random,
            message_id,
            waiting: 0,
            local: Local::default(),
            routes,
            locates: Locates::new(),
            reassembly: Reassembly::new(),
            departures: [const { Departures::new() }; NETWORKS],
            transit_pages: 0,
            groups: Groups::new(),
            recent,
            floods: Bucket::new(FLOOD_BURST, FLOOD_INTERVAL),
            denials: Bucket::new(NOTHERE_BURST, NOTHERE_INTERVAL),
            events: heapless::Deque::new(),
            secure: false,
            counters: Counters::default(),
        }
    }

    /// Attaches the node to one more network. It is a router from now on: it passes on what
    /// comes on one network and is for another.
    ///
    /// # Errors
    /// [`Full`] if it is on [`NETWORKS`] already.
    pub fn add_network(&mut self, config: Config) -> Result<NetworkId, Full> {
        let added = self.networks.add(config).ok_or(Full);
        self.mark();
        added
    }

    /// How many networks the node is on.
    pub const fn networks(&self) -> usize {
        self.networks.count()
    }

    /// Says whether everybody who can hear `network` is trusted. Each network is, unless told
    /// otherwise.
    pub fn set_trusted(&mut self, network: NetworkId, trusted: bool) {
        self.networks.get_mut(network).trusted = trusted;
        self.mark();
    }

    /// Says whether all that this node sends, searches included, must stay on trusted networks.
    pub fn set_security(&mut self, secure: bool) {
        self.secure = secure;
        self.mark();
    }

    /// Sets the flags with which this node's packets leave.
    fn mark(&mut self) {
        for network in self.networks.iter_mut() {
            network.flags.set(Flags::SECURITY, self.secure);
            network.flags.set(Flags::UNSAFE, !network.trusted);
        }
        self.forget_heard();
    }

    /// A fresh random private address, for [`Flip::register`].
    pub fn draw_address(&mut self, space: u8) -> PrivateAddress {
        PrivateAddress::new(space, self.random.draw())
    }

    /// Receives under the image of `private` from now on, and answers those who seek it.
    ///
    /// The first address registered is the node's own: packets to it are found fastest, and
    /// LOCATEs come from it. To register an address again changes nothing. Several nodes may
    /// register the same address: a datagram reaches one of them, a multicast all.
    pub fn register(&mut self, private: PrivateAddress) -> Result<Address, Full> {
        let address = private.image();
        self.local.insert(address)?;
        self.routes.remove(address);
        self.forget_heard();
        Ok(address)
    }

    /// Receives under `address` no longer; tells whether it did.
    pub fn unregister(&mut self, address: Address) -> bool {
        self.locates.unannounce(address);
        self.local.remove(address)
    }

    /// Whether datagrams to `address` are received here.
    #[inline]
    pub fn is_registered(&self, address: Address) -> bool {
        self.local.contains(address)
    }

    /// The route to `address`, if one is known and fresh, and may be used.
    #[inline]
    pub fn route(&self, now: Instant, address: Address) -> Option<Route> {
        let usable = |route: &&Route| !self.secure || self.is_trusted(route);
        self.routes.get(now, address).filter(usable).copied()
    }

    /// Whether only trusted networks lie on a route, that to the first station included.
    pub(crate) fn is_trusted(&self, route: &Route) -> bool {
        route.trusted && self.networks.get(route.network).trusted
    }

    /// Seeks `address`. Poll [`Flip::poll_transmit`] afterwards.
    ///
    /// Where it was before is asked first, alone; only if it is not there, everybody is.
    pub fn locate(&mut self, now: Instant, address: Address) -> Locate {
        self.seek_one(now, address, Address::BROADCAST, 0)
    }

    /// As [`Flip::locate`], but asks everybody only once, and at once as far as any LOCATE goes:
    /// for who asks again himself, or expects no answer.
    pub fn locate_once(&mut self, now: Instant, address: Address) -> Locate {
        self.seek_one(now, address, Address::BROADCAST, LOCATE_STEPS.len() - 1)
    }

    /// The same for an address that may be where `near` is, another address: if a route to that
    /// is known, its station is asked first. A hint that is wrong costs [`HINT_WAIT`].
    ///
    /// [`HINT_WAIT`]: crate::limits::HINT_WAIT
    pub fn locate_near(&mut self, now: Instant, address: Address, near: Address) -> Locate {
        self.seek_one(now, address, near, 0)
    }

    fn seek_one(&mut self, now: Instant, address: Address, near: Address, step: usize) -> Locate {
        if let Some(route) = self.route(now, address) {
            return Locate::Known(route);
        }
        if self.local.contains(address) {
            return Locate::Here;
        }
        let hint = self.route(now, near).or_else(|| self.routes.stale(address));
        let usable = hint.filter(|route| !self.secure || self.is_trusted(route));
        let hint = usable.map(|route| (route.network, route.station));
        match self.seek(
            now,
            address,
            Wanted {
                hint,
                least: 0,
                step,
            },
        ) {
            Progress::Started | Progress::Pending => Locate::Pending,
            Progress::Missing => Locate::Missing,
            Progress::Full => Locate::Full,
        }
    }

    /// Seeks `least` listeners of `address` on other nodes (at least one), unless so many are
    /// known, for [`Flip::multicast`]. Who was found counts for a minute; listeners that came
    /// later are found by the next search. Poll [`Flip::poll_transmit`] afterwards.
    pub fn locate_listeners(&mut self, now: Instant, address: Address, least: u16) -> Listeners {
        let known = self.listeners(now, address);
        if known >= least.max(1) {
            return Listeners::Known(known);
        }
        let wanted = Wanted {
            hint: None,
            least: least.max(1),
            step: 0,
        };
        match self.seek(now, address, wanted) {
            Progress::Started | Progress::Pending => Listeners::Pending,
            Progress::Missing => Listeners::Missing,
            Progress::Full => Listeners::Full,
        }
    }

    /// How many listeners of `address` are known on other nodes.
    pub fn listeners(&self, now: Instant, address: Address) -> u16 {
        self.groups.count(now, address, None).reachable(self.secure)
    }

    fn seek(&mut self, now: Instant, address: Address, wanted: Wanted) -> Progress {
        if self.local.primary().is_broadcast() || address.is_broadcast() {
            return Progress::Missing;
        }
        // Each search needs room for its event, so that no result is ever lost.
        if self.events.len() + self.locates.pending() >= EVENTS {
            return Progress::Full;
        }
        self.locates.start(now, address, wanted)
    }

    /// Says to everybody, unasked, that `address` is here; see [`Event::Announced`].
    ///
    /// # Errors
    /// [`Full`] if too many announcements wait to be sent.
    pub fn announce(&mut self, now: Instant, address: Address, settled: bool) -> Result<(), Full> {
        let announcement = Announcement { address, settled };
        let some = self.locates.announce(now, announcement);
        some.then_some(()).ok_or(Full)
    }

    /// Believes an announcement ([`Event::Announced`]): notes the way that it came.
    pub fn follow(&mut self, now: Instant, address: Address, route: Route) {
        if !self.local.contains(address) && !address.is_broadcast() {
            self.learn(now, address, route);
            self.forget_heard();
        }
    }

    /// Forgets the route to `address`, which is silent, if it may be reached another way: over
    /// another network, or another router. Tells whether; then locate it.
    pub fn doubt(&mut self, address: Address) -> bool {
        let detour = |route: Route| self.networks.is_router() || route.hops > 1;
        let doubtful = self.routes.stale(address).is_some_and(detour);
        if doubtful {
            self.forget_route(address);
        }
        doubtful
    }

    /// When [`Flip::handle_timeout`] wants to be called. May change with every other call.
    #[inline]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let next = self.next_timeout();
        (next != Instant::NEVER).then_some(next)
    }

    /// The same, [`Instant::NEVER`] if it is not to be called.
    #[inline]
    pub fn next_timeout(&self) -> Instant {
        self.locates.next().min(self.reassembly.next())
    }

    /// Does what time asks for. Poll [`Flip::poll_transmit`] and [`Flip::poll_event`] afterwards.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(address) = self.locates.give_up(now) {
            self.report(Event::NotLocated { address });
        }
        if self.reassembly.next() <= now {
            self.counters.reassembly_timeouts += self.reassembly.expire(now);
        }
    }

    /// The next event. Poll after [`Flip::handle_frame`] and [`Flip::handle_timeout`].
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What was done so far, and what was dropped.
    #[inline]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Notes where `address` is.
    pub(crate) fn learn(&mut self, now: Instant, address: Address, route: Route) {
        match self.routes.learn(now, address, route) {
            Learnt::Noted => {}
            Learnt::Evicted => self.counters.routes_evicted += 1,
            Learnt::NoMemory => self.counters.routes_not_noted += 1,
        }
    }

    /// Forgets where `address` is: whoever is there does not answer.
    pub fn forget_route(&mut self, address: Address) {
        self.routes.remove(address);
        self.forget_heard();
    }

    /// Makes the next packet of each source be looked at in full.
    pub(crate) fn forget_heard(&mut self) {
        self.networks
            .iter_mut()
            .for_each(|network| network.last.forget());
    }

    /// Queues an event. Room for results of searches is kept free of others.
    pub(crate) fn report(&mut self, event: Event) {
        let searched = matches!(event, Event::Located { .. } | Event::NotLocated { .. });
        let room = searched || self.events.len() + self.locates.pending() < EVENTS;
        if !room || self.events.push_back(event).is_err() {
            self.counters.events_lost += 1;
        }
    }
}
