//! What programs on two nodes do with rights, large data and each other's ends, when a network
//! server in a task carries their messages: the keeper does what it is asked, the visitor asks.

use crate::ports::{PATIENCE, check};
use alloc::vec::Vec;
use core::time::Duration;
use norma_user::network::Network;
use norma_user::{
    Delivery, Failure, Memory, Message, Notification, ReceiveRight, SendRight, Task, println, spawn,
};

/// What the keeper is called.
const KEEPER: &str = "keeper";
/// A port of the keeper's at which it receives only when told.
const SLOW: &str = "slow";
/// A program that dies with a call.
const DOOMED: &str = "doomed";
/// A service of a third node.
const THIRD: &str = "far";
/// A thread of the visitor's own node, which ends the server there and starts another.
const STAGE: &str = "stage";

/// More messages than all queues on the way to [`SLOW`] hold, so that many still lie in that of
/// the proxy when their sender ends.
const BURST: u32 = 60;

/// What the keeper is asked, as identifiers.
mod ask {
    pub const END: u32 = 0;
    /// To answer with what came.
    pub const ECHO: u32 = 1;
    /// To keep a receive right.
    pub const MOVE: u32 = 2;
    /// To receive three messages from it, and answer the last.
    pub const RECEIVE: u32 = 3;
    /// To give it back.
    pub const RETURN: u32 = 4;
    /// To call the service whose right comes along.
    pub const THIRD: u32 = 5;
    /// To look whether the right that comes along is dead.
    pub const DEAD: u32 = 6;
    /// To keep a send right.
    pub const KEEP: u32 = 7;
    /// To give it up.
    pub const DROP: u32 = 8;
    /// To use one send-once right, and to drop another.
    pub const ONCE: u32 = 9;
    /// To take what lies at the slow port.
    pub const DRAIN: u32 = 10;
    /// To say that the call has come, to the right that comes along, and never to answer.
    pub const HOLD: u32 = 11;
    /// To wait for the death of the right that came with HOLD.
    pub const MOURN: u32 = 12;
}

fn right_of(message: &mut Message) -> Result<SendRight, Failure> {
    message.take_right()?.ok_or(Failure::InvalidRight)
}

/// Does what it is asked, until one asks for the end.
pub fn keeper(task: &Task) -> Result<(), Failure> {
    let network = Network::find(task, PATIENCE)?;
    let slow = ReceiveRight::new()?;
    slow.set_queue_limit(2)?;
    network.check_in(SLOW, &slow.make_send()?)?;
    network.check_in(KEEPER, &task.port().make_send()?)?;
    let (mut moved, mut kept, mut held) = (None, None, None);
    let mut message = task.port().receive()?;
    loop {
        match message.id() {
            ask::END => break,
            ask::ECHO => {}
            ask::MOVE => moved = message.take_receive()?,
            ask::RECEIVE => receive_three(moved.as_ref().ok_or(Failure::Empty)?)?,
            ask::RETURN => message.push_right(moved.take().ok_or(Failure::Empty)?)?,
            ask::THIRD => {
                let mut request = Message::new()?;
                request.set_id(1);
                let answer = right_of(&mut message)?.call(request)?;
                check(answer.id() == 2, "a third node answers")?;
            }
            ask::DEAD => check(
                right_of(&mut message)?.is_dead(),
                "a dead right arrives as one",
            )?,
            ask::KEEP => kept = Some(right_of(&mut message)?),
            ask::DROP => drop(kept.take()),
            ask::ONCE => {
                let used = message.take_send_once()?.ok_or(Failure::InvalidRight)?;
                used.send(Message::with_data(b"once")?)?;
                drop(message.take_send_once()?);
            }
            ask::DRAIN => {
                for number in 0..BURST {
                    check(slow.receive()?.id() == number, "all came, in order")?;
                }
            }
            ask::HOLD => {
                let right = right_of(&mut message)?;
                right.send(Message::with_data(b"held")?)?;
                held = Some((right, message));
                message = task.port().receive()?;
                continue;
            }
            ask::MOURN => {
                let (right, call) = held.take().ok_or(Failure::Empty)?;
                let news = ReceiveRight::new()?;
                right.notify_death(news.make_send_once()?)?;
                mourn(&news, &right)?;
                // Nobody waits for the answer any more, and that is no error here.
                let _ = call.reply();
            }
            _ => return Err(Failure::OutOfRange),
        }
        message = task.port().reply_and_receive(message)?;
    }
    message.reply()?;
    network.settle()
}

/// Waits until a node is found dead.
fn mourn(news: &ReceiveRight, right: &SendRight) -> Result<(), Failure> {
    let told = news.receive_any()?;
    let died =
        |failure: &Failure| matches!(failure, Failure::NodeDied { address, .. } if *address != 0);
    check(
        matches!(&told, Delivery::Notification(Notification::DeadName { name, failure })
            if *name == right.name() && matches!(failure, Failure::NodeDied { .. })),
        "a node that is gone is told",
    )?;
    let refused = right.try_send(Message::new()?).err();
    let failure = refused.map(|error| error.failure);
    check(
        failure.as_ref().is_some_and(died),
        "and is the reason why nothing can be sent",
    )
}

/// What came before the receive right moved, and what came after it.
fn receive_three(port: &ReceiveRight) -> Result<(), Failure> {
    check(port.receive()?.data() == b"first", "the queue moved along")?;
    check(port.receive()?.data() == b"second", "in order")?;
    let mut call = port.receive()?;
    check(call.data() == b"third", "what is sent afterwards follows")?;
    call.set_data(b"answered elsewhere")?;
    Ok(call.reply()?)
}

/// Receives a call by the network, and dies with it.
pub fn doomed(task: &Task) -> Result<(), Failure> {
    let network = Network::find(task, PATIENCE)?;
    network.check_in(DOOMED, &task.port().make_send()?)?;
    let _message = task.port().receive()?;
    crate::faults::fault("null")
}

/// Sends more than finds room anywhere else, and ends.
pub fn burst(task: &Task) -> Result<(), Failure> {
    let network = Network::find(task, PATIENCE)?;
    let slow = network.look_up(SLOW, PATIENCE)?;
    for number in 0..BURST {
        let mut message = Message::new()?;
        message.set_id(number);
        slow.send(message)?;
    }
    Ok(())
}

/// Who asks.
struct Visitor {
    keeper: SendRight,
    network: Network,
}

impl Visitor {
    fn ask(&self, what: u32, mut message: Message) -> Result<Message, Failure> {
        message.set_id(what);
        Ok(self.keeper.call(message)?)
    }

    fn empty(&self, what: u32) -> Result<Message, Failure> {
        self.ask(what, Message::new()?)
    }

    fn with(&self, what: u32, right: SendRight) -> Result<Message, Failure> {
        let mut message = Message::new()?;
        message.push_right(right)?;
        self.ask(what, message)
    }
}

/// Asks for everything.
pub fn visitor(task: &Task) -> Result<(), Failure> {
    let network = Network::find(task, PATIENCE)?;
    let visitor = Visitor {
        keeper: network.look_up(KEEPER, PATIENCE)?,
        network,
    };
    // What fills the slow port is in nobody else's way.
    moved(&visitor)?;
    third(&visitor)?;
    notifications(&visitor)?;
    large(&visitor)?;
    doomed_call(&visitor)?;
    visitor.empty(ask::DRAIN)?;
    println!("what a program sent before it ended has arrived");
    let visitor = server_dies(task, visitor)?;
    visitor.empty(ask::END)?;
    println!("all was kept");
    visitor.network.settle()
}

/// A receive right goes to another node and comes back; calls follow it.
fn moved(visitor: &Visitor) -> Result<(), Failure> {
    let (port, answers) = (ReceiveRight::new()?, ReceiveRight::new()?);
    let (right, name) = (port.make_send()?, port.name());
    right.send(Message::with_data(b"first")?)?;
    right.send(Message::with_data(b"second")?)?;
    let mut message = Message::new()?;
    message.push_right(port)?;
    visitor.ask(ask::MOVE, message)?;
    right.request(Message::with_data(b"third")?, &answers)?;
    visitor.empty(ask::RECEIVE)?;
    check(
        answers.receive()?.data() == b"answered elsewhere",
        "a call follows the receive right",
    )?;
    let back = visitor.empty(ask::RETURN)?.take_receive()?;
    let back = back.ok_or(Failure::InvalidRight)?;
    check(back.name() == name, "it comes home under its name")?;
    right.send(Message::with_data(b"home")?)?;
    // Nothing else is there: no word of what the server was told.
    check(back.receive()?.data() == b"home", "and so do messages")
}

/// A right of a third node's is passed on.
fn third(visitor: &Visitor) -> Result<(), Failure> {
    let third = visitor.network.look_up(THIRD, PATIENCE)?;
    visitor.with(ask::THIRD, third.copy()?)?;
    let mut message = Message::new()?;
    message.set_id(0);
    third.call(message)?;
    Ok(())
}

fn notifications(visitor: &Visitor) -> Result<(), Failure> {
    let dead = ReceiveRight::new()?.make_send()?;
    visitor.with(ask::DEAD, dead)?;

    let (port, news) = (ReceiveRight::new()?, ReceiveRight::new()?);
    visitor.with(ask::KEEP, port.make_send()?)?;
    port.notify_no_senders(1, news.make_send_once()?)?;
    check(
        matches!(news.try_receive_any(), Err(Failure::Empty)),
        "another node has a right",
    )?;
    visitor.empty(ask::DROP)?;
    check(
        matches!(
            news.receive_any()?,
            Delivery::Notification(Notification::NoSenders { .. })
        ),
        "that nobody can send is told across nodes",
    )?;

    let mut message = Message::new()?;
    message.push_send_once_to(&port)?;
    message.push_send_once_to(&news)?;
    visitor.ask(ask::ONCE, message)?;
    check(port.receive()?.data() == b"once", "one message came")?;
    check(
        matches!(
            news.receive_any()?,
            Delivery::Notification(Notification::SendOnce(_))
        ),
        "and word that there will be no other",
    )
}

/// A typed message with a mebibyte, there and back.
fn large(visitor: &Visitor) -> Result<(), Failure> {
    let bytes: Vec<u8> = (0..1 << 20)
        .map(|at: u32| (at / 3 + at / 4096) as u8)
        .collect();
    let mut message = Message::new()?;
    let mut writer = message.write();
    writer.text("a mebibyte")?;
    writer
        .memory(Memory::copy_from(&bytes)?)
        .map_err(|error| error.failure)?;
    writer.i16(-2)?;
    let mut answer = visitor.ask(ask::ECHO, message)?;
    let mut reader = answer.read()?;
    check(reader.text()? == "a mebibyte", "it says what it is")?;
    check(reader.memory()?.bytes() == bytes, "a mebibyte comes back")?;
    check(reader.i16()? == -2, "with what is behind it")?;
    Ok(reader.end()?)
}

/// A program dies with a call: its caller learns so, and its port is dead.
fn doomed_call(visitor: &Visitor) -> Result<(), Failure> {
    let doomed = visitor.network.look_up(DOOMED, PATIENCE)?;
    let news = ReceiveRight::new()?;
    doomed.notify_death(news.make_send_once()?)?;
    let unanswered = doomed.call(Message::new()?).err();
    let failure = unanswered.map(|error| error.failure);
    check(failure == Some(Failure::Unanswered), "nobody answers")?;
    check(
        matches!(
            news.receive_any()?,
            Delivery::Notification(Notification::DeadName { .. })
        ),
        "and the port dies",
    )?;
    let refused = doomed.call(Message::new()?).err();
    let failure = refused.map(|error| error.failure);
    check(failure == Some(Failure::PortDied), "as its callers learn")
}

/// The server dies with a call under way. All that it stood for is dead, and the call comes to
/// nothing; with another server all begins anew. The other node takes it for the death of a node.
fn server_dies(task: &Task, visitor: Visitor) -> Result<Visitor, Failure> {
    let here = ReceiveRight::new()?;
    let right = here.make_send()?;
    let keeper = visitor.keeper.copy()?;
    let caller = spawn(0, move || {
        let mut message = Message::new().unwrap_or_else(|failure| panic!("{failure}"));
        message.set_id(ask::HOLD);
        let sent = message.push_right(right);
        assert!(sent.is_ok());
        let failure = keeper.call(message).err().map(|error| error.failure);
        println!("the call under way: {failure:?}");
        assert_eq!(failure, Some(Failure::Unanswered));
    })?;
    check(here.receive()?.data() == b"held", "the call is there")?;
    let news = ReceiveRight::new()?;
    visitor.keeper.notify_death(news.make_send_once()?)?;
    let stage = task.wait_for(STAGE, PATIENCE)?;
    stage.call(Message::new()?)?;
    caller.join();
    check(
        matches!(
            news.receive_any()?,
            Delivery::Notification(Notification::DeadName { .. })
        ),
        "the right is dead",
    )?;
    let refused = visitor.keeper.call(Message::new()?).err();
    let failure = refused.map(|error| error.failure);
    check(failure == Some(Failure::PortDied), "and says so")?;
    let gone = visitor.network.look_up(KEEPER, Duration::ZERO).err();
    check(gone == Some(Failure::PortDied), "so does the server's own")?;
    let network = Network::find(task, PATIENCE)?;
    let visitor = Visitor {
        keeper: network.look_up(KEEPER, PATIENCE)?,
        network,
    };
    visitor.empty(ask::MOURN)?;
    println!("with another server all goes on");
    Ok(visitor)
}
