//! Frames that no honest peer sends: whatever arrives, no node panics, and its books agree. Their
//! checks are written anew (W-64), or none of them would get further.

use norma_flip::{FRAME_PAGES, HEAD, Incoming, Instant, Outgoing};
use norma_ipc::{HeapPage, HeapPages, PAGE_SIZE, Page, PageSource, RightKind, ThreadId};
use norma_net::{Config, LookUp, Node, NodeName, seal};
use norma_wire::layout;
use proptest::prelude::*;

const CALLER: ThreadId = ThreadId(0);

struct Pair {
    nodes: [Node<HeapPages>; 2],
    now: Instant,
    /// Every frame that was sent, with its sender.
    sent: Vec<(usize, Vec<u8>)>,
}

fn node(number: u8) -> Node<HeapPages> {
    let config = Config {
        name: NodeName::new("n").unwrap(),
        cluster: Config::cluster_identity("hostile"),
        mac: [2, 0, 0, 0, 0, number],
        mtu: 65_521,
        receive_buffers: 64,
        seed: [number; 32],
    };
    Node::new(config, HeapPages::default()).unwrap()
}

fn transmit(node: &mut Node<HeapPages>, now: Instant) -> Option<Vec<u8>> {
    let mut head = [0; HEAD];
    let mut pages: heapless::Vec<HeapPage, FRAME_PAGES> = heapless::Vec::new();
    let mut frame = Outgoing {
        head: &mut head,
        pages: &mut pages,
        length: 0,
    };
    if !node.poll_transmit(now, &mut frame) {
        return None;
    }
    let length = frame.length;
    let mut bytes = head[..length.min(HEAD)].to_vec();
    for page in &pages {
        let count = (length - bytes.len()).min(PAGE_SIZE);
        bytes.extend_from_slice(&page.bytes()[..count]);
    }
    Some(bytes)
}

fn receive(node: &mut Node<HeapPages>, now: Instant, bytes: &[u8]) {
    let mut source = HeapPages::default();
    let behind = bytes.get(HEAD..).unwrap_or_default();
    let mut pages: Vec<HeapPage> = Vec::new();
    for chunk in behind.chunks(PAGE_SIZE) {
        let mut page = source.allocate().unwrap();
        page.bytes_mut().unwrap()[..chunk.len()].copy_from_slice(chunk);
        pages.push(page);
    }
    let head = &bytes[..bytes.len().min(HEAD)];
    node.handle_frame(
        now,
        &mut Incoming {
            head,
            length: bytes.len(),
            pages: &mut pages,
        },
    );
}

impl Pair {
    /// Two nodes in the middle of a call with some memory and a right in it.
    fn new() -> Self {
        let nodes = [node(1), node(2)];
        let mut pair = Pair {
            nodes,
            now: Instant::from_millis(1000),
            sent: Vec::new(),
        };
        let ipc = pair.nodes[1].ipc();
        let space = ipc.create_space(100).unwrap();
        let port = ipc.allocate_port(space).unwrap();
        let right = ipc.make_right(space, port, RightKind::Send).unwrap();
        let name = ipc.insert(space, right).unwrap();
        pair.nodes[1]
            .check_in(pair.now, space, name, "echo")
            .unwrap();

        let a = pair.nodes[0].ipc();
        a.register_thread(CALLER).unwrap();
        let space = a.create_space(100).unwrap();
        let found = pair.nodes[0]
            .look_up(pair.now, CALLER, "echo", None)
            .unwrap();
        assert!(matches!(found, LookUp::Asked));
        pair.run();
        let a = pair.nodes[0].ipc();
        let answer = a.await_reply(CALLER).unwrap();
        let Some(norma_ipc::Delivery::Message(mut message)) = answer else {
            panic!("no answer");
        };
        let name = a.insert(space, message.take_right().unwrap()).unwrap();
        message.clear_data();
        let own = a.allocate_port(space).unwrap();
        let right = a.make_right(space, own, RightKind::Send).unwrap();
        message.push_right(right).unwrap();
        message.set_data(&[7; 300]).unwrap();
        let memory = norma_ipc::Memory::copy_from(&[9; 150_000], pair.nodes[0].source()).unwrap();
        let _ = message.replace_memory(memory).unwrap();
        pair.nodes[0]
            .ipc()
            .attach_reply(CALLER, &mut message)
            .unwrap();
        let _ = pair.nodes[0]
            .send(pair.now, space, name, message, None)
            .unwrap();
        pair.run();
        pair
    }

    /// Exchanges frames until there are no more.
    fn run(&mut self) {
        for _ in 0..100 {
            for from in 0..2 {
                while let Some(bytes) = transmit(&mut self.nodes[from], self.now) {
                    receive(&mut self.nodes[1 - from], self.now, &bytes);
                    self.sent.push((from, bytes));
                }
            }
            self.now += core::time::Duration::from_millis(1);
            for node in &mut self.nodes {
                while node.poll_wake().is_some() {}
                if node.poll_timeout().is_some_and(|due| due <= self.now) {
                    node.handle_timeout(self.now);
                }
            }
        }
    }

    fn check(&self) {
        for node in &self.nodes {
            node.ipc_ref().audit(node.held_rights()).unwrap();
        }
    }
}

/// What is done to a frame that was really sent.
#[derive(Debug, Clone)]
enum Change {
    /// A byte of it is another.
    Byte(prop::sample::Index, u8),
    /// A word of its session header is near another, or anything.
    Field(usize, u32),
    /// It ends early, as its FLIP header says too.
    Cut(prop::sample::Index),
    /// It says to be of that kind.
    Kind(u8),
}

fn change() -> impl Strategy<Value = Change> {
    let word = prop_oneof![0u32..20, any::<u32>(), Just(u32::MAX)];
    prop_oneof![
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, to)| Change::Byte(at, to)),
        (0usize..15, word).prop_map(|(at, to)| Change::Field(at, to)),
        any::<prop::sample::Index>().prop_map(Change::Cut),
        (0u8..10).prop_map(Change::Kind),
    ]
}

/// Makes the FLIP header say how long the frame is.
fn fit(bytes: &mut [u8]) {
    let payload = (bytes.len() - layout::SESSION_AT) as u32;
    for at in [layout::FLIP_AT + 28, layout::FLIP_AT + 36] {
        bytes[at..at + 4].copy_from_slice(&payload.to_le_bytes());
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Byte(at, to) => {
            let at = layout::FLIP_AT + at.index(bytes.len() - layout::FLIP_AT);
            bytes[at] = *to;
        }
        Change::Field(at, to) => {
            let at = layout::SESSION_AT + 4 * at;
            if let Some(place) = bytes.get_mut(at..at + 4) {
                let old = u32::from_le_bytes(place.try_into().unwrap());
                let new = if *to < 20 {
                    old.wrapping_add(*to).wrapping_sub(10)
                } else {
                    *to
                };
                place.copy_from_slice(&new.to_le_bytes());
            }
        }
        Change::Cut(at) => {
            let length = layout::SESSION_AT + at.index(bytes.len() - layout::SESSION_AT + 1);
            bytes.truncate(length);
            fit(bytes);
        }
        Change::Kind(kind) => {
            if let Some(place) = bytes.get_mut(layout::SESSION_AT + 1) {
                *place = *kind;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 2 } else { 400 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn changed_frames_break_nothing(
        steps in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::collection::vec(change(), 0..4)),
            1..if cfg!(miri) { 10 } else { 60 },
        ),
    ) {
        let mut pair = Pair::new();
        let recorded = pair.sent.clone();
        for (which, changes) in steps {
            let (from, mut bytes) = recorded[which.index(recorded.len())].clone();
            for change in &changes {
                apply(&mut bytes, change);
            }
            seal(&mut bytes);
            receive(&mut pair.nodes[1 - from], pair.now, &bytes);
            pair.check();
            pair.run();
            pair.check();
        }
    }

    #[test]
    fn noise_breaks_nothing(
        noise in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20),
    ) {
        let mut pair = Pair::new();
        // Behind a FLIP header that is right, so that it reaches the sessions.
        let prefix = pair.sent.last().map(|(from, bytes)| (*from, bytes[..layout::SESSION_AT].to_vec()));
        let (from, prefix) = prefix.unwrap();
        for (number, noise) in noise.into_iter().enumerate() {
            let mut bytes = prefix.clone();
            bytes.extend(noise);
            fit(&mut bytes);
            if let Some(version) = bytes.get_mut(layout::SESSION_AT).filter(|_| number % 2 == 0) {
                *version = 1;
            }
            seal(&mut bytes);
            receive(&mut pair.nodes[1 - from], pair.now, &bytes);
        }
        pair.check();
        pair.run();
        pair.check();
    }
}

/// W-95: whoever announces a name has to have it when he is asked; a forged announcement of a
/// better claim, by a node that there is not, takes nobody's name.
#[test]
#[cfg_attr(
    miri,
    ignore = "seconds of the time of two nodes, with searches that repeat"
)]
fn a_forged_announcement_takes_no_name() {
    use norma_wire::ethernet::{self, EthernetAddress};
    use norma_wire::flip::{self, Address, Flags, Kind};

    let mut pair = Pair::new();
    // The name's address is what the first LOCATE sought.
    let sought = pair.sent.iter().find_map(|(_, bytes)| {
        let header = flip::Packet::new_checked(&bytes[layout::FLIP_AT..]).ok()?;
        (header.kind() == Kind::Locate && header.destination().space() == b'N')
            .then(|| header.destination())
    });
    let header = flip::Repr {
        kind: Kind::Locate,
        flags: Flags::ANNOUNCE | Flags::SETTLED,
        actual_hop: 1,
        maximum_hop: 25,
        destination: Address(1), // Lower than any.
        source: sought.unwrap(),
        message_id: 9,
        length: 0,
        offset: 0,
        total: 0,
    };
    let stations = ethernet::Repr {
        destination: EthernetAddress::BROADCAST,
        source: EthernetAddress([2, 0, 0, 0, 0, 9]),
    };
    let mut bytes = vec![0; layout::SESSION_AT];
    let (start, end) = bytes.split_at_mut(layout::FLIP_AT);
    stations.emit(start.first_chunk_mut().unwrap());
    header.emit(end.first_chunk_mut().unwrap());
    for _ in 0..300 {
        receive(&mut pair.nodes[1], pair.now, &bytes);
        pair.run();
    }
    pair.check();
    assert!(pair.nodes[1].find_here("echo").is_some_and(|right| {
        pair.nodes[1].ipc().release(right);
        true
    }));
    // It asked for the forger; it did not answer each of his frames with a search of its own.
    let asked = pair.nodes[1].flip_counters().locates;
    assert!(asked <= 16 * 30, "{asked}");
}
