//! Steps of a message on its way, told to whoever watches.
//!
//! Owns: what is told. Leaves to others: who wants to know ([`crate::Page::watch`]); mostly
//! nobody, and then to tell it costs nothing.

use crate::message::Message;
use crate::page::Page;
use crate::port::PortId;
use crate::right::RightKind;
use crate::wait::ThreadId;

/// What has just happened to a message, or to its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The running thread sends it: to a port, into a queue, or to another node.
    Sent {
        /// [`crate::Message::number`].
        message: u64,
        /// How many rights are in it.
        rights: usize,
    },
    /// One of these rights goes with it.
    Moved {
        /// [`crate::Message::number`].
        message: u64,
        /// What the right lets its holder do.
        kind: RightKind,
        /// The port to which it leads, unless it is of another node and was never named here.
        port: Option<PortId>,
    },
    /// The running thread calls a thread of its node, which waited for that and runs now.
    Called {
        /// That thread.
        to: ThreadId,
        /// The port.
        port: PortId,
        /// [`crate::Message::number`].
        message: u64,
    },
    /// The running thread answers a thread of its node, which waited for that and runs now.
    Answered {
        /// That thread.
        to: ThreadId,
        /// [`crate::Message::number`].
        message: u64,
    },
    /// A thread that waited for it has been given it.
    Handed {
        /// That thread.
        thread: ThreadId,
        /// [`crate::Message::number`].
        message: u64,
    },
    /// The frame that is being written carries it, with its first pages.
    Carried {
        /// [`crate::Message::number`].
        message: u64,
        /// The session, as the receiver of the frame calls it.
        session: u32,
        /// The frame's number.
        sequence: u32,
    },
    /// It came in that frame, is whole, and is handed over to its port.
    Arrived {
        /// [`crate::Message::number`].
        message: u64,
        /// The session, as this node calls it.
        session: u32,
        /// The frame's number.
        sequence: u32,
    },
    /// The frame that is written next was sent before.
    Repeated {
        /// The frame's number.
        sequence: u32,
    },
}

/// Tells of a message that a thread sends.
#[inline(always)]
pub fn sent<P: Page>(message: &Message<P>) {
    if !P::WATCHED {
        return;
    }
    let (number, rights) = (message.number(), message.rights());
    P::watch(Step::Sent {
        message: number,
        rights: rights.len(),
    });
    for right in rights {
        P::watch(Step::Moved {
            message: number,
            kind: right.kind(),
            port: right.port(),
        });
    }
}

/// Tells of a message that a thread has been given.
#[inline(always)]
pub(crate) fn handed<P: Page>(thread: u32, message: &Message<P>) {
    P::watch(Step::Handed {
        thread: ThreadId(thread),
        message: message.number(),
    });
}
