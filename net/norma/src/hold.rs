//! Messages that were accepted and wait until the receive rights in them have arrived: then a
//! thread that gets one has a port like any other, and not one whose queue is torn.
//!
//! Owns: these messages. There is one at most for each export that a peer can send to (what
//! comes behind it is refused, as by a full queue, so that the order of a sender is kept), and
//! any number by send-once rights, each of which can be used once.
//! No message waits for itself: it waits for ports whose queues are on their way here, and a
//! port does not leave while a message for it waits (`depart`).

use norma_flip::Instant;
use norma_ipc::{Message, PageSource, PortId, Reason, Right, SendFailure, Sent};

use crate::deliver::{After, Door};
use crate::inbox::Label;
use crate::node::Node;
use crate::rights::Barred;

/// To whom a message goes that waits.
#[derive(Debug)]
enum To {
    /// To a port, by this export.
    Port(PortId, u32),
    /// To a send-once right.
    Once(Option<Right>),
    /// To the node itself.
    Node,
}

#[derive(Debug)]
pub(crate) struct Held<P> {
    pub(crate) message: Message<P>,
    to: To,
    place: u32,
    generation: u16,
    /// It is news of the peer's kernel.
    news: bool,
    /// Ports that have not arrived.
    pub(crate) waits: u32,
}

impl<P> Held<P> {
    /// The port for which it waits.
    pub(crate) fn port(&self) -> Option<PortId> {
        match self.to {
            To::Port(port, _) => Some(port),
            _ => None,
        }
    }

    /// The right to which it goes.
    pub(crate) fn right(&self) -> Option<&Right> {
        match &self.to {
            To::Once(right) => right.as_ref(),
            _ => None,
        }
    }
}

impl<S: PageSource> Node<S> {
    /// Whether a message waits that is for a port.
    pub(crate) fn holds_for(&self, port: PortId) -> bool {
        let mut held = self.moves.held.iter();
        held.any(|(_, held)| held.port() == Some(port))
    }

    /// Keeps a message until `waits` ports have opened. Room was reserved. Returns where.
    pub(crate) fn hold(
        &mut self,
        place: u32,
        label: Label,
        door: Door,
        message: Message<S::Page>,
        news: bool,
        waits: u32,
    ) -> Option<u32> {
        let Node {
            sessions,
            ipc,
            moves,
            ..
        } = self;
        let session = sessions.get_mut(place)?;
        let to = match door {
            // By its flag it is known later that it is to be confirmed.
            Door::Post(port) | Door::Confirm(port) => {
                if let Some(export) = session.exports.get_mut(label.destination) {
                    export.barred = Barred::Holding;
                }
                To::Port(port, label.destination)
            }
            Door::Once | Door::Counted => To::Once(session.exports.use_up(ipc, label.destination)),
            Door::Node => To::Node,
        };
        let generation = session.generation;
        Some(moves.held.insert_reserved(|_| Held {
            message,
            to,
            place,
            generation,
            news,
            waits,
        }))
    }

    /// Delivers a message for which nothing is missing any more.
    pub(crate) fn release_held(&mut self, now: Instant, at: u32) {
        if self.moves.held.get(at).is_none_or(|held| held.waits > 0) {
            return;
        }
        let Some(held) = self.moves.held.remove(at) else {
            return;
        };
        let Held {
            message,
            to,
            place,
            generation,
            news,
            ..
        } = held;
        match to {
            To::Port(port, index) => {
                let mut message = message;
                let waits = message.take_confirmation();
                let sent = match self.ipc.post_late(port, message) {
                    Ok(sent) => sent,
                    Err(error)
                        if error.failure == SendFailure::Right(norma_ipc::RightError::NoMemory) =>
                    {
                        let mut message = error.message;
                        if let Some(right) = waits {
                            message.ask_confirmation(right);
                        }
                        // In the place that was just left.
                        let _ = self.moves.held.insert(Held {
                            message,
                            to: To::Port(port, index),
                            place,
                            generation,
                            news,
                            waits: 0,
                        });
                        return self.move_later(now);
                    }
                    Err(error) => {
                        self.ipc.discard(error.message);
                        if let Some(right) = waits {
                            self.ipc.release_because(right, Reason::Destroyed);
                        }
                        self.unbar(place, generation, port, index);
                        return self.depart_again(now);
                    }
                };
                if let Some(right) = waits {
                    let said = self.ipc.confirm(right);
                    self.follow_sent(now, said);
                }
                self.unbar(place, generation, port, index);
                self.follow_sent(now, sent);
                self.depart_again(now);
            }
            To::Once(Some(right)) if news => self.announce(right, message),
            To::Once(Some(right)) => {
                let sent = self.ipc.spend(right, message);
                match sent {
                    Ok(sent) => self.follow_sent(now, sent),
                    Err(error) => self.ipc.discard(error.message),
                }
            }
            To::Once(None) => self.ipc.discard_because(message, Reason::Destroyed),
            To::Node => {
                let lives =
                    |session: &&crate::session::Session<S::Page>| session.generation == generation;
                if self.sessions.get(place).filter(lives).is_some() {
                    self.serve(now, place, message);
                } else {
                    self.ipc.discard(message);
                }
            }
        }
    }

    /// Messages of the peer may come again.
    fn unbar(&mut self, place: u32, generation: u16, port: PortId, index: u32) {
        let session = self.sessions.get_mut(place);
        let Some(session) = session.filter(|session| session.generation == generation) else {
            return;
        };
        let Some(export) = session.exports.get_mut(index) else {
            return;
        };
        match export.barred {
            Barred::Holding => export.barred = Barred::No,
            Barred::HoldingFull => {
                // The peer is to begin anew.
                export.barred = Barred::Full;
                self.ipc.want_room(port);
            }
            _ => {}
        }
        if export.sent == 0 {
            // The peer has let go of it meanwhile.
            session.end_export(&mut self.ipc, index, Reason::Unanswered);
        }
    }

    pub(crate) fn follow_sent(&mut self, now: Instant, sent: Sent<S::Page>) {
        match sent {
            Sent::Handed(thread) => self.ipc.defer_wake(thread),
            Sent::Queued | Sent::Waiting => {}
            Sent::Forward {
                token,
                via,
                message,
            } => self.follow(now, 0, After::Relay(token, via, message)),
        }
    }
}
