//! Receiving, alone or joined with the answer to what was received before.

use crate::face::error::Failure;
use crate::face::send::answer;
use crate::face::{Message, ReceiveRight};
use crate::memory::Frame;
use crate::node::{self, EngineGuard, Patience};
use crate::thread;
use core::time::Duration;
use norma_ipc::{Cancelled, Completion, Delivery, Name, Right, ThreadId};

impl ReceiveRight {
    /// Waits for a message.
    ///
    /// # Errors
    /// [`Failure::PortDied`] if the port is destroyed meanwhile.
    #[inline]
    pub fn receive(&self) -> Result<Message, Failure> {
        receive(&mut node::lock(), self.name, None, Patience::Forever)
    }

    /// Waits for a message until `timeout` has passed.
    ///
    /// # Errors
    /// [`Failure::TimedOut`], [`Failure::PortDied`].
    pub fn receive_timeout(&self, timeout: Duration) -> Result<Message, Failure> {
        receive(&mut node::lock(), self.name, None, Patience::of(timeout))
    }

    /// Takes a message if there is one.
    ///
    /// # Errors
    /// [`Failure::Empty`], [`Failure::PortDied`].
    pub fn try_receive(&self) -> Result<Message, Failure> {
        receive(&mut node::lock(), self.name, None, Patience::None)
    }

    /// Sends `reply` to whoever sent it as a request, and waits for the next message: what a
    /// server does all day, as one operation. A reply that cannot be sent (its caller is gone, or
    /// there is no memory to carry it) is dropped, and a caller that is still there learns so.
    ///
    /// # Errors
    /// As [`ReceiveRight::receive`].
    #[inline]
    pub fn reply_and_receive(&self, reply: Message) -> Result<Message, Failure> {
        let reply = reply.unwrap();
        match reply.reply().and_then(Right::port) {
            Some(_) => answer_here(self.name, reply),
            None => answer_otherwise(node::lock_in_thread(), self.name, reply),
        }
    }
}

/// A caller of this node that waits gets the answer and the processor at once; all else goes the
/// long way.
#[inline(never)]
fn answer_here(name: Name, reply: norma_ipc::Message<Frame>) -> Result<Message, Failure> {
    let mut engine = node::lock_in_thread();
    let thread = thread::current();
    let space = engine.space;
    let ipc = engine.core.ipc();
    match ipc.answer_at_once(thread, space, name, reply) {
        Ok(to) => {
            thread::lend(thread, 0);
            engine.hand_off(thread, to);
            match engine.core.ipc().take_handed(thread) {
                Some(message) => Ok(Message::wrap(message)),
                None => complete(&mut engine, thread, Patience::Forever),
            }
        }
        Err(reply) => answer_otherwise(engine, name, reply),
    }
}

/// Nobody waits for the answer, or nobody of this node, or a message waits already.
#[inline(never)]
fn answer_otherwise(
    mut engine: EngineGuard,
    name: Name,
    reply: norma_ipc::Message<Frame>,
) -> Result<Message, Failure> {
    let to = match answer(&mut engine, reply) {
        Ok(to) => to,
        Err(error) => {
            engine.core.ipc().discard(error.message);
            None
        }
    };
    receive(&mut engine, name, to, Patience::Forever)
}

/// Takes a message or waits for one; `to` was handed something and runs at once.
#[inline]
fn receive(
    engine: &mut EngineGuard,
    name: Name,
    to: Option<ThreadId>,
    patience: Patience,
) -> Result<Message, Failure> {
    let thread = thread::current();
    let space = engine.space;
    let found = if patience == Patience::None {
        match engine.core.ipc().receive(space, name) {
            Ok(delivery) => Ok(Some(delivery)),
            // Without a limit nothing is too large.
            Err(norma_ipc::ReceiveError::Empty | norma_ipc::ReceiveError::TooLarge(_)) => {
                return Err(Failure::Empty);
            }
            Err(norma_ipc::ReceiveError::Right(error)) => Err(error),
        }
    } else {
        engine.core.ipc().receive_or_wait(thread, space, name)
    };
    match found {
        Ok(None) => wait(engine, thread, to, patience),
        Ok(Some(delivery)) => {
            thread::borrow(urgency(&delivery));
            // There is room in the queue now: whoever waited for it goes on.
            engine.act(node::now());
            if let Some(to) = to {
                thread::wake_uninterrupted(to);
            }
            read(delivery)
        }
        Err(error) => Err(Failure::from_right(engine, error)),
    }
}

/// Waits for a message; `to` runs at once.
#[inline(always)]
fn wait(
    engine: &mut EngineGuard,
    thread: ThreadId,
    to: Option<ThreadId>,
    patience: Patience,
) -> Result<Message, Failure> {
    // What was lent with the last call ends; whoever hands the next one over lends anew.
    thread::lend(thread, 0);
    engine.wait(to, patience);
    match engine.core.ipc().take_handed(thread) {
        Some(message) => Ok(Message::wrap(message)),
        None => complete(engine, thread, patience),
    }
}

/// Reads how the wait for a message ended, and waits on if it has not.
fn complete(
    engine: &mut EngineGuard,
    thread: ThreadId,
    patience: Patience,
) -> Result<Message, Failure> {
    loop {
        match engine.core.ipc().take_completion(thread) {
            Some(Completion::Received(delivery)) => return read(delivery),
            Some(Completion::ReceiverDied(reason)) => {
                return Err(Failure::from_reason(engine, reason));
            }
            Some(other) => unreachable!("a receiver was told {other:?}"),
            None => {
                if let Some(failure) = Failure::from_wake(thread::woken_by()) {
                    return match engine.core.ipc().cancel(thread) {
                        Cancelled::Completed(Completion::Received(delivery)) => read(delivery),
                        _ => Err(failure),
                    };
                }
                engine.wait(None, patience);
            }
        }
    }
}

fn urgency(delivery: &Delivery<Frame>) -> u8 {
    match delivery {
        Delivery::Message(message) => message.urgency(),
        Delivery::Notification(_) => 0,
    }
}

#[inline(always)]
fn read(delivery: Delivery<Frame>) -> Result<Message, Failure> {
    match delivery {
        Delivery::Message(message) => Ok(Message::wrap(message)),
        // News of a send-once right made with `make_send_once`: there was an answer to wait
        // for, and it will not come.
        Delivery::Notification(_) => Err(Failure::Unanswered),
    }
}
