//! Sending and calling.

use crate::failure::{CallError, Failure, SendError};
use crate::memory::Memory;
use crate::message::Message;
use crate::notify::Delivery;
use crate::receive::came;
use crate::rights::{AnyRight, ReceiveRight, SendOnceRight, SendRight};
use crate::system::{self, Refused};
use core::time::Duration;
use norma_abi::{FOREVER, call};
use norma_ipc::Name;

/// Nanoseconds, as calls have them.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl SendRight {
    /// Sends a message; waits while the port's queue is full.
    ///
    /// # Errors
    /// The message comes back whole when the port is dead.
    pub fn send(&self, message: Message) -> Result<(), SendError> {
        send(self.name, message, FOREVER)
    }

    /// Sends a message, and waits for room until `timeout` has passed.
    ///
    /// # Errors
    /// The message comes back whole when there was no room in time, or the port is dead.
    pub fn send_timeout(&self, message: Message, timeout: Duration) -> Result<(), SendError> {
        send(self.name, message, nanoseconds(timeout))
    }

    /// Sends a message if there is room for it now.
    ///
    /// # Errors
    /// The message comes back whole when the queue is full or the port is dead.
    pub fn try_send(&self, message: Message) -> Result<(), SendError> {
        send(self.name, message, 0)
    }

    /// Sends a message, if there is room for it now, as a request that is to be answered to
    /// `port`: of use to who has many requests under way at once.
    ///
    /// # Errors
    /// The message comes back whole when the queue is full or the port is dead.
    pub fn request(&self, mut message: Message, port: &ReceiveRight) -> Result<(), SendError> {
        let arguments = |at| [self.name.raw().into(), at, 0, port.name.raw().into()];
        sent(with(call::SEND, arguments, &mut message), message)
    }

    /// As [`SendRight::request`], or with no port as [`SendRight::try_send`], of a message whose
    /// buffers stay the caller's.
    ///
    /// # Errors
    /// As there; what was in the message is in it still.
    pub fn send_from(
        &self,
        message: &mut Message,
        port: Option<&ReceiveRight>,
    ) -> Result<(), Failure> {
        send_from(
            self.name,
            message,
            0,
            port.map_or(0, |port| port.name.raw()),
        )
    }

    /// As [`SendRight::send`], with a copy of `memory` in place of the message's own, of which no
    /// page is made before somebody writes to it.
    ///
    /// # Errors
    /// As there.
    pub fn send_lending(&self, mut message: Message, memory: &Memory) -> Result<(), SendError> {
        match self.lend(call::SEND, &mut message, memory) {
            Ok(_) => {
                message.gone();
                Ok(())
            }
            Err(refused) => Err(SendError {
                failure: refused.into(),
                message,
            }),
        }
    }

    /// As [`SendRight::call`], with such a copy.
    ///
    /// # Errors
    /// As there.
    pub fn call_lending(
        &self,
        mut message: Message,
        memory: &Memory,
    ) -> Result<Message, CallError> {
        match self.lend(call::CALL, &mut message, memory) {
            Ok(_) => {
                // SAFETY: the kernel took the message, and wrote the header of the reply.
                unsafe { message.came() };
                Ok(message)
            }
            Err(refused) if refused.sent => not_answered(message, refused),
            Err(refused) => Err(CallError {
                failure: refused.into(),
                message: Some(message),
            }),
        }
    }

    fn lend(&self, number: u64, message: &mut Message, memory: &Memory) -> Result<u64, Refused> {
        let at = message.lending(memory) as u64;
        // SAFETY: the header says what the message has, and what is lent stays.
        let result = unsafe { system::call(number, [self.name.raw().into(), at, FOREVER, 0]) };
        message.lent_nothing();
        result
    }

    /// Sends a message and waits for the reply to it.
    ///
    /// # Errors
    /// [`CallError`]; with the message, if it was not sent.
    #[inline]
    pub fn call(&self, message: Message) -> Result<Message, CallError> {
        call(self.name, message, FOREVER)
    }

    /// As [`SendRight::call`], until `timeout` has passed.
    ///
    /// # Errors
    /// [`CallError`]; with the message, if it was not sent.
    pub fn call_timeout(&self, message: Message, timeout: Duration) -> Result<Message, CallError> {
        call(self.name, message, nanoseconds(timeout))
    }

    /// Sends a message with a right to reply to `port`, and waits for what comes there first: the
    /// reply, news that there will be none
    /// ([`SendOnce`](crate::Notification::SendOnce)), or something else.
    ///
    /// # Errors
    /// [`CallError`]; with the message, if it was not sent. It must have no right to reply yet
    /// ([`Failure::InvalidRight`]).
    pub fn exchange(&self, message: Message, port: &ReceiveRight) -> Result<Delivery, CallError> {
        exchange(self.name, message, port, FOREVER)
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
        exchange(self.name, message, port, nanoseconds(timeout))
    }
}

fn exchange(
    to: Name,
    mut message: Message,
    port: &ReceiveRight,
    timeout: u64,
) -> Result<Delivery, CallError> {
    let arguments = |at| [to.raw().into(), at, timeout, port.name.raw().into()];
    match with(call::EXCHANGE, arguments, &mut message) {
        Err(refused) if !refused.sent => Err(unsent(message, refused)),
        result => received(message, result),
    }
}

impl SendOnceRight {
    /// As [`SendOnceRight::send`], of a message whose buffers stay the caller's.
    ///
    /// # Errors
    /// As there; what was in the message is in it still.
    pub fn send_from(self, message: &mut Message) -> Result<(), Failure> {
        let sent = send_from(self.name(), message, 0, 0);
        if sent.is_ok() {
            let _ = self.into_name();
        }
        sent
    }

    /// Sends the one message for which the right is good.
    ///
    /// # Errors
    /// The message comes back whole when the port is dead; the right is gone all the same.
    pub fn send(self, message: Message) -> Result<(), SendError> {
        let name = self.name();
        let sent = send(name, message, 0);
        match &sent {
            Ok(()) => drop(self.into_name()),
            Err(_) => drop(self),
        }
        sent
    }
}

/// Makes a call with the address of a message's header.
#[inline(always)]
pub(crate) fn with(
    number: u64,
    arguments: impl FnOnce(u64) -> [u64; 4],
    message: &mut Message,
) -> Result<u64, Refused> {
    let at = message.header() as u64;
    // SAFETY: the header says what the message has.
    unsafe { system::call(number, arguments(at)) }
}

pub(crate) fn send(to: Name, mut message: Message, timeout: u64) -> Result<(), SendError> {
    let arguments = |at| [to.raw().into(), at, timeout, 0];
    sent(with(call::SEND, arguments, &mut message), message)
}

fn send_from(to: Name, message: &mut Message, timeout: u64, port: u32) -> Result<(), Failure> {
    let arguments = |at| [to.raw().into(), at, timeout, port.into()];
    sent_from(with(call::SEND, arguments, message), message)
}

/// Sends a message to the right to reply that it carries, and keeps its buffers.
pub(crate) fn reply_from(message: &mut Message) -> Result<(), Failure> {
    sent_from(with(call::REPLY, |at| [at, 0, 0, 0], message), message)
}

fn sent_from(result: Result<u64, Refused>, message: &mut Message) -> Result<(), Failure> {
    match result {
        Ok(_) => {
            message.gone();
            message.clear_data();
            Ok(())
        }
        Err(refused) => {
            message.stayed();
            Err(refused.into())
        }
    }
}

/// Sends `message` to the right to reply that it carries.
pub(crate) fn reply(mut message: Message) -> Result<(), SendError> {
    sent(with(call::REPLY, |at| [at, 0, 0, 0], &mut message), message)
}

fn sent(result: Result<u64, Refused>, mut message: Message) -> Result<(), SendError> {
    match result {
        Ok(_) => {
            message.gone();
            Ok(())
        }
        Err(refused) => Err(not_sent(message, refused)),
    }
}

#[cold]
pub(crate) fn not_sent(mut message: Message, refused: Refused) -> SendError {
    message.stayed();
    SendError {
        failure: refused.into(),
        message,
    }
}

#[cold]
fn unsent(message: Message, refused: Refused) -> CallError {
    not_sent(message, refused).into()
}

impl From<SendError> for CallError {
    fn from(error: SendError) -> Self {
        CallError {
            failure: error.failure,
            message: Some(error.message),
        }
    }
}

#[inline(always)]
fn call(to: Name, mut message: Message, timeout: u64) -> Result<Message, CallError> {
    if message.expects_reply() {
        return Err(CallError {
            failure: Failure::InvalidRight,
            message: Some(message),
        });
    }
    let arguments = |at| [to.raw().into(), at, timeout, 0];
    match with(call::CALL, arguments, &mut message) {
        Ok(_) => {
            // SAFETY: the kernel took the message, and wrote the header of the reply.
            unsafe { message.came() };
            Ok(message)
        }
        Err(refused) => not_answered(message, refused),
    }
}

#[cold]
fn not_answered(message: Message, refused: Refused) -> Result<Message, CallError> {
    if !refused.sent {
        return Err(unsent(message, refused));
    }
    match received(message, Err(refused))? {
        Delivery::Message(message) => Ok(message),
        Delivery::Notification(_) => Err(CallError {
            failure: Failure::Unanswered,
            message: None,
        }),
    }
}

/// What came after the message was sent.
#[cold]
fn received(mut message: Message, result: Result<u64, Refused>) -> Result<Delivery, CallError> {
    if result.is_err() {
        message.gone();
    }
    came(message, result).map_err(|failure| CallError {
        failure,
        message: None,
    })
}
