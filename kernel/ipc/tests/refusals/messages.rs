//! Messages, rights in them, and receivers that cannot take them.

use super::*;

#[test]
fn receivers_with_limits_and_threads_that_cannot_wait() {
    let stage = &mut Stage::new();
    let home = stage.home;
    let (port, set, empty) = (
        stage.named("receive"),
        stage.named("set"),
        stage.named("both"),
    );
    for (thread, error) in [(BUSY, INVALID_RIGHT), (UNKNOWN, INVALID_NAME)] {
        for name in [empty, set] {
            refused(stage, "a thread that cannot wait", error, |s| {
                Ok(s.ipc.receive_or_wait(thread, home, name).map(drop)?)
            });
        }
        refused(stage, "no call", INVALID_NAME, |s| {
            Ok(s.ipc.await_reply(thread).map(drop)?)
        });
    }
    stage.ipc.move_member(home, port, Some(set)).unwrap();
    for limit in [0, 2] {
        for name in [port, set] {
            refused(stage, "a limit", Refusal::TooLarge(3), |s| {
                Ok(s.ipc.receive_within(home, name, limit).map(drop)?)
            });
            refused(stage, "a limit", Refusal::TooLarge(3), |s| {
                let received = s.ipc.receive_within_or_wait(ALICE, home, name, limit);
                Ok(received.map(drop)?)
            });
        }
    }
}

#[test]
fn messages_that_cannot_be_sent() {
    let stage = &mut Stage::new();
    let home = stage.home;
    let full = (home, stage.named("full"));
    for thread in [None, Some(BUSY), Some(UNKNOWN)] {
        refused(stage, "a full queue", Refusal::Full, |s| {
            s.send(full, thread)
        });
    }
    // With the receive right of a port: not into its own queue, and not to another node.
    let port = stage.named("both");
    let id = stage.ipc.port_of(home, port).unwrap();
    let right = stage.ipc.extract(home, port, RightKind::Receive).unwrap();
    stage.messages[0].push_right(right).unwrap();
    refused(stage, "its own queue", CIRCULAR, |s| {
        s.send((home, port), Some(ALICE))
    });
    refused(stage, "its own queue", CIRCULAR, |s| {
        let message = s.messages.pop().unwrap();
        let sent = s.ipc.post(id, message, Some(ALICE));
        s.sent(sent)
    });
    refused(stage, "a reply to nobody", INVALID_RIGHT, |s| {
        let mut message = s.messages.pop().unwrap();
        let reply = message.take_reply().unwrap();
        let sent = s.ipc.reply(message);
        let result = s.sent(sent);
        s.messages[0].set_reply(reply).unwrap();
        result
    });
    let (other, there) = (stage.other, stage.there);
    stage.kill(other, there);
    refused(stage, "a reply to a dead port", DEAD, |s| {
        let message = s.messages.pop().unwrap();
        let sent = s.ipc.reply(message);
        s.sent(sent)
    });
}

#[test]
fn rights_that_are_of_the_wrong_kind() {
    let stage = &mut Stage::new();
    let (home, other, there) = (stage.home, stage.other, stage.there);
    let id = stage.ipc.port_of(other, there).unwrap();
    let at = (home, stage.named("both"));
    let right = stage.ipc.extract(other, there, RightKind::Receive).unwrap();
    let send = stage.ipc.copy_send(home, at.1).unwrap();
    stage.rights.extend([right, send]);
    for _ in 0..2 {
        // What can be spent on a notification is a send-once right.
        refused(stage, "request", INVALID_RIGHT, |s| {
            s.request(at, About::Death)
        });
        refused(stage, "request_no_senders", INVALID_RIGHT, |s| {
            s.port_request(at, true)
        });
        refused(stage, "request_port_destroyed", INVALID_RIGHT, |s| {
            s.port_request(at, false)
        });
        stage.rights[2..].rotate_right(1);
    }
    stage.rights.swap(2, 3); // The receive right is the last.
    refused(stage, "send_to", INVALID_RIGHT, |s| {
        let (right, message) = (s.rights.pop().unwrap(), s.messages.pop().unwrap());
        let (right, error) = s.ipc.send_to(right, message, Some(ALICE)).unwrap_err();
        s.rights.push(right);
        s.sent(Err(error))
    });
    refused(stage, "set_reply", INVALID_RIGHT, |s| {
        let reply = s.messages[0].take_reply().unwrap();
        let right = s.messages[0]
            .set_reply(s.rights.pop().unwrap())
            .unwrap_err();
        s.rights.push(right);
        s.messages[0].set_reply(reply).unwrap();
        Err(INVALID_RIGHT)
    });
    refused(stage, "a second reply right", INVALID_RIGHT, |s| {
        Ok(s.ipc.attach_reply(ALICE, &mut s.messages[0])?)
    });
    let right = stage.rights.pop().unwrap();
    stage.ipc.release(right);
    let destroyed = Refusal::Right(RightError::Dead(Reason::Destroyed));
    refused(stage, "a dead port", destroyed, |s| {
        let right = s.ipc.add_send(id);
        s.keep(right)
    });
    let mut empty = stage.ipc.new_message().unwrap();
    let attached = stage.ipc.attach_reply(UNKNOWN, &mut empty);
    assert_eq!(attached, Err(RightError::InvalidName));
    stage.ipc.discard(empty);
}

#[test]
fn messages_that_are_too_large() {
    let stage = &mut Stage::new();
    refused(stage, "set_data", NO_MEMORY, |s| {
        Ok(s.messages[0].set_data(&[0; limits::MAX_INLINE + 1])?)
    });
    refused(stage, "extend_data", NO_MEMORY, |s| {
        Ok(s.messages[0].extend_data(&[0; limits::MAX_INLINE - 4])?)
    });
    refused(
        stage,
        "a page behind one that is not full",
        NO_MEMORY,
        |s| {
            let page = HeapPages::default().allocate().unwrap();
            s.messages[0]
                .memory_mut()
                .push(page, 1)
                .map_err(|_| NO_MEMORY)
        },
    );
    for _ in 1..limits::MAX_RIGHTS {
        let right = stage.right(RightKind::Send);
        stage.messages[0].push_right(right).unwrap();
    }
    refused(stage, "push_right", NO_MEMORY, |s| {
        let right = s.rights.pop().unwrap();
        let right = s.messages[0].push_right(right).unwrap_err();
        s.rights.push(right);
        Err(NO_MEMORY)
    });
}
