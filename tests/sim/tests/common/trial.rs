//! Calls and rights under way while memory is short: what becomes of each is known.

use std::time::Duration;

use norma_ipc::{
    Completion, Delivery, Memory, Name, Notification, Reason, RightKind, RightTypes, ThreadId,
};
use norma_net::Posted;
use norma_sim::heap::{self, Shortage};
use norma_sim::{Config, Message, World};

use super::moves::*;
use super::{Places, drained, must};

/// Steps between two audits, which take most of the time: 1 finds where a leak arises.
const AUDIT_EVERY: u64 = 7;

/// What has become of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// For room.
    Waits,
    /// It has not asked for its answer yet.
    Sent,
    Asks,
    /// It came back to the caller, with all that was in it.
    Back,
    Answered,
    Failed(Reason),
}

#[derive(Debug)]
pub struct Call {
    node: usize,
    thread: ThreadId,
    /// What identifies it to whoever receives it.
    number: u8,
    pub state: State,
}

pub struct Trial {
    pub w: World,
    pub p: Places,
    shortage: Shortage,
    pub calls: Vec<Call>,
    /// Numbers of calls, in the order in which they were received.
    received: Vec<u8>,
    /// Receive rights whose calls are answered.
    pub served: Vec<(usize, Name)>,
    /// There was an allocation that failed.
    pub struck: bool,
}

impl Drop for Trial {
    fn drop(&mut self) {
        heap::heal();
        if std::thread::panicking() {
            eprintln!("with {:?}", self.shortage);
        }
    }
}

impl Trial {
    pub fn new(nodes: usize, shortage: Shortage, ways: impl Fn(usize, usize) -> bool) -> Self {
        let mut w = World::new(&Config {
            audit_every: AUDIT_EVERY,
            ..calm(nodes)
        });
        let p = Places::with_ways(&mut w, ways);
        Trial {
            w,
            p,
            shortage,
            calls: Vec::new(),
            received: Vec::new(),
            served: Vec::new(),
            struck: false,
        }
    }

    /// From now on memory is short.
    pub fn strike(&mut self) {
        heap::strike(self.shortage);
    }

    pub fn heal(&mut self) {
        self.struck |= heap::heal();
    }

    pub fn wait(&mut self, time: Duration) {
        run(&mut self.w, time);
    }

    /// A call by a thread of its own, with whatever is put into its message.
    pub fn call(&mut self, node: usize, name: Name, fill: impl FnOnce(&mut World, &mut Message)) {
        let number = self.calls.len() as u8;
        let thread = self.w.thread(node);
        let mut message = self.w.message(node, &[number]);
        fill(&mut self.w, &mut message);
        let parts = |message: &Message| {
            (
                message.data().to_vec(),
                message.rights().len(),
                message.memory().len(),
            )
        };
        let before = parts(&message);
        let at = now(&self.w);
        let space = self.w.machine(node).space();
        let machine = self.w.machine(node).node();
        let sent = heap::of(node, || {
            let attached = machine.ipc().attach_reply(thread, &mut message);
            match attached {
                Ok(()) => machine
                    .send(at, space, name, message, Some(thread))
                    .map_err(|error| error.message),
                Err(_) => Err(message),
            }
        });
        let state = match sent {
            Ok(Posted::Waiting) => State::Waits,
            Ok(Posted::Handed(to)) => {
                machine.ipc().defer_wake(to);
                State::Sent
            }
            Ok(_) => State::Sent,
            Err(mut message) => {
                machine.ipc().detach_reply(&mut message);
                assert_eq!(parts(&message), before);
                machine.ipc().discard(message);
                State::Back
            }
        };
        after(&mut self.w, node);
        self.calls.push(Call {
            node,
            thread,
            number,
            state,
        });
    }

    /// Threads go on whose wait is over.
    pub fn look(&mut self) {
        for call in &mut self.calls {
            let ipc = self.w.machine(call.node).node().ipc();
            if call.state == State::Waits {
                match ipc.take_completion(call.thread) {
                    Some(Completion::Sent) => call.state = State::Sent,
                    Some(Completion::Refused(reason, mut message)) => {
                        ipc.detach_reply(&mut message);
                        ipc.discard(message);
                        call.state = State::Failed(reason);
                    }
                    Some(other) => panic!("{other:?}"),
                    None => {}
                }
            }
            let mut delivery = None;
            if call.state == State::Sent {
                delivery = ipc.await_reply(call.thread).expect("it has called");
                call.state = State::Asks;
            } else if call.state == State::Asks {
                delivery = match ipc.take_completion(call.thread) {
                    Some(Completion::Received(delivery)) => Some(delivery),
                    Some(other) => panic!("{other:?}"),
                    None => None,
                };
            }
            match delivery {
                Some(Delivery::Message(message)) => {
                    assert_eq!(message.data(), [call.number]);
                    ipc.discard(message);
                    call.state = State::Answered;
                }
                Some(Delivery::Notification(Notification::SendOnce(reason))) => {
                    call.state = State::Failed(reason);
                }
                Some(Delivery::Notification(other)) => panic!("{other:?}"),
                None => {}
            }
            after(&mut self.w, call.node);
        }
    }

    /// A message at a port, and its number is noted.
    pub fn receive(&mut self, node: usize, port: Name) -> Option<Message> {
        match try_receive(&mut self.w, node, port)? {
            Delivery::Message(message) => {
                if let [number] = *message.data() {
                    self.received.push(number);
                }
                Some(message)
            }
            Delivery::Notification(news) => panic!("{news:?}"),
        }
    }

    /// Answers with what is left of a message.
    pub fn answer(&mut self, node: usize, mut message: Message) {
        for right in message.take_rights() {
            self.w.machine(node).node().ipc().release(right);
        }
        must(self.w.reply(node, message).map_err(Into::into));
    }

    /// Answers all calls, until none is left.
    pub fn settle(&mut self) {
        let open = |call: &Call| matches!(call.state, State::Waits | State::Sent | State::Asks);
        let end = self.w.now() + Duration::from_secs(5);
        loop {
            for (node, port) in self.served.clone() {
                while let Some(message) = self.receive(node, port) {
                    self.answer(node, message);
                }
            }
            self.look();
            if !self.calls.iter().any(open) {
                return;
            }
            if self.w.now() >= end {
                panic!("{}", self.w.failure(format!("no word of {:?}", self.calls)));
            }
            self.wait(MS(1));
        }
    }

    /// Every call was received and answered once, or failed and was never received.
    pub fn check(&mut self) {
        let Trial {
            received, calls, ..
        } = self;
        for call in &*calls {
            let times = received.iter().filter(|number| **number == call.number);
            let expected = usize::from(call.state == State::Answered);
            assert_eq!(times.count(), expected, "{call:?} in {received:?}");
        }
        for node in 0..self.w.machines() {
            let of = |number: &&u8| calls[usize::from(**number)].node == node;
            let order: Vec<_> = received.iter().filter(of).collect();
            assert!(order.is_sorted(), "of node {node} came {order:?}");
        }
        if !self.struck {
            let all = calls.iter().all(|call| call.state == State::Answered);
            assert!(all, "nothing was wrong, but {calls:?}");
        }
    }

    /// Sends a receive right, and two others, to another node's inbox; if it came back, its name.
    pub fn send_receive(&mut self, from: usize, port: Name, to: usize) -> Option<Name> {
        let mut message = self.w.message(from, b"all yours");
        let space = self.w.machine(from).space();
        let ipc = self.w.machine(from).node().ipc();
        let right = ipc.extract(space, port, RightKind::Receive).unwrap();
        message.push_right(right).unwrap();
        own_right(&mut self.w, from, &mut message);
        let ipc = self.w.machine(from).node().ipc();
        let empty = ipc.allocate_port(space).unwrap();
        let right = ipc.extract(space, empty, RightKind::Receive).unwrap();
        message.push_right(right).unwrap();
        let (thread, way) = (self.p.threads[from], self.p.way(from, to));
        let w = &mut self.w;
        let sent = heap::of(from, || w.begin_send(from, thread, way, message));
        let back = sent.err().map(|mut error| {
            assert_eq!(error.message.rights().len(), 3, "all of it comes back");
            let right = error.message.take_right().unwrap();
            let ipc = w.machine(from).node().ipc();
            ipc.discard(error.message);
            ipc.insert(space, right).unwrap()
        });
        after(w, from);
        back
    }

    /// The receive right that has come to a node's inbox, if one has: one whose port has died is
    /// none any more.
    pub fn take_receive(&mut self, node: usize) -> Option<Name> {
        let name = self.p.try_take(&mut self.w, node)?;
        after(&mut self.w, node);
        let space = self.w.machine(node).space();
        let types = self.w.machine(node).node().ipc().right_types(space, name);
        if types.is_ok_and(|types| types.contains(RightTypes::RECEIVE)) {
            return Some(name);
        }
        give_up_all(&mut self.w, node, name);
        None
    }

    /// Nothing is left of it all.
    pub fn end(mut self, names: &[(usize, Name)]) {
        for (node, name) in names {
            give_up_all(&mut self.w, *node, *name);
        }
        self.p.close(&mut self.w);
        drained(&mut self.w);
    }
}

/// Some memory goes with a message.
pub fn memory(w: &mut World, node: usize, message: &mut Message) {
    let memory = Memory::copy_from(&[7; 5000], w.machine(node).node().source()).unwrap();
    let _ = message.replace_memory(memory).unwrap();
}

/// A send right to a port of its own goes with a message.
pub fn own_right(w: &mut World, node: usize, message: &mut Message) {
    let space = w.machine(node).space();
    let ipc = w.machine(node).node().ipc();
    let port = ipc.allocate_port(space).unwrap();
    let right = ipc.make_right(space, port, RightKind::Send).unwrap();
    message.push_right(right).unwrap();
}
