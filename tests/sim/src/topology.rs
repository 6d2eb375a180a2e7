//! Which machines are on which networks.
//!
//! Owns the stations of machines: each card has the number of its network and that of its machine
//! in its address, so that a frame tells where it goes. Where a run says nothing, there is one
//! network, and everybody is on it. Leaves the fate of frames to `world`.

use norma_wire::{flip, layout};

use crate::config::Config;

/// A network, and the machines that are on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// The machines.
    pub nodes: Vec<usize>,
    /// Largest Ethernet payload there.
    pub mtu: u16,
}

impl Segment {
    /// A network of these machines that carries frames of any size.
    #[must_use]
    pub fn new(nodes: &[usize]) -> Segment {
        Segment {
            nodes: nodes.to_vec(),
            mtu: 65_521,
        }
    }

    /// The same with smaller frames.
    #[must_use]
    pub fn with_mtu(mut self, mtu: u16) -> Segment {
        self.mtu = mtu;
        self
    }
}

/// The station address of everybody.
pub(crate) const BROADCAST: [u8; 6] = [0xff; 6];

/// The station address of a machine on a network: local, and not a group's.
pub(crate) fn mac(network: usize, machine: usize) -> [u8; 6] {
    let [a, b, c, d] = (machine as u32 + 1).to_be_bytes();
    [2, network as u8, a, b, c, d]
}

/// The network and the machine to whose station a frame goes.
fn station(frame: &[u8]) -> Option<(usize, usize)> {
    let [2, network, a, b, c, d] = *frame.first_chunk()? else {
        return None;
    };
    let number = u32::from_be_bytes([a, b, c, d]);
    Some((network.into(), number.checked_sub(1)? as usize))
}

/// Whether a frame is a search of FLIP's: it teaches routes and is answered, and no session hears
/// of it. In a large network nearly all that arrives is such frames.
pub(crate) fn is_search(frame: &[u8]) -> bool {
    let packet = frame.get(layout::FLIP_AT..).map(flip::Packet::new_checked);
    packet.is_some_and(|packet| packet.is_ok_and(|packet| packet.kind() == flip::Kind::Locate))
}

/// The network on which a frame was sent.
pub(crate) fn sent_on(frame: &[u8]) -> usize {
    frame[7].into() // in its source's address
}

impl Config {
    /// The networks that a machine is on.
    pub(crate) fn networks_of(&self, machine: usize) -> Vec<usize> {
        if self.networks.is_empty() {
            return vec![0];
        }
        let networks = self.networks.iter().enumerate();
        let its = networks.filter(|(_, segment)| segment.nodes.contains(&machine));
        its.map(|(network, _)| network).collect()
    }

    /// Largest Ethernet payload that a machine's card on a network carries.
    pub(crate) fn mtu_of(&self, network: usize, machine: usize) -> u16 {
        let other = self.other_mtu.iter().find(|(index, _)| *index == machine);
        let own = other.map_or(self.mtu, |(_, mtu)| *mtu);
        self.networks
            .get(network)
            .map_or(own, |segment| segment.mtu.min(own))
    }

    /// The machines to which a frame goes that one sends on a network.
    pub(crate) fn receivers(&self, network: usize, from: usize, frame: &[u8]) -> Vec<usize> {
        let on_it = |machine: &usize| {
            let segment = self.networks.get(network);
            segment.map_or(*machine < self.nodes, |segment| {
                segment.nodes.contains(machine)
            })
        };
        if frame[..6] == BROADCAST {
            (0..self.nodes)
                .filter(|to| *to != from && on_it(to))
                .collect()
        } else {
            let to = station(frame).filter(|(on, to)| *on == network && *to != from && on_it(to));
            to.map(|(_, to)| to).into_iter().collect()
        }
    }
}
