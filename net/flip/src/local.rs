//! The addresses that this node receives.
//!
//! Owns the set of registered public addresses. The first that was registered, the node's own,
//! is kept apart: nearly all packets are for it, and one comparison finds it.

use alloc::vec::Vec;

use crate::limits::ADDRESSES;
use crate::{Address, Full};

/// The set.
#[derive(Default)]
pub(crate) struct Local {
    /// The first registered; broadcast for none, to which no packet is delivered.
    primary: Address,
    /// All of them, sorted.
    all: Vec<Address>,
}

impl Local {
    /// The address registered first, broadcast if there is none.
    #[inline]
    pub(crate) const fn primary(&self) -> Address {
        self.primary
    }

    #[inline]
    pub(crate) fn contains(&self, address: Address) -> bool {
        (address == self.primary && !address.is_broadcast())
            || self.all.binary_search(&address).is_ok()
    }

    /// Adds an address; one that is there already stays.
    pub(crate) fn insert(&mut self, address: Address) -> Result<(), Full> {
        let Err(place) = self.all.binary_search(&address) else {
            return Ok(());
        };
        let full = self.all.len() >= ADDRESSES || address.is_broadcast();
        if full || self.all.try_reserve(1).is_err() {
            return Err(Full);
        }
        self.all.insert(place, address);
        if self.primary.is_broadcast() {
            self.primary = address;
        }
        Ok(())
    }

    /// Takes an address out; tells whether it was there.
    pub(crate) fn remove(&mut self, address: Address) -> bool {
        let Ok(place) = self.all.binary_search(&address) else {
            return false;
        };
        self.all.remove(place);
        if self.primary == address {
            self.primary = Address::BROADCAST;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "thousands of runs through the same few lines")]
    fn is_bounded() {
        let mut local = Local::default();
        for number in 1..=ADDRESSES as u64 {
            assert_eq!(local.insert(Address(number)), Ok(()));
        }
        assert_eq!(local.insert(Address(u64::MAX)), Err(Full));
        assert_eq!(local.insert(Address(5)), Ok(()), "already there");
        assert!(
            local.remove(Address(5)) && !local.remove(Address(5)) && !local.contains(Address(5))
        );
        assert_eq!(local.insert(Address::BROADCAST), Err(Full));
        assert_eq!(local.primary(), Address(1));
        assert!(
            local.contains(Address(1)) && local.remove(Address(1)) && !local.contains(Address(1))
        );
        assert!(!local.contains(Address::BROADCAST));
    }
}
