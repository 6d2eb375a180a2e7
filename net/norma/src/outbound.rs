//! A message on its way to another node: what is known about it until its fate is.

use alloc::vec::Vec;

use norma_ipc::{Message, PortId, Right};
use norma_wire::descriptor;
use norma_wire::session::Flags;

/// What the receiver made of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has it, or will.
    Accepted,
    /// Its queue was full: to be sent again.
    Full,
    /// Its receive right has moved: to be sent where it is.
    Moved,
    /// There is nothing any more to which it could be sent.
    Dead,
    /// There was no memory for it.
    NoMemory,
}

/// A right in a message that is on its way.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) repr: descriptor::Repr,
    /// A right that goes home is held until it has arrived.
    pub(crate) held: Option<Right>,
    /// So many rights to the export by which it goes home are to be given back then (`owed`).
    pub(crate) owed: u32,
}

/// Through which stand-in a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Via {
    /// Place in the table of imports.
    pub(crate) import: u32,
    /// Tells the import from others that had its place.
    pub(crate) serial: u32,
    /// The stand-in whose place among the messages under way it takes.
    pub(crate) port: PortId,
}

impl Via {
    pub(crate) fn same_import(&self, other: &Via) -> bool {
        (self.import, self.serial) == (other.import, other.serial)
    }
}

/// A message on its way to another node. The rights in it have been turned into descriptors.
#[derive(Debug)]
pub(crate) struct Outbound<P> {
    pub(crate) message: Message<P>,
    /// The peer's export index.
    pub(crate) destination: u32,
    /// What the header says besides what follows from the message: SEND_ONCE, NOTIFICATION.
    pub(crate) flags: Flags,
    pub(crate) via: Option<Via>,
    /// Our export index of the reply right.
    pub(crate) reply: u32,
    pub(crate) rights: Vec<Packed>,
    /// Sequence number of its MESSAGE frame, once that was sent.
    pub(crate) sequence: u32,
    pub(crate) after: u16,
    pub(crate) fresh: bool,
    /// The first page that was not sent yet.
    pub(crate) next_page: u32,
    pub(crate) started: bool,
    /// Frames sent and not settled.
    pub(crate) frames: u32,
    pub(crate) verdict: Verdict,
    /// The next message to the same port, if it waits for this one, or behind it (`aside`).
    pub(crate) successor: Option<u32>,
}

impl<P> Outbound<P> {
    #[inline(always)]
    pub(crate) fn new(
        message: Message<P>,
        destination: u32,
        via: Option<Via>,
        flags: Flags,
        reply: u32,
        rights: Vec<Packed>,
    ) -> Self {
        Outbound {
            message,
            destination,
            flags,
            via,
            reply,
            rights,
            sequence: 0,
            after: 0,
            fresh: false,
            next_page: 0,
            started: false,
            frames: 0,
            verdict: Verdict::Accepted,
            successor: None,
        }
    }

    #[inline]
    pub(crate) fn pages(&self) -> u32 {
        self.message.memory().pages().len() as u32
    }

    /// Whether it is certain that the peer has not taken it: nothing of it was sent since the
    /// peer refused it, if it did.
    pub(crate) fn never_taken(&self) -> bool {
        !self.started || self.verdict == Verdict::Full
    }

    #[inline]
    pub(crate) fn all_sent(&self) -> bool {
        self.started && self.next_page >= self.pages()
    }
}
