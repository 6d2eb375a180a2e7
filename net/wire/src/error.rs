//! Why bytes are not a frame of ours: one kind for each counter.
//!
//! Owns the reasons that parsing can give. All are the peer's or the network's fault, never
//! the caller's; whoever drops the frame counts the reason under [`Error::index`].

use core::fmt;

/// Why bytes could not be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Error {
    /// Fewer bytes than the fixed part of the format has.
    TooShort,
    /// An EtherType other than FLIP's.
    WrongEtherType,
    /// A version that this code does not speak.
    WrongVersion,
    /// A type, kind, operation or origin that does not exist, or not in this place.
    WrongType,
    /// A length that contradicts other lengths or the bytes that came.
    WrongLength,
    /// A field whose value is forbidden.
    BadField,
}

impl Error {
    /// How many kinds there are: the size of a table of counters.
    pub const COUNT: usize = 6;

    /// All kinds, in the order of their index.
    pub const ALL: [Error; Self::COUNT] = [
        Error::TooShort,
        Error::WrongEtherType,
        Error::WrongVersion,
        Error::WrongType,
        Error::WrongLength,
        Error::BadField,
    ];

    /// The place of this kind in a table of counters.
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// A short name, as shown beside its counter.
    pub const fn name(self) -> &'static str {
        match self {
            Error::TooShort => "too_short",
            Error::WrongEtherType => "wrong_ethertype",
            Error::WrongVersion => "wrong_version",
            Error::WrongType => "wrong_type",
            Error::WrongLength => "wrong_length",
            Error::BadField => "bad_field",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::TooShort => "shorter than its fixed part",
            Error::WrongEtherType => "not FLIP's EtherType",
            Error::WrongVersion => "unknown version",
            Error::WrongType => "unknown type",
            Error::WrongLength => "contradictory length",
            Error::BadField => "forbidden value in a field",
        })
    }
}

impl core::error::Error for Error {}
