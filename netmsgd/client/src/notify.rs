//! Asking to be told: of a port's death, of room in its queue, that nobody can send any more.
//!
//! Who asks gives a send-once right to one of its ports; what happens uses it up and arrives
//! there as a [`Notification`](crate::Notification), exactly once. There is one request of each
//! kind for a name: the right of the request before comes back.

use crate::connection::Shared;
use crate::error::MoveError;
use crate::protocol::{Operation, Request};
use crate::rights::{AnyRight, ReceiveRight, SendOnceRight, SendRight};
use norma_ipc::Name;
use std::sync::Arc;

/// The right of the request before, or why nothing was asked, with the right that was for it.
type Asked = Result<Option<SendOnceRight>, MoveError<SendOnceRight>>;

impl SendRight {
    /// Asks to be told when the port dies, at once if it is dead.
    ///
    /// # Errors
    /// `notify` comes back: it must lead to a port of this node; [`Failure::NoMemory`](crate::Failure::NoMemory).
    pub fn notify_death(&self, notify: SendOnceRight) -> Asked {
        ask(
            self.shared(),
            Operation::NotifyDeath,
            self.name(),
            0,
            notify,
        )
    }

    /// Asks to be told when the port's queue has room, at once if it has.
    ///
    /// # Errors
    /// As [`SendRight::notify_death`].
    pub fn notify_room(&self, notify: SendOnceRight) -> Asked {
        ask(self.shared(), Operation::NotifyRoom, self.name(), 0, notify)
    }
}

impl ReceiveRight {
    /// Asks to be told when there is no send right to the port: at once, if there is none and at
    /// least `sync` were made.
    ///
    /// # Errors
    /// As [`SendRight::notify_death`].
    pub fn notify_no_senders(&self, sync: u32, notify: SendOnceRight) -> Asked {
        let operation = Operation::NotifyNoSenders;
        ask(self.shared(), operation, self.name(), sync, notify)
    }
}

fn ask(
    node: &Arc<Shared>,
    operation: Operation,
    name: Name,
    value: u32,
    notify: SendOnceRight,
) -> Asked {
    let request = Request {
        other: notify.name().raw(),
        value,
        ..Request::new(operation, name.raw())
    };
    match node.ask(&request, &[]) {
        Ok(reply) => {
            let _used_up = notify.into_name();
            let before = (reply.name != 0).then(|| Name::from_raw(reply.name));
            Ok(before.map(|name| SendOnceRight::new(node, name)))
        }
        Err(failure) => Err(MoveError {
            failure,
            right: notify,
        }),
    }
}
