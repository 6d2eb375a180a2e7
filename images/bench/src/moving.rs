//! A port that goes to the other node with what is in its queue.

use crate::client::{Outcome, Peer, set_queue_limit};
use crate::control::{BEGIN, DROP, END};
use crate::counts::{self, Stretch};
use crate::item::Item;
use alloc::vec::Vec;
use norma_boot::{Failure, Message, Node, ReceiveRight};

/// Queue limit of the port.
const LIMIT: u16 = 128;

/// As other stretches. What is timed is the call with the receive right in it, whose answer
/// comes when the port was whole there; not the filling of its queue before.
pub fn run(
    node: &Node,
    peer: &Peer,
    number: u32,
    item: &Item,
    round: u32,
    queued: usize,
    times: &mut Vec<u64>,
) -> Result<Outcome, Failure> {
    let mut counting = None;
    let mut begin = 0;
    for i in 0..item.warmup + item.n {
        if i == item.warmup {
            peer.tell(BEGIN, number, round)?;
            counting = Some(Stretch::begin(node));
            times.clear();
            counts::open_calling();
            begin = node.now();
        }
        let message = fill(queued)?;
        let before = node.now();
        let answer = peer.service.call(message)?;
        times.push(node.now() - before);
        if answer.first_right().is_some() {
            return Err(Failure::InvalidRight);
        }
    }
    let end = node.now();
    counts::close_calling();
    let totals = counting.ok_or(Failure::Empty)?.end(node);
    peer.tell(END, number, round)?;
    Ok(Outcome {
        total: end - begin,
        bytes: 0,
        totals,
    })
}

/// A message with the receive right of a port in whose queue so many messages lie.
#[inline(never)]
fn fill(queued: usize) -> Result<Message, Failure> {
    let port = ReceiveRight::new()?;
    set_queue_limit(&port, LIMIT)?;
    let right = port.make_send()?;
    for _ in 0..queued {
        right.try_send(Message::new()?)?;
    }
    let mut message = Message::new()?;
    message.set_id(DROP);
    message.push_right(port).map_err(|error| error.failure)?;
    Ok(message)
}
