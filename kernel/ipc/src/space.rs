//! Spaces: the table of a task's names.
//!
//! One slot per name; send and receive rights to one port share a name, as in Mach, and equal
//! send rights merge. A look-up is one index and one comparison, however many names there are.

use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::error::{NoMemory, RightError};
use crate::name::Name;
use crate::port::PortId;
use crate::right::Target;

/// A space, for its kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpaceId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// What a name denotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) target: Target,
    pub(crate) receive: bool,
    /// User references to the send right.
    pub(crate) sends: u32,
    pub(crate) send_once: bool,
}

impl Entry {
    /// The port by which rights merge under this name; send-once rights never merge.
    fn merging_port(&self) -> Option<PortId> {
        match self.target {
            Target::Port(port) if !self.send_once => Some(port),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    entry: Option<Entry>,
    next_free: u32,
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

#[derive(Debug)]
pub(crate) struct Space {
    slots: Vec<Slot>,
    free: u32,
    used: u32,
    quota: u32,
    /// Under which name send and receive rights to a port are held, so that they merge.
    by_port: HashMap<PortId, Name, BuildPortHash>,
}

impl Space {
    pub(crate) fn new(quota: u32) -> Self {
        Space {
            slots: Vec::new(),
            free: NONE,
            used: 0,
            quota,
            by_port: HashMap::with_hasher(BuildPortHash::default()),
        }
    }

    #[inline]
    pub(crate) fn get(&self, name: Name) -> Result<&Entry, RightError> {
        match self.slots.get(name.index() as usize) {
            Some(Slot { generation, entry: Some(entry), .. })
                if *generation == name.generation() =>
            {
                Ok(entry)
            }
            _ => Err(RightError::InvalidName),
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, name: Name) -> Result<&mut Entry, RightError> {
        match self.slots.get_mut(name.index() as usize) {
            Some(Slot { generation, entry: Some(entry), .. })
                if *generation == name.generation() =>
            {
                Ok(entry)
            }
            _ => Err(RightError::InvalidName),
        }
    }

    /// The name that send and receive rights to `port` share.
    pub(crate) fn name_of(&self, port: PortId) -> Option<Name> {
        self.by_port.get(&port).copied()
    }

    /// A fresh name for `entry`. Send-once rights never merge, so they are not indexed.
    pub(crate) fn insert(&mut self, entry: Entry) -> Result<Name, NoMemory> {
        if self.used >= self.quota {
            return Err(NoMemory);
        }
        if !entry.send_once {
            self.by_port.try_reserve(1).map_err(|_| NoMemory)?;
        }
        let index = if self.free == NONE {
            let index = self.slots.len() as u32;
            self.slots.try_reserve(1).map_err(|_| NoMemory)?;
            self.slots.push(Slot { generation: 1, entry: Some(entry), next_free: NONE });
            index
        } else {
            let index = self.free;
            let slot = &mut self.slots[index as usize];
            self.free = slot.next_free;
            slot.entry = Some(entry);
            index
        };
        self.used += 1;
        let name = Name::new(index, self.slots[index as usize].generation);
        if let Some(port) = entry.merging_port() {
            self.by_port.insert(port, name);
        }
        Ok(name)
    }

    /// Forgets the name; it denotes nothing from now on.
    pub(crate) fn remove(&mut self, name: Name) -> Option<Entry> {
        self.get(name).ok()?;
        let slot = &mut self.slots[name.index() as usize];
        let entry = slot.entry.take()?;
        // Generation 0 is skipped, so that no name is ever zero.
        slot.generation = match (slot.generation + 1) % Name::GENERATIONS {
            0 => 1,
            generation => generation,
        };
        slot.next_free = self.free;
        self.free = name.index();
        self.used -= 1;
        if let Some(port) = entry.merging_port() {
            self.by_port.remove(&port);
        }
        Some(entry)
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> u32 {
        self.used
    }

    /// Every name with its entry.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Name, &Entry)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            slot.entry.as_ref().map(|entry| (Name::new(index as u32, slot.generation), entry))
        })
    }
}
