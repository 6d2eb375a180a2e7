//! Sending, and receiving from a port of one's own, as one operation.
//!
//! A call whose reply comes to the thread's own port is in `call.rs`. This is for who wants the
//! reply where other things arrive too, or where another thread can take it.

use crate::face::error::{CallError, Failure};
use crate::face::receive::take;
use crate::face::send::{To, post};
use crate::face::{Delivery, Message, ReceiveRight, SendRight};
use crate::node::{self, EngineGuard, Patience};
use crate::thread;
use core::time::Duration;
use norma_ipc::RightKind;

impl SendRight {
    /// Sends a message with a right to reply to `port`, and waits for what comes there first: the
    /// reply, news that there will be none
    /// ([`SendOnce`](crate::face::Notification::SendOnce)), or something else.
    ///
    /// # Errors
    /// [`CallError`]; with the message, if it was not sent. It must have no right to reply yet
    /// ([`Failure::InvalidRight`]).
    pub fn exchange(&self, message: Message, port: &ReceiveRight) -> Result<Delivery, CallError> {
        exchange(self, message, port, Patience::Forever)
    }

    /// As [`SendRight::exchange`], until `timeout` has passed: a reply may still come to `port`
    /// when the message was sent.
    ///
    /// # Errors
    /// As [`SendRight::exchange`], and [`Failure::TimedOut`].
    pub fn exchange_timeout(
        &self,
        message: Message,
        port: &ReceiveRight,
        timeout: Duration,
    ) -> Result<Delivery, CallError> {
        exchange(self, message, port, Patience::of(timeout))
    }
}

fn exchange(
    service: &SendRight,
    mut message: Message,
    port: &ReceiveRight,
    patience: Patience,
) -> Result<Delivery, CallError> {
    let mut engine = node::lock();
    if let Err(failure) = attach(&mut engine, &mut message, port) {
        drop(engine);
        return Err(CallError {
            failure,
            message: Some(message),
        });
    }
    let thread = thread::current();
    let space = engine.space;
    let priority = thread::priority();
    let mut message = message.unwrap();
    message.set_urgency(priority);
    let sent = post(
        &mut engine,
        thread,
        To::Name(service.name),
        message,
        priority,
        patience,
    );
    let received: Result<_, Failure> = match sent {
        Ok(to) => take(&mut engine, space, port.name, to, patience),
        Err((failure, mut message)) => {
            if let Some(right) = message.take_reply() {
                engine.core.ipc().retract(right);
            }
            message.set_expects_reply(false);
            drop(engine);
            return Err(CallError {
                failure,
                message: Some(Message::wrap(message)),
            });
        }
    };
    received.map_err(|failure| CallError {
        failure,
        message: None,
    })
}

/// Puts a send-once right to `port` in, to which the reply goes.
fn attach(
    engine: &mut EngineGuard,
    message: &mut Message,
    port: &ReceiveRight,
) -> Result<(), Failure> {
    let message = message.core();
    if message.reply().is_some() {
        return Err(Failure::InvalidRight);
    }
    let space = engine.space;
    let made = engine
        .core
        .ipc()
        .make_right(space, port.name, RightKind::SendOnce);
    let right = made.map_err(|error| Failure::from_right(engine, error))?;
    match message.set_reply(right) {
        Ok(()) => {
            message.set_expects_reply(true);
            Ok(())
        }
        Err(right) => {
            engine.core.ipc().retract(right);
            Err(Failure::InvalidRight)
        }
    }
}
