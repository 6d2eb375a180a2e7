//! Rights in spaces: names, merging, moving.

use super::*;

#[test]
fn i_3_send_and_receive_rights_to_one_port_share_a_name_and_count() {
    let mut ipc = core();
    let (home, other) = (space(&mut ipc), space(&mut ipc));
    let port = ipc.allocate_port(home).unwrap();
    assert_eq!(give_send(&mut ipc, home, port, home), port);
    let there = give_send(&mut ipc, home, port, other);
    assert_eq!(give_send(&mut ipc, home, port, other), there);
    // The receive right joins the send rights under their name.
    let receive = ipc.extract(home, port, RightKind::Receive).unwrap();
    assert_eq!(ipc.insert(other, receive).unwrap(), there);
    assert_eq!(ipc.name_count(other), Ok(1));
    for _ in 0..2 {
        ipc.deallocate(other, there, RightKind::Send).unwrap();
    }
    assert_eq!(
        ipc.deallocate(other, there, RightKind::Send),
        Err(RightError::InvalidRight)
    );
    fill(&mut ipc, home, port, [4]);
    assert_eq!(receive_id(&mut ipc, other, there), Some(4));
    ipc.deallocate(other, there, RightKind::Receive).unwrap();
    assert_eq!(ipc.name_count(other), Ok(0));
    assert_eq!(audit(&ipc).dead, 1);
}

#[test]
fn i_3_send_once_rights_never_share_a_name() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let mut names = vec![port];
    for _ in 0..3 {
        let once = ipc.make_right(home, port, RightKind::SendOnce).unwrap();
        names.push(ipc.insert(home, once).unwrap());
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 4);
    audit(&ipc);
}

#[test]
fn i_3_the_short_way_for_send_once_rights_does_what_the_long_one_does() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    let news = ipc.allocate_port(home).unwrap();
    let once = ipc.make_right(home, port, RightKind::SendOnce).unwrap();
    let name = ipc.insert_once(home, once).unwrap();
    // Who asked for its death is told that the name is gone.
    let notify = ipc.make_right(home, news, RightKind::SendOnce).unwrap();
    ipc.request(home, name, About::Death, notify).unwrap();
    let once = ipc.extract_once(home, name).unwrap();
    assert_eq!(ipc.receive_status(home, news).unwrap().queued, 1);
    assert_eq!(
        ipc.extract_once(home, name).unwrap_err(),
        RightError::InvalidName
    );
    assert_eq!(
        ipc.extract_once(home, port).unwrap_err(),
        RightError::InvalidRight
    );
    let again = ipc.insert_once(home, once).unwrap();
    assert_ne!(again, name);
    ipc.deallocate(home, again, RightKind::SendOnce).unwrap();
    // Any other right goes the long way.
    let send = ipc.make_right(home, port, RightKind::Send).unwrap();
    assert_eq!(ipc.insert_once(home, send).unwrap(), port);
    audit(&ipc);
}

#[test]
fn i_3_only_the_receive_right_makes_rights() {
    let mut ipc = core();
    let (home, other) = (space(&mut ipc), space(&mut ipc));
    let port = ipc.allocate_port(home).unwrap();
    let send = give_send(&mut ipc, home, port, other);
    for kind in [RightKind::Send, RightKind::SendOnce, RightKind::Receive] {
        assert_eq!(
            ipc.make_right(other, send, kind),
            Err(RightError::InvalidRight)
        );
    }
    assert_eq!(
        ipc.make_right(home, port, RightKind::Receive),
        Err(RightError::InvalidRight)
    );
    assert_eq!(ipc.copy_send(home, port), Err(RightError::InvalidRight));
    assert_eq!(
        ipc.set_queue_limit(other, send, 3),
        Err(RightError::InvalidRight)
    );
    assert!(matches!(
        ipc.receive(other, send),
        Err(ReceiveError::Right(RightError::InvalidRight))
    ));
    audit(&ipc);
}

#[test]
fn i_4_a_name_that_was_given_up_denotes_nothing() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let first = ipc.allocate_port(home).unwrap();
    ipc.deallocate(home, first, RightKind::Receive).unwrap();
    let second = ipc.allocate_port(home).unwrap();
    assert_ne!(first, second);
    let invalid = Err(RightError::InvalidName);
    assert_eq!(ipc.deallocate(home, first, RightKind::Receive), invalid);
    assert_eq!(ipc.set_queue_limit(home, first, 1), invalid);
    assert_eq!(ipc.copy_send(home, first), Err(RightError::InvalidName));
    assert!(matches!(
        ipc.receive(home, first),
        Err(ReceiveError::Right(RightError::InvalidName))
    ));
    audit(&ipc);
}

#[test]
fn i_4_a_space_that_is_gone_is_not_mistaken_for_its_successor() {
    let mut ipc = core();
    let old = space(&mut ipc);
    let port = ipc.allocate_port(old).unwrap();
    ipc.destroy_space(old);
    let new = space(&mut ipc);
    assert_ne!(old, new);
    assert_eq!(ipc.name_count(old), Err(RightError::InvalidName));
    assert_eq!(ipc.allocate_port(old), Err(RightError::InvalidName));
    assert_eq!(
        ipc.deallocate(new, port, RightKind::Receive),
        Err(RightError::InvalidName)
    );
    ipc.destroy_space(old);
    assert_eq!(audit(&ipc), {
        let mut census = audit(&Core::new());
        census.created = 1;
        census.destroyed = 1;
        census
    });
}

#[test]
fn i_9_a_right_to_a_dead_port_becomes_a_dead_name() {
    let mut ipc = core();
    let (home, other) = (space(&mut ipc), space(&mut ipc));
    let port = ipc.allocate_port(home).unwrap();
    let send = ipc.make_right(home, port, RightKind::Send).unwrap();
    let once = ipc.make_right(home, port, RightKind::SendOnce).unwrap();
    ipc.deallocate(home, port, RightKind::Receive).unwrap();
    let send = ipc.insert(other, send).unwrap();
    let once = ipc.insert(other, once).unwrap();
    let dead = RightError::Dead(Reason::Destroyed);
    assert_eq!(ipc.copy_send(other, send), Err(dead));
    for name in [send, once] {
        let message = message(&mut ipc, 1);
        let error = ipc.send(other, name, message, Some(ALICE)).unwrap_err();
        assert_eq!(error.failure, SendFailure::Right(dead));
        ipc.discard(error.message);
    }
    // It can still be moved and given up.
    let right = ipc.extract(other, send, RightKind::Send).unwrap();
    assert_eq!(ipc.sink(right.port().unwrap()), Err(dead));
    ipc.release(right);
    ipc.deallocate(other, once, RightKind::SendOnce).unwrap();
    assert_eq!(audit(&ipc).ports, 0);
}

#[test]
fn i_12_a_quota_bounds_the_names_of_a_space() {
    let mut ipc = core();
    let tight = ipc.create_space(2).unwrap();
    let first = ipc.allocate_port(tight).unwrap();
    ipc.allocate_port(tight).unwrap();
    assert_eq!(ipc.allocate_port(tight), Err(RightError::NoMemory));
    assert_eq!(audit(&ipc).ports, 2);
    ipc.deallocate(tight, first, RightKind::Receive).unwrap();
    ipc.allocate_port(tight).unwrap();
    audit(&ipc);
}

#[test]
fn a_space_with_very_many_equal_rights_ends_at_once() {
    let mut ipc = core();
    let home = space(&mut ipc);
    let port = ipc.allocate_port(home).unwrap();
    for _ in 0..if cfg!(miri) { 10 } else { 100_000 } {
        give_send(&mut ipc, home, port, home);
    }
    ipc.destroy_space(home);
    assert_eq!(audit(&ipc).ports, 0);
}
