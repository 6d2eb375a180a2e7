//! Death of ports, spaces and threads, and what hangs on them.

use super::*;

#[test]
fn i_9_whoever_waits_at_a_dying_port_learns_why() {
    let mut ipc = core();
    let (home, other) = (space(&mut ipc), space(&mut ipc));
    let port = ipc.allocate_port(home).unwrap();
    assert!(ipc.receive_or_wait(ALICE, home, port).unwrap().is_none());
    assert!(ipc.receive_or_wait(BOB, home, port).unwrap().is_none());
    ipc.destroy_space(home);
    assert_eq!(events(&mut ipc), [Event::Wake(ALICE), Event::Wake(BOB)]);
    for thread in [ALICE, BOB] {
        assert!(matches!(
            ipc.take_completion(thread),
            Some(Completion::ReceiverDied(Reason::Destroyed))
        ));
    }
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let send = give_send(&mut ipc, home, port, other);
    ipc.set_queue_limit(home, port, 1).unwrap();
    fill(&mut ipc, other, send, [1]);
    let waiting = message(&mut ipc, 2);
    assert!(matches!(
        ipc.send(other, send, waiting, Some(ALICE)),
        Ok(Sent::Waiting)
    ));
    ipc.deallocate(home, port, RightKind::Receive).unwrap();
    assert_eq!(events(&mut ipc), [Event::Wake(ALICE)]);
    match ipc.take_completion(ALICE) {
        Some(Completion::Refused(Reason::Destroyed, message)) => {
            assert_eq!(message.id(), 2);
            ipc.discard(message);
        }
        other => panic!("{other:?}"),
    }
    audit(&ipc);
}

#[test]
fn i_9_a_caller_whose_call_dies_in_a_queue_is_told() {
    let mut ipc = core();
    let (client, server) = (space(&mut ipc), space(&mut ipc));
    let port = ipc.allocate_port(server).unwrap();
    let send = give_send(&mut ipc, server, port, client);
    let mut call = message(&mut ipc, 1);
    ipc.attach_reply(ALICE, &mut call).unwrap();
    assert!(matches!(
        ipc.send(client, send, call, None),
        Ok(Sent::Queued)
    ));
    assert!(ipc.await_reply(ALICE).unwrap().is_none());
    ipc.destroy_space(server);
    assert_eq!(events(&mut ipc), [Event::Wake(ALICE)]);
    assert!(matches!(
        ipc.take_completion(ALICE),
        Some(Completion::Received(Delivery::Notification(
            Notification::SendOnce(Reason::Unanswered)
        )))
    ));
    audit(&ipc);
}

/// A port whose queue holds the receive right of the next, whose queue holds the next ...
#[test]
fn i_9_a_long_chain_of_ports_dies_without_recursion() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let length = if cfg!(miri) { 30 } else { 100_000 };
    let first = ipc.allocate_port(home).unwrap();
    give_send(&mut ipc, home, first, home);
    let mut last = first;
    for _ in 0..length {
        let next = ipc.allocate_port(home).unwrap();
        give_send(&mut ipc, home, next, home);
        let mut message = message(&mut ipc, 1);
        if next != first && last != first {
            // What the chain so far hangs on moves into the new port's queue.
            let right = ipc.extract(home, last, RightKind::Receive).unwrap();
            message.push_right(right).unwrap();
        }
        assert!(matches!(
            ipc.send(home, next, message, None),
            Ok(Sent::Queued)
        ));
        last = next;
    }
    ipc.deallocate(home, last, RightKind::Receive).unwrap();
    // The send rights are dead names, except the first port's.
    assert_eq!(audit(&ipc).dead, length);
    ipc.destroy_space(home);
    assert_eq!(audit(&ipc).ports, 0);
}

/// A message that a dying port held carries the receive right of a second port and the last
/// right to the dying port itself; behind the dying port a third one waits to be emptied.
#[test]
fn i_9_a_dead_port_is_not_forgotten_while_others_hang_on_it() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let (a, b, c) = {
        let mut port = || ipc.allocate_port(home).unwrap();
        (port(), port(), port())
    };
    let send_to_a = ipc.make_right(home, a, RightKind::Send).unwrap();
    let send_to_b = ipc.make_right(home, b, RightKind::Send).unwrap();
    let send_to_c = ipc.make_right(home, c, RightKind::Send).unwrap();
    let a_port = send_to_a.port().unwrap();
    let b_port = send_to_b.port().unwrap();
    let receive_b = ipc.extract(home, b, RightKind::Receive).unwrap();
    let receive_a = ipc.extract(home, a, RightKind::Receive).unwrap();

    let mut in_b = message(&mut ipc, 1);
    in_b.push_right(send_to_b).unwrap();
    assert!(matches!(ipc.post(b_port, in_b, None), Ok(Sent::Queued)));

    // Released from the end: first B dies, then the last right to A goes.
    let mut in_a = message(&mut ipc, 2);
    in_a.push_right(send_to_a).unwrap();
    in_a.push_right(receive_b).unwrap();
    assert!(matches!(ipc.post(a_port, in_a, None), Ok(Sent::Queued)));

    let c_port = send_to_c.port().unwrap();
    let mut in_c = message(&mut ipc, 3);
    in_c.push_right(receive_a).unwrap();
    assert!(matches!(ipc.post(c_port, in_c, None), Ok(Sent::Queued)));
    let mut behind = message(&mut ipc, 4);
    behind.push_right(send_to_c).unwrap();
    assert!(matches!(ipc.post(c_port, behind, None), Ok(Sent::Queued)));

    ipc.deallocate(home, c, RightKind::Receive).unwrap();
    let census = audit(&ipc);
    assert_eq!((census.ports, census.queued), (0, 0));
}

#[test]
fn i_9_a_port_killed_from_above_is_dead_to_its_receiver_too() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let right = ipc.make_right(home, port, RightKind::Send).unwrap();
    let id = right.port().unwrap();
    ipc.watch(id);
    ipc.release(right);
    ipc.kill_port(id, Reason::NodeDied(1));
    ipc.watch(id);
    assert_eq!(events(&mut ipc), [Event::PortDied(id, 0)]);
    let dead = RightError::Dead(Reason::NodeDied(1));
    assert_eq!(ipc.receive_or_wait(ALICE, home, port).unwrap_err(), dead);
    assert!(matches!(ipc.receive(home, port), Err(ReceiveError::Right(e)) if e == dead));
    assert_eq!(ipc.make_right(home, port, RightKind::Send), Err(dead));
    assert_eq!(ipc.set_queue_limit(home, port, 3), Err(dead));
    assert_eq!(audit(&ipc).dead, 1);
    ipc.deallocate(home, port, RightKind::Receive).unwrap();
    assert_eq!(audit(&ipc).ports, 0);
}

#[test]
fn a_watch_on_a_dead_port_is_answered_at_once() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let right = ipc.make_right(home, port, RightKind::Send).unwrap();
    let id = right.port().unwrap();
    ipc.deallocate(home, port, RightKind::Receive).unwrap();
    ipc.watch(id);
    ipc.watch(id);
    assert_eq!(events(&mut ipc), [Event::PortDied(id, 0)]);
    ipc.release(right);
    audit(&ipc);
}

#[test]
fn i_14_a_late_answer_is_never_taken_for_a_later_one() {
    let mut ipc = core();
    let (client, server) = (space(&mut ipc), space(&mut ipc));
    let port = ipc.allocate_port(server).unwrap();
    let send = give_send(&mut ipc, server, port, client);
    let mut late = Vec::new();
    for id in 0..3 {
        let mut call = message(&mut ipc, id);
        ipc.attach_reply(ALICE, &mut call).unwrap();
        assert!(matches!(
            ipc.send(client, send, call, None),
            Ok(Sent::Queued)
        ));
        assert!(ipc.await_reply(ALICE).unwrap().is_none());
        let Ok(Delivery::Message(request)) = ipc.receive(server, port) else {
            panic!()
        };
        late.push(request);
        if id < 2 {
            assert!(matches!(ipc.cancel(ALICE), Cancelled::Nothing));
            ipc.renew_reply_port(ALICE);
        }
    }
    let last = late.pop().unwrap();
    for request in late {
        let error = ipc.reply(request).unwrap_err();
        ipc.discard(error.message);
    }
    assert!(ipc.take_completion(ALICE).is_none());
    assert!(matches!(ipc.reply(last), Ok(Sent::Handed(ALICE))));
    let answer = handed(&mut ipc, ALICE);
    assert_eq!(answer.id(), 2);
    ipc.discard(answer);
    assert_eq!(audit(&ipc).dead, 0);
}

#[test]
fn a_thread_with_a_dead_reply_port_gets_a_new_one() {
    let mut ipc = core();
    let mut call = message(&mut ipc, 1);
    ipc.attach_reply(ALICE, &mut call).unwrap();
    let old = call.reply().and_then(Right::port).unwrap();
    ipc.kill_port(old, Reason::NodeDied(1));
    assert_eq!(
        ipc.await_reply(ALICE).unwrap_err(),
        RightError::Dead(Reason::NodeDied(1))
    );
    ipc.detach_reply(&mut call);
    ipc.attach_reply(ALICE, &mut call).unwrap();
    assert_ne!(call.reply().and_then(Right::port), Some(old));
    ipc.discard(call);
    let census = audit(&ipc);
    assert_eq!((census.ports, census.dead), (1, 0));
}

#[test]
fn a_thread_that_ends_leaves_nothing_behind() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    give_send(&mut ipc, home, port, home);
    ipc.set_queue_limit(home, port, 1).unwrap();
    fill(&mut ipc, home, port, [1]);
    let mut call = message(&mut ipc, 2);
    ipc.attach_reply(ALICE, &mut call).unwrap();
    assert!(matches!(
        ipc.send(home, port, call, Some(ALICE)),
        Ok(Sent::Waiting)
    ));
    ipc.unregister_thread(ALICE);
    // A message that it was handed and never looked at is destroyed too.
    assert_eq!(receive_id(&mut ipc, home, port), Some(1));
    assert!(ipc.receive_or_wait(BOB, home, port).unwrap().is_none());
    let last = message(&mut ipc, 3);
    assert!(matches!(
        ipc.send(home, port, last, None),
        Ok(Sent::Handed(BOB))
    ));
    ipc.unregister_thread(BOB);
    ipc.unregister_thread(ThreadId(99));
    let census = audit(&ipc);
    assert_eq!((census.ports, census.queued, census.waiting), (1, 0, 0));
}
