//! What a rover puts into a message: data, memory, and rights of every kind.

use norma_ipc::limits::DEFAULT_QUEUE_LIMIT;
use norma_ipc::{Disposition, Name, RightError};

use super::Abilities;
use super::calm::Path;
use super::entries::{Carried, Held, Note, OnceNo, OnceTarget, Place, PortNo};
use super::rover::{Rover, who};
use crate::Message;
use crate::actor::Context;
use crate::actor::Request;

/// A message that is made up, and not sent so far.
pub(super) struct Load {
    pub(super) number: u64,
    pub(super) rights: Vec<Carried>,
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
        let book = &cx.books.ports[dest.0 as usize];
        // Receive rights that are refused for full queues, each by the other's, wait as long as
        // their sessions last (W-134): that is as likely as queues are short.
        let narrow = book.limit < DEFAULT_QUEUE_LIMIT;
        let here = book.place == Place::At(cx.machine, name);
        !narrow && (here || self.may(Abilities::MIGRATE))
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

    /// Where a node relays what it passed on, rights in a message depend on every node through
    /// which the message goes.
    pub(super) fn go_along(
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

    pub(super) fn empty_load(
        &mut self,
        cx: &mut Context<'_>,
        message: &mut Message,
    ) -> Option<Load> {
        let number = cx.books.next_number();
        Request::note(number, u64::from(cx.thread.0)).write(cx.node, message)?;
        let rights = Vec::new();
        Some(Load { number, rights })
    }
}
