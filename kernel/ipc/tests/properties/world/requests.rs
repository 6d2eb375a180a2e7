//! Steps on requests to be told.

use norma_ipc::*;

use super::World;
use super::model::{At, News, Request, Target, held, once_to};

impl World {
    /// The port to which a right leads that a request can spend.
    fn notify_port(notify: &Right) -> Result<PortId, RightError> {
        once_to(held(notify)).ok_or(RightError::InvalidRight)
    }

    /// Keeps the right of the request before.
    fn keep(&mut self, right: Option<Right>, expected: Option<PortId>) {
        let expected = expected.map(|id| self.model.unseat(id));
        assert_eq!(right.as_ref().map(held), expected);
        self.rights.extend(right);
    }

    pub fn request(&mut self, at: At, about: About, notify: Right) {
        let notify = self.seat(notify);
        let what = held(&notify);
        let expected = Self::notify_port(&notify).and_then(|notify| {
            let entry = self.entry(at)?;
            match entry.target {
                Target::Port(port) if about == About::Death || entry.sends > 0 => Ok(Request {
                    about,
                    at,
                    port,
                    notify,
                }),
                _ => Err(RightError::InvalidRight),
            }
        });
        match (self.ipc.request(at.0, at.1, about, notify), expected) {
            (Ok(right), Ok(request)) => {
                let previous = self.add_request(request);
                self.keep(right, previous);
            }
            (Err(InsertError { error, right }), Err(other)) => {
                assert_eq!(error, other);
                assert_eq!(held(&right), self.model.unseat_held(what));
                self.rights.push(right);
            }
            (result, expected) => panic!("{result:?}, not {expected:?}"),
        }
    }

    fn add_request(&mut self, request: Request) -> Option<PortId> {
        let Request {
            about,
            at,
            port,
            notify,
        } = request;
        if let Some(reason) = self.model.ports[&port].dead {
            self.model.tell(notify, News::DeadName(at.1, reason));
            return None;
        }
        let previous = self.model.withdraw(at, about);
        self.model.requests.push(request);
        self.model.tell_room(port);
        previous
    }

    pub fn withdraw_request(&mut self, at: At, about: About) {
        let expected = self.entry(at).map(|_| self.model.withdraw(at, about));
        match (self.ipc.withdraw_request(at.0, at.1, about), expected) {
            (Ok(right), Ok(previous)) => self.keep(right, previous),
            (Err(error), Err(other)) => assert_eq!(error, other),
            (result, expected) => panic!("{result:?}, not {expected:?}"),
        }
    }

    /// The port, and where the news is to go, of a request about a receive right.
    fn port_request(
        &self,
        at: At,
        notify: Option<&Right>,
    ) -> Result<(PortId, Option<PortId>), RightError> {
        let id = self.receive_right(at)?;
        Ok((id, notify.map(Self::notify_port).transpose()?))
    }

    pub fn request_no_senders(&mut self, at: At, sync: u32, notify: Option<Right>) {
        let notify = notify.map(|notify| self.seat(notify));
        let expected = self.port_request(at, notify.as_ref());
        let what = notify.as_ref().map(held);
        let result = self.ipc.request_no_senders(at.0, at.1, sync, notify);
        match (result, expected) {
            (Ok(right), Ok((id, notify))) => {
                let port = self.model.port(id);
                let previous = std::mem::replace(&mut port.no_senders, notify);
                if port.make_sends >= sync {
                    self.model.check_senders(id);
                }
                self.keep(right, previous);
            }
            (Err((error, right)), Err(other)) => {
                assert_eq!(error, other);
                let what = what.map(|what| self.model.unseat_held(what));
                assert_eq!(right.as_ref().map(held), what);
                self.rights.extend(right);
            }
            (result, expected) => panic!("{result:?}, not {expected:?}"),
        }
    }

    pub fn request_port_destroyed(&mut self, at: At, notify: Option<Right>) {
        let notify = notify.map(|notify| self.seat(notify));
        let expected = self.port_request(at, notify.as_ref());
        let what = notify.as_ref().map(held);
        let result = self.ipc.request_port_destroyed(at.0, at.1, notify);
        match (result, expected) {
            (Ok(right), Ok((id, notify))) => {
                let port = self.model.port(id);
                let previous = std::mem::replace(&mut port.destroyed, notify);
                self.keep(right, previous);
            }
            (Err((error, right)), Err(other)) => {
                assert_eq!(error, other);
                let what = what.map(|what| self.model.unseat_held(what));
                assert_eq!(right.as_ref().map(held), what);
                self.rights.extend(right);
            }
            (result, expected) => panic!("{result:?}, not {expected:?}"),
        }
    }
}
