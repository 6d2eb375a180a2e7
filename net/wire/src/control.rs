//! CONTROL frames, typed: what one node tells another about rights.
//!
//! Owns the numbers of the operations and which of the session header's four free fields
//! (`destination`, `reply`, `id`, `memory`) they use. Leaves the bookkeeping to `norma-net`.

use crate::{Error, session};

/// Why a MESSAGE was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Reason {
    /// The port's queue is full; ROOM will follow.
    Full = 1,
    /// The port is dead.
    Dead = 2,
    /// There was no memory to take it.
    NoMemory = 3,
    /// The port's receive right has moved away; MOVED says so too.
    Moved = 4,
}

/// A control operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Control {
    /// The sender has let go of `count` send rights to this export of the receiver.
    Release {
        /// Export index at the receiver of the frame.
        export: u32,
        /// How many rights; never 0.
        count: u32,
    },
    /// The port of this export of the sender is dead.
    Dead {
        /// Export index at the sender of the frame.
        export: u32,
    },
    /// A message was not accepted.
    Refused {
        /// Sequence number of its MESSAGE frame.
        sequence: u32,
        /// Why.
        reason: Reason,
    },
    /// The port of this export of the sender, which was full, has room.
    Room {
        /// Export index at the sender of the frame.
        export: u32,
    },
    /// This send-once right was destroyed unused: no reply will come.
    NoReply {
        /// Export index at the receiver of the frame.
        export: u32,
    },
    /// The port of this export of the sender has moved to another node.
    Moved {
        /// Export index at the sender of the frame.
        export: u32,
    },
    /// This send-once right of a third node was used there.
    Spent {
        /// Export index at the receiver of the frame.
        export: u32,
    },
}

impl Control {
    /// Reads the operation from a header's four free fields; those that it does not use are ignored.
    #[inline]
    pub fn from_fields(
        operation: u32,
        reply: u32,
        id: u32,
        _memory: u32,
    ) -> Result<Control, Error> {
        Ok(match operation {
            1 if id == 0 => return Err(Error::BadField),
            1 => Control::Release {
                export: reply,
                count: id,
            },
            2 => Control::Dead { export: reply },
            3 => {
                let reason = match id {
                    1 => Reason::Full,
                    2 => Reason::Dead,
                    3 => Reason::NoMemory,
                    4 => Reason::Moved,
                    _ => return Err(Error::BadField),
                };
                Control::Refused {
                    sequence: reply,
                    reason,
                }
            }
            4 => Control::Room { export: reply },
            5 => Control::NoReply { export: reply },
            6 => Control::Moved { export: reply },
            7 => Control::Spent { export: reply },
            _ => return Err(Error::WrongType),
        })
    }

    /// The four free fields: operation (`destination`), `reply`, `id`, `memory`.
    #[inline]
    pub const fn to_fields(self) -> (u32, u32, u32, u32) {
        match self {
            Control::Release { export, count } => (1, export, count, 0),
            Control::Dead { export } => (2, export, 0, 0),
            Control::Refused { sequence, reason } => (3, sequence, reason as u32, 0),
            Control::Room { export } => (4, export, 0, 0),
            Control::NoReply { export } => (5, export, 0, 0),
            Control::Moved { export } => (6, export, 0, 0),
            Control::Spent { export } => (7, export, 0, 0),
        }
    }

    /// Reads the operation of a CONTROL frame.
    #[inline]
    pub fn parse(header: &session::Header<'_>) -> Result<Control, Error> {
        if header.kind() != session::Kind::Control {
            return Err(Error::WrongType);
        }
        Control::from_fields(
            header.destination(),
            header.reply(),
            header.id(),
            header.memory(),
        )
    }

    /// Sets the kind and the four free fields of `header`.
    #[inline]
    pub fn emit(self, header: &mut session::Repr) {
        header.kind = session::Kind::Control;
        (header.destination, header.reply, header.id, header.memory) = self.to_fields();
    }
}
