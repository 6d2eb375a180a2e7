//! One-way messages: a thread that sends as fast as it may, and a slow receiver.

use core::time::Duration;

use norma_ipc::{Completion, Delivery, Name, RightKind};

use super::client::{Finder, Found};
use super::{Actor, Context, Next, Request};

/// Sends notes to a named port, as fast as its queue allows.
pub struct Sender {
    finder: Finder,
    target: Option<Name>,
    left: u32,
    max_memory: usize,
    /// The note for which there was no room yet.
    waiting: Option<u64>,
}

impl Sender {
    /// Will send `count` notes to `text`, some with as much as `max_memory` bytes of memory.
    #[must_use]
    pub fn new(text: &str, count: u32, max_memory: usize) -> Self {
        Sender {
            finder: Finder::new(text),
            target: None,
            left: count,
            max_memory,
            waiting: None,
        }
    }

    fn send_all(&mut self, cx: &mut Context<'_>, target: Name) -> Next {
        while self.left > 0 {
            self.left -= 1;
            let number = cx.ledger.number();
            let sender = (cx.machine as u64) << 32 | u64::from(cx.thread.0);
            let Ok(mut note) = cx.node.ipc().new_message() else {
                cx.ledger.failed(number);
                continue;
            };
            let large = cx.random.below(8) == 0;
            let most = if large { self.max_memory as u64 } else { 0 };
            let memory = cx.random.below(most + 1) as u32;
            let request = Request {
                memory,
                ..Request::note(number, sender)
            };
            let _ = request.write(cx.node, &mut note);
            match cx.send(target, note) {
                Ok(true) => {}
                Ok(false) => {
                    self.waiting = Some(number);
                    return Next::Wait;
                }
                Err(error) => {
                    cx.ledger.failed(number);
                    cx.node.ipc().discard(error.message);
                }
            }
        }
        let _ = cx.node.ipc().deallocate(cx.space, target, RightKind::Send);
        Next::Done
    }
}

impl Actor for Sender {
    fn run(&mut self, cx: &mut Context<'_>) -> Next {
        let target = match self.target {
            Some(target) => target,
            None => match self.finder.run(cx) {
                Found::Name(name) => *self.target.insert(name),
                Found::Not(next) => return next,
            },
        };
        if let Some(number) = self.waiting {
            match cx.node.ipc().take_completion(cx.thread) {
                Some(Completion::Sent) => self.waiting = None,
                Some(Completion::Refused(_, message)) => {
                    self.waiting = None;
                    cx.ledger.failed(number);
                    cx.node.ipc().discard(message);
                }
                _ => return Next::Wait,
            }
        }
        self.send_all(cx, target)
    }
}

/// Receives notes, one in each pause.
pub struct Receiver {
    text: String,
    port: Option<Name>,
    pause: Duration,
    ready_at: Duration,
}

impl Receiver {
    /// A receiver of that name.
    #[must_use]
    pub fn new(text: &str, pause: Duration) -> Self {
        Receiver {
            text: text.into(),
            port: None,
            pause,
            ready_at: Duration::ZERO,
        }
    }

    fn open(&mut self, cx: &mut Context<'_>) -> Option<Name> {
        let port = cx.node.ipc().allocate_port(cx.space).ok()?;
        let right = cx
            .node
            .ipc()
            .make_right(cx.space, port, RightKind::Send)
            .ok()?;
        let name = cx.node.ipc().insert(cx.space, right).ok()?;
        cx.node
            .check_in(crate::machine::instant(cx.now), cx.space, name, &self.text)
            .ok()?;
        cx.node
            .ipc()
            .deallocate(cx.space, name, RightKind::Send)
            .ok()?;
        self.port = Some(port);
        self.port
    }

    fn take(&mut self, cx: &mut Context<'_>, delivery: Delivery<norma_ipc::HeapPage>) {
        self.ready_at = cx.now + self.pause;
        let Delivery::Message(message) = delivery else {
            return;
        };
        match Request::read(&message) {
            Ok(note) => {
                let receiver = (cx.machine as u64) << 32 | u64::from(cx.thread.0);
                cx.ledger.one_way(receiver, note.sender, note.number);
            }
            Err(what) => cx.ledger.accuse(|| what),
        }
        cx.node.ipc().discard(message);
    }
}

impl Actor for Receiver {
    fn is_service(&self) -> bool {
        true
    }

    fn run(&mut self, cx: &mut Context<'_>) -> Next {
        let Some(port) = self.port.or_else(|| self.open(cx)) else {
            cx.ledger
                .accuse(|| "a receiver could not open its port".into());
            return Next::Done;
        };
        if let Some(Completion::Received(delivery)) = cx.node.ipc().take_completion(cx.thread) {
            self.take(cx, delivery);
        }
        while cx.now >= self.ready_at {
            match cx.node.ipc().receive_or_wait(cx.thread, cx.space, port) {
                Ok(Some(delivery)) => self.take(cx, delivery),
                Ok(None) | Err(_) => return Next::Wait,
            }
        }
        Next::Until(self.ready_at)
    }
}
