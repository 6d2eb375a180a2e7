//! Notifications: never early, exactly once, and (in `rest.rs`) never missed.
//!
//! Each request to be told has a port of its own, its *bell*, so that what comes there is known
//! to be about that request. After each step of a machine its bells are looked at: one that has
//! just rung is judged against the books of that very moment.

use core::time::Duration;

use norma_ipc::Notification;

use super::books::Books;
use super::calm::Path;
use super::entries::{Note, Place, PortNo, Who};

/// What a request was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    NoSenders,
    Destroyed,
    /// The death of what is under that name.
    Death(u32),
    /// Room in the queue of what is under that name.
    Room(u32),
}

/// What was so when a bell rang.
#[derive(Clone, Debug)]
struct Rung {
    at: Duration,
    /// Names that held a send right, in sessions that nothing disturbed.
    holders: Vec<(usize, u32)>,
    /// Messages that had one with them.
    carriers: Vec<u64>,
    /// Its name was checked in, on that machine.
    registered: Option<usize>,
    /// It was in a slot of that machine.
    in_slot: Option<usize>,
    /// The port was alive, and in reach of who asked.
    alive: bool,
    place: Place,
}

/// A request to be told, and the port where it is told.
#[derive(Debug)]
pub(crate) struct Bell {
    pub(crate) port: PortNo,
    pub(crate) about: About,
    /// Its right came back, and was given up.
    pub(crate) withdrawn: bool,
    pub(crate) times: u32,
    /// The receive right was moved since it was asked.
    pub(crate) moved: bool,
    rung: Option<Rung>,
    /// Something lies there that nobody has taken so far.
    waiting: bool,
}

/// How long after it rang a bell is kept, in case it rings once more.
const KEPT: Duration = Duration::from_secs(2);

impl Bell {
    pub(crate) fn new(port: PortNo, about: About) -> Self {
        Bell {
            port,
            about,
            withdrawn: false,
            times: 0,
            moved: false,
            rung: None,
            waiting: false,
        }
    }

    /// Whether there is something to be taken.
    pub(crate) fn rings(&self) -> bool {
        self.waiting
    }

    /// Whether it rang so long ago that it will not again.
    pub(crate) fn is_over(&self, now: Duration) -> bool {
        let rung = self.rung.as_ref();
        !self.waiting && rung.is_some_and(|rung| now > rung.at + KEPT)
    }
}

impl Books {
    /// Looks at the bells of a machine that has just taken a step.
    pub(crate) fn look(&mut self, node: usize, queued: impl Fn(u32) -> bool) {
        let silent = self.bells[node].iter().filter(|(_, bell)| !bell.waiting);
        let ringing: Vec<u32> = silent
            .map(|(name, _)| *name)
            .filter(|name| queued(*name))
            .collect();
        for name in ringing {
            let snapshot = self.snapshot(node, name);
            if let Some(bell) = self.bells[node].get_mut(&name) {
                bell.waiting = true;
                bell.rung.get_or_insert(snapshot);
            }
        }
    }

    fn snapshot(&self, node: usize, bell: u32) -> Rung {
        let bell = &self.bells[node][&bell];
        let book = &self.ports[bell.port.0 as usize];
        let sound = |node: usize, name: u32| {
            let held = &self.names[node][&name];
            held.sends > 0 && !held.dead && !self.excused(bell.port, &held.path, held.since)
        };
        let in_reach = |at: usize| {
            let mut path = Path::default();
            path.pass(at, Duration::MAX / 2);
            !self.excused(bell.port, &path, Duration::ZERO)
        };
        let alive = !self.is_gone(bell.port);
        Rung {
            at: self.now,
            holders: match bell.about {
                About::NoSenders => {
                    let holders = book.holders.iter().copied();
                    holders.filter(|(node, name)| sound(*node, *name)).collect()
                }
                _ => Vec::new(),
            },
            carriers: match bell.about {
                About::NoSenders => book.carriers.iter().copied().collect(),
                _ => Vec::new(),
            },
            registered: book.registered.filter(|at| in_reach(*at)),
            in_slot: book
                .slots
                .iter()
                .map(|(at, _)| *at)
                .find(|at| in_reach(*at)),
            alive: alive
                && match bell.about {
                    About::Death(name) | About::Room(name) => self.names[node]
                        .get(&name)
                        .is_some_and(|held| !self.excused(bell.port, &held.path, held.since)),
                    _ => true,
                },
            place: book.place,
        }
    }

    /// A notification came to a bell.
    pub(crate) fn rang(&mut self, who: Who, name: u32, told: &Notification) {
        self.told += 1;
        let Some(bell) = self.bells[who.node].get_mut(&name) else {
            let what = format!("{who} was told {told:?} at {name:#x}, which is no bell");
            return self.accuse(what, &[], &[]);
        };
        bell.times += 1;
        bell.waiting = false;
        let (times, port, about, withdrawn) = (bell.times, bell.port, bell.about, bell.withdrawn);
        let (moved, rung) = (bell.moved, bell.rung.clone());
        self.note(
            who,
            match told {
                Notification::NoSenders { .. } => "is told that port {p} has no senders, at {n}",
                Notification::DeadName { .. } => {
                    "is told that its name for port {p} is dead, at {n}"
                }
                Notification::NameDeleted { .. } => {
                    "is told that it gave up its name for port {p}, at {n}"
                }
                Notification::PortDestroyed(_) => "gets port {p} back, at {n}",
                Notification::SendOnce(_) => {
                    "is told that the request about port {p} is over, at {n}"
                }
                Notification::Room { .. } => "is told that port {p} has room, at {n}",
            },
            Note::port(port).name(name),
        );
        if times > 1 {
            let what = format!("{who} was told {times} times what it asked once: {told:?}");
            self.accuse(what, &[port], &[]);
        }
        let Some(rung) = rung else {
            return;
        };
        match (told, about) {
            (Notification::NoSenders { .. }, About::NoSenders) => {
                self.port(port).no_senders = None;
                // Where the bell is elsewhere, when it was rung is not known here.
                if !moved {
                    self.check_no_senders(who, port, &rung);
                }
            }
            (Notification::Room { name }, About::Room(asked)) => {
                if name.raw() != asked {
                    let what = format!("{who} was told of {name:?} instead of {asked:#x}");
                    self.accuse(what, &[port], &[]);
                }
            }
            (Notification::DeadName { name, .. }, About::Death(asked) | About::Room(asked)) => {
                if name.raw() != asked || rung.alive {
                    let what = format!(
                        "{who} was told that {name:?} is dead, and port {} lives",
                        port.0
                    );
                    self.accuse(what, &[port], &[]);
                }
                self.seen_dead(who, asked);
            }
            (Notification::NameDeleted { name }, About::Death(asked) | About::Room(asked)) => {
                if name.raw() != asked {
                    let what = format!("{who} was told of {name:?} instead of {asked:#x}");
                    self.accuse(what, &[port], &[]);
                }
            }
            (Notification::PortDestroyed(_), About::Destroyed) => {
                self.port(port).destroyed = None;
                if matches!(rung.place, Place::At(..)) {
                    let what = format!("port {} came back, and nobody had given it up", port.0);
                    self.accuse(what, &[port], &[]);
                }
            }
            (Notification::SendOnce(reason), _) => {
                let path = Path::default();
                let over =
                    withdrawn || !rung.alive || moved && self.excused(port, &path, Duration::ZERO);
                if !over {
                    let what = format!("the request about port {} ended with {reason:?}", port.0);
                    self.accuse(what, &[port], &[]);
                }
            }
            _ => {
                let what = format!("{who} was told {told:?} and had asked for {about:?}");
                self.accuse(what, &[port], &[]);
            }
        }
    }

    /// Whoever had a send right when its port was told that there are none.
    fn check_no_senders(&mut self, who: Who, port: PortNo, rung: &Rung) {
        if let Some((node, name)) = rung.holders.first() {
            let what = format!(
                "{who} was told at {:.6} s that port {} has no senders: node{node} had one as {name:#x}",
                rung.at.as_secs_f64(),
                port.0
            );
            return self.accuse(what, &[port], &[]);
        }
        if let Some(node) = rung.registered {
            let what = format!(
                "{who} was told that port {} has no senders: its name is checked in at node{node}",
                port.0
            );
            return self.accuse(what, &[port], &[]);
        }
        if let Some(node) = rung.in_slot {
            let what = format!(
                "{who} was told that port {} has no senders: it is in a slot of node{node}",
                port.0
            );
            return self.accuse(what, &[port], &[]);
        }
        for number in &rung.carriers {
            let Some(cargo) = self.cargo.get_mut(number) else {
                continue;
            };
            for right in &mut cargo.rights {
                if right.port == port {
                    right.suspect = Some(rung.at);
                }
            }
        }
    }
}
