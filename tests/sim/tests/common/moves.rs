//! What the tests of receive rights that move share.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use norma_flip::Instant;
use norma_ipc::{Delivery, Name, Notification, RightKind, RightTypes};
use norma_sim::{CallError, Config, World};
use norma_wire::layout::SESSION_AT;
use norma_wire::session::{Flags, Header};

use super::{Places, must};

/// So many milliseconds.
pub const MS: fn(u64) -> Duration = Duration::from_millis;

/// Nothing is lost, and tests act for the threads.
pub fn calm(nodes: usize) -> Config {
    Config {
        nodes,
        in_hands: true,
        ..Config::default().calm()
    }
}

/// The time, as nodes have it.
pub fn now(w: &World) -> Instant {
    Instant(1_000_000_000 + w.now().as_nanos() as u64)
}

/// Acts on what a call of a node's has brought about.
pub fn after(w: &mut World, node: usize) {
    must(w.after(node).map_err(CallError::Failure));
}

/// Moves a receive right to another node, and what it is called there.
pub fn move_to(w: &mut World, p: &Places, from: usize, port: Name, to: usize) -> Name {
    p.give_receive(w, from, port, to);
    let name = p.take(w, to);
    let space = w.machine(to).space();
    let types = w.machine(to).node().ipc().right_types(space, name).unwrap();
    assert!(types.contains(RightTypes::RECEIVE), "{types:?}");
    name
}

/// A send-once right to a port of a node, in a message to another one: its name there.
pub fn give_once(w: &mut World, p: &Places, from: usize, port: Name, to: usize) -> Name {
    let space = w.machine(from).space();
    let ipc = w.machine(from).node().ipc();
    let right = ipc.make_right(space, port, RightKind::SendOnce).unwrap();
    let mut message = w.message(from, b"once");
    message.push_right(right).unwrap();
    must(w.send(from, p.threads[from], p.way(from, to), message));
    p.take(w, to)
}

/// A send-once right to a port of a node, under a name of its own there.
pub fn once(w: &mut World, node: usize, port: Name) -> Name {
    let space = w.machine(node).space();
    let ipc = w.machine(node).node().ipc();
    let right = ipc.make_right(space, port, RightKind::SendOnce).unwrap();
    ipc.insert(space, right).unwrap()
}

/// A port, and a send-once right to it, in one space.
pub fn bell(w: &mut World, node: usize) -> (Name, Name) {
    let space = w.machine(node).space();
    let ipc = w.machine(node).node().ipc();
    let port = ipc.allocate_port(space).unwrap();
    let right = ipc.make_right(space, port, RightKind::SendOnce).unwrap();
    (port, ipc.insert(space, right).unwrap())
}

/// Sends a text through a right.
pub fn send_by(w: &mut World, node: usize, name: Name, text: &[u8]) {
    let message = w.message(node, text);
    let space = w.machine(node).space();
    let at = now(w);
    let sent = w.machine(node).node().send(at, space, name, message, None);
    assert!(sent.is_ok(), "{:?}", sent.map_err(|error| error.failure));
    after(w, node);
}

/// What has come to a port, if anything has.
pub fn try_receive(
    w: &mut World,
    node: usize,
    port: Name,
) -> Option<Delivery<norma_ipc::HeapPage>> {
    let space = w.machine(node).space();
    let received = w.machine(node).node().ipc().receive(space, port).ok();
    after(w, node);
    received
}

/// The text that has come to a port.
pub fn text_at(w: &mut World, node: usize, port: Name) -> Option<Vec<u8>> {
    match try_receive(w, node, port)? {
        Delivery::Message(message) => {
            let data = message.data().to_vec();
            must(w.discard(node, message).map_err(CallError::Failure));
            Some(data)
        }
        Delivery::Notification(news) => panic!("{news:?}"),
    }
}

/// The news that has come to a port.
pub fn news_at(w: &mut World, node: usize, port: Name) -> Option<Notification> {
    match try_receive(w, node, port)? {
        Delivery::Notification(news) => Some(news),
        Delivery::Message(message) => panic!("{:?}", message.data()),
    }
}

/// Gives up one right under a name.
pub fn give_up(w: &mut World, node: usize, name: Name, kind: RightKind) {
    let space = w.machine(node).space();
    let ipc = w.machine(node).node().ipc();
    ipc.deallocate(space, name, kind).unwrap();
    after(w, node);
}

/// Lets time pass.
pub fn run(w: &mut World, time: Duration) {
    must(w.run_for(time).map_err(CallError::Failure));
}

/// Gives up all that a name is worth.
pub fn give_up_all(w: &mut World, node: usize, name: Name) {
    let space = w.machine(node).space();
    let ipc = w.machine(node).node().ipc();
    let _ = ipc.destroy(space, name);
    after(w, node);
}

/// Loses the frames of sessions that are `wanted`, by sender and header, while `closed` says so.
pub fn lose(
    w: &mut World,
    closed: &Rc<Cell<bool>>,
    wanted: impl Fn(usize, &Header<'_>) -> bool + 'static,
) {
    let closed = Rc::clone(closed);
    w.tamper(move |from, frame| {
        let unidata = frame.get(15) == Some(&3);
        let header = frame.get(SESSION_AT..).filter(|_| unidata && closed.get());
        let header = header.and_then(|bytes| Header::new_checked(bytes).ok());
        if header.is_some_and(|header| wanted(from, &header)) {
            // Its check does not hold any more.
            frame[SESSION_AT + 8] ^= 1;
        }
    });
}

/// Whether a frame says what goes with a receive right.
pub fn is_state(header: &Header<'_>) -> bool {
    header.flags().contains(Flags::NOTIFICATION) && header.id() == 7
}
