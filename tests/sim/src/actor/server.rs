//! A server: receives, does what is asked, replies.

use norma_ipc::{Delivery, Name, RightKind};

use super::{Actor, Context, Next, Operation, Request};
use crate::Message;

/// Serves one port, under one name.
pub struct Server {
    text: String,
    port: Option<Name>,
}

impl Server {
    /// A server of that name.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Server {
            text: text.into(),
            port: None,
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

    fn serve(cx: &mut Context<'_>, mut message: Message) {
        let request = match Request::read(&message) {
            Ok(request) => request,
            Err(what) => {
                cx.ledger.accuse(|| what);
                return cx.node.ipc().discard(message);
            }
        };
        if request.operation == Operation::Note {
            let receiver = (cx.machine as u64) << 32 | u64::from(cx.thread.0);
            cx.ledger.one_way(receiver, request.sender, request.number);
            return cx.node.ipc().discard(message);
        }
        cx.ledger.executed(request.number);
        match request.operation {
            Operation::Drop => return cx.node.ipc().discard(message),
            Operation::CallBack => call_back(cx, &mut message),
            _ => {}
        }
        let reply = Request {
            memory: request.answer,
            ..request
        };
        match reply.write(cx.node, &mut message) {
            Some(()) => cx.reply(message),
            None => cx.node.ipc().discard(message),
        }
    }
}

/// Sends a note to the right in the message, and gives the right up.
fn call_back(cx: &mut Context<'_>, message: &mut Message) {
    let Some(right) = message.take_right() else {
        return cx.ledger.accuse(|| "a call came without its right".into());
    };
    let once = right.kind() == RightKind::SendOnce;
    let Ok(name) = cx.node.ipc().insert(cx.space, right) else {
        return cx.ledger.accuse(|| "a right could not be inserted".into());
    };
    let number = cx.ledger.number();
    let sender = (cx.machine as u64) << 32 | u64::from(cx.thread.0);
    let sent = cx.node.ipc().new_message().ok().and_then(|mut note| {
        Request::note(number, sender).write(cx.node, &mut note)?;
        Some(note)
    });
    let now = crate::machine::instant(cx.now);
    let posted = sent.map(|note| cx.node.send(now, cx.space, name, note, None));
    match posted {
        Some(Ok(norma_net::Posted::Handed(thread))) => cx.handed.push(thread),
        Some(Ok(_)) => {}
        Some(Err(error)) => {
            cx.ledger.failed(number);
            cx.node.ipc().discard(error.message);
        }
        None => cx.ledger.failed(number),
    }
    if !once {
        let _ = cx.node.ipc().deallocate(cx.space, name, RightKind::Send);
    }
}

impl Actor for Server {
    fn is_service(&self) -> bool {
        true
    }

    fn run(&mut self, cx: &mut Context<'_>) -> Next {
        let Some(port) = self.port.or_else(|| self.open(cx)) else {
            cx.ledger
                .accuse(|| "a server could not open its port".into());
            return Next::Done;
        };
        let done = cx.node.ipc().take_completion(cx.thread);
        if let Some(norma_ipc::Completion::Received(Delivery::Message(message))) = done {
            Self::serve(cx, message);
        }
        loop {
            match cx.node.ipc().receive_or_wait(cx.thread, cx.space, port) {
                Ok(Some(Delivery::Message(message))) => Self::serve(cx, message),
                Ok(Some(Delivery::Notification(_))) => {}
                // A spurious wake finds the thread waiting still.
                Ok(None) | Err(_) => return Next::Wait,
            }
        }
    }
}
