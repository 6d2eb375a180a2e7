//! Ports by the identity that they have on every node, and the import on which a stand-in hangs.
//!
//! Owns: the map from a port's identity to the one port that stands for it on this node: the
//! port itself, or its stand-in. So equal rights have one name, by whichever way they came, and
//! a right that comes home is the local right.
//!
//! What always holds (W-102 to W-104): a port that is here has no import here. A stand-in hangs
//! on exactly one import, the one whose token is its sink; at most one other import of the same
//! port exists, and it is to **follow**: it takes over when nothing is under way through the
//! first any more (`switch`). Any further one is given back at once.

use norma_ipc::{NoMemory, PortId, RemoteToken};

use crate::map::Map;

/// A port that other nodes know, or of which this node knows from others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) port: PortId,
    /// The import on which the stand-in will hang next.
    pub(crate) next: Option<RemoteToken>,
}

#[derive(Debug, Default)]
pub(crate) struct Directory(Map<u64, Known>);

impl Directory {
    /// Makes sure that the next `count` calls of [`Directory::insert`] cannot fail.
    pub(crate) fn reserve(&mut self, count: usize) -> Result<(), NoMemory> {
        self.0.try_reserve(count).map_err(|_| NoMemory)
    }

    /// Enters a port, for which room was made.
    pub(crate) fn insert(&mut self, identity: u64, port: PortId) {
        if identity != 0 {
            self.0.insert(identity, Known { port, next: None });
        }
    }

    pub(crate) fn get(&self, identity: u64) -> Option<&Known> {
        self.0.get(&identity)
    }

    pub(crate) fn get_mut(&mut self, identity: u64) -> Option<&mut Known> {
        self.0.get_mut(&identity)
    }

    /// Forgets a port, unless another stands for that identity by now.
    pub(crate) fn remove(&mut self, identity: u64, port: PortId) -> Option<Known> {
        if self.get(identity)?.port != port {
            return None;
        }
        self.0.remove(&identity)
    }

    #[cfg(feature = "audit")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Known)> {
        self.0.iter().map(|(identity, known)| (*identity, known))
    }
}

/// Whether a receive right that has moved `one` times was there later than `other` says.
/// The counts wrap.
pub(crate) const fn newer(one: u16, other: u16) -> bool {
    one.wrapping_sub(other) as i16 > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_are_compared_though_they_wrap() {
        assert!(newer(1, 0) && !newer(0, 1) && !newer(5, 5));
        assert!(newer(0, u16::MAX) && !newer(u16::MAX, 0));
    }
}
