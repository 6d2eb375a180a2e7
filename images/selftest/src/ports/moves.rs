//! Rights in messages, receive rights that move, limits, and combined sending and receiving.

use super::{Hope, ahead, beside, message, port, silent};
use crate::{Failure, check};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};
use norma_boot::{Delivery, Failure as Refusal, Message, Node, Notification};
use norma_boot::{ReceiveRight, Right, RightKind};

pub fn all(node: &Node) -> Result<(), Failure> {
    every_disposition()?;
    a_port_moves_to_another_thread(node)?;
    no_port_in_its_own_queue()?;
    limits_of_queues()?;
    limits_of_receivers(node)?;
    a_large_message_finds_who_can_take_it(node)?;
    exchange(node)?;
    exchange_that_fails(node)
}

fn every_disposition() -> Result<(), Failure> {
    let (carried, service) = (port()?, port()?);
    let right = service.make_send().hope("a send right")?;
    let once = service.make_send_once().hope("a send-once right")?;
    let copied = right.copy().hope("a copy")?;
    let mut letter = message(b"")?;
    letter.push_right(carried).hope("a receive right moves")?;
    letter.push_right(copied).hope("a send right moves")?;
    letter.push_copy(&right).hope("a send right is copied")?;
    letter.push_send_to(&service).hope("one is made")?;
    letter
        .push_send_once_to(&service)
        .hope("a send-once right is made")?;
    letter.push_right(once).hope("a send-once right moves")?;
    right.send(letter).hope("all of it is sent")?;
    let mut letter = service.receive().hope("and received")?;
    let wrong = letter.take_right().err() == Some(Refusal::InvalidRight);
    check(wrong, "a receive right is not a send right")?;
    let carried = letter.take_receive().hope("it can be taken")?;
    carried.hope("a receive right came first")?;
    for _ in 0..2 {
        let taken = letter.take_right().hope("it can be taken")?;
        let taken = taken.hope("a send right came next")?;
        let same = taken.name() == right.name();
        check(same, "send rights to one port have one name")?;
    }
    let third = letter.take_any_right().hope("it can be taken")?;
    check(matches!(third, Some(Right::Send(_))), "and a third")?;
    let made = letter.take_send_once().hope("it can be taken")?;
    check(made.is_some(), "a send-once right came next")?;
    check(
        letter.first_right() == Some(RightKind::SendOnce),
        "the last one is there",
    )?;
    // What is left goes with the message; both ends are told of.
    drop((made, letter));
    for _ in 0..2 {
        let unused = matches!(
            service.receive_any(),
            Ok(Delivery::Notification(Notification::SendOnce(_)))
        );
        check(unused, "an unused right is told of")?;
    }
    drop(third);
    silent(&service)
}

fn a_port_moves_to_another_thread(node: &Node) -> Result<(), Failure> {
    let (door, service) = (port()?, port()?);
    let post = door.make_send().hope("a send right")?;
    let right = service.make_send().hope("a send right")?;
    right
        .send(message(b"queued before")?)
        .hope("it is queued")?;
    let server = beside(node, move || {
        let service = door.receive().map(|mut letter| letter.take_receive());
        let Ok(Ok(Some(service))) = service else {
            return;
        };
        // One that was queued before it moved, one that was sent after.
        for _ in 0..2 {
            if let Ok(request) = service.receive() {
                let _ = request.reply();
            }
        }
    })?;
    let mut letter = message(b"")?;
    letter.push_right(service).hope("it fits")?;
    post.send(letter).hope("it is sent")?;
    let answer = right
        .call(message(b"after")?)
        .hope("its new holder answers")?;
    check(answer.data() == b"after", "what was asked")?;
    server.join();
    check(right.is_dead(), "it died with its last holder")
}

fn no_port_in_its_own_queue() -> Result<(), Failure> {
    let (one, other) = (port()?, port()?);
    let to_one = one.make_send().hope("a send right")?;
    let to_other = other.make_send().hope("a send right")?;
    let mut letter = message(b"")?;
    letter.push_right(one).hope("it fits")?;
    let refused = to_one.send(letter).err().hope("it is refused")?;
    check(refused.failure == Refusal::Circular, "its own queue")?;
    let mut letter = refused.message;
    let one = letter.take_receive().hope("it can be taken")?;
    let one = one.hope("the right came back")?;
    // Through another's queue.
    letter.push_right(one).hope("it fits")?;
    to_other.send(letter).hope("another's queue is no circle")?;
    let mut letter = message(b"")?;
    letter.push_right(other).hope("it fits")?;
    let refused = to_one.try_send(letter).err().hope("it is refused")?;
    check(refused.failure == Refusal::Circular, "a circle of two")?;
    let mut letter = refused.message;
    let other = letter.take_receive().hope("it can be taken")?;
    let other = other.hope("the right came back")?;
    let mut letter = other.receive().hope("the first is there")?;
    let one = letter.take_receive().hope("it can be taken")?;
    let one = one.hope("whole")?;
    to_one.send(message(b"alive")?).hope("it is queued")?;
    one.receive().hope("and received")?;
    Ok(())
}

fn limits_of_queues() -> Result<(), Failure> {
    let port = port()?;
    for wrong in [0, 1025, u16::MAX] {
        let refused = port.set_queue_limit(wrong) == Err(Refusal::OutOfRange);
        check(refused, "a limit out of range is an error")?;
    }
    port.set_queue_limit(2).hope("a limit in range is none")?;
    let right = port.make_send().hope("a send right")?;
    right.send(message(b"")?).hope("it is queued")?;
    port.set_sequence(7).hope("a number")?;
    port.set_make_sends(9).hope("a number")?;
    let status = port.status().hope("a status")?;
    check(
        (status.queue_limit, status.queued, status.sequence) == (2, 1, 7),
        "the status says how full the queue is",
    )?;
    check(
        (status.make_sends, status.has_senders) == (9, true),
        "and who can send",
    )?;
    let message = port.receive().hope("it is received")?;
    check(message.sequence() == 7, "with its number")
}

fn limits_of_receivers(node: &Node) -> Result<(), Failure> {
    let port = port()?;
    let right = port.make_send().hope("a send right")?;
    let sender = right.copy().hope("a copy")?;
    // What lies there already.
    right.send(message(&[1; 100])?).hope("it is queued")?;
    let refused = port.receive_within(99).err().hope("it is too large")?;
    let said = refused.failure() == Refusal::TooLarge { bytes: 100 };
    check(said, "the error says how large")?;
    let taken = port.receive_within(100).hope("it is still there")?;
    check(taken.data().len() == 100, "whole")?;
    // What comes while the receiver waits.
    let other = beside(node, move || {
        let _ = Message::with_data(&[2; 50]).map(|message| sender.send(message));
    })?;
    let refused = port.receive_within(10).err().hope("it is too large")?;
    let said = refused.failure() == Refusal::TooLarge { bytes: 50 };
    check(said, "a receiver that waits is told")?;
    other.join();
    let taken = port.try_receive().hope("it is in the queue")?;
    check(taken.data() == [2; 50], "whole")
}

fn a_large_message_finds_who_can_take_it(node: &Node) -> Result<(), Failure> {
    static REFUSED: AtomicUsize = AtomicUsize::new(0);
    static TAKEN: AtomicUsize = AtomicUsize::new(0);
    let port = Arc::new(port()?);
    let right = port.make_send().hope("a send right")?;
    let (small, large) = (port.clone(), port.clone());
    // The one that cannot take it waits first.
    let small = ahead(node, move || {
        if let Err(error) = small.receive_within(10)
            && let Refusal::TooLarge { bytes } = error.failure()
        {
            REFUSED.store(bytes, Ordering::Relaxed);
        }
    })?;
    let large = ahead(node, move || {
        if let Ok(message) = large.receive() {
            TAKEN.store(message.data().len(), Ordering::Relaxed);
        }
    })?;
    right.send(message(&[3; 60])?).hope("it is sent")?;
    small.join();
    large.join();
    check(REFUSED.load(Ordering::Relaxed) == 60, "one is told")?;
    check(TAKEN.load(Ordering::Relaxed) == 60, "the other has it")
}

fn echo(node: &Node, requests: u32) -> Result<norma_boot::SendRight, Failure> {
    let service = port()?;
    let right = service.make_send().hope("a send right")?;
    beside(node, move || {
        for _ in 0..requests {
            let Ok(mut request) = service.receive() else {
                return;
            };
            if request.data() == b"drop it" {
                continue;
            }
            request.set_id(request.id() + 1);
            let _ = request.reply();
        }
    })?;
    Ok(right)
}

fn exchange(node: &Node) -> Result<(), Failure> {
    let service = echo(node, 3)?;
    let own = port()?;
    let mut request = message(b"")?;
    request.set_id(41);
    let Delivery::Message(answer) = service.exchange(request, &own).hope("an answer")? else {
        return Err(Failure("the answer is a message"));
    };
    check(answer.id() == 42, "it is the answer")?;
    check(own.received(&answer), "it came to the port that was named")?;
    // Something else may come first.
    let to_own = own.make_send().hope("a send right")?;
    to_own.send(message(b"before")?).hope("it is queued")?;
    let first = service
        .exchange(message(b"")?, &own)
        .hope("what is first")?;
    let before = matches!(&first, Delivery::Message(message) if message.data() == b"before");
    check(before, "what was there before comes first")?;
    own.receive().hope("then the answer")?;
    let dropped = service.exchange(message(b"drop it")?, &own);
    let none = matches!(
        dropped.hope("news")?,
        Delivery::Notification(Notification::SendOnce(Refusal::Unanswered))
    );
    check(none, "a request that is dropped is told of")
}

fn exchange_that_fails(node: &Node) -> Result<(), Failure> {
    let (own, mortal) = (port()?, port()?);
    let right = mortal.make_send().hope("a send right")?;
    drop(mortal);
    let failed = right.exchange(message(b"back")?, &own).err();
    let failed = failed.hope("nobody is there")?;
    check(failed.failure == Refusal::PortDied, "it says why")?;
    let message = failed.message.hope("the message comes back")?;
    let whole = message.data() == b"back" && !message.expects_reply();
    check(whole, "as it was")?;
    silent(&own)?;
    // The other end dies while this thread waits.
    let mortal = port()?;
    let right = mortal.make_send().hope("a send right")?;
    let other = beside(node, move || dies_with(mortal))?;
    let died = right.exchange(message, &own).hope("news")?;
    let told = matches!(died, Delivery::Notification(Notification::SendOnce(_)));
    check(told, "the death of a receiver is told of")?;
    other.join();
    silent(&own)
}

fn dies_with(port: ReceiveRight) {
    drop(port);
}
