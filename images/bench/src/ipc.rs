//! Calls between threads of one node, by what is in the message and what is around it.

use crate::client::take;
use crate::local::{DROP_MEMORY, DROP_RIGHT, ECHO, Local, PRIORITY, STOP, TOUCH};
use crate::{STACK, spawn};
use alloc::boxed::Box;
use alloc::vec::Vec;
use norma_boot::{
    Delivery, Disposition, Failure, Memory, Message, Node, PAGE_SIZE, PortSet, ReceiveRight,
    SendOnceRight, SendRight,
};

/// What is in the message, or around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Around {
    /// Nothing.
    Null,
    /// One right, by that disposition.
    Right(Disposition),
    /// So many bytes of inline data, put in for each call.
    Inline(usize),
    /// So many bytes out of line, which go there and come back.
    Moved(usize),
    /// So many bytes out of line, of which the caller keeps a copy-on-write copy.
    Copied(usize),
    /// The same, and the server writes a byte into each page.
    Touched(usize),
    /// So many ports in the set from which the server receives, called one after the other.
    Set(usize),
    /// So many other names in the space.
    Names(usize),
    /// So many threads that call one server.
    Clients(usize),
}

/// What is called, again and again.
pub enum Operation {
    Call(Call),
    Set(Set),
    Serve(Crowd),
}

impl Operation {
    /// Sets up what is needed.
    pub fn new(node: &Node, around: Around) -> Result<Self, Failure> {
        match around {
            Around::Set(count) => Set::new(node, count).map(Operation::Set),
            Around::Clients(count) => Crowd::new(node, count).map(Operation::Serve),
            _ => Call::new(node, around).map(Operation::Call),
        }
    }

    /// Does it once.
    #[inline(always)]
    pub fn run(&mut self) -> Result<(), Failure> {
        match self {
            Operation::Call(call) => call.run(),
            Operation::Set(set) => set.run(),
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
    rights: Rights,
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
            rights: Rights::new()?,
            _names: Vec::new(),
        };
        match around {
            Around::Null | Around::Right(_) | Around::Set(_) | Around::Clients(_) => {}
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
        self.fill(&mut message)?;
        let mut answer = self.local.service.call(message)?;
        if let Around::Right(disposition) = self.around {
            self.rights.take_back(&mut answer, disposition)?;
        }
        self.message = Some(answer);
        Ok(())
    }

    #[inline(never)]
    fn fill(&mut self, message: &mut Message) -> Result<(), Failure> {
        match self.around {
            Around::Right(disposition) => {
                let id = self.rights.put(message, disposition)?;
                message.set_id(id);
            }
            Around::Inline(_) => message.set_data(&self.data)?,
            Around::Copied(_) | Around::Touched(_) => {
                message.set_id(match self.around {
                    Around::Touched(_) => TOUCH,
                    _ => DROP_MEMORY,
                });
                self.memory.share_into(message.memory_mut())?;
            }
            _ => message.set_id(ECHO),
        }
        Ok(())
    }
}

/// The rights that go into messages, and a port to which they lead.
struct Rights {
    port: ReceiveRight,
    send: Option<SendRight>,
    once: Option<SendOnceRight>,
    receive: Option<ReceiveRight>,
}

impl Rights {
    fn new() -> Result<Self, Failure> {
        let port = ReceiveRight::new()?;
        Ok(Rights {
            send: Some(port.make_send()?),
            once: Some(port.make_send_once()?),
            receive: Some(ReceiveRight::new()?),
            port,
        })
    }

    /// Puts a right in; returns what the server is to do with it.
    fn put(&mut self, message: &mut Message, disposition: Disposition) -> Result<u32, Failure> {
        match disposition {
            Disposition::MakeSend => message.push_send_to(&self.port)?,
            Disposition::MakeSendOnce => message.push_send_once_to(&self.port)?,
            Disposition::CopySend => message.push_copy(held(&self.send)?)?,
            Disposition::MoveSend => message.push_right(moved(&mut self.send)?)?,
            Disposition::MoveSendOnce => message.push_right(moved(&mut self.once)?)?,
            Disposition::MoveReceive => message.push_right(moved(&mut self.receive)?)?,
        }
        Ok(match disposition {
            Disposition::MakeSend | Disposition::MakeSendOnce | Disposition::CopySend => DROP_RIGHT,
            _ => ECHO,
        })
    }

    /// Takes back what was moved, or the news of what was dropped.
    fn take_back(
        &mut self,
        message: &mut Message,
        disposition: Disposition,
    ) -> Result<(), Failure> {
        match disposition {
            Disposition::MoveSend => self.send = message.take_right()?,
            Disposition::MoveSendOnce => self.once = message.take_send_once()?,
            Disposition::MoveReceive => self.receive = message.take_receive()?,
            Disposition::MakeSendOnce => match self.port.try_receive_any()? {
                Delivery::Notification(_) => {}
                Delivery::Message(_) => return Err(Failure::InvalidRight),
            },
            Disposition::MakeSend | Disposition::CopySend => {}
        }
        Ok(())
    }
}

fn held<T>(right: &Option<T>) -> Result<&T, Failure> {
    right.as_ref().ok_or(Failure::InvalidRight)
}

fn moved<T>(right: &mut Option<T>) -> Result<T, Failure> {
    right.take().ok_or(Failure::InvalidRight)
}

/// One thread calls another, which receives from a set, by one member after the other.
pub struct Set {
    services: Vec<SendRight>,
    next: usize,
    message: Option<Message>,
}

impl Set {
    fn new(node: &Node, count: usize) -> Result<Self, Failure> {
        let set = PortSet::new()?;
        let mut ports = Vec::with_capacity(count);
        let mut services = Vec::with_capacity(count);
        for _ in 0..count {
            let port = ReceiveRight::new()?;
            set.add(&port)?;
            services.push(port.make_send()?);
            ports.push(port);
        }
        let body = move || {
            let _members = ports;
            let mut next = set.receive();
            while let Ok(message) = next {
                if message.id() == STOP {
                    break;
                }
                next = set.reply_and_receive(message);
            }
        };
        spawn(node, "set", PRIORITY, STACK, Box::new(body))?;
        Ok(Set {
            services,
            next: 0,
            message: Some(Message::new()?),
        })
    }

    #[inline(always)]
    fn run(&mut self) -> Result<(), Failure> {
        let message = take(&mut self.message)?;
        self.message = Some(self.services[self.next].call(message)?);
        self.next += 1;
        if self.next == self.services.len() {
            self.next = 0;
        }
        Ok(())
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        if let (Some(mut stop), Some(service)) = (self.message.take(), self.services.first()) {
            stop.set_id(STOP);
            // If it cannot be sent, the service has ended already.
            let _ = service.try_send(stop);
        }
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
            let body = Box::new(move || client(&service));
            spawn(node, "client", CLIENT_PRIORITY, STACK, body)?;
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
