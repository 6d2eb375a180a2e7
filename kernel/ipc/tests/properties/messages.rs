//! Steps on messages and waits.

use norma_ipc::*;

use crate::model::{End, Entry, Fate, Holder, Item, Letter, Port, Target, Wait, held};
use crate::world::{THREADS, World, draw, pick};

impl World {
    /// A message with up to two rights and a reply right.
    pub(crate) fn compose(&mut self, c: u8) -> Message<HeapPage> {
        let mut message = self.ipc.new_message().unwrap();
        assert!(message.rights().is_empty() && message.reply().is_none());
        assert!(message.data().is_empty() && message.memory().is_empty());
        self.next += 1;
        message.set_id(self.next);
        for bit in [1, 2] {
            if c & bit != 0
                && let Some(right) = draw(&mut self.rights, c)
            {
                message.push_right(right).unwrap();
            }
        }
        let thread = u32::from(c >> 4) % THREADS;
        match c & 12 {
            4 => {
                self.ipc
                    .attach_reply(ThreadId(thread), &mut message)
                    .unwrap();
                let id = message.reply().and_then(Right::port).unwrap();
                let known = self.model.ports.contains_key(&id);
                if !known {
                    self.model.ports.insert(id, Port::new(None, Holder::Thread));
                    self.model.renew_reply_port(thread as usize);
                    self.model.threads[thread as usize].reply = Some(id);
                }
                assert_eq!(self.model.threads[thread as usize].reply, Some(id));
                self.model.count((RightKind::SendOnce, Target::Port(id)));
                if c & 128 != 0 {
                    self.ipc.detach_reply(&mut message);
                    assert!(message.reply().is_none());
                    self.model.ports.get_mut(&id).unwrap().onces -= 1;
                }
            }
            8 => {
                if let Some(right) = draw(&mut self.rights, c)
                    && let Err(right) = message.set_reply(right)
                {
                    assert_eq!(right.kind(), RightKind::Receive);
                    self.rights.push(right);
                }
            }
            _ => {}
        }
        message
    }

    /// Compares what became of a send with what had to; a message that comes back is whole.
    pub(crate) fn compare(
        &mut self,
        sent: Result<Sent<HeapPage>, SendError<HeapPage>>,
        expected: Fate,
        letter: &Letter,
    ) {
        match (sent, expected) {
            (Ok(Sent::Queued), Fate::Queued) | (Ok(Sent::Waiting), Fate::Waiting) => {}
            (Ok(Sent::Handed(ThreadId(thread))), Fate::Handed(other)) => {
                assert_eq!(thread as usize, other);
            }
            (Ok(Sent::Forward { token, message, .. }), Fate::Forward(other)) => {
                assert_eq!(token.0, other);
                assert_eq!(Letter::of(&message), *letter);
                self.messages.push(message);
            }
            (Err(SendError { failure, message }), Fate::Failed(other)) => {
                assert_eq!(failure, other);
                assert_eq!(Letter::of(&message), *letter);
                self.messages.push(message);
            }
            (sent, expected) => panic!("{sent:?}, not {expected:?}"),
        }
    }

    pub(crate) fn send(&mut self, a: u8, b: u8, c: u8) {
        let Some(((space, name), entry)) = self.name(a) else {
            return;
        };
        let message = self.compose(c);
        let letter = Letter::of(&message);
        let wait = (b & 1 != 0).then_some(u32::from(b >> 1) % THREADS);
        let expected = match entry {
            None => Fate::Failed(SendFailure::Right(RightError::InvalidName)),
            Some(Entry {
                sends: 0,
                once: false,
                ..
            }) => Fate::Failed(SendFailure::Right(RightError::InvalidRight)),
            Some(Entry { target, once, .. }) => {
                let wait = wait.map(|thread| thread as usize);
                let fate = self.model.deliver(target, once, letter.clone(), wait);
                if once && !matches!(fate, Fate::Failed(_)) {
                    self.model.names.remove(&(space, name));
                }
                fate
            }
        };
        let sent = self.ipc.send(space, name, message, wait.map(ThreadId));
        self.compare(sent, expected, &letter);
    }

    pub(crate) fn send_to(&mut self, a: u8, b: u8, c: u8) {
        let Some(right) = draw(&mut self.rights, a) else {
            return;
        };
        let message = self.compose(c);
        let letter = Letter::of(&message);
        let (kind, target) = held(&right);
        let wait = (b & 1 != 0).then_some(u32::from(b >> 1) % THREADS);
        let expected = if kind == RightKind::Receive {
            Fate::Failed(SendFailure::Right(RightError::InvalidRight))
        } else {
            let once = kind == RightKind::SendOnce;
            let wait = wait.map(|thread| thread as usize);
            let fate = self.model.deliver(target, once, letter.clone(), wait);
            if !once && !matches!(fate, Fate::Failed(_)) {
                self.model.release((kind, target));
            }
            fate
        };
        let sent = match self.ipc.send_to(right, message, wait.map(ThreadId)) {
            Ok(sent) => Ok(sent),
            Err((right, error)) => {
                assert_eq!(held(&right), (kind, target));
                self.rights.push(right);
                Err(error)
            }
        };
        self.compare(sent, expected, &letter);
    }

    pub(crate) fn reply(&mut self, a: u8) {
        let Some(message) = draw(&mut self.messages, a) else {
            return;
        };
        let letter = Letter::of(&message);
        let mut answer = letter.clone();
        let expected = match answer.reply.take() {
            None => Fate::Failed(SendFailure::Right(RightError::InvalidRight)),
            Some((kind, target)) => {
                let once = kind == RightKind::SendOnce;
                let fate = self.model.deliver(target, once, answer.clone(), None);
                if !once && !matches!(fate, Fate::Failed(_)) {
                    self.model.release((kind, target));
                }
                fate
            }
        };
        let whole = if matches!(expected, Fate::Failed(_)) {
            letter
        } else {
            answer
        };
        let sent = self.ipc.reply(message);
        self.compare(sent, expected, &whole);
    }

    pub(crate) fn same(&mut self, delivery: Delivery<HeapPage>, expected: Item) {
        match (delivery, expected) {
            (Delivery::Message(message), Item::Letter(letter)) => {
                assert_eq!(Letter::of(&message), letter);
                self.messages.push(message);
            }
            (Delivery::Notification(Notification::SendOnce(reason)), Item::News(other)) => {
                assert_eq!(reason, other);
            }
            (delivery, expected) => panic!("{delivery:?}, not {expected:?}"),
        }
    }

    pub(crate) fn receive(&mut self, a: u8) {
        let Some(((space, name), entry)) = self.name(a) else {
            return;
        };
        let received = self.ipc.receive(space, name);
        let expected = Self::receive_port(entry).and_then(|id| match self.model.take(id) {
            Some(item) => Ok(Some(item)),
            None => self.model.trouble(id).map_or(Ok(None), Err),
        });
        match (received, expected) {
            (Ok(delivery), Ok(Some(item))) => self.same(delivery, item),
            (Err(ReceiveError::Empty), Ok(None)) => {}
            (Err(ReceiveError::Right(error)), Err(other)) => assert_eq!(error, other),
            (received, expected) => panic!("{received:?}, not {expected:?}"),
        }
    }

    pub(crate) fn wait_for(
        &mut self,
        thread: usize,
        received: Result<Option<Delivery<HeapPage>>, RightError>,
        port: Result<PortId, RightError>,
    ) {
        let expected = port.and_then(|id| match self.model.take(id) {
            Some(item) => Ok(Some(item)),
            None => {
                if let Some(error) = self.model.trouble(id) {
                    return Err(error);
                }
                if self.model.threads[thread].wait != Wait::Idle {
                    return Err(RightError::InvalidRight);
                }
                self.model.threads[thread].wait = Wait::Receiving(id);
                self.model
                    .ports
                    .get_mut(&id)
                    .unwrap()
                    .receivers
                    .push_back(thread);
                Ok(None)
            }
        });
        match (received, expected) {
            (Ok(Some(delivery)), Ok(Some(item))) => self.same(delivery, item),
            (Ok(None), Ok(None)) => {}
            (Err(error), Err(other)) => assert_eq!(error, other),
            (received, expected) => panic!("{received:?}, not {expected:?}"),
        }
    }

    pub(crate) fn receive_or_wait(&mut self, a: u8, b: u8) {
        let Some(((space, name), entry)) = self.name(a) else {
            return;
        };
        let thread = u32::from(b) % THREADS;
        let received = self.ipc.receive_or_wait(ThreadId(thread), space, name);
        self.wait_for(thread as usize, received, Self::receive_port(entry));
    }

    pub(crate) fn await_reply(&mut self, a: u8) {
        let thread = u32::from(a) % THREADS;
        let received = self.ipc.await_reply(ThreadId(thread));
        let none = RightError::InvalidName;
        let port = self.model.threads[thread as usize]
            .reply
            .ok_or(none)
            .and_then(|id| {
                let port = &self.model.ports[&id];
                let hopeless = port.queue.is_empty() && port.onces == 0;
                if hopeless { Err(none) } else { Ok(id) }
            });
        self.wait_for(thread as usize, received, port);
    }

    pub(crate) fn ended(&mut self, completion: Completion<HeapPage>, expected: End) {
        match (completion, expected) {
            (Completion::Received(delivery), End::Received(item)) => self.same(delivery, item),
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

    pub(crate) fn take_completion(&mut self, a: u8) {
        let thread = u32::from(a) % THREADS;
        let expected = match &self.model.threads[thread as usize].wait {
            Wait::Done(end) => Some(end.clone()),
            _ => None,
        };
        match (self.ipc.take_completion(ThreadId(thread)), expected) {
            (Some(completion), Some(end)) => {
                let _ = self.model.cancel(thread as usize);
                self.ended(completion, end);
            }
            (None, None) => {}
            (completion, expected) => panic!("{completion:?}, not {expected:?}"),
        }
    }

    pub(crate) fn cancel(&mut self, a: u8, b: u8) {
        let thread = u32::from(a) % THREADS;
        let expected = self.model.cancel(thread as usize);
        match (self.ipc.cancel(ThreadId(thread)), expected) {
            (Cancelled::Nothing, Wait::Idle | Wait::Receiving(_) | Wait::Outside) => {}
            (Cancelled::Message(message), Wait::Sending(_, letter)) => {
                assert_eq!(Letter::of(&message), letter);
                self.messages.push(message);
            }
            (Cancelled::Completed(completion), Wait::Done(end)) => self.ended(completion, end),
            (cancelled, expected) => panic!("{cancelled:?}, not {expected:?}"),
        }
        if b & 1 != 0 {
            self.ipc.renew_reply_port(ThreadId(thread));
            self.model.renew_reply_port(thread as usize);
        }
    }

    /// Takes a message apart, or destroys it.
    pub(crate) fn open(&mut self, a: u8, b: u8) {
        let Some(mut message) = draw(&mut self.messages, a) else {
            return;
        };
        if b & 1 != 0 {
            while let Some(right) = message.take_right() {
                self.rights.push(right);
            }
        }
        if b & 2 != 0
            && let Some(right) = message.take_reply()
        {
            self.rights.push(right);
        }
        self.model.discard(Letter::of(&message));
        self.ipc.discard(message);
    }

    pub(crate) fn carry(&mut self, a: u8, b: u8) {
        let proxies = self
            .model
            .ports
            .iter()
            .filter(|(_, port)| port.proxy.is_some());
        let ids: Vec<PortId> = proxies.map(|(id, _)| *id).collect();
        let Some(id) = pick(&ids, a) else { return };
        let port = self.model.ports.get_mut(&id).unwrap();
        let carried = match b % 4 {
            0 => {
                port.under_way = port.under_way.saturating_sub(1);
                self.ipc.carried(id)
            }
            1 => {
                port.held_back = true;
                self.ipc.hold_back(id, true);
                None
            }
            _ => {
                port.held_back = false;
                self.ipc.hold_back(id, false);
                self.ipc.next_to_carry(id)
            }
        };
        let expected = if b % 4 == 1 {
            None
        } else {
            self.model.carry_next(id)
        };
        assert_eq!(
            carried.as_ref().map(|(_, message)| Letter::of(message)),
            expected
        );
        if let Some((_, message)) = carried {
            self.messages.push(message);
        }
    }

    pub(crate) fn wait_outside(&mut self, a: u8, b: u8) {
        let thread = u32::from(a) % THREADS;
        let wait = &mut self.model.threads[thread as usize].wait;
        if b & 1 == 0 {
            self.ipc.wait_outside(ThreadId(thread));
            if *wait == Wait::Idle {
                *wait = Wait::Outside;
            }
        } else {
            self.ipc.complete(ThreadId(thread), b.into());
            if *wait == Wait::Outside {
                self.model.end(thread as usize, End::Signalled(b.into()));
            }
        }
    }
}
