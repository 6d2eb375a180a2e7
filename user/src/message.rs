//! Messages, as programs hold them: dropping one releases every right in it.
//!
//! Leaves to others: rights in messages ([`crate::carry`]), items ([`crate::read`],
//! [`mod@crate::write`]), and what is said to the kernel (`passing.rs`).
//!
//! A message is the program's own until it is sent: its data, the names of the rights in it, its
//! memory. The kernel reads all that from a header when the message goes, and writes it there
//! when one comes. Header and buffers are used again for what comes back, and stay where they
//! are when the message is moved: to move it is to move a pointer.

use crate::carry::release;
use crate::failure::{Failure, SendError};
use crate::memory::Memory;
use crate::read::{Contents, Items, Reader};
use crate::rights::{AnyRight, SendOnceRight, deallocate};
use crate::write::Writer;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::alloc::Layout;
use norma_abi::{Entry, Header, InContext, kind};
use norma_ipc::limits::{FIRST_INLINE, MAX_INLINE, MAX_MEMORY};
use norma_ipc::typed::ReadError;
use norma_ipc::{Context, Format, Name};

/// A message: an identifier, inline data, rights and out-of-line memory.
#[derive(Debug)]
pub struct Message(pub(crate) Box<Content>);

/// On a boundary that keeps the header within a page, where the kernel finds it at once.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Content {
    /// What the kernel said last, and identifier, format and right to reply as they are now. The
    /// places of the rest are put in before the kernel reads it.
    pub(crate) header: Header,
    pub(crate) data: Vec<u8>,
    /// In a message to be sent, each with what is to be done with its name; in one that came,
    /// rights of the task's.
    pub(crate) rights: Vec<Entry>,
    pub(crate) memory: Memory,
    pub(crate) context: Option<InContext>,
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

    /// Begins to write items: whatever data, rights and memory were in the message are given up,
    /// but not the right to which a reply goes.
    pub fn write(&mut self) -> Writer<'_> {
        self.give_up_rights();
        let content = &mut *self.0;
        content.memory = Memory::new();
        content.data.clear();
        content.header.format = Format::TYPED_HERE.bits().into();
        Writer {
            data: &mut content.data,
            rights: &mut content.rights,
            memory: &mut content.memory,
        }
    }

    /// Begins to read items. Rights and memory that a reader has taken out are gone for the next
    /// one, which can still read the data.
    ///
    /// # Errors
    /// [`ReadError::NotTyped`].
    pub fn read(&mut self) -> Result<Reader<'_>, ReadError> {
        let content = &mut *self.0;
        let beside = Contents {
            format: &mut content.header.format,
            rights: &mut content.rights,
            memory: &mut content.memory,
        };
        Reader::new(&content.data, beside)
    }

    /// The items, to look at.
    ///
    /// # Errors
    /// [`ReadError::NotTyped`].
    pub fn items(&self) -> Result<Items<'_>, ReadError> {
        let Content {
            header,
            data,
            rights,
            memory,
            ..
        } = &*self.0;
        Items::of(data, header.format, rights, memory)
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

    /// The out-of-line memory, to write to.
    pub const fn memory_mut(&mut self) -> &mut Memory {
        &mut self.0.memory
    }

    /// Copies `data` into fresh pages, which travel out of line.
    ///
    /// # Errors
    /// [`Failure::NoMemory`], also for more than [`MAX_MEMORY`] bytes.
    pub fn set_memory(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.replace_memory(Memory::copy_from(data)?)
            .map(drop)
            .map_err(|_| Failure::NoMemory)
    }

    /// Moves `memory` in, and out what was there, without a copy.
    ///
    /// # Errors
    /// Gives `memory` back when it exceeds [`MAX_MEMORY`].
    pub fn replace_memory(&mut self, memory: Memory) -> Result<Memory, Memory> {
        if memory.len() > MAX_MEMORY {
            return Err(memory);
        }
        Ok(core::mem::replace(&mut self.0.memory, memory))
    }

    /// Takes the out-of-line memory out.
    pub fn take_memory(&mut self) -> Memory {
        core::mem::take(&mut self.0.memory)
    }

    /// The name of the receive right on which it came, or the notification in its place; `None`
    /// for the reply to a call.
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
        self.0.rights.iter().for_each(release);
        if self.0.header.reply != 0 {
            deallocate(self.0.header.reply, kind::SEND_ONCE);
        }
    }

    fn give_up_rights(&mut self) {
        self.0.rights.drain(..).for_each(|entry| release(&entry));
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.give_up();
    }
}
