//! Frames out: from what a session owes and what waits in its outbox to bytes and pages.
//!
//! A frame is written straight into the device's memory. Pages are shared with the message,
//! which keeps them until its fate is known; nothing of them is copied.

use norma_flip::{Instant, Outgoing};
use norma_ipc::{PAGE_SIZE, Page, PageSource};
use norma_wire::layout::{self, HEAD_BODY, HEAD_PAYLOAD, MessageLayout};
use norma_wire::session::{Flags, Kind, Repr};
use norma_wire::{context, descriptor, session};

use crate::flight::Departure;
use crate::limits::MIN_RTO;
use crate::node::Node;
use crate::outbox::{Cargo, Outbound};
use crate::session::{Owed, Session, State};

/// Pages of a frame that may carry out-of-line memory; the last is kept for a trailer.
const DATA_PAGES: u32 = norma_flip::FRAME_PAGES as u32 - 1;

/// What came of trying to make a frame.
enum Made {
    Frame,
    Nothing,
    /// The frame went to FLIP to be cut.
    Queued,
}

impl<S: PageSource> Node<S> {
    /// Whether [`Node::poll_transmit`] may have a frame: asks little, where it costs something
    /// to have a place for one.
    #[inline]
    pub fn wants_transmit(&self, now: Instant) -> bool {
        !self.ready.is_empty() || !self.resets.is_empty() || self.flip.wants_transmit(now)
    }

    /// Writes the next frame to send into `frame`, whose pages are empty; `false` if there is
    /// none. Call after every other call until it gives `false`.
    #[inline]
    pub fn poll_transmit(&mut self, now: Instant, frame: &mut Outgoing<'_, S::Page>) -> bool {
        loop {
            if self.flip.poll_transmit(now, frame, &mut self.source) {
                return true;
            }
            if !self.resets.is_empty() && self.emit_reset(now, frame) {
                return true;
            }
            let Some(place) = self.ready.pop_front() else {
                return false;
            };
            let Some(session) = self.sessions.get_mut(place) else {
                continue;
            };
            session.listed = false;
            match self.emit(now, place, frame) {
                Made::Frame => {
                    self.list(place);
                    return true;
                }
                Made::Queued => self.list(place),
                Made::Nothing => {
                    // The frame may hold pages already.
                    frame.pages.clear();
                    self.try_later(now, place);
                }
            }
        }
    }

    /// A session could not make its frame, for want of a route or of memory.
    #[cold]
    fn try_later(&mut self, now: Instant, place: u32) {
        let Some(session) = self.sessions.get(place) else {
            return;
        };
        if session.lost_route {
            self.due(place, now);
        } else if session.has_frame() {
            self.due(place, now + MIN_RTO);
        }
    }

    #[inline]
    fn emit(&mut self, now: Instant, place: u32, frame: &mut Outgoing<'_, S::Page>) -> Made {
        let Some(session) = self.sessions.get_mut(place) else {
            return Made::Nothing;
        };
        let peer = session.peer;
        // The headers below are written first: without a route nothing else is touched.
        if self.flip.route(now, peer).is_none() {
            // It is sought when the session wakes: what follows from that may wake threads.
            session.lost_route = true;
            return Made::Nothing;
        }
        let Some(payload) = self.fill(now, place, frame) else {
            return Made::Nothing;
        };
        let Some(session) = self.sessions.get_mut(place) else {
            return Made::Nothing;
        };
        if session.deadline > now {
            let due = now + session.round_trip.timeout();
            self.due(place, due);
        }
        frame.length = layout::SESSION_AT + payload;
        if self.flip.needs_fragmenting(payload) {
            self.counters.page_copies += frame.pages.len() as u64;
            // If FLIP cannot take it now, it is as if the frame were lost on the way.
            let _ = self.flip.fragment(now, peer, self.address, frame);
            frame.pages.clear();
            return Made::Queued;
        }
        match self.flip.emit(now, peer, self.address, payload, frame) {
            Ok(()) => Made::Frame,
            Err(_) => Made::Nothing,
        }
    }

    /// Writes session header and body; returns the bytes of FLIP payload.
    #[inline]
    fn fill(
        &mut self,
        now: Instant,
        place: u32,
        frame: &mut Outgoing<'_, S::Page>,
    ) -> Option<usize> {
        let session = self.sessions.get_mut(place)?;
        if session
            .owed
            .intersects(Owed::HELLO | Owed::WELCOME | Owed::PROBE | Owed::ANSWER)
        {
            return self.fill_owed(place, frame);
        }
        if session.state != State::Established {
            return None;
        }
        let limits = (session.frame_pages, session.frame_limit);
        let arrived = session.inbox.window.next();
        let taken = session
            .out
            .take(now, arrived, |outbound, head| plan(outbound, head, limits));
        let Some(Departure {
            sequence,
            cargo,
            acknowledged,
        }) = taken
        else {
            if session.owed.contains(Owed::ACK) {
                return Some(self.write_unsequenced(place, Kind::Ack, frame));
            }
            return None;
        };
        let header = Repr {
            sequence,
            acknowledged,
            ..Repr::new(Kind::Control)
        };
        match cargo {
            Cargo::Control(control) => {
                let mut header = header;
                control.emit(&mut header);
                self.write_header(place, header, frame);
                Some(session::LENGTH)
            }
            Cargo::Pages {
                slot,
                head: true,
                first: _,
                count,
            } => self.fill_message(place, header, slot, u32::from(count), frame),
            Cargo::Pages {
                slot,
                head: false,
                first,
                count,
            } => self.fill_part(place, header, slot, first, u32::from(count), frame),
        }
    }

    #[cold]
    fn fill_owed(&mut self, place: u32, frame: &mut Outgoing<'_, S::Page>) -> Option<usize> {
        let session = self.sessions.get_mut(place)?;
        for (owed, kind) in [(Owed::HELLO, Kind::Hello), (Owed::WELCOME, Kind::Welcome)] {
            if session.owed.contains(owed) {
                session.owed.remove(owed);
                return self.fill_greeting(place, kind, frame);
            }
        }
        let kind = if session.owed.contains(Owed::PROBE) {
            Kind::Probe
        } else {
            Kind::Ack
        };
        let owed = if kind == Kind::Probe {
            Owed::PROBE
        } else {
            Owed::ANSWER
        };
        session.owed.remove(owed);
        Some(self.write_unsequenced(place, kind, frame))
    }

    /// Writes a frame without a number, which acknowledges everything that has arrived.
    pub(crate) fn write_unsequenced(
        &mut self,
        place: u32,
        kind: Kind,
        frame: &mut Outgoing<'_, S::Page>,
    ) -> usize {
        let mut header = Repr::new(kind);
        if let Some(session) = self.sessions.get(place) {
            header.sequence = session.out.horizon();
            header.acknowledged = session.inbox.window.next();
        }
        self.write_header(place, header, frame);
        session::LENGTH
    }

    /// Completes the header with the session's state and writes it. Most frames acknowledge all
    /// that has arrived.
    #[inline]
    fn write_header(&mut self, place: u32, mut header: Repr, frame: &mut Outgoing<'_, S::Page>) {
        header.credit = self.credit;
        if let Some(session) = self.sessions.get_mut(place) {
            header.session = session.peer_number;
            if header.acknowledged == session.inbox.window.next() {
                header.selective = session.inbox.window.selective();
                session.inbox.unacknowledged = 0;
                session.inbox.acknowledge_by = None;
                session.owed.remove(Owed::ACK);
            }
        }
        header.emit(layout::session_mut(frame.head));
    }

    #[inline]
    fn fill_message(
        &mut self,
        place: u32,
        mut header: Repr,
        slot: u32,
        count: u32,
        frame: &mut Outgoing<'_, S::Page>,
    ) -> Option<usize> {
        let session = self.sessions.get_mut(place)?;
        let outbound = label(session, slot, header.sequence)?;
        let message = &outbound.message;
        let memory = message.memory();
        let sent = memory.len().min(count as usize * PAGE_SIZE);
        let call = message.context();
        let with_context = call != norma_ipc::Context::default();
        let inline = message.data().len();
        let plan = MessageLayout::plan(inline, outbound.descriptors.len(), with_context, sent);
        header.kind = Kind::Message;
        header.flags.set(Flags::CONTEXT, with_context);
        header.flags.set(Flags::RPC, message.expects_reply());
        header.flags.set(Flags::SEND_ONCE, outbound.once);
        header.flags.set(Flags::FRESH, outbound.fresh);
        header.rights = outbound.descriptors.len() as u8;
        header.inline = inline as u16;
        header.destination = outbound.destination;
        header.reply = outbound.reply;
        header.id = message.id();
        header.memory = memory.len() as u32;
        header.after = outbound.after;
        for page in &memory.pages()[..count as usize] {
            frame.pages.push(page.share()).ok()?;
        }
        let body = layout::body_mut(frame.head);
        if plan.trailer == 0 && outbound.descriptors.is_empty() && !with_context {
            if inline > 0 {
                body[..inline].copy_from_slice(message.data());
                self.counters.inline_copies += 1;
            }
            if plan.pages > 0 {
                body[inline..].fill(0);
            }
        } else {
            let trailer_pages = plan.trailer_pages();
            for _ in 0..trailer_pages {
                let page = self.source.allocate();
                let Some(page) = page else {
                    session.out.flight.spoil(header.sequence);
                    return None;
                };
                frame.pages.push(page).ok()?;
            }
            let trailer = &mut frame.pages[count as usize..];
            write_stream(outbound, with_context, body, trailer)?;
            self.counters.inline_copies += 1;
        }
        self.write_header(place, header, frame);
        Some(plan.payload_length())
    }

    fn fill_part(
        &mut self,
        place: u32,
        mut header: Repr,
        slot: u32,
        first: u32,
        count: u32,
        frame: &mut Outgoing<'_, S::Page>,
    ) -> Option<usize> {
        let outbound = self.sessions.get(place)?.out.messages.get(slot)?;
        let memory = outbound.message.memory();
        let (from, to) = (first as usize, (first + count) as usize);
        let bytes = memory.len().min(to * PAGE_SIZE) - from * PAGE_SIZE;
        for page in &memory.pages()[from..to] {
            frame.pages.push(page.share()).ok()?;
        }
        header.kind = Kind::Part;
        header.destination = outbound.sequence;
        header.reply = first;
        header.memory = memory.len() as u32;
        layout::body_mut(frame.head).fill(0);
        self.write_header(place, header, frame);
        Some(HEAD_PAYLOAD + bytes)
    }
}

/// Pages of `outbound` for its next frame to a peer whose frames carry `(pages, bytes)`.
#[inline]
fn plan<P>(outbound: &Outbound<P>, head: bool, limits: (u32, u32)) -> u32 {
    let (pages, bytes) = limits;
    if !head {
        return pages;
    }
    let message = &outbound.message;
    let context = message.context() != norma_ipc::Context::default();
    let plan = MessageLayout::plan(message.data().len(), outbound.descriptors.len(), context, 0);
    if plan.trailer == 0 {
        return pages;
    }
    // The trailer travels with the head, in pages of the receiver's buffer behind the data.
    let room = (bytes as usize).saturating_sub(HEAD_PAYLOAD + plan.trailer) / PAGE_SIZE;
    let places = norma_flip::FRAME_PAGES - plan.trailer_pages();
    pages.min(room.min(places) as u32)
}

/// How many whole pages fit a frame with `limit` bytes of session payload. At least one:
/// where a page does not fit, FLIP cuts the frame.
pub(crate) fn pages_per_frame(limit: u32) -> u32 {
    (limit.saturating_sub(HEAD_PAYLOAD as u32) / PAGE_SIZE as u32).clamp(1, DATA_PAGES)
}

/// Gives a message that is sent for the first time its number and its place in the order of
/// messages to the same port.
#[inline]
fn label<P>(session: &mut Session<P>, slot: u32, sequence: u32) -> Option<&Outbound<P>> {
    let first = session.out.flight.first_unsettled();
    let outbound = session.out.messages.get_mut(slot)?;
    if outbound.numbered != Some(sequence) {
        outbound.numbered = Some(sequence);
        outbound.after = 0;
        if let Some(import) = outbound.via.and_then(|via| session.imports.of(via)) {
            if let Some(last) = import
                .last
                .filter(|last| !crate::window::before(*last, first))
            {
                outbound.after = sequence.wrapping_sub(last) as u16;
            }
            import.last = Some(sequence);
            outbound.fresh = core::mem::take(&mut import.fresh);
        }
    }
    Some(outbound)
}

/// Writes inline data, descriptors and context one behind the other: first into the head, then
/// into the trailer's pages.
fn write_stream<P: Page>(
    outbound: &Outbound<P>,
    with_context: bool,
    body: &mut [u8; HEAD_BODY],
    trailer: &mut [P],
) -> Option<()> {
    let mut at = 0;
    let mut write = |mut bytes: &[u8]| -> Option<()> {
        while !bytes.is_empty() {
            let space = if at < HEAD_BODY {
                &mut body[at..]
            } else {
                let behind = at - HEAD_BODY;
                &mut trailer.get_mut(behind / PAGE_SIZE)?.bytes_mut()?[behind % PAGE_SIZE..]
            };
            let count = space.len().min(bytes.len());
            space[..count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            at += count;
        }
        Some(())
    };
    write(outbound.message.data())?;
    for repr in &outbound.descriptors {
        let mut bytes = [0; descriptor::LENGTH];
        repr.emit(&mut bytes);
        write(&bytes)?;
    }
    if with_context {
        let call = outbound.message.context();
        let mut bytes = [0; context::LENGTH];
        let repr = context::Repr {
            deadline: call.deadline,
            trace: call.trace,
            priority: call.priority,
        };
        repr.emit(&mut bytes);
        write(&bytes)?;
    }
    if at < HEAD_BODY {
        body[at..].fill(0);
    }
    Some(())
}
