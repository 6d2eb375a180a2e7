//! From other nodes to ports of this one.
//!
//! Owns: a message of the core's becoming one of the kernel's. A right in it to a port that stands
//! for one of this node is the right to that; a right to any other gets a proxy.

use crate::pages::Page;
use crate::reasons;
use crate::seats::{Held, Principal, Seat};
use crate::server::Server;
use norma_ipc::{Delivery, Name, Notification, Reason, Right as CoreRight, RightKind, ThreadId};
use norma_user::{Failure, Memory, Message, ReceiveRight, SendRight};

type CoreMessage = norma_ipc::Message<Page>;

impl Server {
    /// Makes a message for a program of what came from another node; what was in that, but for the
    /// right to answer, is in it or given up.
    pub fn hand_out(&mut self, mut from: CoreMessage) -> Result<Message, Failure> {
        let made = self.make(&mut from);
        self.core.ipc().discard(from);
        made
    }

    fn make(&mut self, from: &mut CoreMessage) -> Result<Message, Failure> {
        let mut message = match self.spare.pop() {
            Some(message) => message,
            None => Message::new()?,
        };
        if !from.data().is_empty() {
            message.set_data(from.data())?;
            message.set_format(from.format());
        }
        message.set_id(from.id());
        if from.has_context() {
            let context = from.context().left(self.now.0);
            message.set_context(context);
        }
        if !from.memory().is_empty() {
            let mut memory = Memory::zeroed(from.memory().len())?;
            let mut to = memory.bytes_mut();
            for chunk in from.memory().chunks() {
                let (now, later) = to.split_at_mut(chunk.len());
                now.copy_from_slice(chunk);
                to = later;
            }
            let _ = message.replace_memory(memory);
        }
        while !from.rights().is_empty() {
            let taken = self.core.ipc().take_right(self.space, from);
            let Ok(Some((kind, name))) = taken else {
                return Err(Failure::NoMemory);
            };
            match kind {
                RightKind::Send => self.give_send(name, &mut message)?,
                RightKind::SendOnce => self.give_once(name, &mut message)?,
                RightKind::Receive => self.give_receive(name, &mut message)?,
            }
        }
        Ok(message)
    }

    /// A send right of the core's, for a program; the core's own goes.
    pub fn send_right_of(&mut self, name: Name) -> Result<SendRight, Failure> {
        if let Some(thread) = self.by_port.get(&name.raw()).copied() {
            let ipc = self.core.ipc();
            let _ = ipc.deallocate(self.space, name, RightKind::Send);
            return match self.seats.get(thread) {
                Seat::Principal(principal) => copy_even_dead(&principal.local),
                _ => Err(Failure::InvalidRight),
            };
        }
        let port = self.proxy_for(name)?;
        self.right_to(port)
    }

    fn give_send(&mut self, name: Name, message: &mut Message) -> Result<(), Failure> {
        let right = self.send_right_of(name)?;
        Ok(message.push_right(right)?)
    }

    fn give_once(&mut self, name: Name, message: &mut Message) -> Result<(), Failure> {
        let ipc = self.core.ipc();
        let taken = ipc.extract(self.space, name, RightKind::SendOnce);
        let right = taken.map_err(|_| Failure::InvalidRight)?;
        let port = match self.answer_port() {
            Ok(port) => port,
            Err(failure) => {
                self.release(right);
                return Err(failure);
            }
        };
        let pushed = match self.answers.port(port) {
            Some(port) => message.push_send_once_to(port),
            None => Err(Failure::InvalidName),
        };
        if pushed.is_ok() {
            self.await_answer(port, right);
        } else {
            self.release(right);
            self.give_back_port(port);
        }
        pushed
    }

    /// A receive right: it is a port of this node's now, and what the core receives goes there.
    fn give_receive(&mut self, name: Name, message: &mut Message) -> Result<(), Failure> {
        let port = match self.proxies.of(name) {
            // Programs of this node have rights to it already.
            Some(port) => {
                let proxy = self.proxies.remove(port);
                if let Some(proxy) = &proxy {
                    let _ = self.set.remove(&proxy.port);
                    proxy.unwatch();
                }
                let ipc = self.core.ipc();
                let _ = ipc.deallocate(self.space, name, RightKind::Send);
                proxy.map(|proxy| proxy.port)
            }
            None => ReceiveRight::new().ok(),
        };
        let made = port.and_then(|port| {
            let local = port.make_send().ok()?;
            let notify = self.news.make_send_once().ok()?;
            local.notify_death(notify).ok()?;
            Some((port, local))
        });
        let Some((port, local)) = made else {
            let ipc = self.core.ipc();
            let _ = ipc.deallocate(self.space, name, RightKind::Receive);
            return Err(Failure::NoMemory);
        };
        self.stand_for(name, local)?;
        self.watch_principal(name);
        Ok(message.push_right(port)?)
    }

    /// Something came to a port that stands for one of this node.
    pub fn arrived(&mut self, thread: ThreadId, delivery: Delivery<Page>) {
        match delivery {
            Delivery::Message(message) => self.arrived_message(thread, message),
            Delivery::Notification(Notification::NoSenders { .. }) => {
                return self.nobody_else(thread);
            }
            other => self.core.ipc().discard_delivery(other),
        }
        if let Seat::Principal(Principal {
            port, held: None, ..
        }) = *self.seats.get(thread)
        {
            self.listen(thread, port);
        }
    }

    fn arrived_message(&mut self, thread: ThreadId, mut from: CoreMessage) {
        let reply = from.take_reply();
        from.set_expects_reply(false);
        match self.hand_out(from) {
            Ok(message) => self.give(thread, message, reply),
            Err(failure) => self.release_all(reply, reasons::reason(failure)),
        }
    }

    /// Gives up the right to answer, if there is one.
    pub fn release_all(&mut self, reply: Option<CoreRight>, reason: Reason) {
        if let Some(reply) = reply {
            self.core.ipc().release_because(reply, reason);
        }
    }

    /// Sends a message to the port of this node that a thread of the core is for.
    fn give(&mut self, thread: ThreadId, mut message: Message, reply: Option<CoreRight>) {
        let port = match reply.is_some().then(|| self.answer_port()).transpose() {
            Ok(port) => port,
            Err(failure) => return self.release_all(reply, reasons::reason(failure)),
        };
        let answers = &self.answers;
        let Seat::Principal(principal) = self.seats.get(thread) else {
            return self.release_all(reply, Reason::Destroyed);
        };
        let to = port.and_then(|port| answers.port(port));
        match principal.local.send_from(&mut message, to) {
            Ok(()) => {
                self.recycle(message);
                if let (Some(port), Some(reply)) = (port, reply) {
                    self.await_answer(port, reply);
                }
            }
            Err(failure) => {
                if failure == Failure::Full {
                    principal.held = Some(Held { message, reply });
                    self.await_room(thread);
                } else {
                    // It has died, of which word is on its way, or there is no memory.
                    self.release_all(reply, reasons::reason(failure));
                }
                if let Some(port) = port {
                    self.give_back_port(port);
                }
            }
        }
    }

    fn await_room(&mut self, thread: ThreadId) {
        let Seat::Principal(principal) = self.seats.get(thread) else {
            return;
        };
        let notify = self.news.make_send_once();
        let asked = notify.is_ok_and(|notify| principal.local.notify_room(notify).is_ok());
        if !asked && let Some(Held { reply, .. }) = principal.held.take() {
            self.release_all(reply, Reason::NoMemory);
        }
    }

    /// There is room in the queue of a port of this node.
    pub fn local_has_room(&mut self, local: Name) {
        let Some(thread) = self.by_local.get(&local.raw()).copied() else {
            return;
        };
        let Seat::Principal(principal) = self.seats.get(thread) else {
            return;
        };
        if let Some(Held { message, reply }) = principal.held.take() {
            self.give(thread, message, reply);
        }
        if let Seat::Principal(Principal {
            port, held: None, ..
        }) = *self.seats.get(thread)
        {
            self.listen(thread, port);
        }
    }

    /// A port of this node has died: with what stands for it, and other nodes learn.
    pub fn local_died(&mut self, local: Name, failure: Failure) {
        if let Some(thread) = self.by_local.get(&local.raw()).copied() {
            self.end_principal(thread, reasons::reason(failure));
        }
        // The dead name that the notification brought, and what is left of the right.
        norma_user::destroy_name(local);
    }

    /// No other node has a right to a port that stands for one of this node, or none had when
    /// that was told.
    fn nobody_else(&mut self, thread: ThreadId) {
        let Seat::Principal(Principal { port, .. }) = *self.seats.get(thread) else {
            return;
        };
        let status = self.core.ipc().receive_status(self.space, port);
        match status {
            Ok(status) if status.has_senders || status.queued > 0 => {
                self.watch_principal(port);
                self.listen(thread, port);
            }
            _ => self.end_principal(thread, Reason::Destroyed),
        }
    }

    /// A port that stands for one of this node is not needed any more.
    fn end_principal(&mut self, thread: ThreadId, reason: Reason) {
        let Seat::Principal(principal) = self.free(thread) else {
            return;
        };
        self.by_local.remove(&principal.local.name().raw());
        self.by_port.remove(&principal.port.raw());
        if let Some(Held { reply, .. }) = principal.held {
            self.release_all(reply, reason);
        }
        let _ = principal.local.withdraw_death();
        let (ipc, space) = (self.core.ipc(), self.space);
        let _ = ipc.deallocate_because(space, principal.port, RightKind::Receive, reason);
        // What else was under that name.
        let _ = ipc.destroy(space, principal.port);
    }

    /// The one message for a send-once right of this node came, or word that there is none.
    pub fn arrived_once(&mut self, thread: ThreadId, delivery: Delivery<Page>) {
        let Some(once) = self.end_once(thread) else {
            return self.core.ipc().discard_delivery(delivery);
        };
        match delivery {
            Delivery::Message(message) => {
                if let Ok(mut message) = self.hand_out(message) {
                    // Whoever it was for may be gone.
                    let _ = once.send_from(&mut message);
                    self.recycle(message);
                }
            }
            other => self.core.ipc().discard_delivery(other),
        }
    }

    /// Gives up what stands for a send-once right, which is returned.
    pub fn end_once(&mut self, thread: ThreadId) -> Option<norma_user::SendOnceRight> {
        let Seat::Once(port, once) = self.free(thread) else {
            return None;
        };
        let ipc = self.core.ipc();
        let _ = ipc.deallocate(self.space, port, RightKind::Receive);
        Some(once)
    }

    /// The port on which a thread of the core waited is gone.
    pub fn gone(&mut self, thread: ThreadId) {
        match self.seats.get(thread) {
            Seat::Once(..) => drop(self.end_once(thread)),
            Seat::Principal(_) => self.end_principal(thread, Reason::Moved),
            Seat::Answer(_) | Seat::Found(_) => drop(self.free(thread)),
            Seat::Free | Seat::Room(..) | Seat::News => {}
        }
    }
}

/// One more right to a port, also if it has died: that is what is then known of it.
fn copy_even_dead(right: &SendRight) -> Result<SendRight, Failure> {
    match right.copy() {
        Err(failure @ (Failure::PortDied | Failure::NodeDied { .. })) => {
            let port = ReceiveRight::new()?;
            let dead = port.make_send()?;
            port.give_up(failure);
            Ok(dead)
        }
        copied => copied,
    }
}
