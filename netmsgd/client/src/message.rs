//! Messages, as programs hold them: dropping one releases every right in it.

use crate::connection::{Answered, Shared};
use crate::error::{Failure, SendError};
use crate::memory::Memory;
use crate::protocol::{MessageHead, MessageView, disposition_number, emit_right};
use crate::rights::{AnyRight, ReceiveRight, SendOnceRight, SendRight};
use norma_ipc::limits::{MAX_INLINE, MAX_MEMORY, MAX_RIGHTS};
use norma_ipc::{Context, Disposition, Format, HeapPage, HeapPages, Ipc, Name, RightKind};
use std::sync::Arc;

/// A right that travels in a message.
#[derive(Debug)]
pub enum Right {
    /// A right to send.
    Send(SendRight),
    /// A right to send once.
    SendOnce(SendOnceRight),
    /// A right to receive.
    Receive(ReceiveRight),
}

impl Right {
    /// What it lets its holder do.
    #[must_use]
    pub const fn kind(&self) -> RightKind {
        match self {
            Self::Send(_) => RightKind::Send,
            Self::SendOnce(_) => RightKind::SendOnce,
            Self::Receive(_) => RightKind::Receive,
        }
    }

    fn new(node: &Arc<Shared>, kind: RightKind, name: u32) -> Self {
        let name = Name::from_raw(name);
        match kind {
            RightKind::Send => Self::Send(SendRight::new(node, name)),
            RightKind::SendOnce => Self::SendOnce(SendOnceRight::new(node, name)),
            RightKind::Receive => Self::Receive(ReceiveRight::new_named(node, name)),
        }
    }

    fn name(&self) -> Name {
        match self {
            Self::Send(right) => right.name(),
            Self::SendOnce(right) => right.name(),
            Self::Receive(right) => right.name(),
        }
    }

    const fn disposition(&self) -> Disposition {
        match self {
            Self::Send(_) => Disposition::MoveSend,
            Self::SendOnce(_) => Disposition::MoveSendOnce,
            Self::Receive(_) => Disposition::MoveReceive,
        }
    }

    /// It is another's now.
    fn forget(self) {
        match self {
            Self::Send(right) => drop(right.into_name()),
            Self::SendOnce(right) => drop(right.into_name()),
            Self::Receive(right) => drop(right.into_name()),
        }
    }
}

macro_rules! from_right {
    ($($type:ident $variant:ident),*) => {$(
        impl From<$type> for Right {
            fn from(right: $type) -> Self {
                Self::$variant(right)
            }
        }
    )*};
}

from_right!(SendRight Send, SendOnceRight SendOnce, ReceiveRight Receive);

/// A message: an identifier, inline data, rights and out-of-line memory.
#[derive(Debug, Default)]
pub struct Message {
    id: u32,
    format: Option<Format>,
    data: Vec<u8>,
    rights: Vec<Right>,
    memory: Memory,
    reply: Option<SendOnceRight>,
    context: Context,
    port: Option<Name>,
    sequence: u32,
}

impl Message {
    /// An empty message.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A message with these inline data, of at most [`MAX_INLINE`] bytes.
    ///
    /// # Errors
    /// [`Failure::NoMemory`] for data that are too long.
    pub fn with_data(data: &[u8]) -> Result<Self, Failure> {
        let mut message = Self::new();
        message.set_data(data)?;
        Ok(message)
    }

    /// The identifier, whose meaning is the service's own.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Sets the identifier.
    pub fn set_id(&mut self, id: u32) {
        self.id = id;
    }

    /// The inline data.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Replaces the inline data; they are bytes then, not items.
    ///
    /// # Errors
    /// [`Failure::NoMemory`] for more than [`MAX_INLINE`] bytes.
    pub fn set_data(&mut self, data: &[u8]) -> Result<(), Failure> {
        if data.len() > MAX_INLINE {
            return Err(Failure::NoMemory);
        }
        self.data.clear();
        self.data.extend_from_slice(data);
        self.format = None;
        Ok(())
    }

    /// What is known about the inline data: whether they are items, and in which byte order.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format.unwrap_or(Format::RAW)
    }

    /// Deadline, trace identity and priority of the call; the deadline is the time that is left.
    #[must_use]
    pub fn context(&self) -> Context {
        self.context
    }

    /// Sets what travels with the call.
    pub fn set_context(&mut self, context: Context) {
        self.context = context;
    }

    /// Writes items in place of the inline data and the memory: numbers, texts, arrays, also
    /// out of line. Rights are put beside them by [`Message::push_right`].
    ///
    /// # Errors
    /// What `write` says; the message is as it was.
    pub fn write_items<E: From<Failure>>(
        &mut self,
        write: impl FnOnce(&mut norma_ipc::typed::Writer<'_, HeapPage>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut ipc = Ipc::<HeapPage>::new();
        let mut scratch = ipc.new_message().map_err(Failure::from)?;
        let written = match scratch.write() {
            Ok(mut writer) => write(&mut writer),
            Err(_) => Err(Failure::NoMemory.into()),
        };
        if written.is_ok() {
            self.data.clear();
            self.data.extend_from_slice(scratch.data());
            self.format = Some(scratch.format());
            let mut bytes = vec![0; scratch.memory().len()];
            scratch.memory().read_at(0, &mut bytes);
            self.memory = Memory::from_vec(bytes);
        }
        ipc.discard(scratch);
        written
    }

    /// Reads items; numbers of a sender of the other byte order are converted. Rights are beside
    /// them ([`Message::take_rights`]); their items are to be skipped. Memory is read from a copy.
    ///
    /// # Errors
    /// What `read` says, or that the inline data are no items.
    pub fn read_items<T, E: From<norma_ipc::typed::ReadError>>(
        &self,
        read: impl FnOnce(&mut norma_ipc::typed::Reader<'_, HeapPage>) -> Result<T, E>,
    ) -> Result<T, E> {
        use norma_ipc::typed::ReadError;
        let mut ipc = Ipc::<HeapPage>::new();
        let mut scratch = ipc.new_message().map_err(|_| ReadError::NoMemory)?;
        let set = self.copy_to(&mut scratch);
        let value = match (set, scratch.read()) {
            (Ok(()), Ok(mut reader)) => read(&mut reader),
            (Err(_), _) => Err(ReadError::NoMemory.into()),
            (_, Err(error)) => Err(error.into()),
        };
        ipc.discard(scratch);
        value
    }

    /// What items are read from.
    fn copy_to(&self, scratch: &mut norma_ipc::Message<HeapPage>) -> Result<(), Failure> {
        scratch.set_data(&self.data)?;
        scratch.set_format(self.format());
        if !self.memory.is_empty() {
            let bytes = self.memory.to_vec()?;
            let copy = norma_ipc::Memory::copy_from(&bytes, &mut HeapPages::default())?;
            let _ = scratch.replace_memory(copy); // It came in one message.
        }
        Ok(())
    }

    /// The out-of-line memory.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Takes the out-of-line memory out.
    pub fn take_memory(&mut self) -> Memory {
        std::mem::take(&mut self.memory)
    }

    /// Puts a copy of `bytes` in as out-of-line memory.
    ///
    /// # Errors
    /// [`Failure::NoMemory`] for more than [`MAX_MEMORY`] bytes.
    pub fn set_memory(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if bytes.len() > MAX_MEMORY {
            return Err(Failure::NoMemory);
        }
        self.replace_memory(Memory::from_vec(bytes.to_vec()))
    }

    /// Puts memory in, without a copy; what was there is dropped.
    ///
    /// # Errors
    /// [`Failure::NoMemory`] for more than [`MAX_MEMORY`] bytes.
    pub fn replace_memory(&mut self, memory: Memory) -> Result<(), Failure> {
        if memory.len() > MAX_MEMORY {
            return Err(Failure::NoMemory);
        }
        self.memory = memory;
        Ok(())
    }

    /// Appends a right.
    ///
    /// # Errors
    /// Gives it back when there are [`MAX_RIGHTS`] already.
    pub fn push_right(&mut self, right: impl Into<Right>) -> Result<(), Right> {
        if self.rights.len() >= MAX_RIGHTS {
            return Err(right.into());
        }
        self.rights.push(right.into());
        Ok(())
    }

    /// The rights, in order, without the one to which a reply goes.
    #[must_use]
    pub fn rights(&self) -> &[Right] {
        &self.rights
    }

    /// Takes all rights out.
    pub fn take_rights(&mut self) -> Vec<Right> {
        std::mem::take(&mut self.rights)
    }

    /// Whether somebody waits for a reply to this message.
    #[must_use]
    pub fn expects_reply(&self) -> bool {
        self.reply.is_some()
    }

    /// Takes the right to which a reply goes out of the message, to answer later.
    pub fn take_reply(&mut self) -> Option<SendOnceRight> {
        self.reply.take()
    }

    /// Says where the reply to it goes: of a request that was received and is answered with
    /// another message, or of a call that is passed on. A right that was there is given up.
    pub fn set_reply(&mut self, right: SendOnceRight) {
        self.reply = Some(right);
    }

    /// Sends this message, as it is now, back to whoever sent it.
    ///
    /// # Errors
    /// The message comes back whole when nobody waits for a reply (any more).
    pub fn reply(mut self) -> Result<(), SendError> {
        match self.take_reply() {
            Some(right) => right.send(self),
            None => Err(SendError {
                failure: Failure::InvalidRight,
                message: self,
            }),
        }
    }

    /// The name of the receive right on which it came, as it was then.
    #[must_use]
    pub fn port(&self) -> Option<Name> {
        self.port
    }

    /// How many messages were received from that port before.
    #[must_use]
    pub fn sequence(&self) -> u32 {
        self.sequence
    }

    /// The inline data, for writing in place.
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    // To and from packets.

    pub(crate) fn emit(&self, packet: &mut Vec<u8>) {
        let head = MessageHead {
            id: self.id,
            format: self.format().bits(),
            rights: self.rights.len() as u16,
            data: self.data.len() as u32,
            port: 0,
            sequence: 0,
            reply: self.reply.as_ref().map_or(0, |right| right.name().raw()),
            memory: self.memory.len() as u64,
        };
        head.emit(self.context, packet);
        for right in &self.rights {
            emit_right(
                right.name().raw(),
                disposition_number(right.disposition()),
                packet,
            );
        }
        packet.extend_from_slice(&self.data);
    }

    /// It was sent: what was in it is another's.
    pub(crate) fn forget(mut self) {
        self.rights.drain(..).for_each(Right::forget);
        if let Some(right) = self.reply.take() {
            let _ = right.into_name();
        }
    }

    /// It was not sent, and `tail` says under which names its rights are again.
    pub(crate) fn rename(&mut self, node: &Arc<Shared>, tail: &[u8]) {
        let Some(view) = MessageView::parse(tail) else {
            return;
        };
        let mut names = view.rights();
        self.rights = std::mem::take(&mut self.rights)
            .into_iter()
            .filter_map(|right| {
                let (kind, (name, _)) = (right.kind(), names.next()?);
                right.forget();
                (name != 0).then(|| Right::new(node, kind, name))
            })
            .collect();
        if let Some(right) = self.reply.take() {
            let _ = right.into_name();
            let name = view.head.reply;
            self.reply = (name != 0).then(|| SendOnceRight::new(node, Name::from_raw(name)));
        }
    }

    /// What was received.
    pub(crate) fn received(node: &Arc<Shared>, answered: Answered<'_>) -> Result<Self, Failure> {
        let view = MessageView::parse(answered.tail).ok_or(Failure::BadRequest)?;
        let MessageHead {
            id,
            format,
            port,
            sequence,
            reply,
            memory,
            ..
        } = view.head;
        let rights = view.rights().filter(|(name, _)| *name != 0);
        let rights = rights.filter_map(|(name, kind)| {
            let kind = crate::protocol::kind(kind)?;
            Some(Right::new(node, kind, name))
        });
        Ok(Self {
            id,
            format: Some(Format::from_bits(format)),
            data: view.data.to_vec(),
            rights: rights.collect(),
            memory: Memory::received(answered.file, memory).ok_or(Failure::NoMemory)?,
            reply: (reply != 0).then(|| SendOnceRight::new(node, Name::from_raw(reply))),
            context: view.context,
            port: (port != 0).then(|| Name::from_raw(port)),
            sequence,
        })
    }
}
