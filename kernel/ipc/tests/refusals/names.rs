//! Names, spaces, sets and numbers that cannot be.

use super::*;

#[test]
fn names_that_cannot_be_given() {
    let stage = &mut Stage::new();
    let Stage {
        home,
        other,
        narrow,
        gone,
        there,
        ..
    } = *stage;
    let used = stage.named("set");
    let same_slot = chosen(used.raw() & ((1 << limits::NAME_INDEX_BITS) - 1), 77);
    let beyond = chosen(50 + limits::RESTING_NAMES, 1);
    let free = chosen(40, 1);
    let cases = [
        (home, used, NAME_IN_USE),
        (home, same_slot, NAME_IN_USE),
        (home, chosen(40, 0), INVALID_NAME),
        (home, Name::from_raw(0), INVALID_NAME),
        (home, beyond, INVALID_NAME),
        (home, Name::from_raw(u32::MAX), INVALID_NAME),
        (narrow, free, NO_MEMORY),
        (gone, free, INVALID_NAME),
    ];
    for (space, name, error) in cases {
        let what = format!("{name:?} in {space:?}");
        refused(stage, &what, error, |s| {
            Ok(s.ipc.allocate_port_as(space, name)?)
        });
        refused(stage, &what, error, |s| s.insert_as(space, name));
        if space == home {
            for kind in KINDS {
                let from = stage.named(kind);
                refused(stage, &what, error, |s| {
                    Ok(s.ipc.rename(home, from, name)?)
                });
            }
        }
    }
    // A send right merges, so its name is settled.
    let right = stage.right(RightKind::Send);
    stage.rights.push(right);
    let held = Refusal::Right(RightError::RightHeld(there));
    refused(stage, "a right that is held", held, |s| {
        s.insert_as(other, free)
    });
    refused(stage, "a right that is held", held, |s| {
        s.insert_as(other, Name::from_raw(0))
    });
}

#[test]
fn spaces_without_room_and_spaces_that_are_gone() {
    let stage = &mut Stage::new();
    for (space, error) in [(stage.narrow, NO_MEMORY), (stage.gone, INVALID_NAME)] {
        refused(stage, "allocate_port", error, |s| {
            Ok(s.ipc.allocate_port(space).map(drop)?)
        });
        refused(stage, "allocate_set", error, |s| {
            Ok(s.ipc.allocate_set(space).map(drop)?)
        });
        refused(stage, "allocate_dead_name", error, |s| {
            Ok(s.ipc.allocate_dead_name(space).map(drop)?)
        });
        refused(stage, "insert", error, |s| {
            let right = s.rights.pop().unwrap();
            let InsertError { error, right } = s.ipc.insert(space, right).unwrap_err();
            s.rights.push(right);
            Err(error.into())
        });
    }
    let gone = stage.gone;
    refused(stage, "names", INVALID_NAME, |s| {
        Ok(s.ipc.names(gone).map(drop)?)
    });
    refused(stage, "name_count", INVALID_NAME, |s| {
        Ok(s.ipc.name_count(gone).map(drop)?)
    });
    let before = stage.snapshot();
    stage.ipc.destroy_space(gone);
    assert_eq!(stage.snapshot(), before);
}

#[test]
fn numbers_that_are_out_of_range() {
    use RightKind::{Receive, Send, SendOnce};
    let stage = &mut Stage::new();
    let (home, port) = (stage.home, stage.named("receive"));
    for limit in [0, limits::MAX_QUEUE_LIMIT + 1, u16::MAX] {
        refused(stage, "set_queue_limit", OUT_OF_RANGE, |s| {
            Ok(s.ipc.set_queue_limit(home, port, limit)?)
        });
    }
    let cases = [
        ("send", Send, -3, OUT_OF_RANGE),
        ("send", Send, i32::MIN, OUT_OF_RANGE),
        ("stand-in", Send, -2, OUT_OF_RANGE),
        ("dead", Send, -2, OUT_OF_RANGE),
        ("dead", Send, 1, DEAD),
        ("receive", Receive, 1, OUT_OF_RANGE),
        ("receive", Receive, -2, OUT_OF_RANGE),
        ("once", SendOnce, 1, OUT_OF_RANGE),
        ("once", SendOnce, -2, OUT_OF_RANGE),
        ("remote", SendOnce, 1, OUT_OF_RANGE),
        ("remote", SendOnce, i32::MIN, OUT_OF_RANGE),
        ("set", Send, 0, INVALID_RIGHT),
        ("receive", Send, 0, INVALID_RIGHT),
        ("remote", Receive, -1, INVALID_RIGHT),
    ];
    for (name, kind, change, error) in cases {
        let what = format!("{name} {kind:?} {change:+}");
        refused(stage, &what, error, |s| s.modify(name, kind, change));
    }
    // More references than there can be: two are there, so the third time is once too often.
    stage.modify("send", Send, i32::MAX).unwrap();
    refused(stage, "four billion", OUT_OF_RANGE, |s| {
        s.modify("send", Send, i32::MAX)
    });
    stage.modify("send", Send, i32::MAX - 1).unwrap();
    refused(stage, "four billion", OUT_OF_RANGE, |s| {
        s.modify("send", Send, 1)
    });
    refused(stage, "four billion", NO_MEMORY, |s| {
        let right = s.ipc.copy_send(home, s.named("send"));
        s.keep(right)
    });
    refused(stage, "a thread too many", NO_MEMORY, |s| {
        Ok(s.ipc.register_thread(ThreadId(limits::MAX_THREADS))?)
    });
}

#[test]
fn sets_and_what_cannot_be_in_them() {
    let stage = &mut Stage::new();
    let Stage {
        home, other, there, ..
    } = *stage;
    let (port, set) = (stage.named("receive"), stage.named("set"));
    let kinds = [
        "receive",
        "both",
        "send",
        "once",
        "dead",
        "dead receive",
        "remote",
    ];
    for kind in kinds {
        let name = stage.named(kind);
        refused(stage, kind, INVALID_RIGHT, |s| {
            Ok(s.ipc.move_member(home, port, Some(name))?)
        });
    }
    let elsewhere = stage.ipc.allocate_set(other).unwrap();
    stage.ipc.rename(other, elsewhere, chosen(45, 9)).unwrap();
    refused(stage, "a set of another space", INVALID_NAME, |s| {
        Ok(s.ipc.move_member(home, port, Some(chosen(45, 9)))?)
    });
    let dead = stage.named("dead receive");
    refused(stage, "a dead port", DEAD, |s| {
        Ok(s.ipc.move_member(home, dead, Some(set))?)
    });
    // What is refused leaves a member where it is.
    stage
        .ipc
        .move_member(other, there, Some(chosen(45, 9)))
        .unwrap();
    refused(stage, "no set", INVALID_NAME, |s| {
        Ok(s.ipc.move_member(other, there, Some(Name::from_raw(0)))?)
    });
}
