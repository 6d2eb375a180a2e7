//! Receive rights that leave: from TAKEN on the port is a stand-in, and its queue follows.
//!
//! Owns: what is done on TAKEN. The port's sink becomes an import of Y, its send-once rights
//! lead to W; STATE goes first, then what was queued, then whoever waited (W-123 to W-125).
//! Peers that hold rights to the port are told MOVED, and refused from then on: they ask where
//! it is (`acquire`), and take what was refused along (`switch`).

use norma_flip::Instant;
use norma_ipc::{Message, NoMemory, PageSource, PortId, RightKind};
use norma_wire::control::Control;

use crate::acquire::Whence;
use crate::carry::Target;
use crate::counters::Drop;
use crate::node::Node;
use crate::outbound::Via;
use crate::rights::{Barred, Destination, PER_EXPORT, token};

/// What identifies STATE, as news.
pub(crate) const STATE: u32 = 7;

/// Bytes of TAKEN: the export of the receive right, Y, and W.
pub(crate) const TAKEN_LENGTH: usize = 12;

/// What TAKEN says, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) place: u32,
    pub(crate) generation: u16,
    /// Our export of the receive right.
    receive: u32,
    /// The peer's exports Y and W.
    index: u32,
    onces: u32,
}

/// What STATE says: 12 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) limit: u16,
    pub(crate) senders: bool,
    pub(crate) no_senders: bool,
    pub(crate) destroyed: bool,
    pub(crate) queued: u32,
    pub(crate) send_onces: u32,
}

impl State {
    pub(crate) fn read(data: &[u8]) -> Option<State> {
        let bytes: &[u8; 12] = data.try_into().ok()?;
        let [a, b, flags, _, c, d, e, f, g, h, i, j] = *bytes;
        Some(State {
            limit: u16::from_le_bytes([a, b]),
            senders: flags & 1 != 0,
            no_senders: flags & 2 != 0,
            destroyed: flags & 4 != 0,
            queued: u32::from_le_bytes([c, d, e, f]),
            send_onces: u32::from_le_bytes([g, h, i, j]),
        })
    }

    fn write(self) -> [u8; 12] {
        let mut data = [0; 12];
        data[..2].copy_from_slice(&self.limit.to_le_bytes());
        data[2] =
            u8::from(self.senders) | u8::from(self.no_senders) << 1 | u8::from(self.destroyed) << 2;
        data[4..8].copy_from_slice(&self.queued.to_le_bytes());
        data[8..].copy_from_slice(&self.send_onces.to_le_bytes());
        data
    }
}

impl<S: PageSource> Node<S> {
    /// TAKEN: a receive right has arrived at the peer.
    pub(crate) fn receive_right_taken(
        &mut self,
        now: Instant,
        place: u32,
        message: Message<S::Page>,
    ) {
        let numbers = message.data().as_chunks::<4>();
        let (&[receive, index, onces], []) = numbers else {
            return self.serve_nothing(now, message);
        };
        let [receive, index, onces] = [receive, index, onces].map(u32::from_le_bytes);
        self.ipc.discard(message);
        let Some(generation) = self.sessions.get(place).map(|session| session.generation) else {
            return;
        };
        let taken = Taken {
            place,
            generation,
            receive,
            index,
            onces,
        };
        if let Err(NoMemory) = self.depart(now, taken)
            && let Err(taken) = self.moves.taken.push(taken)
        {
            // Nobody waits longer than this: there is no room to remember it.
            self.unexport(place, taken.receive, 1, norma_ipc::Reason::NoMemory);
            self.say_no_state(now, taken);
        }
    }

    /// A receive right will not leave after all, for it is dead: its taker is told by RELEASE of
    /// Y.
    fn say_no_state(&mut self, now: Instant, taken: Taken) {
        let Some(session) = self.sessions.get_mut(taken.place) else {
            return;
        };
        if session.out.promise(1).is_err() {
            // It would wait for ever.
            return self.end_session(now, taken.place, norma_ipc::Reason::NoMemory);
        }
        session.out.control(Control::Release {
            export: taken.index,
            count: 1,
        });
        session.out.forgive(1);
        self.list(taken.place);
    }

    /// Does what TAKEN asked for and could not be done.
    pub(crate) fn depart_again(&mut self, now: Instant) {
        for taken in core::mem::take(&mut self.moves.taken) {
            if let Err(NoMemory) = self.depart(now, taken) {
                // In the place that it had.
                let _ = self.moves.taken.push(taken);
            }
        }
    }

    /// The port of the receive right that a peer has.
    pub(crate) fn departing(&self, taken: &Taken) -> Option<PortId> {
        let session = self.sessions.get(taken.place)?;
        let export = session.exports.get(taken.receive)?;
        let receive = export.right.kind() == RightKind::Receive;
        let same = session.generation == taken.generation;
        export.right.port().filter(|_| receive && same)
    }

    /// Makes the port a stand-in, and sends what goes with it. Checks all first.
    ///
    /// # Errors
    /// [`NoMemory`]: not yet, and nothing was done.
    fn depart(&mut self, now: Instant, taken: Taken) -> Result<(), NoMemory> {
        let Some(port) = self.departing(&taken) else {
            self.counters.drop(Drop::Stale);
            return Ok(());
        };
        if self.holds_for(port) {
            // It is for this port, and was accepted: it has to be in the queue first.
            self.ask_round_later(now);
            return Err(NoMemory);
        }
        let made = self.prepare_departure(&taken);
        let Some((mut state, session)) = made.zip(self.sessions.get_mut(taken.place)) else {
            self.move_later(now);
            return Err(NoMemory);
        };
        let Some(right) = session.exports.remove(taken.receive) else {
            self.ipc.discard(state);
            return Ok(());
        };
        let import = session.imports.reserve()?;
        let to = token(taken.place, taken.generation, Destination::Import(import));
        let onces_to = token(
            taken.place,
            taken.generation,
            Destination::Once(taken.onces),
        );
        let mut label = self.ipc.label(port);
        label.moves = label.moves.wrapping_add(1);
        let core = match self.ipc.depart(right, to, onces_to) {
            Ok(core) => core,
            Err(right) => {
                // It died a moment ago.
                self.ipc.release(right);
                self.ipc.discard(state);
                self.say_no_state(now, taken);
                return Ok(());
            }
        };
        if let Some(session) = self.sessions.get_mut(taken.place) {
            // Room was made.
            let _ = session.imports.add(taken.index, port, label.moves);
        }
        self.ipc.set_label(port, label);
        let says = State {
            limit: core.limit,
            senders: core.senders,
            no_senders: core.no_senders.is_some(),
            destroyed: core.destroyed.is_some(),
            queued: core.queued,
            send_onces: core.send_onces,
        };
        state.set_id(STATE);
        // It has that length already, and room for two rights.
        let _ = state.set_data(&says.write());
        for right in [core.no_senders, core.destroyed].into_iter().flatten() {
            if let Err(right) = state.push_right(right) {
                self.ipc.release(right);
            }
        }
        self.tell_moved(port, taken.place);
        self.say_state(now, taken.place, import, port, state);
        self.ipc.keep_unused(port);
        self.carry_queued(Some(now), port);
        self.open(now, port);
        if self.ipc.is_senderless(port) {
            self.import_unused(to);
        }
        Ok(())
    }

    /// All the room that a departure needs, so that it cannot fail.
    fn prepare_departure(&mut self, taken: &Taken) -> Option<Message<S::Page>> {
        let mut state = self.ipc.new_message().ok()?;
        let session = self.sessions.get_mut(taken.place)?;
        let room = state
            .set_data(&[0; 12])
            .and_then(|()| state.reserve_rights(2))
            .and_then(|()| session.imports.reserve().map(drop))
            .and_then(|()| session.out.reserve())
            .and_then(|()| session.exports.reserve(3))
            .and_then(|()| session.exports.reserve_ports(2))
            .and_then(|()| self.directory.reserve(2))
            // What the rights in it need, for a moment; RELEASE of Y.
            .and_then(|()| session.out.promise(2 * PER_EXPORT + 1));
        if room.is_err() {
            self.ipc.discard(state);
            return None;
        }
        session.out.forgive(2 * PER_EXPORT);
        Some(state)
    }

    fn say_state(
        &mut self,
        now: Instant,
        place: u32,
        import: u32,
        port: PortId,
        state: Message<S::Page>,
    ) {
        let target = Target::NewsThrough(import, port);
        if let Err(refused) = self.dispatch(now, place, target, state) {
            // Room was made for all but a list of two descriptors. Without STATE the port would
            // never open, so that this session must not go on.
            self.ipc.discard(refused.message);
            self.counters.failed += 1;
            self.end_session(now, place, norma_ipc::Reason::NoMemory);
        }
    }

    /// Those who hold rights to a port are to ask where it is.
    fn tell_moved(&mut self, port: PortId, taker: u32) {
        for place in 0..self.sessions.places() {
            let Some(session) = self.sessions.get_mut(place) else {
                continue;
            };
            let Some(index) = session.exports.of_port(port) else {
                continue;
            };
            if let Some(export) = session.exports.get_mut(index) {
                export.barred = Barred::Moved;
            }
            // Who has the port knows.
            if place != taker {
                session.out.control(Control::Moved { export: index });
                self.list(place);
            }
        }
    }

    // The other side of that: a peer says that a port has left it.

    pub(crate) fn import_moved(&mut self, now: Instant, place: u32, index: u32) -> bool {
        let Some(session) = self.sessions.get_mut(place) else {
            return false;
        };
        let Some(at) = session.imports.find(index) else {
            return false;
        };
        let Some(import) = session.imports.get_mut(at) else {
            return false;
        };
        import.moved = true;
        let port = import.port;
        let token = token(place, session.generation, Destination::Import(at));
        // If it does not hang there, nobody sends that way (yet).
        if self.active(port) == Some(token) && !self.ipc.is_arriving(port) {
            self.ask_where(now, place, index, port);
        }
        true
    }

    /// A message was refused because the port has left (W-127).
    pub(crate) fn refused_for_move(&mut self, now: Instant, place: u32, via: Option<Via>) {
        let session = self.sessions.get_mut(place);
        let import = session
            .zip(via)
            .and_then(|(session, via)| session.imports.of(via));
        if let Some(index) = import.map(|import| import.index) {
            self.import_moved(now, place, index);
        }
    }

    /// A port that had left the peer is there again: nobody need be asked where it is.
    pub(crate) fn came_back(&mut self, now: Instant, place: u32, via: Via) {
        let session = self.sessions.get_mut(place);
        let found = session.and_then(|session| {
            let generation = session.generation;
            let import = session.imports.of(via)?;
            Some((generation, import.port, import.refused.is_empty()))
        });
        let Some((generation, port, nothing_refused)) = found else {
            return;
        };
        let import = token(place, generation, Destination::Import(via.import));
        if self.active(port) != Some(import) || self.ipc.is_arriving(port) {
            return;
        }
        let identity = self.ipc.label(port).identity;
        self.acquisitions.remove(identity);
        let known = self.directory.get(identity);
        if nothing_refused && known.is_none_or(|known| known.next.is_none()) {
            self.open(now, port);
        }
    }

    /// Asks where a port is that has left the peer of the session at `place`.
    pub(crate) fn ask_where(&mut self, now: Instant, place: u32, there: u32, port: PortId) {
        let Some(session) = self.sessions.get(place) else {
            return;
        };
        let whence = Whence {
            node: session.peer,
            session: session.peer_number,
            there,
        };
        let identity = self.ipc.label(port).identity;
        let known = self.directory.get(identity);
        if self.is_acquiring(identity) || known.is_some_and(|known| known.next.is_some()) {
            return;
        }
        self.ipc.hold_back(port, true);
        if self.acquisitions.reserve(1).is_err() {
            return self.move_later(now);
        }
        self.acquire_from(now, port, whence);
    }

    /// Asks again for ports that have moved, where there was no memory to ask.
    pub(crate) fn ask_moved(&mut self, now: Instant) {
        for place in 0..self.sessions.places() {
            let mut from = 0;
            while let Some((at, index, port)) = self.moved_import(place, from) {
                from = at + 1;
                let session = self.sessions.get(place);
                let here = session.map(|session| {
                    norma_ipc::Sink::Remote(token(
                        place,
                        session.generation,
                        Destination::Import(at),
                    ))
                });
                let hangs = self.ipc.sink(port).ok() == here;
                if hangs && !self.ipc.is_arriving(port) {
                    self.ask_where(now, place, index, port);
                }
            }
        }
    }

    /// The first import from a place on whose port has moved.
    fn moved_import(&self, place: u32, from: u32) -> Option<(u32, u32, PortId)> {
        let session = self.sessions.get(place)?;
        let mut imports = session.imports.iter();
        let (at, import) = imports.find(|(at, import)| *at >= from && import.moved)?;
        Some((at, import.index, import.port))
    }
}
