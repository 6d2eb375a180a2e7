//! What a receive yields: a message, or news from the node itself.

use crate::connection::{Answered, Shared};
use crate::error::Failure;
use crate::message::Message;
use crate::protocol::{Answer, News};
use crate::rights::ReceiveRight;
use norma_ipc::Name;
use std::sync::Arc;

/// What a receive yields.
#[derive(Debug)]
pub enum Delivery {
    /// A message that somebody sent.
    Message(Message),
    /// News from the node.
    Notification(Notification),
}

/// What the node itself has to say to a port.
#[derive(Debug)]
pub enum Notification {
    /// A send-once right to the port was given up unused.
    SendOnce(Failure),
    /// The port of the right under that name died.
    DeadName {
        /// The name for which it was asked.
        name: Name,
        /// Why.
        failure: Failure,
    },
    /// All rights under that name were given up.
    NameDeleted {
        /// The name that was.
        name: Name,
    },
    /// There is no send right to the port any more.
    NoSenders {
        /// How many send rights were made until now.
        make_sends: u32,
    },
    /// A receive right that was given up, in place of being destroyed.
    PortDestroyed(ReceiveRight),
    /// There is room in the queue of the right under that name.
    Room {
        /// The name for which it was asked.
        name: Name,
    },
}

impl Delivery {
    pub(crate) fn read(answered: Answered<'_>, node: &Arc<Shared>) -> Result<Self, Failure> {
        match answered.reply.answer {
            Answer::Message => Ok(Self::Message(Message::received(node, answered)?)),
            Answer::Notification => Notification::read(&answered, node)
                .map(Self::Notification)
                .ok_or(Failure::BadRequest),
            _ => Err(answered.failure().unwrap_or(Failure::BadRequest)),
        }
    }
}

impl Notification {
    fn read(answered: &Answered<'_>, node: &Arc<Shared>) -> Option<Self> {
        let reply = &answered.reply;
        let name = Name::from_raw(reply.name);
        let failure = || Failure::read(reply.cause, reply, answered.text);
        Some(match News::from_number(reply.what)? {
            News::SendOnce => Self::SendOnce(failure()),
            News::DeadName => Self::DeadName {
                name,
                failure: failure(),
            },
            News::NameDeleted => Self::NameDeleted { name },
            News::NoSenders => Self::NoSenders {
                make_sends: reply.value as u32,
            },
            News::PortDestroyed => Self::PortDestroyed(ReceiveRight::new_named(node, name)),
            News::Room => Self::Room { name },
        })
    }
}
