//! What a rover does at rest.

use norma_ipc::Name;
use norma_ipc::limits::DEFAULT_QUEUE_LIMIT;

use super::entries::{Held, PortNo};
use super::rover::Rover;
use crate::actor::Context;

impl Rover {
    /// Every port is to be told when it has no senders, and has room for what is under way.
    pub(super) fn prepare_rest(&mut self, cx: &mut Context<'_>) {
        if !self.first {
            return;
        }
        let names = cx.books.names[cx.machine].iter();
        let narrow = |port: PortNo| cx.books.ports[port.0 as usize].limit < DEFAULT_QUEUE_LIMIT;
        let narrow: Vec<(u32, PortNo)> = names
            .filter(|(_, held)| held.receive && narrow(held.port))
            .map(|(name, held)| (*name, held.port))
            .collect();
        for (name, port) in narrow {
            self.limit_to(cx, name, port, DEFAULT_QUEUE_LIMIT);
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
        self.give_up_shared(cx);
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
