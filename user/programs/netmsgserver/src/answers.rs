//! Answers to calls from other nodes: ports of the server's to which programs answer.
//!
//! Owns: which port is for which call. A port that was answered serves again.

use crate::limits::SPARE_ANSWERS;
use crate::reasons;
use crate::server::Server;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use norma_ipc::Right;
use norma_user::{Failure, Message, ReceiveRight};

#[derive(Debug, Default)]
pub struct Answers {
    /// By what the kernel calls the port: it, and the core's right to answer, if it is in use.
    ports: BTreeMap<u32, (ReceiveRight, Option<Right>)>,
    spare: Vec<u32>,
}

impl Answers {
    pub fn is_one(&self, port: u32) -> bool {
        self.ports.contains_key(&port)
    }

    /// The port itself.
    pub fn port(&self, port: u32) -> Option<&ReceiveRight> {
        self.ports.get(&port).map(|(port, _)| port)
    }
}

impl Server {
    /// A port to which a program can answer, a member of the set: what the kernel calls it.
    pub fn answer_port(&mut self) -> Result<u32, Failure> {
        if let Some(port) = self.answers.spare.pop() {
            return Ok(port);
        }
        let port = ReceiveRight::new()?;
        self.set.add(&port)?;
        let name = port.name().raw();
        self.answers.ports.insert(name, (port, None));
        Ok(name)
    }

    /// The port is not used, or no more.
    pub fn give_back_port(&mut self, port: u32) {
        if self.answers.spare.len() < SPARE_ANSWERS {
            self.answers.spare.push(port);
        } else {
            self.answers.ports.remove(&port);
        }
    }

    /// What comes to `port` answers `right`.
    pub fn await_answer(&mut self, port: u32, right: Right) {
        match self.answers.ports.get_mut(&port) {
            Some((_, place)) => *place = Some(right),
            None => self.release(right),
        }
    }

    /// A program has answered a call from another node.
    pub fn answer(&mut self, port: u32, message: &mut Message) {
        let right = self.answers.ports.get_mut(&port);
        let Some(right) = right.and_then(|(_, right)| right.take()) else {
            return;
        };
        self.give_back_port(port);
        let mut reply = match self.take_in(message) {
            Ok(reply) => reply,
            Err(failure) => {
                let ipc = self.core.ipc();
                return ipc.release_because(right, reasons::reason(failure));
            }
        };
        // It has none yet, and this is a send-once right.
        if let Err(right) = reply.set_reply(right) {
            self.core.ipc().release(right);
            return self.core.ipc().discard(reply);
        }
        reply.set_expects_reply(true);
        match self.core.reply(self.now, reply) {
            Ok(posted) => self.posted(posted),
            Err(error) => self.core.ipc().discard(error.message),
        }
    }

    /// Nobody will answer the call whose answer was to come to `port`.
    pub fn unanswered(&mut self, port: u32, failure: Failure) {
        let right = self.answers.ports.get_mut(&port);
        if let Some(right) = right.and_then(|(_, right)| right.take()) {
            self.give_back_port(port);
            let ipc = self.core.ipc();
            ipc.release_because(right, reasons::reason(failure));
        }
    }
}
