//! The right descriptor (32 bytes): one right in transit.
//!
//! Owns its fields. Leaves the export tables that `index` and `there` point into, and the
//! counting of rights, to `norma-net`.

use crate::bytes::{get_u8, get_u16, get_u32, get_u64, put_u8, put_u16, put_u32, put_u64};
use crate::{Address, Error};

/// Bytes of a descriptor.
pub const LENGTH: usize = 32;

/// What the right permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// To send any number of messages.
    Send = 1,
    /// To send one message.
    SendOnce = 2,
    /// To receive: the port itself moves.
    Receive = 3,
    /// None: the message is for the send-once right that `session` and `there` name, which the
    /// receiver had exported to somebody else.
    Claim = 4,
    /// To send one message: the answer to the message that brings it. The last of its rights, and
    /// none in it.
    Reply = 5,
}

impl Kind {
    /// The kind with this number.
    #[inline]
    pub const fn from_u8(number: u8) -> Option<Kind> {
        Some(match number {
            1 => Kind::Send,
            2 => Kind::SendOnce,
            3 => Kind::Receive,
            4 => Kind::Claim,
            5 => Kind::Reply,
            _ => return None,
        })
    }
}

/// Where the port of the right is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Origin {
    /// At the sender of the frame: `index` is in the sender's export table.
    Sender = 1,
    /// At its receiver: the right comes home; `index` is in the receiver's export table.
    Receiver = 2,
    /// At a third node: `index` is in the sender's export table, and `node`, `session` and
    /// `there` say from where the sender itself has the right.
    Third = 3,
}

impl Origin {
    /// The origin with this number.
    #[inline]
    pub const fn from_u8(number: u8) -> Option<Origin> {
        Some(match number {
            1 => Origin::Sender,
            2 => Origin::Receiver,
            3 => Origin::Third,
            _ => return None,
        })
    }
}

/// A checked view of a descriptor: kind and origin are known.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor<'a>(&'a [u8; LENGTH]);

impl<'a> Descriptor<'a> {
    /// A view of the descriptor that `bytes` starts with (W-24).
    #[inline]
    pub fn new_checked(bytes: &'a [u8]) -> Result<Descriptor<'a>, Error> {
        Descriptor::from_array(bytes.first_chunk().ok_or(Error::TooShort)?)
    }

    /// The same for bytes that are known to be enough.
    #[inline]
    pub fn from_array(bytes: &'a [u8; LENGTH]) -> Result<Descriptor<'a>, Error> {
        let kind = Kind::from_u8(get_u8::<0, _>(bytes));
        let origin = Origin::from_u8(get_u8::<1, _>(bytes));
        if kind.is_none() || origin.is_none() {
            return Err(Error::WrongType);
        }
        Ok(Descriptor(bytes))
    }

    /// What the right permits.
    #[inline]
    pub fn kind(&self) -> Kind {
        // The view exists only for a known kind; the other branch is never taken.
        Kind::from_u8(get_u8::<0, _>(self.0)).unwrap_or(Kind::Send)
    }

    /// Where its port is.
    #[inline]
    pub fn origin(&self) -> Origin {
        Origin::from_u8(get_u8::<1, _>(self.0)).unwrap_or(Origin::Third)
    }

    /// How often the port's receive right has gone from node to node, wrapping.
    #[inline]
    pub fn moves(&self) -> u16 {
        get_u16::<2, _>(self.0)
    }

    /// Index in the export table that `origin` names.
    #[inline]
    pub fn index(&self) -> u32 {
        get_u32::<4, _>(self.0)
    }

    /// Identity of the port, 0 for a right without one.
    #[inline]
    pub fn port(&self) -> u64 {
        get_u64::<8, _>(self.0)
    }

    /// Address of the node from which the right comes.
    #[inline]
    pub fn node(&self) -> Address {
        Address(get_u64::<16, _>(self.0))
    }

    /// That node's number for its session with the sender; THIRD and CLAIM only.
    #[inline]
    pub fn session(&self) -> u32 {
        get_u32::<24, _>(self.0)
    }

    /// Index in the export table of that session; THIRD and CLAIM only.
    #[inline]
    pub fn there(&self) -> u32 {
        get_u32::<28, _>(self.0)
    }
}

/// A right descriptor, typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// What the right permits.
    pub kind: Kind,
    /// Where its port is.
    pub origin: Origin,
    /// How often the port's receive right has gone from node to node, wrapping.
    pub moves: u16,
    /// Index in the export table that `origin` names.
    pub index: u32,
    /// Identity of the port, 0 for a right without one.
    pub port: u64,
    /// Address of the node from which the right comes: the sender, or where it has it from.
    pub node: Address,
    /// That node's number for its session with the sender, or for CLAIM with whoever was given
    /// the right; else 0.
    pub session: u32,
    /// Index in the export table of that session; 0 but for THIRD and CLAIM.
    pub there: u32,
}

impl Repr {
    /// Reads a descriptor.
    #[inline]
    pub fn parse(descriptor: &Descriptor<'_>) -> Repr {
        Repr {
            kind: descriptor.kind(),
            origin: descriptor.origin(),
            moves: descriptor.moves(),
            index: descriptor.index(),
            port: descriptor.port(),
            node: descriptor.node(),
            session: descriptor.session(),
            there: descriptor.there(),
        }
    }

    /// Bytes that `emit` writes.
    pub const fn buffer_len(&self) -> usize {
        LENGTH
    }

    /// Writes the descriptor.
    #[inline]
    pub fn emit(&self, bytes: &mut [u8; LENGTH]) {
        put_u8::<0, _>(bytes, self.kind as u8);
        put_u8::<1, _>(bytes, self.origin as u8);
        put_u16::<2, _>(bytes, self.moves);
        put_u32::<4, _>(bytes, self.index);
        put_u64::<8, _>(bytes, self.port);
        put_u64::<16, _>(bytes, self.node.0);
        put_u32::<24, _>(bytes, self.session);
        put_u32::<28, _>(bytes, self.there);
    }
}
