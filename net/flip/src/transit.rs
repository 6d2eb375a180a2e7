//! Datagrams for others: what a node on several networks does with them.
//!
//! Owns the way of a datagram through a router: from the network that it came on to the one that
//! the route to its destination leads over, never back onto the same; cut if that one's packets
//! are smaller. Where there is no way, the sender is told. Pages are taken from the receive buffer
//! and given to the transmit ring without a copy, unless a datagram is cut or goes to several
//! networks. Leaves reassembly to the receiver, repetition to the sessions.
//!
//! Source: `docs/wire.md`, chapter "Routers"; Amoeba 5, `switch.c` (`f_unidata`, `f_multidata`).

use norma_ipc::{PAGE_SIZE, Page, PageSource};
use norma_wire::ethernet::EthernetAddress;
use norma_wire::flip::{Flags, Kind, Repr};

use crate::flip::Flip;
use crate::frame::{FRAME_PAGES, HEAD, Incoming, copy_out};
use crate::groups::Way;
use crate::input::{Arrival, Input};
use crate::limits::TRANSIT_PAGES;
use crate::network::Networks;
use crate::queue::Load;
use crate::recent::Seen;
use crate::routes::NetworkId;
use crate::time::Instant;
use crate::{DropReason, PREFIX};

impl<P: Page> Flip<P> {
    /// UNIDATA for another node (W-73).
    pub(crate) fn pass_on_datagram(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        frame: &mut Incoming<'_, P>,
        source: &mut impl PageSource<Page = P>,
    ) -> Result<Input<P>, DropReason> {
        let header = &arrival.header;
        let left = header.maximum_hop.saturating_sub(header.actual_hop);
        let route = self.routes.get(now, header.destination).copied();
        let elsewhere = route.filter(|route| route.network != arrival.network);
        let Some(route) = elsewhere.filter(|_| self.networks.is_router()) else {
            self.complain(now, arrival, Kind::NotHere);
            return Err(DropReason::NotHere);
        };
        if left == 0 || route.hops > left {
            self.complain(now, arrival, Kind::NotHere);
            return Err(DropReason::HopLimit);
        }
        if header.flags.contains(Flags::SECURITY) && !self.is_trusted(&route) {
            self.complain(now, arrival, Kind::Untrusted);
            return Err(DropReason::Untrusted);
        }
        self.learn_source(now, arrival);
        self.reserve_transit(route.network, pages_of(header))?;
        let pages = take_pages(header, frame, source).ok_or(DropReason::NoMemory)?;
        let most = match route.limit {
            0 => usize::MAX,
            limit => limit.into(),
        };
        self.queue_transit(route.network, route.station, header, most, frame, pages);
        Ok(Input::Absorbed)
    }

    /// MULTIDATA: delivered if this node listens, and passed on to wherever others do (W-75).
    pub(crate) fn take_multicast(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        frame: &mut Incoming<'_, P>,
        source: &mut impl PageSource<Page = P>,
    ) -> Result<Input<P>, DropReason> {
        let header = &arrival.header;
        let here = header.destination.is_broadcast() || self.local.contains(header.destination);
        if !here && !self.networks.is_router() {
            if arrival.alone {
                self.complain(now, arrival, Kind::NotHere);
            }
            return Err(DropReason::NotHere);
        }
        let packet = Seen::Multicast(header.message_id, header.offset);
        if !self.recent.note(now, header.source, packet) {
            return Err(DropReason::Copy);
        }
        let passed_on = self.multiply(now, arrival, frame, source)?;
        if here {
            self.learn_source(now, arrival);
            return self.deliver(now, header, frame, source);
        }
        if passed_on {
            return Ok(Input::Absorbed);
        }
        if arrival.alone {
            self.complain(now, arrival, Kind::NotHere);
        }
        Err(DropReason::NotHere)
    }

    /// Passes a multicast on to every other network where somebody listens; tells whether there
    /// was one.
    fn multiply(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        frame: &Incoming<'_, P>,
        source: &mut impl PageSource<Page = P>,
    ) -> Result<bool, DropReason> {
        let header = &arrival.header;
        let left = header.maximum_hop.saturating_sub(header.actual_hop);
        let secure = header.flags.contains(Flags::SECURITY);
        let mut any = false;
        for network in self.networks.ids().filter(|id| *id != arrival.network) {
            let barred = secure && !self.networks.get(network).trusted;
            let way = match header.destination.is_broadcast() {
                _ if barred || left == 0 => Way::None,
                true => Way::Several,
                false => self
                    .groups
                    .way(now, header.destination, network, left, secure),
            };
            let station = match way {
                Way::None => continue,
                Way::One(station) => station,
                Way::Several if self.floods.take(now) => EthernetAddress::BROADCAST,
                Way::Several => return Err(DropReason::Flood),
            };
            any = true;
            let count = pages_of(header);
            let copied = match self.reserve_transit(network, count) {
                Ok(()) => copy_pages(header, frame, source),
                Err(_) => None,
            };
            match copied {
                Some(pages) => {
                    self.queue_transit(network, station, header, usize::MAX, frame, pages);
                }
                None => self.counters.transit_lost += 1,
            }
        }
        Ok(any)
    }

    /// Makes room for a datagram of others with so many pages.
    fn reserve_transit(&mut self, network: NetworkId, pages: usize) -> Result<(), DropReason> {
        if self.transit_pages + pages > TRANSIT_PAGES {
            return Err(DropReason::NoRoom);
        }
        let departures = &mut self.departures[Networks::place(network)];
        departures.transit.reserve().map_err(|_| DropReason::NoRoom)
    }

    /// Queues a datagram for which room was made; packets of it have at most `most` bytes.
    fn queue_transit(
        &mut self,
        network: NetworkId,
        station: EthernetAddress,
        header: &Repr,
        most: usize,
        frame: &Incoming<'_, P>,
        pages: heapless::Vec<P, FRAME_PAGES>,
    ) {
        let next = self.networks.get(network);
        let header = Repr {
            flags: header.flags | next.flags & Flags::UNSAFE,
            actual_hop: header.actual_hop.saturating_add(1),
            ..*header
        };
        let mut head = [0; HEAD];
        let in_head = frame.head.len().min(HEAD);
        head[..in_head].copy_from_slice(&frame.head[..in_head]);
        let most = most.min(next.max_payload);
        let load = Load::new(station, header, most, head, pages);
        self.transit_pages += load.held();
        self.waiting += 1;
        self.departures[Networks::place(network)].transit.push(load);
    }

    /// Whether what waits to be passed on has come near its bounds: then whoever drives this
    /// layer sends before it takes more frames, if it can.
    #[inline]
    pub fn is_crowded(&self) -> bool {
        self.waiting > 0 && self.is_transit_crowded()
    }

    #[cold]
    fn is_transit_crowded(&self) -> bool {
        let crowded = |loads: usize| loads >= crate::limits::TRANSIT / 2;
        self.transit_pages >= TRANSIT_PAGES / 2
            || self.departures.iter().any(|d| crowded(d.transit.len()))
    }
}

/// Pages that the payload of a packet reaches into.
fn pages_of(header: &Repr) -> usize {
    let length = PREFIX + header.length as usize;
    length.saturating_sub(HEAD).div_ceil(PAGE_SIZE)
}

/// Takes the pages of a packet's payload out of its frame, which gets fresh ones for them.
/// `None` without memory, or if it is longer than any frame; nothing is taken then.
fn take_pages<P: Page>(
    header: &Repr,
    frame: &mut Incoming<'_, P>,
    source: &mut impl PageSource<Page = P>,
) -> Option<heapless::Vec<P, FRAME_PAGES>> {
    let theirs = frame.pages.get_mut(..pages_of(header))?;
    let mut pages = heapless::Vec::new();
    for _ in 0..theirs.len() {
        pages.push(source.allocate()?).ok()?;
    }
    theirs.swap_with_slice(&mut pages);
    Some(pages)
}

/// The same by copying: the frame stays as it is.
fn copy_pages<P: Page>(
    header: &Repr,
    frame: &Incoming<'_, P>,
    source: &mut impl PageSource<Page = P>,
) -> Option<heapless::Vec<P, FRAME_PAGES>> {
    let end = PREFIX + header.length as usize;
    let mut pages = heapless::Vec::new();
    let mut at = HEAD;
    while at < end {
        let count = (end - at).min(PAGE_SIZE);
        let mut page = source.allocate()?;
        let copied = copy_out(frame.head, frame.pages, at, &mut page.bytes_mut()?[..count]);
        (copied && pages.push(page).is_ok()).then_some(())?;
        at += count;
    }
    Some(pages)
}
