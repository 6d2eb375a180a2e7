//! Searches: LOCATE and HEREIS, for this node and for others.
//!
//! Owns who answers, who passes a search on and where, and what is learnt from both. A search
//! spreads from network to network over the routers between them, once over each (`recent`), as
//! far as its hop limit permits, and no faster than a rate. A router that knows where the address
//! was sends the search there alone; the answer always comes from a receiver, so that no cache
//! answers for what has moved.
//!
//! Source: `docs/wire.md`, chapter "Locating"; Amoeba 5, `switch.c` (`f_locate`, `f_hereis`), where
//! routers answer from their caches.

use norma_ipc::Page;
use norma_wire::Error;
use norma_wire::ethernet::EthernetAddress;
use norma_wire::flip::{Flags, Kind, Repr};

use crate::flip::{Event, Flip};
use crate::frame::Incoming;
use crate::groups::Counts;
use crate::input::{Arrival, Input, route_of};
use crate::limits::{MAXIMUM_HOP, ROUTE_PRECISION};
use crate::locate::Sought;
use crate::output::header;
use crate::queue::Packet;
use crate::recent::Seen;
use crate::routes::NetworkId;
use crate::time::Instant;
use crate::{Address, DropReason, PREFIX};

/// Bytes of the pair of counts in HEREIS.
pub(crate) const HERE_IS_PAYLOAD: u32 = 4;

impl Counts {
    fn parse(bytes: [u8; 4]) -> Option<Counts> {
        let [a, b, c, d] = bytes;
        let (all, trusted) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        (all > 0 && trusted <= all).then_some(Counts { all, trusted })
    }

    fn emit(self) -> [u8; 4] {
        let ([a, b], [c, d]) = (self.all.to_le_bytes(), self.trusted.to_le_bytes());
        [a, b, c, d]
    }
}

impl<P: Page> Flip<P> {
    /// LOCATE (W-15, W-16): answers if the address is here, passes it on if it may be elsewhere.
    pub(crate) fn take_locate(
        &mut self,
        now: Instant,
        arrival: &Arrival,
    ) -> Result<Input<P>, DropReason> {
        self.counters.locates_received += 1;
        let header = &arrival.header;
        let (asker, sought) = (header.source, header.destination);
        let all = header.flags.contains(Flags::ALL);
        let router = self.networks.is_router();
        if (router || all)
            && !self
                .recent
                .note(now, asker, Seen::Locate(header.message_id))
        {
            return Err(DropReason::Copy);
        }
        if header.is_announcement() {
            self.report(Event::Announced {
                address: asker,
                node: sought,
                settled: header.flags.contains(Flags::SETTLED),
                route: route_of(arrival),
            });
        }
        let here = self.local.contains(sought);
        if here {
            self.learn_asker(now, arrival);
            self.answer(arrival, HERE)?;
        }
        // An announcement of an address that this node has too comes from somebody else's.
        let mine = self.local.contains(asker);
        let elsewhere = !here || all;
        if router && elsewhere && !sought.is_broadcast() {
            if !mine {
                self.learn_asker(now, arrival);
            }
            self.spread(now, arrival)?;
        } else if !here && !mine && self.routes.get(now, asker).is_some() {
            // Whoever is not asked learns nothing new, lest broadcasts push useful routes out;
            // but what he knows he may correct.
            self.learn_asker(now, arrival);
        }
        Ok(Input::Absorbed)
    }

    /// Notes where a search came from. Its copies come over all ways, the long ones last: those
    /// do not replace a shorter one that was just heard.
    fn learn_asker(&mut self, now: Instant, arrival: &Arrival) {
        let asker = arrival.header.source;
        let confirmed = self.routes.confirmed(asker);
        let young = confirmed.is_some_and(|at| now.since(at) < ROUTE_PRECISION);
        let longer = |hops| arrival.header.actual_hop > hops;
        if young
            && self
                .routes
                .get(now, asker)
                .is_some_and(|route| longer(route.hops))
        {
            return;
        }
        self.learn_source(now, arrival);
    }

    /// Sends HEREIS to where a LOCATE came from.
    fn answer(&mut self, arrival: &Arrival, counts: Counts) -> Result<(), DropReason> {
        let Arrival {
            network,
            station,
            header: asked,
            ..
        } = arrival;
        let own = self.networks.get(*network);
        let flags = own.flags | asked.flags & Flags::ALL;
        let header = Repr {
            flags,
            // What a packet may have here, so that the asker learns what the whole way carries.
            total: own.max_payload as u32,
            ..header(
                Kind::HereIs,
                asked.source,
                asked.destination,
                0,
                HERE_IS_PAYLOAD,
            )
        };
        let packet = Packet {
            station: *station,
            header,
            payload: counts.emit(),
        };
        self.queue_packet(*network, packet)?;
        self.counters.answers += 1;
        Ok(())
    }

    /// Passes a search on to the other networks (W-71).
    fn spread(&mut self, now: Instant, arrival: &Arrival) -> Result<(), DropReason> {
        let header = &arrival.header;
        let (asker, sought) = (header.source, header.destination);
        if header.actual_hop >= MAXIMUM_HOP {
            return Ok(());
        }
        self.recent.note(now, asker, Seen::Sought(sought));
        let for_one = !header.flags.contains(Flags::ALL) && !header.is_announcement();
        if for_one && self.direct(now, arrival)? {
            return Ok(());
        }
        // What was sent here alone was sent on a hint, and that was wrong.
        if arrival.alone || header.actual_hop >= header.maximum_hop {
            return Ok(());
        }
        if !self.floods.take(now) {
            return Err(DropReason::Flood);
        }
        for network in self.networks.ids().filter(|id| *id != arrival.network) {
            let station = EthernetAddress::BROADCAST;
            if self.pass_on(network, station, header, None).is_ok() {
                self.counters.locates_flooded += 1;
            }
        }
        Ok(())
    }

    /// Sends a search along the route that is known, if one is; tells whether. No broadcast has
    /// to be limited there, so the hop limit is raised to what the way needs.
    fn direct(&mut self, now: Instant, arrival: &Arrival) -> Result<bool, DropReason> {
        let header = &arrival.header;
        let sought = header.destination;
        let secure = header.flags.contains(Flags::SECURITY);
        let usable = self.routes.get(now, sought).is_some_and(|route| {
            let fits = header.actual_hop.saturating_add(route.hops) <= MAXIMUM_HOP;
            route.network != arrival.network && fits && (!secure || self.is_trusted(route))
        });
        let route = if usable {
            self.routes.ask(now, sought)
        } else {
            None
        };
        let Some(route) = route else {
            return Ok(false);
        };
        let maximum_hop = header.maximum_hop.max(header.actual_hop + route.hops);
        let header = Repr {
            maximum_hop,
            ..*header
        };
        self.pass_on(route.network, route.station, &header, None)?;
        self.counters.locates_directed += 1;
        Ok(true)
    }

    /// Sends a packet of FLIP's own over one network more.
    pub(crate) fn pass_on(
        &mut self,
        network: NetworkId,
        station: EthernetAddress,
        header: &Repr,
        counts: Option<Counts>,
    ) -> Result<(), DropReason> {
        let next = self.networks.get(network);
        let length = match header.kind {
            Kind::HereIs => HERE_IS_PAYLOAD,
            _ => 0,
        };
        // What fits all networks on the way so far, in a search and its answer (W-70).
        let total = match header.kind {
            Kind::Locate | Kind::HereIs if header.total > length => {
                header.total.min(next.max_payload as u32)
            }
            _ => length,
        };
        let header = Repr {
            flags: header.flags | next.flags & Flags::UNSAFE,
            actual_hop: header.actual_hop.saturating_add(1),
            length,
            offset: 0,
            total,
            ..*header
        };
        let payload = counts.unwrap_or_default().emit();
        self.queue_packet(
            network,
            Packet {
                station,
                header,
                payload,
            },
        )
    }

    /// HEREIS (W-17): believed only if it was asked for.
    pub(crate) fn take_here_is(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        frame: &Incoming<'_, P>,
    ) -> Result<Input<P>, DropReason> {
        let header = &arrival.header;
        let mut payload = [0; HERE_IS_PAYLOAD as usize];
        if header.length != HERE_IS_PAYLOAD
            || header.offset != 0
            || !frame.copy_to(PREFIX, &mut payload)
        {
            return Err(DropReason::Wire(Error::WrongLength));
        }
        let counts = Counts::parse(payload).ok_or(DropReason::Wire(Error::BadField))?;
        let counts = match header.flags.contains(Flags::UNSAFE) {
            true => Counts {
                trusted: 0,
                ..counts
            },
            false => counts,
        };
        if !self.local.contains(header.destination) {
            return self.pass_on_answer(now, arrival, counts);
        }
        match self.locates.sought(header.source) {
            None => return Err(DropReason::Unsolicited),
            Some(Sought::InVain) => {
                self.locates.found(header.source);
                self.learn_source(now, arrival);
            }
            Some(Sought::For(0)) => {
                self.learn_source(now, arrival);
                self.found(header.source);
            }
            Some(Sought::For(least)) => {
                self.learn_source(now, arrival);
                self.learn_listeners(now, arrival, counts);
                if self.listeners(now, header.source) >= least {
                    self.found(header.source);
                }
            }
        }
        Ok(Input::Absorbed)
    }

    fn found(&mut self, address: Address) {
        self.locates.found(address);
        self.report(Event::Located { address });
    }

    fn learn_listeners(&mut self, now: Instant, arrival: &Arrival, counts: Counts) {
        let header = &arrival.header;
        let place = (arrival.network, arrival.station);
        let noted = self
            .groups
            .note(now, header.source, place, counts, header.actual_hop);
        self.counters.routes_not_noted += u64::from(noted.is_err());
    }

    /// The answer to a search of another node, on its way back there (W-72).
    fn pass_on_answer(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        counts: Counts,
    ) -> Result<Input<P>, DropReason> {
        let header = &arrival.header;
        let (asker, sought) = (header.destination, header.source);
        if !self.networks.is_router() {
            return Err(DropReason::NotHere);
        }
        if !self.recent.contains(now, asker, Seen::Sought(sought)) {
            return Err(DropReason::Unsolicited);
        }
        self.learn_source(now, arrival);
        let all = header.flags.contains(Flags::ALL);
        if all {
            self.learn_listeners(now, arrival, counts);
        }
        let back = self.way_back(now, arrival, asker)?;
        // Whoever asked behind us hears of all whom we know on the other networks.
        let counts = match all {
            true => self.groups.count(now, sought, Some(back.0)),
            false => counts,
        };
        self.pass_on(back.0, back.1, header, Some(counts))?;
        Ok(Input::Absorbed)
    }

    /// Where to send a packet of FLIP's own that is for another node.
    pub(crate) fn way_back(
        &self,
        now: Instant,
        arrival: &Arrival,
        address: Address,
    ) -> Result<(NetworkId, EthernetAddress), DropReason> {
        let header = &arrival.header;
        if header.actual_hop >= header.maximum_hop {
            return Err(DropReason::HopLimit);
        }
        match self.routes.get(now, address) {
            Some(route) if route.network != arrival.network => Ok((route.network, route.station)),
            _ => Err(DropReason::NotHere),
        }
    }
}

/// One receiver, here.
const HERE: Counts = Counts { all: 1, trusted: 1 };
