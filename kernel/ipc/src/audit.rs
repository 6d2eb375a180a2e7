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
use crate::port::{Barred, Holder, Port, PortId, Queued, RemoteToken, Sink};
use crate::request::{About, Request, RequestId, Requests};
use crate::right::{Right, RightKind, Target};
use crate::set::{Chained, SetId};
use crate::wait::{Completion, Delivery, List, NOBODY, Notification, Source, State};

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
    /// Rights that the caller said it holds, and those that were lent.
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
    tokens: Vec<RemoteToken>,
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
            (Target::Remote(token), RightKind::SendOnce) => {
                self.tokens.extend((0..count).map(|_| token));
            }
            (Target::Remote(_), _) => return Err("a bare remote right of another kind".into()),
            (Target::Set(_), _) => return Err("a right to a set".into()),
            (Target::Port(port), RightKind::Receive) => self.of(port)?.receives += count,
            (Target::Port(port), RightKind::Send) => self.of(port)?.sends += count,
            (Target::Port(port), RightKind::SendOnce) => self.of(port)?.send_onces += count,
        }
        Ok(())
    }

    fn add_message<P>(&mut self, message: &Message<P>) -> Result<(), String> {
        let mut rights = message.rights().iter().chain(message.reply());
        rights.try_for_each(|right| self.add_right(right))
    }

    fn add_right(&mut self, right: &Right) -> Result<(), String> {
        self.census.in_transit += 1;
        self.add(right.kind, right.target, 1)
    }

    /// What a receive yielded, or will.
    fn add_delivery<P>(&mut self, delivery: &Delivery<P>) -> Result<(), String> {
        match delivery {
            Delivery::Message(message) => {
                self.census.waiting += 1;
                self.add_message(message)
            }
            Delivery::Notification(Notification::PortDestroyed(right)) => self.add_right(right),
            Delivery::Notification(_) => Ok(()),
        }
    }

    /// The right of a request, if there is one.
    fn add_notify(&mut self, notify: PortId) -> Result<(), String> {
        if notify == PortId::NONE {
            return Ok(());
        }
        self.add_right(&Right::to_port(RightKind::SendOnce, notify))
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
        let mut count = self.count(outside)?;
        self.check_sets()?;
        let references = core::mem::take(&mut count.references);
        for (id, found) in references {
            if let Some(port) = self.port(id) {
                let lent = u64::from(port.lent);
                let found = References {
                    send_onces: found.send_onces + lent,
                    ..found
                };
                count.census.outside += lent;
                self.check_port(id, port, found)?;
                ensure(port.pins <= port.sends, || {
                    format!("{id:?} has more pins than send rights")
                })?;
                count.census.ports += 1;
                count.census.dead += u64::from(port.dead.is_some());
            }
        }
        self.check_events(count.tokens.len())?;
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

    /// What the network layer calls the bare remote send-once rights that exist, those of requests
    /// and those that are about to be reported unanswered too.
    ///
    /// # Errors
    /// As [`Ipc::audit`].
    pub fn bare_rights<'a>(
        &self,
        outside: impl Iterator<Item = &'a Right>,
    ) -> Result<Vec<RemoteToken>, String> {
        let mut tokens = self.count(outside)?.tokens;
        let ports = self.ports.iter().map(|(_, _, port)| port);
        let seats = ports.filter(|port| port.is_seat && port.dead.is_none());
        tokens.extend(seats.filter_map(|port| match port.sink {
            Sink::Remote(token) => Some(token),
            Sink::Queue => None,
        }));
        tokens.extend(self.events.queued().filter_map(|event| match event {
            Event::Unanswered(token) => Some(*token),
            _ => None,
        }));
        Ok(tokens)
    }

    fn count<'a>(&self, outside: impl Iterator<Item = &'a Right>) -> Result<Count, String> {
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
        self.count_requests(&mut count)?;
        Ok(count)
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
                if let Target::Set(id) = entry.target {
                    let here = (crate::SpaceId { index, generation }, name);
                    let known = self.set(id).map(|set| (set.space, set.name));
                    ensure(known == Some(here), || {
                        format!("{id:?} does not know who holds it")
                    })?;
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
                State::Receiving(source) => {
                    let list = match source {
                        Source::Port(id) => self.port(*id).map(|port| &port.receivers),
                        Source::Set(id) => self.set(*id).map(|set| &set.receivers),
                    };
                    let listed = list.is_some_and(|list| {
                        self.listed(list).any(|listed| listed == thread as u32)
                    });
                    ensure(listed, || format!("receiver {thread} is in no list"))?;
                }
                State::Handed(Some(message)) | State::Done(Completion::Refused(_, message)) => {
                    count.census.waiting += 1;
                    count.add_message(message)?;
                }
                State::Done(Completion::Received(delivery)) => count.add_delivery(delivery)?,
                State::Done(_) | State::Handed(None) | State::Idle | State::Outside => {}
            }
        }
        Ok(())
    }

    fn count_queues(&self, count: &mut Count) -> Result<(), String> {
        let mut receives = 0;
        for (index, generation, port) in self.ports.iter() {
            let here = Holder::Queued(PortId { index, generation });
            for queued in &port.queue {
                let rights = match queued {
                    Queued::Message(message) => {
                        count.census.queued += 1;
                        count.add_message(message)?;
                        message.rights()
                    }
                    Queued::Notification(Notification::PortDestroyed(right)) => {
                        count.add_right(right)?;
                        core::slice::from_ref(right)
                    }
                    Queued::Notification(_) => &[],
                };
                for right in rights
                    .iter()
                    .filter(|right| right.kind == RightKind::Receive)
                {
                    receives += 1;
                    let known = right.port().and_then(|id| self.port(id));
                    ensure(known.is_some_and(|port| port.holder == here), || {
                        format!("{right:?} does not know in which queue it lies")
                    })?;
                }
            }
        }
        let queued = |port: &Port<P>| matches!(port.holder, Holder::Queued(_));
        let believed = self.ports.iter().filter(|(_, _, port)| queued(port));
        ensure(receives == believed.count(), || {
            String::from("a receive right is not in the queue in which it should lie")
        })
    }

    fn count_requests(&self, count: &mut Count) -> Result<(), String> {
        for (index, generation, request) in self.requests.iter() {
            count.add_notify(request.notify)?;
            let id = Request::id(index, generation);
            let entry = self
                .space(request.space)
                .and_then(|space| space.get(request.name));
            let known = entry.is_ok_and(|entry| {
                entry.requests.about(request.about) == id
                    && entry.target == Target::Port(request.port)
            });
            ensure(known, || format!("nobody made the request {request:?}"))?;
        }
        let mut listed = 0;
        for (index, generation, port) in self.ports.iter() {
            for about in [About::Death, About::Room] {
                let first = port.requests.about(about);
                listed += Request::listed(&self.requests, first)
                    .ok_or_else(|| format!("the requests at port {index}.{generation} are torn"))?;
            }
            count.add_notify(port.no_senders)?;
            count.add_notify(port.destroyed)?;
        }
        ensure(listed == self.requests.len() as usize, || {
            String::from("a request is in no list")
        })
    }

    fn check_sets(&self) -> Result<(), String> {
        let mut members = 0;
        for (index, generation, set) in self.sets.iter() {
            let id = SetId { index, generation };
            let torn = |()| format!("a list of {id:?} is torn");
            let ready = self.chain(set, Chained::Ready).map_err(torn)?;
            let mut waiting = 0;
            for member in self.chain(set, Chained::Member).map_err(torn)? {
                members += 1;
                let port = self.port(member).ok_or("a member that is gone")?;
                let holds = matches!(port.holder, Holder::Space(space, _) if space == set.space);
                ensure(holds && port.membership.set == id, || {
                    format!("{member:?} is in a set without knowing it, or elsewhere")
                })?;
                waiting += usize::from(!port.queue.is_empty());
                ensure(
                    port.membership.is_ready != port.queue.is_empty()
                        && port.membership.is_ready == ready.contains(&member),
                    || format!("{member:?} and its set do not agree whether it is ready"),
                )?;
            }
            ensure(waiting == ready.len(), || {
                format!("{id:?} believes a port ready that is not a member")
            })?;
            self.check_receivers(&set.receivers, Source::Set(id))?;
            ensure(set.receivers.is_empty() || ready.is_empty(), || {
                format!("threads wait at {id:?} for what is there already")
            })?;
            let entry = self.space(set.space).and_then(|space| space.get(set.name));
            ensure(
                entry.is_ok_and(|entry| entry.target == Target::Set(id)),
                || format!("nobody holds {id:?}"),
            )?;
        }
        let believe = |port: &Port<P>| port.membership.set != SetId::NONE;
        let believed = self.ports.iter().filter(|(_, _, port)| believe(port));
        ensure(members == believed.count(), || {
            String::from("a port believes in a set of which it is no member")
        })
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
            let empty = port.queue.is_empty() || port.relays() && port.backlog == 0;
            ensure(empty && !waits && !port.doomed, || {
                format!("somebody or something waits at {id:?}, which is dead")
            })?;
            ensure(port.requests == Requests::NONE, || {
                format!("{id:?} is dead, and somebody was not told")
            })?;
            // What it relays is carried to the end, and then the record goes.
            let serves = believed != References::default() || port.relays();
            return ensure(serves, || {
                format!("{id:?} is dead and unreferenced, but its record is kept")
            });
        }
        ensure(
            port.receivers.is_empty() || port.queue.is_empty() && port.senders.is_empty(),
            || format!("threads wait at {id:?} for what is there already"),
        )?;
        let room = !port.is_full() && port.senders.is_empty();
        ensure(
            !room || port.requests.about(About::Room) == RequestId::NONE,
            || format!("{id:?} has room, and somebody was not told"),
        )?;
        let free = port.queue.capacity() - port.queue.len();
        ensure(free >= port.send_onces as usize, || {
            format!("{id:?} has no place for what becomes of its send-once rights")
        })?;
        match port.sink {
            Sink::Queue => {
                ensure(port.senders.is_empty() || !port.queue.is_empty(), || {
                    format!("threads wait to send to {id:?}, and nobody will let them in")
                })?;
                ensure(believed.receives == 1, || {
                    format!("nobody can receive from {id:?}")
                })
            }
            Sink::Remote(_) => {
                ensure(believed.receives == u64::from(port.is_arriving()), || {
                    format!("{id:?} is a stand-in and yet a port of its own")
                })?;
                ensure(
                    port.barred.contains(Barred::BACKLOG) == (port.backlog > 0)
                        && port.queue.len() >= port.backlog as usize,
                    || format!("{id:?} does not know what is to be carried"),
                )?;
                ensure(port.receivers.is_empty(), || {
                    format!("somebody waits at {id:?}, from which nobody can receive")
                })
            }
        }
    }

    fn check_receivers(&self, receivers: &List, source: Source) -> Result<(), String> {
        let mut last = NOBODY;
        for thread in self.listed(receivers) {
            let waiter = &self.waiters[thread as usize];
            let right = matches!(waiter.state, State::Receiving(at) if at == source);
            ensure(right && waiter.previous == last, || {
                format!("receivers of {source:?} are torn")
            })?;
            last = thread;
        }
        ensure(receivers.last == last, || {
            format!("receivers of {source:?} are cut")
        })
    }

    fn check_lists(&self, id: PortId, port: &Port<P>) -> Result<(), String> {
        self.check_receivers(&port.receivers, Source::Port(id))?;
        let mut last = NOBODY;
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
    fn check_events(&self, tokens: usize) -> Result<(), String> {
        let objects = PER_PORT * self.ports.len() as usize
            + PER_THREAD * self.waiters.len()
            + PER_TOKEN * tokens;
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
                Event::PortDied(port, _) | Event::Room(port) | Event::Carry(port) => {
                    self.port(*port).is_some()
                }
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
