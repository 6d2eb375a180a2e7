//! What a program receives: out of a message of the core's, into its memory.
//!
//! Owns: that all that can fail comes before the program is told of anything; what fails gives
//! the message back as it was. Leaves to others: the other way ([`super::content`]).

use super::calls::Refusal;
use super::content::{CoreMessage, entry_address, header, take_reply};
use super::memory::Memory;
use super::ports::kind_number;
use super::run::Context;
use crate::face::{Failure, Message, Name, Notification, Received, RightKind};
use crate::limits::TASK_MEMORY;
use crate::memory::Frame;
use crate::node::{self, Engine, EngineGuard};
use norma_abi::{Code, Entry, Header, InContext, News, kind};
use norma_ipc::SpaceId;
use norma_ipc::limits::MAX_RIGHTS;

/// What a thread of a task has received.
#[derive(Debug)]
pub(super) enum Came {
    Message(Message),
    /// News, and at which port of the task's: its name, or 0.
    Notification(Notification, u32),
}

impl Received for Result<Came, Failure> {
    #[inline(always)]
    fn message(message: CoreMessage) -> Self {
        Ok(Came::Message(Message::wrap(message)))
    }

    #[inline(always)]
    fn delivered(engine: &Engine, delivery: norma_ipc::Delivery<Frame>) -> Self {
        match delivery {
            norma_ipc::Delivery::Message(message) => Self::message(message),
            norma_ipc::Delivery::Notification(notification) => {
                let port = engine.core.ipc_ref().told_at().map_or(0, Name::raw);
                let notification = Notification::from_core(engine, notification);
                Ok(Came::Notification(notification, port))
            }
        }
    }

    #[inline(always)]
    fn failed(failure: Failure) -> Self {
        Err(failure)
    }
}

/// Gives the program a message of nothing but data, for which there is room, and perhaps a right
/// to reply. Any other comes back, and so does one that cannot be given now.
#[inline]
pub(super) fn give_plain(
    context: &Context,
    at: u64,
    engine: &mut EngineGuard,
    mut message: CoreMessage,
) -> Result<(), CoreMessage> {
    // The node is locked.
    let memory = context.task.memory_uninterrupted();
    let place = memory
        .as_ref()
        .and_then(|memory| Some((memory, memory.writable_value::<Header>(at)?)));
    let Some((memory, place)) = place else {
        return Err(message);
    };
    let header = place.as_ptr();
    // SAFETY: the program's own page, which stays writable while interrupts are off; any bytes
    // are a header, and nobody else uses them meanwhile.
    let (room, to, context_at) =
        unsafe { ((*header).data_capacity, (*header).data, (*header).context) };
    let length = message.data().len();
    let plain = message.rights().is_empty()
        && message.memory().is_empty()
        && context_at == 0
        && length <= room as usize;
    if !plain || length > 0 && memory.write(to, message.data()).is_err() {
        return Err(message);
    }
    let mut reply = 0;
    if let Some(right) = message.take_reply() {
        match engine.core.ipc().insert_once(context.task.space, right) {
            Ok(name) => reply = name.raw(),
            Err(refused) => {
                // Where it was a moment ago.
                let _ = message.set_reply(refused.right);
                return Err(message);
            }
        }
    }
    // SAFETY: as above.
    unsafe {
        (*header).id = message.id();
        (*header).format = u32::from(message.format().bits());
        (*header).data_length = length as u32;
        (*header).rights_length = 0;
        (*header).memory = 0;
        (*header).memory_length = 0;
        (*header).memory_kept = 0;
        (*header).reply = reply;
        (*header).port = message.port().map_or(0, Name::raw);
        (*header).sequence = message.sequence();
        (*header).news = News::Message as u32;
        (*header).subject = 0;
        (*header).reason = 0;
    }
    message.set_expects_reply(false);
    // Nothing is left in it that would have to be given up.
    engine.core.ipc().discard(message);
    Ok(())
}

/// Gives the program whatever was received. The room for it is read when it comes.
pub(super) fn give(context: &Context, at: u64, came: Came) -> Result<(), (Refusal, Came)> {
    let room = match header(context, at) {
        Ok(room) => room,
        Err(refusal) => return Err((refusal, came)),
    };
    match came {
        Came::Message(message) => give_message(context, at, &room, message)
            .map_err(|(refusal, message)| (refusal, Came::Message(message))),
        Came::Notification(notification, port) => {
            let room = Header { port, ..room };
            give_notification(context, at, &room, notification)
                .map_err(|(refusal, news)| (refusal, Came::Notification(news, port)))
        }
    }
}

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
fn name_reply(space: SpaceId, message: &mut Message) -> Result<u32, Refusal> {
    let mut engine = node::lock();
    let Some(right) = message.core().take_reply() else {
        return Ok(0);
    };
    match engine.core.ipc().insert_once(space, right) {
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
    let mut died = 0;
    let mut reason = |failure: Failure| {
        let Refusal { code, detail, .. } = failure.into();
        died = detail;
        code.number()
    };
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
        memory: died,
        memory_length: 0,
        reply: 0,
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
