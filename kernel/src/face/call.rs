//! Calling: a message out and its reply back, as one operation.
//!
//! To a thread of this node that waits for it, a call is a switch to that thread; to another
//! node, it is one frame, and the caller waits in its own context for the interrupt that brings
//! the reply.

use crate::face::error::{CallError, Failure};
use crate::face::send::{Patience, Sending, post};
use crate::face::{Message, SendRight};
use crate::node::{self, EngineGuard};
use crate::thread;
use core::time::Duration;
use norma_ipc::{Cancelled, Completion, Delivery, Name, Notification, ThreadId};

impl SendRight {
    /// Sends a message and waits for the reply to it.
    ///
    /// # Errors
    /// [`CallError`]; with the message, if it was not sent.
    #[inline]
    pub fn call(&self, message: Message) -> Result<Message, CallError> {
        call(self.name, message, Patience::Forever)
    }

    /// As [`SendRight::call`], until `timeout` has passed. A reply that comes later is dropped.
    ///
    /// # Errors
    /// [`CallError`]; with the message, if it was not sent.
    pub fn call_timeout(&self, message: Message, timeout: Duration) -> Result<Message, CallError> {
        call(self.name, message, Patience::of(timeout))
    }
}

fn call(name: Name, message: Message, patience: Patience) -> Result<Message, CallError> {
    let thread = thread::current();
    let mut engine = node::lock();
    let mut message = message.unwrap();
    if let Err(error) = engine.core.ipc().attach_reply(thread, &mut message) {
        drop(engine);
        let message = Some(Message::wrap(message));
        return Err(CallError {
            failure: Failure::from_right(error),
            message,
        });
    }
    let (engine, sending) = match post(engine, thread, name, message, patience) {
        Ok(posted) => posted,
        Err(error) => {
            let mut message = error.message.unwrap();
            node::lock().core.ipc().detach_reply(&mut message);
            let message = Some(Message::wrap(message));
            return Err(CallError {
                failure: error.failure,
                message,
            });
        }
    };
    let to = match sending {
        Sending::Handed(to) => Some(to),
        Sending::Done => None,
    };
    await_reply(engine, thread, to, patience).map_err(|failure| CallError {
        failure,
        message: None,
    })
}

/// Waits for what comes to the thread's reply port; `to` runs at once.
pub(crate) fn await_reply(
    mut engine: EngineGuard,
    thread: ThreadId,
    to: Option<ThreadId>,
    patience: Patience,
) -> Result<Message, Failure> {
    match engine.core.ipc().await_reply(thread) {
        Ok(None) => {}
        Ok(Some(delivery)) => {
            if let Some(to) = to {
                thread::wake(to);
            }
            drop(engine);
            return read(delivery);
        }
        Err(error) => {
            drop(engine);
            return Err(Failure::from_right(error));
        }
    }
    drop(engine);
    let mut in_time = match to {
        Some(to) => patience.hand_off(to),
        None => patience.block(),
    };
    loop {
        let mut engine = node::lock();
        match engine.core.ipc().take_completion(thread) {
            Some(Completion::Received(delivery)) => {
                drop(engine);
                return read(delivery);
            }
            Some(Completion::ReceiverDied(reason)) => {
                drop(engine);
                return Err(Failure::from_reason(reason));
            }
            Some(other) => unreachable!("a caller was told {other:?}"),
            None if in_time => {}
            None => {
                if let Some(message) = give_up(&mut engine, thread) {
                    return Ok(message);
                }
                return Err(Failure::TimedOut);
            }
        }
        drop(engine);
        in_time = patience.block();
    }
}

/// The time is up: from now on a reply finds nobody. Unless it has just come.
#[cold]
fn give_up(engine: &mut EngineGuard, thread: ThreadId) -> Option<Message> {
    let cancelled = engine.core.ipc().cancel(thread);
    engine.core.ipc().renew_reply_port(thread);
    let now = node::now();
    engine.act(now);
    match cancelled {
        Cancelled::Completed(Completion::Received(Delivery::Message(message))) => {
            Some(Message::wrap(message))
        }
        _ => None,
    }
}

fn read(delivery: Delivery<crate::memory::Frame>) -> Result<Message, Failure> {
    match delivery {
        Delivery::Message(message) => Ok(Message::wrap(message)),
        Delivery::Notification(Notification::SendOnce(reason)) => Err(Failure::from_reason(reason)),
    }
}
