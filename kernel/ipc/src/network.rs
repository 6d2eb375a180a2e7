//! What only the network layer asks of the core: stand-ins for ports on other nodes, bare
//! remote send-once rights, and when to carry the messages that wait.
//!
//! Leaves to others: everything about networks. What a [`RemoteToken`] means is not known here.

use crate::error::{NoMemory, Reason, RightError};
use crate::event::{Event, PER_TOKEN};
use crate::ipc::Ipc;
use crate::message::Message;
use crate::name::Name;
use crate::page::Page;
use crate::port::{Barred, Holder, Keep, Label, Port, PortId, RemoteToken, Sink};
use crate::request::About;
use crate::right::{Right, RightKind, Target};
use crate::space::{Entry, SpaceId};
use crate::wait::{Completion, Notification, State, ThreadId};

impl<P: Page> Ipc<P> {
    /// Where a port's messages go, or why it is dead.
    ///
    /// # Errors
    /// [`RightError::Dead`], or [`RightError::InvalidName`] when nothing is left of the port.
    pub fn sink(&self, port: PortId) -> Result<Sink, RightError> {
        let port = self.port(port).ok_or(RightError::InvalidName)?;
        match port.dead {
            None => Ok(port.sink),
            Some(reason) => Err(RightError::Dead(reason)),
        }
    }

    /// Whether a port was made dead, for rights that lead nowhere.
    pub fn leads_nowhere(&self, id: PortId) -> bool {
        let nowhere = Sink::Remote(RemoteToken::NOWHERE);
        self.port(id)
            .is_none_or(|port| port.dead.is_some() && port.sink == nowhere)
    }

    /// A stand-in for a port on another node, with no rights yet: [`Ipc::add_send`] next.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn create_proxy(&mut self, token: RemoteToken) -> Result<PortId, NoMemory> {
        self.create_port(Sink::Remote(token), Holder::Elsewhere)
    }

    /// One more send-once right to a port, for the layer above.
    ///
    /// # Errors
    /// The port must be alive; [`RightError::NoMemory`].
    pub fn add_send_once(&mut self, id: PortId) -> Result<Right, RightError> {
        self.live_port_mut(id)?.make_send_once()?;
        self.tally.create();
        Ok(Right::to_port(RightKind::SendOnce, id))
    }

    /// Removes a stand-in to which there is no right.
    pub fn remove_unused_proxy(&mut self, id: PortId) {
        if self
            .port(id)
            .is_some_and(|port| matches!(port.sink, Sink::Remote(_)) && port.is_unused())
        {
            self.remove_port(id);
        }
    }

    /// Makes a stand-in stay when its last right goes, until [`Ipc::remove_unused_proxy`].
    /// [`Event::Unused`] comes once; to hear it again, call this again. Tells whether the
    /// stand-in is unused now: then nothing will come.
    pub fn keep_unused(&mut self, id: PortId) -> bool {
        let Some(port) = self.port_mut(id) else {
            return true;
        };
        port.keep = Keep::Yes;
        port.is_unused()
    }

    /// Whether there is no right to a stand-in, and nobody waits to send through it.
    pub fn is_unused(&self, id: PortId) -> bool {
        self.port(id).is_none_or(Port::is_unused)
    }

    /// What other nodes call a port; nothing for one that is gone.
    pub fn label(&self, id: PortId) -> Label {
        self.port(id).map_or(Label::default(), |port| Label {
            identity: port.identity,
            moves: port.moves,
        })
    }

    /// What other nodes call a port that is here and alive.
    #[inline]
    pub fn label_here(&self, id: PortId) -> Option<Label> {
        let port = self.port(id)?;
        let here = port.dead.is_none() && port.sink == Sink::Queue && port.identity != 0;
        here.then(|| self.label(id))
    }

    /// Says what other nodes call a port.
    pub fn set_label(&mut self, id: PortId, label: Label) {
        if let Some(port) = self.port_mut(id) {
            port.identity = label.identity;
            port.moves = label.moves;
        }
    }

    /// What is sent through a stand-in goes elsewhere from now on. What comes by send-once rights
    /// goes where it went, for these are counted there.
    pub fn redirect(&mut self, id: PortId, token: RemoteToken) {
        if let Some(port) = self.port_mut(id)
            && matches!(port.sink, Sink::Remote(_))
        {
            port.sink = Sink::Remote(token);
        }
    }

    /// One more of a send right, also of one that is a dead name.
    ///
    /// # Errors
    /// [`NoMemory`] for more than four billion, or another kind of right.
    pub fn duplicate(&mut self, right: &Right) -> Result<Right, NoMemory> {
        let (RightKind::Send, Target::Port(id)) = (right.kind, right.target) else {
            return Err(NoMemory);
        };
        self.port_mut(id).ok_or(NoMemory)?.make_send()?;
        self.tally.create();
        Ok(Right::to_port(RightKind::Send, id))
    }

    /// A send-once right to a port on another node.
    ///
    /// # Errors
    /// [`NoMemory`].
    #[inline(always)]
    pub fn import_send_once(&mut self, token: RemoteToken) -> Result<Right, NoMemory> {
        self.events.reserve(PER_TOKEN)?;
        self.tally.create();
        Ok(Right {
            kind: RightKind::SendOnce,
            target: Target::Remote(token),
        })
    }

    /// What the network layer calls the bare remote send-once right under `name`, if it is one.
    pub fn once_target(&self, space: SpaceId, name: Name) -> Option<RemoteToken> {
        match self.space(space).ok()?.get(name).ok()? {
            Entry {
                send_once: true,
                target: Target::Remote(token),
                ..
            } => Some(*token),
            _ => None,
        }
    }

    /// A message went to the bare remote send-once right under `name`: it is used up.
    pub fn spent(&mut self, space: SpaceId, name: Name) {
        if self.once_target(space, name).is_none() {
            return;
        }
        let removed = self.space_mut(space).ok();
        let Some(entry) = removed.and_then(|table| table.remove(name)) else {
            return;
        };
        self.events.release(PER_TOKEN);
        self.tally.destroy(1);
        self.name_deleted(name, &entry);
    }

    /// The other node is told that a bare remote send-once right is used up, or that node is
    /// dead: forgets the right without an event.
    pub fn forget_send_once(&mut self, right: Right) {
        if let Target::Remote(_) = right.target {
            self.tally.destroy(1);
            self.events.release(PER_TOKEN);
        } else {
            self.release(right);
        }
    }

    /// Asks for [`Event::PortDied`]; it comes at once when the port is dead already.
    pub fn watch(&mut self, id: PortId) {
        let Ipc { ports, events, .. } = self;
        if let Some(port) = ports.get_mut(id.index, id.generation)
            && !port.watched
        {
            port.watched = true;
            if port.dead.is_some() {
                events.push(Event::PortDied(id, port.identity));
            }
        }
    }

    /// Asks for [`Event::Room`] when the queue of `port` has room again; it comes at once when
    /// there is room already.
    pub fn want_room(&mut self, id: PortId) {
        if let Some(port) = self.port_mut(id) {
            port.room_wanted = true;
            self.tell_room(id);
        }
    }

    /// Says that there is room, if somebody wants to know and no local sender is before them.
    pub(crate) fn tell_room(&mut self, id: PortId) {
        let Ipc { ports, events, .. } = self;
        let Some(port) = ports.get_mut(id.index, id.generation) else {
            return;
        };
        if port.dead.is_some() || port.is_full() || !port.senders.is_empty() {
            return;
        }
        if core::mem::take(&mut port.room_wanted) && !port.room_told {
            port.room_told = true;
            events.push(Event::Room(id));
        }
        self.tell_requests(id, About::Room, |name| Notification::Room { name });
    }

    /// A message that went out through `via` has arrived for good (or will never): its place
    /// is free. Returns the message of the next thread that waited for it, to be carried.
    #[inline]
    pub fn carried(&mut self, via: PortId) -> Option<(RemoteToken, Message<P>)> {
        let port = self.port_mut(via)?;
        port.under_way = port.under_way.saturating_sub(1);
        if port.senders.is_empty() {
            if port.wants_room() {
                self.tell_room(via);
            }
            return None;
        }
        self.next_to_carry(via)
    }

    /// Lets (`false`) or makes (`true`) senders through `via` wait, whatever its limit says.
    /// After `false`, call [`Ipc::next_queued`] if there is a backlog, and
    /// [`Ipc::next_to_carry`], until they give `None`.
    pub fn hold_back(&mut self, via: PortId, hold: bool) {
        if let Some(port) = self.port_mut(via) {
            port.barred.set(Barred::HELD_BACK, hold);
        }
    }

    /// The message of the next thread that waits to send through `via`, if there is room, and
    /// [`Ipc::next_queued`] has nothing that was there before.
    pub fn next_to_carry(&mut self, via: PortId) -> Option<(RemoteToken, Message<P>)> {
        let Ipc {
            ports,
            waiters,
            events,
            ..
        } = self;
        let port = ports.get_mut(via.index, via.generation)?;
        let Sink::Remote(token) = port.sink else {
            return None;
        };
        if port.is_full() {
            return None;
        }
        let Some(thread) = port.senders.pop(waiters) else {
            self.tell_room(via);
            return None;
        };
        port.under_way += 1;
        let waiter = &mut waiters[thread as usize];
        let State::Sending(_, message) = waiter.finish(ThreadId(thread), Completion::Sent, events)
        else {
            return None;
        };
        // The last right may have been given up while the thread waited.
        self.collect(via);
        Some((token, message))
    }

    /// Whether an ordinary message to `port` would be refused now for want of room.
    ///
    /// # Errors
    /// The port is dead.
    #[inline(always)]
    pub fn is_full(&self, port: PortId) -> Result<bool, RightError> {
        let port = self.port(port).ok_or(RightError::InvalidName)?;
        match port.dead {
            Some(reason) => Err(RightError::Dead(reason)),
            None => Ok(port.receivers.is_empty() && (port.is_full() || !port.senders.is_empty())),
        }
    }

    /// Wakes a thread to which a message was handed ([`crate::Sent::Handed`]) by way of
    /// [`Ipc::poll_event`], where there is nobody to switch to it at once.
    #[inline(always)]
    pub fn defer_wake(&mut self, thread: ThreadId) {
        let Ipc {
            waiters,
            events,
            woken,
            ..
        } = self;
        let Some(waiter) = waiters.get_mut(thread.0 as usize) else {
            return;
        };
        match *woken {
            None if !waiter.waking => *woken = Some(thread),
            Some(first) if first == thread => {}
            _ => waiter.wake(thread, events),
        }
    }

    /// A send-once right to the reply port of `thread`, for a call that the network layer makes
    /// on its behalf. [`Ipc::await_reply`] waits for what becomes of it.
    ///
    /// # Errors
    /// [`RightError::NoMemory`], or the thread is not known.
    #[inline(always)]
    pub fn make_reply_right(&mut self, thread: ThreadId) -> Result<Right, RightError> {
        let Some(waiter) = self.waiters.get(thread.0 as usize) else {
            return Err(RightError::InvalidName);
        };
        let mut id = waiter.reply_port;
        let port = match self.ports.get_mut(id.index, id.generation) {
            Some(port) if port.dead.is_none() => port,
            _ => {
                id = self.make_reply_port(thread)?;
                self.live_port_mut(id)?
            }
        };
        port.make_send_once()?;
        self.tally.create();
        Ok(Right::to_port(RightKind::SendOnce, id))
    }

    /// Spends a send-once right on news of another node's kernel. If it leads on to a third node
    /// and there is no memory to pass the news on, only the right is given up.
    pub fn announce(&mut self, right: Right, notification: Notification) {
        match self.seat(right) {
            Ok(Right {
                kind: RightKind::SendOnce,
                target: Target::Port(port),
            }) => self.tell(port, notification),
            Ok(right) | Err((NoMemory, right)) => {
                self.discard_notification(notification);
                self.release(right);
            }
        }
    }

    /// Destroys a right whose session is over: as [`Ipc::release_because`], but nobody needs
    /// to be told about a bare remote right.
    pub fn forget_right(&mut self, right: Right, reason: Reason) {
        match right.target {
            Target::Remote(_) => self.forget_send_once(right),
            _ => self.release_because(right, reason),
        }
    }
}
