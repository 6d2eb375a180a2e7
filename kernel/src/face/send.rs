//! Sending without waiting for an answer.

use crate::face::error::{Failure, SendError};
use crate::face::{Message, SendOnceRight, SendRight};
use crate::memory::Frame;
use crate::node::{self, Engine, EngineGuard, Patience};
use crate::thread::{self, rights as held};
use core::mem::ManuallyDrop;
use core::time::Duration;
use norma_ipc::{Cancelled, Completion, Name, PortId, ThreadId};
use norma_net::Posted;

/// Where a message goes: to a port that was looked up already, or to what a name denotes.
#[derive(Clone, Copy)]
pub(crate) enum To {
    Port(PortId),
    Name(Name),
}

/// A message of the core that was not sent, and why.
pub(crate) type Refused = (Failure, norma_ipc::Message<Frame>);

impl SendRight {
    /// Sends a message; waits while the port's queue is full.
    ///
    /// # Errors
    /// The message comes back whole when the port is dead.
    pub fn send(&self, message: Message) -> Result<(), SendError> {
        send(self.name, message, Patience::Forever)
    }

    /// Sends a message, and waits for room until `timeout` has passed.
    ///
    /// # Errors
    /// The message comes back whole when there was no room in time, or the port is dead.
    pub fn send_timeout(&self, message: Message, timeout: Duration) -> Result<(), SendError> {
        send(self.name, message, Patience::of(timeout))
    }

    /// Sends a message if there is room for it now.
    ///
    /// # Errors
    /// The message comes back whole when the queue is full or the port is dead.
    pub fn try_send(&self, message: Message) -> Result<(), SendError> {
        send(self.name, message, Patience::None)
    }
}

impl SendOnceRight {
    /// Sends the one message for which the right is good.
    ///
    /// # Errors
    /// The message comes back whole when the port is dead; the right is gone all the same.
    pub fn send(self, message: Message) -> Result<(), SendError> {
        let right = ManuallyDrop::new(self);
        let sent = send(right.name, message, Patience::None);
        match sent {
            Ok(()) => held::given_up(),
            Err(_) => drop(ManuallyDrop::into_inner(right)),
        }
        sent
    }
}

fn send(name: Name, message: Message, patience: Patience) -> Result<(), SendError> {
    let thread = thread::current();
    let mut engine = node::lock();
    let message = message.unwrap();
    let urgency = message.urgency();
    if message.expects_reply() {
        // A call that is passed on: with it goes what the caller lent.
        thread::borrow(0);
    }
    let to = To::Name(name);
    match post(&mut engine, thread, to, message, urgency, patience) {
        Ok(to) => {
            if let Some(to) = to {
                thread::wake_uninterrupted(to);
            }
            Ok(())
        }
        Err((failure, message)) => {
            drop(engine);
            Err(SendError {
                failure,
                message: Message::wrap(message),
            })
        }
    }
}

/// Sends a message, waiting as long as `patience` lasts; the consequences are carried out. If
/// the message was handed to a waiting thread, that thread has `priority` lent to it, and is the
/// caller's to wake.
#[inline(always)]
pub(crate) fn post(
    engine: &mut EngineGuard,
    thread: ThreadId,
    to: To,
    message: norma_ipc::Message<Frame>,
    priority: u8,
    patience: Patience,
) -> Result<Option<ThreadId>, Refused> {
    let now = node::now();
    let space = engine.space;
    let wait = (patience != Patience::None).then_some(thread);
    let sent = match to {
        To::Port(port) => engine.core.post(now, port, message, wait),
        To::Name(name) => engine.core.send(now, space, name, message, wait),
    };
    // Looked at first: it is the way to another node.
    if let Ok(Posted::Carried) = sent {
        engine.act(now);
        return Ok(None);
    }
    match sent {
        Ok(Posted::Handed(to)) => {
            thread::lend(to, priority);
            Ok(Some(to))
        }
        Ok(Posted::Carried) => Ok(None),
        Ok(Posted::Queued) => {
            engine.wake_apart();
            Ok(None)
        }
        Ok(Posted::Waiting) => await_room(engine, thread, patience).map(|()| None),
        Err(error) => Err((Failure::from_send(engine, error.failure), error.message)),
    }
}

/// Waits until the message that waits for room has gone, or cannot go.
pub(crate) fn await_room(
    engine: &mut EngineGuard,
    thread: ThreadId,
    patience: Patience,
) -> Result<(), Refused> {
    loop {
        engine.wait(None, patience);
        match engine.core.ipc().take_completion(thread) {
            Some(Completion::Sent) => return Ok(()),
            Some(Completion::Refused(reason, message)) => {
                return Err((Failure::from_reason(engine, reason), message));
            }
            Some(other) => unreachable!("a sender was told {other:?}"),
            None => {
                if let Some(failure) = Failure::from_wake(thread::woken_by())
                    && let Cancelled::Message(message) = engine.core.ipc().cancel(thread)
                {
                    return Err((failure, message));
                }
            }
        }
    }
}

/// Sends `message` to the reply right that it carries.
pub(crate) fn reply(message: Message) -> Result<(), SendError> {
    let mut engine = node::lock();
    thread::borrow(0);
    match answer(&mut engine, message.unwrap()) {
        Ok(to) => {
            if let Some(to) = to {
                thread::wake_uninterrupted(to);
            }
            Ok(())
        }
        Err(error) => {
            let failure = Failure::from_send(&engine, error.failure);
            drop(engine);
            Err(SendError {
                failure,
                message: Message::wrap(error.message),
            })
        }
    }
}

/// As [`reply`], under the lock; the thread that has the reply is the caller's to wake.
#[inline(always)]
pub(crate) fn answer(
    engine: &mut Engine,
    message: norma_ipc::Message<Frame>,
) -> Result<Option<ThreadId>, norma_ipc::SendError<Frame>> {
    let now = node::now();
    match engine.core.reply(now, message)? {
        Posted::Handed(to) => Ok(Some(to)),
        _ => {
            engine.act(now);
            Ok(None)
        }
    }
}
