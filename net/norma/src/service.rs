//! The node itself as a receiver: what a peer asks of it, by messages to export index 1.
//!
//! Owns: which operation a message means by its `id`, and the answer to one that means none.
//! Leaves to others: what the operations do. A message to the node is sequenced, delivered once
//! and settled as any other; it needs no export, no queue and no thread.

use norma_flip::Instant;
use norma_ipc::{Memory, Message, PageSource, Reason, Right};

use crate::counters::Drop;
use crate::node::Node;
use crate::post::Posted;

/// What a message to the node asks for (W-90).
pub(crate) mod operation {
    /// The send right under a name.
    pub(crate) const LOOK_UP: u32 = 1;
    /// A right of one's own to what was exported to somebody (W-107).
    pub(crate) const ACQUIRE: u32 = 2;
    /// That right, or that there is none; it needs no answer (W-108).
    pub(crate) const ACQUIRED: u32 = 3;
    /// A receive right has arrived, and this is where the rest is to go (W-122).
    pub(crate) const TAKEN: u32 = 4;
    /// A port cannot leave before one arrives that is to come from the peer (W-134).
    pub(crate) const WAITS: u32 = 5;
    /// The send right in a slot.
    pub(crate) const SPECIAL_PORT: u32 = 16;
}

pub(crate) use norma_wire::special::answer;

/// Identifier of an answer that says that the name is not known.
pub const NAME_UNKNOWN: u32 = answer::UNKNOWN;

/// Identifier of a message that says that another node has the name; that node's is in it.
pub const NAME_TAKEN: u32 = answer::TAKEN;

impl<S: PageSource> Node<S> {
    /// Does what a message from the peer of the session at `place` asks for. The rights in it
    /// have been taken over; whatever is not kept is released with it.
    #[cold]
    pub(crate) fn serve(&mut self, now: Instant, place: u32, message: Message<S::Page>) {
        match message.id() {
            operation::ACQUIRE => self.answer_acquire(now, place, message),
            // With a right in it, it does not come this way (`adopt`).
            operation::ACQUIRED => self.take_acquired(now, place, message, &[]),
            operation::TAKEN => self.receive_right_taken(now, place, message),
            operation::WAITS => self.waited_for(now, place, message),
            operation::LOOK_UP => self.answer_look_up(now, message),
            operation::SPECIAL_PORT => self.answer_special_port(now, message),
            _ => self.serve_nothing(now, message),
        }
    }

    /// A node of a later version may know more than this one: it is told, if it wants to hear.
    pub(crate) fn serve_nothing(&mut self, now: Instant, mut message: Message<S::Page>) {
        if message.reply().is_none() {
            self.counters.drop(Drop::Unasked);
            return self.ipc.discard(message);
        }
        for right in message.take_rights() {
            self.ipc.release(right);
        }
        message.clear_data();
        // An empty region takes no memory, so that it always fits.
        let _ = message.replace_memory(Memory::default());
        message.set_id(answer::NO_OPERATION);
        self.answer(now, message);
    }

    /// Sends an answer to whoever asked. If that fails, or nobody wants it, it ends here.
    pub(crate) fn answer(&mut self, now: Instant, message: Message<S::Page>) {
        match self.reply(now, message) {
            Ok(Posted::Handed(thread)) => self.ipc.defer_wake(thread),
            Ok(_) => {}
            Err(error) => self.ipc.discard(error.message),
        }
    }

    /// Puts what was asked for into an answer, or that it is not there.
    pub(crate) fn fill_answer(&mut self, message: &mut Message<S::Page>, found: Option<Right>) {
        message.clear_data();
        message.set_id(answer::UNKNOWN);
        let Some(right) = found else { return };
        match message.push_right(right) {
            Ok(()) => message.set_id(answer::DONE),
            Err(right) => self.ipc.release(right),
        }
    }

    /// Spends a send-once right on a message of this node.
    pub(crate) fn tell(&mut self, now: Instant, to: Right, id: u32, data: &[u8]) {
        let Ok(mut message) = self.ipc.new_message() else {
            return self.ipc.release_because(to, Reason::NoMemory);
        };
        message.set_id(id);
        // Where there is no memory for it, what the message is about must do.
        let _ = message.set_data(data);
        let _ = message.set_reply(to);
        self.answer(now, message);
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
