//! The FLIP header (40 bytes) and FLIP addresses.
//!
//! Owns the fields and their places; a datagram's payload follows the header at once.
//! Leaves to `norma-flip` what is done with them. Unlike Amoeba's, whose headers were in the
//! sender's byte order with a flag to tell, ours are always little-endian.
//!
//! Source: Amoeba 5, `src/h/sys/flip/flip.h`; Kaashoek, van Renesse, van Staveren and
//! Tanenbaum, "FLIP: an internetwork protocol for supporting distributed systems", 1993.

use crate::Error;
use crate::bytes::{get_u8, get_u16, get_u32, get_u64, put_u8, put_u16, put_u32, put_u64};

/// Bytes of the header.
pub const LENGTH: usize = 40;

/// The only version there is.
pub const VERSION: u8 = 1;

/// A public FLIP address: a space of 8 bits above an address of 56.
///
/// It tells where something can be found; it never authorises anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Address(pub u64);

impl Address {
    /// The address that everybody receives.
    pub const BROADCAST: Address = Address(0);

    /// The low 56 bits: all of an address but its space.
    pub const MASK: u64 = (1 << 56) - 1;

    /// The top 8 bits.
    #[inline]
    pub const fn space(self) -> u8 {
        (self.0 >> 56) as u8
    }

    /// Whether everybody receives it.
    #[inline]
    pub const fn is_broadcast(self) -> bool {
        self.0 == 0
    }
}

impl core::fmt::Display for Address {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:02x}:{:014x}", self.space(), self.0 & Self::MASK)
    }
}

/// What a FLIP packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Who has this address?
    Locate = 1,
    /// It is here.
    HereIs = 2,
    /// A datagram for one receiver.
    UniData = 3,
    /// A datagram for all receivers of an address.
    MultiData = 4,
    /// The address is not (any more) where the datagram was sent.
    NotHere = 5,
    /// The datagram may cross trusted networks only, and would have had to leave them.
    Untrusted = 6,
}

impl Kind {
    /// The kind with this number.
    #[inline]
    pub const fn from_u8(number: u8) -> Option<Kind> {
        Some(match number {
            1 => Kind::Locate,
            2 => Kind::HereIs,
            3 => Kind::UniData,
            4 => Kind::MultiData,
            5 => Kind::NotHere,
            6 => Kind::Untrusted,
            _ => return None,
        })
    }
}

bitflags::bitflags! {
    /// Flags of a packet. A node keeps those that it does not know, and ignores them (W-6).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Flags: u8 {
        /// Only trusted networks may carry this packet.
        const SECURITY = 0x04;
        /// Of LOCATE: all receivers of the address are to answer, and not just one. Of HEREIS:
        /// that one was asked so.
        const ALL = 0x08;
        /// Set in UNTRUSTED: the destination cannot be reached over trusted networks.
        const UNREACHABLE = 0x10;
        /// Set by whoever sends the packet over an untrusted network; never taken back.
        const UNSAFE = 0x20;
        /// Of LOCATE: it seeks nobody, but says where its source is.
        const ANNOUNCE = 0x40;
        /// Of an announcement: the address has been held for a while already.
        const SETTLED = 0x80;
        /// All the others.
        const _ = !0;
    }
}

/// With what every header of that type starts: the version and the type.
pub const fn start(kind: Kind) -> [u8; 2] {
    [VERSION, kind as u8]
}

/// A checked view of a FLIP header.
///
/// Its length field is not checked against what follows, because the payload need not lie
/// behind the header in memory: see [`Packet::check_length`].
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a>(&'a [u8; LENGTH]);

impl<'a> Packet<'a> {
    /// A view of the header that `bytes` starts with; version and type are known (W-4, W-5).
    #[inline]
    pub fn new_checked(bytes: &'a [u8]) -> Result<Packet<'a>, Error> {
        Packet::from_array(bytes.first_chunk().ok_or(Error::TooShort)?)
    }

    /// The same for bytes that are known to be enough.
    #[inline]
    pub fn from_array(bytes: &'a [u8; LENGTH]) -> Result<Packet<'a>, Error> {
        if get_u8::<0, _>(bytes) != VERSION {
            return Err(Error::WrongVersion);
        }
        if Kind::from_u8(get_u8::<1, _>(bytes)).is_none() {
            return Err(Error::WrongType);
        }
        Ok(Packet(bytes))
    }

    /// Checks that `length` bytes of payload came (link padding may follow them, W-3) and
    /// that they lie inside the datagram.
    #[inline]
    pub fn check_length(&self, came: usize) -> Result<(), Error> {
        let end = u64::from(self.offset()) + u64::from(self.length());
        if self.length() as usize > came || end > u64::from(self.total()) {
            return Err(Error::WrongLength);
        }
        Ok(())
    }

    /// What the packet is for.
    #[inline]
    pub fn kind(&self) -> Kind {
        // The view exists only for a known kind; the other branch is never taken.
        Kind::from_u8(get_u8::<1, _>(self.0)).unwrap_or(Kind::Untrusted)
    }

    /// Its flags.
    #[inline]
    pub fn flags(&self) -> Flags {
        Flags::from_bits_retain(get_u8::<2, _>(self.0))
    }

    /// How many networks it has crossed.
    #[inline]
    pub fn actual_hop(&self) -> u16 {
        get_u16::<4, _>(self.0)
    }

    /// How many networks it may cross.
    #[inline]
    pub fn maximum_hop(&self) -> u16 {
        get_u16::<6, _>(self.0)
    }

    /// Whom it is for.
    #[inline]
    pub fn destination(&self) -> Address {
        Address(get_u64::<8, _>(self.0))
    }

    /// Whom it is from.
    #[inline]
    pub fn source(&self) -> Address {
        Address(get_u64::<16, _>(self.0))
    }

    /// The number that the fragments of one datagram share.
    #[inline]
    pub fn message_id(&self) -> u32 {
        get_u32::<24, _>(self.0)
    }

    /// Bytes of payload in this packet.
    #[inline]
    pub fn length(&self) -> u32 {
        get_u32::<28, _>(self.0)
    }

    /// Where these bytes lie in the datagram.
    #[inline]
    pub fn offset(&self) -> u32 {
        get_u32::<32, _>(self.0)
    }

    /// Bytes of payload of the whole datagram.
    #[inline]
    pub fn total(&self) -> u32 {
        get_u32::<36, _>(self.0)
    }

    /// Whether the packet carries its whole datagram.
    #[inline]
    pub fn is_whole(&self) -> bool {
        self.offset() == 0 && self.length() == self.total()
    }
}

/// A FLIP header in writing: setters for fields that change on the way.
#[derive(Debug)]
pub struct PacketMut<'a>(&'a mut [u8; LENGTH]);

impl<'a> PacketMut<'a> {
    /// A view of the header that `bytes` starts with. Nothing is checked but its length.
    #[inline]
    pub fn new(bytes: &'a mut [u8]) -> Result<PacketMut<'a>, Error> {
        Ok(PacketMut(bytes.first_chunk_mut().ok_or(Error::TooShort)?))
    }

    /// Changes the kind.
    #[inline]
    pub fn set_kind(&mut self, kind: Kind) {
        put_u8::<1, _>(self.0, kind as u8);
    }

    /// Changes the flags.
    #[inline]
    pub fn set_flags(&mut self, flags: Flags) {
        put_u8::<2, _>(self.0, flags.bits());
    }

    /// Changes the count of networks crossed.
    #[inline]
    pub fn set_actual_hop(&mut self, hops: u16) {
        put_u16::<4, _>(self.0, hops);
    }

    /// Changes whom the packet is for.
    #[inline]
    pub fn set_destination(&mut self, address: Address) {
        put_u64::<8, _>(self.0, address.0);
    }

    /// Changes the bytes of payload in this packet and their place in the datagram.
    #[inline]
    pub fn set_fragment(&mut self, offset: u32, length: u32) {
        put_u32::<28, _>(self.0, length);
        put_u32::<32, _>(self.0, offset);
    }
}

/// A FLIP header, typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// What the packet is for.
    pub kind: Kind,
    /// Its flags.
    pub flags: Flags,
    /// How many networks it has crossed.
    pub actual_hop: u16,
    /// How many networks it may cross.
    pub maximum_hop: u16,
    /// Whom it is for; in LOCATE, who is sought.
    pub destination: Address,
    /// Whom it is from; in HEREIS and NOTHERE see `docs/wire.md`.
    pub source: Address,
    /// The number that the fragments of one datagram share.
    pub message_id: u32,
    /// Bytes of payload in this packet.
    pub length: u32,
    /// Where these bytes lie in the datagram.
    pub offset: u32,
    /// Bytes of payload of the whole datagram.
    pub total: u32,
}

impl Repr {
    /// Whether it is a LOCATE that seeks nobody, and says where its source is.
    pub const fn is_announcement(&self) -> bool {
        matches!(self.kind, Kind::Locate) && self.flags.contains(Flags::ANNOUNCE)
    }

    /// Reads a header.
    #[inline]
    pub fn parse(packet: &Packet<'_>) -> Repr {
        Repr {
            kind: packet.kind(),
            flags: packet.flags(),
            actual_hop: packet.actual_hop(),
            maximum_hop: packet.maximum_hop(),
            destination: packet.destination(),
            source: packet.source(),
            message_id: packet.message_id(),
            length: packet.length(),
            offset: packet.offset(),
            total: packet.total(),
        }
    }

    /// Bytes that `emit` writes.
    pub const fn buffer_len(&self) -> usize {
        LENGTH
    }

    /// Writes the header.
    #[inline]
    pub fn emit(&self, bytes: &mut [u8; LENGTH]) {
        let first = [VERSION, self.kind as u8, self.flags.bits(), 0];
        put_u32::<0, _>(bytes, u32::from_le_bytes(first));
        put_u16::<4, _>(bytes, self.actual_hop);
        put_u16::<6, _>(bytes, self.maximum_hop);
        put_u64::<8, _>(bytes, self.destination.0);
        put_u64::<16, _>(bytes, self.source.0);
        // Two at a time: an emulator pays for each access to memory.
        let pair = |first: u32, second: u32| u64::from(first) | u64::from(second) << 32;
        put_u64::<24, _>(bytes, pair(self.message_id, self.length));
        put_u64::<32, _>(bytes, pair(self.offset, self.total));
    }
}
