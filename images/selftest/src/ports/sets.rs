//! Port sets: turns, members that come and go, and several servers at one set.

use super::{Hope, ahead, beside, message, port};
use crate::{Failure, check};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use norma_boot::{Delivery, Failure as Refusal, Message, Node, Notification};
use norma_boot::{PortSet, ReceiveRight, SendRight};

pub fn all(node: &Node) -> Result<(), Failure> {
    members_come_and_go()?;
    members_take_turns()?;
    waiting_at_set_and_port(node)?;
    notifications_come_through_sets(node)?;
    a_member_dies_while_threads_wait(node)?;
    servers(node)
}

fn set() -> Result<PortSet, Failure> {
    PortSet::new().hope("a set can be made")
}

fn member(set: &PortSet) -> Result<(ReceiveRight, SendRight), Failure> {
    let port = port()?;
    set.add(&port).hope("it can be a member")?;
    let right = port.make_send().hope("a send right")?;
    Ok((port, right))
}

fn members_come_and_go() -> Result<(), Failure> {
    let (one, other) = (set()?, set()?);
    let (port, right) = member(&one)?;
    let (second, to_second) = member(&one)?;
    let names = one.members().hope("a list")?;
    check(
        names == [port.name(), second.name()],
        "it lists its members",
    )?;
    right.send(message(b"early")?).hope("it is queued")?;
    // With what is queued, from one set into the other.
    other.add(&port).hope("it can move")?;
    check(other.contains(&port) && !one.contains(&port), "it moved")?;
    let not_there = one.remove(&port) == Err(Refusal::NotInSet);
    check(not_there, "what is not in a set cannot leave it")?;
    let nothing = one.try_receive().err().hope("the first set is empty")?;
    check(nothing.failure() == Refusal::Empty, "and says so")?;
    let early = other.try_receive().hope("the second has the message")?;
    check(
        port.received(&early),
        "a message says on which port it came",
    )?;
    other.remove(&port).hope("it can leave")?;
    right.send(message(b"late")?).hope("it is queued")?;
    check(other.try_receive().is_err(), "it is a member no more")?;
    port.receive().hope("it is received from alone")?;
    // A member that is given up is gone; a set that is given up leaves its members.
    drop(port);
    to_second.send(message(b"last")?).hope("it is queued")?;
    drop(one);
    let last = second.receive().hope("its members live on")?;
    check(last.data() == b"last", "with what was queued")?;
    let status = second.status().hope("a status")?;
    check(status.set.is_none(), "in no set")
}

const EACH: usize = 10;

fn members_take_turns() -> Result<(), Failure> {
    let set = set()?;
    let mut ports = Vec::new();
    for _ in 0..3 {
        ports.push(member(&set)?);
    }
    // All of the first, then all of the second, and so on.
    for (_, right) in &ports {
        for _ in 0..EACH {
            right.send(message(b"")?).hope("it is queued")?;
        }
    }
    let mut sequences = [0; 3];
    for _ in 0..EACH {
        let mut round = [false; 3];
        for _ in 0..3 {
            let message = set.try_receive().hope("there is one")?;
            let whose = ports.iter().position(|(port, _)| port.received(&message));
            let whose = whose.hope("it came on a member")?;
            check(!round[whose], "nobody has two turns before all had one")?;
            round[whose] = true;
            let next = message.sequence() == sequences[whose];
            check(next, "messages of a port are numbered")?;
            sequences[whose] += 1;
        }
    }
    check(set.try_receive().is_err(), "that was all")
}

fn waiting_at_set_and_port(node: &Node) -> Result<(), Failure> {
    let set = set()?;
    let (one, to_one) = member(&set)?;
    let (_other, to_other) = member(&set)?;
    // A thread waits at the member alone, this one at the set.
    let alone = ahead(node, move || {
        while let Ok(message) = one.receive() {
            let _ = message.reply();
        }
    })?;
    let asker = beside(node, move || {
        if let Ok(answer) = Message::new().and_then(|request| Ok(to_one.call(request)?)) {
            let _ = to_other.send(answer);
        }
    })?;
    let relayed = set.receive().hope("the other member's message")?;
    check(
        !relayed.expects_reply(),
        "the request went to the thread at the port",
    )?;
    asker.join();
    check(alone.cancel(), "it waits again")?;
    alone.join();
    Ok(())
}

fn notifications_come_through_sets(node: &Node) -> Result<(), Failure> {
    let set = set()?;
    let (news, _to_news) = member(&set)?;
    let (_work, to_work) = member(&set)?;
    let mortal = port()?;
    let right = mortal.make_send().hope("a send right")?;
    let notify = news.make_send_once().hope("a send-once right")?;
    right.notify_death(notify).hope("a request")?;
    let other = beside(node, move || {
        let _ = Message::new().map(|work| to_work.send(work));
        drop(mortal);
    })?;
    let (mut messages, mut deaths) = (0, 0);
    while messages + deaths < 2 {
        match set.receive_any().hope("something is received")? {
            Delivery::Message(_) => messages += 1,
            Delivery::Notification(Notification::DeadName { .. }) => deaths += 1,
            Delivery::Notification(_) => return Err(Failure("a dead name is told")),
        }
    }
    other.join();
    check(messages == 1 && deaths == 1, "one of each")
}

fn a_member_dies_while_threads_wait(node: &Node) -> Result<(), Failure> {
    let set = Arc::new(set()?);
    let (mortal, _) = member(&set)?;
    let (lasting, right) = member(&set)?;
    let other = beside(node, move || {
        drop(mortal);
        let _ = Message::new().map(|message| right.send(message));
    })?;
    let message = set.receive().hope("the wait goes on")?;
    check(lasting.received(&message), "for the members that are left")?;
    other.join();
    let none = set.receive_timeout(Duration::from_millis(1)).err();
    let none = none.hope("a wait at a set can end")?;
    check(none.failure() == Refusal::TimedOut, "by its time")
}

const SERVERS: u32 = 4;
const PORTS: usize = 6;
const CLIENTS: usize = 12;
const CALLS: u32 = 40;
const STOP: u32 = u32::MAX;

/// Several servers at one set of several ports, and more clients than either.
fn servers(node: &Node) -> Result<(), Failure> {
    static SERVED: [AtomicU32; PORTS] = [const { AtomicU32::new(0) }; PORTS];
    static ANSWERED: AtomicU32 = AtomicU32::new(0);
    let set = Arc::new(set()?);
    let mut ports = Vec::new();
    let mut rights = Vec::new();
    for _ in 0..PORTS {
        let (port, right) = member(&set)?;
        ports.push(port);
        rights.push(right);
    }
    let ports = Arc::new(ports);
    let mut threads = Vec::new();
    for server in 0..SERVERS {
        let (set, ports) = (set.clone(), ports.clone());
        let handle = node.spawn("server", (server % 2) as u8, move || {
            serve(&set, &ports, &SERVED);
        });
        threads.push(handle.hope("a thread can be made")?);
    }
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        let right = rights[client % PORTS].copy().hope("a copy")?;
        let handle = node.spawn("client", (client % 3) as u8, move || {
            if call(&right, client % PORTS).is_ok() {
                ANSWERED.fetch_add(1, Ordering::Relaxed);
            }
        });
        clients.push(handle.hope("a thread can be made")?);
    }
    for client in clients {
        client.join();
    }
    for _ in 0..SERVERS {
        let mut stop = message(b"")?;
        stop.set_id(STOP);
        rights[0].send(stop).hope("it is sent")?;
    }
    for thread in threads {
        thread.join();
    }
    let answered = ANSWERED.load(Ordering::Relaxed) as usize;
    check(answered == CLIENTS, "every client had every answer")?;
    let each = (CLIENTS / PORTS) as u32 * CALLS;
    let even = SERVED
        .iter()
        .all(|port| port.load(Ordering::Relaxed) == each);
    check(even, "every port was served, and nothing twice")
}

fn serve(set: &PortSet, ports: &[ReceiveRight], served: &[AtomicU32; PORTS]) {
    let mut next = set.receive();
    while let Ok(mut request) = next {
        if request.id() == STOP {
            return;
        }
        let Some(port) = ports.iter().position(|port| port.received(&request)) else {
            return;
        };
        served[port].fetch_add(1, Ordering::Relaxed);
        request.set_id(port as u32);
        next = set.reply_and_receive(request);
    }
}

fn call(right: &SendRight, port: usize) -> Result<(), Refusal> {
    let mut message = Message::new()?;
    for call in 0..CALLS {
        message.set_data(&call.to_le_bytes())?;
        message = right.call(message)?;
        if message.id() != port as u32 || message.data() != call.to_le_bytes() {
            return Err(Refusal::Unanswered);
        }
    }
    Ok(())
}
