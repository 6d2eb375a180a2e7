//! A call and its answer between two threads of one node, each as one step.
//!
//! Owns: the common case, in which the other side waits already: the server at its port, the
//! caller at its reply port. A step does at once what else are three operations, or two, each
//! with its own look at the same records. It looks at all it needs before anything moves; what
//! is not as usual goes the long way, with the same result.

use crate::ipc::Ipc;
use crate::message::Message;
use crate::name::Name;
use crate::page::Page;
use crate::port::PortId;
use crate::right::{Right, RightKind, Target};
use crate::space::{Entry, SpaceId};
use crate::wait::{NOBODY, Source, State, ThreadId};

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
            waiters,
            tally,
            ..
        } = self;
        match ports.get(to.index, to.generation) {
            Some(port) if port.receivers.first != NOBODY => {}
            _ => return Err(message),
        }
        let Some(caller) = waiters.get(thread.0 as usize) else {
            return Err(message);
        };
        let home = caller.reply_port;
        let places = [(to.index, to.generation), (home.index, home.generation)];
        let Some([port, reply_port]) = ports.get_two_mut(places) else {
            return Err(message);
        };
        let first = port.receivers.first;
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
        body.expects_reply = true;
        Ok(port.hand_to(waiters, first, message))
    }

    /// [`Ipc::reply`] with `message` to a thread that waits in a call, and
    /// [`Ipc::receive_or_wait`] at the port under `name`, where nothing is queued. The caller
    /// has the message, and `thread` waits.
    ///
    /// # Errors
    /// The message comes back as it was, and has to go the long way.
    #[inline(always)]
    pub fn answer_at_once(
        &mut self,
        thread: ThreadId,
        space: SpaceId,
        name: Name,
        mut message: Message<P>,
    ) -> Result<ThreadId, Message<P>> {
        let entry = self.space(space).and_then(|table| table.get(name));
        let Ok(&Entry {
            receive: true,
            target: Target::Port(own),
            ..
        }) = entry
        else {
            return Err(message);
        };
        let Some(&Right {
            kind: RightKind::SendOnce,
            target: Target::Port(to),
        }) = message.reply()
        else {
            return Err(message);
        };
        let Ipc {
            ports,
            waiters,
            tally,
            ..
        } = self;
        let places = [(to.index, to.generation), (own.index, own.generation)];
        let Some([reply_port, port]) = ports.get_two_mut(places) else {
            return Err(message);
        };
        let first = reply_port.receivers.first;
        let Some(caller) = waiters.get(first as usize) else {
            return Err(message);
        };
        let usual = message.data().len() <= caller.limit
            && port.queue.is_empty()
            && port.dead.is_none()
            && port
                .receivers
                .enlist(waiters, thread, Source::Port(own), usize::MAX);
        if !usual {
            return Err(message);
        }
        reply_port.send_onces -= 1;
        tally.destroy(1);
        let body = message.body_mut();
        body.reply = None;
        body.expects_reply = false;
        Ok(reply_port.hand_to(waiters, first, message))
    }
}
