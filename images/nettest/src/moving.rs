//! Receive rights that go to another node: what a service does with one, and what it has again
//! when that failed.

use crate::client::{PATIENCE, call, require};
use crate::{Doing, Error};
use alloc::vec::Vec;
use norma_boot::{Failure, Fate, Message, Node, ReceiveRight, SendRight};

/// Takes messages out of the ports that it is given, and sends the ports back.
pub const KEEPER: &str = "keeper";

/// Messages in each port that moves.
const QUEUED: u32 = 10;
/// What a port's queue holds, and how many messages may be under way to one on another node.
const PORT_QUEUE: u32 = 16;
/// Ports in an array.
const MANY: usize = 20;

/// The keeper: of each port that comes, takes the first message, whose identifier it puts into
/// the list of its answer, and sends the port back with the others.
pub fn keep(message: &mut Message) -> Result<(), Failure> {
    if message.first_right().is_some() && message.data().is_empty() {
        let port = message.take_receive()?.ok_or(Failure::InvalidRight)?;
        let first = port.receive()?;
        message.set_id(first.id());
        return Ok(message.push_right(port)?);
    }
    let mut reader = message.read()?;
    let one = reader.receive_right()?;
    let many: Result<Vec<_>, _> = reader.receive_rights()?.collect();
    let many = many?;
    reader.end()?;
    let mut first = Vec::new();
    for port in core::iter::once(&one).chain(&many) {
        first.push(port.receive()?.id());
    }
    message
        .write()
        .array(&first)?
        .receive_right(one)?
        .receive_rights(many)?;
    Ok(())
}

/// A port with messages, numbered from `first`.
fn filled(first: u32) -> Result<(ReceiveRight, SendRight), Failure> {
    let port = ReceiveRight::new()?;
    let right = port.make_send()?;
    for number in first..first + QUEUED {
        send(&right, number)?;
    }
    Ok((port, right))
}

fn send(right: &SendRight, number: u32) -> Result<(), Failure> {
    let mut message = Message::new()?;
    message.set_id(number);
    Ok(right.send(message)?)
}

/// Whether messages with these numbers, and no others, lie in a port.
fn holds(port: &ReceiveRight, numbers: core::ops::Range<u32>) -> Result<bool, Failure> {
    for number in numbers {
        if port.try_receive()?.id() != number {
            return Ok(false);
        }
    }
    Ok(matches!(port.try_receive_any(), Err(Failure::Empty)))
}

pub fn run(node: &Node) -> Result<(), Error> {
    let keeper = node
        .wait_for(KEEPER, PATIENCE)
        .doing("looking `keeper` up")?;
    plain(&keeper)?;
    typed(&keeper)?;
    given_back(node)
}

/// There and back in plain messages, and messages of this node's meanwhile.
fn plain(keeper: &SendRight) -> Result<(), Error> {
    let (mut port, right) = filled(0).doing("filling a port")?;
    for round in 0..QUEUED {
        let mut message = Message::new().doing("a message")?;
        message
            .push_right(port)
            .map_err(|error| Error::Failed("moving a receive right in", error.failure))?;
        // It is queued, or goes to the other node, wherever the port is by now.
        send(&right, QUEUED + round).doing("sending to a port that leaves")?;
        let mut answer = call(keeper, message).doing("calling `keeper`")?;
        require(answer.id() == round, "the keeper took the first message")?;
        let back = answer.take_receive().doing("taking the port")?;
        port = back.ok_or(Error::Wrong("the port comes back"))?;
    }
    let all = holds(&port, QUEUED..2 * QUEUED).doing("receiving")?;
    require(all, "the rest is in the queue, once and in order")?;
    require(
        send(&right, 0).is_ok() && port.try_receive().is_ok(),
        "the right leads to the port as ever",
    )?;
    drop(port);
    require(
        send(&right, 0) == Err(Failure::PortDied),
        "the port dies where it is",
    )
}

/// One and an array of them as items of a typed message.
fn typed(keeper: &SendRight) -> Result<(), Error> {
    let mut filled_ports = Vec::new();
    for number in 0..=MANY as u32 {
        filled_ports.push(filled(number * 100).doing("filling a port")?);
    }
    let (mut ports, rights): (Vec<_>, Vec<_>) = filled_ports.into_iter().unzip();
    let mut message = Message::new().doing("a message")?;
    let written = (|| {
        let one = ports.remove(0);
        message.write().receive_right(one)?.receive_rights(ports)?;
        Ok(())
    })();
    written.doing("writing receive rights")?;
    let mut answer = call(keeper, message).doing("calling `keeper`")?;
    let read = (|| {
        let mut reader = answer.read()?;
        let first: Vec<u32> = reader.array()?.collect();
        let mut ports = alloc::vec![reader.receive_right()?];
        for port in reader.receive_rights()? {
            ports.push(port?);
        }
        reader.end()?;
        Ok((first, ports))
    })();
    let (first, ports) = read.doing("reading receive rights")?;
    require(ports.len() == rights.len(), "all ports come back")?;
    for (number, (port, right)) in ports.iter().zip(&rights).enumerate() {
        let start = number as u32 * 100;
        require(
            first.get(number) == Some(&start),
            "the keeper took the first message of each",
        )?;
        send(right, start + QUEUED).doing("sending to a port that came back")?;
        let rest = holds(port, start + 1..start + QUEUED + 1).doing("receiving")?;
        require(rest, "each port came back with its queue")?;
    }
    Ok(())
}

/// What was not sent still has the port in it, with all that is queued there.
fn given_back(node: &Node) -> Result<(), Error> {
    let full = node.wait_for(crate::server::FULL, PATIENCE);
    let full = full.doing("looking `full` up")?;
    // As many as its queue holds, and then as many as may wait for it here.
    for _ in 0..PORT_QUEUE {
        let message = Message::new().doing("a message")?;
        let fate = full.send_confirmed(message).map_err(|error| error.failure);
        let fate = fate.doing("filling the other node's port")?;
        require(fate == Fate::Delivered, "there is room")?;
    }
    while full.try_send(Message::new().doing("a message")?).is_ok() {}
    let (mut port, right) = filled(0).doing("filling a port")?;
    let mut failures = 0;
    while failures < QUEUED {
        let mut message = Message::new().doing("a message")?;
        message
            .push_right(port)
            .map_err(|error| Error::Failed("moving a receive right in", error.failure))?;
        send(&right, QUEUED + failures).doing("sending to a port in a message")?;
        let Err(refused) = full.try_send(message) else {
            return Err(Error::Wrong("a full port takes nothing"));
        };
        require(refused.failure == Failure::Full, "it is full")?;
        let mut message = refused.message;
        let back = message.take_receive().doing("taking the port back")?;
        port = back.ok_or(Error::Wrong("the port is in the message"))?;
        failures += 1;
        let first = port.try_receive().map(|first| first.id());
        require(first.is_ok_and(|id| id + 1 == failures), "it is as it was")?;
    }
    let all = holds(&port, QUEUED..2 * QUEUED).doing("receiving")?;
    require(all, "nothing was lost, nothing came twice")?;
    // A message cannot lie in a port of which it has the receive right.
    let mut message = Message::new().doing("a message")?;
    message
        .push_right(port)
        .map_err(|error| Error::Failed("moving a receive right in", error.failure))?;
    let refused = right.send(message).err();
    let back = refused.map(|refused| (refused.failure, refused.message));
    let Some((Failure::Circular, mut message)) = back else {
        return Err(Error::Wrong("a port cannot lie in its own queue"));
    };
    let port = message.take_receive().doing("taking the port back")?;
    require(port.is_some(), "the port is in the message")
}
