//! What was exported to the peer of a session: rights of this node that the peer holds.
//!
//! Owns: the table, in which each has an index with a generation, and how often it was sent.

use norma_ipc::{Ipc, NoMemory, Page, PortId, Reason, RemoteToken, Right, RightKind};

use crate::limits::MAX_EXPORTS;
use crate::map::Map;
use crate::slots::Slots;

/// Export index of nothing.
pub(crate) const NO_EXPORT: u32 = 0;
/// Export index of the node itself, which serves its peers (`service`).
pub(crate) const NODE_SERVICE: u32 = 1;

/// CONTROL frames about an export of a send right that room is kept for: DEAD, ROOM and MOVED.
pub(crate) const PER_EXPORT: usize = 3;

/// Whether messages to an export go the usual way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Barred {
    /// They do.
    No,
    /// The port refused one for a full queue; all others are refused too, until the peer begins
    /// anew, so that their order is kept.
    Full,
    /// One was accepted that still waits for its receive rights (`hold`): all others are refused
    /// as for a full queue. Until that is delivered the export stays, though the peer has let go
    /// of it (`sent` is 0 then): a right that it gets anew has the same index, so order holds.
    Holding,
    /// The same, and others were.
    HoldingFull,
    /// The receive right has left: the peer is to ask where it is.
    Moved,
    /// The receive right came from this peer, and what comes here was queued there (`arriving`).
    Backlog,
    /// A send-once right with as many uses as `sent` says: those to the port of a receive right
    /// that came from this peer.
    Counted,
    /// The same, before the peer said how many: `sent` is one more than were used by now.
    Uncounted,
}

#[derive(Debug)]
pub(crate) struct Export {
    pub(crate) right: Right,
    generation: u16,
    /// Send rights sent and not yet given back; 1 for a send-once right.
    pub(crate) sent: u32,
    pub(crate) barred: Barred,
    /// The send right only keeps the port: nobody can send through it.
    pub(crate) pinned: bool,
}

impl Export {
    pub(crate) fn is_once(&self) -> bool {
        self.right.kind() == RightKind::SendOnce
    }

    /// Whether a message that came to it was accepted and waits (`hold`).
    pub(crate) fn holds(&self) -> bool {
        matches!(self.barred, Barred::Holding | Barred::HoldingFull)
    }

    /// Releases what it held.
    pub(crate) fn release<P: Page>(self, ipc: &mut Ipc<P>, reason: Reason) {
        let port = self.right.port();
        match self.barred {
            Barred::Uncounted => ipc.retract(self.right),
            _ if self.pinned => ipc.release_pin(self.right),
            Barred::Counted => {
                ipc.release_because(self.right, reason);
                for _ in 1..self.sent {
                    if let Some(right) = port.and_then(|port| ipc.claim(port)) {
                        ipc.release_because(right, reason);
                    }
                }
            }
            _ => ipc.release_because(self.right, reason),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Exports {
    entries: Slots<Export>,
    /// Generation of each place, also while it is empty.
    generations: alloc::vec::Vec<u16>,
    by_port: Map<PortId, u32>,
    /// Of send-once rights that had several uses: those whose last one was taken by a message
    /// that may yet be refused.
    last_uses: alloc::vec::Vec<u32>,
    /// Of send-once rights that have several uses: how many of those are rights that are here by
    /// now, which will be said when every node between has heard so.
    at_home: alloc::vec::Vec<(u32, u32)>,
}

/// Rights of this kind that are remembered: half of them are more than there are in a message.
const LAST_USES: usize = 512;

/// Places below this are not used: the two numbers above are taken.
const FIRST_PLACE: u32 = 2;

const fn index_of(place: u32, generation: u16) -> u32 {
    ((generation as u32) << 16) | (place + FIRST_PLACE)
}

const fn place_of(index: u32) -> Option<u32> {
    (index & 0xffff).checked_sub(FIRST_PLACE)
}

impl Exports {
    pub(crate) fn new() -> Self {
        Exports {
            entries: Slots::new(MAX_EXPORTS - FIRST_PLACE as usize),
            generations: alloc::vec::Vec::new(),
            by_port: Map::default(),
            last_uses: alloc::vec::Vec::new(),
            at_home: alloc::vec::Vec::new(),
        }
    }

    /// Makes sure that the next `count` calls of [`Exports::add`] cannot fail.
    #[inline(always)]
    pub(crate) fn reserve(&mut self, count: usize) -> Result<(), NoMemory> {
        if self.entries.free() < count {
            self.grow(count)?;
        }
        Ok(())
    }

    #[cold]
    fn grow(&mut self, count: usize) -> Result<(), NoMemory> {
        self.generations.try_reserve(count).map_err(|_| NoMemory)?;
        self.entries.reserve(count)?;
        self.generations.resize(self.entries.places() as usize, 0);
        Ok(())
    }

    /// Makes sure that the next `count` ports can be remembered.
    pub(crate) fn reserve_ports(&mut self, count: usize) -> Result<(), NoMemory> {
        self.by_port.try_reserve(count).map_err(|_| NoMemory)
    }

    /// A new export. Room must have been reserved (W-50).
    #[inline(always)]
    pub(crate) fn add(&mut self, right: Right) -> u32 {
        let generation = self.generations[self.entries.next_place() as usize];
        let place = self.entries.insert_reserved(|_| Export {
            right,
            generation,
            sent: 1,
            barred: Barred::No,
            pinned: false,
        });
        index_of(place, generation)
    }

    pub(crate) fn remember_port(&mut self, port: PortId, index: u32) {
        self.by_port.insert(port, index);
    }

    /// The index under which send rights to `port` are exported.
    pub(crate) fn of_port(&self, port: PortId) -> Option<u32> {
        self.by_port.get(&port).copied()
    }

    #[inline(always)]
    pub(crate) fn get(&self, index: u32) -> Option<&Export> {
        let export = self.entries.get(place_of(index)?)?;
        (u32::from(export.generation) == index >> 16).then_some(export)
    }

    #[inline(always)]
    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut Export> {
        let export = self.entries.get_mut(place_of(index)?)?;
        (u32::from(export.generation) == index >> 16).then_some(export)
    }

    /// Takes an export out; its index is stale from now on.
    #[inline(always)]
    pub(crate) fn remove(&mut self, index: u32) -> Option<Right> {
        let place = place_of(index)?;
        let current = |export: &Export| u32::from(export.generation) == index >> 16;
        let right = self
            .entries
            .remove_part(place, current, |export| export.right)?;
        let generation = &mut self.generations[place as usize];
        *generation = generation.wrapping_add(1);
        if right.kind() != RightKind::SendOnce
            && let Some(port) = right.port()
            && self.by_port.get(&port) == Some(&index)
        {
            self.by_port.remove(&port);
        }
        Some(right)
    }

    /// Takes a send-once right out that a message has brought home, or one of its uses (W-52).
    ///
    /// # Errors
    /// [`NoMemory`], and nothing was taken out.
    #[cold]
    pub(crate) fn take_home<P: Page>(
        &mut self,
        ipc: &mut Ipc<P>,
        index: u32,
    ) -> Result<Right, NoMemory> {
        let export = self.get(index).ok_or(NoMemory)?;
        if export.barred == Barred::Counted && export.sent == 1 {
            if self.last_uses.len() >= LAST_USES {
                // Of messages that were decided long ago, but for those of this one.
                self.last_uses.drain(..LAST_USES / 2);
            }
            self.last_uses.try_reserve(1).map_err(|_| NoMemory)?;
            self.last_uses.push(index);
        }
        self.use_up(ipc, index).ok_or(NoMemory)
    }

    /// Puts a right back that was the last to be taken out by [`Exports::take_home`], as if it
    /// had not been: no other was added or taken out since.
    ///
    /// # Errors
    /// Gives the right back if another was.
    pub(crate) fn restore<P: Page>(
        &mut self,
        ipc: &mut Ipc<P>,
        index: u32,
        right: Right,
    ) -> Result<(), Right> {
        if let Some(export) = self.get_mut(index) {
            match export.barred {
                Barred::Counted => {
                    export.sent += 1;
                    ipc.give_back_claim(right);
                }
                Barred::Uncounted => {
                    export.sent -= 1;
                    ipc.retract(right);
                }
                _ => return Err(right),
            }
            return Ok(());
        }
        let place = place_of(index)
            .filter(|place| self.entries.free() > 0 && *place == self.entries.next_place());
        let Some(place) = place else {
            return Err(right);
        };
        self.generations[place as usize] = (index >> 16) as u16;
        self.add(right);
        let mut uses = self.last_uses.iter();
        if let Some(at) = uses.rposition(|last| *last == index) {
            self.last_uses.remove(at);
            if let Some(export) = self.get_mut(index) {
                export.barred = Barred::Counted;
            }
        }
        Ok(())
    }

    /// Takes one right out of an export to which it had been added, as if it had not been. Tells
    /// whether it was the last; `None` for one that is gone.
    pub(crate) fn take_back<P: Page>(
        &mut self,
        ipc: &mut Ipc<P>,
        index: u32,
    ) -> Option<(Right, bool)> {
        let export = self.get_mut(index)?;
        if (export.sent > 1 || export.holds()) && !export.is_once() {
            let right = ipc.duplicate(&export.right).ok()?;
            export.sent -= 1;
            return Some((right, false));
        }
        self.remove(index).map(|right| (right, true))
    }

    /// Takes an export out with all that there is to it.
    #[cold]
    pub(crate) fn take(&mut self, index: u32) -> Option<Export> {
        let export = self.get(index)?;
        let (sent, barred, pinned) = (export.sent, export.barred, export.pinned);
        Some(Export {
            right: self.remove(index)?,
            generation: 0,
            sent,
            barred,
            pinned,
        })
    }

    /// Takes any export out, for a session that ends.
    pub(crate) fn remove_any(&mut self) -> Option<Export> {
        let (index, _) = self.iter().next()?;
        self.take(index)
    }

    /// Uses one up of a send-once right that has several uses, or that right itself.
    #[cold]
    pub(crate) fn use_up<P: Page>(&mut self, ipc: &mut Ipc<P>, index: u32) -> Option<Right> {
        // Who uses a send right up as if it were one has forged it.
        let export = self.get_mut(index).filter(|export| export.is_once())?;
        if export.barred == Barred::Counted && export.sent > 1 {
            export.sent -= 1;
            return ipc.claim(export.right.port()?);
        }
        if export.barred == Barred::Uncounted {
            // The peer's word of how many there are is behind this one's use.
            let port = export.right.port()?;
            ipc.lend(port, 1).ok()?;
            export.sent += 1;
            return ipc.claim(port);
        }
        self.remove(index)
    }

    /// Makes sure that the next [`Exports::are_at_home`] has room.
    pub(crate) fn reserve_home(&mut self) -> Result<(), NoMemory> {
        self.at_home.try_reserve(1).map_err(|_| NoMemory)
    }

    /// So many of the uses of a send-once right are rights that are here. Room was reserved.
    pub(crate) fn are_at_home(&mut self, index: u32, count: u32) {
        if count > 0 {
            self.at_home.push((index, count));
        }
    }

    /// So many of them have been released.
    pub(crate) fn came_home(&mut self, index: u32, count: u32) {
        for (of, left) in &mut self.at_home {
            if *of == index {
                *left = left.saturating_sub(count);
            }
        }
        self.at_home.retain(|(_, left)| *left > 0);
    }

    /// Takes out who was not released.
    pub(crate) fn next_at_home(&mut self) -> Option<(u32, u32)> {
        self.at_home.pop()
    }

    /// Forgets as many uses of a send-once right, as far as there are so many, and tells nobody.
    /// Returns where they are counted too, if the port has gone on, and how many there were.
    pub(crate) fn forget_uses<P: Page>(
        &mut self,
        ipc: &mut Ipc<P>,
        index: u32,
        count: u32,
    ) -> (Option<RemoteToken>, u32) {
        let counted = |export: &&mut Export| export.barred == Barred::Counted;
        let Some(export) = self.get_mut(index).filter(counted) else {
            return (None, 0);
        };
        let Some(port) = export.right.port() else {
            return (None, 0);
        };
        let count = count.min(export.sent);
        let last = export.sent == count;
        export.sent -= count;
        ipc.retract_lent(port, count - u32::from(last));
        let onces_to = ipc.onces_to(port);
        if last && let Some(right) = self.remove(index) {
            ipc.retract(right);
        }
        (onces_to, count)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Every export is in a place below this one.
    pub(crate) fn places(&self) -> u32 {
        self.entries.places()
    }

    /// The export in a place, with its index.
    pub(crate) fn at(&self, place: u32) -> Option<(u32, &Export)> {
        let export = self.entries.get(place)?;
        Some((index_of(place, export.generation), export))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Export)> {
        self.entries
            .iter()
            .map(|(place, export)| (index_of(place, export.generation), export))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_of_several_uses_that_came_home_can_be_put_back() {
        for (barred, sent, lent) in [
            (Barred::Counted, 1, 0),
            (Barred::Counted, 3, 2),
            (Barred::Uncounted, 1, 0),
            (Barred::Uncounted, 2, 0),
        ] {
            let mut ipc: norma_ipc::Ipc<norma_ipc::HeapPage> = norma_ipc::Ipc::new();
            let space = ipc.create_space(8).unwrap();
            let name = ipc.allocate_port(space).unwrap();
            let right = ipc.make_right(space, name, RightKind::SendOnce).unwrap();
            let port = right.port().unwrap();
            ipc.lend(port, lent).unwrap();
            let mut exports = Exports::new();
            exports.reserve(1).unwrap();
            let index = exports.add(right);
            let export = exports.get_mut(index).unwrap();
            (export.barred, export.sent) = (barred, sent);
            for _ in 0..3 {
                let right = exports.take_home(&mut ipc, index).unwrap();
                exports.restore(&mut ipc, index, right).unwrap();
                let export = exports.get(index).unwrap();
                assert_eq!((export.barred, export.sent), (barred, sent));
                assert_eq!(ipc.lent(port), lent);
                ipc.audit(exports.iter().map(|(_, export)| &export.right))
                    .unwrap();
            }
        }
    }

    #[test]
    fn a_stale_export_index_denotes_nothing() {
        let mut ipc: norma_ipc::Ipc<norma_ipc::HeapPage> = norma_ipc::Ipc::new();
        let space = ipc.create_space(8).unwrap();
        let name = ipc.allocate_port(space).unwrap();
        let mut exports = Exports::new();
        let mut export = |ipc: &mut norma_ipc::Ipc<_>| {
            let right = ipc
                .make_right(space, name, norma_ipc::RightKind::SendOnce)
                .unwrap();
            exports.reserve(1).unwrap();
            let index = exports.add(right);
            assert!(index > NODE_SERVICE);
            assert!(exports.get(index).is_some());
            ipc.release(exports.remove(index).unwrap());
            assert!(exports.get(index).is_none() && exports.remove(index).is_none());
            index
        };
        assert_ne!(export(&mut ipc), export(&mut ipc));
    }
}
