//! How rights and ports end: release, death of a port, emptying its queue, freeing its record.
//!
//! Why nothing here can fail: the end of a task or of a node must always be possible. What it
//! needs (places in queues for notifications, room for events) was reserved when the right or
//! the port was made.

use crate::error::Reason;
use crate::event::{Event, PER_TOKEN};
use crate::ipc::Ipc;
use crate::page::Page;
use crate::port::{Barred, Holder, Keep, Port, PortId, Queued, RemoteToken, Sink};
use crate::right::{Right, RightKind, Target};
use crate::wait::{Completion, Delivery, Notification, State, ThreadId};

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
            (RightKind::SendOnce, Target::Port(id)) => {
                self.tell(id, Notification::SendOnce(reason));
            }
            (_, Target::Remote(token)) => {
                self.tally.destroy(1);
                self.events.push(Event::Unanswered(token));
                self.events.release(PER_TOKEN);
            }
            // No right leads to a set.
            (_, Target::Set(_)) => {}
        }
    }

    /// Destroys a send-once right that nobody has seen since it was made: unlike with
    /// [`Ipc::release`], its port is not told. Any other right is released.
    pub fn retract(&mut self, right: Right) {
        let (RightKind::SendOnce, Target::Port(id)) = (right.kind, right.target) else {
            return self.release(right);
        };
        if let Some(port) = self.port_mut(id) {
            port.send_onces -= 1;
            self.tally.destroy(1);
            self.collect(id);
        }
    }

    pub(crate) fn release_receive(&mut self, id: PortId) {
        let Some(port) = self.port_mut(id) else {
            return;
        };
        if port.dead.is_none() && !port.ends_with_its_right() {
            return self.return_receive(id);
        }
        port.holder = Holder::Elsewhere;
        self.tally.destroy(1);
        self.kill_port(id, Reason::Destroyed);
        // It may have been dead before, for another reason.
        self.collect(id);
    }

    /// Gives a receive right that was given up to whoever asked for it instead of destroying it;
    /// if that cannot be, it dies now.
    #[cold]
    fn return_receive(&mut self, id: PortId) {
        self.detach_receive(id);
        let Some(port) = self.port_mut(id) else {
            return;
        };
        let notify = core::mem::replace(&mut port.destroyed, PortId::NONE);
        let right = Right::to_port(RightKind::Receive, id);
        if self.top_of(notify).is_none_or(|top| top == id) {
            // It would lie in its own queue.
            self.tell(notify, Notification::SendOnce(Reason::Circular));
            self.release_receive(id);
        } else {
            self.tell(notify, Notification::PortDestroyed(right));
        }
    }

    /// Spends a send-once right on news of the kernel's own.
    pub(crate) fn tell(&mut self, notify: PortId, notification: Notification) {
        let Some(port) = self.port_mut(notify) else {
            return;
        };
        port.send_onces -= 1;
        let dead = port.dead.is_some() && !port.relays();
        self.tally.destroy(1);
        if dead {
            self.discard_notification(notification);
            self.collect(notify);
        } else {
            self.notify(notify, notification);
        }
    }

    /// Destroys what was received.
    pub fn discard_delivery(&mut self, delivery: Delivery<P>) {
        match delivery {
            Delivery::Message(message) => self.discard(message),
            Delivery::Notification(notification) => self.discard_notification(notification),
        }
    }

    pub(crate) fn discard_notification(&mut self, notification: Notification) {
        if let Notification::PortDestroyed(right) = notification {
            self.release(right);
        }
    }

    pub(crate) fn release_sends(&mut self, id: PortId, count: u32) {
        let Some(port) = self.port_mut(id) else {
            return;
        };
        port.sends -= count;
        let last = port.sends <= port.pins;
        self.tally.destroy(count);
        if last {
            self.check_senders(id);
            self.collect(id);
        }
    }

    /// Frees a port's record when nothing refers to it: a dead port without references, or a
    /// stand-in without rights. Threads that wait to send are references too, and so are what is
    /// queued at a stand-in and the list of ports whose queues are being emptied.
    pub(crate) fn collect(&mut self, id: PortId) {
        let Some(port) = self.port(id) else {
            return;
        };
        if !port.is_unreferenced() {
            // What holds it may be send-once rights alone, which need no way for messages.
            if let (Sink::Remote(token), None, Keep::Yes) = (port.sink, port.dead, port.keep)
                && port.is_senderless()
            {
                self.tell_unused(id, token);
            }
            return;
        }
        if let (Sink::Remote(token), None) = (port.sink, port.dead) {
            match port.keep {
                Keep::No => self.events.push(Event::Unused(token)),
                Keep::Yes => return self.tell_unused(id, token),
                Keep::Told => return,
            }
        }
        self.remove_port(id);
    }

    /// Nobody has a right to a stand-in that stays all the same.
    fn tell_unused(&mut self, id: PortId, token: RemoteToken) {
        if let Some(port) = self.port_mut(id) {
            port.keep = Keep::Told;
            self.events.push(Event::Unused(token));
        }
    }

    /// Kills a port: its receive right is gone, or the node on which it lived is.
    ///
    /// Whoever waits at it learns `reason`; its messages are destroyed. A queued message may
    /// hold the receive right of a port whose queue holds another, and so on: dead ports are
    /// emptied one after the other from a list through the ports themselves, so that this needs
    /// neither stack nor memory. The rights to it stay where they are, as dead names. Only what
    /// came to a stand-in by send-once rights stays, to be carried: where those lead somebody
    /// counts them.
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
        // Now, so that the record is not freed before all is told.
        port.doomed = true;
        if port.watched {
            events.push(Event::PortDied(id, port.identity));
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
        self.leave_set(id);
        self.tell_death(id, reason);
        let next = self.doomed.replace(id).unwrap_or(PortId::NONE);
        if let Some(port) = self.port_mut(id) {
            port.next_doomed = next;
        }
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
            let relays = port.relays();
            let item = match relays && port.backlog == 0 {
                true => None,
                false => port.queue.pop_front(),
            };
            port.backlog = port.backlog.saturating_sub(1);
            match item {
                // Destroying it may put another port in front.
                Some(Queued::Message(message)) => self.discard(message),
                Some(Queued::Notification(notification)) => {
                    self.discard_notification(notification);
                }
                None => {
                    port.doomed = false;
                    port.barred.remove(Barred::BACKLOG);
                    if !relays {
                        // Dead names may live long: they need no queue.
                        port.queue = alloc::collections::VecDeque::new();
                    }
                    let next = core::mem::replace(&mut port.next_doomed, PortId::NONE);
                    self.doomed = (next != PortId::NONE).then_some(next);
                    self.collect(id);
                }
            }
        }
        self.draining = false;
    }

    /// A receive right leaves where it was: the port leaves its set, counts anew, and every
    /// thread that waits at it is told that what arrives from now on is not theirs.
    pub(crate) fn detach_receive(&mut self, id: PortId) {
        self.leave_set(id);
        let Ipc {
            ports,
            waiters,
            events,
            ..
        } = self;
        let Some(port) = ports.get_mut(id.index, id.generation) else {
            return;
        };
        port.holder = Holder::Transit;
        port.sequence = 0;
        port.make_sends = 0;
        while let Some(thread) = port.receivers.pop(waiters) {
            let moved = Completion::ReceiverDied(Reason::Moved);
            let _ = waiters[thread as usize].finish(ThreadId(thread), moved, events);
        }
    }

    /// Puts news of the kernel's own into a port's queue, in the place kept for it.
    fn notify(&mut self, id: PortId, notification: Notification) {
        if let Some((thread, _)) = self.find_receiver(id, 0) {
            let news = Completion::Received(Delivery::Notification(notification));
            let told = self.port(id).map_or(0, Port::raw_name);
            let waiter = &mut self.waiters[thread as usize];
            waiter.told = told;
            let _ = waiter.finish(ThreadId(thread), news, &mut self.events);
        } else {
            self.push_queued(id, Queued::Notification(notification));
            self.offer(id);
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

impl<P> Port<P> {
    /// Nobody asked that its receive right come back when it is given up.
    pub(crate) fn ends_with_its_right(&self) -> bool {
        self.destroyed == PortId::NONE
    }

    /// Nothing needs its record any more.
    pub(crate) fn is_unreferenced(&self) -> bool {
        self.sends == 0
            && self.send_onces == 0
            && self.holder == Holder::Elsewhere
            && !self.doomed
            && self.senders.is_empty()
            && self.queue.is_empty()
    }
}
