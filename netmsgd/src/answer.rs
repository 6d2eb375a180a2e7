//! Answers: what the core says, as packets for programs.
//!
//! Owns: the writing of every answer, and the way from the core's reasons to the protocol's
//! causes. A packet is written into one buffer that is kept.

use crate::daemon::Daemon;
use norma_client::limits::MAX_PACKET;
use norma_client::protocol::{Answer, Cause, News, Reply};
use norma_ipc::{Notification, Reason, RightError, SendFailure};
use norma_net::CheckInError;
use std::os::fd::OwnedFd;

/// The buffer of the answer that is being written.
#[derive(Debug)]
pub(crate) struct Packet(pub(crate) Vec<u8>);

impl Default for Packet {
    fn default() -> Self {
        Self(Vec::with_capacity(MAX_PACKET))
    }
}

/// Why something failed, with what is to be said about it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    value: u64,
    text: String,
}

impl Failure {
    /// Which node has taken a name.
    pub(crate) fn taken_by(node: &[u8]) -> Self {
        Self {
            text: String::from_utf8_lossy(node).into_owned(),
            ..Cause::NameTakenBy.into()
        }
    }

    pub(crate) fn too_large(bytes: usize) -> Self {
        Self {
            value: bytes as u64,
            ..Cause::TooLarge.into()
        }
    }
}

impl From<Cause> for Failure {
    fn from(cause: Cause) -> Self {
        Self {
            cause,
            value: 0,
            text: String::new(),
        }
    }
}

impl Daemon {
    /// A reason of the core's; a node is called by its name if that is known.
    pub(crate) fn because(&self, reason: Reason) -> Failure {
        let cause = match reason {
            Reason::NodeDied(address) => {
                let name = self.core.peer_name(address).unwrap_or_default();
                return Failure {
                    value: address,
                    text: name.as_str().to_owned(),
                    ..Cause::NodeDied.into()
                };
            }
            Reason::Destroyed => Cause::PortDied,
            Reason::Moved => Cause::Moved,
            Reason::Unanswered => Cause::Unanswered,
            Reason::NameUnknown => Cause::NameUnknown,
            Reason::NoMemory => Cause::NoMemory,
            Reason::Circular => Cause::Circular,
        };
        cause.into()
    }

    pub(crate) fn refused(&self, error: RightError) -> Failure {
        let cause = match error {
            RightError::Dead(reason) => return self.because(reason),
            RightError::InvalidName => Cause::InvalidName,
            RightError::InvalidRight | RightError::NameInUse | RightError::RightHeld(_) => {
                Cause::InvalidRight
            }
            RightError::NotInSet => Cause::NotInSet,
            RightError::OutOfRange => Cause::OutOfRange,
            RightError::Circular => Cause::Circular,
            RightError::NoMemory => Cause::NoMemory,
        };
        cause.into()
    }

    pub(crate) fn not_sent(&self, failure: SendFailure) -> Failure {
        match failure {
            SendFailure::Full => Cause::Full.into(),
            SendFailure::Right(error) => self.refused(error),
        }
    }

    pub(crate) fn not_checked_in(&self, error: CheckInError) -> Failure {
        let cause = match error {
            CheckInError::BadName => Cause::BadName,
            CheckInError::Taken => Cause::NameTaken,
            CheckInError::Right(error) => return self.refused(error),
            CheckInError::Full => Cause::NoMemory,
        };
        cause.into()
    }

    /// Begins an answer; the tail is appended to what this gives.
    pub(crate) fn begin(&mut self, reply: &Reply, text: &[u8]) -> &mut Vec<u8> {
        let packet = &mut self.packet.0;
        packet.clear();
        let text_length = text.len() as u32;
        Reply {
            text: text_length,
            ..*reply
        }
        .emit(packet);
        packet.extend_from_slice(text);
        packet
    }

    /// Hands the answer that was begun to the program; the next request may come.
    pub(crate) fn finish(&mut self, place: u32, file: Option<OwnedFd>) {
        self.wait_for(place, crate::seat::Doing::Nothing, u64::MAX);
        let packet = std::mem::take(&mut self.packet.0);
        let there = match self.seat(place) {
            Some(seat) => seat.answer(&packet, file),
            None => true,
        };
        self.packet.0 = packet;
        if there {
            self.watch(place);
        }
        // One that is gone is noticed by the poller, and closed there.
    }

    pub(crate) fn done(&mut self, place: u32, name: u32, value: u64) {
        let reply = Reply {
            name,
            value,
            ..Reply::DONE
        };
        self.begin(&reply, &[]);
        self.finish(place, None);
    }

    pub(crate) fn fail(&mut self, place: u32, failure: impl Into<Failure>) {
        self.begin_failure(0, failure.into());
        self.finish(place, None);
    }

    pub(crate) fn begin_failure(&mut self, flags: u8, failure: Failure) -> &mut Vec<u8> {
        let reply = Reply {
            answer: Answer::Failed,
            what: failure.cause as u8,
            flags,
            value: failure.value,
            ..Reply::DONE
        };
        self.begin(&reply, failure.text.as_bytes())
    }

    /// Answers with a notification. A receive right in it gets a name of the task's.
    pub(crate) fn notify(&mut self, place: u32, notification: Notification) {
        let mut reply = Reply {
            answer: Answer::Notification,
            ..Reply::DONE
        };
        let mut why = Failure::from(Cause::Unanswered);
        let news = match notification {
            Notification::SendOnce(reason) => {
                why = self.because(reason);
                News::SendOnce
            }
            Notification::DeadName { name, reason } => {
                reply.name = name.raw();
                why = self.because(reason);
                News::DeadName
            }
            Notification::NameDeleted { name } => {
                reply.name = name.raw();
                News::NameDeleted
            }
            Notification::NoSenders { make_sends } => {
                reply.value = make_sends.into();
                News::NoSenders
            }
            Notification::PortDestroyed(right) => {
                reply.name = self.name(place, right);
                News::PortDestroyed
            }
            Notification::Room { name } => {
                reply.name = name.raw();
                News::Room
            }
        };
        reply.what = news as u8;
        if matches!(news, News::SendOnce | News::DeadName) {
            reply.cause = why.cause as u8;
            reply.value = why.value;
        }
        self.begin(&reply, why.text.as_bytes());
        self.finish(place, None);
    }
}
