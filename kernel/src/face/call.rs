//! Calling: a message out and its reply back, as one operation.
//!
//! To a thread of this node that waits for it, a call is a switch to that thread; to another
//! node, it is one frame, and the caller waits in its own context for the interrupt that brings
//! the reply. The node is locked, and interrupts are off, from the beginning to the end but for
//! the wait.

use crate::face::error::{CallError, Failure};
use crate::face::send::{To, post};
use crate::face::{Message, SendRight};
use crate::memory::Frame;
use crate::node::{self, EngineGuard, Patience};
use crate::{thread, trace};
use core::time::Duration;
use norma_ipc::{Cancelled, Completion, Delivery, Name, Notification, SpaceId, ThreadId};

impl SendRight {
    /// Sends a message and waits for the reply to it.
    ///
    /// # Errors
    /// [`CallError`]; with the message, if it was not sent.
    // Compiled here, once and for speed, however the image is compiled that calls it.
    #[inline(never)]
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

/// A server that waits gets the message, the processor and the caller's priority at once; all
/// else goes the long way.
#[inline(always)]
fn call(name: Name, message: Message, patience: Patience) -> Result<Message, CallError> {
    let mut engine = node::lock_in_thread();
    let thread = thread::current();
    let priority = thread::priority();
    let mut message = message.unwrap();
    message.set_urgency(priority);
    let space = engine.space;
    let ipc = engine.core.ipc();
    let Some(port) = ipc.send_target(space, name) else {
        return call_otherwise(engine, thread, To::Name(name), message, patience);
    };
    match ipc.call_at_once(thread, port, message) {
        Ok(to) => {
            thread::lend(to, priority);
            engine.hand_off_within(thread, to, patience);
            match engine.core.ipc().take_handed(thread) {
                Some(reply) => Ok(Message::wrap(reply)),
                None => go_on(engine, thread, patience),
            }
        }
        Err(message) => call_otherwise(engine, thread, To::Port(port), message, patience),
    }
}

/// The same from another space than the kernel's own, whether interrupts are on or off. Only a
/// send right can be called. The lock is given back with the reply.
#[inline]
pub(crate) fn call_from(
    mut engine: EngineGuard,
    space: SpaceId,
    name: Name,
    mut message: norma_ipc::Message<Frame>,
    patience: Patience,
) -> Result<(EngineGuard, norma_ipc::Message<Frame>), CallError> {
    let thread = thread::current();
    let priority = thread::priority();
    let ipc = engine.core.ipc();
    let Some(port) = ipc.send_target(space, name) else {
        return Err(not_called(engine, space, name, message));
    };
    message.set_urgency(priority);
    match ipc.call_at_once(thread, port, message) {
        Ok(to) => {
            thread::lend(to, priority);
            engine.hand_off_within(thread, to, patience);
            match engine.core.ipc().take_handed(thread) {
                Some(reply) => Ok((engine, reply)),
                None => locked(go_on(engine, thread, patience)),
            }
        }
        Err(message) => locked(call_otherwise(
            engine,
            thread,
            To::Port(port),
            message,
            patience,
        )),
    }
}

/// The same with the lock, which was given up on the way.
#[inline]
fn locked(
    result: Result<Message, CallError>,
) -> Result<(EngineGuard, norma_ipc::Message<Frame>), CallError> {
    let reply = result?;
    Ok((node::lock(), reply.unwrap()))
}

/// What is under the name cannot be called.
#[cold]
fn not_called(
    mut engine: EngineGuard,
    space: SpaceId,
    name: Name,
    message: norma_ipc::Message<Frame>,
) -> CallError {
    let ipc = engine.core.ipc();
    let failure = match ipc.copy_send(space, name) {
        Ok(copy) => {
            ipc.release(copy);
            Failure::InvalidRight
        }
        Err(error) => Failure::from_right(&engine, error),
    };
    CallError {
        failure,
        message: Some(Message::wrap(message)),
    }
}

/// The call is under way, and something else than its reply has come.
#[cold]
fn go_on(
    mut engine: EngineGuard,
    thread: ThreadId,
    patience: Patience,
) -> Result<Message, CallError> {
    match complete(&mut engine, thread, patience) {
        Ok(reply) => Ok(Message::wrap(reply)),
        Err(failure) => Err(CallError {
            failure,
            message: None,
        }),
    }
}

#[inline(never)]
fn call_otherwise(
    mut engine: EngineGuard,
    thread: ThreadId,
    to: To,
    message: norma_ipc::Message<Frame>,
    patience: Patience,
) -> Result<Message, CallError> {
    match exchange(&mut engine, thread, to, message, patience) {
        Ok(reply) => Ok(Message::wrap(reply)),
        Err((failure, message)) => {
            // Unlocked first: a message that is dropped takes the lock itself.
            drop(engine);
            Err(CallError {
                failure,
                message: message.map(Message::wrap),
            })
        }
    }
}

type Failed = (Failure, Option<norma_ipc::Message<Frame>>);

#[inline(always)]
fn exchange(
    engine: &mut EngineGuard,
    thread: ThreadId,
    to: To,
    mut message: norma_ipc::Message<Frame>,
    patience: Patience,
) -> Result<norma_ipc::Message<Frame>, Failed> {
    if let Err(error) = engine.core.ipc().attach_reply(thread, &mut message) {
        return Err((Failure::from_right(engine, error), Some(message)));
    }
    match post(engine, thread, to, message, thread::priority(), patience) {
        Ok(to) => await_reply(engine, thread, to, patience).map_err(|failure| (failure, None)),
        Err((failure, mut message)) => {
            engine.core.ipc().detach_reply(&mut message);
            Err((failure, Some(message)))
        }
    }
}

/// Waits for what comes to the thread's reply port; `to` runs at once.
#[inline(always)]
pub(crate) fn await_reply(
    engine: &mut EngineGuard,
    thread: ThreadId,
    to: Option<ThreadId>,
    patience: Patience,
) -> Result<norma_ipc::Message<Frame>, Failure> {
    match engine.core.ipc().await_reply(thread) {
        Ok(None) => {}
        Ok(Some(delivery)) => {
            if let Some(to) = to {
                thread::wake_uninterrupted(to);
            }
            trace::taken(&delivery);
            return read(engine, delivery);
        }
        Err(error) => return Err(Failure::from_right(engine, error)),
    }
    engine.wait(to, patience);
    match engine.core.ipc().take_handed(thread) {
        Some(reply) => Ok(reply),
        None => complete(engine, thread, patience),
    }
}

/// Reads how the wait for a reply ended, and waits on if it has not.
fn complete(
    engine: &mut EngineGuard,
    thread: ThreadId,
    patience: Patience,
) -> Result<norma_ipc::Message<Frame>, Failure> {
    loop {
        match engine.core.ipc().take_completion(thread) {
            Some(Completion::Received(delivery)) => {
                trace::taken(&delivery);
                return read(engine, delivery);
            }
            Some(Completion::ReceiverDied(reason)) => {
                return Err(Failure::from_reason(engine, reason));
            }
            Some(other) => unreachable!("a caller was told {other:?}"),
            None => {
                if let Some(failure) = Failure::from_wake(thread::woken_by()) {
                    return give_up(engine, thread).ok_or(failure);
                }
                engine.wait(None, patience);
            }
        }
    }
}

/// The wait is over: from now on a reply finds nobody. Unless it has just come.
#[cold]
fn give_up(engine: &mut EngineGuard, thread: ThreadId) -> Option<norma_ipc::Message<Frame>> {
    let cancelled = engine.core.ipc().cancel(thread);
    engine.core.ipc().renew_reply_port(thread);
    engine.act(node::now());
    match cancelled {
        Cancelled::Completed(Completion::Received(Delivery::Message(message))) => Some(message),
        _ => None,
    }
}

#[inline(always)]
fn read(
    engine: &mut EngineGuard,
    delivery: Delivery<Frame>,
) -> Result<norma_ipc::Message<Frame>, Failure> {
    match delivery {
        Delivery::Message(message) => Ok(message),
        Delivery::Notification(Notification::SendOnce(reason)) => {
            Err(Failure::from_reason(engine, reason))
        }
        Delivery::Notification(other) => Err(spent_otherwise(engine, other)),
    }
}

/// The server used the reply right to be told of something: that is no answer.
#[cold]
fn spent_otherwise(engine: &mut EngineGuard, notification: Notification) -> Failure {
    let delivery = Delivery::Notification(notification);
    engine.core.ipc().discard_delivery(delivery);
    Failure::Unanswered
}
