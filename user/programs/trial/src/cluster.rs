//! What a program can learn of the cluster, and say to it: names, other nodes, what became of a
//! message for one.

use crate::ports::{PATIENCE, check};
use norma_abi::call;
use norma_user::{
    Delivery, Failure, Fate, Message, Notification, ReceiveRight, SendRight, Task, node, system,
};

/// A name that the other node has from before it has the service's.
const HELD: &str = "held";

/// Names that nobody else wants.
pub fn names(task: &Task) -> Result<(), Failure> {
    let (port, news) = (ReceiveRight::new()?, ReceiveRight::new()?);
    let right = port.make_send()?;
    right.check_in_telling("mine", news.make_send_once()?)?;
    let again = right.check_in_telling("mine", news.make_send_once()?).err();
    check(again == Some(Failure::NameTaken), "it is checked in")?;
    check(unused(&news)?, "a right that was not used is given up")?;
    check(task.check_out("mine"), "it was checked in")?;
    check(unused(&news)?, "so is that of a name that is given up")?;
    right.claim("mine")?;
    check(
        right.claim("mine") == Err(Failure::NameTaken),
        "it is nobody else's",
    )?;
    let found = task.look_up("mine")?;
    check(found.name() == right.name(), "it leads here")?;
    let here = right.location()?;
    let mut name = [0; 16];
    let place = name.as_mut_ptr() as u64;
    // SAFETY: the kernel writes the name.
    unsafe { system::call(call::NODE_NAME, [here.address, place, 0, 0]) }?;
    check(&name == here.node.as_bytes(), "a node has one name")?;
    drop((port, found));
    check(right.location().is_err(), "a dead port is nowhere")
}

fn unused(news: &ReceiveRight) -> Result<bool, Failure> {
    let told = news.receive_any_timeout(PATIENCE)?;
    Ok(matches!(
        told,
        Delivery::Notification(Notification::SendOnce(_))
    ))
}

/// Holds a name before there is a service, until it is ended.
pub fn hold(task: &Task) -> Result<(), Failure> {
    task.port().make_send()?.claim(HELD)?;
    task.port().receive()?.reply()?;
    Ok(task.port().receive().map(drop)?)
}

/// The node on which the service of that name is, asked.
pub fn other(task: &Task, name: &str) -> Result<(), Failure> {
    let service = task.wait_for(name, PATIENCE)?;
    let there = service.location()?;
    check(there.node.as_str() == "a", "it is on the other node")?;
    let about = node("a").information()?;
    check(about.address == there.address, "a node has one address")?;
    check(
        about.name == there.node && about.threads > 0,
        "and one name",
    )?;
    let cards = node("a").cards()?;
    let card = cards.first().ok_or(Failure::Empty)?;
    check(about.cards == cards, "it has the cards that it says")?;
    check(card.counters.frames_received > 0, "and was heard by them")?;
    let status = node("a").port(&service)?;
    check(status.location == there, "it says so too")?;
    check(status.queue.is_some(), "and how full the queue is")?;
    let found = node("a").look_up(name)?;
    check(found.name() == service.name(), "the right is the same")?;
    let own = ReceiveRight::new()?;
    node("a").check_in("of b", &own.make_send()?)?;
    let found = task.look_up("of b")?;
    check(found.name() == own.name(), "what comes home is known")?;
    check(
        node("a").look_up("of nobody").err() == Some(Failure::NameUnknown),
        "what it does not have it does not give",
    )?;
    confirmed(&service)?;
    threads()?;
    held(&service)
}

/// What becomes of messages for another node.
fn confirmed(service: &SendRight) -> Result<(), Failure> {
    let mut message = Message::with_data(b"passed over")?;
    message.set_id(7);
    check(
        service.send_confirmed(message)? == Fate::Delivered,
        "it has arrived",
    )
}

/// A thread on the other node, begun from here.
fn threads() -> Result<(), Failure> {
    let none = node("a").spawn("nothing", Message::new()?).err();
    check(
        none.is_some_and(|error| error.failure == Failure::NoSuchEntry),
        "only what was registered",
    )?;
    let port = ReceiveRight::new()?;
    let mut message = Message::with_data(b"work")?;
    message.push_send_to(&port)?;
    let thread = node("a").spawn("worker", message)?;
    check(
        port.receive_timeout(PATIENCE)?.data() == b"work",
        "it does what it is told",
    )?;
    thread.wait(PATIENCE)
}

/// A name that another node has: whoever claims it learns whose it is.
fn held(service: &SendRight) -> Result<(), Failure> {
    for _ in 0..30 {
        match service.claim(HELD) {
            Err(Failure::NameTakenBy { node }) => {
                return check(node.as_str() == "a", "it is the other node's");
            }
            Err(other) => return Err(other),
            // The other node, on a busy host, was not heard for a second; it may have lost it.
            Ok(()) => {
                if node("a").look_up(HELD).err() == Some(Failure::NameUnknown) {
                    return Ok(());
                }
            }
        }
    }
    check(false, "a name is one node's")
}
