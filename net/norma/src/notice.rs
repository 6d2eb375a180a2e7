//! News of the kernel's own on its way to another node: a message with NOTIFICATION, whose
//! identifier says what and whose inline data are the rest (W-130).
//!
//! Owns: how it is written and read. The right of a receive right that comes back is in the
//! message as any other.

use norma_ipc::{Message, Name, NoMemory, Notification, Page, Reason, RightKind};

/// What news is about, by the identifier of its message.
mod kind {
    pub(super) const SEND_ONCE: u32 = 1;
    pub(super) const DEAD_NAME: u32 = 2;
    pub(super) const NAME_DELETED: u32 = 3;
    pub(super) const NO_SENDERS: u32 = 4;
    pub(super) const PORT_DESTROYED: u32 = 5;
    pub(super) const ROOM: u32 = 6;
}

/// Bytes of inline data: name or count, reason, and the node of a reason.
const LENGTH: usize = 16;

const fn number_of(reason: Reason) -> (u32, u64) {
    match reason {
        Reason::Destroyed => (1, 0),
        Reason::Moved => (2, 0),
        Reason::Unanswered => (3, 0),
        Reason::NodeDied(node) => (4, node),
        Reason::NameUnknown => (5, 0),
        Reason::NoMemory => (6, 0),
        Reason::Circular => (7, 0),
    }
}

/// A reason that is not known is that nobody will answer.
const fn reason_of(number: u32, node: u64) -> Reason {
    match number {
        1 => Reason::Destroyed,
        2 => Reason::Moved,
        4 => Reason::NodeDied(node),
        5 => Reason::NameUnknown,
        6 => Reason::NoMemory,
        7 => Reason::Circular,
        _ => Reason::Unanswered,
    }
}

/// Makes a fresh message say what a notification does.
///
/// # Errors
/// The notification, when there is no memory.
pub(crate) fn write<P: Page>(
    message: &mut Message<P>,
    notification: Notification,
) -> Result<(), Notification> {
    let nothing = (0, 0);
    let (id, number, (reason, node)) = match &notification {
        Notification::SendOnce(reason) => (kind::SEND_ONCE, 0, number_of(*reason)),
        Notification::DeadName { name, reason } => {
            (kind::DEAD_NAME, name.raw(), number_of(*reason))
        }
        Notification::NameDeleted { name } => (kind::NAME_DELETED, name.raw(), nothing),
        Notification::NoSenders { make_sends } => (kind::NO_SENDERS, *make_sends, nothing),
        Notification::PortDestroyed(_) => (kind::PORT_DESTROYED, 0, nothing),
        Notification::Room { name } => (kind::ROOM, name.raw(), nothing),
    };
    let mut data = [0; LENGTH];
    data[..4].copy_from_slice(&number.to_le_bytes());
    data[4..8].copy_from_slice(&reason.to_le_bytes());
    data[8..].copy_from_slice(&node.to_le_bytes());
    let filled = message.set_data(&data);
    message.set_id(id);
    match (filled, message.reserve_right(), notification) {
        (Ok(()), Ok(()), Notification::PortDestroyed(right)) => {
            // Room was made.
            message
                .push_right(right)
                .map_err(Notification::PortDestroyed)
        }
        (Ok(()), Ok(()), _) => Ok(()),
        (Err(NoMemory), _, notification) | (_, Err(NoMemory), notification) => Err(notification),
    }
}

/// Reads news; `None` when it makes no sense. Whatever else is in the message stays there.
pub(crate) fn read<P: Page>(message: &mut Message<P>) -> Option<Notification> {
    let (numbers, node) = message.data().split_at_checked(8)?;
    let number = u32::from_le_bytes(numbers[..4].try_into().ok()?);
    let reason = u32::from_le_bytes(numbers[4..].try_into().ok()?);
    let reason = reason_of(reason, u64::from_le_bytes(node.try_into().ok()?));
    let name = Name::from_raw(number);
    Some(match message.id() {
        kind::SEND_ONCE => Notification::SendOnce(reason),
        kind::DEAD_NAME => Notification::DeadName { name, reason },
        kind::NAME_DELETED => Notification::NameDeleted { name },
        kind::NO_SENDERS => Notification::NoSenders { make_sends: number },
        kind::PORT_DESTROYED => {
            let first = message.rights().first()?;
            if first.kind() != RightKind::Receive {
                return None;
            }
            Notification::PortDestroyed(message.take_right()?)
        }
        kind::ROOM => Notification::Room { name },
        _ => return None,
    })
}
