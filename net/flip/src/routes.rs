//! The route cache: at which station of which network an address was last heard.
//!
//! Owns what was learnt from packets, and forgets it: after a while without confirmation, when
//! NOTHERE denies it, or when a younger route needs its place. Leaves to others which packets
//! may teach it something.
//!
//! A set-associative table, like a processor's cache: a multiplication finds a set of four
//! entries. Its size is fixed, to find an entry costs some twenty instructions, and to evict
//! one is to overwrite it.

use alloc::vec::Vec;

use norma_wire::ethernet::EthernetAddress;

use crate::Address;
use crate::limits::{ROUTE_LIFETIME, ROUTE_SETS, ROUTE_WAYS};
use crate::time::Instant;

/// One of the networks that a node is attached to, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NetworkId(pub u8);

impl NetworkId {
    /// The network that every node has.
    pub const FIRST: NetworkId = NetworkId(0);
}

/// How to reach an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Over which network.
    pub network: NetworkId,
    /// At which station there: the address' own, or a router.
    pub station: EthernetAddress,
    /// How many networks lie between.
    pub hops: u16,
    /// Bytes of payload that a packet may have to get there in one piece; 0 if not known.
    pub limit: u16,
    /// Whether all networks between are trusted.
    pub trusted: bool,
}

/// An entry; free while its address is broadcast.
#[derive(Clone, Copy)]
struct Entry {
    address: Address,
    confirmed: Instant,
    route: Route,
    /// Whether a search was sent along it alone, and nothing has confirmed it since.
    asked: bool,
}

const FREE: Entry = Entry {
    address: Address::BROADCAST,
    confirmed: Instant::ZERO,
    route: Route {
        network: NetworkId(0),
        station: EthernetAddress([0; 6]),
        hops: 0,
        limit: 0,
        trusted: false,
    },
    asked: false,
};

impl Entry {
    #[inline]
    fn is_fresh(&self, now: Instant) -> bool {
        now.since(self.confirmed) < ROUTE_LIFETIME
    }
}

/// What became of a lesson.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Learnt {
    /// It was noted in a free place, or in its own.
    Noted,
    /// It took the place of another route.
    Evicted,
    /// There was no memory for a table.
    NoMemory,
}

/// The cache.
pub(crate) struct Routes {
    /// Mixed into the hash, so that no stranger can choose addresses which fall together.
    seed: u64,
    /// Empty until the first lesson.
    sets: Vec<[Entry; ROUTE_WAYS]>,
}

impl Routes {
    pub(crate) const fn new(seed: u64) -> Routes {
        Routes {
            seed,
            sets: Vec::new(),
        }
    }

    #[inline]
    fn set(&self, address: Address) -> usize {
        const SHIFT: u32 = u64::BITS - ROUTE_SETS.ilog2();
        const { assert!(ROUTE_SETS.is_power_of_two()) };
        ((address.0 ^ self.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> SHIFT) as usize
    }

    /// A route that nothing has confirmed for too long: only good to ask there first.
    pub(crate) fn stale(&self, address: Address) -> Option<Route> {
        self.find(address).map(|entry| entry.route)
    }

    /// When the route to `address` was confirmed last.
    pub(crate) fn confirmed(&self, address: Address) -> Option<Instant> {
        self.find(address).map(|entry| entry.confirmed)
    }

    /// The route along which to send a search for `address` alone. It is given once: if nothing
    /// confirms it, the next search goes everywhere.
    pub(crate) fn ask(&mut self, now: Instant, address: Address) -> Option<Route> {
        let entry = self.find_mut(address)?;
        if entry.asked || !entry.is_fresh(now) {
            return None;
        }
        entry.asked = true;
        Some(entry.route)
    }

    /// Notes that untrusted networks lie on the way to `address`.
    pub(crate) fn distrust(&mut self, address: Address) {
        if let Some(entry) = self.find_mut(address) {
            entry.route.trusted = false;
        }
    }

    fn find_mut(&mut self, address: Address) -> Option<&mut Entry> {
        let set = self.set(address);
        if address.is_broadcast() {
            return None;
        }
        let mut ways = self.sets.get_mut(set)?.iter_mut();
        ways.find(|entry| entry.address == address)
    }

    #[inline]
    fn find(&self, address: Address) -> Option<&Entry> {
        if address.is_broadcast() {
            return None; // what free places are marked with
        }
        self.sets
            .get(self.set(address))?
            .iter()
            .find(|entry| entry.address == address)
    }

    /// The route to `address`, if one is known and not too old.
    #[inline]
    pub(crate) fn get(&self, now: Instant, address: Address) -> Option<&Route> {
        self.find(address)
            .filter(|entry| entry.is_fresh(now))
            .map(|entry| &entry.route)
    }

    /// Notes that `address` is where `route` says. What a packet does not say of the limit is
    /// taken from before, if the way is the same.
    pub(crate) fn learn(&mut self, now: Instant, address: Address, route: Route) -> Learnt {
        if self.sets.is_empty() {
            if self.sets.try_reserve_exact(ROUTE_SETS).is_err() {
                return Learnt::NoMemory;
            }
            self.sets.resize(ROUTE_SETS, [FREE; ROUTE_WAYS]); // within the room reserved
        }
        let set = self.set(address);
        let ways = &mut self.sets[set];
        let known = ways.iter().position(|entry| entry.address == address);
        let place = known.unwrap_or_else(|| {
            // A free place was confirmed at the start of time, so it is the oldest of all.
            let ages = ways.iter().map(|entry| entry.confirmed).enumerate();
            ages.min_by_key(|(_, confirmed)| *confirmed)
                .map_or(0, |(place, _)| place)
        });
        let taken = &mut ways[place];
        let evicts = known.is_none() && !taken.address.is_broadcast() && taken.is_fresh(now);
        let mut route = route;
        let before = taken.route;
        let same = (before.network, before.station) == (route.network, route.station);
        if route.limit == 0 && known.is_some() && same {
            route.limit = before.limit;
        }
        *taken = Entry {
            address,
            confirmed: now,
            route,
            asked: false,
        };
        if evicts {
            Learnt::Evicted
        } else {
            Learnt::Noted
        }
    }

    /// Forgets the route to `address`.
    pub(crate) fn remove(&mut self, address: Address) {
        let set = self.set(address);
        let Some(ways) = self.sets.get_mut(set) else {
            return;
        };
        if let Some(entry) = ways.iter_mut().find(|entry| entry.address == address) {
            *entry = FREE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    fn route(last: u8) -> Route {
        Route {
            network: NetworkId(0),
            station: EthernetAddress([2, 0, 0, 0, 0, last]),
            hops: 1,
            limit: 0,
            trusted: true,
        }
    }

    #[test]
    fn asks_along_a_route_once_and_keeps_its_limit() {
        let mut routes = Routes::new(1);
        let (now, address) = (Instant::from_millis(5), Address(77));
        let small = Route {
            limit: 1460,
            ..route(1)
        };
        routes.learn(now, address, small);
        assert_eq!(routes.ask(now, address), Some(small));
        assert_eq!(routes.ask(now, address), None, "it is in doubt");
        routes.learn(now, address, route(1));
        assert_eq!(routes.ask(now, address), Some(small), "it was confirmed");
        routes.learn(now, address, route(2));
        assert_eq!(routes.get(now, address), Some(&route(2)), "another way");
        let later = now + ROUTE_LIFETIME;
        assert_eq!(routes.stale(address), Some(route(2)));
        assert_eq!(routes.get(later, address), None);
        assert_eq!(routes.ask(later, address), None);
        routes.distrust(address);
        assert!(!routes.stale(address).is_some_and(|route| route.trusted));
        assert_eq!(
            (routes.stale(Address::BROADCAST), routes.confirmed(address)),
            (None, Some(now))
        );
    }

    #[test]
    fn learns_ages_and_forgets() {
        let mut routes = Routes::new(1);
        let (start, address) = (Instant::from_millis(5), Address(77));
        assert_eq!(routes.get(start, address), None);
        assert_eq!(routes.learn(start, address, route(1)), Learnt::Noted);
        assert_eq!(routes.get(start, address), Some(&route(1)));
        assert_eq!(routes.learn(start, address, route(2)), Learnt::Noted);
        let almost = start + ROUTE_LIFETIME - Duration::from_nanos(1);
        assert_eq!(routes.get(almost, address), Some(&route(2)));
        assert_eq!(routes.get(start + ROUTE_LIFETIME, address), None);
        routes.remove(address);
        assert_eq!(routes.get(start, address), None);
        assert_eq!(routes.get(start, Address::BROADCAST), None);
    }

    #[test]
    fn evicts_the_oldest_of_a_set_when_full() {
        let mut routes = Routes::new(99);
        let capacity = ROUTE_SETS * ROUTE_WAYS;
        let evicted = (1..=2 * capacity as u64).filter(|number| {
            routes.learn(Instant(*number), Address(*number), route(0)) == Learnt::Evicted
        });
        assert!(evicted.count() >= capacity);
        let now = Instant(2 * capacity as u64);
        let kept = (1..=2 * capacity as u64).filter(|n| routes.get(now, Address(*n)).is_some());
        assert!(kept.count() <= capacity);
        assert!(routes.get(now, Address(2 * capacity as u64)).is_some());
    }
}
