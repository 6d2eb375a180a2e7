//! This node's special ports, its network cards, and where ports are.

use crate::face::{Failure, MoveError, Node, NodeName, SendRight};
use crate::limits::CARDS;
use crate::node;
use norma_drivers::virtio::NetCounters;
use norma_net::FIRST_SERVICE_PORT;

/// Where a port is, as far as this node knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The node's name.
    pub node: NodeName,
    /// Its FLIP address.
    pub address: u64,
}

/// What a node says about a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortStatus {
    /// Where it is.
    pub location: Location,
    /// If that is the node that was asked: how many messages its queue holds before senders must
    /// wait, and how many are in it.
    pub queue: Option<(u16, u32)>,
}

/// A network card.
#[derive(Debug, Clone, Copy)]
pub struct NetworkCard {
    /// Its station address.
    pub mac: [u8; 6],
    /// The largest Ethernet payload that it carries.
    pub mtu: u16,
    /// What it has counted.
    pub counters: NetCounters,
}

impl PartialEq for NetworkCard {
    fn eq(&self, other: &Self) -> bool {
        (self.mac, self.mtu) == (other.mac, other.mtu)
    }
}

impl Eq for NetworkCard {}

/// This node's network cards.
pub(crate) fn network_cards() -> heapless::Vec<NetworkCard, CARDS> {
    let engine = node::lock();
    let cards = engine.all_cards().map(|card| NetworkCard {
        mac: card.mac(),
        mtu: card.mtu(),
        counters: card.counters(),
    });
    cards.take(CARDS).collect()
}

/// Puts a right into one of the kernel's slots.
pub(crate) fn set_kernel_port(which: u32, right: SendRight) -> Result<(), Failure> {
    set(which, right).map_err(|error| error.failure)
}

fn set(which: u32, right: SendRight) -> Result<(), MoveError<SendRight>> {
    let mut engine = node::lock();
    let space = engine.space;
    let core = &mut engine.core;
    let failed = match core.ipc().copy_send(space, right.name) {
        Err(error) => Some(Failure::from_right(&engine, error)),
        Ok(copy) => match core.set_special_port(which, Some(copy)) {
            Ok(before) => {
                before
                    .into_iter()
                    .for_each(|right| core.ipc().release(right));
                None
            }
            Err(copy) => {
                copy.into_iter().for_each(|right| core.ipc().release(right));
                Some(Failure::OutOfRange)
            }
        },
    };
    engine.act(node::now());
    // Unlocked first: a right that is dropped takes the lock itself.
    drop(engine);
    match failed {
        None => Ok(()),
        Some(failure) => Err(MoveError { failure, right }),
    }
}

impl Node {
    /// Puts a right into a slot of this node, 4 to 31, where every other node finds it
    /// ([`RemoteNode::special_port`](crate::face::RemoteNode)). What was there is given up; when
    /// the port dies, the slot is empty.
    ///
    /// # Errors
    /// [`Failure::OutOfRange`]; the right is dead. It is in the error.
    pub fn set_special_port(
        &self,
        which: u32,
        right: SendRight,
    ) -> Result<(), MoveError<SendRight>> {
        if which < FIRST_SERVICE_PORT {
            return Err(MoveError {
                failure: Failure::OutOfRange,
                right,
            });
        }
        set(which, right)
    }

    /// Empties a slot.
    pub fn clear_special_port(&self, which: u32) {
        if which >= FIRST_SERVICE_PORT {
            let mut engine = node::lock();
            let before = engine.core.set_special_port(which, None).ok().flatten();
            before
                .into_iter()
                .for_each(|right| engine.core.ipc().release(right));
            engine.act(node::now());
        }
    }
}

impl SendRight {
    /// On which node its port is, as far as is known here; it may have moved since.
    ///
    /// # Errors
    /// The port may be dead.
    pub fn location(&self) -> Result<Location, Failure> {
        let engine = node::lock();
        match engine.core.location(engine.space, self.name) {
            Ok(location) => Ok(Location {
                node: location.name,
                address: location.address.0,
            }),
            Err(error) => Err(Failure::from_right(&engine, error)),
        }
    }

    /// The limit of its port's queue, and how many messages are in it, if it is on this node.
    pub(crate) fn queue(&self) -> Option<(u16, u32)> {
        let mut engine = node::lock();
        let space = engine.space;
        engine.core.ipc().queue(space, self.name)
    }
}
