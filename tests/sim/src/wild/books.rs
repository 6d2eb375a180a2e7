//! The oracle's books: who holds which right, what was sent, what came of it.
//!
//! They are kept by the actors from what they did and saw, and never ask a node what it believes
//! about others: a port is known by a number that the simulation gave it, a right in a message by
//! the entry that its sender made. So what they say is independent of how rights are counted.
//!
//! Owns the entries and the promises about messages and rights; those about notifications are
//! in `notify.rs`, those that hold at rest in `rest.rs`.

use core::fmt;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use norma_ipc::RightKind;

use super::calm::{Calm, Path};
use super::history::{Entry, History};
use super::notify::Bell;

/// A port, as the simulation numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PortNo(pub(crate) u32);

/// A send-once right, as the simulation numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OnceNo(pub(crate) u32);

/// A thread of a machine that was started so many times before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Who {
    pub(crate) node: usize,
    pub(crate) boots: u64,
    pub(crate) thread: u32,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node{}", self.node)?;
        if self.boots > 0 {
            write!(f, "(boot {})", self.boots + 1)?;
        }
        write!(f, ".{}", self.thread)
    }
}

/// Where a receive right is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    At(usize, u32),
    InMessage(u64),
    /// Given up, and to come back to who asked for that.
    Returning,
    /// Since when, and whether its holder gave it up (or else its node was lost, or a message).
    Gone(Duration),
}

#[derive(Debug)]
pub(crate) struct PortBook {
    pub(crate) place: Place,
    /// Names of send rights to it, by machine.
    pub(crate) holders: BTreeSet<(usize, u32)>,
    /// Messages with a send right to it that were sent and did not arrive so far.
    pub(crate) carriers: BTreeSet<u64>,
    /// Every node where its receive right was.
    pub(crate) owners: Path,
    /// How often a send right was made from the receive right.
    pub(crate) made: u32,
    pub(crate) onces_made: u32,
    pub(crate) onces_used: u32,
    pub(crate) onces_told: u32,
    /// The bells of the requests about it that are open.
    pub(crate) no_senders: Option<(usize, u32)>,
    pub(crate) destroyed: Option<(usize, u32)>,
    /// Nobody receives from it until then.
    pub(crate) stopped_until: Duration,
    /// The machine where its name is checked in: that is one more send right.
    pub(crate) registered: Option<usize>,
    /// At rest, somebody asked to be told when it has no senders.
    pub(crate) watched: bool,
}

/// What a name of a machine is worth.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) port: PortNo,
    pub(crate) sends: u32,
    pub(crate) receive: bool,
    pub(crate) once: Option<OnceNo>,
    /// Since when there are send rights under it.
    pub(crate) since: Duration,
    pub(crate) path: Path,
    /// It was seen to be dead.
    pub(crate) dead: bool,
    /// There is a request to be told of its death, with this bell.
    pub(crate) death: Option<u32>,
    /// The roll call has been sent through it.
    pub(crate) called: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnceTarget {
    Port(PortNo),
    /// The reply port of whoever made that call.
    Call(u64),
}

#[derive(Clone, Debug)]
pub(crate) struct OnceBook {
    pub(crate) target: OnceTarget,
    pub(crate) path: Path,
    /// The message that it was put into last.
    pub(crate) carrier: Option<u64>,
    /// Its message was received.
    pub(crate) used: bool,
}

/// A right in a message.
#[derive(Clone, Debug)]
pub(crate) struct Carried {
    pub(crate) kind: RightKind,
    pub(crate) port: PortNo,
    pub(crate) once: Option<OnceNo>,
    pub(crate) path: Path,
    pub(crate) since: Duration,
    /// The port told that it has no senders while this one was on its way.
    pub(crate) suspect: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dest {
    Port(PortNo),
    Once(OnceNo),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Sent, or waiting for room.
    UnderWay,
    Received,
    /// It came back to its sender.
    Returned,
    /// It will never come, for a reason that is none of ours.
    Lost,
}

#[derive(Clone, Debug)]
pub(crate) struct Cargo {
    pub(crate) from: Who,
    pub(crate) dest: Dest,
    pub(crate) rights: Vec<Carried>,
    /// The right for the answer.
    pub(crate) reply: Option<OnceNo>,
    pub(crate) sent: Duration,
    pub(crate) fate: Fate,
    pub(crate) path: Path,
    /// A receive right in it was bound for its own queue, by way of others perhaps.
    pub(crate) circular: bool,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Waiting,
    Answered,
    /// Its caller was told that there will be no answer.
    Failed,
    /// Its caller did not wait any longer.
    GivenUp,
}

#[derive(Debug)]
pub(crate) struct CallBook {
    pub(crate) caller: Who,
    pub(crate) ended: Ended,
    /// Somebody let go of the right to answer it.
    pub(crate) dropped: bool,
}

/// What a run of the wild is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Everybody does as they like.
    Play,
    /// Nobody begins anything; what is under way arrives.
    Settle,
    /// A message through every right.
    RollCall,
    /// All send rights are given up; then the receive rights.
    GiveUpSends,
    GiveUpReceives,
}

/// A promise that did not hold.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) what: String,
    pub(crate) ports: Vec<PortNo>,
    pub(crate) messages: Vec<u64>,
}

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
    pub(crate) boots: Vec<u64>,
    numbers: u64,
    /// The last message of each sender at each port.
    last: HashMap<(Who, PortNo, u32), u64>,
    /// By which name a message was sent, for its order.
    lanes: HashMap<u64, u32>,
    pub(crate) broken: Option<Broken>,
    history: History,
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
            match self.cargo[&number].fate {
                Fate::Lost => return true,
                Fate::Received | Fate::Returned => return false,
                Fate::UnderWay if self.may_be_lost_by_itself(number) => return true,
                Fate::UnderWay => {}
            }
            match self.target(self.cargo[&number].dest) {
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

    /// A new port, whose receive right is under that name.
    pub(crate) fn new_port(&mut self, who: Who, name: u32) -> PortNo {
        let port = PortNo(self.ports.len() as u32);
        let mut owners = Path::default();
        owners.pass(who.node, Duration::MAX / 2);
        self.ports.push(PortBook {
            place: Place::At(who.node, name),
            holders: BTreeSet::new(),
            carriers: BTreeSet::new(),
            owners,
            made: 0,
            onces_made: 0,
            onces_used: 0,
            onces_told: 0,
            no_senders: None,
            destroyed: None,
            stopped_until: Duration::ZERO,
            registered: None,
            watched: false,
        });
        self.held(who.node, name, port).receive = true;
        self.note(who, "makes port {p} as {n}", Note::port(port).name(name));
        port
    }

    /// What is under a name, which is made if need be.
    fn held(&mut self, node: usize, name: u32, port: PortNo) -> &mut Held {
        let since = self.now;
        self.names[node].entry(name).or_insert_with(|| {
            let mut path = Path::default();
            path.pass(node, Duration::MAX / 2);
            Held {
                port,
                sends: 0,
                receive: false,
                once: None,
                since,
                path,
                dead: false,
                death: None,
                called: false,
            }
        })
    }

    /// A live name of a machine that leads to a port, if it has one.
    pub(crate) fn name_of(&self, node: usize, port: PortNo) -> Option<u32> {
        let mut names = self.names[node].iter();
        let found =
            |(_, held): &(&u32, &Held)| held.port == port && held.once.is_none() && !held.dead;
        names.find(found).map(|(name, _)| *name)
    }

    /// One more send right under a name, which came along `path`.
    pub(crate) fn add_send(&mut self, who: Who, name: u32, port: PortNo, path: &Path) {
        let known = self.name_of(who.node, port);
        if let Some(known) = known
            && known != name
            && self.merge
        {
            let what = format!(
                "node{} has port {} as {known:#x} and as {name:#x}",
                who.node, port.0
            );
            self.accuse(what, &[port], &[]);
        }
        let now = self.now;
        let held = self.held(who.node, name, port);
        if held.port != port {
            let other = held.port;
            let what = format!(
                "{name:#x} of node{} is port {} and port {}",
                who.node, other.0, port.0
            );
            return self.accuse(what, &[port, other], &[]);
        }
        if held.sends == 0 {
            held.since = now;
        }
        held.sends += 1;
        held.path.join(path);
        held.path.pass(who.node, Duration::MAX / 2);
        self.port(port).holders.insert((who.node, name));
    }

    /// One send right less; the name goes with the last right.
    pub(crate) fn take_send(&mut self, node: usize, name: u32) {
        let Some(held) = self.names[node].get_mut(&name) else {
            return;
        };
        held.sends = held.sends.saturating_sub(1);
        let (port, left, receive) = (held.port, held.sends, held.receive);
        if left == 0 {
            self.port(port).holders.remove(&(node, name));
            if !receive {
                self.names[node].remove(&name);
            }
        }
    }

    /// The receive right is not under that name any more.
    pub(crate) fn take_receive(&mut self, node: usize, name: u32, place: Place) {
        let Some(held) = self.names[node].get_mut(&name) else {
            return;
        };
        held.receive = false;
        let (port, sends, now) = (held.port, held.sends, self.now);
        if sends == 0 {
            self.names[node].remove(&name);
        }
        let book = self.port(port);
        book.place = place;
        book.owners.pass(node, now);
        if matches!(place, Place::Gone(_)) {
            book.registered = None;
        }
    }

    /// The receive right has come to a machine.
    pub(crate) fn add_receive(&mut self, who: Who, name: u32, port: PortNo) {
        let mut path = Path::default();
        self.join_owners(port, &mut path);
        self.port(port).owners = path;
        let held = self.held(who.node, name, port);
        held.receive = true;
        held.dead = false;
        let book = self.port(port);
        book.place = Place::At(who.node, name);
        book.owners.pass(who.node, Duration::MAX / 2);
    }

    pub(crate) fn new_once(&mut self, node: usize, target: OnceTarget) -> OnceNo {
        let mut path = Path::default();
        path.pass(node, Duration::MAX / 2);
        if let OnceTarget::Port(port) = target {
            self.port(port).onces_made += 1;
        }
        self.onces.push(OnceBook {
            target,
            path,
            carrier: None,
            used: false,
        });
        OnceNo(self.onces.len() as u32 - 1)
    }

    pub(crate) fn once_port(&self, once: OnceNo) -> PortNo {
        match self.onces[once.0 as usize].target {
            OnceTarget::Port(port) => port,
            OnceTarget::Call(_) => PortNo(u32::MAX),
        }
    }

    pub(crate) fn hold_once(&mut self, who: Who, name: u32, once: OnceNo) {
        self.onces[once.0 as usize].carrier = None;
        let port = self.once_port(once);
        let path = self.onces[once.0 as usize].path.clone();
        let held = self.held(who.node, name, port);
        held.once = Some(once);
        held.path.join(&path);
    }

    /// Tells of the right to answer a call, if it is one.
    pub(crate) fn note_once(&mut self, who: Who, once: OnceNo, text: &'static str, extra: u64) {
        if let OnceTarget::Call(call) = self.onces[once.0 as usize].target {
            let note = Note::message(call);
            self.note(who, text, Note { extra, ..note });
        }
    }

    /// Somebody let go of a send-once right, knowingly.
    pub(crate) fn once_dropped(&mut self, once: OnceNo) {
        if let OnceTarget::Call(call) = self.onces[once.0 as usize].target
            && let Some(call) = self.calls.get_mut(&call)
        {
            call.dropped = true;
        }
    }

    /// A send-once right has come to a machine in a message.
    pub(crate) fn once_came(&mut self, who: Who, once: OnceNo) {
        let now = self.now;
        self.onces[once.0 as usize].path.pass(who.node, now);
    }

    /// The receive right of a port is on its way to some machine: who is told what was asked
    /// about it may be elsewhere.
    pub(crate) fn moved(&mut self, port: PortNo) {
        let book = &self.ports[port.0 as usize];
        for (node, bell) in [book.no_senders, book.destroyed].into_iter().flatten() {
            if let Some(bell) = self.bells[node].get_mut(&bell) {
                bell.moved = true;
            }
        }
    }

    /// Ports whose names are checked in on a machine.
    pub(crate) fn registered(&self, node: usize) -> Vec<PortNo> {
        let ports = self.ports.iter().enumerate();
        let here = ports.filter(|(_, book)| book.registered == Some(node));
        here.map(|(at, _)| PortNo(at as u32)).collect()
    }

    /// A right that was dead when it came: a reference to a dead name.
    pub(crate) fn add_dead(&mut self, who: Who, name: u32, port: PortNo) {
        let held = self.held(who.node, name, port);
        held.sends += 1;
        held.dead = true;
        self.port(port).holders.insert((who.node, name));
    }

    /// A send right came dead out of a message.
    pub(crate) fn came_dead(
        &mut self,
        who: Who,
        name: u32,
        carried: &Carried,
        number: u64,
        path: &Path,
    ) {
        let port = carried.port;
        let mut path = path.clone();
        path.join(&self.names[who.node][&name].path);
        if !self.is_gone(port) && !self.excused(port, &path, carried.since) {
            let what = format!(
                "a right to port {} came dead in message {number}: the port lives and nothing came between",
                port.0
            );
            self.accuse(what, &[port], &[number]);
        }
    }

    /// A receive right came dead out of a message: its node died while it was on its way, or
    /// could not be heard. It may have come back there to whoever asked for that.
    pub(crate) fn receive_came_dead(
        &mut self,
        who: Who,
        carried: &Carried,
        number: u64,
        path: &Path,
    ) {
        let (port, now) = (carried.port, self.now);
        let text = "sees that the receive right of port {p} came dead in {m}";
        self.note(who, text, Note::message(number).of(port));
        if !self.excused(port, path, carried.since) {
            let what = format!(
                "the receive right of port {} came dead in message {number}: nothing came between",
                port.0
            );
            self.accuse(what, &[port], &[number]);
        }
        if self.ports[port.0 as usize].place == Place::InMessage(number) {
            self.port(port).place = Place::Gone(now);
        }
    }

    /// A receive right that was given up came back dead: as in a message.
    pub(crate) fn came_back_dead(&mut self, port: PortNo) {
        if !self.excused(port, &Path::default(), Duration::ZERO) {
            let what = format!("port {} came back dead: nothing came between", port.0);
            self.accuse(what, &[port], &[]);
        }
        let now = self.now;
        self.port(port).place = Place::Gone(now);
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
            let cargo = &self.cargo[&number];
            if let Dest::Once(once) = cargo.dest {
                path.join(&self.onces[once.0 as usize].path);
            }
            match self.target(cargo.dest) {
                OnceTarget::Port(above) => port = above,
                OnceTarget::Call(_) => return,
            }
        }
    }

    /// A name was seen to be dead.
    pub(crate) fn seen_dead(&mut self, who: Who, name: u32) {
        let Some(held) = self.names[who.node].get_mut(&name) else {
            return;
        };
        if held.dead {
            return;
        }
        held.dead = true;
        let held = held.clone();
        self.note(
            who,
            "sees that its name {n} for port {p} is dead",
            Note::port(held.port).name(name),
        );
        if let Some(once) = held.once {
            self.once_dropped(once);
        }
        let known = held.port.0 != u32::MAX;
        if known && !self.is_gone(held.port) && !self.excused(held.port, &held.path, held.since) {
            let what = format!(
                "{name:#x} of node{} died, but port {} lives and nothing came between",
                who.node, held.port.0
            );
            self.accuse(what, &[held.port], &[]);
        }
    }

    /// A message was sent, or waits for room.
    pub(crate) fn sent(&mut self, number: u64, cargo: Cargo, lane: u32) {
        for right in &cargo.rights {
            match right.kind {
                RightKind::Send => {
                    self.port(right.port).carriers.insert(number);
                }
                RightKind::Receive => self.port(right.port).place = Place::InMessage(number),
                RightKind::SendOnce => {
                    if let Some(once) = right.once {
                        self.onces[once.0 as usize].carrier = Some(number);
                    }
                }
            }
        }
        self.lanes.insert(number, lane);
        self.cargo.insert(number, cargo);
        self.mark_circle(number);
    }

    /// If the receive rights in some messages are on their way into each other's queues, round,
    /// one of these messages is given up, whichever, and nobody is wronged.
    fn mark_circle(&mut self, first: u64) {
        let mut circle = vec![first];
        while let OnceTarget::Port(port) = self.target(self.cargo[&circle[circle.len() - 1]].dest)
            && let Place::InMessage(above) = self.ports[port.0 as usize].place
        {
            if above == first {
                for number in circle {
                    if let Some(cargo) = self.cargo.get_mut(&number) {
                        cargo.circular = true;
                    }
                }
                return;
            }
            if circle.contains(&above) {
                return;
            }
            circle.push(above);
        }
    }

    /// A message is nowhere any more.
    pub(crate) fn unload(&mut self, number: u64, fate: Fate) -> Option<Cargo> {
        let cargo = self.cargo.get_mut(&number)?;
        cargo.fate = fate;
        let cargo = cargo.clone();
        for right in &cargo.rights {
            if right.kind == RightKind::Send {
                self.port(right.port).carriers.remove(&number);
            }
        }
        Some(cargo)
    }

    /// A message was received: from a port, or as the answer to a call.
    pub(crate) fn arrived(&mut self, who: Who, number: u64, at: OnceTarget) -> Option<Cargo> {
        self.received += 1;
        let port = match at {
            OnceTarget::Port(port) => Some(port),
            OnceTarget::Call(_) => None,
        };
        self.note(
            who,
            match port {
                Some(_) => "receives message {m} from port {p}",
                None => "receives message {m} as an answer",
            },
            Note {
                port,
                ..Note::message(number)
            },
        );
        let ports: Vec<PortNo> = port.into_iter().collect();
        let Some(fate) = self.cargo.get(&number).map(|cargo| cargo.fate) else {
            self.accuse(
                format!("message {number} was never sent"),
                &ports,
                &[number],
            );
            return None;
        };
        if fate != Fate::UnderWay {
            let what = match fate {
                Fate::Received => format!("message {number} was received twice"),
                _ => format!("message {number} was received, and had come back or was lost"),
            };
            self.accuse(what, &ports, &[number]);
            return None;
        }
        let mut cargo = self.unload(number, Fate::Received)?;
        self.go_along(&mut cargo);
        let meant = match cargo.dest {
            Dest::Port(port) => OnceTarget::Port(port),
            Dest::Once(once) => {
                let book = &mut self.onces[once.0 as usize];
                let target = book.target;
                if core::mem::replace(&mut book.used, true) {
                    let what = format!("a send-once right was used twice, by message {number}");
                    self.accuse(what, &ports, &[number]);
                }
                if let OnceTarget::Port(port) = target {
                    self.port(port).onces_used += 1;
                    self.check_onces(port);
                }
                target
            }
        };
        if meant != at {
            let what = format!("message {number} was for {meant:?} and came to {at:?}");
            self.accuse(what, &ports, &[number]);
        }
        if let Dest::Port(port) = cargo.dest {
            let lane = match self.merge {
                // A thread that was handed a message may run after another that took the next.
                true => who.thread,
                false => self.lanes.get(&number).copied().unwrap_or(0),
            };
            let last = self.last.insert((cargo.from, port, lane), number);
            if let Some(last) = last.filter(|last| *last > number) {
                let what = format!(
                    "message {number} of {} came after message {last}",
                    cargo.from
                );
                self.accuse(what, &[port], &[number, last]);
            }
        }
        Some(cargo)
    }

    /// What is in a message was where the port was in whose queue it lay.
    fn go_along(&mut self, cargo: &mut Cargo) {
        let OnceTarget::Port(port) = self.target(cargo.dest) else {
            return;
        };
        let mut way = Path::default();
        self.join_owners(port, &mut way);
        for right in &mut cargo.rights {
            right.path.join(&way);
        }
        let onces = cargo.rights.iter().filter_map(|right| right.once);
        for once in onces.chain(cargo.reply) {
            self.onces[once.0 as usize].path.join(&way);
        }
    }

    /// No more messages and notifications can come of send-once rights than were made.
    pub(crate) fn check_onces(&mut self, port: PortNo) {
        let book = self.port(port);
        let (made, used, told) = (book.onces_made, book.onces_used, book.onces_told);
        if used + told > made {
            let what = format!(
                "port {}: {made} send-once rights were made, {used} were used and {told} destroyed",
                port.0
            );
            self.accuse(what, &[port], &[]);
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
        }
        self.bells[node].clear();
        self.boots[node] += u64::from(reboots);
        for call in self.calls.values_mut() {
            if call.caller.node == node && call.ended == Ended::Waiting {
                call.ended = Ended::GivenUp;
            }
        }
    }
}

/// What an entry of the history is about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Note {
    pub(crate) port: Option<PortNo>,
    pub(crate) message: Option<u64>,
    pub(crate) name: u32,
    pub(crate) extra: u64,
}

impl Note {
    pub(crate) fn port(port: PortNo) -> Self {
        Note {
            port: Some(port),
            ..Note::default()
        }
    }

    pub(crate) fn message(number: u64) -> Self {
        Note {
            message: Some(number),
            ..Note::default()
        }
    }

    pub(crate) fn name(self, name: u32) -> Self {
        Note { name, ..self }
    }

    pub(crate) fn of(self, port: PortNo) -> Self {
        let port = Some(port).filter(|port| port.0 != u32::MAX);
        Note { port, ..self }
    }
}
