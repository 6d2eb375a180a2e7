//! What requests and replies carry, such that whoever receives one can tell whether it is whole.

use norma_ipc::{HeapPage, Memory, PAGE_SIZE, Page, PageSource};

use crate::{Message, Node};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Operation {
    /// A reply with so much memory.
    Echo,
    /// No reply at all.
    Drop,
    /// A one-way message to the right in the request, then a reply.
    CallBack,
    /// The right in the request, back in the reply.
    Return,
    /// Nothing: a one-way message.
    Note,
}

/// The first 32 bytes of each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its number in the books.
    pub number: u64,
    /// Who sent it.
    pub sender: u64,
    /// Bytes of memory in it.
    pub memory: u32,
    /// Bytes of memory that the reply shall have.
    pub answer: u32,
    /// Bytes of inline data behind this.
    pub inline: u32,
    /// What is asked.
    pub operation: Operation,
}

const LENGTH: usize = 32;

fn byte(number: u64, at: usize) -> u8 {
    (number as u8)
        .wrapping_mul(31)
        .wrapping_add((at as u8).wrapping_mul(7))
        ^ (at >> 8) as u8
}

impl Request {
    /// A note without memory.
    #[must_use]
    pub fn note(number: u64, sender: u64) -> Self {
        Request {
            number,
            sender,
            memory: 0,
            answer: 0,
            inline: 0,
            operation: Operation::Note,
        }
    }

    /// Fills a message. `None` when there is no memory for it.
    pub fn write(&self, node: &mut Node, message: &mut Message) -> Option<()> {
        let mut data = Vec::with_capacity(LENGTH + self.inline as usize);
        data.extend_from_slice(&self.number.to_le_bytes());
        data.extend_from_slice(&self.sender.to_le_bytes());
        data.extend_from_slice(&self.memory.to_le_bytes());
        data.extend_from_slice(&self.answer.to_le_bytes());
        data.extend_from_slice(&self.inline.to_le_bytes());
        data.extend_from_slice(&[self.operation as u8, 0, 0, 0]);
        data.extend((0..self.inline as usize).map(|at| byte(self.number, at)));
        message.set_data(&data).ok()?;
        message.set_id(self.number as u32);
        let memory = fill(node, self.number, self.memory as usize)?;
        message.replace_memory(memory).ok()?;
        Some(())
    }

    /// Fills a message with items instead of bytes.
    pub fn write_typed(&self, node: &mut Node, message: &mut Message) -> Option<()> {
        let memory = fill(node, self.number, self.memory as usize)?;
        let inline: Vec<u8> = (0..self.inline as usize)
            .map(|at| byte(self.number, at))
            .collect();
        message.set_id(self.number as u32);
        let mut writer = message.write().ok()?;
        writer.u64(self.number).ok()?.u64(self.sender).ok()?;
        writer.u32(self.memory).ok()?.bytes(&inline).ok()?;
        message.replace_memory(memory).ok()?;
        Some(())
    }

    /// Reads bytes or items.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read_any(message: &mut Message) -> Result<Self, String> {
        let Ok(mut reader) = message.read() else {
            return Request::read(message);
        };
        let wrong = |error| format!("a typed message cannot be read: {error:?}");
        let number = reader.u64().map_err(wrong)?;
        let sender = reader.u64().map_err(wrong)?;
        let memory = reader.u32().map_err(wrong)?;
        let inline = reader.bytes().map_err(wrong)?;
        let whole = inline.iter().enumerate();
        if !whole.into_iter().all(|(at, b)| *b == byte(number, at)) {
            return Err(format!("the bytes of message {number} arrived changed"));
        }
        let request = Request {
            inline: inline.len() as u32,
            memory,
            ..Request::note(number, sender)
        };
        check(number, memory as usize, message.memory())?;
        Ok(request)
    }

    /// Reads what is in a message, and checks it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(message: &Message) -> Result<Self, String> {
        let data = message.data();
        let field = |at: usize| -> Result<u64, String> {
            let bytes = data.get(at..at + 8).ok_or("the message is too short")?;
            Ok(u64::from_le_bytes(
                bytes.try_into().map_err(|_| "no eight bytes")?,
            ))
        };
        let operation = match data.get(28) {
            Some(0) => Operation::Echo,
            Some(1) => Operation::Drop,
            Some(2) => Operation::CallBack,
            Some(3) => Operation::Return,
            Some(4) => Operation::Note,
            other => return Err(format!("operation {other:?} is not known")),
        };
        let request = Request {
            number: field(0)?,
            sender: field(8)?,
            memory: field(16)? as u32,
            answer: (field(16)? >> 32) as u32,
            inline: field(24)? as u32,
            operation,
        };
        let inline = &data[LENGTH..];
        let whole = inline.len() == request.inline as usize
            && inline
                .iter()
                .enumerate()
                .all(|(at, b)| *b == byte(request.number, at));
        if !whole {
            return Err(format!("inline data of {request:?} arrived changed"));
        }
        check(request.number, request.memory as usize, message.memory())?;
        Ok(request)
    }
}

/// Memory whose every byte follows from `number`.
fn fill(node: &mut Node, number: u64, length: usize) -> Option<Memory<HeapPage>> {
    let mut memory = Memory::new();
    let mut left = length;
    while left > 0 {
        let used = left.min(PAGE_SIZE);
        let mut page = node.source().allocate()?;
        let at = memory.pages().len();
        page.bytes_mut()?[..used].fill(byte(number, at));
        page.bytes_mut()?[0] = at as u8;
        memory.push(page, used).ok()?;
        left -= used;
    }
    Some(memory)
}

fn check(number: u64, length: usize, memory: &Memory<HeapPage>) -> Result<(), String> {
    if memory.len() != length {
        return Err(format!(
            "{} bytes of memory arrived instead of {length}",
            memory.len()
        ));
    }
    for (at, chunk) in memory.chunks().enumerate() {
        let expected = byte(number, at);
        let whole = chunk[0] == at as u8 && chunk[1..].iter().all(|b| *b == expected);
        if !whole {
            return Err(format!("page {at} of message {number} arrived changed"));
        }
    }
    Ok(())
}
