//! What a rover does with names.

use core::time::Duration;

use norma_ipc::{Name, RightError, RightKind};
use norma_net::LookUp;

use super::Abilities;
use super::entries::{Note, PortNo};
use super::rover::{Doing, Rover, who};
use crate::actor::Context;
use crate::machine::instant;

/// Names of ports that are asked for: of the last so many for each machine.
const LATE: u64 = 6;

impl Rover {
    pub(super) fn check_in_or_out(&mut self, cx: &mut Context<'_>) {
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
        let Some(send) = self.make_send(cx, name, held.port) else {
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
        let _ = cx.node.ipc().deallocate(cx.space, send, RightKind::Send);
    }

    /// A send right to a port of this machine, for a moment: no more than that is entered.
    pub(super) fn make_send(
        &mut self,
        cx: &mut Context<'_>,
        own: u32,
        port: PortNo,
    ) -> Option<Name> {
        self.look(cx);
        let (ipc, own) = (cx.node.ipc(), Name::from_raw(own));
        let right = ipc.make_right(cx.space, own, RightKind::Send).ok()?;
        cx.books.port(port).made += 1;
        ipc.insert(cx.space, right).ok()
    }

    pub(super) fn look_up(&mut self, cx: &mut Context<'_>) {
        if !self.may(Abilities::NAMES) || cx.books.ports.is_empty() {
            return;
        }
        // One of the last, for those before are gone, most of them.
        let count = cx.books.ports.len() as u64;
        let back = cx
            .random
            .below(count.min(LATE * cx.books.names.len() as u64));
        let port = PortNo((count - 1 - back) as u32);
        let text = format!("port{}", port.0);
        // Half of those who ask wait for the name to appear.
        let waits = cx.random.below(2) == 0;
        let until = waits.then(|| instant(cx.now + Duration::from_millis(2500)));
        let asked = cx.node.look_up(instant(cx.now), cx.thread, &text, until);
        self.await_name(cx, Some(port), asked);
    }

    /// Waits for the answer to a look-up; of what is not the name of one port alone the answer is
    /// only given up again.
    pub(super) fn await_name(
        &mut self,
        cx: &mut Context<'_>,
        port: Option<PortNo>,
        asked: Result<LookUp, RightError>,
    ) {
        match asked {
            Ok(LookUp::Found(right)) => self.found(cx, port, right),
            Ok(LookUp::Asked) => match cx.node.ipc().await_reply(cx.thread) {
                Ok(Some(delivery)) => self.looked_up(cx, port, delivery),
                Ok(None) => self.doing = Doing::Asking(port, cx.now + self.patience(cx)),
                Err(_) => {}
            },
            Err(_) => {}
        }
    }

    pub(super) fn stop_asking(&mut self, cx: &mut Context<'_>, port: Option<PortNo>) {
        self.doing = Doing::Nothing;
        if let norma_ipc::Cancelled::Completed(norma_ipc::Completion::Received(delivery)) =
            cx.node.ipc().cancel(cx.thread)
        {
            return self.looked_up(cx, port, delivery);
        }
        cx.node.ipc().renew_reply_port(cx.thread);
    }
}
