//! Messages, as programs hold them: dropping one releases every right in it.
//!
//! A message is the program's own until it is sent: its data, the names of the rights in it, its
//! memory. The kernel reads all that from a header when the message goes, and writes it there
//! when one comes. Header and buffers are used again for what comes back, and stay where they
//! are when the message is moved: to move it is to move a pointer.

use crate::failure::{Failure, MoveError, SendError};
use crate::memory::Memory;
use crate::rights::{AnyRight, ReceiveRight, SendOnceRight, SendRight, deallocate};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::alloc::Layout;
use norma_abi::{Entry, Header, InContext, disposition, kind};
use norma_ipc::limits::{FIRST_INLINE, MAX_INLINE, MAX_RIGHTS};
use norma_ipc::{Context, Format, Name, RightKind};

/// A right, whichever it is.
#[derive(Debug)]
pub enum Right {
    /// The receive right of a port.
    Receive(ReceiveRight),
    /// A send right.
    Send(SendRight),
    /// A send-once right.
    SendOnce(SendOnceRight),
}

/// A message: an identifier, inline data, rights and out-of-line memory.
#[derive(Debug)]
pub struct Message(Box<Content>);

/// On a boundary that keeps the header within a page, where the kernel finds it at once.
#[derive(Debug)]
#[repr(C, align(128))]
struct Content {
    /// What the kernel said last, and identifier, format and right to reply as they are now. The
    /// places of the rest are put in before the kernel reads it.
    header: Header,
    data: Vec<u8>,
    /// In a message to be sent, each with what is to be done with its name; in one that came,
    /// rights of the task's.
    rights: Vec<Entry>,
    memory: Memory,
    context: Option<InContext>,
}

impl Message {
    /// An empty message.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn new() -> Result<Self, Failure> {
        let mut data = Vec::new();
        data.try_reserve(FIRST_INLINE)
            .map_err(|_| Failure::NoMemory)?;
        let layout = Layout::new::<Content>();
        // SAFETY: the layout has a size.
        let place = unsafe { alloc::alloc::alloc(layout) }.cast::<Content>();
        if place.is_null() {
            return Err(Failure::NoMemory);
        }
        // SAFETY: the allocator just gave it, for such a value.
        Ok(Self(unsafe {
            place.write(Content {
                header: Header::default(),
                data,
                rights: Vec::new(),
                memory: Memory::new(),
                context: None,
            });
            Box::from_raw(place)
        }))
    }

    /// A message with these inline data, of at most [`MAX_INLINE`] bytes.
    ///
    /// # Errors
    /// [`Failure::NoMemory`], also for data that are too long.
    pub fn with_data(data: &[u8]) -> Result<Self, Failure> {
        let mut message = Self::new()?;
        message.set_data(data)?;
        Ok(message)
    }

    /// The identifier, whose meaning is the service's own.
    pub const fn id(&self) -> u32 {
        self.0.header.id
    }

    /// Sets the identifier.
    pub const fn set_id(&mut self, id: u32) {
        self.0.header.id = id;
    }

    /// The inline data.
    pub fn data(&self) -> &[u8] {
        &self.0.data
    }

    /// The inline data, for writing in place.
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.0.data
    }

    /// Replaces the inline data.
    ///
    /// # Errors
    /// [`Failure::NoMemory`], also for data that are too long; the message is unchanged then.
    pub fn set_data(&mut self, data: &[u8]) -> Result<(), Failure> {
        if data.len() > MAX_INLINE {
            return Err(Failure::NoMemory);
        }
        let more = data.len().saturating_sub(self.0.data.len());
        self.0
            .data
            .try_reserve(more)
            .map_err(|_| Failure::NoMemory)?;
        self.clear_data();
        self.0.data.extend_from_slice(data);
        Ok(())
    }

    /// Empties the inline data.
    pub fn clear_data(&mut self) {
        self.0.data.clear();
        self.0.header.format = 0;
    }

    /// What the inline data are.
    pub const fn format(&self) -> Format {
        Format::from_bits(self.0.header.format as u8)
    }

    /// Says what the inline data are, for who passes on what somebody else has written.
    pub const fn set_format(&mut self, format: Format) {
        self.0.header.format = format.bits() as u32;
    }

    /// What travels with a call besides its data; the deadline is the time that is left.
    pub fn context(&self) -> Context {
        self.0
            .context
            .map_or_else(Context::default, |context| Context {
                deadline: context.deadline,
                trace: context.trace,
                priority: context.priority as u8,
            })
    }

    /// Sets what travels with a call besides its data.
    pub fn set_context(&mut self, context: Context) {
        self.0.context = Some(InContext {
            deadline: context.deadline,
            trace: context.trace,
            priority: context.priority.into(),
        });
    }

    /// Says that nothing travels with it besides its data.
    pub const fn clear_context(&mut self) {
        self.0.context = None;
    }

    /// The out-of-line memory.
    pub const fn memory(&self) -> &Memory {
        &self.0.memory
    }

    /// Copies `data` into the out-of-line memory.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn set_memory(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.replace_memory(Memory::copy_from(data)?);
        Ok(())
    }

    /// Moves `memory` in, and out what was there.
    pub fn replace_memory(&mut self, memory: Memory) -> Memory {
        core::mem::replace(&mut self.0.memory, memory)
    }

    /// Takes the out-of-line memory out.
    pub fn take_memory(&mut self) -> Memory {
        self.replace_memory(Memory::new())
    }

    /// The name of the receive right on which it came; `None` for the reply to a call.
    pub fn port(&self) -> Option<Name> {
        (self.0.header.port != 0).then(|| Name::from_raw(self.0.header.port))
    }

    /// How many messages were received from that port before.
    pub const fn sequence(&self) -> u32 {
        self.0.header.sequence
    }

    /// Whether somebody waits for a reply to this message.
    pub const fn expects_reply(&self) -> bool {
        self.0.header.reply != 0
    }

    /// Takes the right to which a reply goes out, to answer later.
    ///
    /// # Errors
    /// [`Failure::InvalidRight`] when there is none.
    pub fn take_reply(&mut self) -> Result<SendOnceRight, Failure> {
        match core::mem::take(&mut self.0.header.reply) {
            0 => Err(Failure::InvalidRight),
            name => Ok(SendOnceRight::from_name(Name::from_raw(name))),
        }
    }

    /// Makes this message the reply to whoever waits at `right`.
    ///
    /// # Errors
    /// The right comes back when there is one already.
    pub fn set_reply(&mut self, right: SendOnceRight) -> Result<(), SendOnceRight> {
        if self.expects_reply() {
            return Err(right);
        }
        self.0.header.reply = right.into_name().raw();
        Ok(())
    }

    /// Sends this message, as it is now, back to whoever sent it.
    ///
    /// # Errors
    /// The message comes back whole when nobody waits for a reply (any more).
    pub fn reply(self) -> Result<(), SendError> {
        crate::send::reply(self)
    }

    /// The same, with the message's buffers left.
    ///
    /// # Errors
    /// As there; what was in the message is in it still.
    pub fn reply_from(&mut self) -> Result<(), Failure> {
        crate::send::reply_from(self)
    }

    /// Moves a right into the message, behind those in it.
    ///
    /// # Errors
    /// Gives the right back when the message holds as many as it can, or memory is exhausted.
    pub fn push_right<R: AnyRight>(&mut self, right: R) -> Result<(), MoveError<R>> {
        let what = match R::KIND {
            RightKind::Receive => disposition::MOVE_RECEIVE,
            RightKind::Send => disposition::MOVE_SEND,
            RightKind::SendOnce => disposition::MOVE_SEND_ONCE,
        };
        match self.push(right.name(), what) {
            Ok(()) => {
                let _ = right.into_name();
                Ok(())
            }
            Err(failure) => Err(MoveError { failure, right }),
        }
    }

    /// Puts a copy of a send right in.
    ///
    /// # Errors
    /// The port may be dead; [`Failure::NoMemory`].
    pub fn push_copy(&mut self, right: &SendRight) -> Result<(), Failure> {
        Ok(self.push_right(right.copy()?)?)
    }

    /// Makes a send right to a port, in the message.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn push_send_to(&mut self, port: &ReceiveRight) -> Result<(), Failure> {
        Ok(self.push_right(port.make_send()?)?)
    }

    /// Makes a send-once right to a port, in the message.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn push_send_once_to(&mut self, port: &ReceiveRight) -> Result<(), Failure> {
        Ok(self.push_right(port.make_send_once()?)?)
    }

    fn push(&mut self, name: Name, what: u32) -> Result<(), Failure> {
        if self.0.rights.len() >= MAX_RIGHTS || self.0.rights.try_reserve(1).is_err() {
            return Err(Failure::NoMemory);
        }
        self.0.rights.push(Entry {
            name: name.raw(),
            what,
        });
        Ok(())
    }

    /// What the first right in the message is.
    pub fn first_right(&self) -> Option<RightKind> {
        self.0.rights.first().map(kind_of)
    }

    /// Takes the first right out; `None` if there is none.
    pub fn take_any_right(&mut self) -> Option<Right> {
        let kind = self.first_right()?;
        let name = Name::from_raw(self.0.rights.remove(0).name);
        Some(match kind {
            RightKind::Receive => Right::Receive(ReceiveRight::from_name(name)),
            RightKind::Send => Right::Send(SendRight::from_name(name)),
            RightKind::SendOnce => Right::SendOnce(SendOnceRight::from_name(name)),
        })
    }

    /// Takes the first right out, a send right; `None` if there is none.
    ///
    /// # Errors
    /// [`Failure::InvalidRight`] when it is of another kind; it is still the first then.
    pub fn take_right(&mut self) -> Result<Option<SendRight>, Failure> {
        self.take_one()
    }

    /// As [`Message::take_right`], for a send-once right.
    ///
    /// # Errors
    /// As there.
    pub fn take_send_once(&mut self) -> Result<Option<SendOnceRight>, Failure> {
        self.take_one()
    }

    /// As [`Message::take_right`], for a receive right.
    ///
    /// # Errors
    /// As there.
    pub fn take_receive(&mut self) -> Result<Option<ReceiveRight>, Failure> {
        self.take_one()
    }

    fn take_one<R: AnyRight>(&mut self) -> Result<Option<R>, Failure> {
        match self.first_right() {
            None => Ok(None),
            Some(kind) if kind != R::KIND => Err(Failure::InvalidRight),
            Some(_) => {
                let name = self.0.rights.remove(0).name;
                Ok(Some(R::from_name(Name::from_raw(name))))
            }
        }
    }

    /// Where the kernel is told of it, and tells of what came instead.
    #[inline]
    pub(crate) fn header(&mut self) -> *mut Header {
        let Content {
            header,
            data,
            rights,
            memory,
            context,
        } = &mut *self.0;
        header.data = data.as_mut_ptr() as u64;
        header.data_length = data.len() as u32;
        header.data_capacity = data.capacity().min(u32::MAX as usize) as u32;
        header.rights = rights.as_mut_ptr() as u64;
        header.rights_length = rights.len() as u32;
        header.rights_capacity = rights.capacity().min(u32::MAX as usize) as u32;
        header.memory = memory.address();
        header.memory_length = memory.len() as u64;
        header.context = match context {
            Some(context) => core::ptr::from_mut(context) as u64,
            None => 0,
        };
        header
    }

    /// As [`Message::header`], with a copy of `memory`, and none of its own.
    pub(crate) fn lending(&mut self, memory: &Memory) -> *mut Header {
        self.0.memory = Memory::new();
        let _ = self.header();
        let header = &mut self.0.header;
        header.memory = memory.address();
        header.memory_length = memory.len() as u64;
        header.memory_kept = u32::from(!memory.is_empty());
        header
    }

    /// What was lent was not sent.
    pub(crate) fn lent_nothing(&mut self) {
        self.0.header.memory_kept = 0;
    }

    /// What the kernel said last.
    pub(crate) fn said(&self) -> &Header {
        &self.0.header
    }

    /// It was sent: what was in it is not the program's any more.
    pub(crate) fn gone(&mut self) {
        self.0.rights.clear();
        self.0.header.reply = 0;
        core::mem::forget(self.take_memory());
    }

    /// It was not sent; its memory may be elsewhere.
    pub(crate) fn stayed(&mut self) {
        let (_, length) = self.take_memory().into_parts();
        self.0.memory = Memory::received(self.0.header.memory, length);
    }

    /// What was in it is gone, and what the kernel says has come into it.
    ///
    /// # Safety
    /// The kernel must have taken what was in the message, or there was nothing; and it must
    /// have written the header that [`Message::header`] gave, and all that it says.
    #[inline]
    pub(crate) unsafe fn came(&mut self) {
        let content = &mut *self.0;
        let header = &content.header;
        // SAFETY: the kernel has written so many, within the capacity that the header told it.
        unsafe {
            content.data.set_len(header.data_length as usize);
            content.rights.set_len(header.rights_length as usize);
        }
        if header.rights_length > 0 {
            content.rights.iter_mut().for_each(as_sent);
        }
        let memory = Memory::received(header.memory, header.memory_length as usize);
        core::mem::forget(core::mem::replace(&mut content.memory, memory));
    }

    /// Makes room for what did not fit.
    pub(crate) fn make_room(&mut self) -> Result<(), Failure> {
        let content = &mut *self.0;
        content.data.clear();
        let data = content
            .data
            .try_reserve(content.header.data_length as usize);
        let rights = content
            .rights
            .try_reserve(content.header.rights_length as usize);
        data.and(rights).map_err(|_| Failure::NoMemory)
    }
}

/// A right in a message is listed as one that moves when the message goes.
fn as_sent(entry: &mut Entry) {
    entry.what = match entry.what {
        kind::RECEIVE => disposition::MOVE_RECEIVE,
        kind::SEND => disposition::MOVE_SEND,
        _ => disposition::MOVE_SEND_ONCE,
    };
}

fn kind_of(entry: &Entry) -> RightKind {
    match entry.what {
        disposition::MOVE_RECEIVE => RightKind::Receive,
        disposition::MOVE_SEND => RightKind::Send,
        _ => RightKind::SendOnce,
    }
}

impl Message {
    /// Gives up all that is in it; its buffers stay.
    pub fn empty(&mut self) {
        self.give_up();
        self.0.rights.clear();
        self.0.header.reply = 0;
        self.0.data.clear();
        self.0.memory = Memory::new();
    }

    fn give_up(&self) {
        for entry in &self.0.rights {
            let kind = match kind_of(entry) {
                RightKind::Receive => kind::RECEIVE,
                RightKind::Send => kind::SEND,
                RightKind::SendOnce => kind::SEND_ONCE,
            };
            deallocate(entry.name, kind);
        }
        if self.0.header.reply != 0 {
            deallocate(self.0.header.reply, kind::SEND_ONCE);
        }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.give_up();
    }
}
