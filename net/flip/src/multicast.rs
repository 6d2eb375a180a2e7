//! Multicast: a datagram of this node to all listeners of an address, or to everybody.
//!
//! Owns the choice of frames: one to a station where one leads to listeners, one broadcast where
//! several do, none on a network where nobody listens. Leaves the search for listeners to
//! [`Flip::locate_listeners`]. There is no flow control for multicasts, as there was none in
//! Amoeba: what routers and receivers have no room for is lost.
//!
//! Source: Amoeba 5, `rawflip.n` (`flip_multicast`, `flip_broadcast`), `switch.c`.

use norma_ipc::{PAGE_SIZE, Page};
use norma_wire::ethernet::EthernetAddress;
use norma_wire::flip::{Kind, Repr};

use crate::error::MulticastError;
use crate::flip::Flip;
use crate::frame::{HEAD, Outgoing};
use crate::groups::Way;
use crate::limits::{MAX_DATAGRAM, MAXIMUM_HOP, NETWORKS};
use crate::network::Networks;
use crate::output::header;
use crate::queue::Load;
use crate::time::Instant;
use crate::{Address, PREFIX};

type Stations = heapless::Vec<(crate::NetworkId, EthernetAddress), NETWORKS>;

impl<P: Page> Flip<P> {
    /// Takes a datagram for all listeners of `destination` on other nodes, if at least `least` of
    /// them are known. `frame` holds it as if it were one frame, with its length; the headers
    /// need not be written. Its pages are taken. Poll [`Flip::poll_transmit`] afterwards. A
    /// listener on this node is not served: the caller has the datagram already.
    ///
    /// # Errors
    /// See [`MulticastError`]; `frame` is left as it was.
    pub fn multicast(
        &mut self,
        now: Instant,
        destination: Address,
        source: Address,
        least: u16,
        frame: &mut Outgoing<'_, P>,
    ) -> Result<(), MulticastError> {
        let known = self.listeners(now, destination);
        if known < least.max(1) {
            return Err(MulticastError::TooFew { known });
        }
        let mut stations = Stations::new();
        for network in self.networks.ids() {
            let way = self
                .groups
                .way(now, destination, network, MAXIMUM_HOP, self.secure);
            let station = match way {
                Way::None => continue,
                Way::One(station) => station,
                Way::Several => EthernetAddress::BROADCAST,
            };
            let _ = stations.push((network, station)); // there are no more networks than places
        }
        self.queue_multicast(destination, source, MAXIMUM_HOP, &stations, frame)
    }

    /// The same for every node that is no more than `hops` networks away. All of them have to look
    /// at it: a means of last resort.
    ///
    /// # Errors
    /// See [`MulticastError`]; `frame` is left as it was.
    pub fn broadcast(
        &mut self,
        source: Address,
        hops: u16,
        frame: &mut Outgoing<'_, P>,
    ) -> Result<(), MulticastError> {
        let mut stations = Stations::new();
        for network in self.networks.ids() {
            if self.networks.get(network).trusted || !self.secure {
                let _ = stations.push((network, EthernetAddress::BROADCAST)); // as above
            }
        }
        let hops = hops.clamp(1, MAXIMUM_HOP);
        self.queue_multicast(Address::BROADCAST, source, hops, &stations, frame)
    }

    fn queue_multicast(
        &mut self,
        destination: Address,
        source: Address,
        maximum_hop: u16,
        stations: &Stations,
        frame: &mut Outgoing<'_, P>,
    ) -> Result<(), MulticastError> {
        let held = HEAD + frame.pages.len() * PAGE_SIZE;
        if frame.length < PREFIX || frame.length - PREFIX > MAX_DATAGRAM || frame.length > held {
            return Err(MulticastError::BadLength);
        }
        for (network, _) in stations {
            let departures = &mut self.departures[Networks::place(*network)];
            departures.own.reserve().map_err(|_| MulticastError::Full)?;
        }
        let id = self.next_message_id();
        let length = (frame.length - PREFIX) as u32;
        for (network, station) in stations {
            let next = self.networks.get(*network);
            let header = Repr {
                flags: next.flags,
                maximum_hop,
                ..header(Kind::MultiData, destination, source, id, length)
            };
            let mut pages = heapless::Vec::new();
            for page in frame.pages.iter() {
                let _ = pages.push(page.share()); // there is as much room as there
            }
            let load = Load::new(*station, header, next.max_payload, *frame.head, pages);
            self.departures[Networks::place(*network)].own.push(load);
            self.waiting += 1;
        }
        frame.pages.clear();
        Ok(())
    }
}
