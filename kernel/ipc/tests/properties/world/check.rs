//! What must hold after every step, and that nothing is left at the end.

use std::collections::BTreeSet;

use norma_ipc::*;

use super::World;
use super::model::{Entry, Item, Letter, Target, held, once_to};

impl World {
    /// Audits the core, and compares all that can be seen of it with the model.
    pub fn check(&self) {
        let messages = self.messages.iter();
        let inside = messages.flat_map(|message| message.rights().iter().chain(message.reply()));
        let outside = self.rights.iter().chain(&self.arriving).chain(inside);
        let census = self.ipc.audit(outside).unwrap();
        let ports = self.model.ports.len();
        assert_eq!(census.ports, ports as u64, "{:#?}", self.model);
        assert_eq!(self.ipc.port_count(), ports as u32);
        let queued = self.model.ports.values().flat_map(|port| &port.queue);
        let queued = queued.filter(|item| matches!(item, Item::Letter(_)));
        assert_eq!(census.queued, queued.count() as u64);
        let letters = self.model.letters().count() as u64;
        assert_eq!(census.queued + census.waiting, letters);
        self.check_pages();
        self.check_send_onces();
        self.check_ports();
        for space in &self.spaces {
            self.check_space(*space);
        }
    }

    /// The pages that exist are those that messages hold.
    fn check_pages(&self) {
        let at_hand: Vec<Letter> = self.messages.iter().map(Letter::of).collect();
        let letters = self.model.letters().chain(&at_hand);
        let marks: BTreeSet<u32> = letters.flat_map(|letter| &letter.pages).copied().collect();
        assert_eq!(self.pages.get(), marks.len(), "pages were lost, or kept");
    }

    /// Each send-once right that was ever made is held, or was spent on one message or one
    /// notification.
    fn check_send_onces(&self) {
        let messages = self.messages.iter();
        let inside = messages.flat_map(|message| message.rights().iter().chain(message.reply()));
        let at_hand = self.rights.iter().chain(inside).map(held);
        let mut onces = self.model.onces();
        onces.extend(at_hand.filter_map(once_to));
        onces.sort();
        let ports = self.model.ports.iter();
        let counted = ports.flat_map(|(id, port)| std::iter::repeat_n(*id, port.onces as usize));
        assert_eq!(onces, counted.collect::<Vec<PortId>>());
        let held = onces.len() as u64;
        let lying = self.model.items().filter(|item| item.by_once()).count() as u64;
        let ledger = &self.model.ledger;
        let spent = lying + ledger.received + ledger.lost + ledger.taken_back;
        assert_eq!(ledger.made, held + spent, "{ledger:?}");
    }

    fn check_ports(&self) {
        for (id, port) in &self.model.ports {
            let sink = match (port.dead, port.proxy) {
                (Some(reason), _) => Err(RightError::Dead(reason)),
                (None, None) => Ok(Sink::Queue),
                (None, Some(token)) => Ok(Sink::Remote(RemoteToken(token))),
            };
            assert_eq!(self.ipc.sink(*id), sink);
            let refused = port.receivers.is_empty() && (port.is_full() || !port.senders.is_empty());
            assert_eq!(self.ipc.is_full(*id), sink.map(|_| refused));
        }
    }

    fn check_space(&self, space: SpaceId) {
        let mut names: Vec<_> = self.ipc.names(space).unwrap().collect();
        names.sort_by_key(|(name, _)| *name);
        let mut known = self.model.names.iter();
        let mut known: Vec<_> = known
            .by_ref()
            .filter(|((owner, _), _)| *owner == space)
            .collect();
        known.sort_by_key(|((_, name), _)| *name);
        assert_eq!(names.len(), known.len());
        assert_eq!(self.ipc.name_count(space), Ok(known.len() as u32));
        for ((name, types), ((_, other), entry)) in names.into_iter().zip(known) {
            assert_eq!(name, *other);
            assert_eq!(
                types,
                self.types((space, name), entry),
                "{name:?} {entry:?}"
            );
            for kind in super::operation::KINDS {
                assert_eq!(
                    self.ipc.references(space, name, kind),
                    Ok(entry.count(kind))
                );
            }
            match entry.target {
                Target::Port(id) => assert_eq!(self.ipc.port_of(space, name), Ok(id)),
                Target::Token(_) => {}
                Target::Set(number) => {
                    let members = self.ipc.members(space, name).unwrap();
                    let members: Vec<Name> = members.collect();
                    assert_eq!(members, self.names_of_members(space, number));
                }
            }
            if entry.receive {
                self.check_status(space, name, entry);
            }
        }
    }

    fn types(&self, at: super::At, entry: &Entry) -> RightTypes {
        let dead = match entry.target {
            Target::Port(id) => self.model.ports[&id].dead.is_some(),
            _ => false,
        };
        let asked = |about| {
            let mut requests = self.model.requests.iter();
            requests.any(|request| request.at == at && request.about == about)
        };
        let all = [
            (RightTypes::SEND, entry.sends > 0 && !dead),
            (RightTypes::RECEIVE, entry.receive),
            (RightTypes::SEND_ONCE, entry.once && !dead),
            (RightTypes::PORT_SET, matches!(entry.target, Target::Set(_))),
            (RightTypes::DEAD_NAME, dead),
            (RightTypes::DEATH_REQUESTED, asked(About::Death)),
            (RightTypes::ROOM_REQUESTED, asked(About::Room)),
        ];
        let holding = all.into_iter().filter(|(_, holds)| *holds);
        holding.map(|(types, _)| types).collect()
    }

    fn names_of_members(&self, space: SpaceId, number: u32) -> Vec<Name> {
        let name_of = |id| {
            let mut names = self.model.names.iter();
            let found = names.find(|((owner, _), entry)| {
                *owner == space && entry.receive && entry.target == Target::Port(id)
            });
            found.unwrap().0.1
        };
        let members = self.model.sets[&number].members.iter();
        members.map(|id| name_of(*id)).collect()
    }

    fn check_status(&self, space: SpaceId, name: Name, entry: &Entry) {
        let Target::Port(id) = entry.target else {
            panic!("{entry:?}")
        };
        let port = &self.model.ports[&id];
        let status = self.ipc.receive_status(space, name).unwrap();
        let set = port.set.and_then(|number| self.model.name_of_set(number));
        assert_eq!(status.set, set);
        assert_eq!(status.sequence, port.sequence);
        assert_eq!(status.make_sends, port.make_sends);
        assert_eq!(usize::from(status.queue_limit), port.limit);
        assert_eq!(status.queued as usize, port.queue.len());
        assert_eq!(status.blocked_senders as usize, port.senders.len());
        assert_eq!(status.send_onces, port.onces);
        assert_eq!(status.has_senders, port.sends > 0);
        assert_eq!(status.no_senders_requested, port.no_senders.is_some());
        assert_eq!(status.port_destroyed_requested, port.destroyed.is_some());
    }

    /// Every wake that is owed comes, and all other news, in order.
    pub fn poll(&mut self) {
        let mut events = Vec::new();
        while let Some(event) = self.ipc.poll_event() {
            match event {
                Event::Wake(ThreadId(thread)) => self.model.threads[thread as usize].owed = false,
                Event::Room(id) => {
                    if let Some(port) = self.model.ports.get_mut(&id) {
                        port.room_told = false;
                    }
                    events.push(event);
                }
                Event::Carry(id) => {
                    if let Some(port) = self.model.ports.get_mut(&id) {
                        port.carry_told = false;
                    }
                    events.push(event);
                }
                _ => events.push(event),
            }
        }
        assert_eq!(events, self.model.events);
        self.model.events.clear();
        let mut threads = self.model.threads.iter();
        assert!(threads.all(|thread| !thread.owed), "{:#?}", self.model);
    }

    /// Takes all that is in the queues, in order; then gives everything up: nothing must be
    /// left.
    pub fn end(mut self) {
        self.poll();
        while let Some(right) = self.arriving.pop() {
            self.open(right);
        }
        let names: Vec<_> = self.model.names.keys().copied().collect();
        for at in names {
            while self.receive(at, usize::MAX) {}
        }
        for thread in 0..self.model.threads.len() {
            self.unregister_thread(thread);
        }
        while let Some(message) = self.messages.pop() {
            self.discard(message, false, Reason::Unanswered);
        }
        while let Some(right) = self.rights.pop() {
            self.release(right, super::operation::Release::Plain);
        }
        for space in 0..self.spaces.len() {
            self.destroy_space(space as u8);
        }
        let lenders: Vec<_> = self.model.ports.keys().copied().collect();
        for id in lenders {
            while self.model.ports.get(&id).is_some_and(|port| port.lent > 0) {
                self.claim(id);
                let right = self.rights.pop().unwrap();
                self.release(right, super::operation::Release::Plain);
            }
        }
        // What is carried may bring rights whose release leaves something to be carried.
        for _ in 0..20 {
            let ids: Vec<_> = self.model.ports.keys().copied().collect();
            for id in ids {
                if self.model.ports.get(&id).is_some_and(|port| port.held_back) {
                    self.hold_back(id, false);
                }
                let stands_in = |world: &Self| {
                    let port = world.model.ports.get(&id);
                    port.is_some_and(|port| port.proxy.is_some())
                };
                while stands_in(&self) && self.next_queued(id, false) {}
                while let Some(message) = self.messages.pop() {
                    self.discard(message, false, Reason::Unanswered);
                }
                while let Some(right) = self.rights.pop() {
                    self.release(right, super::operation::Release::Plain);
                }
            }
        }
        self.poll();
        self.check();
        let census = self.ipc.audit(std::iter::empty()).unwrap();
        assert_eq!(census.ports, 0, "{census:?}");
        assert_eq!(census.created, census.destroyed);
        let ledger = &self.model.ledger;
        assert_eq!(
            ledger.made,
            ledger.received + ledger.lost + ledger.taken_back,
            "{ledger:?}"
        );
        drop(self.ipc);
        assert_eq!(self.pages.get(), 0);
    }
}
