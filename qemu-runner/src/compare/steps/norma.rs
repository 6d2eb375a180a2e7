//! Marks out of the ring of events that a traced node of norma keeps.

use crate::trace::Ring;
use norma_peer::marks::{Mark, What, Who};
use norma_trace::{Event, Kind};

/// The marks of a ring.
pub fn marks(ring: &Ring) -> Vec<Mark> {
    let mut reader = Reader {
        ring,
        running: None,
        halted: false,
        marks: Vec::new(),
    };
    for (place, event) in ring.events.iter().enumerate() {
        reader.take(event, ring.events.get(place + 1));
    }
    reader.marks
}

struct Reader<'a> {
    ring: &'a Ring,
    /// Who has the processor, or had it last.
    running: Option<u16>,
    halted: bool,
    marks: Vec<Mark>,
}

impl Reader<'_> {
    fn take(&mut self, event: &Event, next: Option<&Event>) {
        let Some(kind) = event.kind() else { return };
        let at = event.ticks;
        let other = event.a as u16;
        // While it is halted an interrupt stands under the thread that went last.
        if !self.halted && self.running != Some(event.thread) {
            self.run(at, event.thread);
        }
        match kind {
            Kind::Switch => self.run(at, other),
            Kind::Resume => self.run(at, event.thread),
            Kind::Idle => {
                self.halted = true;
                self.mark(at, What::Run(Who::Nobody));
            }
            Kind::SystemCall => self.mark(at, What::Enter),
            Kind::SystemCallEnd => self.mark(at, What::Leave),
            Kind::Send => self.mark(at, What::Send),
            Kind::Call | Kind::Answer => {
                self.mark(at, What::Send);
                // Handed over with the processor, unless somebody else runs then.
                if next.is_some_and(|next| next.thread == other) {
                    self.run(at, other);
                }
            }
            Kind::Interrupt => self.mark(at, What::Interrupt),
            Kind::FrameIn => self.mark(at, What::FrameIn),
            Kind::FrameOut => self.mark(at, What::FrameOut),
            Kind::Wake
            | Kind::InterruptEnd
            | Kind::Receive
            | Kind::Carry
            | Kind::Arrive
            | Kind::Retransmit
            | Kind::Right => {}
        }
    }

    fn run(&mut self, at: u64, thread: u16) {
        self.running = Some(thread);
        self.halted = false;
        let who = match self.ring.thread_name(thread).as_str() {
            "netmsgserver" => Who::Relay,
            _ => Who::Program,
        };
        self.mark(at, What::Run(who));
    }

    fn mark(&mut self, ticks: u64, what: What) {
        self.marks.push(Mark { ticks, what });
    }
}
