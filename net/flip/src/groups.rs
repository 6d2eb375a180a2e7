//! Who listens to an address: what a multicast, and a router of multicasts, goes by.
//!
//! Owns, for each address that was sought with all its receivers, the stations on each network
//! from which answers came, and how many receivers each answered for. Entries age like routes,
//! and only answers to a search confirm them: a listener never speaks otherwise. Leaves the
//! search to `locate`, the packets to `multicast`.
//!
//! Source: Amoeba 5, `rawflip.n` (`flip_multicast`), `switch.c` (`adr_add`, `adr_count`).

use alloc::vec::Vec;

use norma_wire::ethernet::EthernetAddress;

use crate::limits::{GROUP_STATIONS, GROUPS, NETWORKS, ROUTE_LIFETIME};
use crate::routes::NetworkId;
use crate::time::Instant;
use crate::{Address, Full};

/// Receivers of an address, and those of them to whom only trusted networks lead: the pair of
/// counts in HEREIS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) all: u16,
    pub(crate) trusted: u16,
}

impl Counts {
    pub(crate) fn plus(self, other: Counts) -> Counts {
        Counts {
            all: self.all.saturating_add(other.all),
            trusted: self.trusted.saturating_add(other.trusted),
        }
    }

    /// Those that a packet may reach that must stay on trusted networks, or need not.
    pub(crate) const fn reachable(self, trusted_only: bool) -> u16 {
        if trusted_only { self.trusted } else { self.all }
    }
}

/// A station that answered for receivers: its own, or a router's.
#[derive(Clone, Copy)]
struct Place {
    station: EthernetAddress,
    counts: Counts,
    hops: u16,
    confirmed: Instant,
}

struct Group {
    address: Address,
    places: [heapless::Vec<Place, GROUP_STATIONS>; NETWORKS],
}

impl Group {
    fn confirmed(&self) -> Instant {
        let places = self.places.iter().flatten();
        let last = places.map(|place| place.confirmed).max();
        last.unwrap_or(Instant::ZERO)
    }
}

/// Where to send a multicast on one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To nobody.
    None,
    /// To the only station that leads to listeners.
    One(EthernetAddress),
    /// To everybody, because several do.
    Several,
}

/// All addresses whose listeners are known.
pub(crate) struct Groups(Vec<Group>);

impl Groups {
    pub(crate) const fn new() -> Groups {
        Groups(Vec::new())
    }

    /// Notes that `station` leads to so many listeners.
    pub(crate) fn note(
        &mut self,
        now: Instant,
        address: Address,
        (network, station): (NetworkId, EthernetAddress),
        counts: Counts,
        hops: u16,
    ) -> Result<(), Full> {
        let group = match self.position(address) {
            Some(at) => at,
            None => self.begin(now, address)?,
        };
        let places = self.0[group].places.get_mut(usize::from(network.0));
        let places = places.ok_or(Full)?;
        places.retain(|place| is_fresh(place, now) && place.station != station);
        let place = Place {
            station,
            counts,
            hops,
            confirmed: now,
        };
        places.push(place).map_err(|_| Full)
    }

    fn begin(&mut self, now: Instant, address: Address) -> Result<usize, Full> {
        if self.0.len() >= GROUPS {
            let ages = self.0.iter().map(Group::confirmed).enumerate();
            let oldest = ages.min_by_key(|(_, confirmed)| *confirmed);
            // Only what has aged makes room.
            match oldest {
                Some((at, confirmed)) if now.since(confirmed) >= ROUTE_LIFETIME => {
                    self.0.swap_remove(at);
                }
                _ => return Err(Full),
            }
        }
        self.0.try_reserve(1).map_err(|_| Full)?;
        self.0.push(Group {
            address,
            places: Default::default(),
        });
        Ok(self.0.len() - 1)
    }

    /// How many listeners are known, on all networks but one.
    pub(crate) fn count(&self, now: Instant, address: Address, but: Option<NetworkId>) -> Counts {
        let Some(group) = self.position(address).map(|at| &self.0[at]) else {
            return Counts::default();
        };
        let places = group.places.iter().enumerate();
        let places = places.filter(|(network, _)| but.is_none_or(|but| *network != but.0.into()));
        let fresh = places
            .flat_map(|(_, places)| places)
            .filter(|place| is_fresh(place, now));
        fresh.fold(Counts::default(), |sum, place| sum.plus(place.counts))
    }

    /// Where to send a datagram on one network that may cross `hops` networks more, and perhaps
    /// trusted ones only.
    pub(crate) fn way(
        &self,
        now: Instant,
        address: Address,
        network: NetworkId,
        hops: u16,
        trusted_only: bool,
    ) -> Way {
        let group = self.position(address).map(|at| &self.0[at]);
        let places = group.and_then(|group| group.places.get(usize::from(network.0)));
        let mut usable = places.into_iter().flatten().filter(|place| {
            is_fresh(place, now) && place.hops <= hops && place.counts.reachable(trusted_only) > 0
        });
        match (usable.next(), usable.next()) {
            (None, _) => Way::None,
            (Some(only), None) => Way::One(only.station),
            _ => Way::Several,
        }
    }

    /// Forgets a station that leads to no listeners; tells whether it was known to.
    pub(crate) fn remove(
        &mut self,
        address: Address,
        network: NetworkId,
        station: EthernetAddress,
    ) -> bool {
        let group = self.position(address).map(|at| &mut self.0[at]);
        let places = group.and_then(|group| group.places.get_mut(usize::from(network.0)));
        places.is_some_and(|places| {
            let before = places.len();
            places.retain(|place| place.station != station);
            places.len() < before
        })
    }

    fn position(&self, address: Address) -> Option<usize> {
        self.0.iter().position(|group| group.address == address)
    }
}

fn is_fresh(place: &Place, now: Instant) -> bool {
    now.since(place.confirmed) < ROUTE_LIFETIME
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Counts = Counts { all: 1, trusted: 1 };

    fn at(network: u8, last: u8) -> (NetworkId, EthernetAddress) {
        (NetworkId(network), EthernetAddress([2, 0, 0, 0, 0, last]))
    }

    #[test]
    fn counts_stations_and_forgets_them() {
        let mut groups = Groups::new();
        let (now, address) = (Instant::from_millis(7), Address(3));
        let three = Counts { all: 3, trusted: 0 };
        for (place, counts) in [(at(0, 1), ONE), (at(0, 2), ONE), (at(1, 1), three)] {
            groups.note(now, address, place, counts, 1).unwrap();
            groups.note(now, address, place, counts, 1).unwrap();
        }
        let counted = |groups: &Groups, but| groups.count(now, address, but);
        assert_eq!(counted(&groups, None), Counts { all: 5, trusted: 2 });
        assert_eq!(counted(&groups, Some(NetworkId(0))), three);
        let way = |groups: &Groups, now, network, hops, trusted| {
            groups.way(now, address, NetworkId(network), hops, trusted)
        };
        assert_eq!(way(&groups, now, 0, 1, false), Way::Several);
        assert_eq!(way(&groups, now, 0, 0, false), Way::None, "too far");
        assert_eq!(way(&groups, now, 1, 1, false), Way::One(at(1, 1).1));
        assert_eq!(way(&groups, now, 1, 1, true), Way::None);
        assert_eq!(way(&groups, now, 9, 1, false), Way::None);
        assert!(groups.remove(address, NetworkId(0), at(0, 2).1));
        assert!(!groups.remove(address, NetworkId(0), at(0, 2).1));
        assert_eq!(way(&groups, now, 0, 1, true), Way::One(at(0, 1).1));
        let later = now + ROUTE_LIFETIME;
        assert_eq!(way(&groups, later, 0, 1, false), Way::None);
        assert_eq!(groups.count(later, address, None), Counts::default());
    }

    #[test]
    fn is_bounded() {
        let mut groups = Groups::new();
        let now = Instant::from_millis(7);
        for number in 1..=GROUPS as u64 {
            groups.note(now, Address(number), at(0, 1), ONE, 1).unwrap();
        }
        let one_more = Address(GROUPS as u64 + 1);
        assert_eq!(groups.note(now, one_more, at(0, 1), ONE, 1), Err(Full));
        let later = now + ROUTE_LIFETIME;
        assert_eq!(groups.note(later, one_more, at(0, 1), ONE, 1), Ok(()));
        for last in 2..=GROUP_STATIONS as u8 {
            groups.note(later, one_more, at(0, last), ONE, 1).unwrap();
        }
        assert_eq!(groups.note(later, one_more, at(0, 99), ONE, 1), Err(Full));
        assert_eq!(
            groups.note(later, one_more, at(NETWORKS as u8, 1), ONE, 1),
            Err(Full)
        );
    }
}
