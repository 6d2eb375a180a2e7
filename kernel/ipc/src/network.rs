//! What only the network layer asks of the core.

use crate::error::{Reason, RightError};
use crate::event::Event;
use crate::ipc::Ipc;
use crate::port::PortId;
use crate::right::{Right, RightKind, Target};
use crate::wait::ThreadId;

impl<P> Ipc<P> {
    /// Whether an ordinary message to `port` would be refused now for want of room.
    ///
    /// # Errors
    /// The port is dead.
    #[inline]
    pub fn is_full(&self, port: PortId) -> Result<bool, RightError> {
        let port = self.port(port).ok_or(RightError::InvalidName)?;
        match port.dead {
            Some(reason) => Err(RightError::Dead(reason)),
            None => Ok(port.receivers.is_empty() && (port.is_full() || !port.senders.is_empty())),
        }
    }

    /// Wakes a thread to which a message was handed ([`crate::Sent::Handed`]) by way of
    /// [`Ipc::poll_event`], where there is nobody to switch to it at once.
    #[inline]
    pub fn defer_wake(&mut self, thread: ThreadId) {
        self.events.push(Event::Wake(thread));
    }

    /// A send-once right to the reply port of `thread`, for a call that the network layer makes
    /// on its behalf. [`Ipc::await_reply`] waits for what becomes of it.
    ///
    /// # Errors
    /// [`RightError::NoMemory`], or the thread is not known.
    pub fn make_reply_right(&mut self, thread: ThreadId) -> Result<Right, RightError> {
        let id = self.reply_port(thread)?;
        let port = self.port_mut(id).ok_or(RightError::InvalidName)?;
        port.make_send_once()?;
        Ok(Right::to_port(RightKind::SendOnce, id))
    }

    /// Destroys a right whose session is over: as [`Ipc::release_because`], but nobody needs
    /// to be told about a bare remote right.
    pub fn forget_right(&mut self, right: Right, reason: Reason) {
        match right.target {
            Target::Remote(_) => self.forget_send_once(right),
            Target::Port(_) => self.release_because(right, reason),
        }
    }
}
