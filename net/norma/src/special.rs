//! Special ports: what every node can be asked for without a name, and where a port is.
//!
//! A node has slots that hold send rights. The first three are the kernel's, the others are for
//! services (W-97). Another node is found by its own name, which has a FLIP address as names of ports
//! have; it answers LOCATE for it from when it is ready on.
//!
//! Source: NORMA's special ports and `norma_port_location_hint` (OSF MK kernel interfaces,
//! Appendix D).

use norma_flip::{Address, Instant};
use norma_ipc::{Message, Name, PageSource, PortId, Right, RightError, Sink, SpaceId, ThreadId};
use norma_wire::hello::NodeName;

use crate::limits::SPECIAL_PORTS;
use crate::lookups::{LookUp, Want};
use crate::node::Node;
use crate::rights::parse_token;

pub use norma_wire::special::{DEVICE_PORT, FIRST_SERVICE_PORT, HOST_PORT, NAME_PORT};

/// Where a port is, as far as this node knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The node's FLIP address.
    pub address: Address,
    /// Its name.
    pub name: NodeName,
}

/// The rights in the slots.
#[derive(Debug)]
pub(crate) struct SpecialPorts([Option<Right>; SPECIAL_PORTS]);

impl SpecialPorts {
    /// No port. A constant, which is copied in fewer instructions than it would be made in.
    pub(crate) const NONE: Self = SpecialPorts([const { None }; SPECIAL_PORTS]);

    pub(crate) fn rights(&self) -> impl Iterator<Item = &Right> {
        self.0.iter().flatten()
    }

    /// The slot in which a right to a port is.
    pub(crate) fn slot_of(&self, port: PortId) -> Option<u32> {
        let of = |right: &Option<Right>| right.as_ref().and_then(Right::port) == Some(port);
        self.0.iter().position(of).map(|slot| slot as u32)
    }
}

impl<S: PageSource> Node<S> {
    /// Makes this node known to the cluster by its own name. A node without a name stays
    /// unknown; of two with the same name one is found.
    pub fn make_known(&mut self) {
        let name = self.config.name;
        if !name.as_str().is_empty() {
            // Only the node's own names are before it: there is room.
            let _ = self.flip.register(self.node_address(name.as_str()));
        }
    }

    /// Which of the node's boots this is: random, and new at each.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Puts a right into a slot, or empties it; returns what was there. A right that is no send
    /// right, or for a slot that there is not, comes back as the error.
    ///
    /// # Errors
    /// The right.
    pub fn set_special_port(
        &mut self,
        which: u32,
        right: Option<Right>,
    ) -> Result<Option<Right>, Option<Right>> {
        let is_send = |right: &Right| right.kind() == norma_ipc::RightKind::Send;
        let place = self.special.0.get_mut(which as usize);
        match place {
            Some(place) if which != 0 && right.as_ref().is_none_or(is_send) => {
                if let Some(port) = right.as_ref().and_then(Right::port) {
                    self.ipc.watch(port);
                }
                Ok(core::mem::replace(place, right))
            }
            _ => Err(right),
        }
    }

    /// A port in a slot is dead: the slot is empty.
    pub(crate) fn special_port_died(&mut self, port: PortId) {
        for place in 0..SPECIAL_PORTS {
            if self.special.0[place].as_ref().and_then(Right::port) == Some(port)
                && let Some(right) = self.special.0[place].take()
            {
                self.ipc.release(right);
            }
        }
    }

    /// A send right to what is in a slot of this node.
    pub(crate) fn own_special_port(&mut self, which: u32) -> Option<Right> {
        let right = self.special.0.get(which as usize)?.as_ref()?;
        let port = right.port()?;
        self.ipc.add_send(port).ok()
    }

    /// Asks for what is in a slot of the node of that name, this one or another, for `thread`:
    /// as [`Node::look_up`].
    ///
    /// # Errors
    /// [`RightError::InvalidName`] for what cannot be a node's name, or a slot that there is
    /// not; [`RightError::NoMemory`].
    pub fn look_up_special_port(
        &mut self,
        now: Instant,
        thread: ThreadId,
        node: &str,
        which: u32,
    ) -> Result<LookUp, RightError> {
        let name = NodeName::new(node).filter(|name| !name.as_str().is_empty());
        if name.is_none() || which == 0 || which as usize >= SPECIAL_PORTS {
            return Err(RightError::InvalidName);
        }
        if name == Some(self.config.name)
            && let Some(right) = self.own_special_port(which)
        {
            return Ok(LookUp::Found(right));
        }
        let target = self.node_address(node).image();
        self.look_for(now, thread, Want::Special(which), target, None)
    }

    /// Another node asks for what is in a slot of ours.
    pub(crate) fn answer_special_port(&mut self, now: Instant, mut message: Message<S::Page>) {
        let which = message.data().first_chunk().copied();
        let which = which.map(u32::from_le_bytes);
        let found = which.and_then(|which| self.own_special_port(which));
        self.fill_answer(&mut message, found);
        self.answer(now, message);
    }

    /// On which node the port of a right is, as far as is known here: it may have moved.
    ///
    /// # Errors
    /// [`RightError::InvalidName`], or the port is dead.
    pub fn location(&self, space: SpaceId, name: Name) -> Result<Location, RightError> {
        let here = Location {
            address: self.address,
            name: self.config.name,
        };
        let port = self.ipc.send_target(space, name);
        let token = match self.ipc.sink(port.ok_or(RightError::InvalidName)?)? {
            Sink::Queue => return Ok(here),
            Sink::Remote(token) => token,
        };
        let (place, generation, _) = parse_token(token);
        let session = self.sessions.get(place);
        let session = session.filter(|session| session.generation == generation);
        session
            .map(|session| Location {
                address: session.peer,
                name: session.peer_name,
            })
            .ok_or(RightError::InvalidName)
    }
}
