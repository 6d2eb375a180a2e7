//! What must hold when nothing is under way any more: no message is missing, no notification
//! was missed, every right that lives can be used, and what is dead is known to be dead.

use norma_ipc::RightKind;

use super::books::Books;
use super::calm::Path;
use super::entries::{Dest, Ended, Fate, OnceTarget, Place, PortNo, Word};
use super::notify::About;

impl Books {
    /// After all that was sent had time to arrive: what did not is lost, and had to be.
    pub(crate) fn check_settled(&mut self) {
        let open: Vec<u64> = self
            .cargo
            .iter()
            .filter(|(_, cargo)| cargo.fate == Fate::UnderWay)
            .map(|(number, _)| *number)
            .collect();
        for number in open {
            if !self.may_be_lost(number) {
                let cargo = &self.cargo[&number];
                let target = self.target(cargo.dest);
                let what = format!(
                    "message {number} of {} to {target:?} never arrived",
                    cargo.from
                );
                match target {
                    OnceTarget::Port(port) => self.accuse(what, &[port], &[number]),
                    OnceTarget::Call(call) => self.accuse(what, &[], &[number, call]),
                }
            }
            self.lose(number);
        }
        for at in 0..self.ports.len() {
            let port = PortNo(at as u32);
            if let (Place::Returning | Place::InMessage(_), Some((node, bell))) =
                (self.ports[at].place, self.ports[at].destroyed)
            {
                let there = self.bells[node].get(&bell).map(|bell| bell.times);
                if there == Some(0) && self.ports[at].place == Place::Returning {
                    let what = format!("port {at} was given up, and did not come back");
                    self.accuse(what, &[port], &[]);
                }
                self.ports[at].place = Place::Gone(self.now);
            }
        }
    }

    /// A message will never come, and what was in it has died, or come back.
    pub(crate) fn lose(&mut self, number: u64) {
        let Some(cargo) = self.unload(number, Fate::Lost) else {
            return;
        };
        let now = self.now;
        for right in cargo.rights {
            if right.kind == RightKind::Receive
                && self.port(right.port).place == Place::InMessage(number)
                && self.port(right.port).destroyed.is_none()
            {
                self.port(right.port).place = Place::Gone(now);
            }
            if let Some(once) = right.once {
                self.once_dropped(once);
            }
        }
    }

    pub(crate) fn target(&self, dest: Dest) -> OnceTarget {
        match dest {
            Dest::Port(port) => OnceTarget::Port(port),
            Dest::Once(once) => self.onces[once.0 as usize].target,
        }
    }

    /// Whether a message that has not arrived so far may never do so.
    pub(crate) fn may_be_lost(&self, number: u64) -> bool {
        let gone = match self.target(self.cargo[&number].dest) {
            OnceTarget::Port(port) => self.is_gone(port),
            OnceTarget::Call(_) => false,
        };
        gone || self.may_be_lost_by_itself(number)
    }

    /// The same, while the port to which it goes lives.
    pub(crate) fn may_be_lost_by_itself(&self, number: u64) -> bool {
        let cargo = &self.cargo[&number];
        let (port, over) = match self.target(cargo.dest) {
            OnceTarget::Port(port) => (port, false),
            OnceTarget::Call(call) => {
                let ended = self.calls[&call].ended;
                (
                    PortNo(u32::MAX),
                    matches!(ended, Ended::GivenUp | Ended::Failed),
                )
            }
        };
        let rebooted = self.boots[cargo.from.node] != cargo.from.boots;
        let excused = match cargo.word {
            // Nothing matters any more but where its port is.
            Some(Word::Delivered(at)) => {
                let short = cargo.large && self.was_short(at);
                return over || short || self.excused(port, &Path::default(), at);
            }
            _ => self.excused(port, &cargo.path, cargo.sent),
        };
        over || rebooted || cargo.circular || excused || cargo.large && self.was_short(cargo.sent)
    }

    /// After the roll call, and once more after all send rights were given up.
    pub(crate) fn check_senders(&mut self) {
        for at in 0..self.ports.len() {
            let (port, book) = (PortNo(at as u32), &self.ports[at]);
            if !matches!(book.place, Place::At(..)) {
                continue;
            }
            let mut holders = book.holders.iter();
            let held = holders.any(|(node, name)| !self.names[*node][name].dead)
                || book.registered.is_some()
                || !book.slots.is_empty()
                // Which of several nodes has such a name is for them to agree on.
                || !book.shared.is_empty();
            let Some((node, bell)) = book.no_senders else {
                continue;
            };
            let silent = self.bells[node]
                .get(&bell)
                .is_some_and(|bell| bell.times == 0);
            if !held && silent {
                let what = format!("port {at} has no senders and nobody was told so");
                self.accuse(what, &[port], &[]);
            }
        }
    }

    /// When everything has arrived: nobody waits for room.
    pub(crate) fn check_room(&mut self) {
        let bells = self.bells.iter().enumerate();
        let mut bells = bells.flat_map(|(node, bells)| bells.iter().map(move |bell| (node, bell)));
        let silent = bells.find(|(_, (_, bell))| {
            matches!(bell.about, About::Room(_)) && bell.times == 0 && !self.is_gone(bell.port)
        });
        if let Some((node, (name, bell))) = silent {
            let port = bell.port;
            let what = format!(
                "port {} has room: node{node} was not told so at {name:#x}",
                port.0
            );
            self.accuse(what, &[port], &[]);
        }
    }

    /// When nobody holds a send-once right any more: each came to exactly one thing.
    pub(crate) fn check_spent(&mut self) {
        for at in 0..self.ports.len() {
            let book = &self.ports[at];
            let (made, used, told) = (book.onces_made, book.onces_used, book.onces_told);
            let least = made - book.onces_lost.min(made);
            if matches!(book.place, Place::At(..)) && used + told < least {
                let what = format!(
                    "port {at}: {made} send-once rights were made, {used} were used and {told} destroyed"
                );
                self.accuse(what, &[PortNo(at as u32)], &[]);
            }
        }
        let waiting = self
            .calls
            .iter()
            .find(|(_, call)| call.ended == Ended::Waiting);
        if let Some((number, call)) = waiting {
            let (number, what) = (
                *number,
                format!("call {number} of {} never ended", call.caller),
            );
            self.accuse(what, &[], &[number]);
        }
    }

    /// When everything was given up: each request was answered once.
    pub(crate) fn check_bells(&mut self) {
        for node in 0..self.bells.len() {
            let mut bells = self.bells[node].iter();
            let silent = bells.find(|(_, bell)| bell.times == 0);
            if let Some((name, bell)) = silent {
                let (port, about) = (bell.port, bell.about);
                // Of a receive right that was moved away the node may be gone, and with it the
                // session in which the request would be answered.
                let what = match about {
                    About::NoSenders => "no senders",
                    About::Destroyed => "a port that is given up",
                    About::Death(_) => "a death",
                    About::Room(_) => "room",
                };
                let what = format!("node{node} was never told of {what} ({name:#x})");
                self.accuse(what, &[port], &[]);
            }
        }
    }

    /// A name leads to a port that is gone, and is alive all the same.
    pub(crate) fn check_alive(&mut self, node: usize, name: u32) {
        let held = &self.names[node][&name];
        let port = held.port;
        if port.0 != u32::MAX && self.is_gone(port) {
            let what = format!(
                "port {} is gone, and {name:#x} of node{node} is alive",
                port.0
            );
            self.accuse(what, &[port], &[]);
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::wild::entries::{Cargo, Carried, Who};

    const fn at(node: usize) -> Who {
        Who {
            node,
            boots: 0,
            thread: 0,
        }
    }

    /// A port moves from node 0 to node 1 with the news of a send-once right in its queue, and
    /// perhaps with another such right still held; only what was queued can be lost, and only if
    /// node 0 dies.
    #[test]
    fn only_news_that_was_queued_at_a_node_that_died_is_lost_with_it() {
        for (dies, held, found) in [
            (false, false, true),
            (true, false, false),
            (true, true, true),
            (false, true, true),
        ] {
            let mut books = Books::default();
            books.open(3);
            let port = books.new_port(at(0), 1);
            let way = books.new_port(at(1), 2);
            let once = books.new_once(0, OnceTarget::Port(port));
            if held {
                books.hold_once(at(2), 3, once);
            }
            books.take_receive(0, 1, Place::InMessage(1));
            let cargo = Cargo {
                from: at(0),
                dest: Dest::Port(way),
                rights: vec![Carried {
                    kind: RightKind::Receive,
                    port,
                    once: None,
                    path: Path::default(),
                    since: Duration::ZERO,
                    suspect: None,
                }],
                reply: None,
                sent: Duration::ZERO,
                fate: Fate::UnderWay,
                path: Path::default(),
                circular: false,
                large: false,
                word: None,
            };
            books.sent(1, cargo, 0);
            books.now = Duration::from_secs(1);
            if dies {
                books.forget_machine(0, false);
            }
            books.arrived(at(1), 1, OnceTarget::Port(way));
            books.add_receive(at(1), 4, port);
            books.check_spent();
            assert_eq!(books.broken.is_some(), found, "dies {dies}, held {held}");
        }
    }
}
