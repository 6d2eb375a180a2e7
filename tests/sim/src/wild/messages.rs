//! The books of messages: what was sent, what was in it, what came of it.

use norma_ipc::RightKind;

use super::books::Books;
use super::calm::Path;
use super::entries::{Cargo, Dest, Fate, Note, OnceTarget, Place, PortNo, Who};

impl Books {
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

    /// What is in a message was where the port was in whose queue it lay. If it was sent to a
    /// send-once right, it may have gone by way of all by whom that right had come (W-113).
    fn go_along(&mut self, cargo: &mut Cargo) {
        let mut way = Path::default();
        if let OnceTarget::Port(port) = self.target(cargo.dest) {
            self.join_owners(port, &mut way);
        }
        if let Dest::Once(once) = cargo.dest {
            way.join(&self.onces[once.0 as usize].path);
        }
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
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::wild::entries::Carried;

    const fn node(node: usize) -> Who {
        Who {
            node,
            boots: 0,
            thread: 0,
        }
    }

    fn carried(kind: RightKind, port: PortNo) -> Carried {
        Carried {
            kind,
            port,
            once: None,
            path: Path::default(),
            since: Duration::ZERO,
            suspect: None,
        }
    }

    fn cargo(from: usize, dest: Dest, rights: Vec<Carried>) -> Cargo {
        Cargo {
            from: node(from),
            dest,
            rights,
            reply: None,
            sent: Duration::ZERO,
            fate: Fate::UnderWay,
            path: Path::default(),
            circular: false,
            large: false,
            word: None,
        }
    }

    /// The first message with a right may be judged while the second right is put into it.
    #[test]
    fn a_port_in_a_message_that_is_being_filled_lives() {
        let mut books = Books::default();
        books.open(2);
        let port = books.new_port(node(0), 1);
        let number = books.next_number();
        books.take_receive(0, 1, Place::InMessage(number));
        assert!(!books.is_gone(port));
        assert!(!books.excused(port, &Path::default(), Duration::ZERO));
    }

    /// The right that dies for a circle is in a message that arrives, with other rights to its port
    /// before it perhaps.
    #[test]
    fn a_port_of_a_circle_may_be_dead_until_it_is_taken_out() {
        let mut books = Books::default();
        books.open(2);
        let one = books.new_port(node(0), 1);
        let other = books.new_port(node(1), 1);
        let send = |books: &mut Books, from: usize, port, to| {
            let number = books.next_number();
            let right = carried(RightKind::Receive, port);
            books.take_receive(from, 1, Place::InMessage(number));
            books.sent(number, cargo(from, Dest::Port(to), vec![right]), 0);
            number
        };
        let first = send(&mut books, 0, one, other);
        assert!(!books.is_gone(one), "it may still arrive");
        send(&mut books, 1, other, one);
        books.add_receive(node(1), 2, other);
        books.delivered(first);
        assert!(
            books.is_gone(one),
            "the other one is free, and this one not"
        );
        assert!(!books.is_gone(other));
        books.arrived(node(1), first, OnceTarget::Port(other));
        assert!(books.is_gone(one), "not all is taken out yet");
        books.add_receive(node(1), 3, one);
        assert!(!books.is_gone(one), "it came alive");
    }

    #[test]
    fn what_is_sent_to_a_send_once_right_depends_on_all_by_whom_that_came() {
        let mut books = Books::default();
        books.open(4);
        let to = books.new_port(node(0), 1);
        let inside = books.new_port(node(2), 1);
        // Node 0's right came to node 2 by way of node 1.
        let once = books.new_once(0, OnceTarget::Port(to));
        books.once_came(node(1), once);
        books.once_came(node(2), once);
        let right = carried(RightKind::Send, inside);
        books.sent(1, cargo(2, Dest::Once(once), vec![right]), 0);
        let came = books.arrived(node(0), 1, OnceTarget::Port(to)).unwrap();
        let at = Duration::from_secs(1);
        books.now = at;
        let excused = |books: &Books| books.excused(inside, &came.rights[0].path, Duration::ZERO);
        books.calm.pair(3, 2, Duration::ZERO, at);
        assert!(!excused(&books), "node 3 has no part in it");
        books.calm.pair(1, 2, Duration::ZERO, at);
        assert!(excused(&books));
    }
}
