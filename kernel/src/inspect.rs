//! What this node says about its threads, ports, rights and sessions to whoever asks at its host
//! port.
//!
//! Owns: what the core does not know: threads and their stacks, memory, cards, counters of the
//! platform. Leaves to others: the tables (`norma_inspect`), the port ([`crate::host`]).
//!
//! An image that does not ask for it ([`serve`]) has nothing of it linked in, and says that it
//! does not know such questions. A piece of a table is taken under the node's lock, with
//! interrupts off: some ten microseconds, on the thread that answers for the node and for each
//! question anew.

use crate::face::{Failure, Message, Node};
use crate::memory::{self, FRAME};
use crate::sync::IrqLock;
use crate::{counters, node, thread};
use norma_inspect::rows::{Counters, Kind, Text, ThreadState, Threads, text};
use norma_inspect::{Platform, Question};
use norma_ipc::SpaceId;

/// Answers a question in its message.
type Answer = fn(&mut Message) -> Result<(), Failure>;

static ANSWER: IrqLock<Option<Answer>> = IrqLock::new(None);

/// From now on the node answers questions about itself.
pub fn serve() {
    *ANSWER.lock() = Some(answer);
}

/// What is done with a question at the host port.
pub(crate) fn asked(message: &mut Message) -> Result<(), Failure> {
    let answer = *ANSWER.lock();
    answer.ok_or(Failure::NotSupported)?(message)
}

fn answer(message: &mut Message) -> Result<(), Failure> {
    let question = Question::read(&mut message.read()?.0)?.ok_or(Failure::NotSupported)?;
    // What else was in the message goes now: the lock is not to be asked for twice.
    let mut writer = message.write();
    let engine = node::lock();
    let platform = Kernel {
        image: engine.space,
        cards: engine.card_counters(),
    };
    norma_inspect::answer(
        &engine.core,
        &platform,
        node::now(),
        question,
        &mut writer.0,
    )?;
    Ok(())
}

/// The platform, while the node is locked.
struct Kernel {
    image: SpaceId,
    cards: norma_drivers::virtio::NetCounters,
}

impl Platform for Kernel {
    const NAME: &'static str = "kernel";

    fn threads(&self) -> u32 {
        Node::started().threads()
    }

    fn thread_places(&self) -> u32 {
        thread::places()
    }

    fn thread(&self, number: u32) -> Option<Threads> {
        let view = thread::view(number as thread::Number)?;
        let state = match view.state {
            thread::State::Running => ThreadState::Running,
            thread::State::Ready => ThreadState::Ready,
            thread::State::Blocked => ThreadState::Blocked,
            thread::State::Free => return None,
        };
        let used = match state {
            ThreadState::Running => 0,
            _ => view.stack.end.saturating_sub(view.stack_pointer),
        };
        Some(Threads {
            name: text(&view.name),
            state: state.into(),
            priority: u64::from(view.priority),
            own_priority: u64::from(view.own_priority),
            deadline: view.deadline.unwrap_or(0),
            stack: view.stack.end - view.stack.start,
            stack_used: used,
            ..Threads::default()
        })
    }

    fn task(&self, space: SpaceId) -> Text {
        if space == self.image {
            return text("image");
        }
        Text::new()
    }

    fn counters(&self, put: &mut dyn FnMut(Counters)) {
        let platform = counters::snapshot();
        let cards = &self.cards;
        for (name, value) in [
            ("interrupts", platform.interrupts),
            ("interrupts_unexpected", platform.unexpected_interrupts),
            ("timer_interrupts", platform.timer_interrupts),
            ("timer_programmings", platform.timer_programmings),
            ("thread_switches", platform.switches),
            ("processor_halts", platform.halts),
            ("heap_allocations", platform.heap_allocations),
            ("heap_frees", platform.heap_frees),
            ("memory_frames_allocated", platform.frames_allocated),
            ("memory_frames_freed", platform.frames_freed),
            ("memory_frames_copied", platform.frames_copied),
            ("card_frames_received", cards.frames_received),
            ("card_bytes_received", cards.bytes_received),
            ("card_frames_sent", cards.frames_sent),
            ("card_bytes_sent", cards.bytes_sent),
            ("card_notifications", cards.notifications),
            ("card_ring_full", cards.ring_full),
        ] {
            put(Counters::new(name, Kind::Counter, value));
        }
        for (label, value) in [
            ("bad_token", cards.bad_tokens),
            ("bad_length", cards.bad_lengths),
            ("refused", cards.refused),
        ] {
            let name = "card_frames_dropped";
            put(Counters::with_label(name, label, Kind::Counter, value));
        }
        let frame = FRAME as u64;
        let in_use = platform.frames_allocated - platform.frames_freed;
        for (name, value) in [
            ("memory_free_bytes", memory::free_frames() as u64 * frame),
            ("memory_used_bytes", in_use * frame),
            ("memory_heap_region_bytes", memory::heap_region() as u64),
            (
                "memory_heap_blocks",
                platform.heap_allocations - platform.heap_frees,
            ),
        ] {
            put(Counters::new(name, Kind::Gauge, value));
        }
    }
}
