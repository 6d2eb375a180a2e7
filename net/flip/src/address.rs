//! Private addresses and their public images.
//!
//! Owns the one-way function. A receiver registers a *private* address; senders know only its
//! *public* image, so that nobody can pose as the receiver of what he only sends to. Amoeba
//! took DES for it; this is SHA-256, cut to 56 bits. The space is kept.
//!
//! Source: `docs/wire.md`, chapter "Addresses"; Amoeba 5, `flip_oneway.c`.

use norma_wire::{Address, hash};

/// Separates this use of the hash from all others.
const CONTEXT: &str = "norma flip address v1";

/// The secret half of an address: whoever knows it can receive under [`PrivateAddress::image`].
///
/// It is not printed by `Debug`. It moves with a receive right.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PrivateAddress(u64);

impl PrivateAddress {
    /// The private address of these low 56 bits (the others are ignored) in this space.
    ///
    /// Random bits make an address that only its maker can register. Bits that anybody can
    /// compute, such as a hash of a name, make one that anybody can register.
    #[inline]
    pub const fn new(space: u8, bits: u64) -> PrivateAddress {
        PrivateAddress((space as u64) << 56 | bits & Address::MASK)
    }

    /// The number as a whole, space included: for carrying it to a new owner.
    #[inline]
    pub const fn to_u64(self) -> u64 {
        self.0
    }

    /// The reverse of [`PrivateAddress::to_u64`].
    #[inline]
    pub const fn from_u64(number: u64) -> PrivateAddress {
        PrivateAddress(number)
    }

    /// The public address that belongs to it: the first seven bytes of
    /// `derive_key(CONTEXT, the eight bytes of the private address)`, below the same space (W-9).
    pub fn image(self) -> Address {
        let hash = hash::derive(CONTEXT, &self.0.to_le_bytes());
        let low = u64::from_le_bytes([
            hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], 0,
        ]);
        Address(self.0 & !Address::MASK | low)
    }
}

impl core::fmt::Debug for PrivateAddress {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("PrivateAddress(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn image_keeps_the_space_and_hides_the_rest() {
        let private = PrivateAddress::new(7, 0xff00_0000_1234_5678);
        assert_eq!(private.to_u64(), 0x0700_0000_1234_5678);
        assert_eq!(private.image().space(), 7);
        assert_ne!(private.image().0, private.to_u64());
        assert_ne!(private.image(), PrivateAddress::new(7, 0x1234_5679).image());
        assert_eq!(PrivateAddress::from_u64(private.to_u64()), private);
        assert_eq!(format!("{private:?}"), "PrivateAddress(..)");
    }

    /// The value in `docs/wire.md`: a change of the function would part new nodes from old ones.
    #[test]
    fn image_is_the_documented_one() {
        assert_eq!(
            PrivateAddress::new(1, 1).image(),
            Address(0x01cdd607d58a3327)
        );
    }
}
