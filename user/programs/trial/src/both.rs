//! What is written once, for threads of the kernel and for programs: this file is compiled into
//! the image `tasks` and into the program `trial`, which differ in whose face `crate::face` is.

use crate::face::{
    About, Delivery, Disposition, Failure, Fate, Kind, Message, Name, Notification, PortSet,
    ReadError, ReceiveRight, RightKind, RightTypes, Space, println,
};
use alloc::vec;
use core::time::Duration;

/// All of it, with a space of names.
pub fn all(space: &Space) -> Result<(), Failure> {
    values()?;
    rights()?;
    fates()?;
    news()?;
    by_name(space)
}

fn check(condition: bool, expectation: &'static str) -> Result<(), Failure> {
    if !condition {
        println!("not so: {expectation}");
        return Err(Failure::NotSupported);
    }
    Ok(())
}

/// Through the kernel and back.
fn sent(message: Message) -> Result<Message, Failure> {
    let port = ReceiveRight::new()?;
    port.make_send()?.send(message)?;
    Ok(port.receive()?)
}

fn values() -> Result<(), Failure> {
    let mut message = Message::with_data(b"given up")?;
    let mut writer = message.write();
    writer
        .u8(1)?
        .i16(-2)?
        .u128(3 << 100)?
        .f64(0.5)?
        .bool(true)?;
    writer.text("seven")?.bytes(b"raw")?.list(1)?;
    writer.array(&[5u32, 6, 7])?;
    let mut message = sent(message)?;
    let items = message.items()?.filter_map(Result::ok);
    check(items.count() == 9, "there are nine items to look at")?;
    let mut reader = message.read()?;
    check(reader.u8()? == 1, "a small number")?;
    check(reader.u16().is_err(), "a number has a sign or has none")?;
    check(reader.i16()? == -2, "what was not read is still next")?;
    check(reader.u128()? == 3 << 100, "a large number")?;
    check(reader.f64()? == 0.5, "a fraction")?;
    check(reader.bool()?, "a truth")?;
    check(reader.text()? == "seven", "a text")?;
    check(reader.bytes()? == b"raw", "bytes")?;
    check(reader.list()? == 1, "a list")?;
    check(reader.array::<u32>()?.eq([5, 6, 7]), "an array")?;
    Ok(reader.end()?)
}

fn rights() -> Result<(), Failure> {
    let port = ReceiveRight::new()?;
    let (one, two) = (port.make_send()?, port.make_send()?);
    let moved = ReceiveRight::new()?;
    let mut message = Message::new()?;
    let mut writer = message.write();
    writer.send_rights(vec![one, two])?.make_send_once(&port)?;
    writer.receive_right(moved)?.u32(9)?;
    let mut message = sent(message)?;
    let mut reader = message.read()?;
    check(
        matches!(
            reader.send_once_right(),
            Err(ReadError::Unexpected(Kind::SendRights))
        ),
        "rights are read as what they are",
    )?;
    let mut names = vec![];
    for right in reader.send_rights()? {
        names.push(right?);
    }
    check(
        names.len() == 2 && names.iter().all(|right| right.name() == port.name()),
        "both are rights to that port",
    )?;
    let once = reader.send_once_right()?;
    reader.skip()?;
    check(reader.u32()? == 9, "what is skipped is passed")?;
    reader.end()?;
    once.send(Message::with_data(b"once")?)?;
    check(port.receive()?.data() == b"once", "it leads there")?;
    check(
        matches!(message.read()?.send_rights().err(), Some(ReadError::Opened)),
        "what was taken out is not there for a second reader",
    )?;
    check(
        message.read()?.end() == Err(ReadError::Leftover),
        "who stops early is told",
    )?;
    let left = message.take_receive()?.ok_or(Failure::Empty)?;
    let (name, full) = (left.name(), Message::new()?);
    check(name != Name::from_raw(0), "what was left is in the message")?;
    unwritten(full)
}

/// What does not fit is given back, and the message is as it was.
fn unwritten(mut message: Message) -> Result<(), Failure> {
    let port = ReceiveRight::new()?;
    let mut writer = message.write();
    writer.bytes(&[1; 8000])?.bytes(&[2; 158])?;
    let refused = writer.bytes(&[3; 64]).err();
    check(refused == Some(Failure::NoMemory), "the data are full")?;
    let right = port.make_send()?;
    writer.u8(1)?;
    let Err(error) = writer.send_right(right) else {
        return check(false, "there is no room for a descriptor");
    };
    check(error.value.name() == port.name(), "the right comes back")
}

/// What becomes of messages, on one node.
fn fates() -> Result<(), Failure> {
    let port = ReceiveRight::new()?;
    let right = port.make_send()?;
    port.set_queue_limit(1)?;
    let fate = right.send_confirmed(Message::with_data(b"one")?)?;
    check(fate == Fate::Delivered, "it is in the queue")?;
    let moment = Duration::from_millis(5);
    let two = Message::with_data(b"two")?;
    let Err(error) = right.send_confirmed_timeout(two, moment) else {
        return check(false, "there is no room");
    };
    check(error.failure == Failure::TimedOut, "not in time")?;
    check(error.message.data() == b"two", "it comes back")?;
    let too_large = port.receive_within(2).map_err(Failure::from).err();
    check(
        too_large == Some(Failure::TooLarge { bytes: 3 }),
        "three bytes are more than two",
    )?;
    check(
        port.receive_within(3)?.data() == b"one",
        "it was still there",
    )?;
    let other = ReceiveRight::new()?;
    let Err(error) = right.exchange_timeout(Message::new()?, &other, moment) else {
        return check(false, "nobody answers");
    };
    check(error.failure == Failure::TimedOut, "but time passes")?;
    Ok(())
}

fn news() -> Result<(), Failure> {
    let (news, port) = (ReceiveRight::new()?, ReceiveRight::new()?);
    let once = port.make_send_once()?;
    once.notify_death(news.make_send_once()?)?;
    check(once.withdraw_death()?.is_some(), "it was asked for")?;
    let _ = news.receive_any()?;
    port.notify_port_destroyed(news.make_send_once()?)?;
    drop(port);
    let Delivery::Notification(Notification::PortDestroyed(right)) = news.receive_any()? else {
        return check(false, "the right comes back");
    };
    let port = right.claim()?;
    once.notify_death(news.make_send_once()?)?;
    check(!port.status()?.has_senders, "as it was")?;
    drop(port);
    let told = news.receive_any()?;
    check(
        matches!(told, Delivery::Notification(Notification::DeadName { name, failure })
            if name == once.name() && failure == Failure::PortDied),
        "whoever has a right to send once is told too",
    )?;
    let set = PortSet::new()?;
    let (one, two) = (ReceiveRight::new()?, ReceiveRight::new()?);
    set.add(&two)?;
    set.add(&one)?;
    check(
        set.members()? == [two.name(), one.name()],
        "members are listed",
    )
}

/// Names, as Mach's programs use them.
fn by_name(space: &Space) -> Result<(), Failure> {
    let port = space.allocate_port()?;
    let right = space.take(port, Disposition::MakeSend)?;
    check(
        space.insert(right)? == port,
        "rights to one port have one name",
    )?;
    check(
        space.references(port, RightKind::Send)? == 1,
        "one is a send right",
    )?;
    space.modify_references(port, RightKind::Send, 2)?;
    let types = RightTypes::SEND | RightTypes::RECEIVE;
    check(space.types(port)? == types, "so it is two things")?;
    check(space.names()?.contains(&(port, types)), "and is listed")?;
    let renamed = Name::from_raw(1 << 20 | 77);
    space.rename(port, renamed)?;
    check(
        space.types(port) == Err(Failure::InvalidName),
        "not as before",
    )?;
    let port = renamed;
    let mut message = Message::with_data(b"by name")?;
    space.push_right(port, Disposition::MoveSend, &mut message)?;
    space.push_right(port, Disposition::MakeSendOnce, &mut message)?;
    space.send(port, message, None)?;
    check(
        space.receive(port, 6, Some(Duration::ZERO)).err() == Some(Failure::TooLarge { bytes: 7 }),
        "it has seven bytes",
    )?;
    check(space.status(port)?.queued == 1, "it is still there")?;
    let Delivery::Message(mut message) = space.receive(port, 7, None)? else {
        return check(false, "a message comes");
    };
    let moved = space.take_right(&mut message)?;
    check(
        moved == Some((RightKind::Send, port)),
        "first the right that was moved",
    )?;
    let Some((RightKind::SendOnce, once)) = space.take_right(&mut message)? else {
        return check(false, "then the one that was made");
    };
    space.deallocate(once, RightKind::SendOnce)?;
    let Delivery::Notification(Notification::SendOnce(_)) = space.receive(port, 0, None)? else {
        return check(false, "that one was given up");
    };
    let news = ReceiveRight::new()?;
    let asked = space.request(port, About::Death, news.make_send_once()?)?;
    check(asked.is_none(), "nobody had asked before")?;
    check(
        space.withdraw(port, About::Death)?.is_some(),
        "that is taken back",
    )?;
    let set = space.allocate_set()?;
    space.move_member(port, Some(set))?;
    check(space.members(set)? == [port], "it is in the set")?;
    let chosen = Name::from_raw(1 << 20 | 88);
    space.allocate_port_as(chosen)?;
    check(
        space.allocate_port_as(chosen) == Err(Failure::NameInUse),
        "a name is given once",
    )?;
    let dead = space.allocate_dead_name()?;
    check(
        space.types(dead)? == RightTypes::DEAD_NAME,
        "dead from the start",
    )?;
    for name in [port, set, chosen, dead] {
        space.destroy(name)?;
    }
    check(
        space.types(port) == Err(Failure::InvalidName),
        "nothing is left",
    )
}
