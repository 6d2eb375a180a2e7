//! What tools see of ports, names and waits.
//!
//! Owns: records that are copied out, found by place. A place is an index into a table of this
//! node; what is there may be gone with the next call, and another thing may have come. So a
//! table can be read in pieces without holding anything up: what was there all the time is seen
//! once. Leaves to others: what to make of it, and how much to read at a time. Nothing here
//! changes anything or takes memory.

use crate::ipc::Ipc;
use crate::name::Name;
use crate::page::Page;
use crate::port::{Holder, PortId, Sink};
use crate::right::Target;
use crate::set::SetId;
use crate::space::SpaceId;
use crate::wait::{Source, State, ThreadId};

/// Who has a receive right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolderView {
    /// A space, under a name.
    Space(SpaceId, Name),
    /// A message that is under way, or the layer above.
    Transit,
    /// A message in the queue of another port.
    Queued(PortId),
    /// A thread, for which it is the port where its answers come.
    Thread,
    /// Nobody on this node.
    Elsewhere,
}

/// A port, as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortView {
    /// Which one.
    pub id: PortId,
    /// It is dead, and is there for those that have rights to it.
    pub dead: bool,
    /// Where its messages go.
    pub sink: Sink,
    /// Who has its receive right.
    pub holder: HolderView,
    /// Messages and notifications in its queue.
    pub queued: u32,
    /// Messages under way to its node, if it stands in for a port of another one.
    pub under_way: u16,
    /// How many of either there may be before senders wait.
    pub limit: u16,
    /// Send rights, and those among them that only keep the port and cannot be used.
    pub sends: u32,
    /// See [`PortView::sends`].
    pub pins: u32,
    /// Send-once rights.
    pub send_onces: u32,
    /// Messages received since the receive right came where it is.
    pub received: u32,
    /// Send rights made since then.
    pub made: u32,
    /// Whether a thread waits to receive from it alone.
    pub has_receivers: bool,
    /// Whether a thread waits to send to it.
    pub has_senders_waiting: bool,
    /// The place of the set in which it is.
    pub set: Option<u32>,
    /// What it is called on all nodes; 0 if no other has heard of it.
    pub identity: u64,
    /// How often its receive right has moved between nodes.
    pub moves: u16,
}

/// What a name of a space denotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NameView {
    /// The space.
    pub space: SpaceId,
    /// The name.
    pub name: Name,
    /// What it leads to.
    pub target: TargetView,
    /// It is the receive right.
    pub receive: bool,
    /// References to the send right.
    pub sends: u32,
    /// It is a send-once right.
    pub send_once: bool,
}

/// What a right leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetView {
    /// A port of this node, a stand-in perhaps.
    Port(PortId),
    /// A send-once right of another node, for which there is no port here.
    Remote(crate::RemoteToken),
    /// A set, by its place.
    Set(u32),
    /// A port that is dead.
    Dead(PortId),
}

/// What a thread waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitView {
    /// Nothing that has to do with ports.
    Nothing,
    /// A message at this port.
    Receive(PortId),
    /// A message at any port of the set in this place.
    ReceiveSet(u32),
    /// The answer to its call.
    Answer(PortId),
    /// Room at this port.
    Send(PortId),
    /// Something that the layer above will say: that a name was found, or that it is settled.
    Outside,
    /// It is over, and the thread has not looked yet.
    Over,
}

impl PortId {
    /// As a number that no other port ever has: its generation, and its place in the lower half.
    pub fn number(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }
}

impl SpaceId {
    /// Its place.
    pub fn place(self) -> u32 {
        self.index
    }
}

impl<P: Page> Ipc<P> {
    /// Every port is in a place below this one.
    pub fn port_places(&self) -> u32 {
        self.ports.places()
    }

    /// The port in a place.
    pub fn port_view(&self, place: u32) -> Option<PortView> {
        let (generation, port) = self.ports.at(place)?;
        let holder = match port.holder {
            Holder::Space(space, name) => HolderView::Space(space, name),
            Holder::Transit => HolderView::Transit,
            Holder::Queued(in_queue_of) => HolderView::Queued(in_queue_of),
            Holder::Thread => HolderView::Thread,
            Holder::Elsewhere => HolderView::Elsewhere,
        };
        let id = PortId {
            index: place,
            generation,
        };
        Some(PortView {
            id,
            dead: port.dead.is_some(),
            sink: port.sink,
            holder,
            queued: port.queue.len() as u32,
            under_way: port.under_way,
            limit: port.limit,
            sends: port.sends,
            pins: port.pins,
            send_onces: port.send_onces,
            received: port.sequence,
            made: port.make_sends,
            has_receivers: !port.receivers.is_empty(),
            has_senders_waiting: !port.senders.is_empty(),
            set: (port.membership.set != SetId::NONE).then_some(port.membership.set.index),
            identity: port.identity,
            moves: port.moves,
        })
    }

    /// How many spaces there are.
    pub fn space_count(&self) -> u32 {
        self.spaces.len()
    }

    /// Every space is in a place below this one.
    pub fn space_places(&self) -> u32 {
        self.spaces.places()
    }

    /// How many names the space in a place has, and how many places for them: every name is in a
    /// place below.
    pub fn space_view(&self, place: u32) -> Option<(SpaceId, u32, u32)> {
        let (generation, space) = self.spaces.at(place)?;
        let id = SpaceId {
            index: place,
            generation,
        };
        Some((id, space.len(), space.places()))
    }

    /// What is in a place of the names of the space in place `space`.
    pub fn name_view(&self, space: u32, place: u32) -> Option<NameView> {
        let (generation, names) = self.spaces.at(space)?;
        let (name, entry) = names.at(place)?;
        let target = match entry.target {
            Target::Port(port) if self.port(port).is_none_or(|port| port.dead.is_some()) => {
                TargetView::Dead(port)
            }
            Target::Port(port) => TargetView::Port(port),
            Target::Remote(token) => TargetView::Remote(token),
            Target::Set(set) => TargetView::Set(set.index),
        };
        let space = SpaceId {
            index: space,
            generation,
        };
        Some(NameView {
            space,
            name,
            target,
            receive: entry.receive,
            sends: entry.sends,
            send_once: entry.send_once,
        })
    }

    /// What a thread waits for.
    pub fn wait_view(&self, thread: ThreadId) -> WaitView {
        let Some(waiter) = self.waiters.get(thread.0 as usize) else {
            return WaitView::Nothing;
        };
        match &waiter.state {
            State::Idle => WaitView::Nothing,
            State::Receiving(Source::Port(port)) if *port == waiter.reply_port => {
                WaitView::Answer(*port)
            }
            State::Receiving(Source::Port(port)) => WaitView::Receive(*port),
            State::Receiving(Source::Set(set)) => WaitView::ReceiveSet(set.index),
            State::Sending(port, _) => WaitView::Send(*port),
            State::Outside => WaitView::Outside,
            State::Handed(_) | State::Done(_) => WaitView::Over,
        }
    }

    /// The port at which a thread's answers come, if it has ever called.
    pub fn reply_port(&self, thread: ThreadId) -> Option<PortId> {
        let waiter = self.waiters.get(thread.0 as usize)?;
        (waiter.reply_port != PortId::NONE).then_some(waiter.reply_port)
    }
}
