//! A thread that does whatever can be done with ports and rights, in random order, and enters it
//! in the books.
//!
//! Owns the states of such a thread and its turns. What it does is in `choice.rs`, what it sends
//! in `load.rs`, what it does with what comes in `take.rs`.

use core::time::Duration;

use norma_ipc::{Cancelled, Completion, Delivery, HeapPage, Name, Notification, Reason};

use super::entries::{Dest, Ended, Fate, Note, OnceTarget, Phase, PortNo, Who};
use super::fates::PATIENCE;
use super::{Abilities, Wild};
use crate::actor::{Actor, Context, Next};
use crate::{Books, Message};

/// Microseconds that it waits at most where it is impatient.
const SHORT_PATIENCE: u64 = 50_000;

/// The longest pause between two looks at what has come.
const SLOWEST: Duration = Duration::from_millis(250);

/// How long it waits for a message at one port.
pub(super) const LISTENS: Duration = Duration::from_millis(20);

pub(super) enum Doing {
    Nothing,
    /// Waits for room; the message may be a call.
    Sending(u64, Duration),
    Calling(u64, Duration),
    /// Waits for word that a message is in the queue of its port.
    Confirming(u64, Duration),
    /// Looks up the name of a port, or one that may be any port's.
    Asking(Option<PortNo>, Duration),
    Listening(PortNo, Name, Duration),
    /// At a set with this one member.
    ListeningAtSet(Name, (Name, PortNo), Duration),
}

/// See the head of this file.
pub struct Rover {
    pub(super) wild: Wild,
    pub(super) doing: Doing,
    /// One of each machine does what is to be done once.
    pub(super) first: bool,
    /// It has not run so far.
    pub(super) fresh: bool,
}

pub(super) fn who(cx: &Context<'_>) -> Who {
    Who {
        node: cx.machine,
        boots: cx.boots,
        thread: cx.thread.0,
    }
}

impl Rover {
    /// A rover; the first of each machine also calls the roll.
    #[must_use]
    pub fn new(wild: &Wild, first: bool) -> Self {
        Rover {
            wild: wild.clone(),
            doing: Doing::Nothing,
            first,
            fresh: true,
        }
    }

    pub(super) fn may(&self, ability: Abilities) -> bool {
        self.wild.abilities.contains(ability)
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Next {
        if core::mem::take(&mut self.fresh) {
            self.settle_in(cx);
        }
        self.find_pages(cx);
        self.sweep(cx);
        match cx.books.phase {
            Phase::Play => self.act(cx),
            Phase::Settle => self.prepare_rest(cx),
            Phase::RollCall => self.call_roll(cx),
            Phase::GiveUpSends => self.give_up_sends(cx),
            Phase::GiveUpReceives => self.give_up_receives(cx),
        }
        match self.doing {
            Doing::Nothing => {
                // At rest there is nothing to do but to take what comes.
                let slower = if cx.books.phase == Phase::Play { 1 } else { 20 };
                let pace = (self.wild.pace * slower).min(SLOWEST).as_nanos() as u64;
                let pause = pace / 4 + cx.random.below(pace);
                Next::Until(cx.now + Duration::from_nanos(pause))
            }
            _ => self.pause(),
        }
    }

    /// Until when it waits for what it does.
    fn pause(&self) -> Next {
        match self.doing {
            Doing::Nothing => Next::Wait,
            Doing::Sending(_, until)
            | Doing::Calling(_, until)
            | Doing::Confirming(_, until)
            | Doing::Asking(_, until)
            | Doing::Listening(.., until)
            | Doing::ListeningAtSet(.., until) => Next::Until(until),
        }
    }

    /// How long it waits for an answer, or for room: at the only port of a node perhaps that has
    /// but this thread to take anything out.
    pub(super) fn patience(&self, cx: &mut Context<'_>) -> Duration {
        match self.may(Abilities::TIME_OUTS) && cx.random.below(4) == 0 {
            true => Duration::from_micros(cx.random.below(SHORT_PATIENCE)),
            false => PATIENCE,
        }
    }

    /// A message that waited for room is on its way, or came back.
    fn sent(&mut self, cx: &mut Context<'_>, number: u64, done: Completion<HeapPage>) {
        self.doing = Doing::Nothing;
        match done {
            Completion::Sent => self.await_answer(cx, number),
            Completion::Refused(reason, message) => {
                let note = Note::message(number);
                cx.books.note(who(cx), "gets message {m} back", note);
                self.refused(cx, number, Some(reason));
                self.take_back(cx, number, message);
            }
            other => self.odd(cx, &other),
        }
    }

    /// A send right whose message came back while it waited: why.
    pub(super) fn refused(&mut self, cx: &mut Context<'_>, number: u64, reason: Option<Reason>) {
        let Some(cargo) = cx.books.cargo.get(&number) else {
            return;
        };
        let (Dest::Port(port), path, sent) = (cargo.dest, cargo.path.clone(), cargo.sent) else {
            return;
        };
        let moved = reason == Some(Reason::Moved);
        let excused = moved || cx.books.is_gone(port);
        if !excused && !cx.books.excused(port, &path, sent) {
            let what = format!("message {number} to port {} came back: {reason:?}", port.0);
            cx.books.accuse(what, &[port], &[number]);
        }
    }

    pub(super) fn await_answer(&mut self, cx: &mut Context<'_>, number: u64) {
        if !cx.books.calls.contains_key(&number) {
            return self.await_word(cx, number);
        }
        match cx.node.ipc().await_reply(cx.thread) {
            Ok(None) => self.doing = Doing::Calling(number, cx.now + self.patience(cx)),
            Ok(Some(delivery)) => self.answered(cx, number, delivery),
            Err(error) => {
                let what = format!("{} has no call to wait for: {error}", who(cx));
                cx.books.accuse(what, &[], &[number]);
            }
        }
    }

    fn answered(&mut self, cx: &mut Context<'_>, call: u64, got: Delivery<HeapPage>) {
        self.doing = Doing::Nothing;
        match got {
            Delivery::Message(message) => {
                end_call(cx.books, call, Ended::Answered);
                self.take_message(cx, message, OnceTarget::Call(call));
            }
            Delivery::Notification(Notification::SendOnce(reason)) => {
                cx.books.told += 1;
                let note = Note::message(call);
                cx.books
                    .note(who(cx), "is told that call {m} gets no answer", note);
                end_call(cx.books, call, Ended::Failed);
                self.judge_failed_call(cx, call, reason);
            }
            Delivery::Notification(other) => {
                let what = format!("{} waited for an answer and was told {other:?}", who(cx));
                cx.books.accuse(what, &[], &[call]);
            }
        }
    }

    /// A call that failed must have been dropped by somebody, or have met a death.
    fn judge_failed_call(&mut self, cx: &mut Context<'_>, call: u64, reason: Reason) {
        let cargo = &cx.books.cargo[&call];
        let (dest, path, sent, reply) = (cargo.dest, cargo.path.clone(), cargo.sent, cargo.reply);
        let port = match dest {
            Dest::Port(port) => port,
            Dest::Once(once) => cx.books.once_port(once),
        };
        let gone = port.0 != u32::MAX && cx.books.is_gone(port);
        // The right may have come far since it was sent.
        let mut path = path;
        if let Some(reply) = reply {
            path.join(&cx.books.onces[reply.0 as usize].path);
        }
        let circular = cx.books.cargo[&call].circular;
        let excused = gone || circular || cx.books.excused(port, &path, sent);
        // Somebody gave it up, or it went down with a message.
        let carrier = reply.and_then(|reply| cx.books.onces[reply.0 as usize].carrier);
        let with = carrier.is_some_and(|carrier| cx.books.is_lost(carrier));
        // It, or the answer to it, met a node without memory, and the reason says so.
        let short = reason == Reason::NoMemory && cx.books.was_short(sent);
        let dropped = cx.books.calls[&call].dropped || with || short;
        if !dropped && !excused {
            let what = format!("call {call} failed ({reason:?}), and nobody let go of it");
            cx.books.accuse(what, &[port], &[call]);
        }
    }

    /// The time to wait for room is over: the message is here again.
    fn stop_sending(&mut self, cx: &mut Context<'_>, number: u64) {
        match cx.node.ipc().cancel(cx.thread) {
            Cancelled::Message(message) => {
                self.doing = Doing::Nothing;
                let note = Note::message(number);
                cx.books
                    .note(who(cx), "does not wait for room for {m}", note);
                self.take_back(cx, number, message);
            }
            Cancelled::Completed(done) => self.sent(cx, number, done),
            Cancelled::Nothing => {
                let what = format!("{} does not wait for room any more", who(cx));
                cx.books.accuse(what, &[], &[number]);
            }
        }
    }

    /// The time for an answer is over.
    fn give_up_call(&mut self, cx: &mut Context<'_>, call: u64) {
        match cx.node.ipc().cancel(cx.thread) {
            Cancelled::Completed(Completion::Received(delivery)) => {
                return self.answered(cx, call, delivery);
            }
            Cancelled::Message(message) => cx.node.ipc().discard(message),
            Cancelled::Completed(_) | Cancelled::Nothing => {}
        }
        cx.node.ipc().renew_reply_port(cx.thread);
        cx.books.note(
            who(cx),
            "waits no longer for an answer to {m}",
            Note::message(call),
        );
        end_call(cx.books, call, Ended::GivenUp);
        self.doing = Doing::Nothing;
    }

    fn listened(
        &mut self,
        cx: &mut Context<'_>,
        port: PortNo,
        name: Name,
        done: Completion<HeapPage>,
    ) {
        self.doing = Doing::Nothing;
        match done {
            Completion::Received(delivery) => self.take(cx, port, name, delivery),
            // Another thread gave the receive right up, or away.
            Completion::ReceiverDied(_) => {}
            other => self.odd(cx, &other),
        }
    }

    fn odd(&mut self, cx: &mut Context<'_>, completion: &Completion<HeapPage>) {
        let what = format!("a wait of {} ended with {completion:?}", who(cx));
        cx.books.accuse(what, &[], &[]);
    }

    /// A message that was not sent: what was in it is held again.
    pub(super) fn take_back(&mut self, cx: &mut Context<'_>, number: u64, mut message: Message) {
        if cx.books.calls.contains_key(&number) {
            cx.node.ipc().detach_reply(&mut message);
            end_call(cx.books, number, Ended::GivenUp);
        }
        let Some(cargo) = cx.books.unload(number, Fate::Returned) else {
            return cx.node.ipc().discard(message);
        };
        if cargo.word.is_some() {
            cx.node.unconfirmed(&mut message);
        }
        if let (Some(right), Some(once)) = (message.take_reply(), cargo.reply) {
            // A call that could not be passed on.
            self.keep_once(cx, number, right, once);
        }
        self.unpack(cx, number, &cargo.rights, message);
    }
}

fn end_call(books: &mut Books, call: u64, how: Ended) {
    if let Some(call) = books.calls.get_mut(&call) {
        call.ended = how;
    }
}

impl Actor for Rover {
    fn is_service(&self) -> bool {
        true
    }

    fn run(&mut self, cx: &mut Context<'_>) -> Next {
        cx.books.now = cx.now;
        match self.doing {
            Doing::Nothing => {}
            Doing::Sending(number, until) => match cx.node.ipc().take_completion(cx.thread) {
                Some(done) => self.sent(cx, number, done),
                None if cx.now >= until => self.stop_sending(cx, number),
                None => return Next::Until(until),
            },
            Doing::Confirming(number, until) => match cx.node.ipc().take_completion(cx.thread) {
                Some(Completion::Received(delivery)) => self.word(cx, number, delivery),
                Some(other) => self.odd(cx, &other),
                None if cx.now >= until => self.stop_confirming(cx, number),
                None => return Next::Until(until),
            },
            Doing::ListeningAtSet(set, (name, port), until) => {
                let over = cx.now >= until || cx.books.phase != Phase::Play;
                let done = cx.node.ipc().take_completion(cx.thread);
                if done.is_none() && !over {
                    return Next::Until(until);
                }
                self.left_set(cx, set);
                let done = done.or_else(|| match cx.node.ipc().cancel(cx.thread) {
                    Cancelled::Completed(done) => Some(done),
                    _ => None,
                });
                match done {
                    Some(Completion::Received(delivery)) => {
                        self.take_from_set(cx, name, port, delivery);
                    }
                    // Another thread gave the set up.
                    None | Some(Completion::ReceiverDied(_)) => {}
                    Some(other) => self.odd(cx, &other),
                }
            }
            Doing::Calling(call, until) => match cx.node.ipc().take_completion(cx.thread) {
                Some(Completion::Received(delivery)) => self.answered(cx, call, delivery),
                Some(other) => self.odd(cx, &other),
                None if cx.now >= until => self.give_up_call(cx, call),
                None => return Next::Until(until),
            },
            Doing::Asking(port, until) => match cx.node.ipc().take_completion(cx.thread) {
                Some(Completion::Received(delivery)) => self.looked_up(cx, port, delivery),
                Some(other) => self.odd(cx, &other),
                None if cx.now >= until => self.stop_asking(cx, port),
                None => return Next::Until(until),
            },
            Doing::Listening(port, name, until) => match cx.node.ipc().take_completion(cx.thread) {
                Some(done) => self.listened(cx, port, name, done),
                None if cx.now >= until || cx.books.phase != Phase::Play => {
                    self.doing = Doing::Nothing;
                    if let Cancelled::Completed(done) = cx.node.ipc().cancel(cx.thread) {
                        self.listened(cx, port, name, done);
                    }
                }
                None => return Next::Until(until),
            },
        }
        match self.doing {
            Doing::Nothing => self.turn(cx),
            _ => self.pause(),
        }
    }
}

impl Rover {
    /// Listens at a port of this machine for a while.
    pub(super) fn listen(&mut self, cx: &mut Context<'_>, port: PortNo, name: Name) {
        let space = cx.space;
        match cx.node.ipc().receive_or_wait(cx.thread, space, name) {
            Ok(Some(delivery)) => self.take(cx, port, name, delivery),
            Ok(None) => self.doing = Doing::Listening(port, name, cx.now + LISTENS),
            Err(error) => {
                let what = format!("{} cannot receive from port {}: {error}", who(cx), port.0);
                cx.books.accuse(what, &[port], &[]);
            }
        }
    }
}
