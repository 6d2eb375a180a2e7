//! The question of a look-up, and what comes of it.
//!
//! The question is a call, and its reply right is one to this node itself: so its end, also
//! that of the session, comes back here exactly once, and never to a thread that has gone on.
//!
//! Leaves to others: finding whom to ask, and how often (`lookups`).

use norma_flip::Instant;
use norma_ipc::{Message, PageSource, Reason, RemoteToken, Right};

use crate::carry::Target;
use crate::limits::ASK_ROUNDS;
use crate::lookups::{Stage, Want};
use crate::node::Node;
use crate::rights::{Destination, NODE_ITSELF, token};
use crate::service::{answer, operation};
use crate::session::State;

impl<S: PageSource> Node<S> {
    /// Asks over the session at that place.
    pub(crate) fn ask(&mut self, now: Instant, place: u32, number: u32) {
        let established = self
            .sessions
            .get(place)
            .is_some_and(|session| session.state == State::Established);
        let asking = &mut self.lookups.asking;
        let Some(asking) = asking.iter_mut().find(|asking| asking.number == number) else {
            return;
        };
        asking.stage = Stage::Asked;
        let want = asking.want.clone();
        let asked = established.then(|| self.question(&want, number)).flatten();
        let sent = match asked {
            Some(message) => self.dispatch(now, place, Target::NodeService, message),
            None => return self.asked_in_vain(number),
        };
        if let Err(error) = sent {
            // What becomes of the reply right in it says that it was asked in vain.
            self.ipc.discard_because(error.message, Reason::NoMemory);
        }
    }

    fn question(&mut self, want: &Want, number: u32) -> Option<Message<S::Page>> {
        let mut message = self.ipc.new_message().ok()?;
        let (operation, filled) = match want {
            Want::Name(text) | Want::Rival(text) => {
                (operation::LOOK_UP, message.set_data(text.as_bytes()))
            }
            Want::Special(which) => (
                operation::SPECIAL_PORT,
                message.set_data(&which.to_le_bytes()),
            ),
        };
        message.set_id(operation);
        message.set_expects_reply(true);
        let reply = self.ipc.import_send_once(own(number));
        let (Ok(()), Ok(reply)) = (filled, reply) else {
            self.ipc.discard(message);
            return None;
        };
        // A fresh message has no reply right yet.
        let _ = message.set_reply(reply);
        Some(message)
    }

    /// An answer to a question of this node itself.
    pub(crate) fn answered(&mut self, now: Instant, number: u32, mut message: Message<S::Page>) {
        let found = self.lookups.find(|asking| asking.number == number);
        let Some(index) = found.filter(|index| self.lookups.asking[*index].stage == Stage::Asked)
        else {
            return self.ipc.discard(message); // Nobody waits for it any more.
        };
        let port = message.rights().first().and_then(Right::port);
        let alive = port.is_some_and(|port| self.ipc.sink(port).is_ok());
        // A dead one stays in the message, and goes with it.
        let right = match message.id() {
            answer::DONE if alive => message.take_right(),
            _ => None,
        };
        let empty = message.id() == answer::UNKNOWN;
        self.ipc.discard(message);
        let asking = &self.lookups.asking[index];
        let (target, rival) = (asking.target, matches!(asking.want, Want::Rival(_)));
        let final_no = empty && !matches!(asking.want, Want::Name(_));
        match right {
            Some(right) if rival => {
                self.ipc.release(right);
                self.rival_has_it(now, index);
            }
            Some(right) => self.hand_over(now, index, right),
            None if final_no => {
                self.lookups.asking[index].waits = false;
                self.not_found(now, index, Reason::NameUnknown);
            }
            None => {
                self.lookups.forget(target);
                self.again(now, index);
            }
        }
    }

    fn rival_has_it(&mut self, now: Instant, index: usize) {
        let asking = self.lookups.asking.swap_remove(index);
        let name = self.peer_name(asking.target.0).unwrap_or_default();
        if let Want::Rival(text) = asking.want {
            let address = self.name_address(&text).image();
            self.rival_answered(now, address, Some(name.as_str()));
        }
    }

    /// The thread that asked gets what was found.
    pub(crate) fn hand_over(&mut self, now: Instant, index: usize, right: Right) {
        let asking = self.lookups.asking.swap_remove(index);
        let Some(reply) = asking.reply else {
            return self.ipc.release(right);
        };
        let Ok(mut message) = self.ipc.new_message() else {
            self.ipc.release(right);
            return self.ipc.release_because(reply, Reason::NoMemory);
        };
        let _ = message.set_reply(reply);
        self.fill_answer(&mut message, Some(right));
        self.answer(now, message);
    }

    /// The question, or its answer, was lost: the session is over, or there was no memory.
    ///
    /// There is no time here; what is to be done is done when it has come.
    pub(crate) fn asked_in_vain(&mut self, number: u32) {
        let asking = &mut self.lookups.asking;
        let Some(asking) = asking.iter_mut().find(|asking| asking.number == number) else {
            return;
        };
        let target = asking.target;
        asking.stage = Stage::Resting;
        asking.again = Instant::ZERO;
        asking.rounds += 1;
        // Whoever was there is perhaps dead: its way is not tried again.
        self.lookups.forget(target);
        self.flip.forget_route(target);
        self.names_due(Instant::ZERO);
    }

    /// The node that was asked does not have it (any more): perhaps another does.
    pub(crate) fn again(&mut self, now: Instant, index: usize) {
        let asking = &mut self.lookups.asking[index];
        asking.rounds += 1;
        if asking.rounds >= ASK_ROUNDS {
            return self.not_found(now, index, Reason::NameUnknown);
        }
        asking.stage = Stage::Seeking;
        let target = asking.target;
        self.seek(now, target);
    }
}

/// A send-once right to this node itself, for the answer to a question of its own.
const fn own(number: u32) -> RemoteToken {
    token(NODE_ITSELF, 0, Destination::Once(number))
}
