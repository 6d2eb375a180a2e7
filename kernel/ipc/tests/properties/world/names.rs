//! Steps on names: choose, rename, count, give up.

use norma_ipc::*;

use super::World;
use super::model::{At, Entry, Held, Holder, Port, Target, held};

/// What a chosen name must be like, in a space with [`super::QUOTA`].
const INDICES: u32 = super::QUOTA + limits::RESTING_NAMES;

fn index(name: Name) -> u32 {
    name.raw() & ((1 << limits::NAME_INDEX_BITS) - 1)
}

impl World {
    fn is_alive(&self, space: SpaceId) -> bool {
        self.spaces.contains(&space)
    }

    fn names_in(&self, space: SpaceId) -> impl Iterator<Item = (Name, &Entry)> {
        let all = self.model.names.iter();
        all.filter(move |((owner, _), _)| *owner == space)
            .map(|((_, name), entry)| (*name, entry))
    }

    pub fn names_of_sets(&self, space: SpaceId) -> Vec<Name> {
        let sets = |entry: &Entry| matches!(entry.target, Target::Set(_));
        let names = self.names_in(space).filter(|(_, entry)| sets(entry));
        names.map(|(name, _)| name).collect()
    }

    /// The name under which a right to `target` would merge.
    pub fn merging_name(&self, space: SpaceId, (kind, target): Held) -> Option<Name> {
        let mut names = self.names_in(space);
        let found = names.find(|(_, entry)| kind != RightKind::SendOnce && entry.merges(target));
        found.map(|(name, _)| name)
    }

    /// Why there cannot be one more name.
    fn no_room(&self, space: SpaceId) -> Result<(), RightError> {
        if !self.is_alive(space) {
            return Err(RightError::InvalidName);
        }
        if self.names_in(space).count() >= super::QUOTA as usize {
            return Err(RightError::NoMemory);
        }
        Ok(())
    }

    /// Why something cannot get that name; `more`: it would be one more.
    fn no_choice(&self, space: SpaceId, name: Name, more: bool) -> Result<(), RightError> {
        let generation = name.raw() >> limits::NAME_INDEX_BITS;
        if !self.is_alive(space) || generation == 0 || index(name) >= INDICES {
            return Err(RightError::InvalidName);
        }
        if self
            .names_in(space)
            .any(|(other, _)| index(other) == index(name))
        {
            return Err(RightError::NameInUse);
        }
        if more { self.no_room(space) } else { Ok(()) }
    }

    /// A right came under a name.
    fn learn(&mut self, at: At, (kind, target): Held) {
        let entry = self.model.names.entry(at).or_insert(Entry::nothing(target));
        assert!(entry.target == target && !entry.once);
        entry.add(kind);
        if let (RightKind::Receive, Target::Port(id)) = (kind, target) {
            self.model.port(id).holder = Holder::Space(at.0, at.1);
        }
        self.latest(at);
    }

    fn latest(&mut self, at: At) {
        self.names.retain(|known| *known != at);
        self.names.push(at);
    }

    pub fn allocate_port(&mut self, space: SpaceId) {
        let expected = self.no_room(space);
        let result = self.ipc.allocate_port(space);
        assert_eq!(result.map(drop), expected);
        if let Ok(name) = result {
            self.new_port(space, name);
        }
    }

    fn new_port(&mut self, space: SpaceId, name: Name) {
        let id = self.ipc.port_of(space, name).unwrap();
        let port = Port::new(None, Holder::Transit);
        assert!(self.model.ports.insert(id, port).is_none());
        assert!(!self.model.names.contains_key(&(space, name)));
        self.learn((space, name), (RightKind::Receive, Target::Port(id)));
    }

    pub fn allocate_port_as(&mut self, space: SpaceId, name: Name) {
        let expected = self.no_choice(space, name, true);
        assert_eq!(self.ipc.allocate_port_as(space, name), expected);
        if expected.is_ok() {
            self.new_port(space, name);
        }
    }

    pub fn allocate_set(&mut self, space: SpaceId) {
        let expected = self.no_room(space);
        let result = self.ipc.allocate_set(space);
        assert_eq!(result.map(drop), expected);
        if let Ok(name) = result {
            let number = self.number();
            self.model.sets.insert(number, Default::default());
            let entry = Entry::nothing(Target::Set(number));
            assert!(self.model.names.insert((space, name), entry).is_none());
            self.latest((space, name));
        }
    }

    pub fn allocate_dead_name(&mut self, space: SpaceId) {
        let expected = self.no_room(space);
        let result = self.ipc.allocate_dead_name(space);
        assert_eq!(result.map(drop), expected);
        if let Ok(name) = result {
            let id = self.ipc.port_of(space, name).unwrap();
            let mut port = Port::new(None, Holder::Nobody);
            port.dead = Some(Reason::Destroyed);
            port.sends = 1;
            assert!(self.model.ports.insert(id, port).is_none());
            self.learn((space, name), (RightKind::Send, Target::Port(id)));
        }
    }

    pub fn insert(&mut self, space: SpaceId, right: Right) -> Option<Name> {
        let what = held(&right);
        let merging = self.merging_name(space, what);
        let expected = match merging {
            Some(_) => Ok(()),
            None => self.no_room(space),
        };
        match self.ipc.insert(space, right) {
            Ok(name) => {
                assert_eq!(expected, Ok(()));
                let known = self.model.names.contains_key(&(space, name));
                assert_eq!(merging, known.then_some(name));
                self.learn((space, name), what);
                Some(name)
            }
            Err(InsertError { error, right }) => {
                assert_eq!(expected, Err(error));
                assert_eq!(held(&right), what);
                self.rights.push(right);
                None
            }
        }
    }

    pub fn insert_as(&mut self, space: SpaceId, name: Name, right: Right) {
        let what = held(&right);
        let expected = match self.merging_name(space, what) {
            Some(held) if held == name => Ok(()),
            Some(held) => Err(RightError::RightHeld(held)),
            None => self.no_choice(space, name, true),
        };
        match self.ipc.insert_as(space, name, right) {
            Ok(()) => {
                assert_eq!(expected, Ok(()));
                self.learn((space, name), what);
            }
            Err(InsertError { error, right }) => {
                assert_eq!(expected, Err(error));
                assert_eq!(held(&right), what);
                self.rights.push(right);
            }
        }
    }

    pub fn rename(&mut self, (space, name): At, to: Name) {
        let expected = self
            .entry((space, name))
            .and_then(|entry| self.no_choice(space, to, false).map(|()| entry));
        assert_eq!(self.ipc.rename(space, name, to), expected.map(drop));
        let Ok(entry) = expected else { return };
        self.model.names.remove(&(space, name));
        self.model.names.insert((space, to), entry);
        for request in &mut self.model.requests {
            if request.at == (space, name) {
                request.at = (space, to);
            }
        }
        if let (true, Target::Port(id)) = (entry.receive, entry.target) {
            self.model.port(id).holder = Holder::Space(space, to);
        }
        self.latest((space, to));
    }

    /// Takes so many references out of the model's name; the name goes with the last.
    pub fn take_out(&mut self, at: At, kind: RightKind, count: u32) -> Result<Target, RightError> {
        let entry = self.entry(at)?;
        if entry.count(kind) < count || count == 0 {
            return Err(RightError::InvalidRight);
        }
        let left = self.model.names.get_mut(&at).unwrap();
        match kind {
            RightKind::Receive => left.receive = false,
            RightKind::Send => left.sends -= count,
            RightKind::SendOnce => left.once = false,
        }
        if *left == Entry::nothing(entry.target) {
            self.model.names.remove(&at);
            self.model.name_deleted(at);
        }
        Ok(entry.target)
    }

    pub fn deallocate(&mut self, at: At, kind: RightKind) {
        let expected = self.take_out(at, kind, 1);
        let result = self.ipc.deallocate(at.0, at.1, kind);
        assert_eq!(result, expected.map(drop));
        if let Ok(target) = expected {
            self.model.release((kind, target));
        }
    }

    pub fn destroy(&mut self, at: At) {
        let expected = self.entry(at);
        assert_eq!(self.ipc.destroy(at.0, at.1), expected.map(drop));
        if let Ok(entry) = expected {
            self.model.names.remove(&at);
            self.model.release_entry(at, entry);
        }
    }

    pub fn modify_references(&mut self, at: At, kind: RightKind, change: i32) {
        let expected = self.change_allowed(at, kind, change);
        let result = self.ipc.modify_references(at.0, at.1, kind, change);
        assert_eq!(result, expected.map(drop), "{kind:?} {change}");
        let Ok(target) = expected else { return };
        let count = change.unsigned_abs();
        if change > 0 {
            self.model.names.get_mut(&at).unwrap().sends += count;
            if let Target::Port(id) = target {
                self.model.port(id).sends += count;
            }
        } else if change < 0 {
            self.take_out(at, kind, count).unwrap();
            match (kind, target) {
                (RightKind::Send, Target::Port(id)) => self.model.release_sends(id, count),
                _ => self.model.release((kind, target)),
            }
        }
    }

    fn change_allowed(&self, at: At, kind: RightKind, change: i32) -> Result<Target, RightError> {
        let entry = self.entry(at)?;
        let count = i64::from(entry.count(kind));
        let most = match kind {
            RightKind::Send => u32::MAX.into(),
            _ => 1,
        };
        if count == 0 {
            return Err(RightError::InvalidRight);
        }
        if !(0..=most).contains(&(count + i64::from(change))) {
            return Err(RightError::OutOfRange);
        }
        match entry.target {
            Target::Port(id) if change > 0 => match self.model.trouble(id) {
                Some(error) => Err(error),
                None if u64::from(self.model.ports[&id].sends) + change as u64
                    > u32::MAX.into() =>
                {
                    Err(RightError::OutOfRange)
                }
                None => Ok(entry.target),
            },
            target => Ok(target),
        }
    }

    pub fn destroy_space(&mut self, choice: u8) {
        let place = usize::from(choice) % self.spaces.len();
        let fresh = self.ipc.create_space(super::QUOTA).unwrap();
        let space = std::mem::replace(&mut self.spaces[place], fresh);
        self.ipc.destroy_space(space);
        let mut gone: Vec<(At, Entry)> = Vec::new();
        self.model.names.retain(|at, entry| {
            if at.0 == space {
                gone.push((*at, *entry));
            }
            at.0 != space
        });
        gone.sort_by_key(|((_, name), _)| index(*name));
        for (at, entry) in gone {
            self.model.release_entry(at, entry);
        }
    }

    pub fn move_member(&mut self, (space, name): At, set: Option<Name>) {
        let expected = self.receive_right((space, name)).and_then(|id| {
            let port = &self.model.ports[&id];
            let Some(set) = set else {
                return port.set.map(|_| (id, None)).ok_or(RightError::NotInSet);
            };
            match self.entry((space, set))?.target {
                Target::Set(number) => Ok((id, Some(number))),
                _ => Err(RightError::InvalidRight),
            }
        });
        let result = self.ipc.move_member(space, name, set);
        assert_eq!(result, expected.map(drop));
        match expected {
            Ok((id, Some(number))) => self.model.enter_set(id, number),
            Ok((id, None)) => self.model.leave_set(id),
            Err(_) => {}
        }
    }

    /// The live port whose receive right is under a name.
    pub fn receive_right(&self, at: At) -> Result<PortId, RightError> {
        match self.entry(at)? {
            Entry {
                receive: true,
                target: Target::Port(id),
                ..
            } => self.model.trouble(id).map_or(Ok(id), Err),
            _ => Err(RightError::InvalidRight),
        }
    }

    pub fn set_queue_limit(&mut self, at: At, limit: u16) {
        let expected = match (self.receive_right(at), limit) {
            (Ok(_), 0) => Err(RightError::OutOfRange),
            (expected, _) => expected,
        };
        let result = self.ipc.set_queue_limit(at.0, at.1, limit);
        assert_eq!(result, expected.map(drop));
        if let Ok(id) = expected {
            self.model.port(id).limit = limit.into();
            self.model.refill(id);
        }
    }

    pub fn set_sequence(&mut self, at: At, sequence: u32) {
        let expected = self.receive_right(at);
        let result = self.ipc.set_sequence(at.0, at.1, sequence);
        assert_eq!(result, expected.map(drop));
        if let Ok(id) = expected {
            self.model.port(id).sequence = sequence;
        }
    }

    pub fn set_make_sends(&mut self, at: At, make_sends: u32) {
        let expected = self.receive_right(at);
        let result = self.ipc.set_make_sends(at.0, at.1, make_sends);
        assert_eq!(result, expected.map(drop));
        if let Ok(id) = expected {
            self.model.port(id).make_sends = make_sends;
        }
    }
}
