//! The calls by which threads send.
//!
//! Owns: what a caller is told. Each call passes the core; only what the core wants forwarded
//! goes further (`carry`), and what cannot go comes back whole.

use norma_flip::Instant;
use norma_ipc::{
    Message, Name, NoMemory, PageSource, PortId, RemoteToken, SendError, Sent, SpaceId, ThreadId,
};

use crate::node::Node;

/// What became of a message that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Posted {
    /// It lies in the receiver's queue on this node.
    Queued,
    /// A waiting thread of this node has it: wake it, or switch to it.
    Handed(ThreadId),
    /// It is on its way to another node.
    Carried,
    /// There is no room; the thread waits, and its message with it.
    Waiting,
}

impl<S: PageSource> Node<S> {
    /// Sends a message to the send or send-once right under `name`; see
    /// [`norma_ipc::Ipc::send`].
    ///
    /// # Errors
    /// The message comes back whole.
    #[inline]
    pub fn send(
        &mut self,
        now: Instant,
        space: SpaceId,
        name: Name,
        message: Message<S::Page>,
        wait: Option<ThreadId>,
    ) -> Result<Posted, SendError<S::Page>> {
        norma_ipc::sent(&message);
        let Some(port) = self.ipc.send_target(space, name) else {
            return self.send_once(now, space, name, message, wait);
        };
        match self.ipc.post(port, message, wait)? {
            Sent::Forward {
                token,
                via,
                message,
            } if message
                .reply()
                .is_some_and(|right| right.remote().is_some()) =>
            {
                self.pass_on(now, token, via, message)
            }
            sent => self.carry_on(now, sent),
        }
    }

    /// As [`Node::send`], where the name is no send right. What is of another node is used up
    /// when it is certain that the message goes there.
    #[inline(never)]
    fn send_once(
        &mut self,
        now: Instant,
        space: SpaceId,
        name: Name,
        message: Message<S::Page>,
        wait: Option<ThreadId>,
    ) -> Result<Posted, SendError<S::Page>> {
        let Some(token) = self.ipc.once_target(space, name) else {
            let sent = self.ipc.send(space, name, message, wait)?;
            return self.carry_on(now, sent);
        };
        self.carry_any(now, token, None, message)?;
        self.ipc.spent(space, name);
        Ok(Posted::Carried)
    }

    /// Sends a message to a port, on behalf of a send right that stays; see
    /// [`norma_ipc::Ipc::post`]. It is no call of another node that is passed on: the answer to
    /// that would come by way of this one ([`Node::send`]).
    ///
    /// # Errors
    /// The message comes back whole.
    #[inline]
    pub fn post(
        &mut self,
        now: Instant,
        port: PortId,
        message: Message<S::Page>,
        wait: Option<ThreadId>,
    ) -> Result<Posted, SendError<S::Page>> {
        norma_ipc::sent(&message);
        let sent = self.ipc.post(port, message, wait)?;
        self.carry_on(now, sent)
    }

    /// Sends a message to the reply right in it; see [`norma_ipc::Ipc::reply`].
    ///
    /// # Errors
    /// The message comes back whole.
    #[inline(always)]
    pub fn reply(
        &mut self,
        now: Instant,
        message: Message<S::Page>,
    ) -> Result<Posted, SendError<S::Page>> {
        norma_ipc::sent(&message);
        let sent = self.ipc.reply(message)?;
        self.carry_on(now, sent)
    }

    /// What the core has for another node goes to its session.
    #[inline(always)]
    fn carry_on(
        &mut self,
        now: Instant,
        sent: Sent<S::Page>,
    ) -> Result<Posted, SendError<S::Page>> {
        match sent {
            Sent::Queued => Ok(Posted::Queued),
            Sent::Handed(thread) => Ok(Posted::Handed(thread)),
            Sent::Waiting => Ok(Posted::Waiting),
            Sent::Forward {
                token,
                via,
                message,
            } => self.forward(now, token, via, message),
        }
    }

    #[inline(always)]
    fn forward(
        &mut self,
        now: Instant,
        token: RemoteToken,
        via: Option<PortId>,
        message: Message<S::Page>,
    ) -> Result<Posted, SendError<S::Page>> {
        match self.carry(now, token, via, message) {
            Ok(()) => Ok(Posted::Carried),
            Err(error) => Err(self.not_carried(now, token, via, error)),
        }
    }

    /// A message could not even be queued: takes back what the core did.
    #[cold]
    fn not_carried(
        &mut self,
        now: Instant,
        token: RemoteToken,
        via: Option<PortId>,
        mut error: SendError<S::Page>,
    ) -> SendError<S::Page> {
        if let Some(via) = via {
            self.place_is_free(now, via);
            return error;
        }
        // A reply: its right is in it again, and says that none came when that is dropped.
        let message = &mut error.message;
        let returned = self.ipc.import_send_once(token);
        match returned.map(|right| message.set_reply(right)) {
            Ok(Ok(())) => message.set_expects_reply(true),
            Ok(Err(right)) => self.ipc.release(right),
            Err(NoMemory) => self.unanswered(token),
        }
        error
    }

    /// Carries a message that is passed on: whoever answers it is told whom, if it is a call.
    ///
    /// # Errors
    /// The message comes back, and a send-once right that it was for is given up.
    #[cold]
    pub(crate) fn pass_on(
        &mut self,
        now: Instant,
        token: RemoteToken,
        via: Option<PortId>,
        message: Message<S::Page>,
    ) -> Result<Posted, SendError<S::Page>> {
        match self.carry_any(now, token, via, message) {
            Ok(()) => Ok(Posted::Carried),
            Err(error) => {
                match via {
                    Some(via) => self.place_is_free(now, via),
                    None => self.unanswered(token),
                }
                Err(error)
            }
        }
    }
}
