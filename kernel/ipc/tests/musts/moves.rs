//! Receive rights that leave the node and arrive from another one; what is queued at stand-ins.

use super::*;

const TO: RemoteToken = RemoteToken(0xbeef);
const ONCES: RemoteToken = RemoteToken(0xface);

/// A port whose queue holds these, its receive right, and a name of a send right to it.
fn moving(ipc: &mut Core, home: SpaceId, ids: impl IntoIterator<Item = u32>) -> (Right, Name) {
    let port = ipc.allocate_port(home).unwrap();
    let name = give_send(ipc, home, port, home);
    fill(ipc, home, name, ids);
    let right = ipc.extract(home, port, RightKind::Receive).unwrap();
    (right, name)
}

fn id_of(what: &Delivery<HeapPage>) -> u32 {
    match what {
        Delivery::Message(message) => message.id(),
        Delivery::Notification(news) => panic!("{news:?}"),
    }
}

/// Takes what lies at a stand-in: identifiers, and whether it came by a send-once right.
fn carry(ipc: &mut Core, id: PortId) -> Vec<(u32, bool, RemoteToken)> {
    let mut all = Vec::new();
    while let Some(carried) = ipc.next_queued(id) {
        let Carried { token, once, what } = carried;
        all.push((id_of(&what), once, token));
        ipc.discard_delivery(what);
    }
    all
}

fn send_and_wait(ipc: &mut Core, home: SpaceId, name: Name, number: u32, thread: ThreadId) {
    let message = message(ipc, number);
    let sent = ipc.send(home, name, message, Some(thread));
    assert!(matches!(sent, Ok(Sent::Waiting)));
}

#[test]
fn i_39_what_was_queued_goes_first_and_then_who_waits_in_order() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let (right, name) = moving(&mut ipc, home, 0..16);
    let id = right.port().unwrap();
    for (thread, number) in [(ALICE, 16), (BOB, 17)] {
        send_and_wait(&mut ipc, home, name, number, thread);
    }
    let state = ipc.depart(right, TO, ONCES).unwrap();
    assert_eq!((state.queued, state.limit, state.senders), (16, 16, true));
    audit(&ipc);
    // Nobody overtakes what is there, however much room the way to the other node has.
    send_and_wait(&mut ipc, home, name, 18, CAROL);
    assert!(ipc.next_to_carry(id).is_none());
    let first = ipc.next_queued(id).unwrap();
    assert_eq!((id_of(&first.what), first.once), (0, false));
    ipc.put_back(id, first);
    let ids: Vec<_> = (0..16).map(|number| (number, false, TO)).collect();
    assert_eq!(carry(&mut ipc, id), ids);
    // They are under way, as many as there may be: senders follow as they arrive.
    assert!(ipc.next_to_carry(id).is_none());
    for number in 16..19 {
        let (token, message) = ipc.carried(id).unwrap();
        assert_eq!((token, message.id()), (TO, number));
        ipc.discard(message);
        audit(&ipc);
    }
    assert!(ipc.carried(id).is_none());
}

#[test]
fn i_39_a_port_that_left_with_nothing_is_given_back_once() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let (right, name) = moving(&mut ipc, home, [1]);
    let id = right.port().unwrap();
    ipc.deallocate(home, name, RightKind::Send).unwrap();
    let _state = ipc.depart(right, TO, ONCES).unwrap();
    // Its queue keeps it.
    assert_eq!(events(&mut ipc), []);
    assert_eq!(carry(&mut ipc, id), [(1, false, TO)]);
    assert_eq!(events(&mut ipc), [Event::Unused(TO)]);
    assert_eq!(audit(&ipc).ports, 0);
}

#[test]
fn i_39_requests_about_the_receive_right_go_along() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let bell = ipc.allocate_port(home).unwrap();
    let port = ipc.allocate_port(home).unwrap();
    let name = give_send(&mut ipc, home, port, home);
    let notify = |ipc: &mut Core| Some(ipc.make_right(home, bell, RightKind::SendOnce).unwrap());
    let right = notify(&mut ipc);
    assert_eq!(ipc.request_no_senders(home, port, 0, right), Ok(None));
    let right = notify(&mut ipc);
    assert_eq!(ipc.request_port_destroyed(home, port, right), Ok(None));
    let once = ipc.make_right(home, port, RightKind::SendOnce).unwrap();
    let right = ipc.extract(home, port, RightKind::Receive).unwrap();
    let id = right.port().unwrap();
    let state = ipc.depart(right, TO, ONCES).unwrap();
    assert_eq!(state.send_onces, 1);
    let (Some(no_senders), Some(destroyed)) = (state.no_senders, state.destroyed) else {
        panic!("a request stayed behind")
    };
    audit_with(&ipc, &[&no_senders, &destroyed, &once]);
    // Here nobody is told of anything any more.
    ipc.deallocate(home, name, RightKind::Send).unwrap();
    ipc.kill_port(id, Reason::NodeDied(1));
    assert_eq!(ipc.receive(home, bell).unwrap_err(), ReceiveError::Empty);
    for right in [no_senders, destroyed, once] {
        ipc.release(right);
    }
    audit(&ipc);
}

#[test]
fn i_39_whoever_waits_for_room_is_told_when_the_queue_has_left() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let (right, name) = moving(&mut ipc, home, 0..16);
    let id = right.port().unwrap();
    let bell = ipc.allocate_port(home).unwrap();
    let notify = ipc.make_right(home, bell, RightKind::SendOnce).unwrap();
    assert!(matches!(
        ipc.request(home, name, About::Room, notify),
        Ok(None)
    ));
    let _state = ipc.depart(right, TO, ONCES).unwrap();
    audit(&ipc);
    assert_eq!(carry(&mut ipc, id).len(), 16);
    assert!(ipc.next_to_carry(id).is_none());
    assert_eq!(ipc.receive(home, bell).unwrap_err(), ReceiveError::Empty);
    assert!(ipc.carried(id).is_none());
    let told = ipc.receive(home, bell).unwrap();
    assert!(matches!(
        told,
        Delivery::Notification(Notification::Room { .. })
    ));
    audit(&ipc);
}

#[test]
fn i_40_an_arriving_port_takes_from_nobody_but_where_it_came_from() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let proxy = ipc.create_proxy(TO).unwrap();
    let right = ipc.add_send(proxy).unwrap();
    let name = ipc.insert(home, right).unwrap();
    let receive = ipc.begin_arrival(proxy).unwrap();
    assert_eq!(ipc.begin_arrival(proxy), Err(RightError::InvalidRight));
    send_and_wait(&mut ipc, home, name, 100, ALICE);
    let refused = message(&mut ipc, 101);
    let error = ipc.post(proxy, refused, None).unwrap_err();
    assert_eq!(error.failure, SendFailure::Full);
    ipc.discard(error.message);
    assert_eq!(ipc.is_full(proxy), Ok(true));
    ipc.want_room(proxy);
    // Beyond any limit.
    let state = PortState {
        limit: 3,
        queued: 40,
        ..PortState::default()
    };
    ipc.set_state(proxy, state).unwrap();
    for number in 0..40 {
        let message = message(&mut ipc, number);
        let put = ipc.deliver_arriving(proxy, Delivery::Message(message));
        assert!(put.is_ok());
        audit_with(&ipc, &[&receive]);
    }
    ipc.hold_back(proxy, false);
    assert!(ipc.next_to_carry(proxy).is_none() && ipc.next_queued(proxy).is_none());
    assert_eq!(ipc.open(proxy), Ok(()));
    assert_eq!(ipc.open(proxy), Err(RightError::InvalidRight));
    assert_eq!(ipc.sink(proxy), Ok(Sink::Queue));
    // The name under which it was known is the name under which it is received from.
    assert_eq!(ipc.insert(home, receive).unwrap(), name);
    assert_eq!(ipc.receive_status(home, name).unwrap().queue_limit, 3);
    for number in (0..40).chain([100]) {
        assert_eq!(receive_id(&mut ipc, home, name), Some(number));
        audit(&ipc);
    }
    assert_eq!(receive_id(&mut ipc, home, name), None);
    let told = events(&mut ipc);
    assert_eq!(told, [Event::Wake(ALICE), Event::Room(proxy)]);
}

#[test]
fn i_40_an_arrival_that_is_undone_leaves_a_stand_in() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let new = ipc.create_arriving().unwrap();
    assert_eq!(ipc.undo_arrival(new), Ok(()));
    assert_eq!(audit(&ipc).ports, 0);
    let proxy = ipc.create_proxy(TO).unwrap();
    let right = ipc.add_send(proxy).unwrap();
    let name = ipc.insert(home, right).unwrap();
    let receive = ipc.begin_arrival(proxy).unwrap();
    send_and_wait(&mut ipc, home, name, 1, ALICE);
    assert_eq!(ipc.undo_arrival(receive), Ok(()));
    let (token, message) = ipc.next_to_carry(proxy).unwrap();
    assert_eq!((token, message.id()), (TO, 1));
    ipc.discard(message);
    assert_eq!(events(&mut ipc), [Event::Wake(ALICE)]);
    ipc.deallocate(home, name, RightKind::Send).unwrap();
    assert_eq!(events(&mut ipc), [Event::Unused(TO)]);
    audit(&ipc);
}

#[test]
fn i_40_a_port_that_dies_while_it_arrives_is_a_dead_name() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let proxy = ipc.create_proxy(TO).unwrap();
    let right = ipc.add_send(proxy).unwrap();
    let name = ipc.insert(home, right).unwrap();
    let receive = ipc.begin_arrival(proxy).unwrap();
    let queued = message(&mut ipc, 1);
    assert!(
        ipc.deliver_arriving(proxy, Delivery::Message(queued))
            .is_ok()
    );
    send_and_wait(&mut ipc, home, name, 2, ALICE);
    ipc.release(receive);
    let late = message(&mut ipc, 3);
    let Err(late) = ipc.deliver_arriving(proxy, Delivery::Message(late)) else {
        panic!("a dead port took something")
    };
    ipc.discard_delivery(late);
    assert_eq!(ipc.open(proxy), Err(RightError::Dead(Reason::Destroyed)));
    let Some(Completion::Refused(Reason::Destroyed, message)) = ipc.take_completion(ALICE) else {
        panic!("somebody still waits")
    };
    ipc.discard(message);
    assert!(
        ipc.right_types(home, name)
            .unwrap()
            .contains(RightTypes::DEAD_NAME)
    );
    audit(&ipc);
}

#[test]
fn i_41_what_comes_by_send_once_rights_to_a_stand_in_is_carried() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let mut onces = [(); 3].map(|()| {
        let right = ipc.make_right(home, port, RightKind::SendOnce).unwrap();
        Some(ipc.insert(home, right).unwrap())
    });
    let right = ipc.extract(home, port, RightKind::Receive).unwrap();
    let id = right.port().unwrap();
    let state = ipc.depart(right, TO, ONCES).unwrap();
    assert_eq!((state.send_onces, state.senders), (3, false));
    assert_eq!(carry(&mut ipc, id), []);
    let first = message(&mut ipc, 1);
    let sent = ipc.send(home, onces[0].take().unwrap(), first, None);
    assert!(matches!(sent, Ok(Sent::Queued)));
    let second = message(&mut ipc, 2);
    let sent = ipc.send(home, onces[1].take().unwrap(), second, None);
    assert!(matches!(sent, Ok(Sent::Queued)));
    audit(&ipc);
    assert_eq!(events(&mut ipc), [Event::Carry(id)]);
    let expected = [(1, true, ONCES), (2, true, ONCES)];
    assert_eq!(carry(&mut ipc, id), expected);
    // Whoever gives up the last one says so there.
    let last = onces[2].take().unwrap();
    ipc.deallocate(home, last, RightKind::SendOnce).unwrap();
    assert_eq!(events(&mut ipc), [Event::Carry(id)]);
    let carried = ipc.next_queued(id).unwrap();
    assert_eq!((carried.token, carried.once), (ONCES, true));
    let Delivery::Notification(Notification::SendOnce(Reason::Unanswered)) = carried.what else {
        panic!("{carried:?}")
    };
    assert!(ipc.next_queued(id).is_none());
    assert_eq!(events(&mut ipc), [Event::Unused(TO)]);
    assert_eq!(audit(&ipc).ports, 0);
}

#[test]
fn i_41_a_send_once_right_that_is_lent_keeps_its_place() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let receive = ipc.create_arriving().unwrap();
    let id = receive.port().unwrap();
    let state = PortState {
        limit: 1,
        send_onces: 20,
        ..PortState::default()
    };
    ipc.set_state(id, state).unwrap();
    ipc.open(id).unwrap();
    let port = ipc.insert(home, receive).unwrap();
    assert_eq!(ipc.receive_status(home, port).unwrap().send_onces, 20);
    // Beyond the limit, and without memory: each has a place.
    for number in 0..17 {
        assert_eq!(ipc.lent(id), 20 - number);
        let right = ipc.claim(id).unwrap();
        let message = message(&mut ipc, number);
        assert!(matches!(
            ipc.send_to(right, message, None),
            Ok(Sent::Queued)
        ));
        audit(&ipc);
    }
    // One is known elsewhere by now; the others have died with the node.
    ipc.retract_lent(id, 1);
    let right = ipc.extract(home, port, RightKind::Receive).unwrap();
    let state = ipc.depart(right, TO, ONCES).unwrap();
    assert_eq!((state.queued, state.send_onces, ipc.lent(id)), (17, 2, 2));
    while let Some(right) = ipc.claim(id) {
        ipc.release_because(right, Reason::NodeDied(3));
    }
    let mut ids = Vec::new();
    let mut died = 0;
    while let Some(carried) = ipc.next_queued(id) {
        match carried.what {
            Delivery::Message(message) => {
                ids.push(message.id());
                ipc.discard(message);
            }
            Delivery::Notification(news) => {
                assert_eq!(news, Notification::SendOnce(Reason::NodeDied(3)));
                died += 1;
            }
        }
    }
    assert_eq!(ids, (0..17).collect::<Vec<u32>>());
    assert_eq!(died, 2);
    assert_eq!(audit(&ipc).ports, 0);
}

#[test]
fn i_42_a_request_can_spend_a_right_that_leads_to_another_node() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let name = give_send(&mut ipc, home, port, home);
    for about in 0..3 {
        let notify = ipc.import_send_once(ONCES).unwrap();
        let again = ipc.import_send_once(TO).unwrap();
        // It comes back as what it was.
        let back = match about {
            0 => {
                let asked = ipc.request(home, name, About::Death, again);
                assert!(matches!(asked, Ok(None)));
                ipc.request(home, name, About::Death, notify).unwrap()
            }
            1 => {
                let asked = ipc.request_no_senders(home, port, 9, Some(again));
                assert_eq!(asked, Ok(None));
                ipc.request_no_senders(home, port, 9, Some(notify)).unwrap()
            }
            _ => {
                let asked = ipc.request_port_destroyed(home, port, Some(again));
                assert_eq!(asked, Ok(None));
                ipc.request_port_destroyed(home, port, Some(notify))
                    .unwrap()
            }
        };
        let back = back.unwrap();
        assert_eq!(back.remote(), Some(TO));
        audit_with(&ipc, &[&back]);
        ipc.forget_send_once(back);
        assert_eq!(events(&mut ipc), []);
    }
    // One request after the other is spent, and carried.
    let mut news = Vec::new();
    let mut take = |ipc: &mut Core| {
        for event in events(ipc) {
            let Event::Carry(id) = event else {
                panic!("{event:?}")
            };
            let carried = ipc.next_queued(id).unwrap();
            assert_eq!((carried.token, carried.once), (ONCES, true));
            assert!(ipc.next_queued(id).is_none());
            assert_eq!(events(ipc), [Event::Unused(ONCES)]);
            match carried.what {
                Delivery::Notification(notification) => news.push(notification),
                Delivery::Message(message) => panic!("{message:?}"),
            }
        }
    };
    ipc.modify_references(home, name, RightKind::Send, -1)
        .unwrap();
    take(&mut ipc);
    ipc.deallocate(home, port, RightKind::Receive).unwrap();
    take(&mut ipc);
    let mut news = news.into_iter();
    assert_eq!(news.next(), Some(Notification::NoSenders { make_sends: 1 }));
    assert_eq!(news.next(), Some(Notification::NameDeleted { name }));
    let Some(Notification::PortDestroyed(right)) = news.next() else {
        panic!("the receive right did not come back")
    };
    ipc.release(right);
    assert_eq!(news.next(), None);
    audit(&ipc);
}

#[test]
fn i_42_a_pin_is_no_sender() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let bell = ipc.allocate_port(home).unwrap();
    let port = ipc.allocate_port(home).unwrap();
    let name = give_send(&mut ipc, home, port, home);
    let pinned = ipc.make_right(home, port, RightKind::Send).unwrap();
    ipc.pin(&pinned);
    let notify = ipc.make_right(home, bell, RightKind::SendOnce).unwrap();
    assert_eq!(
        ipc.request_no_senders(home, port, 0, Some(notify)),
        Ok(None)
    );
    ipc.unpin(&pinned);
    ipc.modify_references(home, name, RightKind::Send, -1)
        .unwrap();
    assert_eq!(ipc.receive(home, bell).unwrap_err(), ReceiveError::Empty);
    // The last right that counts is gone, but who has the one that is left may have others.
    ipc.pin(&pinned);
    assert_eq!(ipc.receive(home, bell).unwrap_err(), ReceiveError::Empty);
    assert!(!ipc.receive_status(home, port).unwrap().has_senders);
    audit_with(&ipc, &[&pinned]);
    ipc.release_pin(pinned);
    let told = ipc.receive(home, bell).unwrap();
    assert!(matches!(
        told,
        Delivery::Notification(Notification::NoSenders { make_sends: 2 })
    ));
    // One that was never a sender says nothing when it goes.
    let pinned = ipc.make_right(home, port, RightKind::Send).unwrap();
    ipc.pin(&pinned);
    let notify = ipc.make_right(home, bell, RightKind::SendOnce).unwrap();
    assert_eq!(
        ipc.request_no_senders(home, port, 9, Some(notify)),
        Ok(None)
    );
    ipc.release_pin(pinned);
    assert_eq!(ipc.receive(home, bell).unwrap_err(), ReceiveError::Empty);
    audit(&ipc);
}
