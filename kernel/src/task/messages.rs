//! System calls that send and receive.
//!
//! Owns: what a call does between a program's memory and a message of the core's. Leaves to
//! others: reading and writing the one ([`super::content`]), and all that happens to the other
//! (`face`, `norma_ipc`): a task's message is a message.
//!
//! A message that was received and does not fit, or whose place cannot be written, is parked
//! with the thread, which can ask for it again; the next thing that it receives replaces it.

use super::arrival::{self, Came};
use super::calls::{Arguments, Outcome, Refusal, afford};
use super::content::{self, CoreMessage, Plain};
use super::ports::name;
use super::run::Context;
use crate::face::{
    self, CallError, Failure, Fate, Message, Name, RightKind, call_from, take, take_within,
};
use crate::node::{self, EngineGuard, Patience};
use crate::thread;
use core::time::Duration;
use norma_abi::{Code, FOREVER, Header};
use norma_ipc::SpaceId;

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

/// `SEND(name, message, timeout, port)`
pub(super) fn send(context: &Context, &[to, at, time, port, ..]: &Arguments) -> Outcome {
    let (to, mut header) = (name(to)?, content::header(context, at)?);
    if port != 0 {
        send_request(context, to, at, &mut header, time, name(port)?)?;
        return Ok(0);
    }
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

/// Sends with a right to reply to a port of the task's.
fn send_request(
    context: &Context,
    to: Name,
    at: u64,
    header: &mut Header,
    time: u64,
    port: Name,
) -> Result<(), Refusal> {
    if header.reply != 0 {
        return Err(Code::InvalidRight.into());
    }
    afford()?;
    let mut message = content::take(context, header)?;
    if let Err(failure) = attach(context.task.space, &mut message, port) {
        content::put_back(context, at, header, message);
        return Err(failure.into());
    }
    let sent = context
        .task
        .with_space(|space| Ok(space.send(to, message, timeout(time))))?;
    if let Err(mut error) = sent {
        detach(&mut error.message);
        content::put_back(context, at, header, error.message);
        return Err(error.failure.into());
    }
    Ok(())
}

/// `SEND_CONFIRMED(name, message, timeout)`: what became of it is the code, once it was sent.
pub(super) fn send_confirmed(context: &Context, &[to, at, time, ..]: &Arguments) -> Outcome {
    let (to, mut header) = (name(to)?, content::header(context, at)?);
    afford()?;
    let message = content::take(context, &mut header)?;
    let patience = match time {
        FOREVER => Patience::Forever,
        nanoseconds => Patience::of(Duration::from_nanos(nanoseconds)),
    };
    match face::send_confirmed(Some(context.task.space), to, message, patience) {
        Ok(Fate::Delivered) => Ok(0),
        Ok(Fate::NotDelivered(failure) | Fate::Unknown(failure)) => {
            Err(Refusal::from(failure).after_sending())
        }
        Err(error) => {
            content::put_back(context, at, &header, error.message);
            Err(error.failure.into())
        }
    }
}

/// `RECEIVE(name, message, timeout)`
pub(super) fn receive(context: &mut Context, &[from, at, time, ..]: &Arguments) -> Outcome {
    let from = name(from)?;
    let mut engine = node::lock();
    let taken: Result<Came, Failure> =
        take(&mut engine, context.task.space, from, None, patience(time));
    deliver_taken(context, at, engine, taken?)
}

/// `RECEIVE_WITHIN(name, message, timeout, bytes)`
pub(super) fn receive_within(
    context: &mut Context,
    &[from, at, time, limit, ..]: &Arguments,
) -> Outcome {
    let from = name(from)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let came: Result<Came, Failure> = {
        let mut engine = node::lock();
        take_within(&mut engine, context.task.space, from, limit, patience(time))
    };
    deliver(context, at, came?)
}

/// `CALL(name, message, timeout)`
#[inline]
pub(super) fn call(context: &mut Context, &[to, at, time, ..]: &Arguments) -> Outcome {
    let to = name(to)?;
    let Some(plain) = Plain::read(context, at) else {
        return call_whole(context, to, at, time);
    };
    if plain.reply != 0 {
        return Err(Code::InvalidRight.into());
    }
    let mut engine = node::lock();
    let message = plain.take(context, &mut engine)?;
    match call_from(engine, context.task.space, to, message, patience(time)) {
        Ok((engine, reply)) => deliver_message(context, at, engine, reply),
        Err(error) => not_called(context, at, &plain.header(), error),
    }
}

/// The same with any message.
#[inline(never)]
fn call_whole(context: &mut Context, to: Name, at: u64, time: u64) -> Outcome {
    let mut header = content::header(context, at)?;
    if header.reply != 0 {
        return Err(Code::InvalidRight.into());
    }
    let message = content::take(context, &mut header)?.unwrap();
    match call_from(
        node::lock(),
        context.task.space,
        to,
        message,
        patience(time),
    ) {
        Ok((engine, reply)) => deliver_message(context, at, engine, reply),
        Err(error) => not_called(context, at, &header, error),
    }
}

#[cold]
fn not_called(context: &Context, at: u64, header: &Header, error: CallError) -> Outcome {
    let refusal = Refusal::from(error.failure);
    match error.message {
        Some(message) => {
            content::put_back(context, at, header, message);
            Err(refusal)
        }
        None => Err(refusal.after_sending()),
    }
}

/// `REPLY(message)`
pub(super) fn reply(context: &Context, &[at, ..]: &Arguments) -> Outcome {
    let mut header = content::header(context, at)?;
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
    let from = name(from)?;
    match Plain::read(context, at) {
        Some(plain) if plain.reply != 0 => {
            let mut engine = node::lock();
            let reply = plain.take(context, &mut engine)?;
            answer(context, from, at, engine, reply)
        }
        _ => reply_whole(context, from, at),
    }
}

/// The same with any message, or none.
#[inline(never)]
fn reply_whole(context: &mut Context, from: Name, at: u64) -> Outcome {
    let mut header = content::header(context, at)?;
    if header.reply == 0 {
        let mut engine = node::lock();
        let space = context.task.space;
        let taken: Result<Came, Failure> = take(&mut engine, space, from, None, Patience::Forever);
        return deliver_taken(context, at, engine, taken?);
    }
    let reply = content::take(context, &mut header)?.unwrap();
    answer(context, from, at, node::lock(), reply)
}

/// A caller of this node that waits gets the answer and the processor at once; all else goes the
/// long way. An answer that cannot be sent is dropped.
#[inline]
fn answer(
    context: &mut Context,
    from: Name,
    at: u64,
    mut engine: EngineGuard,
    reply: CoreMessage,
) -> Outcome {
    let (this, space) = (thread::current(), context.task.space);
    match engine.core.ipc().answer_at_once(this, space, from, reply) {
        Ok(to) => {
            thread::lend(this, 0);
            engine.hand_off(this, to);
            match engine.core.ipc().take_handed(this) {
                Some(message) => deliver_message(context, at, engine, message),
                None => completed(context, at, engine),
            }
        }
        Err(reply) => answer_otherwise(context, from, at, engine, reply),
    }
}

#[inline(never)]
fn answer_otherwise(
    context: &mut Context,
    from: Name,
    at: u64,
    mut engine: EngineGuard,
    reply: CoreMessage,
) -> Outcome {
    let to = crate::face::answer(&mut engine, reply).unwrap_or_else(|error| {
        engine.core.ipc().discard(error.message);
        None
    });
    let taken = take(&mut engine, context.task.space, from, to, Patience::Forever);
    received(context, at, engine, taken)
}

/// Something else than a message has ended the wait.
#[cold]
fn completed(context: &mut Context, at: u64, mut engine: EngineGuard) -> Outcome {
    let ended = crate::face::complete(&mut engine, thread::current(), Patience::Forever);
    received(context, at, engine, ended)
}

/// What was received once the answer was sent.
fn received(
    context: &mut Context,
    at: u64,
    engine: EngineGuard,
    result: Result<Came, Failure>,
) -> Outcome {
    match result {
        Ok(came) => deliver_taken(context, at, engine, came),
        Err(failure) => Err(Refusal::from(failure).after_sending()),
    }
}

/// `EXCHANGE(name, message, timeout, port)`
pub(super) fn exchange(context: &mut Context, arguments: &Arguments) -> Outcome {
    let &[to, at, time, port, ..] = arguments;
    let (to, port, mut header) = (name(to)?, name(port)?, content::header(context, at)?);
    send_request(context, to, at, &mut header, time, port)?;
    let mut engine = node::lock();
    let space = context.task.space;
    let taken = take(&mut engine, space, port, None, patience(time));
    received(context, at, engine, taken)
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
    let delivery = context.parked.take().ok_or(Code::Empty)?;
    if at == 0 {
        // Whoever sent it learns so.
        drop(delivery);
        return Ok(0);
    }
    deliver(context, at, delivery)
}

/// Gives the program what it received, or parks it.
fn deliver(context: &mut Context, at: u64, delivery: Came) -> Outcome {
    match arrival::give(context, at, delivery) {
        Ok(()) => Ok(0),
        Err((refusal, delivery)) => park(context, refusal, delivery),
    }
}

/// The same of what was taken just now.
#[inline]
fn deliver_taken(context: &mut Context, at: u64, engine: EngineGuard, came: Came) -> Outcome {
    match came {
        Came::Message(message) => deliver_message(context, at, engine, message.unwrap()),
        news => {
            drop(engine);
            deliver(context, at, news)
        }
    }
}

/// The same of a message, the quick way if it is plain.
#[inline]
fn deliver_message(
    context: &mut Context,
    at: u64,
    mut engine: EngineGuard,
    message: CoreMessage,
) -> Outcome {
    match arrival::give_plain(context, at, &mut engine, message) {
        Ok(()) => Ok(0),
        Err(message) => {
            drop(engine);
            deliver(context, at, Came::Message(Message::wrap(message)))
        }
    }
}

#[cold]
fn park(context: &mut Context, refusal: Refusal, delivery: Came) -> Outcome {
    context.parked = Some(delivery);
    Err(refusal.after_sending())
}
