//! A simple model of the core: what every queue, wait and name must look like.
//!
//! It has no tables with generations, no lists through records, no reserved room and no pool:
//! maps and double-ended queues, so that a reader can see that it is right.

use std::collections::{BTreeMap, VecDeque};

use norma_ipc::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Port(PortId),
    Token(u64),
}

pub type Held = (RightKind, Target);

pub fn held(right: &Right) -> Held {
    let target = match (right.port(), right.remote()) {
        (Some(port), _) => Target::Port(port),
        (None, Some(token)) => Target::Token(token.0),
        (None, None) => unreachable!(),
    };
    (right.kind(), target)
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    pub tag: u32,
    pub reply: Option<Held>,
    pub rights: Vec<Held>,
}

impl Letter {
    pub fn of<P>(message: &Message<P>) -> Self {
        Letter {
            tag: message.id(),
            reply: message.reply().map(held),
            rights: message.rights().iter().map(held).collect(),
        }
    }

    fn moves_a_receive_right(&self) -> bool {
        self.rights
            .iter()
            .any(|(kind, _)| *kind == RightKind::Receive)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Letter(Letter),
    News(Reason),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Received(Item),
    Died(Reason),
    Sent,
    Refused(Reason, Letter),
    Signalled(u32),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Wait {
    #[default]
    Idle,
    Receiving(PortId),
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
    pub sends: u32,
    pub onces: u32,
    pub receivers: VecDeque<usize>,
    pub senders: VecDeque<usize>,
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
            sends: 0,
            onces: 0,
            receivers: VecDeque::new(),
            senders: VecDeque::new(),
            doomed: false,
        }
    }

    pub fn is_full(&self) -> bool {
        match self.proxy {
            Some(_) => self.held_back || self.under_way >= self.limit,
            None => self.queue.len() >= self.limit,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub target: Target,
    pub receive: bool,
    pub sends: u32,
    pub once: bool,
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

#[derive(Debug, Default)]
pub struct Model {
    pub ports: BTreeMap<PortId, Port>,
    pub names: BTreeMap<(SpaceId, Name), Entry>,
    pub threads: Vec<Thread>,
    /// `Unused` (true) and `Unanswered` (false) that the core must report, in order.
    pub tokens: Vec<(bool, u64)>,
    doomed: Vec<PortId>,
}

impl Model {
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

    /// A message for a port; `once`: on behalf of a send-once right, which it uses up.
    pub fn deliver(
        &mut self,
        target: Target,
        once: bool,
        letter: Letter,
        wait: Option<usize>,
    ) -> Fate {
        let unmovable = Fate::Failed(SendFailure::Right(RightError::InvalidRight));
        let id = match target {
            Target::Token(_) if letter.moves_a_receive_right() => return unmovable,
            Target::Token(token) => return Fate::Forward(token),
            Target::Port(id) => id,
        };
        if let Some(error) = self.trouble(id) {
            return Fate::Failed(SendFailure::Right(error));
        }
        let idle = wait.filter(|thread| self.threads[*thread].wait == Wait::Idle);
        let port = self.ports.get_mut(&id).unwrap();
        if let Some(thread) = port.receivers.pop_front() {
            port.onces -= u32::from(once);
            self.threads[thread].wait = Wait::Done(End::Received(Item::Letter(letter)));
            return Fate::Handed(thread);
        }
        if port.proxy.is_some() && letter.moves_a_receive_right() {
            return unmovable;
        }
        if self.closes_cycle(id, &letter) {
            return Fate::Failed(SendFailure::Right(RightError::Circular));
        }
        let port = self.ports.get_mut(&id).unwrap();
        if !once && (port.is_full() || !port.senders.is_empty()) {
            let Some(thread) = idle else {
                return Fate::Failed(SendFailure::Full);
            };
            port.senders.push_back(thread);
            self.threads[thread].wait = Wait::Sending(id, letter);
            return Fate::Waiting;
        }
        if let Some(token) = port.proxy {
            port.under_way += 1;
            return Fate::Forward(token);
        }
        port.onces -= u32::from(once);
        port.queue.push_back(Item::Letter(letter));
        Fate::Queued
    }

    /// Whether the receive right by which alone a letter in the queue of `id` could be taken
    /// out would be in that letter.
    fn closes_cycle(&self, mut id: PortId, letter: &Letter) -> bool {
        let holds = |letter: &Letter, id| {
            letter
                .rights
                .contains(&(RightKind::Receive, Target::Port(id)))
        };
        loop {
            if holds(letter, id) {
                return true;
            }
            let lies_in = |port: &Port| {
                let mut queue = port.queue.iter();
                queue.any(|item| matches!(item, Item::Letter(queued) if holds(queued, id)))
            };
            match self.ports.iter().find(|(_, port)| lies_in(port)) {
                Some((above, _)) => id = *above,
                None => return false,
            }
        }
    }

    /// The first that is queued; senders that wait move up.
    pub fn take(&mut self, id: PortId) -> Option<Item> {
        let item = self.ports.get_mut(&id)?.queue.pop_front()?;
        self.refill(id);
        Some(item)
    }

    pub fn refill(&mut self, id: PortId) {
        loop {
            let port = self.ports.get_mut(&id).unwrap();
            if port.is_full() {
                return;
            }
            let Some(thread) = port.senders.pop_front() else {
                return;
            };
            let Wait::Sending(_, letter) = self.threads[thread].wait.clone() else {
                panic!("{thread} is not sending")
            };
            if self.closes_cycle(id, &letter) {
                self.end(thread, End::Refused(Reason::Circular, letter));
                continue;
            }
            self.ports
                .get_mut(&id)
                .unwrap()
                .queue
                .push_back(Item::Letter(letter));
            self.end(thread, End::Sent);
        }
    }

    pub fn carry_next(&mut self, id: PortId) -> Option<Letter> {
        let port = self.ports.get_mut(&id)?;
        if port.proxy.is_none() || port.is_full() {
            return None;
        }
        let thread = port.senders.pop_front()?;
        port.under_way += 1;
        let Wait::Sending(_, letter) = self.threads[thread].wait.clone() else {
            panic!("{thread} is not sending")
        };
        self.end(thread, End::Sent);
        self.collect(id);
        Some(letter)
    }

    pub fn count(&mut self, (kind, target): Held) {
        if let Target::Port(id) = target {
            let port = self.ports.get_mut(&id).unwrap();
            match kind {
                RightKind::Send => port.sends += 1,
                RightKind::SendOnce => port.onces += 1,
                RightKind::Receive => {}
            }
        }
    }

    pub fn release(&mut self, (kind, target): Held) {
        let id = match target {
            Target::Token(token) => return self.tokens.push((false, token)),
            Target::Port(id) => id,
        };
        let port = self.ports.get_mut(&id).unwrap();
        match kind {
            RightKind::Receive => {
                port.holder = Holder::Nobody;
                self.kill(id, Reason::Destroyed);
            }
            RightKind::Send => port.sends -= 1,
            RightKind::SendOnce => {
                port.onces -= 1;
                if port.dead.is_none() {
                    let news = Item::News(Reason::Unanswered);
                    match port.receivers.pop_front() {
                        Some(thread) => self.end(thread, End::Received(news)),
                        None => port.queue.push_back(news),
                    }
                }
            }
        }
        self.collect(id);
    }

    pub fn discard(&mut self, letter: Letter) {
        for right in letter
            .reply
            .into_iter()
            .chain(letter.rights.into_iter().rev())
        {
            self.release(right);
        }
    }

    pub fn collect(&mut self, id: PortId) {
        let Some(port) = self.ports.get(&id) else {
            return;
        };
        if port.sends + port.onces == 0
            && port.holder == Holder::Nobody
            && port.senders.is_empty()
            && !port.doomed
        {
            if let (Some(token), None) = (port.proxy, port.dead) {
                self.tokens.push((true, token));
            }
            self.ports.remove(&id);
        }
    }

    pub fn kill(&mut self, id: PortId, reason: Reason) {
        let Some(port) = self.ports.get_mut(&id) else {
            return;
        };
        if port.dead.is_some() {
            return;
        }
        port.dead = Some(reason);
        port.doomed = true;
        let receivers = std::mem::take(&mut port.receivers);
        let senders = std::mem::take(&mut port.senders);
        for thread in receivers {
            self.end(thread, End::Died(reason));
        }
        for thread in senders {
            let Wait::Sending(_, letter) = self.threads[thread].wait.clone() else {
                panic!("{thread} is not sending")
            };
            self.end(thread, End::Refused(reason, letter));
        }
        self.doomed.push(id);
        if self.doomed.len() == 1 {
            self.empty_dead_queues();
        }
    }

    /// The port that died last is emptied first.
    fn empty_dead_queues(&mut self) {
        while let Some(id) = self.doomed.last().copied() {
            let port = self.ports.get_mut(&id).unwrap();
            match port.queue.pop_front() {
                Some(Item::Letter(letter)) => self.discard(letter),
                Some(Item::News(_)) => {}
                None => {
                    port.doomed = false;
                    self.doomed.pop();
                    self.collect(id);
                }
            }
        }
    }

    pub fn renew_reply_port(&mut self, thread: usize) {
        if let Some(id) = self.threads[thread].reply.take() {
            self.release((RightKind::Receive, Target::Port(id)));
        }
    }

    pub fn cancel(&mut self, thread: usize) -> Wait {
        let wait = std::mem::take(&mut self.threads[thread].wait);
        self.threads[thread].owed = false;
        if let Wait::Receiving(id) = &wait {
            self.ports
                .get_mut(id)
                .unwrap()
                .receivers
                .retain(|t| *t != thread);
        }
        if let Wait::Sending(id, _) = &wait {
            self.ports
                .get_mut(id)
                .unwrap()
                .senders
                .retain(|t| *t != thread);
            self.collect(*id);
        }
        wait
    }
}
