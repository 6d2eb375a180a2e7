//! Memory that fails: every operation either succeeds or leaves everything as it was, what
//! must not fail does not, and a steady exchange asks for no memory at all.

use norma_ipc::*;

mod allocator;
mod chaos;
mod requests;

use allocator::{counting, failing};

type Core = Ipc<HeapPage>;

const ALICE: ThreadId = ThreadId(0);
const BOB: ThreadId = ThreadId(1);
/// For ever.
const ALL: usize = usize::MAX;

/// What an operation may not have changed when it failed.
fn state(ipc: &Core, space: SpaceId, rights: &[Right], messages: &[Message<HeapPage>]) -> String {
    let inside = messages
        .iter()
        .flat_map(|m| m.rights().iter().chain(m.reply()));
    let mut census = ipc.audit(rights.iter().chain(inside)).unwrap();
    // A port may have been made and unmade.
    census.created = 0;
    census.destroyed = 0;
    let mut seen = format!("{census:?} {messages:?} {rights:?}");
    for (name, types) in ipc.names(space).unwrap() {
        let members = ipc.members(space, name);
        seen += &format!(
            "{name:?} {types:?} {:?} {:?} {:?}",
            ipc.references(space, name, RightKind::Send),
            ipc.receive_status(space, name),
            members.map(|members| members.collect::<Vec<_>>())
        );
    }
    seen
}

/// What an operation works on.
struct Bench {
    ipc: Core,
    home: SpaceId,
    port: Name,
    rights: Vec<Right>,
    messages: Vec<Message<HeapPage>>,
}

fn bench() -> Bench {
    let mut ipc = Core::new();
    ipc.register_thread(ALICE).unwrap();
    ipc.register_thread(BOB).unwrap();
    let home = ipc.create_space(100).unwrap();
    let port = ipc.allocate_port(home).unwrap();
    let mut rights = Vec::with_capacity(8);
    rights.push(ipc.make_right(home, port, RightKind::Send).unwrap());
    let mut messages = Vec::with_capacity(8);
    messages.push(ipc.new_message().unwrap());
    Bench {
        ipc,
        home,
        port,
        rights,
        messages,
    }
}

/// Fails the first allocation of `operation`, then the second, and so on until it asks for no
/// more; one of them, then all from there on. `operation` says whether it succeeded.
fn every_failure(operation: impl Fn(&mut Bench) -> bool) {
    let spans: &[usize] = if cfg!(miri) { &[ALL] } else { &[1, ALL] };
    for &failures in spans {
        for first in 0.. {
            let mut bench = bench();
            let before = state(&bench.ipc, bench.home, &bench.rights, &bench.messages);
            let (succeeded, failed) = failing(first, failures, || operation(&mut bench));
            let after = state(&bench.ipc, bench.home, &bench.rights, &bench.messages);
            assert!(
                succeeded || failed,
                "an operation failed with memory enough"
            );
            if !succeeded {
                assert_eq!(before, after);
                // With memory it works.
                assert!(operation(&mut bench));
                state(&bench.ipc, bench.home, &bench.rights, &bench.messages);
            }
            if !failed {
                break;
            }
        }
    }
}

#[test]
fn i_2_making_things_fails_without_a_trace() {
    every_failure(|bench| bench.ipc.create_space(5).is_ok());
    every_failure(|bench| bench.ipc.register_thread(ThreadId(50)).is_ok());
    every_failure(|bench| bench.ipc.allocate_port(bench.home).is_ok());
    every_failure(|bench| match bench.ipc.create_proxy(RemoteToken(1)) {
        Ok(proxy) => {
            bench.rights.push(bench.ipc.add_send(proxy).unwrap());
            true
        }
        Err(NoMemory) => false,
    });
}

#[test]
fn i_2_making_and_moving_rights_fails_without_a_trace() {
    for kind in [RightKind::Send, RightKind::SendOnce] {
        every_failure(
            |bench| match bench.ipc.make_right(bench.home, bench.port, kind) {
                Ok(right) => {
                    bench.rights.push(right);
                    true
                }
                Err(_) => false,
            },
        );
    }
    every_failure(|bench| match bench.ipc.import_send_once(RemoteToken(1)) {
        Ok(right) => {
            bench.rights.push(right);
            true
        }
        Err(NoMemory) => false,
    });
    every_failure(|bench| {
        let other = bench.ipc.create_space(5);
        let Ok(other) = other else { return false };
        let right = bench.rights.pop().unwrap();
        match bench.ipc.insert(other, right) {
            Ok(_) => true,
            Err(refused) => {
                bench.rights.push(refused.right);
                false
            }
        }
    });
    every_failure(|bench| {
        let right = bench.rights.pop().unwrap();
        match bench.messages[0].push_right(right) {
            Ok(()) => true,
            Err(right) => {
                bench.rights.push(right);
                false
            }
        }
    });
}

#[test]
fn i_2_filling_a_message_fails_without_a_trace() {
    every_failure(|bench| match bench.ipc.new_message() {
        Ok(message) => {
            bench.messages.push(message);
            true
        }
        Err(NoMemory) => false,
    });
    every_failure(|bench| bench.messages[0].set_data(&[1; 500]).is_ok());
    every_failure(|bench| bench.messages[0].extend_data(&[1; 500]).is_ok());
    every_failure(|bench| bench.messages[0].memory_mut().reserve(9).is_ok());
    every_failure(|bench| {
        bench
            .ipc
            .attach_reply(ALICE, &mut bench.messages[0])
            .is_ok()
    });
}

#[test]
fn i_1_a_send_without_memory_gives_everything_back() {
    every_failure(|bench| {
        let message = bench.messages.pop().unwrap();
        let right = bench.rights.pop().unwrap();
        match bench.ipc.send_to(right, message, Some(ALICE)) {
            Ok(sent) => {
                assert!(matches!(sent, Sent::Queued));
                true
            }
            Err((right, error)) => {
                bench.rights.push(right);
                bench.messages.push(error.message);
                false
            }
        }
    });
}

#[test]
fn i_7_a_send_once_right_needs_no_memory() {
    let mut bench = bench();
    let count = if cfg!(miri) { 10 } else { 500 };
    for _ in 0..count {
        let Bench {
            ipc,
            home,
            port,
            rights,
            messages,
        } = &mut bench;
        rights.push(ipc.make_right(*home, *port, RightKind::SendOnce).unwrap());
        messages.push(ipc.new_message().unwrap());
    }
    let Bench {
        mut ipc,
        home,
        port,
        rights,
        mut messages,
    } = bench;
    let mut rights = rights.into_iter();
    let send = rights.next().unwrap();
    failing(0, ALL, || {
        for (number, right) in rights.enumerate() {
            let message = messages.pop().unwrap();
            if number % 2 == 0 {
                assert!(matches!(
                    ipc.send_to(right, message, None),
                    Ok(Sent::Queued)
                ));
            } else {
                ipc.discard(message);
                ipc.release(right);
            }
        }
    });
    for number in 0..count {
        match ipc.receive(home, port).unwrap() {
            Delivery::Message(message) if number % 2 == 0 => ipc.discard(message),
            Delivery::Notification(_) if number % 2 == 1 => {}
            other => panic!("{other:?}"),
        }
    }
    ipc.release(send);
    ipc.discard(messages.pop().unwrap());
    ipc.audit(std::iter::empty()).unwrap();
}

#[test]
fn i_9_everything_can_end_without_memory() {
    let Bench {
        mut ipc,
        home,
        port,
        rights,
        messages,
    } = bench();
    let other = ipc.create_space(100).unwrap();
    ipc.set_queue_limit(home, port, 1).unwrap();
    for right in rights {
        ipc.insert(home, right).unwrap();
    }
    for mut message in messages {
        // A call in a queue, with the receive right of a port whose queue is not empty, a
        // stand-in, and a bare remote right.
        ipc.attach_reply(ALICE, &mut message).unwrap();
        let inner = ipc.allocate_port(other).unwrap();
        let send = ipc.make_right(other, inner, RightKind::Send).unwrap();
        let mut within = ipc.new_message().unwrap();
        let once = ipc.make_right(other, inner, RightKind::SendOnce).unwrap();
        within.push_right(once).unwrap();
        assert!(matches!(ipc.send_to(send, within, None), Ok(Sent::Queued)));
        let receive = ipc.extract(other, inner, RightKind::Receive).unwrap();
        message.push_right(receive).unwrap();
        let proxy = ipc.create_proxy(RemoteToken(1)).unwrap();
        let right = ipc.add_send(proxy).unwrap();
        message.push_right(right).unwrap();
        let right = ipc.import_send_once(RemoteToken(2)).unwrap();
        message.push_right(right).unwrap();
        assert!(matches!(
            ipc.send(home, port, message, None),
            Ok(Sent::Queued)
        ));
    }
    assert!(ipc.await_reply(ALICE).unwrap().is_none());
    let waiting = ipc.new_message().unwrap();
    assert!(matches!(
        ipc.send(home, port, waiting, Some(BOB)),
        Ok(Sent::Waiting)
    ));
    ipc.audit(std::iter::empty()).unwrap();
    failing(0, ALL, || {
        ipc.destroy_space(home);
        ipc.destroy_space(other);
        ipc.unregister_thread(ALICE);
        ipc.unregister_thread(BOB);
        let mut count = 0;
        while ipc.poll_event().is_some() {
            count += 1;
        }
        assert_eq!(count, 4);
    });
    assert_eq!(ipc.audit(std::iter::empty()).unwrap().ports, 0);
}

#[test]
fn i_5_senders_that_cannot_be_let_in_for_want_of_memory_are_not_overtaken() {
    let Bench {
        mut ipc,
        home,
        port,
        rights,
        messages,
    } = bench();
    for right in rights {
        ipc.insert(home, right).unwrap();
    }
    for message in messages {
        ipc.discard(message);
    }
    let numbered = |ipc: &mut Core, id| {
        let mut message = ipc.new_message().unwrap();
        message.set_id(id);
        message
    };
    ipc.set_queue_limit(home, port, 4).unwrap();
    for id in 0..4 {
        let message = numbered(&mut ipc, id);
        assert!(matches!(
            ipc.send(home, port, message, None),
            Ok(Sent::Queued)
        ));
    }
    for (thread, id) in [(ALICE, 4), (BOB, 5)] {
        let message = numbered(&mut ipc, id);
        assert!(matches!(
            ipc.send(home, port, message, Some(thread)),
            Ok(Sent::Waiting)
        ));
    }
    let late = numbered(&mut ipc, 9);
    let (late, failed) = failing(0, ALL, || {
        ipc.set_queue_limit(home, port, 100).unwrap();
        assert!(
            ipc.poll_event().is_none(),
            "a sender was let in without memory"
        );
        let error = ipc.send(home, port, late, None).unwrap_err();
        assert_eq!(error.failure, SendFailure::Full);
        error.message
    });
    assert!(failed);
    ipc.discard(late);
    ipc.audit(std::iter::empty()).unwrap();
    let mut received = Vec::with_capacity(8);
    failing(0, ALL, || {
        while let Ok(Delivery::Message(message)) = ipc.receive(home, port) {
            received.push(message.id());
            ipc.discard(message);
        }
    });
    assert_eq!(received, [0, 1, 2, 3, 4, 5]);
    ipc.audit(std::iter::empty()).unwrap();
}

#[test]
fn i_8_a_steady_exchange_allocates_nothing() {
    let mut ipc = Core::new();
    ipc.register_thread(ALICE).unwrap();
    ipc.register_thread(BOB).unwrap();
    let (client, server) = (ipc.create_space(10).unwrap(), ipc.create_space(10).unwrap());
    let port = ipc.allocate_port(server).unwrap();
    let right = ipc.make_right(server, port, RightKind::Send).unwrap();
    let send = ipc.insert(client, right).unwrap();
    assert!(ipc.receive_or_wait(BOB, server, port).unwrap().is_none());
    let call = |ipc: &mut Core| {
        let mut call = ipc.new_message().unwrap();
        call.set_data(&[7; 64]).unwrap();
        ipc.attach_reply(ALICE, &mut call).unwrap();
        let right = ipc.copy_send(client, send).unwrap();
        call.push_right(right).unwrap();
        assert!(matches!(
            ipc.send(client, send, call, None),
            Ok(Sent::Handed(BOB))
        ));
        assert!(ipc.await_reply(ALICE).unwrap().is_none());
        let Some(Completion::Received(Delivery::Message(mut request))) = ipc.take_completion(BOB)
        else {
            panic!()
        };
        let right = request.take_right().unwrap();
        let name = ipc.insert(server, right).unwrap();
        ipc.deallocate(server, name, RightKind::Send).unwrap();
        assert!(matches!(ipc.reply(request), Ok(Sent::Handed(ALICE))));
        assert!(ipc.receive_or_wait(BOB, server, port).unwrap().is_none());
        let Some(Completion::Received(Delivery::Message(answer))) = ipc.take_completion(ALICE)
        else {
            panic!()
        };
        ipc.discard(answer);
    };
    call(&mut ipc);
    let rounds = if cfg!(miri) { 10 } else { 10_000 };
    let ((), asked) = counting(|| (0..rounds).for_each(|_| call(&mut ipc)));
    assert_eq!(asked, 0);
    ipc.audit(std::iter::empty()).unwrap();
}
