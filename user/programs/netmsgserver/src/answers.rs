//! Answers to calls from other nodes: ports of the server's to which programs answer.
//!
//! Owns: which port is for which call. A port that was answered serves again.

use crate::limits::SPARE_ANSWERS;
use crate::server::Server;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use norma_ipc::Right;
use norma_user::{Failure, Message, ReceiveRight};

#[derive(Debug, Default)]
pub struct Answers {
    /// By what the kernel calls the port: it, and the core's right to answer.
    waiting: BTreeMap<u32, (ReceiveRight, Right)>,
    spare: Vec<ReceiveRight>,
}

impl Answers {
    pub fn is_one(&self, port: u32) -> bool {
        self.waiting.contains_key(&port)
    }
}

impl Server {
    /// A port to which a program can answer: a member of the set.
    pub fn answer_port(&mut self) -> Result<ReceiveRight, Failure> {
        match self.answers.spare.pop() {
            Some(port) => Ok(port),
            None => {
                let port = ReceiveRight::new()?;
                self.set.add(&port)?;
                Ok(port)
            }
        }
    }

    /// The port was not used.
    pub fn give_back_port(&mut self, port: ReceiveRight) {
        if self.answers.spare.len() < SPARE_ANSWERS {
            self.answers.spare.push(port);
        }
    }

    /// What comes to `port` answers `right`.
    pub fn await_answer(&mut self, port: ReceiveRight, right: Right) {
        let name = port.name().raw();
        self.answers.waiting.insert(name, (port, right));
    }

    /// A program has answered a call from another node.
    pub fn answer(&mut self, port: u32, message: &mut Message) {
        let Some((port, right)) = self.answers.waiting.remove(&port) else {
            return;
        };
        self.give_back_port(port);
        let mut reply = match self.take_in(message) {
            Ok(reply) => reply,
            Err(_) => return self.core.ipc().release(right),
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

    /// Nobody will answer some call: it is not said which, so it is looked for. It is the one
    /// to which there is no right, and for which nothing waits to be received.
    pub fn unanswered(&mut self) {
        let mut waiting = self.answers.waiting.iter();
        let found = waiting.find(|(_, (port, _))| {
            let status = port.status();
            status.is_ok_and(|status| status.send_onces == 0 && status.queued == 0)
        });
        let Some(name) = found.map(|(name, _)| *name) else {
            return;
        };
        if let Some((port, right)) = self.answers.waiting.remove(&name) {
            self.give_back_port(port);
            self.core.ipc().release(right);
        }
    }
}
