//! A simple model of the core: what every queue, wait, set and name must look like.
//!
//! It has no tables with generations, no lists through records, no reserved room and no pool:
//! maps and double-ended queues, so that a reader can see that it is right. How things end is
//! in `ends.rs`, how messages come and go in `queues.rs`.

use std::collections::{BTreeMap, VecDeque};

use norma_ipc::*;

use super::page::CountedPage;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Port(PortId),
    Token(u64),
    /// By its number in [`Model::sets`].
    Set(u32),
}

pub type Held = (RightKind, Target);
pub type At = (SpaceId, Name);

pub fn held(right: &Right) -> Held {
    let target = match (right.port(), right.remote()) {
        (Some(port), _) => Target::Port(port),
        (None, Some(token)) => Target::Token(token.0),
        (None, None) => unreachable!(),
    };
    (right.kind(), target)
}

/// Where a send-once right to a port leads: what must come to one message or notification.
pub fn once_to((kind, target): Held) -> Option<PortId> {
    match (kind, target) {
        (RightKind::SendOnce, Target::Port(id)) => Some(id),
        _ => None,
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    pub tag: u32,
    pub data: Vec<u8>,
    pub format: Format,
    pub context: Context,
    pub expects_reply: bool,
    pub reply: Option<Held>,
    pub rights: Vec<Held>,
    /// Marks of its pages, and how many bytes of them are in use.
    pub pages: Vec<u32>,
    pub used: usize,
    /// Where it was received, and as which one.
    pub port: Option<Name>,
    pub sequence: u32,
    /// A send-once right was spent on it.
    pub by_once: bool,
}

impl Letter {
    pub fn of(message: &Message<CountedPage>) -> Self {
        Letter {
            tag: message.id(),
            data: message.data().to_vec(),
            format: message.format(),
            context: message.context(),
            expects_reply: message.expects_reply(),
            reply: message.reply().map(held),
            rights: message.rights().iter().map(held).collect(),
            pages: message
                .memory()
                .pages()
                .iter()
                .map(CountedPage::mark)
                .collect(),
            used: message.memory().len(),
            port: message.port(),
            sequence: message.sequence(),
            by_once: false,
        }
    }

    /// All rights in it.
    pub fn held(&self) -> impl Iterator<Item = &Held> {
        self.rights.iter().chain(&self.reply)
    }

    pub fn holds_receive(&self, id: PortId) -> bool {
        self.rights
            .contains(&(RightKind::Receive, Target::Port(id)))
    }

    pub fn moves_a_receive_right(&self) -> bool {
        let mut rights = self.rights.iter();
        rights.any(|(kind, _)| *kind == RightKind::Receive)
    }
}

/// A notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    SendOnce(Reason),
    DeadName(Name, Reason),
    NameDeleted(Name),
    NoSenders(u32),
    PortDestroyed(PortId),
    Room(Name),
}

impl News {
    pub fn of(notification: &Notification) -> Self {
        match notification {
            Notification::SendOnce(reason) => News::SendOnce(*reason),
            Notification::DeadName { name, reason } => News::DeadName(*name, *reason),
            Notification::NameDeleted { name } => News::NameDeleted(*name),
            Notification::NoSenders { make_sends } => News::NoSenders(*make_sends),
            Notification::PortDestroyed(right) => {
                assert_eq!(right.kind(), RightKind::Receive);
                News::PortDestroyed(right.port().unwrap())
            }
            Notification::Room { name } => News::Room(*name),
        }
    }
}

/// What lies in queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Letter(Letter),
    News(News),
}

impl Item {
    /// Bytes of inline data.
    pub fn bytes(&self) -> usize {
        match self {
            Item::Letter(letter) => letter.data.len(),
            Item::News(_) => 0,
        }
    }

    /// Whether a send-once right was spent on it; on news always.
    pub fn by_once(&self) -> bool {
        match self {
            Item::Letter(letter) => letter.by_once,
            Item::News(_) => true,
        }
    }

    pub fn holds_receive(&self, id: PortId) -> bool {
        match self {
            Item::Letter(letter) => letter.holds_receive(id),
            Item::News(news) => *news == News::PortDestroyed(id),
        }
    }
}

/// From what a thread receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Port(PortId),
    Set(u32),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Received(Item),
    TooLarge(usize),
    Died(Reason),
    Sent,
    Refused(Reason, Letter),
    Signalled(u32),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Wait {
    #[default]
    Idle,
    /// For at most so many bytes.
    Receiving(Source, usize),
    Sending(PortId, Letter),
    Outside,
    Done(End),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Thread {
    pub wait: Wait,
    pub reply: Option<PortId>,
    /// Its wait ended and no event has said so yet.
    pub owed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    Space(SpaceId, Name),
    Transit,
    Thread,
    Nobody,
}

#[derive(Debug, Clone)]
pub struct Port {
    pub dead: Option<Reason>,
    pub proxy: Option<u64>,
    pub holder: Holder,
    pub queue: VecDeque<Item>,
    pub limit: usize,
    pub under_way: usize,
    pub held_back: bool,
    /// Its receive right is here, but not all that was queued where it came from.
    pub arriving: bool,
    /// How many of the queue were there when the receive right left.
    pub backlog: usize,
    /// Where what comes by send-once rights goes, if elsewhere.
    pub onces_to: Option<u64>,
    /// It stands in for one send-once right alone.
    pub is_seat: bool,
    /// Send-once rights that others hold elsewhere.
    pub lent: u32,
    pub carry_told: bool,
    pub sends: u32,
    pub onces: u32,
    pub make_sends: u32,
    pub sequence: u32,
    pub receivers: VecDeque<usize>,
    pub senders: VecDeque<usize>,
    pub set: Option<u32>,
    /// To which port no senders, or the end of the receive right, are to be told.
    pub no_senders: Option<PortId>,
    pub destroyed: Option<PortId>,
    pub watched: bool,
    pub room_wanted: bool,
    pub room_told: bool,
    pub doomed: bool,
}

impl Port {
    pub fn new(proxy: Option<u64>, holder: Holder) -> Self {
        Port {
            dead: None,
            proxy,
            holder,
            queue: VecDeque::new(),
            limit: limits::DEFAULT_QUEUE_LIMIT.into(),
            under_way: 0,
            held_back: false,
            arriving: false,
            backlog: 0,
            onces_to: None,
            is_seat: false,
            lent: 0,
            carry_told: false,
            sends: 0,
            onces: 0,
            make_sends: 0,
            sequence: 0,
            receivers: VecDeque::new(),
            senders: VecDeque::new(),
            set: None,
            no_senders: None,
            destroyed: None,
            watched: false,
            room_wanted: false,
            room_told: false,
            doomed: false,
        }
    }

    pub fn is_full(&self) -> bool {
        match self.proxy {
            Some(_) => {
                let barred = self.held_back || self.arriving || self.backlog > 0;
                barred || self.under_way >= self.limit
            }
            None => self.queue.len() >= self.limit,
        }
    }

    /// What comes by send-once rights is carried from it, though it be dead.
    pub fn relays(&self) -> bool {
        let to = self.proxy.map(|proxy| self.onces_to.unwrap_or(proxy));
        to.is_some_and(|to| to != RemoteToken::NOWHERE.0) && !self.arriving
    }

    /// A letter is received from it.
    pub fn stamp(&mut self, item: &mut Item) {
        if let Item::Letter(letter) = item {
            letter.port = match self.holder {
                Holder::Space(_, name) => Some(name),
                _ => None,
            };
            letter.sequence = self.sequence;
            self.sequence = self.sequence.wrapping_add(1);
        }
    }
}

/// A port set.
#[derive(Debug, Clone, Default)]
pub struct Set {
    /// In the order in which they came.
    pub members: Vec<PortId>,
    /// Those with something queued, in the order of their turns.
    pub ready: VecDeque<PortId>,
    pub receivers: VecDeque<usize>,
}

/// What a name denotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub target: Target,
    pub receive: bool,
    pub sends: u32,
    pub once: bool,
}

impl Entry {
    pub fn nothing(target: Target) -> Self {
        Entry {
            target,
            receive: false,
            sends: 0,
            once: false,
        }
    }

    pub fn count(&self, kind: RightKind) -> u32 {
        match kind {
            RightKind::Receive => self.receive.into(),
            RightKind::Send => self.sends,
            RightKind::SendOnce => self.once.into(),
        }
    }

    pub fn add(&mut self, kind: RightKind) {
        match kind {
            RightKind::Receive => self.receive = true,
            RightKind::Send => self.sends += 1,
            RightKind::SendOnce => self.once = true,
        }
    }

    /// Whether rights to that port would merge with it.
    pub fn merges(&self, with: Target) -> bool {
        self.target == with && !self.once
    }
}

/// A request about a name.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    pub about: About,
    pub at: At,
    pub port: PortId,
    /// Where the send-once right that it holds leads.
    pub notify: PortId,
}

/// What a send must come to.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    Queued,
    Handed(usize),
    Waiting,
    Forward(u64),
    Failed(SendFailure),
}

impl Fate {
    pub fn refused(error: RightError) -> Self {
        Fate::Failed(SendFailure::Right(error))
    }

    pub fn is_failure(&self) -> bool {
        matches!(self, Fate::Failed(_))
    }
}

/// What became of all send-once rights to ports that were ever made. The rest is held, or what
/// they were spent on was not looked at yet.
#[derive(Debug, Default)]
pub struct Ledger {
    pub made: u64,
    /// Somebody received the message or notification.
    pub received: u64,
    /// It was destroyed with the port to which it led, or with the thread that had it.
    pub lost: u64,
    /// The call was not made, and its reply right taken back.
    pub taken_back: u64,
}

#[derive(Debug, Default)]
pub struct Model {
    pub ports: BTreeMap<PortId, Port>,
    pub sets: BTreeMap<u32, Set>,
    pub names: BTreeMap<At, Entry>,
    /// The latest last.
    pub requests: Vec<Request>,
    pub threads: Vec<Thread>,
    /// Events that the core must report, in order, without wakes.
    pub events: Vec<Event>,
    pub ledger: Ledger,
    pub(super) doomed: Vec<PortId>,
}

impl Model {
    pub fn port(&mut self, id: PortId) -> &mut Port {
        self.ports.get_mut(&id).unwrap()
    }

    pub fn set(&mut self, number: u32) -> &mut Set {
        self.sets.get_mut(&number).unwrap()
    }

    pub fn name_of_set(&self, number: u32) -> Option<Name> {
        let mut names = self.names.iter();
        let found = names.find(|(_, entry)| entry.target == Target::Set(number));
        found.map(|((_, name), _)| *name)
    }

    /// Where the send-once rights lead that somebody holds, without those at hand in the world.
    pub fn onces(&self) -> Vec<PortId> {
        let of_names = self.names.values().filter(|entry| entry.once);
        let of_names = of_names.map(|entry| (RightKind::SendOnce, entry.target));
        let of_letters = self.letters().flat_map(Letter::held).copied();
        let of_requests = self.requests.iter().map(|request| request.notify);
        let of_ports = self.ports.values();
        let of_ports = of_ports.flat_map(|port| port.no_senders.into_iter().chain(port.destroyed));
        let named = of_names.chain(of_letters).filter_map(once_to);
        let lent = self.ports.iter();
        let lent = lent.flat_map(|(id, port)| std::iter::repeat_n(*id, port.lent as usize));
        named
            .chain(of_requests)
            .chain(of_ports)
            .chain(lent)
            .collect()
    }

    /// Every item that lies in a queue, or that a thread was given and has not looked at.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        let queued = self.ports.values().flat_map(|port| &port.queue);
        let given = self.threads.iter().filter_map(|thread| match &thread.wait {
            Wait::Done(End::Received(item)) => Some(item),
            _ => None,
        });
        queued.chain(given)
    }

    /// Every letter that the core holds.
    pub fn letters(&self) -> impl Iterator<Item = &Letter> {
        let lying = self.items().filter_map(|item| match item {
            Item::Letter(letter) => Some(letter),
            Item::News(_) => None,
        });
        let sending = self.threads.iter().filter_map(|thread| match &thread.wait {
            Wait::Sending(_, letter) | Wait::Done(End::Refused(_, letter)) => Some(letter),
            _ => None,
        });
        lying.chain(sending)
    }

    pub fn end(&mut self, thread: usize, end: End) {
        self.threads[thread].wait = Wait::Done(end);
        self.threads[thread].owed = true;
    }

    /// Why a port takes nothing, if so.
    pub fn trouble(&self, id: PortId) -> Option<RightError> {
        match self.ports.get(&id) {
            None => Some(RightError::InvalidName),
            Some(port) => port.dead.map(RightError::Dead),
        }
    }

    /// A right was made.
    pub fn count(&mut self, (kind, target): Held) {
        if let Target::Port(id) = target {
            let port = self.ports.get_mut(&id).unwrap();
            match kind {
                RightKind::Send => port.sends += 1,
                RightKind::SendOnce => {
                    port.onces += 1;
                    self.ledger.made += 1;
                }
                RightKind::Receive => {}
            }
        }
    }
}
