//! System calls about names and ports: each is what a service does with a
//! [`Space`].

use super::calls::{Arguments, Outcome, Refusal, afford};
use super::cluster;
use super::run::Context;
use crate::face::{
    About, Disposition, Failure, Name, Right, RightKind, SendOnceRight, SendRight, Space,
};
use crate::limits::TASK_QUEUE;
use crate::node;
use norma_abi::{Code, Entry, Status, UNMADE, about, call, disposition, kind};
use norma_ipc::Reason;

#[inline(never)]
pub(super) fn carry_out(context: &Context, number: u64, arguments: &Arguments) -> Outcome {
    match number {
        call::NAMES | call::STATUS | call::MEMBERS => look(context, number, arguments),
        call::REQUEST => request(context, arguments),
        call::DEALLOCATE if arguments[2] != 0 => give_up(context, arguments),
        call::WITHDRAW => withdraw(context, arguments),
        call::CHECK_IN | call::CHECK_OUT | call::LOOK_UP => {
            cluster::carry_out(context, number, arguments)
        }
        call::SET_EXCEPTION_PORT => set_exception_port(context, arguments),
        _ => Ok(change(context, number, arguments)?),
    }
}

/// A name that a program passes, which may denote anything or nothing.
pub(super) fn name(number: u64) -> Result<Name, Failure> {
    let raw = u32::try_from(number).map_err(|_| Failure::InvalidName)?;
    Ok(Name::from_raw(raw))
}

pub(super) fn small<T: TryFrom<u64>>(number: u64) -> Result<T, Failure> {
    T::try_from(number).map_err(|_| Failure::OutOfRange)
}

fn right_kind(number: u64) -> Result<RightKind, Failure> {
    match u32::try_from(number) {
        Ok(kind::RECEIVE) => Ok(RightKind::Receive),
        Ok(kind::SEND) => Ok(RightKind::Send),
        Ok(kind::SEND_ONCE) => Ok(RightKind::SendOnce),
        _ => Err(Failure::OutOfRange),
    }
}

/// The number of a kind.
pub(super) const fn kind_number(kind: RightKind) -> u32 {
    match kind {
        RightKind::Receive => kind::RECEIVE,
        RightKind::Send => kind::SEND,
        RightKind::SendOnce => kind::SEND_ONCE,
    }
}

/// What a number says about how to get a right.
pub(super) fn disposition_of(number: u32) -> Result<Disposition, Failure> {
    Ok(match number {
        disposition::MOVE_RECEIVE => Disposition::MoveReceive,
        disposition::MOVE_SEND => Disposition::MoveSend,
        disposition::MOVE_SEND_ONCE => Disposition::MoveSendOnce,
        disposition::COPY_SEND => Disposition::CopySend,
        disposition::MAKE_SEND => Disposition::MakeSend,
        disposition::MAKE_SEND_ONCE => Disposition::MakeSendOnce,
        _ => return Err(Failure::OutOfRange),
    })
}

fn change(context: &Context, number: u64, &[a, b, c, ..]: &Arguments) -> Result<u64, Failure> {
    let raw = |name: Name| u64::from(name.raw());
    context.task.with_space(|space| match number {
        call::ALLOCATE_PORT => afforded(|| space.allocate_port()).map(raw),
        call::ALLOCATE_SET => afforded(|| space.allocate_set()).map(raw),
        call::ALLOCATE_DEAD_NAME => afforded(|| space.allocate_dead_name()).map(raw),
        call::ALLOCATE_PORT_AS => {
            let name = name(a)?;
            afforded(|| space.allocate_port_as(name)).map(|()| 0)
        }
        call::MAKE => make(context, a, b).map(raw),
        call::DEALLOCATE => space.deallocate(name(a)?, right_kind(b)?).map(|()| 0),
        call::DESTROY => space.destroy(name(a)?).map(|()| 0),
        call::RENAME => space.rename(name(a)?, name(b)?).map(|()| 0),
        call::TYPES => Ok(u64::from(space.types(name(a)?)?.bits())),
        call::REFERENCES => Ok(u64::from(space.references(name(a)?, right_kind(b)?)?)),
        call::MODIFY_REFERENCES => {
            let change = i32::try_from(c as i64).map_err(|_| Failure::OutOfRange)?;
            let done = space.modify_references(name(a)?, right_kind(b)?, change);
            done.map(|()| 0)
        }
        call::SET_QUEUE_LIMIT if b > u64::from(TASK_QUEUE) => Err(Failure::OutOfRange),
        call::SET_QUEUE_LIMIT => space.set_queue_limit(name(a)?, small(b)?).map(|()| 0),
        call::SET_SEQUENCE => space.set_sequence(name(a)?, small(b)?).map(|()| 0),
        call::SET_MAKE_SENDS => space.set_make_sends(name(a)?, small(b)?).map(|()| 0),
        call::MOVE_MEMBER => {
            let set = (b != 0).then(|| name(b)).transpose()?;
            space.move_member(name(a)?, set).map(|()| 0)
        }
        _ => Err(Failure::NotSupported),
    })
}

/// Does what takes memory of the kernel's, if there is enough.
fn afforded<R>(operation: impl FnOnce() -> Result<R, Failure>) -> Result<R, Failure> {
    afford().map_err(|_| Failure::NoMemory)?;
    operation()
}

/// Makes or copies a right, in the space where it stays.
fn make(context: &Context, from: u64, how: u64) -> Result<Name, Failure> {
    let (from, how) = (name(from)?, disposition_of(small(how)?)?);
    let stays = matches!(
        how,
        Disposition::CopySend | Disposition::MakeSend | Disposition::MakeSendOnce
    );
    if !stays {
        return Err(Failure::OutOfRange);
    }
    let space = context.task.space;
    let mut engine = node::lock();
    let ipc = engine.core.ipc();
    let made = ipc.copy_in(space, from, how);
    let named = made.and_then(|right| {
        ipc.insert(space, right).map_err(|refused| {
            ipc.retract(refused.right);
            refused.error
        })
    });
    engine.act_on_events();
    named.map_err(|error| Failure::from_right(&engine, error))
}

/// Gives a right up for a reason, which those learn to whom it matters.
fn give_up(context: &Context, &[right, kind, code, detail, ..]: &Arguments) -> Outcome {
    let (right, kind) = (name(right)?, right_kind(kind)?);
    let reason = match Code::from_number(code) {
        None if code == UNMADE && kind == RightKind::SendOnce => {
            let mut engine = node::lock();
            let given = engine.core.ipc().unmake_once(context.task.space, right);
            given.map_err(|error| Failure::from_right(&engine, error))?;
            return Ok(0);
        }
        Some(Code::PortDied) => Reason::Destroyed,
        Some(Code::Moved) => Reason::Moved,
        Some(Code::Unanswered) => Reason::Unanswered,
        Some(Code::NodeDied) => Reason::NodeDied(detail),
        Some(Code::NameUnknown) => Reason::NameUnknown,
        Some(Code::NoMemory) => Reason::NoMemory,
        Some(Code::Circular) => Reason::Circular,
        _ => return Err(Code::OutOfRange.into()),
    };
    let mut engine = node::lock();
    let given = engine
        .core
        .ipc()
        .deallocate_because(context.task.space, right, kind, reason);
    engine.act_on_events();
    given.map_err(|error| Failure::from_right(&engine, error))?;
    Ok(0)
}

/// Calls that write what they found into the program's memory.
fn look(context: &Context, number: u64, &[a, b, c, ..]: &Arguments) -> Outcome {
    match number {
        call::NAMES => {
            let names = context.task.with_space(Space::names)?;
            let entries = names.iter().map(|(name, types)| Entry {
                name: name.raw(),
                what: u32::from(types.bits()),
            });
            write_list(context, entries, a, b)
        }
        call::MEMBERS => {
            let set = name(a)?;
            let members = context.task.with_space(|space| space.members(set))?;
            let entries = members.iter().map(|name| Entry {
                name: name.raw(),
                what: 0,
            });
            write_list(context, entries, b, c)
        }
        _ => {
            let port = name(a)?;
            let status = context.task.with_space(|space| space.status(port))?;
            let flags = [
                status.has_senders,
                status.no_senders_requested,
                status.port_destroyed_requested,
            ];
            let status = Status {
                set: status.set.map_or(0, Name::raw),
                sequence: status.sequence,
                make_sends: status.make_sends,
                queue_limit: u32::from(status.queue_limit),
                queued: status.queued,
                blocked_senders: status.blocked_senders,
                send_onces: status.send_onces,
                flags: (0..)
                    .zip(flags)
                    .map(|(bit, flag)| u32::from(flag) << bit)
                    .sum(),
            };
            let memory = context.task.memory();
            let memory = memory.as_ref().ok_or(Code::BadAddress)?;
            memory.write_value(b, &status)?;
            Ok(0)
        }
    }
}

/// Writes as many entries as there is room for; how many there are.
fn write_list(
    context: &Context,
    entries: impl ExactSizeIterator<Item = Entry>,
    address: u64,
    room: u64,
) -> Outcome {
    let count = entries.len() as u64;
    let memory = context.task.memory();
    let memory = memory.as_ref().ok_or(Code::BadAddress)?;
    for (index, entry) in (0..room).zip(entries) {
        let place = address.checked_add(index * size_of::<Entry>() as u64);
        memory.write_value(place.ok_or(Code::BadAddress)?, &entry)?;
    }
    Ok(count)
}

/// Moves a send-once right of the task's into the kernel's hands.
fn take_once(space: &Space, name: Name) -> Result<SendOnceRight, Failure> {
    match space.take(name, Disposition::MoveSendOnce)? {
        Right::SendOnce(right) => Ok(right),
        _ => Err(Failure::InvalidRight),
    }
}

/// The name of a right that goes to the task, or 0.
pub(super) fn give<R: Into<Right>>(space: &Space, right: Option<R>) -> Result<u64, Failure> {
    match right {
        // One that does not fit is given up.
        Some(right) => Ok(u64::from(space.insert(right)?.raw())),
        None => Ok(0),
    }
}

fn request(context: &Context, &[what, about, notify, sync, ..]: &Arguments) -> Outcome {
    afford()?;
    let (about, notify) = (name(about)?, name(notify)?);
    let before = context.task.with_space(|space| {
        let right = take_once(space, notify)?;
        let asked = match what {
            about::DEATH => space.request(about, About::Death, right),
            about::ROOM => space.request(about, About::Room, right),
            about::NO_SENDERS => match small(sync) {
                Ok(sync) => space.request_no_senders(about, sync, right),
                Err(failure) => Err(crate::face::MoveError { failure, right }),
            },
            about::PORT_DESTROYED => space.request_port_destroyed(about, right),
            _ => Err(crate::face::MoveError {
                failure: Failure::OutOfRange,
                right,
            }),
        };
        match asked {
            Ok(before) => give(space, before),
            Err(refused) => {
                // Its name was freed just now.
                let _ = space.insert_as(notify, refused.right);
                Err(refused.failure)
            }
        }
    })?;
    Ok(before)
}

fn withdraw(context: &Context, &[what, about, ..]: &Arguments) -> Outcome {
    let about = name(about)?;
    let before = context.task.with_space(|space| {
        let right = match what {
            about::DEATH => space.withdraw(about, About::Death),
            about::ROOM => space.withdraw(about, About::Room),
            about::NO_SENDERS => space.withdraw_no_senders(about),
            about::PORT_DESTROYED => space.withdraw_port_destroyed(about),
            _ => Err(Failure::OutOfRange),
        };
        give(space, right?)
    })?;
    Ok(before)
}

/// A copy of a send right, in the kernel's hands.
pub(super) fn send_right(space: &Space, name: Name) -> Result<SendRight, Failure> {
    match space.take(name, Disposition::CopySend)? {
        Right::Send(right) => Ok(right),
        _ => Err(Failure::InvalidRight),
    }
}

fn set_exception_port(context: &Context, &[port, ..]: &Arguments) -> Outcome {
    let right = match port {
        0 => None,
        port => {
            let name = name(port)?;
            Some(context.task.with_space(|space| send_right(space, name))?)
        }
    };
    // What was there is given up when the lock is open again.
    let before = core::mem::replace(&mut *context.task.exceptions.lock(), right);
    drop(before);
    Ok(0)
}

impl From<crate::face::MoveError<Right>> for Refusal {
    fn from(error: crate::face::MoveError<Right>) -> Self {
        error.failure.into()
    }
}
