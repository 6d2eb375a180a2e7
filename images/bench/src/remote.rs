//! Operations on the service of the other node.

use crate::client::{Peer, take};
use crate::control::{DROP, ECHO};
use norma_boot::{
    Failure, Frame, Frames, Message, PAGE_SIZE, Page, PageSource, ReceiveRight, SendRight,
};

/// Calls with inline data. One message goes back and forth.
pub struct Inline {
    message: Option<Message>,
    data: [u8; 1024],
    request: usize,
    reply: usize,
}

impl Inline {
    pub fn new(request: usize, reply: usize) -> Result<Self, Failure> {
        Ok(Inline {
            message: Some(Message::new()?),
            data: core::array::from_fn(|at| at as u8),
            request,
            reply,
        })
    }

    pub fn call(&mut self, peer: &Peer) -> Result<(), Failure> {
        let mut message = take(&mut self.message)?;
        message.set_id(if self.reply > 0 || self.request == 0 {
            ECHO
        } else {
            DROP
        });
        if self.request > 0 {
            message.set_data(&self.data[..self.request])?;
        }
        let answer = peer.service.call(message)?;
        if answer.data().len() != self.reply {
            return Err(Failure::Empty);
        }
        self.message = Some(answer);
        Ok(())
    }
}

/// Calls with a copy of one send right, which the service drops.
pub struct Right {
    message: Option<Message>,
    /// Keeps the right alive.
    _port: ReceiveRight,
    right: SendRight,
}

impl Right {
    pub fn new() -> Result<Self, Failure> {
        let port = ReceiveRight::new()?;
        Ok(Right {
            message: Some(Message::new()?),
            right: port.make_send()?,
            _port: port,
        })
    }

    pub fn call(&mut self, peer: &Peer) -> Result<(), Failure> {
        let mut message = take(&mut self.message)?;
        message.set_id(DROP);
        message.push_copy(&self.right)?;
        let answer = peer.service.call(message)?;
        if answer.first_right().is_some() {
            return Err(Failure::InvalidRight);
        }
        self.message = Some(answer);
        Ok(())
    }
}

/// Calls and messages with out-of-line memory, of which the sender keeps a copy-on-write copy.
pub struct OutOfLine {
    frames: alloc::vec::Vec<Frame>,
    bytes: usize,
}

impl OutOfLine {
    pub fn new(bytes: usize) -> Result<Self, Failure> {
        let mut frames = alloc::vec::Vec::new();
        for number in 0..bytes.div_ceil(PAGE_SIZE) {
            let mut frame = Frames.allocate().ok_or(Failure::NoMemory)?;
            frame
                .bytes_mut()
                .ok_or(Failure::NoMemory)?
                .fill(number as u8);
            frames.push(frame);
        }
        Ok(OutOfLine { frames, bytes })
    }

    fn message(&self) -> Result<Message, Failure> {
        let mut message = Message::new()?;
        message.set_id(DROP);
        let memory = message.memory_mut();
        memory.reserve(self.frames.len())?;
        for (number, frame) in self.frames.iter().enumerate() {
            let used = (self.bytes - number * PAGE_SIZE).min(PAGE_SIZE);
            memory
                .push(frame.share(), used)
                .map_err(|_| Failure::NoMemory)?;
        }
        Ok(message)
    }

    /// Sends the memory and waits for the empty answer.
    pub fn call(&mut self, peer: &Peer) -> Result<(), Failure> {
        let answer = peer.service.call(self.message()?)?;
        if !answer.memory().is_empty() {
            return Err(Failure::Empty);
        }
        Ok(())
    }

    /// Sends the memory one way.
    pub fn send(&mut self, peer: &Peer) -> Result<(), Failure> {
        Ok(peer.service.send(self.message()?)?)
    }
}
