//! A service with a fault that only shows in time: of each request it keeps a right. What tools
//! that look into a node have to show.

use crate::client::PATIENCE;
use crate::server::serve;
use crate::{Doing, Error};
use alloc::vec::Vec;
use core::time::Duration;
use norma_boot::{Failure, Message, Node, ReceiveRight, SendRight, println};

/// It is given a right with each request, and never gives one up.
const LEAKY: &str = "leaky";
/// The same without the fault.
const TIDY: &str = "tidy";

/// Requests to each of the two.
const CALLS: u32 = 40;

pub fn offer(node: &Node) -> Result<(), Error> {
    let mut kept: Vec<SendRight> = Vec::new();
    serve(node, LEAKY, move |message, _| {
        kept.try_reserve(1).map_err(|_| Failure::NoMemory)?;
        kept.extend(message.take_right()?);
        Ok(())
    })?;
    serve(node, TIDY, |message, _| message.take_right().map(drop))
}

/// Calls both, which may be this node's own, and stays with all ports that it gave rights to.
pub fn call(node: &Node) -> Result<(), Error> {
    if node.argument("leak").is_some() {
        offer(node)?;
    }
    let mut ports = Vec::new();
    for name in [TIDY, LEAKY] {
        let service = node.wait_for(name, PATIENCE).doing("finding a service")?;
        for _ in 0..CALLS {
            let port = ReceiveRight::new().doing("making a port")?;
            let right = port.make_send().doing("making a right")?;
            let mut message = Message::new().doing("making a message")?;
            if message.push_right(right).is_err() {
                return Err(Error::Wrong("a message has no room for a right"));
            }
            service
                .call(message)
                .map_err(|error| error.failure)
                .doing("calling")?;
            ports.push(port);
        }
    }
    println!("called");
    loop {
        node.sleep(Duration::from_secs(3600)).doing("waiting")?;
    }
}
