//! What a rover sends: data, memory, and rights of every kind; and how a message leaves.

use norma_ipc::{Disposition, Name, RightError, RightKind, SendFailure};
use norma_net::Posted;

use super::Abilities;
use super::calm::Path;
use super::entries::{
    CallBook, Cargo, Carried, Dest, Ended, Fate, Held, Note, OnceNo, OnceTarget, Place, PortNo,
};
use super::rover::{Doing, Rover, who};
use crate::Message;
use crate::actor::Context;
use crate::actor::Request;
use crate::machine::instant;

/// A message that is made up, and not sent so far.
pub(super) struct Load {
    number: u64,
    rights: Vec<Carried>,
}

impl Rover {
    /// Fills a message. `None` when there is no memory for it.
    pub(super) fn load(
        &mut self,
        cx: &mut Context<'_>,
        message: &mut Message,
        dest: Option<(PortNo, u32)>,
    ) -> Option<Load> {
        let number = cx.books.next_number();
        let large = cx.random.below(6) == 0;
        let memory = if large {
            self.wild.max_memory as u64
        } else {
            0
        };
        let request = Request {
            memory: cx.random.below(memory + 1) as u32,
            inline: cx.random.below(self.wild.max_inline as u64 + 1) as u32,
            ..Request::note(number, u64::from(cx.thread.0))
        };
        let typed = self.may(Abilities::TYPED) && cx.random.below(4) == 0;
        match typed {
            true => request.write_typed(cx.node, message)?,
            false => request.write(cx.node, message)?,
        }
        let mut load = Load {
            number,
            rights: Vec::new(),
        };
        if self.may(Abilities::RIGHTS) && cx.random.below(2) == 0 {
            for _ in 0..=cx.random.below(3) {
                self.add_right(cx, message, &mut load, dest);
            }
        }
        Some(load)
    }

    /// Puts some right into a message, if there is one of the kind that chance wants.
    fn add_right(
        &mut self,
        cx: &mut Context<'_>,
        message: &mut Message,
        load: &mut Load,
        dest: Option<(PortNo, u32)>,
    ) {
        let (disposition, fits): (_, fn(&Held) -> bool) = match cx.random.below(7) {
            0 | 1 => (Disposition::CopySend, |held| held.sends > 0 && !held.dead),
            2 => (Disposition::MoveSend, |held| held.sends > 0 && !held.dead),
            3 => (Disposition::MakeSend, |held| held.receive),
            4 if self.may(Abilities::SEND_ONCE) => (Disposition::MakeSendOnce, |held| held.receive),
            5 if self.may(Abilities::SEND_ONCE) => {
                (Disposition::MoveSendOnce, |held| held.once.is_some())
            }
            6 if self.may(Abilities::MOVE_HERE) => (Disposition::MoveReceive, |held| held.receive),
            _ => return,
        };
        let Some((name, held)) = self.pick(cx, fits) else {
            return;
        };
        if disposition == Disposition::MoveReceive && !self.can_move(cx, &held, dest) {
            return;
        }
        if disposition == Disposition::MakeSend {
            self.look(cx);
        }
        let put = cx
            .node
            .ipc()
            .push_right(cx.space, Name::from_raw(name), disposition, message);
        match put {
            Ok(()) => load
                .rights
                .push(self.enter(cx, name, &held, disposition, load.number)),
            Err(RightError::Dead(_)) => cx.books.seen_dead(who(cx), name),
            Err(error) => {
                let what = format!("{disposition:?} of port {} failed: {error}", held.port.0);
                cx.books.accuse(what, &[held.port], &[load.number]);
            }
        }
    }

    /// Whether a receive right can go to where that message goes.
    fn can_move(&self, cx: &Context<'_>, held: &Held, dest: Option<(PortNo, u32)>) -> bool {
        let Some((dest, name)) = dest.filter(|(dest, _)| *dest != held.port) else {
            return false;
        };
        let here = cx.books.ports[dest.0 as usize].place == Place::At(cx.machine, name);
        here || self.may(Abilities::MIGRATE)
    }

    /// Enters that a right went from a name into a message.
    fn enter(
        &mut self,
        cx: &mut Context<'_>,
        name: u32,
        held: &Held,
        disposition: Disposition,
        number: u64,
    ) -> Carried {
        let note = Note::message(number).of(held.port).name(name);
        let (me, now) = (who(cx), cx.now);
        let mut path = held.path.clone();
        path.pass(cx.machine, now);
        let mut once = None;
        let books = &mut *cx.books;
        match disposition {
            Disposition::CopySend => {
                books.note(
                    me,
                    "puts a copy of {n}, a send right to port {p}, into {m}",
                    note,
                );
            }
            Disposition::MoveSend => {
                books.note(me, "moves {n}, a send right to port {p}, into {m}", note);
                books.take_send(cx.machine, name);
            }
            Disposition::MakeSend => {
                books.note(me, "makes a send right to port {p} for {m}", note);
                books.port(held.port).made += 1;
            }
            Disposition::MakeSendOnce => {
                books.note(me, "makes a send-once right to port {p} for {m}", note);
                once = Some(books.new_once(cx.machine, OnceTarget::Port(held.port)));
            }
            Disposition::MoveSendOnce => {
                books.note(
                    me,
                    "moves {n}, a send-once right to port {p}, into {m}",
                    note,
                );
                books.names[cx.machine].remove(&name);
                once = held.once;
                if let Some(once) = once {
                    let text = "moves the right to answer {m} into {x}";
                    books.note_once(me, once, text, number);
                }
            }
            Disposition::MoveReceive => {
                books.note(me, "moves the receive right of port {p} into {m}", note);
                if self.may(Abilities::MIGRATE) {
                    books.moved(held.port);
                }
                books.take_receive(cx.machine, name, Place::InMessage(number));
            }
        }
        Carried {
            kind: disposition.kind(),
            port: held.port,
            once,
            path,
            since: held.since,
            suspect: None,
        }
    }

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
        if call && cx.node.ipc().attach_reply(cx.thread, &mut message).is_ok() {
            reply = Some(cx.books.new_once(cx.machine, OnceTarget::Call(number)));
            let call = CallBook {
                caller: me,
                ended: Ended::Waiting,
                dropped: false,
            };
            cx.books.calls.insert(number, call);
        } else if !roll && self.may(Abilities::PASS_REPLY) && cx.random.below(3) == 0 {
            reply = self.pass_on(cx, name, number, &mut message);
        }
        let text = match (call, held.once.is_some()) {
            (true, _) => "calls port {p}, as {n}, with {m}",
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
        };
        cx.books.sent(number, cargo, name);
        let raw = Name::from_raw(name);
        let thread = wait.then_some(cx.thread);
        let now = instant(cx.now);
        match cx.node.send(now, cx.space, raw, message, thread) {
            Ok(posted) => {
                if held.once.is_some() {
                    cx.books.names[cx.machine].remove(&name);
                }
                if let Some(held) = cx.books.names[cx.machine].get_mut(&name) {
                    held.called |= roll;
                }
                match posted {
                    Posted::Handed(thread) => cx.handed.push(thread),
                    Posted::Waiting => return self.doing = Doing::Sending(number),
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

    /// Where a node relays what it passed on, rights in a message depend on every node through
    /// which the message goes.
    fn go_along(
        &self,
        cx: &mut Context<'_>,
        rights: &mut [Carried],
        reply: Option<OnceNo>,
        path: &Path,
    ) {
        if !cx.books.calm.relayed {
            return;
        }
        for right in &mut *rights {
            right.path.join(path);
        }
        for once in rights.iter().filter_map(|right| right.once).chain(reply) {
            cx.books.onces[once.0 as usize].path.join(path);
        }
    }

    fn empty_load(&mut self, cx: &mut Context<'_>, message: &mut Message) -> Option<Load> {
        let number = cx.books.next_number();
        Request::note(number, u64::from(cx.thread.0)).write(cx.node, message)?;
        let rights = Vec::new();
        Some(Load { number, rights })
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
