//! Requests to be told, and cycles of receive rights.

use super::*;

/// A port to be told at, and a send-once right to it.
fn bell(ipc: &mut Core, home: SpaceId) -> (Name, Right) {
    let port = ipc.allocate_port(home).unwrap();
    let right = once(ipc, home, port);
    (port, right)
}

fn once(ipc: &mut Core, home: SpaceId, port: Name) -> Right {
    ipc.make_right(home, port, RightKind::SendOnce).unwrap()
}

/// What the kernel had to say to a port.
fn told(ipc: &mut Core, home: SpaceId, port: Name) -> Option<Notification> {
    match ipc.receive(home, port) {
        Ok(Delivery::Notification(news)) => Some(news),
        Ok(Delivery::Message(message)) => panic!("{message:?}"),
        Err(error) => {
            assert_eq!(error, ReceiveError::Empty);
            None
        }
    }
}

#[test]
fn i_19_a_dead_name_is_told_of_once() {
    let mut ipc = core();
    let (home, there) = (space(&mut ipc), space(&mut ipc));
    let port = ipc.allocate_port(home).unwrap();
    let names = [
        give_send(&mut ipc, home, port, there),
        give_send(&mut ipc, home, port, home),
    ];
    let right = once(&mut ipc, home, port);
    let third = ipc.insert(there, right).unwrap();
    let bells = [(there, names[0]), (home, names[1]), (there, third)].map(|(space, name)| {
        let (bell, right) = bell(&mut ipc, home);
        let before = ipc.request(space, name, About::Death, right).unwrap();
        assert_eq!(before, None);
        (bell, name)
    });
    audit(&ipc);
    ipc.deallocate(home, port, RightKind::Receive).unwrap();
    for (bell, name) in bells {
        let reason = Reason::Destroyed;
        let news = Some(Notification::DeadName { name, reason });
        assert_eq!(told(&mut ipc, home, bell), news);
        assert_eq!(told(&mut ipc, home, bell), None);
    }
    // Of what is dead already, at once.
    let (bell, right) = bell(&mut ipc, home);
    let before = ipc.request(there, names[0], About::Death, right).unwrap();
    assert_eq!(before, None);
    assert!(told(&mut ipc, home, bell).is_some());
    audit(&ipc);
}

#[test]
fn i_19_a_request_can_be_replaced_and_withdrawn() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let name = give_send(&mut ipc, home, port, home);
    let (first, right) = bell(&mut ipc, home);
    assert_eq!(ipc.request(home, name, About::Death, right).unwrap(), None);
    let (second, right) = bell(&mut ipc, home);
    let replaced = ipc.request(home, name, About::Death, right).unwrap();
    let back = ipc.withdraw_request(home, name, About::Death).unwrap();
    let nothing = ipc.withdraw_request(home, name, About::Death).unwrap();
    assert_eq!(nothing, None);
    let back = [replaced.unwrap(), back.unwrap()];
    audit_with(&ipc, &[&back[0], &back[1]]);
    ipc.destroy(home, name).unwrap();
    // They are as good as new: dropped, they say so.
    for (right, bell) in back.into_iter().zip([first, second]) {
        assert_eq!(told(&mut ipc, home, bell), None);
        ipc.release(right);
        let dropped = Notification::SendOnce(Reason::Unanswered);
        assert_eq!(told(&mut ipc, home, bell), Some(dropped));
    }
    audit(&ipc);
}

#[test]
fn i_19_the_end_of_a_name_ends_its_requests() {
    let mut ipc = core();
    let (home, there) = (space(&mut ipc), space(&mut ipc));
    let port = ipc.allocate_port(home).unwrap();
    ipc.set_queue_limit(home, port, 1).unwrap();
    let give = |ipc: &mut Core| give_send(ipc, home, port, there);
    // By deallocation, by a move, by the end of the space, and a send-once right by its use.
    let ends: [fn(&mut Core, SpaceId, Name); 4] = [
        |ipc, there, name| ipc.deallocate(there, name, RightKind::Send).unwrap(),
        |ipc, there, name| {
            let right = ipc.extract(there, name, RightKind::Send).unwrap();
            ipc.release(right);
        },
        |ipc, there, name| ipc.destroy(there, name).unwrap(),
        |ipc, there, _| ipc.destroy_space(there),
    ];
    let name = give(&mut ipc);
    fill(&mut ipc, there, name, [1]);
    ipc.destroy(there, name).unwrap();
    for end in ends {
        let name = give(&mut ipc);
        let bells = [About::Death, About::Room].map(|about| {
            let (bell, right) = bell(&mut ipc, home);
            assert_eq!(ipc.request(there, name, about, right).unwrap(), None);
            bell
        });
        audit(&ipc);
        end(&mut ipc, there, name);
        for bell in bells {
            let news = Some(Notification::NameDeleted { name });
            assert_eq!(told(&mut ipc, home, bell), news);
            assert_eq!(told(&mut ipc, home, bell), None);
        }
    }
    let used = once(&mut ipc, home, port);
    let used = ipc.insert(home, used).unwrap();
    let (bell, right) = bell(&mut ipc, home);
    assert_eq!(ipc.request(home, used, About::Death, right).unwrap(), None);
    fill(&mut ipc, home, used, [2]);
    let news = Some(Notification::NameDeleted { name: used });
    assert_eq!(told(&mut ipc, home, bell), news);
    audit(&ipc);
}

#[test]
fn i_20_no_senders_is_told_when_the_last_right_is_gone_and_not_before() {
    let mut ipc = core();
    let (home, there) = (space(&mut ipc), space(&mut ipc));
    let port = ipc.allocate_port(home).unwrap();
    let (bell, right) = bell(&mut ipc, home);
    // None was ever made: `sync` says that one is expected.
    let before = ipc.request_no_senders(home, port, 1, Some(right)).unwrap();
    assert_eq!((before, told(&mut ipc, home, bell)), (None, None));
    let name = give_send(&mut ipc, home, port, there);
    let copy = ipc.copy_send(there, name).unwrap();
    ipc.destroy(there, name).unwrap();
    assert_eq!(told(&mut ipc, home, bell), None);
    // In a message it is a right still.
    let mailbox = ipc.allocate_port(home).unwrap();
    give_send(&mut ipc, home, mailbox, home);
    let mut letter = message(&mut ipc, 1);
    letter.push_right(copy).unwrap();
    assert!(ipc.send(home, mailbox, letter, None).is_ok());
    assert_eq!(told(&mut ipc, home, bell), None);
    assert_eq!(receive_id(&mut ipc, home, mailbox), Some(1));
    let news = Some(Notification::NoSenders { make_sends: 1 });
    assert_eq!(told(&mut ipc, home, bell), news);
    // Once: the next time only on a new request, and at once, for there is none.
    let name = give_send(&mut ipc, home, port, there);
    ipc.destroy(there, name).unwrap();
    assert_eq!(told(&mut ipc, home, bell), None);
    let right = once(&mut ipc, home, bell);
    let before = ipc.request_no_senders(home, port, 2, Some(right)).unwrap();
    assert_eq!(before, None);
    let news = Some(Notification::NoSenders { make_sends: 2 });
    assert_eq!(told(&mut ipc, home, bell), news);
    audit(&ipc);
}

#[test]
fn i_20_a_thread_that_waits_to_send_is_a_sender() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    ipc.set_queue_limit(home, port, 1).unwrap();
    let send = ipc.make_right(home, port, RightKind::Send).unwrap();
    let id = send.port().unwrap();
    let (bell, right) = bell(&mut ipc, home);
    let before = ipc.request_no_senders(home, port, 0, Some(right)).unwrap();
    assert_eq!(before, None);
    let first = message(&mut ipc, 1);
    assert!(matches!(ipc.post(id, first, None), Ok(Sent::Queued)));
    let second = message(&mut ipc, 2);
    assert!(matches!(
        ipc.send_to(send, second, Some(ALICE)),
        Ok(Sent::Waiting)
    ));
    assert_eq!(told(&mut ipc, home, bell), None);
    assert_eq!(receive_id(&mut ipc, home, port), Some(1));
    let news = Some(Notification::NoSenders { make_sends: 1 });
    assert_eq!(told(&mut ipc, home, bell), news);
    assert_eq!(receive_id(&mut ipc, home, port), Some(2));
    audit(&ipc);
}

#[test]
fn i_21_a_receive_right_comes_back_instead_of_dying() {
    let mut ipc = core();
    let (home, there) = (space(&mut ipc), space(&mut ipc));
    let (bell, right) = bell(&mut ipc, home);
    let port = ipc.allocate_port(there).unwrap();
    let name = give_send(&mut ipc, there, port, home);
    let before = ipc
        .request_port_destroyed(there, port, Some(right))
        .unwrap();
    assert_eq!(before, None);
    fill(&mut ipc, home, name, [1]);
    assert!(matches!(ipc.receive_or_wait(ALICE, home, bell), Ok(None)));
    // With its whole space.
    ipc.destroy_space(there);
    let Some(Completion::Received(Delivery::Notification(Notification::PortDestroyed(back)))) =
        ipc.take_completion(ALICE)
    else {
        panic!("it did not come back");
    };
    audit_with(&ipc, &[&back]);
    let port = ipc.insert(home, back).unwrap();
    assert_eq!(port, name);
    assert_eq!(receive_id(&mut ipc, home, port), Some(1));
    // Now nobody asks for it any more.
    ipc.deallocate(home, port, RightKind::Receive).unwrap();
    assert!(ipc.right_types(home, name).unwrap() == RightTypes::DEAD_NAME);
    audit(&ipc);
}

#[test]
fn i_21_a_receive_right_for_which_nobody_is_left_dies() {
    let mut ipc = core();
    let home = space(&mut ipc);
    // The port to be told at is dead; or its queue is destroyed with the right in it.
    for keep in [false, true] {
        let (bell, right) = bell(&mut ipc, home);
        let port = ipc.allocate_port(home).unwrap();
        let name = give_send(&mut ipc, home, port, home);
        let before = ipc.request_port_destroyed(home, port, Some(right)).unwrap();
        assert_eq!(before, None);
        if !keep {
            ipc.destroy(home, bell).unwrap();
        }
        ipc.deallocate(home, port, RightKind::Receive).unwrap();
        if keep {
            audit(&ipc);
            ipc.destroy(home, bell).unwrap();
        }
        assert_eq!(ipc.right_types(home, name), Ok(RightTypes::DEAD_NAME));
        ipc.destroy(home, name).unwrap();
        assert_eq!(audit(&ipc).ports, 0);
    }
}

#[test]
fn i_22_room_is_told_to_those_who_were_refused() {
    let mut ipc = core();
    let (home, there) = (space(&mut ipc), space(&mut ipc));
    let port = ipc.allocate_port(home).unwrap();
    ipc.set_queue_limit(home, port, 1).unwrap();
    let name = give_send(&mut ipc, home, port, there);
    // There is room: at once.
    let (bell, right) = bell(&mut ipc, home);
    assert_eq!(ipc.request(there, name, About::Room, right).unwrap(), None);
    let news = Notification::Room { name };
    assert_eq!(told(&mut ipc, home, bell), Some(news));
    fill(&mut ipc, there, name, [1]);
    let right = once(&mut ipc, home, bell);
    assert_eq!(ipc.request(there, name, About::Room, right).unwrap(), None);
    // A thread that waits comes first.
    let waits = message(&mut ipc, 2);
    assert!(matches!(
        ipc.send(there, name, waits, Some(ALICE)),
        Ok(Sent::Waiting)
    ));
    assert_eq!(receive_id(&mut ipc, home, port), Some(1));
    assert_eq!(told(&mut ipc, home, bell), None);
    assert_eq!(receive_id(&mut ipc, home, port), Some(2));
    let news = Notification::Room { name };
    assert_eq!(told(&mut ipc, home, bell), Some(news));
    audit(&ipc);
    // Through a stand-in, when what is under way has arrived.
    let proxy = ipc.create_proxy(RemoteToken(7)).unwrap();
    let right = ipc.add_send(proxy).unwrap();
    let far = ipc.insert(there, right).unwrap();
    ipc.hold_back(proxy, true);
    let right = once(&mut ipc, home, bell);
    assert_eq!(ipc.request(there, far, About::Room, right).unwrap(), None);
    assert_eq!(told(&mut ipc, home, bell), None);
    ipc.hold_back(proxy, false);
    assert!(ipc.next_to_carry(proxy).is_none());
    let news = Notification::Room { name: far };
    assert_eq!(told(&mut ipc, home, bell), Some(news));
    audit(&ipc);
}

#[test]
fn i_22_who_waits_for_room_is_told_of_death() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    ipc.set_queue_limit(home, port, 1).unwrap();
    let name = give_send(&mut ipc, home, port, home);
    fill(&mut ipc, home, name, [1]);
    let (bell, right) = bell(&mut ipc, home);
    assert_eq!(ipc.request(home, name, About::Room, right).unwrap(), None);
    ipc.deallocate(home, port, RightKind::Receive).unwrap();
    let reason = Reason::Destroyed;
    let news = Some(Notification::DeadName { name, reason });
    assert_eq!(told(&mut ipc, home, bell), news);
    audit(&ipc);
}

#[test]
fn i_19_the_death_of_a_port_spends_the_rights_of_its_own_requests() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let (bell, right) = bell(&mut ipc, home);
    let before = ipc.request_no_senders(home, port, 9, Some(right)).unwrap();
    assert_eq!(before, None);
    // One of its own, which dies with it.
    let own = once(&mut ipc, home, port);
    let name = give_send(&mut ipc, home, port, home);
    assert_eq!(ipc.request(home, name, About::Death, own).unwrap(), None);
    ipc.deallocate(home, port, RightKind::Receive).unwrap();
    let news = Some(Notification::SendOnce(Reason::Destroyed));
    assert_eq!(told(&mut ipc, home, bell), news);
    ipc.destroy(home, name).unwrap();
    assert_eq!(audit(&ipc).ports, 1);
}

#[test]
fn i_23_a_receive_right_cannot_lie_in_its_own_queue() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let ports = [(); 3].map(|()| {
        let port = ipc.allocate_port(home).unwrap();
        ipc.make_right(home, port, RightKind::Send)
            .map(|send| (port, send))
            .unwrap()
    });
    let put = |ipc: &mut Core, port: Name, into: &Right| {
        let right = ipc.extract(home, port, RightKind::Receive).unwrap();
        let mut letter = message(ipc, 1);
        letter.push_right(right).unwrap();
        ipc.post(into.port().unwrap(), letter, None)
    };
    let [(a, to_a), (b, to_b), (c, to_c)] = ports;
    let take_back = |ipc: &mut Core, refused: Result<Sent<HeapPage>, SendError<HeapPage>>| {
        let Err(SendError {
            failure: SendFailure::Right(RightError::Circular),
            mut message,
        }) = refused
        else {
            panic!("{refused:?}");
        };
        let right = message.take_right().unwrap();
        ipc.discard(message);
        ipc.insert(home, right).unwrap()
    };
    let refused = put(&mut ipc, a, &to_a);
    let a = take_back(&mut ipc, refused);
    assert!(matches!(put(&mut ipc, a, &to_b), Ok(Sent::Queued)));
    assert!(matches!(put(&mut ipc, b, &to_c), Ok(Sent::Queued)));
    let refused = put(&mut ipc, c, &to_a);
    let c = take_back(&mut ipc, refused);
    // The same by a send-once right: neither is used up.
    let right = ipc.extract(home, c, RightKind::Receive).unwrap();
    let mut letter = message(&mut ipc, 2);
    letter.push_right(right).unwrap();
    audit_with(&ipc, &[&letter.rights()[0], &to_a, &to_b, &to_c]);
    let refused = ipc.post(to_b.port().unwrap(), letter, None);
    let c = take_back(&mut ipc, refused);
    // Out of the queue it can be sent again.
    let Ok(Delivery::Message(mut letter)) = ipc.receive(home, c) else {
        panic!("nothing came");
    };
    let b = ipc.insert(home, letter.take_right().unwrap()).unwrap();
    ipc.discard(letter);
    assert!(matches!(put(&mut ipc, c, &to_b), Ok(Sent::Queued)));
    audit_with(&ipc, &[&to_a, &to_b, &to_c]);
    for right in [to_a, to_b, to_c] {
        ipc.release(right);
    }
    ipc.destroy(home, b).unwrap();
    assert_eq!(audit(&ipc).ports, 0);
}

#[test]
fn i_23_a_cycle_that_closes_while_a_message_waits_is_found() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let (a, b) = (
        ipc.allocate_port(home).unwrap(),
        ipc.allocate_port(home).unwrap(),
    );
    let to_a = give_send(&mut ipc, home, a, home);
    let to_b = give_send(&mut ipc, home, b, home);
    ipc.set_queue_limit(home, a, 1).unwrap();
    fill(&mut ipc, home, to_a, [1]);
    let mut letter = message(&mut ipc, 2);
    let right = ipc.extract(home, b, RightKind::Receive).unwrap();
    letter.push_right(right).unwrap();
    assert!(matches!(
        ipc.send(home, to_a, letter, Some(ALICE)),
        Ok(Sent::Waiting)
    ));
    let mut other = message(&mut ipc, 3);
    let right = ipc.extract(home, a, RightKind::Receive).unwrap();
    other.push_right(right).unwrap();
    assert!(matches!(
        ipc.send(home, to_b, other, None),
        Ok(Sent::Queued)
    ));
    // Room in the queue of `a` would let the cycle close. Its receive right lies in the queue
    // of `b`, so only the layer above can make room.
    audit(&ipc);
    let Cancelled::Message(letter) = ipc.cancel(ALICE) else {
        panic!("it did not wait");
    };
    ipc.discard(letter);
    assert_eq!(audit(&ipc).queued, 0);
}

#[test]
fn i_23_a_receive_right_that_would_come_back_into_its_own_queue_dies() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let name = give_send(&mut ipc, home, port, home);
    let own = once(&mut ipc, home, port);
    let before = ipc.request_port_destroyed(home, port, Some(own)).unwrap();
    assert_eq!(before, None);
    ipc.deallocate(home, port, RightKind::Receive).unwrap();
    assert_eq!(ipc.right_types(home, name), Ok(RightTypes::DEAD_NAME));
    audit(&ipc);
}

#[test]
#[cfg_attr(
    miri,
    ignore = "a thousand ports, and nothing that the others have not"
)]
fn i_23_a_chain_of_queues_is_walked_so_far_and_no_farther() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let depth = limits::MAX_TRANSIT_DEPTH;
    let mut below = ipc.allocate_port(home).unwrap();
    let mut bottom = None;
    for step in 0..=depth {
        let above = ipc.allocate_port(home).unwrap();
        let send = ipc.make_right(home, above, RightKind::Send).unwrap();
        bottom.get_or_insert(send.port().unwrap());
        let right = ipc.extract(home, below, RightKind::Receive).unwrap();
        let mut letter = message(&mut ipc, 1);
        letter.push_right(right).unwrap();
        // Upward from the top of the chain it is never far.
        assert!(ipc.send_to(send, letter, None).is_ok(), "{step}");
        below = above;
    }
    let fresh = ipc.allocate_port(home).unwrap();
    let mut letter = message(&mut ipc, 2);
    let right = ipc.extract(home, fresh, RightKind::Receive).unwrap();
    letter.push_right(right).unwrap();
    let Err(refused) = ipc.post(bottom.unwrap(), letter, None) else {
        panic!("too deep");
    };
    assert_eq!(refused.failure, SendFailure::Right(RightError::Circular));
    ipc.discard(refused.message);
    ipc.destroy(home, below).unwrap();
    assert_eq!(audit(&ipc).ports, 0);
}

#[test]
fn i_20_a_right_that_is_still_to_be_made_is_waited_for_whatever_else_happens() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let (bell, right) = bell(&mut ipc, home);
    let previous = ipc.request_no_senders(home, port, 1, Some(right));
    assert_eq!(previous, Ok(None));
    // What looks at the queue anew is not the end of a sender.
    ipc.set_queue_limit(home, port, 3).unwrap();
    let right = once(&mut ipc, home, port);
    ipc.release(right);
    ipc.want_room(ipc.port_of(home, port).unwrap());
    assert!(ipc.receive(home, port).is_ok());
    assert_eq!(told(&mut ipc, home, bell), None);
    let right = ipc.make_right(home, port, RightKind::Send).unwrap();
    assert_eq!(told(&mut ipc, home, bell), None);
    ipc.release(right);
    let news = Notification::NoSenders { make_sends: 1 };
    assert_eq!(told(&mut ipc, home, bell), Some(news));
    audit(&ipc);
}

#[test]
fn i_1_a_right_that_nobody_saw_can_be_taken_back_unheard() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let (port, right) = bell(&mut ipc, home);
    ipc.retract(right);
    assert_eq!(told(&mut ipc, home, port), None);
    assert_eq!(ipc.receive_status(home, port).unwrap().send_onces, 0);
    audit(&ipc);
}
