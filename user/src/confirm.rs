//! Sending a message and waiting until it is known what became of it.

use crate::failure::{Failure, SendError};
use crate::message::Message;
use crate::rights::SendRight;
use crate::send::{nanoseconds, not_sent, with};
use core::time::Duration;
use norma_abi::{FOREVER, call};

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Fate {
    /// It is, or was, in the queue of its port, or in the hands of its receiver.
    Delivered,
    /// It came to nothing before it reached the queue of its port, for that reason.
    NotDelivered(Failure),
    /// A node died, or the patience ended, before it was known.
    Unknown(Failure),
}

impl SendRight {
    /// Sends a message without a reply right in it, and waits until its fate is known; waits
    /// while the port's queue is full. A message for a port of this node is delivered when it is
    /// sent.
    ///
    /// # Errors
    /// The message comes back whole when it was not sent: it is not delivered.
    pub fn send_confirmed(&self, message: Message) -> Result<Fate, SendError> {
        confirmed(self, message, FOREVER)
    }

    /// As [`SendRight::send_confirmed`], until `timeout` has passed.
    ///
    /// # Errors
    /// The message comes back whole when it was not sent: it is not delivered.
    pub fn send_confirmed_timeout(
        &self,
        message: Message,
        timeout: Duration,
    ) -> Result<Fate, SendError> {
        confirmed(self, message, nanoseconds(timeout))
    }
}

fn confirmed(to: &SendRight, mut message: Message, timeout: u64) -> Result<Fate, SendError> {
    let arguments = |at| [to.name.raw().into(), at, timeout, 0];
    match with(call::SEND_CONFIRMED, arguments, &mut message) {
        Err(refused) if !refused.sent => Err(not_sent(message, refused)),
        result => {
            message.gone();
            Ok(match result {
                Ok(_) => Fate::Delivered,
                Err(refused) => fate(refused.into()),
            })
        }
    }
}

fn fate(failure: Failure) -> Fate {
    match failure {
        Failure::NodeDied { .. } | Failure::Unanswered | Failure::TimedOut | Failure::Cancelled => {
            Fate::Unknown(failure)
        }
        _ => Fate::NotDelivered(failure),
    }
}
