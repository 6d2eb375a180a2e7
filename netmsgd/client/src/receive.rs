//! Receiving from a port or a set of ports, alone or joined with the answer to what was received before.

use crate::delivery::Delivery;
use crate::error::{CallError, Failure, ReceiveError};
use crate::message::Message;
use crate::protocol::{FOREVER, Operation, Request};
use crate::rights::{AnyRight, ReceiveRight};
use crate::send::{exchange, patience};
use crate::set::PortSet;
use std::time::Duration;

/// What ports and sets of them have in common.
macro_rules! receiving {
    ($type:ident) => {
        impl $type {
            /// Waits for a message.
            ///
            /// # Errors
            /// [`Failure::PortDied`] if the port is destroyed meanwhile, [`Failure::Moved`] if its receive
            /// right goes elsewhere; a notification that came in place of a message is in the error.
            pub fn receive(&self) -> Result<Message, ReceiveError> {
                message(self.receive_for(FOREVER))
            }

            /// Waits for a message until `timeout` has passed.
            ///
            /// # Errors
            /// [`Failure::TimedOut`], and as without a time.
            pub fn receive_timeout(&self, timeout: Duration) -> Result<Message, ReceiveError> {
                message(self.receive_for(patience(timeout)))
            }

            /// Takes a message if there is one.
            ///
            /// # Errors
            /// [`Failure::Empty`], and as when waiting.
            pub fn try_receive(&self) -> Result<Message, ReceiveError> {
                message(self.receive_for(0))
            }

            /// Waits for a message or a notification.
            ///
            /// # Errors
            /// [`Failure::PortDied`], [`Failure::Moved`].
            pub fn receive_any(&self) -> Result<Delivery, Failure> {
                self.receive_for(FOREVER)
            }

            /// The same until `timeout` has passed.
            ///
            /// # Errors
            /// [`Failure::TimedOut`], and as without a time.
            pub fn receive_any_timeout(&self, timeout: Duration) -> Result<Delivery, Failure> {
                self.receive_for(patience(timeout))
            }

            fn receive_for(&self, patience: u64) -> Result<Delivery, Failure> {
                let node = self.shared();
                let mut connection = node.connection()?;
                connection.begin(&Request {
                    value: u32::MAX,
                    patience,
                    ..Request::new(Operation::Receive, self.name().raw())
                });
                let delivery = Delivery::read(connection.exchange(None)?, node);
                node.put_back(connection);
                delivery
            }

            /// Sends `reply` to whoever sent it as a request, and waits for the next message: what a
            /// server does all day, as one operation. A reply that cannot be sent is dropped, and a caller
            /// that is still there learns so.
            ///
            /// # Errors
            /// As without a reply.
            pub fn reply_and_receive(&self, reply: Message) -> Result<Message, ReceiveError> {
                message(self.reply_and_receive_any(reply))
            }

            /// The same, for notifications too.
            ///
            /// # Errors
            /// As without a reply.
            pub fn reply_and_receive_any(&self, mut reply: Message) -> Result<Delivery, Failure> {
                let Some(right) = reply.take_reply() else {
                    drop(reply);
                    return self.receive_any();
                };
                let request = Request {
                    other: right.into_name().raw(),
                    value: u32::MAX,
                    ..Request::new(Operation::ReplyAndReceive, self.name().raw())
                };
                exchange(self.shared(), &request, reply, Delivery::read)
                    .map(|(delivery, _)| delivery)
                    .map_err(|CallError { failure, .. }| failure)
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
