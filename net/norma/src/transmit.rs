//! Frames out: whose turn it is, and the way into FLIP.
//!
//! Leaves to others: what is in a session's frame (`fill`), and on which of several networks it
//! goes out (`roads`).

use norma_flip::{Address, Flip, FragmentError, Instant, NetworkId, Outgoing};
use norma_ipc::{Page, PageSource};
use norma_wire::layout;

use crate::handshake::Introduction;
use crate::limits::MIN_RTO;
use crate::node::{LEAST_PAYLOAD, Node};
use crate::session::Owed;

/// What came of trying to make a frame.
pub(crate) enum Made {
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
    /// none. Call after every other call until it gives `false`. For a node on one network.
    #[inline(always)]
    pub fn poll_transmit(&mut self, now: Instant, frame: &mut Outgoing<'_, S::Page>) -> bool {
        self.poll_transmit_by(now, frame, Self::emit)
    }

    /// As [`Node::poll_transmit`], which is inlined where it is called, but not so: for calls that
    /// are seldom made.
    #[cold]
    #[inline(never)]
    pub fn poll_transmit_apart(&mut self, now: Instant, frame: &mut Outgoing<'_, S::Page>) -> bool {
        self.poll_transmit_by(now, frame, Self::emit_apart)
    }

    #[inline(always)]
    fn poll_transmit_by(
        &mut self,
        now: Instant,
        frame: &mut Outgoing<'_, S::Page>,
        emit: impl Fn(&mut Self, Instant, NetworkId, u32, &mut Outgoing<'_, S::Page>) -> Made,
    ) -> bool {
        const NETWORK: NetworkId = NetworkId::FIRST;
        loop {
            // FLIP cuts one datagram at a time.
            if self.flip.is_cutting(NETWORK)
                && self
                    .flip
                    .poll_transmit(now, NETWORK, frame, &mut self.source)
            {
                return true;
            }
            let Some(place) = self.ready.pop() else {
                break;
            };
            match emit(self, now, NETWORK, place, frame) {
                Made::Frame => return true,
                Made::Queued => {}
                Made::Nothing => self.try_later(now, place, frame),
            }
        }
        self.flip
            .poll_transmit(now, NETWORK, frame, &mut self.source)
            || (!self.resets.is_empty() && self.emit_reset(now, NETWORK, frame))
    }

    /// A session could not make its frame, for want of a route or of memory.
    #[cold]
    pub(crate) fn try_later(
        &mut self,
        now: Instant,
        place: u32,
        frame: &mut Outgoing<'_, S::Page>,
    ) {
        // The frame may hold pages already.
        frame.pages.clear();
        if let Some(session) = self.sessions.get_mut(place) {
            if session.lost_route {
                // It is sought when the session wakes: what follows from that may wake threads.
                session.due(now, &mut self.deadline);
            } else if session.out.flight.take_spoilt() || session.has_frame() {
                // It may be that nothing else is due in this session for a minute.
                session.due(now + MIN_RTO, &mut self.deadline);
            }
        }
    }

    /// As [`Node::emit`], for who need not save the call.
    #[cold]
    #[inline(never)]
    pub(crate) fn emit_apart(
        &mut self,
        now: Instant,
        network: NetworkId,
        place: u32,
        frame: &mut Outgoing<'_, S::Page>,
    ) -> Made {
        self.emit(now, network, place, frame)
    }

    /// Makes the next frame of a session.
    #[inline(always)]
    fn emit(
        &mut self,
        now: Instant,
        network: NetworkId,
        place: u32,
        frame: &mut Outgoing<'_, S::Page>,
    ) -> Made {
        let Node {
            sessions,
            flip,
            source,
            counters,
            ready,
            deadline,
            ..
        } = self;
        let Some(session) = sessions.get_mut(place) else {
            return Made::Nothing;
        };
        session.listed = false;
        let filled = if session.owed.intersects(Owed::HELLO | Owed::WELCOME) {
            let introduction = Introduction {
                config: &self.config,
                incarnation: self.incarnation,
            };
            Some(session.fill_greeting(&introduction, frame))
        } else {
            session.fill(now, source, counters, frame)
        };
        let Some(payload) = filled else {
            return Made::Nothing;
        };
        frame.length = layout::SESSION_AT + payload;
        crate::check::write(frame.head, payload);
        let (peer, own) = (session.peer, self.address);
        // What fits the smallest card fits all.
        let limit = session.frame_limit as usize;
        let cuts = payload > LEAST_PAYLOAD
            && (payload > limit || flip.needs_fragmenting(network, payload));
        let made = if cuts {
            counters.page_copies += frame.pages.len() as u64;
            cut(flip, now, [peer, own], limit, frame)
        } else {
            flip.emit(now, network, peer, own, payload, frame)
                .ok()
                .map(|()| Made::Frame)
        };
        let Some(made) = made else {
            session.lose_route();
            return Made::Nothing;
        };
        session.due(now + session.look, deadline);
        session.list(place, ready);
        made
    }
}

/// Has FLIP cut a frame that is too long for some network on the way; none without a route.
#[cold]
fn cut<P: Page>(
    flip: &mut Flip<P>,
    now: Instant,
    [peer, own]: [Address; 2],
    limit: usize,
    frame: &mut Outgoing<'_, P>,
) -> Option<Made> {
    let cut = flip.fragment_within(now, peer, own, limit, frame);
    frame.pages.clear();
    // If FLIP had no memory, it is as if the frame were lost on the way.
    (cut != Err(FragmentError::NoRoute)).then_some(Made::Queued)
}
