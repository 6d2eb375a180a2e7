//! Every operation on a name, with every kind of name.

use super::*;

type Operation = fn(&mut Stage, At) -> Result;

/// Every operation on a name, and what it says to each of [`KINDS`]: `+` it works, `R`
/// `InvalidRight`, `D` `Dead`, `F` `Full`, `E` `Empty`, `S` `NotInSet`.
#[rustfmt::skip]
const ON_NAMES: [(&str, &str, Operation); 35] = [
    //                         receive both send full once dead dead-receive set remote stand-in
    ("set_queue_limit",        "+ + R R R R D R R R", |s, (a, n)| Ok(s.ipc.set_queue_limit(a, n, 3)?)),
    ("set_sequence",           "+ + R R R R D R R R", |s, (a, n)| Ok(s.ipc.set_sequence(a, n, 3)?)),
    ("set_make_sends",         "+ + R R R R D R R R", |s, (a, n)| Ok(s.ipc.set_make_sends(a, n, 3)?)),
    ("receive_status",         "+ + R R R R + R R R", |s, (a, n)| Ok(s.ipc.receive_status(a, n).map(drop)?)),
    ("make_right send",        "+ + R R R R D R R R", |s, (a, n)| { let right = s.ipc.make_right(a, n, RightKind::Send); s.keep(right) }),
    ("make_right send-once",   "+ + R R R R D R R R", |s, (a, n)| { let right = s.ipc.make_right(a, n, RightKind::SendOnce); s.keep(right) }),
    ("make_right receive",     "R R R R R R D R R R", |s, (a, n)| { let right = s.ipc.make_right(a, n, RightKind::Receive); s.keep(right) }),
    ("copy_send",              "R + + + R D R R R +", |s, (a, n)| { let right = s.ipc.copy_send(a, n); s.keep(right) }),
    ("extract send",           "R + + + R + R R R +", |s, (a, n)| { let right = s.ipc.extract(a, n, RightKind::Send); s.keep(right) }),
    ("extract send-once",      "R R R R + R R R + R", |s, (a, n)| { let right = s.ipc.extract(a, n, RightKind::SendOnce); s.keep(right) }),
    ("extract receive",        "+ + R R R R + R R R", |s, (a, n)| { let right = s.ipc.extract(a, n, RightKind::Receive); s.keep(right) }),
    ("copy_in move receive",   "+ + R R R R + R R R", |s, (a, n)| { let right = s.ipc.copy_in(a, n, Disposition::MoveReceive); s.keep(right) }),
    ("copy_in move send",      "R + + + R + R R R +", |s, (a, n)| { let right = s.ipc.copy_in(a, n, Disposition::MoveSend); s.keep(right) }),
    ("copy_in copy send",      "R + + + R D R R R +", |s, (a, n)| { let right = s.ipc.copy_in(a, n, Disposition::CopySend); s.keep(right) }),
    ("copy_in make send",      "+ + R R R R D R R R", |s, (a, n)| { let right = s.ipc.copy_in(a, n, Disposition::MakeSend); s.keep(right) }),
    ("copy_in make send-once", "+ + R R R R D R R R", |s, (a, n)| { let right = s.ipc.copy_in(a, n, Disposition::MakeSendOnce); s.keep(right) }),
    ("copy_in move send-once", "R R R R + R R R + R", |s, (a, n)| { let right = s.ipc.copy_in(a, n, Disposition::MoveSendOnce); s.keep(right) }),
    ("deallocate send",        "R + + + R + R R R +", |s, (a, n)| Ok(s.ipc.deallocate(a, n, RightKind::Send)?)),
    ("deallocate send-once",   "R R R R + R R R + R", |s, (a, n)| Ok(s.ipc.deallocate(a, n, RightKind::SendOnce)?)),
    ("deallocate receive",     "+ + R R R R + R R R", |s, (a, n)| Ok(s.ipc.deallocate(a, n, RightKind::Receive)?)),
    ("destroy",                "+ + + + + + + + + +", |s, (a, n)| Ok(s.ipc.destroy(a, n)?)),
    ("rename",                 "+ + + + + + + + + +", |s, (a, n)| Ok(s.ipc.rename(a, n, chosen(44, 4))?)),
    ("references",             "+ + + + + + + + + +", |s, (a, n)| Ok(s.ipc.references(a, n, RightKind::Send).map(drop)?)),
    ("right_types",            "+ + + + + + + + + +", |s, (a, n)| Ok(s.ipc.right_types(a, n).map(drop)?)),
    ("modify_references +1",   "R + + + R D R R R +", |s, (a, n)| Ok(s.ipc.modify_references(a, n, RightKind::Send, 1)?)),
    ("port_of",                "+ + + + + + + R R +", |s, (a, n)| Ok(s.ipc.port_of(a, n).map(drop)?)),
    ("members",                "R R R R R R R + R R", |s, (a, n)| Ok(s.ipc.members(a, n).map(drop)?)),
    ("move_member out",        "S S R R R R D R R R", |s, (a, n)| Ok(s.ipc.move_member(a, n, None)?)),
    ("send",                   "R + + F + D R R + +", |s, at| s.send(at, None)),
    ("receive",                "+ E R R R R D E R R", |s, (a, n)| { let delivery = s.ipc.receive(a, n)?; s.received(delivery); Ok(()) }),
    ("receive_or_wait",        "+ + R R R R D + R R", |s, (a, n)| { if let Some(delivery) = s.ipc.receive_or_wait(ALICE, a, n)? { s.received(delivery) } Ok(()) }),
    ("request death",          "+ + + + + + + R R +", |s, at| s.request(at, About::Death)),
    ("request room",           "R + + + R + R R R +", |s, at| s.request(at, About::Room)),
    ("request_no_senders",     "+ + R R R R D R R R", |s, at| s.port_request(at, true)),
    ("request_port_destroyed", "+ + R R R R D R R R", |s, at| s.port_request(at, false)),
];

#[test]
fn every_operation_on_every_kind_of_name() {
    // Nothing changes it, so one is enough.
    let mut stage = Stage::new();
    let Stage { home, gone, .. } = stage;
    for (operation, answers, work) in ON_NAMES {
        for (at, answer) in answers.split(' ').enumerate() {
            let what = format!("{operation} on {}", KINDS[at]);
            let name = stage.names[at];
            let error = match answer {
                "+" => {
                    let mut fresh = Stage::new();
                    assert_eq!(work(&mut fresh, (home, name)), Ok(()), "{what}");
                    continue;
                }
                "R" => INVALID_RIGHT,
                "D" => DEAD,
                "F" => Refusal::Full,
                "E" => Refusal::Empty,
                "S" => NOT_IN_SET,
                _ => unreachable!(),
            };
            refused(&mut stage, &what, error, |stage| work(stage, (home, name)));
        }
        for (at, nothing) in NOTHING.iter().enumerate() {
            let what = format!("{operation} on a name that is {nothing}");
            let name = stage.nothing[at];
            refused(&mut stage, &what, INVALID_NAME, |stage| {
                work(stage, (home, name))
            });
        }
        let what = format!("{operation} in a space that is gone");
        let name = stage.names[0];
        refused(&mut stage, &what, INVALID_NAME, |stage| {
            work(stage, (gone, name))
        });
    }
    withdrawing_needs_a_name(&mut stage);
}

/// A name for which there is no request is no error.
fn withdrawing_needs_a_name(stage: &mut Stage) {
    for name in stage.names.clone() {
        let withdrawn = stage.ipc.withdraw_request(stage.home, name, About::Death);
        assert_eq!(withdrawn, Ok(None));
    }
    for name in stage.nothing.clone() {
        refused(stage, "withdraw_request", INVALID_NAME, |stage| {
            let withdrawn = stage.ipc.withdraw_request(stage.home, name, About::Room);
            withdrawn.map(drop).map_err(Refusal::from)
        });
    }
}
