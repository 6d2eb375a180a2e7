//! Order, room and limits of queues.

use super::*;

#[test]
fn i_5_messages_arrive_in_the_order_in_which_they_were_sent() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let name = give_send(&mut ipc, home, port, home);
    for round in 0..3 {
        fill(&mut ipc, home, name, round * 10..round * 10 + 10);
        for id in round * 10..round * 10 + 10 {
            assert_eq!(receive_id(&mut ipc, home, port), Some(id));
        }
    }
    audit(&ipc);
}

#[test]
fn i_5_nobody_overtakes_a_sender_that_waits() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let name = give_send(&mut ipc, home, port, home);
    ipc.set_queue_limit(home, port, 1).unwrap();
    fill(&mut ipc, home, name, [1]);
    for (thread, id) in [(ALICE, 2), (BOB, 3)] {
        let message = message(&mut ipc, id);
        assert!(matches!(
            ipc.send(home, name, message, Some(thread)),
            Ok(Sent::Waiting)
        ));
    }
    let late = message(&mut ipc, 9);
    let refused = ipc.send(home, name, late, None).unwrap_err();
    assert_eq!(refused.failure, SendFailure::Full);
    ipc.discard(refused.message);
    assert_eq!(receive_id(&mut ipc, home, port), Some(1));
    assert_eq!(events(&mut ipc), [Event::Wake(ALICE)]);
    assert!(matches!(ipc.take_completion(ALICE), Some(Completion::Sent)));
    assert_eq!(receive_id(&mut ipc, home, port), Some(2));
    assert_eq!(receive_id(&mut ipc, home, port), Some(3));
    assert!(matches!(ipc.take_completion(BOB), Some(Completion::Sent)));
    assert_eq!(receive_id(&mut ipc, home, port), None);
    audit(&ipc);
}

#[test]
fn i_5_a_larger_limit_lets_waiting_senders_in_at_once() {
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
    ipc.set_queue_limit(home, port, 3).unwrap();
    assert_eq!(events(&mut ipc), [Event::Wake(ALICE), Event::Wake(BOB)]);
    audit(&ipc);
    // A smaller limit takes nothing away.
    ipc.set_queue_limit(home, port, 1).unwrap();
    for id in 1..=4 {
        assert_eq!(receive_id(&mut ipc, home, port), Some(id));
    }
    audit(&ipc);
}

#[test]
fn several_receivers_are_served_in_the_order_in_which_they_came() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let name = give_send(&mut ipc, home, port, home);
    for thread in [CAROL, ALICE] {
        assert!(ipc.receive_or_wait(thread, home, port).unwrap().is_none());
    }
    for (thread, id) in [(CAROL, 1), (ALICE, 2)] {
        let message = message(&mut ipc, id);
        assert!(matches!(ipc.send(home, name, message, None), Ok(Sent::Handed(t)) if t == thread));
    }
    fill(&mut ipc, home, name, [3]);
    for (thread, id) in [(CAROL, 1), (ALICE, 2)] {
        let message = handed(&mut ipc, thread);
        assert_eq!(message.id(), id);
        ipc.discard(message);
    }
    assert_eq!(receive_id(&mut ipc, home, port), Some(3));
    audit(&ipc);
}

#[test]
fn room_is_told_once_per_wish_and_at_once_when_there_is_room() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let right = ipc.make_right(home, port, RightKind::Send).unwrap();
    let id = right.port().unwrap();
    ipc.want_room(id);
    ipc.want_room(id);
    assert_eq!(events(&mut ipc), [Event::Room(id)]);
    ipc.set_queue_limit(home, port, 1).unwrap();
    let first = message(&mut ipc, 1);
    assert!(matches!(ipc.post(id, first, None), Ok(Sent::Queued)));
    ipc.want_room(id);
    assert_eq!(events(&mut ipc), []);
    assert_eq!(receive_id(&mut ipc, home, port), Some(1));
    assert_eq!(receive_id(&mut ipc, home, port), None);
    assert_eq!(events(&mut ipc), [Event::Room(id)]);
    ipc.release(right);
    audit(&ipc);
}

#[test]
fn i_6_events_that_nobody_polls_stay_within_their_bound() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let name = give_send(&mut ipc, home, port, home);
    let right = ipc.copy_send(home, name).unwrap();
    let id = right.port().unwrap();
    ipc.set_queue_limit(home, port, 1).unwrap();
    let rounds = if cfg!(miri) { 10 } else { 1000 };
    for _ in 0..rounds {
        // A thread is woken, looks by itself, and waits again; a wish for room comes true.
        fill(&mut ipc, home, name, [1]);
        let message = message(&mut ipc, 2);
        assert!(matches!(
            ipc.send(home, name, message, Some(ALICE)),
            Ok(Sent::Waiting)
        ));
        ipc.want_room(id);
        assert_eq!(receive_id(&mut ipc, home, port), Some(1));
        assert_eq!(receive_id(&mut ipc, home, port), Some(2));
        assert!(matches!(ipc.take_completion(ALICE), Some(Completion::Sent)));
        audit_with(&ipc, &[&right]);
    }
    assert_eq!(events(&mut ipc), [Event::Wake(ALICE), Event::Room(id)]);
    ipc.release(right);
}

#[test]
fn i_6_a_thousand_dead_objects_speak_without_new_room() {
    let mut ipc = core();
    let count = if cfg!(miri) { 20 } else { 1000 };
    for token in 0..count {
        let proxy = ipc.create_proxy(RemoteToken(token)).unwrap();
        let right = ipc.add_send(proxy).unwrap();
        let once = ipc.import_send_once(RemoteToken(token)).unwrap();
        ipc.release(right);
        ipc.release(once);
        audit(&ipc);
    }
    assert_eq!(events(&mut ipc).len() as u64, 2 * count);
}
