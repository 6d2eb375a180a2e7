//! What the network layer does: stand-ins and bare remote rights.

use super::*;

const TOKEN: RemoteToken = RemoteToken(0xbeef);

/// A stand-in, and the name of a send right to it.
fn proxy(ipc: &mut Core, space: SpaceId) -> (PortId, Name) {
    let proxy = ipc.create_proxy(TOKEN).unwrap();
    let right = ipc.add_send(proxy).unwrap();
    (proxy, ipc.insert(space, right).unwrap())
}

/// Sends through a stand-in; the message comes out again.
fn forward(ipc: &mut Core, space: SpaceId, name: Name, id: u32) {
    let message = message(ipc, id);
    match ipc.send(space, name, message, None) {
        Ok(Sent::Forward {
            token: TOKEN,
            via: Some(_),
            message,
        }) => {
            assert_eq!(message.id(), id);
            ipc.discard(message);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn i_16_a_stand_in_is_unused_once_when_its_last_right_goes() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let (id, name) = proxy(&mut ipc, home);
    assert_eq!(ipc.sink(id), Ok(Sink::Remote(TOKEN)));
    let copy = ipc.copy_send(home, name).unwrap();
    ipc.deallocate(home, name, RightKind::Send).unwrap();
    assert_eq!(events(&mut ipc), []);
    ipc.release(copy);
    assert_eq!(events(&mut ipc), [Event::Unused(TOKEN)]);
    assert_eq!(ipc.sink(id), Err(RightError::InvalidName));
    assert_eq!(ipc.add_send(id), Err(RightError::InvalidName));
    assert_eq!(audit(&ipc).ports, 0);
}

#[test]
fn i_16_a_stand_in_lives_while_a_thread_waits_to_send_through_it() {
    let mut ipc = core();
    let home = space(&mut ipc);
    for cancel in [false, true] {
        let (id, name) = proxy(&mut ipc, home);
        ipc.hold_back(id, true);
        let message = message(&mut ipc, 1);
        assert!(matches!(
            ipc.send(home, name, message, Some(ALICE)),
            Ok(Sent::Waiting)
        ));
        ipc.deallocate(home, name, RightKind::Send).unwrap();
        assert_eq!(events(&mut ipc), []);
        audit(&ipc);
        let message = if cancel {
            let Cancelled::Message(message) = ipc.cancel(ALICE) else {
                panic!()
            };
            assert_eq!(events(&mut ipc), [Event::Unused(TOKEN)]);
            message
        } else {
            ipc.hold_back(id, false);
            let (token, message) = ipc.next_to_carry(id).unwrap();
            assert_eq!(token, TOKEN);
            assert_eq!(events(&mut ipc), [Event::Wake(ALICE), Event::Unused(TOKEN)]);
            assert!(matches!(ipc.take_completion(ALICE), Some(Completion::Sent)));
            message
        };
        ipc.discard(message);
        assert!(ipc.carried(id).is_none());
        assert_eq!(audit(&ipc).ports, 0);
    }
}

#[test]
fn i_12_messages_under_way_are_bounded_and_waiting_senders_follow_in_order() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let (id, name) = proxy(&mut ipc, home);
    for number in 0..u32::from(limits::DEFAULT_QUEUE_LIMIT) {
        forward(&mut ipc, home, name, number);
    }
    let refused = message(&mut ipc, 90);
    let error = ipc.send(home, name, refused, None).unwrap_err();
    assert_eq!(error.failure, SendFailure::Full);
    ipc.discard(error.message);
    for (thread, number) in [(ALICE, 91), (BOB, 92)] {
        let message = message(&mut ipc, number);
        assert!(matches!(
            ipc.send(home, name, message, Some(thread)),
            Ok(Sent::Waiting)
        ));
    }
    for number in [91, 92] {
        let (_, message) = ipc.carried(id).unwrap();
        assert_eq!(message.id(), number);
        ipc.discard(message);
        audit(&ipc);
    }
    for _ in 0..100 {
        assert!(ipc.carried(id).is_none());
    }
    forward(&mut ipc, home, name, 93);
    audit(&ipc);
}

#[test]
fn i_9_the_death_of_a_node_makes_dead_names_and_refuses_who_waits() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let (id, name) = proxy(&mut ipc, home);
    ipc.hold_back(id, true);
    let waiting = message(&mut ipc, 1);
    assert!(matches!(
        ipc.send(home, name, waiting, Some(ALICE)),
        Ok(Sent::Waiting)
    ));
    ipc.kill_port(id, Reason::NodeDied(9));
    match ipc.take_completion(ALICE) {
        Some(Completion::Refused(Reason::NodeDied(9), message)) => ipc.discard(message),
        other => panic!("{other:?}"),
    }
    let next = message(&mut ipc, 2);
    let error = ipc.send(home, name, next, None).unwrap_err();
    let dead = RightError::Dead(Reason::NodeDied(9));
    assert_eq!(error.failure, SendFailure::Right(dead));
    ipc.discard(error.message);
    assert_eq!(audit(&ipc).dead, 1);
    ipc.deallocate(home, name, RightKind::Send).unwrap();
    // The other node is gone: there is nobody to give the right back to.
    assert_eq!(events(&mut ipc), [Event::Wake(ALICE)]);
    assert_eq!(audit(&ipc).ports, 0);
}

#[test]
fn i_13_a_receive_right_on_its_way_queues_until_it_is_elsewhere() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let (_, name) = proxy(&mut ipc, home);
    let port = ipc.allocate_port(home).unwrap();
    let send = give_send(&mut ipc, home, port, home);
    let right = ipc.extract(home, port, RightKind::Receive).unwrap();
    let id = right.port().unwrap();
    let mut moving = message(&mut ipc, 1);
    moving.push_right(right).unwrap();
    let Ok(Sent::Forward { mut message, .. }) = ipc.send(home, name, moving, None) else {
        panic!("it does not leave")
    };
    fill(&mut ipc, home, send, [1, 2]);
    assert_eq!(ipc.sink(id), Ok(Sink::Queue));
    // It may not be taken there, and is as it was.
    let right = message.take_right().unwrap();
    ipc.discard(message);
    assert_eq!(ipc.insert(home, right).unwrap(), send);
    for number in [1, 2] {
        assert_eq!(receive_id(&mut ipc, home, send), Some(number));
    }
    audit(&ipc);
}

#[test]
fn i_7_a_bare_remote_right_is_used_or_reported_once() {
    let mut ipc = core();
    let home = space(&mut ipc);
    for (number, used) in [(1, true), (2, false)] {
        let once = ipc.import_send_once(RemoteToken(number)).unwrap();
        assert_eq!(once.remote(), Some(RemoteToken(number)));
        let name = ipc.insert(home, once).unwrap();
        audit(&ipc);
        if used {
            let message = message(&mut ipc, 1);
            let Ok(Sent::Forward {
                token,
                via: None,
                message,
            }) = ipc.send(home, name, message, None)
            else {
                panic!()
            };
            assert_eq!(token, RemoteToken(1));
            ipc.discard(message);
            assert_eq!(events(&mut ipc), []);
        } else {
            ipc.deallocate(home, name, RightKind::SendOnce).unwrap();
            assert_eq!(events(&mut ipc), [Event::Unanswered(RemoteToken(2))]);
        }
        assert_eq!(ipc.name_count(home), Ok(0));
    }
    let once = ipc.import_send_once(TOKEN).unwrap();
    ipc.forget_send_once(once);
    assert_eq!(events(&mut ipc), []);
    audit(&ipc);
}

#[test]
fn a_stand_in_without_rights_can_be_taken_back() {
    let mut ipc = core();
    let id = ipc.create_proxy(TOKEN).unwrap();
    ipc.remove_unused_proxy(id);
    assert_eq!(audit(&ipc).ports, 0);
    let id = ipc.create_proxy(TOKEN).unwrap();
    let right = ipc.add_send(id).unwrap();
    ipc.remove_unused_proxy(id);
    assert_eq!(audit_with(&ipc, &[&right]).ports, 1);
    ipc.release(right);
    // A port of this node is none.
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let right = ipc.make_right(home, port, RightKind::Send).unwrap();
    let id = right.port().unwrap();
    ipc.release(right);
    ipc.remove_unused_proxy(id);
    assert_eq!(audit(&ipc).ports, 1);
}

#[test]
fn i_16_a_stand_in_that_is_to_stay_does_and_says_once_that_it_is_unused() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let (id, name) = proxy(&mut ipc, home);
    assert!(!ipc.keep_unused(id) && !ipc.is_unused(id));
    ipc.deallocate(home, name, RightKind::Send).unwrap();
    assert_eq!(events(&mut ipc), [Event::Unused(TOKEN)]);
    assert!(ipc.is_unused(id));
    // It is the same stand-in that serves again, and it has said what it has to say.
    let right = ipc.add_send(id).unwrap();
    audit_with(&ipc, &[&right]);
    ipc.release(right);
    assert_eq!(events(&mut ipc), []);
    assert!(ipc.keep_unused(id));
    let right = ipc.add_send(id).unwrap();
    ipc.release(right);
    assert_eq!(events(&mut ipc), [Event::Unused(TOKEN)]);
    ipc.remove_unused_proxy(id);
    assert!(ipc.is_unused(id) && ipc.keep_unused(id));
    assert_eq!(audit(&ipc).ports, 0);
}

#[test]
fn a_stand_in_without_rights_that_stays_dies_with_its_node() {
    let mut ipc = core();
    let id = ipc.create_proxy(TOKEN).unwrap();
    ipc.keep_unused(id);
    ipc.kill_port(id, Reason::NodeDied(4));
    assert_eq!(events(&mut ipc), []);
    assert_eq!(audit(&ipc).ports, 0);
}

#[test]
fn a_stand_in_can_be_led_elsewhere() {
    const OTHER: RemoteToken = RemoteToken(0xfeed);
    let mut ipc = core();
    let home = space(&mut ipc);
    let (id, name) = proxy(&mut ipc, home);
    ipc.hold_back(id, true);
    let waiting = message(&mut ipc, 1);
    let sent = ipc.send(home, name, waiting, Some(ALICE));
    assert!(matches!(sent, Ok(Sent::Waiting)));
    ipc.redirect(id, OTHER);
    ipc.hold_back(id, false);
    let (token, message) = ipc.next_to_carry(id).unwrap();
    assert_eq!(token, OTHER);
    ipc.discard(message);
    assert_eq!(ipc.sink(id), Ok(Sink::Remote(OTHER)));
    // A port of this node stays one.
    let port = ipc.allocate_port(home).unwrap();
    let right = ipc.make_right(home, port, RightKind::Send).unwrap();
    let id = right.port().unwrap();
    ipc.redirect(id, OTHER);
    assert_eq!(ipc.sink(id), Ok(Sink::Queue));
    ipc.release(right);
    audit(&ipc);
}

#[test]
fn a_port_keeps_its_label_for_life_and_names_it_when_it_dies() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let right = ipc.make_right(home, port, RightKind::Send).unwrap();
    let id = right.port().unwrap();
    assert_eq!(ipc.label(id), Label::default());
    let label = Label {
        identity: 77,
        moves: 3,
    };
    ipc.set_label(id, label);
    ipc.watch(id);
    assert_eq!(ipc.label(id), label);
    ipc.destroy_space(home);
    ipc.release(right);
    assert_eq!(events(&mut ipc), [Event::PortDied(id, 77)]);
    assert_eq!(ipc.label(id), Label::default());
    audit(&ipc);
}

#[test]
fn i_3_a_dead_name_can_be_duplicated_and_nothing_else_but_send_rights() {
    let mut ipc = core();
    let id = ipc.create_proxy(TOKEN).unwrap();
    let right = ipc.add_send(id).unwrap();
    ipc.kill_port(id, Reason::NodeDied(9));
    let other = ipc.duplicate(&right).unwrap();
    audit_with(&ipc, &[&right, &other]);
    ipc.release(right);
    ipc.release(other);
    let once = ipc.import_send_once(TOKEN).unwrap();
    assert!(ipc.duplicate(&once).is_err());
    ipc.forget_send_once(once);
    assert_eq!(audit(&ipc).ports, 0);
}

#[test]
fn a_call_on_behalf_of_a_thread_is_answered_at_its_reply_port() {
    let mut ipc = core();
    let right = ipc.make_reply_right(ALICE).unwrap();
    audit_with(&ipc, &[&right]);
    assert!(ipc.await_reply(ALICE).unwrap().is_none());
    let answer = message(&mut ipc, 4);
    assert!(matches!(
        ipc.send_to(right, answer, None),
        Ok(Sent::Handed(ALICE))
    ));
    // The network layer has nobody to switch to, and wakes as often as it likes.
    ipc.defer_wake(ALICE);
    ipc.defer_wake(ALICE);
    ipc.defer_wake(ThreadId(99));
    assert_eq!(events(&mut ipc), [Event::Wake(ALICE)]);
    let answer = handed(&mut ipc, ALICE);
    ipc.discard(answer);
    assert_eq!(
        ipc.make_reply_right(ThreadId(99)).unwrap_err(),
        RightError::InvalidName
    );
    audit(&ipc);
}

#[test]
fn rights_of_a_session_that_is_over_are_forgotten_without_an_event() {
    let mut ipc = core();
    let once = ipc.import_send_once(TOKEN).unwrap();
    ipc.forget_right(once, Reason::NodeDied(1));
    let right = ipc.make_reply_right(ALICE).unwrap();
    ipc.forget_right(right, Reason::NodeDied(1));
    assert_eq!(events(&mut ipc), []);
    assert!(matches!(
        ipc.await_reply(ALICE),
        Ok(Some(Delivery::Notification(Notification::SendOnce(
            Reason::NodeDied(1)
        ))))
    ));
    audit(&ipc);
}

#[test]
fn is_full_says_what_a_send_would_meet() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    give_send(&mut ipc, home, port, home);
    let probe = ipc.copy_send(home, port).unwrap();
    let id = probe.port().unwrap();
    ipc.set_queue_limit(home, port, 1).unwrap();
    assert_eq!(ipc.is_full(id), Ok(false));
    fill(&mut ipc, home, port, [1]);
    assert_eq!(ipc.is_full(id), Ok(true));
    ipc.destroy_space(home);
    assert_eq!(ipc.is_full(id), Err(RightError::Dead(Reason::Destroyed)));
    ipc.release(probe);
    assert_eq!(ipc.is_full(id), Err(RightError::InvalidName));
    audit(&ipc);
}
