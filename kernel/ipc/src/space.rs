//! Spaces: the table of a task's names.
//!
//! One slot per name; send and receive rights to one port share a name, as in Mach, and equal
//! send rights merge. A look-up is one index and one comparison, however many names there are.

use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::error::{NoMemory, RightError};
use crate::limits::{DEFAULT_NAMES, RESTING_NAMES};
use crate::name::Name;
use crate::port::PortId;
use crate::request::Requests;
use crate::right::{Right, RightKind, Target};
use crate::set::SetId;

/// A space, for its kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpaceId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl SpaceId {
    /// Denotes nothing: no space has generation 0.
    pub(crate) const NONE: SpaceId = SpaceId {
        index: u32::MAX,
        generation: 0,
    };
}

/// What a name denotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) target: Target,
    pub(crate) receive: bool,
    /// User references to the send right.
    pub(crate) sends: u32,
    pub(crate) send_once: bool,
    /// Who is to be told of what becomes of it: see `request.rs`.
    pub(crate) requests: Requests,
}

impl Entry {
    /// A port set.
    pub(crate) const fn set(set: SetId) -> Self {
        Entry {
            target: Target::Set(set),
            receive: false,
            sends: 0,
            send_once: false,
            requests: Requests::NONE,
        }
    }

    /// One right.
    pub(crate) fn of(right: &Right) -> Self {
        Entry {
            target: right.target,
            receive: right.kind == RightKind::Receive,
            sends: u32::from(right.kind == RightKind::Send),
            send_once: right.kind == RightKind::SendOnce,
            requests: Requests::NONE,
        }
    }

    /// The port by which rights merge under this name; send-once rights never merge.
    pub(crate) fn merging_port(&self) -> Option<PortId> {
        match self.target {
            Target::Port(port) if !self.send_once => Some(port),
            _ => None,
        }
    }

    /// How many references to a right of that kind the name is worth.
    pub(crate) fn count(&self, kind: RightKind) -> u32 {
        match kind {
            RightKind::Receive => u32::from(self.receive),
            RightKind::Send => self.sends,
            RightKind::SendOnce => u32::from(self.send_once),
        }
    }
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    next_free: u32,
    /// It is in the list of free or of resting slots. A slot that is taken by name stays there,
    /// and is passed over when its turn comes.
    chained: bool,
    entry: Option<Entry>,
}

impl Slot {
    const fn new() -> Self {
        Slot {
            generation: 1,
            next_free: NONE,
            chained: false,
            entry: None,
        }
    }
}

const NONE: u32 = u32::MAX;

/// Spreads the index of a port: tables are keyed by small dense numbers.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct PortHash(u64);

impl core::hash::Hasher for PortHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.0 = (self.0.rotate_left(32) ^ u64::from(value)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

type BuildPortHash = core::hash::BuildHasherDefault<PortHash>;

/// The names of one task.
///
/// A freed slot is used again first, because it is warm. A slot whose generations are used up
/// rests in a queue instead until [`RESTING_NAMES`] others have joined it, so that a name which
/// somebody kept for long does not come to denote a right of later (`docs/ipc.md`, MUST I-4).
#[derive(Debug)]
pub(crate) struct Space {
    slots: Vec<Slot>,
    free: u32,
    used: u32,
    quota: u32,
    /// How many slots are in the list of those that rest.
    resting: u32,
    first_resting: u32,
    last_resting: u32,
    /// Under which name send and receive rights to a port are held, so that they merge.
    by_port: HashMap<PortId, Name, BuildPortHash>,
    /// What was indexed last, and is not in `by_port` yet: a right that comes with a message and
    /// goes again with its answer needs no table.
    newest: Option<(PortId, Name)>,
}

impl Space {
    pub(crate) fn new(quota: u32) -> Self {
        Space {
            slots: Vec::new(),
            free: NONE,
            used: 0,
            quota: quota.min(DEFAULT_NAMES),
            resting: 0,
            first_resting: NONE,
            last_resting: NONE,
            by_port: HashMap::with_hasher(BuildPortHash::default()),
            newest: None,
        }
    }

    #[inline]
    pub(crate) fn get(&self, name: Name) -> Result<&Entry, RightError> {
        match self.slots.get(name.index() as usize) {
            Some(Slot {
                generation,
                entry: Some(entry),
                ..
            }) if *generation == name.generation() => Ok(entry),
            _ => Err(RightError::InvalidName),
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, name: Name) -> Result<&mut Entry, RightError> {
        match self.slots.get_mut(name.index() as usize) {
            Some(Slot {
                generation,
                entry: Some(entry),
                ..
            }) if *generation == name.generation() => Ok(entry),
            _ => Err(RightError::InvalidName),
        }
    }

    /// The name that send and receive rights to `port` share.
    pub(crate) fn name_of(&self, port: PortId) -> Option<Name> {
        match self.newest {
            Some((newest, name)) if newest == port => Some(name),
            _ => self.by_port.get(&port).copied(),
        }
    }

    /// Room was reserved, and rights to `port` have no name.
    #[inline]
    fn index(&mut self, port: PortId, name: Name) {
        if let Some((earlier, name)) = self.newest.replace((port, name)) {
            self.by_port.insert(earlier, name);
        }
    }

    #[inline]
    fn unindex(&mut self, port: PortId) {
        match self.newest {
            Some((newest, _)) if newest == port => self.newest = None,
            _ => drop(self.by_port.remove(&port)),
        }
    }

    /// A fresh name for `entry`. Send-once rights never merge, so they are not indexed.
    pub(crate) fn insert(&mut self, entry: Entry) -> Result<Name, NoMemory> {
        self.reserve(&entry)?;
        let index = self.free_slot()?;
        let name = Name::new(index, self.slots[index as usize].generation);
        self.fill(name, entry);
        Ok(name)
    }

    /// As [`Space::insert`], for a send-once right: the shortest way.
    #[inline]
    pub(crate) fn insert_once(&mut self, target: Target) -> Result<Name, NoMemory> {
        if self.used >= self.quota {
            return Err(NoMemory);
        }
        let index = self.free_slot()?;
        let slot = &mut self.slots[index as usize];
        slot.entry = Some(Entry {
            target,
            receive: false,
            sends: 0,
            send_once: true,
            requests: Requests::NONE,
        });
        self.used += 1;
        Ok(Name::new(index, slot.generation))
    }

    /// Takes a send-once right of which nobody is to be told out, and forgets its name. `None`
    /// for whatever else.
    #[inline]
    pub(crate) fn take_once(&mut self, name: Name) -> Option<Target> {
        let index = name.index();
        let slot = self.slots.get_mut(index as usize)?;
        let entry = slot.entry.as_ref()?;
        let usual = entry.send_once && entry.requests == Requests::NONE && !slot.chained;
        let generation = slot.generation;
        if !usual || generation != name.generation() || generation + 1 >= Name::GENERATIONS {
            return None;
        }
        let target = entry.target;
        slot.entry = None;
        slot.generation = generation + 1;
        self.used -= 1;
        self.free(index);
        Some(target)
    }

    /// Gives `entry` the name that the caller chose.
    ///
    /// # Errors
    /// [`RightError::InvalidName`] for a name without generation, or whose index exceeds what
    /// the quota lets a table have; [`RightError::NameInUse`]; [`RightError::NoMemory`].
    pub(crate) fn insert_as(&mut self, name: Name, entry: Entry) -> Result<(), RightError> {
        self.check_choice(name)?;
        self.reserve(&entry)?;
        self.fill_as(name, entry)
    }

    /// Whether a name can be, and denotes nothing yet.
    fn check_choice(&self, name: Name) -> Result<(), RightError> {
        if name.generation() == 0 || name.index() >= self.quota.saturating_add(RESTING_NAMES) {
            return Err(RightError::InvalidName);
        }
        match self.slots.get(name.index() as usize) {
            Some(Slot { entry: Some(_), .. }) => Err(RightError::NameInUse),
            _ => Ok(()),
        }
    }

    /// As [`Space::fill`], in a slot that may have to be made.
    fn fill_as(&mut self, name: Name, entry: Entry) -> Result<(), RightError> {
        let index = name.index() as usize;
        let missing = (index + 1).saturating_sub(self.slots.len());
        self.slots
            .try_reserve(missing)
            .map_err(|_| RightError::NoMemory)?;
        for _ in 0..missing {
            self.slots.push(Slot::new());
        }
        // Those below it that are new are free; it is not.
        for free in self.slots.len() - missing..index {
            self.free(free as u32);
        }
        self.slots[index].generation = name.generation();
        self.fill(name, entry);
        Ok(())
    }

    /// Makes sure that there may be, and can be, one more entry.
    fn reserve(&mut self, entry: &Entry) -> Result<(), NoMemory> {
        if self.used >= self.quota {
            return Err(NoMemory);
        }
        self.reserve_index(entry)
    }

    fn reserve_index(&mut self, entry: &Entry) -> Result<(), NoMemory> {
        if entry.merging_port().is_some() && self.newest.is_some() {
            self.by_port.try_reserve(1).map_err(|_| NoMemory)?;
        }
        Ok(())
    }

    fn fill(&mut self, name: Name, entry: Entry) {
        self.slots[name.index() as usize].entry = Some(entry);
        self.used += 1;
        if let Some(port) = entry.merging_port() {
            self.index(port, name);
        }
    }

    /// Takes a slot that is free: a warm one, else the one that rested longest if enough rest,
    /// else a new one.
    #[inline]
    fn free_slot(&mut self) -> Result<u32, NoMemory> {
        while self.free != NONE {
            let index = self.free;
            self.free = self.slots[index as usize].next_free;
            if self.unchain(index) {
                return Ok(index);
            }
        }
        while self.resting >= RESTING_NAMES {
            let index = self.first_resting;
            self.first_resting = self.slots[index as usize].next_free;
            self.resting -= 1;
            if self.unchain(index) {
                return Ok(index);
            }
        }
        self.slots.try_reserve(1).map_err(|_| NoMemory)?;
        self.slots.push(Slot::new());
        Ok(self.slots.len() as u32 - 1)
    }

    /// A slot has left its list; whether it is free, and was not taken by name meanwhile.
    #[inline]
    fn unchain(&mut self, index: u32) -> bool {
        let slot = &mut self.slots[index as usize];
        slot.chained = false;
        slot.entry.is_none()
    }

    /// Gives what is under `name` the name `to`, and leaves all as it is if it cannot.
    pub(crate) fn rename(&mut self, name: Name, to: Name) -> Result<(), RightError> {
        let entry = *self.get(name)?;
        self.check_choice(to)?;
        // A quota is not exceeded by a change of names.
        self.reserve_index(&entry)?;
        let port = entry.merging_port();
        // Nothing is indexed twice.
        port.into_iter().for_each(|port| self.unindex(port));
        let filled = self.fill_as(to, entry);
        if filled.is_ok() {
            self.remove(name);
        }
        if let Some(port) = port {
            // The old name took the index with it; there is room for it still.
            self.index(port, if filled.is_ok() { to } else { name });
        }
        filled
    }

    /// Forgets the name; it denotes nothing from now on.
    pub(crate) fn remove(&mut self, name: Name) -> Option<Entry> {
        self.get(name).ok()?;
        let index = name.index();
        let slot = &mut self.slots[index as usize];
        let entry = slot.entry.take()?;
        self.used -= 1;
        let spent = slot.generation + 1 >= Name::GENERATIONS;
        // Generation 0 is skipped, so that no name is ever zero.
        slot.generation = if spent { 1 } else { slot.generation + 1 };
        match (slot.chained, spent) {
            (true, _) => {}
            (false, false) => self.free(index),
            (false, true) => self.rest(index),
        }
        if let Some(port) = entry.merging_port() {
            self.unindex(port);
        }
        Some(entry)
    }

    #[inline]
    fn free(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        slot.chained = true;
        slot.next_free = self.free;
        self.free = index;
    }

    #[cold]
    fn rest(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        slot.chained = true;
        slot.next_free = NONE;
        if self.resting == 0 {
            self.first_resting = index;
        } else {
            self.slots[self.last_resting as usize].next_free = index;
        }
        self.last_resting = index;
        self.resting += 1;
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> u32 {
        self.used
    }

    /// Places for names, used or not.
    pub(crate) fn places(&self) -> u32 {
        self.slots.len() as u32
    }

    /// The name in a place, with its entry.
    pub(crate) fn at(&self, place: u32) -> Option<(Name, &Entry)> {
        let slot = self.slots.get(place as usize)?;
        let entry = slot.entry.as_ref()?;
        Some((Name::new(place, slot.generation), entry))
    }

    /// Every name with its entry.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Name, &Entry)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            slot.entry
                .as_ref()
                .map(|entry| (Name::new(index as u32, slot.generation), entry))
        })
    }
}

#[cfg(feature = "audit")]
impl Space {
    /// Checks the table's own books: every slot is used, free or resting; the index by port
    /// holds what is held and nothing else.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let mut chained = 0;
        let mut next = self.free;
        while next != NONE && chained <= self.slots.len() {
            chained += 1;
            next = self.slots[next as usize].next_free;
        }
        chained += self.resting as usize;
        let said = self.slots.iter().filter(|slot| slot.chained).count();
        let used = self.iter().count();
        let taken_by_name = |slot: &&Slot| slot.chained && slot.entry.is_some();
        let both = self.slots.iter().filter(taken_by_name).count();
        if used != self.used as usize
            || chained != said
            || used + chained - both != self.slots.len()
        {
            return Err("the slots of a space do not add up");
        }
        let mut merging = 0;
        for (name, entry) in self.iter() {
            let rights = entry.receive || entry.sends > 0;
            let set = matches!(entry.target, Target::Set(_));
            if u8::from(entry.send_once) + u8::from(rights) + u8::from(set) != 1 {
                return Err("a name denotes no right, or rights that cannot share a name");
            }
            if let Some(port) = entry.merging_port() {
                merging += 1;
                if self.name_of(port) != Some(name) {
                    return Err("the index by port does not know a name");
                }
            }
        }
        if merging != self.by_port.len() + usize::from(self.newest.is_some()) {
            return Err("the index by port knows a name that denotes nothing");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            target: Target::Remote(crate::port::RemoteToken(0)),
            receive: false,
            sends: 0,
            send_once: true,
            requests: Requests::NONE,
        }
    }

    #[test]
    fn i_4_a_name_does_not_come_again_before_its_slot_has_rested() {
        let mut space = Space::new(1);
        let first = space.insert(entry()).unwrap();
        space.remove(first).unwrap();
        let rounds = if cfg!(miri) {
            5_000
        } else {
            Name::GENERATIONS * 100
        };
        for round in 0..rounds {
            // Both ways to name a right, and both to forget its name.
            let name = match round % 2 {
                0 => space.insert(entry()).unwrap(),
                _ => space.insert_once(entry().target).unwrap(),
            };
            assert_ne!(name, first);
            assert_ne!(name.raw(), 0);
            assert!(space.get(first).is_err() && space.take_once(first).is_none());
            if round % 3 == 0 || space.take_once(name).is_none() {
                space.remove(name).unwrap();
            }
        }
        assert_eq!(space.resting, (rounds + 1) / (Name::GENERATIONS - 1));
        space.check().unwrap();
    }

    #[test]
    fn slots_rest_in_order_and_come_back_in_order() {
        let mut space = Space::new(1);
        for index in 0..RESTING_NAMES {
            space.slots.push(Slot::new());
            space.rest(index);
        }
        assert_eq!(space.free_slot(), Ok(0));
        space.rest(0);
        assert_eq!(space.free_slot(), Ok(1));
        space.rest(1);
        space.check().unwrap();
    }

    #[test]
    fn a_name_can_be_chosen() {
        let mut space = Space::new(4);
        let chosen = Name::new(3, 77);
        space.insert_as(chosen, entry()).unwrap();
        space.check().unwrap();
        let again = space.insert_as(Name::new(3, 78), entry());
        assert_eq!(again, Err(RightError::NameInUse));
        for invalid in [
            Name::new(0, 0),
            Name::new(4 + RESTING_NAMES, 1),
            Name::from_raw(u32::MAX),
        ] {
            let refused = space.insert_as(invalid, entry());
            assert_eq!(refused, Err(RightError::InvalidName));
        }
        // The slots below it are free, and one of them is taken by name while it is listed.
        space.insert_as(Name::new(1, 5), entry()).unwrap();
        let mut others = [(); 2].map(|()| space.insert(entry()).unwrap());
        others.sort();
        assert_eq!(others, [Name::new(0, 1), Name::new(2, 1)]);
        assert_eq!(space.insert(entry()), Err(NoMemory));
        space.check().unwrap();
        for name in [chosen, Name::new(1, 5)] {
            assert!(space.remove(name).is_some() && space.remove(name).is_none());
            space.check().unwrap();
        }
        // What was freed while it was listed is listed once.
        space.insert_as(Name::new(1, 9), entry()).unwrap();
        space.remove(Name::new(1, 9)).unwrap();
        let next = space.insert(entry()).unwrap();
        assert_eq!((next.index(), next.generation()), (1, 10));
        space.check().unwrap();
    }

    #[test]
    fn the_short_way_takes_nothing_but_a_send_once_right_of_which_nobody_is_to_be_told() {
        let mut space = Space::new(2);
        let other = Entry {
            sends: 1,
            send_once: false,
            ..entry()
        };
        let names = [
            space.insert(other).unwrap(),
            space.insert_once(entry().target).unwrap(),
        ];
        assert_eq!(space.insert_once(entry().target), Err(NoMemory));
        assert_eq!(
            names.map(|name| space.take_once(name).is_some()),
            [false, true]
        );
        space.check().unwrap();
    }

    #[test]
    fn a_quota_never_exceeds_what_a_name_can_index() {
        assert_eq!(Space::new(u32::MAX).quota, DEFAULT_NAMES);
        const { assert!(DEFAULT_NAMES + RESTING_NAMES <= 1 << crate::limits::NAME_INDEX_BITS) };
    }
}
