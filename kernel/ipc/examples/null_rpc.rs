//! Local null RPCs through the core alone, to count instructions:
//! `valgrind --tool=callgrind --collect-atstart=no --toggle-collect='null_rpc::exchange' null_rpc`
//! (1,000 calls; the audit's counters, which this crate's own tests switch on, cost a few each).
//!
//! The counted stretch is what a kernel does per call besides switching threads: the caller
//! calls, the server takes the request, answers and waits again, the caller takes the answer.

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
fn exchange(ipc: &mut Ipc<HeapPage>, pair: &Pair, call: Message<HeapPage>) -> Message<HeapPage> {
    let to = ipc.send_target(pair.client, pair.send).unwrap();
    let Ok(_) = ipc.call_at_once(pair.caller, to, call) else {
        panic!("nobody waited")
    };
    let Some(request) = ipc.take_handed(pair.callee) else {
        panic!("no request")
    };
    let Ok(_) = ipc.answer_at_once(pair.callee, pair.server, pair.port, request) else {
        panic!("nobody waited")
    };
    let Some(answer) = ipc.take_handed(pair.caller) else {
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
    // A thread has a reply port from its first call on.
    let mut message = ipc.new_message().unwrap();
    ipc.attach_reply(CLIENT, &mut message).unwrap();
    ipc.detach_reply(&mut message);
    for _ in 0..rounds {
        message = black_box(exchange(&mut ipc, black_box(&pair), message));
    }
    ipc.discard(message);
    println!("{rounds} exchanges");
}
