//! What a message is in the memory of a task.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A message, at an address that is divisible by 8. What is sent is read from it; what is
/// received is written into it, and where its room is given there.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// The identifier, whose meaning is the service's own.
    pub id: u32,
    /// What the inline data are: the bits of the format that a frame has too.
    pub format: u32,
    /// The address of the inline data.
    pub data: u64,
    /// Bytes of inline data.
    pub data_length: u32,
    /// Room for inline data.
    pub data_capacity: u32,
    /// The address of the rights, an array of [`Entry`].
    pub rights: u64,
    /// How many rights there are.
    pub rights_length: u32,
    /// For how many there is room.
    pub rights_capacity: u32,
    /// The address of the out-of-line memory, that of a page; 0 if there is none. Received as news
    /// with a node's death as the reason: that node's address.
    pub memory: u64,
    /// Its bytes.
    pub memory_length: u64,
    /// Not 0: the sender keeps the memory, and gets a copy of what is written to.
    pub memory_kept: u32,
    /// The name of the send-once right to which the reply goes, or 0.
    pub reply: u32,
    /// Received: the name of the port to which it came, a message or news, or 0.
    pub port: u32,
    /// Received: how many messages were received from that port before.
    pub sequence: u32,
    /// Received: what it is, a [`News`].
    pub news: u32,
    /// Received: the name or the number that the news are about.
    pub subject: u32,
    /// Received: why, for news that have a reason: the number of a [`Code`](crate::Code).
    pub reason: u64,
    /// The address of an [`InContext`], or 0.
    pub context: u64,
}

/// A right in a message.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Entry {
    /// Its name in the task.
    pub name: u32,
    /// Sent: a [`disposition`](crate::disposition). Received: a [`kind`](crate::kind).
    pub what: u32,
}

/// What travels with a call besides its data.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct InContext {
    /// Nanoseconds that are left for an answer, 0 for no limit.
    pub deadline: u64,
    /// Ties together the calls made on behalf of one request.
    pub trace: [u8; 16],
    /// The caller's priority.
    pub priority: u64,
}

/// What was received, a message or something from the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum News {
    /// A message.
    Message = 0,
    /// A send-once right was not used; the reason says why.
    SendOnce = 1,
    /// The port of a right died: its name, and why.
    DeadName = 2,
    /// The rights under a name were given up.
    NameDeleted = 3,
    /// Nobody can send; how many rights were made until then.
    NoSenders = 4,
    /// A receive right came back: its name.
    PortDestroyed = 5,
    /// There is room in the queue of the port of a right: its name.
    Room = 6,
}

impl News {
    /// The news of this number.
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => News::Message,
            1 => News::SendOnce,
            2 => News::DeadName,
            3 => News::NameDeleted,
            4 => News::NoSenders,
            5 => News::PortDestroyed,
            6 => News::Room,
            _ => return None,
        })
    }
}

/// What [`call::STATUS`](crate::call::STATUS) writes.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Status {
    /// The set in which the port is, or 0.
    pub set: u32,
    /// The number that the next message gets.
    pub sequence: u32,
    /// Send rights made since the receive right came here.
    pub make_sends: u32,
    /// How many messages its queue holds.
    pub queue_limit: u32,
    /// How many are in it.
    pub queued: u32,
    /// Threads that wait to send.
    pub blocked_senders: u32,
    /// Send-once rights.
    pub send_onces: u32,
    /// Bit 0: there are send rights. Bit 1: no senders were asked for. Bit 2: so was the port's
    /// destruction.
    pub flags: u32,
}

/// What [`call::LOCATE`](crate::call::LOCATE) writes.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Whereabouts {
    /// The node's FLIP address.
    pub address: u64,
    /// Its name, filled up with zeros.
    pub name: [u8; 16],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_specification() {
        assert_eq!(size_of::<Header>(), 96);
        assert_eq!(size_of::<Entry>(), 8);
        assert_eq!(size_of::<InContext>(), 32);
        assert_eq!(size_of::<Status>(), 32);
        assert_eq!(size_of::<Whereabouts>(), 24);
        assert_eq!(size_of::<crate::Fault>(), 176);
    }
}
