//! Names: what a space calls a right.
//!
//! A name is an index into the space's table and a generation, so that a name which outlived
//! its right denotes nothing, and never somebody else's port (Mach's `MACH_PORT_MAKE`, Hubris'
//! task identifiers).

use core::fmt;

use crate::limits::NAME_INDEX_BITS;

const INDEX_MASK: u32 = (1 << NAME_INDEX_BITS) - 1;

/// A right's name within one space: 20 bits of index, 12 bits of generation. Never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(u32);

impl Name {
    /// How many generations there are before one comes again.
    pub(crate) const GENERATIONS: u32 = 1 << (32 - NAME_INDEX_BITS);

    #[inline]
    pub(crate) const fn new(index: u32, generation: u32) -> Self {
        Name((generation << NAME_INDEX_BITS) | (index & INDEX_MASK))
    }

    #[inline]
    pub(crate) const fn index(self) -> u32 {
        self.0 & INDEX_MASK
    }

    #[inline]
    pub(crate) const fn generation(self) -> u32 {
        self.0 >> NAME_INDEX_BITS
    }

    /// The name as a number, for a register or a log.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// The name that [`Name::raw`] gave.
    pub const fn from_raw(raw: u32) -> Self {
        Name(raw)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index(), self.generation())
    }
}
