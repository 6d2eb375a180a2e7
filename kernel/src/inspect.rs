//! What this node says about its threads, ports, rights and sessions to whoever asks at its host
//! port.
//!
//! Owns: what the core does not know: threads and their stacks, memory, cards, counters of the
//! platform. Leaves to others: the tables (`norma_inspect`), the port ([`crate::host`]).
//!
//! One that has come to a stop answers nobody. A non-maskable interrupt then has it say on the
//! console what each thread does ([`crate::panic`]).
//!
//! An image that does not ask for it ([`serve`]) has nothing of it linked in, and says that it
//! does not know such questions. A piece of a table is taken under the node's lock, with
//! interrupts off: some ten microseconds, on the thread that answers for the node and for each
//! question anew.

use crate::arch::{backtrace, context};
use crate::face::{Failure, Message, Node};
use crate::memory::{self, FRAME};
use crate::sync::IrqLock;
use crate::{counters, node, thread};
use core::fmt;
use norma_inspect::rows::{Counters, Kind, Text, ThreadState, Threads, text};
use norma_inspect::{Platform, Question};
use norma_ipc::{SpaceId, ThreadId, WaitView};

/// What is linked in for it.
#[derive(Clone, Copy)]
struct Tools {
    /// Answers a question in its message.
    answer: fn(&mut Message) -> Result<(), Failure>,
    /// Hands what each thread does to a report that is made before the end.
    threads: unsafe fn(&mut Lines<'_>),
}

/// Takes a line of a report.
pub(crate) type Lines<'a> = dyn FnMut(fmt::Arguments<'_>) + 'a;

static TOOLS: IrqLock<Option<Tools>> = IrqLock::new(None);

/// From now on the node answers questions about itself, and its last words are of every thread.
pub fn serve() {
    *TOOLS.lock() = Some(Tools { answer, threads });
}

/// What is done with a question at the host port.
pub(crate) fn asked(message: &mut Message) -> Result<(), Failure> {
    let tools = *TOOLS.lock();
    (tools.ok_or(Failure::NotSupported)?.answer)(message)
}

/// What each thread but the running one does, for a report; nothing where it is not linked in.
///
/// # Safety
/// Interrupts must be off, and nothing may go on after the report.
pub(crate) unsafe fn report_threads(line: &mut Lines<'_>) {
    // SAFETY: it was set before there was a second thread, and is not changed any more.
    let tools = unsafe { *TOOLS.peek() };
    if let Some(tools) = tools {
        // SAFETY: as the caller vouches.
        unsafe { (tools.threads)(line) };
    }
}

/// # Safety
/// As for [`report_threads`].
unsafe fn threads(line: &mut Lines<'_>) {
    // SAFETY: as the caller vouches.
    let core = unsafe { node::core_at_the_end() };
    if core.is_none() {
        line(format_args!(
            "norma: the node's state was being changed: what threads wait for is not known"
        ));
    }
    // SAFETY: as above.
    let places = unsafe { thread::places_at_the_end() };
    let current = thread::current().0;
    for number in 0..places {
        // SAFETY: as above.
        let view = unsafe { thread::view_at_the_end(number as thread::Number) };
        let Some(view) = view.filter(|view| view.state != thread::State::Free) else {
            continue;
        };
        let wait = core.map(|core| core.ipc_ref().wait_view(ThreadId(number)));
        line(format_args!(
            "norma: thread {number} {}: {}",
            view.name,
            fmt::from_fn(|f| doing(f, &view, wait))
        ));
        // The current one may wait too: then the processor halts in its context, and nothing of it
        // is saved. Where it is was said already.
        let saved = view.stack_pointer..view.stack_pointer.saturating_add(24);
        let is_saved = number != current
            && view.state != thread::State::Running
            && saved.start >= view.stack.start
            && saved.end <= view.stack.end;
        if !is_saved {
            continue;
        }
        // SAFETY: the words are within the thread's stack, which is mapped throughout.
        let (next, frame) = unsafe { context::resume_point(view.stack_pointer) };
        line(format_args!("norma: frame {next:#x}"));
        backtrace::walk(frame, view.stack, |address| {
            line(format_args!("norma: frame {address:#x}"));
        });
    }
}

/// What a thread does, in words.
fn doing(f: &mut fmt::Formatter<'_>, view: &thread::View, wait: Option<WaitView>) -> fmt::Result {
    match view.state {
        thread::State::Running => return f.write_str("runs"),
        thread::State::Ready => return f.write_str("could run"),
        thread::State::Blocked | thread::State::Free => f.write_str("waits for ")?,
    }
    match wait {
        Some(WaitView::Receive(port)) => write!(f, "a message at port {}", port.number() as u32),
        Some(WaitView::ReceiveSet(set)) => write!(f, "a message at a port of set {set}"),
        Some(WaitView::Answer(port)) => {
            write!(
                f,
                "the answer to its call, at port {}",
                port.number() as u32
            )
        }
        Some(WaitView::Send(port)) => write!(f, "room at port {}", port.number() as u32),
        Some(WaitView::Outside) => f.write_str("a name"),
        Some(WaitView::Over) => f.write_str("its turn: what it waited for is there"),
        Some(WaitView::Nothing) | None if view.deadline.is_some() => f.write_str("a time"),
        Some(WaitView::Nothing) | None => f.write_str("a wake"),
    }
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
            rights_taken: view.rights.0.into(),
            rights_given_up: view.rights.1.into(),
            ran: view.ran,
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
