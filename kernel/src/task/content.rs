//! What is in a message, between a program's memory and the core.
//!
//! Owns: both directions, each all or nothing. Out of the program: when something does not hold,
//! what was taken goes back under its name and to its address. Into the program: all that can
//! fail comes before the first byte is written; what fails gives the message back as it was.

use super::calls::{Refusal, afford};
use super::memory::Memory;
use super::ports::{disposition_of, kind_number};
use super::run::Context;
use crate::face::{self, Delivery, Disposition, Failure, Message, Name, Notification, RightKind};
use crate::limits::TASK_MEMORY;
use crate::node;
use norma_abi::{Code, Entry, Header, InContext, News, kind};
use norma_ipc::limits::{MAX_INLINE, MAX_RIGHTS};
use norma_ipc::{Format, SpaceId};

/// Inline data for which the kernel always has memory: what every message has room for.
const SMALL: u32 = norma_ipc::limits::FIRST_INLINE as u32;

/// Makes a message of what the program describes, and takes what goes along out of the task:
/// rights, memory, the right to which a reply goes.
#[inline]
pub(super) fn take(context: &Context, header: &mut Header) -> Result<Message, Refusal> {
    let mut message = Message::new()?;
    message.set_id(header.id);
    if header.data_length > 0 {
        take_data(context, header, &mut message)?;
    }
    if header.context != 0 {
        take_context(context, header, &mut message)?;
    }
    if header.reply != 0 {
        take_reply(context.task.space, header.reply, &mut message)?;
    }
    if header.rights_length > 0 || header.memory_length > 0 {
        return take_more(context, header, message);
    }
    Ok(message)
}

#[inline]
fn take_data(context: &Context, header: &Header, message: &mut Message) -> Result<(), Refusal> {
    if header.data_length > SMALL {
        afford()?;
    }
    let length = header.data_length as usize;
    if length > MAX_INLINE {
        return Err(Refusal {
            code: Code::TooLarge,
            detail: MAX_INLINE as u64,
            sent: false,
        });
    }
    let memory = context.task.memory();
    let memory = memory.as_ref().ok_or(Code::BadAddress)?;
    memory.read_chunks(header.data, length, |chunk| {
        message
            .core()
            .extend_data(chunk)
            .map_err(|_| Code::NoMemory)
    })?;
    message
        .core()
        .set_format(Format::from_bits(header.format as u8));
    Ok(())
}

#[cold]
fn take_context(context: &Context, header: &Header, message: &mut Message) -> Result<(), Refusal> {
    let memory = context.task.memory();
    let memory = memory.as_ref().ok_or(Code::BadAddress)?;
    let given: InContext = memory.read_value(header.context)?;
    message.set_context(face::Context {
        deadline: given.deadline,
        trace: given.trace,
        priority: u8::try_from(given.priority).unwrap_or(u8::MAX),
    });
    Ok(())
}

#[inline]
fn take_reply(space: SpaceId, reply: u32, message: &mut Message) -> Result<(), Refusal> {
    let mut engine = node::lock();
    let ipc = engine.core.ipc();
    match ipc.extract(space, Name::from_raw(reply), RightKind::SendOnce) {
        Ok(right) => {
            // It has none yet, and a send-once right can be one.
            let _ = message.core().set_reply(right);
            message.core().set_expects_reply(true);
            Ok(())
        }
        Err(error) => Err(Failure::from_right(&engine, error).into()),
    }
}

/// Rights and memory.
#[cold]
fn take_more(
    context: &Context,
    header: &mut Header,
    mut message: Message,
) -> Result<Message, Refusal> {
    let wanted = core::mem::take(&mut header.rights_length);
    let taken = take_rights(context, header, wanted, &mut message)
        .and_then(|()| take_memory(context, header, &mut message));
    match taken {
        Ok(()) => Ok(message),
        Err(refusal) => {
            give_back(context, header, message);
            Err(refusal)
        }
    }
}

/// Takes rights; the header counts those that were taken.
fn take_rights(
    context: &Context,
    header: &mut Header,
    wanted: u32,
    message: &mut Message,
) -> Result<(), Refusal> {
    if wanted as usize > MAX_RIGHTS {
        return Err(Code::OutOfRange.into());
    }
    afford()?;
    for index in 0..wanted {
        let entry = entry(context, header, index)?;
        let how = disposition_of(entry.what)?;
        let name = Name::from_raw(entry.name);
        context
            .task
            .with_space(|space| space.push_right(name, how, message))?;
        header.rights_length = index + 1;
    }
    Ok(())
}

/// The `index`-th right in the program's list.
fn entry(context: &Context, header: &Header, index: u32) -> Result<Entry, Code> {
    let memory = context.task.memory();
    let memory = memory.as_ref().ok_or(Code::BadAddress)?;
    memory.read_value(entry_address(header, index)?)
}

fn entry_address(header: &Header, index: u32) -> Result<u64, Code> {
    let offset = u64::from(index) * size_of::<Entry>() as u64;
    header.rights.checked_add(offset).ok_or(Code::BadAddress)
}

fn take_memory(context: &Context, header: &Header, message: &mut Message) -> Result<(), Refusal> {
    if header.memory_length == 0 {
        return Ok(());
    }
    if header.memory_length > TASK_MEMORY as u64 {
        return Err(Code::OutOfRange.into());
    }
    let mut memory = context.task.memory();
    let memory = memory.as_mut().ok_or(Code::BadAddress)?;
    let region = match header.memory_kept {
        0 => memory.take(header.memory, header.memory_length)?,
        _ => memory.share(header.memory, header.memory_length)?,
    };
    // It had none, and this is not larger than one may be.
    let _ = message.replace_memory(region);
    Ok(())
}

/// Gives the task back what was taken for a message that is not sent. Where a name or an address
/// is in use by now, the right or the memory gets another, and the program's list says so.
#[cold]
pub(super) fn put_back(context: &Context, at: u64, header: &Header, message: Message) {
    let mut changed = *header;
    changed.memory = give_back(context, header, message).unwrap_or(header.memory);
    if changed.memory != header.memory {
        let memory = context.task.memory();
        if let Some(memory) = memory.as_ref() {
            // The program may have taken its own header away.
            let _ = memory.write_value(at, &changed);
        }
    }
}

/// The same; where the memory is now.
fn give_back(context: &Context, header: &Header, mut message: Message) -> Option<u64> {
    return_reply(context, header, &mut message);
    for index in 0..header.rights_length {
        return_right(context, header, index, &mut message);
    }
    let kept = header.memory_kept != 0 || message.memory().is_empty();
    if kept {
        return None;
    }
    let mut memory = context.task.memory();
    let memory = memory.as_mut()?;
    let region = message.core().memory_mut();
    match memory.put_back(header.memory, region) {
        Ok(()) => None,
        Err(_) => memory.give(region).ok(),
    }
}

fn return_reply(context: &Context, header: &Header, message: &mut Message) {
    let name = Name::from_raw(header.reply);
    let Some(right) = message.core().take_reply().filter(|_| header.reply != 0) else {
        return;
    };
    message.core().set_expects_reply(false);
    let mut engine = node::lock();
    let ipc = engine.core.ipc();
    if let Err(refused) = ipc.insert_as(context.task.space, name, right) {
        ipc.release(refused.right);
    }
    engine.act_on_events();
}

fn return_right(context: &Context, header: &Header, index: u32, message: &mut Message) {
    let Some(right) = message.core().take_right() else {
        return;
    };
    let listed = entry(context, header, index).ok();
    let how = listed.and_then(|entry| disposition_of(entry.what).ok());
    let space = context.task.space;
    let mut engine = node::lock();
    let ipc = engine.core.ipc();
    let moved = matches!(
        how,
        Some(Disposition::MoveReceive | Disposition::MoveSend | Disposition::MoveSendOnce)
    );
    match listed {
        Some(entry) if moved => {
            let name = Name::from_raw(entry.name);
            let back = ipc
                .insert_as(space, name, right)
                .or_else(|refused| ipc.insert(space, refused.right).map(drop));
            if let Err(refused) = back {
                ipc.release(refused.right);
            }
        }
        _ => ipc.retract(right),
    }
    engine.act_on_events();
}

/// Gives the program what was received.
#[inline]
pub(super) fn give(
    context: &Context,
    at: u64,
    room: &Header,
    delivery: Delivery,
) -> Result<(), (Refusal, Delivery)> {
    match delivery {
        Delivery::Message(message) => give_message(context, at, room, message)
            .map_err(|(refusal, message)| (refusal, Delivery::Message(message))),
        Delivery::Notification(notification) => give_notification(context, at, room, notification)
            .map_err(|(refusal, news)| (refusal, Delivery::Notification(news))),
    }
}

#[inline]
fn give_message(
    context: &Context,
    at: u64,
    room: &Header,
    mut message: Message,
) -> Result<(), (Refusal, Message)> {
    let mut header = Header {
        id: message.id(),
        format: u32::from(message.core().format().bits()),
        data_length: message.data().len() as u32,
        rights_length: message.core().rights().len() as u32,
        memory_length: message.memory().len() as u64,
        memory: 0,
        memory_kept: 0,
        reply: 0,
        port: message.port().map_or(0, Name::raw),
        sequence: message.sequence(),
        news: News::Message as u32,
        subject: 0,
        reason: 0,
        ..*room
    };
    if let Err(refusal) = check_room(context, at, &header, &message) {
        return Err((refusal, message));
    }
    if let Err(refusal) = move_in(context, &mut header, &mut message) {
        return Err((refusal, message));
    }
    let memory = context.task.memory();
    if let Some(memory) = memory.as_ref() {
        // All of it was found writable, and nobody came between.
        let _ = memory.write(header.data, message.data());
        if header.context != 0 {
            give_context(memory, &header, &message);
        }
        let _ = memory.write_value(at, &header);
    }
    drop(memory);
    // Nothing is left in it that would have to be given up.
    node::lock().core.ipc().discard(message.unwrap());
    Ok(())
}

#[cold]
fn give_context(memory: &Memory, header: &Header, message: &Message) {
    let context = message.context();
    let given = InContext {
        deadline: context.deadline,
        trace: context.trace,
        priority: u64::from(context.priority),
    };
    let _ = memory.write_value(header.context, &given);
}

/// Whether there is room for it, all of which can be written. If something is too large, the
/// header says how large.
#[inline]
fn check_room(
    context: &Context,
    at: u64,
    header: &Header,
    message: &Message,
) -> Result<(), Refusal> {
    let memory = context.task.memory();
    let memory = memory.as_ref().ok_or(Code::BadAddress)?;
    memory.check_writable(at, size_of::<Header>())?;
    if header.data_length > header.data_capacity || header.rights_length > header.rights_capacity {
        memory.write_value(at, header)?;
        return Err(Refusal {
            code: Code::TooLarge,
            detail: u64::from(header.data_length),
            sent: true,
        });
    }
    memory.check_writable(header.data, message.data().len())?;
    if header.rights_length > 0 {
        let length = header.rights_length as usize * size_of::<Entry>();
        memory.check_writable(header.rights, length)?;
    }
    if header.context != 0 {
        memory.check_writable(header.context, size_of::<InContext>())?;
    }
    Ok(())
}

/// Moves rights and memory into the task.
#[inline]
fn move_in(context: &Context, header: &mut Header, message: &mut Message) -> Result<(), Refusal> {
    if message.core().reply().is_some() {
        header.reply = name_reply(context.task.space, message)?;
    }
    if header.rights_length > 0 || header.memory_length > 0 {
        let moved = move_more(context, header, message);
        if moved.is_err() && header.reply != 0 {
            // It stays with the message, which is still to be given.
            let _ = take_reply(context.task.space, header.reply, message);
        }
        return moved;
    }
    Ok(())
}

/// Names the right to which the reply goes.
#[inline]
fn name_reply(space: SpaceId, message: &mut Message) -> Result<u32, Refusal> {
    let mut engine = node::lock();
    let Some(right) = message.core().take_reply() else {
        return Ok(0);
    };
    match engine.core.ipc().insert(space, right) {
        Ok(name) => {
            message.core().set_expects_reply(false);
            Ok(name.raw())
        }
        Err(refused) => {
            // Where it was a moment ago.
            let _ = message.core().set_reply(refused.right);
            Err(Failure::from_right(&engine, refused.error).into())
        }
    }
}

#[cold]
fn move_more(context: &Context, header: &mut Header, message: &mut Message) -> Result<(), Refusal> {
    let mut entries = heapless::Vec::<Entry, MAX_RIGHTS>::new();
    let moved = name_rights(context.task.space, message, &mut entries)
        .and_then(|()| give_memory(context, header, message));
    if let Err(refusal) = moved {
        unname_rights(context.task.space, message, &entries);
        return Err(refusal);
    }
    let memory = context.task.memory();
    let memory = memory.as_ref().ok_or(Code::BadAddress)?;
    for (index, entry) in (0..).zip(&entries) {
        // Found writable.
        let _ = memory.write_value(entry_address(header, index)?, entry);
    }
    Ok(())
}

fn name_rights(
    space: SpaceId,
    message: &mut Message,
    entries: &mut heapless::Vec<Entry, MAX_RIGHTS>,
) -> Result<(), Refusal> {
    let mut engine = node::lock();
    loop {
        match engine.core.ipc().take_right(space, message.core()) {
            Ok(Some((kind, name))) => {
                // There are no more than there can be.
                let _ = entries.push(Entry {
                    name: name.raw(),
                    what: kind_number(kind),
                });
            }
            Ok(None) => return Ok(()),
            Err(error) => return Err(Failure::from_right(&engine, error).into()),
        }
    }
}

/// Puts rights that were named back into the message, in front of those that were not.
#[cold]
fn unname_rights(space: SpaceId, message: &mut Message, entries: &[Entry]) {
    let mut engine = node::lock();
    let ipc = engine.core.ipc();
    let rest = message.core().rights().len();
    for entry in entries {
        let kind = match entry.what {
            kind::RECEIVE => RightKind::Receive,
            kind::SEND => RightKind::Send,
            _ => RightKind::SendOnce,
        };
        if let Ok(right) = ipc.extract(space, Name::from_raw(entry.name), kind)
            && let Err(right) = message.core().push_right(right)
        {
            ipc.release(right);
        }
    }
    for _ in 0..rest {
        if let Some(right) = message.core().take_right()
            && let Err(right) = message.core().push_right(right)
        {
            ipc.release(right);
        }
    }
    engine.act_on_events();
}

fn give_memory(
    context: &Context,
    header: &mut Header,
    message: &mut Message,
) -> Result<(), Refusal> {
    if header.memory_length == 0 {
        return Ok(());
    }
    if header.memory_length > TASK_MEMORY as u64 {
        return Err(Code::NoMemory.into());
    }
    let mut memory = context.task.memory();
    let memory = memory.as_mut().ok_or(Code::BadAddress)?;
    header.memory = memory.give(message.core().memory_mut())?;
    Ok(())
}

#[cold]
fn give_notification(
    context: &Context,
    at: u64,
    room: &Header,
    notification: Notification,
) -> Result<(), (Refusal, Notification)> {
    let writable = {
        let memory = context.task.memory();
        let memory = memory.as_ref().ok_or(Code::BadAddress);
        memory.and_then(|memory| memory.check_writable(at, size_of::<Header>()))
    };
    if let Err(code) = writable {
        return Err((code.into(), notification));
    }
    let reason = |failure: Failure| Refusal::from(failure).code.number();
    let (news, subject, reason) = match notification {
        Notification::SendOnce(failure) => (News::SendOnce, 0, reason(failure)),
        Notification::DeadName { name, failure } => (News::DeadName, name.raw(), reason(failure)),
        Notification::NameDeleted { name } => (News::NameDeleted, name.raw(), 0),
        Notification::NoSenders { make_sends } => (News::NoSenders, make_sends, 0),
        Notification::Room { name } => (News::Room, name.raw(), 0),
        Notification::PortDestroyed(right) => match right.claim_in(context.task.space) {
            Ok(name) => (News::PortDestroyed, name.raw(), 0),
            Err(error) => {
                let notification = Notification::PortDestroyed(error.right);
                return Err((error.failure.into(), notification));
            }
        },
    };
    let header = Header {
        id: 0,
        data_length: 0,
        rights_length: 0,
        memory: 0,
        memory_length: 0,
        reply: 0,
        port: 0,
        sequence: 0,
        news: news as u32,
        subject,
        reason,
        ..*room
    };
    let memory = context.task.memory();
    if let Some(memory) = memory.as_ref() {
        // Found writable.
        let _ = memory.write_value(at, &header);
    }
    Ok(())
}
