//! The session header (62 bytes): which conversation, which frame of it, which port.
//!
//! Owns the fields and their places. Leaves their arithmetic in a frame to [`crate::layout`],
//! their meaning over time to `norma-net`. It starts at byte 54 of a frame so that, with 64
//! bytes of body, the first piece of a frame fills 180 bytes (192 with virtio-net's header).

use crate::Error;
use crate::bytes::{get, get_u8, get_u16, get_u32, put, put_u8, put_u16, put_u32, put_u64};

/// Bytes of the header.
pub const LENGTH: usize = 62;

/// The only version there is.
pub const VERSION: u8 = 1;

/// What a session frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Opens a session.
    Hello = 1,
    /// Answers HELLO.
    Welcome = 2,
    /// A message to a port, with its first pages.
    Message = 3,
    /// Further pages of a message.
    Part = 4,
    /// Nothing but the acknowledgement that every header carries.
    Ack = 5,
    /// Are you there? Is answered by ACK.
    Probe = 6,
    /// The receiver knows no such session.
    Reset = 7,
    /// Something about rights: see [`crate::control`].
    Control = 8,
}

impl Kind {
    /// The kind with this number.
    #[inline]
    pub const fn from_u8(number: u8) -> Option<Kind> {
        Some(match number {
            1 => Kind::Hello,
            2 => Kind::Welcome,
            3 => Kind::Message,
            4 => Kind::Part,
            5 => Kind::Ack,
            6 => Kind::Probe,
            7 => Kind::Reset,
            8 => Kind::Control,
            _ => return None,
        })
    }

    /// Whether a frame of this kind uses up a sequence number.
    #[inline]
    pub const fn is_sequenced(self) -> bool {
        matches!(self, Kind::Message | Kind::Part | Kind::Control)
    }
}

/// How many frames a `credit` means: up to 127 so many, from 128 on eights of them.
#[inline]
pub const fn credit_frames(credit: u8) -> u32 {
    if credit < 128 {
        credit as u32
    } else {
        (credit as u32 - 128) * 8
    }
}

/// The `credit` that means `frames`, or as many as it can say of them.
#[inline]
pub const fn credit_of(frames: u32) -> u8 {
    if frames < 128 {
        frames as u8
    } else if frames < 128 * 8 {
        128 + (frames / 8) as u8
    } else {
        255
    }
}

bitflags::bitflags! {
    /// Flags of a session frame.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Flags: u16 {
        /// The inline data were written by a big-endian sender.
        const BIG_ENDIAN = 0x01;
        /// A call context (32 bytes) ends the stream.
        const CONTEXT = 0x02;
        /// The sender waits for a reply.
        const RPC = 0x04;
        /// The destination is a send-once right, which is used up.
        const SEND_ONCE = 0x08;
        /// Ordering starts anew, after a refusal.
        const FRESH = 0x10;
        /// The inline data are items, which say what they are.
        const TYPED = 0x20;
        /// The sender waits to hear that the message is in the queue of its receiver.
        const CONFIRM = 0x40;
        /// The message is news of the sender's kernel; its id says what.
        const NOTIFICATION = 0x80;
    }
}

/// A checked view of a session header: version, kind and flags are known.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a>(&'a [u8; LENGTH]);

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $get:ident at $at:literal;)*) => {
        impl Header<'_> {
            $($(#[$doc])*
            #[inline]
            pub fn $name(&self) -> $type {
                $get::<$at, _>(self.0)
            })*
        }
    };
}

fields! {
    /// The number that the receiver chose for the session.
    session: u32 = get_u32 at 4;
    /// Sequence number of the frame; in unsequenced kinds the next that will be used.
    sequence: u32 = get_u32 at 8;
    /// Every sequenced frame before this number has arrived at the sender of this one.
    acknowledged: u32 = get_u32 at 12;
    /// Bit i: frame `acknowledged + 1 + i` has arrived too.
    selective: u32 = get_u32 at 16;
    /// How many frames from `acknowledged` on may be under way, see [`credit_frames`].
    credit: u8 = get_u8 at 20;
    /// Number of right descriptors.
    rights: u8 = get_u8 at 21;
    /// Bytes of inline data.
    inline: u16 = get_u16 at 22;
    /// Export index (MESSAGE), sequence of the MESSAGE (PART), operation (CONTROL), quoted session (RESET).
    destination: u32 = get_u32 at 24;
    /// Reply export index or 0 (MESSAGE), first page (PART), argument (CONTROL).
    reply: u32 = get_u32 at 28;
    /// Id of the message (MESSAGE), argument (CONTROL).
    id: u32 = get_u32 at 32;
    /// Bytes of out-of-line memory of the whole message (MESSAGE), argument (CONTROL).
    memory: u32 = get_u32 at 36;
    /// How many numbers ago the previous MESSAGE to this destination was sent; 0: that is settled.
    after: u16 = get_u16 at 40;
    /// Which key sealed the frame; 0: none.
    key: u32 = get_u32 at 42;
}

impl<'a> Header<'a> {
    /// A view of the header that `bytes` starts with.
    #[inline]
    pub fn new_checked(bytes: &'a [u8]) -> Result<Header<'a>, Error> {
        Header::from_array(bytes.first_chunk().ok_or(Error::TooShort)?)
    }

    /// The same for bytes that are known to be enough.
    #[inline]
    pub fn from_array(bytes: &'a [u8; LENGTH]) -> Result<Header<'a>, Error> {
        if get_u8::<0, _>(bytes) != VERSION {
            return Err(Error::WrongVersion);
        }
        if Kind::from_u8(get_u8::<1, _>(bytes)).is_none() {
            return Err(Error::WrongType);
        }
        // Which flags may come was agreed by the handshake, so that an unknown one is an error
        // (W-19).
        if get_u16::<2, _>(bytes) & !Flags::all().bits() != 0 {
            return Err(Error::BadField);
        }
        Ok(Header(bytes))
    }

    /// What the frame is for.
    #[inline]
    pub fn kind(&self) -> Kind {
        // The view exists only for a known kind; the other branch is never taken.
        Kind::from_u8(get_u8::<1, _>(self.0)).unwrap_or(Kind::Reset)
    }

    /// Its flags.
    #[inline]
    pub fn flags(&self) -> Flags {
        Flags::from_bits_retain(get_u16::<2, _>(self.0))
    }

    /// Whether a MESSAGE says that it is nothing but its header: no data, rights, context or
    /// memory. One look at all of it, for it is asked of each.
    #[inline(always)]
    pub fn is_bare(&self) -> bool {
        // Credit, rights and inline, the first of which says nothing about the message.
        let counts = get_u32::<20, _>(self.0) >> 8;
        let context = u32::from((self.flags() & Flags::CONTEXT).bits());
        counts | context | self.memory() == 0
    }

    /// The authentication tag (W-141).
    #[inline]
    pub fn tag(&self) -> [u8; 16] {
        get::<46, 16, _>(self.0)
    }
}

/// A session header, typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// What the frame is for.
    pub kind: Kind,
    /// Its flags.
    pub flags: Flags,
    /// The number that the receiver chose for the session; 0 in HELLO.
    pub session: u32,
    /// Sequence number of the frame; in unsequenced kinds the next that will be used.
    pub sequence: u32,
    /// Every sequenced frame before this number has arrived at the sender of this one.
    pub acknowledged: u32,
    /// Bit i: frame `acknowledged + 1 + i` has arrived too.
    pub selective: u32,
    /// How many frames from `acknowledged` on may be under way.
    pub credit: u8,
    /// Number of right descriptors.
    pub rights: u8,
    /// Bytes of inline data.
    pub inline: u16,
    /// Export index (MESSAGE), sequence of the MESSAGE (PART), operation (CONTROL), quoted session (RESET).
    pub destination: u32,
    /// Reply export index or 0 (MESSAGE), first page (PART), argument (CONTROL).
    pub reply: u32,
    /// Id of the message (MESSAGE), argument (CONTROL).
    pub id: u32,
    /// Bytes of out-of-line memory of the whole message (MESSAGE), argument (CONTROL).
    pub memory: u32,
    /// How many numbers ago the previous MESSAGE to this destination was sent; 0: that is settled.
    pub after: u16,
    /// Which key sealed the frame; 0: none.
    pub key: u32,
    /// The authentication tag; zeros where `key` is 0.
    pub tag: [u8; 16],
}

impl Repr {
    /// A header of this kind with all other fields zero.
    #[inline]
    pub const fn new(kind: Kind) -> Repr {
        Repr {
            kind,
            flags: Flags::empty(),
            session: 0,
            sequence: 0,
            acknowledged: 0,
            selective: 0,
            credit: 0,
            rights: 0,
            inline: 0,
            destination: 0,
            reply: 0,
            id: 0,
            memory: 0,
            after: 0,
            key: 0,
            tag: [0; 16],
        }
    }

    /// Reads a header.
    #[inline]
    pub fn parse(header: &Header<'_>) -> Repr {
        Repr {
            kind: header.kind(),
            flags: header.flags(),
            session: header.session(),
            sequence: header.sequence(),
            acknowledged: header.acknowledged(),
            selective: header.selective(),
            credit: header.credit(),
            rights: header.rights(),
            inline: header.inline(),
            destination: header.destination(),
            reply: header.reply(),
            id: header.id(),
            memory: header.memory(),
            after: header.after(),
            key: header.key(),
            tag: header.tag(),
        }
    }

    /// Bytes that `emit` writes.
    pub const fn buffer_len(&self) -> usize {
        LENGTH
    }

    /// Writes the header.
    #[inline(always)]
    pub fn emit(&self, bytes: &mut [u8; LENGTH]) {
        let flags = self.flags.bits().to_le_bytes();
        let inline = self.inline.to_le_bytes();
        let first = [VERSION, self.kind as u8, flags[0], flags[1]];
        let counts = [self.credit, self.rights, inline[0], inline[1]];
        // Eight bytes at a time: so they are read again for the check, and an emulator pays for
        // each access to memory.
        let pair = |first: u32, second: u32| u64::from(first) | u64::from(second) << 32;
        put_u64::<0, _>(bytes, pair(u32::from_le_bytes(first), self.session));
        put_u64::<8, _>(bytes, pair(self.sequence, self.acknowledged));
        put_u64::<16, _>(bytes, pair(self.selective, u32::from_le_bytes(counts)));
        put_u64::<24, _>(bytes, pair(self.destination, self.reply));
        put_u64::<32, _>(bytes, pair(self.id, self.memory));
        put_u16::<40, _>(bytes, self.after);
        put_u32::<42, _>(bytes, self.key);
        put::<46, 16, _>(bytes, self.tag);
    }

    /// Rewrites the fields that change when a kept frame is sent again.
    #[inline]
    pub fn refresh(bytes: &mut [u8; LENGTH], acknowledged: u32, selective: u32, credit: u8) {
        put_u32::<12, _>(bytes, acknowledged);
        put_u32::<16, _>(bytes, selective);
        put_u8::<20, _>(bytes, credit);
    }
}
