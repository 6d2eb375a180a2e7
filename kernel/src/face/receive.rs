//! Receiving from a port or a set, alone or joined with the answer to what was received before.

use crate::face::error::{Failure, ReceiveError};
use crate::face::send::answer;
use crate::face::{Delivery, Message, Notification, PortSet, ReceiveRight};
use crate::memory::Frame;
use crate::node::{self, Engine, EngineGuard, Patience};
use crate::{thread, trace};
use core::time::Duration;
use norma_ipc::{Cancelled, Completion, Name, Right, SpaceId, ThreadId};

/// What a receive ends with. A type of its own for each form, so that a message goes into the
/// caller's hands at once and never through a larger value.
pub(crate) trait Received: Sized {
    fn message(message: norma_ipc::Message<Frame>) -> Self;

    fn delivered(engine: &Engine, delivery: norma_ipc::Delivery<Frame>) -> Self;

    fn failed(failure: Failure) -> Self;
}

impl Received for Result<Message, ReceiveError> {
    #[inline(always)]
    fn message(message: norma_ipc::Message<Frame>) -> Self {
        Ok(Message::wrap(message))
    }

    #[inline(always)]
    fn delivered(engine: &Engine, delivery: norma_ipc::Delivery<Frame>) -> Self {
        match delivery {
            norma_ipc::Delivery::Message(message) => Self::message(message),
            norma_ipc::Delivery::Notification(notification) => Err(ReceiveError::Notification(
                Notification::from_core(engine, notification),
            )),
        }
    }

    #[inline(always)]
    fn failed(failure: Failure) -> Self {
        Err(ReceiveError::Failure(failure))
    }
}

impl Received for Result<Delivery, Failure> {
    #[inline(always)]
    fn message(message: norma_ipc::Message<Frame>) -> Self {
        Ok(Delivery::Message(Message::wrap(message)))
    }

    #[inline(always)]
    fn delivered(engine: &Engine, delivery: norma_ipc::Delivery<Frame>) -> Self {
        match delivery {
            norma_ipc::Delivery::Message(message) => Self::message(message),
            norma_ipc::Delivery::Notification(notification) => Ok(Delivery::Notification(
                Notification::from_core(engine, notification),
            )),
        }
    }

    #[inline(always)]
    fn failed(failure: Failure) -> Self {
        Err(failure)
    }
}

/// What can be done with whatever is received from.
macro_rules! receiving {
    ($type:ident) => {
        impl $type {
            /// Waits for a message.
            ///
            /// # Errors
            /// [`Failure::PortDied`] if what is waited at is destroyed meanwhile,
            /// [`Failure::Moved`] if its receive right goes elsewhere; a notification that came
            /// in place of a message is in the error.
            pub fn receive(&self) -> Result<Message, ReceiveError> {
                receive(self.name, Patience::Forever)
            }

            /// Waits for a message until `timeout` has passed.
            ///
            /// # Errors
            /// [`Failure::TimedOut`], and as without a time.
            pub fn receive_timeout(&self, timeout: Duration) -> Result<Message, ReceiveError> {
                receive(self.name, Patience::of(timeout))
            }

            /// Takes a message if there is one.
            ///
            /// # Errors
            /// [`Failure::Empty`], and as when waiting.
            pub fn try_receive(&self) -> Result<Message, ReceiveError> {
                receive(self.name, Patience::None)
            }

            /// Waits for a message of at most `limit` bytes of inline data.
            ///
            /// # Errors
            /// As without a limit, and [`Failure::TooLarge`]: the message stays in the queue, the
            /// first there.
            pub fn receive_within(&self, limit: usize) -> Result<Message, ReceiveError> {
                let mut engine = node::lock();
                let space = engine.space;
                take_within(&mut engine, space, self.name, limit, Patience::Forever)
            }

            /// Sends `reply` to whoever sent it as a request, and waits for the next message: what
            /// a server does all day, as one operation. A reply that cannot be sent (its caller is
            /// gone, or there is no memory to carry it) is dropped, and a caller that is still
            /// there learns so.
            ///
            /// # Errors
            /// As without a reply.
            pub fn reply_and_receive(&self, reply: Message) -> Result<Message, ReceiveError> {
                answer_and_receive(self.name, reply)
            }

            /// Waits for a message or a notification.
            ///
            /// # Errors
            /// [`Failure::PortDied`], [`Failure::Moved`].
            pub fn receive_any(&self) -> Result<Delivery, Failure> {
                receive(self.name, Patience::Forever)
            }

            /// The same until `timeout` has passed.
            ///
            /// # Errors
            /// [`Failure::TimedOut`], and as without a time.
            pub fn receive_any_timeout(&self, timeout: Duration) -> Result<Delivery, Failure> {
                receive(self.name, Patience::of(timeout))
            }

            /// Takes a message or a notification if there is one.
            ///
            /// # Errors
            /// [`Failure::Empty`], and as when waiting.
            pub fn try_receive_any(&self) -> Result<Delivery, Failure> {
                receive(self.name, Patience::None)
            }

            /// As [`Self::reply_and_receive`], for notifications too.
            ///
            /// # Errors
            /// As without a reply.
            pub fn reply_and_receive_any(&self, reply: Message) -> Result<Delivery, Failure> {
                answer_and_receive(self.name, reply)
            }
        }
    };
}

receiving!(ReceiveRight);
receiving!(PortSet);

#[inline(always)]
fn receive<R: Received>(name: Name, patience: Patience) -> R {
    let mut engine = node::lock();
    let space = engine.space;
    take(&mut engine, space, name, None, patience)
}

#[inline(always)]
fn answer_and_receive<R: Received>(name: Name, reply: Message) -> R {
    let reply = reply.unwrap();
    match reply.reply().and_then(Right::port) {
        Some(_) => answer_here(name, reply),
        None => answer_otherwise(node::lock_in_thread(), name, reply),
    }
}

/// A caller of this node that waits gets the answer and the processor at once; all else goes the
/// long way.
#[inline(never)]
fn answer_here<R: Received>(name: Name, reply: norma_ipc::Message<Frame>) -> R {
    let mut engine = node::lock_in_thread();
    let thread = thread::current();
    let space = engine.space;
    let ipc = engine.core.ipc();
    match ipc.answer_at_once(thread, space, name, reply) {
        Ok(to) => {
            thread::lend(thread, 0);
            engine.hand_off(thread, to);
            match engine.core.ipc().take_handed(thread) {
                Some(message) => R::message(message),
                None => complete(&mut engine, thread, Patience::Forever),
            }
        }
        Err(reply) => answer_otherwise(engine, name, reply),
    }
}

/// Nobody waits for the answer, or nobody of this node, or a message waits already.
#[inline(never)]
fn answer_otherwise<R: Received>(
    mut engine: EngineGuard,
    name: Name,
    reply: norma_ipc::Message<Frame>,
) -> R {
    let to = match answer(&mut engine, reply) {
        Ok(to) => to,
        Err(error) => {
            engine.core.ipc().discard(error.message);
            None
        }
    };
    let space = engine.space;
    take(&mut engine, space, name, to, Patience::Forever)
}

/// Takes what is first there or waits for something; `to` was handed something and runs at once.
#[inline]
pub(crate) fn take<R: Received>(
    engine: &mut EngineGuard,
    space: SpaceId,
    name: Name,
    to: Option<ThreadId>,
    patience: Patience,
) -> R {
    let thread = thread::current();
    let found = if patience == Patience::None {
        match engine.core.ipc().receive(space, name) {
            Ok(delivery) => Ok(Some(delivery)),
            Err(error) => return R::failed(refused(engine, error)),
        }
    } else {
        engine.core.ipc().receive_or_wait(thread, space, name)
    };
    match found {
        Ok(None) => wait(engine, thread, to, patience),
        Ok(Some(delivery)) => {
            trace::taken(&delivery);
            thread::borrow(urgency(&delivery));
            taken(engine, to);
            R::delivered(engine, delivery)
        }
        Err(error) => R::failed(Failure::from_right(engine, error)),
    }
}

/// The same for messages of at most so many bytes of inline data.
pub(crate) fn take_within<R: Received>(
    engine: &mut EngineGuard,
    space: SpaceId,
    name: Name,
    limit: usize,
    patience: Patience,
) -> R {
    let thread = thread::current();
    let ipc = engine.core.ipc();
    let found = if patience == Patience::None {
        ipc.receive_within(space, name, limit).map(Some)
    } else {
        ipc.receive_within_or_wait(thread, space, name, limit)
    };
    match found {
        Ok(None) => wait(engine, thread, None, patience),
        Ok(Some(delivery)) => {
            trace::taken(&delivery);
            thread::borrow(urgency(&delivery));
            taken(engine, None);
            R::delivered(engine, delivery)
        }
        Err(error) => R::failed(refused(engine, error)),
    }
}

#[inline(always)]
fn taken(engine: &mut EngineGuard, to: Option<ThreadId>) {
    // There is room in the queue now: whoever waited for it goes on.
    engine.act(node::now());
    if let Some(to) = to {
        thread::wake_uninterrupted(to);
    }
}

#[cold]
fn refused(engine: &EngineGuard, error: norma_ipc::ReceiveError) -> Failure {
    match error {
        norma_ipc::ReceiveError::Empty => Failure::Empty,
        norma_ipc::ReceiveError::TooLarge(bytes) => Failure::TooLarge { bytes },
        norma_ipc::ReceiveError::Right(error) => Failure::from_right(engine, error),
    }
}

/// Waits for a message; `to` runs at once.
#[inline(always)]
fn wait<R: Received>(
    engine: &mut EngineGuard,
    thread: ThreadId,
    to: Option<ThreadId>,
    patience: Patience,
) -> R {
    // What was lent with the last call ends; whoever hands the next one over lends anew.
    thread::lend(thread, 0);
    engine.wait(to, patience);
    match engine.core.ipc().take_handed(thread) {
        Some(message) => R::message(message),
        None => complete(engine, thread, patience),
    }
}

/// Reads how the wait for a message ended, and waits on if it has not.
pub(crate) fn complete<R: Received>(
    engine: &mut EngineGuard,
    thread: ThreadId,
    patience: Patience,
) -> R {
    loop {
        match engine.core.ipc().take_completion(thread) {
            Some(Completion::Received(delivery)) => {
                trace::taken(&delivery);
                return R::delivered(engine, delivery);
            }
            Some(other) => return R::failed(ended(engine, other)),
            None => {
                if let Some(failure) = Failure::from_wake(thread::woken_by()) {
                    return match engine.core.ipc().cancel(thread) {
                        Cancelled::Completed(Completion::Received(delivery)) => {
                            R::delivered(engine, delivery)
                        }
                        Cancelled::Completed(other) => R::failed(ended(engine, other)),
                        _ => R::failed(failure),
                    };
                }
                engine.wait(None, patience);
            }
        }
    }
}

fn urgency(delivery: &norma_ipc::Delivery<Frame>) -> u8 {
    match delivery {
        norma_ipc::Delivery::Message(message) => message.urgency(),
        norma_ipc::Delivery::Notification(_) => 0,
    }
}

/// Why a wait ended with nothing.
#[cold]
fn ended(engine: &EngineGuard, completion: Completion<Frame>) -> Failure {
    match completion {
        Completion::ReceiverDied(reason) => Failure::from_reason(engine, reason),
        Completion::TooLarge(bytes) => Failure::TooLarge { bytes },
        other => unreachable!("a receiver was told {other:?}"),
    }
}
