//! Sends whose fate is asked for: what a rover is told, and what the books hold against it.

use core::time::Duration;

use norma_ipc::{Delivery, HeapPage, Notification};
use norma_net::Fate as Told;

use super::books::Books;
use super::entries::{Dest, Fate, Note, Phase, PortNo, Word};
use super::rover::{Doing, Rover, who};
use crate::actor::Context;

impl Rover {
    /// The message is on its way: waits for word of it, if there is to be any.
    pub(super) fn await_word(&mut self, cx: &mut Context<'_>, number: u64) {
        match cx.books.cargo.get(&number).and_then(|cargo| cargo.word) {
            Some(Word::Here) => cx.books.delivered(number),
            Some(Word::Asked) => match cx.node.ipc().await_reply(cx.thread) {
                Ok(Some(delivery)) => self.word(cx, number, delivery),
                Ok(None) => self.doing = Doing::Confirming(number, cx.now + self.patience(cx)),
                Err(error) => {
                    let what = format!("{} has no word to wait for: {error}", who(cx));
                    cx.books.accuse(what, &[], &[number]);
                }
            },
            _ => {}
        }
    }

    /// Word has come.
    pub(super) fn word(&mut self, cx: &mut Context<'_>, number: u64, got: Delivery<HeapPage>) {
        self.doing = Doing::Nothing;
        let note = Note::message(number);
        match got {
            Delivery::Message(receipt) => {
                cx.books
                    .note(who(cx), "is told that {m} is delivered", note);
                cx.books.delivered(number);
                cx.node.ipc().discard(receipt);
            }
            Delivery::Notification(Notification::SendOnce(reason)) => {
                cx.books.told += 1;
                let told = Told::of(reason);
                let text = match told {
                    Told::NotDelivered(_) => "is told that {m} is not delivered",
                    _ => "is told that nobody knows what became of {m}",
                };
                cx.books.note(who(cx), text, note);
                cx.books.not_delivered(number, told);
            }
            Delivery::Notification(other) => {
                let what = format!("{} waited for word and was told {other:?}", who(cx));
                cx.books.accuse(what, &[], &[number]);
            }
        }
    }

    /// It does not wait any longer.
    pub(super) fn stop_confirming(&mut self, cx: &mut Context<'_>, number: u64) {
        self.doing = Doing::Nothing;
        if let norma_ipc::Cancelled::Completed(norma_ipc::Completion::Received(delivery)) =
            cx.node.ipc().cancel(cx.thread)
        {
            return self.word(cx, number, delivery);
        }
        cx.node.ipc().renew_reply_port(cx.thread);
        let text = "does not wait for word of {m} any longer";
        cx.books.note(who(cx), text, Note::message(number));
    }
}

impl Books {
    /// A message is said to be in the queue of its port, or to have been there: from now on
    /// nothing may lose it but what befalls its port.
    pub(super) fn delivered(&mut self, number: u64) {
        let now = self.now;
        let Some(cargo) = self.cargo.get_mut(&number) else {
            return;
        };
        cargo.word = Some(Word::Delivered(now));
        let known_lost = matches!(cargo.fate, Fate::Lost | Fate::Returned);
        // What was found missing at rest may have been in a queue that died since.
        if known_lost && self.phase == Phase::Play {
            let what = format!("message {number} is said to be delivered, and is lost");
            self.accuse(what, &[], &[number]);
        }
    }

    /// A message is said not to have come to its port, or that nobody knows.
    pub(super) fn not_delivered(&mut self, number: u64, told: Told) {
        let cargo = &self.cargo[&number];
        let port = match cargo.dest {
            Dest::Port(port) => port,
            Dest::Once(_) => PortNo(u32::MAX),
        };
        let came = cargo.fate == Fate::Received;
        let excused = self.may_be_lost(number);
        match told {
            Told::NotDelivered(reason) if came => {
                let what =
                    format!("message {number} is not delivered, {reason:?}, and was received");
                self.accuse(what, &[port], &[number]);
            }
            Told::NotDelivered(_) if excused => self.lose(number),
            Told::Unknown(_) if came || excused => {}
            _ => {
                let what = format!("message {number}: {told:?}, and nothing came between");
                self.accuse(what, &[port], &[number]);
            }
        }
    }
}

/// How long a rover waits for an answer, or for word.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
