//! Acquiring: a right that a third node gave becomes one of the owner's own.
//!
//! A node that is given a right to a port of a third node holds back what is sent to it, and
//! asks there for a right of its own: ACQUIRE, to the node from which the giver has it. The
//! answer, ACQUIRED, brings one; if that node is not the owner either, it says in turn where it
//! has it from. What the giver exported pins the right meanwhile, so that at no time nobody
//! counts it. Asking twice does no harm, for rights are counted; so a question is simply
//! repeated until it is answered (W-106 to W-110).
//!
//! Owns: the rights that are being acquired, and what ends that.
//! Leaves to others: the rights themselves (`adopt`), and how the stand-in comes to hang on what
//! was acquired (`switch`). For a port that has moved: enter where it went with
//! [`Node::acquire_from`].

use alloc::vec::Vec;

use norma_flip::{Address, Instant};
use norma_ipc::{Message, NoMemory, PageSource, PortId, Reason, RightKind};
use norma_wire::descriptor::{Kind, Origin, Repr};

use crate::carry::Target;
use crate::limits::{ACQUIRE_AGAIN, GO_ROUND_AGAIN, MAX_ACQUISITIONS, MAX_STEPS};
use crate::node::{Node, PLACE_MASK};
use crate::rights::parse_token;
use crate::service::operation;
use crate::session::State;

/// Where a right can be had: at `node`, as export `there` of the session that it numbers
/// `session`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whence {
    pub(crate) node: Address,
    pub(crate) session: u32,
    pub(crate) there: u32,
}

impl Whence {
    pub(crate) fn of(repr: &Repr) -> Self {
        Whence {
            node: repr.node,
            session: repr.session,
            there: repr.there,
        }
    }

    /// What ACQUIRE and ACQUIRED say of it.
    fn data(&self) -> [u8; 8] {
        let mut data = [0; 8];
        data[..4].copy_from_slice(&self.session.to_le_bytes());
        data[4..].copy_from_slice(&self.there.to_le_bytes());
        data
    }
}

/// Session and index that ACQUIRE or ACQUIRED says.
fn asked<P: norma_ipc::Page>(message: &Message<P>) -> Option<(u32, u32)> {
    let [a, b, c, d, e, f, g, h] = *message.data() else {
        return None;
    };
    Some((
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
    ))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// To be begun, or begun again.
    Idle,
    /// A session with the node is being opened, at this place.
    Connecting(u32),
    /// Asked in the session at this place, of this generation.
    Asked(u32, u16),
}

#[derive(Debug)]
pub(crate) struct Acquisition {
    identity: u64,
    /// The stand-in that waits for it.
    port: PortId,
    whence: Whence,
    /// The giver itself is asked, for where it had sent us nothing is known.
    giver: bool,
    /// Nodes asked since the last pause.
    steps: u8,
    stage: Stage,
    /// When to ask again.
    due: Instant,
}

#[derive(Debug)]
pub(crate) struct Acquisitions {
    entries: Vec<Acquisition>,
}

impl Acquisitions {
    pub(crate) const fn new() -> Self {
        Acquisitions {
            entries: Vec::new(),
        }
    }

    /// Makes sure that `count` more can be begun.
    pub(crate) fn reserve(&mut self, count: usize) -> Result<(), NoMemory> {
        if self.entries.len() + count > MAX_ACQUISITIONS {
            return Err(NoMemory);
        }
        self.entries.try_reserve(count).map_err(|_| NoMemory)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn find(&self, identity: u64) -> Option<&Acquisition> {
        self.entries.iter().find(|entry| entry.identity == identity)
    }

    fn find_mut(&mut self, identity: u64) -> Option<&mut Acquisition> {
        let mut entries = self.entries.iter_mut();
        entries.find(|entry| entry.identity == identity)
    }

    /// Whether the way to the port was asked for in the session at that place.
    pub(crate) fn is_asked(&self, identity: u64, place: u32) -> bool {
        let entry = self.find(identity);
        entry.is_some_and(|entry| matches!(entry.stage, Stage::Asked(at, _) if at == place))
    }

    pub(crate) fn remove(&mut self, identity: u64) {
        self.entries.retain(|entry| entry.identity != identity);
    }

    #[cfg(feature = "audit")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, PortId)> {
        self.entries
            .iter()
            .map(|entry| (entry.identity, entry.port))
    }

    /// Nothing is due before this time.
    pub(crate) fn due(&self) -> Instant {
        let due = self.entries.iter().map(|entry| entry.due);
        due.min().unwrap_or(Instant::NEVER)
    }

    /// One that `wanted` says.
    fn position(&self, wanted: impl Fn(&Acquisition) -> bool) -> Option<u64> {
        let found = self.entries.iter().find(|entry| wanted(entry));
        found.map(|entry| entry.identity)
    }
}

impl<S: PageSource> Node<S> {
    /// Begins to acquire the right for which a stand-in waits that hangs on a giver's export.
    /// Room was reserved.
    pub(crate) fn acquire(&mut self, now: Instant, port: PortId, repr: &Repr) {
        self.acquire_from(now, port, Whence::of(repr));
    }

    /// The same from somewhere; senders through the stand-in wait until it has been acquired.
    /// Room must have been reserved ([`Acquisitions::reserve`]).
    pub(crate) fn acquire_from(&mut self, now: Instant, port: PortId, whence: Whence) {
        let identity = self.ipc.label(port).identity;
        if self.acquisitions.reserve(1).is_err() || self.acquisitions.find(identity).is_some() {
            return;
        }
        self.ipc.hold_back(port, true);
        self.acquisitions.entries.push(Acquisition {
            identity,
            port,
            whence,
            giver: false,
            steps: 0,
            stage: Stage::Idle,
            due: now,
        });
        self.pursue(now, identity);
    }

    /// Takes the next step towards a right that is being acquired.
    fn pursue(&mut self, now: Instant, identity: u64) {
        let Some(entry) = self.acquisitions.find(identity) else {
            return;
        };
        let (port, whence, giver) = (entry.port, entry.whence, entry.giver);
        let place = if giver {
            self.active(port).map(|token| parse_token(token).0)
        } else {
            self.by_peer.get(&whence.node.0).copied()
        };
        let stage = match place {
            Some(place) => self.ask_for(now, place, whence),
            None => match self
                .connecting(whence.node)
                .or_else(|| self.connect(now, whence.node))
            {
                Some(place) => Stage::Connecting(place),
                None => Stage::Idle,
            },
        };
        let due = now + ACQUIRE_AGAIN;
        if let Some(entry) = self.acquisitions.find_mut(identity) {
            (entry.stage, entry.due) = (stage, due);
        }
        self.deadline = self.deadline.min(due);
    }

    /// A session that is being opened with that node.
    pub(crate) fn connecting(&self, node: Address) -> Option<u32> {
        let mut sessions = self.sessions.iter();
        let found = sessions
            .find(|(_, session)| session.state == State::Connecting && session.peer == node);
        found.map(|(place, _)| place)
    }

    fn ask_for(&mut self, now: Instant, place: u32, whence: Whence) -> Stage {
        let Some(generation) = self.sessions.get(place).map(|session| session.generation) else {
            return Stage::Idle;
        };
        let Ok(mut message) = self.ipc.new_message() else {
            return Stage::Idle;
        };
        message.set_id(operation::ACQUIRE);
        let sent = match message.set_data(&whence.data()) {
            Ok(()) => self
                .dispatch(now, place, Target::NodeService, message)
                .map_err(|refused| refused.message),
            Err(NoMemory) => Err(message),
        };
        match sent {
            Ok(()) => Stage::Asked(place, generation),
            Err(message) => {
                self.ipc.discard(message);
                Stage::Idle
            }
        }
    }

    /// Asks again for what was not answered.
    pub(crate) fn pursue_due(&mut self, now: Instant) {
        while let Some(identity) = self.acquisitions.position(|entry| entry.due <= now) {
            let entry = self.acquisitions.find_mut(identity);
            match entry {
                // HELLO is repeated by the session.
                Some(entry) if matches!(entry.stage, Stage::Connecting(_)) => {
                    entry.due = Instant::NEVER;
                }
                _ => self.pursue(now, identity),
            }
        }
    }

    /// What waited for the session that was being opened at `place` asks over the one that there
    /// is now.
    pub(crate) fn acquire_connected(&mut self, now: Instant, place: u32) {
        let waits = |entry: &Acquisition| entry.stage == Stage::Connecting(place);
        while let Some(identity) = self.acquisitions.position(waits) {
            if let Some(entry) = self.acquisitions.find_mut(identity) {
                entry.stage = Stage::Idle;
            }
            self.pursue(now, identity);
        }
    }

    /// Nobody answers the HELLO of the session at `place`.
    pub(crate) fn acquire_unreachable(&mut self, now: Instant, place: u32) {
        self.acquire_fails(now, |entry| entry.stage == Stage::Connecting(place));
    }

    fn acquire_fails(&mut self, now: Instant, wanted: impl Fn(&Acquisition) -> bool) {
        while let Some(identity) = self.acquisitions.position(&wanted) {
            let Some(entry) = self.acquisitions.find(identity) else {
                return;
            };
            let (port, node) = (entry.port, entry.whence.node);
            self.acquisitions.remove(identity);
            self.kill_stand_in(now, port, Reason::NodeDied(node.0));
        }
    }

    /// The node that was asked in the session at `place` is dead.
    pub(crate) fn acquire_hopeless(&mut self, now: Instant, place: u32) {
        let asked = |entry: &Acquisition| matches!(entry.stage, Stage::Asked(at, _) if at == place);
        self.acquire_fails(now, asked);
    }

    /// The session in which questions were asked is over, and the peer lives.
    pub(crate) fn acquire_lost(&mut self, now: Instant, place: u32, generation: u16) {
        let lost = |entry: &Acquisition| entry.stage == Stage::Asked(place, generation);
        while let Some(identity) = self.acquisitions.position(lost) {
            self.not_there(now, identity);
        }
    }

    /// Where a right was to be had it is not: the giver knows where it has it from by now (W-109).
    fn not_there(&mut self, now: Instant, identity: u64) {
        let Some(entry) = self.acquisitions.find(identity) else {
            return;
        };
        let (port, giver) = (entry.port, entry.giver);
        let whence = self.whence_of_giver(port);
        let (Some(whence), false) = (whence, giver) else {
            self.acquisitions.remove(identity);
            return self.kill_stand_in(now, port, Reason::Destroyed);
        };
        self.go_on(now, identity, whence, true);
    }

    /// Whoever was asked has it from this node, which has not heard yet that the port has gone
    /// on from here, or has not been heard: the giver is asked again, a little later each time.
    fn ask_giver_later(&mut self, now: Instant, identity: u64) {
        let Some(entry) = self.acquisitions.find_mut(identity) else {
            return;
        };
        entry.steps = MAX_STEPS.min(entry.steps + 1);
        entry.stage = Stage::Idle;
        entry.due = now + GO_ROUND_AGAIN * u32::from(entry.steps);
        let (port, due) = (entry.port, entry.due);
        if let Some(whence) = self.whence_of_giver(port)
            && let Some(entry) = self.acquisitions.find_mut(identity)
        {
            (entry.whence, entry.giver) = (whence, true);
        }
        self.deadline = self.deadline.min(due);
    }

    /// What the giver itself exported.
    fn whence_of_giver(&self, port: PortId) -> Option<Whence> {
        let (place, import) = self.import_at(self.active(port)?)?;
        let session = self.sessions.get(place)?;
        Some(Whence {
            node: session.peer,
            session: session.peer_number,
            there: import.index,
        })
    }

    fn go_on(&mut self, now: Instant, identity: u64, whence: Whence, giver: bool) {
        if whence.node == self.address {
            return self.ask_giver_later(now, identity);
        }
        let Some(entry) = self.acquisitions.find_mut(identity) else {
            return;
        };
        entry.whence = whence;
        entry.giver = giver;
        entry.stage = Stage::Idle;
        if entry.steps < MAX_STEPS {
            entry.steps += 1;
            return self.pursue(now, identity);
        }
        // It moves faster than it can be followed.
        entry.steps = 0;
        entry.due = now + GO_ROUND_AGAIN;
        self.deadline = self.deadline.min(entry.due);
    }

    pub(crate) fn is_acquiring(&self, identity: u64) -> bool {
        self.acquisitions.find(identity).is_some()
    }

    // The answers.

    /// A peer wants a right of its own to what this node exported to somebody.
    pub(crate) fn answer_acquire(&mut self, now: Instant, place: u32, message: Message<S::Page>) {
        let Some((number, there)) = asked(&message) else {
            return self.serve_nothing(now, message);
        };
        let Ok(mut answer) = self.ipc.new_message() else {
            return self.ipc.discard(message);
        };
        let filled = answer.set_data(message.data());
        self.ipc.discard(message);
        answer.set_id(operation::ACQUIRED);
        let right = self
            .exported(number, there)
            .map(|port| self.ipc.add_send(port));
        let pushed = match right {
            Some(Ok(right)) => answer.push_right(right),
            _ => Ok(()),
        };
        let sent = match (filled, pushed) {
            (Ok(()), Ok(())) => self
                .dispatch(now, place, Target::NodeService, answer)
                .map_err(|refused| refused.message),
            (_, Err(right)) => {
                self.ipc.release(right);
                Err(answer)
            }
            (Err(NoMemory), _) => Err(answer),
        };
        // Without memory it is not answered: the question comes again.
        if let Err(answer) = sent {
            self.ipc.discard(answer);
        }
    }

    /// The port of an export, by this node's number of the session.
    fn exported(&self, number: u32, there: u32) -> Option<PortId> {
        let session = self.sessions.get(number & PLACE_MASK)?;
        if session.number != number || session.state != State::Established {
            return None;
        }
        let right = &session.exports.get(there)?.right;
        right.port().filter(|_| right.kind() == RightKind::Send)
    }

    /// ACQUIRED: the rights in it have been made; nobody was told yet.
    pub(crate) fn take_acquired(
        &mut self,
        now: Instant,
        place: u32,
        mut message: Message<S::Page>,
        rights: &[Repr],
    ) {
        let generation = self.sessions.get(place).map(|session| session.generation);
        let stage = Stage::Asked(place, generation.unwrap_or_default());
        let answers = asked(&message);
        let waits = |entry: &Acquisition| {
            entry.stage == stage && answers == Some((entry.whence.session, entry.whence.there))
        };
        let identity = self.acquisitions.position(waits);
        self.settle_adopted(now, place, rights);
        if let Some(identity) = identity {
            let repr = rights.first().filter(|repr| repr.port == identity);
            match repr.map(|repr| (repr, repr.kind, repr.origin)) {
                Some((_, Kind::Send, Origin::Sender)) if !self.is_acquiring(identity) => {}
                Some((_, Kind::Send, Origin::Receiver)) => self.ask_giver_later(now, identity),
                Some((repr, Kind::Send, Origin::Third)) => {
                    self.go_on(now, identity, Whence::of(repr), false);
                }
                _ => self.not_there(now, identity),
            }
        }
        for right in message.take_rights() {
            self.ipc.release(right);
        }
        self.ipc.discard(message);
    }
}
