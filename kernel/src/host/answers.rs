//! Answers to the questions at the kernel's special ports.
//!
//! A question comes as a typed message, and the answer goes back in it. What it does not
//! understand it says so by the answer's identifier; nothing that a question says can harm.

use crate::face::{Failure, Message, Node, SendRight, network_cards};
use crate::host::protocol::{self, refusal};
use crate::host::{Ports, entry_right};
use crate::memory::{FRAME, free_frames};
use crate::node;

/// The answer to a question; none if there is no memory for it, and whoever asked learns that
/// when the question is dropped.
pub(super) fn answer(ports: &Ports, mut message: Message) -> Option<Message> {
    let answered = if ports.host.received(&message) {
        host(&mut message)
    } else if ports.name.received(&message) {
        name(&mut message)
    } else {
        device(&mut message)
    };
    match answered {
        Ok(()) => message.set_id(0),
        Err(failure) => {
            clear(&mut message).ok()?;
            message.set_id(refusal(failure));
        }
    }
    Some(message)
}

/// Takes the rights out that nobody has asked for: they would go back with the answer.
fn clear(message: &mut Message) -> Result<(), Failure> {
    while message.take_any_right()?.is_some() {}
    drop(message.take_memory());
    message.clear_data();
    Ok(())
}

fn host(message: &mut Message) -> Result<(), Failure> {
    match message.id() {
        protocol::INFORMATION => information(message),
        protocol::PORT => {
            let right = message.read()?.send_right()?;
            clear(message)?;
            port(message, &right)
        }
        protocol::ENTRY => {
            let right = entry_right(message.read()?.text()?)?;
            clear(message)?;
            Ok(message.write().send_right(right).map(|_| ())?)
        }
        protocol::INSPECT => crate::inspect::asked(message),
        _ => Err(Failure::NotSupported),
    }
}

fn information(message: &mut Message) -> Result<(), Failure> {
    clear(message)?;
    let node = Node::started();
    let (name, address, incarnation) = {
        let engine = node::lock();
        let core = &engine.core;
        (*core.name(), core.address().0, core.incarnation())
    };
    let free = free_frames() as u64 * FRAME as u64;
    let cards = network_cards();
    let mut writer = message.write();
    writer
        .text(name.as_str())?
        .u64(address)?
        .u64(incarnation)?
        .u64(node.now())?
        .u64(free)?
        .u32(node.threads())?
        .list(cards.len() as u32)?;
    for card in &cards {
        writer.bytes(&card.mac)?.u32(u32::from(card.mtu))?;
    }
    Ok(())
}

/// Where a port is and, if that is here, how full its queue is.
fn port(message: &mut Message, right: &SendRight) -> Result<(), Failure> {
    let location = right.location()?;
    let queue = right.queue();
    let mut writer = message.write();
    writer.text(location.node.as_str())?.u64(location.address)?;
    match queue {
        Some((limit, queued)) => writer.list(2)?.u32(u32::from(limit))?.u32(queued)?,
        None => writer.list(0)?,
    };
    Ok(())
}

fn name(message: &mut Message) -> Result<(), Failure> {
    match message.id() {
        protocol::LOOK_UP => {
            let right = Node::started().look_up_here(message.read()?.text()?)?;
            clear(message)?;
            Ok(message.write().send_right(right).map(|_| ())?)
        }
        protocol::CHECK_IN => {
            let mut reader = message.read()?;
            let text = reader.text()?;
            let right = reader.send_right()?;
            right.check_in(text)?;
            clear(message)
        }
        _ => Err(Failure::NotSupported),
    }
}

fn device(message: &mut Message) -> Result<(), Failure> {
    if message.id() != protocol::CARDS {
        return Err(Failure::NotSupported);
    }
    clear(message)?;
    let cards = network_cards();
    let mut writer = message.write();
    writer.list(cards.len() as u32)?;
    for card in &cards {
        let counters = &card.counters;
        writer.bytes(&card.mac)?.u32(u32::from(card.mtu))?.array(&[
            counters.frames_received,
            counters.bytes_received,
            counters.frames_sent,
            counters.bytes_sent,
        ])?;
    }
    Ok(())
}
