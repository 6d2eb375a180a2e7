//! How rights and ports end: release, death of a port, emptying its queue, freeing its record.
//!
//! Why nothing here can fail: the end of a task or of a node must always be possible. What it
//! needs (places in queues for notifications, room for events) was reserved when the right or
//! the port was made.

use crate::error::Reason;
use crate::event::{Event, PER_TOKEN};
use crate::ipc::Ipc;
use crate::page::Page;
use crate::port::{Holder, PortId, Queued, Sink};
use crate::right::{Right, RightKind, Target};
use crate::wait::{Completion, Notification, State, ThreadId};

impl<P: Page> Ipc<P> {
    /// Destroys a right that is in nobody's space.
    pub fn release(&mut self, right: Right) {
        self.release_because(right, Reason::Unanswered);
    }

    /// Destroys a right; if it is a send-once right, its port is told `reason`.
    pub fn release_because(&mut self, right: Right, reason: Reason) {
        match (right.kind, right.target) {
            (RightKind::Receive, Target::Port(id)) => self.release_receive(id),
            (RightKind::Send, Target::Port(id)) => self.release_sends(id, 1),
            (RightKind::SendOnce, Target::Port(id)) => self.release_send_once(id, reason),
            (_, Target::Remote(token)) => {
                self.tally.destroy(1);
                self.events.push(Event::Unanswered(token));
                self.events.release(PER_TOKEN);
            }
        }
    }

    pub(crate) fn release_receive(&mut self, id: PortId) {
        let Some(port) = self.port_mut(id) else {
            return;
        };
        port.holder = Holder::Elsewhere;
        self.tally.destroy(1);
        self.kill_port(id, Reason::Destroyed);
        // It may have been dead before, for another reason.
        self.collect(id);
    }

    fn release_send_once(&mut self, id: PortId, reason: Reason) {
        let Some(port) = self.port_mut(id) else {
            return;
        };
        port.send_onces -= 1;
        let dead = port.dead.is_some();
        self.tally.destroy(1);
        if dead {
            self.collect(id);
        } else {
            self.notify(id, Notification::SendOnce(reason));
        }
    }

    pub(crate) fn release_sends(&mut self, id: PortId, count: u32) {
        let Some(port) = self.port_mut(id) else {
            return;
        };
        port.sends -= count;
        let last = port.sends == 0;
        self.tally.destroy(count);
        if last {
            self.collect(id);
        }
    }

    /// Frees a port's record when nothing refers to it: a dead port without references, or a
    /// stand-in without send rights. Threads that wait to send are references too, and so is
    /// the list of ports whose queues are being emptied.
    pub(crate) fn collect(&mut self, id: PortId) {
        let Some(port) = self.port(id) else {
            return;
        };
        if port.sends > 0
            || port.send_onces > 0
            || port.holder != Holder::Elsewhere
            || port.doomed
            || !port.senders.is_empty()
        {
            return;
        }
        if let (Sink::Remote(token), None) = (port.sink, port.dead) {
            self.events.push(Event::Unused(token));
        }
        self.remove_port(id);
    }

    /// Kills a port: its receive right is gone, or the node on which it lived is.
    ///
    /// Whoever waits at it learns `reason`; its messages are destroyed. A queued message may
    /// hold the receive right of a port whose queue holds another, and so on: dead ports are
    /// emptied one after the other from a list through the ports themselves, so that this needs
    /// neither stack nor memory. The rights to it stay where they are, as dead names.
    pub fn kill_port(&mut self, id: PortId, reason: Reason) {
        let Ipc {
            ports,
            waiters,
            events,
            ..
        } = self;
        let Some(port) = ports.get_mut(id.index, id.generation) else {
            return;
        };
        if port.dead.is_some() {
            return;
        }
        port.dead = Some(reason);
        if port.watched {
            events.push(Event::PortDied(id));
        }
        while let Some(thread) = port.receivers.pop(waiters) {
            let died = Completion::ReceiverDied(reason);
            let _ = waiters[thread as usize].finish(ThreadId(thread), died, events);
        }
        while let Some(thread) = port.senders.pop(waiters) {
            let waiter = &mut waiters[thread as usize];
            if let State::Sending(_, message) = core::mem::replace(&mut waiter.state, State::Idle) {
                let refused = Completion::Refused(reason, message);
                let _ = waiter.finish(ThreadId(thread), refused, events);
            }
        }
        port.doomed = true;
        port.next_doomed = self.doomed.replace(id);
        self.drain_doomed();
    }

    fn drain_doomed(&mut self) {
        if self.draining {
            return;
        }
        self.draining = true;
        while let Some(id) = self.doomed {
            let Some(port) = self.port_mut(id) else {
                break;
            };
            match port.queue.pop_front() {
                // Destroying it may put another port in front.
                Some(Queued::Message(message)) => self.discard(message),
                Some(Queued::Notification(_)) => {}
                None => {
                    port.doomed = false;
                    // Dead names may live long: they need no queue.
                    port.queue = alloc::collections::VecDeque::new();
                    self.doomed = port.next_doomed.take();
                    self.collect(id);
                }
            }
        }
        self.draining = false;
    }

    /// Ends the wait of every thread that receives from a port whose receive right leaves
    /// their space.
    pub(crate) fn turn_receivers_away(&mut self, id: PortId) {
        let Ipc {
            ports,
            waiters,
            events,
            ..
        } = self;
        let Some(port) = ports.get_mut(id.index, id.generation) else {
            return;
        };
        while let Some(thread) = port.receivers.pop(waiters) {
            let moved = Completion::ReceiverDied(Reason::Moved);
            let _ = waiters[thread as usize].finish(ThreadId(thread), moved, events);
        }
    }

    /// Puts news of the kernel's own into a port's queue, in the place kept for it.
    fn notify(&mut self, id: PortId, notification: Notification) {
        let Ipc {
            ports,
            waiters,
            events,
            ..
        } = self;
        let Some(port) = ports.get_mut(id.index, id.generation) else {
            return;
        };
        if let Some(thread) = port.receivers.pop(waiters) {
            let news = Completion::Received(crate::Delivery::Notification(notification));
            let _ = waiters[thread as usize].finish(ThreadId(thread), news, events);
        } else {
            port.queue.push_back(Queued::Notification(notification));
        }
    }

    /// Gives up a thread's reply port, so that an answer to a call that timed out can never be
    /// taken for the answer to the next one.
    pub fn renew_reply_port(&mut self, thread: ThreadId) {
        let Some(waiter) = self.waiters.get_mut(thread.0 as usize) else {
            return;
        };
        let port = core::mem::replace(&mut waiter.reply_port, PortId::NONE);
        self.release_receive(port);
    }
}
