//! The oracle's books: who holds which right, what was sent, what came of it.
//!
//! They are kept by the actors from what they did and saw, and never ask a node what it believes
//! about others: a port is known by a number that the simulation gave it, a right in a message by
//! the entry that its sender made. So what they say is independent of how rights are counted.
//!
//! Owns the books and what ends in them when something is lost. What stands in them is in
//! `entries`; the promises about rights are in `holders`, about messages in `messages`, about
//! notifications in `notify`, and those that hold at rest in `rest`.

use core::time::Duration;
use std::collections::{BTreeMap, HashMap};

use super::calm::{Calm, Path};
use super::entries::{
    Broken, CallBook, Cargo, Dest, Ended, Fate, Held, Note, OnceBook, OnceTarget, Phase, Place,
    PortBook, PortNo, Who,
};
use super::history::{Entry, History};
use super::notify::Bell;

/// The oracle.
#[derive(Debug)]
pub struct Books {
    pub(crate) phase: Phase,
    pub(crate) now: Duration,
    /// Equal rights merge under one name, whichever way they came.
    pub(crate) merge: bool,
    pub(crate) calm: Calm,
    pub(crate) ports: Vec<PortBook>,
    pub(crate) onces: Vec<OnceBook>,
    pub(crate) cargo: BTreeMap<u64, Cargo>,
    pub(crate) calls: HashMap<u64, CallBook>,
    /// Of each machine: its names.
    pub(crate) names: Vec<BTreeMap<u32, Held>>,
    /// Of each machine: the bells of its requests.
    pub(crate) bells: Vec<BTreeMap<u32, Bell>>,
    /// Of each machine: its port sets, and at which of them a thread waits.
    pub(crate) sets: Vec<BTreeMap<u32, bool>>,
    /// Machines that have no pages left, and until when; and when the last such time ended.
    pub(super) short: BTreeMap<usize, Duration>,
    pub(super) last_short: Option<Duration>,
    pub(crate) boots: Vec<u64>,
    pub(super) numbers: u64,
    /// The last message of each sender at each port.
    pub(super) last: HashMap<(Who, PortNo, u32), u64>,
    /// By which name a message was sent, for its order.
    pub(super) lanes: HashMap<u64, u32>,
    pub(crate) broken: Option<Broken>,
    pub(super) history: History,
    /// Messages that were received.
    pub(crate) received: u64,
    /// Notifications that were received.
    pub(crate) told: u64,
}

impl Default for Books {
    fn default() -> Self {
        Books {
            phase: Phase::Play,
            now: Duration::ZERO,
            merge: false,
            calm: Calm::default(),
            ports: Vec::new(),
            onces: Vec::new(),
            cargo: BTreeMap::new(),
            calls: HashMap::new(),
            names: Vec::new(),
            bells: Vec::new(),
            sets: Vec::new(),
            short: BTreeMap::new(),
            last_short: None,
            boots: Vec::new(),
            numbers: 0,
            last: HashMap::new(),
            lanes: HashMap::new(),
            broken: None,
            history: History::default(),
            received: 0,
            told: 0,
        }
    }
}

impl Books {
    pub(crate) fn open(&mut self, nodes: usize) {
        self.names.resize_with(nodes, BTreeMap::new);
        self.bells.resize_with(nodes, BTreeMap::new);
        self.sets.resize_with(nodes, BTreeMap::new);
        self.boots.resize(nodes, 0);
    }

    /// Whether a run of the wild keeps them.
    pub(crate) fn is_open(&self) -> bool {
        !self.names.is_empty()
    }

    /// Notes that something did not hold; the first is what is reported.
    pub(crate) fn accuse(&mut self, what: String, ports: &[PortNo], messages: &[u64]) {
        if self.broken.is_none() {
            self.broken = Some(Broken {
                what,
                ports: ports.to_vec(),
                messages: messages.to_vec(),
            });
        }
    }

    /// What was said of what did not hold, and the history that concerns it.
    pub(crate) fn report(&mut self) -> Option<(String, String)> {
        let broken = self.broken.take()?;
        let history = self.history.about(&broken.ports, &broken.messages);
        Some((broken.what, history))
    }

    pub(crate) fn note(&mut self, who: Who, text: &'static str, at: Note) {
        self.history.push(Entry {
            at: self.now,
            who,
            text,
            port: at.port,
            message: at.message,
            name: at.name,
            extra: at.extra,
        });
    }

    pub(crate) fn port(&mut self, port: PortNo) -> &mut PortBook {
        &mut self.ports[port.0 as usize]
    }

    /// Whether a port is dead: its receive right was given up, or went down with its node or
    /// with a message. A receive right that is on its way to a port whose own receive right is on
    /// its way to the first, and so on round, will never be received by anybody.
    pub(crate) fn is_gone(&self, port: PortNo) -> bool {
        let mut at = port;
        for _ in 0..=self.ports.len() {
            let number = match self.ports[at.0 as usize].place {
                Place::At(..) | Place::Returning => return false,
                Place::Gone(_) => return true,
                Place::InMessage(number) => number,
            };
            // One that is being filled is still at its sender.
            let Some(cargo) = self.cargo.get(&number) else {
                return false;
            };
            match cargo.fate {
                Fate::Lost => return true,
                // One of a circle dies, and its message may arrive with it all the same, once the
                // others are free: until the right is taken out, nobody knows which.
                _ if cargo.circular => return true,
                Fate::Received | Fate::Returned => return false,
                Fate::UnderWay if self.may_be_lost_by_itself(number) => return true,
                Fate::UnderWay => {}
            }
            match self.target(cargo.dest) {
                OnceTarget::Port(above) => at = above,
                OnceTarget::Call(_) => return false,
            }
        }
        true
    }

    /// Whether a message is lost, or may be.
    pub(crate) fn is_lost(&self, number: u64) -> bool {
        match self.cargo[&number].fate {
            Fate::Lost => true,
            Fate::UnderWay => self.may_be_lost(number),
            Fate::Received | Fate::Returned => false,
        }
    }

    /// A number for a new message.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Whether a right that is held may have died without its port.
    pub(crate) fn excused(&self, port: PortNo, path: &Path, since: Duration) -> bool {
        let mut path = path.clone();
        self.join_owners(port, &mut path);
        self.calm.excuses(&path, since, self.now)
    }

    /// Where the receive right of a port was; while it is in a message, also where that was, or
    /// may be: it goes along with the port in whose queue it lies.
    pub(crate) fn join_owners(&self, mut port: PortNo, path: &mut Path) {
        for _ in 0..=self.ports.len() {
            let Some(book) = self.ports.get(port.0 as usize) else {
                return;
            };
            path.join(&book.owners);
            let Place::InMessage(number) = book.place else {
                return;
            };
            let Some(cargo) = self.cargo.get(&number) else {
                return;
            };
            if let Dest::Once(once) = cargo.dest {
                path.join(&self.onces[once.0 as usize].path);
            }
            match self.target(cargo.dest) {
                OnceTarget::Port(above) => port = above,
                OnceTarget::Call(_) => return,
            }
        }
    }

    /// A machine has stopped for ever, or was started anew: all that it had is gone.
    pub(crate) fn forget_machine(&mut self, node: usize, reboots: bool) {
        if !self.is_open() {
            return;
        }
        let now = self.now;
        self.calm.node(node, now, now + super::calm::HARMLESS);
        let who = Who {
            node,
            boots: self.boots[node],
            thread: 0,
        };
        self.note(
            who,
            if reboots {
                "is started anew"
            } else {
                "is killed"
            },
            Note::default(),
        );
        for (name, held) in core::mem::take(&mut self.names[node]) {
            if held.port.0 == u32::MAX {
                continue;
            }
            let book = self.port(held.port);
            book.holders.remove(&(node, name));
            if held.receive {
                book.place = Place::Gone(now);
                book.owners.pass(node, now);
            }
        }
        for book in &mut self.ports {
            book.registered = book.registered.filter(|at| *at != node);
            // Their names may be given again.
            book.no_senders = book.no_senders.filter(|(at, _)| *at != node);
            book.destroyed = book.destroyed.filter(|(at, _)| *at != node);
            book.shared.retain(|(at, _)| *at != node);
            book.slots.retain(|(at, _)| *at != node);
        }
        self.sets[node].clear();
        self.end_shortage(node);
        self.bells[node].clear();
        self.boots[node] += u64::from(reboots);
        for call in self.calls.values_mut() {
            if call.caller.node == node && call.ended == Ended::Waiting {
                call.ended = Ended::GivenUp;
            }
        }
    }
}
