//! Locating: the search for addresses to which no route is known.
//!
//! Owns who is sought, how far and until when. A station where the address may be is asked first,
//! alone; two searches for one address are one; an address that was not found counts as missing
//! for a while, so that asking again costs nothing; all broadcasts together are limited in rate.
//! Leaves the packets to `output`, the answers to `seek`.
//!
//! Source: Amoeba 5, RPC locate (`flrpc.c`): hop limits 1, 3, 7, … 25.

use norma_wire::ethernet::EthernetAddress;

use crate::Address;
use crate::announce::{Announcement, Announcements};
use crate::bucket::Bucket;
use crate::limits::{
    HINT_WAIT, LOCATE_BURST, LOCATE_INTERVAL, LOCATE_STEPS, LOCATES, MAXIMUM_HOP, MISSING_LIFETIME,
};
use crate::routes::NetworkId;
use crate::time::Instant;

/// A station of a network.
pub(crate) type Place = (NetworkId, EthernetAddress);

/// One address that is sought, or was lately not found.
struct Search {
    address: Address,
    /// Where to ask first, alone.
    hint: Option<Place>,
    /// How many listeners are sought; 0 for just one receiver.
    least: u16,
    /// How many LOCATEs have been broadcast, with those that were left out at the beginning.
    sent: usize,
    /// How many were left out.
    begun: usize,
    /// Whether it was given up.
    missing: bool,
    /// When the next LOCATE goes out; after the last, when to give up; then, when to forget.
    due: Instant,
}

/// What a search is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Started,
    Pending,
    Missing,
    Full,
}

/// How an address is to be sought.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// Where to ask first, alone.
    pub(crate) hint: Option<Place>,
    /// How many listeners; 0 for just one receiver.
    pub(crate) least: u16,
    /// With which of the steps to begin.
    pub(crate) step: usize,
}

/// A LOCATE to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Whom to seek.
    pub(crate) address: Address,
    /// Over how many networks.
    pub(crate) hops: u16,
    /// At which station alone.
    pub(crate) hint: Option<Place>,
    /// Whether all receivers are to answer.
    pub(crate) all: bool,
}

/// Whether an address is being sought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sought {
    /// It was given up a moment ago.
    InVain,
    /// So many listeners of it are sought; 0 for just one receiver.
    For(u16),
}

/// All searches.
pub(crate) struct Locates {
    searches: heapless::Vec<Search, LOCATES>,
    announcements: Announcements,
    /// When the next announcement can go out.
    announce_at: Instant,
    bucket: Bucket,
    /// The earliest that is due.
    next: Instant,
}

impl Locates {
    pub(crate) const fn new() -> Locates {
        Locates {
            searches: heapless::Vec::new(),
            announcements: Announcements::new(),
            announce_at: Instant::ZERO,
            bucket: Bucket::new(LOCATE_BURST, LOCATE_INTERVAL),
            next: Instant::NEVER,
        }
    }

    /// When something is due, `NEVER` if nothing is.
    #[inline]
    pub(crate) const fn next(&self) -> Instant {
        self.next
    }

    /// How many searches will still have a result.
    pub(crate) fn pending(&self) -> usize {
        self.searches
            .iter()
            .filter(|search| !search.missing)
            .count()
    }

    /// Starts to seek `address`, unless that is being done or was just in vain.
    pub(crate) fn start(&mut self, now: Instant, address: Address, wanted: Wanted) -> Progress {
        let Wanted { hint, least, step } = wanted;
        self.forget(now);
        let mut searches = self.searches.iter_mut();
        if let Some(search) = searches.find(|search| search.address == address) {
            if search.missing {
                return Progress::Missing;
            }
            search.least = search.least.max(least);
            // Whoever asks for more tries gets them; whoever only asks again does not, or a search
            // that is asked for more often than it widens would never get beyond routers.
            if step < search.begun {
                search.begun = step;
                search.sent = search.sent.min(step.max(1));
            }
            return Progress::Pending;
        }
        if self.searches.is_full() {
            self.forget_one_missing();
        }
        let search = Search {
            address,
            hint,
            least,
            sent: step,
            begun: step,
            missing: false,
            due: now,
        };
        if self.searches.push(search).is_err() {
            return Progress::Full;
        }
        self.find_next();
        Progress::Started
    }

    /// What of `address` is being sought, or was until a moment ago.
    pub(crate) fn sought(&self, address: Address) -> Option<Sought> {
        let mut searches = self.searches.iter();
        let search = searches.find(|search| search.address == address)?;
        Some(if search.missing {
            Sought::InVain
        } else {
            Sought::For(search.least)
        })
    }

    /// Ends the search for `address`, which was found.
    pub(crate) fn found(&mut self, address: Address) {
        self.searches.retain(|search| search.address != address);
        self.find_next();
    }

    /// Announces an address as soon as the rate permits. `false` if there is no room.
    pub(crate) fn announce(&mut self, now: Instant, announcement: Announcement) -> bool {
        let some = self.announcements.push(announcement);
        self.announce_at = self.announce_at.min(now);
        self.find_next();
        some
    }

    /// An address that is given up is not announced any more.
    pub(crate) fn unannounce(&mut self, address: Address) {
        self.announcements.remove(address);
        self.find_next();
    }

    /// The next announcement to send.
    pub(crate) fn transmit_announcement(&mut self, now: Instant) -> Option<Announcement> {
        if self.announcements.is_empty() || now < self.announce_at {
            return None;
        }
        let some = if self.bucket.take(now) {
            self.announcements.pop()
        } else {
            self.announce_at = self.bucket.next();
            None
        };
        self.find_next();
        some
    }

    /// The next LOCATE to send.
    pub(crate) fn transmit(&mut self, now: Instant) -> Option<Step> {
        if now < self.next {
            return None;
        }
        let due = |search: &&mut Search| search.due <= now && search.sent < LOCATE_STEPS.len();
        let search = self.searches.iter_mut().find(due)?;
        let (address, all) = (search.address, search.least > 0);
        if let Some(hint) = search.hint.take() {
            search.due = now + HINT_WAIT;
            self.find_next();
            return Some(Step {
                address,
                hops: MAXIMUM_HOP,
                hint: Some(hint),
                all,
            });
        }
        if !self.bucket.take(now) {
            // All that are due wait for the next token; else they would be due at once, and
            // whoever waits for the time-out would spin.
            let later = self.bucket.next();
            self.searches
                .iter_mut()
                .filter(due)
                .for_each(|search| search.due = later);
            self.find_next();
            return None;
        }
        let (hops, wait) = LOCATE_STEPS[search.sent];
        search.sent += 1;
        search.due = now + wait;
        self.find_next();
        Some(Step {
            address,
            hops,
            hint: None,
            all,
        })
    }

    /// Gives up the next search that has had its time.
    pub(crate) fn give_up(&mut self, now: Instant) -> Option<Address> {
        if now < self.next {
            return None;
        }
        self.forget(now);
        let over = |search: &&mut Search| {
            search.due <= now && search.sent == LOCATE_STEPS.len() && !search.missing
        };
        let search = self.searches.iter_mut().find(over)?;
        search.missing = true;
        search.due = now + MISSING_LIFETIME;
        let address = search.address;
        self.find_next();
        Some(address)
    }

    fn forget(&mut self, now: Instant) {
        self.searches
            .retain(|search| !search.missing || now < search.due);
        self.find_next();
    }

    fn forget_one_missing(&mut self) {
        if let Some(place) = self.searches.iter().position(|search| search.missing) {
            self.searches.swap_remove(place);
        }
    }

    fn find_next(&mut self) {
        let earliest = self.searches.iter().map(|search| search.due).min();
        let announce = (!self.announcements.is_empty()).then_some(self.announce_at);
        let all = earliest.into_iter().chain(announce);
        self.next = all.min().unwrap_or(Instant::NEVER);
    }
}
