//! Null calls between two nodes in one process, to count what a call costs in instructions:
//!
//! ```sh
//! cargo build --release -p norma-net --example null_rpc
//! valgrind --tool=callgrind target/release/examples/null_rpc 1000
//! ```
//!
//! With `right` behind the number each call has a copy of one send right, which the server drops.
//! Both nodes together, without any device: the difference between two counts of calls is the
//! cost of the calls alone.

use core::time::Duration;

use norma_flip::{FRAME_PAGES, HEAD, Incoming, Instant, Outgoing};
use norma_ipc::{
    Completion, Delivery, HeapPage, HeapPages, Message, Name, RightKind, SpaceId, ThreadId,
};
use norma_net::{Config, LookUp, Node, NodeName, Posted};

const THREAD: ThreadId = ThreadId(0);

struct Machine {
    node: Node<HeapPages>,
    space: SpaceId,
}

struct Wire {
    head: [u8; HEAD],
    pages: heapless::Vec<HeapPage, FRAME_PAGES>,
    now: Instant,
    frames: u64,
}

fn machine(number: u8) -> Machine {
    let config = Config {
        name: NodeName::new("n").expect("a short name"),
        cluster: Config::cluster_identity("count"),
        mac: [2, 0, 0, 0, 0, number],
        mtu: 65_521,
        receive_buffers: 64,
        seed: [number; 32],
    };
    let mut node = Node::new(config, HeapPages::default()).expect("a node");
    let space = node.ipc().create_space(100).expect("a space");
    node.ipc().register_thread(THREAD).expect("a thread");
    Machine { node, space }
}

/// Carries every frame of one machine to the other.
fn carry(wire: &mut Wire, from: &mut Machine, to: &mut Machine) -> bool {
    let mut any = false;
    loop {
        let Wire {
            head, pages, now, ..
        } = wire;
        let mut frame = Outgoing {
            head,
            pages,
            length: 0,
        };
        if !from.node.poll_transmit(*now, &mut frame) {
            return any;
        }
        let length = frame.length;
        let mut frame = Incoming {
            head: &wire.head[..],
            length,
            pages: &mut wire.pages[..],
        };
        to.node.handle_frame(wire.now, &mut frame);
        wire.pages.clear();
        wire.frames += 1;
        any = true;
    }
}

/// Lets frames go to and fro until there are none.
fn settle(wire: &mut Wire, a: &mut Machine, b: &mut Machine) {
    while carry(wire, a, b) | carry(wire, b, a) {}
}

fn taken(machine: &mut Machine) -> Message<HeapPage> {
    while machine.node.poll_wake().is_some() {}
    match machine.node.ipc().take_completion(THREAD) {
        Some(Completion::Received(Delivery::Message(message))) => message,
        other => panic!("{other:?}"),
    }
}

fn look_up(wire: &mut Wire, a: &mut Machine, b: &mut Machine) -> Name {
    let asked = a
        .node
        .look_up(wire.now, THREAD, "null", None)
        .expect("a look-up");
    assert!(matches!(asked, LookUp::Asked));
    assert!(
        a.node
            .ipc()
            .await_reply(THREAD)
            .expect("it is under way")
            .is_none()
    );
    settle(wire, a, b);
    let mut answer = taken(a);
    let right = answer.take_right().expect("the name is known");
    a.node.ipc().discard(answer);
    a.node.ipc().insert(a.space, right).expect("a name")
}

fn main() {
    let count = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(1000u32);
    let with_right = std::env::args().nth(2).is_some_and(|word| word == "right");
    let (mut a, mut b) = (machine(1), machine(2));
    let now = Instant::from_millis(1000);
    let mut wire = Wire {
        head: [0; HEAD],
        pages: heapless::Vec::new(),
        now,
        frames: 0,
    };
    let port = b.node.ipc().allocate_port(b.space).expect("a port");
    let right = b
        .node
        .ipc()
        .make_right(b.space, port, RightKind::Send)
        .expect("a right");
    let name = b.node.ipc().insert(b.space, right).expect("a name");
    b.node
        .check_in(wire.now, b.space, name, "null")
        .expect("a name for all");
    let own = a.node.ipc().allocate_port(a.space).expect("a port");
    let own = a
        .node
        .ipc()
        .make_right(a.space, own, RightKind::Send)
        .expect("a right");
    let own = a.node.ipc().insert(a.space, own).expect("a name");
    let name = look_up(&mut wire, &mut a, &mut b);
    let waits = b.node.ipc().receive_or_wait(THREAD, b.space, port);
    assert!(waits.expect("the port lives").is_none());

    let before = wire.frames;
    let mut message = a.node.ipc().new_message().expect("a message");
    for _ in 0..count {
        wire.now += Duration::from_micros(50);
        message.clear_data();
        if a.node.poll_timeout().is_some_and(|due| due <= wire.now) {
            a.node.handle_timeout(wire.now);
        }
        if b.node.poll_timeout().is_some_and(|due| due <= wire.now) {
            b.node.handle_timeout(wire.now);
        }
        if with_right {
            let right = a.node.ipc().copy_send(a.space, own).expect("a right");
            message.push_right(right).expect("room for it");
        }
        a.node
            .ipc()
            .attach_reply(THREAD, &mut message)
            .expect("a reply right");
        let posted = a.node.send(wire.now, a.space, name, message, Some(THREAD));
        assert!(matches!(posted, Ok(Posted::Carried)));
        assert!(
            a.node
                .ipc()
                .await_reply(THREAD)
                .expect("it is under way")
                .is_none()
        );
        carry(&mut wire, &mut a, &mut b);

        let mut request = taken(&mut b);
        if with_right {
            let right = request.take_right().expect("it comes with the message");
            b.node.ipc().release(right);
        }
        let posted = b.node.reply(wire.now, request);
        assert!(matches!(posted, Ok(Posted::Carried)));
        let waits = b.node.ipc().receive_or_wait(THREAD, b.space, port);
        assert!(waits.expect("the port lives").is_none());
        carry(&mut wire, &mut b, &mut a);
        message = taken(&mut a);
    }
    a.node.ipc().discard(message);
    println!("{count} calls in {} frames", wire.frames - before);
}
