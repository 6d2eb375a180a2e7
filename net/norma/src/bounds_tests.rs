//! Tables of a node that are full: the one who asks for one place too many is told, and when there
//! is a place again all goes on.

use alloc::vec::Vec;

use norma_flip::{Address, Duration, HEAD, Incoming, Instant, Outgoing};
use norma_ipc::{
    Delivery, HeapPages, Message, Name, Notification, Reason, RightError, RightKind, SendFailure,
    SpaceId, ThreadId,
};

use crate::limits::{MAX_EXPORTS, MAX_OFFERS, MAX_SESSIONS, OFFER_EXPIRES};
use crate::node::Node;
use crate::session::State;
use crate::{Config, Drop, LookUp, NodeName};

const CALLER: ThreadId = ThreadId(0);

struct Pair {
    nodes: [Node<HeapPages>; 2],
    spaces: [SpaceId; 2],
    now: Instant,
    /// The server's port, at node 1.
    port: Name,
}

fn node(number: u8) -> Node<HeapPages> {
    let config = Config {
        name: NodeName::new("n").unwrap(),
        cluster: Config::cluster_identity("bounds"),
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
        let now = Instant::from_millis(1000);
        let spaces = [0, 1].map(|at: usize| nodes[at].ipc().create_space(64).unwrap());
        nodes[0].ipc().register_thread(CALLER).unwrap();
        let ipc = nodes[1].ipc();
        let port = ipc.allocate_port(spaces[1]).unwrap();
        let right = ipc.make_right(spaces[1], port, RightKind::Send).unwrap();
        let right = ipc.insert(spaces[1], right).unwrap();
        nodes[1].check_in(now, spaces[1], right, "echo").unwrap();
        Pair {
            nodes,
            spaces,
            now,
            port,
        }
    }

    /// Exchanges frames for so many milliseconds.
    fn run(&mut self, time: u64) {
        for _ in 0..time {
            for from in 0..2 {
                let now = self.now;
                if self.nodes[from]
                    .poll_timeout()
                    .is_some_and(|due| due <= now)
                {
                    self.nodes[from].handle_timeout(now);
                }
                while self.nodes[from].poll_wake().is_some() {}
                let mut head = [0; HEAD];
                let mut pages = heapless::Vec::new();
                loop {
                    let mut frame = Outgoing {
                        head: &mut head,
                        pages: &mut pages,
                        length: 0,
                    };
                    if !self.nodes[from].poll_transmit(now, &mut frame) {
                        break;
                    }
                    let length = frame.length;
                    let mut frame = Incoming {
                        head: &head[..length],
                        length,
                        pages: &mut [],
                    };
                    self.nodes[1 - from].handle_frame(now, &mut frame);
                    while self.nodes[1 - from].poll_wake().is_some() {}
                }
            }
            self.now += Duration::from_millis(1);
        }
    }

    /// What comes of a look-up, once it is decided.
    fn look_up(&mut self, time: u64) -> Result<Name, Reason> {
        let asked = self.nodes[0].look_up(self.now, CALLER, "echo", None);
        assert!(matches!(asked, Ok(LookUp::Asked)));
        self.run(time);
        match self.nodes[0].ipc().await_reply(CALLER).unwrap() {
            Some(Delivery::Message(mut message)) => {
                let right = message.take_right().unwrap();
                self.nodes[0].ipc().discard(message);
                Ok(self.nodes[0].ipc().insert(self.spaces[0], right).unwrap())
            }
            Some(Delivery::Notification(Notification::SendOnce(reason))) => Err(reason),
            other => panic!("{other:?}"),
        }
    }

    fn dropped(&self, node: usize) -> u64 {
        self.nodes[node].counters().dropped[Drop::NoMemory as usize]
    }

    fn call(&mut self, name: Name) -> Result<(), (SendFailure, Message<norma_ipc::HeapPage>)> {
        let mut message = self.nodes[0].ipc().new_message().unwrap();
        self.nodes[0]
            .ipc()
            .attach_reply(CALLER, &mut message)
            .unwrap();
        let sent = self.nodes[0].send(self.now, self.spaces[0], name, message, None);
        sent.map(drop)
            .map_err(|error| (error.failure, error.message))
    }
}

/// Sessions that nobody uses, in the state that is given.
fn fill(node: &mut Node<HeapPages>, now: Instant, state: State, count: usize) -> Vec<u32> {
    let peers = (0..count as u64).map(|number| Address(0x0100_0000_0000_0000 | number << 8));
    let places = peers.map(|peer| {
        let place = node.create_session(now, state, peer).unwrap();
        let session = node.sessions.get_mut(place).unwrap();
        session.timer = now + OFFER_EXPIRES;
        place
    });
    places.collect()
}

#[test]
#[cfg_attr(miri, ignore = "goes to the bounds, which takes Miri minutes")]
fn with_all_sessions_taken_a_look_up_fails_and_the_next_one_does_not() {
    let mut pair = Pair::new();
    let places = fill(
        &mut pair.nodes[0],
        pair.now,
        State::Established,
        MAX_SESSIONS,
    );
    assert_eq!(pair.look_up(5000), Err(Reason::NameUnknown));
    assert_eq!(pair.nodes[0].sessions.len(), MAX_SESSIONS);
    pair.nodes[0].remove_session(places[7]);
    let name = pair.look_up(2000).unwrap();
    pair.call(name).unwrap();
    pair.run(20);
    assert!(
        pair.nodes[1]
            .ipc()
            .receive(pair.spaces[1], pair.port)
            .is_ok()
    );
}

#[test]
#[cfg_attr(miri, ignore = "goes to the bounds, which takes Miri minutes")]
fn with_all_offers_made_hello_is_dropped_until_some_have_expired() {
    let mut pair = Pair::new();
    fill(&mut pair.nodes[1], pair.now, State::Offered, MAX_OFFERS);
    let due = pair.now + OFFER_EXPIRES;
    pair.nodes[1].deadline = pair.nodes[1].deadline.min(due);
    let before = pair.dropped(1);
    let asked = pair.nodes[0].look_up(pair.now, CALLER, "echo", None);
    assert!(matches!(asked, Ok(LookUp::Asked)));
    pair.run(500);
    assert!(pair.dropped(1) > before);
    assert_eq!(pair.nodes[1].sessions.len(), MAX_OFFERS);
    assert!(matches!(pair.nodes[0].ipc().await_reply(CALLER), Ok(None)));
    let _ = pair.nodes[0].ipc().cancel(CALLER);
    pair.nodes[0].ipc().renew_reply_port(CALLER);
    for (place, state) in [(0, State::Offered), (1, State::Offered)] {
        assert_eq!(pair.nodes[1].sessions.get(place).unwrap().state, state);
        pair.nodes[1].remove_session(place);
    }
    let name = pair.look_up(2000).unwrap();
    pair.call(name).unwrap();
}

#[test]
#[cfg_attr(miri, ignore = "goes to the bounds, which takes Miri minutes")]
fn a_right_for_which_the_session_has_no_export_comes_back_with_its_message() {
    let mut pair = Pair::new();
    let name = pair.look_up(100).unwrap();
    let space = pair.spaces[0];
    let (place, _) = pair.nodes[0].sessions.iter().next().unwrap();
    let ipc = pair.nodes[0].ipc();
    let own = ipc.allocate_port(space).unwrap();
    let make = |pair: &mut Pair, kind| pair.nodes[0].ipc().make_right(space, own, kind).unwrap();
    // All places but those that are in use.
    let mut indices = Vec::new();
    loop {
        let session = pair.nodes[0].sessions.get_mut(place).unwrap();
        if session.exports.reserve(1).is_err() {
            break;
        }
        let right = make(&mut pair, RightKind::SendOnce);
        let session = pair.nodes[0].sessions.get_mut(place).unwrap();
        indices.push(session.exports.add(right));
    }
    assert_eq!(indices.len(), MAX_EXPORTS - 2);
    // A call, a send right, a send-once right: none of them goes, and nothing is lost.
    let no_memory = SendFailure::Right(RightError::NoMemory);
    let (failure, mut message) = pair.call(name).unwrap_err();
    assert_eq!((failure, message.reply().is_some()), (no_memory, true));
    pair.nodes[0].ipc().detach_reply(&mut message);
    pair.nodes[0].ipc().discard(message);
    for kind in [RightKind::Send, RightKind::SendOnce] {
        let mut message = pair.nodes[0].ipc().new_message().unwrap();
        let right = make(&mut pair, kind);
        message.push_right(right).unwrap();
        let sent = pair.nodes[0].send(pair.now, space, name, message, None);
        let error = sent.unwrap_err();
        assert_eq!(
            (error.failure, error.message.rights().len()),
            (no_memory, 1)
        );
        pair.nodes[0].ipc().discard(error.message);
    }
    // A message without rights needs no export.
    let message = pair.nodes[0].ipc().new_message().unwrap();
    assert!(
        pair.nodes[0]
            .send(pair.now, space, name, message, None)
            .is_ok()
    );
    let remove = |pair: &mut Pair, index| {
        let session = pair.nodes[0].sessions.get_mut(place).unwrap();
        let right = session.exports.remove(index).unwrap();
        pair.nodes[0].ipc().release(right);
    };
    remove(&mut pair, indices.pop().unwrap());
    pair.call(name).unwrap();
    for index in indices {
        remove(&mut pair, index);
    }
    pair.run(20);
    assert_eq!(pair.nodes[0].holdings().exports, 1, "the caller's");
    let node = &pair.nodes[0];
    node.ipc_ref().audit(node.held_rights()).unwrap();
}
