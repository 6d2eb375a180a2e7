//! A node with several network cards, or with none.
//!
//! Owns: which card is which network, and sending and receiving on all of them. The node is a
//! router then: what comes on one card and is for another network goes out there, out of the same
//! interrupt. Each card is asked for room by itself, so that one whose network stands still holds
//! up nobody else. Nothing of this lies on the path of a node with one card.

use super::{Engine, Identity, NodeError};
use crate::limits::{RECEIVE_AGAIN_NS, RECEIVE_BUDGET};
use crate::memory::{Frame, Frames};
use crate::trace;
use norma_drivers::virtio::NetDevice;
use norma_flip::{Incoming, Instant, NetworkId, Outgoing};

/// Tells the core of the cards behind the first, and which networks are trusted.
pub(super) fn attach(
    core: &mut norma_net::Node<Frames>,
    cards: &[NetDevice<Frame>],
    receive_buffers: usize,
    identity: &Identity<'_>,
) -> Result<(), NodeError> {
    for card in cards.iter().skip(1) {
        core.add_network(norma_net::Network {
            mac: card.mac(),
            mtu: card.mtu(),
            receive_buffers: receive_buffers as u16,
        })
        .map_err(NodeError::Core)?;
    }
    if identity.secure {
        core.flip().set_security(true);
    }
    if identity.untrusted.is_empty() {
        return Ok(());
    }
    distrust(core, cards, identity.untrusted)
}

/// Says which networks are not trusted.
#[cold]
fn distrust(
    core: &mut norma_net::Node<Frames>,
    cards: &[NetDevice<Frame>],
    untrusted: &str,
) -> Result<(), NodeError> {
    for text in untrusted.split(',').filter(|text| !text.is_empty()) {
        let station = station(text).ok_or(NodeError::NoSuchCard)?;
        // Cards and networks are counted in the same order.
        let mut known = (0..).map(NetworkId).zip(cards);
        let known = known.find(|(_, card)| card.mac() == station);
        let (network, _) = known.ok_or(NodeError::NoSuchCard)?;
        core.flip().set_trusted(network, false);
    }
    Ok(())
}

/// A hardware address in the usual writing.
fn station(text: &str) -> Option<[u8; 6]> {
    let mut parts = text.split(':');
    let mut station = [0; 6];
    for byte in &mut station {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    parts.next().is_none().then_some(station)
}

impl Engine {
    /// Sends on all cards, where there is not just one.
    #[cold]
    #[inline(never)]
    pub(super) fn transmit_otherwise(&mut self, now: Instant) {
        if self.cards.is_empty() {
            return discard(&mut self.core, now);
        }
        // What one network is asked for may bring forth something for one asked before.
        while self.transmit_round(now) {}
    }

    /// Asks each network once for all its frames; tells whether there was one.
    fn transmit_round(&mut self, now: Instant) -> bool {
        let Engine { core, cards, .. } = self;
        let mut any = false;
        for (network, card) in (0..).map(NetworkId).zip(cards) {
            while core.wants_transmit_on(now, network) {
                let Some(slot) = card.transmit_slot() else {
                    // The interrupt that says that there is room brings us back here.
                    if card.request_transmit_interrupt() {
                        continue;
                    }
                    break;
                };
                let mut frame = Outgoing {
                    head: slot.head,
                    pages: slot.pages,
                    length: 0,
                };
                if !core.poll_transmit_on(now, network, &mut frame) {
                    break;
                }
                let length = frame.length;
                trace::frame_out(frame.head, length);
                // A frame that the card refuses is lost, as on any network, and counted there.
                let _ = slot.commit(length);
                any = true;
            }
            card.notify();
        }
        any
    }

    /// Takes the frames that have arrived on all cards, where there is not just one. Where much
    /// waits to be passed on, it is sent before more is taken.
    #[cold]
    #[inline(never)]
    pub(super) fn receive_all(&mut self, now: Instant) {
        self.look_again = u64::MAX;
        for place in 0..self.cards.len() {
            if !self.receive_on(now, place) {
                self.look_again = now.0 + RECEIVE_AGAIN_NS;
            }
        }
    }

    /// Takes the frames of one card; `false` if there are more than it is this card's turn for.
    fn receive_on(&mut self, now: Instant, place: usize) -> bool {
        let network = NetworkId(place as u8);
        for _ in 0..RECEIVE_BUDGET {
            let Engine { core, cards, .. } = self;
            let Some(card) = cards.get_mut(place) else {
                return true;
            };
            let taken = card.receive(|head, length, pages| {
                trace::frame_in(head, length);
                core.handle_frame_on(
                    now,
                    network,
                    &mut Incoming {
                        head,
                        length,
                        pages,
                    },
                );
            });
            if taken.is_none() && !card.enable_receive_interrupt() {
                return true;
            }
            if core.is_crowded() {
                self.transmit_otherwise(now);
            }
        }
        false
    }

    /// Acknowledges the interrupts of all cards: which of them it was, looking tells.
    #[cold]
    #[inline(never)]
    pub(super) fn acknowledge_all(&mut self) {
        self.cards
            .iter_mut()
            .for_each(NetDevice::acknowledge_interrupt);
    }
}

/// A node without a card has nobody to talk to.
#[cold]
fn discard(core: &mut norma_net::Node<Frames>, now: Instant) {
    let mut head = [0; norma_flip::HEAD];
    let mut pages = heapless::Vec::new();
    while core.poll_transmit_apart(
        now,
        &mut Outgoing {
            head: &mut head,
            pages: &mut pages,
            length: 0,
        },
    ) {
        pages.clear();
    }
}
