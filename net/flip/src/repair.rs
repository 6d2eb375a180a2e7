//! Complaints: NOTHERE and UNTRUSTED, for this node and for others.
//!
//! Owns when they are sent, who believes them, and their way back to the sender of the datagram
//! that caused them, which forgets the route and locates the address anew. Each router between
//! forgets it too.
//!
//! Source: `docs/wire.md`, chapter "Datagrams and routes"; Amoeba 5, `switch.c` (`f_nothere`,
//! `f_untrusted`), where the datagram itself comes back. Here it does not: the session has it.

use norma_ipc::Page;
use norma_wire::flip::{Flags, Kind, Repr};

use crate::DropReason;
use crate::flip::{Event, Flip};
use crate::input::{Arrival, Input};
use crate::output::header;
use crate::queue::Packet;
use crate::time::Instant;

impl<P: Page> Flip<P> {
    /// Tells the sender of a datagram that its destination is not here, or not to be reached
    /// over trusted networks, within limits (W-14, W-74).
    pub(crate) fn complain(&mut self, now: Instant, arrival: &Arrival, kind: Kind) {
        let about = &arrival.header;
        if about.offset != 0 || about.destination.is_broadcast() || !self.denials.take(now) {
            return;
        }
        let mut flags = self.networks.get(arrival.network).flags;
        flags.set(Flags::UNREACHABLE, kind == Kind::Untrusted);
        let packet = Packet {
            station: arrival.station,
            header: Repr {
                flags,
                ..header(kind, about.source, about.destination, 0, 0)
            },
            payload: [0; 4],
        };
        // Where there is no room, the datagram that caused it is counted already.
        if self.queue_packet(arrival.network, packet).is_ok() {
            self.counters.denials += 1;
        }
    }

    /// NOTHERE (W-18): believed only from where the route leads.
    pub(crate) fn take_not_here(
        &mut self,
        now: Instant,
        arrival: &Arrival,
    ) -> Result<Input<P>, DropReason> {
        let gone = arrival.header.source;
        let here = self.local.contains(arrival.header.destination);
        if !here && !self.networks.is_router() {
            return Err(DropReason::NotHere);
        }
        let listened = self.groups.remove(gone, arrival.network, arrival.station);
        let routed = self.is_from_route(now, arrival);
        if !routed && !listened {
            return Err(DropReason::Unsolicited);
        }
        if routed {
            self.forget_route(gone);
            self.counters.routes_denied += 1;
        }
        let (destination, source) = (gone, arrival.header.destination);
        self.take_complaint(
            now,
            arrival,
            Event::Unreachable {
                destination,
                source,
            },
        )
    }

    /// UNTRUSTED (W-74): likewise. The route stays, for what may leave trusted networks.
    pub(crate) fn take_untrusted(
        &mut self,
        now: Instant,
        arrival: &Arrival,
    ) -> Result<Input<P>, DropReason> {
        let header = &arrival.header;
        let here = self.local.contains(header.destination);
        if !here && !self.networks.is_router() {
            return Err(DropReason::NotHere);
        }
        if !self.is_from_route(now, arrival) {
            return Err(DropReason::Unsolicited);
        }
        self.routes.distrust(header.source);
        self.forget_heard();
        let (destination, source) = (header.source, header.destination);
        self.take_complaint(
            now,
            arrival,
            Event::Untrusted {
                destination,
                source,
            },
        )
    }

    /// Whether a packet comes from where the route to its source leads.
    fn is_from_route(&self, now: Instant, arrival: &Arrival) -> bool {
        let route = self.routes.get(now, arrival.header.source);
        let place = (arrival.network, arrival.station);
        route.is_some_and(|route| (route.network, route.station) == place)
    }

    /// Tells the layer above of a complaint, or passes it on towards whom it is for.
    fn take_complaint(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        event: Event,
    ) -> Result<Input<P>, DropReason> {
        let header = &arrival.header;
        if self.local.contains(header.destination) {
            self.report(event);
        } else {
            let (network, station) = self.way_back(now, arrival, header.destination)?;
            self.pass_on(network, station, header, None)?;
        }
        Ok(Input::Absorbed)
    }
}
