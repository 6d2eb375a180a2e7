//! Calls between threads of one node, by what is in the message and what is around it.

use crate::client::take;
use crate::local::{DROP_MEMORY, ECHO, Local, STOP, TOUCH};
use alloc::vec::Vec;
use norma_boot::{Failure, Memory, Message, Node, PAGE_SIZE, ReceiveRight, SendRight};

/// What is in the message, or around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Around {
    /// Nothing.
    Null,
    /// So many bytes of inline data, put in for each call.
    Inline(usize),
    /// So many bytes out of line, which go there and come back.
    Moved(usize),
    /// So many bytes out of line, of which the caller keeps a copy-on-write copy.
    Copied(usize),
    /// The same, and the server writes a byte into each page.
    Touched(usize),
    /// So many other names in the space.
    Names(usize),
    /// So many threads that call one server.
    Clients(usize),
}

/// What is called, again and again.
pub enum Operation {
    Call(Call),
    Serve(Crowd),
}

impl Operation {
    /// Sets up what is needed.
    pub fn new(node: &Node, around: Around) -> Result<Self, Failure> {
        match around {
            Around::Clients(count) => Crowd::new(node, count).map(Operation::Serve),
            _ => Call::new(node, around).map(Operation::Call),
        }
    }

    /// Does it once.
    #[inline(always)]
    pub fn run(&mut self) -> Result<(), Failure> {
        match self {
            Operation::Call(call) => call.run(),
            Operation::Serve(crowd) => crowd.run(),
        }
    }
}

/// One thread calls another with a message that goes there and back.
pub struct Call {
    local: Local,
    message: Option<Message>,
    around: Around,
    data: Vec<u8>,
    memory: Memory,
    /// Only there to be there.
    _names: Vec<ReceiveRight>,
}

impl Call {
    fn new(node: &Node, around: Around) -> Result<Self, Failure> {
        let mut call = Call {
            local: Local::start(node)?,
            message: Some(Message::new()?),
            around,
            data: Vec::new(),
            memory: Memory::new(),
            _names: Vec::new(),
        };
        match around {
            Around::Null | Around::Clients(_) => {}
            Around::Inline(bytes) => call.data.resize(bytes, 0x5a),
            Around::Moved(bytes) | Around::Copied(bytes) | Around::Touched(bytes) => {
                let data: Vec<u8> = (0..bytes).map(|at| (at / PAGE_SIZE) as u8).collect();
                let mut message = Message::new()?;
                message.set_memory(&data)?;
                call.memory = message.take_memory();
            }
            Around::Names(count) => {
                call._names.reserve(count);
                for _ in 0..count {
                    call._names.push(ReceiveRight::new()?);
                }
            }
        }
        if let (Around::Moved(_), Some(message)) = (around, &mut call.message) {
            let memory = core::mem::take(&mut call.memory);
            message
                .replace_memory(memory)
                .map_err(|_| Failure::NoMemory)?;
        }
        Ok(call)
    }

    #[inline(always)]
    fn run(&mut self) -> Result<(), Failure> {
        let mut message = take(&mut self.message)?;
        if !matches!(self.around, Around::Null) {
            self.fill(&mut message)?;
        }
        self.message = Some(self.local.service.call(message)?);
        Ok(())
    }

    #[inline(never)]
    fn fill(&mut self, message: &mut Message) -> Result<(), Failure> {
        match self.around {
            Around::Inline(_) => message.set_data(&self.data)?,
            Around::Copied(_) | Around::Touched(_) => {
                message.set_id(match self.around {
                    Around::Touched(_) => TOUCH,
                    _ => DROP_MEMORY,
                });
                let copy = self.memory.share()?;
                message
                    .replace_memory(copy)
                    .map_err(|_| Failure::NoMemory)?;
            }
            _ => message.set_id(ECHO),
        }
        Ok(())
    }
}

/// Many threads call this one, which is the server: an operation is an answer and the next call.
pub struct Crowd {
    port: ReceiveRight,
    message: Option<Message>,
    clients: usize,
}

/// Below the server, so that it takes what is there before more comes.
const CLIENT_PRIORITY: u8 = 2;

impl Crowd {
    fn new(node: &Node, clients: usize) -> Result<Self, Failure> {
        let port = ReceiveRight::new()?;
        for _ in 0..clients {
            let service = port.make_send()?;
            node.spawn("client", CLIENT_PRIORITY, move || client(&service))
                .map_err(|_| Failure::NoMemory)?;
        }
        let message = Some(port.receive()?);
        Ok(Crowd {
            port,
            message,
            clients,
        })
    }

    #[inline(always)]
    fn run(&mut self) -> Result<(), Failure> {
        let message = take(&mut self.message)?;
        self.message = Some(self.port.reply_and_receive(message)?);
        Ok(())
    }
}

fn client(service: &SendRight) {
    let mut next = Message::new();
    while let Ok(message) = next {
        if message.id() == STOP {
            break;
        }
        next = service.call(message).map_err(Failure::from);
    }
}

impl Drop for Crowd {
    /// Each client has one call under way, or will have: its answer tells it to end.
    fn drop(&mut self) {
        for _ in 0..self.clients {
            let next = match self.message.take() {
                Some(message) => Ok(message),
                None => self.port.receive(),
            };
            let Ok(mut message) = next else { return };
            message.set_id(STOP);
            // A client that is gone needs no answer.
            let _ = message.reply();
        }
    }
}
