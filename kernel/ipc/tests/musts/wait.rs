//! Waits: how they begin, end and are cancelled.

use super::*;

#[test]
fn i_11_a_wait_that_is_cancelled_gives_its_message_back() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let name = give_send(&mut ipc, home, port, home);
    ipc.set_queue_limit(home, port, 1).unwrap();
    fill(&mut ipc, home, name, [1]);
    for (thread, id) in [(ALICE, 2), (BOB, 3), (CAROL, 4)] {
        let message = message(&mut ipc, id);
        assert!(matches!(
            ipc.send(home, name, message, Some(thread)),
            Ok(Sent::Waiting)
        ));
    }
    match ipc.cancel(BOB) {
        Cancelled::Message(message) => {
            assert_eq!(message.id(), 3);
            ipc.discard(message);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(ipc.cancel(BOB), Cancelled::Nothing));
    for id in [1, 2, 4] {
        assert_eq!(receive_id(&mut ipc, home, port), Some(id));
    }
    audit(&ipc);
}

#[test]
fn i_11_a_cancel_that_comes_too_late_yields_what_came_first() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let name = give_send(&mut ipc, home, port, home);
    assert!(ipc.receive_or_wait(BOB, home, port).unwrap().is_none());
    let first = message(&mut ipc, 1);
    assert!(matches!(
        ipc.send(home, name, first, None),
        Ok(Sent::Handed(BOB))
    ));
    match ipc.cancel(BOB) {
        Cancelled::Completed(Completion::Received(Delivery::Message(message))) => {
            assert_eq!(message.id(), 1);
            ipc.discard(message);
        }
        other => panic!("{other:?}"),
    }
    assert!(ipc.take_completion(BOB).is_none());
    // A receiver that gave up is given nothing.
    assert!(ipc.receive_or_wait(BOB, home, port).unwrap().is_none());
    assert!(matches!(ipc.cancel(BOB), Cancelled::Nothing));
    fill(&mut ipc, home, name, [2]);
    assert_eq!(receive_id(&mut ipc, home, port), Some(2));
    audit(&ipc);
}

#[test]
fn i_11_a_thread_waits_for_one_thing_at_a_time() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let other = ipc.allocate_port(home).unwrap();
    give_send(&mut ipc, home, port, home);
    assert!(ipc.receive_or_wait(ALICE, home, port).unwrap().is_none());
    assert_eq!(
        ipc.receive_or_wait(ALICE, home, other).unwrap_err(),
        RightError::InvalidRight
    );
    ipc.wait_outside(ALICE);
    ipc.complete(ALICE, 1);
    assert!(ipc.take_completion(ALICE).is_none());
    let first = message(&mut ipc, 1);
    assert!(matches!(
        ipc.send(home, port, first, None),
        Ok(Sent::Handed(ALICE))
    ));
    // It has not looked yet: nothing may replace what it was handed.
    ipc.wait_outside(ALICE);
    assert!(ipc.receive_or_wait(ALICE, home, port).is_err());
    ipc.set_queue_limit(home, port, 1).unwrap();
    fill(&mut ipc, home, port, [2]);
    let third = message(&mut ipc, 3);
    let error = ipc.send(home, port, third, Some(ALICE)).unwrap_err();
    assert_eq!(error.failure, SendFailure::Full);
    ipc.discard(error.message);
    let first = handed(&mut ipc, ALICE);
    assert_eq!(first.id(), 1);
    ipc.discard(first);
    audit(&ipc);
}

#[test]
fn i_11_an_unknown_thread_cannot_wait() {
    let mut ipc = core();
    let unknown = ThreadId(77);
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    give_send(&mut ipc, home, port, home);
    assert_eq!(
        ipc.receive_or_wait(unknown, home, port).unwrap_err(),
        RightError::InvalidName
    );
    let mut call = message(&mut ipc, 1);
    assert_eq!(
        ipc.attach_reply(unknown, &mut call),
        Err(RightError::InvalidName)
    );
    assert!(ipc.await_reply(unknown).is_err());
    ipc.set_queue_limit(home, port, 1).unwrap();
    fill(&mut ipc, home, port, [1]);
    let error = ipc.send(home, port, call, Some(unknown)).unwrap_err();
    ipc.discard(error.message);
    ipc.wait_outside(unknown);
    ipc.complete(unknown, 1);
    assert!(ipc.take_completion(unknown).is_none());
    assert!(matches!(ipc.cancel(unknown), Cancelled::Nothing));
    assert_eq!(
        ipc.register_thread(ThreadId(limits::MAX_THREADS)),
        Err(NoMemory)
    );
    audit(&ipc);
}

#[test]
fn i_11_a_wait_outside_ends_once_with_its_value() {
    let mut ipc = core();
    ipc.wait_outside(ALICE);
    ipc.complete(ALICE, 5);
    ipc.complete(ALICE, 6);
    assert_eq!(events(&mut ipc), [Event::Wake(ALICE)]);
    assert!(matches!(
        ipc.take_completion(ALICE),
        Some(Completion::Signalled(5))
    ));
    assert!(ipc.take_completion(ALICE).is_none());
    ipc.wait_outside(ALICE);
    assert!(matches!(ipc.cancel(ALICE), Cancelled::Nothing));
    ipc.complete(ALICE, 7);
    assert!(ipc.take_completion(ALICE).is_none());
    assert_eq!(events(&mut ipc), []);
}

#[test]
fn i_15_a_receiver_does_not_get_what_comes_after_the_right_moved_away() {
    let mut ipc = core();
    let (home, other) = (space(&mut ipc), space(&mut ipc));
    let port = ipc.allocate_port(home).unwrap();
    let send = give_send(&mut ipc, home, port, home);
    assert!(ipc.receive_or_wait(BOB, home, port).unwrap().is_none());
    let right = ipc.extract(home, port, RightKind::Receive).unwrap();
    assert_eq!(events(&mut ipc), [Event::Wake(BOB)]);
    assert!(matches!(
        ipc.take_completion(BOB),
        Some(Completion::ReceiverDied(Reason::Moved))
    ));
    // Messages queue up while the right is on its way, in order.
    fill(&mut ipc, home, send, [1]);
    audit_with(&ipc, &[&right]);
    let there = ipc.insert(other, right).unwrap();
    fill(&mut ipc, home, send, [2]);
    assert_eq!(receive_id(&mut ipc, other, there), Some(1));
    assert_eq!(receive_id(&mut ipc, other, there), Some(2));
    audit(&ipc);
}
