//! Questions about names and ports, that change nothing.
//!
//! Semantics: Mach 3's `mach_port_names`, `_type`, `_get_receive_status`, `_set_seqno`,
//! `_set_mscount`.

use bitflags::bitflags;

use crate::error::RightError;
use crate::ipc::Ipc;
use crate::name::Name;
use crate::page::Page;
use crate::port::PortId;
use crate::request::{About, RequestId};
use crate::right::Target;
use crate::space::{Entry, SpaceId};

bitflags! {
    /// What a name denotes, and what was asked about it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct RightTypes: u8 {
        /// Send rights.
        const SEND = 0x01;
        /// The receive right.
        const RECEIVE = 0x02;
        /// A send-once right.
        const SEND_ONCE = 0x04;
        /// A port set.
        const PORT_SET = 0x08;
        /// Rights to a port that is dead.
        const DEAD_NAME = 0x10;
        /// There is a request to be told of its death.
        const DEATH_REQUESTED = 0x20;
        /// There is a request to be told of room.
        const ROOM_REQUESTED = 0x40;
    }
}

/// What is to be known about a port from its receive right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceiveStatus {
    /// The set in which it is.
    pub set: Option<Name>,
    /// The number that the next message gets: [`crate::Message::sequence`].
    pub sequence: u32,
    /// How many send rights were made from the receive right since it came here.
    pub make_sends: u32,
    /// How many messages the queue holds before senders must wait.
    pub queue_limit: u16,
    /// How many messages and notifications lie in it.
    pub queued: u32,
    /// How many threads wait to send.
    pub blocked_senders: u32,
    /// How many send-once rights there are.
    pub send_onces: u32,
    /// Whether there are send rights.
    pub has_senders: bool,
    /// Whether it was asked to tell of no senders.
    pub no_senders_requested: bool,
    /// Whether it was asked to give the receive right back.
    pub port_destroyed_requested: bool,
}

impl<P: Page> Ipc<P> {
    /// What a name denotes.
    ///
    /// # Errors
    /// [`RightError::InvalidName`].
    pub fn right_types(&self, space: SpaceId, name: Name) -> Result<RightTypes, RightError> {
        Ok(self.types_of(self.space(space)?.get(name)?))
    }

    /// Every name in a space, and what it denotes, in no order that means anything.
    ///
    /// # Errors
    /// [`RightError::InvalidName`] for a space that is gone.
    pub fn names(
        &self,
        space: SpaceId,
    ) -> Result<impl Iterator<Item = (Name, RightTypes)>, RightError> {
        let entries = self.space(space)?.iter();
        Ok(entries.map(|(name, entry)| (name, self.types_of(entry))))
    }

    fn types_of(&self, entry: &Entry) -> RightTypes {
        let dead = self.reason_of(entry.target).is_some();
        let asked = |about| entry.requests.about(about) != RequestId::NONE;
        let mut types = RightTypes::empty();
        types.set(RightTypes::SEND, entry.sends > 0 && !dead);
        types.set(RightTypes::RECEIVE, entry.receive);
        types.set(RightTypes::SEND_ONCE, entry.send_once && !dead);
        types.set(RightTypes::PORT_SET, matches!(entry.target, Target::Set(_)));
        types.set(RightTypes::DEAD_NAME, dead);
        types.set(RightTypes::DEATH_REQUESTED, asked(About::Death));
        types.set(RightTypes::ROOM_REQUESTED, asked(About::Room));
        types
    }

    /// What is to be known about the port whose receive right is under `name`.
    ///
    /// # Errors
    /// The name must denote a receive right.
    pub fn receive_status(&self, space: SpaceId, name: Name) -> Result<ReceiveStatus, RightError> {
        let id = self.receive_target(space, name)?;
        let port = self.port(id).ok_or(RightError::InvalidName)?;
        Ok(ReceiveStatus {
            set: self.set(port.membership.set).map(|set| set.name),
            sequence: port.sequence,
            make_sends: port.make_sends,
            queue_limit: port.limit,
            queued: port.queue.len() as u32,
            blocked_senders: port.senders.iter(&self.waiters).count() as u32,
            send_onces: port.send_onces,
            has_senders: port.sends > port.pins,
            no_senders_requested: port.no_senders != PortId::NONE,
            port_destroyed_requested: port.destroyed != PortId::NONE,
        })
    }

    /// Of the port of a send right, if it is on this node: how many messages its queue holds
    /// before senders must wait, and how many lie in it.
    pub fn queue(&self, space: SpaceId, name: Name) -> Option<(u16, u32)> {
        let port = self.port(self.send_target(space, name)?)?;
        let here = matches!(port.sink, crate::port::Sink::Queue) && port.dead.is_none();
        here.then_some((port.limit, port.queue.len() as u32))
    }

    /// Sets the number that the next message gets.
    ///
    /// # Errors
    /// The name must denote the receive right of a live port.
    pub fn set_sequence(
        &mut self,
        space: SpaceId,
        name: Name,
        sequence: u32,
    ) -> Result<(), RightError> {
        let id = self.receive_target(space, name)?;
        self.live_port_mut(id)?.sequence = sequence;
        Ok(())
    }

    /// Sets how many send rights count as made from the receive right.
    ///
    /// # Errors
    /// The name must denote the receive right of a live port.
    pub fn set_make_sends(
        &mut self,
        space: SpaceId,
        name: Name,
        make_sends: u32,
    ) -> Result<(), RightError> {
        let id = self.receive_target(space, name)?;
        self.live_port_mut(id)?.make_sends = make_sends;
        Ok(())
    }
}
