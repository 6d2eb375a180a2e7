//! Entries: the points at which other nodes can have threads begin.
//!
//! An entry has a port. A message to it begins a thread that is given the message, with all that
//! is in it; the answer is a right to a port that lives as long as the thread (W-99). Who has no
//! right to the port of an entry cannot use it, and where nothing is registered nothing can be
//! begun.

use crate::face::{Failure, Message, Node, ReceiveRight, Start};
use crate::host::protocol::refusal;
use crate::limits::{ENTRY_NAME, PRIORITIES, REMOTE_THREADS, STACK};
use core::sync::atomic::{AtomicUsize, Ordering};

type Name = heapless::String<ENTRY_NAME>;

/// One of them.
pub(super) struct Entry {
    begin: Begin,
    port: ReceiveRight,
}

/// What it takes to begin a thread.
#[derive(Clone)]
pub(super) struct Begin {
    name: Name,
    priority: u8,
    function: fn(&mut Start),
}

/// Threads that were begun from afar and have not ended.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

impl Entry {
    pub(super) fn new(
        name: &str,
        priority: u8,
        function: fn(&mut Start),
        port: ReceiveRight,
    ) -> Result<Self, Failure> {
        let name = Name::try_from(name).map_err(|_| Failure::BadName)?;
        if name.is_empty() {
            return Err(Failure::BadName);
        }
        if usize::from(priority) >= PRIORITIES {
            return Err(Failure::OutOfRange);
        }
        let begin = Begin {
            name,
            priority,
            function,
        };
        Ok(Self { begin, port })
    }

    pub(super) fn name(&self) -> &str {
        &self.begin.name
    }

    pub(super) const fn port(&self) -> &ReceiveRight {
        &self.port
    }

    pub(super) fn begin(&self) -> Begin {
        self.begin.clone()
    }
}

impl Begin {
    /// Begins a thread with a message, and answers it.
    pub(super) fn start(self, mut message: Message) {
        let Ok(reply) = message.take_reply() else {
            return; // Whoever does not want to know the thread does not get one.
        };
        if let Ok(answer) = self.try_start(message).or_else(refused) {
            // Whoever asked may be gone; the thread runs all the same.
            let _ = reply.send(answer);
        }
    }

    /// All that can fail comes before the thread.
    fn try_start(self, message: Message) -> Result<Message, Failure> {
        let orders = ReceiveRight::new()?;
        let mut answer = Message::new()?;
        answer.push_send_to(&orders)?;
        let place = Place::take().ok_or(Failure::NoMemory)?;
        let mut start = Start::new(message, orders);
        let function = self.function;
        Node::started()
            .spawn_with_stack(&self.name, self.priority, STACK, move || {
                function(&mut start);
                // Its port dies last: who notices that finds all else given up.
                start.end();
                drop(place);
            })
            .map_err(|_| Failure::NoMemory)?;
        Ok(answer)
    }
}

fn refused(failure: Failure) -> Result<Message, Failure> {
    let mut answer = Message::new()?;
    answer.set_id(refusal(failure));
    Ok(answer)
}

/// One of the places for threads that were begun from afar.
struct Place(());

impl Place {
    fn take() -> Option<Self> {
        let running = RUNNING.fetch_add(1, Ordering::Relaxed);
        let place = Place(());
        (running < REMOTE_THREADS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}
