//! Steps on rights, names, spaces and ports.

use norma_ipc::*;

use crate::model::{End, Entry, Holder, Port, Target, held};
use crate::world::{KINDS, SPACES, World, draw, pick};

impl World {
    pub(crate) fn name(&self, choice: u8) -> Option<((SpaceId, Name), Option<Entry>)> {
        let at = pick(&self.names, choice)?;
        Some((at, self.model.names.get(&at).copied()))
    }

    pub(crate) fn allocate_port(&mut self, a: u8) {
        let space = pick(&self.spaces, a).unwrap();
        let name = self.ipc.allocate_port(space).unwrap();
        let probe = self.ipc.make_right(space, name, RightKind::Send).unwrap();
        let id = probe.port().unwrap();
        self.ipc.release(probe);
        let port = Port::new(None, Holder::Space(space, name));
        assert!(self.model.ports.insert(id, port).is_none());
        let target = Target::Port(id);
        let entry = Entry {
            target,
            receive: true,
            sends: 0,
            once: false,
        };
        assert!(self.model.names.insert((space, name), entry).is_none());
        self.names.push((space, name));
    }

    pub(crate) fn make_right(&mut self, a: u8, b: u8) {
        let Some(((space, name), entry)) = self.name(a) else {
            return;
        };
        let kind = KINDS[usize::from(b) % 3];
        let expected = match entry {
            None => Some(RightError::InvalidName),
            Some(Entry {
                receive: true,
                target: Target::Port(id),
                ..
            }) => self
                .model
                .trouble(id)
                .or((kind == RightKind::Receive).then_some(RightError::InvalidRight)),
            Some(_) => Some(RightError::InvalidRight),
        };
        match self.ipc.make_right(space, name, kind) {
            Ok(right) => {
                assert_eq!(expected, None);
                self.model.count(held(&right));
                self.rights.push(right);
            }
            Err(error) => assert_eq!(expected, Some(error)),
        }
    }

    pub(crate) fn copy_send(&mut self, a: u8) {
        let Some(((space, name), entry)) = self.name(a) else {
            return;
        };
        let expected = match entry {
            None => Some(RightError::InvalidName),
            Some(Entry {
                sends: 1..,
                target: Target::Port(id),
                ..
            }) => self.model.trouble(id),
            Some(_) => Some(RightError::InvalidRight),
        };
        match self.ipc.copy_send(space, name) {
            Ok(right) => {
                assert_eq!(expected, None);
                self.model.count(held(&right));
                self.rights.push(right);
            }
            Err(error) => assert_eq!(expected, Some(error)),
        }
    }

    /// Takes a right of that kind out of the model's name.
    pub(crate) fn take_out(&mut self, at: (SpaceId, Name), kind: RightKind) -> Option<Target> {
        let entry = self.model.names.get_mut(&at)?;
        match kind {
            RightKind::Send if entry.sends > 0 => entry.sends -= 1,
            RightKind::SendOnce if entry.once => entry.once = false,
            RightKind::Receive if entry.receive => entry.receive = false,
            _ => return None,
        }
        let entry = *entry;
        if entry.sends == 0 && !entry.once && !entry.receive {
            self.model.names.remove(&at);
        }
        Some(entry.target)
    }

    pub(crate) fn extract(&mut self, a: u8, b: u8) {
        let Some(((space, name), _)) = self.name(a) else {
            return;
        };
        let kind = KINDS[usize::from(b) % 3];
        let expected = self.take_out((space, name), kind);
        let right = self.ipc.extract(space, name, kind);
        assert_eq!(right.is_ok(), expected.is_some());
        let (Ok(right), Some(target)) = (right, expected) else {
            return;
        };
        assert_eq!(held(&right), (kind, target));
        if let (RightKind::Receive, Target::Port(id)) = (kind, target) {
            let port = self.model.ports.get_mut(&id).unwrap();
            port.holder = Holder::Transit;
            for thread in std::mem::take(&mut port.receivers) {
                self.model.end(thread, End::Died(Reason::Moved));
            }
        }
        self.rights.push(right);
    }

    pub(crate) fn insert(&mut self, a: u8, b: u8) {
        let space = pick(&self.spaces, a).unwrap();
        let Some(right) = draw(&mut self.rights, b) else {
            return;
        };
        let (kind, target) = held(&right);
        let name = self.ipc.insert(space, right).unwrap();
        let fresh = Entry {
            target,
            receive: false,
            sends: 0,
            once: false,
        };
        let entry = self.model.names.entry((space, name)).or_insert(fresh);
        assert_eq!(entry.target, target);
        assert!(!entry.once);
        match kind {
            RightKind::Send => entry.sends += 1,
            RightKind::SendOnce => entry.once = true,
            RightKind::Receive => entry.receive = true,
        }
        assert!(!(entry.once && (entry.sends > 0 || entry.receive)));
        let same = self
            .model
            .names
            .iter()
            .filter(|((s, _), entry)| *s == space && entry.target == target && !entry.once);
        assert!(same.count() <= 1, "equal rights did not merge");
        if let (RightKind::Receive, Target::Port(id)) = (kind, target) {
            self.model.ports.get_mut(&id).unwrap().holder = Holder::Space(space, name);
        }
        self.names.retain(|known| *known != (space, name));
        self.names.push((space, name));
    }

    pub(crate) fn release(&mut self, a: u8) {
        let Some(right) = draw(&mut self.rights, a) else {
            return;
        };
        self.model.release(held(&right));
        self.ipc.release(right);
    }

    pub(crate) fn deallocate(&mut self, a: u8, b: u8) {
        let Some(((space, name), _)) = self.name(a) else {
            return;
        };
        let kind = KINDS[usize::from(b) % 3];
        let expected = self.take_out((space, name), kind);
        assert_eq!(
            self.ipc.deallocate(space, name, kind).is_ok(),
            expected.is_some()
        );
        if let Some(target) = expected {
            self.model.release((kind, target));
        }
    }

    pub(crate) fn end_space_or_port(&mut self, a: u8, b: u8) {
        if b & 1 == 0 {
            let ids: Vec<PortId> = self.model.ports.keys().copied().collect();
            if let Some(id) = pick(&ids, a) {
                self.ipc.kill_port(id, Reason::NodeDied(7));
                self.model.kill(id, Reason::NodeDied(7));
            }
            return;
        }
        let at = usize::from(a) % SPACES;
        let space = std::mem::replace(&mut self.spaces[at], self.ipc.create_space(1000).unwrap());
        self.ipc.destroy_space(space);
        let mut entries: Vec<(u32, Entry)> = Vec::new();
        self.model.names.retain(|(owner, name), entry| {
            if *owner == space {
                entries.push((name.raw() & ((1 << limits::NAME_INDEX_BITS) - 1), *entry));
            }
            *owner != space
        });
        entries.sort_by_key(|(index, _)| *index);
        for (_, entry) in entries {
            for _ in 0..entry.sends {
                self.model.release((RightKind::Send, entry.target));
            }
            if entry.once {
                self.model.release((RightKind::SendOnce, entry.target));
            }
            if entry.receive {
                self.model.release((RightKind::Receive, entry.target));
            }
        }
    }

    pub(crate) fn import(&mut self, a: u8) {
        self.next += 1;
        let token = RemoteToken(self.next.into());
        if a & 1 == 0 {
            let right = self.ipc.import_send_once(token).unwrap();
            self.rights.push(right);
        } else {
            let id = self.ipc.create_proxy(token).unwrap();
            self.model
                .ports
                .insert(id, Port::new(Some(token.0), Holder::Nobody));
            let right = self.ipc.add_send(id).unwrap();
            self.model.count(held(&right));
            self.rights.push(right);
        }
    }

    pub(crate) fn set_queue_limit(&mut self, a: u8, b: u8) {
        let Some(((space, name), entry)) = self.name(a) else {
            return;
        };
        let limit = u16::from(b) % 4;
        let expected =
            Self::receive_port(entry).and_then(|id| self.model.trouble(id).map_or(Ok(id), Err));
        let expected = match limit {
            0 => expected.and(Err(RightError::OutOfRange)),
            _ => expected,
        };
        let result = self.ipc.set_queue_limit(space, name, limit);
        assert_eq!(result, expected.map(|_| ()));
        if let Ok(id) = expected {
            self.model.ports.get_mut(&id).unwrap().limit = usize::from(limit);
            self.model.refill(id);
        }
    }

    /// The port from which a name lets one receive.
    pub(crate) fn receive_port(entry: Option<Entry>) -> Result<PortId, RightError> {
        match entry {
            None => Err(RightError::InvalidName),
            Some(Entry {
                receive: true,
                target: Target::Port(id),
                ..
            }) => Ok(id),
            Some(_) => Err(RightError::InvalidRight),
        }
    }
}
