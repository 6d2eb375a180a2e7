//! The loop: sockets, frames, requests and deadlines, one after the other.
//!
//! Owns: the core, the links, the seats, and what follows from a call into the core. Why one
//! thread: the core is one object under one owner; a second thread would wait for it. An answer
//! leaves in the same turn of the loop in which its frame came, so between a frame and the program
//! there is one system call.

use crate::alarm::Alarm;
use crate::answer::Packet;
use crate::arguments::LinkArgument;
use crate::limits::EVENTS;
use crate::link::{Link, LinkError};
use crate::listen::Listener;
use crate::network::open_links;
use crate::page::Pages;
use crate::seat::Seat;
use crate::seats::FIRST_SEAT;
use crate::task::Tasks;
use norma_client::limits::MAX_PACKET;
use norma_flip::{Instant, NetworkId};
use norma_ipc::ThreadId;
use norma_net::{Config, NodeName, StartError};
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// The core with memory of the daemon's kind.
pub(crate) type Core = norma_net::Node<Pages>;

/// What a daemon is started with: what a kernel is told on its command line.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The node's name, up to 16 bytes.
    pub name: NodeName,
    /// The cluster's name.
    pub cluster: String,
    /// How long to look for something to do, again and again, before sleeping.
    pub spin: Duration,
    /// Pages that what comes from the network may occupy.
    pub pages: usize,
}

/// A node, its links and its programs.
pub struct Daemon {
    pub(crate) core: Core,
    pub(crate) links: Vec<Link>,
    pub(crate) listener: Listener,
    /// While the host refuses connections: until when none is accepted.
    pub(crate) deaf_until: u64,
    pub(crate) poller: OwnedFd,
    alarm: Alarm,
    pub(crate) seats: Vec<Option<Seat>>,
    pub(crate) tasks: Tasks,
    /// When the patience of which thread ends.
    pub(crate) deadlines: BTreeSet<(u64, u32)>,
    /// Threads that were handed a message by the call that was just made.
    pub(crate) handed: Vec<ThreadId>,
    pub(crate) packet: Packet,
    /// A list for the names of the rights of the next message.
    pub(crate) named: Vec<(u32, u8)>,
    pub(crate) request: Vec<u8>,
    pub(crate) generation: u32,
    spin: u64,
    pub(crate) now: Instant,
}

/// Why a daemon does not start.
#[derive(Debug)]
pub enum DaemonError {
    /// The core refused.
    Core(StartError),
    /// A link cannot be opened.
    Link(LinkError),
    /// The host refuses something.
    Host(Errno),
}

impl std::fmt::Display for DaemonError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Core(error) => error.fmt(f),
            Self::Link(error) => error.fmt(f),
            Self::Host(error) => write!(f, "the host refuses: {error}"),
        }
    }
}

impl std::error::Error for DaemonError {}

/// Nanoseconds of a clock that does not jump. Not from zero, so that no time is "never".
fn now() -> Instant {
    let time = clock_gettime(ClockId::Monotonic);
    Instant((time.tv_sec as u64 + 1) * 1_000_000_000 + time.tv_nsec as u64)
}

/// Random bytes from the kernel.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Errno> {
    let mut bytes = [0; N];
    // So few bytes come whole or not at all.
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(bytes)
}

/// The poller's number of the listener.
pub(crate) const LISTENER: u64 = 0;
/// That of the first link.
pub(crate) const FIRST_LINK: u64 = 1;

/// That of the alarm: behind all links, before all seats.
const ALARM: u64 = FIRST_LINK + 254;

/// Not at all.
const NO_TIME: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

impl Daemon {
    /// A node that is on these networks and serves programs at `listener`.
    ///
    /// # Errors
    /// [`DaemonError`].
    pub fn new(
        identity: &Identity,
        links: &[LinkArgument],
        listener: Listener,
    ) -> Result<Self, DaemonError> {
        let mut source = Pages::new(identity.pages);
        let trust: Vec<bool> = links.iter().map(|link| link.trusted).collect();
        let links = open_links(links, identity.spin, &mut source)?;
        let first = links.first();
        let mut core = Core::new(
            Config {
                name: identity.name,
                cluster: Config::cluster_identity(&identity.cluster),
                mac: first.map_or([0; 6], |link| link.mac),
                mtu: first.map_or(u16::MAX, |link| link.mtu),
                receive_buffers: first.map_or(1, |link| link.buffers),
                seed: random().map_err(DaemonError::Host)?,
            },
            source,
        )
        .map_err(DaemonError::Core)?;
        for link in links.iter().skip(1) {
            core.add_network(norma_net::Network {
                mac: link.mac,
                mtu: link.mtu,
                receive_buffers: link.buffers,
            })
            .map_err(DaemonError::Core)?;
        }
        for (trusted, network) in trust.into_iter().zip((0..).map(NetworkId)) {
            core.flip().set_trusted(network, trusted);
        }
        core.make_known();
        let poller = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(DaemonError::Host)?;
        let watch = |what: &dyn AsFd, number| {
            let what = what.as_fd();
            epoll::add(&poller, what, EventData::new_u64(number), EventFlags::IN)
                .map_err(DaemonError::Host)
        };
        watch(&listener.socket, LISTENER)?;
        let alarm = Alarm::new().map_err(DaemonError::Host)?;
        watch(&alarm.descriptor(), ALARM)?;
        for (link, number) in links.iter().zip(FIRST_LINK..) {
            watch(&link.descriptor(), number)?;
        }
        Ok(Self {
            core,
            links,
            listener,
            deaf_until: 0,
            poller,
            alarm,
            seats: Vec::new(),
            tasks: Tasks::default(),
            deadlines: BTreeSet::new(),
            handed: Vec::new(),
            packet: Packet::default(),
            named: Vec::new(),
            request: vec![0; MAX_PACKET],
            generation: 0,
            spin: u64::try_from(identity.spin.as_nanos()).unwrap_or(u64::MAX),
            now: now(),
        })
    }

    /// The links.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// How many programs it serves.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.tasks.count()
    }

    /// Serves until `stop` can be read from, or for ever.
    ///
    /// # Errors
    /// The host refuses to wait.
    pub fn run(&mut self, stop: Option<&dyn AsFd>) -> Result<(), Errno> {
        const STOP: u64 = FIRST_LINK + 255;
        if let Some(stop) = stop {
            let data = EventData::new_u64(STOP);
            epoll::add(&self.poller, stop.as_fd(), data, EventFlags::IN)?;
        }
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
        loop {
            self.wait(&mut events)?;
            for event in events.drain(..) {
                match event.data.u64() {
                    LISTENER => self.accept(),
                    STOP => return Ok(()),
                    ALARM => self.alarm.rang(),
                    seat if seat >= FIRST_SEAT => self.seat_event(seat, event.flags),
                    link => self.link_event((link - FIRST_LINK) as usize, event.flags),
                }
            }
            self.expire();
        }
    }

    /// Waits for something to do, at most until the next deadline; first without sleeping, if so
    /// asked.
    fn wait(&mut self, events: &mut Vec<Event>) -> Result<(), Errno> {
        if self.spin > 0 && self.spin(events)? {
            return Ok(());
        }
        self.alarm.ring_by(self.now.0, self.next_due())?;
        self.poll(events, None)
    }

    fn poll(&mut self, events: &mut Vec<Event>, patience: Option<&Timespec>) -> Result<(), Errno> {
        let room = rustix::buffer::spare_capacity(events);
        match epoll::wait(&self.poller, room, patience) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        self.now = now();
        Ok(())
    }

    /// Looks for something to do until there is, or for as long as it was asked to; whether there
    /// was. Links are read without asking the poller first: where the host polls its cards for
    /// that (`SO_BUSY_POLL`), no interrupt is waited for. Between two looks programs have their
    /// turn, for on one processor they are what is waited for.
    fn spin(&mut self, events: &mut Vec<Event>) -> Result<bool, Errno> {
        let end = self.now.0.saturating_add(self.spin);
        loop {
            let mut any = false;
            for place in 0..self.links.len() {
                any |= self.receive_on(place);
            }
            self.poll(events, Some(&NO_TIME))?;
            if any || !events.is_empty() || self.next_due() <= self.now.0 {
                return Ok(true);
            }
            if self.now.0 >= end {
                return Ok(false);
            }
            std::thread::yield_now();
        }
    }

    fn next_due(&self) -> u64 {
        let core = self.core.poll_timeout().map_or(u64::MAX, |due| due.0);
        let seats = self.deadlines.first().map_or(u64::MAX, |(due, _)| *due);
        let deaf = match self.deaf_until {
            0 => u64::MAX,
            until => until,
        };
        core.min(seats).min(deaf)
    }

    /// Does what is due.
    fn expire(&mut self) {
        if self.core.poll_timeout().is_some_and(|due| due <= self.now) {
            self.core.handle_timeout(self.now);
            self.act();
        }
        while let Some((due, seat)) = self.deadlines.first().copied()
            && due <= self.now.0
        {
            self.deadlines.pop_first();
            self.lose_patience(seat);
            self.act();
        }
        if self.deaf_until != 0 && self.deaf_until <= self.now.0 {
            self.deaf_until = 0;
            self.watch_listener(EventFlags::IN);
        }
    }

    /// Carries out what follows from a call into the core: frames first, for what follows overlaps
    /// with their flight.
    pub(crate) fn act(&mut self) {
        self.transmit();
        loop {
            let mut any = false;
            while let Some(thread) = self.handed.pop().or_else(|| self.core.poll_wake()) {
                self.wake(thread);
                any = true;
            }
            if !self.transmit() && !any {
                return;
            }
        }
    }
}
