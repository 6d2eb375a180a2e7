//! Frames in: checks, the session they belong to, acknowledgements, and messages put together.
//!
//! Whatever arrives is hostile until checked: a frame that makes no sense is dropped with a
//! counted reason and changes nothing. A frame counts as arrived only when all that it carries
//! has been taken.

use alloc::vec::Vec;

use norma_flip::{Address, Incoming, Input, Instant};
use norma_ipc::limits::{MAX_INLINE, MAX_MEMORY, MAX_RIGHTS};
use norma_ipc::{Message, PAGE_SIZE, PageSource};
use norma_wire::control::Control;
use norma_wire::layout::{self, BODY_AT, HEAD_BODY, MessageLayout};
use norma_wire::session::{Flags, Header, Kind};
use norma_wire::{context, descriptor};

use crate::counters::Drop;
use crate::flight::Acknowledgement;
use crate::inbox::{Contents, Label, Parcel};
use crate::node::{Node, PLACE_MASK};
use crate::session::{Owed, Session, State};
use crate::window::{Admission, before};

/// Where the pages of a frame begin.
const PAGES_AT: usize = layout::HEAD;

impl<S: PageSource> Node<S> {
    /// Takes a received frame. Pages that are kept are replaced in it by fresh ones.
    #[inline]
    pub fn handle_frame(&mut self, now: Instant, frame: &mut Incoming<'_, S::Page>) {
        match self.flip.handle_frame(now, frame, &mut self.source) {
            Input::Deliver { source, length, .. } => {
                self.handle_datagram(now, source, length, frame);
            }
            Input::Reassembled {
                source,
                length,
                mut datagram,
                ..
            } => {
                let mut whole = datagram.incoming();
                self.counters.page_copies += whole.pages.len() as u64;
                self.handle_reassembled(now, source, length, &mut whole);
            }
            Input::Absorbed | Input::Dropped(_) => self.drain_flip(now),
        }
    }

    #[cold]
    fn handle_reassembled(
        &mut self,
        now: Instant,
        source: Address,
        length: usize,
        frame: &mut Incoming<'_, S::Page>,
    ) {
        self.handle_datagram(now, source, length, frame);
    }

    #[inline(always)]
    fn handle_datagram(
        &mut self,
        now: Instant,
        source: Address,
        length: usize,
        frame: &mut Incoming<'_, S::Page>,
    ) {
        let head: &[u8] = frame.head;
        let bytes = head.get(layout::SESSION_AT..).and_then(<[u8]>::first_chunk);
        let Some(Ok(header)) = bytes.map(Header::from_array) else {
            return self.counters.drop(Drop::Malformed);
        };
        self.unhurried = 0;
        let kind = header.kind();
        if matches!(kind, Kind::Hello | Kind::Welcome | Kind::Reset) {
            return self.handle_greeting(now, source, &header, length, frame);
        }
        let Some(place) = self.session_of(now, source, header.session()) else {
            return self.counters.drop(Drop::UnknownSession);
        };
        self.handle_session_frame(now, place, &header, length, frame);
        self.list(place);
    }

    /// The session that a frame of `source` with that number belongs to, ready to be used.
    #[inline]
    fn session_of(&mut self, now: Instant, source: Address, number: u32) -> Option<u32> {
        let place = number & PLACE_MASK;
        match self.sessions.get(place) {
            Some(session) if session.number == number => match session.state {
                State::Established if session.peer == source => return Some(place),
                State::Offered if session.peer == source => {
                    self.accept_offer(now, place);
                    return Some(place);
                }
                // The peer is ahead of us: its WELCOME is still on the way, or was lost and
                // comes again.
                State::Connecting => return None,
                _ => {}
            },
            _ => {}
        }
        // Tell the peer that it talks to nobody; the list is short on purpose.
        let _ = self.resets.push((source, number));
        None
    }

    #[inline(always)]
    fn handle_session_frame(
        &mut self,
        now: Instant,
        place: u32,
        header: &Header<'_>,
        length: usize,
        frame: &mut Incoming<'_, S::Page>,
    ) {
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        session.liveness.heard(now);
        session.confirmed = true;
        session.lost_route = false;
        let kind = header.kind();
        let mut new = false;
        if kind.is_sequenced() {
            match session.inbox.window.admit(header.sequence()) {
                Admission::New => {
                    if let Err(reason) = self.take_content(now, place, header, length, frame) {
                        return self.counters.drop(reason);
                    }
                    new = true;
                }
                Admission::Duplicate => {
                    // Our acknowledgement was lost, or the peer is impatient.
                    session.owed.insert(Owed::ACK);
                    self.counters.drop(Drop::Duplicate);
                }
                Admission::Beyond => return self.counters.drop(Drop::Beyond),
            }
        } else {
            if layout::check_fixed(kind, length).is_err() {
                return self.counters.drop(Drop::Malformed);
            }
            if kind == Kind::Probe {
                session.owed.insert(Owed::ANSWER);
            }
        }
        self.handle_acknowledgement(now, place, header, new);
    }

    /// What every frame says about ours; and if it is a `new` one, when to acknowledge it.
    #[inline(always)]
    fn handle_acknowledgement(&mut self, now: Instant, place: u32, header: &Header<'_>, new: bool) {
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        if new {
            let every = self.acknowledge_every;
            session.arrived(now, header.sequence(), every, &mut self.deadline);
        }
        let said = Acknowledgement {
            acknowledged: header.acknowledged(),
            selective: header.selective(),
            credit: header.credit(),
            horizon: header.sequence(),
        };
        let Session {
            inbox,
            out,
            round_trip,
            ..
        } = session;
        let waits = new && !inbox.is_empty();
        out.flight
            .acknowledge(now, said, inbox.window.next(), round_trip);
        let mut settled = out.poll_settled();
        while let Some(slot) = settled {
            self.settle(now, place, slot);
            let session = self.sessions.get_mut(place);
            settled = session.and_then(|session| session.out.poll_settled());
        }
        if waits {
            self.deliver_whole(now, place);
            self.unhurried = self.unhurried_frames(place);
        }
    }

    /// How many frames of a session may come before there is something to do about them.
    fn unhurried_frames(&self, place: u32) -> u16 {
        let every = u16::from(self.acknowledge_every);
        let Some(session) = self.sessions.get(place) else {
            return 0;
        };
        let inbox = &session.inbox;
        let missing = inbox.least_missing() as u32;
        if missing == 0 || inbox.window.has_gap() {
            return 0;
        }
        let frames = missing.div_ceil(session.frame_pages.max(1));
        // The one with which the acknowledgement is due is looked at.
        let acknowledged = every - u16::from(inbox.unacknowledged) % every;
        let frames = acknowledged.min(frames.min(u32::from(every)) as u16);
        frames - 1
    }

    #[inline]
    fn take_content(
        &mut self,
        now: Instant,
        place: u32,
        header: &Header<'_>,
        length: usize,
        frame: &mut Incoming<'_, S::Page>,
    ) -> Result<(), Drop> {
        match header.kind() {
            Kind::Message => self.take_message(now, place, header, length, frame),
            Kind::Part => self.take_part(place, header, length, frame),
            _ => {
                layout::check_fixed(header.kind(), length).map_err(|_| Drop::Malformed)?;
                match Control::parse(header) {
                    Ok(control) => self.handle_control(now, place, control),
                    // It has arrived, and means nothing to us (W-26).
                    Err(_) => self.counters.drop(Drop::Malformed),
                }
                Ok(())
            }
        }
    }

    #[inline(always)]
    fn take_message(
        &mut self,
        now: Instant,
        place: u32,
        header: &Header<'_>,
        length: usize,
        frame: &mut Incoming<'_, S::Page>,
    ) -> Result<(), Drop> {
        let plan = MessageLayout::parse(header, length).map_err(|_| Drop::Malformed)?;
        let memory = header.memory() as usize;
        let inline = usize::from(header.inline());
        if inline > MAX_INLINE || usize::from(header.rights()) > MAX_RIGHTS || memory > MAX_MEMORY {
            return Err(Drop::Malformed);
        }
        let session = self.sessions.get_mut(place).ok_or(Drop::Stale)?;
        // Room for REFUSED, should it come to that.
        session.out.promise(1).map_err(|_| Drop::NoMemory)?;
        let label = Label {
            sequence: header.sequence(),
            flags: header.flags(),
            destination: header.destination(),
            reply: header.reply(),
            after: header.after(),
        };
        let here = plan.page_bytes >= memory;
        let now_or_later = here && session.inbox.may_deliver(&label);
        let Ok(mut message) = self.ipc.new_message() else {
            session.out.forgive(1);
            return Err(Drop::NoMemory);
        };
        let contents = match self.read_message(header, &plan, frame, here, &mut message) {
            Ok(rights) => Contents::Rights(rights),
            Err(Drop::NoMemory) => Contents::Hopeless,
            Err(reason) => {
                self.ipc.discard(message);
                self.forgive(place, 1);
                return Err(reason);
            }
        };
        if now_or_later {
            self.deliver(now, place, &label, message, &contents);
            return Ok(());
        }
        let parcel = Parcel {
            label,
            message,
            contents,
        };
        if here {
            // Nothing of it is missing, nor will be, even if there was no memory for all.
            let memory = parcel.message.memory().len();
            return self.put_aside(place, parcel, memory, &mut []);
        }
        let pages = frame.pages.get_mut(..plan.pages).unwrap_or_default();
        self.put_aside(place, parcel, memory, pages)
    }

    /// Keeps the head of a message whose pages or whose turn have not come yet, with the first
    /// `pages`, which are whole.
    fn put_aside(
        &mut self,
        place: u32,
        parcel: Parcel<S::Page>,
        memory: usize,
        pages: &mut [S::Page],
    ) -> Result<(), Drop> {
        let Node {
            sessions,
            source,
            ipc,
            ..
        } = self;
        let session = sessions.get_mut(place).ok_or(Drop::Stale)?;
        let Session { inbox, out, .. } = session;
        let count = parcel.message.memory().pages().len() + pages.len();
        let index = match inbox.partial(parcel.label.sequence, memory, 0, count) {
            Ok(index) => index,
            Err(reason) => {
                out.forgive(1);
                ipc.discard(parcel.message);
                return Err(reason);
            }
        };
        inbox.put_parcel(index, parcel);
        let used = pages.len() * PAGE_SIZE;
        inbox.put_pages(index, 0, pages, used, source);
        Ok(())
    }

    /// Reads a message off its frame; with `whole`, its memory too. Returns its rights.
    #[inline(always)]
    fn read_message(
        &mut self,
        header: &Header<'_>,
        plan: &MessageLayout,
        frame: &mut Incoming<'_, S::Page>,
        whole: bool,
        message: &mut Message<S::Page>,
    ) -> Result<Vec<descriptor::Repr>, Drop> {
        let inline = usize::from(header.inline());
        message.set_id(header.id());
        message.set_expects_reply(header.flags().contains(Flags::RPC));
        if inline > 0 {
            read_inline(frame, plan, inline, message)?;
            self.counters.inline_copies += 1;
        }
        let mut descriptors = Vec::new();
        if header.rights() > 0 {
            let count = usize::from(header.rights());
            descriptors
                .try_reserve_exact(count)
                .map_err(|_| Drop::NoMemory)?;
            for number in 0..count {
                let mut bytes = [0; descriptor::LENGTH];
                read_stream(frame, plan, inline + number * bytes.len(), &mut bytes)?;
                let view =
                    descriptor::Descriptor::from_array(&bytes).map_err(|_| Drop::Malformed)?;
                descriptors.push(descriptor::Repr::parse(&view));
            }
        }
        if header.flags().contains(Flags::CONTEXT) {
            let mut bytes = [0; context::LENGTH];
            read_stream(frame, plan, plan.stream - bytes.len(), &mut bytes)?;
            let call = context::Repr::parse(&context::Context::from_array(&bytes));
            message.set_context(norma_ipc::Context {
                deadline: call.deadline,
                trace: call.trace,
                priority: call.priority,
            });
        }
        if whole && plan.pages > 0 {
            let memory = header.memory() as usize;
            let pages = frame.pages.get_mut(..memory.div_ceil(PAGE_SIZE));
            let pages = pages.ok_or(Drop::Malformed)?;
            message
                .memory_mut()
                .take_over(pages, memory, &mut self.source)
                .map_err(|_| Drop::NoMemory)?;
        }
        Ok(descriptors)
    }

    fn take_part(
        &mut self,
        place: u32,
        header: &Header<'_>,
        length: usize,
        frame: &mut Incoming<'_, S::Page>,
    ) -> Result<(), Drop> {
        let plan = MessageLayout::parse(header, length).map_err(|_| Drop::Malformed)?;
        let memory = header.memory() as usize;
        let first = header.reply() as usize;
        let end = first
            .checked_mul(PAGE_SIZE)
            .and_then(|at| at.checked_add(plan.page_bytes));
        // Whole pages, or up to the last byte; and never before its own MESSAGE.
        let fits = end.is_some_and(|end| {
            end == memory || (end < memory && plan.page_bytes.is_multiple_of(PAGE_SIZE))
        });
        if !fits || memory > MAX_MEMORY || !before(header.destination(), header.sequence()) {
            return Err(Drop::Malformed);
        }
        let Node {
            sessions, source, ..
        } = self;
        let session = sessions.get_mut(place).ok_or(Drop::Stale)?;
        let index = session
            .inbox
            .partial(header.destination(), memory, first, plan.pages)?;
        let pages = frame.pages.get_mut(..plan.pages).ok_or(Drop::Malformed)?;
        session
            .inbox
            .put_pages(index, first, pages, plan.page_bytes, source);
        Ok(())
    }

    /// Delivers messages that became whole, or whose turn it became.
    #[cold]
    fn deliver_whole(&mut self, now: Instant, place: u32) {
        while let Some(session) = self.sessions.get_mut(place)
            && !session.inbox.is_empty()
            && let Some(parcel) = session.inbox.poll_whole()
        {
            let Parcel {
                label,
                message,
                contents,
            } = parcel;
            self.deliver(now, place, &label, message, &contents);
        }
    }
}

/// Reads inline data: the first 64 bytes from the head, the rest from the trailer.
#[inline]
fn read_inline<P: norma_ipc::Page>(
    frame: &Incoming<'_, P>,
    plan: &MessageLayout,
    inline: usize,
    message: &mut Message<P>,
) -> Result<(), Drop> {
    let in_head = inline.min(HEAD_BODY);
    let head = frame
        .head
        .get(BODY_AT..BODY_AT + in_head)
        .ok_or(Drop::Malformed)?;
    message.set_data(head).map_err(|_| Drop::NoMemory)?;
    let mut left = inline - in_head;
    for page in frame.pages.iter().skip(plan.pages) {
        if left == 0 {
            break;
        }
        let count = left.min(PAGE_SIZE);
        message
            .extend_data(&page.bytes()[..count])
            .map_err(|_| Drop::NoMemory)?;
        left -= count;
    }
    if left == 0 {
        Ok(())
    } else {
        Err(Drop::Malformed)
    }
}

/// Reads `out.len()` bytes of the stream from `at` on; they may lie across head and trailer.
fn read_stream<P: norma_ipc::Page>(
    frame: &Incoming<'_, P>,
    plan: &MessageLayout,
    at: usize,
    out: &mut [u8],
) -> Result<(), Drop> {
    let in_head = HEAD_BODY.saturating_sub(at).min(out.len());
    let (first, rest) = out.split_at_mut(in_head);
    let behind = (at + in_head).saturating_sub(HEAD_BODY);
    let trailer = PAGES_AT + plan.pages * PAGE_SIZE;
    let found = frame.copy_to(BODY_AT + at.min(HEAD_BODY), first)
        && (rest.is_empty() || frame.copy_to(trailer + behind, rest));
    if found { Ok(()) } else { Err(Drop::Malformed) }
}
