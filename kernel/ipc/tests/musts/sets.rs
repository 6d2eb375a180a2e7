//! Port sets, receiving within a limit, and sequence numbers.

use super::*;

/// So many ports in a set, with a send right to each.
fn set_of(ipc: &mut Core, home: SpaceId, count: usize) -> (Name, Vec<Name>) {
    let set = ipc.allocate_set(home).unwrap();
    let ports = (0..count).map(|_| {
        let port = ipc.allocate_port(home).unwrap();
        give_send(ipc, home, port, home);
        ipc.move_member(home, port, Some(set)).unwrap();
        port
    });
    (set, ports.collect())
}

/// Receives and discards; returns the identifier and the port.
fn receive_from(ipc: &mut Core, home: SpaceId, set: Name) -> Option<(u32, Name)> {
    match ipc.receive(home, set) {
        Ok(Delivery::Message(message)) => {
            let got = (message.id(), message.port().unwrap());
            ipc.discard(message);
            Some(got)
        }
        Ok(Delivery::Notification(news)) => panic!("{news:?}"),
        Err(error) => {
            assert_eq!(error, ReceiveError::Empty);
            None
        }
    }
}

#[test]
fn i_17_members_of_a_set_take_turns() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let (set, ports) = set_of(&mut ipc, home, 3);
    fill(&mut ipc, home, ports[1], [10, 11, 12]);
    fill(&mut ipc, home, ports[0], [0]);
    fill(&mut ipc, home, ports[2], [20, 21]);
    audit(&ipc);
    let order: Vec<_> =
        std::iter::from_fn(|| receive_from(&mut ipc, home, set).map(|(id, _)| id)).collect();
    assert_eq!(order, [10, 0, 20, 11, 21, 12]);
    audit(&ipc);
}

#[test]
fn i_17_a_message_says_on_which_port_it_came() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let (set, ports) = set_of(&mut ipc, home, 2);
    // To a thread that waits at the set, by a right in another space.
    let there = space(&mut ipc);
    let name = give_send(&mut ipc, home, ports[1], there);
    assert!(matches!(ipc.receive_or_wait(ALICE, home, set), Ok(None)));
    let sent = message(&mut ipc, 1);
    assert!(matches!(
        ipc.send(there, name, sent, None),
        Ok(Sent::Handed(ALICE))
    ));
    let Some(Completion::Received(Delivery::Message(got))) = ipc.take_completion(ALICE) else {
        panic!("nothing was received");
    };
    assert_eq!((got.port(), got.sequence()), (Some(ports[1]), 0));
    ipc.discard(got);
    fill(&mut ipc, there, name, [2]);
    assert_eq!(receive_from(&mut ipc, home, set), Some((2, ports[1])));
    audit(&ipc);
}

#[test]
fn i_43_a_notification_says_on_which_port_it_came() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let (set, ports) = set_of(&mut ipc, home, 3);
    let drop_once = |ipc: &mut Core, port| {
        let once = ipc.make_right(home, port, RightKind::SendOnce).unwrap();
        ipc.release(once);
    };
    let unanswered = |delivery: &Delivery<_>| {
        matches!(
            delivery,
            Delivery::Notification(Notification::SendOnce(Reason::Unanswered))
        )
    };
    // From the queues, in turn.
    drop_once(&mut ipc, ports[2]);
    drop_once(&mut ipc, ports[0]);
    for port in [ports[2], ports[0]] {
        assert!(unanswered(&ipc.receive(home, set).unwrap()));
        assert_eq!(ipc.told_at(), Some(port));
    }
    // To threads that wait, which look when others have been told since.
    for (thread, port) in [(ALICE, ports[1]), (BOB, ports[2])] {
        assert!(matches!(ipc.receive_or_wait(thread, home, set), Ok(None)));
        drop_once(&mut ipc, port);
    }
    for (thread, port) in [(ALICE, ports[1]), (BOB, ports[2])] {
        assert!(matches!(ipc.take_completion(thread),
            Some(Completion::Received(delivery)) if unanswered(&delivery)));
        assert_eq!(ipc.told_at(), Some(port));
    }
    audit(&ipc);
}

#[test]
fn a_member_can_be_received_from_alone_and_is_served_first_there() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let (set, ports) = set_of(&mut ipc, home, 2);
    assert!(matches!(ipc.receive_or_wait(ALICE, home, set), Ok(None)));
    assert!(matches!(ipc.receive_or_wait(BOB, home, ports[0]), Ok(None)));
    for (port, thread) in [(ports[0], BOB), (ports[0], ALICE)] {
        let sent = message(&mut ipc, 1);
        let sent = ipc.send(home, port, sent, None).unwrap();
        assert!(matches!(sent, Sent::Handed(to) if to == thread), "{sent:?}");
    }
    audit(&ipc);
}

#[test]
fn i_18_what_is_queued_comes_along_and_stays() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let (set, ports) = set_of(&mut ipc, home, 2);
    let late = ipc.allocate_port(home).unwrap();
    give_send(&mut ipc, home, late, home);
    fill(&mut ipc, home, late, [1, 2, 3]);
    assert!(matches!(ipc.receive_or_wait(ALICE, home, set), Ok(None)));
    ipc.move_member(home, late, Some(set)).unwrap();
    assert_eq!(events(&mut ipc), [Event::Wake(ALICE)]);
    assert!(ipc.take_completion(ALICE).is_some_and(|completion| {
        matches!(completion, Completion::Received(Delivery::Message(got)) if got.id() == 1)
    }));
    audit(&ipc);
    let members: Vec<_> = ipc.members(home, set).unwrap().collect();
    assert_eq!(members, [ports[0], ports[1], late]);
    let other = ipc.allocate_set(home).unwrap();
    ipc.move_member(home, late, Some(other)).unwrap();
    assert_eq!(receive_from(&mut ipc, home, set), None);
    assert_eq!(receive_from(&mut ipc, home, other), Some((2, late)));
    ipc.move_member(home, late, None).unwrap();
    assert_eq!(receive_from(&mut ipc, home, other), None);
    assert_eq!(receive_id(&mut ipc, home, late), Some(3));
    let again = ipc.move_member(home, late, None);
    assert_eq!(again, Err(RightError::NotInSet));
    audit(&ipc);
}

#[test]
fn i_18_a_port_leaves_its_set_with_its_receive_right() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let (set, ports) = set_of(&mut ipc, home, 3);
    for port in &ports {
        fill(&mut ipc, home, *port, [1]);
    }
    ipc.deallocate(home, ports[0], RightKind::Receive).unwrap();
    let moved = ipc.extract(home, ports[1], RightKind::Receive).unwrap();
    audit_with(&ipc, &[&moved]);
    let members: Vec<_> = ipc.members(home, set).unwrap().collect();
    assert_eq!(members, [ports[2]]);
    assert_eq!(receive_from(&mut ipc, home, set), Some((1, ports[2])));
    assert_eq!(receive_from(&mut ipc, home, set), None);
    // It comes back alone.
    let back = ipc.insert(home, moved).unwrap();
    assert_eq!(ipc.receive_status(home, back).unwrap().set, None);
    assert_eq!(receive_id(&mut ipc, home, back), Some(1));
    audit(&ipc);
}

#[test]
fn i_18_the_end_of_a_set_ends_waits_and_no_port() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let (set, ports) = set_of(&mut ipc, home, 2);
    assert!(matches!(ipc.receive_or_wait(ALICE, home, set), Ok(None)));
    assert!(matches!(ipc.receive_or_wait(BOB, home, set), Ok(None)));
    assert!(matches!(ipc.cancel(BOB), Cancelled::Nothing));
    ipc.destroy(home, set).unwrap();
    assert!(matches!(
        ipc.take_completion(ALICE),
        Some(Completion::ReceiverDied(Reason::Destroyed))
    ));
    fill(&mut ipc, home, ports[0], [1]);
    assert_eq!(receive_id(&mut ipc, home, ports[0]), Some(1));
    audit(&ipc);
    // With the space, too.
    let set = ipc.allocate_set(home).unwrap();
    ipc.move_member(home, ports[0], Some(set)).unwrap();
    ipc.destroy_space(home);
    assert_eq!(audit(&ipc).ports, 0);
}

#[test]
fn i_24_a_message_too_large_for_the_receiver_stays_first() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let (set, ports) = set_of(&mut ipc, home, 1);
    let mut large = message(&mut ipc, 1);
    large.set_data(&[0; 100]).unwrap();
    assert!(matches!(
        ipc.send(home, ports[0], large, None),
        Ok(Sent::Queued)
    ));
    fill(&mut ipc, home, ports[0], [2]);
    for name in [ports[0], set] {
        let refused = ipc.receive_within(home, name, 99);
        assert!(matches!(refused, Err(ReceiveError::TooLarge(100))));
        let refused = ipc.receive_within_or_wait(ALICE, home, name, 0);
        assert!(matches!(refused, Err(ReceiveError::TooLarge(100))));
    }
    let taken = ipc.receive_within(home, set, 100).unwrap();
    ipc.discard_delivery(taken);
    assert_eq!(receive_id(&mut ipc, home, ports[0]), Some(2));
    audit(&ipc);
}

#[test]
fn i_24_a_waiting_receiver_is_told_of_a_message_too_large_for_it() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let (set, ports) = set_of(&mut ipc, home, 1);
    let small = |ipc: &mut Core, thread, name| {
        let waits = ipc.receive_within_or_wait(thread, home, name, 10);
        assert!(matches!(waits, Ok(None)));
    };
    small(&mut ipc, ALICE, ports[0]);
    small(&mut ipc, BOB, set);
    assert!(matches!(ipc.receive_or_wait(CAROL, home, set), Ok(None)));
    let mut large = message(&mut ipc, 1);
    large.set_data(&[0; 11]).unwrap();
    let sent = ipc.send(home, ports[0], large, None);
    // Three threads are to be woken, and one return value says so of one: the events do.
    assert!(matches!(sent, Ok(Sent::Queued)));
    let woken: Vec<_> = core::iter::from_fn(|| ipc.poll_event()).collect();
    assert_eq!(woken, [ALICE, BOB, CAROL].map(Event::Wake));
    for thread in [ALICE, BOB] {
        let told = ipc.take_completion(thread);
        assert!(matches!(told, Some(Completion::TooLarge(11))));
        small(&mut ipc, thread, set);
    }
    // Nobody can take the next: it is queued, and whoever takes the queue's first gets it.
    let taken = ipc.take_completion(CAROL);
    let Some(Completion::Received(delivery)) = taken else {
        panic!("{taken:?}");
    };
    ipc.discard_delivery(delivery);
    let mut large = message(&mut ipc, 2);
    large.set_data(&[0; 11]).unwrap();
    let sent = ipc.send(home, ports[0], large, None);
    assert!(matches!(sent, Ok(Sent::Queued)));
    assert!(matches!(
        ipc.take_completion(ALICE),
        Some(Completion::TooLarge(11))
    ));
    assert_eq!(receive_id(&mut ipc, home, set), Some(2));
    audit(&ipc);
}

#[test]
fn i_25_messages_are_numbered_as_they_are_received() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let (set, ports) = set_of(&mut ipc, home, 2);
    let numbers = |ipc: &mut Core, name, count| {
        let take = |_| match ipc.receive(home, name) {
            Ok(Delivery::Message(message)) => {
                let number = message.sequence();
                ipc.discard(message);
                number
            }
            other => panic!("{other:?}"),
        };
        (0..count).map(take).collect::<Vec<_>>()
    };
    fill(&mut ipc, home, ports[0], 1..=3);
    fill(&mut ipc, home, ports[1], 1..=2);
    assert_eq!(numbers(&mut ipc, set, 4), [0, 0, 1, 1]);
    assert_eq!(ipc.receive_status(home, ports[0]).unwrap().sequence, 2);
    ipc.set_sequence(home, ports[0], u32::MAX).unwrap();
    fill(&mut ipc, home, ports[0], [4]);
    assert_eq!(numbers(&mut ipc, ports[0], 2), [u32::MAX, 0]);
    // A receive right that moves counts anew.
    let right = ipc.extract(home, ports[0], RightKind::Receive).unwrap();
    let name = ipc.insert(home, right).unwrap();
    assert_eq!(ipc.receive_status(home, name).unwrap().sequence, 0);
    audit(&ipc);
}

#[test]
fn i_18_news_of_room_do_not_overtake_what_a_port_brings_into_a_set() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let set = ipc.allocate_set(home).unwrap();
    let port = ipc.allocate_port(home).unwrap();
    let name = give_send(&mut ipc, home, port, home);
    ipc.set_queue_limit(home, port, 2).unwrap();
    fill(&mut ipc, home, name, [1, 2]);
    // To be told at the same port, which the first receive makes room in.
    let right = ipc.make_right(home, port, RightKind::SendOnce).unwrap();
    assert_eq!(ipc.request(home, name, About::Room, right).unwrap(), None);
    for thread in [ALICE, BOB] {
        assert!(ipc.receive_or_wait(thread, home, set).unwrap().is_none());
    }
    ipc.move_member(home, port, Some(set)).unwrap();
    for (thread, id) in [(ALICE, 1), (BOB, 2)] {
        let message = handed(&mut ipc, thread);
        assert_eq!(message.id(), id);
        ipc.discard(message);
    }
    assert!(matches!(
        ipc.receive(home, set),
        Ok(Delivery::Notification(Notification::Room { .. }))
    ));
    audit(&ipc);
}

/// A message that is sent to a send-once right by way of [`Ipc::reply`] is one like any other.
#[test]
fn i_24_a_reply_too_large_for_the_receiver_stays_first_and_i_25_replies_are_numbered() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let waits = |ipc: &mut Core| {
        let received = ipc.receive_within_or_wait(BOB, home, port, 4);
        assert!(received.unwrap().is_none());
    };
    for (id, sequence) in [(1, 0), (2, 1)] {
        waits(&mut ipc);
        let mut answer = message(&mut ipc, id);
        let right = ipc.make_right(home, port, RightKind::SendOnce).unwrap();
        answer.set_reply(right).unwrap();
        assert!(matches!(ipc.reply(answer), Ok(Sent::Handed(BOB))));
        let answer = handed(&mut ipc, BOB);
        assert_eq!((answer.id(), answer.sequence()), (id, sequence));
        assert_eq!(answer.port(), Some(port));
        ipc.discard(answer);
    }
    waits(&mut ipc);
    let mut answer = message(&mut ipc, 3);
    answer.set_data(&[3; 5]).unwrap();
    let right = ipc.make_right(home, port, RightKind::SendOnce).unwrap();
    answer.set_reply(right).unwrap();
    assert!(matches!(ipc.reply(answer), Ok(Sent::Queued)));
    let told = ipc.take_completion(BOB);
    assert!(matches!(told, Some(Completion::TooLarge(5))), "{told:?}");
    assert_eq!(receive_id(&mut ipc, home, port), Some(3));
    audit(&ipc);
}
