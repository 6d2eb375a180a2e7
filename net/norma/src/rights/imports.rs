//! What was imported from the peer of a session: what is known here of its exports.
//!
//! Owns: the table, and what is on its way to each.

use norma_ipc::{NoMemory, PortId};

use crate::aside::Aside;
use crate::limits::MAX_EXPORTS;
use crate::map::Map;
use crate::outbound::Via;
use crate::slots::Slots;

/// An export of the peer, as it is known here.
#[derive(Debug)]
pub(crate) struct Import {
    /// The peer's index.
    pub(crate) index: u32,
    /// Tells it from other imports that had its place.
    pub(crate) serial: u32,
    /// The stand-in.
    pub(crate) port: PortId,
    /// How often its receive right has moved, as the peer said.
    pub(crate) moves: u16,
    /// Send rights received and not yet given back.
    pub(crate) received: u32,
    /// Sequence number of the last MESSAGE to it.
    pub(crate) last: Option<u32>,
    /// The slot of the last message to it that was lined up.
    pub(crate) tail: Option<u32>,
    /// Messages to it whose fate is not known yet.
    pub(crate) unsettled: u32,
    /// Messages that were refused for a full queue, or because the port has moved, in order.
    pub(crate) refused: Aside,
    /// The next message begins the order anew.
    pub(crate) fresh: bool,
    /// The peer said that there is room again.
    pub(crate) room: bool,
    /// The peer said that the receive right has left it.
    pub(crate) moved: bool,
    /// It is to go when nothing is under way through it any more: the last right to the
    /// stand-in is gone, or the stand-in is to hang on another import.
    pub(crate) ending: bool,
}

#[derive(Debug)]
pub(crate) struct Imports {
    entries: Slots<Import>,
    by_index: Map<u32, u32>,
    serial: u32,
}

impl Imports {
    pub(crate) fn new() -> Self {
        Imports {
            entries: Slots::new(MAX_EXPORTS),
            by_index: Map::default(),
            serial: 0,
        }
    }

    /// Makes sure that the next [`Imports::add`] cannot fail, and says where it will be.
    pub(crate) fn reserve(&mut self) -> Result<u32, NoMemory> {
        self.entries.reserve(1)?;
        self.by_index.try_reserve(1).map_err(|_| NoMemory)?;
        Ok(self.entries.next_place())
    }

    /// An import of which one right has been received.
    pub(crate) fn add(&mut self, index: u32, port: PortId, moves: u16) -> Result<u32, NoMemory> {
        self.serial = self.serial.wrapping_add(1);
        let place = self.entries.insert(Import {
            index,
            serial: self.serial,
            port,
            moves,
            received: 1,
            last: None,
            tail: None,
            unsettled: 0,
            refused: Aside::default(),
            // The index may be that of an import that was given back a moment ago, and messages
            // through that may have been refused.
            fresh: true,
            room: false,
            moved: false,
            ending: false,
        })?;
        self.by_index.insert(index, place);
        Ok(place)
    }

    /// Where the stand-in for the peer's export is.
    pub(crate) fn find(&self, index: u32) -> Option<u32> {
        self.by_index.get(&index).copied()
    }

    #[inline]
    pub(crate) fn get(&self, place: u32) -> Option<&Import> {
        self.entries.get(place)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, place: u32) -> Option<&mut Import> {
        self.entries.get_mut(place)
    }

    /// The import through which a message went, if it still exists.
    #[inline(always)]
    pub(crate) fn of(&mut self, via: Via) -> Option<&mut Import> {
        self.entries
            .get_mut(via.import)
            .filter(|import| import.serial == via.serial)
    }

    pub(crate) fn remove(&mut self, place: u32) -> Option<Import> {
        let import = self.entries.remove(place)?;
        if self.by_index.get(&import.index) == Some(&place) {
            self.by_index.remove(&import.index);
        }
        Some(import)
    }

    /// Takes any import out, with its place, for a session that ends.
    pub(crate) fn remove_any(&mut self) -> Option<(u32, Import)> {
        let (place, _) = self.entries.iter().next()?;
        Some((place, self.remove(place)?))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Import)> {
        self.entries.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    /// Every import is in a place below this one.
    pub(crate) fn places(&self) -> u32 {
        self.entries.places()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}
