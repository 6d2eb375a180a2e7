//! Steps on messages: compose, send, reply, take apart, carry to other nodes.

use norma_ipc::*;

use super::World;
use super::model::{At, Entry, Fate, Holder, Letter, Port, Target, held};
use super::operation::{Content, Reply};
use super::page::CountedPage;

impl World {
    pub fn compose(&mut self, content: Content) -> Message<CountedPage> {
        let mut message = self.ipc.new_message().unwrap();
        assert!(message.rights().is_empty() && message.reply().is_none());
        assert!(message.data().is_empty() && message.memory().is_empty());
        assert!(message.port().is_none() && !message.has_context() && !message.expects_reply());
        let tag = self.number();
        message.set_id(tag);
        message.set_data(&vec![tag as u8; content.bytes]).unwrap();
        assert_eq!(message.format(), Format::RAW);
        message.set_format(Format::from_bits((tag / 2) as u8));
        message.set_context(Context {
            deadline: u64::from(tag % 2) * u64::from(tag),
            ..Context::default()
        });
        for _ in 0..content.pages {
            let page = self.new_page();
            message.memory_mut().push(page, PAGE_SIZE).unwrap();
        }
        if content.shared
            && let Some(page) = self
                .messages
                .last()
                .and_then(|m| m.memory().pages().first())
        {
            message.memory_mut().push(page.share(), 7).unwrap();
        }
        for choice in content.rights.into_iter().flatten() {
            if let Some(right) = self.draw_right(choice) {
                message.push_right(right).unwrap();
            }
        }
        match content.reply {
            Reply::Nothing => {}
            Reply::Right(choice) => {
                if let Some(right) = self.draw_right(choice)
                    && let Err(right) = message.set_reply(right)
                {
                    assert_eq!(right.kind(), RightKind::Receive);
                    self.rights.push(right);
                }
            }
            Reply::Call(thread) => self.attach_reply(thread, &mut message),
            Reply::TakenBack(thread) => {
                self.attach_reply(thread, &mut message);
                let id = message.reply().and_then(Right::port).unwrap();
                self.ipc.detach_reply(&mut message);
                assert!(message.reply().is_none() && !message.expects_reply());
                self.model.port(id).onces -= 1;
                self.model.ledger.taken_back += 1;
            }
        }
        message
    }

    fn attach_reply(&mut self, thread: u32, message: &mut Message<CountedPage>) {
        let thread = self.thread(thread);
        self.ipc
            .attach_reply(ThreadId(thread as u32), message)
            .unwrap();
        let id = message.reply().and_then(Right::port).unwrap();
        if self.model.threads[thread].reply != Some(id) {
            let port = Port::new(None, Holder::Thread);
            assert!(self.model.ports.insert(id, port).is_none());
            self.model.renew_reply_port(thread);
            self.model.threads[thread].reply = Some(id);
        }
        self.model.count((RightKind::SendOnce, Target::Port(id)));
    }

    /// Compares what became of a send with what had to; a message that comes back is whole.
    fn compare(
        &mut self,
        sent: Result<Sent<CountedPage>, SendError<CountedPage>>,
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

    fn waiter(&self, wait: Option<u32>) -> (Option<usize>, Option<ThreadId>) {
        let thread = wait.map(|thread| self.thread(thread));
        (thread, thread.map(|thread| ThreadId(thread as u32)))
    }

    pub fn send(&mut self, at: At, message: Message<CountedPage>, wait: Option<u32>) {
        let letter = Letter::of(&message);
        let (waiter, thread) = self.waiter(wait);
        let expected = match self.entry(at) {
            Err(error) => Fate::refused(error),
            Ok(Entry {
                sends: 0,
                once: false,
                ..
            }) => Fate::refused(RightError::InvalidRight),
            Ok(Entry { target, once, .. }) => {
                let fate = self.model.deliver(target, once, letter.clone(), waiter);
                if once && !fate.is_failure() {
                    self.model.names.remove(&at);
                    self.model.name_deleted(at);
                }
                fate
            }
        };
        let sent = self.ipc.send(at.0, at.1, message, thread);
        self.compare(sent, expected, &letter);
    }

    pub fn send_to(&mut self, right: Right, message: Message<CountedPage>, wait: Option<u32>) {
        let letter = Letter::of(&message);
        let (kind, target) = held(&right);
        let (waiter, thread) = self.waiter(wait);
        let expected = if kind == RightKind::Receive {
            Fate::refused(RightError::InvalidRight)
        } else {
            self.deliver_with((kind, target), letter.clone(), waiter)
        };
        let sent = match self.ipc.send_to(right, message, thread) {
            Ok(sent) => Ok(sent),
            Err((right, error)) => {
                assert_eq!(held(&right), (kind, target));
                self.rights.push(right);
                Err(error)
            }
        };
        self.compare(sent, expected, &letter);
    }

    /// Delivers with a right that is used up, or given up, if that succeeds.
    pub(super) fn deliver_with(
        &mut self,
        (kind, target): super::model::Held,
        letter: Letter,
        wait: Option<usize>,
    ) -> Fate {
        let once = kind == RightKind::SendOnce;
        let fate = self.model.deliver(target, once, letter, wait);
        if !once && !fate.is_failure() {
            self.model.release((kind, target));
        }
        fate
    }

    pub fn post(&mut self, id: PortId, message: Message<CountedPage>, wait: Option<u32>) {
        let letter = Letter::of(&message);
        let (waiter, thread) = self.waiter(wait);
        let target = Target::Port(id);
        let expected = self.model.deliver(target, false, letter.clone(), waiter);
        let sent = self.ipc.post(id, message, thread);
        self.compare(sent, expected, &letter);
    }

    pub fn reply(&mut self, message: Message<CountedPage>) {
        let letter = Letter::of(&message);
        let mut answer = letter.clone();
        answer.expects_reply = false;
        let expected = match answer.reply.take() {
            None => Fate::refused(RightError::InvalidRight),
            Some(right) => self.deliver_with(right, answer.clone(), None),
        };
        let whole = if expected.is_failure() {
            letter
        } else {
            answer
        };
        let sent = self.ipc.reply(message);
        self.compare(sent, expected, &whole);
    }

    /// Destroys a message, or takes it apart first.
    pub fn discard(
        &mut self,
        mut message: Message<CountedPage>,
        rights_first: bool,
        because: Reason,
    ) {
        if rights_first {
            self.rights
                .extend(std::iter::from_fn(|| message.take_right()));
            self.rights.extend(message.take_reply());
        }
        self.model.discard(Letter::of(&message), because);
        match because {
            Reason::Unanswered => self.ipc.discard(message),
            _ => self.ipc.discard_because(message, because),
        }
    }

    fn carry(
        &mut self,
        carried: Option<(RemoteToken, Message<CountedPage>)>,
        expected: Option<Letter>,
    ) {
        let letter = carried.as_ref().map(|(_, message)| Letter::of(message));
        assert_eq!(letter, expected);
        self.messages.extend(carried.map(|(_, message)| message));
    }

    pub fn carried(&mut self, id: PortId) {
        let port = self.model.port(id);
        port.under_way = port.under_way.saturating_sub(1);
        let expected = self.model.carry_next(id);
        let carried = self.ipc.carried(id);
        self.carry(carried, expected);
    }

    /// Letting senders go on means to carry what they wait with, until there is none.
    pub fn hold_back(&mut self, id: PortId, hold: bool) {
        self.model.port(id).held_back = hold;
        self.ipc.hold_back(id, hold);
        while !hold && self.next_to_carry(id) {}
    }

    pub fn next_to_carry(&mut self, id: PortId) -> bool {
        let expected = self.model.carry_next(id);
        let more = expected.is_some();
        let carried = self.ipc.next_to_carry(id);
        self.carry(carried, expected);
        more
    }
}
