//! Steps on rights: make, copy, move, give up, bring in from other nodes.

use norma_ipc::*;

use super::World;
use super::model::{At, Entry, Holder, Port, Target, held};
use super::operation::Release;

impl World {
    /// Compares a right that was made, or why it was not, and keeps it.
    fn made(&mut self, result: Result<Right, RightError>, expected: Result<PortId, RightError>) {
        match (result, expected) {
            (Ok(right), Ok(id)) => {
                assert_eq!(right.port(), Some(id));
                self.model.count(held(&right));
                self.rights.push(right);
            }
            (Err(error), Err(other)) => assert_eq!(error, other),
            (result, expected) => panic!("{result:?}, not {expected:?}"),
        }
    }

    pub fn make_right(&mut self, at: At, kind: RightKind) {
        let expected = self.can_make(at, kind);
        let result = self.ipc.make_right(at.0, at.1, kind);
        self.made(result, expected);
        self.count_make_send(expected, kind);
    }

    fn can_make(&self, at: At, kind: RightKind) -> Result<PortId, RightError> {
        let id = self.receive_right(at)?;
        match kind {
            RightKind::Receive => Err(RightError::InvalidRight),
            RightKind::Send => self.can_add(id),
            RightKind::SendOnce => Ok(id),
        }
    }

    /// There can be four billion send rights to a port.
    fn can_add(&self, id: PortId) -> Result<PortId, RightError> {
        match self.model.trouble(id) {
            Some(error) => Err(error),
            None if self.model.ports[&id].sends == u32::MAX => Err(RightError::NoMemory),
            None => Ok(id),
        }
    }

    fn count_make_send(&mut self, made: Result<PortId, RightError>, kind: RightKind) {
        if let (Ok(id), RightKind::Send) = (made, kind) {
            let port = self.model.port(id);
            port.make_sends = port.make_sends.wrapping_add(1);
        }
    }

    pub fn copy_send(&mut self, at: At) {
        let expected = self.can_copy(at);
        let result = self.ipc.copy_send(at.0, at.1);
        self.made(result, expected);
    }

    fn can_copy(&self, at: At) -> Result<PortId, RightError> {
        match self.entry(at)? {
            Entry {
                sends: 1..,
                target: Target::Port(id),
                ..
            } => self.can_add(id),
            _ => Err(RightError::InvalidRight),
        }
    }

    pub fn copy_in(&mut self, at: At, disposition: Disposition) {
        match disposition {
            Disposition::MoveReceive | Disposition::MoveSend | Disposition::MoveSendOnce => {
                self.move_out(at, disposition.kind(), |ipc| {
                    ipc.copy_in(at.0, at.1, disposition)
                });
            }
            Disposition::CopySend => {
                let expected = self.can_copy(at);
                let result = self.ipc.copy_in(at.0, at.1, disposition);
                self.made(result, expected);
            }
            Disposition::MakeSend | Disposition::MakeSendOnce => {
                let kind = disposition.kind();
                let expected = self.can_make(at, kind);
                let result = self.ipc.copy_in(at.0, at.1, disposition);
                self.made(result, expected);
                self.count_make_send(expected, kind);
            }
        }
    }

    pub fn extract(&mut self, at: At, kind: RightKind) {
        self.move_out(at, kind, |ipc| ipc.extract(at.0, at.1, kind));
    }

    fn move_out(
        &mut self,
        at: At,
        kind: RightKind,
        operation: impl FnOnce(&mut super::Core) -> Result<Right, RightError>,
    ) {
        let expected = self.take_out(at, kind, 1);
        match (operation(&mut self.ipc), expected) {
            (Ok(right), Ok(target)) => {
                assert_eq!(held(&right), (kind, target));
                if let (RightKind::Receive, Target::Port(id)) = (kind, target) {
                    self.model.detach_receive(id);
                }
                self.rights.push(right);
            }
            (Err(error), Err(other)) => assert_eq!(error, other),
            (result, expected) => panic!("{result:?}, not {expected:?}"),
        }
    }

    pub fn release(&mut self, right: Right, how: Release) {
        let what = held(&right);
        match how {
            Release::Plain => {
                self.ipc.release(right);
                self.model.release(what);
            }
            Release::Because(reason) => {
                self.ipc.release_because(right, reason);
                self.model.release_because(what, reason);
            }
            Release::Forget => {
                self.ipc.forget_right(right, Reason::NodeDied(4));
                if !matches!(what, (_, Target::Token(_))) {
                    self.model.release_because(what, Reason::NodeDied(4));
                }
            }
        }
    }

    pub fn kill_port(&mut self, id: PortId) {
        self.ipc.kill_port(id, Reason::NodeDied(7));
        self.model.kill(id, Reason::NodeDied(7));
    }

    pub fn import_send_once(&mut self) {
        let token = RemoteToken(self.number().into());
        let right = self.ipc.import_send_once(token).unwrap();
        assert_eq!(right.remote(), Some(token));
        self.rights.push(right);
    }

    pub fn create_proxy(&mut self, with_right: bool) {
        let token = RemoteToken(self.number().into());
        let id = self.ipc.create_proxy(token).unwrap();
        if !with_right {
            return self.ipc.remove_unused_proxy(id);
        }
        let port = Port::new(Some(token.0), Holder::Nobody);
        assert!(self.model.ports.insert(id, port).is_none());
        let right = self.ipc.add_send(id);
        self.made(right, Ok(id));
    }

    pub fn watch(&mut self, id: PortId) {
        self.ipc.watch(id);
        let port = self.model.port(id);
        let first = !std::mem::replace(&mut port.watched, true);
        if first && port.dead.is_some() {
            self.model.events.push(Event::PortDied(id, 0));
        }
    }

    pub fn want_room(&mut self, id: PortId) {
        self.ipc.want_room(id);
        self.model.port(id).room_wanted = true;
        self.model.tell_room(id);
    }
}
