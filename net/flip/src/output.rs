//! Frames to be sent: datagrams of the layer above, and FLIP's own packets.
//!
//! Owns the headers. [`Flip::emit`] writes those of a datagram that the caller completes and
//! sends himself, which is the fast path; [`Flip::poll_transmit`] gives what FLIP itself has to
//! say: answers, LOCATEs, fragments.

use norma_ipc::{Page, PageSource};
use norma_wire::ethernet::{self, EthernetAddress};
use norma_wire::flip::{self, Flags, Kind};
use norma_wire::layout;

use crate::flip::Flip;
use crate::frame::{HEAD, Outgoing};
use crate::input::HERE_IS_PAYLOAD;
use crate::limits::{MAX_DATAGRAM, MAXIMUM_HOP};
use crate::time::Instant;
use crate::{Address, DropReason, FragmentError, NoRoute, PREFIX};

/// A packet of FLIP's own that waits to be sent.
pub(crate) struct Answer {
    kind: Kind,
    station: EthernetAddress,
    destination: Address,
    source: Address,
}

impl Answer {
    pub(crate) const fn new(
        kind: Kind,
        station: EthernetAddress,
        destination: Address,
        source: Address,
    ) -> Answer {
        Answer {
            kind,
            station,
            destination,
            source,
        }
    }
}

/// The header of a packet that enters its first network.
#[inline]
fn header(
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
    /// Bytes of payload that a datagram may have without being cut.
    #[inline]
    pub const fn max_payload(&self) -> usize {
        self.mtu - flip::LENGTH
    }

    /// Whether a datagram of so many bytes must go by [`Flip::fragment`].
    #[inline]
    pub const fn needs_fragmenting(&self, payload_length: usize) -> bool {
        payload_length > self.max_payload()
    }

    /// Writes the Ethernet and FLIP headers of a datagram into `frame`, and sets its length.
    ///
    /// The caller fills the payload in, from byte [`PREFIX`] on, before or afterwards, and sends
    /// the frame. Where the payload needs fragmenting, use [`Flip::fragment`] instead.
    ///
    /// # Errors
    /// [`NoRoute`] if no fresh route is known; nothing is written then.
    #[inline]
    pub fn emit(
        &mut self,
        now: Instant,
        destination: Address,
        source: Address,
        payload_length: usize,
        frame: &mut Outgoing<'_, P>,
    ) -> Result<(), NoRoute> {
        let Some(station) = self.station_of(now, destination) else {
            self.counters.no_route += 1;
            return Err(NoRoute);
        };
        debug_assert!(!self.needs_fragmenting(payload_length));
        let stations = ethernet::Repr {
            destination: station,
            source: self.station,
        };
        let id = self.message_id;
        self.message_id = id.wrapping_add(1);
        self.counters.sent += 1;
        stations.emit(layout::ethernet_mut(frame.head));
        let header = header(
            Kind::UniData,
            destination,
            source,
            id,
            payload_length as u32,
        );
        header.emit(layout::flip_mut(frame.head));
        frame.length = PREFIX + payload_length;
        Ok(())
    }

    /// The station to which packets for `address` go: mostly the one that was just heard.
    #[inline(always)]
    fn station_of(&self, now: Instant, address: Address) -> Option<EthernetAddress> {
        match self.last.station(now, address) {
            Some(station) => Some(station),
            None => self.route(now, address).map(|route| route.station),
        }
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
        let held = HEAD + frame.pages.len() * norma_ipc::PAGE_SIZE;
        if frame.length <= PREFIX || frame.length - PREFIX > MAX_DATAGRAM || frame.length > held {
            return Err(FragmentError::BadLength);
        }
        if self.routes.get(now, destination).is_none() {
            self.counters.no_route += 1;
            return Err(FragmentError::NoRoute);
        }
        self.fragments.reserve().map_err(|_| FragmentError::Full)?;
        let id = self.message_id;
        self.message_id = id.wrapping_add(1);
        self.fragments.push(destination, source, id, frame);
        Ok(())
    }

    /// Whether pieces of a datagram are left that was given to [`Flip::fragment`].
    #[inline]
    pub fn is_cutting(&self) -> bool {
        !self.fragments.is_empty()
    }

    /// Whether [`Flip::poll_transmit`] may have a frame.
    #[inline]
    pub fn wants_transmit(&self, now: Instant) -> bool {
        !self.answers.is_empty() || now >= self.locates.next() || !self.fragments.is_empty()
    }

    /// Writes the next frame that FLIP itself has to send; tells whether there was one.
    ///
    /// Poll until there is none, after every call that says so. The pages that `frame` holds
    /// beforehand are dropped.
    #[inline]
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        frame: &mut Outgoing<'_, P>,
        source: &mut impl PageSource<Page = P>,
    ) -> bool {
        if !self.wants_transmit(now) {
            return false;
        }
        self.transmit(now, frame, source)
    }

    #[inline(never)]
    fn transmit(
        &mut self,
        now: Instant,
        frame: &mut Outgoing<'_, P>,
        source: &mut impl PageSource<Page = P>,
    ) -> bool {
        frame.pages.clear();
        let some = self.transmit_answer(frame)
            || self.transmit_announcement(now, frame)
            || self.transmit_locate(now, frame)
            || self.transmit_fragment(now, frame, source);
        self.counters.sent += u64::from(some);
        some
    }

    /// Queues a packet of FLIP's own.
    pub(crate) fn answer(&mut self, answer: Answer) -> Result<(), DropReason> {
        self.answers.push(answer).map_err(|_| DropReason::NoRoom)
    }

    fn transmit_answer(&mut self, frame: &mut Outgoing<'_, P>) -> bool {
        // The newest first: each is for somebody else, so their order means nothing.
        let Some(answer) = self.answers.pop() else {
            return false;
        };
        let here = answer.kind == Kind::HereIs;
        let length = if here { HERE_IS_PAYLOAD } else { 0 };
        let header = header(answer.kind, answer.destination, answer.source, 0, length);
        self.write(frame, answer.station, &header);
        if here {
            self.counters.answers += 1;
            // One receiver here; none behind routers, for this is none.
            frame.head[PREFIX..PREFIX + 4].copy_from_slice(&[1, 0, 0, 0]);
        } else {
            self.counters.denials += 1;
        }
        true
    }

    fn transmit_announcement(&mut self, now: Instant, frame: &mut Outgoing<'_, P>) -> bool {
        let node = self.local.primary();
        let Some(announcement) = self.locates.transmit_announcement(now) else {
            return false;
        };
        if node.is_broadcast() {
            return false; // unregistered meanwhile: it could not be told from others
        }
        self.counters.announcements += 1;
        // Each is numbered, for routers pass none on twice.
        let id = self.message_id;
        self.message_id = id.wrapping_add(1);
        let mut header = header(Kind::Locate, node, announcement.address, id, 0);
        header.flags = Flags::ANNOUNCE;
        header.flags.set(Flags::SETTLED, announcement.settled);
        self.write(frame, EthernetAddress::BROADCAST, &header);
        true
    }

    fn transmit_locate(&mut self, now: Instant, frame: &mut Outgoing<'_, P>) -> bool {
        let asker = self.local.primary();
        while let Some((address, hops)) = self.locates.transmit(now) {
            if asker.is_broadcast() {
                continue; // unregistered meanwhile: no answer could come, the search runs out
            }
            self.counters.locates += 1;
            let header = header(Kind::Locate, address, asker, 0, 0);
            let header = flip::Repr {
                maximum_hop: hops,
                ..header
            };
            self.write(frame, EthernetAddress::BROADCAST, &header);
            return true;
        }
        false
    }

    fn transmit_fragment(
        &mut self,
        now: Instant,
        frame: &mut Outgoing<'_, P>,
        source: &mut impl PageSource<Page = P>,
    ) -> bool {
        let most = self.max_payload();
        while let Some(waiting) = self.fragments.first_mut() {
            let (offset, total) = (waiting.sent, waiting.total);
            let count = (total - offset).min(most);
            let route = self.routes.get(now, waiting.destination).copied();
            let Some(route) = route.filter(|_| waiting.fill(count, frame, source).is_some()) else {
                // The rest would be of no use without this piece: the session sends all again.
                self.counters.fragmenting_failed += 1;
                self.fragments.remove_first();
                continue;
            };
            waiting.sent += count;
            let header = flip::Repr {
                offset: offset as u32,
                total: total as u32,
                ..header(
                    Kind::UniData,
                    waiting.destination,
                    waiting.source,
                    waiting.message_id,
                    count as u32,
                )
            };
            if waiting.sent == total {
                self.fragments.remove_first();
            }
            self.write(frame, route.station, &header);
            return true;
        }
        false
    }

    /// Writes both headers and the length of the frame.
    fn write(&self, frame: &mut Outgoing<'_, P>, station: EthernetAddress, header: &flip::Repr) {
        let stations = ethernet::Repr {
            destination: station,
            source: self.station,
        };
        stations.emit(layout::ethernet_mut(frame.head));
        header.emit(layout::flip_mut(frame.head));
        frame.length = PREFIX + header.length as usize;
    }
}
