//! Names that several nodes check in, and the slots in which every node has ports for others.
//!
//! Which port such a name leads to is for the nodes to agree on: what is found is given up again
//! at once. What is checked is that nothing is lost by it: the rights that are kept for a name
//! are counted as any others, whoever keeps the name.

use norma_ipc::{Name, RightKind};
use norma_net::FIRST_SERVICE_PORT;

use super::Abilities;
use super::entries::{Note, PortNo};
use super::rover::{Rover, who};
use crate::actor::Context;
use crate::config::node_name;
use crate::machine::instant;

/// Such names, and slots of each node.
const FEW: u64 = 2;

fn name(number: u32) -> String {
    format!("shared{number}")
}

impl Rover {
    pub(super) fn share_name(&mut self, cx: &mut Context<'_>) {
        let number = cx.random.below(FEW) as u32;
        let Some((own, held)) = self.pick(cx, |held| held.receive) else {
            return;
        };
        if !self.may(Abilities::SHARED) {
            return;
        }
        let key = (cx.machine, number);
        let mut ports = cx.books.ports.iter_mut();
        if let Some(book) = ports.find(|book| book.shared.contains(&key)) {
            // It may have lost it by now.
            book.shared.remove(&key);
            cx.node.check_out(&name(number));
            return;
        }
        let Some(send) = self.make_send(cx, own, held.port) else {
            return;
        };
        let text = name(number);
        let checked = cx
            .node
            .check_in(instant(cx.now), cx.space, send, &text)
            .is_ok();
        if checked {
            let note = Note::port(held.port);
            let extra = u64::from(number);
            let text = "checks port {p} in under shared name {x}";
            cx.books.note(who(cx), text, Note { extra, ..note });
            cx.books.port(held.port).shared.insert(key);
        }
        let _ = cx.node.ipc().deallocate(cx.space, send, RightKind::Send);
    }

    pub(super) fn fill_slot(&mut self, cx: &mut Context<'_>) {
        let slot = FIRST_SERVICE_PORT + cx.random.below(FEW) as u32;
        let Some((own, held)) = self.pick(cx, |held| held.receive) else {
            return;
        };
        if !self.may(Abilities::SHARED) {
            return;
        }
        self.look(cx);
        let raw = Name::from_raw(own);
        let made = cx.node.ipc().make_right(cx.space, raw, RightKind::Send);
        let Ok(right) = made else { return };
        cx.books.port(held.port).made += 1;
        self.put_in_slot(cx, slot, Some((held.port, right)));
    }

    /// Puts a right into a slot of this machine, or empties it.
    fn put_in_slot(
        &mut self,
        cx: &mut Context<'_>,
        slot: u32,
        new: Option<(PortNo, norma_ipc::Right)>,
    ) {
        let key = (cx.machine, slot);
        for book in &mut cx.books.ports {
            book.slots.remove(&key);
        }
        let (port, right) = new.unzip();
        if let Some(port) = port {
            let text = "puts port {p} into slot {x} of its node";
            let extra = u64::from(slot);
            let note = Note::port(port);
            cx.books.note(who(cx), text, Note { extra, ..note });
            cx.books.port(port).slots.insert(key);
        }
        match cx.node.set_special_port(slot, right) {
            Ok(old) => old.into_iter().for_each(|old| cx.node.ipc().release(old)),
            Err(_) => {
                let what = format!("{} cannot fill slot {slot} of its node", who(cx));
                cx.books.accuse(what, &[], &[]);
            }
        }
    }

    /// Asks for a shared name, or for what is in a slot of some node.
    pub(super) fn look_up_shared(&mut self, cx: &mut Context<'_>) {
        if !self.may(Abilities::SHARED) {
            return;
        }
        let number = cx.random.below(FEW) as u32;
        let now = instant(cx.now);
        let asked = if cx.random.below(2) == 0 {
            cx.node.look_up(now, cx.thread, &name(number), None)
        } else {
            let node = node_name(cx.random.below(cx.books.names.len() as u64) as usize);
            let slot = FIRST_SERVICE_PORT + number;
            cx.node.look_up_special_port(now, cx.thread, &node, slot)
        };
        self.await_name(cx, None, asked);
    }

    pub(super) fn give_up_shared(&mut self, cx: &mut Context<'_>) {
        for number in 0..FEW as u32 {
            let key = (cx.machine, number);
            for book in &mut cx.books.ports {
                book.shared.remove(&key);
            }
            cx.node.check_out(&name(number));
            self.put_in_slot(cx, FIRST_SERVICE_PORT + number, None);
        }
    }
}
