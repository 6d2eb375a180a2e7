//! From programs of this node to ports of others.
//!
//! Owns: a message of the kernel's becoming one of the core's. A right in it to a proxy is the
//! right to the port that the proxy stands for; a right to any other port gets a port of the
//! core's to stand for it.

use crate::pages::Page;
use crate::reasons::{self, refused};
use crate::seats::{Principal, Seat};
use crate::server::Server;
use alloc::rc::Rc;
use norma_ipc::{Delivery, Disposition, Name, Notification, PAGE_SIZE, Right as CoreRight};
use norma_ipc::{Reason, RightKind, ThreadId};
use norma_net::Posted;
use norma_user::{Failure, Memory, Message, ReceiveRight, Right, SendOnceRight, SendRight};

type CoreMessage = norma_ipc::Message<Page>;

impl Server {
    /// Makes a message of the core's of what came from a program; what was in that is in it, or
    /// given up.
    pub fn take_in(&mut self, from: &mut Message) -> Result<CoreMessage, Failure> {
        let made = self.core.ipc().new_message();
        let mut message = made.map_err(|_| Failure::NoMemory)?;
        let filled = self.fill(from, &mut message);
        match filled {
            Ok(()) => Ok(message),
            Err(failure) => {
                self.core.ipc().discard(message);
                Err(failure)
            }
        }
    }

    fn fill(&mut self, from: &mut Message, message: &mut CoreMessage) -> Result<(), Failure> {
        message.set_id(from.id());
        let data = message.set_data(from.data());
        data.map_err(|_| Failure::NoMemory)?;
        message.set_format(from.format());
        let memory = from.take_memory();
        if !memory.is_empty() {
            fill_memory(memory, message)?;
        }
        while let Some(right) = from.take_any_right()? {
            match right {
                Right::Send(right) => self.take_send(right, message)?,
                Right::SendOnce(right) => self.take_once(right, message)?,
                Right::Receive(right) => self.take_receive(right, message)?,
            }
        }
        Ok(())
    }

    fn push(
        &mut self,
        name: Name,
        how: Disposition,
        message: &mut CoreMessage,
    ) -> Result<(), Failure> {
        let ipc = self.core.ipc();
        let pushed = ipc.push_right(self.space, name, how, message);
        pushed.map_err(refused)
    }

    fn take_send(&mut self, right: SendRight, message: &mut CoreMessage) -> Result<(), Failure> {
        if let Some(proxy) = self.proxies.get(right.name().raw()) {
            let remote = proxy.remote;
            return self.push(remote, Disposition::CopySend, message);
        }
        match self.principal(right) {
            Ok(port) => {
                self.push(port, Disposition::MakeSend, message)?;
                self.watch_principal(port);
                Ok(())
            }
            Err(failure @ (Failure::PortDied | Failure::NodeDied { .. })) => {
                self.push_dead(reasons::reason(failure), message)
            }
            Err(failure) => Err(failure),
        }
    }

    /// A right to a port that has died goes on as one.
    fn push_dead(&mut self, reason: Reason, message: &mut CoreMessage) -> Result<(), Failure> {
        let port = self.core.ipc().allocate_port(self.space).map_err(refused)?;
        let pushed = self.push(port, Disposition::MakeSend, message);
        let (ipc, space) = (self.core.ipc(), self.space);
        let _ = ipc.deallocate_because(space, port, RightKind::Receive, reason);
        pushed
    }

    /// The core's port that stands for one of this node.
    pub fn principal(&mut self, local: SendRight) -> Result<Name, Failure> {
        if let Some(seat) = self.by_local.get(&local.name().raw())
            && let Seat::Principal(principal) = self.seats.get(*seat)
        {
            return Ok(principal.port);
        }
        if local.is_dead() {
            return Err(local.copy().err().unwrap_or(Failure::PortDied));
        }
        let notify = self.news.make_send_once()?;
        let asked = local.notify_death(notify);
        asked.map_err(|error| error.failure)?;
        let port = self.core.ipc().allocate_port(self.space).map_err(refused)?;
        self.stand_for(port, local)?;
        Ok(port)
    }

    /// Has a port of the core's stand for one of this node.
    pub fn stand_for(&mut self, port: Name, local: SendRight) -> Result<(), Failure> {
        let name = local.name().raw();
        let principal = Principal {
            port,
            local,
            held: None,
        };
        let seat = Seat::Principal(principal);
        let Ok(thread) = self.seats.take(&mut self.core, seat) else {
            let ipc = self.core.ipc();
            let _ = ipc.deallocate(self.space, port, RightKind::Receive);
            return Err(Failure::NoMemory);
        };
        self.by_local.insert(name, thread);
        self.by_port.insert(port.raw(), thread);
        self.listen(thread, port);
        Ok(())
    }

    /// Asks to be told when no other node has a right to a port that stands for one of this node.
    pub fn watch_principal(&mut self, port: Name) {
        let (ipc, space) = (self.core.ipc(), self.space);
        let Ok(status) = ipc.receive_status(space, port) else {
            return;
        };
        if status.no_senders_requested {
            return;
        }
        if let Ok(notify) = ipc.make_right(space, port, RightKind::SendOnce)
            && let Err((_, Some(right))) =
                ipc.request_no_senders(space, port, status.make_sends, Some(notify))
        {
            ipc.retract(right);
        }
    }

    fn take_once(
        &mut self,
        right: SendOnceRight,
        message: &mut CoreMessage,
    ) -> Result<(), Failure> {
        let port = self.core.ipc().allocate_port(self.space).map_err(refused)?;
        let seat = Seat::Once(port, right);
        let Ok(thread) = self.seats.take(&mut self.core, seat) else {
            let ipc = self.core.ipc();
            let _ = ipc.deallocate(self.space, port, RightKind::Receive);
            return Err(Failure::NoMemory);
        };
        let pushed = self.push(port, Disposition::MakeSendOnce, message);
        if pushed.is_err() {
            self.end_once(thread);
            return pushed;
        }
        self.listen(thread, port);
        Ok(())
    }

    /// The receive right of a port goes to another node: the port stays, and stands for where it
    /// is from then on.
    fn take_receive(
        &mut self,
        right: ReceiveRight,
        message: &mut CoreMessage,
    ) -> Result<(), Failure> {
        let name = right.name().raw();
        let known = self.by_local.get(&name).copied();
        let port = match known {
            Some(thread) => match self.seats.get(thread) {
                Seat::Principal(principal) => principal.port,
                _ => return Err(Failure::InvalidRight),
            },
            None => self.core.ipc().allocate_port(self.space).map_err(refused)?,
        };
        // The core's own right to it, under the same name.
        let (ipc, space) = (self.core.ipc(), self.space);
        let made = ipc.make_right(space, port, RightKind::Send);
        let kept = made.and_then(|own| {
            ipc.insert(space, own).map_err(|error| {
                ipc.retract(error.right);
                error.error
            })
        });
        kept.map_err(refused)?;
        self.push(port, Disposition::MoveReceive, message)?;
        if let Some(thread) = known {
            self.by_local.remove(&name);
            self.by_port.remove(&port.raw());
            if let Seat::Principal(Principal {
                held: Some(held), ..
            }) = self.free(thread)
            {
                // What found no room here is given up, and whoever waits for an answer learns.
                self.release_all(held.reply, Reason::Moved);
            }
        }
        let port = self.stand_in(right, port)?;
        self.watch_senders(port)
    }

    /// A program has sent to a proxy.
    pub fn forward(&mut self, port: u32, from: &mut Message) {
        let once = from.take_reply().ok();
        match self.take_in(from) {
            Ok(message) => self.post(port, message, once),
            Err(failure) => tell_why(once, failure),
        }
    }

    fn post(&mut self, port: u32, mut message: CoreMessage, once: Option<SendOnceRight>) {
        let Some(remote) = self.proxies.get(port).map(|proxy| proxy.remote) else {
            // Its own receive right was in the message.
            self.core.ipc().discard(message);
            return tell_why(once, Failure::Circular);
        };
        let calls = once.is_some();
        let thread = match self.seats.take(&mut self.core, Seat::Room(port, once)) {
            Ok(thread) => thread,
            Err(seat) => {
                self.core.ipc().discard(message);
                return give_up(seat, Failure::NoMemory);
            }
        };
        if calls && self.core.ipc().attach_reply(thread, &mut message).is_err() {
            self.core.ipc().discard(message);
            return give_up(self.free(thread), Failure::NoMemory);
        }
        let sent = self
            .core
            .send(self.now, self.space, remote, message, Some(thread));
        match sent {
            Ok(Posted::Waiting) => self.hold_up(port),
            Ok(posted) => {
                self.posted(posted);
                self.gone_out(thread);
            }
            Err(mut error) => {
                let ipc = self.core.ipc();
                ipc.detach_reply(&mut error.message);
                ipc.discard(error.message);
                give_up(self.free(thread), reasons::not_sent(error.failure));
            }
        }
    }

    /// What follows when a message is with the core.
    pub fn posted(&mut self, posted: Posted) {
        if let Posted::Handed(thread) = posted {
            self.handed.push(thread);
        }
    }

    /// A message has gone; if it was a call, its answer is awaited.
    fn gone_out(&mut self, thread: ThreadId) {
        let Seat::Room(_, once) = self.seats.get(thread) else {
            return;
        };
        let Some(once) = once.take() else {
            drop(self.free(thread));
            return;
        };
        *self.seats.get(thread) = Seat::Answer(once);
        match self.core.ipc().await_reply(thread) {
            Ok(None) => {}
            Ok(Some(delivery)) => self.answered(thread, delivery),
            Err(error) => give_up(self.free(thread), refused(error)),
        }
    }

    /// While a message waits for room at the other node, none is taken from its proxy: then its
    /// queue fills, and its senders wait.
    fn hold_up(&mut self, port: u32) {
        if let Some(proxy) = self.proxies.get(port) {
            let _ = self.set.remove(&proxy.port);
        }
    }

    fn go_on(&mut self, port: u32) {
        if let Some(proxy) = self.proxies.get(port) {
            let _ = self.set.add(&proxy.port);
        }
    }

    /// There was room for a message that waited.
    pub fn sent(&mut self, thread: ThreadId) {
        if let Seat::Room(port, _) = *self.seats.get(thread) {
            self.go_on(port);
        }
        self.gone_out(thread);
    }

    /// A message that waited can not be sent.
    pub fn not_sent(&mut self, thread: ThreadId, reason: Reason) {
        if let Seat::Room(port, _) = *self.seats.get(thread) {
            self.go_on(port);
        }
        give_up(self.free(thread), reasons::failure(reason));
    }

    /// The answer to a program's call came, or word that there is none.
    pub fn answered(&mut self, thread: ThreadId, delivery: Delivery<Page>) {
        let Seat::Answer(once) = self.free(thread) else {
            return self.core.ipc().discard_delivery(delivery);
        };
        match delivery {
            Delivery::Message(message) => match self.hand_out(message) {
                Ok(reply) => self.answer_with(once, reply),
                Err(failure) => once.give_up(failure),
            },
            Delivery::Notification(Notification::SendOnce(reason)) => {
                once.give_up(reasons::failure(reason));
            }
            // The right to reply was used to be told of something: that is no answer.
            other => self.core.ipc().discard_delivery(other),
        }
    }

    /// Gives up a right as the core has it.
    pub fn release(&mut self, right: CoreRight) {
        self.core.ipc().release(right);
    }
}

/// Tells a program that calls why there will be no answer.
fn tell_why(once: Option<SendOnceRight>, failure: Failure) {
    if let Some(once) = once {
        once.give_up(failure);
    }
}

/// The same of whoever waited.
fn give_up(seat: Seat, failure: Failure) {
    match seat {
        Seat::Room(_, once) => tell_why(once, failure),
        Seat::Answer(once) => once.give_up(failure),
        other => drop(other),
    }
}

/// Hands memory that was mapped for us to the core, without a copy.
fn fill_memory(memory: Memory, message: &mut CoreMessage) -> Result<(), Failure> {
    let length = memory.len();
    let memory = Rc::new(memory);
    let count = length.div_ceil(PAGE_SIZE);
    let pages = message.memory_mut();
    pages.reserve(count).map_err(|_| Failure::NoMemory)?;
    let mut left = length;
    for page in 0..count {
        let used = left.min(PAGE_SIZE);
        left -= used;
        let pushed = pages.push(Page::Part(Rc::clone(&memory), page), used);
        pushed.map_err(|_| Failure::NoMemory)?;
    }
    Ok(())
}
