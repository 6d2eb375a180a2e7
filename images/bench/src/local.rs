//! A service on the calling node itself.

use norma_boot::{Failure, Node, ReceiveRight, SendRight};

/// The local service; it ends when this is dropped.
pub struct Local {
    /// The right to call it.
    pub service: SendRight,
}

/// Above the calling thread, so that it waits for the next call when that comes.
const PRIORITY: u8 = 5;

/// Identifier of the message that ends the service.
const STOP: u32 = u32::MAX;

impl Local {
    /// Starts it.
    pub fn start(node: &Node) -> Result<Self, Failure> {
        let port = ReceiveRight::new()?;
        let service = port.make_send()?;
        node.spawn("local", PRIORITY, move || {
            let mut next = port.receive();
            while let Ok(message) = next {
                if message.id() == STOP {
                    break;
                }
                next = port.reply_and_receive(message);
            }
        })
        .map_err(|_| Failure::NoMemory)?;
        Ok(Local { service })
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if let Ok(mut stop) = norma_boot::Message::new() {
            stop.set_id(STOP);
            // If it cannot be sent, the service has ended already.
            let _ = self.service.try_send(stop);
        }
    }
}
