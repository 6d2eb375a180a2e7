//! Threads that wait: what ends a wait, and what is answered then.

use crate::answer::Failure;
use crate::daemon::Daemon;
use crate::page::Page;
use crate::seat::{Doing, For, Then};
use norma_client::protocol::{Cause, FOREVER};
use norma_ipc::{Cancelled, Completion, Delivery, Notification, ThreadId};
use norma_net::NAME_TAKEN;

impl Daemon {
    /// When a patience that begins now ends.
    pub(crate) fn deadline(&self, patience: u64) -> u64 {
        match patience {
            FOREVER => u64::MAX,
            patience => self.now.nanos().saturating_add(patience),
        }
    }

    /// The core says that a thread is to run.
    pub(crate) fn wake(&mut self, thread: ThreadId) {
        if let Some(completion) = self.core.ipc().take_completion(thread) {
            self.complete(thread.0, completion);
        }
    }

    /// The wait of a thread has ended.
    fn complete(&mut self, place: u32, completion: Completion<Page>) {
        let Some(seat) = self.seat(place) else {
            // Nobody is there; what it holds goes.
            return self.discard_completion(completion);
        };
        let deadline = seat.deadline;
        let doing = std::mem::replace(&mut seat.doing, Doing::Nothing);
        match (doing, completion) {
            (Doing::Sending(Then::Done), Completion::Sent) => self.done(place, 0, 0),
            (Doing::Sending(Then::Await(what)), Completion::Sent) => {
                self.await_reply(place, what, deadline);
            }
            (Doing::Sending(_), Completion::Refused(reason, mut message)) => {
                self.core.ipc().detach_reply(&mut message);
                self.core.unconfirmed(&mut message);
                let failure = self.because(reason);
                self.give_back(place, failure, message);
            }
            (Doing::Awaiting(what), Completion::Received(delivery)) => {
                self.replied(place, what, delivery);
            }
            (Doing::Awaiting(what), Completion::ReceiverDied(reason)) => {
                let failure = self.because(reason);
                self.not_replied(place, what, failure);
            }
            (_, Completion::Received(delivery)) => self.deliver(place, delivery),
            (_, Completion::ReceiverDied(reason)) => {
                let failure = self.because(reason);
                self.fail(place, failure);
            }
            (_, Completion::TooLarge(bytes)) => self.fail(place, Failure::too_large(bytes)),
            (_, other) => {
                self.discard_completion(other);
                self.fail(place, Cause::BadRequest);
            }
        }
    }

    fn discard_completion(&mut self, completion: Completion<Page>) {
        match completion {
            Completion::Received(delivery) => self.core.ipc().discard_delivery(delivery),
            Completion::Refused(_, message) => self.core.ipc().discard(message),
            _ => {}
        }
    }

    /// Answers with what was received.
    pub(crate) fn deliver(&mut self, place: u32, delivery: Delivery<Page>) {
        match delivery {
            Delivery::Message(message) => self.hand_out(place, message),
            Delivery::Notification(notification) => self.notify(place, notification),
        }
    }

    /// Waits for what comes to the thread's reply port, or takes it.
    pub(crate) fn await_reply(&mut self, place: u32, what: For, deadline: u64) {
        match self.core.ipc().await_reply(ThreadId(place)) {
            Ok(None) => self.wait_for(place, Doing::Awaiting(what), deadline),
            Ok(Some(delivery)) => self.replied(place, what, delivery),
            Err(error) => {
                let failure = self.refused(error);
                self.not_replied(place, what, failure);
            }
        }
    }

    /// Something has come to the reply port.
    fn replied(&mut self, place: u32, what: For, delivery: Delivery<Page>) {
        let mut message = match delivery {
            Delivery::Message(message) => message,
            Delivery::Notification(notification) => {
                let failure = match notification {
                    Notification::SendOnce(reason) => self.because(reason),
                    // The reply right was used to be told of something: that is no answer.
                    other => {
                        let other = Delivery::Notification(other);
                        self.core.ipc().discard_delivery(other);
                        Cause::Unanswered.into()
                    }
                };
                return self.not_replied(place, what, failure);
            }
        };
        match what {
            For::Reply => return self.hand_out(place, message),
            For::Receipt => self.done(place, 0, 0),
            For::Right => {
                let named = match self.space_of(place) {
                    Some(space) => self.core.ipc().take_right(space, &mut message),
                    None => Ok(None),
                };
                match named {
                    Ok(Some((_, name))) => self.done(place, name.raw(), 0),
                    Ok(None) => self.fail(place, Cause::NameUnknown),
                    Err(error) => {
                        let failure = self.refused(error);
                        self.fail(place, failure);
                    }
                }
            }
            For::Claim(text) if message.id() == NAME_TAKEN => {
                self.core.check_out(&text);
                self.forget_name(place, &text);
                self.fail(place, Failure::taken_by(message.data()));
            }
            For::Claim(_) => self.done(place, 0, 0),
        }
        self.core.ipc().discard(message);
    }

    /// Nothing will come to the reply port.
    fn not_replied(&mut self, place: u32, what: For, failure: Failure) {
        if let For::Claim(text) = what {
            // Nobody is left to hear of the claim.
            self.core.check_out(&text);
            self.forget_name(place, &text);
        }
        self.fail(place, failure);
    }

    /// The patience of a thread has ended.
    pub(crate) fn lose_patience(&mut self, place: u32) {
        let thread = ThreadId(place);
        let Some(seat) = self.seat(place) else {
            return;
        };
        seat.deadline = u64::MAX;
        match std::mem::replace(&mut seat.doing, Doing::Nothing) {
            Doing::Nothing => {}
            doing => match self.core.ipc().cancel(thread) {
                Cancelled::Completed(completion) => {
                    if let Some(seat) = self.seat(place) {
                        seat.doing = doing;
                    }
                    self.complete(place, completion);
                }
                Cancelled::Message(mut message) => {
                    self.core.ipc().detach_reply(&mut message);
                    self.core.unconfirmed(&mut message);
                    self.give_back(place, Cause::TimedOut.into(), message);
                }
                Cancelled::Nothing => {
                    if let Doing::Awaiting(what) = doing {
                        // What comes later finds nobody.
                        self.core.ipc().renew_reply_port(thread);
                        self.not_replied(place, what, Cause::TimedOut.into());
                    } else {
                        self.fail(place, Cause::TimedOut);
                    }
                }
            },
        }
    }
}
