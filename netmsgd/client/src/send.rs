//! Sending and calling: a message out, alone or joined with its reply.

use crate::connection::Shared;
use crate::error::{CallError, Failure, SendError};
use crate::memory::{Memory, Region};
use crate::message::Message;
use crate::protocol::{Answer, FOREVER, Operation, RETURNED, Request};
use crate::rights::{AnyRight, SendOnceRight, SendRight};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

/// A duration as a patience.
pub(crate) fn patience(timeout: Duration) -> u64 {
    u64::try_from(timeout.as_nanos()).map_or(FOREVER - 1, |nanos| nanos.min(FOREVER - 1))
}

impl SendRight {
    /// Sends a message; waits while the port's queue is full.
    ///
    /// # Errors
    /// The message comes back whole when the port is dead.
    pub fn send(&self, message: Message) -> Result<(), SendError> {
        self.send_for(Operation::Send, message, FOREVER)
    }

    /// Sends a message, and waits for room until `timeout` has passed.
    ///
    /// # Errors
    /// The message comes back whole when there was no room in time, or the port is dead.
    pub fn send_timeout(&self, message: Message, timeout: Duration) -> Result<(), SendError> {
        self.send_for(Operation::Send, message, patience(timeout))
    }

    /// Sends a message if there is room for it now.
    ///
    /// # Errors
    /// The message comes back whole when the queue is full or the port is dead.
    pub fn try_send(&self, message: Message) -> Result<(), SendError> {
        self.send_for(Operation::Send, message, 0)
    }

    /// Sends a message without a reply right in it, and waits until it lies in the queue of its
    /// receiver.
    ///
    /// # Errors
    /// The message was not delivered, and comes back when it was not even sent; after
    /// [`Failure::NodeDied`] and [`Failure::TimedOut`] it may have been.
    pub fn send_confirmed(&self, message: Message) -> Result<(), CallError> {
        let request = Request::new(Operation::SendConfirmed, self.name().raw());
        transmit(self.shared(), &request, message).map(drop)
    }

    fn send_for(
        &self,
        operation: Operation,
        message: Message,
        patience: u64,
    ) -> Result<(), SendError> {
        let request = Request {
            patience,
            ..Request::new(operation, self.name().raw())
        };
        sent(transmit(self.shared(), &request, message))
    }

    /// Sends a message and waits for the reply to it.
    ///
    /// # Errors
    /// [`CallError`]; with the message, if it was not sent.
    pub fn call(&self, message: Message) -> Result<Message, CallError> {
        self.call_for(message, FOREVER)
    }

    /// As [`SendRight::call`], until `timeout` has passed. A reply that comes later is dropped.
    ///
    /// # Errors
    /// [`CallError`]; with the message, if it was not sent.
    pub fn call_timeout(&self, message: Message, timeout: Duration) -> Result<Message, CallError> {
        self.call_for(message, patience(timeout))
    }

    /// As [`SendRight::call`], and gives the message's memory back with the answer: it was copied
    /// when the message was sent, and can be sent again.
    ///
    /// # Errors
    /// As [`SendRight::call`].
    pub fn call_keeping(&self, message: Message) -> Result<(Message, Memory), CallError> {
        let request = Request::new(Operation::Call, self.name().raw());
        let (answer, memory) = transmit_keeping(self.shared(), &request, message)?;
        let answer = answer.ok_or(CallError {
            failure: Failure::BadRequest,
            message: None,
        })?;
        Ok((answer, memory))
    }

    /// As [`SendRight::send`], and gives the message's memory back.
    ///
    /// # Errors
    /// As [`SendRight::send`].
    pub fn send_keeping(&self, message: Message) -> Result<Memory, CallError> {
        let request = Request::new(Operation::Send, self.name().raw());
        transmit_keeping(self.shared(), &request, message).map(|(_, memory)| memory)
    }

    fn call_for(&self, message: Message, patience: u64) -> Result<Message, CallError> {
        let request = Request {
            patience,
            ..Request::new(Operation::Call, self.name().raw())
        };
        transmit(self.shared(), &request, message)?.ok_or(CallError {
            failure: Failure::BadRequest,
            message: None,
        })
    }
}

impl SendOnceRight {
    /// Sends the one message for which the right is good.
    ///
    /// # Errors
    /// The message comes back whole when the port is dead; the right is gone all the same.
    pub fn send(self, message: Message) -> Result<(), SendError> {
        let request = Request {
            patience: 0,
            ..Request::new(Operation::Send, self.name().raw())
        };
        let outcome = sent(transmit(self.shared(), &request, message));
        if outcome.is_ok() {
            let _used_up = self.into_name();
        }
        outcome
    }
}

fn sent(outcome: Result<Option<Message>, CallError>) -> Result<(), SendError> {
    match outcome {
        Ok(_) => Ok(()),
        Err(CallError { failure, message }) => Err(SendError {
            failure,
            // It was not sent: there was nothing behind sending that could fail.
            message: message.unwrap_or_default(),
        }),
    }
}

/// Sends a message and reads the answer, which may be a message.
fn transmit(
    node: &Arc<Shared>,
    request: &Request,
    message: Message,
) -> Result<Option<Message>, CallError> {
    transmit_keeping(node, request, message).map(|(answer, _)| answer)
}

/// The same, with the memory that was in the message.
fn transmit_keeping(
    node: &Arc<Shared>,
    request: &Request,
    message: Message,
) -> Result<(Option<Message>, Memory), CallError> {
    exchange(node, request, message, |answered, node| {
        match answered.reply.answer {
            Answer::Message => Message::received(node, answered).map(Some),
            Answer::Done => Ok(None),
            _ => Err(answered.failure().unwrap_or(Failure::BadRequest)),
        }
    })
}

/// Sends a message and has the answer read by `read`, unless the message was not sent; gives the
/// memory that was in it back, of which the daemon has made a copy.
pub(crate) fn exchange<T>(
    node: &Arc<Shared>,
    request: &Request,
    mut message: Message,
    read: impl FnOnce(crate::connection::Answered<'_>, &Arc<Shared>) -> Result<T, Failure>,
) -> Result<(T, Memory), CallError> {
    let mut connection = match node.connection() {
        Ok(connection) => connection,
        Err(failure) => return Err(unsent(failure, message)),
    };
    message.emit(connection.begin(request));
    let memory = message.take_memory();
    let mut own = None;
    if let Region::Bytes(bytes) = &memory.0 {
        match connection.write_memory(bytes) {
            Ok(file) => own = Some(file),
            Err(failure) => {
                node.put_back(connection);
                let _ = message.replace_memory(memory);
                return Err(unsent(failure, message));
            }
        }
    }
    let file = match &memory.0 {
        Region::File(file, _) => Some(file.as_fd()),
        _ => own.as_ref().map(AsFd::as_fd),
    };
    let answered = match connection.exchange(file) {
        Ok(answered) => answered,
        Err(failure) => {
            // Whatever became of it: the daemon is gone, and every right with it.
            message.forget();
            return Err(CallError {
                failure,
                message: None,
            });
        }
    };
    if answered.reply.flags & RETURNED != 0 {
        message.rename(node, answered.tail);
        let failure = answered.failure().unwrap_or(Failure::BadRequest);
        let _ = message.replace_memory(memory);
        node.put_back(connection);
        return Err(unsent(failure, message));
    }
    message.forget();
    let value = read(answered, node);
    if let Some(file) = own {
        connection.keep_memory(file, memory.len());
    }
    node.put_back(connection);
    match value {
        Ok(value) => Ok((value, memory)),
        Err(failure) => Err(CallError {
            failure,
            message: None,
        }),
    }
}

fn unsent(failure: Failure, message: Message) -> CallError {
    CallError {
        failure,
        message: Some(message),
    }
}
