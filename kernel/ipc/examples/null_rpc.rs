//! Local null RPCs through the core alone, to count instructions:
//! `valgrind --tool=callgrind --collect-atstart=no --toggle-collect='null_rpc::exchange' null_rpc`
//! (1,000 calls; the audit's counters, which this crate's own tests switch on, cost a few each).
//!
//! The counted stretch is what a kernel does per call besides switching threads: the caller
//! attaches its reply right, sends and waits; the server takes the request, replies and waits
//! again; the caller takes the answer.

use std::hint::black_box;

use norma_ipc::*;

const CLIENT: ThreadId = ThreadId(0);
const SERVER: ThreadId = ThreadId(1);

/// Who calls whom under which names.
struct Pair {
    caller: ThreadId,
    callee: ThreadId,
    client: SpaceId,
    send: Name,
    server: SpaceId,
    port: Name,
}

/// One call and its answer, in the same message.
#[inline(never)]
fn exchange(
    ipc: &mut Ipc<HeapPage>,
    pair: &Pair,
    mut call: Message<HeapPage>,
) -> Message<HeapPage> {
    ipc.attach_reply(pair.caller, &mut call).unwrap();
    let Ok(Sent::Handed(_)) = ipc.send(pair.client, pair.send, call, Some(pair.caller)) else {
        panic!("nobody waited")
    };
    assert!(ipc.await_reply(pair.caller).unwrap().is_none());
    let Some(Completion::Received(Delivery::Message(request))) = ipc.take_completion(pair.callee)
    else {
        panic!("no request")
    };
    let Ok(Sent::Handed(_)) = ipc.reply(request) else {
        panic!("nobody waited")
    };
    assert!(
        ipc.receive_or_wait(pair.callee, pair.server, pair.port)
            .unwrap()
            .is_none()
    );
    let Some(Completion::Received(Delivery::Message(answer))) = ipc.take_completion(pair.caller)
    else {
        panic!("no answer")
    };
    answer
}

fn main() {
    let rounds = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(1000);
    let mut ipc = Ipc::new();
    ipc.register_thread(CLIENT).unwrap();
    ipc.register_thread(SERVER).unwrap();
    let client = ipc.create_space(100).unwrap();
    let server = ipc.create_space(100).unwrap();
    let port = ipc.allocate_port(server).unwrap();
    let right = ipc.make_right(server, port, RightKind::Send).unwrap();
    let send = ipc.insert(client, right).unwrap();
    assert!(ipc.receive_or_wait(SERVER, server, port).unwrap().is_none());
    let pair = Pair {
        caller: CLIENT,
        callee: SERVER,
        client,
        send,
        server,
        port,
    };
    let mut message = ipc.new_message().unwrap();
    for _ in 0..rounds {
        message = black_box(exchange(&mut ipc, black_box(&pair), message));
    }
    ipc.discard(message);
    println!("{rounds} exchanges");
}
