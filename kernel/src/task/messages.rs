//! System calls that send and receive.
//!
//! Owns: what a call does between a program's memory and a message of the core's. Leaves to
//! others: reading and writing the one ([`super::content`]), and all that happens to the other
//! (`face`, `norma_ipc`): a task's message is a message.
//!
//! A message that was received and does not fit, or whose place cannot be written, is parked
//! with the thread, which can ask for it again; the next thing that it receives replaces it.

use super::calls::{Arguments, Outcome, Refusal, afford};
use super::content;
use super::ports::name;
use super::run::Context;
use crate::face::{Delivery, Failure, Message, Name, RightKind, call_from, take};
use crate::node::{self, Patience};
use crate::thread;
use core::time::Duration;
use norma_abi::{Code, FOREVER, Header};
use norma_ipc::SpaceId;

type CoreMessage = norma_ipc::Message<crate::memory::Frame>;

/// How long a program is willing to wait.
fn timeout(nanoseconds: u64) -> Option<Duration> {
    (nanoseconds != FOREVER).then(|| Duration::from_nanos(nanoseconds))
}

fn patience(nanoseconds: u64) -> Patience {
    match nanoseconds {
        FOREVER => Patience::Forever,
        0 => Patience::None,
        nanoseconds => Patience::of(Duration::from_nanos(nanoseconds)),
    }
}

/// The header of a message, as a program has it.
#[inline]
fn header(context: &Context, address: u64) -> Result<Header, Refusal> {
    if !address.is_multiple_of(8) {
        return Err(Code::BadAddress.into());
    }
    let memory = context.task.memory();
    let memory = memory.as_ref().ok_or(Code::BadAddress)?;
    Ok(memory.read_value(address)?)
}

/// `SEND(name, message, timeout)`
pub(super) fn send(context: &Context, &[to, at, time, ..]: &Arguments) -> Outcome {
    let (to, mut header) = (name(to)?, header(context, at)?);
    let message = content::take(context, &mut header)?;
    let sent = context
        .task
        .with_space(|space| Ok(space.send(to, message, timeout(time))))?;
    match sent {
        Ok(()) => Ok(0),
        Err(error) => {
            content::put_back(context, at, &header, error.message);
            Err(error.failure.into())
        }
    }
}

/// `RECEIVE(name, message, timeout)`
pub(super) fn receive(context: &mut Context, &[from, at, time, ..]: &Arguments) -> Outcome {
    let (from, header) = (name(from)?, header(context, at)?);
    let delivery = take_from(context.task.space, from, patience(time))?;
    deliver(context, at, &header, delivery)
}

fn take_from(space: SpaceId, from: Name, patience: Patience) -> Result<Delivery, Failure> {
    let mut engine = node::lock();
    take(&mut engine, space, from, None, patience)
}

/// `CALL(name, message, timeout)`
#[inline]
pub(super) fn call(context: &mut Context, &[to, at, time, ..]: &Arguments) -> Outcome {
    let (to, mut header) = (name(to)?, header(context, at)?);
    if header.reply != 0 {
        return Err(Code::InvalidRight.into());
    }
    let message = content::take(context, &mut header)?;
    match call_from(context.task.space, to, message, patience(time)) {
        Ok(reply) => deliver(context, at, &header, Delivery::Message(reply)),
        Err(error) => {
            let refusal = Refusal::from(error.failure);
            match error.message {
                Some(message) => {
                    content::put_back(context, at, &header, message);
                    Err(refusal)
                }
                None => Err(refusal.after_sending()),
            }
        }
    }
}

/// `REPLY(message)`
pub(super) fn reply(context: &Context, &[at, ..]: &Arguments) -> Outcome {
    let mut header = header(context, at)?;
    if header.reply == 0 {
        return Err(Code::InvalidRight.into());
    }
    let message = content::take(context, &mut header)?;
    match message.reply() {
        Ok(()) => Ok(0),
        Err(error) => {
            content::put_back(context, at, &header, error.message);
            Err(error.failure.into())
        }
    }
}

/// `REPLY_AND_RECEIVE(name, message)`: the answer is read where what is received is written.
#[inline]
pub(super) fn reply_and_receive(context: &mut Context, &[from, at, ..]: &Arguments) -> Outcome {
    let (from, mut header) = (name(from)?, header(context, at)?);
    let space = context.task.space;
    let delivery = if header.reply == 0 {
        take_from(space, from, Patience::Forever)?
    } else {
        let reply = content::take(context, &mut header)?;
        answer(space, from, reply.unwrap())
            .map_err(|failure| Refusal::from(failure).after_sending())?
    };
    deliver(context, at, &header, delivery)
}

/// A caller of this node that waits gets the answer and the processor at once; all else goes the
/// long way. An answer that cannot be sent is dropped.
#[inline]
fn answer(space: SpaceId, from: Name, reply: CoreMessage) -> Result<Delivery, Failure> {
    let mut engine = node::lock();
    let this = thread::current();
    match engine.core.ipc().answer_at_once(this, space, from, reply) {
        Ok(to) => {
            thread::lend(this, 0);
            engine.hand_off(this, to);
            match engine.core.ipc().take_handed(this) {
                Some(message) => Ok(Delivery::Message(Message::wrap(message))),
                None => crate::face::complete(&mut engine, this, Patience::Forever),
            }
        }
        Err(reply) => {
            let to = crate::face::answer(&mut engine, reply).unwrap_or_else(|error| {
                engine.core.ipc().discard(error.message);
                None
            });
            take(&mut engine, space, from, to, Patience::Forever)
        }
    }
}

/// `EXCHANGE(name, message, timeout, port)`
pub(super) fn exchange(context: &mut Context, arguments: &Arguments) -> Outcome {
    let &[to, at, time, port, ..] = arguments;
    let (to, port, mut header) = (name(to)?, name(port)?, header(context, at)?);
    if header.reply != 0 {
        return Err(Code::InvalidRight.into());
    }
    afford()?;
    let mut message = content::take(context, &mut header)?;
    if let Err(failure) = attach(context.task.space, &mut message, port) {
        content::put_back(context, at, &header, message);
        return Err(failure.into());
    }
    let sent = context
        .task
        .with_space(|space| Ok(space.send(to, message, timeout(time))))?;
    if let Err(mut error) = sent {
        detach(&mut error.message);
        content::put_back(context, at, &header, error.message);
        return Err(error.failure.into());
    }
    let delivery = take_from(context.task.space, port, patience(time))
        .map_err(|failure| Refusal::from(failure).after_sending())?;
    deliver(context, at, &header, delivery)
}

/// Puts a send-once right to a port of the task's in, to which the reply goes.
fn attach(space: SpaceId, message: &mut Message, port: Name) -> Result<(), Failure> {
    let mut engine = node::lock();
    let ipc = engine.core.ipc();
    let made = ipc.make_right(space, port, RightKind::SendOnce);
    let right = made.map_err(|error| Failure::from_right(&engine, error))?;
    match message.core().set_reply(right) {
        Ok(()) => {
            message.core().set_expects_reply(true);
            Ok(())
        }
        Err(right) => {
            engine.core.ipc().retract(right);
            Err(Failure::InvalidRight)
        }
    }
}

fn detach(message: &mut Message) {
    let right = message.core().take_reply();
    message.core().set_expects_reply(false);
    if let Some(right) = right {
        node::lock().core.ipc().retract(right);
    }
}

/// `FETCH(message)`
pub(super) fn fetch(context: &mut Context, &[at, ..]: &Arguments) -> Outcome {
    let header = header(context, at)?;
    let delivery = context.parked.take().ok_or(Code::Empty)?;
    deliver(context, at, &header, delivery)
}

/// Gives the program what it received, or parks it.
#[inline]
fn deliver(context: &mut Context, at: u64, header: &Header, delivery: Delivery) -> Outcome {
    match content::give(context, at, header, delivery) {
        Ok(()) => Ok(0),
        Err((refusal, delivery)) => {
            context.parked = Some(delivery);
            Err(refusal.after_sending())
        }
    }
}
