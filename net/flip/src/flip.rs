//! The FLIP layer of one node: its state, and all of its interface but frames.
//!
//! Owns registration, locating, routes as others see them, events and time-outs. Leaves
//! received frames to `input` and frames to be sent to `output`, both `impl`s of [`Flip`].

use norma_ipc::Page;
use norma_wire::ethernet::EthernetAddress;

use crate::announce::Announcement;
use crate::bucket::Bucket;
use crate::fragment::Fragments;
use crate::input::LastHeard;
use crate::limits::{
    ANSWERS, EVENTS, LOCATE_STEPS, MAX_MTU, MIN_MTU, NOTHERE_BURST, NOTHERE_INTERVAL,
};
use crate::local::Local;
use crate::locate::{Locates, Progress};
use crate::output::Answer;
use crate::random::Random;
use crate::reassembly::Reassembly;
use crate::routes::{Learnt, Routes};
use crate::time::Instant;
use crate::{Address, Counters, Full, PrivateAddress, Route};

/// What a node knows about the network that it is attached to.
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
    /// An address that was sought has a route now.
    Located {
        /// The address.
        address: Address,
    },
    /// An address that was sought was not found.
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

/// The FLIP layer of one node. `P` is the node's kind of page.
pub struct Flip<P> {
    pub(crate) station: EthernetAddress,
    pub(crate) mtu: usize,
    pub(crate) random: Random,
    pub(crate) message_id: u32,
    pub(crate) local: Local,
    pub(crate) last: LastHeard,
    pub(crate) routes: Routes,
    pub(crate) locates: Locates,
    pub(crate) reassembly: Reassembly<P>,
    pub(crate) fragments: Fragments<P>,
    pub(crate) answers: heapless::Vec<Answer, ANSWERS>,
    pub(crate) denials: Bucket,
    pub(crate) events: heapless::Deque<Event, EVENTS>,
    pub(crate) counters: Counters,
}

impl<P: Page> Flip<P> {
    /// A layer without addresses or routes. `seed` must be random, and new at each boot.
    ///
    /// Takes no memory; tables grow when they are first needed.
    pub fn new(config: Config, seed: [u8; 32]) -> Flip<P> {
        let mut random = Random::new(seed);
        let routes = Routes::new(random.draw());
        let message_id = random.draw() as u32;
        Flip {
            station: EthernetAddress(config.mac),
            mtu: config.mtu.clamp(MIN_MTU, MAX_MTU).into(),
            random,
            message_id,
            local: Local::default(),
            last: LastHeard::new(),
            routes,
            locates: Locates::new(),
            reassembly: Reassembly::new(),
            fragments: Fragments::new(),
            answers: heapless::Vec::new(),
            denials: Bucket::new(NOTHERE_BURST, NOTHERE_INTERVAL),
            events: heapless::Deque::new(),
            counters: Counters::default(),
        }
    }

    /// A fresh random private address, for [`Flip::register`].
    pub fn draw_address(&mut self, space: u8) -> PrivateAddress {
        PrivateAddress::new(space, self.random.draw())
    }

    /// Receives under the image of `private` from now on, and answers those who seek it.
    ///
    /// The first address registered is the node's own: packets to it are found fastest, and
    /// LOCATEs come from it. To register an address again changes nothing.
    pub fn register(&mut self, private: PrivateAddress) -> Result<Address, Full> {
        let address = private.image();
        self.local.insert(address)?;
        self.routes.remove(address);
        self.last.forget();
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

    /// The route to `address`, if one is known and fresh.
    #[inline]
    pub fn route(&self, now: Instant, address: Address) -> Option<Route> {
        self.routes.get(now, address).copied()
    }

    /// Seeks `address`. Poll [`Flip::poll_transmit`] afterwards.
    pub fn locate(&mut self, now: Instant, address: Address) -> Locate {
        self.seek(now, address, 0)
    }

    /// As [`Flip::locate`], but asks only once, and at once as far as any LOCATE goes: for who
    /// asks again himself, or expects no answer.
    pub fn locate_once(&mut self, now: Instant, address: Address) -> Locate {
        self.seek(now, address, LOCATE_STEPS.len() - 1)
    }

    fn seek(&mut self, now: Instant, address: Address, step: usize) -> Locate {
        if let Some(route) = self.route(now, address) {
            return Locate::Known(route);
        }
        if self.local.contains(address) {
            return Locate::Here;
        }
        if self.local.primary().is_broadcast() || address.is_broadcast() {
            return Locate::Missing;
        }
        // Each search needs room for its event, so that no result is ever lost.
        if self.events.len() + self.locates.pending() >= EVENTS {
            return Locate::Full;
        }
        match self.locates.start(now, address, step) {
            Progress::Started | Progress::Pending => Locate::Pending,
            Progress::Missing => Locate::Missing,
            Progress::Full => Locate::Full,
        }
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
        }
    }

    /// Forgets where `address` is: whoever is there does not answer.
    pub fn forget_route(&mut self, address: Address) {
        self.routes.remove(address);
        self.last.forget();
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

    /// Queues an event. Room for results of searches is kept free of others.
    pub(crate) fn report(&mut self, event: Event) {
        let searched = matches!(event, Event::Located { .. } | Event::NotLocated { .. });
        let room = searched || self.events.len() + self.locates.pending() < EVENTS;
        if !room || self.events.push_back(event).is_err() {
            self.counters.events_lost += 1;
        }
    }
}
