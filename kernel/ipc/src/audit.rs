//! The audit: counts every reference anew and compares with what the ports believe.
//!
//! Tests call it after every step. It walks everything and allocates, so no kernel calls it.
//! What it checks is the conservation law of rights (`docs/ipc.md`, MUST I-10): every right
//! that was ever made is held in a space, in transit, outside, or destroyed, and each is counted
//! by exactly one port; and beside it the books of queues, waits, names and events.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::event::{Event, PER_PORT, PER_THREAD, PER_TOKEN};
use crate::ipc::Ipc;
use crate::message::Message;
use crate::page::Page;
use crate::port::{Holder, Port, PortId, Queued, Sink};
use crate::right::{Right, RightKind, Target};
use crate::wait::{Completion, Delivery, List, NOBODY, State};

/// What an audit counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Census {
    /// Ports, dead ones with references included.
    pub ports: u64,
    /// Dead ports.
    pub dead: u64,
    /// Rights under names in spaces.
    pub held: u64,
    /// Rights in messages that this crate holds, and the receive rights of reply ports.
    pub in_transit: u64,
    /// Rights that the caller said it holds.
    pub outside: u64,
    /// Rights made since the start.
    pub created: u64,
    /// Rights destroyed or used up since the start.
    pub destroyed: u64,
    /// Messages in queues.
    pub queued: u64,
    /// Messages that threads hold: of waiting senders, and received or refused ones at which
    /// nobody has looked yet.
    pub waiting: u64,
}

/// References to one port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct References {
    receives: u64,
    sends: u64,
    send_onces: u64,
}

#[derive(Default)]
struct Count {
    census: Census,
    /// By the index of the port.
    references: Vec<(PortId, References)>,
    /// Bare remote send-once rights.
    tokens: u64,
}

impl Count {
    fn of(&mut self, port: PortId) -> Result<&mut References, String> {
        match self.references.binary_search_by_key(&port, |(id, _)| *id) {
            Ok(at) => Ok(&mut self.references[at].1),
            Err(_) => Err(format!("a right to {port:?}, which does not exist")),
        }
    }

    fn add(&mut self, kind: RightKind, target: Target, count: u64) -> Result<(), String> {
        match (target, kind) {
            (Target::Remote(_), RightKind::SendOnce) => self.tokens += count,
            (Target::Remote(_), _) => return Err("a bare remote right of another kind".into()),
            (Target::Port(port), RightKind::Receive) => self.of(port)?.receives += count,
            (Target::Port(port), RightKind::Send) => self.of(port)?.sends += count,
            (Target::Port(port), RightKind::SendOnce) => self.of(port)?.send_onces += count,
        }
        Ok(())
    }

    fn add_message<P>(&mut self, message: &Message<P>) -> Result<(), String> {
        for right in message.rights().iter().chain(message.reply()) {
            self.add(right.kind, right.target, 1)?;
            self.census.in_transit += 1;
        }
        Ok(())
    }
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

impl<P: Page> Ipc<P> {
    /// Counts every reference anew and compares. `outside` are all rights that the caller
    /// holds, also those in messages that it holds.
    ///
    /// # Errors
    /// A text that says what does not add up.
    pub fn audit<'a>(&self, outside: impl Iterator<Item = &'a Right>) -> Result<Census, String> {
        let references = self
            .ports
            .iter()
            .map(|(index, generation, _)| (PortId { index, generation }, References::default()))
            .collect();
        let mut count = Count {
            references,
            ..Count::default()
        };
        for right in outside {
            count.add(right.kind, right.target, 1)?;
            count.census.outside += 1;
        }
        self.count_spaces(&mut count)?;
        self.count_waiters(&mut count)?;
        self.count_queues(&mut count)?;
        let references = core::mem::take(&mut count.references);
        for (id, found) in references {
            if let Some(port) = self.port(id) {
                self.check_port(id, port, found)?;
                count.census.ports += 1;
                count.census.dead += u64::from(port.dead.is_some());
            }
        }
        self.check_events(count.tokens)?;
        let mut census = count.census;
        census.created = self.tally.created;
        census.destroyed = self.tally.destroyed;
        let exist = census.held + census.in_transit + census.outside;
        ensure(census.created == exist + census.destroyed, || {
            format!("rights were lost or made of nothing: {census:?}")
        })?;
        ensure(self.doomed.is_none() && !self.draining, || {
            String::from("a dead port's queue was not emptied")
        })?;
        Ok(census)
    }

    fn count_spaces(&self, count: &mut Count) -> Result<(), String> {
        for (index, generation, space) in self.spaces.iter() {
            space.check()?;
            for (name, entry) in space.iter() {
                let kinds = [
                    (RightKind::Receive, u64::from(entry.receive)),
                    (RightKind::Send, u64::from(entry.sends)),
                    (RightKind::SendOnce, u64::from(entry.send_once)),
                ];
                for (kind, number) in kinds.into_iter().filter(|(_, number)| *number > 0) {
                    count.add(kind, entry.target, number)?;
                    count.census.held += number;
                }
                if let (true, Target::Port(id)) = (entry.receive, entry.target) {
                    let here = Holder::Space(crate::SpaceId { index, generation }, name);
                    ensure(
                        self.port(id).is_some_and(|port| port.holder == here),
                        || format!("{id:?} does not know who holds its receive right"),
                    )?;
                }
            }
        }
        Ok(())
    }

    fn count_waiters(&self, count: &mut Count) -> Result<(), String> {
        for (thread, waiter) in self.waiters.iter().enumerate() {
            let port = waiter.reply_port;
            if port != PortId::NONE {
                count.add(RightKind::Receive, Target::Port(port), 1)?;
                count.census.in_transit += 1;
                ensure(
                    self.port(port)
                        .is_some_and(|port| port.holder == Holder::Thread),
                    || format!("{port:?} does not know that it is a reply port"),
                )?;
            }
            match &waiter.state {
                State::Sending(id, message) => {
                    count.census.waiting += 1;
                    count.add_message(message)?;
                    let listed = self.port(*id).is_some_and(|port| {
                        self.listed(&port.senders)
                            .any(|listed| listed == thread as u32)
                    });
                    ensure(listed, || format!("sender {thread} is in no list"))?;
                }
                State::Receiving(id) => {
                    let listed = self.port(*id).is_some_and(|port| {
                        self.listed(&port.receivers)
                            .any(|listed| listed == thread as u32)
                    });
                    ensure(listed, || format!("receiver {thread} is in no list"))?;
                }
                State::Handed(message)
                | State::Done(
                    Completion::Received(Delivery::Message(message))
                    | Completion::Refused(_, message),
                ) => {
                    count.census.waiting += 1;
                    count.add_message(message)?;
                }
                State::Done(_) | State::Idle | State::Outside => {}
            }
        }
        Ok(())
    }

    fn count_queues(&self, count: &mut Count) -> Result<(), String> {
        for (_, _, port) in self.ports.iter() {
            for queued in &port.queue {
                if let Queued::Message(message) = queued {
                    count.census.queued += 1;
                    count.add_message(message)?;
                }
            }
        }
        Ok(())
    }

    /// The threads in a list, at most as many as there are threads.
    fn listed(&self, list: &List) -> impl Iterator<Item = u32> {
        let mut next = list.first;
        (0..self.waiters.len()).map_while(move |_| {
            let thread = next;
            next = self.waiters.get(thread as usize)?.next;
            Some(thread)
        })
    }

    fn check_port(&self, id: PortId, port: &Port<P>, found: References) -> Result<(), String> {
        let believed = References {
            receives: u64::from(port.holder != Holder::Elsewhere),
            sends: u64::from(port.sends),
            send_onces: u64::from(port.send_onces),
        };
        ensure(believed == found, || {
            format!(
                "{id:?} believes in {believed:?}, but there are {found:?}: {:?}",
                port.dead
            )
        })?;
        self.check_lists(id, port)?;
        let waits = !port.receivers.is_empty() || !port.senders.is_empty();
        if port.dead.is_some() {
            ensure(port.queue.is_empty() && !waits && !port.doomed, || {
                format!("somebody or something waits at {id:?}, which is dead")
            })?;
            return ensure(believed != References::default(), || {
                format!("{id:?} is dead and unreferenced, but its record is kept")
            });
        }
        ensure(
            port.receivers.is_empty() || port.queue.is_empty() && port.senders.is_empty(),
            || format!("threads wait at {id:?} for what is there already"),
        )?;
        match port.sink {
            Sink::Queue => {
                ensure(port.senders.is_empty() || !port.queue.is_empty(), || {
                    format!("threads wait to send to {id:?}, and nobody will let them in")
                })?;
                ensure(believed.receives == 1, || {
                    format!("nobody can receive from {id:?}")
                })?;
                let free = port.queue.capacity() - port.queue.len();
                ensure(free >= port.send_onces as usize, || {
                    format!("{id:?} has no place for what becomes of its send-once rights")
                })
            }
            Sink::Remote(_) => ensure(port.queue.is_empty() && believed.receives == 0, || {
                format!("{id:?} is a stand-in and yet a port of its own")
            }),
        }
    }

    fn check_lists(&self, id: PortId, port: &Port<P>) -> Result<(), String> {
        let mut last = NOBODY;
        for thread in self.listed(&port.receivers) {
            let waiter = &self.waiters[thread as usize];
            let right = matches!(waiter.state, State::Receiving(at) if at == id);
            ensure(right && waiter.previous == last, || {
                format!("receivers of {id:?} are torn")
            })?;
            last = thread;
        }
        ensure(port.receivers.last == last, || {
            format!("receivers of {id:?} are cut")
        })?;
        last = NOBODY;
        for thread in self.listed(&port.senders) {
            let waiter = &self.waiters[thread as usize];
            let right = matches!(waiter.state, State::Sending(at, _) if at == id);
            ensure(right && waiter.previous == last, || {
                format!("senders of {id:?} are torn")
            })?;
            last = thread;
        }
        ensure(port.senders.last == last, || {
            format!("senders of {id:?} are cut")
        })
    }

    /// Whoever exists and has not spoken yet must find room to speak.
    fn check_events(&self, tokens: u64) -> Result<(), String> {
        let objects = PER_PORT * self.ports.len() as usize
            + PER_THREAD * self.waiters.len()
            + PER_TOKEN * tokens as usize;
        ensure(self.events.bound() == objects, || {
            format!(
                "events: {} promised, {objects} possible",
                self.events.bound()
            )
        })?;
        let spoken = self
            .events
            .queued()
            .filter(|event| match event {
                Event::Wake(_) => true,
                Event::PortDied(port) | Event::Room(port) => self.port(*port).is_some(),
                Event::Unused(_) | Event::Unanswered(_) => false,
            })
            .count();
        ensure(self.events.free() + spoken >= objects, || {
            format!(
                "events: {objects} possible, room for {}",
                self.events.free()
            )
        })
    }
}
