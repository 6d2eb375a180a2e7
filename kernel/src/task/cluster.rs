//! System calls about the cluster: names, and nodes.

use super::calls::{Arguments, Outcome, Refusal, afford};
use super::ports::{give, name, send_right, small};
use super::run::Context;
use crate::arch;
use crate::face::{self, Failure, Name, Node, RightKind, SendRight};
use crate::limits::LOOK_UP_PATIENCE;
use crate::node::{self, Patience};
use core::time::Duration;
use norma_abi::{Code, Whereabouts, call};
use norma_ipc::SpaceId;
use norma_net::Interest;

/// Bytes of the longest name in the cluster, and one more, which is too long.
const LONGEST_NAME: usize = 64;

/// Nanoseconds after which nobody is left who waits: a year. More could not be added to the time.
const LONG: u64 = 365 * 24 * 3600 * 1_000_000_000;

#[inline(never)]
pub(super) fn carry_out(context: &Context, number: u64, arguments: &Arguments) -> Outcome {
    let &[a, b, ..] = arguments;
    match number {
        call::LOCATE => locate(context, name(a)?, b),
        call::NODE_NAME => node_name(context, a, b),
        _ => by_name(context, number, arguments),
    }
}

/// Calls that begin with a text: its address, and its bytes.
fn by_name(context: &Context, number: u64, &[address, length, c, d, ..]: &Arguments) -> Outcome {
    let mut text = [0; LONGEST_NAME];
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let text = text.get_mut(..length).ok_or(Failure::BadName)?;
    {
        let memory = context.task.memory();
        let memory = memory.as_ref().ok_or(Code::BadAddress)?;
        memory.read(address, text)?;
    }
    let text = core::str::from_utf8(text).map_err(|_| Failure::BadName)?;
    match number {
        call::CHECK_IN if d != 0 => check_in_telling(context.task.space, text, name(c)?, name(d)?),
        call::CHECK_IN => {
            let name = name(c)?;
            let right = context.task.with_space(|space| send_right(space, name))?;
            right.check_in(text).map_err(Failure::from)?;
            Ok(0)
        }
        call::CHECK_OUT => Ok(u64::from(Node::started().check_out(text))),
        call::CLAIM => claim(context, text, name(c)?, d),
        call::LOOK_UP_SPECIAL => {
            let which = small(c)?;
            let found = face::look_up(Patience::of(LOOK_UP_PATIENCE), |core, now, thread| {
                core.look_up_special_port(now, thread, text, which)
            });
            found_for(context, found?)
        }
        _ => {
            let node = Node::started();
            let found = match c {
                0 => node.look_up(text),
                nanoseconds => node.wait_for(text, Duration::from_nanos(nanoseconds.min(LONG))),
            };
            found_for(context, found?)
        }
    }
}

/// The name of a right that was found for the task.
fn found_for(context: &Context, found: SendRight) -> Outcome {
    arch::interrupts_disable();
    Ok(context.task.with_space(|space| give(space, Some(found)))?)
}

/// Checks a right in; the send-once right stays where it is if that fails.
fn check_in_telling(space: SpaceId, text: &str, right: Name, lost: Name) -> Outcome {
    afford()?;
    let mut engine = node::lock();
    let now = node::now();
    let taken = engine.core.ipc().extract(space, lost, RightKind::SendOnce);
    let interest = Interest {
        lost: Some(taken.map_err(|error| Failure::from_right(&engine, error))?),
        settled: None,
    };
    let done = engine
        .core
        .check_in_telling(now, space, right, text, interest);
    let done = done.map_err(|(error, interest)| {
        let ipc = engine.core.ipc();
        if let Some(right) = interest.lost
            && let Err(refused) = ipc.insert_as(space, lost, right)
        {
            ipc.release(refused.right);
        }
        Failure::from(error)
    });
    engine.act(now);
    done?;
    Ok(0)
}

/// Claims a name. If another node has it, that node's name is written.
fn claim(context: &Context, text: &str, right: Name, place: u64) -> Outcome {
    afford()?;
    let claimed = face::claim(Some(context.task.space), right, text);
    arch::interrupts_disable();
    if let Err(Failure::NameTakenBy { node }) = claimed {
        let memory = context.task.memory();
        let memory = memory.as_ref().ok_or(Code::BadAddress)?;
        memory.write_value(place, node.as_bytes())?;
    }
    claimed?;
    Ok(0)
}

/// Writes where the port of a right is.
fn locate(context: &Context, right: Name, place: u64) -> Outcome {
    let location = {
        let engine = node::lock();
        let found = engine.core.location(context.task.space, right);
        found.map_err(|error| Failure::from_right(&engine, error))?
    };
    let told = Whereabouts {
        address: location.address.0,
        name: *location.name.as_bytes(),
    };
    let memory = context.task.memory();
    let memory = memory.as_ref().ok_or(Code::BadAddress)?;
    memory.write_value(place, &told)?;
    Ok(0)
}

/// Writes the name of the node with that address, if it is this one or a session with it is
/// remembered.
fn node_name(context: &Context, address: u64, place: u64) -> Outcome {
    let name = {
        let engine = node::lock();
        match engine.core.address().0 == address {
            true => Some(*engine.core.name()),
            false => engine.core.peer_name(address),
        }
    };
    let name = name.ok_or(Refusal::from(Code::NameUnknown))?;
    let memory = context.task.memory();
    let memory = memory.as_ref().ok_or(Code::BadAddress)?;
    memory.write_value(place, name.as_bytes())?;
    Ok(0)
}
