//! Sends that fail, send-once rights and replies.

use super::*;

/// A message with everything in it, and the rights that it had.
fn full_message(ipc: &mut Core, owner: SpaceId, port: Name) -> Message<HeapPage> {
    let mut message = message(ipc, 7);
    message.set_data(b"data").unwrap();
    message.set_context(Context {
        deadline: 5,
        trace: [1; 16],
        priority: 3,
    });
    message.set_expects_reply(true);
    let carried = ipc.make_right(owner, port, RightKind::Send).unwrap();
    message.push_right(carried).unwrap();
    let reply = ipc.make_right(owner, port, RightKind::SendOnce).unwrap();
    message.set_reply(reply).unwrap();
    let memory = Memory::copy_from(&[9; 5000], &mut HeapPages::default()).unwrap();
    let old = message.replace_memory(memory).unwrap();
    assert!(old.is_empty());
    message
}

fn assert_whole(message: &Message<HeapPage>) {
    assert_eq!((message.id(), message.data()), (7, &b"data"[..]));
    assert_eq!(
        message.context(),
        Context {
            deadline: 5,
            trace: [1; 16],
            priority: 3
        }
    );
    assert!(message.expects_reply());
    assert_eq!(message.rights().len(), 1);
    assert_eq!(message.reply().map(Right::kind), Some(RightKind::SendOnce));
    assert_eq!(message.memory().len(), 5000);
    assert!(
        message
            .memory()
            .chunks()
            .all(|chunk| chunk.iter().all(|byte| *byte == 9))
    );
}

#[test]
fn i_1_a_send_to_a_full_queue_gives_everything_back() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let name = give_send(&mut ipc, home, port, home);
    assert_eq!(name, port);
    fill(
        &mut ipc,
        home,
        name,
        0..u32::from(limits::DEFAULT_QUEUE_LIMIT),
    );
    let message = full_message(&mut ipc, home, port);
    let error = ipc.send(home, name, message, None).unwrap_err();
    assert_eq!(error.failure, SendFailure::Full);
    assert_whole(&error.message);
    ipc.discard(error.message);
    audit(&ipc);
}

#[test]
fn i_1_a_send_to_a_bad_name_gives_everything_back() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let stale = ipc.allocate_port(home).unwrap();
    ipc.deallocate(home, stale, RightKind::Receive).unwrap();
    let message = full_message(&mut ipc, home, port);
    let error = ipc.send(home, stale, message, None).unwrap_err();
    assert_eq!(error.failure, SendFailure::Right(RightError::InvalidName));
    assert_whole(&error.message);
    let error = ipc
        .send(home, Name::from_raw(0), error.message, None)
        .unwrap_err();
    assert_eq!(error.failure, SendFailure::Right(RightError::InvalidName));
    // The name denotes a receive right only.
    let error = ipc.send(home, port, error.message, None).unwrap_err();
    assert_eq!(error.failure, SendFailure::Right(RightError::InvalidRight));
    assert_whole(&error.message);
    ipc.discard(error.message);
    audit(&ipc);
}

#[test]
fn i_1_a_send_to_a_dead_port_gives_everything_back_and_keeps_the_right() {
    let mut ipc = core();
    let (client, server) = (space(&mut ipc), space(&mut ipc));
    let home = ipc.allocate_port(client).unwrap();
    let port = ipc.allocate_port(server).unwrap();
    let send = give_send(&mut ipc, server, port, client);
    let once = ipc.make_right(server, port, RightKind::SendOnce).unwrap();
    let once = ipc.insert(client, once).unwrap();
    ipc.destroy_space(server);
    let dead = SendFailure::Right(RightError::Dead(Reason::Destroyed));
    let message = full_message(&mut ipc, client, home);
    let error = ipc.send(client, send, message, Some(ALICE)).unwrap_err();
    assert_eq!(error.failure, dead);
    let error = ipc
        .send(client, once, error.message, Some(ALICE))
        .unwrap_err();
    assert_eq!(error.failure, dead);
    assert_whole(&error.message);
    let right = ipc.extract(client, send, RightKind::Send).unwrap();
    let (right, error) = ipc.send_to(right, error.message, None).unwrap_err();
    assert_eq!(error.failure, dead);
    assert_whole(&error.message);
    ipc.release(right);
    ipc.discard(error.message);
    ipc.deallocate(client, once, RightKind::SendOnce).unwrap();
    assert_eq!(audit(&ipc).ports, 1);
}

#[test]
fn i_1_a_reply_that_fails_keeps_its_reply_right_and_its_flags() {
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
    // The caller's time is up.
    assert!(matches!(ipc.cancel(ALICE), Cancelled::Nothing));
    ipc.renew_reply_port(ALICE);
    let Ok(Delivery::Message(call)) = ipc.receive(server, port) else {
        panic!()
    };
    let error = ipc.reply(call).unwrap_err();
    assert_eq!(
        error.failure,
        SendFailure::Right(RightError::Dead(Reason::Destroyed))
    );
    assert!(error.message.expects_reply());
    assert!(error.message.reply().is_some());
    ipc.discard(error.message);
    assert_eq!(audit(&ipc).ports, 1);
}

#[test]
fn i_1_a_right_that_cannot_be_inserted_comes_back() {
    let mut ipc = core();
    let (home, tight) = (space(&mut ipc), ipc.create_space(1).unwrap());
    let port = ipc.allocate_port(home).unwrap();
    let first = give_send(&mut ipc, home, port, tight);
    // Equal send rights merge, so this needs no further name.
    assert_eq!(give_send(&mut ipc, home, port, tight), first);
    let right = ipc.make_right(home, port, RightKind::SendOnce).unwrap();
    let refused = ipc.insert(tight, right).unwrap_err();
    assert_eq!(refused.error, RightError::NoMemory);
    audit_with(&ipc, &[&refused.right]);
    ipc.destroy_space(tight);
    let refused = ipc.insert(tight, refused.right).unwrap_err();
    assert_eq!(refused.error, RightError::InvalidName);
    ipc.release(refused.right);
    audit(&ipc);
}

#[test]
fn i_7_a_send_once_right_is_never_refused_for_a_full_queue() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    ipc.set_queue_limit(home, port, 1).unwrap();
    give_send(&mut ipc, home, port, home);
    fill(&mut ipc, home, port, [0]);
    for id in 1..20 {
        let once = ipc.make_right(home, port, RightKind::SendOnce).unwrap();
        let message = message(&mut ipc, id);
        assert!(matches!(ipc.send_to(once, message, None), Ok(Sent::Queued)));
    }
    for id in 0..20 {
        assert_eq!(receive_id(&mut ipc, home, port), Some(id));
    }
    audit(&ipc);
}

#[test]
fn i_7_a_send_once_right_that_is_dropped_says_so_once() {
    let mut ipc = core();
    let (home, other) = (space(&mut ipc), space(&mut ipc));
    let port = ipc.allocate_port(home).unwrap();
    let once = ipc.make_right(home, port, RightKind::SendOnce).unwrap();
    let name = ipc.insert(other, once).unwrap();
    ipc.deallocate(other, name, RightKind::SendOnce).unwrap();
    let news = Notification::SendOnce(Reason::Unanswered);
    assert!(matches!(ipc.receive(home, port), Ok(Delivery::Notification(n)) if n == news));
    assert!(matches!(ipc.receive(home, port), Err(ReceiveError::Empty)));
    // The same for a thread that waits, and with another reason.
    let once = ipc.make_right(home, port, RightKind::SendOnce).unwrap();
    assert!(ipc.receive_or_wait(BOB, home, port).unwrap().is_none());
    ipc.release_because(once, Reason::NodeDied(3));
    assert_eq!(events(&mut ipc), [Event::Wake(BOB)]);
    let news = Notification::SendOnce(Reason::NodeDied(3));
    assert!(matches!(
        ipc.take_completion(BOB),
        Some(Completion::Received(Delivery::Notification(n))) if n == news
    ));
    audit(&ipc);
}

#[test]
fn i_44_whoever_gives_a_right_up_can_say_why() {
    let mut ipc = core();
    let (home, other) = (space(&mut ipc), space(&mut ipc));
    let why = Reason::NodeDied(3);
    let port = ipc.allocate_port(home).unwrap();
    let once = ipc.make_right(home, port, RightKind::SendOnce).unwrap();
    let name = ipc.insert(other, once).unwrap();
    ipc.deallocate_because(other, name, RightKind::SendOnce, why)
        .unwrap();
    let news = Notification::SendOnce(why);
    assert!(matches!(ipc.receive(home, port), Ok(Delivery::Notification(n)) if n == news));
    // A port dies of it.
    let right = give_send(&mut ipc, home, port, other);
    let once = ipc.make_right(home, port, RightKind::SendOnce).unwrap();
    ipc.deallocate_because(home, port, RightKind::Receive, why)
        .unwrap();
    let refused = message(&mut ipc, 2);
    let error = ipc.send(other, right, refused, None).unwrap_err();
    assert_eq!(error.failure, SendFailure::Right(RightError::Dead(why)));
    ipc.discard(error.message);
    ipc.release(once);
    audit(&ipc);
    // One that is to come back when it is given up comes back, whatever the reason.
    let (port, answers) = (
        ipc.allocate_port(home).unwrap(),
        ipc.allocate_port(other).unwrap(),
    );
    let notify = ipc.make_right(other, answers, RightKind::SendOnce).unwrap();
    let asked = ipc.request_port_destroyed(home, port, Some(notify));
    assert!(matches!(asked, Ok(None)));
    ipc.deallocate_because(home, port, RightKind::Receive, why)
        .unwrap();
    let Ok(Delivery::Notification(Notification::PortDestroyed(right))) =
        ipc.receive(other, answers)
    else {
        panic!("it did not come back");
    };
    ipc.release(right);
    audit(&ipc);
}

#[test]
fn i_44_a_send_once_right_to_a_port_of_ones_own_can_be_unmade() {
    let mut ipc = core();
    let (home, other) = (space(&mut ipc), space(&mut ipc));
    let port = ipc.allocate_port(home).unwrap();
    for (holder, is_own) in [(home, true), (other, false)] {
        let once = ipc.make_right(home, port, RightKind::SendOnce).unwrap();
        let name = ipc.insert(holder, once).unwrap();
        let unmade = ipc.unmake_once(holder, name);
        match is_own {
            true => assert_eq!(unmade, Ok(())),
            false => assert_eq!(unmade, Err(RightError::InvalidRight)),
        }
        let gone = ipc.deallocate(holder, name, RightKind::SendOnce);
        assert_eq!(gone.is_err(), is_own);
    }
    assert_eq!(ipc.unmake_once(home, port), Err(RightError::InvalidRight));
    // The one that was not unmade was told of.
    assert!(matches!(
        ipc.receive(home, port),
        Ok(Delivery::Notification(_))
    ));
    assert!(matches!(ipc.receive(home, port), Err(ReceiveError::Empty)));
    audit(&ipc);
}

#[test]
fn a_call_goes_to_the_waiting_server_and_comes_back_in_the_same_message() {
    let mut ipc = core();
    let (client, server) = (space(&mut ipc), space(&mut ipc));
    let port = ipc.allocate_port(server).unwrap();
    let send = give_send(&mut ipc, server, port, client);
    assert!(ipc.receive_or_wait(BOB, server, port).unwrap().is_none());
    let mut call = message(&mut ipc, 1);
    for id in 1..5 {
        call.set_id(id);
        ipc.attach_reply(ALICE, &mut call).unwrap();
        assert!(matches!(
            ipc.send(client, send, call, Some(ALICE)),
            Ok(Sent::Handed(BOB))
        ));
        assert!(ipc.await_reply(ALICE).unwrap().is_none());
        let mut request = handed(&mut ipc, BOB);
        assert!(request.expects_reply());
        assert_eq!(request.id(), id);
        request.set_id(id + 100);
        assert!(matches!(ipc.reply(request), Ok(Sent::Handed(ALICE))));
        assert!(ipc.receive_or_wait(BOB, server, port).unwrap().is_none());
        call = handed(&mut ipc, ALICE);
        assert!(!call.expects_reply());
        assert_eq!(call.id(), id + 100);
        assert_eq!(events(&mut ipc), []);
    }
    ipc.discard(call);
    audit(&ipc);
}

#[test]
fn a_call_that_was_not_sent_takes_its_reply_right_back_without_news() {
    let mut ipc = core();
    let mut call = message(&mut ipc, 1);
    ipc.attach_reply(ALICE, &mut call).unwrap();
    ipc.detach_reply(&mut call);
    assert!(call.reply().is_none() && !call.expects_reply());
    assert!(matches!(
        ipc.await_reply(ALICE),
        Err(RightError::InvalidName)
    ));
    audit(&ipc);
    // The reply port was renewed in between: its record must go with the last right.
    ipc.attach_reply(ALICE, &mut call).unwrap();
    ipc.renew_reply_port(ALICE);
    ipc.detach_reply(&mut call);
    ipc.discard(call);
    assert_eq!(audit(&ipc).ports, 0);
}

#[test]
fn a_reply_right_of_ones_own_is_neither_replaced_nor_detached() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    for kind in [RightKind::Send, RightKind::SendOnce] {
        let mut call = message(&mut ipc, 1);
        let right = ipc.make_right(home, port, kind).unwrap();
        call.set_reply(right).unwrap();
        assert_eq!(
            ipc.attach_reply(ALICE, &mut call),
            Err(RightError::InvalidRight)
        );
        ipc.detach_reply(&mut call);
        assert_eq!(call.reply().map(Right::kind), Some(kind));
        assert!(matches!(ipc.reply(call), Ok(Sent::Queued)));
        assert_eq!(receive_id(&mut ipc, home, port), Some(1));
    }
    audit(&ipc);
}

#[test]
fn a_receive_right_cannot_be_where_a_reply_goes() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let right = ipc.extract(home, port, RightKind::Receive).unwrap();
    let mut call = message(&mut ipc, 1);
    let right = call.set_reply(right).unwrap_err();
    ipc.release(right);
    ipc.discard(call);
    audit(&ipc);
}

#[test]
fn i_12_a_message_is_bounded_in_every_part() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let mut message = message(&mut ipc, 1);
    message.set_data(&[1; limits::MAX_INLINE]).unwrap();
    assert_eq!(message.extend_data(&[1]), Err(NoMemory));
    assert_eq!(
        message.set_data(&[1; limits::MAX_INLINE + 1]),
        Err(NoMemory)
    );
    assert_eq!(message.data().len(), limits::MAX_INLINE);
    for _ in 0..limits::MAX_RIGHTS {
        let right = ipc.make_right(home, port, RightKind::Send).unwrap();
        message.push_right(right).unwrap();
    }
    let right = ipc.make_right(home, port, RightKind::Send).unwrap();
    let right = message.push_right(right).unwrap_err();
    ipc.release(right);
    if !cfg!(miri) {
        let page = HeapPages::default().allocate().unwrap();
        let mut memory = Memory::new();
        for _ in 0..limits::MAX_MEMORY / PAGE_SIZE {
            memory.push(page.share(), PAGE_SIZE).unwrap();
        }
        assert!(memory.push(page, 0).is_err());
        assert_eq!(memory.reserve(1), Err(NoMemory));
        *message.memory_mut() = memory;
    }
    ipc.discard(message);
    audit(&ipc);
}

/// A server that waits at a port, and what a client calls it.
fn pair(ipc: &mut Core) -> (SpaceId, Name, SpaceId, Name) {
    let (client, server) = (space(ipc), space(ipc));
    let port = ipc.allocate_port(server).unwrap();
    let name = give_send(ipc, server, port, client);
    let found = ipc.receive_or_wait(BOB, server, port);
    assert!(matches!(found, Ok(None)));
    (client, name, server, port)
}

#[test]
fn a_call_and_its_answer_as_one_step_each_are_those_of_several() {
    let mut ipc = core();
    let (client, name, server, port) = pair(&mut ipc);
    calls(&mut ipc, client, name, server, (port, port), 0);

    // The same with a server that receives from a set.
    assert!(matches!(ipc.cancel(BOB), Cancelled::Nothing));
    let set = ipc.allocate_set(server).unwrap();
    ipc.move_member(server, port, Some(set)).unwrap();
    let found = ipc.receive_or_wait(BOB, server, set);
    assert!(matches!(found, Ok(None)));
    calls(&mut ipc, client, name, server, (port, set), 6);
}

/// Calls by ALICE to the `port` of BOB, who receives under the name `from`, in turns as several
/// operations and as one.
fn calls(
    ipc: &mut Core,
    client: SpaceId,
    name: Name,
    server: SpaceId,
    (port, from): (Name, Name),
    first: u32,
) {
    let to = ipc.send_target(client, name).unwrap();
    let mut message = message(ipc, 1);
    for sequence in first..first + 6 {
        let at_once = sequence % 2 == 1;
        if at_once {
            let called = ipc.call_at_once(ALICE, to, message);
            assert_eq!(called.unwrap(), BOB);
        } else {
            ipc.attach_reply(ALICE, &mut message).unwrap();
            let sent = ipc.send(client, name, message, None);
            assert!(matches!(sent, Ok(Sent::Handed(BOB))));
            assert!(matches!(ipc.await_reply(ALICE), Ok(None)));
        }
        let request = handed(ipc, BOB);
        assert!(request.expects_reply());
        assert_eq!(request.reply().map(Right::kind), Some(RightKind::SendOnce));
        assert_eq!((request.port(), request.sequence()), (Some(port), sequence));
        audit_with(ipc, &[request.reply().unwrap()]);
        if at_once {
            let answered = ipc.answer_at_once(BOB, server, from, request);
            assert_eq!(answered.unwrap(), ALICE);
        } else {
            assert!(matches!(ipc.reply(request), Ok(Sent::Handed(ALICE))));
            let found = ipc.receive_or_wait(BOB, server, from);
            assert!(matches!(found, Ok(None)));
        }
        message = ipc.take_handed(ALICE).unwrap();
        assert!(message.reply().is_none() && !message.expects_reply());
        assert_eq!((message.port(), message.sequence()), (None, sequence));
        audit(ipc);
    }
    ipc.discard(message);
}

#[test]
fn what_does_not_go_at_once_comes_back_and_nothing_has_moved() {
    let mut ipc = core();
    let (client, name, server, port) = pair(&mut ipc);
    let to = ipc.send_target(client, name).unwrap();
    let call = message(&mut ipc, 1);
    let first = ipc.call_at_once(ALICE, to, call);
    let mut call = first.expect_err("a thread that never called has no reply port");
    ipc.attach_reply(ALICE, &mut call).unwrap();
    let again = ipc.call_at_once(ALICE, to, call);
    let mut call = again.expect_err("it has a reply right already");
    ipc.detach_reply(&mut call);
    assert_eq!(ipc.call_at_once(ALICE, to, call).unwrap(), BOB);
    let request = handed(&mut ipc, BOB);

    let other = message(&mut ipc, 2);
    let busy = ipc.call_at_once(BOB, to, other);
    let other = busy.expect_err("nobody waits at the port");
    assert!(matches!(
        ipc.send(client, name, other, None),
        Ok(Sent::Queued)
    ));
    let busy = ipc.answer_at_once(BOB, server, port, request);
    let request = busy.expect_err("a message is queued");
    assert_eq!(request.reply().map(Right::kind), Some(RightKind::SendOnce));
    assert_eq!(receive_id(&mut ipc, server, port), Some(2));
    let asleep = ipc.answer_at_once(ALICE, server, port, request);
    let request = asleep.expect_err("who waits already cannot wait again");
    assert_eq!(
        ipc.answer_at_once(BOB, server, port, request).unwrap(),
        ALICE
    );
    let answer = handed(&mut ipc, ALICE);
    ipc.discard(answer);
    audit(&ipc);
}
