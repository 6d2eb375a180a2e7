//! The networks of a node, as FLIP sees them.
//!
//! Owns what differs between them: the station's address, the size of packets, trust, and who was
//! heard there last. Leaves to `queue` what waits to be sent there. A node has all of its places
//! from the start, so that the first network, which every node has, is found without a search.

use norma_wire::ethernet::EthernetAddress;
use norma_wire::flip::{self, Flags};

use crate::flip::Config;
use crate::heard::LastHeard;
use crate::limits::{MAX_MTU, MIN_MTU, NETWORKS};
use crate::routes::NetworkId;

/// A network that the node is attached to, or a place for one.
pub(crate) struct Network {
    pub(crate) station: EthernetAddress,
    /// Bytes of payload that a packet may have.
    pub(crate) max_payload: usize,
    /// Whether packets that need security may be sent here.
    pub(crate) trusted: bool,
    /// With which flags this node's packets leave.
    pub(crate) flags: Flags,
    pub(crate) last: LastHeard,
}

impl Network {
    /// A place for one.
    const NONE: Network = Network {
        station: EthernetAddress([0; 6]),
        max_payload: 0,
        trusted: false,
        flags: Flags::empty(),
        last: LastHeard::NOBODY,
    };

    fn new(config: Config) -> Network {
        let mtu = usize::from(config.mtu.clamp(MIN_MTU, MAX_MTU));
        Network {
            station: EthernetAddress(config.mac),
            max_payload: mtu - flip::LENGTH,
            trusted: true,
            ..Network::NONE
        }
    }
}

/// All of them.
pub(crate) struct Networks {
    all: [Network; NETWORKS],
    count: usize,
}

impl Networks {
    pub(crate) fn new(first: Config) -> Networks {
        let mut networks = Networks {
            all: [Network::NONE; NETWORKS],
            count: 0,
        };
        networks.add(first);
        networks
    }

    /// One more; `None` if there is no place for it.
    pub(crate) fn add(&mut self, config: Config) -> Option<NetworkId> {
        let place = self.all.get_mut(self.count)?;
        *place = Network::new(config);
        let id = NetworkId(self.count as u8);
        self.count += 1;
        Some(id)
    }

    #[inline(always)]
    pub(crate) const fn get(&self, id: NetworkId) -> &Network {
        &self.all[Self::place(id)]
    }

    #[inline(always)]
    pub(crate) const fn get_mut(&mut self, id: NetworkId) -> &mut Network {
        &mut self.all[Self::place(id)]
    }

    /// Where a network stands. One that does not exist stands somewhere too: nothing that comes
    /// from it is for this node's stations there, and nothing waits to be sent on it.
    #[inline(always)]
    pub(crate) const fn place(id: NetworkId) -> usize {
        id.0 as usize % NETWORKS
    }

    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Whether this node joins networks: then it passes on what is for others.
    #[inline]
    pub(crate) const fn is_router(&self) -> bool {
        self.count > 1
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = NetworkId> + use<> {
        (0..self.count as u8).map(NetworkId)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Network> {
        self.all.iter_mut().take(self.count)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Network> {
        self.all.iter().take(self.count)
    }
}
