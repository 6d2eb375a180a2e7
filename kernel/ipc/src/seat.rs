//! A stand-in for one send-once right that leads to another node and has none.
//!
//! A request holds a send-once right and spends it when something ends, where nothing may fail.
//! That is so because a port keeps a place in its queue for each such right. So a bare remote
//! one gets a port for the time of the request: what it is spent on lies in that queue until the
//! layer above carries it ([`crate::Event::Carry`]), and requests need not know of networks.

use crate::error::NoMemory;
use crate::event::{PER_PORT, PER_TOKEN};
use crate::ipc::Ipc;
use crate::page::Page;
use crate::port::{Holder, Port, RemoteToken, Sink};
use crate::right::{Right, RightKind, Target};

impl<P: Page> Ipc<P> {
    /// The same right, with a port of this node to which it leads. Others stay as they are.
    ///
    /// # Errors
    /// The right, when there is no memory.
    pub fn seat(&mut self, right: Right) -> Result<Right, (NoMemory, Right)> {
        let (RightKind::SendOnce, Target::Remote(token)) = (right.kind, right.target) else {
            return Ok(right);
        };
        let made = self.create_port(Sink::Remote(token), Holder::Elsewhere);
        let id = match made {
            Ok(id) => id,
            Err(error) => return Err((error, right)),
        };
        if let Some(port) = self.port_mut(id) {
            port.is_seat = true;
            if let Err(error) = port.make_send_once() {
                self.remove_port(id);
                return Err((error, right));
            }
        }
        // Its port speaks for it.
        self.events.release(PER_TOKEN);
        Ok(Right::to_port(RightKind::SendOnce, id))
    }

    /// The right as it was before [`Ipc::seat`]; others stay as they are.
    pub fn unseat(&mut self, right: Right) -> Right {
        let (RightKind::SendOnce, Target::Port(id)) = (right.kind, right.target) else {
            return right;
        };
        let Some(port) = self.port(id) else {
            return right;
        };
        let Some(token) = port.seat() else {
            return right;
        };
        // The room that the port leaves is more than the right needs.
        const { assert!(PER_TOKEN <= PER_PORT) };
        self.remove_port(id);
        self.events.keep(PER_TOKEN);
        Right {
            kind: RightKind::SendOnce,
            target: Target::Remote(token),
        }
    }
}

impl<P> Port<P> {
    /// The token, if it stands in for one send-once right which is not used yet.
    fn seat(&self) -> Option<RemoteToken> {
        let unused = self.dead.is_none() && self.send_onces == 1 && self.queue.is_empty();
        match self.sink {
            Sink::Remote(token) if self.is_seat && unused => Some(token),
            _ => None,
        }
    }
}
