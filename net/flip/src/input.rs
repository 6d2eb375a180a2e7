//! Received frames: checks, datagrams for this node, and the learning of routes.
//!
//! Owns the order of checks. A frame that fails one is dropped and counted; none can make a node
//! panic, answer without limit or use memory without bound. Leaves searches to `seek`, complaints
//! to `repair`, and what is for others to `transit`.
//!
//! The common packet, a whole datagram for the node's own address from a source heard before,
//! takes a path of its own with one comparison per field. It decides nothing that the general
//! path would decide otherwise; a test compares the two.

use norma_ipc::{Page, PageSource};
use norma_wire::ethernet::{self, EthernetAddress};
use norma_wire::flip::{self, Flags, Kind, Packet, Repr};
use norma_wire::{Error, layout};

use crate::flip::Flip;
use crate::frame::Incoming;
use crate::heard::{Heard, start};
use crate::limits::{MAX_DATAGRAM, MAXIMUM_HOP, MIN_MTU, ROUTE_PRECISION};
use crate::reassembly::{Datagram, Outcome};
use crate::routes::{NetworkId, Route};
use crate::time::Instant;
use crate::{Address, DropReason, PREFIX};

/// What became of a received frame.
#[derive(Debug)]
#[must_use]
pub enum Input<P> {
    /// A whole datagram for an address of ours: it is in the frame, from byte [`PREFIX`] on.
    Deliver {
        /// Whom it is from.
        source: Address,
        /// Which of our addresses it is for.
        destination: Address,
        /// Bytes of its payload.
        length: usize,
    },
    /// A whole datagram for all who listen to an address, of whom this node is one; it lies
    /// where one for this node alone would.
    Multicast {
        /// Whom it is from.
        source: Address,
        /// The address; broadcast for everybody.
        destination: Address,
        /// Bytes of its payload.
        length: usize,
    },
    /// A fragment has completed this datagram.
    Reassembled {
        /// Whether it is for all who listen to the address.
        multicast: bool,
        /// Whom it is from.
        source: Address,
        /// Which of our addresses it is for.
        destination: Address,
        /// Bytes of its payload.
        length: usize,
        /// The datagram: its payload begins at byte [`PREFIX`] of the frame that it looks like.
        datagram: Datagram<P>,
    },
    /// It was for FLIP itself, for other nodes, or a fragment of a datagram that is not complete.
    Absorbed,
    /// It was dropped and counted.
    Dropped(DropReason),
}

/// A frame's headers, after all checks that are the same for each type.
pub(crate) struct Arrival {
    pub(crate) network: NetworkId,
    pub(crate) station: EthernetAddress,
    /// Whether the frame was sent to this station alone.
    pub(crate) alone: bool,
    pub(crate) header: Repr,
}

impl<P: Page> Flip<P> {
    /// Takes a frame received on a network.
    ///
    /// Poll [`Flip::poll_transmit`] and [`Flip::poll_event`] afterwards, except after
    /// [`Input::Deliver`], which causes neither.
    #[inline(always)]
    pub fn handle_frame(
        &mut self,
        now: Instant,
        network: NetworkId,
        frame: &mut Incoming<'_, P>,
        source: &mut impl PageSource<Page = P>,
    ) -> Input<P> {
        self.counters.received += 1;
        if let Some((packet, length)) = self.expected(now, network, frame) {
            self.counters.delivered += 1;
            let (source, destination) = (packet.source(), packet.destination());
            return Input::Deliver {
                source,
                destination,
                length,
            };
        }
        self.handle_other(now, network, frame, source)
    }

    /// The common packet, if this is one: see the head of this file.
    #[inline(always)]
    fn expected<'f>(
        &self,
        now: Instant,
        network: NetworkId,
        frame: &'f Incoming<'_, P>,
    ) -> Option<(Packet<'f>, usize)> {
        let prefix: &[u8; layout::BODY_AT] = frame.head.first_chunk()?;
        let (_, flip, _) = layout::split(prefix);
        let packet = Packet::from_array(flip).ok()?;
        let length = packet.length() as usize;
        let last = self.networks.get(network).last.at(packet.source());
        let expected = prefix.first_chunk() == Some(&last.start)
            && packet.source() == last.address
            && packet.actual_hop() == last.hops
            && packet.actual_hop() <= packet.maximum_hop()
            && packet.destination() == self.local.primary()
            && !packet.destination().is_broadcast()
            && packet.is_whole()
            && now < last.until
            && frame.is_sound()
            && frame.length >= PREFIX + length;
        expected.then_some((packet, length))
    }

    /// All other frames. Not inlined, so that the common one's code stays small.
    #[inline(never)]
    fn handle_other(
        &mut self,
        now: Instant,
        network: NetworkId,
        frame: &mut Incoming<'_, P>,
        source: &mut impl PageSource<Page = P>,
    ) -> Input<P> {
        let result = self
            .check(network, frame)
            .and_then(|arrival| match arrival.header.kind {
                Kind::UniData => self.take_datagram(now, &arrival, frame, source),
                Kind::MultiData => self.take_multicast(now, &arrival, frame, source),
                Kind::Locate => self.take_locate(now, &arrival),
                Kind::HereIs => self.take_here_is(now, &arrival, frame),
                Kind::NotHere => self.take_not_here(now, &arrival),
                Kind::Untrusted => self.take_untrusted(now, &arrival),
            });
        result.unwrap_or_else(|reason| {
            self.counters.drop_frame(reason);
            Input::Dropped(reason)
        })
    }

    /// Checks what is the same for all types (W-1 to W-8).
    fn check(&self, network: NetworkId, frame: &Incoming<'_, P>) -> Result<Arrival, DropReason> {
        let own = self.networks.get(network).station;
        let wire = DropReason::Wire;
        let came = frame
            .length
            .checked_sub(PREFIX)
            .ok_or(wire(Error::TooShort))?;
        let (ethernet, rest) = frame
            .head
            .split_first_chunk()
            .ok_or(wire(Error::TooShort))?;
        let stations = ethernet::Repr::parse(ethernet).map_err(wire)?;
        // Only what is for this station or for all (W-2).
        let alone = stations.destination == own;
        if !alone && !stations.destination.is_broadcast() {
            return Err(DropReason::OtherStation);
        }
        if !stations.source.is_unicast() || stations.source == own {
            return Err(DropReason::BadStation);
        }
        let packet = Packet::new_checked(rest).map_err(wire)?;
        packet.check_length(came).map_err(wire)?;
        if !frame.is_sound() {
            return Err(wire(Error::WrongLength));
        }
        let mut header = flip::Repr::parse(&packet);
        header.maximum_hop = header.maximum_hop.min(MAXIMUM_HOP);
        if header.actual_hop > header.maximum_hop {
            return Err(DropReason::HopLimit);
        }
        // An announcement of an address of ours is news; one of our own come back is not.
        let ours = if header.is_announcement() {
            self.local.contains(header.destination)
        } else {
            self.local.contains(header.source)
        };
        if header.source.is_broadcast() || ours {
            return Err(DropReason::BadSource);
        }
        Ok(Arrival {
            network,
            station: stations.source,
            alone,
            header,
        })
    }

    /// UNIDATA (W-11 to W-14).
    fn take_datagram(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        frame: &mut Incoming<'_, P>,
        source: &mut impl PageSource<Page = P>,
    ) -> Result<Input<P>, DropReason> {
        let header = &arrival.header;
        if !arrival.alone {
            return Err(DropReason::Unsupported);
        }
        if !self.local.contains(header.destination) {
            return self.pass_on_datagram(now, arrival, frame, source);
        }
        self.learn_source(now, arrival);
        self.deliver(now, &arrival.header, frame, source)
    }

    /// Hands up what is for this node, once it is whole.
    pub(crate) fn deliver(
        &mut self,
        now: Instant,
        header: &Repr,
        frame: &mut Incoming<'_, P>,
        pages: &mut impl PageSource<Page = P>,
    ) -> Result<Input<P>, DropReason> {
        let (source, destination) = (header.source, header.destination);
        let multicast = header.kind == Kind::MultiData;
        let length = header.total as usize;
        if header.offset == 0 && header.length == header.total {
            self.counters.delivered += 1;
            return Ok(if multicast {
                Input::Multicast {
                    source,
                    destination,
                    length,
                }
            } else {
                Input::Deliver {
                    source,
                    destination,
                    length,
                }
            });
        }
        let evicted = &mut self.counters.reassembly_evicted;
        match self.reassembly.take(now, header, frame, pages, evicted)? {
            Outcome::Kept => Ok(Input::Absorbed),
            Outcome::Duplicate => {
                self.counters.duplicate_fragments += 1;
                Ok(Input::Absorbed)
            }
            Outcome::Whole(datagram) => {
                self.counters.delivered += 1;
                Ok(Input::Reassembled {
                    multicast,
                    source,
                    destination,
                    length,
                    datagram,
                })
            }
        }
    }

    /// Notes the route to the source of a packet.
    pub(crate) fn learn_source(&mut self, now: Instant, arrival: &Arrival) {
        let (address, route) = (arrival.header.source, route_of(arrival));
        self.learn(now, address, route);
        for other in self.networks.iter_mut() {
            other.last.forget_one(address);
        }
        if self.secure && !self.is_trusted(&route) {
            return; // it can be heard, but not answered
        }
        let network = self.networks.get_mut(arrival.network);
        network.last.note(Heard {
            address,
            start: start(network.station, arrival.station),
            hops: route.hops,
            until: now + ROUTE_PRECISION,
        });
    }
}

/// The way back to the source of a packet.
pub(crate) fn route_of(arrival: &Arrival) -> Route {
    let header = &arrival.header;
    Route {
        network: arrival.network,
        station: arrival.station,
        hops: header.actual_hop,
        limit: limit(header),
        trusted: !header.flags.contains(Flags::UNSAFE),
    }
}

/// Bytes of payload that fit all networks which a search has crossed, if the packet says so: in
/// LOCATE and HEREIS `total` has no other use (W-70).
fn limit(header: &Repr) -> u16 {
    let says = matches!(header.kind, Kind::Locate | Kind::HereIs) && header.total > header.length;
    if !says {
        return 0;
    }
    let least = u32::from(MIN_MTU) - flip::LENGTH as u32;
    header.total.clamp(least, MAX_DATAGRAM as u32) as u16
}
