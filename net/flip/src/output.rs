//! Frames to be sent: datagrams of the layer above, and FLIP's own packets.
//!
//! Owns the headers. [`Flip::emit`] writes those of a datagram that the caller completes and
//! sends himself, which is the fast path; [`Flip::poll_transmit`] gives what FLIP itself has to
//! say (searches and answers, fragments) and what it passes on. Each is asked for the frames of
//! one network, whose card has room for them, so that a network which stands still holds up
//! nobody but itself.

use norma_ipc::{Page, PageSource};
use norma_wire::ethernet::{self, EthernetAddress};
use norma_wire::flip::{self, Flags, Kind};
use norma_wire::layout;

use crate::announce::Announcement;
use crate::flip::Flip;
use crate::frame::{HEAD, Outgoing};
use crate::limits::{MAX_DATAGRAM, MAXIMUM_HOP};
use crate::locate::Step;
use crate::network::Networks;
use crate::queue::{Load, Packet};
use crate::routes::NetworkId;
use crate::seek::HERE_IS_PAYLOAD;
use crate::time::Instant;
use crate::{Address, DropReason, FragmentError, NoRoute, PREFIX};

/// The header of a packet that enters its first network. Its flags are that network's affair.
#[inline]
pub(crate) fn header(
    kind: Kind,
    destination: Address,
    source: Address,
    message_id: u32,
    length: u32,
) -> flip::Repr {
    flip::Repr {
        kind,
        flags: Flags::empty(),
        actual_hop: 1,
        maximum_hop: MAXIMUM_HOP,
        destination,
        source,
        message_id,
        length,
        offset: 0,
        total: length,
    }
}

impl<P: Page> Flip<P> {
    /// Bytes of payload that a datagram may have on a network without being cut.
    #[inline(always)]
    pub const fn max_payload(&self, network: NetworkId) -> usize {
        self.networks.get(network).max_payload
    }

    /// The most of any network.
    pub fn largest_payload(&self) -> usize {
        let all = self.networks.iter().map(|network| network.max_payload);
        all.max().unwrap_or(0)
    }

    /// Bytes of payload with which a datagram reaches `destination` in one piece, as far as is
    /// known: a router may cut it.
    pub fn path_payload(&self, now: Instant, destination: Address) -> Option<usize> {
        let route = self.route(now, destination)?;
        let own = self.max_payload(route.network);
        Some(match route.limit {
            0 => own,
            limit => own.min(limit.into()),
        })
    }

    /// Whether a datagram of so many bytes must go by [`Flip::fragment`] on that network.
    #[inline(always)]
    pub const fn needs_fragmenting(&self, network: NetworkId, payload_length: usize) -> bool {
        payload_length > self.max_payload(network)
    }

    /// The network over which datagrams for `destination` leave, if a route is known. A node on
    /// one network need not ask.
    pub fn network_of(&self, now: Instant, destination: Address) -> Option<NetworkId> {
        self.route(now, destination).map(|route| route.network)
    }

    /// Writes the Ethernet and FLIP headers of a datagram into `frame`, for `network`, and sets
    /// its length.
    ///
    /// The caller fills the payload in, from byte [`PREFIX`] on, before or afterwards, and sends
    /// the frame. Where the payload needs fragmenting, use [`Flip::fragment`] instead.
    ///
    /// # Errors
    /// [`NoRoute`] if no fresh route over that network is known; nothing is written then.
    #[inline(always)]
    pub fn emit(
        &mut self,
        now: Instant,
        network: NetworkId,
        destination: Address,
        source: Address,
        payload_length: usize,
        frame: &mut Outgoing<'_, P>,
    ) -> Result<(), NoRoute> {
        let Some(station) = self.station_of(now, network, destination) else {
            self.counters.no_route += 1;
            return Err(NoRoute);
        };
        debug_assert!(!self.needs_fragmenting(network, payload_length));
        let own = self.networks.get(network);
        let stations = ethernet::Repr {
            destination: station,
            source: own.station,
        };
        let flags = own.flags;
        let id = self.message_id;
        self.message_id = id.wrapping_add(1);
        self.counters.sent += 1;
        stations.emit(layout::ethernet_mut(frame.head));
        let header = flip::Repr {
            flags,
            ..header(
                Kind::UniData,
                destination,
                source,
                id,
                payload_length as u32,
            )
        };
        header.emit(layout::flip_mut(frame.head));
        frame.length = PREFIX + payload_length;
        Ok(())
    }

    /// The station to which packets for `address` go: mostly the one that was just heard.
    #[inline(always)]
    fn station_of(
        &self,
        now: Instant,
        network: NetworkId,
        address: Address,
    ) -> Option<EthernetAddress> {
        match self.networks.get(network).last.station(now, address) {
            Some(station) => Some(station),
            None => self
                .route(now, address)
                .filter(|route| route.network == network)
                .map(|route| route.station),
        }
    }

    /// A number for a packet, by which its fragments, and its copies, are known.
    pub(crate) const fn next_message_id(&mut self) -> u32 {
        let id = self.message_id;
        self.message_id = id.wrapping_add(1);
        id
    }

    /// Takes a datagram that is too large for the network, to be sent in pieces.
    ///
    /// `frame` holds it as if it were one frame, with its length; the headers need not be
    /// written. Its pages are taken. Poll [`Flip::poll_transmit`] afterwards.
    ///
    /// # Errors
    /// See [`FragmentError`]; `frame` is left as it was.
    pub fn fragment(
        &mut self,
        now: Instant,
        destination: Address,
        source: Address,
        frame: &mut Outgoing<'_, P>,
    ) -> Result<(), FragmentError> {
        self.fragment_within(now, destination, source, usize::MAX, frame)
    }

    /// The same in pieces of at most `most` bytes, where the receiver's card takes no larger
    /// ones than that.
    ///
    /// # Errors
    /// As [`Flip::fragment`].
    pub fn fragment_within(
        &mut self,
        now: Instant,
        destination: Address,
        source: Address,
        most: usize,
        frame: &mut Outgoing<'_, P>,
    ) -> Result<(), FragmentError> {
        let held = HEAD + frame.pages.len() * norma_ipc::PAGE_SIZE;
        if frame.length <= PREFIX || frame.length - PREFIX > MAX_DATAGRAM || frame.length > held {
            return Err(FragmentError::BadLength);
        }
        let Some(route) = self.route(now, destination) else {
            self.counters.no_route += 1;
            return Err(FragmentError::NoRoute);
        };
        let departures = &mut self.departures[Networks::place(route.network)];
        departures.own.reserve().map_err(|_| FragmentError::Full)?;
        let id = self.next_message_id();
        let own = self.networks.get(route.network);
        let length = (frame.length - PREFIX) as u32;
        let header = flip::Repr {
            flags: own.flags,
            ..header(Kind::UniData, destination, source, id, length)
        };
        let pages = core::mem::take(frame.pages);
        let most = own.max_payload.min(most);
        let load = Load::new(route.station, header, most, *frame.head, pages);
        self.departures[Networks::place(route.network)]
            .own
            .push(load);
        self.waiting += 1;
        Ok(())
    }

    /// Whether pieces of a datagram are left that was given to [`Flip::fragment`], or a multicast,
    /// on that network.
    #[inline(always)]
    pub fn is_cutting(&self, network: NetworkId) -> bool {
        !self.departures[Networks::place(network)].own.is_empty()
    }

    /// Whether [`Flip::poll_transmit`] may have a frame, for any network.
    #[inline]
    pub fn wants_transmit(&self, now: Instant) -> bool {
        self.waiting > 0 || now >= self.locates.next()
    }

    /// The same for one of several networks.
    pub fn wants_transmit_on(&self, now: Instant, network: NetworkId) -> bool {
        !self.departures[Networks::place(network)].is_empty() || now >= self.locates.next()
    }

    /// Writes the next frame that FLIP itself has to send on `network`; tells whether there was
    /// one.
    ///
    /// Poll until there is none, for each network, after every call that says so. The pages that
    /// `frame` holds beforehand are dropped.
    #[inline]
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        network: NetworkId,
        frame: &mut Outgoing<'_, P>,
        source: &mut impl PageSource<Page = P>,
    ) -> bool {
        if !self.wants_transmit(now) {
            return false;
        }
        self.transmit(now, network, frame, source)
    }

    #[inline(never)]
    fn transmit(
        &mut self,
        now: Instant,
        network: NetworkId,
        frame: &mut Outgoing<'_, P>,
        source: &mut impl PageSource<Page = P>,
    ) -> bool {
        frame.pages.clear();
        self.queue_locates(now);
        let some = self.transmit_packet(network, frame)
            || self.transmit_load(network, false, frame, source)
            || self.transmit_load(network, true, frame, source);
        self.counters.sent += u64::from(some);
        some
    }

    /// Queues a packet of FLIP's own. What may not leave trusted networks does not.
    pub(crate) fn queue_packet(
        &mut self,
        network: NetworkId,
        packet: Packet,
    ) -> Result<(), DropReason> {
        if packet
            .header
            .flags
            .contains(Flags::SECURITY | Flags::UNSAFE)
        {
            return Err(DropReason::Untrusted);
        }
        let departures = &mut self.departures[Networks::place(network)];
        departures.push(packet).map_err(|_| DropReason::NoRoom)?;
        self.waiting += 1;
        Ok(())
    }

    /// Queues the announcements and LOCATEs that are due, on all networks.
    fn queue_locates(&mut self, now: Instant) {
        let own = self.local.primary();
        while now >= self.locates.next() && self.departures.iter().all(|d| d.has_room()) {
            if let Some(announcement) = self.locates.transmit_announcement(now) {
                self.queue_announcement(own, announcement);
            } else if let Some(step) = self.locates.transmit(now) {
                self.queue_locate(own, &step);
            } else {
                break;
            }
        }
    }

    fn queue_announcement(&mut self, node: Address, announcement: Announcement) {
        if node.is_broadcast() {
            return; // unregistered meanwhile: it could not be told from others
        }
        self.counters.announcements += 1;
        let Announcement { address, settled } = announcement;
        // Each is numbered, for routers pass none on twice.
        let mut header = header(Kind::Locate, node, address, self.next_message_id(), 0);
        header.flags = Flags::ANNOUNCE;
        header.flags.set(Flags::SETTLED, settled);
        self.queue_broadcast(header);
    }

    fn queue_locate(&mut self, asker: Address, step: &Step) {
        if asker.is_broadcast() {
            return; // unregistered meanwhile: no answer could come, the search runs out
        }
        self.counters.locates += 1;
        self.counters.locates_hinted += u64::from(step.hint.is_some());
        let id = self.next_message_id();
        let mut header = header(Kind::Locate, step.address, asker, id, 0);
        header.flags.set(Flags::ALL, step.all);
        header.maximum_hop = step.hops;
        match step.hint {
            Some((network, station)) => self.queue_search(network, station, header),
            None => self.queue_broadcast(header),
        }
    }

    fn queue_broadcast(&mut self, header: flip::Repr) {
        for network in self.networks.ids() {
            self.queue_search(network, EthernetAddress::BROADCAST, header);
        }
    }

    fn queue_search(&mut self, network: NetworkId, station: EthernetAddress, header: flip::Repr) {
        let own = self.networks.get(network);
        let header = flip::Repr {
            flags: header.flags | own.flags,
            // What a packet may have here, so that others learn what the whole way carries.
            total: own.max_payload as u32,
            ..header
        };
        let packet = Packet {
            station,
            header,
            payload: [0; 4],
        };
        // There is room; without memory, or trust, there may be at the next step.
        let _ = self.queue_packet(network, packet);
    }

    fn transmit_packet(&mut self, network: NetworkId, frame: &mut Outgoing<'_, P>) -> bool {
        let Some(packet) = self.departures[Networks::place(network)].pop() else {
            return false;
        };
        self.waiting -= 1;
        self.write(network, frame, packet.station, &packet.header);
        if packet.header.length == HERE_IS_PAYLOAD {
            frame.head[PREFIX..PREFIX + 4].copy_from_slice(&packet.payload);
        }
        true
    }

    /// The next packet of a datagram of this node, or of one in transit.
    fn transmit_load(
        &mut self,
        network: NetworkId,
        transit: bool,
        frame: &mut Outgoing<'_, P>,
        source: &mut impl PageSource<Page = P>,
    ) -> bool {
        loop {
            let departures = &mut self.departures[Networks::place(network)];
            let loads = match transit {
                true => &mut departures.transit,
                false => &mut departures.own,
            };
            let Some(load) = loads.first_mut() else {
                return false;
            };
            let (station, next) = (load.station, load.next(frame, source));
            if let Some(load) = loads.settle_first(next.is_none()) {
                self.waiting -= 1;
                self.transit_pages -= if transit { load.held() } else { 0 };
            }
            if let Some(header) = next {
                self.counters.forwarded += u64::from(transit);
                self.write(network, frame, station, &header);
                return true;
            }
            // The rest would be of no use without this piece: the session sends all again.
            self.counters.fragmenting_failed += 1;
            frame.pages.clear();
        }
    }

    /// Writes both headers and the length of the frame.
    fn write(
        &self,
        network: NetworkId,
        frame: &mut Outgoing<'_, P>,
        station: EthernetAddress,
        header: &flip::Repr,
    ) {
        let stations = ethernet::Repr {
            destination: station,
            source: self.networks.get(network).station,
        };
        stations.emit(layout::ethernet_mut(frame.head));
        header.emit(layout::flip_mut(frame.head));
        frame.length = PREFIX + header.length as usize;
    }
}
