//! What a rover asks to be told.

use norma_ipc::{Name, RightKind};

use super::Abilities;
use super::choice::is_queued;
use super::entries::{Note, PortNo};
use super::notify::{About, Bell};
use super::rover::{Rover, who};
use crate::actor::Context;

impl Rover {
    /// A port that is told what somebody asked, and a right to tell it.
    fn bell(&mut self, cx: &mut Context<'_>) -> Option<(Name, norma_ipc::Right)> {
        let name = cx.node.ipc().allocate_port(cx.space).ok()?;
        let ipc = cx.node.ipc();
        match ipc.make_right(cx.space, name, RightKind::SendOnce) {
            Ok(right) => Some((name, right)),
            Err(_) => {
                let _ = ipc.deallocate(cx.space, name, RightKind::Receive);
                None
            }
        }
    }

    fn hang(&mut self, cx: &mut Context<'_>, name: Name, port: PortNo, about: About) {
        cx.books.bells[cx.machine].insert(name.raw(), Bell::new(port, about));
        let note = Note::port(port).name(name.raw());
        let text = match about {
            About::NoSenders => "asks to be told at {n} when port {p} has no senders",
            About::Destroyed => "asks that port {p} come back at {n} when it is given up",
            About::Death(_) => "asks to be told at {n} of the death of its name for port {p}",
            About::Room(_) => "asks to be told at {n} when port {p} has room",
        };
        cx.books.note(who(cx), text, note);
    }

    pub(super) fn ask_no_senders(&mut self, cx: &mut Context<'_>) {
        if let Some((name, held)) = self.pick(cx, |held| held.receive) {
            self.ask_no_senders_of(cx, name, held.port);
        }
    }

    pub(super) fn ask_no_senders_of(&mut self, cx: &mut Context<'_>, name: u32, port: PortNo) {
        if !self.may(Abilities::REQUESTS) {
            return;
        }
        let Some((bell, right)) = self.bell(cx) else {
            return;
        };
        let before = cx.books.port(port).no_senders;
        self.hang(cx, bell, port, About::NoSenders);
        cx.books.port(port).no_senders = Some((cx.machine, bell.raw()));
        let raw = Name::from_raw(name);
        let asked = cx
            .node
            .ipc()
            .request_no_senders(cx.space, raw, 0, Some(right));
        self.asked(cx, asked, before, port);
    }

    pub(super) fn ask_destroyed(&mut self, cx: &mut Context<'_>) {
        let Some((name, held)) = self.pick(cx, |held| held.receive) else {
            return;
        };
        if !self.may(Abilities::REQUESTS) {
            return;
        }
        let Some((bell, right)) = self.bell(cx) else {
            return;
        };
        let before = cx.books.port(held.port).destroyed;
        self.hang(cx, bell, held.port, About::Destroyed);
        cx.books.port(held.port).destroyed = Some((cx.machine, bell.raw()));
        let raw = Name::from_raw(name);
        let asked = cx
            .node
            .ipc()
            .request_port_destroyed(cx.space, raw, Some(right));
        self.asked(cx, asked, before, held.port);
    }

    pub(super) fn ask_death(&mut self, cx: &mut Context<'_>) {
        let Some((name, held)) = self.pick(cx, |held| held.sends > 0 && !held.receive) else {
            return;
        };
        if !self.may(Abilities::REQUESTS) {
            return;
        }
        let Some((bell, right)) = self.bell(cx) else {
            return;
        };
        self.hang(cx, bell, held.port, About::Death(name));
        if let Some(held) = cx.books.names[cx.machine].get_mut(&name) {
            held.death = Some(bell.raw());
        }
        let before = held.death.map(|bell| (cx.machine, bell));
        let raw = Name::from_raw(name);
        let about = norma_ipc::About::Death;
        let asked = cx.node.ipc().request(cx.space, raw, about, right);
        let asked = asked.map_err(|refused| (refused.error, Some(refused.right)));
        self.asked(cx, asked, before, held.port);
    }

    pub(super) fn ask_room(&mut self, cx: &mut Context<'_>) {
        let Some((name, held)) = self.pick(cx, |held| held.sends > 0 && !held.dead) else {
            return;
        };
        if !self.may(Abilities::REQUESTS) {
            return;
        }
        let Some((bell, right)) = self.bell(cx) else {
            return;
        };
        self.hang(cx, bell, held.port, About::Room(name));
        if let Some(held) = cx.books.names[cx.machine].get_mut(&name) {
            held.room = Some(bell.raw());
        }
        let before = held.room.map(|bell| (cx.machine, bell));
        let raw = Name::from_raw(name);
        let about = norma_ipc::About::Room;
        let asked = cx.node.ipc().request(cx.space, raw, about, right);
        let asked = asked.map_err(|refused| (refused.error, Some(refused.right)));
        self.asked(cx, asked, before, held.port);
    }

    /// What a request returned: the right of the one before, which was withdrawn.
    pub(super) fn asked(
        &mut self,
        cx: &mut Context<'_>,
        asked: Result<Option<norma_ipc::Right>, (norma_ipc::RightError, Option<norma_ipc::Right>)>,
        before: Option<(usize, u32)>,
        port: PortNo,
    ) {
        match asked {
            Ok(None) => {}
            Ok(Some(right)) => {
                if let Some((node, bell)) = before
                    && let Some(bell) = cx.books.bells[node].get_mut(&bell)
                {
                    bell.withdrawn = true;
                }
                cx.node.ipc().release(right);
            }
            Err((error, right)) => {
                let what = format!("a request about port {} was refused: {error}", port.0);
                cx.books.accuse(what, &[port], &[]);
                if let Some(right) = right {
                    cx.node.ipc().release(right);
                }
            }
        }
    }

    pub(super) fn withdraw(&mut self, cx: &mut Context<'_>) {
        if let Some((name, held)) = self.pick(cx, |held| held.receive) {
            let before = cx.books.port(held.port).no_senders.take();
            let raw = Name::from_raw(name);
            let asked = cx.node.ipc().request_no_senders(cx.space, raw, 0, None);
            self.asked(cx, asked, before, held.port);
        }
    }

    /// Looks at the bells now: with a right that is made next, what rang before would seem early.
    pub(super) fn look(&mut self, cx: &mut Context<'_>) {
        let (ipc, space) = (cx.node.ipc_ref(), cx.space);
        cx.books
            .look(cx.machine, |bell| is_queued(ipc, space, bell));
    }
}
