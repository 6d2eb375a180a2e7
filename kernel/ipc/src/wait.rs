//! Who waits for what, and how the wait ended.
//!
//! A thread is a small dense number here; each has one waiter record, linked into the list of
//! the port for which it waits. A message for a waiting receiver is put straight into its
//! record and never sees a queue.

use crate::error::Reason;
use crate::event::{Event, Events};
use crate::message::Message;
use crate::name::Name;
use crate::port::PortId;
use crate::right::Right;
use crate::set::SetId;

/// A thread, as its kernel numbers it: small and dense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ThreadId(pub u32);

/// What the kernel itself has to say to a port.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Notification {
    /// A send-once right to the port was destroyed unused.
    SendOnce(Reason),
    /// The right under a name has become a dead name ([`crate::About::Death`]).
    DeadName {
        /// The name for which it was asked, as it is now.
        name: Name,
        /// Why the port died.
        reason: Reason,
    },
    /// A name for which there was a request was given up.
    NameDeleted {
        /// The name that was.
        name: Name,
    },
    /// There is no send right to the port for which it was asked any more.
    NoSenders {
        /// How many send rights were made from its receive right until now.
        make_sends: u32,
    },
    /// A receive right that was given up, in place of being destroyed.
    PortDestroyed(Right),
    /// There is room in the queue of the right under a name ([`crate::About::Room`]).
    Room {
        /// The name for which it was asked, as it is now.
        name: Name,
    },
}

/// What a receive yields.
#[derive(Debug)]
#[must_use]
pub enum Delivery<P> {
    /// A message that somebody sent.
    Message(Message<P>),
    /// News from the kernel.
    Notification(Notification),
}

/// How a wait ended.
#[derive(Debug)]
#[must_use]
pub enum Completion<P> {
    /// Something was received.
    Received(Delivery<P>),
    /// A message came whose inline data have more bytes than the receiver can take; it is in
    /// the queue, or went to a thread that waited behind this one and could take it.
    TooLarge(usize),
    /// The port or set that was waited on for messages died, or its right moved away.
    ReceiverDied(Reason),
    /// The message that waited for room is in the queue, or on its way.
    Sent,
    /// The message that waited for room was refused after all; here it is.
    Refused(Reason, Message<P>),
    /// A wait for something outside this crate ended ([`crate::Ipc::complete`]).
    Signalled(u32),
}

/// No thread: ends a list.
pub(crate) const NOBODY: u32 = u32::MAX;

/// From what is received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Port(PortId),
    Set(SetId),
}

#[derive(Debug)]
pub(crate) enum State<P> {
    /// Not waiting.
    Idle,
    /// In the list of receivers of that port or set.
    Receiving(Source),
    /// In the list of senders of that port, holding what it sends.
    Sending(PortId, Message<P>),
    /// Waiting for something that the layer above will signal.
    Outside,
    /// The wait is over and nobody has looked yet: it was handed this message. `None` only while
    /// it is taken out.
    Handed(Option<Message<P>>),
    /// The wait is over in another way.
    Done(Completion<P>),
}

#[derive(Debug)]
pub(crate) struct Waiter<P> {
    pub(crate) state: State<P>,
    /// Neighbours in a list; of no meaning outside one.
    pub(crate) next: u32,
    pub(crate) previous: u32,
    /// The port at which this thread's calls receive their replies, or [`PortId::NONE`].
    pub(crate) reply_port: PortId,
    /// Bytes of inline data that it can take, while it waits for a message.
    pub(crate) limit: usize,
    /// Its [`Event::Wake`] is in the queue.
    pub(crate) waking: bool,
    /// Where the notification came that it was handed: the raw name of the port, or 0.
    pub(crate) told: u32,
}

impl<P> Waiter<P> {
    pub(crate) const fn new() -> Self {
        Waiter {
            state: State::Idle,
            next: NOBODY,
            previous: NOBODY,
            reply_port: PortId::NONE,
            limit: usize::MAX,
            waking: false,
            told: 0,
        }
    }

    /// Ends the wait and returns what it was. The thread is to be woken.
    #[inline]
    pub(crate) fn finish(
        &mut self,
        thread: ThreadId,
        completion: Completion<P>,
        events: &mut Events,
    ) -> State<P> {
        self.wake(thread, events);
        core::mem::replace(&mut self.state, State::Done(completion))
    }

    /// Says that the thread is to be woken, unless that is said already.
    #[inline]
    pub(crate) fn wake(&mut self, thread: ThreadId, events: &mut Events) {
        if !self.waking {
            self.waking = true;
            events.push(Event::Wake(thread));
        }
    }

    /// Gives what it waited for to a receiver that was just taken from its list. Whoever sends
    /// says so; there is no event.
    #[inline]
    pub(crate) fn hand(&mut self, message: Message<P>) {
        self.replace_empty(State::Handed(Some(message)));
    }

    /// Replaces a state that holds no message. What is there needs no dropping, and saying so
    /// keeps the question off the path of every message.
    #[inline]
    pub(crate) fn replace_empty(&mut self, state: State<P>) {
        debug_assert!(matches!(
            self.state,
            State::Idle | State::Receiving(_) | State::Handed(None)
        ));
        core::mem::forget(core::mem::replace(&mut self.state, state));
    }
}

/// Whether `thread` is known and free to begin a wait: one that waits already, or that has not
/// looked at how its last wait ended, is not, for its message would be lost.
#[inline]
pub(crate) fn may_wait<P>(waiters: &[Waiter<P>], thread: ThreadId) -> bool {
    matches!(
        waiters.get(thread.0 as usize),
        Some(Waiter {
            state: State::Idle,
            ..
        })
    )
}

/// A list of waiters, first come first served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct List {
    pub(crate) first: u32,
    pub(crate) last: u32,
}

impl List {
    pub(crate) const fn new() -> Self {
        List {
            first: NOBODY,
            last: NOBODY,
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first == NOBODY
    }

    /// Appends a thread.
    #[inline]
    pub(crate) fn push<P>(&mut self, waiters: &mut [Waiter<P>], thread: u32) {
        if self.last == NOBODY {
            self.push_alone(&mut waiters[thread as usize], thread);
        } else {
            self.push_behind(waiters, thread);
        }
    }

    #[inline]
    fn push_alone<P>(&mut self, waiter: &mut Waiter<P>, thread: u32) {
        waiter.next = NOBODY;
        waiter.previous = NOBODY;
        self.first = thread;
        self.last = thread;
    }

    #[inline(never)]
    fn push_behind<P>(&mut self, waiters: &mut [Waiter<P>], thread: u32) {
        let last = core::mem::replace(&mut self.last, thread);
        waiters[last as usize].next = thread;
        let waiter = &mut waiters[thread as usize];
        waiter.next = NOBODY;
        waiter.previous = last;
    }

    /// Begins the wait of a thread that waits for nothing yet, as a receiver; false when it is
    /// not known or not idle.
    #[inline(always)]
    pub(crate) fn enlist<P>(
        &mut self,
        waiters: &mut [Waiter<P>],
        thread: ThreadId,
        source: Source,
        limit: usize,
    ) -> bool {
        match waiters.get_mut(thread.0 as usize) {
            Some(waiter) if matches!(waiter.state, State::Idle) => {
                waiter.replace_empty(State::Receiving(source));
                waiter.limit = limit;
                if self.last == NOBODY {
                    self.push_alone(waiter, thread.0);
                } else {
                    self.push_behind(waiters, thread.0);
                }
                true
            }
            _ => false,
        }
    }

    /// The threads in the list, in order.
    pub(crate) fn iter<P>(&self, waiters: &[Waiter<P>]) -> impl Iterator<Item = u32> {
        let first = waiters.get(self.first as usize).map(|_| self.first);
        core::iter::successors(first, |thread| {
            let next = waiters[*thread as usize].next;
            (next != NOBODY).then_some(next)
        })
    }

    /// Takes the first. A lone waiter is taken without a look at its record.
    #[inline]
    pub(crate) fn pop<P>(&mut self, waiters: &mut [Waiter<P>]) -> Option<u32> {
        let thread = self.first;
        if thread == NOBODY {
            return None;
        }
        self.remove_first(waiters, thread);
        Some(thread)
    }

    /// Takes the first out, which is `thread`.
    #[inline(always)]
    pub(crate) fn remove_first<P>(&mut self, waiters: &mut [Waiter<P>], thread: u32) {
        if thread == self.last {
            *self = List::new();
        } else {
            self.remove(waiters, thread);
        }
    }

    #[inline(never)]
    pub(crate) fn remove<P>(&mut self, waiters: &mut [Waiter<P>], thread: u32) {
        let Waiter { previous, next, .. } = waiters[thread as usize];
        if previous == NOBODY {
            self.first = next;
        } else {
            waiters[previous as usize].next = next;
        }
        if next == NOBODY {
            self.last = previous;
        } else {
            waiters[next as usize].previous = previous;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn drain(list: &mut List, waiters: &mut [Waiter<()>]) -> Vec<u32> {
        core::iter::from_fn(|| list.pop(waiters)).collect()
    }

    #[test]
    fn waiters_leave_in_the_order_in_which_they_came() {
        let mut waiters: Vec<Waiter<()>> = (0..4).map(|_| Waiter::new()).collect();
        let mut list = List::new();
        for removed in 0..4 {
            for thread in [2, 0, 3, 1] {
                list.push(&mut waiters, thread);
            }
            list.remove(&mut waiters, removed);
            let left: Vec<u32> = [2, 0, 3, 1].into_iter().filter(|t| *t != removed).collect();
            assert_eq!(drain(&mut list, &mut waiters), left);
            assert!(list.is_empty());
            assert_eq!(list.last, NOBODY);
        }
    }
}
