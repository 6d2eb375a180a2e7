//! Ports from ring 3: servers, clients, and what the face can do.

use crate::{both, cluster};
use alloc::vec;
use core::time::Duration;
use norma_user::network::Network;
use norma_user::{
    Delivery, Failure, Memory, Message, Notification, PAGE_SIZE, PortSet, ReceiveRight, SendRight,
    Task, println, spawn,
};

/// How long a name is waited for.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn check(condition: bool, expectation: &'static str) -> Result<(), Failure> {
    if !condition {
        println!("not so: {expectation}");
        return Err(Failure::NotSupported);
    }
    Ok(())
}

/// Answers every call with what came, the identifier one higher, until one has the identifier 0.
/// With a name, the port is found by it; else it is the task's first one.
pub fn echo(task: &Task, name: &str) -> Result<(), Failure> {
    if !name.is_empty() {
        task.port().make_send()?.check_in(name)?;
        println!("serves as {name}");
    }
    serve(task)
}

/// The same behind a network server: it is told the name.
pub fn relayed_echo(task: &Task, name: &str) -> Result<(), Failure> {
    let network = Network::find(task, PATIENCE)?;
    network.check_in(name, &task.port().make_send()?)?;
    println!("serves as {name}");
    serve(task)?;
    network.settle()
}

fn serve(task: &Task) -> Result<(), Failure> {
    let mut message = task.port().receive()?;
    while message.id() != 0 {
        message.set_id(message.id() + 1);
        message = task.port().reply_and_receive(message)?;
    }
    Ok(message.reply()?)
}

/// Calls the service of that name, small and large, and ends it.
pub fn client(task: &Task, name: &str) -> Result<(), Failure> {
    call_all(&task.wait_for(name, PATIENCE)?)
}

/// The same by way of a network server.
pub fn relayed_client(task: &Task, name: &str) -> Result<(), Failure> {
    let network = Network::find(task, PATIENCE)?;
    call_all(&network.look_up(name, PATIENCE)?)?;
    network.settle()
}

fn call_all(service: &SendRight) -> Result<(), Failure> {
    let mut message = Message::new()?;
    for size in [0, 1, 64, 65, 1000, 4097, 8192] {
        let data = vec![size as u8; size];
        message.set_data(&data)?;
        message.set_id(size as u32 + 1);
        message = service.call(message)?;
        check(message.id() == size as u32 + 2, "the answer is one higher")?;
        check(message.data() == data, "the data come back")?;
    }
    message.clear_data();
    for size in [1, PAGE_SIZE, 100_000] {
        message.set_memory(&vec![7; size])?;
        message.set_id(1);
        message = service.call(message)?;
        let memory = message.take_memory();
        check(memory.bytes() == vec![7; size], "the memory comes back")?;
    }
    let port = ReceiveRight::new()?;
    message.push_send_to(&port)?;
    message.set_id(1);
    message = service.call(message)?;
    let right = message.take_right()?.ok_or(Failure::InvalidRight)?;
    check(
        right.name() == port.name(),
        "a right that comes home is the one that left",
    )?;
    for _ in 0..1000 {
        message.set_id(1);
        message = service.call(message)?;
    }
    message.set_id(0);
    service.call(message)?;
    println!("all answers came");
    Ok(())
}

/// What one task can do with ports by itself.
pub fn all(task: &Task) -> Result<(), Failure> {
    queue()?;
    sets()?;
    notifications()?;
    dead()?;
    large()?;
    given_back()?;
    both::all(&task.space())?;
    cluster::names(task)
}

fn queue() -> Result<(), Failure> {
    let port = ReceiveRight::new()?;
    let right = port.make_send()?;
    port.set_queue_limit(2)?;
    right.try_send(Message::with_data(b"one")?)?;
    right.try_send(Message::with_data(b"two")?)?;
    let refused = right.try_send(Message::with_data(b"three")?);
    let Err(error) = refused else {
        return check(false, "a full queue refuses");
    };
    check(error.failure == Failure::Full, "it is full")?;
    check(error.message.data() == b"three", "the message comes back")?;
    check(port.status()?.queued == 2, "two are queued")?;
    check(port.receive()?.data() == b"one", "first come, first served")?;
    check(port.receive()?.sequence() == 1, "they are numbered")?;
    let none = port.receive_any_timeout(Duration::from_millis(5));
    check(matches!(none, Err(Failure::TimedOut)), "a wait ends")?;
    check(port.set_queue_limit(60_000).is_err(), "limits are limited")
}

fn sets() -> Result<(), Failure> {
    let set = PortSet::new()?;
    let (one, two) = (ReceiveRight::new()?, ReceiveRight::new()?);
    set.add(&one)?;
    set.add(&two)?;
    two.make_send()?.send(Message::with_data(b"to two")?)?;
    let message = set.receive()?;
    check(
        two.received(&message) && set.contains(&two),
        "it came to the second",
    )?;
    set.remove(&two)?;
    check(!set.contains(&two), "it is no member any more")
}

fn notifications() -> Result<(), Failure> {
    let news = ReceiveRight::new()?;
    let port = ReceiveRight::new()?;
    let right = port.make_send()?;
    port.notify_no_senders(1, news.make_send_once()?)?;
    right.notify_death(news.make_send_once()?)?;
    let name = right.name();
    drop(port);
    let told = news.receive_any()?;
    let dead = matches!(told, Delivery::Notification(Notification::DeadName { name: of, .. }) if of == name);
    check(
        dead || matches!(told, Delivery::Notification(Notification::SendOnce(_))),
        "death is told",
    )?;
    let _ = news.receive_any()?;
    check(right.is_dead(), "the right is dead")?;
    let once = news.make_send_once()?;
    drop(once);
    let told = news.receive_any()?;
    check(
        matches!(told, Delivery::Notification(Notification::SendOnce(_))),
        "an unused right is told",
    )
}

fn dead() -> Result<(), Failure> {
    let port = ReceiveRight::new()?;
    let right = port.make_send()?;
    drop(port);
    let Err(error) = right.call(Message::with_data(b"anybody")?) else {
        return check(false, "nobody answers");
    };
    check(error.failure == Failure::PortDied, "the port died")?;
    let back = error.message.ok_or(Failure::Empty)?;
    check(back.data() == b"anybody", "the message comes back")
}

/// A message that is larger than the room for it is fetched.
fn large() -> Result<(), Failure> {
    let port = ReceiveRight::new()?;
    let right = port.make_send()?;
    let mut message = Message::with_data(&[9; 8000])?;
    for _ in 0..3 {
        message.push_send_once_to(&port)?;
    }
    right.send(message)?;
    let mut message = port.receive()?;
    check(message.data() == [9; 8000], "all of it came")?;
    let mut rights = 0;
    while message.take_send_once()?.is_some() {
        rights += 1;
    }
    check(rights == 3, "so did the rights")
}

/// What is not sent comes back: rights under their names, memory with its contents.
fn given_back() -> Result<(), Failure> {
    let port = ReceiveRight::new()?;
    let dead = port.make_send()?;
    drop(port);
    let own = ReceiveRight::new()?;
    let right = own.make_send()?;
    let name = right.name();
    let mut message = Message::new()?;
    message.push_right(right)?;
    let _ = message.replace_memory(Memory::copy_from(&[5; 5000])?);
    let Err(mut error) = dead.send(message) else {
        return check(false, "nobody is there");
    };
    let right = error.message.take_right()?.ok_or(Failure::Empty)?;
    check(right.name() == name, "the right has its name")?;
    right.send(Message::with_data(b"still good")?)?;
    check(own.receive()?.data() == b"still good", "and is one")?;
    let memory = error.message.take_memory();
    check(memory.bytes() == [5; 5000], "the memory is as it was")
}

/// Memory moves, and is shared until somebody writes.
pub fn memory() -> Result<(), Failure> {
    let port = ReceiveRight::new()?;
    let right = port.make_send()?;
    let mut memory = Memory::zeroed(20 * PAGE_SIZE + 17)?;
    for (index, byte) in memory.bytes_mut().iter_mut().enumerate() {
        *byte = (index / 100) as u8;
    }
    let mut copy = memory.share()?;
    check(copy.bytes() == memory.bytes(), "a copy is equal")?;
    copy.bytes_mut()[5 * PAGE_SIZE] = 0xee;
    memory.bytes_mut()[0] = 0xdd;
    check(
        memory.bytes()[5 * PAGE_SIZE] != 0xee,
        "the first does not see it",
    )?;
    check(copy.bytes()[0] == 0, "nor does the copy")?;
    let mut again = copy.share()?;
    drop(copy);
    again.bytes_mut().fill(3);
    let mut message = Message::new()?;
    let _ = message.replace_memory(again);
    right.send(message)?;
    let mut message = port.receive()?;
    check(
        message.take_memory().bytes().iter().all(|byte| *byte == 3),
        "it moved",
    )?;
    let writer = spawn(0, move || {
        memory.bytes_mut().fill(1);
    })?;
    writer.join();
    check(Memory::zeroed(1 << 40).is_err(), "there is a limit")
}

/// Receives a call, and dies with it.
pub fn unanswered(task: &Task) -> Result<(), Failure> {
    let _message = task.port().receive()?;
    crate::faults::fault("null")
}
