//! What is known about a message's inline data: typed or not, and in which byte order.
//!
//! One byte that travels with the message. Why the sender's order and not one fixed for all:
//! like machines then never convert, and unlike ones convert once, at the receiver, who knows
//! what it needs ("receiver makes it right", as in Mach's and ISIS' messages and in CORBA's CDR).

/// In which order the bytes of a number lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    /// The lowest byte first.
    Little,
    /// The highest byte first.
    Big,
}

impl ByteOrder {
    /// This machine's.
    pub const NATIVE: ByteOrder = if cfg!(target_endian = "big") {
        ByteOrder::Big
    } else {
        ByteOrder::Little
    };
}

/// The format of a message's inline data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Format(u8);

impl Format {
    const BIG_ENDIAN: u8 = 0x01;
    const TYPED: u8 = 0x20;
    /// Rights or memory were taken out by a reader: what the items say of them is no longer so.
    /// For this node alone.
    const OPENED: u8 = 0x80;

    /// Bytes whose meaning is the service's own, written by this machine.
    pub const RAW: Format = Format::new(false, ByteOrder::NATIVE);
    /// Items, written by this machine.
    pub const TYPED_HERE: Format = Format::new(true, ByteOrder::NATIVE);

    /// A format.
    pub const fn new(typed: bool, order: ByteOrder) -> Self {
        let typed = if typed { Self::TYPED } else { 0 };
        match order {
            ByteOrder::Little => Format(typed),
            ByteOrder::Big => Format(typed | Self::BIG_ENDIAN),
        }
    }

    /// The format as the network knows it: 0x01 for big-endian, 0x20 for typed. Other bits are
    /// ignored.
    #[inline(always)]
    pub const fn from_bits(bits: u8) -> Self {
        Format(bits & (Self::BIG_ENDIAN | Self::TYPED))
    }

    /// The reverse of [`Format::from_bits`].
    #[inline(always)]
    pub const fn bits(self) -> u8 {
        self.0 & (Self::BIG_ENDIAN | Self::TYPED)
    }

    /// Whether the data are items.
    #[inline]
    pub const fn is_typed(self) -> bool {
        self.0 & Self::TYPED != 0
    }

    /// The order of the sender's machine.
    #[inline]
    pub const fn order(self) -> ByteOrder {
        if self.0 & Self::BIG_ENDIAN == 0 {
            ByteOrder::Little
        } else {
            ByteOrder::Big
        }
    }

    #[inline]
    pub(crate) const fn is_foreign(self) -> bool {
        self.0 & Self::BIG_ENDIAN != Self::RAW.0
    }

    /// Whether rights or memory were taken out of the message.
    #[inline]
    pub const fn is_opened(self) -> bool {
        self.0 & Self::OPENED != 0
    }

    /// Says that they were: what the items say of them is no longer so. It does not travel.
    #[inline]
    pub fn open(&mut self) {
        self.0 |= Self::OPENED;
    }
}

impl core::fmt::Debug for Format {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Format")
            .field("typed", &self.is_typed())
            .field("order", &self.order())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_travel_as_two_bits() {
        for typed in [false, true] {
            for order in [ByteOrder::Little, ByteOrder::Big] {
                let mut format = Format::new(typed, order);
                assert_eq!((format.is_typed(), format.order()), (typed, order));
                assert_eq!(format.is_foreign(), order != ByteOrder::NATIVE);
                let bits = format.bits();
                format.open();
                assert_eq!(format.bits(), bits);
                assert_eq!(Format::from_bits(bits | 0xde), Format::new(typed, order));
            }
        }
    }
}
