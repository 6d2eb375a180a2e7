//! Sending a message and hearing what became of it.
//!
//! Where the port is here and has room, that is known at once. Where it is not, or may have moved
//! before it has room, the message takes along a right to the sender's reply port, as a call does,
//! and the flag CONFIRM: then not its receiver answers but the node on which the port has its
//! queue, as soon as the message lies there. A
//! node that only passes it on passes right and flag on too. So the word comes from the end of
//! the way, however long that is. (W-85 in `docs/wire.md`.)

use norma_flip::Instant;
use norma_ipc::{
    Expects, Message, Name, PageSource, Reason, RightError, SendError, SendFailure, Sink, SpaceId,
    ThreadId,
};

use crate::node::Node;
use crate::post::Posted;
use crate::rights::NO_EXPORT;
use crate::session::Session;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is, or was, in the queue of its port, or in the hands of its receiver.
    Delivered,
    /// It came to nothing before it reached the queue of its port.
    NotDelivered(Reason),
    /// A node died, or broke off, before it said.
    Unknown(Reason),
}

impl Fate {
    /// What it means that the right on which the sender waits was destroyed for that reason.
    #[must_use]
    pub fn of(reason: Reason) -> Self {
        match reason {
            Reason::NodeDied(_) | Reason::Unanswered => Fate::Unknown(reason),
            _ => Fate::NotDelivered(reason),
        }
    }
}

/// How the sender hears what became of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Confirmation {
    /// Its port is on this node, and has it: nobody waits.
    Here(Posted),
    /// An empty message comes to the thread's reply port ([`norma_ipc::Ipc::await_reply`]) when
    /// it is delivered. If the send-once notification comes instead, see [`Fate::of`].
    Asked(Posted),
}

impl<S: PageSource> Node<S> {
    /// Sends a message, without a reply right in it, to the send right under `name`, for a thread
    /// that will wait to hear what became of it. The thread waits for room if there is none.
    ///
    /// # Errors
    /// The message comes back whole; [`RightError::InvalidRight`] if it has a reply right.
    pub fn send_confirmed(
        &mut self,
        now: Instant,
        space: SpaceId,
        name: Name,
        mut message: Message<S::Page>,
        thread: ThreadId,
    ) -> Result<Confirmation, SendError<S::Page>> {
        let refuse = |error, message| SendError {
            failure: SendFailure::Right(error),
            message,
        };
        if message.reply().is_some() {
            return Err(refuse(RightError::InvalidRight, message));
        }
        let port = self.ipc.send_target(space, name);
        // While a thread waits for room, the port may move.
        let waits = |port| {
            matches!(self.ipc.sink(port), Ok(Sink::Remote(_))) || self.ipc.is_full(port) == Ok(true)
        };
        if !port.is_some_and(waits) {
            let posted = self.send(now, space, name, message, Some(thread))?;
            return Ok(Confirmation::Here(posted));
        }
        if let Err(error) = self.ipc.attach_reply(thread, &mut message) {
            return Err(refuse(error, message));
        }
        message.set_expects(Expects::RECEIPT);
        match self.send(now, space, name, message, Some(thread)) {
            Ok(posted) => Ok(Confirmation::Asked(posted)),
            Err(mut error) => {
                self.unconfirmed(&mut error.message);
                Err(error)
            }
        }
    }

    /// Makes a message that came back unsent what it was before [`Node::send_confirmed`].
    pub fn unconfirmed(&mut self, message: &mut Message<S::Page>) {
        if message.expects() == Expects::RECEIPT {
            self.ipc.detach_reply(message);
            message.set_expects(Expects::NOTHING);
        }
    }

    /// The session ends. Of messages that never left, or were refused and wait here, the fate is
    /// known.
    pub(crate) fn tell_of_unsent(&mut self, session: &mut Session<S::Page>) {
        let Session { out, exports, .. } = session;
        for (_, outbound) in out.messages.iter() {
            if outbound.reply != NO_EXPORT
                && outbound.message.expects() == Expects::RECEIPT
                && outbound.never_taken()
                && let Some(right) = exports.remove(outbound.reply)
            {
                self.ipc.release_because(right, Reason::Destroyed);
            }
        }
    }
}
