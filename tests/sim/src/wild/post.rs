//! How a rover's messages leave: to a port, to a send-once right, as a call or an answer; and what
//! it does with one that cannot be sent.

use core::time::Duration;

use norma_ipc::{Name, RightError, RightKind, SendFailure};
use norma_net::{Confirmation, Posted};

use super::Abilities;
use super::calm::Path;
use super::entries::{CallBook, Cargo, Dest, Ended, Fate, Held, Note, OnceNo, OnceTarget, Word};
use super::load::Load;
use super::rover::{Doing, Rover, who};
use crate::Message;
use crate::actor::Context;
use crate::machine::instant;

/// Later than any run ends.
const NEVER: Duration = Duration::from_secs(u64::MAX / 4);

impl Rover {
    /// Sends a message to what is under a name.
    pub(super) fn post(
        &mut self,
        cx: &mut Context<'_>,
        name: u32,
        held: &Held,
        call: bool,
        wait: bool,
    ) {
        let Ok(mut message) = cx.node.ipc().new_message() else {
            return;
        };
        let (dest, port) = match held.once {
            Some(once) => (Dest::Once(once), None),
            None => (Dest::Port(held.port), Some((held.port, name))),
        };
        let roll = !wait;
        let load = match roll {
            true => self.empty_load(cx, &mut message),
            false => self.load(cx, &mut message, port),
        };
        let Some(Load { number, mut rights }) = load else {
            return cx.node.ipc().discard(message);
        };
        let me = who(cx);
        let mut reply = None;
        let to_port = held.once.is_none() && !call && !roll;
        let confirmed = to_port && self.may(Abilities::FATES) && cx.random.below(5) == 0;
        if call && cx.node.ipc().attach_reply(cx.thread, &mut message).is_ok() {
            reply = Some(cx.books.new_once(cx.machine, OnceTarget::Call(number)));
            let call = CallBook {
                caller: me,
                ended: Ended::Waiting,
                dropped: false,
            };
            cx.books.calls.insert(number, call);
        } else if !roll && !confirmed && self.may(Abilities::PASS_REPLY) && cx.random.below(3) == 0
        {
            reply = self.pass_on(cx, name, number, &mut message);
        }
        let text = match (call, held.once.is_some()) {
            (true, _) => "calls port {p}, as {n}, with {m}",
            (false, false) if confirmed => "sends {m} to port {p}, as {n}, and asks for its fate",
            (false, true) => "sends {m} to the send-once right {n} to port {p}",
            (false, false) => "sends {m} to port {p}, as {n}",
        };
        cx.books
            .note(me, text, Note::message(number).of(held.port).name(name));
        if let Some(once) = held.once {
            let text = "answers {m}, whose right it kept, with {x}";
            cx.books.note_once(me, once, text, number);
        }
        self.go_along(cx, &mut rights, reply, &held.path);
        let cargo = Cargo {
            from: me,
            dest,
            rights,
            reply,
            sent: cx.now,
            fate: Fate::UnderWay,
            circular: false,
            path: held.path.clone(),
            large: !message.memory().is_empty(),
            word: confirmed.then_some(Word::Asked),
        };
        cx.books.sent(number, cargo, name);
        let raw = Name::from_raw(name);
        let thread = wait.then_some(cx.thread);
        let now = instant(cx.now);
        let sent = match confirmed {
            true => cx
                .node
                .send_confirmed(now, cx.space, raw, message, cx.thread)
                .map(|sent| match sent {
                    Confirmation::Asked(posted) => posted,
                    Confirmation::Here(posted) => {
                        if let Some(cargo) = cx.books.cargo.get_mut(&number) {
                            cargo.word = Some(Word::Here);
                        }
                        posted
                    }
                }),
            false => cx.node.send(now, cx.space, raw, message, thread),
        };
        match sent {
            Ok(posted) => {
                if held.once.is_some() {
                    cx.books.names[cx.machine].remove(&name);
                }
                if let Some(held) = cx.books.names[cx.machine].get_mut(&name) {
                    held.called |= roll;
                }
                match posted {
                    Posted::Handed(thread) => cx.handed.push(thread),
                    Posted::Waiting => {
                        let until = match self.may(Abilities::TIME_OUTS) {
                            true => cx.now + self.patience(cx),
                            false => NEVER,
                        };
                        return self.doing = Doing::Sending(number, until);
                    }
                    Posted::Queued | Posted::Carried => {}
                }
                self.await_answer(cx, number);
            }
            Err(error) => self.not_sent(cx, name, number, error),
        }
    }

    /// Makes a call of somebody else's out of a message: who gets it is to answer.
    fn pass_on(
        &mut self,
        cx: &mut Context<'_>,
        dest: u32,
        number: u64,
        message: &mut Message,
    ) -> Option<OnceNo> {
        let (name, held) = self.pick(cx, |held| held.once.is_some())?;
        let once = held.once.filter(|_| name != dest)?;
        let OnceTarget::Call(_) = cx.books.onces[once.0 as usize].target else {
            return None;
        };
        let raw = Name::from_raw(name);
        let right = cx.node.ipc().extract(cx.space, raw, RightKind::SendOnce);
        message.set_reply(right.ok()?).ok()?;
        message.set_expects_reply(true);
        let text = "passes call {m} on as {x}";
        cx.books.note_once(who(cx), once, text, number);
        cx.books.names[cx.machine].remove(&name);
        let book = &mut cx.books.onces[once.0 as usize];
        book.path.pass(cx.machine, cx.now);
        book.carrier = Some(number);
        Some(once)
    }

    fn not_sent(
        &mut self,
        cx: &mut Context<'_>,
        name: u32,
        number: u64,
        error: norma_ipc::SendError<norma_ipc::HeapPage>,
    ) {
        let note = Note::message(number).name(name);
        cx.books.note(who(cx), "cannot send {m}", note);
        match error.failure {
            SendFailure::Full => {}
            SendFailure::Right(RightError::Dead(_)) => {
                cx.books.seen_dead(who(cx), name);
            }
            // A right to itself in its own queue, by way of others.
            SendFailure::Right(RightError::Circular) => {}
            // The right itself was moved into the message.
            SendFailure::Right(_) if !self.can_send(cx, name) => {}
            SendFailure::Right(other) => {
                let what = format!("message {number} could not be sent: {other}");
                cx.books.accuse(what, &[], &[number]);
            }
        }
        let known = cx.books.names[cx.machine].get(&name);
        if known.is_some_and(|held| held.once.is_some()) && !self.exists(cx, name) {
            let what = format!("message {number} could not be sent, and its right is gone (I-1)");
            cx.books.accuse(what, &[], &[number]);
        }
        self.take_back(cx, number, error.message);
    }

    fn exists(&self, cx: &Context<'_>, name: u32) -> bool {
        let types = cx
            .node
            .ipc_ref()
            .right_types(cx.space, Name::from_raw(name));
        types.is_ok()
    }

    fn can_send(&self, cx: &Context<'_>, name: u32) -> bool {
        let held = cx.books.names[cx.machine].get(&name);
        held.is_some_and(|held| held.sends > 0 || held.once.is_some())
    }

    /// Sends the answer to a call.
    pub(super) fn post_answer(
        &mut self,
        cx: &mut Context<'_>,
        reply: OnceNo,
        load: Load,
        message: Message,
    ) {
        let Load { number, mut rights } = load;
        let me = who(cx);
        let call = match cx.books.onces[reply.0 as usize].target {
            OnceTarget::Call(call) => call,
            OnceTarget::Port(_) => 0,
        };
        cx.books.note(
            me,
            "answers call {x} with {m}",
            Note {
                extra: call,
                ..Note::message(number)
            },
        );
        cx.books.note(me, "answers {m}", Note::message(call));
        let mut path: Path = cx.books.onces[reply.0 as usize].path.clone();
        path.pass(cx.machine, cx.now);
        self.go_along(cx, &mut rights, None, &path);
        let cargo = Cargo {
            from: me,
            dest: Dest::Once(reply),
            rights,
            reply: None,
            sent: cx.now,
            fate: Fate::UnderWay,
            circular: false,
            path,
            large: !message.memory().is_empty(),
            word: None,
        };
        cx.books.sent(number, cargo, 0);
        match cx.node.reply(instant(cx.now), message) {
            Ok(Posted::Handed(thread)) => cx.handed.push(thread),
            Ok(_) => {}
            Err(error) => {
                cx.books.once_dropped(reply);
                let mut message = error.message;
                match message.take_reply() {
                    Some(right) => cx.node.ipc().release(right),
                    None => {
                        let what = format!("answer {number} came back without its right (I-1)");
                        cx.books.accuse(what, &[], &[number]);
                    }
                }
                self.take_back(cx, number, message);
            }
        }
    }
}
