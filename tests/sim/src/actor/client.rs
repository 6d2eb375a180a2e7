//! A client: looks a server up, and calls it again and again.

use core::time::Duration;

use norma_ipc::{Cancelled, Completion, Delivery, HeapPage, Name, Notification, Reason, RightKind};
use norma_net::{LookUp, NAME_UNKNOWN};

use super::{Actor, Context, Next, Operation, Request};
use crate::Message;
use crate::machine::instant;

/// What became of looking for a name.
pub(crate) enum Found {
    Name(Name),
    Not(Next),
}

/// Looks a name up until it is found: on a bad network one try can fail.
pub(crate) struct Finder {
    text: String,
    asking: bool,
    retry_at: Duration,
    tries: u32,
}

/// Look-ups in vain after which there is nobody of that name: on a network that loses a third
/// of all frames, one in a hundred fails.
const TRIES: u32 = 25;

impl Finder {
    pub(crate) fn new(text: &str) -> Self {
        Finder {
            text: text.into(),
            asking: false,
            retry_at: Duration::ZERO,
            tries: 0,
        }
    }

    pub(crate) fn run(&mut self, cx: &mut Context<'_>) -> Found {
        if self.asking {
            let Some(completion) = cx.node.ipc().take_completion(cx.thread) else {
                return Found::Not(Next::Wait);
            };
            self.asking = false;
            if let Completion::Received(delivery) = completion
                && let Some(name) = self.take(cx, delivery)
            {
                return Found::Name(name);
            }
            self.retry_at = cx.now + Duration::from_millis(200);
        }
        if cx.now < self.retry_at {
            return Found::Not(Next::Until(self.retry_at));
        }
        self.tries += 1;
        if self.tries > TRIES {
            let (text, deaths) = (&self.text, cx.ledger.deaths);
            if !deaths {
                cx.ledger.accuse(|| format!("nobody is called {text}"));
            }
            return Found::Not(Next::Done);
        }
        match cx
            .node
            .look_up(instant(cx.now), cx.thread, &self.text, None)
        {
            Ok(LookUp::Found(right)) => match cx.node.ipc().insert(cx.space, right) {
                Ok(name) => return Found::Name(name),
                Err(refused) => cx.node.ipc().release(refused.right),
            },
            Ok(LookUp::Asked) => match cx.node.ipc().await_reply(cx.thread) {
                Ok(None) => {
                    self.asking = true;
                    return Found::Not(Next::Wait);
                }
                Ok(Some(delivery)) => {
                    if let Some(name) = self.take(cx, delivery) {
                        return Found::Name(name);
                    }
                }
                Err(error) => cx
                    .ledger
                    .accuse(|| format!("no answer to wait for: {error}")),
            },
            Err(_) => {}
        }
        self.retry_at = cx.now + Duration::from_millis(200);
        Found::Not(Next::Until(self.retry_at))
    }

    fn take(&self, cx: &mut Context<'_>, delivery: Delivery<HeapPage>) -> Option<Name> {
        let Delivery::Message(mut message) = delivery else {
            return None;
        };
        let right = (message.id() != NAME_UNKNOWN)
            .then(|| message.take_right())
            .flatten();
        cx.node.ipc().discard(message);
        cx.node.ipc().insert(cx.space, right?).ok()
    }
}

/// Which calls a client makes.
#[derive(Clone, Debug)]
pub struct Calls {
    /// How many.
    pub count: u32,
    /// Whether some of them pass rights.
    pub rights: bool,
    /// Most bytes of memory, there and back.
    pub max_memory: usize,
    /// Most bytes of inline data.
    pub max_inline: usize,
    /// How long it waits for an answer, if not for ever.
    pub patience: Option<Duration>,
    /// It stops at the first call that fails, as it may.
    pub may_fail: bool,
}

enum State {
    Idle,
    /// Waits for room; then for the answer.
    Sending(u64),
    Waiting(u64, Duration),
}

/// Calls a named server.
pub struct Client {
    finder: Finder,
    target: Option<Name>,
    calls: Calls,
    state: State,
    /// A port of its own, for answers that come as messages.
    port: Option<Name>,
    /// Notes that must come to it.
    expected: u32,
}

impl Client {
    /// Will make those calls to `text`.
    #[must_use]
    pub fn new(text: &str, calls: Calls) -> Self {
        let finder = Finder::new(text);
        Client {
            finder,
            target: None,
            calls,
            state: State::Idle,
            port: None,
            expected: 0,
        }
    }

    fn size(cx: &mut Context<'_>, most: usize) -> u32 {
        // Small sizes are as likely as large ones.
        let scale = cx.random.below(most as u64 + 1);
        match cx.random.below(4) {
            0 => 0,
            1 => scale.min(100) as u32,
            2 => (scale / 16) as u32,
            _ => scale as u32,
        }
    }

    fn request(&self, cx: &mut Context<'_>) -> Request {
        let operation = match (self.calls.rights, cx.random.below(8)) {
            (true, 0) => Operation::Drop,
            (true, 1 | 2) => Operation::CallBack,
            (true, 3 | 4) => Operation::Return,
            _ => Operation::Echo,
        };
        Request {
            number: cx.ledger.number(),
            sender: (cx.machine as u64) << 32 | u64::from(cx.thread.0),
            memory: Self::size(cx, self.calls.max_memory),
            answer: Self::size(cx, self.calls.max_memory),
            inline: Self::size(cx, self.calls.max_inline),
            operation,
        }
    }

    /// Puts a right to our own port in, or a copy of the one that we call.
    fn add_right(&mut self, cx: &mut Context<'_>, request: &Request, message: &mut Message) {
        let port = match self.port {
            Some(port) => port,
            None => match cx.node.ipc().allocate_port(cx.space) {
                Ok(port) => *self.port.insert(port),
                Err(_) => return,
            },
        };
        let right = match (request.operation, cx.random.below(3), self.target) {
            (Operation::CallBack | Operation::Return, 0, _) => {
                cx.node
                    .ipc()
                    .make_right(cx.space, port, RightKind::SendOnce)
            }
            (Operation::Return, 1, Some(target)) => cx.node.ipc().copy_send(cx.space, target),
            _ => cx.node.ipc().make_right(cx.space, port, RightKind::Send),
        };
        if let Ok(right) = right {
            self.expected += u32::from(request.operation == Operation::CallBack);
            let _ = message.push_right(right);
        }
    }

    fn call(&mut self, cx: &mut Context<'_>, target: Name) -> Next {
        let request = self.request(cx);
        let number = request.number;
        let Ok(mut message) = cx.node.ipc().new_message() else {
            return self.fail(cx, number, "no memory for a message");
        };
        if request.write(cx.node, &mut message).is_none() {
            cx.node.ipc().discard(message);
            return self.fail(cx, number, "no memory for the data");
        }
        if matches!(request.operation, Operation::CallBack | Operation::Return) {
            self.add_right(cx, &request, &mut message);
        }
        if cx.node.ipc().attach_reply(cx.thread, &mut message).is_err() {
            cx.node.ipc().discard(message);
            return self.fail(cx, number, "no reply right");
        }
        match cx.send(target, message) {
            Ok(true) => self.await_reply(cx, number),
            Ok(false) => {
                self.state = State::Sending(number);
                Next::Wait
            }
            Err(mut error) => {
                cx.node.ipc().detach_reply(&mut error.message);
                cx.node.ipc().discard(error.message);
                self.fail(cx, number, &format!("not sent: {}", error.failure))
            }
        }
    }

    fn await_reply(&mut self, cx: &mut Context<'_>, number: u64) -> Next {
        match cx.node.ipc().await_reply(cx.thread) {
            Ok(None) => {
                let until = self.calls.patience.map(|patience| cx.now + patience);
                self.state = State::Waiting(number, until.unwrap_or(Duration::MAX));
                until.map_or(Next::Wait, Next::Until)
            }
            Ok(Some(delivery)) => self.answered(cx, number, delivery),
            Err(error) => self.fail(cx, number, &format!("no reply to wait for: {error}")),
        }
    }

    fn answered(&mut self, cx: &mut Context<'_>, number: u64, got: Delivery<HeapPage>) -> Next {
        self.state = State::Idle;
        match got {
            Delivery::Message(mut message) => {
                match Request::read(&message) {
                    Ok(reply) if reply.number == number => cx.ledger.answered(number),
                    Ok(reply) => {
                        let got = reply.number;
                        cx.ledger
                            .accuse(|| format!("call {number} got the answer to {got}"));
                    }
                    Err(what) => cx.ledger.accuse(|| what),
                }
                while let Some(right) = message.take_right() {
                    cx.node.ipc().release(right);
                }
                cx.node.ipc().discard(message);
                self.next(cx)
            }
            // The one failure that a server chooses.
            Delivery::Notification(Notification::SendOnce(Reason::Unanswered))
                if self.calls.rights =>
            {
                cx.ledger.failed(number);
                self.next(cx)
            }
            Delivery::Notification(Notification::SendOnce(reason)) => {
                self.fail(cx, number, &reason.to_string())
            }
            Delivery::Notification(other) => self.fail(cx, number, &format!("told {other:?}")),
        }
    }

    fn fail(&mut self, cx: &mut Context<'_>, number: u64, why: &str) -> Next {
        self.state = State::Idle;
        cx.ledger.failed(number);
        if self.calls.may_fail {
            self.calls.count = 0;
            return self.finish(cx);
        }
        let (machine, thread) = (cx.machine, cx.thread.0);
        cx.ledger
            .accuse(|| format!("call {number} of {machine}.{thread} failed: {why}"));
        Next::Done
    }

    /// One more call, or the end.
    fn next(&mut self, cx: &mut Context<'_>) -> Next {
        self.drain(cx);
        self.calls.count = self.calls.count.saturating_sub(1);
        if self.calls.count == 0 {
            self.finish(cx)
        } else {
            Next::Until(cx.now)
        }
    }

    /// Takes the notes that have come to our own port.
    fn drain(&mut self, cx: &mut Context<'_>) {
        let Some(port) = self.port else {
            return;
        };
        while let Ok(delivery) = cx.node.ipc().receive(cx.space, port) {
            let Delivery::Message(message) = delivery else {
                continue;
            };
            match Request::read(&message) {
                Ok(note) => {
                    cx.ledger.executed(note.number);
                    self.expected = self.expected.saturating_sub(1);
                }
                Err(what) => cx.ledger.accuse(|| what),
            }
            cx.node.ipc().discard(message);
        }
    }

    fn finish(&mut self, cx: &mut Context<'_>) -> Next {
        self.drain(cx);
        if self.expected > 0 && !self.calls.may_fail {
            return Next::Until(cx.now + Duration::from_millis(20));
        }
        if let Some(target) = self.target.take() {
            let _ = cx.node.ipc().deallocate(cx.space, target, RightKind::Send);
        }
        if let Some(port) = self.port.take() {
            let _ = cx.node.ipc().deallocate(cx.space, port, RightKind::Receive);
        }
        Next::Done
    }

    /// The time for an answer is over.
    fn give_up(&mut self, cx: &mut Context<'_>, number: u64) -> Next {
        match cx.node.ipc().cancel(cx.thread) {
            Cancelled::Completed(Completion::Received(delivery)) => {
                return self.answered(cx, number, delivery);
            }
            Cancelled::Message(message) => cx.node.ipc().discard(message),
            _ => {}
        }
        cx.node.ipc().renew_reply_port(cx.thread);
        self.state = State::Idle;
        cx.ledger.failed(number);
        self.next(cx)
    }
}

impl Actor for Client {
    fn run(&mut self, cx: &mut Context<'_>) -> Next {
        let target = match self.target {
            Some(target) => target,
            None if self.calls.count == 0 => return self.finish(cx),
            None => match self.finder.run(cx) {
                Found::Name(name) => *self.target.insert(name),
                Found::Not(next) => return next,
            },
        };
        match self.state {
            State::Idle if self.calls.count == 0 => self.finish(cx),
            State::Idle => self.call(cx, target),
            State::Sending(number) => match cx.node.ipc().take_completion(cx.thread) {
                Some(Completion::Sent) => self.await_reply(cx, number),
                Some(Completion::Refused(reason, mut message)) => {
                    cx.node.ipc().detach_reply(&mut message);
                    cx.node.ipc().discard(message);
                    self.fail(cx, number, &reason.to_string())
                }
                _ => Next::Wait,
            },
            State::Waiting(number, until) => match cx.node.ipc().take_completion(cx.thread) {
                Some(Completion::Received(delivery)) => self.answered(cx, number, delivery),
                Some(_) => self.fail(cx, number, "the reply port died"),
                None if cx.now >= until => self.give_up(cx, number),
                None if until == Duration::MAX => Next::Wait,
                None => Next::Until(until),
            },
        }
    }
}
