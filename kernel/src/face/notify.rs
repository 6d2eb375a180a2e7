//! Asking to be told: of a port's death, of room in its queue, that nobody can send any more,
//! that a receive right was given up.
//!
//! Who asks gives a send-once right to one of its ports of this node; what happens uses it up
//! and arrives there as a [`Notification`](crate::face::Notification), exactly once. There is
//! one request of each kind for a name, and so for all send rights to one port: the right of the
//! request before comes back.

use crate::face::error::{Failure, MoveError};
use crate::face::rights::{Core, insert, taken, with_in};
use crate::face::{ReceiveRight, SendOnceRight, SendRight, Space};
use crate::node;
use crate::thread::rights as held;
use core::mem::ManuallyDrop;
use norma_ipc::{About, InsertError, Name, Right, RightError, RightKind, SpaceId};

/// The right of the request before, or why nothing was asked, with the right that was for it.
type Asked = Result<Option<SendOnceRight>, MoveError<SendOnceRight>>;
/// The right of the request that is withdrawn.
type Withdrawn = Result<Option<SendOnceRight>, Failure>;

macro_rules! mortal {
    ($type:ident) => {
        impl $type {
            /// Asks to be told when the port dies
            /// ([`DeadName`](crate::face::Notification::DeadName), with this right's name), at
            /// once if it is dead. If all rights under that name are given up before,
            /// [`NameDeleted`](crate::face::Notification::NameDeleted) comes instead.
            ///
            /// # Errors
            /// `notify` comes back: it must lead to a port of this node;
            /// [`Failure::NoMemory`].
            pub fn notify_death(&self, notify: SendOnceRight) -> Asked {
                ask_about(None, self.name, About::Death, notify)
            }

            /// Withdraws that request; its right comes back, if there was one.
            ///
            /// # Errors
            /// [`Failure::NoMemory`] for the right, and the request stands.
            pub fn withdraw_death(&self) -> Withdrawn {
                withdraw_about(None, self.name, About::Death)
            }
        }
    };
}

mortal!(SendRight);
mortal!(SendOnceRight);

impl SendRight {
    /// Asks to be told when the port's queue has room
    /// ([`Room`](crate::face::Notification::Room), with this right's name), at once if it has.
    /// For a sender that must not wait: [`SendRight::try_send`] was refused for a full queue.
    ///
    /// # Errors
    /// As [`SendRight::notify_death`].
    pub fn notify_room(&self, notify: SendOnceRight) -> Asked {
        ask_about(None, self.name, About::Room, notify)
    }

    /// Withdraws that request; its right comes back, if there was one.
    ///
    /// # Errors
    /// [`Failure::NoMemory`] for the right, and the request stands.
    pub fn withdraw_room(&self) -> Withdrawn {
        withdraw_about(None, self.name, About::Room)
    }
}

impl ReceiveRight {
    /// Asks to be told when there is no send right to the port
    /// ([`NoSenders`](crate::face::Notification::NoSenders)): at once, if there is none and at
    /// least `sync` were made.
    ///
    /// A server that hands out rights to one port again and again counts them, and passes that
    /// count: so it is not told of a time before the last of them was made. A notification whose
    /// `make_sends` is less than the server's count is out of date: rights were made meanwhile,
    /// and it asks again.
    ///
    /// # Errors
    /// As [`SendRight::notify_death`].
    pub fn notify_no_senders(&self, sync: u32, notify: SendOnceRight) -> Asked {
        ask_no_senders(None, self.name, sync, notify)
    }

    /// Withdraws that request; its right comes back, if there was one.
    ///
    /// # Errors
    /// [`Failure::NoMemory`] for the right, and the request stands.
    pub fn withdraw_no_senders(&self) -> Withdrawn {
        withdraw_no_senders(None, self.name)
    }

    /// Asks that this right, when it is dropped or lost with a message, come back
    /// ([`PortDestroyed`](crate::face::Notification::PortDestroyed)) and the port live on.
    ///
    /// # Errors
    /// As [`SendRight::notify_death`].
    pub fn notify_port_destroyed(&self, notify: SendOnceRight) -> Asked {
        ask_port_destroyed(None, self.name, notify)
    }

    /// Withdraws that request; its right comes back, if there was one.
    ///
    /// # Errors
    /// [`Failure::NoMemory`] for the right, and the request stands.
    pub fn withdraw_port_destroyed(&self) -> Withdrawn {
        withdraw_port_destroyed(None, self.name)
    }
}

/// The same by name.
impl Space {
    /// Asks about what is under a name, as [`SendRight::notify_death`] and
    /// [`SendRight::notify_room`] do.
    ///
    /// # Errors
    /// As there.
    pub fn request(&self, name: Name, about: About, notify: SendOnceRight) -> Asked {
        ask_about(Some(self.id()), name, about, notify)
    }

    /// Withdraws such a request.
    ///
    /// # Errors
    /// As [`SendRight::withdraw_death`].
    pub fn withdraw(&self, name: Name, about: About) -> Withdrawn {
        withdraw_about(Some(self.id()), name, about)
    }

    /// As [`ReceiveRight::notify_no_senders`].
    ///
    /// # Errors
    /// As there.
    pub fn request_no_senders(&self, name: Name, sync: u32, notify: SendOnceRight) -> Asked {
        ask_no_senders(Some(self.id()), name, sync, notify)
    }

    /// As [`ReceiveRight::withdraw_no_senders`].
    ///
    /// # Errors
    /// As there.
    pub fn withdraw_no_senders(&self, name: Name) -> Withdrawn {
        withdraw_no_senders(Some(self.id()), name)
    }

    /// As [`ReceiveRight::notify_port_destroyed`].
    ///
    /// # Errors
    /// As there.
    pub fn request_port_destroyed(&self, name: Name, notify: SendOnceRight) -> Asked {
        ask_port_destroyed(Some(self.id()), name, notify)
    }

    /// As [`ReceiveRight::withdraw_port_destroyed`].
    ///
    /// # Errors
    /// As there.
    pub fn withdraw_port_destroyed(&self, name: Name) -> Withdrawn {
        withdraw_port_destroyed(Some(self.id()), name)
    }
}

fn ask_about(space: Option<SpaceId>, name: Name, about: About, notify: SendOnceRight) -> Asked {
    ask(space, notify, |ipc, space, right| {
        let asked = ipc.request(space, name, about, right);
        asked.map_err(|InsertError { error, right }| (error, Some(right)))
    })
}

fn ask_no_senders(space: Option<SpaceId>, name: Name, sync: u32, notify: SendOnceRight) -> Asked {
    ask(space, notify, |ipc, space, right| {
        ipc.request_no_senders(space, name, sync, Some(right))
    })
}

fn ask_port_destroyed(space: Option<SpaceId>, name: Name, notify: SendOnceRight) -> Asked {
    ask(space, notify, |ipc, space, right| {
        ipc.request_port_destroyed(space, name, Some(right))
    })
}

/// Takes the right out of the task's space and asks with it about something in `space`.
fn ask(
    space: Option<SpaceId>,
    notify: SendOnceRight,
    request: impl FnOnce(
        &mut Core,
        SpaceId,
        Right,
    ) -> Result<Option<Right>, (RightError, Option<Right>)>,
) -> Asked {
    let notify = ManuallyDrop::new(notify);
    let mut engine = node::lock();
    let own = engine.space;
    let ipc = engine.core.ipc();
    let asked = match ipc.extract(own, notify.name, RightKind::SendOnce) {
        Ok(right) => {
            held::given_up();
            request(ipc, space.unwrap_or(own), right)
        }
        Err(error) => Err((error, None)),
    };
    engine.act(node::now());
    match asked {
        // Its name was freed just now, so that there is one for what comes back.
        Ok(previous) => Ok(previous.and_then(|right| insert(&mut engine, right).ok())),
        Err((error, right)) => Err(MoveError {
            failure: Failure::from_right(&engine, error),
            right: right
                .and_then(|right| insert(&mut engine, right).ok())
                .unwrap_or_else(|| SendOnceRight::from_name(notify.name)),
        }),
    }
}

fn withdraw_about(space: Option<SpaceId>, name: Name, about: About) -> Withdrawn {
    withdraw(space, name, |ipc, space, right| match right {
        None => ipc
            .withdraw_request(space, name, about)
            .map_err(|error| (error, None)),
        Some(right) => ipc
            .request(space, name, about, right)
            .map_err(|InsertError { error, right }| (error, Some(right))),
    })
}

fn withdraw_no_senders(space: Option<SpaceId>, name: Name) -> Withdrawn {
    withdraw(space, name, |ipc, space, right| {
        ipc.request_no_senders(space, name, u32::MAX, right)
    })
}

fn withdraw_port_destroyed(space: Option<SpaceId>, name: Name) -> Withdrawn {
    withdraw(space, name, |ipc, space, right| {
        ipc.request_port_destroyed(space, name, right)
    })
}

/// Makes a request without a right, and names the one that comes back in the task's space. If
/// there is no memory for that, it asks again with it.
fn withdraw(
    space: Option<SpaceId>,
    name: Name,
    request: impl Fn(
        &mut Core,
        SpaceId,
        Option<Right>,
    ) -> Result<Option<Right>, (RightError, Option<Right>)>,
) -> Withdrawn {
    let own = node::lock().space;
    with_in(space, name, |ipc, space, _| {
        let withdrawn = request(ipc, space, None).map_err(|(error, _)| error)?;
        let Some(right) = withdrawn else {
            return Ok(None);
        };
        let refused = match ipc.insert(own, right) {
            Ok(name) => return Ok(Some(taken(name))),
            Err(refused) => refused,
        };
        // What it asked for was not so a moment ago, and the place of its request is free.
        if let Ok(Some(right)) | Err((_, Some(right))) = request(ipc, space, Some(refused.right)) {
            ipc.release(right);
        }
        Err(refused.error)
    })
}
