//! Sessions under load.

mod common;

use common::must;
use norma_sim::{Config, World};

fn config() -> Config {
    Config {
        audit_every: 0,
        ..Config::default().calm()
    }
}

/// A call, from its message to its answer.
fn call(
    w: &mut World,
    (a, name): (norma_ipc::ThreadId, norma_ipc::Name),
    (b, port): (norma_ipc::ThreadId, norma_ipc::Name),
) {
    let message = w.message(0, b"");
    must(w.begin_call(0, a, name, message));
    let request = w.receive(1, b, port).unwrap();
    w.reply(1, request).unwrap();
    let reply = must(w.await_reply(0, a));
    w.discard(0, reply).unwrap();
}

#[test]
fn call_after_call_sets_hardly_any_timer_and_sends_nothing_besides() {
    let mut w = World::new(&config());
    let port = w.serve(1, "echo");
    let (a, b) = (w.thread(0), w.thread(1));
    let name = must(w.look_up(0, a, "echo"));
    for _ in 0..100 {
        call(&mut w, (a, name), (b, port));
    }
    let before: Vec<_> = (0..2).map(|i| w.machine(i).timer_settings()).collect();
    let frames = w.frames();
    const CALLS: u64 = 5000;
    for _ in 0..CALLS {
        call(&mut w, (a, name), (b, port));
    }
    let set: u64 = (0..2)
        .map(|i| w.machine(i).timer_settings() - before[i])
        .sum();
    assert!(set * 100 <= CALLS * 4, "{set} settings in {CALLS} calls");
    let more = w.frames() - frames - 2 * CALLS;
    assert!(more <= 2, "{more} more frames");
}
