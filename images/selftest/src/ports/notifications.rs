//! Every notification, told to a thread that waits for it and to one that comes later.

use super::{Hope, beside, message, port, senders, silent, told};
use crate::{Failure, check};
use norma_boot::{Delivery, Failure as Refusal, Message, Node, Notification, ReceiveRight};
use norma_boot::{ReceiveError, RightKind, SendOnceRight};

pub fn all(node: &Node) -> Result<(), Failure> {
    dead_name(node)?;
    name_deleted(node)?;
    no_senders(node)?;
    senders::race(node)?;
    port_destroyed(node)?;
    lost_with_a_message(node)?;
    a_plain_receive_loses_nothing(node)?;
    send_once(node)?;
    room(node)?;
    asked_twice_and_withdrawn()
}

fn to(port: &ReceiveRight) -> Result<SendOnceRight, Failure> {
    port.make_send_once().hope("a send-once right can be made")
}

fn dead_name(node: &Node) -> Result<(), Failure> {
    let news = port()?;
    for waiting in [true, false] {
        let mortal = port()?;
        let right = mortal.make_send().hope("a send right")?;
        let once = to(&mortal)?;
        let before = right.notify_death(to(&news)?).hope("a request")?;
        check(before.is_none(), "nobody had asked before")?;
        let before = once.notify_death(to(&news)?).hope("a request")?;
        check(before.is_none(), "the other name is another request")?;
        check(!right.is_dead(), "it lives")?;
        let end = beside(node, move || drop(mortal))?;
        let end = if waiting {
            Some(end)
        } else {
            end.join();
            None
        };
        for _ in 0..2 {
            let Notification::DeadName { name, failure } = told(&news)? else {
                return Err(Failure("a dead name is told"));
            };
            let named = name == right.name() || name == once.name();
            check(named, "the notification names the right")?;
            check(failure == Refusal::PortDied, "it says why")?;
        }
        if let Some(end) = end {
            end.join();
        }
        check(right.is_dead(), "it is dead")?;
        let again = right.notify_death(to(&news)?).hope("a request")?;
        check(again.is_none(), "nobody had asked about the dead")?;
        let at_once = matches!(told(&news)?, Notification::DeadName { .. });
        check(at_once, "what is dead already is told at once")?;
        silent(&news)?;
    }
    Ok(())
}

fn name_deleted(node: &Node) -> Result<(), Failure> {
    let news = port()?;
    let lasting = port()?;
    // A send-once right has a name of its own, which goes with it.
    let once = to(&lasting)?;
    let once_name = once.name();
    once.notify_death(to(&news)?).hope("a request")?;
    let other = beside(node, move || drop(once))?;
    let Notification::NameDeleted { name } = told(&news)? else {
        return Err(Failure("a deleted name is told"));
    };
    other.join();
    check(name == once_name, "the notification says which name")?;
    let unused = matches!(told(&lasting)?, Notification::SendOnce(_));
    check(unused, "and its port that it was not used")?;
    // Used up by sending is given up as well.
    let once = to(&lasting)?;
    once.notify_death(to(&news)?).hope("a request")?;
    once.send(message(b"used")?).hope("it is sent")?;
    let deleted = matches!(told(&news)?, Notification::NameDeleted { .. });
    check(deleted, "a name that was used up is deleted")?;
    lasting.receive().hope("the message is there")?;
    silent(&news)
}

fn no_senders(node: &Node) -> Result<(), Failure> {
    let news = port()?;
    let service = port()?;
    let right = service.make_send().hope("a send right")?;
    let copy = right.copy().hope("a copy")?;
    service.notify_no_senders(1, to(&news)?).hope("a request")?;
    drop(right);
    silent(&news)?;
    let other = beside(node, move || drop(copy))?;
    let Notification::NoSenders { make_sends } = told(&news)? else {
        return Err(Failure("no senders are told"));
    };
    other.join();
    check(make_sends == 1, "a copy is not counted as made")?;
    // Not before a right was made of which the one who asks knows.
    service.notify_no_senders(2, to(&news)?).hope("a request")?;
    silent(&news)?;
    drop(service.make_send().hope("a send right")?);
    let second = matches!(told(&news)?, Notification::NoSenders { make_sends: 2 });
    check(second, "the second right is gone too")?;
    // A right under way in a message is a sender.
    let mut letter = message(b"with a right")?;
    letter.push_send_to(&service).hope("a right in a message")?;
    service.notify_no_senders(3, to(&news)?).hope("a request")?;
    silent(&news)?;
    drop(letter);
    let third = matches!(told(&news)?, Notification::NoSenders { make_sends: 3 });
    check(third, "the right in the message is gone too")?;
    // The end of the port uses the right up as well.
    service.notify_no_senders(4, to(&news)?).hope("a request")?;
    drop(service);
    let ended = matches!(told(&news)?, Notification::SendOnce(Refusal::PortDied));
    check(ended, "the end of the port answers the request")?;
    silent(&news)
}

fn port_destroyed(node: &Node) -> Result<(), Failure> {
    let news = port()?;
    let service = port()?;
    let right = service.make_send().hope("a send right")?;
    right.send(message(b"kept")?).hope("it is queued")?;
    service
        .notify_port_destroyed(to(&news)?)
        .hope("a request")?;
    // Its thread ends, and with it all that the thread holds.
    let other = beside(node, move || drop(service))?;
    let Notification::PortDestroyed(returned) = told(&news)? else {
        return Err(Failure("the receive right comes back"));
    };
    other.join();
    check(!right.is_dead(), "the port lives on")?;
    let service = returned.claim().hope("it has a name again")?;
    let kept = service.receive().hope("what was queued is there")?;
    check(kept.data() == b"kept", "it is what was queued")?;
    right.send(message(b"more")?).hope("it can be sent to")?;
    let more = service.receive().hope("and received from")?;
    check(more.data() == b"more", "it is what was sent")?;
    // Once is once: now it dies.
    drop(service);
    check(right.is_dead(), "the request is used up")?;
    silent(&news)
}

fn lost_with_a_message(node: &Node) -> Result<(), Failure> {
    let news = port()?;
    let service = port()?;
    let right = service.make_send().hope("a send right")?;
    service
        .notify_port_destroyed(to(&news)?)
        .hope("a request")?;
    let mut letter = message(b"a port")?;
    letter.push_right(service).hope("it fits")?;
    let mailbox = port()?;
    let post = mailbox.make_send().hope("a send right")?;
    post.send(letter).hope("it is queued")?;
    let other = beside(node, move || drop(mailbox))?;
    let Notification::PortDestroyed(returned) = told(&news)? else {
        return Err(Failure("the receive right comes back"));
    };
    other.join();
    check(post.is_dead() && !right.is_dead(), "one died, one did not")?;
    // Who does not want it lets it die.
    drop(returned);
    check(right.is_dead(), "the port dies with the right")
}

fn a_plain_receive_loses_nothing(node: &Node) -> Result<(), Failure> {
    let news = port()?;
    let service = port()?;
    let right = service.make_send().hope("a send right")?;
    service
        .notify_port_destroyed(to(&news)?)
        .hope("a request")?;
    let other = beside(node, move || drop(service))?;
    let error = match news.receive() {
        Ok(_) => return Err(Failure("no message came")),
        Err(error) => error,
    };
    other.join();
    check(
        error.failure() == Refusal::Notified,
        "it says that it is news",
    )?;
    let ReceiveError::Notification(Notification::PortDestroyed(returned)) = error else {
        return Err(Failure("the right is in the error"));
    };
    let service = returned.claim().hope("it has a name again")?;
    right.send(message(b"alive")?).hope("it can be sent to")?;
    service.receive().hope("and received from")?;
    Ok(())
}

fn send_once(node: &Node) -> Result<(), Failure> {
    let news = port()?;
    let right = to(&news)?;
    let other = beside(node, move || drop(right))?;
    let unused = matches!(told(&news)?, Notification::SendOnce(Refusal::Unanswered));
    check(unused, "a right that was not used is told of")?;
    other.join();
    // A plain receive says it as a failure.
    let right = to(&news)?;
    let other = beside(node, move || drop(right))?;
    let error = news.receive().err().hope("no message came")?;
    check(error.failure() == Refusal::Unanswered, "it says why")?;
    other.join();
    // A request that lies in a queue which is destroyed is told of as well.
    let service = port()?;
    let mut request = message(b"a request")?;
    request.push_send_once_to(&news).hope("it fits")?;
    check(
        request.first_right() == Some(RightKind::SendOnce),
        "a send-once right is in it",
    )?;
    let right = service.make_send().hope("a send right")?;
    right.send(request).hope("it is queued")?;
    let other = beside(node, move || drop(service))?;
    let dropped = matches!(told(&news)?, Notification::SendOnce(_));
    check(dropped, "a request that was destroyed is told of")?;
    other.join();
    silent(&news)
}

fn room(node: &Node) -> Result<(), Failure> {
    let news = port()?;
    let service = port()?;
    service.set_queue_limit(1).hope("a limit")?;
    let right = service.make_send().hope("a send right")?;
    right.notify_room(to(&news)?).hope("a request")?;
    let at_once = matches!(told(&news)?, Notification::Room { .. });
    check(at_once, "room that there is is told of at once")?;
    right.try_send(message(b"first")?).hope("there is room")?;
    let refused = right.try_send(message(b"second")?).err();
    let refused = refused.hope("there is no more room")?;
    check(refused.failure == Refusal::Full, "the queue is full")?;
    right.notify_room(to(&news)?).hope("a request")?;
    silent(&news)?;
    let other = beside(node, move || {
        let _ = service.receive();
        let _ = service.receive();
    })?;
    let Notification::Room { name } = told(&news)? else {
        return Err(Failure("room is told of"));
    };
    check(name == right.name(), "the notification names the right")?;
    right.try_send(refused.message).hope("there is room")?;
    other.join();
    check(right.is_dead(), "both were received, and the port is gone")
}

fn asked_twice_and_withdrawn() -> Result<(), Failure> {
    let (first, second) = (port()?, port()?);
    let mortal = port()?;
    let right = mortal.make_send().hope("a send right")?;
    right.notify_death(to(&first)?).hope("a request")?;
    let before = right.notify_death(to(&second)?).hope("a request")?;
    let before = before.hope("the right of the request before")?;
    before
        .send(Message::new().hope("a message")?)
        .hope("it leads on")?;
    let came = matches!(first.receive_any(), Ok(Delivery::Message(_)));
    check(came, "the right of the request before came back")?;
    let withdrawn = right.withdraw_death().hope("it can be withdrawn")?;
    check(withdrawn.is_some(), "and its right comes back")?;
    let nothing = right.withdraw_death().hope("it can be withdrawn")?;
    check(nothing.is_none(), "once")?;
    drop(mortal);
    silent(&first)?;
    silent(&second)?;
    drop(withdrawn);
    let unused = matches!(told(&second)?, Notification::SendOnce(_));
    check(unused, "the right was whole")?;
    // The same of the requests about a receive right.
    let service = port()?;
    service
        .notify_no_senders(1, to(&first)?)
        .hope("a request")?;
    service
        .notify_port_destroyed(to(&first)?)
        .hope("a request")?;
    let status = service.status().hope("a status")?;
    check(
        status.no_senders_requested && status.port_destroyed_requested,
        "the status says what was asked",
    )?;
    let one = service.withdraw_no_senders().hope("it can be withdrawn")?;
    let other = service.withdraw_port_destroyed();
    let other = other.hope("it can be withdrawn")?;
    check(one.is_some() && other.is_some(), "both come back")?;
    drop(service);
    silent(&first)
}
