//! What the node answers to messages to itself.

use norma_flip::{HEAD, Incoming, Outgoing};
use norma_ipc::{Delivery, HeapPages, RightKind, ThreadId};

use super::*;
use crate::carry::Target;
use crate::{Config, LookUp, NodeName};

const CALLER: ThreadId = ThreadId(0);
const NOW: Instant = Instant::from_millis(1000);

fn node(number: u8) -> Node<HeapPages> {
    let config = Config {
        name: NodeName::new("n").unwrap(),
        cluster: Config::cluster_identity("service"),
        mac: [2, 0, 0, 0, 0, number],
        mtu: 1500,
        receive_buffers: 64,
        seed: [number; 32],
    };
    Node::new(config, HeapPages::default()).unwrap()
}

/// Exchanges frames until there are no more, for longer than anything lingers; none of them has
/// pages.
fn run(nodes: &mut [Node<HeapPages>; 2]) {
    for round in 0..20 {
        let now = NOW + norma_flip::Duration::from_millis(round);
        for from in 0..2 {
            nodes[from].handle_timeout(now);
            let mut head = [0; HEAD];
            let mut pages = heapless::Vec::new();
            loop {
                let mut frame = Outgoing {
                    head: &mut head,
                    pages: &mut pages,
                    length: 0,
                };
                if !nodes[from].poll_transmit(now, &mut frame) {
                    break;
                }
                let length = frame.length;
                let mut frame = Incoming {
                    head: &head[..length],
                    length,
                    pages: &mut [],
                };
                nodes[1 - from].handle_frame(now, &mut frame);
                while nodes[1 - from].poll_wake().is_some() {}
            }
        }
    }
}

fn connected() -> [Node<HeapPages>; 2] {
    let mut nodes = [node(1), node(2)];
    let ipc = nodes[1].ipc();
    let space = ipc.create_space(8).unwrap();
    let port = ipc.allocate_port(space).unwrap();
    let right = ipc.make_right(space, port, RightKind::Send).unwrap();
    let right = ipc.insert(space, right).unwrap();
    nodes[1].check_in(NOW, space, right, "echo").unwrap();
    nodes[0].ipc().register_thread(CALLER).unwrap();
    let asked = nodes[0].look_up(NOW, CALLER, "echo", None).unwrap();
    assert!(matches!(asked, LookUp::Asked));
    run(&mut nodes);
    let found = nodes[0].ipc().await_reply(CALLER).unwrap();
    let Some(Delivery::Message(message)) = found else {
        panic!("{found:?}")
    };
    nodes[0].ipc().discard(message);
    nodes
}

fn ask_for(nodes: &mut [Node<HeapPages>; 2], operation: u32, reply: bool) {
    let mut message = nodes[0].ipc().new_message().unwrap();
    message.set_id(operation);
    message.set_data(b"of a later version").unwrap();
    let space = nodes[0].ipc().create_space(8).unwrap();
    let port = nodes[0].ipc().allocate_port(space).unwrap();
    let right = nodes[0].ipc().make_right(space, port, RightKind::Send);
    message.push_right(right.unwrap()).unwrap();
    if reply {
        let right = nodes[0].ipc().make_reply_right(CALLER).unwrap();
        message.set_reply(right).unwrap();
    }
    let (place, _) = nodes[0].sessions.iter().next().unwrap();
    nodes[0]
        .dispatch(NOW, place, Target::NodeService, message)
        .unwrap();
    run(nodes);
}

fn shared_rights(nodes: &[Node<HeapPages>; 2]) -> [usize; 4] {
    let [a, b] = [nodes[0].holdings(), nodes[1].holdings()];
    [a.exports, a.imports, b.exports, b.imports]
}

/// W-91: a node of a later version asks, and is told.
#[test]
fn an_unknown_operation_is_answered() {
    let mut nodes = connected();
    ask_for(&mut nodes, 4000, true);
    let answer = nodes[0].ipc().await_reply(CALLER).unwrap();
    let Some(Delivery::Message(message)) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(message.id(), answer::NO_OPERATION);
    assert!(message.data().is_empty() && message.rights().is_empty());
    nodes[0].ipc().discard(message);
    run(&mut nodes);
    assert_eq!(shared_rights(&nodes), [0; 4]);
    assert_eq!(nodes[1].counters().dropped[Drop::Unasked as usize], 0);
}

/// W-91: with nobody to answer it is dropped with its rights, and counted.
#[test]
fn an_unknown_operation_without_a_reply_is_counted() {
    let mut nodes = connected();
    ask_for(&mut nodes, 4000, false);
    assert_eq!(shared_rights(&nodes), [0; 4]);
    assert_eq!(nodes[1].counters().dropped[Drop::Unasked as usize], 1);
}
