//! The server: its parts, and the loop.

use crate::answers::Answers;
use crate::frames::Frames;
use crate::limits::{NAMES, SPARE_MESSAGES};
use crate::pages::{Page, Pages};
use crate::proxies::Proxies;
use crate::seats::{Seat, Seats};
use crate::ticker::Ticker;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use norma_flip::Instant;
use norma_ipc::{Completion, Delivery, Name, SpaceId, ThreadId};
use norma_net::{Config, NodeName};
use norma_user::{
    Card, Clock, Failure, Message, Notification, PortSet, ReceiveRight, SendOnceRight, Task,
    network, println,
};

/// The core with memory of the server's kind.
pub type Core = norma_net::Node<Pages>;

/// A node whose kernel does not know the network.
pub struct Server {
    pub core: Box<Core>,
    /// The core's space for all rights.
    pub space: SpaceId,
    pub frames: Frames,
    clock: Clock,
    ticker: Ticker,
    /// All ports from which messages come: everything is received here.
    pub set: PortSet,
    /// Where word of frames comes, which says no more than that there are some.
    _bell: ReceiveRight,
    /// Where the kernel tells of ports of this node.
    pub news: ReceiveRight,
    /// Where programs ask for names.
    requests: ReceiveRight,
    /// The core's port for news about ports of others.
    pub core_news: Name,
    pub seats: Seats,
    pub proxies: Proxies,
    pub answers: Answers,
    /// Which seat stands for a port of this node, by the kernel's name of it and by the core's.
    pub by_local: BTreeMap<u32, ThreadId>,
    pub by_port: BTreeMap<u32, ThreadId>,
    /// Who waits until all that was sent has arrived.
    pub leaving: Vec<SendOnceRight>,
    /// An answer to a program that goes with the next receive.
    pub answer: Option<Message>,
    /// Messages to be filled again.
    pub spare: Vec<Message>,
    /// Threads of the core that were handed something.
    pub handed: Vec<ThreadId>,
    pub now: Instant,
}

impl Server {
    pub fn start(task: Task) -> Result<Self, Failure> {
        let mut words = task.arguments().split(' ');
        let name = NodeName::new(words.next().unwrap_or("")).unwrap_or_default();
        let cluster = Config::cluster_identity(words.next().unwrap_or(""));
        let mut message = task.port().receive()?;
        let driver = message.take_right()?.ok_or(Failure::InvalidRight)?;
        let seed = message.data().try_into().map_err(|_| Failure::OutOfRange)?;
        let set = PortSet::new()?;
        let (bell, news) = (ReceiveRight::new()?, ReceiveRight::new()?);
        let requests = ReceiveRight::new()?;
        for port in [&bell, &news, &requests] {
            set.add(port)?;
        }
        let ticker = Ticker::start(bell.make_send()?)?;
        let card = Card::open(&driver, &bell.make_send()?)?;
        let mut core = Core::new(
            Config {
                name,
                cluster,
                mac: card.mac(),
                mtu: card.mtu(),
                receive_buffers: card.receive_buffers(),
                seed,
            },
            Pages::default(),
        )
        .map(Box::new)
        .map_err(|_| Failure::NoMemory)?;
        core.make_known();
        let space = core.ipc().create_space(NAMES);
        let space = space.map_err(|_| Failure::NoMemory)?;
        let core_news = core.ipc().allocate_port(space);
        let core_news = core_news.map_err(|_| Failure::NoMemory)?;
        let frames = Frames::new(card, core.source())?;
        let mut clock = Clock::new();
        let mut server = Self {
            now: Instant(clock.now()),
            clock,
            ticker,
            core,
            space,
            frames,
            set,
            _bell: bell,
            news,
            requests,
            core_news,
            seats: Seats::default(),
            proxies: Proxies::default(),
            answers: Answers::default(),
            by_local: BTreeMap::new(),
            by_port: BTreeMap::new(),
            leaving: Vec::new(),
            answer: None,
            spare: Vec::new(),
            handed: Vec::new(),
        };
        let seat = server.seats.take(&mut server.core, Seat::News);
        let seat = seat.map_err(|_| Failure::NoMemory)?;
        server.listen(seat, core_news);
        server.requests.make_send()?.check_in(network::NAME)?;
        println!("carries messages of {}", name.as_str());
        Ok(server)
    }

    pub fn run(&mut self) -> Result<(), Failure> {
        let mut message = Message::new()?;
        loop {
            self.now = Instant(self.clock.now());
            if self.core.poll_timeout().is_some_and(|due| due <= self.now) {
                self.core.handle_timeout(self.now);
            }
            self.take_frames();
            self.act()?;
            if !self.leaving.is_empty() {
                self.let_leave();
            }
            self.frames.card.want(true);
            if self.frames.card.has_come() {
                self.send_answer();
                continue;
            }
            let due = self.core.poll_timeout().map_or(u64::MAX, |due| due.0);
            self.ticker.arm(due)?;
            message.empty();
            if let Some(answer) = self.answer.take() {
                let used = core::mem::replace(&mut message, answer);
                self.recycle(used);
            }
            let received = self.set.reply_and_receive_into(&mut message);
            self.frames.card.want(false);
            match received {
                Ok(None) => self.received(&mut message),
                Ok(Some(notification)) => {
                    let port = message.port().map_or(0, Name::raw);
                    self.told(port, notification);
                }
                // What a program sent is larger than there is memory: it is given up.
                Err(Failure::Cancelled | Failure::NoMemory) => {}
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Answers a program with the next receive, or now if there is an answer for another.
    pub fn answer_with(&mut self, once: SendOnceRight, mut message: Message) {
        self.send_answer();
        // It has none yet.
        if message.set_reply(once).is_ok() {
            self.answer = Some(message);
        }
    }

    /// Sends the answer that was to go with the next receive.
    fn send_answer(&mut self) {
        if let Some(mut message) = self.answer.take() {
            // Whoever called may be gone.
            let _ = message.reply_from();
            self.recycle(message);
        }
    }

    /// A message whose contents are gone, to be filled again.
    pub fn recycle(&mut self, mut message: Message) {
        message.empty();
        message.clear_context();
        if self.spare.len() < SPARE_MESSAGES {
            self.spare.push(message);
        }
    }

    /// Takes all frames that have come.
    fn take_frames(&mut self) {
        while self.frames.receive(self.now, &mut self.core) {
            // Whoever waits for what has come goes first.
            while let Some(thread) = self.core.poll_urgent_wake() {
                self.wake(thread);
            }
        }
    }

    /// Carries out what follows from calls into the core: frames first, for what follows overlaps
    /// with their flight.
    fn act(&mut self) -> Result<(), Failure> {
        loop {
            let mut any = self.frames.transmit(self.now, &mut self.core)?;
            while let Some(thread) = self.handed.pop().or_else(|| self.core.poll_wake()) {
                self.wake(thread);
                any = true;
            }
            if !any {
                return Ok(());
            }
        }
    }

    /// A message of this node came.
    fn received(&mut self, message: &mut Message) {
        let Some(port) = message.port().map(Name::raw) else {
            return;
        };
        if self.proxies.get(port).is_some() {
            self.forward(port, message);
        } else if self.answers.is_one(port) {
            self.answer(port, message);
        } else if self.requests.name().raw() == port {
            self.requested(message);
        }
    }

    /// The kernel has something to say, at this port.
    fn told(&mut self, port: u32, notification: Notification) {
        match notification {
            Notification::SendOnce(failure) => self.unanswered(port, failure),
            Notification::DeadName { name, failure } => self.local_died(name, failure),
            Notification::NoSenders { .. } => self.no_senders(port),
            Notification::Room { name } => self.local_has_room(name),
            Notification::NameDeleted { .. } | Notification::PortDestroyed(_) => {}
        }
    }

    /// A thread of the core waits for nothing any more; for what it did.
    pub fn free(&mut self, thread: ThreadId) -> Seat {
        self.seats.free(&mut self.core, thread)
    }

    /// The wait of a thread of the core has ended.
    fn wake(&mut self, thread: ThreadId) {
        let Some(completion) = self.core.ipc().take_completion(thread) else {
            return;
        };
        match completion {
            Completion::Received(delivery) => self.delivered(thread, delivery),
            Completion::Sent => self.sent(thread),
            Completion::Refused(reason, mut message) => {
                let ipc = self.core.ipc();
                ipc.detach_reply(&mut message);
                ipc.discard_because(message, reason);
                self.not_sent(thread, reason);
            }
            // The port is gone, or the right to receive from it, and whoever took it knows.
            _ => self.gone(thread),
        }
    }

    /// Something came for a thread of the core.
    pub fn delivered(&mut self, thread: ThreadId, delivery: Delivery<Page>) {
        match self.seats.get(thread) {
            Seat::Answer(_) => self.answered(thread, delivery),
            Seat::Found(_) => self.found(thread, delivery),
            Seat::Principal(_) => self.arrived(thread, delivery),
            Seat::Once(..) => self.arrived_once(thread, delivery),
            Seat::News => self.news_of_others(thread, delivery),
            Seat::Free | Seat::Room(..) => self.core.ipc().discard_delivery(delivery),
        }
    }

    /// Waits for what comes to a port of the core's, and takes what is there.
    pub fn listen(&mut self, thread: ThreadId, port: Name) {
        let (ipc, space) = (self.core.ipc(), self.space);
        // What is there is taken in the next turn of the loop.
        match ipc.receive_or_wait(thread, space, port) {
            Ok(Some(delivery)) => self.delivered(thread, delivery),
            Ok(None) => {}
            Err(_) => self.gone(thread),
        }
    }
}
