//! Port sets: what a rover does with them.
//!
//! A notification that comes from a set does not say to which of its ports: a rover sees it by
//! the member that has one thing less in its queue, and waits only at sets of one member.

use norma_ipc::{Delivery, HeapPage, Name, ReceiveError, RightError};

use super::Abilities;
use super::entries::{Note, OnceTarget, PortNo};
use super::rover::{Doing, LISTENS, Rover, who};
use crate::actor::Context;

/// Port sets of a machine.
const SETS: usize = 2;

impl Rover {
    fn pick_set(&mut self, cx: &mut Context<'_>) -> Option<u32> {
        let sets = &cx.books.sets[cx.machine];
        let at = cx.random.below(sets.len().max(1) as u64) as usize;
        let found = cx.books.sets[cx.machine].iter().nth(at);
        found.filter(|(_, busy)| !**busy).map(|(set, _)| *set)
    }

    /// Makes a set, gives one up, or moves a port into one or out of it.
    pub(super) fn tend_sets(&mut self, cx: &mut Context<'_>) {
        if !self.may(Abilities::SETS) {
            return;
        }
        if cx.books.sets[cx.machine].len() < SETS {
            if let Ok(set) = cx.node.ipc().allocate_set(cx.space) {
                cx.books.sets[cx.machine].insert(set.raw(), false);
            }
            return;
        }
        let Some(set) = self.pick_set(cx) else { return };
        if cx.random.below(8) == 0 {
            cx.books.sets[cx.machine].remove(&set);
            if let Err(error) = cx.node.ipc().destroy(cx.space, Name::from_raw(set)) {
                let what = format!("{} cannot give its set {set:#x} up: {error}", who(cx));
                cx.books.accuse(what, &[], &[]);
            }
            return;
        }
        let Some((name, held)) = self.pick(cx, |held| held.receive) else {
            return;
        };
        let into = (cx.random.below(4) > 0).then_some(Name::from_raw(set));
        let raw = Name::from_raw(name);
        let note = Note::port(held.port).name(set);
        match cx.node.ipc().move_member(cx.space, raw, into) {
            Ok(()) if into.is_some() => cx.books.note(who(cx), "puts port {p} into set {n}", note),
            Ok(()) => cx
                .books
                .note(who(cx), "takes port {p} out of its set", note),
            Err(RightError::NotInSet) if into.is_none() => {}
            Err(error) => {
                let what = format!("port {} cannot go into a set: {error}", held.port.0);
                cx.books.accuse(what, &[held.port], &[]);
            }
        }
    }

    /// The members of a set: their names, and how much lies in their queues.
    fn members(&self, cx: &Context<'_>, set: Name) -> Vec<(Name, PortNo, u32)> {
        let ipc = cx.node.ipc_ref();
        let Ok(members) = ipc.members(cx.space, set) else {
            return Vec::new();
        };
        let known = members.filter_map(|name| {
            let held = cx.books.names[cx.machine].get(&name.raw())?;
            let status = ipc.receive_status(cx.space, name).ok()?;
            Some((name, held.port, status.queued))
        });
        known.collect()
    }

    /// Takes one thing from a set, or waits at it for a while if it has one member.
    pub(super) fn listen_at_a_set(&mut self, cx: &mut Context<'_>) {
        if !self.may(Abilities::SETS) {
            return;
        }
        let Some(set) = self.pick_set(cx).map(Name::from_raw) else {
            return;
        };
        let before = self.members(cx, set);
        let stopped =
            |(_, port, _): &(_, PortNo, _)| cx.books.ports[port.0 as usize].stopped_until > cx.now;
        if before.iter().any(stopped) {
            return;
        }
        let full = before.iter().any(|(.., queued)| *queued > 0);
        let waits = before.len() == 1 && !full;
        let got = match waits {
            true => {
                let got = cx.node.ipc().receive_or_wait(cx.thread, cx.space, set);
                got.map_err(ReceiveError::Right)
            }
            false => cx.node.ipc().receive(cx.space, set).map(Some),
        };
        match got {
            Ok(Some(delivery)) => {
                let after = self.members(cx, set);
                let less = |(name, _, queued): &&(Name, PortNo, u32)| {
                    let now = after.iter().find(|(member, ..)| member == name);
                    now.is_none_or(|(.., now)| now < queued)
                };
                match before.iter().find(less) {
                    Some((name, port, _)) => self.take_from_set(cx, *name, *port, delivery),
                    None => {
                        let what = format!("{} got {delivery:?} out of no port", who(cx));
                        cx.books.accuse(what, &[], &[]);
                    }
                }
            }
            Ok(None) => {
                let (name, port, _) = before[0];
                cx.books.sets[cx.machine].insert(set.raw(), true);
                self.doing = Doing::ListeningAtSet(set, (name, port), cx.now + LISTENS);
            }
            Err(ReceiveError::Empty) if !full => {}
            Err(error) => {
                let ports: Vec<PortNo> = before.iter().map(|(_, port, _)| *port).collect();
                let what = format!("{} cannot receive from {set:?}: {error}", who(cx));
                cx.books.accuse(what, &ports, &[]);
            }
        }
    }

    /// The wait at a set is over.
    pub(super) fn left_set(&mut self, cx: &mut Context<'_>, set: Name) {
        self.doing = Doing::Nothing;
        if let Some(busy) = cx.books.sets[cx.machine].get_mut(&set.raw()) {
            *busy = false;
        }
    }

    /// Something came to a member of a set: a message says to which.
    pub(super) fn take_from_set(
        &mut self,
        cx: &mut Context<'_>,
        name: Name,
        port: PortNo,
        delivery: Delivery<HeapPage>,
    ) {
        if let Delivery::Message(message) = &delivery
            && message.port() != Some(name)
        {
            let said = message.port();
            let what = format!(
                "a message for port {}, {name:?}, came as one for {said:?}",
                port.0
            );
            cx.books.accuse(what, &[port], &[]);
        }
        match delivery {
            Delivery::Message(message) => self.take_message(cx, message, OnceTarget::Port(port)),
            other => self.take(cx, port, name, other),
        }
    }
}
