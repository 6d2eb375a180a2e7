//! News about rights: what the peer says in CONTROL frames, and what the core says that peers
//! must hear.

use norma_flip::Instant;
use norma_ipc::{Event, PageSource, PortId, Reason};
use norma_wire::control::{self, Control};

use crate::counters::Drop;
use crate::node::Node;
use crate::outbound::{Verdict, Via};
use crate::rights::{Barred, Destination, token};

impl<S: PageSource> Node<S> {
    // What the peer says.

    pub(crate) fn handle_control(&mut self, now: Instant, place: u32, control: Control) {
        let known = match control {
            Control::Release { export, count } => {
                self.end_arrival_by(now, place, export, count);
                self.went_home(place, export, count)
                    || self.unexport(place, export, count, Reason::Unanswered)
            }
            Control::NoReply { export } => self.unexport(place, export, 1, Reason::Unanswered),
            Control::Spent { export } => self.spent_elsewhere(place, export),
            Control::Dead { export } => self.import_died(now, place, export),
            Control::Room { export } => self.import_has_room(now, place, export),
            Control::Refused { sequence, reason } => self.message_refused(place, sequence, reason),
            Control::Moved { export } => self.import_moved(now, place, export),
        };
        if !known {
            self.counters.drop(Drop::Stale);
        }
    }

    fn message_refused(&mut self, place: u32, sequence: u32, reason: control::Reason) -> bool {
        let Some(session) = self.sessions.get_mut(place) else {
            return false;
        };
        let Some(slot) = session.out.slot_of(sequence) else {
            return false;
        };
        let Some(outbound) = session.out.messages.get_mut(slot) else {
            return false;
        };
        outbound.verdict = match reason {
            control::Reason::Full => Verdict::Full,
            control::Reason::Dead => Verdict::Dead,
            control::Reason::NoMemory => Verdict::NoMemory,
            control::Reason::Moved => Verdict::Moved,
        };
        true
    }

    fn import_has_room(&mut self, now: Instant, place: u32, index: u32) -> bool {
        let Some(session) = self.sessions.get_mut(place) else {
            return false;
        };
        let Some(import) = session.imports.find(index) else {
            return false;
        };
        let Some(entry) = session.imports.get_mut(import) else {
            return false;
        };
        entry.room = true;
        let moved = core::mem::take(&mut entry.moved);
        let via = Via {
            import,
            serial: entry.serial,
            port: entry.port,
        };
        if moved {
            self.came_back(now, place, via);
        }
        self.resume(now, place, Some(via));
        true
    }

    pub(crate) fn import_died(&mut self, now: Instant, place: u32, index: u32) -> bool {
        let Some(session) = self.sessions.get_mut(place) else {
            return false;
        };
        let Some(found) = session.imports.find(index) else {
            return false;
        };
        let Some(import) = session.imports.get(found) else {
            return false;
        };
        let port = import.port;
        if self.ipc.is_arriving(port) {
            // What the peer had of it is gone, as it should be.
            return true;
        }
        let token = token(place, session.generation, Destination::Import(found));
        let known = self.directory.get_mut(self.ipc.label(port).identity);
        match known {
            // It is not what the stand-in hangs on.
            Some(known) if known.next == Some(token) => {
                known.next = None;
                self.let_go(token);
            }
            _ => self.kill_stand_in(now, port, Reason::Destroyed),
        }
        true
    }

    // What the core says.

    #[cold]
    pub(crate) fn handle_ipc_event(&mut self, event: Event) {
        match event {
            Event::Wake(_) => {}
            Event::Unanswered(token) => self.unanswered(token),
            Event::Unused(token) => self.import_unused(token),
            Event::Carry(port) => self.carry_queued(None, port),
            Event::PortDied(port, identity) => {
                self.directory.remove(identity, port);
                self.tell_exporters(port, |export, _| Some(Control::Dead { export }));
                self.named_port_died(port);
                self.special_port_died(port);
            }
            Event::Room(port) => self.tell_exporters(port, |export, refusing| {
                refusing.then_some(Control::Room { export })
            }),
        }
    }

    /// Tells every peer that holds rights to `port`.
    fn tell_exporters(&mut self, port: PortId, what: impl Fn(u32, bool) -> Option<Control>) {
        for place in 0..self.sessions.places() {
            let Some(session) = self.sessions.get_mut(place) else {
                continue;
            };
            let Some(index) = session.exports.of_port(port) else {
                continue;
            };
            let refusing = session
                .exports
                .get(index)
                .is_some_and(|export| export.barred == Barred::Full);
            if let Some(control) = what(index, refusing) {
                session.out.control(control);
                self.list(place);
            }
        }
    }
}
