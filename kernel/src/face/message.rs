//! Messages, as services hold them: dropping one releases every right in it.

use crate::face::error::{Failure, SendError};
use crate::face::rights::taken;
use crate::face::{Memory, Reader, SendOnceRight, Writer};
use crate::memory::{Frame, Frames};
use crate::{node, thread};
use core::mem::ManuallyDrop;
use norma_ipc::typed::{Items, ReadError};
use norma_ipc::{Context, Name};

/// A message: an identifier, inline data, rights and out-of-line memory.
///
/// Filling it in, sending it, answering it and reusing it for the next costs no allocation.
///
/// It can be sent once, and answered once:
///
/// ```compile_fail,E0382
/// # use norma_kernel::face::{Message, SendRight};
/// fn twice(right: &SendRight, message: Message) {
///     let _ = right.send(message);
///     let _ = right.send(message);
/// }
/// ```
///
/// ```compile_fail,E0382
/// # use norma_kernel::face::Message;
/// fn twice(request: Message) {
///     let _ = request.reply();
///     let _ = request.reply();
/// }
/// ```
///
/// ```compile_fail,E0382
/// # use norma_kernel::face::{Message, ReceiveRight};
/// fn look_at_what_was_answered(port: &ReceiveRight, request: Message) -> u8 {
///     let _ = port.reply_and_receive(request);
///     request.data()[0]
/// }
/// ```
///
/// ```compile_fail,E0599
/// # use norma_kernel::face::Message;
/// fn copied(message: &Message) -> Message {
///     message.clone()
/// }
/// ```
#[derive(Debug)]
pub struct Message(ManuallyDrop<norma_ipc::Message<Frame>>);

impl Message {
    /// An empty message.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    #[inline]
    pub fn new() -> Result<Self, Failure> {
        Ok(Self::wrap(node::lock().core.ipc().new_message()?))
    }

    /// A message with these inline data, of at most
    /// [`MAX_INLINE`](norma_ipc::limits::MAX_INLINE) bytes.
    ///
    /// # Errors
    /// [`Failure::NoMemory`], also for data that are too long.
    pub fn with_data(data: &[u8]) -> Result<Self, Failure> {
        let mut message = Self::new()?;
        message.set_data(data)?;
        Ok(message)
    }

    #[inline(always)]
    pub(crate) fn wrap(message: norma_ipc::Message<Frame>) -> Self {
        Message(ManuallyDrop::new(message))
    }

    /// The message of the core; its rights are the caller's business now.
    #[inline(always)]
    pub(crate) fn unwrap(self) -> norma_ipc::Message<Frame> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is never dropped nor used again, so the message has one owner.
        unsafe { ManuallyDrop::take(&mut this.0) }
    }

    /// The identifier, whose meaning is the service's own.
    #[inline]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Sets the identifier.
    #[inline]
    pub fn set_id(&mut self, id: u32) {
        self.0.set_id(id);
    }

    /// Deadline, trace identity and priority of the call, as the sender gave them. The deadline
    /// is the time that is left by now; on its way between nodes none is counted.
    pub fn context(&self) -> Context {
        self.0.context().left(node::now().nanos())
    }

    /// Sets deadline, trace identity and priority; they travel with the message. The deadline is
    /// the time that is left from now on.
    pub fn set_context(&mut self, context: Context) {
        self.0.set_context(context.until(node::now().nanos()));
    }

    /// Begins to write items: whatever data, rights and memory were in the message are given up,
    /// but not the right to which a reply goes.
    ///
    /// ```no_run
    /// # #[panic_handler] fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }
    /// # use norma_kernel::face::{Failure, Message, SendRight};
    /// # fn example(message: &mut Message, service: &SendRight) -> Result<(), Failure> {
    /// message.write().u32(7)?.text("seven")?.copy_right(service)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn write(&mut self) -> Writer<'_> {
        if !self.0.rights().is_empty() {
            let mut engine = node::lock();
            while let Some(right) = self.0.take_right() {
                engine.core.ipc().release(right);
            }
            engine.act(node::now());
        }
        self.0.memory_mut().clear();
        match self.0.write() {
            Ok(writer) => Writer(writer),
            Err(occupied) => unreachable!("it was emptied: {occupied}"),
        }
    }

    /// Begins to read items. Rights and memory that a reader has taken out are gone for the next
    /// one, which can still read the data.
    ///
    /// # Errors
    /// [`ReadError::NotTyped`].
    pub fn read(&mut self) -> Result<Reader<'_>, ReadError> {
        self.0.read().map(Reader)
    }

    /// The items, to look at.
    ///
    /// # Errors
    /// [`ReadError::NotTyped`].
    pub fn items(&self) -> Result<Items<'_, Frame>, ReadError> {
        self.0.items()
    }

    /// The inline data.
    #[inline]
    pub fn data(&self) -> &[u8] {
        self.0.data()
    }

    /// The inline data, for writing in place.
    #[inline]
    pub fn data_mut(&mut self) -> &mut [u8] {
        self.0.data_mut()
    }

    /// Replaces the inline data.
    ///
    /// # Errors
    /// [`Failure::NoMemory`], also for more than
    /// [`MAX_INLINE`](norma_ipc::limits::MAX_INLINE) bytes.
    #[inline]
    pub fn set_data(&mut self, data: &[u8]) -> Result<(), Failure> {
        Ok(self.0.set_data(data)?)
    }

    /// Removes the inline data.
    #[inline]
    pub fn clear_data(&mut self) {
        self.0.clear_data();
    }

    /// The out-of-line memory.
    #[inline]
    pub fn memory(&self) -> &Memory {
        self.0.memory()
    }

    /// The out-of-line memory, to fill or to write to.
    #[inline]
    pub fn memory_mut(&mut self) -> &mut Memory {
        self.0.memory_mut()
    }

    /// Copies `data` into fresh frames, which travel out of line.
    ///
    /// # Errors
    /// [`Failure::NoMemory`], also for more than
    /// [`MAX_MEMORY`](norma_ipc::limits::MAX_MEMORY) bytes.
    pub fn set_memory(&mut self, data: &[u8]) -> Result<(), Failure> {
        let memory = Memory::copy_from(data, &mut Frames)?;
        self.replace_memory(memory)
            .map(drop)
            .map_err(|_| Failure::NoMemory)
    }

    /// Moves `memory` in, and out what was there, without a copy.
    ///
    /// # Errors
    /// Gives `memory` back when it exceeds [`MAX_MEMORY`](norma_ipc::limits::MAX_MEMORY).
    pub fn replace_memory(&mut self, memory: Memory) -> Result<Memory, Memory> {
        self.0.replace_memory(memory)
    }

    /// Takes the out-of-line memory out.
    pub fn take_memory(&mut self) -> Memory {
        self.0.replace_memory(Memory::new()).unwrap_or_default()
    }

    /// The name of the receive right on which it came, as it was then; `None` for the reply to
    /// a call, and before it was received. See [`ReceiveRight::received`](crate::face::ReceiveRight::received).
    #[inline]
    pub fn port(&self) -> Option<Name> {
        self.0.port()
    }

    /// How many messages were received from that port before: it tells threads that receive
    /// from one port the order of what they got.
    #[inline]
    pub fn sequence(&self) -> u32 {
        self.0.sequence()
    }

    #[inline]
    pub(crate) fn core(&mut self) -> &mut norma_ipc::Message<Frame> {
        &mut self.0
    }

    #[inline]
    pub(crate) fn core_ref(&self) -> &norma_ipc::Message<Frame> {
        &self.0
    }

    /// Takes the right to which a reply goes out of the message, to answer later.
    ///
    /// # Errors
    /// [`Failure::InvalidRight`] when there is none, [`Failure::NoMemory`].
    pub fn take_reply(&mut self) -> Result<SendOnceRight, Failure> {
        let right = self.0.take_reply().ok_or(Failure::InvalidRight)?;
        let mut engine = node::lock();
        let space = engine.space;
        match engine.core.ipc().insert(space, right) {
            Ok(name) => Ok(taken(name)),
            Err(refused) => {
                // There was a place for it a moment ago.
                let _ = self.0.set_reply(refused.right);
                Err(Failure::NoMemory)
            }
        }
    }

    /// Whether somebody waits for a reply to this message.
    pub fn expects_reply(&self) -> bool {
        self.0.reply().is_some()
    }

    /// Sends this message, as it is now, back to whoever sent it.
    ///
    /// # Errors
    /// The message comes back whole when nobody waits for a reply (any more).
    pub fn reply(self) -> Result<(), SendError> {
        crate::face::send::reply(self)
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: dropped here once and not used afterwards.
        let message = unsafe { ManuallyDrop::take(&mut self.0) };
        let mut engine = node::lock();
        if message.expects_reply() {
            thread::borrow(0);
        }
        engine.core.ipc().discard(message);
        let now = node::now();
        engine.act(now);
    }
}
