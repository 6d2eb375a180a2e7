//! Names that are chosen, renamed, counted and asked about.

use super::*;

#[test]
fn i_26_a_right_can_be_given_the_name_that_is_asked_for() {
    let mut ipc = core();
    let (home, there) = (space(&mut ipc), space(&mut ipc));
    let chosen = Name::from_raw((7 << limits::NAME_INDEX_BITS) | 3000);
    ipc.allocate_port_as(home, chosen).unwrap();
    assert_eq!(ipc.right_types(home, chosen), Ok(RightTypes::RECEIVE));
    let taken = ipc.allocate_port_as(home, chosen);
    assert_eq!(taken, Err(RightError::NameInUse));
    let right = ipc.make_right(home, chosen, RightKind::Send).unwrap();
    let there_as = Name::from_raw((9 << limits::NAME_INDEX_BITS) | 1);
    ipc.insert_as(there, there_as, right).unwrap();
    // Equal rights merge there and nowhere else.
    let right = ipc.copy_send(there, there_as).unwrap();
    let other = Name::from_raw(1 << limits::NAME_INDEX_BITS);
    let refused = ipc.insert_as(there, other, right).unwrap_err();
    assert_eq!(refused.error, RightError::RightHeld(there_as));
    ipc.insert_as(there, there_as, refused.right).unwrap();
    assert_eq!(ipc.references(there, there_as, RightKind::Send), Ok(2));
    audit(&ipc);
}

#[test]
fn i_26_a_name_can_be_changed_with_all_that_hangs_on_it() {
    let mut ipc = core();
    let home = ipc.create_space(4).unwrap();
    let set = ipc.allocate_set(home).unwrap();
    let port = ipc.allocate_port(home).unwrap();
    ipc.move_member(home, port, Some(set)).unwrap();
    let bell = ipc.allocate_port(home).unwrap();
    let right = ipc.make_right(home, bell, RightKind::SendOnce).unwrap();
    give_send(&mut ipc, home, port, home);
    assert_eq!(ipc.request(home, port, About::Death, right).unwrap(), None);
    let [port_as, set_as] =
        [100, 101].map(|index| Name::from_raw((5 << limits::NAME_INDEX_BITS) | index));
    // The quota is used up, and a name is no new one.
    ipc.allocate_dead_name(home).unwrap();
    ipc.rename(home, port, port_as).unwrap();
    ipc.rename(home, set, set_as).unwrap();
    let gone = ipc.rename(home, port, set_as);
    assert_eq!(gone, Err(RightError::InvalidName));
    let in_use = ipc.rename(home, port_as, set_as);
    assert_eq!(in_use, Err(RightError::NameInUse));
    audit(&ipc);
    let members: Vec<_> = ipc.members(home, set_as).unwrap().collect();
    assert_eq!(members, [port_as]);
    fill(&mut ipc, home, port_as, [1]);
    let Ok(Delivery::Message(message)) = ipc.receive(home, set_as) else {
        panic!("nothing came");
    };
    assert_eq!(message.port(), Some(port_as));
    ipc.discard(message);
    assert_eq!(ipc.receive_status(home, port_as).unwrap().set, Some(set_as));
    ipc.deallocate(home, port_as, RightKind::Receive).unwrap();
    let news = ipc.receive(home, bell);
    assert!(matches!(
        news,
        Ok(Delivery::Notification(Notification::DeadName { name, .. })) if name == port_as
    ));
    audit(&ipc);
}

#[test]
fn i_27_references_are_counted_and_changed() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let modify = |ipc: &mut Core, kind, change| ipc.modify_references(home, port, kind, change);
    let send = RightKind::Send;
    assert_eq!(modify(&mut ipc, send, 1), Err(RightError::InvalidRight));
    give_send(&mut ipc, home, port, home);
    modify(&mut ipc, send, 4).unwrap();
    assert_eq!(ipc.references(home, port, send), Ok(5));
    for change in [-6, i32::MIN] {
        assert_eq!(modify(&mut ipc, send, change), Err(RightError::OutOfRange));
    }
    for change in [1, -2] {
        let refused = modify(&mut ipc, RightKind::Receive, change);
        assert_eq!(refused, Err(RightError::OutOfRange));
    }
    for _ in 0..2 {
        // Four billion less a few.
        modify(&mut ipc, send, i32::MAX).unwrap_or(());
    }
    let before = ipc.references(home, port, send).unwrap();
    assert_eq!(
        modify(&mut ipc, send, i32::MAX),
        Err(RightError::OutOfRange)
    );
    assert_eq!(ipc.references(home, port, send), Ok(before));
    audit(&ipc);
    modify(&mut ipc, RightKind::Receive, -1).unwrap();
    assert_eq!(ipc.right_types(home, port), Ok(RightTypes::DEAD_NAME));
    assert_eq!(
        modify(&mut ipc, send, 1),
        Err(RightError::Dead(Reason::Destroyed))
    );
    modify(&mut ipc, send, -1).unwrap();
    ipc.destroy(home, port).unwrap();
    assert_eq!(audit(&ipc).ports, 0);
}

#[test]
fn i_27_the_last_reference_takes_the_name_with_it() {
    let mut ipc = core();
    let (home, there) = (space(&mut ipc), space(&mut ipc));
    let port = ipc.allocate_port(home).unwrap();
    let name = give_send(&mut ipc, home, port, there);
    ipc.modify_references(there, name, RightKind::Send, 2)
        .unwrap();
    ipc.modify_references(there, name, RightKind::Send, -3)
        .unwrap();
    let gone = ipc.right_types(there, name);
    assert_eq!(gone, Err(RightError::InvalidName));
    let right = ipc.make_right(home, port, RightKind::SendOnce).unwrap();
    let name = ipc.insert(there, right).unwrap();
    ipc.modify_references(there, name, RightKind::SendOnce, -1)
        .unwrap();
    let dropped = ipc.receive(home, port);
    assert!(matches!(dropped, Ok(Delivery::Notification(_))));
    audit(&ipc);
}

#[test]
fn what_a_name_denotes_can_be_asked() {
    let mut ipc = core();
    let (home, there) = (space(&mut ipc), space(&mut ipc));
    let port = ipc.allocate_port(home).unwrap();
    let set = ipc.allocate_set(home).unwrap();
    let dead = ipc.allocate_dead_name(home).unwrap();
    give_send(&mut ipc, home, port, home);
    let right = ipc.make_right(home, port, RightKind::SendOnce).unwrap();
    let once = ipc.insert(home, right).unwrap();
    let bell = ipc.make_right(home, port, RightKind::SendOnce).unwrap();
    assert_eq!(ipc.request(home, once, About::Death, bell).unwrap(), None);
    let mut names: Vec<_> = ipc.names(home).unwrap().collect();
    names.sort_by_key(|(name, _)| *name);
    let mut expected = [
        (port, RightTypes::SEND | RightTypes::RECEIVE),
        (set, RightTypes::PORT_SET),
        (dead, RightTypes::DEAD_NAME),
        (once, RightTypes::SEND_ONCE | RightTypes::DEATH_REQUESTED),
    ];
    expected.sort_by_key(|(name, _)| *name);
    assert_eq!(names, expected);
    assert_eq!(ipc.names(there).unwrap().count(), 0);
    let status = ipc.receive_status(home, port).unwrap();
    assert_eq!((status.make_sends, status.send_onces), (1, 2));
    assert!(status.has_senders && !status.no_senders_requested);
    assert_eq!(
        (status.queued, status.queue_limit),
        (0, limits::DEFAULT_QUEUE_LIMIT)
    );
    audit(&ipc);
}

#[test]
fn rights_are_copied_in_by_every_disposition() {
    let mut ipc = core();
    let (home, there) = (space(&mut ipc), space(&mut ipc));
    let port = ipc.allocate_port(home).unwrap();
    let mut names = Vec::new();
    for disposition in [
        Disposition::MakeSend,
        Disposition::MakeSendOnce,
        Disposition::MoveReceive,
    ] {
        let right = ipc.copy_in(home, port, disposition).unwrap();
        assert_eq!(right.kind(), disposition.kind());
        names.push(ipc.insert(there, right).unwrap());
    }
    assert_eq!(ipc.name_count(home), Ok(0));
    for (name, disposition, left) in [
        (names[0], Disposition::CopySend, true),
        (names[1], Disposition::MoveSendOnce, false),
    ] {
        let right = ipc.copy_in(there, name, disposition).unwrap();
        assert_eq!(right.kind(), disposition.kind());
        assert_eq!(ipc.right_types(there, name).is_ok(), left);
        ipc.release(right);
    }
    // The receive right is there too, so the name outlives the send right.
    let right = ipc.copy_in(there, names[0], Disposition::MoveSend).unwrap();
    ipc.release(right);
    assert_eq!(ipc.right_types(there, names[0]), Ok(RightTypes::RECEIVE));
    audit(&ipc);
}

#[test]
fn i_26_a_change_of_names_has_the_bounds_of_a_choice() {
    let mut ipc = core();
    let home = ipc.create_space(4).unwrap();
    let port = ipc.allocate_port(home).unwrap();
    let chosen = |index| Name::from_raw((1 << limits::NAME_INDEX_BITS) | index);
    let beyond = chosen(4 + limits::RESTING_NAMES);
    let invalid = Err(RightError::InvalidName);
    assert_eq!(ipc.allocate_port_as(home, beyond), invalid);
    assert_eq!(ipc.rename(home, port, beyond), invalid);
    let last = chosen(3 + limits::RESTING_NAMES);
    ipc.rename(home, port, last).unwrap();
    assert_eq!(ipc.right_types(home, last), Ok(RightTypes::RECEIVE));
    audit(&ipc);
}

#[test]
fn i_1_rights_go_into_messages_and_out_by_name() {
    let mut ipc = core();
    let (home, full) = (space(&mut ipc), ipc.create_space(0).unwrap());
    let port = ipc.allocate_port(home).unwrap();
    let mut letter = message(&mut ipc, 1);
    for disposition in [
        Disposition::MakeSend,
        Disposition::MakeSendOnce,
        Disposition::MoveReceive,
    ] {
        ipc.push_right(home, port, disposition, &mut letter)
            .unwrap();
    }
    let gone = ipc.push_right(home, port, Disposition::MakeSend, &mut letter);
    assert_eq!(gone, Err(RightError::InvalidName));
    audit_with(&ipc, &letter.rights().iter().collect::<Vec<_>>());
    // Where there is no place for the first, it stays the first.
    let refused = ipc.take_right(full, &mut letter);
    assert_eq!(refused, Err(RightError::NoMemory));
    let mut taken = || ipc.take_right(home, &mut letter).unwrap();
    let Some((RightKind::Send, name)) = taken() else {
        panic!("a send right came first");
    };
    let Some((RightKind::SendOnce, other)) = taken() else {
        panic!("a send-once right came second");
    };
    assert_eq!(taken(), Some((RightKind::Receive, name)));
    assert_eq!(taken(), None);
    assert_ne!(name, other);
    ipc.discard(letter);
    audit(&ipc);
}
