//! Receiving from a port or a set, alone or joined with the answer to what was received before.

use crate::failure::{Failure, ReceiveError};
use crate::message::Message;
use crate::notify::{Delivery, Notification};
use crate::rights::ReceiveRight;
use crate::send::{nanoseconds, with};
use crate::set::PortSet;
use crate::system::{Refused, plain};
use core::time::Duration;
use norma_abi::{Code, FOREVER, News, call};
use norma_ipc::Name;

/// What can be done with whatever is received from.
macro_rules! receiving {
    ($type:ident) => {
        impl $type {
            /// Waits for a message.
            ///
            /// # Errors
            /// [`Failure::PortDied`], [`Failure::Moved`]; a notification that came in place of a
            /// message is in the error.
            pub fn receive(&self) -> Result<Message, ReceiveError> {
                message(receive(self.name, FOREVER))
            }

            /// Waits for a message until `timeout` has passed.
            ///
            /// # Errors
            /// [`Failure::TimedOut`], and as without a time.
            pub fn receive_timeout(&self, timeout: Duration) -> Result<Message, ReceiveError> {
                message(receive(self.name, nanoseconds(timeout)))
            }

            /// Takes a message if there is one.
            ///
            /// # Errors
            /// [`Failure::Empty`], and as when waiting.
            pub fn try_receive(&self) -> Result<Message, ReceiveError> {
                message(receive(self.name, 0))
            }

            /// Waits for a message of at most `limit` bytes of inline data.
            ///
            /// # Errors
            /// As without a limit, and [`Failure::TooLarge`]: the message stays in the queue, the
            /// first there.
            pub fn receive_within(&self, limit: usize) -> Result<Message, ReceiveError> {
                message(receive_within(self.name, limit, FOREVER))
            }

            /// Waits for a message or a notification.
            ///
            /// # Errors
            /// [`Failure::PortDied`], [`Failure::Moved`].
            pub fn receive_any(&self) -> Result<Delivery, Failure> {
                receive(self.name, FOREVER)
            }

            /// The same until `timeout` has passed.
            ///
            /// # Errors
            /// [`Failure::TimedOut`], and as without a time.
            pub fn receive_any_timeout(&self, timeout: Duration) -> Result<Delivery, Failure> {
                receive(self.name, nanoseconds(timeout))
            }

            /// Takes a message or a notification if there is one.
            ///
            /// # Errors
            /// [`Failure::Empty`], and as when waiting.
            pub fn try_receive_any(&self) -> Result<Delivery, Failure> {
                receive(self.name, 0)
            }

            /// Receives into `message`, whose buffers are used again and whose own contents are
            /// given up. If a context was set in it, it has that of what came afterwards. A
            /// notification that came instead is returned.
            ///
            /// # Errors
            /// [`Failure::TimedOut`], [`Failure::PortDied`], [`Failure::Moved`]; with no time at
            /// all, [`Failure::Empty`].
            pub fn receive_into(
                &self,
                message: &mut Message,
                timeout: Duration,
            ) -> Result<Option<Notification>, Failure> {
                receive_into(self.name, message, nanoseconds(timeout))
            }

            /// Sends `message` to whoever sent it as a request, if anybody did, and receives into it
            /// for as long as it takes. A reply that cannot be sent is dropped. A notification that
            /// came instead of a message is returned.
            ///
            /// # Errors
            /// As [`Self::receive_into`].
            pub fn reply_and_receive_into(
                &self,
                message: &mut Message,
            ) -> Result<Option<Notification>, Failure> {
                answer_into(self.name, message)
            }

            /// Sends `reply` to whoever sent it as a request, and waits for the next message. A
            /// reply that cannot be sent is dropped.
            ///
            /// # Errors
            /// As without a reply.
            #[inline]
            pub fn reply_and_receive(&self, reply: Message) -> Result<Message, ReceiveError> {
                answer(self.name, reply)
            }

            /// As [`Self::reply_and_receive`], for notifications too.
            ///
            /// # Errors
            /// As without a reply.
            pub fn reply_and_receive_any(&self, reply: Message) -> Result<Delivery, Failure> {
                match answer(self.name, reply) {
                    Ok(message) => Ok(Delivery::Message(message)),
                    Err(ReceiveError::Notification(news)) => Ok(Delivery::Notification(news)),
                    Err(ReceiveError::Failure(failure)) => Err(failure),
                }
            }
        }
    };
}

receiving!(ReceiveRight);
receiving!(PortSet);

fn message(delivery: Result<Delivery, Failure>) -> Result<Message, ReceiveError> {
    match delivery {
        Ok(Delivery::Message(message)) => Ok(message),
        Ok(Delivery::Notification(notification)) => Err(ReceiveError::Notification(notification)),
        Err(failure) => Err(ReceiveError::Failure(failure)),
    }
}

fn receive(from: Name, timeout: u64) -> Result<Delivery, Failure> {
    let mut message = Message::new()?;
    let arguments = |at| [from.raw().into(), at, timeout, 0];
    let result = with(call::RECEIVE, arguments, &mut message);
    came(message, result)
}

/// As [`receive`], of at most so many bytes of data.
pub(crate) fn receive_within(from: Name, limit: usize, timeout: u64) -> Result<Delivery, Failure> {
    let mut message = Message::new()?;
    let arguments = |at| [from.raw().into(), at, timeout, limit as u64];
    let result = with(call::RECEIVE_WITHIN, arguments, &mut message);
    came(message, result)
}

#[inline(always)]
fn answer(from: Name, mut reply: Message) -> Result<Message, ReceiveError> {
    let arguments = |at| [from.raw().into(), at, 0, 0];
    let result = with(call::REPLY_AND_RECEIVE, arguments, &mut reply);
    if result.is_ok() && reply.said().news == News::Message as u32 {
        // SAFETY: the kernel took the reply, and wrote the header of what came.
        unsafe { reply.came() };
        return Ok(reply);
    }
    answered_otherwise(from, reply, result)
}

fn answer_into(from: Name, message: &mut Message) -> Result<Option<Notification>, Failure> {
    let arguments = |at| [from.raw().into(), at, 0, 0];
    match with(call::REPLY_AND_RECEIVE, arguments, message) {
        Err(refused) if !refused.sent => {
            message.stayed();
            receive_into(from, message, FOREVER)
        }
        result => {
            if result.is_err() {
                message.gone();
            }
            came_into(message, result)
        }
    }
}

#[cold]
fn answered_otherwise(
    from: Name,
    mut reply: Message,
    result: Result<u64, Refused>,
) -> Result<Message, ReceiveError> {
    match result {
        Err(refused) if !refused.sent => {
            reply.stayed();
            drop(reply);
            message(receive(from, FOREVER))
        }
        result => {
            if result.is_err() {
                reply.gone();
            }
            message(came(reply, result))
        }
    }
}

fn receive_into(
    from: Name,
    message: &mut Message,
    timeout: u64,
) -> Result<Option<Notification>, Failure> {
    message.empty();
    let arguments = |at| [from.raw().into(), at, timeout, 0];
    let result = with(call::RECEIVE, arguments, message);
    came_into(message, result)
}

/// Takes what came into `message`, whose own content is gone, and asks again for what did not
/// fit.
pub(crate) fn came(
    mut message: Message,
    result: Result<u64, Refused>,
) -> Result<Delivery, Failure> {
    Ok(match came_into(&mut message, result)? {
        None => Delivery::Message(message),
        Some(notification) => Delivery::Notification(notification),
    })
}

fn came_into(
    message: &mut Message,
    mut result: Result<u64, Refused>,
) -> Result<Option<Notification>, Failure> {
    loop {
        match result {
            Ok(_) => break,
            Err(Refused {
                code: Some(Code::TooLarge),
                sent: true,
                ..
            }) => {
                message.make_room()?;
                result = with(call::FETCH, |at| [at, 0, 0, 0], message);
            }
            Err(refused) => {
                if refused.sent && refused.code == Some(Code::NoMemory) {
                    // What came cannot be taken: it is given up, and whoever sent it learns so.
                    let _ = plain(call::FETCH, [0; 4]);
                }
                return Err(refused.into());
            }
        }
    }
    // SAFETY: what was in it is gone, and the kernel wrote the header of what came.
    unsafe { message.came() };
    match News::from_number(message.said().news) {
        Some(News::Message) => Ok(None),
        Some(news) => Ok(Some(Notification::from_header(news, message.said()))),
        None => Err(Failure::NotSupported),
    }
}
