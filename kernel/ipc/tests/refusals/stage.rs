//! A core that holds something of every kind, and what is done with it.

use super::*;

/// What a name can denote.
pub const KINDS: [&str; 10] = [
    "receive",      // the receive right, with a message of 3 bytes in the queue
    "both",         // receive and send rights
    "send",         // two send rights
    "full",         // a send right to a port whose queue is full
    "once",         // a send-once right
    "dead",         // send rights to a port that is dead
    "dead receive", // the receive right of a port that is dead
    "set",          // a port set, without members
    "remote",       // a send-once right to another node
    "stand-in",     // a send right to another node
];

/// Names that denote nothing.
pub const NOTHING: [&str; 3] = ["stale", "never given out", "zero"];

/// A core with a space that holds something of every kind, and things at hand.
pub struct Stage {
    pub ipc: Core,
    pub home: SpaceId,
    /// Where the ports are to which `home` has rights.
    pub other: SpaceId,
    /// It has no room for names.
    pub narrow: SpaceId,
    pub gone: SpaceId,
    pub names: Vec<Name>,
    pub nothing: Vec<Name>,
    /// A port of `other`, whose quota is not used up.
    pub there: Name,
    pub rights: Vec<Right>,
    pub messages: Vec<Message<HeapPage>>,
}

pub fn chosen(index: u32, generation: u32) -> Name {
    Name::from_raw((generation << limits::NAME_INDEX_BITS) | index)
}

impl Stage {
    pub fn new() -> Self {
        let mut ipc = Core::new();
        for thread in [ALICE, BUSY] {
            ipc.register_thread(thread).unwrap();
        }
        ipc.wait_outside(BUSY);
        let [home, other, gone] = [(); 3].map(|()| ipc.create_space(50).unwrap());
        let narrow = ipc.create_space(0).unwrap();
        ipc.destroy_space(gone);
        let there = ipc.allocate_port(other).unwrap();
        let mut stage = Stage {
            ipc,
            home,
            other,
            narrow,
            gone,
            names: Vec::new(),
            nothing: Vec::new(),
            there,
            rights: Vec::new(),
            messages: Vec::new(),
        };
        stage.names = KINDS.map(|kind| stage.make(kind)).into();
        let stale = stage.ipc.allocate_dead_name(home).unwrap();
        stage.ipc.destroy(home, stale).unwrap();
        stage.nothing = vec![stale, chosen(1000, 1), Name::from_raw(0)];
        let rights = [RightKind::Send, RightKind::SendOnce].map(|kind| stage.right(kind));
        stage.rights.extend(rights);
        let mut message = stage.ipc.new_message().unwrap();
        message.set_data(&[5; 5]).unwrap();
        let right = stage.right(RightKind::SendOnce);
        message.set_reply(right).unwrap();
        let right = stage.right(RightKind::Send);
        message.push_right(right).unwrap();
        let page = HeapPages::default().allocate().unwrap();
        message.memory_mut().push(page, 17).unwrap();
        stage.messages.push(message);
        stage
    }

    /// A right to a port of the other space.
    pub fn right(&mut self, kind: RightKind) -> Right {
        self.ipc.make_right(self.other, self.there, kind).unwrap()
    }

    pub fn kill(&mut self, space: SpaceId, name: Name) {
        let id = self.ipc.port_of(space, name).unwrap();
        self.ipc.kill_port(id, Reason::NodeDied(1));
    }

    pub fn post(&mut self, space: SpaceId, name: Name, bytes: usize) {
        let mut message = self.ipc.new_message().unwrap();
        message.set_data(&vec![3; bytes]).unwrap();
        let id = self.ipc.port_of(space, name).unwrap();
        assert!(matches!(self.ipc.post(id, message, None), Ok(Sent::Queued)));
    }

    pub fn make(&mut self, kind: &str) -> Name {
        let Stage { home, other, .. } = *self;
        if kind == "set" {
            return self.ipc.allocate_set(home).unwrap();
        }
        let is_here = matches!(kind, "receive" | "both" | "dead receive");
        let owner = if is_here { home } else { other };
        let port = self.ipc.allocate_port(owner).unwrap();
        let right = match kind {
            "once" => self.ipc.make_right(owner, port, RightKind::SendOnce),
            "remote" => Ok(self.ipc.import_send_once(RemoteToken(1)).unwrap()),
            "stand-in" => {
                let proxy = self.ipc.create_proxy(RemoteToken(2)).unwrap();
                self.ipc.add_send(proxy)
            }
            _ => self.ipc.make_right(owner, port, RightKind::Send),
        };
        let right = right.unwrap();
        let mut name = port;
        match kind {
            "receive" | "dead receive" => self.ipc.release(right),
            _ => name = self.ipc.insert(home, right).unwrap(),
        }
        match kind {
            "receive" => self.post(owner, port, 3),
            "send" => self
                .ipc
                .modify_references(home, name, RightKind::Send, 1)
                .unwrap(),
            "full" => {
                self.ipc.set_queue_limit(other, port, 1).unwrap();
                self.post(other, port, 1);
            }
            "dead" | "dead receive" => self.kill(owner, port),
            _ => {}
        }
        name
    }

    pub fn named(&self, kind: &str) -> Name {
        let at = KINDS.iter().position(|known| *known == kind).unwrap();
        self.names[at]
    }

    /// All that can be seen.
    pub fn snapshot(&mut self) -> String {
        let messages = self.messages.iter();
        let inside = messages.flat_map(|message| message.rights().iter().chain(message.reply()));
        let mut census = self.ipc.audit(self.rights.iter().chain(inside)).unwrap();
        // Something may have been made and unmade.
        (census.created, census.destroyed) = (0, 0);
        let mut seen = format!("{census:?} {:?} {:?}\n", self.rights, self.messages);
        for space in [self.home, self.other, self.narrow] {
            for (name, types) in self.ipc.names(space).unwrap() {
                let count = |kind| self.ipc.references(space, name, kind);
                let counts = [RightKind::Send, RightKind::SendOnce, RightKind::Receive].map(count);
                let status = self.ipc.receive_status(space, name);
                let members = self
                    .ipc
                    .members(space, name)
                    .map(|all| all.collect::<Vec<_>>());
                seen += &format!("{name:?} {types:?} {counts:?} {status:?} {members:?}\n");
            }
        }
        assert_eq!(self.ipc.poll_event(), None);
        for thread in [ALICE, BUSY] {
            assert!(self.ipc.take_completion(thread).is_none());
        }
        seen
    }

    pub fn sent(
        &mut self,
        sent: std::result::Result<Sent<HeapPage>, SendError<HeapPage>>,
    ) -> Result {
        match sent {
            Ok(Sent::Forward { message, .. }) => {
                self.messages.push(message);
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(SendError { failure, message }) => {
                self.messages.push(message);
                Err(match failure {
                    SendFailure::Full => Refusal::Full,
                    SendFailure::Right(error) => Refusal::Right(error),
                })
            }
        }
    }

    pub fn keep(&mut self, right: std::result::Result<Right, RightError>) -> Result {
        self.rights.push(right?);
        Ok(())
    }

    pub fn received(&mut self, delivery: Delivery<HeapPage>) {
        self.ipc.discard_delivery(delivery);
    }

    pub fn send(&mut self, (space, name): At, wait: Option<ThreadId>) -> Result {
        let message = self.messages.pop().unwrap();
        let sent = self.ipc.send(space, name, message, wait);
        self.sent(sent)
    }

    pub fn insert_as(&mut self, space: SpaceId, name: Name) -> Result {
        let right = self.rights.pop().unwrap();
        match self.ipc.insert_as(space, name, right) {
            Ok(()) => Ok(()),
            Err(InsertError { error, right }) => {
                self.rights.push(right);
                Err(error.into())
            }
        }
    }

    pub fn request(&mut self, (space, name): At, about: About) -> Result {
        let notify = self.rights.pop().unwrap();
        match self.ipc.request(space, name, about, notify) {
            Ok(right) => {
                self.rights.extend(right);
                Ok(())
            }
            Err(InsertError { error, right }) => {
                self.rights.push(right);
                Err(error.into())
            }
        }
    }

    pub fn port_request(&mut self, (space, name): At, no_senders: bool) -> Result {
        let notify = self.rights.pop();
        let asked = if no_senders {
            self.ipc.request_no_senders(space, name, 0, notify)
        } else {
            self.ipc.request_port_destroyed(space, name, notify)
        };
        match asked {
            Ok(right) => {
                self.rights.extend(right);
                Ok(())
            }
            Err((error, right)) => {
                self.rights.extend(right);
                Err(error.into())
            }
        }
    }

    pub fn modify(&mut self, kind: &str, of: RightKind, change: i32) -> Result {
        let name = self.named(kind);
        Ok(self.ipc.modify_references(self.home, name, of, change)?)
    }
}
