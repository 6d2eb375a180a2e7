//! Sending without waiting for an answer.

use crate::face::error::{Failure, SendError};
use crate::face::{Message, SendOnceRight, SendRight};
use crate::memory::Frame;
use crate::node::{self, Engine, EngineGuard};
use crate::thread::{self, Wake};
use core::mem::ManuallyDrop;
use core::time::Duration;
use norma_ipc::{Cancelled, Completion, Name, ThreadId};
use norma_net::Posted;

/// How long an operation may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    None,
    Until(u64),
    Forever,
}

impl Patience {
    pub(crate) fn of(timeout: Duration) -> Self {
        let nanoseconds = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        Patience::Until(crate::timer::now().saturating_add(nanoseconds))
    }

    /// Blocks until woken; `false` when the time is up.
    #[inline]
    pub(crate) fn block(self) -> bool {
        match self {
            Patience::Forever => {
                thread::block();
                true
            }
            Patience::Until(deadline) => thread::block_until(deadline) == Wake::Woken,
            Patience::None => false,
        }
    }

    /// As [`Patience::block`], and `to` runs at once.
    #[inline]
    pub(crate) fn hand_off(self, to: ThreadId) -> bool {
        match self {
            Patience::Forever => {
                thread::hand_off(to);
                true
            }
            Patience::Until(deadline) => thread::hand_off_until(to, deadline) == Wake::Woken,
            Patience::None => false,
        }
    }
}

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
        if sent.is_err() {
            drop(ManuallyDrop::into_inner(right));
        }
        sent
    }
}

/// What a message that is being sent waits for.
pub(crate) enum Sending {
    Done,
    /// It was handed to that thread.
    Handed(ThreadId),
}

fn send(name: Name, message: Message, patience: Patience) -> Result<(), SendError> {
    let thread = thread::current();
    match post(node::lock(), thread, name, message.unwrap(), patience)? {
        (_, Sending::Done) => Ok(()),
        (guard, Sending::Handed(to)) => {
            thread::wake(to);
            drop(guard);
            Ok(())
        }
    }
}

/// Sends a message, waiting as long as `patience` lasts; the consequences are carried out.
#[inline]
pub(crate) fn post(
    mut engine: EngineGuard,
    thread: ThreadId,
    name: Name,
    message: norma_ipc::Message<Frame>,
    patience: Patience,
) -> Result<(EngineGuard, Sending), SendError> {
    let now = node::now();
    let space = engine.space;
    let wait = (patience != Patience::None).then_some(thread);
    match engine.core.send(now, space, name, message, wait) {
        Ok(Posted::Handed(to)) => Ok((engine, Sending::Handed(to))),
        Ok(Posted::Carried) => {
            engine.act(now);
            Ok((engine, Sending::Done))
        }
        Ok(Posted::Queued) => Ok((engine, Sending::Done)),
        Ok(Posted::Waiting) => {
            drop(engine);
            await_room(thread, patience).map(|engine| (engine, Sending::Done))
        }
        Err(error) => {
            drop(engine);
            Err(refused(error))
        }
    }
}

#[cold]
pub(crate) fn refused(error: norma_ipc::SendError<Frame>) -> SendError {
    SendError {
        failure: Failure::from_send(error.failure),
        message: Message::wrap(error.message),
    }
}

/// Waits until the message that waits for room has gone, or cannot go.
fn await_room(thread: ThreadId, patience: Patience) -> Result<EngineGuard, SendError> {
    loop {
        let in_time = patience.block();
        let mut engine = node::lock();
        match engine.core.ipc().take_completion(thread) {
            Some(Completion::Sent) => return Ok(engine),
            Some(Completion::Refused(reason, message)) => {
                drop(engine);
                let failure = Failure::from_reason(reason);
                return Err(SendError {
                    failure,
                    message: Message::wrap(message),
                });
            }
            Some(other) => unreachable!("a sender was told {other:?}"),
            None if in_time => {}
            None => {
                if let Cancelled::Message(message) = engine.core.ipc().cancel(thread) {
                    drop(engine);
                    let message = Message::wrap(message);
                    return Err(SendError {
                        failure: Failure::TimedOut,
                        message,
                    });
                }
            }
        }
    }
}

/// Sends `message` to the reply right that it carries.
pub(crate) fn reply(message: Message) -> Result<(), SendError> {
    let mut engine = node::lock();
    match answer(&mut engine, message) {
        Ok(Some(to)) => {
            thread::wake(to);
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(error) => {
            drop(engine);
            Err(refused(error))
        }
    }
}

/// As [`reply`], under the lock; the thread that has the reply is the caller's to wake.
#[inline]
pub(crate) fn answer(
    engine: &mut Engine,
    message: Message,
) -> Result<Option<ThreadId>, norma_ipc::SendError<Frame>> {
    let now = node::now();
    match engine.core.reply(now, message.unwrap())? {
        Posted::Handed(to) => Ok(Some(to)),
        _ => {
            engine.act(now);
            Ok(None)
        }
    }
}
