//! Port sets: many ports, received from as if they were one.
//!
//! A set keeps two lists through the records of its members: all of them, and those with
//! something queued. A receive takes one item from the first ready member and puts that member
//! behind the others, so every member has its turn and a receive costs the same however many
//! there are. A thread that waits at a set is in a list like that of a port.
//! Semantics: Mach 3's port sets. A port is in one set at most; unlike there, its receive right
//! can still be received from alone.

use crate::error::{Reason, RightError};
use crate::ipc::Ipc;
use crate::name::Name;
use crate::page::Page;
use crate::port::{Port, PortId};
use crate::right::Target;
use crate::slab::Slab;
use crate::space::{Entry, SpaceId};
use crate::wait::{Completion, List, ThreadId};

/// A port set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SetId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl SetId {
    /// Denotes nothing: no set has generation 0.
    pub(crate) const NONE: SetId = SetId {
        index: u32::MAX,
        generation: 0,
    };
}

/// The two lists in which a port can be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Chained {
    Member,
    Ready,
}

/// A port's neighbours in one of these lists; of no meaning outside it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Links {
    pub(crate) next: PortId,
    pub(crate) previous: PortId,
}

impl Links {
    pub(crate) const NONE: Links = Links {
        next: PortId::NONE,
        previous: PortId::NONE,
    };
}

/// What a port knows of the set in which it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Membership {
    pub(crate) set: SetId,
    pub(crate) is_ready: bool,
    links: [Links; 2],
}

impl Membership {
    pub(crate) const NONE: Membership = Membership {
        set: SetId::NONE,
        is_ready: false,
        links: [Links::NONE; 2],
    };
}

/// A list of ports, through their records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chain {
    pub(crate) first: PortId,
    last: PortId,
}

impl Chain {
    const fn new() -> Self {
        Chain {
            first: PortId::NONE,
            last: PortId::NONE,
        }
    }

    fn push<P>(&mut self, ports: &mut Slab<Port<P>>, id: PortId, which: Chained) {
        let last = core::mem::replace(&mut self.last, id);
        set_links(ports, id, which, |links| {
            *links = Links {
                next: PortId::NONE,
                previous: last,
            };
        });
        if last == PortId::NONE {
            self.first = id;
        } else {
            set_links(ports, last, which, |links| links.next = id);
        }
    }

    fn remove<P>(&mut self, ports: &mut Slab<Port<P>>, id: PortId, which: Chained) {
        let Links { next, previous } = links(ports, id, which);
        if previous == PortId::NONE {
            self.first = next;
        } else {
            set_links(ports, previous, which, |links| links.next = next);
        }
        if next == PortId::NONE {
            self.last = previous;
        } else {
            set_links(ports, next, which, |links| links.previous = previous);
        }
    }
}

fn links<P>(ports: &Slab<Port<P>>, id: PortId, which: Chained) -> Links {
    ports
        .get(id.index, id.generation)
        .map_or(Links::NONE, |port| port.membership.links[which as usize])
}

fn set_links<P>(
    ports: &mut Slab<Port<P>>,
    id: PortId,
    which: Chained,
    set: impl FnOnce(&mut Links),
) {
    if let Some(port) = ports.get_mut(id.index, id.generation) {
        set(&mut port.membership.links[which as usize]);
    }
}

#[derive(Debug)]
pub(crate) struct Set {
    /// For the audit and for debuggers.
    #[cfg_attr(not(feature = "audit"), allow(dead_code))]
    pub(crate) space: SpaceId,
    pub(crate) name: Name,
    pub(crate) receivers: List,
    pub(crate) members: Chain,
    pub(crate) ready: Chain,
}

impl Set {
    pub(crate) const fn new(space: SpaceId) -> Self {
        Set {
            space,
            name: Name::from_raw(0),
            receivers: List::new(),
            members: Chain::new(),
            ready: Chain::new(),
        }
    }
}

impl<P: Page> Ipc<P> {
    /// A new port set without members, under the returned name.
    ///
    /// # Errors
    /// [`RightError::NoMemory`], or [`RightError::InvalidName`] for a space that is gone.
    pub fn allocate_set(&mut self, space: SpaceId) -> Result<Name, RightError> {
        self.space(space)?;
        let (index, generation) = self.sets.insert(Set::new(space))?;
        let id = SetId { index, generation };
        let inserted = match self.space_mut(space) {
            Ok(table) => table.insert(Entry::set(id)).map_err(RightError::from),
            Err(error) => Err(error),
        };
        match inserted {
            Ok(name) => {
                if let Some(set) = self.set_mut(id) {
                    set.name = name;
                }
                Ok(name)
            }
            Err(error) => {
                self.sets.remove(index, generation, Set::new(space));
                Err(error)
            }
        }
    }

    /// Moves the port whose receive right is under `port` into the set under `set`, or out of
    /// the set in which it is. What is queued stays queued, and goes to threads that wait there.
    ///
    /// # Errors
    /// `port` must denote the receive right of a live port and `set` a set
    /// ([`RightError::InvalidRight`]); [`RightError::NotInSet`].
    pub fn move_member(
        &mut self,
        space: SpaceId,
        port: Name,
        set: Option<Name>,
    ) -> Result<(), RightError> {
        let id = self.receive_target(space, port)?;
        let is_member = self.live_port_mut(id)?.membership.set != SetId::NONE;
        let Some(set) = set else {
            if !is_member {
                return Err(RightError::NotInSet);
            }
            self.leave_set(id);
            return Ok(());
        };
        let set = self.set_target(space, set)?;
        self.leave_set(id);
        if let Some(entered) = self.sets.get_mut(set.index, set.generation) {
            entered.members.push(&mut self.ports, id, Chained::Member);
        }
        if let Some(port) = self.port_mut(id) {
            port.membership.set = set;
        }
        self.update_ready(id, false);
        self.serve_set(set);
        Ok(())
    }

    /// The names of the receive rights in the set under `name`, in the order in which they came.
    ///
    /// # Errors
    /// The name must denote a set.
    pub fn members(
        &self,
        space: SpaceId,
        name: Name,
    ) -> Result<impl Iterator<Item = Name>, RightError> {
        let set = self.set_target(space, name)?;
        let mut next = self.set(set).map_or(PortId::NONE, |set| set.members.first);
        Ok(core::iter::from_fn(move || {
            let name = self.port(next)?.name();
            next = links(&self.ports, next, Chained::Member).next;
            Some(name)
        })
        .flatten())
    }

    pub(crate) fn set(&self, set: SetId) -> Option<&Set> {
        self.sets.get(set.index, set.generation)
    }

    fn set_mut(&mut self, set: SetId) -> Option<&mut Set> {
        self.sets.get_mut(set.index, set.generation)
    }

    fn set_target(&self, space: SpaceId, name: Name) -> Result<SetId, RightError> {
        match self.space(space)?.get(name)?.target {
            Target::Set(set) => Ok(set),
            _ => Err(RightError::InvalidRight),
        }
    }

    /// The set has another name now.
    pub(crate) fn rename_set(&mut self, set: SetId, name: Name) {
        if let Some(set) = self.set_mut(set) {
            set.name = name;
        }
    }

    /// Brings the list of ready members up to date with a port's queue. With `served` a member
    /// that stays ready goes behind the others: it has had its turn.
    #[inline]
    pub(crate) fn update_ready(&mut self, id: PortId, served: bool) {
        let Some(port) = self.ports.get_mut(id.index, id.generation) else {
            return;
        };
        let Membership { set, is_ready, .. } = port.membership;
        let ready = !port.queue.is_empty();
        if set == SetId::NONE || ready == is_ready && !(ready && served) {
            return;
        }
        port.membership.is_ready = ready;
        if let Some(set) = self.sets.get_mut(set.index, set.generation) {
            if is_ready {
                set.ready.remove(&mut self.ports, id, Chained::Ready);
            }
            if ready {
                set.ready.push(&mut self.ports, id, Chained::Ready);
            }
        }
    }

    /// Takes a port out of the set in which it is, if any.
    pub(crate) fn leave_set(&mut self, id: PortId) {
        let Some(port) = self.ports.get_mut(id.index, id.generation) else {
            return;
        };
        let Membership { set, is_ready, .. } = port.membership;
        let Some(set) = self.sets.get_mut(set.index, set.generation) else {
            return;
        };
        set.members.remove(&mut self.ports, id, Chained::Member);
        if is_ready {
            set.ready.remove(&mut self.ports, id, Chained::Ready);
        }
        if let Some(port) = self.port_mut(id) {
            port.membership = Membership::NONE;
        }
    }

    /// Gives what members have queued to threads that wait at the set.
    fn serve_set(&mut self, id: SetId) {
        while let Some(set) = self.sets.get_mut(id.index, id.generation) {
            let first = set.ready.first;
            if first == PortId::NONE || set.receivers.is_empty() {
                return;
            }
            let Some(thread) = set.receivers.pop(&mut self.waiters) else {
                return;
            };
            let limit = self.waiters[thread as usize].limit;
            let completion = match self.take(first, limit, true) {
                Ok(delivery) => Completion::Received(delivery),
                Err(bytes) => Completion::TooLarge(bytes),
            };
            let waiter = &mut self.waiters[thread as usize];
            let _ = waiter.finish(ThreadId(thread), completion, &mut self.events);
        }
    }

    /// Ends a set: its members leave it, and whoever waits at it learns so.
    pub(crate) fn destroy_set(&mut self, id: SetId) {
        while let Some(set) = self.set(id)
            && set.members.first != PortId::NONE
        {
            self.leave_set(set.members.first);
        }
        let vacant = Set::new(SpaceId::NONE);
        let Some(mut set) = self.sets.remove(id.index, id.generation, vacant) else {
            return;
        };
        while let Some(thread) = set.receivers.pop(&mut self.waiters) {
            let died = Completion::ReceiverDied(Reason::Destroyed);
            let waiter = &mut self.waiters[thread as usize];
            let _ = waiter.finish(ThreadId(thread), died, &mut self.events);
        }
    }
}

#[cfg(feature = "audit")]
#[allow(clippy::disallowed_methods, clippy::disallowed_macros)] // For tests, on hosts.
impl<P: Page> Ipc<P> {
    /// The ports in one of the lists of a set; an error if it is torn.
    pub(crate) fn chain(&self, set: &Set, which: Chained) -> Result<alloc::vec::Vec<PortId>, ()> {
        let chain = match which {
            Chained::Member => &set.members,
            Chained::Ready => &set.ready,
        };
        let (mut found, mut next, mut last) = (alloc::vec::Vec::new(), chain.first, PortId::NONE);
        while next != PortId::NONE {
            let links = links(&self.ports, next, which);
            if links.previous != last || found.len() > self.ports.len() as usize {
                return Err(());
            }
            found.push(next);
            (last, next) = (next, links.next);
        }
        if chain.last == last {
            Ok(found)
        } else {
            Err(())
        }
    }
}
