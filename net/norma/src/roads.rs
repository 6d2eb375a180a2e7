//! A node on several networks: which, and whose turn it is on each.
//!
//! Each network is asked for its frames by itself, when its card has room. So a session whose
//! peer cannot be reached because a network stands still waits for that network, and everybody
//! else goes on. What FLIP passes on for others and what this node itself sends take turns.
//!
//! Nothing of this is met by a node on one network.

use norma_flip::{Instant, NetworkId, Outgoing};
use norma_ipc::PageSource;

use crate::node::{Node, StartError};
use crate::queue::Queue;
use crate::transmit::Made;

/// What a node must be told about a further network.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    /// The address of the card there.
    pub mac: [u8; 6],
    /// The largest Ethernet payload that the card carries.
    pub mtu: u16,
    /// Receive buffers that the card has.
    pub receive_buffers: u16,
}

/// The sessions whose frames leave over each network.
#[derive(Debug, Default)]
pub(crate) struct Roads {
    /// Empty for a node on one network.
    queues: heapless::Vec<Queue, { norma_flip::limits::NETWORKS }>,
    /// Whether it is this node's own turn.
    own: bool,
}

impl Roads {
    pub(crate) fn queues(&mut self) -> impl Iterator<Item = &mut Queue> {
        self.queues.iter_mut()
    }

    /// The queue of a network; of one that does not exist, the first.
    fn queue(&mut self, network: NetworkId) -> Option<&mut Queue> {
        let place = usize::from(network.0).min(self.queues.len().saturating_sub(1));
        self.queues.get_mut(place)
    }
}

impl<S: PageSource> Node<S> {
    /// Attaches the node, before it does anything else, to one more network. It passes on from
    /// now on what comes on one of them and is for another.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn add_network(&mut self, network: Network) -> Result<NetworkId, StartError> {
        Self::check_mtu(network.mtu)?;
        let (mac, mtu) = (network.mac, network.mtu);
        let config = norma_flip::Config { mac, mtu };
        let added = self.flip.add_network(config);
        let added = added.map_err(|_| StartError::TooManyNetworks)?;
        while self.roads.queues.len() < self.flip.networks() {
            let _ = self.roads.queues.push(Queue::new()); // there are as many places as networks
        }
        // The largest frame that any of them carries: where one does not, FLIP cuts it.
        self.config.mtu = self.config.mtu.max(network.mtu);
        // All peers may come to be on the one that holds the fewest frames.
        let buffers = &mut self.config.receive_buffers;
        *buffers = network.receive_buffers.min(*buffers);
        self.share_buffers();
        Ok(added)
    }

    /// FLIP, to say which networks are trusted.
    pub fn flip(&mut self) -> &mut norma_flip::Flip<S::Page> {
        &mut self.flip
    }

    /// Whether [`Node::poll_transmit_on`] may have a frame for that network.
    pub fn wants_transmit_on(&self, now: Instant, network: NetworkId) -> bool {
        let road = self.roads.queues.get(usize::from(network.0));
        !self.ready.is_empty()
            || road.is_some_and(|road| !road.is_empty())
            || !self.resets.is_empty()
            || self.flip.wants_transmit_on(now, network)
    }

    /// As [`Node::poll_transmit`], for one of several networks: call it for each, whenever its
    /// card has room.
    pub fn poll_transmit_on(
        &mut self,
        now: Instant,
        network: NetworkId,
        frame: &mut Outgoing<'_, S::Page>,
    ) -> bool {
        self.take_roads(now);
        loop {
            let theirs = !core::mem::take(&mut self.roads.own);
            if (theirs || self.flip.is_cutting(network))
                && self
                    .flip
                    .poll_transmit(now, network, frame, &mut self.source)
            {
                self.roads.own = true;
                return true;
            }
            let Some(place) = self.roads.queue(network).and_then(Queue::pop) else {
                break;
            };
            if self.road_of(now, place).is_some_and(|road| road != network) {
                self.take_road(now, place); // its route has changed meanwhile
                continue;
            }
            match self.emit_apart(now, network, place, frame) {
                Made::Frame => return true,
                Made::Queued => {}
                Made::Nothing => self.try_later(now, place, frame),
            }
        }
        self.flip
            .poll_transmit(now, network, frame, &mut self.source)
            || (!self.resets.is_empty() && self.emit_reset(now, network, frame))
    }

    /// Whether frames should be sent, if they can be, before more are received: much waits to be
    /// passed on.
    #[inline]
    pub fn is_crowded(&self) -> bool {
        self.flip.is_crowded()
    }

    /// Each session that may have a frame goes to the network over which its peer is reached.
    fn take_roads(&mut self, now: Instant) {
        while let Some(place) = self.ready.pop() {
            self.take_road(now, place);
        }
    }

    fn take_road(&mut self, now: Instant, place: u32) {
        // One that has no route learns of it, and is sought, wherever it stands.
        let road = self.road_of(now, place).unwrap_or_default();
        if let Some(queue) = self.roads.queue(road) {
            queue.push(place); // in the room that was made with the session
        }
    }

    fn road_of(&self, now: Instant, place: u32) -> Option<NetworkId> {
        let session = self.sessions.get(place)?;
        self.flip.network_of(now, session.peer)
    }
}
