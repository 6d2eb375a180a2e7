//! The sources that were heard last: what makes the common frame cheap, in and out.
//!
//! Owns, for each network, what the next datagram of a source will begin with, and where to send
//! to it. It holds nothing that the route cache does not, and no longer than
//! [`ROUTE_PRECISION`]; whoever changes a route empties the place here.

use norma_wire::ethernet::{self, EthernetAddress};
use norma_wire::flip::{self, Kind};

use crate::Address;
#[cfg(doc)]
use crate::limits::ROUTE_PRECISION;
use crate::time::Instant;

/// Bytes of a frame that are the same for all datagrams from one station to another: the
/// Ethernet header, FLIP's version and type.
const START: usize = ethernet::LENGTH + 2;

pub(crate) fn start(to: EthernetAddress, from: EthernetAddress) -> [u8; START] {
    let mut start = [0; START];
    let (stations, flip) = start.split_at_mut(ethernet::LENGTH);
    let repr = ethernet::Repr {
        destination: to,
        source: from,
    };
    if let Some(stations) = stations.first_chunk_mut() {
        repr.emit(stations);
    }
    flip.copy_from_slice(&flip::start(Kind::UniData));
    start
}

/// One of the sources that were heard last: where, and until when that need not be noted again.
#[derive(Clone, Copy)]
pub(crate) struct Heard {
    pub(crate) address: Address,
    /// With what its datagrams to us begin.
    pub(crate) start: [u8; START],
    pub(crate) hops: u16,
    pub(crate) until: Instant,
}

/// The sources that were heard last, each at a place that its address names.
pub(crate) struct LastHeard([Heard; Self::PLACES]);

impl LastHeard {
    /// As many as a node usually talks with at a time.
    const PLACES: usize = 8;

    /// Nobody. A constant, all zeros, is put into its place by a few instructions.
    pub(crate) const NOBODY: LastHeard = LastHeard(
        [Heard {
            address: Address::BROADCAST,
            start: [0; START],
            hops: 0,
            until: Instant::ZERO,
        }; Self::PLACES],
    );

    /// Makes the next packet of each source be looked at in full.
    pub(crate) const fn forget(&mut self) {
        *self = LastHeard::NOBODY;
    }

    /// The place where `address` would be.
    #[inline(always)]
    pub(crate) const fn at(&self, address: Address) -> &Heard {
        &self.0[Self::place(address)]
    }

    /// Notes a source.
    pub(crate) const fn note(&mut self, heard: Heard) {
        self.0[Self::place(heard.address)] = heard;
    }

    /// Forgets one source.
    pub(crate) fn forget_one(&mut self, address: Address) {
        let heard = &mut self.0[Self::place(address)];
        if heard.address == address {
            heard.until = Instant::ZERO;
        }
    }

    /// Where `address` is, if it was heard a short time ago.
    #[inline(always)]
    pub(crate) fn station(&self, now: Instant, address: Address) -> Option<EthernetAddress> {
        let heard = &self.0[Self::place(address)];
        let [.., a, b, c, d, e, f, _, _, _, _] = heard.start;
        let station = EthernetAddress([a, b, c, d, e, f]);
        (heard.address == address && now < heard.until).then_some(station)
    }

    #[inline]
    const fn place(address: Address) -> usize {
        address.0 as usize % Self::PLACES
    }
}
