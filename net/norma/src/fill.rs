//! Writing one frame of a session: headers, data, and pages shared with the message.
//!
//! A frame is written straight into the device's memory. Pages are shared with the message,
//! which keeps them until its fate is known; nothing of them is copied.

use norma_flip::{Instant, Outgoing};
use norma_ipc::{PAGE_SIZE, Page, PageSource, Step};
use norma_wire::control::Control;
use norma_wire::layout::{self, HEAD_BODY, HEAD_PAYLOAD, MessageLayout};
use norma_wire::session::{self, Flags, Kind, Repr};
use norma_wire::{context, descriptor};

use crate::ack;
use crate::counters::Counters;
use crate::flight::Departure;
use crate::outbound::{Outbound, Packed};
use crate::outbox::Cargo;
use crate::rights::Imports;
use crate::session::{Owed, Session, State};

/// Pages of a frame that may carry out-of-line memory; the last is kept for a trailer.
const DATA_PAGES: u32 = norma_flip::FRAME_PAGES as u32 - 1;

impl<P: Page> Session<P> {
    /// Writes session header and body of the next frame that is no greeting; returns the bytes
    /// of FLIP payload.
    #[inline(always)]
    pub(crate) fn fill(
        &mut self,
        now: Instant,
        source: &mut impl PageSource<Page = P>,
        counters: &mut Counters,
        frame: &mut Outgoing<'_, P>,
    ) -> Option<usize> {
        if self.state != State::Established {
            return None;
        }
        if self.owed.intersects(Owed::PROBE | Owed::ANSWER) {
            return Some(self.fill_owed(now, frame));
        }
        let limits = (self.frame_pages, self.frame_limit);
        let arrived = self.inbox.window.next();
        let Session { out, imports, .. } = self;
        let taken = out.take(
            now,
            arrived,
            |outbound, first| label(imports, outbound, first),
            |outbound, head| plan(outbound, head, limits),
        );
        let Some(Departure {
            sequence,
            cargo,
            acknowledged,
        }) = taken
        else {
            return self
                .owed
                .contains(Owed::ACK)
                .then(|| self.fill_ack(0, frame));
        };
        let start = Start {
            now,
            sequence,
            acknowledged,
            credit: self.credit,
        };
        match cargo {
            Cargo::Pages {
                slot,
                head: true,
                first: _,
                count,
            } => self.fill_message(start, slot, u32::from(count), source, counters, frame),
            Cargo::Pages {
                slot,
                head: false,
                first,
                count,
            } => self.fill_part(start, slot, first, u32::from(count), frame),
            Cargo::Control(control) => Some(self.fill_control(start, control, frame)),
        }
    }

    #[cold]
    fn fill_control(
        &mut self,
        start: Start,
        control: Control,
        frame: &mut Outgoing<'_, P>,
    ) -> usize {
        let mut header = start.header(Kind::Control);
        control.emit(&mut header);
        self.write_header(header, frame);
        session::LENGTH
    }

    #[cold]
    fn fill_owed(&mut self, now: Instant, frame: &mut Outgoing<'_, P>) -> usize {
        if self.owed.contains(Owed::PROBE) {
            self.owed.remove(Owed::PROBE);
            let probe = Repr {
                id: self.out.flight.ask(now),
                ..Repr::new(Kind::Probe)
            };
            self.write_unsequenced(probe, frame);
            return session::LENGTH;
        }
        self.owed.remove(Owed::ANSWER);
        let echo = core::mem::take(&mut self.echo);
        self.fill_ack(echo, frame)
    }

    #[cold]
    fn fill_ack(&mut self, echo: u32, frame: &mut Outgoing<'_, P>) -> usize {
        let held_back = core::mem::take(&mut self.held_back);
        let payload = ack::fill(&self.inbox.window, frame.head);
        self.write_unsequenced(ack::header(echo, held_back), frame);
        payload
    }

    /// Writes a frame without a number, which acknowledges everything that has arrived.
    #[cold]
    pub(crate) fn write_unsequenced(&mut self, header: Repr, frame: &mut Outgoing<'_, P>) {
        let (sequence, acknowledged) = (self.out.horizon(), self.inbox.window.next());
        self.write_header(
            Repr {
                sequence,
                acknowledged,
                credit: self.credit,
                ..header
            },
            frame,
        );
    }

    /// Completes the header with the session's state and writes it. Most frames acknowledge all
    /// that has arrived.
    #[inline(always)]
    fn write_header(&mut self, mut header: Repr, frame: &mut Outgoing<'_, P>) {
        header.session = self.peer_number;
        let inbox = &mut self.inbox;
        if header.acknowledged == inbox.window.next() {
            header.selective = inbox.window.selective();
            inbox.unacknowledged = 0;
            inbox.acknowledge_by = None;
            self.owed.remove(Owed::ACK);
        }
        header.emit(layout::session_mut(frame.head));
    }

    #[inline(always)]
    fn fill_message(
        &mut self,
        start: Start,
        slot: u32,
        count: u32,
        source: &mut impl PageSource<Page = P>,
        counters: &mut Counters,
        frame: &mut Outgoing<'_, P>,
    ) -> Option<usize> {
        let outbound = self.out.messages.get(slot)?;
        let message = &outbound.message;
        let with_context = message.has_context();
        let inline = message.data().len();
        let small =
            count == 0 && inline <= HEAD_BODY && outbound.rights.is_empty() && !with_context;
        let payload = if small {
            if inline > 0 {
                layout::body_mut(frame.head)[..inline].copy_from_slice(message.data());
                counters.inline_copies += 1;
            }
            session::LENGTH + inline
        } else {
            match fill_large(start.now, outbound, count, source, counters, frame) {
                Some(payload) => payload,
                None => {
                    self.out.flight.spoil(start.sequence);
                    return None;
                }
            }
        };
        let said = message.format().bits() | message.expects().bits();
        let mut flags = Flags::from_bits_retain(said.into());
        flags.set(Flags::CONTEXT, with_context);
        flags |= outbound.flags;
        flags.set(Flags::FRESH, outbound.fresh);
        let header = Repr {
            flags,
            rights: outbound.rights.len() as u8,
            inline: inline as u16,
            destination: outbound.destination,
            reply: outbound.reply,
            id: message.id(),
            memory: message.memory().len() as u32,
            after: outbound.after,
            ..start.header(Kind::Message)
        };
        P::watch(Step::Carried {
            message: message.number(),
            session: self.peer_number,
            sequence: start.sequence,
        });
        self.write_header(header, frame);
        Some(payload)
    }

    #[inline(never)]
    fn fill_part(
        &mut self,
        start: Start,
        slot: u32,
        first: u32,
        count: u32,
        frame: &mut Outgoing<'_, P>,
    ) -> Option<usize> {
        let outbound = self.out.messages.get(slot)?;
        let memory = outbound.message.memory();
        let (from, to) = (first as usize, (first + count) as usize);
        let bytes = memory.len().min(to * PAGE_SIZE) - from * PAGE_SIZE;
        for page in &memory.pages()[from..to] {
            frame.pages.push(page.share()).ok()?;
        }
        let header = Repr {
            destination: outbound.sequence,
            reply: first,
            memory: memory.len() as u32,
            ..start.header(Kind::Part)
        };
        layout::body_mut(frame.head).fill(0);
        self.write_header(header, frame);
        Some(HEAD_PAYLOAD + bytes)
    }
}

/// With what every header of a sequenced frame starts.
#[derive(Clone, Copy)]
struct Start {
    now: Instant,
    sequence: u32,
    acknowledged: u32,
    credit: u8,
}

impl Start {
    #[inline(always)]
    fn header(self, kind: Kind) -> Repr {
        Repr {
            sequence: self.sequence,
            acknowledged: self.acknowledged,
            credit: self.credit,
            ..Repr::new(kind)
        }
    }
}

/// Body, pages and trailer of a MESSAGE frame that carries more than a little inline data;
/// returns the bytes of payload. `None` without memory.
#[inline(never)]
fn fill_large<P: Page>(
    now: Instant,
    outbound: &Outbound<P>,
    count: u32,
    source: &mut impl PageSource<Page = P>,
    counters: &mut Counters,
    frame: &mut Outgoing<'_, P>,
) -> Option<usize> {
    let message = &outbound.message;
    let with_context = message.has_context();
    let inline = message.data().len();
    let sent = message.memory().len().min(count as usize * PAGE_SIZE);
    let plan = MessageLayout::plan(inline, outbound.rights.len(), with_context, sent);
    for page in &message.memory().pages()[..count as usize] {
        frame.pages.push(page.share()).ok()?;
    }
    let body = layout::body_mut(frame.head);
    counters.inline_copies += u64::from(plan.stream > 0);
    if plan.trailer == 0 {
        write_head(now, outbound, body)?;
        if count > 0 {
            body[plan.stream..].fill(0);
        }
    } else {
        for _ in 0..plan.trailer_pages() {
            frame.pages.push(source.allocate()?).ok()?;
        }
        let trailer = &mut frame.pages[count as usize..];
        write_stream(now, outbound, with_context, body, trailer)?;
    }
    Some(plan.payload_length())
}

/// Pages of `outbound` for its next frame to a peer whose frames carry `(pages, bytes)`.
#[inline]
fn plan<P>(outbound: &Outbound<P>, head: bool, limits: (u32, u32)) -> u32 {
    let (pages, bytes) = limits;
    if !head {
        return pages;
    }
    let message = &outbound.message;
    let (inline, rights) = (message.data().len(), outbound.rights.len());
    let plan = MessageLayout::plan(inline, rights, message.has_context(), 0);
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

/// Gives a message its place in the order of those to the same port; `first` is the first frame
/// whose fate is not known (W-43).
#[inline(always)]
fn label<P>(imports: &mut Imports, outbound: &mut Outbound<P>, first: u32) {
    outbound.after = 0;
    if let Some(import) = outbound.via.and_then(|via| imports.of(via)) {
        if let Some(last) = import
            .last
            .filter(|last| !crate::window::before(*last, first))
        {
            outbound.after = outbound.sequence.wrapping_sub(last) as u16;
        }
        import.last = Some(outbound.sequence);
        outbound.fresh = core::mem::take(&mut import.fresh);
    }
}

/// Writes inline data, descriptors and context where they fit into the head.
fn write_head<P>(now: Instant, outbound: &Outbound<P>, body: &mut [u8; HEAD_BODY]) -> Option<()> {
    let data = outbound.message.data();
    let (inline, mut rest) = body.split_at_mut_checked(data.len())?;
    if !data.is_empty() {
        inline.copy_from_slice(data);
    }
    for Packed { repr, .. } in &outbound.rights {
        let (place, behind) = rest.split_first_chunk_mut()?;
        repr.emit(place);
        rest = behind;
    }
    if outbound.message.has_context() {
        call_context(now, outbound).emit(rest.first_chunk_mut()?);
    }
    Some(())
}

/// The context as it is now: the time that is left shrinks until the frame goes (W-25).
fn call_context<P>(now: Instant, outbound: &Outbound<P>) -> context::Repr {
    let call = outbound.message.context().left(now.nanos());
    context::Repr {
        deadline: call.deadline,
        trace: call.trace,
        priority: call.priority,
    }
}

/// Writes inline data, descriptors and context one behind the other: first into the head, then
/// into the trailer's pages.
fn write_stream<P: Page>(
    now: Instant,
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
    for Packed { repr, .. } in &outbound.rights {
        let mut bytes = [0; descriptor::LENGTH];
        repr.emit(&mut bytes);
        write(&bytes)?;
    }
    if with_context {
        let mut bytes = [0; context::LENGTH];
        call_context(now, outbound).emit(&mut bytes);
        write(&bytes)?;
    }
    if at < HEAD_BODY {
        body[at..].fill(0);
    }
    Some(())
}
