//! Frames in: checks, the session they belong to, and what they say about our own frames.
//!
//! Whatever arrives is hostile until checked: a frame that makes no sense is dropped with a
//! counted reason and changes nothing. What a frame carries is taken in `content`, and handed
//! over in `deliver`.

use norma_flip::{Address, Incoming, Input, Instant, NetworkId};
use norma_ipc::PageSource;
use norma_wire::control::Control;
use norma_wire::layout;
use norma_wire::session::{Header, Kind};

use crate::ack;
use crate::content::Desk;
use crate::counters::Drop;
use crate::deliver::After;
use crate::flight::Acknowledgement;
use crate::inbox::Parcel;
use crate::node::{Node, PLACE_MASK};
use crate::session::{Owed, State};
use crate::settle::Pending;
use crate::window::Admission;

/// What a frame says about our own frames, while the message in it goes first. Once it is
/// read, what it acknowledges is given up, which nobody waits for as they do for the message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unread {
    place: u32,
    /// When the frame arrived.
    heard: Instant,
    said: Acknowledgement,
}

#[inline(always)]
fn acknowledgement(header: &Header<'_>) -> Acknowledgement {
    Acknowledgement {
        acknowledged: header.acknowledged(),
        selective: header.selective(),
        credit: header.credit(),
        horizon: header.sequence(),
    }
}

impl<S: PageSource> Node<S> {
    /// Takes a received frame. Pages that are kept are replaced in it by fresh ones.
    ///
    /// A message goes first: what its frame says about our own frames is looked at by
    /// [`Node::poll_wake`], when all threads are awake, or by the next call of this or of
    /// [`Node::handle_timeout`].
    #[inline(never)]
    pub fn handle_frame(&mut self, now: Instant, frame: &mut Incoming<'_, S::Page>) {
        self.catch_up();
        let network = NetworkId::FIRST;
        match self
            .flip
            .handle_frame(now, network, frame, &mut self.source)
        {
            Input::Deliver { source, length, .. } => {
                self.handle_datagram(now, source, length, frame);
            }
            other => self.handle_input(now, other, frame),
        }
    }

    /// The same for a frame received on one of several networks ([`Node::add_network`]).
    #[cold]
    #[inline(never)]
    pub fn handle_frame_on(
        &mut self,
        now: Instant,
        network: NetworkId,
        frame: &mut Incoming<'_, S::Page>,
    ) {
        self.catch_up();
        let input = self
            .flip
            .handle_frame(now, network, frame, &mut self.source);
        self.handle_input(now, input, frame);
    }

    /// What FLIP has made of a frame. A datagram in a frame of its own is handled apart from the
    /// code that a node on one network has for it.
    #[cold]
    fn handle_input(
        &mut self,
        now: Instant,
        input: Input<S::Page>,
        frame: &mut Incoming<'_, S::Page>,
    ) {
        match input {
            Input::Deliver { source, length, .. } => {
                self.handle_datagram_apart(now, source, length, frame);
            }
            Input::Reassembled {
                multicast: false,
                source,
                length,
                mut datagram,
                ..
            } => {
                let mut whole = datagram.incoming();
                self.counters.page_copies += whole.pages.len() as u64;
                self.handle_datagram_apart(now, source, length, &mut whole);
            }
            // A session is between two: nothing in it is ever said to many.
            Input::Multicast { .. } | Input::Reassembled { .. } => {
                self.counters.drop(Drop::UnknownSession);
            }
            Input::Absorbed | Input::Dropped(_) => self.drain_flip(now),
        }
    }

    #[cold]
    fn handle_datagram_apart(
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
        if !crate::check::holds(head, length) {
            return self.counters.drop(Drop::Changed);
        }
        self.unhurried = 0;
        let kind = header.kind();
        if matches!(kind, Kind::Hello | Kind::Welcome | Kind::Reset) {
            return self.handle_greeting(now, source, &header, length, frame);
        }
        if let Err(reason) = self.handle_session_frame(now, source, kind, &header, length, frame) {
            self.counters.drop(reason);
            self.list(header.session() & PLACE_MASK);
        }
    }

    /// A frame of no session that is established: of one that is offered, perhaps (W-27).
    #[cold]
    fn handle_unexpected(
        &mut self,
        now: Instant,
        source: Address,
        number: u32,
        length: usize,
        frame: &mut Incoming<'_, S::Page>,
    ) -> Result<(), Drop> {
        let place = number & PLACE_MASK;
        match self.sessions.get(place) {
            Some(session) if session.number == number => match session.state {
                State::Offered if session.peer == source => {
                    self.accept_offer(now, place);
                    self.handle_datagram_apart(now, source, length, frame);
                    return Ok(());
                }
                // The peer is ahead of us: its WELCOME is still on the way, or was lost and
                // comes again.
                State::Connecting => return Err(Drop::UnknownSession),
                _ => {}
            },
            _ => {}
        }
        // Tell the peer that it talks to nobody; the list is short on purpose.
        let _ = self.resets.push((source, number));
        Err(Drop::UnknownSession)
    }

    #[inline(always)]
    fn handle_session_frame(
        &mut self,
        now: Instant,
        source: Address,
        kind: Kind,
        header: &Header<'_>,
        length: usize,
        frame: &mut Incoming<'_, S::Page>,
    ) -> Result<(), Drop> {
        let number = header.session();
        let place = number & PLACE_MASK;
        let session = self.sessions.get_mut(place).filter(|session| {
            session.number == number
                && session.state == State::Established
                && session.peer == source
        });
        let Some(session) = session else {
            return self.handle_unexpected(now, source, number, length, frame);
        };
        let Node {
            ipc,
            source,
            counters,
            deadline,
            ready,
            after,
            ..
        } = self;
        session.liveness.heard(now);
        session.confirmed = true;
        session.lost_route = false;
        if matches!(kind, Kind::Message | Kind::Part | Kind::Control) {
            match session.inbox.window.admit(header.sequence()) {
                Admission::New => {
                    let desk = Desk {
                        ipc,
                        source,
                        counters,
                        after,
                    };
                    match kind {
                        Kind::Message => session.take_message(header, length, frame, desk)?,
                        Kind::Part => session.take_part(header, length, frame, desk.source)?,
                        _ => return self.take_control(now, place, header, length),
                    }
                    session.arrived(now, header.sequence(), deadline);
                }
                Admission::Duplicate => {
                    // Our acknowledgement was lost, or the peer is impatient.
                    session.owed.insert(Owed::ACK);
                    counters.drop(Drop::Duplicate);
                }
                Admission::Beyond => return Err(Drop::Beyond),
            }
        } else {
            layout::check_fixed(kind, length).map_err(|_| Drop::Malformed)?;
            self.take_unsequenced(now, place, kind, header, length, frame);
            return Ok(());
        }
        let said = acknowledgement(header);
        if kind == Kind::Message && after.is_none() && session.inbox.is_empty() {
            self.unread = Some(Unread {
                place,
                heard: now,
                said,
            });
            // What else there may be to send shows when that is read.
            if !session.owed.is_empty() {
                session.list(place, ready);
            }
        } else {
            self.read(now, place, said);
        }
        Ok(())
    }

    /// ACK or PROBE: what they say, and what follows for frames that they do not name.
    #[cold]
    fn take_unsequenced(
        &mut self,
        now: Instant,
        place: u32,
        kind: Kind,
        header: &Header<'_>,
        length: usize,
        frame: &Incoming<'_, S::Page>,
    ) {
        if let Some(session) = self.sessions.get_mut(place)
            && ack::is_held_back(header)
        {
            session.out.flight.held_back(header.acknowledged());
        }
        self.read(now, place, acknowledgement(header));
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        let flight = &mut session.out.flight;
        if kind == Kind::Probe {
            session.owed.insert(Owed::ANSWER);
            session.echo = header.id();
            flight.missed(now);
        } else {
            if let Some(bits) = ack::far(frame.head, length) {
                flight.acknowledge_ahead(now, header.acknowledged(), &bits);
            }
            if header.id() != 0 {
                flight.answered(now, header.id());
            }
        }
        self.list(place);
    }

    /// The rest of what there is to do about a frame, where it cannot wait.
    #[inline(never)]
    fn read(&mut self, now: Instant, place: u32, said: Acknowledgement) {
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        let waits = !session.inbox.is_empty();
        session.acknowledged(now, said);
        if let Some(pending) = session.settle_plain(&mut self.ipc, &mut self.spare) {
            self.settle_pending(now, place, pending);
        }
        // The message of this frame goes before those that waited for it.
        if let Some(after) = self.after.take() {
            self.follow(now, place, after);
        }
        if waits {
            self.deliver_whole(now, place);
        }
        self.list(place);
    }

    #[cold]
    fn take_control(
        &mut self,
        now: Instant,
        place: u32,
        header: &Header<'_>,
        length: usize,
    ) -> Result<(), Drop> {
        layout::check_fixed(Kind::Control, length).map_err(|_| Drop::Malformed)?;
        match Control::parse(header) {
            Ok(control) => self.handle_control(now, place, control),
            // It has arrived, and means nothing to us (W-26).
            Err(_) => self.counters.drop(Drop::Malformed),
        }
        let Some(session) = self.sessions.get_mut(place) else {
            return Ok(());
        };
        session.arrived(now, header.sequence(), &mut self.deadline);
        session.acknowledged(now, acknowledgement(header));
        if let Some(pending) = session.settle_plain(&mut self.ipc, &mut self.spare) {
            self.settle_pending(now, place, pending);
        }
        self.deliver_whole(now, place);
        self.list(place);
        Ok(())
    }

    /// Looks at what [`Node::handle_frame`] left unread.
    #[inline(always)]
    pub(crate) fn catch_up(&mut self) {
        if self.unread.is_some() {
            self.read_unread();
        }
    }

    #[inline(never)]
    fn read_unread(&mut self) {
        let Some(Unread { place, heard, said }) = self.unread.take() else {
            return;
        };
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        session.acknowledged(heard, said);
        if let Some(pending) = session.settle_plain(&mut self.ipc, &mut self.spare) {
            self.settle_pending(heard, place, pending);
        }
        self.list(place);
    }

    /// Settles what needs more than the session, and all else that is settled.
    #[cold]
    fn settle_pending(&mut self, now: Instant, place: u32, pending: Pending<S::Page>) {
        let mut next = Some(pending);
        while let Some(pending) = next {
            match pending {
                Pending::Settle(slot) => self.settle(now, place, slot),
                Pending::Carry(port, waiting) => self.carry_all(now, port, Some(waiting)),
            }
            let session = self.sessions.get_mut(place);
            next = session.and_then(|session| session.settle_plain(&mut self.ipc, &mut self.spare));
        }
    }

    /// Does what is left to do about a message that was delivered.
    #[cold]
    pub(crate) fn follow(&mut self, now: Instant, place: u32, after: After<S::Page>) {
        match after {
            After::Adopt(parcel) => {
                if let Some(after) = self.adopt_message(now, place, parcel) {
                    self.follow(now, place, after);
                }
            }
            After::Serve(message) => self.serve(now, place, message),
            After::Relay(token, via, message) => {
                if let Err(refused) = self.pass_on(now, token, via, message) {
                    self.ipc.discard(refused.message);
                }
            }
        }
    }

    /// Delivers messages that became whole, or whose turn it became.
    #[cold]
    fn deliver_whole(&mut self, now: Instant, place: u32) {
        while let Some(session) = self.sessions.get_mut(place)
            && let Some(parcel) = session.inbox.poll_whole()
        {
            let Parcel {
                label,
                message,
                contents,
            } = parcel;
            let Node { ipc, counters, .. } = self;
            if let Some(after) = session.deliver(ipc, counters, label, message, contents) {
                self.follow(now, place, after);
            }
        }
        self.unhurried = self.unhurried_frames(place);
    }

    /// How many frames of a session may come before there is something to do about them.
    fn unhurried_frames(&self, place: u32) -> u16 {
        let Some(session) = self.sessions.get(place) else {
            return 0;
        };
        let every = u16::from(session.every);
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
}
