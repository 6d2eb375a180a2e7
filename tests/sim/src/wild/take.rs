//! What a rover does with what it receives: it checks it against the books, keeps the rights,
//! and answers.

use norma_ipc::{Delivery, HeapPage, Name, Notification, Right, RightKind};
use norma_net::NAME_UNKNOWN;

use super::Abilities;
use super::calm::Path;
use super::entries::{Carried, Note, OnceTarget, Phase, Place, PortNo};
use super::rover::{Doing, Rover, who};
use crate::Message;
use crate::actor::Context;
use crate::actor::Request;

/// Messages that are taken from one port in one turn.
const EACH: usize = 4;

impl Rover {
    /// Takes what has come to the ports of this machine, the bells among them.
    pub(super) fn sweep(&mut self, cx: &mut Context<'_>) {
        let bells: Vec<u32> = cx.books.bells[cx.machine]
            .iter()
            .filter(|(_, bell)| bell.rings())
            .map(|(name, _)| *name)
            .collect();
        for name in bells {
            self.answer_bell(cx, name);
        }
        self.take_bells_down(cx);
        let now = cx.now;
        let playing = cx.books.phase == Phase::Play;
        let names = cx.books.names[cx.machine].iter();
        let ports: Vec<(u32, PortNo)> = names
            .filter(|(_, held)| held.receive)
            .map(|(name, held)| (*name, held.port))
            .filter(|(_, port)| !playing || cx.books.ports[port.0 as usize].stopped_until <= now)
            .collect();
        for (name, port) in ports {
            for _ in 0..EACH {
                // What was taken before may have changed what is under the name.
                let there = cx.books.names[cx.machine].get(&name);
                if !there.is_some_and(|held| held.receive && held.port == port) {
                    break;
                }
                let name = Name::from_raw(name);
                match cx.node.ipc().receive(cx.space, name) {
                    Ok(delivery) => self.take(cx, port, name, delivery),
                    Err(_) => break,
                }
            }
        }
    }

    /// Bells that have rung have done what they are for.
    fn take_bells_down(&mut self, cx: &mut Context<'_>) {
        let bells = cx.books.bells[cx.machine].iter();
        let over: Vec<u32> = bells
            .filter(|(_, bell)| bell.is_over(cx.now))
            .map(|(name, _)| *name)
            .collect();
        for name in over {
            cx.books.bells[cx.machine].remove(&name);
            let raw = Name::from_raw(name);
            let _ = cx.node.ipc().deallocate(cx.space, raw, RightKind::Receive);
        }
    }

    fn answer_bell(&mut self, cx: &mut Context<'_>, name: u32) {
        while let Ok(delivery) = cx.node.ipc().receive(cx.space, Name::from_raw(name)) {
            match delivery {
                Delivery::Notification(told) => {
                    cx.books.rang(who(cx), name, &told);
                    if let Notification::PortDestroyed(right) = told {
                        self.got_back(cx, name, right);
                    }
                }
                Delivery::Message(message) => {
                    let what = format!("{} got a message at its bell {name:#x}", who(cx));
                    cx.books.accuse(what, &[], &[]);
                    cx.node.ipc().discard(message);
                }
            }
        }
    }

    fn got_back(&mut self, cx: &mut Context<'_>, bell: u32, right: Right) {
        let port = cx.books.bells[cx.machine][&bell].port;
        match cx.node.ipc().insert(cx.space, right) {
            Ok(name) if self.is_dead(cx, name.raw()) => {
                let _ = cx.node.ipc().deallocate(cx.space, name, RightKind::Receive);
                cx.books.came_back_dead(port);
            }
            Ok(name) => {
                cx.books.add_receive(who(cx), name.raw(), port);
                self.check_limit(cx, name, port);
            }
            Err(refused) => {
                cx.node.ipc().release(refused.right);
                let now = cx.now;
                cx.books.port(port).place = Place::Gone(now);
            }
        }
    }

    /// Something came to a port.
    pub(super) fn take(
        &mut self,
        cx: &mut Context<'_>,
        port: PortNo,
        name: Name,
        delivery: Delivery<HeapPage>,
    ) {
        match delivery {
            Delivery::Message(message) => {
                self.take_message(cx, message, OnceTarget::Port(port));
            }
            Delivery::Notification(Notification::SendOnce(_)) => {
                cx.books.told += 1;
                let note = Note::port(port).name(name.raw());
                let text = "is told that a send-once right to port {p} was destroyed";
                cx.books.note(who(cx), text, note);
                cx.books.port(port).onces_told += 1;
                cx.books.check_onces(port);
            }
            Delivery::Notification(other) => {
                let what = format!("port {} was told {other:?}", port.0);
                cx.books.accuse(what, &[port], &[]);
            }
        }
    }

    /// A message came: from a port, or as an answer.
    pub(super) fn take_message(
        &mut self,
        cx: &mut Context<'_>,
        mut message: Message,
        at: OnceTarget,
    ) {
        let number = match Request::read_any(&mut message) {
            Ok(request) => request.number,
            Err(what) => {
                cx.books.accuse(what, &[], &[]);
                return cx.node.ipc().discard(message);
            }
        };
        let Some(cargo) = cx.books.arrived(who(cx), number, at) else {
            return cx.node.ipc().discard(message);
        };
        let kinds: Vec<RightKind> = message.rights().iter().map(Right::kind).collect();
        let sent: Vec<RightKind> = cargo.rights.iter().map(|right| right.kind).collect();
        if kinds != sent || message.reply().is_some() != cargo.reply.is_some() {
            let what = format!("message {number} had the rights {sent:?} and came with {kinds:?}");
            cx.books.accuse(what, &[], &[number]);
            return cx.node.ipc().discard(message);
        }
        let answers = cargo.reply.is_some();
        if let Some(reply) = cargo.reply {
            let book = &mut cx.books.onces[reply.0 as usize];
            book.path.pass(cx.machine, cx.now);
            book.carrier = None;
        }
        let keep = answers && self.may(Abilities::PASS_REPLY) && cx.random.below(8) == 0;
        if keep && let (Some(right), Some(once)) = (message.take_reply(), cargo.reply) {
            self.keep_once(cx, number, right, once);
        } else if answers && cx.random.below(8) > 0 {
            let Some(reply) = cargo.reply else { return };
            let message = self.unpack_in_place(cx, number, &cargo.rights, message);
            return self.answer(cx, reply, message);
        }
        if let Some(reply) = cargo.reply.filter(|_| message.reply().is_some()) {
            let text = "drops call {m} without an answer";
            cx.books.note(who(cx), text, Note::message(number));
            cx.books.once_dropped(reply);
        }
        self.unpack(cx, number, &cargo.rights, message);
    }

    pub(super) fn keep_once(
        &mut self,
        cx: &mut Context<'_>,
        number: u64,
        right: Right,
        once: super::entries::OnceNo,
    ) {
        let port = cx.books.once_port(once);
        match cx.node.ipc().insert(cx.space, right) {
            Ok(name) => {
                let note = Note::message(number).of(port).name(name.raw());
                cx.books
                    .note(who(cx), "keeps the right to answer {m} as {n}", note);
                cx.books.hold_once(who(cx), name.raw(), once);
            }
            Err(refused) => {
                cx.books.once_dropped(once);
                cx.node.ipc().release(refused.right);
            }
        }
    }

    /// Takes the rights out of a message and the message apart.
    pub(super) fn unpack(
        &mut self,
        cx: &mut Context<'_>,
        number: u64,
        rights: &[Carried],
        message: Message,
    ) {
        let message = self.unpack_in_place(cx, number, rights, message);
        cx.node.ipc().discard(message);
    }

    fn unpack_in_place(
        &mut self,
        cx: &mut Context<'_>,
        number: u64,
        rights: &[Carried],
        mut message: Message,
    ) -> Message {
        for carried in rights {
            let Some(right) = message.take_right() else {
                break;
            };
            self.keep(cx, number, carried, right);
        }
        message
    }

    /// A right came in a message, or back with it.
    fn keep(&mut self, cx: &mut Context<'_>, number: u64, carried: &Carried, right: Right) {
        let me = who(cx);
        let name = match cx.node.ipc().insert(cx.space, right) {
            Ok(name) => name,
            Err(refused) => {
                let what = format!(
                    "a right in message {number} could not be kept: {}",
                    refused.error
                );
                cx.books.accuse(what, &[carried.port], &[number]);
                return cx.node.ipc().release(refused.right);
            }
        };
        let raw = name.raw();
        let note = Note::message(number).of(carried.port).name(raw);
        let mut path = carried.path.clone();
        match carried.kind {
            RightKind::Receive => {
                cx.books.note(
                    me,
                    "takes the receive right of port {p} out of {m} as {n}",
                    note,
                );
                if self.is_dead(cx, raw) {
                    let _ = cx.node.ipc().deallocate(cx.space, name, RightKind::Receive);
                    path.pass(cx.machine, cx.now);
                    return cx.books.receive_came_dead(me, carried, number, &path);
                }
                cx.books.add_receive(me, raw, carried.port);
                self.check_limit(cx, name, carried.port);
            }
            RightKind::SendOnce => {
                cx.books.note(
                    me,
                    "takes a send-once right to port {p} out of {m} as {n}",
                    note,
                );
                if let Some(once) = carried.once {
                    let text = "takes the right to answer {m} out of {x}";
                    cx.books.note_once(me, once, text, number);
                    cx.books.hold_once(me, raw, once);
                    cx.books.once_came(me, once);
                }
                self.check_dead(cx, raw);
            }
            RightKind::Send => {
                cx.books
                    .note(me, "takes a send right to port {p} out of {m} as {n}", note);
                path.pass(cx.machine, cx.now);
                if self.is_dead(cx, raw) {
                    cx.books.add_dead(me, raw, carried.port);
                    return cx.books.came_dead(me, raw, carried, number, &path);
                }
                self.merge(cx, raw, carried.port, &path);
                let excused = cx.books.excused(carried.port, &path, carried.since);
                if let (Some(since), false) = (carried.suspect, excused) {
                    let what = format!(
                        "port {} was told at {:.6} s that it has no senders, when message {number} had one",
                        carried.port.0,
                        since.as_secs_f64()
                    );
                    cx.books.accuse(what, &[carried.port], &[number]);
                }
            }
        }
    }

    /// The limit of its queue has come with a receive right.
    fn check_limit(&self, cx: &mut Context<'_>, name: Name, port: PortNo) {
        let limit = cx.books.port(port).limit;
        let status = cx.node.ipc_ref().receive_status(cx.space, name);
        let now = status.map(|status| status.queue_limit);
        if now != Ok(limit) {
            let what = format!(
                "the queue of port {} came with limit {now:?}, not {limit}",
                port.0
            );
            cx.books.accuse(what, &[port], &[]);
        }
    }

    /// One more live send right, which merges with those that are held.
    fn merge(&self, cx: &mut Context<'_>, name: u32, port: PortNo, path: &Path) {
        // The one that is held already may have died unseen.
        if let Some(known) = cx.books.name_of(cx.machine, port)
            && known != name
        {
            self.check_dead(cx, known);
        }
        cx.books.add_send(who(cx), name, port, path);
    }

    /// Answers a call, now and then with rights.
    fn answer(
        &mut self,
        cx: &mut Context<'_>,
        reply: super::entries::OnceNo,
        mut message: Message,
    ) {
        let Some(load) = self.load(cx, &mut message, None) else {
            cx.books.once_dropped(reply);
            return cx.node.ipc().discard(message);
        };
        self.post_answer(cx, reply, load, message);
    }

    /// A look-up was answered.
    pub(super) fn looked_up(
        &mut self,
        cx: &mut Context<'_>,
        port: Option<PortNo>,
        delivery: Delivery<HeapPage>,
    ) {
        self.doing = Doing::Nothing;
        let Delivery::Message(mut message) = delivery else {
            return;
        };
        if message.id() != NAME_UNKNOWN
            && let Some(right) = message.take_right()
        {
            self.found(cx, port, right);
        }
        cx.node.ipc().discard(message);
    }

    pub(super) fn found(&mut self, cx: &mut Context<'_>, port: Option<PortNo>, right: Right) {
        let me = who(cx);
        let Some(port) = port else {
            return cx.node.ipc().release(right);
        };
        match cx.node.ipc().insert(cx.space, right) {
            Ok(name) => {
                let note = Note::port(port).name(name.raw());
                cx.books
                    .note(me, "finds port {p} by its name, and holds it as {n}", note);
                if self.is_dead(cx, name.raw()) {
                    return cx.books.add_dead(me, name.raw(), port);
                }
                let mut path = Path::default();
                cx.books.join_owners(port, &mut path);
                path.pass(cx.machine, cx.now);
                self.merge(cx, name.raw(), port, &path);
            }
            Err(refused) => cx.node.ipc().release(refused.right),
        }
    }
}
