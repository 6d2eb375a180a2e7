//! The network of a world: how frames get from machine to machine, or do not.

use std::rc::Rc;

use norma_faults::Passage;

use super::World;

/// A frame on its way.
pub(super) struct Flying {
    network: usize,
    from: usize,
    to: usize,
    /// Shared by all receivers of a broadcast.
    pub(super) bytes: Rc<[u8]>,
}

/// Bytes before an Ethernet payload.
const ETHERNET: usize = 14;

impl World {
    pub(super) fn put_on_network(&mut self, network: usize, from: usize, bytes: Rc<[u8]>) {
        self.report.frames += 1;
        for to in self.config.receivers(network, from, &bytes) {
            self.send_to(network, from, to, &bytes);
        }
    }

    pub(super) fn send_to(&mut self, network: usize, from: usize, to: usize, bytes: &Rc<[u8]>) {
        self.report.passages += 1;
        if let Some(watcher) = &mut self.watcher {
            watcher(from, to, bytes);
        }
        if bytes.len() > usize::from(self.config.mtu_of(network, to)) + ETHERNET {
            self.report.overlong += 1;
            return self.trace.frame(self.now, from, to, "TOO LONG", bytes);
        }
        let verdict = self
            .faults
            .on_frame(self.now, from as u16, to as u16, bytes.len());
        if verdict.is_drop() {
            self.report.dropped += 1;
            self.trace.frame(self.now, from, to, "LOST", bytes);
        }
        for passage in verdict.passages() {
            let Passage { delay, corruption } = *passage;
            let bytes = match corruption {
                None => Rc::clone(bytes),
                Some(_) => passage.frame(bytes).into(),
            };
            let Some(left) = self.wires.pass(self.now, self.config.link, to, bytes.len()) else {
                self.report.overflows += 1;
                self.trace.frame(self.now, from, to, "NO ROOM", &bytes);
                continue;
            };
            let at = left + self.config.latency + delay;
            let flying = Flying {
                network,
                from,
                to,
                bytes,
            };
            if self.network.push(at, flying).is_err() {
                self.report.dropped += 1;
            }
        }
    }

    pub(super) fn arrive(&mut self, flying: Flying) -> usize {
        let (from, to) = (flying.from, flying.to);
        let machine = &mut self.machines[to];
        if machine.dead {
            self.trace.frame(self.now, from, to, "dead", &flying.bytes);
        } else if machine.frozen_until > self.now {
            let later = machine.frozen_until;
            let _ = self.network.push(later, flying);
        } else {
            self.trace.frame(self.now, from, to, "comes", &flying.bytes);
            machine.receive(self.now, flying.network, &flying.bytes);
        }
        to
    }
}
