//! A stand-in is led to another import with messages under way to the old one.

use alloc::vec::Vec;

use norma_flip::{Duration, HEAD, Incoming, Outgoing};
use norma_ipc::{Delivery, HeapPages, Message, Name, RightKind, SpaceId, ThreadId};

use super::*;
use crate::{Config, LookUp, NodeName};

type Body = Message<norma_ipc::HeapPage>;

const CALLER: ThreadId = ThreadId(0);

struct Pair {
    nodes: [Node<HeapPages>; 2],
    now: Instant,
    spaces: [SpaceId; 2],
    port: Name,
}

fn node(number: u8) -> Node<HeapPages> {
    let config = Config {
        name: NodeName::new("n").unwrap(),
        cluster: Config::cluster_identity("switch"),
        mac: [2, 0, 0, 0, 0, number],
        mtu: 1500,
        receive_buffers: 64,
        seed: [number; 32],
    };
    Node::new(config, HeapPages::default()).unwrap()
}

impl Pair {
    fn new() -> Self {
        let mut nodes = [node(1), node(2)];
        let spaces = [0, 1].map(|at: usize| nodes[at].ipc().create_space(64).unwrap());
        let ipc = nodes[1].ipc();
        let port = ipc.allocate_port(spaces[1]).unwrap();
        ipc.set_queue_limit(spaces[1], port, 2).unwrap();
        let right = ipc.make_right(spaces[1], port, RightKind::Send).unwrap();
        let right = ipc.insert(spaces[1], right).unwrap();
        nodes[1]
            .check_in(Instant::from_millis(1000), spaces[1], right, "echo")
            .unwrap();
        nodes[0].ipc().register_thread(CALLER).unwrap();
        Pair {
            nodes,
            now: Instant::from_millis(1000),
            spaces,
            port,
        }
    }

    /// Exchanges frames for so many milliseconds.
    fn run(&mut self, time: u64) {
        for _ in 0..time {
            for from in 0..2 {
                self.nodes[from].handle_timeout(self.now);
                while self.nodes[from].poll_wake().is_some() {}
                let mut head = [0; HEAD];
                let mut pages = heapless::Vec::new();
                loop {
                    let mut frame = Outgoing {
                        head: &mut head,
                        pages: &mut pages,
                        length: 0,
                    };
                    if !self.nodes[from].poll_transmit(self.now, &mut frame) {
                        break;
                    }
                    let length = frame.length;
                    let mut frame = Incoming {
                        head: &head[..length],
                        length,
                        pages: &mut [],
                    };
                    self.nodes[1 - from].handle_frame(self.now, &mut frame);
                    while self.nodes[1 - from].poll_wake().is_some() {}
                }
                crate::audit(self.nodes.iter()).unwrap();
            }
            self.now += Duration::from_millis(1);
        }
    }

    fn look_up(&mut self) -> Name {
        let asked = self.nodes[0]
            .look_up(self.now, CALLER, "echo", None)
            .unwrap();
        assert!(matches!(asked, LookUp::Asked));
        self.run(60);
        let found = self.nodes[0].ipc().await_reply(CALLER).unwrap();
        let Some(Delivery::Message(mut message)) = found else {
            panic!("{found:?}")
        };
        let right = message.take_right().unwrap();
        self.nodes[0].ipc().discard(message);
        self.nodes[0].ipc().insert(self.spaces[0], right).unwrap()
    }

    /// A message with a number, a right to a port of its own, and a reply right to that.
    fn message(&mut self, number: u32) -> Body {
        let (ipc, space) = (self.nodes[0].ipc(), self.spaces[0]);
        let mut message = ipc.new_message().unwrap();
        message.set_id(number);
        let port = ipc.allocate_port(space).unwrap();
        let right = ipc.make_right(space, port, RightKind::Send).unwrap();
        message.push_right(right).unwrap();
        let reply = ipc.make_right(space, port, RightKind::SendOnce).unwrap();
        message.set_reply(reply).unwrap();
        message
    }

    fn receive(&mut self) -> Option<Body> {
        let received = self.nodes[1].ipc().receive(self.spaces[1], self.port);
        match received {
            Ok(Delivery::Message(message)) => Some(message),
            _ => None,
        }
    }

    /// Makes a second session between the two, though there is one.
    fn connect_again(&mut self) {
        let peer = self.nodes[1].address();
        let old = self.nodes[0].by_peer.remove(&peer.0).unwrap();
        self.nodes[0].sessions.get_mut(old).unwrap().superseded = true;
        self.nodes[0].connect(self.now, peer).unwrap();
        self.run(20);
        assert_eq!(self.nodes[0].sessions.len(), 2);
    }
}

/// W-104: what was refused goes through the new import first and in order, with all its rights,
/// and the old one is given back.
#[test]
fn what_was_refused_is_taken_apart_and_goes_by_the_new_way() {
    let mut pair = Pair::new();
    let echo = pair.look_up();
    for number in 0..7 {
        let message = pair.message(number);
        let sent = pair.nodes[0].send(pair.now, pair.spaces[0], echo, message, None);
        assert!(sent.is_ok());
    }
    pair.run(30);
    let old: Vec<u32> = (pair.nodes[0].sessions.iter())
        .flat_map(|(_, session)| session.imports.iter().map(|(_, import)| import.index))
        .collect();
    let [old] = old[..] else { panic!("{old:?}") };
    pair.connect_again();
    // The same right by the new session: its stand-in goes there.
    assert_eq!(pair.look_up(), echo);
    let imports: Vec<_> = (pair.nodes[0].sessions.iter())
        .filter(|(_, session)| !session.imports.is_empty())
        .map(|(place, session)| (place, session.superseded))
        .collect();
    assert!(matches!(imports[..], [(_, false)]), "{imports:?} {old}");
    for number in 0..7 {
        let mut message = pair.receive().unwrap();
        assert_eq!(message.id(), number);
        assert_eq!(message.rights().len(), 1);
        // The right leads to where the reply right does: both are as they were.
        let answer = message.take_reply().unwrap();
        let right = message.take_right().unwrap();
        pair.nodes[1].ipc().release(right);
        pair.nodes[1].ipc().release(answer);
        pair.nodes[1].ipc().discard(message);
        pair.run(20);
    }
    assert!(pair.receive().is_none());
    for _ in 0..2 {
        let ipc = pair.nodes[0].ipc();
        ipc.deallocate(pair.spaces[0], echo, RightKind::Send)
            .unwrap();
    }
    pair.run(100);
    for node in &pair.nodes {
        let held = node.holdings();
        assert_eq!(
            (held.exports, held.imports, held.promised),
            (0, 0, 0),
            "{held:?}"
        );
        node.ipc_ref().audit(node.held_rights()).unwrap();
    }
}

/// W-103: a right by the session that is on its way out is no better than what there is.
#[test]
fn a_right_by_the_older_session_does_not_lead_back() {
    let mut pair = Pair::new();
    let echo = pair.look_up();
    pair.connect_again();
    assert_eq!(pair.look_up(), echo);
    let place_of = |pair: &Pair| {
        let mut sessions = pair.nodes[0].sessions.iter();
        sessions
            .find(|(_, session)| !session.imports.is_empty())
            .unwrap()
            .0
    };
    let new = place_of(&pair);
    assert!(!pair.nodes[0].sessions.get(new).unwrap().superseded);
    // Node 1 sends its right once more, by the old session.
    let peer = pair.nodes[0].address();
    let here = pair.nodes[1].by_peer.get(&peer.0).copied();
    let mut places = pair.nodes[1].sessions.iter().map(|(place, _)| place);
    let old = places.find(|place| Some(*place) != here).unwrap();
    drop(places);
    let ipc = pair.nodes[1].ipc();
    let mut message = ipc.new_message().unwrap();
    message.set_id(4000);
    let right = ipc
        .make_right(pair.spaces[1], pair.port, RightKind::Send)
        .unwrap();
    message.push_right(right).unwrap();
    let target = crate::carry::Target::NodeService;
    pair.nodes[1]
        .dispatch(pair.now, old, target, message)
        .unwrap();
    pair.run(30);
    assert_eq!(place_of(&pair), new);
    for _ in 0..2 {
        let ipc = pair.nodes[0].ipc();
        ipc.deallocate(pair.spaces[0], echo, RightKind::Send)
            .unwrap();
    }
    pair.run(100);
    assert_eq!(pair.nodes[1].holdings().exports, 0);
}

/// The session in which a stand-in's old import is ends before the switch: it goes on by the
/// new one, and what was under way has failed.
#[test]
fn the_old_session_may_end_first() {
    let mut pair = Pair::new();
    let echo = pair.look_up();
    pair.connect_again();
    // A message is under way and its fate unknown when the better right comes.
    let message = pair.message(1);
    let sent = pair.nodes[0].send(pair.now, pair.spaces[0], echo, message, None);
    assert!(sent.is_ok());
    let mut sessions = pair.nodes[0].sessions.iter();
    let old = sessions.find(|(_, session)| session.superseded).unwrap().0;
    drop(sessions);
    let again = {
        let asked = pair.nodes[0]
            .look_up(pair.now, CALLER, "echo", None)
            .unwrap();
        assert!(matches!(asked, LookUp::Asked));
        // Only the new session's frames arrive.
        pair.nodes[0].sessions.get_mut(old).unwrap().lost_route = true;
        for _ in 0..40 {
            pair.nodes[0].sessions.get_mut(old).unwrap().lost_route = true;
            pair.run(1);
        }
        let found = pair.nodes[0].ipc().await_reply(CALLER).unwrap();
        let Some(Delivery::Message(mut message)) = found else {
            panic!("{found:?}")
        };
        let right = message.take_right().unwrap();
        pair.nodes[0].ipc().discard(message);
        pair.nodes[0].ipc().insert(pair.spaces[0], right).unwrap()
    };
    assert_eq!(again, echo);
    let now = pair.now;
    pair.nodes[0].end_session(now, old, Reason::NodeDied(0));
    pair.run(30);
    while let Some(message) = pair.receive() {
        pair.nodes[1].ipc().discard(message);
    }
    let message = pair.message(2);
    let sent = pair.nodes[0].send(pair.now, pair.spaces[0], echo, message, None);
    assert!(sent.is_ok(), "{sent:?}");
    pair.run(30);
    let message = pair.receive().unwrap();
    assert_eq!(message.id(), 2);
    pair.nodes[1].ipc().discard(message);
}
