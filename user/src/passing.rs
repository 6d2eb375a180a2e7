//! Between a message and the kernel: where things are when it goes, and what has come into it.

use crate::carry::as_sent;
use crate::failure::Failure;
use crate::memory::Memory;
use crate::message::{Content, Message};
use norma_abi::Header;

impl Message {
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
