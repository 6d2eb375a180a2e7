//! A call and its answer between two threads of one node, each as one step.
//!
//! Owns: the common case, in which the other side waits already: the server at its port or set,
//! the caller at its reply port. A step does at once what else are three operations, or two, each
//! with its own look at the same records. It looks at all it needs before anything moves; what
//! is not as usual goes the long way, with the same result.

use crate::ipc::Ipc;
use crate::message::{Expects, Message};
use crate::name::Name;
use crate::page::Page;
use crate::port::{Port, PortId};
use crate::right::{Right, RightKind, Target};
use crate::set::SetId;
use crate::space::{Entry, SpaceId};
use crate::step::Step;
use crate::wait::{NOBODY, Source, State, ThreadId, Waiter};

impl<P: Page> Ipc<P> {
    /// The port to which `name` is a send right, if it is one.
    #[inline(always)]
    pub fn send_target(&self, space: SpaceId, name: Name) -> Option<PortId> {
        match self.space(space).ok()?.get(name).ok()? {
            Entry {
                sends: 1..,
                target: Target::Port(port),
                ..
            } => Some(*port),
            _ => None,
        }
    }

    /// [`Ipc::attach_reply`], [`Ipc::post`] to the port `to`, and [`Ipc::await_reply`]. The
    /// thread that waited has the message, and `thread` waits.
    ///
    /// # Errors
    /// The message comes back as it was, and has to go the long way.
    #[inline(always)]
    pub fn call_at_once(
        &mut self,
        thread: ThreadId,
        to: PortId,
        mut message: Message<P>,
    ) -> Result<ThreadId, Message<P>> {
        let Ipc {
            ports,
            sets,
            waiters,
            tally,
            ..
        } = self;
        let Some(port) = ports.get(to.index, to.generation) else {
            return Err(message);
        };
        let mut first = port.receivers.first;
        let mut set = None;
        if first == NOBODY {
            // Nobody at the port itself, but perhaps at the set in which it is.
            let SetId { index, generation } = port.membership.set;
            set = sets.get_mut(index, generation);
            match &set {
                Some(set) if set.receivers.first != NOBODY => first = set.receivers.first,
                _ => return Err(message),
            }
        }
        let Some(caller) = waiters.get(thread.0 as usize) else {
            return Err(message);
        };
        let home = caller.reply_port;
        let places = [(to.index, to.generation), (home.index, home.generation)];
        let Some([port, reply_port]) = ports.get_two_mut(places) else {
            return Err(message);
        };
        let Some(server) = waiters.get(first as usize) else {
            return Err(message);
        };
        let usual = matches!(caller.state, State::Idle)
            && message.reply().is_none()
            && message.data().len() <= server.limit
            && reply_port.dead.is_none()
            && reply_port.queue.is_empty()
            && reply_port.send_onces == 0;
        if !usual {
            return Err(message);
        }
        // A reply port is made with the place that its first right needs.
        debug_assert!(reply_port.queue.capacity() > 0);
        let source = Source::Port(home);
        reply_port
            .receivers
            .enlist(waiters, thread, source, usize::MAX);
        reply_port.send_onces = 1;
        tally.create();
        let body = message.body_mut();
        body.reply = Some(Right::to_port(RightKind::SendOnce, home));
        body.expects = Expects::REPLY;
        match set {
            None => port.receivers.remove_first(waiters, first),
            Some(set) => set.receivers.remove_first(waiters, first),
        }
        P::watch(Step::Called {
            to: ThreadId(first),
            port: to,
            message: message.number(),
        });
        Ok(port.give(waiters, first, message))
    }

    /// [`Ipc::reply`] with `message` to a thread that waits in a call, and
    /// [`Ipc::receive_or_wait`] at the port or set under `name`, where nothing is queued. The
    /// caller has the message, and `thread` waits.
    ///
    /// # Errors
    /// The message comes back as it was, and has to go the long way.
    #[inline(always)]
    pub fn answer_at_once(
        &mut self,
        thread: ThreadId,
        space: SpaceId,
        name: Name,
        message: Message<P>,
    ) -> Result<ThreadId, Message<P>> {
        let entry = self.space(space).and_then(|table| table.get(name));
        let own = match entry {
            Ok(&Entry {
                receive: true,
                target: Target::Port(own),
                ..
            }) => own,
            Ok(&Entry {
                target: Target::Set(set),
                ..
            }) => return self.answer_at_set(thread, set, message),
            _ => return Err(message),
        };
        let Some(to) = reply_port(&message) else {
            return Err(message);
        };
        let places = [(to.index, to.generation), (own.index, own.generation)];
        let Some([reply_port, port]) = self.ports.get_two_mut(places) else {
            return Err(message);
        };
        let waiters = &mut self.waiters;
        let first = reply_port.receivers.first;
        let usual = can_take(waiters, first, &message)
            && port.queue.is_empty()
            && port.dead.is_none()
            && port
                .receivers
                .enlist(waiters, thread, Source::Port(own), usize::MAX);
        if !usual {
            return Err(message);
        }
        self.tally.destroy(1);
        Ok(answer(reply_port, waiters, first, message))
    }

    /// The same at a set.
    #[inline(never)]
    fn answer_at_set(
        &mut self,
        thread: ThreadId,
        id: SetId,
        message: Message<P>,
    ) -> Result<ThreadId, Message<P>> {
        let Some(to) = reply_port(&message) else {
            return Err(message);
        };
        let (Some(reply_port), Some(set)) = (
            self.ports.get_mut(to.index, to.generation),
            self.sets.get_mut(id.index, id.generation),
        ) else {
            return Err(message);
        };
        let waiters = &mut self.waiters;
        let first = reply_port.receivers.first;
        let usual = can_take(waiters, first, &message)
            && set.ready.first == PortId::NONE
            && set
                .receivers
                .enlist(waiters, thread, Source::Set(id), usize::MAX);
        if !usual {
            return Err(message);
        }
        self.tally.destroy(1);
        Ok(answer(reply_port, waiters, first, message))
    }
}

/// The port on this node to which a message is to be answered.
#[inline(always)]
fn reply_port<P>(message: &Message<P>) -> Option<PortId> {
    match message.reply() {
        Some(Right {
            kind: RightKind::SendOnce,
            target: Target::Port(to),
        }) => Some(*to),
        _ => None,
    }
}

/// Whether `thread` is one, and can take that much.
#[inline(always)]
fn can_take<P>(waiters: &[Waiter<P>], thread: u32, message: &Message<P>) -> bool {
    waiters
        .get(thread as usize)
        .is_some_and(|waiter| message.data().len() <= waiter.limit)
}

/// Uses the reply right in `message` up, for the first thread that waits at its port.
#[inline(always)]
fn answer<P: Page>(
    reply_port: &mut Port<P>,
    waiters: &mut [Waiter<P>],
    first: u32,
    mut message: Message<P>,
) -> ThreadId {
    reply_port.send_onces -= 1;
    let body = message.body_mut();
    body.reply = None;
    body.expects = Expects::NOTHING;
    P::watch(Step::Answered {
        to: ThreadId(first),
        message: message.number(),
    });
    reply_port.hand_to(waiters, first, message)
}
