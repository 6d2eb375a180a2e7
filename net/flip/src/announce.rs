//! Announcing: what a node says unasked when one of its addresses is new on the network.
//!
//! An announcement is a LOCATE that seeks nobody: its source is the address announced, its
//! destination the announcing node's own, which only that node has. So it goes wherever a LOCATE
//! goes, corrects old routes to the address as any LOCATE does, and nobody answers it. Whoever
//! waits for the address hears of it, and so does whoever believes that the address is his.
//!
//! Owns the announcements that wait for their turn. Leaves to others what an announcement means.
//!
//! Source: the announcements of ARP (RFC 5227), by which a host says that it has an address, and
//! learns that another one has it too.

use crate::Address;
use crate::limits::ANNOUNCEMENTS;

/// An announcement that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) address: Address,
    /// Whether it was held for a while without anybody minding.
    pub(crate) settled: bool,
}

/// Those that wait, in order.
#[derive(Default)]
pub(crate) struct Announcements(heapless::Deque<Announcement, ANNOUNCEMENTS>);

impl Announcements {
    pub(crate) const fn new() -> Announcements {
        Announcements(heapless::Deque::new())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lines one up; twice the same is once. `false` if there is no room.
    pub(crate) fn push(&mut self, new: Announcement) -> bool {
        let same = self.0.iter_mut().find(|old| old.address == new.address);
        if let Some(old) = same {
            *old = new;
            return true;
        }
        self.0.push_back(new).is_ok()
    }

    pub(crate) fn pop(&mut self) -> Option<Announcement> {
        self.0.pop_front()
    }

    /// An address that is given up is not announced any more.
    pub(crate) fn remove(&mut self, address: Address) {
        for _ in 0..self.0.len() {
            if let Some(kept) = self.0.pop_front()
                && kept.address != address
            {
                let _ = self.0.push_back(kept); // Into the place that was just left.
            }
        }
    }
}
