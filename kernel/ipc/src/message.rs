//! Messages: an identifier, inline data, rights, and out-of-line memory.
//!
//! A message is one pointer to a body that is filled in place, moved from sender to receiver,
//! and reused for the reply: on one node its data is never copied. Bodies come from a pool, so
//! that a steady exchange allocates nothing.
//! Why `Vec` inside: growth is fallible, capacity survives reuse.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::error::NoMemory;
use crate::format::Format;
use crate::limits::{
    FIRST_INLINE, KEEP_INLINE, KEEP_MESSAGES, KEEP_PAGES, MAX_INLINE, MAX_MEMORY, MAX_RIGHTS,
};
use crate::memory::Memory;
use crate::name::Name;
use crate::page::Page;
use crate::right::{Right, RightKind};
use crate::typed::{Items, Occupied, ReadError, Reader, Writer};

/// What travels with a call besides its data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Context {
    /// By when an answer is wanted, in nanoseconds; 0 means no limit. In a message it is a moment
    /// on the clock of its node, so that time counts wherever the message lies; on the wire, and
    /// in the hands of a service, it is the time that is left ([`Context::left`]).
    pub deadline: u64,
    /// Ties together the calls made on behalf of one request; all zero means none.
    pub trace: [u8; 16],
    /// The caller's priority, 0 for none.
    pub priority: u8,
}

impl Context {
    /// The same with the time that is left at `now`: at least 1, for 0 means no limit.
    #[must_use]
    pub fn left(self, now: u64) -> Context {
        let deadline = match self.deadline {
            0 => 0,
            moment => moment.saturating_sub(now).max(1),
        };
        Context { deadline, ..self }
    }

    /// The reverse of [`Context::left`].
    #[must_use]
    pub fn until(self, now: u64) -> Context {
        let deadline = match self.deadline {
            0 => 0,
            left => left.saturating_add(now),
        };
        Context { deadline, ..self }
    }
}

/// Where and as which one a message was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// A name, or 0: no name is zero.
    pub(crate) port: u32,
    pub(crate) sequence: u32,
}

impl Arrival {
    pub(crate) const NONE: Arrival = Arrival {
        port: 0,
        sequence: 0,
    };
}

/// For what the sender of a message waits, which comes to the reply right in it. Also the bits
/// that say so in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expects(u8);

impl Expects {
    /// For nothing.
    pub const NOTHING: Expects = Expects(0);
    /// For the reply of whoever receives it.
    pub const REPLY: Expects = Expects(0x04);
    /// For word that it is in the queue of its receiver, which the receiver's node gives. Only
    /// the network layer sees such a message.
    pub const RECEIPT: Expects = Expects(0x40);

    /// What those of `bits` say that say something about it; a reply, if they contradict
    /// themselves.
    #[inline(always)]
    pub const fn from_bits(bits: u8) -> Self {
        Expects(bits & (Self::REPLY.0 | Self::RECEIPT.0))
    }

    /// The bits.
    #[inline(always)]
    pub const fn bits(self) -> u8 {
        self.0
    }
}

#[derive(Debug)]
pub(crate) struct Body<P> {
    pub(crate) id: u32,
    pub(crate) expects: Expects,
    pub(crate) format: Format,
    pub(crate) arrival: Arrival,
    pub(crate) urgency: u8,
    /// `None` for the default, which nearly every message has.
    pub(crate) context: Option<Context>,
    pub(crate) reply: Option<Right>,
    pub(crate) data: Vec<u8>,
    pub(crate) rights: Vec<Right>,
    pub(crate) memory: Memory<P>,
}

/// A message, owned by exactly one holder.
///
/// Rights in it are in transit; a message must end in a queue, in [`crate::Ipc::discard`], or
/// with its rights taken out.
#[derive(Debug)]
#[must_use = "a dropped message leaks the rights in it: send it or discard it"]
pub struct Message<P>(Box<[Body<P>; 1]>);

impl<P> Message<P> {
    /// A fresh body on the heap. `Box::try_new` is not stable yet; a vector of one is.
    fn allocate() -> Result<Self, NoMemory> {
        let mut data = Vec::new();
        data.try_reserve(FIRST_INLINE).map_err(|_| NoMemory)?;
        let mut body = Vec::new();
        body.try_reserve_exact(1).map_err(|_| NoMemory)?;
        body.push(Body {
            id: 0,
            expects: Expects::NOTHING,
            format: Format::RAW,
            arrival: Arrival::NONE,
            urgency: 0,
            context: None,
            reply: None,
            data,
            rights: Vec::new(),
            memory: Memory::new(),
        });
        match body.into_boxed_slice().try_into() {
            Ok(body) => Ok(Message(body)),
            Err(_) => Err(NoMemory),
        }
    }

    #[inline]
    pub(crate) fn body(&self) -> &Body<P> {
        let [body] = &*self.0;
        body
    }

    #[inline]
    pub(crate) fn body_mut(&mut self) -> &mut Body<P> {
        let [body] = &mut *self.0;
        body
    }

    /// A number that no other message of this node has while this one lives: where it lies.
    #[inline(always)]
    pub fn number(&self) -> u64 {
        (&raw const *self.0).addr() as u64
    }

    /// The identifier, whose meaning is the service's own.
    #[inline]
    pub fn id(&self) -> u32 {
        self.body().id
    }

    /// Sets the identifier.
    #[inline]
    pub fn set_id(&mut self, id: u32) {
        self.body_mut().id = id;
    }

    /// The receive right on which it came, as the space that held that right then called it:
    /// of use to a receiver from a port set. `None` for a reply, and before it was received.
    #[inline]
    pub fn port(&self) -> Option<Name> {
        match self.body().arrival.port {
            0 => None,
            name => Some(Name::from_raw(name)),
        }
    }

    /// How many messages were received from that port before: it tells threads that receive
    /// from one port the order of what they got.
    #[inline]
    pub fn sequence(&self) -> u32 {
        self.body().arrival.sequence
    }

    /// What travels with the call besides its data.
    pub fn context(&self) -> Context {
        self.body().context.unwrap_or_default()
    }

    /// Whether more than the default travels with the call.
    #[inline]
    pub fn has_context(&self) -> bool {
        self.body().context.is_some()
    }

    /// Sets what travels with the call besides its data.
    pub fn set_context(&mut self, context: Context) {
        self.body_mut().context = (context != Context::default()).then_some(context);
    }

    /// Whether the sender waits for the reply (it was sent by a call).
    #[inline]
    pub fn expects_reply(&self) -> bool {
        self.body().expects.0 & Expects::REPLY.0 != 0
    }

    /// Marks the message as sent by a call.
    #[inline]
    pub fn set_expects_reply(&mut self, expects: bool) {
        self.body_mut().expects = match expects {
            true => Expects::REPLY,
            false => Expects::NOTHING,
        };
    }

    /// For what the sender waits.
    #[inline]
    pub fn expects(&self) -> Expects {
        self.body().expects
    }

    /// Says for what the sender waits, as the network layer does for one of another node.
    #[inline]
    pub fn set_expects(&mut self, expects: Expects) {
        self.body_mut().expects = expects;
    }

    /// The priority of the thread of this node that waits for the reply; 0 when nobody does, or
    /// somebody of another node.
    #[inline]
    pub fn urgency(&self) -> u8 {
        if self.expects_reply() {
            self.body().urgency
        } else {
            0
        }
    }

    /// Notes the priority of the thread that will wait for the reply.
    #[inline]
    pub fn set_urgency(&mut self, priority: u8) {
        self.body_mut().urgency = priority;
    }

    /// What is known about the inline data.
    #[inline(always)]
    pub fn format(&self) -> Format {
        self.body().format
    }

    /// Says what the inline data are: for data that came from elsewhere.
    #[inline(always)]
    pub fn set_format(&mut self, format: Format) {
        self.body_mut().format = format;
    }

    /// Begins to write items; data that were there are gone.
    ///
    /// # Errors
    /// [`Occupied`] when there are rights or memory in the message.
    #[inline]
    pub fn write(&mut self) -> Result<Writer<'_, P>, Occupied> {
        Writer::new(self.body_mut())
    }

    /// Begins to read items. Rights and memory that a reader has taken out are gone for the
    /// next one, which can still read the data.
    ///
    /// # Errors
    /// [`ReadError::NotTyped`].
    #[inline]
    pub fn read(&mut self) -> Result<Reader<'_, P>, ReadError> {
        Reader::of(self.body_mut())
    }

    /// The items, to look at.
    ///
    /// # Errors
    /// [`ReadError::NotTyped`].
    pub fn items(&self) -> Result<Items<'_, P>, ReadError> {
        Items::of(self)
    }

    /// The inline data.
    #[inline]
    pub fn data(&self) -> &[u8] {
        &self.body().data
    }

    /// The inline data, for writing in place.
    #[inline]
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.body_mut().data
    }

    /// Replaces the inline data; they are bytes then, not items.
    ///
    /// # Errors
    /// [`NoMemory`] for more than [`MAX_INLINE`] bytes or when memory is exhausted; the message
    /// is unchanged then.
    pub fn set_data(&mut self, data: &[u8]) -> Result<(), NoMemory> {
        let body = self.body_mut();
        if data.len() > MAX_INLINE {
            return Err(NoMemory);
        }
        let more = data.len().saturating_sub(body.data.len());
        body.data.try_reserve(more).map_err(|_| NoMemory)?;
        body.data.clear();
        body.data.extend_from_slice(data);
        body.format = Format::RAW;
        Ok(())
    }

    /// Appends to the inline data.
    ///
    /// # Errors
    /// As [`Message::set_data`].
    pub fn extend_data(&mut self, data: &[u8]) -> Result<(), NoMemory> {
        let body = self.body_mut();
        if data.len() > MAX_INLINE - body.data.len() {
            return Err(NoMemory);
        }
        body.data.try_reserve(data.len()).map_err(|_| NoMemory)?;
        body.data.extend_from_slice(data);
        Ok(())
    }

    /// Empties the inline data and keeps its capacity.
    #[inline]
    pub fn clear_data(&mut self) {
        let body = self.body_mut();
        body.data.clear();
        body.format = Format::RAW;
    }

    /// The out-of-line memory.
    #[inline]
    pub fn memory(&self) -> &Memory<P> {
        &self.body().memory
    }

    /// The out-of-line memory, to fill or to take pages from.
    #[inline]
    pub fn memory_mut(&mut self) -> &mut Memory<P> {
        &mut self.body_mut().memory
    }

    /// Moves `memory` in, and out what was there.
    ///
    /// # Errors
    /// Gives `memory` back when it exceeds [`MAX_MEMORY`].
    pub fn replace_memory(&mut self, memory: Memory<P>) -> Result<Memory<P>, Memory<P>> {
        if memory.len() > MAX_MEMORY {
            return Err(memory);
        }
        Ok(core::mem::replace(&mut self.body_mut().memory, memory))
    }

    /// The rights, in order, without the reply right.
    #[inline]
    pub fn rights(&self) -> &[Right] {
        &self.body().rights
    }

    /// Appends a right.
    ///
    /// # Errors
    /// Gives the right back when there are [`MAX_RIGHTS`] already or memory is exhausted.
    pub fn push_right(&mut self, right: Right) -> Result<(), Right> {
        let rights = &mut self.body_mut().rights;
        if rights.len() >= MAX_RIGHTS || rights.try_reserve(1).is_err() {
            return Err(right);
        }
        rights.push(right);
        Ok(())
    }

    /// Takes out the right of a sender that waits to hear that the message is in the queue of
    /// its receiver, if there is one.
    pub fn take_confirmation(&mut self) -> Option<Right> {
        if self.expects() != Expects::RECEIPT {
            return None;
        }
        self.set_expects(Expects::NOTHING);
        self.take_reply()
    }

    /// Puts back what [`Message::take_confirmation`] took.
    pub fn ask_confirmation(&mut self, right: Right) {
        let body = self.body_mut();
        body.reply = Some(right);
        self.set_expects(Expects::RECEIPT);
    }

    /// Makes room for one more right, so that pushing it cannot fail.
    ///
    /// # Errors
    /// [`NoMemory`], also when it holds as many as it can.
    pub fn reserve_right(&mut self) -> Result<(), NoMemory> {
        let rights = &mut self.body_mut().rights;
        if rights.len() >= MAX_RIGHTS {
            return Err(NoMemory);
        }
        rights.try_reserve(1).map_err(|_| NoMemory)
    }

    /// The same for `count` more.
    ///
    /// # Errors
    /// As [`Message::reserve_right`].
    pub fn reserve_rights(&mut self, count: usize) -> Result<(), NoMemory> {
        let rights = &mut self.body_mut().rights;
        if rights.len() + count > MAX_RIGHTS {
            return Err(NoMemory);
        }
        rights.try_reserve(count).map_err(|_| NoMemory)
    }

    /// Takes the first right out.
    pub fn take_right(&mut self) -> Option<Right> {
        let rights = &mut self.body_mut().rights;
        match rights.len() {
            // Most messages with rights have one.
            0 | 1 => rights.pop(),
            _ => Some(rights.remove(0)),
        }
    }

    /// Takes all rights out but the reply right, in order.
    pub fn take_rights(&mut self) -> Vec<Right> {
        core::mem::take(&mut self.body_mut().rights)
    }

    /// The same, and the place for them stays.
    pub fn drain_rights(&mut self) -> alloc::vec::Drain<'_, Right> {
        self.body_mut().rights.drain(..)
    }

    /// Takes the last right out.
    pub(crate) fn pop_right(&mut self) -> Option<Right> {
        self.body_mut().rights.pop()
    }

    /// The right to which a reply goes.
    #[inline]
    pub fn reply(&self) -> Option<&Right> {
        self.body().reply.as_ref()
    }

    /// Takes the right to which a reply goes.
    #[inline]
    pub fn take_reply(&mut self) -> Option<Right> {
        self.body_mut().reply.take()
    }

    /// Sets the right to which a reply goes.
    ///
    /// # Errors
    /// Gives the right back when the message has one already, or when it is a receive right, to
    /// which nobody can reply.
    #[inline]
    pub fn set_reply(&mut self, right: Right) -> Result<(), Right> {
        let body = self.body_mut();
        if body.reply.is_some() || right.kind() == RightKind::Receive {
            return Err(right);
        }
        body.reply = Some(right);
        Ok(())
    }

    /// Whether a receive right is in it: such a message cannot leave the node.
    #[inline]
    pub(crate) fn has_receive_right(&self) -> bool {
        self.rights()
            .iter()
            .any(|right| right.kind() == RightKind::Receive)
    }

    /// Whether any right is in it.
    #[inline]
    pub(crate) fn has_rights(&self) -> bool {
        self.body().reply.is_some() || !self.body().rights.is_empty()
    }
}

/// Bodies for reuse.
#[derive(Debug)]
pub(crate) struct Pool<P> {
    free: Vec<Message<P>>,
}

impl<P: Page> Pool<P> {
    pub(crate) const fn new() -> Self {
        Pool { free: Vec::new() }
    }

    /// An empty message.
    #[inline]
    pub(crate) fn take(&mut self) -> Result<Message<P>, NoMemory> {
        match self.free.pop() {
            Some(message) => Ok(message),
            None => Message::allocate(),
        }
    }

    /// Takes an emptied message back: it has no rights any more.
    #[inline]
    pub(crate) fn give(&mut self, mut message: Message<P>) {
        debug_assert!(!message.has_rights());
        let body = message.body_mut();
        if self.free.len() >= KEEP_MESSAGES
            || body.data.capacity() > KEEP_INLINE
            || self.free.try_reserve(1).is_err()
        {
            return;
        }
        body.id = 0;
        body.expects = Expects::NOTHING;
        body.format = Format::RAW;
        body.arrival = Arrival::NONE;
        body.urgency = 0;
        body.context = None;
        body.data.clear();
        if body.memory.capacity() > KEEP_PAGES {
            body.memory = Memory::new();
        } else {
            body.memory.clear();
        }
        self.free.push(message);
    }
}
