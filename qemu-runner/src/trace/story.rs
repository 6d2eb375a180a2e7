//! What the events of one node tell: who ran when, and what became of each message.
//!
//! Owns: following the one processor of a node from event to event. Leaves to others: times that
//! more than this node understands (`align`), and what a send and a receive of two nodes have to
//! do with each other beyond the number of the frame between them (`chrome`).

use super::ring::Ring;
use norma_trace::{Event, Kind, State};
use std::collections::HashMap;

/// What a thread did for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// It ran.
    Running,
    /// It could have run.
    Ready,
    /// It waited for an answer to its call.
    AwaitingAnswer,
    /// It waited for a message.
    AwaitingMessage,
    /// It waited for something.
    Blocked,
}

/// A while of a thread, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct While {
    pub(super) thread: u16,
    pub(super) doing: Doing,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// One end of a message's way, on a thread, while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) thread: u16,
    pub(super) at: u64,
    pub(super) message: u64,
    pub(super) rights: u8,
}

/// A frame of a session: the session, and its number.
pub(super) type Frame = (u32, u32);

/// What one node did.
#[derive(Clone, Debug, Default)]
pub(super) struct Story {
    pub(super) whiles: Vec<While>,
    /// Interrupts: vector, from, to.
    pub(super) interrupts: Vec<(u32, u64, u64)>,
    pub(super) sends: Vec<End>,
    pub(super) receives: Vec<End>,
    /// Messages from thread to thread: places in `sends` and `receives`.
    pub(super) here: Vec<(usize, usize)>,
    /// By which frame a message left the node.
    pub(super) left: HashMap<Frame, usize>,
    /// By which frame a message came that was received.
    pub(super) came: HashMap<Frame, usize>,
}

/// Tells the story of a ring.
pub(super) fn tell(ring: &Ring) -> Story {
    let mut teller = Teller::default();
    for (place, event) in ring.events.iter().enumerate() {
        teller.take(event, ring.events.get(place + 1));
    }
    if let Some(last) = ring.events.last() {
        teller.end(last.ticks);
    }
    teller.story
}

/// From where a message is that somebody may receive.
#[derive(Clone, Copy)]
enum Origin {
    Here(usize),
    Left(usize),
    There(Frame),
}

#[derive(Default)]
struct Teller {
    story: Story,
    /// What each thread does, and since when.
    doing: HashMap<u16, (Doing, u64)>,
    /// Who runs, unless the processor is halted.
    running: Option<u16>,
    halted: bool,
    /// Messages that have not been received, by their numbers.
    under_way: HashMap<u64, Origin>,
    /// Messages that a thread has been given but has not seen, for it does not run yet.
    given: HashMap<u16, Vec<(u64, Option<Origin>)>>,
    /// An interrupt that has not ended.
    interrupt: Option<(u32, u64)>,
}

impl Teller {
    fn take(&mut self, event: &Event, next: Option<&Event>) {
        let (at, thread) = (event.ticks, event.thread);
        let Some(kind) = event.kind() else {
            return;
        };
        // The first event, or one behind a hand-over that nothing else told of.
        if !self.halted && self.running != Some(thread) {
            self.change(thread, Doing::Running, at);
        }
        let other = event.a as u16;
        match kind {
            Kind::Switch => {
                if !self.halted {
                    let doing = match State::from_u8(event.detail) {
                        Some(State::Ready) => Doing::Ready,
                        Some(State::Ended) => {
                            self.close(thread, at);
                            Doing::Blocked
                        }
                        _ => Doing::Blocked,
                    };
                    if event.detail != State::Ended as u8 {
                        self.change(thread, doing, at);
                    }
                }
                self.change(other, Doing::Running, at);
            }
            Kind::Idle => {
                self.change(thread, Doing::Blocked, at);
                self.halted = true;
            }
            Kind::Resume => self.change(thread, Doing::Running, at),
            Kind::Wake => {
                let blocked = self.running != Some(other)
                    && self
                        .doing
                        .get(&other)
                        .is_none_or(|(doing, _)| *doing != Doing::Ready);
                if blocked {
                    self.change(other, Doing::Ready, at);
                }
            }
            Kind::Interrupt => self.interrupt = Some((event.a, at)),
            Kind::InterruptEnd => {
                if let Some((vector, from)) = self.interrupt.take() {
                    self.story.interrupts.push((vector, from, at));
                }
            }
            Kind::Call | Kind::Answer => {
                let send = self.send(event);
                self.give(other, event.b, Some(Origin::Here(send)), at);
                // Mostly the other runs now. Where it does not, the next event says so.
                let stays = next.is_some_and(|next| {
                    next.thread == thread && matches!(next.kind(), Some(Kind::Switch | Kind::Idle))
                });
                if !stays {
                    let waits = match kind {
                        Kind::Call => Doing::AwaitingAnswer,
                        _ => Doing::AwaitingMessage,
                    };
                    self.change(thread, waits, at);
                    self.change(other, Doing::Running, at);
                }
            }
            Kind::Send => {
                let send = self.send(event);
                self.under_way.insert(event.b, Origin::Here(send));
            }
            Kind::Receive => {
                let origin = self.under_way.remove(&event.b);
                if origin.is_some() {
                    self.give(other, event.b, origin, at);
                }
            }
            Kind::Carry => {
                // Once it has left, nobody here receives it: what has its number then is another.
                if let Some(Origin::Here(send) | Origin::Left(send)) =
                    self.under_way.get(&event.b).copied()
                {
                    self.story.left.entry((event.c, event.d)).or_insert(send);
                    self.under_way.insert(event.b, Origin::Left(send));
                }
            }
            Kind::Arrive => {
                self.under_way
                    .insert(event.b, Origin::There((event.c, event.d)));
            }
            Kind::FrameOut
            | Kind::FrameIn
            | Kind::Retransmit
            | Kind::Right
            | Kind::SystemCall
            | Kind::SystemCallEnd => {}
        }
    }

    /// A thread begins to do something else.
    fn change(&mut self, thread: u16, doing: Doing, at: u64) {
        self.close(thread, at);
        self.doing.insert(thread, (doing, at));
        if doing == Doing::Running {
            self.running = Some(thread);
            self.halted = false;
            self.see(thread, at);
        } else if self.running == Some(thread) {
            self.running = None;
        }
    }

    fn close(&mut self, thread: u16, at: u64) {
        if let Some((doing, from)) = self.doing.remove(&thread)
            && from < at
        {
            self.story.whiles.push(While {
                thread,
                doing,
                from,
                to: at,
            });
        }
    }

    fn end(&mut self, at: u64) {
        let threads: Vec<u16> = self.doing.keys().copied().collect();
        threads
            .into_iter()
            .for_each(|thread| self.close(thread, at));
    }

    fn send(&mut self, event: &Event) -> usize {
        let rights = match event.kind() {
            Some(Kind::Send) => event.detail,
            _ => 0,
        };
        self.story.sends.push(End {
            thread: event.thread,
            at: event.ticks,
            message: event.b,
            rights,
        });
        self.story.sends.len() - 1
    }

    /// A thread has been given a message, which it sees when it runs.
    fn give(&mut self, thread: u16, message: u64, origin: Option<Origin>, at: u64) {
        self.given
            .entry(thread)
            .or_default()
            .push((message, origin));
        if self.running == Some(thread) {
            self.see(thread, at);
        }
    }

    fn see(&mut self, thread: u16, at: u64) {
        for (message, origin) in self.given.remove(&thread).unwrap_or_default() {
            let place = self.story.receives.len();
            self.story.receives.push(End {
                thread,
                at,
                message,
                rights: 0,
            });
            match origin {
                Some(Origin::Here(send)) => self.story.here.push((send, place)),
                Some(Origin::There(frame)) => {
                    self.story.came.insert(frame, place);
                }
                Some(Origin::Left(_)) | None => {}
            }
        }
    }
}
