//! Received frames: what each type of packet makes FLIP do.
//!
//! Owns the order of checks, and the learning of routes. A frame that fails a check is dropped
//! and counted; none can make a node panic, answer without limit or use memory without bound.
//!
//! The common packet, a whole datagram for the node's own address from a source heard before,
//! takes a path of its own with one comparison per field. It decides nothing that the general
//! path would decide otherwise; a test compares the two.

use norma_ipc::{Page, PageSource};
use norma_wire::ethernet::{self, EthernetAddress};
use norma_wire::flip::{self, Flags, Kind, Packet, Repr};
use norma_wire::{Error, layout};

use crate::flip::{Event, Flip};
use crate::frame::Incoming;
use crate::limits::ROUTE_PRECISION;
use crate::output::Answer;
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
    /// A fragment has completed this datagram.
    Reassembled {
        /// Whom it is from.
        source: Address,
        /// Which of our addresses it is for.
        destination: Address,
        /// Bytes of its payload.
        length: usize,
        /// The datagram: its payload begins at byte [`PREFIX`] of the frame that it looks like.
        datagram: Datagram<P>,
    },
    /// It was for FLIP itself, or a fragment of a datagram that is not complete.
    Absorbed,
    /// It was dropped and counted.
    Dropped(DropReason),
}

/// Bytes of a frame that are the same for all datagrams from one station to another: the
/// Ethernet header, FLIP's version and type.
const START: usize = ethernet::LENGTH + 2;

fn start(to: EthernetAddress, from: EthernetAddress) -> [u8; START] {
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
struct Heard {
    address: Address,
    /// With what its datagrams to us begin.
    start: [u8; START],
    hops: u16,
    until: Instant,
}

/// The sources that were heard last, each at a place that its address names.
pub(crate) struct LastHeard([Heard; Self::PLACES]);

impl LastHeard {
    /// As many as a node usually talks with at a time.
    const PLACES: usize = 8;

    pub(crate) const fn new() -> LastHeard {
        let nobody = Heard {
            address: Address::BROADCAST,
            start: [0; START],
            hops: 0,
            until: Instant::ZERO,
        };
        LastHeard([nobody; Self::PLACES])
    }

    /// Makes the next packet of each source be looked at in full.
    pub(crate) const fn forget(&mut self) {
        *self = LastHeard::new();
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

/// A frame's headers, after all checks that are the same for each type.
struct Arrival {
    station: EthernetAddress,
    /// Whether the frame was sent to this station alone.
    alone: bool,
    header: Repr,
}

impl<P: Page> Flip<P> {
    /// Takes a received frame.
    ///
    /// Poll [`Flip::poll_transmit`] and [`Flip::poll_event`] afterwards, except after
    /// [`Input::Deliver`], which causes neither.
    #[inline]
    pub fn handle_frame(
        &mut self,
        now: Instant,
        frame: &mut Incoming<'_, P>,
        source: &mut impl PageSource<Page = P>,
    ) -> Input<P> {
        self.counters.received += 1;
        if let Some((packet, length)) = self.expected(now, frame) {
            self.counters.delivered += 1;
            let (source, destination) = (packet.source(), packet.destination());
            return Input::Deliver {
                source,
                destination,
                length,
            };
        }
        self.handle_other(now, frame, source)
    }

    /// The common packet, if this is one: see the head of this file.
    #[inline]
    fn expected<'f>(
        &self,
        now: Instant,
        frame: &'f Incoming<'_, P>,
    ) -> Option<(Packet<'f>, usize)> {
        let prefix: &[u8; layout::BODY_AT] = frame.head.first_chunk()?;
        let (_, flip, _) = layout::split(prefix);
        let packet = Packet::from_array(flip).ok()?;
        let length = packet.length() as usize;
        let last = &self.last.0[LastHeard::place(packet.source())];
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
        frame: &mut Incoming<'_, P>,
        source: &mut impl PageSource<Page = P>,
    ) -> Input<P> {
        let result = self
            .check(frame)
            .and_then(|arrival| match arrival.header.kind {
                Kind::UniData => self.take_datagram(now, &arrival, frame, source),
                Kind::Locate => self.take_locate(now, &arrival),
                Kind::HereIs => self.take_here_is(now, &arrival),
                Kind::NotHere => self.take_not_here(now, &arrival),
                Kind::MultiData | Kind::Untrusted => Err(DropReason::Unsupported),
            });
        result.unwrap_or_else(|reason| {
            self.counters.drop_frame(reason);
            Input::Dropped(reason)
        })
    }

    /// Checks what is the same for all types (W-1 to W-8).
    fn check(&self, frame: &Incoming<'_, P>) -> Result<Arrival, DropReason> {
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
        let alone = stations.destination == self.station;
        if !alone && !stations.destination.is_broadcast() {
            return Err(DropReason::OtherStation);
        }
        if !stations.source.is_unicast() || stations.source == self.station {
            return Err(DropReason::BadStation);
        }
        let packet = Packet::new_checked(rest).map_err(wire)?;
        packet.check_length(came).map_err(wire)?;
        if !frame.is_sound() {
            return Err(wire(Error::WrongLength));
        }
        let header = flip::Repr::parse(&packet);
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
            self.deny(now, arrival);
            return Err(DropReason::NotHere);
        }
        self.learn_source(now, arrival);
        let (from, to) = (header.source, header.destination);
        if header.offset == 0 && header.length == header.total {
            self.counters.delivered += 1;
            return Ok(Input::Deliver {
                source: from,
                destination: to,
                length: header.length as usize,
            });
        }
        let evicted = &mut self.counters.reassembly_evicted;
        match self.reassembly.take(now, header, frame, source, evicted)? {
            Outcome::Kept => Ok(Input::Absorbed),
            Outcome::Duplicate => {
                self.counters.duplicate_fragments += 1;
                Ok(Input::Absorbed)
            }
            Outcome::Whole(datagram) => {
                self.counters.delivered += 1;
                let length = header.total as usize;
                Ok(Input::Reassembled {
                    source: from,
                    destination: to,
                    length,
                    datagram,
                })
            }
        }
    }

    /// LOCATE (W-15, W-16): answers if the address is here.
    fn take_locate(&mut self, now: Instant, arrival: &Arrival) -> Result<Input<P>, DropReason> {
        let header = &arrival.header;
        let asker = header.source;
        if header.is_announcement() {
            self.report(Event::Announced {
                address: asker,
                node: header.destination,
                settled: header.flags.contains(Flags::SETTLED),
                route: route_of(arrival),
            });
            if self.local.contains(asker) {
                return Ok(Input::Absorbed);
            }
        }
        if self.local.contains(header.destination) {
            self.learn_source(now, arrival);
            let answer = Answer::new(Kind::HereIs, arrival.station, asker, header.destination);
            self.answer(answer)?;
        } else if self.routes.get(now, asker).is_some() {
            // Whoever is not asked learns nothing new, lest broadcasts push useful routes out;
            // but what he knows he may correct.
            self.learn_source(now, arrival);
        }
        Ok(Input::Absorbed)
    }

    /// HEREIS (W-17): believed only if it was asked for.
    fn take_here_is(&mut self, now: Instant, arrival: &Arrival) -> Result<Input<P>, DropReason> {
        let header = &arrival.header;
        if header.length != HERE_IS_PAYLOAD || header.total != HERE_IS_PAYLOAD {
            return Err(DropReason::Wire(Error::WrongLength));
        }
        if !self.local.contains(header.destination) {
            return Err(DropReason::NotHere);
        }
        let awaited = self
            .locates
            .found(header.source)
            .ok_or(DropReason::Unsolicited)?;
        self.learn_source(now, arrival);
        if awaited {
            self.report(Event::Located {
                address: header.source,
            });
        }
        Ok(Input::Absorbed)
    }

    /// NOTHERE (W-18): believed only from where the route leads.
    fn take_not_here(&mut self, now: Instant, arrival: &Arrival) -> Result<Input<P>, DropReason> {
        let header = &arrival.header;
        if !self.local.contains(header.destination) {
            return Err(DropReason::NotHere);
        }
        let (source, destination) = (header.destination, header.source);
        match self.routes.get(now, destination) {
            Some(route) if route.station == arrival.station => {}
            _ => return Err(DropReason::Unsolicited),
        }
        self.routes.remove(destination);
        self.last.forget();
        self.counters.routes_denied += 1;
        self.report(Event::Unreachable {
            destination,
            source,
        });
        Ok(Input::Absorbed)
    }

    /// Notes the route to the source of a packet.
    fn learn_source(&mut self, now: Instant, arrival: &Arrival) {
        let route = route_of(arrival);
        let Route { station, hops, .. } = route;
        let address = arrival.header.source;
        self.learn(now, address, route);
        let until = now + ROUTE_PRECISION;
        self.last.0[LastHeard::place(address)] = Heard {
            address,
            start: start(self.station, station),
            hops,
            until,
        };
    }

    /// Tells the sender of a datagram that its destination is not here, within limits (W-14).
    fn deny(&mut self, now: Instant, arrival: &Arrival) {
        let header = &arrival.header;
        if header.offset != 0 || header.destination.is_broadcast() || !self.denials.take(now) {
            return;
        }
        let answer = Answer::new(
            Kind::NotHere,
            arrival.station,
            header.source,
            header.destination,
        );
        // Where there is no room, the datagram that caused it is counted already.
        let _ = self.answer(answer);
    }
}

/// The way back to the source of a packet.
fn route_of(arrival: &Arrival) -> Route {
    Route {
        network: NetworkId(0),
        station: arrival.station,
        hops: arrival.header.actual_hop,
    }
}

/// Bytes of the pair of counts in HEREIS.
pub(crate) const HERE_IS_PAYLOAD: u32 = 4;
