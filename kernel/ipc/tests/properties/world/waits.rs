//! Steps on waits: receive, wait, look how a wait ended, cancel.

use norma_ipc::*;

use super::World;
use super::model::{At, End, Entry, Item, Letter, News, Source, Target, Wait};
use super::page::CountedPage;

/// What a receive must come to; `None`: there is nothing.
pub(super) type Expected = Result<Option<Item>, ReceiveError>;

impl World {
    /// Compares what was received, and keeps what is in it.
    fn same(&mut self, delivery: Delivery<CountedPage>, expected: Item) {
        self.model.ledger.received += u64::from(expected.by_once());
        match (delivery, expected) {
            (Delivery::Message(message), Item::Letter(letter)) => {
                let letter = Letter {
                    by_once: false,
                    ..letter
                };
                assert_eq!(Letter::of(&message), letter);
                self.messages.push(message);
            }
            (Delivery::Notification(notification), Item::News(news)) => {
                assert_eq!(News::of(&notification), news);
                if let Notification::PortDestroyed(right) = notification {
                    self.rights.push(right);
                }
            }
            (delivery, expected) => panic!("{delivery:?}, not {expected:?}"),
        }
    }

    pub(super) fn source(&self, at: At) -> Result<Source, ReceiveError> {
        match self.entry(at)? {
            Entry {
                receive: true,
                target: Target::Port(id),
                ..
            } => Ok(Source::Port(id)),
            Entry {
                target: Target::Set(number),
                ..
            } => Ok(Source::Set(number)),
            _ => Err(RightError::InvalidRight.into()),
        }
    }

    fn take(&mut self, source: Source, limit: usize) -> Expected {
        let Some(id) = self.model.next_port(source)? else {
            return Ok(None);
        };
        let of_set = matches!(source, Source::Set(_));
        let item = self.model.take(id, limit, of_set);
        item.map(Some).map_err(ReceiveError::TooLarge)
    }

    /// Whether something was received.
    pub fn receive(&mut self, at: At, limit: usize) -> bool {
        let source = self.source(at);
        let expected = source.and_then(|source| self.take(source, limit));
        let received = match limit {
            usize::MAX => self.ipc.receive(at.0, at.1),
            _ => self.ipc.receive_within(at.0, at.1, limit),
        };
        match (received, expected) {
            (Ok(delivery), Ok(Some(item))) => {
                self.same(delivery, item);
                return true;
            }
            (Err(ReceiveError::Empty), Ok(None)) => {}
            (Err(error), Err(other)) => assert_eq!(error, other),
            (received, expected) => panic!("{received:?}, not {expected:?}"),
        }
        false
    }

    pub(super) fn take_or_wait(&mut self, thread: usize, source: Source, limit: usize) -> Expected {
        let found = self.take(source, limit)?;
        if found.is_some() {
            return Ok(found);
        }
        if self.model.threads[thread].wait != Wait::Idle {
            return Err(RightError::InvalidRight.into());
        }
        self.model.threads[thread].wait = Wait::Receiving(source, limit);
        match source {
            Source::Port(id) => self.model.port(id).receivers.push_back(thread),
            Source::Set(number) => self.model.set(number).receivers.push_back(thread),
        }
        Ok(None)
    }

    fn received_or_waits(
        &mut self,
        received: Result<Option<Delivery<CountedPage>>, ReceiveError>,
        expected: Expected,
    ) {
        match (received, expected) {
            (Ok(Some(delivery)), Ok(Some(item))) => self.same(delivery, item),
            (Ok(None), Ok(None)) => {}
            (Err(error), Err(other)) => assert_eq!(error, other),
            (received, expected) => panic!("{received:?}, not {expected:?}"),
        }
    }

    pub fn receive_or_wait(&mut self, thread: usize, at: At, limit: usize) {
        let source = self.source(at);
        let expected = source.and_then(|source| self.take_or_wait(thread, source, limit));
        let id = ThreadId(thread as u32);
        let received = match limit {
            usize::MAX => {
                let received = self.ipc.receive_or_wait(id, at.0, at.1);
                received.map_err(ReceiveError::from)
            }
            _ => self.ipc.receive_within_or_wait(id, at.0, at.1, limit),
        };
        self.received_or_waits(received, expected);
    }

    pub fn await_reply(&mut self, thread: usize) {
        let hope = self.model.threads[thread].reply.filter(|id| {
            let port = &self.model.ports[id];
            !port.queue.is_empty() || port.onces > 0
        });
        let expected = match hope {
            Some(id) => self.take_or_wait(thread, Source::Port(id), usize::MAX),
            None => Err(RightError::InvalidName.into()),
        };
        let received = self.ipc.await_reply(ThreadId(thread as u32));
        self.received_or_waits(received.map_err(ReceiveError::from), expected);
    }

    fn ended(&mut self, completion: Completion<CountedPage>, expected: End) {
        match (completion, expected) {
            (Completion::Received(delivery), End::Received(item)) => self.same(delivery, item),
            (Completion::TooLarge(bytes), End::TooLarge(other)) => assert_eq!(bytes, other),
            (Completion::ReceiverDied(reason), End::Died(other)) => assert_eq!(reason, other),
            (Completion::Sent, End::Sent) => {}
            (Completion::Signalled(value), End::Signalled(other)) => assert_eq!(value, other),
            (Completion::Refused(reason, message), End::Refused(other, letter)) => {
                assert_eq!(reason, other);
                assert_eq!(Letter::of(&message), letter);
                self.messages.push(message);
            }
            (completion, expected) => panic!("{completion:?}, not {expected:?}"),
        }
    }

    pub fn take_completion(&mut self, thread: usize) {
        let is_done = matches!(self.model.threads[thread].wait, Wait::Done(_));
        let wait = is_done.then(|| self.model.cancel(thread));
        match (self.ipc.take_completion(ThreadId(thread as u32)), wait) {
            (Some(completion), Some(Wait::Done(end))) => self.ended(completion, end),
            (None, None) => {}
            (completion, expected) => panic!("{completion:?}, not {expected:?}"),
        }
    }

    pub fn cancel(&mut self, thread: usize) {
        let expected = self.model.cancel(thread);
        match (self.ipc.cancel(ThreadId(thread as u32)), expected) {
            (Cancelled::Nothing, Wait::Idle | Wait::Receiving(..) | Wait::Outside) => {}
            (Cancelled::Message(message), Wait::Sending(_, letter)) => {
                assert_eq!(Letter::of(&message), letter);
                self.messages.push(message);
            }
            (Cancelled::Completed(completion), Wait::Done(end)) => self.ended(completion, end),
            (cancelled, expected) => panic!("{cancelled:?}, not {expected:?}"),
        }
    }

    pub fn renew_reply_port(&mut self, thread: usize) {
        self.ipc.renew_reply_port(ThreadId(thread as u32));
        self.model.renew_reply_port(thread);
    }

    pub fn unregister_thread(&mut self, thread: usize) {
        self.ipc.unregister_thread(ThreadId(thread as u32));
        self.model.unregister(thread);
    }

    pub fn wait_outside(&mut self, thread: usize) {
        self.ipc.wait_outside(ThreadId(thread as u32));
        let wait = &mut self.model.threads[thread].wait;
        if *wait == Wait::Idle {
            *wait = Wait::Outside;
        }
    }

    pub fn complete(&mut self, thread: usize, value: u32) {
        self.ipc.complete(ThreadId(thread as u32), value);
        if self.model.threads[thread].wait == Wait::Outside {
            self.model.end(thread, End::Signalled(value));
        }
    }
}
