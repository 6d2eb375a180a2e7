//! Asking another node about itself, and beginning threads on it.

use crate::server::{COUNT, ECHO, WHO};
use crate::{Doing, Error};
use alloc::vec;
use core::time::Duration;
use norma_boot::{
    Failure, Message, Node, Notification, ReceiveRight, SendRight, Start, node, println,
};

/// The slot in which the server has put its echo.
const ECHO_SLOT: u32 = 7;

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A worker that is told by this identifier to end.
const END: u32 = 7;

/// What other nodes find here: an entry, and a port in a slot.
pub fn serve(node: &Node, echo: SendRight) -> Result<(), Error> {
    node.register_entry("worker", 4, work)
        .doing("registering an entry")?;
    let again = node.register_entry("worker", 4, work);
    require(
        again == Err(Failure::NameTaken),
        "an entry is registered once",
    )?;
    node.set_special_port(ECHO_SLOT, echo)
        .map_err(|refused| Error::Failed("setting a special port", refused.failure))
}

/// Sends back how much memory it was given, by the right that it was given, and lives until it is
/// told to end, or nobody can tell it any more.
fn work(start: &mut Start) {
    if let Err(failure) = try_work(start) {
        println!("worker: {failure}");
    }
}

fn try_work(start: &mut Start) -> Result<(), Failure> {
    let memory = start.message.take_memory();
    let right = start.message.take_right()?.ok_or(Failure::InvalidRight)?;
    let mut message = Message::with_data(start.message.data())?;
    message.set_id(memory.len() as u32);
    right.send(message)?;
    let news = ReceiveRight::new()?;
    start.notify_alone(start.orders().make_send_once()?)?;
    drop(news);
    loop {
        match start.orders().receive_any()? {
            norma_boot::Delivery::Message(order) if order.id() == END => return Ok(()),
            norma_boot::Delivery::Message(order) => drop(order),
            norma_boot::Delivery::Notification(Notification::NoSenders { .. }) => {
                println!("a worker was left alone");
                return Ok(());
            }
            norma_boot::Delivery::Notification(_) => {}
        }
    }
}

/// What node `b` says about itself, its ports and its names.
pub fn run(this: &Node) -> Result<(), Error> {
    let count = this.wait_for(COUNT, PATIENCE).doing("looking `count` up")?;
    let b = node("b");
    let about = b.information().doing("asking b about itself")?;
    require(about.name.as_str() == "b", "b is called b")?;
    require(
        about.address != 0 && about.incarnation != 0,
        "b has identities",
    )?;
    require(
        about.uptime > Duration::ZERO && about.free_memory > 1 << 20,
        "b runs",
    )?;
    require(
        about.threads >= 2 && about.cards.len() == 1,
        "b has threads and a card",
    )?;
    let again = b.information().doing("asking b again")?;
    require(again.uptime > about.uptime, "time passes at b")?;
    require(again.incarnation == about.incarnation, "b is the same")?;
    let cards = b.cards().doing("asking b for its cards")?;
    require(cards == about.cards, "both ports tell of the same card")?;
    require(
        cards[0].counters.frames_received > 0,
        "its card has received",
    )?;
    let nobody = node("nobody").information().err();
    require(
        nobody == Some(Failure::NameUnknown),
        "there is no such node",
    )?;
    ports(this, &count, about.address)?;
    names(this)
}

fn ports(this: &Node, count: &SendRight, b: u64) -> Result<(), Error> {
    let location = count.location().doing("asking where `count` is")?;
    require(
        location.node.as_str() == "b" && location.address == b,
        "`count` is on b",
    )?;
    let status = node("b").port(count).doing("asking b about `count`")?;
    require(status.location == location, "b says the same")?;
    require(
        status.queue == Some((16, 0)),
        "its queue has sixteen places",
    )?;
    let own = ReceiveRight::new().doing("making a port")?;
    own.set_queue_limit(5).doing("setting a limit")?;
    let right = own.make_send().doing("making a right")?;
    let here = right.location().doing("asking where an own port is")?;
    require(here.address == this.address(), "an own port is here")?;
    let here = node("a").port(&right).doing("asking this node")?;
    require(here.queue == Some((5, 0)), "this node answers as any other")?;
    let status = node("b").port(&right).doing("asking b about ours")?;
    require(
        status.location.address == this.address() && status.queue.is_none(),
        "b knows that our port is not there",
    )
}

fn names(this: &Node) -> Result<(), Error> {
    let echo = node("b")
        .special_port(ECHO_SLOT)
        .doing("asking for a slot")?;
    let question = Message::with_data(b"slot").doing("a message")?;
    let answer = echo.call(question).map_err(|error| error.failure);
    require(
        answer.doing("calling it")?.data() == b"slot",
        "the slot leads to `echo`",
    )?;
    let empty = node("b").special_port(ECHO_SLOT + 1).err();
    require(empty == Some(Failure::NameUnknown), "another slot is empty")?;
    let none = node("b").special_port(32).err();
    require(none == Some(Failure::InvalidName), "there are 32 slots")?;
    let who = node("b").look_up(WHO).doing("looking `who` up at b")?;
    let answer = who.call(Message::new().doing("a message")?);
    let answer = answer.map_err(|error| error.failure).doing("calling it")?;
    require(answer.data() == b"b", "b answers")?;
    let own = ReceiveRight::new().doing("making a port")?;
    let right = own.make_send().doing("making a right")?;
    right
        .check_in("only here")
        .map_err(|_| Error::Wrong("checking in"))?;
    let there = node("b").look_up("only here").err();
    require(
        there == Some(Failure::NameUnknown),
        "b does not have the name",
    )?;
    node("b")
        .check_in("at b", &right)
        .doing("checking in at b")?;
    let found = this.look_up("at b").doing("looking it up")?;
    require(
        found.location().doing("asking where it is")?.address == this.address(),
        "what comes home is the port itself",
    )?;
    // `echo` is b's: whoever else claims it hears that.
    let taken = right.claim(ECHO).err();
    match taken {
        Some(Failure::NameTakenBy { node }) if node.as_str() == "b" => Ok(()),
        other => {
            println!("{other:?}");
            Err(Error::Wrong("`echo` is taken by b"))
        }
    }
}

/// Threads on node `b`: what they are given, how their end is noticed, and what fails.
pub fn spawn(this: &Node) -> Result<(), Error> {
    this.wait_for(COUNT, PATIENCE).doing("looking `count` up")?;
    let worker = begin("first")?;
    // All that it holds is given up when it ends, the right to our port too.
    let order = order()?;
    worker
        .1
        .control()
        .send(order)
        .map_err(|error| Error::Failed("sending an order", error.failure))?;
    worker.1.wait(PATIENCE).doing("waiting for its end")?;
    told_of_no_senders(&worker.0)?;
    let late = worker.1.control().send(Message::new().doing("a message")?);
    require(late.is_err(), "its port has died")?;
    // One whose right is given up hears that.
    let (port, worker) = begin("second")?;
    let waited = worker.wait(Duration::from_millis(50)).err();
    require(
        waited == Some(Failure::TimedOut),
        "it runs until it is told",
    )?;
    drop(worker);
    told_of_no_senders(&port)?;
    // No such entry: the message is here again.
    let message = Message::with_data(b"kept").doing("a message")?;
    match node("b").spawn("nobody", message) {
        Err(error) => {
            require(
                error.failure == Failure::NoSuchEntry,
                "there is no such entry",
            )?;
            let kept = error
                .message
                .is_some_and(|message| message.data() == b"kept");
            require(kept, "the message came back")?;
        }
        Ok(_) => return Err(Error::Wrong("a thread began at no entry")),
    }
    // An entry can be passed on; here it comes back from b.
    let entry = node("b").entry("worker").doing("asking for an entry")?;
    let timed = entry.spawn_timeout(Message::new().doing("a message")?, PATIENCE);
    let timed = timed.map_err(|error| Error::Failed("beginning a thread", error.failure))?;
    // It was given no right to answer by, and so has ended.
    timed
        .wait(PATIENCE)
        .doing("waiting for one that ends at once")?;
    let (_port, worker) = begin("third")?;
    println!("ready for the death of b");
    match worker.wait(Duration::from_secs(60)) {
        Err(Failure::NodeDied { name, .. }) if name.as_str() == "b" => Ok(()),
        other => {
            println!("{other:?}");
            Err(Error::Wrong("the worker died with its node"))
        }
    }
}

fn order() -> Result<Message, Error> {
    let mut order = Message::new().doing("a message")?;
    order.set_id(END);
    Ok(order)
}

/// Begins a worker, and waits for what it says; with the port to which it has a right.
fn begin(text: &str) -> Result<(ReceiveRight, norma_boot::RemoteThread), Error> {
    let port = ReceiveRight::new().doing("making a port")?;
    let mut message = Message::with_data(text.as_bytes()).doing("a message")?;
    message
        .set_memory(&vec![9; 70_000])
        .doing("memory for a message")?;
    message.push_send_to(&port).doing("a right for a message")?;
    let worker = node("b").spawn("worker", message);
    let worker = worker.map_err(|error| Error::Failed("beginning a thread", error.failure))?;
    let said = port.receive_timeout(PATIENCE);
    let said = said.map_err(|error| Error::Failed("hearing of it", error.failure()))?;
    require(said.id() == 70_000, "the memory was the worker's")?;
    require(said.data() == text.as_bytes(), "and the data")?;
    Ok((port, worker))
}

fn told_of_no_senders(port: &ReceiveRight) -> Result<(), Error> {
    let news = ReceiveRight::new().doing("making a port")?;
    let once = news.make_send_once().doing("making a right")?;
    port.notify_no_senders(1, once)
        .map_err(|refused| Error::Failed("asking for no senders", refused.failure))?;
    match news
        .receive_any_timeout(PATIENCE)
        .doing("waiting for no senders")?
    {
        norma_boot::Delivery::Notification(Notification::NoSenders { .. }) => Ok(()),
        _ => Err(Error::Wrong("no senders are left")),
    }
}

fn require(holds: bool, what: &'static str) -> Result<(), Error> {
    if holds {
        Ok(())
    } else {
        Err(Error::Wrong(what))
    }
}
