//! Sending a message and waiting until it is known what became of it.
//!
//! What a plain send tells is that the message will be carried, as long as both nodes live. Here
//! the thread waits for the receiver's node to say that the message lies in the queue of its
//! port.

use crate::face::call::await_reply;
use crate::face::error::{Failure, SendError};
use crate::face::send::await_room;
use crate::face::{Message, SendRight};
use crate::memory::Frame;
use crate::node::{self, EngineGuard, Patience};
use crate::thread;
use core::time::Duration;
use norma_ipc::{Name, SpaceId, ThreadId};
use norma_net::{Confirmation, Posted};

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
        send_confirmed(None, self.name, message, Patience::Forever)
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
        send_confirmed(None, self.name, message, Patience::of(timeout))
    }
}

/// Sends to what is under a name of a space, or of the kernel's own.
pub(crate) fn send_confirmed(
    space: Option<SpaceId>,
    name: Name,
    message: Message,
    patience: Patience,
) -> Result<Fate, SendError> {
    let thread = thread::current();
    let mut engine = node::lock();
    let to = (space.unwrap_or(engine.space), name);
    match begin(&mut engine, thread, to, message.unwrap(), patience) {
        Ok(false) => Ok(Fate::Delivered),
        Ok(true) => match await_reply(&mut engine, thread, None, patience) {
            Ok(receipt) => {
                engine.core.ipc().discard(receipt);
                Ok(Fate::Delivered)
            }
            Err(failure) => Ok(fate(failure)),
        },
        Err((failure, mut message)) => {
            engine.core.unconfirmed(&mut message);
            drop(engine);
            Err(SendError {
                failure,
                message: Message::wrap(message),
            })
        }
    }
}

/// Sends the message, waiting for room; tells whether word of its fate is to come.
fn begin(
    engine: &mut EngineGuard,
    thread: ThreadId,
    (space, name): (SpaceId, Name),
    message: norma_ipc::Message<Frame>,
    patience: Patience,
) -> Result<bool, (Failure, norma_ipc::Message<Frame>)> {
    let now = node::now();
    let sent = engine
        .core
        .send_confirmed(now, space, name, message, thread);
    let (posted, asked) = match sent {
        Ok(Confirmation::Here(posted)) => (posted, false),
        Ok(Confirmation::Asked(posted)) => (posted, true),
        Err(error) => {
            return Err((Failure::from_send(engine, error.failure), error.message));
        }
    };
    match posted {
        Posted::Handed(to) => thread::wake_uninterrupted(to),
        Posted::Waiting => await_room(engine, thread, patience)?,
        Posted::Queued | Posted::Carried => {}
    }
    engine.act(now);
    Ok(asked)
}

fn fate(failure: Failure) -> Fate {
    match failure {
        Failure::NodeDied { .. } | Failure::Unanswered | Failure::TimedOut | Failure::Cancelled => {
            Fate::Unknown(failure)
        }
        _ => Fate::NotDelivered(failure),
    }
}
