//! What a program sends: out of its memory, into a message of the core's.
//!
//! Owns: that it is all or nothing. When something does not hold, what was taken goes back under
//! its name and to its address. Leaves to others: the way back ([`super::arrival`]).

use super::calls::{Refusal, afford};
use super::ports::disposition_of;
use super::run::Context;
use crate::face::{self, Disposition, Failure, Message, Name};
use crate::limits::TASK_MEMORY;
use crate::node::{self, EngineGuard};
use norma_abi::{Code, Entry, Header, InContext};
use norma_ipc::limits::{MAX_INLINE, MAX_RIGHTS};
use norma_ipc::{Format, SpaceId};

/// A message of the core's.
pub(super) type CoreMessage = norma_ipc::Message<crate::memory::Frame>;

/// Inline data for which the kernel always has memory: what every message has room for.
const SMALL: u32 = norma_ipc::limits::FIRST_INLINE as u32;

/// What most messages are: data, and perhaps a right to reply.
#[derive(Clone, Copy)]
pub(super) struct Plain {
    id: u32,
    format: u32,
    data: u64,
    length: u32,
    /// The name of the right to reply, or 0.
    pub(super) reply: u32,
}

impl Plain {
    /// The program's message, if it is that and its header is within a page. `None` says nothing. Interrupts must be off.
    #[inline(always)]
    pub(super) fn read(context: &Context, at: u64) -> Option<Self> {
        let memory = context.task.memory_uninterrupted();
        let header = memory.as_ref()?.readable_value::<Header>(at)?.as_ptr();
        // SAFETY: the program's own page, which stays while interrupts are off; any bytes are a
        // header, and nobody writes to them meanwhile.
        let header = unsafe { &*header };
        let plain = header.rights_length == 0
            && header.memory_length == 0
            && header.context == 0
            && header.data_length <= SMALL;
        plain.then_some(Self {
            id: header.id,
            format: header.format,
            data: header.data,
            length: header.data_length,
            reply: header.reply,
        })
    }

    /// Makes a message of it, and takes the right to reply out of the task.
    #[inline(always)]
    pub(super) fn take(
        &self,
        context: &Context,
        engine: &mut EngineGuard,
    ) -> Result<CoreMessage, Refusal> {
        let mut message = engine
            .core
            .ipc()
            .new_message()
            .map_err(|_| Code::NoMemory)?;
        message.set_id(self.id);
        if self.length > 0
            && let Err(code) = self.take_data(context, &mut message)
        {
            engine.core.ipc().discard(message);
            return Err(code.into());
        }
        if self.reply != 0 {
            let name = Name::from_raw(self.reply);
            match engine.core.ipc().extract_once(context.task.space, name) {
                Ok(right) => {
                    // It has none yet, and a send-once right can be one.
                    let _ = message.set_reply(right);
                    message.set_expects_reply(true);
                }
                Err(error) => {
                    engine.core.ipc().discard(message);
                    return Err(Failure::from_right(engine, error).into());
                }
            }
        }
        Ok(message)
    }

    #[inline]
    fn take_data(&self, context: &Context, message: &mut CoreMessage) -> Result<(), Code> {
        let memory = context.task.memory();
        let memory = memory.as_ref().ok_or(Code::BadAddress)?;
        memory.read_chunks(self.data, self.length as usize, |chunk| {
            message.extend_data(chunk).map_err(|_| Code::NoMemory)
        })?;
        message.set_format(Format::from_bits(self.format as u8));
        Ok(())
    }

    /// Its header, for [`put_back`].
    #[cold]
    pub(super) fn header(&self) -> Header {
        Header {
            reply: self.reply,
            ..Header::default()
        }
    }
}

/// The header of a message, as a program has it.
pub(super) fn header(context: &Context, address: u64) -> Result<Header, Refusal> {
    if !address.is_multiple_of(8) {
        return Err(Code::BadAddress.into());
    }
    let memory = context.task.memory();
    let memory = memory.as_ref().ok_or(Code::BadAddress)?;
    Ok(memory.read_value(address)?)
}

/// Makes a message of whatever the program describes, and takes what goes along out of the task:
/// rights, memory, the right to which a reply goes.
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

pub(super) fn take_reply(space: SpaceId, reply: u32, message: &mut Message) -> Result<(), Refusal> {
    let mut engine = node::lock();
    let ipc = engine.core.ipc();
    match ipc.extract_once(space, Name::from_raw(reply)) {
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

pub(super) fn entry_address(header: &Header, index: u32) -> Result<u64, Code> {
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
