//! The books of rights: which names hold what, on each machine.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use norma_ipc::limits::DEFAULT_QUEUE_LIMIT;

use super::books::Books;
use super::calm::Path;
use super::entries::{
    Carried, Fate, Held, Note, OnceBook, OnceNo, OnceTarget, Place, PortBook, PortNo, Who,
};

impl Books {
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
            onces_lost: 0,
            no_senders: None,
            destroyed: None,
            stopped_until: Duration::ZERO,
            registered: None,
            watched: false,
            limit: DEFAULT_QUEUE_LIMIT,
            shared: BTreeSet::new(),
            slots: BTreeSet::new(),
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
                room: None,
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
            book.shared.clear();
            book.slots.clear();
        }
    }

    /// The receive right has come to a machine.
    pub(crate) fn add_receive(&mut self, who: Who, name: u32, port: PortNo) {
        self.lose_queued(port);
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

    /// A receive right has come, and its queue was to follow: if that was disturbed, what has come
    /// is all there is (W-126). What has become of its send-once rights before may have been in
    /// that queue.
    fn lose_queued(&mut self, port: PortNo) {
        let since = match self.ports[port.0 as usize].place {
            Place::InMessage(number) => self.cargo.get(&number).map(|cargo| cargo.sent),
            _ => None,
        };
        if !self.excused(port, &Path::default(), since.unwrap_or_default()) {
            return;
        }
        let of_port = |once: &OnceNo| self.onces[once.0 as usize].target == OnceTarget::Port(port);
        let names = self.names.iter().flat_map(BTreeMap::values);
        let held = names.filter_map(|held| held.once).filter(of_port);
        let under_way = self
            .cargo
            .values()
            .filter(|cargo| cargo.fate == Fate::UnderWay);
        let carried =
            under_way.flat_map(|cargo| cargo.rights.iter().filter_map(|right| right.once));
        let alive = held.count() + carried.filter(of_port).count();
        let book = &mut self.ports[port.0 as usize];
        let seen = book.onces_used + book.onces_told + alive as u32;
        book.onces_lost = book.onces_made.saturating_sub(seen);
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

    /// The receive right of a port is on its way to some machine, in a message or because it comes
    /// back there: who is told what was asked about it may be elsewhere, and it may be lost.
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
    /// could not be heard, or it was the one of a circle that had to die (W-134). It may have come
    /// back there to whoever asked for that.
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
        let circular = self.cargo.get(&number).is_some_and(|cargo| cargo.circular);
        if !circular && !self.excused(port, path, carried.since) {
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
}
