//! What the scenario tests share.
#![allow(dead_code, reason = "each test program uses some of it")]

pub mod flood;
pub mod moves;
pub mod trial;

use std::time::Duration;

use norma_ipc::{Delivery, Name, Notification, Reason, Right, RightKind, ThreadId};
use norma_sim::{CallError, Config, Message, World};

/// A world in which nothing runs yet.
pub fn world(config: &Config) -> World {
    World::new(config)
}

/// What must have succeeded.
pub fn must<T>(result: Result<T, CallError>) -> T {
    match result {
        Ok(value) => value,
        Err(CallError::Failure(failure)) => panic!("{failure}"),
        Err(other) => panic!("{other:?}"),
    }
}

/// Why what must have failed did.
pub fn dead<T>(result: Result<T, CallError>) -> Reason {
    match result {
        Err(CallError::Reason(reason)) => reason,
        Err(CallError::Failure(failure)) => panic!("{failure}"),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it succeeded"),
    }
}

/// The data of a message.
pub fn text(message: &Message) -> Vec<u8> {
    message.data().to_vec()
}

/// Everything is given back, and the books agree.
pub fn drained(w: &mut World) {
    let result = w.run_until(Duration::from_secs(3), |w| w.is_drained());
    if let Err(failure) = result {
        panic!("{failure}: {}", w.holdings());
    }
    for index in 0..w.machines() {
        if let Err(failure) = w.audit(index) {
            panic!("{failure}");
        }
    }
}

/// Nodes that can give each other rights: one inbox and one thread on each, and everybody has a
/// right to everybody's inbox.
pub struct Places {
    pub threads: Vec<ThreadId>,
    inboxes: Vec<Name>,
    ways: Vec<Vec<Option<Name>>>,
}

impl Places {
    pub fn new(w: &mut World) -> Self {
        Self::with_ways(w, |_, _| true)
    }

    /// The same where not everybody has a right to everybody's inbox, nor a session with it.
    pub fn with_ways(w: &mut World, wanted: impl Fn(usize, usize) -> bool) -> Self {
        let nodes = w.machines();
        let inboxes = (0..nodes)
            .map(|node| w.serve(node, &format!("inbox{node}")))
            .collect();
        let threads: Vec<ThreadId> = (0..nodes).map(|node| w.thread(node)).collect();
        let mut ways = Vec::new();
        for (from, thread) in threads.iter().enumerate() {
            let mut look_up = |to| must(w.look_up(from, *thread, &format!("inbox{to}")));
            let row = (0..nodes).map(|to| (from != to && wanted(from, to)).then(|| look_up(to)));
            ways.push(row.collect());
        }
        Places {
            threads,
            inboxes,
            ways,
        }
    }

    /// Sends one right that is in hand to another node's inbox.
    pub fn hand(&self, w: &mut World, from: usize, right: Right, to: usize) {
        let mut message = w.message(from, b"answer this");
        message.push_right(right).unwrap();
        must(w.send(from, self.threads[from], self.way(from, to), message));
    }

    /// The right in the message that comes next to a node's inbox, or `None` if none comes.
    pub fn receive_right(&self, w: &mut World, node: usize) -> Option<Right> {
        let end = w.now() + Duration::from_secs(1);
        while w.now() < end {
            let space = w.machine(node).space();
            let ipc = w.machine(node).node().ipc();
            if let Ok(Delivery::Message(mut message)) = ipc.receive(space, self.inboxes[node]) {
                let right = message.take_right();
                must(w.discard(node, message).map_err(CallError::Failure));
                return right;
            }
            let passed = w.run_for(Duration::from_micros(50));
            must(passed.map_err(CallError::Failure));
        }
        None
    }

    /// The message that comes next to a node's inbox, or `None` if none comes.
    pub fn receive(&self, w: &mut World, node: usize) -> Option<Message> {
        let end = w.now() + Duration::from_secs(1);
        while w.now() < end {
            let space = w.machine(node).space();
            let ipc = w.machine(node).node().ipc();
            if let Ok(Delivery::Message(message)) = ipc.receive(space, self.inboxes[node]) {
                must(w.after(node).map_err(CallError::Failure));
                return Some(message);
            }
            let passed = w.run_for(Duration::from_micros(50));
            must(passed.map_err(CallError::Failure));
        }
        None
    }

    /// A node's inbox.
    pub fn inbox(&self, node: usize) -> Name {
        self.inboxes[node]
    }

    /// A copy of a right, in hand.
    pub fn send_right(&self, w: &mut World, node: usize, name: Name) -> Right {
        let space = w.machine(node).space();
        w.machine(node).node().ipc().copy_send(space, name).unwrap()
    }

    /// A port with a send right beside its receive right.
    pub fn port(&self, w: &mut World, node: usize) -> Name {
        let space = w.machine(node).space();
        let ipc = w.machine(node).node().ipc();
        let port = ipc.allocate_port(space).unwrap();
        let right = ipc.make_right(space, port, RightKind::Send).unwrap();
        assert_eq!(ipc.insert(space, right).unwrap(), port);
        port
    }

    /// The right by which one node sends to another's inbox.
    pub fn way(&self, from: usize, to: usize) -> Name {
        self.ways[from][to].expect("another node")
    }

    /// Gives up a receive right.
    pub fn drop_receive(&self, w: &mut World, node: usize, port: Name) {
        let space = w.machine(node).space();
        let ipc = w.machine(node).node().ipc();
        ipc.deallocate(space, port, RightKind::Receive).unwrap();
        must(w.after(node).map_err(CallError::Failure));
    }

    /// Gives up the send right beside a receive right.
    pub fn drop_own(&self, w: &mut World, node: usize, port: Name) {
        must(w.give_up(node, port).map_err(CallError::Failure));
    }

    /// Sends a copy of a right to another node's inbox.
    pub fn give(&self, w: &mut World, from: usize, name: Name, to: usize) {
        let space = w.machine(from).space();
        let right = w.machine(from).node().ipc().copy_send(space, name).unwrap();
        let mut message = w.message(from, b"yours");
        message.push_right(right).unwrap();
        let way = self.ways[from][to].expect("another node");
        must(w.send(from, self.threads[from], way, message));
    }

    fn unpack(&self, w: &mut World, node: usize, mut message: Message) -> Name {
        let right = message.take_right().expect("a right comes with it");
        let space = w.machine(node).space();
        let name = w.machine(node).node().ipc().insert(space, right).unwrap();
        must(w.discard(node, message).map_err(CallError::Failure));
        name
    }

    /// Takes the message that comes next.
    pub fn take_message(&self, w: &mut World, node: usize) -> Message {
        let message = w.receive(node, self.threads[node], self.inboxes[node]);
        must(message.map_err(CallError::Failure))
    }

    /// Takes the right that comes next.
    pub fn take(&self, w: &mut World, node: usize) -> Name {
        let message = self.take_message(w, node);
        self.unpack(w, node, message)
    }

    /// Takes the right that has come, if one has.
    pub fn try_take(&self, w: &mut World, node: usize) -> Option<Name> {
        let space = w.machine(node).space();
        let received = w
            .machine(node)
            .node()
            .ipc()
            .receive(space, self.inboxes[node]);
        match received {
            Ok(Delivery::Message(message)) => Some(self.unpack(w, node, message)),
            _ => None,
        }
    }

    /// Moves a receive right into a message to another node.
    pub fn give_receive(&self, w: &mut World, from: usize, port: Name, to: usize) {
        let space = w.machine(from).space();
        let ipc = w.machine(from).node().ipc();
        let right = ipc.extract(space, port, RightKind::Receive).unwrap();
        let mut message = w.message(from, b"all yours");
        message.push_right(right).unwrap();
        must(w.send(from, self.threads[from], self.way(from, to), message));
    }

    /// Takes the receive right that has come, if one has.
    pub fn try_take_receive(&self, w: &mut World, node: usize) -> Option<Name> {
        let name = self.try_take(w, node)?;
        let space = w.machine(node).space();
        let types = w.machine(node).node().ipc().right_types(space, name);
        let receive = types.is_ok_and(|types| types.contains(norma_ipc::RightTypes::RECEIVE));
        assert!(receive, "{types:?}");
        Some(name)
    }

    /// Asks to be told when a port has no senders: the port at which that comes.
    pub fn want_no_senders(&self, w: &mut World, node: usize, port: Name) -> Name {
        let space = w.machine(node).space();
        let ipc = w.machine(node).node().ipc();
        let told = ipc.allocate_port(space).unwrap();
        let notify = ipc.make_right(space, told, RightKind::SendOnce).unwrap();
        let before = ipc.request_no_senders(space, port, 0, Some(notify));
        assert!(matches!(before, Ok(None)));
        told
    }

    /// How often it was told since this was asked last.
    pub fn no_senders(&self, w: &mut World, node: usize, told: Name) -> usize {
        let space = w.machine(node).space();
        let mut times = 0;
        while let Ok(delivery) = w.machine(node).node().ipc().receive(space, told) {
            match delivery {
                Delivery::Notification(Notification::NoSenders { .. }) => times += 1,
                other => panic!("{other:?}"),
            }
        }
        times
    }

    /// Sends a message through a right, and says whether it came to the port of `owner`.
    pub fn reaches(&self, w: &mut World, at: usize, name: Name, owner: usize, port: Name) -> bool {
        let text = w.now().as_nanos().to_le_bytes();
        let message = w.message(at, &text);
        if let Err(error) = w.send(at, self.threads[at], name, message) {
            assert!(!matches!(error, CallError::Failure(_)), "{error:?}");
            return false;
        }
        let end = w.now() + Duration::from_secs(3);
        while w.now() < end {
            let space = w.machine(owner).space();
            let received = w.machine(owner).node().ipc().receive(space, port);
            if let Ok(Delivery::Message(message)) = received {
                assert_eq!(message.data(), text);
                must(w.discard(owner, message).map_err(CallError::Failure));
                return true;
            }
            must(
                w.run_for(Duration::from_micros(200))
                    .map_err(CallError::Failure),
            );
        }
        false
    }

    /// Gives up every right to an inbox, on nodes that live.
    pub fn close(&self, w: &mut World) {
        for (node, row) in self.ways.iter().enumerate() {
            if w.is_dead(node) {
                continue;
            }
            for name in row.iter().flatten() {
                must(w.give_up(node, *name).map_err(CallError::Failure));
            }
        }
    }
}
