//! What a rover does next.

use core::time::Duration;

use norma_ipc::limits::{DEFAULT_QUEUE_LIMIT, MAX_QUEUE_LIMIT};
use norma_ipc::{Ipc, Name, Page, RightKind, RightTypes, SpaceId};

use super::Abilities;
use super::entries::{Held, Note, Place, PortNo};
use super::rover::{Rover, who};
use crate::actor::Context;

/// Ports that a machine makes; more can come to it.
const PORTS: usize = 6;

/// Names that a machine holds before it gives some up.
const NAMES: usize = 40;

/// What queues are limited to.
const LIMITS: [u16; 4] = [1, 2, DEFAULT_QUEUE_LIMIT, MAX_QUEUE_LIMIT];

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
        if self.wild.abilities == Abilities::WIDER {
            return self.act_wider(cx, many, alone);
        }
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

    /// The same in the wider wild.
    fn act_wider(&mut self, cx: &mut Context<'_>, many: bool, alone: bool) {
        match cx.random.below(if many { 46 } else { 150 }) {
            0..8 => self.give_up_some(cx),
            8..9 => self.give_up_port(cx),
            9..11 => self.stop_port(cx),
            11..15 => self.look_at_names(cx),
            15..25 => self.spend_once(cx),
            25..30 => self.ask_no_senders(cx),
            30..35 => self.ask_death(cx),
            35..38 => self.ask_destroyed(cx),
            38..40 => self.withdraw(cx),
            40..43 => self.ask_room(cx),
            43..46 => self.set_limit(cx),
            46..50 => self.check_in_or_out(cx),
            50..53 => self.make_port(cx),
            53..59 => self.look_up(cx),
            59..62 => self.listen_somewhere(cx),
            62..66 => self.tend_sets(cx),
            66..69 => self.listen_at_a_set(cx),
            69..71 => self.share_name(cx),
            71..73 => self.fill_slot(cx),
            73..76 => self.look_up_shared(cx),
            76..77 => self.run_short(cx),
            _ if alone => self.look_up(cx),
            77..105 => self.send_somewhere(cx, true),
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

    pub(super) fn drop_once(&mut self, cx: &mut Context<'_>, name: u32, held: &Held) {
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

    pub(super) fn deallocate(
        &mut self,
        cx: &mut Context<'_>,
        name: u32,
        kind: RightKind,
        port: PortNo,
    ) {
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

    pub(super) fn give_up_send(
        &mut self,
        cx: &mut Context<'_>,
        name: u32,
        held: &Held,
        count: u32,
    ) {
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
        if self.first && self.may(Abilities::SHARED) {
            cx.node.make_known();
        }
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

    pub(super) fn destroy_port(&mut self, cx: &mut Context<'_>, name: u32, port: PortNo) {
        cx.books.note(
            who(cx),
            "gives up the receive right of port {p}",
            Note::port(port).name(name),
        );
        let place = match cx.books.ports[port.0 as usize].destroyed {
            Some((to, _)) => {
                if to != cx.machine {
                    cx.books.moved(port);
                }
                Place::Returning
            }
            None => Place::Gone(cx.now),
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

    fn set_limit(&mut self, cx: &mut Context<'_>) {
        let limit = LIMITS[cx.random.below(LIMITS.len() as u64) as usize];
        if self.may(Abilities::LIMITS)
            && let Some((name, held)) = self.pick(cx, |held| held.receive)
        {
            self.limit_to(cx, name, held.port, limit);
        }
    }

    pub(super) fn limit_to(&mut self, cx: &mut Context<'_>, name: u32, port: PortNo, limit: u16) {
        let raw = Name::from_raw(name);
        match cx.node.ipc().set_queue_limit(cx.space, raw, limit) {
            Ok(()) => {
                cx.books.port(port).limit = limit;
                let note = Note::port(port);
                let text = "limits the queue of port {p} to {x}";
                let extra = u64::from(limit);
                cx.books.note(who(cx), text, Note { extra, ..note });
            }
            Err(error) => {
                let what = format!("the queue of port {} cannot be limited: {error}", port.0);
                cx.books.accuse(what, &[port], &[]);
            }
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

    fn listen_somewhere(&mut self, cx: &mut Context<'_>) {
        if let Some((name, held)) = self.pick(cx, |held| held.receive) {
            self.listen(cx, held.port, Name::from_raw(name));
        }
    }
}
