//! What a rover does next.

use core::time::Duration;

use norma_ipc::{Ipc, Name, Page, RightKind, RightTypes, SpaceId};
use norma_net::LookUp;

use super::Abilities;
use super::entries::{Held, Note, Place, PortNo};
use super::notify::{About, Bell};
use super::rover::{Doing, Rover, who};
use crate::actor::Context;
use crate::machine::instant;

/// Ports that a machine makes; more can come to it.
const PORTS: usize = 6;

/// Names that a machine holds before it gives some up.
const NAMES: usize = 40;

/// Whether something lies at a bell.
pub(crate) fn is_queued<P: Page>(ipc: &Ipc<P>, space: SpaceId, bell: u32) -> bool {
    let status = ipc.receive_status(space, Name::from_raw(bell));
    status.is_ok_and(|status| status.queued > 0)
}

impl Rover {
    /// One random thing.
    pub(super) fn act(&mut self, cx: &mut Context<'_>) {
        let many = cx.books.names[cx.machine].len() > NAMES;
        // Whoever knows nobody asks for somebody.
        let alone = !cx.books.names[cx.machine]
            .values()
            .any(|held| held.sends > 0);
        match cx.random.below(if many { 40 } else { 110 }) {
            0..8 => self.give_up_some(cx),
            8..9 => self.give_up_port(cx),
            9..11 => self.stop_port(cx),
            11..15 => self.look_at_names(cx),
            15..25 => self.spend_once(cx),
            25..30 => self.ask_no_senders(cx),
            30..35 => self.ask_death(cx),
            35..38 => self.ask_destroyed(cx),
            38..40 => self.withdraw(cx),
            40..44 => self.check_in_or_out(cx),
            44..47 => self.make_port(cx),
            47..53 => self.look_up(cx),
            53..56 => self.listen_somewhere(cx),
            _ if alone => self.look_up(cx),
            56..80 => self.send_somewhere(cx, true),
            _ => self.send_somewhere(cx, false),
        }
    }

    /// Some name of this machine that fits.
    pub(super) fn pick(
        &mut self,
        cx: &mut Context<'_>,
        fits: fn(&Held) -> bool,
    ) -> Option<(u32, Held)> {
        let names = &cx.books.names[cx.machine];
        let count = names.values().filter(|held| fits(held)).count();
        let at = cx.random.below(count as u64) as usize;
        let names = &cx.books.names[cx.machine];
        let (name, held) = names.iter().filter(|(_, held)| fits(held)).nth(at)?;
        Some((*name, held.clone()))
    }

    fn send_somewhere(&mut self, cx: &mut Context<'_>, call: bool) {
        let picked = self.pick(cx, |held| held.sends > 0 && !held.dead);
        if let Some((name, held)) = picked {
            self.post(cx, name, &held, call && self.may(Abilities::CALLS), true);
        }
    }

    fn spend_once(&mut self, cx: &mut Context<'_>) {
        let Some((name, held)) = self.pick(cx, |held| held.once.is_some()) else {
            return;
        };
        if held.dead || cx.random.below(3) == 0 {
            self.drop_once(cx, name, &held);
        } else {
            self.post(cx, name, &held, false, true);
        }
    }

    fn drop_once(&mut self, cx: &mut Context<'_>, name: u32, held: &Held) {
        let note = Note::default().of(held.port).name(name);
        cx.books.note(
            who(cx),
            "destroys the send-once right {n} to port {p}",
            note,
        );
        cx.books.names[cx.machine].remove(&name);
        if let Some(once) = held.once {
            let text = "destroys the right to answer {m}";
            cx.books.note_once(who(cx), once, text, 0);
            cx.books.once_dropped(once);
        }
        self.deallocate(cx, name, RightKind::SendOnce, held.port);
    }

    fn deallocate(&mut self, cx: &mut Context<'_>, name: u32, kind: RightKind, port: PortNo) {
        let raw = Name::from_raw(name);
        if let Err(error) = cx.node.ipc().deallocate(cx.space, raw, kind) {
            let what = format!("{} cannot give up {name:#x}: {error}", who(cx));
            cx.books.accuse(what, &[port], &[]);
        }
    }

    fn give_up_some(&mut self, cx: &mut Context<'_>) {
        if let Some((name, held)) = self.pick(cx, |held| held.sends > 0) {
            let all = cx.random.below(2) == 0;
            let count = if all { held.sends } else { 1 };
            self.give_up_send(cx, name, &held, count);
        }
    }

    fn give_up_send(&mut self, cx: &mut Context<'_>, name: u32, held: &Held, count: u32) {
        for _ in 0..count {
            let note = Note::port(held.port).name(name);
            cx.books
                .note(who(cx), "gives up a send right {n} to port {p}", note);
            cx.books.take_send(cx.machine, name);
            self.deallocate(cx, name, RightKind::Send, held.port);
        }
    }

    /// Makes a port that others find, so that there is something to begin with.
    pub(super) fn settle_in(&mut self, cx: &mut Context<'_>) {
        self.make_port(cx);
        self.check_in_or_out(cx);
    }

    fn make_port(&mut self, cx: &mut Context<'_>) {
        let names = cx.books.names[cx.machine].values();
        if names.filter(|held| held.receive).count() >= PORTS {
            return;
        }
        if let Ok(name) = cx.node.ipc().allocate_port(cx.space) {
            cx.books.new_port(who(cx), name.raw());
        }
    }

    fn give_up_port(&mut self, cx: &mut Context<'_>) {
        if let Some((name, held)) = self.pick(cx, |held| held.receive) {
            self.destroy_port(cx, name, held.port);
        }
    }

    fn destroy_port(&mut self, cx: &mut Context<'_>, name: u32, port: PortNo) {
        cx.books.note(
            who(cx),
            "gives up the receive right of port {p}",
            Note::port(port).name(name),
        );
        let comes_back = cx.books.ports[port.0 as usize].destroyed.is_some();
        let place = if comes_back {
            Place::Returning
        } else {
            Place::Gone(cx.now)
        };
        cx.books.take_receive(cx.machine, name, place);
        self.deallocate(cx, name, RightKind::Receive, port);
    }

    /// Nobody receives from some port for a while.
    fn stop_port(&mut self, cx: &mut Context<'_>) {
        if let Some((_, held)) = self.pick(cx, |held| held.receive) {
            let time = Duration::from_millis(cx.random.below(500));
            cx.books.port(held.port).stopped_until = cx.now + time;
        }
    }

    /// Sees whether names have died.
    pub(super) fn look_at_names(&mut self, cx: &mut Context<'_>) {
        let names: Vec<u32> = cx.books.names[cx.machine].keys().copied().collect();
        for name in names {
            self.check_dead(cx, name);
        }
    }

    pub(super) fn is_dead(&self, cx: &mut Context<'_>, name: u32) -> bool {
        let types = cx
            .node
            .ipc_ref()
            .right_types(cx.space, Name::from_raw(name));
        types.is_ok_and(|types| types.contains(RightTypes::DEAD_NAME))
    }

    pub(super) fn check_dead(&self, cx: &mut Context<'_>, name: u32) {
        if self.is_dead(cx, name) {
            cx.books.seen_dead(who(cx), name);
        }
    }

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
        };
        cx.books.note(who(cx), text, note);
    }

    pub(super) fn ask_no_senders(&mut self, cx: &mut Context<'_>) {
        if let Some((name, held)) = self.pick(cx, |held| held.receive) {
            self.ask_no_senders_of(cx, name, held.port);
        }
    }

    fn ask_no_senders_of(&mut self, cx: &mut Context<'_>, name: u32, port: PortNo) {
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

    fn ask_destroyed(&mut self, cx: &mut Context<'_>) {
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

    fn ask_death(&mut self, cx: &mut Context<'_>) {
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
        let asked = cx
            .node
            .ipc()
            .request(cx.space, raw, norma_ipc::About::Death, right);
        let asked = asked.map_err(|refused| (refused.error, Some(refused.right)));
        self.asked(cx, asked, before, held.port);
    }

    /// What a request returned: the right of the one before, which was withdrawn.
    fn asked(
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

    fn withdraw(&mut self, cx: &mut Context<'_>) {
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

    fn check_in_or_out(&mut self, cx: &mut Context<'_>) {
        let Some((name, held)) = self.pick(cx, |held| held.receive) else {
            return;
        };
        if !self.may(Abilities::NAMES) {
            return;
        }
        let text = format!("port{}", held.port.0);
        let note = Note::port(held.port).name(name);
        if let Some(at) = cx.books.port(held.port).registered {
            if at == cx.machine {
                cx.books.note(who(cx), "checks port {p} out", note);
                cx.books.port(held.port).registered = None;
                cx.node.check_out(&text);
            }
            return;
        }
        self.look(cx);
        let ipc = cx.node.ipc();
        let raw = Name::from_raw(name);
        let Ok(right) = ipc.make_right(cx.space, raw, RightKind::Send) else {
            return;
        };
        let Ok(send) = ipc.insert(cx.space, right) else {
            return;
        };
        if cx
            .node
            .check_in(instant(cx.now), cx.space, send, &text)
            .is_ok()
        {
            cx.books.note(who(cx), "checks port {p} in", note);
            cx.books.port(held.port).registered = Some(cx.machine);
        }
        cx.books.port(held.port).made += 1;
        let _ = cx.node.ipc().deallocate(cx.space, send, RightKind::Send);
    }

    fn look_up(&mut self, cx: &mut Context<'_>) {
        if !self.may(Abilities::NAMES) || cx.books.ports.is_empty() {
            return;
        }
        // One of the last, for those before are gone, most of them.
        let count = cx.books.ports.len() as u64;
        let back = cx
            .random
            .below(count.min(PORTS as u64 * cx.books.names.len() as u64));
        let port = PortNo((count - 1 - back) as u32);
        let text = format!("port{}", port.0);
        // Half of those who ask wait for the name to appear.
        let waits = cx.random.below(2) == 0;
        let until = waits.then(|| instant(cx.now + Duration::from_millis(2500)));
        match cx.node.look_up(instant(cx.now), cx.thread, &text, until) {
            Ok(LookUp::Found(right)) => self.found(cx, port, right),
            Ok(LookUp::Asked) => match cx.node.ipc().await_reply(cx.thread) {
                Ok(Some(delivery)) => self.looked_up(cx, port, delivery),
                Ok(None) => self.doing = Doing::Asking(port, cx.now + Duration::from_secs(3)),
                Err(_) => {}
            },
            Err(_) => {}
        }
    }

    pub(super) fn stop_asking(&mut self, cx: &mut Context<'_>, port: PortNo) {
        self.doing = Doing::Nothing;
        if let norma_ipc::Cancelled::Completed(norma_ipc::Completion::Received(delivery)) =
            cx.node.ipc().cancel(cx.thread)
        {
            return self.looked_up(cx, port, delivery);
        }
        cx.node.ipc().renew_reply_port(cx.thread);
    }

    fn listen_somewhere(&mut self, cx: &mut Context<'_>) {
        if let Some((name, held)) = self.pick(cx, |held| held.receive) {
            self.listen(cx, held.port, Name::from_raw(name));
        }
    }

    // At rest.

    /// Every port is to be told when it has no senders.
    pub(super) fn prepare_rest(&mut self, cx: &mut Context<'_>) {
        if !self.first {
            return;
        }
        let names = cx.books.names[cx.machine].iter();
        let open = names.filter(|(_, held)| held.receive);
        let open: Vec<(u32, PortNo)> = open
            .map(|(name, held)| (*name, held.port))
            .filter(|(_, port)| cx.books.ports[port.0 as usize].no_senders.is_none())
            .filter(|(_, port)| !cx.books.ports[port.0 as usize].watched)
            .collect();
        for (name, port) in open {
            cx.books.port(port).watched = true;
            self.ask_no_senders_of(cx, name, port);
        }
    }

    /// Sends a message through every right.
    pub(super) fn call_roll(&mut self, cx: &mut Context<'_>) {
        if !self.first {
            return;
        }
        self.look_at_names(cx);
        let names = cx.books.names[cx.machine].iter();
        let open: Vec<(u32, Held)> = names
            .filter(|(_, held)| held.sends > 0 && !held.called && !held.dead)
            .map(|(name, held)| (*name, held.clone()))
            .collect();
        for (name, held) in open {
            self.post(cx, name, &held, false, false);
        }
    }

    pub(super) fn give_up_sends(&mut self, cx: &mut Context<'_>) {
        if !self.first {
            return;
        }
        let names = cx.books.names[cx.machine].iter();
        let all: Vec<(u32, Held)> = names.map(|(name, held)| (*name, held.clone())).collect();
        for (name, held) in all {
            if held.once.is_some() {
                self.drop_once(cx, name, &held);
            } else {
                self.give_up_send(cx, name, &held, held.sends);
            }
        }
        for port in cx.books.registered(cx.machine) {
            cx.books.port(port).registered = None;
            cx.node.check_out(&format!("port{}", port.0));
        }
    }

    pub(super) fn give_up_receives(&mut self, cx: &mut Context<'_>) {
        if !self.first {
            return;
        }
        let names = cx.books.names[cx.machine].iter();
        let all = names.filter(|(_, held)| held.receive);
        let all: Vec<(u32, PortNo)> = all.map(|(name, held)| (*name, held.port)).collect();
        for (name, port) in all {
            if let Some(before) = cx.books.port(port).destroyed.take() {
                let raw = Name::from_raw(name);
                let asked = cx.node.ipc().request_port_destroyed(cx.space, raw, None);
                self.asked(cx, asked, Some(before), port);
            }
            self.destroy_port(cx, name, port);
        }
    }
}
