//! What was seen lately: so that a broadcast that comes back over another way goes no further.
//!
//! Owns a table of bounded size that forgets. Where routers join networks in a ring, each
//! broadcast meets every network from two sides; the second copy is recognised here. What the
//! table has forgotten is passed on again, at most until its hop limit: to forget costs frames,
//! and never a storm. Leaves the limit in rate to whoever passes broadcasts on.
//!
//! Source: Amoeba 5, `switch.c` (`flcache_present`).

use alloc::vec::Vec;

use crate::Address;
use crate::limits::{RECENT_LIFETIME, RECENT_SETS, RECENT_WAYS};
use crate::time::Instant;

/// What was seen of an address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A LOCATE of that message id from it.
    Locate(u32),
    /// A search by it for that address: answers are expected.
    Sought(Address),
    /// A MULTIDATA of that message id from it, or the fragment at that offset.
    Multicast(u32, u32),
}

#[derive(Clone, Copy)]
struct Entry {
    /// Broadcast for none.
    address: Address,
    seen: Seen,
    at: Instant,
}

const FREE: Entry = Entry {
    address: Address::BROADCAST,
    seen: Seen::Locate(0),
    at: Instant::ZERO,
};

/// The table.
pub(crate) struct Recent {
    /// Mixed into the hash, so that no stranger can choose what falls together.
    seed: u64,
    /// Empty until something is noted.
    sets: Vec<[Entry; RECENT_WAYS]>,
}

impl Recent {
    pub(crate) const fn new(seed: u64) -> Recent {
        Recent {
            seed,
            sets: Vec::new(),
        }
    }

    /// Notes that this was seen of `address`; tells whether it is news. Without memory nothing
    /// is: then nothing is passed on.
    pub(crate) fn note(&mut self, now: Instant, address: Address, seen: Seen) -> bool {
        if self.sets.is_empty() {
            if self.sets.try_reserve_exact(RECENT_SETS).is_err() {
                return false;
            }
            self.sets.resize(RECENT_SETS, [FREE; RECENT_WAYS]); // within the room reserved
        }
        let set = self.set(address, seen);
        let ways = &mut self.sets[set];
        let is_it = |entry: &Entry| entry.address == address && entry.seen == seen;
        let known = ways.iter().position(is_it);
        let place = known.unwrap_or_else(|| {
            let ages = ways.iter().map(|entry| entry.at).enumerate();
            ages.min_by_key(|(_, at)| *at).map_or(0, |(place, _)| place)
        });
        let news = known.is_none() || !is_young(&ways[place], now);
        ways[place] = Entry {
            address,
            seen,
            at: now,
        };
        news
    }

    /// Whether this was seen of `address` lately.
    pub(crate) fn contains(&self, now: Instant, address: Address, seen: Seen) -> bool {
        let ways = self.sets.get(self.set(address, seen));
        ways.is_some_and(|ways| {
            ways.iter()
                .any(|entry| entry.address == address && entry.seen == seen && is_young(entry, now))
        })
    }

    fn set(&self, address: Address, seen: Seen) -> usize {
        const SHIFT: u32 = u64::BITS - RECENT_SETS.ilog2();
        const { assert!(RECENT_SETS.is_power_of_two()) };
        let what = match seen {
            Seen::Locate(id) => u64::from(id),
            Seen::Sought(sought) => sought.0,
            Seen::Multicast(id, offset) => u64::from(id) << 32 | u64::from(offset),
        };
        let mixed = (address.0 ^ self.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed.rotate_left(32) ^ what).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> SHIFT) as usize
    }
}

fn is_young(entry: &Entry, now: Instant) -> bool {
    now.since(entry.at) < RECENT_LIFETIME
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_news_once_until_it_is_forgotten() {
        let mut recent = Recent::new(9);
        let (now, address) = (Instant::from_millis(1), Address(5));
        assert!(!recent.contains(now, address, Seen::Locate(1)));
        assert!(recent.note(now, address, Seen::Locate(1)));
        assert!(!recent.note(now, address, Seen::Locate(1)));
        assert!(recent.contains(now, address, Seen::Locate(1)));
        assert!(recent.note(now, address, Seen::Locate(2)));
        assert!(recent.note(now, address, Seen::Multicast(1, 0)));
        assert!(recent.note(now, address, Seen::Multicast(1, 8)));
        assert!(recent.note(now, Address(6), Seen::Locate(1)));
        let later = now + RECENT_LIFETIME;
        assert!(!recent.contains(later, address, Seen::Locate(2)));
        assert!(recent.note(later, address, Seen::Locate(2)));
    }

    #[test]
    fn forgets_the_oldest_when_full() {
        let mut recent = Recent::new(9);
        let many = 4 * RECENT_SETS * RECENT_WAYS;
        for number in 1..=many as u32 {
            let now = Instant(u64::from(number));
            assert!(recent.note(now, Address(7), Seen::Locate(number)));
        }
        let now = Instant(many as u64);
        let kept = (1..=many as u32).filter(|n| recent.contains(now, Address(7), Seen::Locate(*n)));
        assert!(kept.count() <= RECENT_SETS * RECENT_WAYS);
        assert!(recent.contains(now, Address(7), Seen::Locate(many as u32)));
    }
}
