//! Mach's operations by name, in a space of their own.

use super::{Hope, ahead, beside, message, port, told};
use crate::{Failure, check};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use norma_boot::{About, Delivery, Disposition, Failure as Refusal, Message, Name, Node};
use norma_boot::{Notification, Right, RightKind, RightTypes, Space};

pub fn all(node: &Node) -> Result<(), Failure> {
    rights_have_names()?;
    names_are_chosen_and_changed()?;
    notifications_follow_names()?;
    messages_by_name(node)?;
    a_wait_ends_when_its_right_moves(node)
}

fn space() -> Result<Space, Failure> {
    Space::new().hope("a space can be made")
}

fn rights_have_names() -> Result<(), Failure> {
    let space = space()?;
    let name = space.allocate_port().hope("a port")?;
    for references in 1..=3 {
        let right = space.take(name, Disposition::MakeSend).hope("a right")?;
        let merged = space.insert(right).hope("it has a name")?;
        check(merged == name, "rights to one port share a name")?;
        let counted = space.references(name, RightKind::Send).hope("a count")?;
        check(counted == references, "and are counted")?;
    }
    space
        .modify_references(name, RightKind::Send, 4)
        .hope("more of them")?;
    let too_many = space.modify_references(name, RightKind::Send, -8);
    check(
        too_many == Err(Refusal::OutOfRange),
        "no more than there are",
    )?;
    space
        .modify_references(name, RightKind::Send, -7)
        .hope("all of them")?;
    let types = space.types(name).hope("types")?;
    check(types == RightTypes::RECEIVE, "the receive right is left")?;
    let set = space.allocate_set().hope("a set")?;
    let dead = space.allocate_dead_name().hope("a dead name")?;
    space.move_member(name, Some(set)).hope("a member")?;
    check(
        space.members(set).hope("a list")? == [name],
        "the set has its member",
    )?;
    let names = space.names().hope("a list")?;
    for (wanted, types) in [
        (name, RightTypes::RECEIVE),
        (set, RightTypes::PORT_SET),
        (dead, RightTypes::DEAD_NAME),
    ] {
        check(names.contains(&(wanted, types)), "every name is listed")?;
    }
    check(names.len() == 3, "and no other")?;
    let right = space.take(name, Disposition::MakeSend).hope("a right")?;
    let Right::Send(right) = right else {
        return Err(Failure("it is a send right"));
    };
    drop(space);
    check(right.is_dead(), "a port ends with its space")
}

fn names_are_chosen_and_changed() -> Result<(), Failure> {
    let space = space()?;
    let chosen = Name::from_raw(0x0070_0007);
    space.allocate_port_as(chosen).hope("a chosen name")?;
    let taken = space.allocate_port_as(chosen) == Err(Refusal::NameInUse);
    check(taken, "a name can be had once")?;
    let right = space.take(chosen, Disposition::MakeSend).hope("a right")?;
    let elsewhere = Name::from_raw(0x0070_0008);
    let refused = space.insert_as(elsewhere, right).err().hope("not twice")?;
    let held = refused.failure == Refusal::RightHeld(chosen);
    check(held, "rights to one port share a name")?;
    check(refused.right.kind() == RightKind::Send, "it comes back")?;
    space
        .insert_as(chosen, refused.right)
        .hope("under its name")?;
    space.rename(chosen, elsewhere).hope("another name")?;
    let gone = space.types(chosen) == Err(Refusal::InvalidName);
    check(gone, "the old name denotes nothing")?;
    let types = space.types(elsewhere).hope("types")?;
    check(
        types == RightTypes::RECEIVE | RightTypes::SEND,
        "the new one all",
    )?;
    space
        .deallocate(elsewhere, RightKind::Receive)
        .hope("it can be given up")?;
    let types = space.types(elsewhere).hope("types")?;
    check(types == RightTypes::DEAD_NAME, "what is left is dead")?;
    space.destroy(elsewhere).hope("it can be destroyed")?;
    check(space.names().hope("a list")?.is_empty(), "nothing is left")
}

fn notifications_follow_names() -> Result<(), Failure> {
    let space = space()?;
    let news = port()?;
    let mortal = port()?;
    let right = mortal.make_send().hope("a send right")?;
    let name = space.insert(right).hope("a name")?;
    let notify = news.make_send_once().hope("a send-once right")?;
    space
        .request(name, About::Death, notify)
        .hope("a request")?;
    let to = Name::from_raw(0x0090_0011);
    space.rename(name, to).hope("another name")?;
    drop(mortal);
    let followed = matches!(told(&news)?, Notification::DeadName { name, .. } if name == to);
    check(followed, "the notification says the new name")?;
    let own = space.allocate_port().hope("a port")?;
    let notify = news.make_send_once().hope("a send-once right")?;
    space
        .request_port_destroyed(own, notify)
        .hope("a request")?;
    // The end of the whole space gives it up as well.
    drop(space);
    let Notification::PortDestroyed(returned) = told(&news)? else {
        return Err(Failure("the receive right comes back"));
    };
    returned.claim().hope("it has a name here")?;
    Ok(())
}

fn messages_by_name(node: &Node) -> Result<(), Failure> {
    let space = Arc::new(space()?);
    let door = space.allocate_port().hope("a port")?;
    let right = space.take(door, Disposition::MakeSend).hope("a right")?;
    let Right::Send(right) = right else {
        return Err(Failure("it is a send right"));
    };
    let server = {
        let space = space.clone();
        beside(node, move || {
            if let Ok(Delivery::Message(mut request)) = space.receive(door, 100, None)
                && let Ok(Some((RightKind::SendOnce, to))) = space.take_right(&mut request)
            {
                let _ = space.send(to, request, Some(Duration::ZERO));
            }
        })?
    };
    let own = port()?;
    let mut request = message(b"by name")?;
    request.push_send_once_to(&own).hope("it fits")?;
    right.send(request).hope("it is sent")?;
    let answer = own.receive().hope("an answer")?;
    check(answer.data() == b"by name", "of what was asked")?;
    server.join();
    let nothing = space.receive(door, 100, Some(Duration::ZERO)).err();
    check(nothing == Some(Refusal::Empty), "not to wait is to say so")?;
    let late = space
        .receive(door, 100, Some(Duration::from_millis(1)))
        .err();
    check(late == Some(Refusal::TimedOut), "to wait a time as well")?;
    let mut letter = message(b"")?;
    space
        .push_right(door, Disposition::MakeSend, &mut letter)
        .hope("it fits")?;
    let name = space.take_right(&mut letter).hope("it can be taken")?;
    check(name == Some((RightKind::Send, door)), "under its name")
}

fn a_wait_ends_when_its_right_moves(node: &Node) -> Result<(), Failure> {
    static MOVED: AtomicU32 = AtomicU32::new(0);
    static DIED: AtomicU32 = AtomicU32::new(0);
    let space = Arc::new(space()?);
    let (moving, mortal) = (
        space.allocate_port().hope("a port")?,
        space.allocate_set().hope("a set")?,
    );
    for (name, count, failure) in [
        (moving, &MOVED, Refusal::Moved),
        (mortal, &DIED, Refusal::PortDied),
    ] {
        let waiting = space.clone();
        let handle = ahead(node, move || {
            if waiting.receive(name, 100, None).err() == Some(failure) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        })?;
        if name == moving {
            let right = space
                .take(name, Disposition::MoveReceive)
                .hope("it moves")?;
            check(right.kind() == RightKind::Receive, "the receive right")?;
            let Right::Receive(port) = right else {
                return Err(Failure("it is a receive right"));
            };
            // What comes now is its new holder's.
            let right = port.make_send().hope("a send right")?;
            right
                .send(Message::new().hope("a message")?)
                .hope("it is sent")?;
            port.receive().hope("and received")?;
        } else {
            space.destroy(name).hope("it is destroyed")?;
        }
        handle.join();
    }
    check(
        MOVED.load(Ordering::Relaxed) == 1,
        "who waited is told that it moved",
    )?;
    check(DIED.load(Ordering::Relaxed) == 1, "or that it ended")
}
