//! Names of the cluster, for programs of this node: what `norma_user::network` asks.

use crate::pages::Page;
use crate::reasons::refused;
use crate::seats::Seat;
use crate::server::Server;
use core::time::Duration;
use norma_ipc::{Delivery, RightError, RightKind, ThreadId};
use norma_net::{CheckInError, LookUp};
use norma_user::network::{self, Request};
use norma_user::{Failure, Message, SendOnceRight, SendRight};

impl Server {
    /// A program asks for something.
    pub fn requested(&mut self, message: &mut Message) {
        let Ok(once) = message.take_reply() else {
            return;
        };
        let right = message.take_right();
        let outcome = match Request::read(message.data()) {
            Some(Request::CheckIn { name }) => right.and_then(|right| self.check_in(name, right)),
            Some(Request::CheckOut { name }) => match self.core.check_out(name) {
                true => Ok(()),
                false => Err(Failure::NameUnknown),
            },
            Some(Request::LookUp { name, patience }) => {
                return self.look_up(name, patience, once);
            }
            Some(Request::Settle) => return self.leaving.push(once),
            None => Err(Failure::NotSupported),
        };
        tell(once, outcome.map(|()| None));
    }

    /// Tells those who wait for that that all that was sent has arrived, if so.
    pub fn let_leave(&mut self) {
        if !self.leaving.is_empty() && !self.core.is_unsettled() {
            self.leaving.drain(..).for_each(|once| tell(once, Ok(None)));
        }
    }

    fn check_in(&mut self, name: &str, right: Option<SendRight>) -> Result<(), Failure> {
        let right = right.ok_or(Failure::InvalidRight)?;
        if self.proxies.get(right.name().raw()).is_some() {
            // It is another node's to check in.
            return Err(Failure::NotSupported);
        }
        let port = self.principal(right)?;
        let (ipc, space) = (self.core.ipc(), self.space);
        let made = ipc.make_right(space, port, RightKind::Send);
        let made = made.map_err(refused)?;
        if let Err(error) = ipc.insert(space, made) {
            ipc.retract(error.right);
            return Err(Failure::NoMemory);
        }
        let checked_in = self.core.check_in(self.now, space, port, name);
        let _ = self.core.ipc().deallocate(space, port, RightKind::Send);
        self.watch_principal(port);
        checked_in.map_err(|error| match error {
            CheckInError::Right(error) => refused(error),
            CheckInError::BadName => Failure::BadName,
            _ => Failure::NameTaken,
        })
    }

    fn look_up(&mut self, name: &str, patience: u64, once: SendOnceRight) {
        let until = (patience != 0).then(|| self.now + Duration::from_nanos(patience));
        let Ok(thread) = self.seats.take(&mut self.core, Seat::Found(once)) else {
            return;
        };
        let found = match self.core.look_up(self.now, thread, name, until) {
            Ok(LookUp::Asked) => match self.core.ipc().await_reply(thread) {
                Ok(None) => return,
                Ok(Some(delivery)) => return self.found(thread, delivery),
                Err(_) => Err(Failure::NameUnknown),
            },
            Ok(LookUp::Found(right)) => {
                let inserted = self.core.ipc().insert(self.space, right);
                inserted.map_err(|error| {
                    self.core.ipc().release(error.right);
                    Failure::NoMemory
                })
            }
            Err(RightError::InvalidName) => Err(Failure::BadName),
            Err(error) => Err(refused(error)),
        };
        if let Seat::Found(once) = self.free(thread) {
            let right = found.and_then(|name| self.send_right_of(name));
            tell(once, right.map(Some));
        }
    }

    /// What was looked up is there, or is not.
    pub fn found(&mut self, thread: ThreadId, delivery: Delivery<Page>) {
        let Seat::Found(once) = self.free(thread) else {
            return self.core.ipc().discard_delivery(delivery);
        };
        let right = match delivery {
            Delivery::Message(mut message) => {
                let taken = self.core.ipc().take_right(self.space, &mut message);
                self.core.ipc().discard(message);
                match taken {
                    Ok(Some((RightKind::Send, name))) => self.send_right_of(name),
                    _ => Err(Failure::NameUnknown),
                }
            }
            other => {
                self.core.ipc().discard_delivery(other);
                Err(Failure::NameUnknown)
            }
        };
        tell(once, right.map(Some));
    }
}

/// Answers a program.
fn tell(once: SendOnceRight, outcome: Result<Option<SendRight>, Failure>) {
    // A program that is gone hears nothing.
    if let Ok(message) = network::answer(outcome) {
        let _ = once.send(message);
    }
}
