//! What waits to be sent on one network, besides what the layer above writes in place.
//!
//! Owns three queues, each bounded: packets of FLIP's own, datagrams of the node that are cut or
//! multicast, and datagrams of others that are passed on. Whoever's datagram fits the network
//! leaves without a copy of its pages; one that does not is cut, and this path may copy: on the
//! fast path sessions cut their messages to the network's size. Leaves routes to others: each
//! packet knows its station.

use alloc::collections::VecDeque;

use norma_ipc::{PAGE_SIZE, Page, PageSource};
use norma_wire::ethernet::EthernetAddress;
use norma_wire::flip::Repr;

use crate::frame::{FRAME_PAGES, HEAD, Outgoing, copy_out};
use crate::limits::{ANSWERS, FRAGMENTED, TRANSIT};
use crate::{Full, PREFIX};

/// A packet of FLIP's own: all of it but what a datagram carries.
pub(crate) struct Packet {
    pub(crate) station: EthernetAddress,
    pub(crate) header: Repr,
    /// The pair of counts, in HEREIS.
    pub(crate) payload: [u8; 4],
}

/// A datagram, or a fragment of one that came so, of which a part may have been sent.
pub(crate) struct Load<P> {
    pub(crate) station: EthernetAddress,
    /// Its header, as if it were sent whole.
    pub(crate) header: Repr,
    /// Bytes of its payload that were sent.
    sent: usize,
    /// Bytes of payload that a packet of it may have.
    most: usize,
    /// Pages that it began with.
    held: usize,
    head: [u8; HEAD],
    pages: heapless::Vec<P, FRAME_PAGES>,
}

impl<P: Page> Load<P> {
    /// The payload lies in `head` and `pages` where a frame has it; there is as much of it as
    /// `header` says. Packets of it have at most `most` bytes.
    pub(crate) fn new(
        station: EthernetAddress,
        header: Repr,
        most: usize,
        head: [u8; HEAD],
        pages: heapless::Vec<P, FRAME_PAGES>,
    ) -> Load<P> {
        Load {
            station,
            header,
            sent: 0,
            most,
            held: pages.len(),
            head,
            pages,
        }
    }

    /// How many pages it counts as, until it is sent.
    pub(crate) const fn held(&self) -> usize {
        self.held
    }

    fn is_sent(&self) -> bool {
        self.sent >= self.header.length as usize
    }

    /// Puts the payload of its next packet into `frame`, and tells that packet's header. `None`
    /// without memory.
    pub(crate) fn next(
        &mut self,
        frame: &mut Outgoing<'_, P>,
        source: &mut impl PageSource<Page = P>,
    ) -> Option<Repr> {
        let whole = self.header.length as usize;
        let count = (whole - self.sent).min(self.most);
        if count == whole {
            *frame.head = self.head;
            *frame.pages = core::mem::take(&mut self.pages);
        } else {
            self.copy(count, frame, source)?;
        }
        let header = Repr {
            offset: self.header.offset + self.sent as u32,
            length: count as u32,
            ..self.header
        };
        self.sent += count;
        Some(header)
    }

    fn copy(
        &self,
        count: usize,
        frame: &mut Outgoing<'_, P>,
        source: &mut impl PageSource<Page = P>,
    ) -> Option<()> {
        let from = PREFIX + self.sent;
        let in_head = count.min(HEAD - PREFIX);
        let copy = |at, out: &mut [u8]| copy_out(&self.head, &self.pages, at, out).then_some(());
        copy(from, &mut frame.head[PREFIX..PREFIX + in_head])?;
        frame.pages.clear();
        let mut done = in_head;
        while done < count {
            let piece = (count - done).min(PAGE_SIZE);
            let mut page = source.allocate()?;
            copy(from + done, &mut page.bytes_mut()?[..piece])?;
            frame.pages.push(page).ok()?;
            done += piece;
        }
        Some(())
    }
}

/// Datagrams in their order.
pub(crate) struct Loads<P> {
    loads: VecDeque<Load<P>>,
    bound: usize,
}

impl<P: Page> Loads<P> {
    const fn new(bound: usize) -> Loads<P> {
        Loads {
            loads: VecDeque::new(),
            bound,
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.loads.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.loads.len()
    }

    /// Makes room for one more.
    pub(crate) fn reserve(&mut self) -> Result<(), Full> {
        if self.loads.len() >= self.bound {
            return Err(Full);
        }
        self.loads.try_reserve(1).map_err(|_| Full)
    }

    /// Adds one, for which room was made.
    pub(crate) fn push(&mut self, load: Load<P>) {
        self.loads.push_back(load);
    }

    pub(crate) fn first_mut(&mut self) -> Option<&mut Load<P>> {
        self.loads.front_mut()
    }

    /// Takes the first away if all of it has been sent, or if it is `given_up`.
    pub(crate) fn settle_first(&mut self, given_up: bool) -> Option<Load<P>> {
        self.loads.pop_front_if(|load| given_up || load.is_sent())
    }
}

/// All that waits to be sent on one network.
pub(crate) struct Departures<P> {
    packets: VecDeque<Packet>,
    /// Datagrams of this node.
    pub(crate) own: Loads<P>,
    /// Datagrams of others.
    pub(crate) transit: Loads<P>,
}

impl<P: Page> Departures<P> {
    pub(crate) const fn new() -> Departures<P> {
        Departures {
            packets: VecDeque::new(),
            own: Loads::new(FRAGMENTED),
            transit: Loads::new(TRANSIT),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty() && self.own.is_empty() && self.transit.is_empty()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.packets.len() < ANSWERS
    }

    pub(crate) fn push(&mut self, packet: Packet) -> Result<(), Full> {
        if !self.has_room() {
            return Err(Full);
        }
        self.packets.try_reserve(1).map_err(|_| Full)?;
        self.packets.push_back(packet);
        Ok(())
    }

    pub(crate) fn pop(&mut self) -> Option<Packet> {
        self.packets.pop_front()
    }
}
