//! What the tables of a node mean together.
//!
//! Owns: whose a port is, who can send to it and from where, for whom a thread waits. The tables
//! are not of one moment: a right may be seen in none of them, or in two, if it moved meanwhile.

use super::visit::VISITOR;
use super::{Asked, Visit};
use norma_inspect::rows::{
    Exports, Holder, Imports, Names, Node, Ports, Sessions, Threads, Wait, port, right,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The tables of a node.
#[derive(Debug, Default)]
pub struct Model {
    /// The node itself.
    pub node: Node,
    /// When they were taken, since its start.
    pub at: Duration,
    /// Its threads.
    pub threads: Vec<Threads>,
    /// Its ports, stand-ins included.
    pub ports: Vec<Ports>,
    /// What is named in its spaces.
    pub names: Vec<Names>,
    /// Rights that other nodes hold.
    pub exports: Vec<Exports>,
    /// Rights of other nodes for which ports stand in.
    pub imports: Vec<Imports>,
    /// Its sessions.
    pub sessions: Vec<Sessions>,
    /// What other nodes were asked: how many send rights each holds to ports of these identities.
    pub held: BTreeMap<String, BTreeMap<u64, u64>>,
}

/// For what a thread waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waits {
    /// `receive`, `receive_set`, `answer`, `send`, `name`, `over`, `sleep`, `wake` or `nothing`.
    pub what: &'static str,
    /// The port: the lower 32 bits are what is shown as its number.
    pub port: Option<u64>,
    /// The set.
    pub set: Option<u64>,
    /// Of an answer, or of room at a stand-in: the node from which it comes.
    pub node: Option<String>,
    /// How long it goes on waiting, in nanoseconds.
    pub patience_ns: Option<u64>,
}

/// Who can send to a port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Senders {
    /// References to send rights under names of this node.
    pub here: u64,
    /// Send rights that were sent to other nodes, by their names.
    pub nodes: BTreeMap<String, u64>,
    /// Those of them that these hold now, as far as they were asked and answered.
    pub held_nodes: BTreeMap<String, u64>,
    /// Send-once rights on this node.
    pub once_here: u64,
    /// Send-once rights of other nodes.
    pub once_nodes: BTreeMap<String, u64>,
    /// Send rights that are in messages, in the node's own tables (a checked-in name, a special
    /// port), or in nobody's hands for the moment.
    pub elsewhere: u64,
}

/// A port's number as it is shown: its place.
#[must_use]
pub fn place(port: u64) -> u64 {
    port & 0xffff_ffff
}

impl Model {
    /// Asks for all tables.
    ///
    /// # Errors
    /// The node does not answer.
    pub fn new(asked: &Asked) -> anyhow::Result<Self> {
        let (mut node, at) = asked.table::<Node>()?;
        Ok(Self {
            node: node.pop().unwrap_or_default(),
            at,
            threads: asked.table()?.0,
            ports: asked.table()?.0,
            names: asked.table()?.0,
            exports: asked.table()?.0,
            imports: asked.table()?.0,
            sessions: asked.table()?.0,
            held: BTreeMap::new(),
        })
    }

    /// Asks the other nodes how many of the rights that were sent to them they hold now. Of those
    /// that do not answer nothing is known.
    ///
    /// # Errors
    /// None do.
    pub fn ask_senders(&mut self, visit: &Visit) -> anyhow::Result<()> {
        let peers: BTreeSet<_> = (self.exports.iter())
            .filter(|export| export.flags & (right::SEND_ONCE | right::PINNED) == 0)
            .map(|export| export.peer.as_str())
            .filter(|peer| !peer.is_empty() && !peer.starts_with(VISITOR))
            .collect();
        let mut failed = None;
        for peer in &peers {
            let held = visit.other(peer).and_then(|asked| {
                let (ports, _) = asked.table()?;
                let (names, _) = asked.table()?;
                Ok(held_by_identity(&ports, &names))
            });
            match held {
                Ok(held) => {
                    self.held.insert((*peer).to_owned(), held);
                }
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if self.held.is_empty() => Err(error),
            _ => Ok(()),
        }
    }

    /// A port by its number.
    #[must_use]
    pub fn port(&self, number: u64) -> Option<&Ports> {
        self.ports.iter().find(|port| port.port == number)
    }

    /// What a port is called: its number, and its name if it has one.
    #[must_use]
    pub fn port_text(&self, number: u64) -> String {
        let name = self.port(number).map_or("", |port| port.name.as_str());
        match name {
            "" => format!("#{}", place(number)),
            name => format!("#{} {name}", place(number)),
        }
    }

    /// Where the port of a right is: its number, and the session of a right without one.
    #[must_use]
    pub fn whose(&self, port: u64, session: u64) -> String {
        let row = self.port(port);
        let session = match (row, session) {
            (Some(row), _) => row.session,
            (None, session) => session,
        };
        if session == 0 {
            return "this node".into();
        }
        let of = |peer: &str| format!("node {peer}");
        match row {
            Some(row) if !row.peer.is_empty() => of(&row.peer),
            _ => {
                let mut sessions = self.sessions.iter();
                let session = sessions.find(|row| row.session == session - 1);
                session.map_or_else(|| of("?"), |session| of(&session.peer))
            }
        }
    }

    /// Whose receive right a port's is.
    #[must_use]
    pub fn receiver(&self, row: &Ports) -> String {
        if row.flags & port::DEAD != 0 {
            return "dead".into();
        }
        match Holder::from_number(row.holder) {
            Some(Holder::Space) => {
                let name = self
                    .names
                    .iter()
                    .find(|name| name.space == row.holder_space && name.name == row.holder_name);
                let task = name.map_or("", |name| name.task.as_str());
                match task {
                    "" => format!("space {}", row.holder_space),
                    task => task.to_owned(),
                }
            }
            Some(Holder::Transit) => "in a message".into(),
            Some(Holder::Queued) => format!("in queue of #{}", place(row.holder_space)),
            Some(Holder::Thread) => match self.caller(row.port) {
                Some(thread) => format!("answers to {}", thread_text(thread)),
                None => "answers".into(),
            },
            Some(Holder::Elsewhere) if row.session > 0 => {
                let peer = match row.peer.as_str() {
                    "" => "?",
                    peer => peer,
                };
                format!("-> {peer}")
            }
            Some(Holder::Elsewhere) => "-> gone".into(),
            None => "unknown".into(),
        }
    }

    /// The thread whose answers come to a port.
    fn caller(&self, reply_port: u64) -> Option<&Threads> {
        self.threads
            .iter()
            .find(|thread| thread.reply_port == reply_port)
    }

    /// Who can send to a port.
    #[must_use]
    pub fn senders(&self, row: &Ports) -> Senders {
        let mut senders = Senders::default();
        for name in self.names.iter().filter(|name| name.port == row.port) {
            senders.here += name.sends;
        }
        // Whatever number of rights a peer has, its session holds the port by one.
        let mut held = senders.here;
        for export in self.exports.iter().filter(|export| export.port == row.port) {
            if export.flags & right::PINNED != 0 {
                continue;
            }
            let of = match export.flags & right::SEND_ONCE {
                0 => {
                    held += 1;
                    &mut senders.nodes
                }
                _ => &mut senders.once_nodes,
            };
            *of.entry(export.peer.to_string()).or_default() += export.rights;
        }
        for node in senders.nodes.keys() {
            if let Some(held) = self.held.get(node) {
                let held = held.get(&row.identity).copied().unwrap_or_default();
                senders.held_nodes.insert(node.clone(), held);
            }
        }
        let once_away: u64 = senders.once_nodes.values().sum();
        senders.once_here = row.send_onces.saturating_sub(once_away);
        senders.elsewhere = row.sends.saturating_sub(row.pins).saturating_sub(held);
        senders
    }

    /// The threads that wait to receive from a port, or from its set.
    pub fn receivers(&self, row: &Ports) -> impl Iterator<Item = &Threads> {
        let (port, set) = (row.port, row.set);
        self.threads.iter().filter(move |thread| {
            let wait = Wait::from_number(thread.wait);
            match wait {
                Some(Wait::Receive | Wait::Answer) => thread.object == port,
                Some(Wait::ReceiveSet) => set > 0 && thread.object == set - 1,
                _ => false,
            }
        })
    }

    /// The threads that wait to send to a port.
    pub fn blocked(&self, row: &Ports) -> impl Iterator<Item = &Threads> {
        let port = row.port;
        self.threads.iter().filter(move |thread| {
            Wait::from_number(thread.wait) == Some(Wait::Send) && thread.object == port
        })
    }

    /// For what a thread waits.
    #[must_use]
    pub fn waits(&self, thread: &Threads) -> Waits {
        use norma_inspect::rows::ThreadState;
        let blocked = ThreadState::from_number(thread.state) == Some(ThreadState::Blocked);
        let at = self.at.as_nanos() as u64;
        let patience = (thread.deadline > 0).then(|| thread.deadline.saturating_sub(at));
        let mut waits = Waits {
            what: Wait::word_for(thread.wait),
            port: None,
            set: None,
            node: None,
            patience_ns: patience.filter(|_| blocked),
        };
        match Wait::from_number(thread.wait) {
            Some(Wait::Receive) => waits.port = Some(thread.object),
            Some(Wait::ReceiveSet) => waits.set = Some(thread.object),
            Some(Wait::Answer) => {
                waits.port = Some(thread.object);
                // Who was given the right to answer has, or had, it in its session.
                let given = self
                    .exports
                    .iter()
                    .find(|export| export.port == thread.object);
                waits.node = given.map(|export| export.peer.to_string());
            }
            Some(Wait::Send) => {
                waits.port = Some(thread.object);
                let port = self.port(thread.object).filter(|port| port.session > 0);
                waits.node = port.map(|port| port.peer.to_string());
            }
            Some(Wait::Nothing) if blocked => {
                waits.what = if patience.is_some() { "sleep" } else { "wake" };
            }
            _ => {}
        }
        waits
    }

    /// The same as a phrase.
    #[must_use]
    pub fn waits_text(&self, thread: &Threads) -> String {
        let waits = self.waits(thread);
        let port = || self.port_text(waits.port.unwrap_or_default());
        let mut text = match waits.what {
            "receive" => format!("message at {}", port()),
            "receive_set" => self.set_text(waits.set.unwrap_or_default()),
            "answer" => match &waits.node {
                Some(node) => format!("answer from {node}"),
                None => "answer".into(),
            },
            "send" => match &waits.node {
                Some(node) => format!("room at {} on {node}", port()),
                None => format!("room at {}", port()),
            },
            "name" => "a name to be found".into(),
            "sleep" => "time".into(),
            "wake" => "to be woken".into(),
            _ => String::new(),
        };
        if let Some(patience) = waits.patience_ns {
            text.push_str(&format!(", for {}", super::table::time(patience)));
        }
        text
    }

    /// A set by its members.
    fn set_text(&self, set: u64) -> String {
        let members = self.ports.iter().filter(|port| port.set == set + 1);
        let members: Vec<String> = members.map(|port| self.port_text(port.port)).collect();
        match &members[..] {
            [] => "message at an empty set".into(),
            [one] => format!("message at {one}"),
            [first, rest @ ..] => format!("message at {first} and {} more", rest.len()),
        }
    }
}

/// References to send rights under names, by the identities of the ports.
fn held_by_identity(ports: &[Ports], names: &[Names]) -> BTreeMap<u64, u64> {
    let identities = ports.iter().filter(|port| port.identity > 0);
    let identities: BTreeMap<u64, u64> =
        identities.map(|port| (port.port, port.identity)).collect();
    let mut held = BTreeMap::new();
    for name in names {
        if let Some(identity) = identities.get(&name.port) {
            *held.entry(*identity).or_default() += name.sends;
        }
    }
    held
}

/// What a thread is called.
#[must_use]
pub fn thread_text(thread: &Threads) -> String {
    format!("{} ({})", thread.name, thread.number)
}

/// What a right is, by its bits.
#[must_use]
pub fn kind(flags: u64) -> &'static str {
    let is = |bit| flags & bit != 0;
    match () {
        () if is(right::DEAD) => "dead name",
        () if is(right::SET) => "port set",
        () if is(right::RECEIVE) && is(right::SEND) => "receive, send",
        () if is(right::RECEIVE) => "receive",
        () if is(right::SEND_ONCE) => "send-once",
        () if is(right::PINNED) => "keeps the port",
        () => "send",
    }
}

/// Who holds what is under a name.
#[must_use]
pub fn holder(row: &Names) -> String {
    match row.task.as_str() {
        "" => format!("space {}", row.space),
        task => task.to_owned(),
    }
}
