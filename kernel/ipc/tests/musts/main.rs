//! What `docs/ipc.md` demands, number by number. A test's name begins with the number of the
//! MUST that it checks. Each ends with an audit.

use norma_ipc::*;

mod death;
mod moves;
mod names;
mod queue;
mod remote;
mod requests;
mod rights;
mod send;
mod sets;
mod wait;

type Core = Ipc<HeapPage>;

const ALICE: ThreadId = ThreadId(0);
const BOB: ThreadId = ThreadId(1);
const CAROL: ThreadId = ThreadId(2);

/// A core with three threads.
fn core() -> Core {
    let mut ipc = Core::new();
    for thread in [ALICE, BOB, CAROL] {
        ipc.register_thread(thread).unwrap();
    }
    ipc
}

fn space(ipc: &mut Core) -> SpaceId {
    ipc.create_space(limits::DEFAULT_NAMES).unwrap()
}

fn message(ipc: &mut Core, id: u32) -> Message<HeapPage> {
    let mut message = ipc.new_message().unwrap();
    message.set_id(id);
    message
}

/// Puts a send right to the port `server` of `from` into `to`.
fn give_send(ipc: &mut Core, from: SpaceId, server: Name, to: SpaceId) -> Name {
    let right = ipc.make_right(from, server, RightKind::Send).unwrap();
    ipc.insert(to, right).unwrap()
}

/// Sends messages with these identifiers, which all must find room.
fn fill(ipc: &mut Core, space: SpaceId, name: Name, ids: impl IntoIterator<Item = u32>) {
    for id in ids {
        let message = message(ipc, id);
        assert!(matches!(
            ipc.send(space, name, message, None),
            Ok(Sent::Queued)
        ));
    }
}

/// Receives and discards; returns the identifier.
fn receive_id(ipc: &mut Core, space: SpaceId, name: Name) -> Option<u32> {
    match ipc.receive(space, name) {
        Ok(Delivery::Message(message)) => {
            let id = message.id();
            ipc.discard(message);
            Some(id)
        }
        Ok(Delivery::Notification(news)) => panic!("{news:?}"),
        Err(ReceiveError::Empty) => None,
        Err(error) => panic!("{error:?}"),
    }
}

fn events(ipc: &mut Core) -> Vec<Event> {
    std::iter::from_fn(|| ipc.poll_event()).collect()
}

/// Nothing is outside.
fn audit(ipc: &Core) -> Census {
    ipc.audit(std::iter::empty()).unwrap()
}

fn audit_with(ipc: &Core, outside: &[&Right]) -> Census {
    ipc.audit(outside.iter().copied()).unwrap()
}

/// Takes the message that `thread` was handed.
fn handed(ipc: &mut Core, thread: ThreadId) -> Message<HeapPage> {
    match ipc.take_completion(thread) {
        Some(Completion::Received(Delivery::Message(message))) => message,
        other => panic!("{other:?}"),
    }
}
