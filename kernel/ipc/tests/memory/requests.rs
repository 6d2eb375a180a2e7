//! Sets, requests and chosen names without memory.

use norma_ipc::*;

use super::*;

#[test]
fn i_2_choosing_names_fails_without_a_trace() {
    // Far enough for the table to grow.
    let chosen = Name::from_raw((3 << limits::NAME_INDEX_BITS) | 1000);
    every_failure(|bench| bench.ipc.allocate_set(bench.home).is_ok());
    every_failure(|bench| bench.ipc.allocate_dead_name(bench.home).is_ok());
    every_failure(|bench| bench.ipc.allocate_port_as(bench.home, chosen).is_ok());
    every_failure(|bench| bench.ipc.rename(bench.home, bench.port, chosen).is_ok());
    every_failure(|bench| {
        let right = bench.rights.pop().unwrap();
        let other = bench.ipc.create_space(5);
        let inserted = match other {
            Ok(other) => bench.ipc.insert_as(other, chosen, right),
            Err(error) => Err(InsertError {
                error: error.into(),
                right,
            }),
        };
        match inserted {
            Ok(()) => true,
            Err(refused) => {
                bench.rights.push(refused.right);
                false
            }
        }
    });
    for disposition in [Disposition::MakeSend, Disposition::MakeSendOnce] {
        every_failure(
            |bench| match bench.ipc.copy_in(bench.home, bench.port, disposition) {
                Ok(right) => {
                    bench.rights.push(right);
                    true
                }
                Err(_) => false,
            },
        );
    }
}

#[test]
fn i_2_asking_to_be_told_fails_without_a_trace() {
    for about in [About::Death, About::Room] {
        every_failure(|bench| {
            let Bench {
                ipc, home, port, ..
            } = bench;
            let Ok(notify) = ipc.make_right(*home, *port, RightKind::SendOnce) else {
                return false;
            };
            // The send right merges under the name of the port.
            if let Some(send) = bench.rights.pop() {
                ipc.insert(*home, send).unwrap();
            }
            match ipc.request(*home, *port, about, notify) {
                Ok(previous) => {
                    assert!(previous.is_none());
                    true
                }
                Err(refused) => {
                    bench
                        .rights
                        .push(bench.ipc.extract(*home, *port, RightKind::Send).unwrap());
                    // What was made for it is given up; that is told, and looked at.
                    bench.ipc.release(refused.right);
                    let told = bench.ipc.receive(*home, *port).unwrap();
                    bench.ipc.discard_delivery(told);
                    false
                }
            }
        });
    }
}

#[test]
fn i_19_who_asked_is_told_without_memory() {
    let Bench {
        mut ipc,
        home,
        port: bell,
        rights,
        messages,
    } = bench();
    let mut rights = rights;
    rights.extend((0..5).map(|_| ipc.make_right(home, bell, RightKind::SendOnce).unwrap()));
    let set = ipc.allocate_set(home).unwrap();
    let ports = [(); 3].map(|()| ipc.allocate_port(home).unwrap());
    for port in ports {
        let send = ipc.make_right(home, port, RightKind::Send).unwrap();
        ipc.insert(home, send).unwrap();
        ipc.set_queue_limit(home, port, 1).unwrap();
    }
    let id = ipc.port_of(home, ports[0]).unwrap();
    for message in messages {
        assert!(matches!(ipc.post(id, message, None), Ok(Sent::Queued)));
    }
    for about in [About::Death, About::Room] {
        let notify = rights.pop().unwrap();
        assert_eq!(ipc.request(home, ports[0], about, notify).unwrap(), None);
    }
    let notify = rights.pop().unwrap();
    assert_eq!(
        ipc.request(home, ports[2], About::Death, notify).unwrap(),
        None
    );
    let mut told = Vec::with_capacity(8);
    failing(0, ALL, || {
        let notify = rights.pop();
        assert_eq!(ipc.request_no_senders(home, ports[1], 0, notify), Ok(None));
        let notify = rights.pop();
        assert_eq!(ipc.request_port_destroyed(home, ports[1], notify), Ok(None));
        for port in [bell, ports[0], ports[1]] {
            ipc.move_member(home, port, Some(set)).unwrap();
        }
        // The bell and the first port take turns.
        let message = ipc.receive(home, set).unwrap();
        ipc.discard_delivery(message);
        ipc.move_member(home, ports[0], None).unwrap();
        for port in &ports[..2] {
            ipc.modify_references(home, *port, RightKind::Send, -1)
                .unwrap();
            ipc.destroy(home, *port).unwrap();
        }
        ipc.modify_references(home, ports[2], RightKind::Send, 1)
            .unwrap();
        ipc.deallocate(home, ports[2], RightKind::Receive).unwrap();
        while let Ok(Delivery::Notification(news)) = ipc.receive(home, set) {
            told.push(news);
        }
        ipc.destroy(home, set).unwrap();
    });
    let [_, second, _] = ports.map(|port| ipc.port_of(home, port));
    assert_eq!(second, Err(RightError::InvalidName));
    assert!(
        matches!(
            told[..],
            [
                Notification::Room { .. },
                Notification::NameDeleted { .. },
                Notification::NoSenders { make_sends: 1 },
                Notification::PortDestroyed(_),
                Notification::DeadName { .. },
            ]
        ),
        "{told:?}"
    );
    for news in told {
        ipc.discard_delivery(Delivery::Notification(news));
    }
    rights.into_iter().for_each(|right| ipc.release(right));
    ipc.audit(std::iter::empty()).unwrap();
}

#[test]
fn i_22_who_waits_for_room_is_told_when_a_sender_gives_up() {
    let Bench {
        mut ipc,
        home,
        port,
        rights,
        messages,
    } = bench();
    let bell = ipc.allocate_port(home).unwrap();
    for right in rights {
        ipc.insert(home, right).unwrap();
    }
    messages
        .into_iter()
        .for_each(|message| ipc.discard(message));
    ipc.set_queue_limit(home, port, 4).unwrap();
    for thread in [None, None, None, None, Some(ALICE)] {
        let message = ipc.new_message().unwrap();
        assert!(ipc.send(home, port, message, thread).is_ok());
    }
    let notify = ipc.make_right(home, bell, RightKind::SendOnce).unwrap();
    assert_eq!(ipc.request(home, port, About::Room, notify).unwrap(), None);
    // There is room, but no memory for it, so that the sender goes on waiting; and gives up.
    let (cancelled, failed) = failing(0, ALL, || {
        ipc.set_queue_limit(home, port, 100).unwrap();
        ipc.cancel(ALICE)
    });
    let Cancelled::Message(message) = cancelled else {
        panic!("{cancelled:?}")
    };
    assert!(failed);
    ipc.discard(message);
    let told = ipc.receive(home, bell).unwrap();
    assert!(matches!(
        told,
        Delivery::Notification(Notification::Room { .. })
    ));
    ipc.audit(std::iter::empty()).unwrap();
}
